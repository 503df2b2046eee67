"""The programs of a cluster in containers, against each other: client certificates everywhere,
and any order of starts."""
import os
import signal
import socket
import struct
import subprocess
import time

from control_plane import free_port, need
from harness.functions import time_limit
from secure_plane import SecurePlane
from test_addon_manifest import manifest

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"
QUICK = ("--leader-elect-retry-period", "200ms", "--leader-elect-lease-duration", "3s",
         "--leader-elect-renew-deadline", "2s")
ROLES = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "%(name)s"}
rules: %(rules)s
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "%(name)s"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "%(name)s"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "%(name)s"}]
---"""
DNS_RULES = """[{apiGroups: [""], resources: [services, pods, namespaces, endpoints], verbs: [list, watch]},
  {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}]"""
POLICY_RULES = """[{apiGroups: [""], resources: [pods, namespaces], verbs: [list, watch]},
  {apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list, watch]}]"""
MANIFEST = (ROLES % {"name": "system:coredns", "rules": DNS_RULES} +
            ROLES % {"name": "system:network-policy", "rules": POLICY_RULES})


def said_to_wait(program):
    return [line for line in program.log().splitlines() if " W " in line or " E " in line]


def ask(port, name):
    """The address that the name server at 127.0.0.1 has for the name, or None."""
    query = struct.pack("!6H", 7, 0x100, 1, 0, 0, 0)
    query += b"".join(bytes([len(word)]) + word.encode() for word in name.split(".")) + b"\0"
    query += struct.pack("!2H", 1, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(query, ("127.0.0.1", port))
        answer = client.recv(4096)
    return socket.inet_ntoa(answer[-4:]) if struct.unpack("!H", answer[6:8])[0] else None


class Namespace:
    """A network namespace of the test's own, with a link eth0 if asked for; ends with the object's end()."""

    def __init__(self, context, has_uplink=False):
        need(os.geteuid() == 0, "needs root to make a network namespace")
        self.context = context
        self.holder = subprocess.Popen(["unshare", "-n", "sleep", "1000"], stdin=subprocess.DEVNULL)
        self.path = f"/proc/{self.holder.pid}/ns/net"
        context.wait_until("the namespace",
                           lambda: os.readlink(self.path) != os.readlink("/proc/self/ns/net"))
        self.run("ip", "link", "set", "lo", "up")
        if has_uplink:
            self.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "outside")
            self.run("ip", "link", "set", "eth0", "up")

    def run(self, *command, check=True):
        return self.context.run("nsenter", f"--net={self.path}", *command, check=check)

    def end(self):
        self.holder.kill()
        self.holder.wait()


class Cluster:
    """All programs of it, the last that they need first not at all."""

    def __init__(self, context, name):
        plane = self.plane = SecurePlane(context, name, 2)
        both = ",".join(plane.urls)
        common = lambda user: ("--kubeconfig", plane.kubeconfig(user), "--master", both)
        nodes = ("--allocate-node-cidrs", "--cluster-cidr", "10.244.0.0/16", "--node-load-balancer",
                 "--reserved-node-ports", "10250/TCP")
        self.managers = [plane.start("controller-manager", *common("controller-manager"), "--secure-port", 0,
                                     *QUICK, *nodes) for _ in range(2)]
        self.schedulers = [plane.start("scheduler", *common("scheduler"), "--secure-port", 0, *QUICK)
                           for _ in range(2)]
        self.dns_port = free_port()
        self.dns = plane.start("dns", *common("dns"), "--bind-address", "127.0.0.1", "--port", self.dns_port,
                               "--health-port", 0, "--ready-port", 0, "--metrics-port", 0,
                               "--upstream", "127.0.0.1:9")
        addons = ("--addon-manifest", manifest(context, f"{name}.yaml", MANIFEST))
        self.servers = [plane.start_api_server(i, *addons) for i in range(2)]


@time_limit(240)
def test_programs_that_start_before_what_they_need_wait_and_say_so_once(context):
    cluster = Cluster(context, "order")
    plane = cluster.plane
    try:
        time.sleep(3)  # on any host: who waits longer says so again; what they do without a store shows in their logs
        for program in plane.programs:
            code = program.process.poll()
            assert code is None, f"{program.name} ended with {code}:\n{program.log()}"
        for server in cluster.servers:
            lines = said_to_wait(server)
            assert len(lines) == 1 and "waiting for the store" in lines[0], server.log()
        plane.start_store()
        for i in range(2):
            plane.wait_ready(i, 30)
        leads = lambda programs: [p for p in programs if " leads kube-" in p.log()]
        context.wait_until("one leader of each",
                           lambda: len(leads(cluster.managers)) == 1 and len(leads(cluster.schedulers)) == 1,
                           30)
        api = "kubernetes.default.svc.cluster.local"
        context.wait_until("the name server", lambda: ask(cluster.dns_port, api) == "10.96.0.1", 30)
        plane.request("POST", "/api/v1/nodes", {"metadata": {"name": "node-1"}}, user="node-1")

        def with_cidr():
            found = plane.request("GET", "/api/v1/nodes/node-1", server=1, user="node-1")
            return found if found["spec"].get("podCIDR") else None
        node = context.wait_until("a Pod CIDR", with_cidr)
        assert node["spec"]["podCIDR"].startswith("10.244."), node["spec"]
        for program in (*cluster.managers, *cluster.schedulers, cluster.dns):
            assert len(said_to_wait(program)) <= 3, f"{program.name}:\n{program.log()}"
    finally:
        plane.stop()


@time_limit(60)
def test_an_api_server_waits_for_any_of_its_stores_and_ends_when_it_is_told_to(context):
    plane = SecurePlane(context, "no-store", 1)
    dead = ",".join(f"https://127.0.0.1:{free_port()}" for _ in range(3))
    server = plane.start_api_server(0, "--etcd-servers", dead)
    server.wait_for_line("waiting for the store")
    time.sleep(3)
    assert len(server.log().splitlines()) == 1, server.log()
    assert server.stop(timeout=5) == 0, server.log()


@time_limit(180)
def test_a_server_that_hangs_costs_no_leadership(context):
    cluster = Cluster(context, "hangs")
    plane = cluster.plane
    try:
        plane.start_store()
        for i in range(2):
            plane.wait_ready(i, 30)
        for program in (*cluster.managers, *cluster.schedulers):
            assert program.stop() == 0, program.log()
            plane.forget(program)
        # Kubernetes' own durations; whichever server they ask first hangs in one of the two turns.
        long = ("--leader-elect-lease-duration", "15s", "--leader-elect-renew-deadline", "10s",
                "--leader-elect-retry-period", "2s")
        both = ",".join(plane.urls)
        programs = [plane.start(name, "--kubeconfig", plane.kubeconfig(name), "--master", both,
                                "--secure-port", 0, *long)
                    for name in ("controller-manager", "scheduler")]
        for program in programs:
            program.wait_for_line(" leads kube-")
        for turn in range(2):
            cluster.servers[turn].process.send_signal(signal.SIGSTOP)
            try:
                one, path = 1 - turn, f"/api/v1/namespaces/turn-{turn}/serviceaccounts/default"
                plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": f"turn-{turn}"}},
                              server=one)
                context.wait_until("a controller's work", lambda: plane.request("GET", path, server=one), 15)
                time.sleep(12)
            finally:
                cluster.servers[turn].process.send_signal(signal.SIGCONT)
        for program in programs:
            assert " lost " not in program.log(), program.log()
    finally:
        plane.stop()


@time_limit(120)
def test_kube_proxy_waits_for_the_api_and_reads_policies_as_somebody_else(context):
    node, plane = Namespace(context), SecurePlane(context, "proxy", 1)
    try:
        proxy = plane.start("kube-proxy", "--kubeconfig", plane.kubeconfig("kube-proxy"),
                            "--network-policy-kubeconfig",
                            plane.kubeconfig("network-policy"), "--hostname-override", "node-1",
                            "--cluster-name", "secure", "--node-netns",
                            node.path, "--cluster-cidr", "10.244.0.0/16", "--service-cluster-ip-range",
                            "10.96.0.0/16", "--node-address",
                            "172.20.0.5", "--host-address", "172.20.0.1", "--healthz-bind-address",
                            "127.0.0.1:10256")
        proxy.wait_for_line("waiting for the API: connect")
        rules = lambda: node.run("nft", "list", "ruleset").stdout
        assert 'counter name "denied-unknown" drop' in rules(), "Pods are shut until policies are known"
        plane.start_store()
        plane.start_api_server(0, "--addon-manifest", manifest(context, "proxy.yaml", MANIFEST))
        plane.wait_ready()
        context.wait_until("the rules of the Service kubernetes", lambda: "10.96.0.1" in rules())
        assert "172.20.0.1" in rules() and "172.20.0.5" in rules(), rules()
        proxy.wait_for_line("the API answers")
        plane.request("POST", "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
                      {"metadata": {"name": "none"}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}})
        plane.request("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "default"}})
        plane.request("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "shut"}, "spec": {
            "nodeName": "node-1", "containers": [{"name": "c", "image": "i"}]}})
        plane.request("PATCH", "/api/v1/namespaces/default/pods/shut/status",
                      {"status": {"phase": "Running", "podIP": "10.244.0.7", "podIPs": [
            {"ip": "10.244.0.7"}]}}, content_type="application/merge-patch+json")
        context.wait_until("the policy's rules", lambda: "jump ingress/default/none" in rules())
        assert len(said_to_wait(proxy)) == 1, proxy.log()
    finally:
        try:
            plane.stop()
        finally:
            node.end()


@time_limit(120)
def test_programs_of_a_node_end_once_its_uplink_has_gone(context):
    plane = SecurePlane(context, "uplink", 1)
    for name, more in (("kube-proxy", ("--network-policy=false",)),
                       ("kubelet", ("--container-runtime-endpoint", plane.path("no.sock"), "--root-dir",
                                                                               plane.path("kubelet")))):
        node = Namespace(context, has_uplink=True)
        try:
            program = plane.start(name, "--kubeconfig", plane.kubeconfig("kube-proxy"), "--hostname-override",
                                  "node-1", "--node-netns", node.path,
                                  "--node-uplink", "eth0", *more)
            program.wait_for_line("waiting for the ")
            # Plugged in again at once, as by an engine that reconnects a network: nobody minds.
            node.run("ip", "link", "del", "outside")
            time.sleep(0.5)
            node.run("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "outside")
            time.sleep(3)
            assert program.process.poll() is None, program.log()
            begin = time.monotonic()
            node.run("ip", "link", "del", "outside")
            assert program.process.wait(context.seconds(10)) == 1, program.log()
            assert time.monotonic() - begin > 1.9
            last = program.log().splitlines()[-1]
            assert f" E [{name}] the node has had no link eth0 for 2 s" in last, program.log()
            assert program.log().count("no link eth0") == 1
        finally:
            node.end()
            for started in plane.programs:
                started.stop(signal.SIGKILL)
            plane.programs = []


@time_limit(60)
def test_a_kubelet_that_waits_for_its_engine_ends_when_it_is_told_to(context):
    plane = SecurePlane(context, "no-engine", 1)
    node = Namespace(context, has_uplink=True)
    try:
        program = plane.start("kubelet", "--kubeconfig", plane.kubeconfig("node-1"), "--hostname-override",
                              "node-1", "--node-netns", node.path,
                              "--container-runtime-endpoint", plane.path("no.sock"), "--root-dir",
                              plane.path("kubelet"))
        program.wait_for_line("waiting for the container engine")
        time.sleep(1)
        assert program.log().count("waiting for the container engine") == 1, program.log()
        assert program.stop(timeout=5) == 0, program.log()
    finally:
        node.end()
