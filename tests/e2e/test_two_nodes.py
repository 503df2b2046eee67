"""Every part as a program of its own, and two kubelets as two nodes, each in a network namespace of its own; no launcher,
no all-in-one.

The nodes and the host are plugged into a bridge in a namespace that stands for the switch between machines, so that no
rule of the host's engine is on the way from node to node. node-a's kubelet runs inside its namespace; node-b's runs on the
host and is told the namespace."""
import ipaddress
import json
import os
import re
import secrets
import signal
import time

from harness.cluster import IMAGE, assert_matches
from harness.functions import Skipped, time_limit
from harness.load import Load
from harness.programs import KubeconfigCluster, Program, call_engine, free_port, load_busybox

HOST = "10.77.0.1"
PODS, SERVICES = "10.244.0.0/16", "10.96.0.0/16"
NODES = {"node-a": "10.77.0.11", "node-b": "10.77.0.12"}
CONTROL = ("system:kube-controller-manager", "system:kube-scheduler")
PROXY = "system:kube-proxy"
NODE_READER = "system:serviceaccount:kube-system:node-controller"  # may list Nodes, which a kubelet may not
# Tells each caller who it is, in one write: httpd sends what it has read so far as the whole answer.
SERVER = ("mkdir -p /tmp/cgi-bin; echo '#!/bin/sh' >/tmp/cgi-bin/who; echo 'printf \"Content-Type: text/plain\\r\\n\\r\\n$REMOTE_ADDR\"'"
          " >>/tmp/cgi-bin/who; chmod +x /tmp/cgi-bin/who;"
          " exec httpd -f -p 8080 -h /tmp")


class TwoNodes(KubeconfigCluster):
    def __init__(self, context):
        self.folder = os.path.join(context.work, "two-nodes")
        super().__init__(context, "two-nodes", os.path.join(self.folder, "admin.kubeconfig"))
        self.port, self.programs, self.starts = free_port(), {}, 0
        os.makedirs(self.folder)
        self.tokens = {user: secrets.token_hex(16) for user in ("admin", NODE_READER, PROXY, *CONTROL, *(f"system:node:{n}" for n in NODES))}

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        return self.path(name)

    # ---- the wires
    def make_networks(self):
        run = lambda text: self.context.run(*text.split())
        run("ip netns add switch")
        run("ip -n switch link add br0 type bridge")
        run("ip -n switch link set br0 up")
        run("ip link add nodes0 type veth peer name host netns switch")
        run(f"ip address add {HOST}/24 dev nodes0")
        run("ip link set nodes0 up")
        run("ip -n switch link set host master br0")
        run("ip -n switch link set host up")
        for name in NODES:
            self.plug_in(name)

    def plug_in(self, name):
        """The node's namespace, and its wire to the switch."""
        run = lambda text: self.context.run(*text.split())
        run(f"ip netns add {name}")
        run(f"ip -n {name} link set lo up")
        run(f"ip -n {name} link add eth0 type veth peer name {name} netns switch")
        run(f"ip -n {name} address add {NODES[name]}/24 dev eth0")
        run(f"ip -n {name} link set eth0 up")
        run(f"ip -n {name} route add default via {HOST}")
        run(f"ip -n switch link set {name} master br0")
        run(f"ip -n switch link set {name} up")

    def remove_networks(self):
        for name in (*NODES, "switch"):  # veths go with their namespaces
            self.context.run("ip", "netns", "delete", name, check=False)
        self.context.run("ip", "link", "delete", "nodes0", check=False)

    # ---- the programs
    def kubeconfig_of(self, user):
        return self.write(re.sub(r"\W", "_", user) + ".kubeconfig" if user != "admin" else "admin.kubeconfig", json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": f"https://{HOST}:{self.port}", "certificate-authority": self.path("ca.crt")}}],
            "users": [{"name": "u", "user": {"token": self.tokens[user]}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]}))

    def make_certificates(self):
        """One authority; the api-server and its client for kubelets, and each kubelet's server."""
        openssl = lambda *words: self.context.run("openssl", *words)
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
        openssl("req", "-x509", *key, "-keyout", self.path("ca.key"), "-out", self.path("ca.crt"), "-days", "2", "-subj", "/CN=two-nodes-ca")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path("sa.key"))
        leaves = {"apiserver": ("/CN=kube-apiserver", f"IP:{HOST},IP:127.0.0.1", "serverAuth"),
                  "client": ("/O=system:masters/CN=kube-apiserver-kubelet-client", "DNS:client", "clientAuth")}
        for name, address in NODES.items():
            leaves[name] = (f"/O=system:nodes/CN=system:node:{name}", f"DNS:{name},IP:{address}", "serverAuth")
        for name, (subject, names, use) in leaves.items():
            extensions = self.write(f"{name}.ext", f"subjectAltName={names}\nextendedKeyUsage={use}\n")
            openssl("req", *key, "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"), "-subj", subject)
            openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key"),
                    "-CAcreateserial", "-days", "2", "-extfile", extensions, "-out", self.path(f"{name}.crt"))

    def start_api_server(self):
        self.make_certificates()
        groups = lambda user: "system:masters" if user == "admin" else "system:nodes" if user.startswith("system:node:") else ""
        self.write("tokens.csv", "".join(f'{token},{user},{user},"{groups(user)}"\n' for user, token in self.tokens.items()))
        for user in self.tokens:
            self.kubeconfig_of(user)
        self.programs["api"] = Program(
            self.context, "two-nodes-api", self.context.binary("api-server"), "--data-dir", self.path("data"), "--bind-address", HOST,
            "--secure-port", self.port, "--tls-cert-file", self.path("apiserver.crt"), "--tls-private-key-file", self.path("apiserver.key"),
            "--client-ca-file", self.path("ca.crt"), "--token-auth-file", self.path("tokens.csv"), "--authorization-mode", "Node,RBAC",
            "--enable-admission-plugins", "NodeRestriction", "--service-account-signing-key-file", self.path("sa.key"),
            "--service-account-key-file", self.path("sa.key"), "--service-cluster-ip-range", SERVICES, "--kubelet-client-certificate", self.path("client.crt"),
            "--kubelet-client-key", self.path("client.key"), "--kubelet-certificate-authority", self.path("ca.crt"))
        self.context.wait_until("the api-server", lambda: self.programs["api"].assert_running() or
                                self.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, 30)

    def start_kubelet(self, name):
        self.starts += 1
        where, netns = ([], ["--node-netns", f"/run/netns/{name}"]) if name == "node-b" else (["nsenter", f"--net=/run/netns/{name}"], [])
        root = self.path(name)
        self.programs[name] = Program(
            self.context, f"kubelet-{name}-{self.starts}", *where, self.context.binary("kubelet"), *netns,
            "--kubeconfig", self.path(f"system_node_{name.replace('-', '_')}.kubeconfig"),
            "--routes-kubeconfig", self.path(re.sub(r"\W", "_", NODE_READER) + ".kubeconfig"), "--hostname-override", name,
            "--node-ip", NODES[name], "--root-dir", root, "--pod-log-dir", f"{root}-logs", "--cgroup-root", f"/two-nodes-{name}",
            "--tls-cert-file", self.path(f"{name}.crt"), "--tls-private-key-file", self.path(f"{name}.key"),
            "--client-ca-file", self.path("ca.crt"), "--engine", self.context.engine, "--container-runtime-endpoint",
            f"unix://{self.context.socket}", "--cluster-name", "two-nodes", "--cluster-cidr", PODS)

    def start_proxy(self, name):
        """node-b's is told its node's namespace, as the kubelet is."""
        self.starts += 1
        where, netns = ([], ["--node-netns", f"/run/netns/{name}"]) if name == "node-b" else (["nsenter", f"--net=/run/netns/{name}"], [])
        self.programs[f"kube-proxy-{name}"] = Program(
            self.context, f"kube-proxy-{name}-{self.starts}", *where, self.context.binary("kube-proxy"), *netns, "--kubeconfig",
            self.path(re.sub(r"\W", "_", PROXY) + ".kubeconfig"), "--hostname-override", name, "--cluster-name", "two-nodes",
            "--cluster-cidr", PODS, "--service-cluster-ip-range", SERVICES, "--node-uplink", "eth0")

    def ruled_addresses(self, node):
        """Every IPv4 address that stands in the node's rules."""
        return set(re.findall(r"[0-9]+(?:\.[0-9]+){3}", self.context.run("ip", "netns", "exec", node, "nft", "list", "ruleset").stdout))

    def start_control(self):
        """The controllers (service accounts and Pod CIDRs among them) and the scheduler."""
        for program, user, port, flags in (("controller-manager", CONTROL[0], free_port(), ("--allocate-node-cidrs", "--cluster-cidr", PODS)),
                                           ("scheduler", CONTROL[1], free_port(), ())):
            self.programs[program] = Program(
                self.context, f"two-nodes-{program}", self.context.binary(program), "--kubeconfig",
                self.path(re.sub(r"\W", "_", user) + ".kubeconfig"), "--bind-address", "127.0.0.1", "--secure-port", port, *flags)

    def cidr(self, name):
        return self.get("node", name)["spec"]["podCIDR"]

    def wait_until_ready(self, name):
        ready = lambda: any(c["type"] == "Ready" and c["status"] == "True" for c in self.get("node", name)["status"]["conditions"])
        self.context.wait_until(f"{name} to be ready", ready, 30)

    # ---- Pods
    def pod(self, name, node, command, restart="Always"):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
                "spec": {"nodeName": node, "restartPolicy": restart, "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
                         "containers": [{"name": "main", "image": IMAGE, "command": ["sh", "-c", command]}]}}

    def ask_from(self, name, node, address):
        """What a Pod on the node gets as an answer from a server's address: its own address, as the server sees it."""
        self.apply(self.pod(name, node, f"timeout 10 wget -q -O /tmp/answer http://{address}:8080/cgi-bin/who && test -s /tmp/answer &&"
                            " cat /tmp/answer >/dev/termination-log", "Never"))

        def ended():
            pod = self.get("pod", name)
            assert pod["status"]["phase"] in ("Succeeded", "Failed"), pod["status"]
            return pod
        pod = self.context.wait_until(f"{name} to end", ended, 40)
        told = self.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}").stdout + self.programs[node].log()[-1500:]
        self.kubectl("delete", "pod", name)
        terminated = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        assert pod["status"]["phase"] == "Succeeded" and terminated.get("message"), f"{pod['status']['phase']}, {terminated}\n{told}"
        # httpd listens for both families and writes an IPv4 address as one of IPv6.
        return terminated["message"].strip("[]").removeprefix("::ffff:"), pod["status"]["podIP"]

    def routes(self, node):
        text = self.context.run("ip", "-n", node, "route").stdout
        return {line.split()[0]: line.split()[2] for line in text.splitlines() if " via " in line and line.startswith("10.244.")}


def setup(context):
    for name in ("api-server", "controller-manager", "scheduler", "kubelet", "kube-proxy"):
        context.binary(name)
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    load_busybox(context)
    cluster = context.state["cluster"] = TwoNodes(context)
    cluster.make_networks()
    cluster.start_api_server()
    cluster.start_control()
    for name in NODES:
        cluster.start_kubelet(name)
        cluster.start_proxy(name)
    context.wait_until("a service account", lambda: cluster.get("serviceaccount", "default"), 30)
    for name in NODES:
        cluster.wait_until_ready(name)
    cluster.apply(*(cluster.pod(f"server-{node[-1]}", node, SERVER) for node in NODES))
    context.state["servers"] = {node: cluster.running_pods(f"app=server-{node[-1]}", 1)[0] for node in NODES}


def teardown(context):
    cluster = context.state.get("cluster")
    if not cluster:
        return
    try:
        if "api" in cluster.programs and cluster.programs["api"].is_running():
            cluster.kubectl("delete", "pods", "--all", "--timeout=20s", check=False)
    finally:
        for program in reversed(list(cluster.programs.values())):
            program.end()
        for container in call_engine(context, "GET", "/containers/json?all=true"):
            if container["Labels"].get("io.kubernetes.pod.namespace") == "default":
                call_engine(context, "DELETE", f"/containers/{container['Id']}?force=true&v=true", check=False)
        cluster.remove_networks()


def wait_for_routes(context, node, wanted):
    def check():
        routes = context.state["cluster"].routes(node)
        assert routes == wanted, routes
        return True
    context.wait_until(f"{node} to have the routes {wanted}", check, 20)


def test_each_node_takes_addresses_of_its_own_range_and_routes_to_the_others(context):
    cluster, servers = context.state["cluster"], context.state["servers"]
    ranges = {node: cluster.cidr(node) for node in NODES}
    assert len(set(ranges.values())) == 2, ranges
    for node, address in NODES.items():
        status = servers[node]["status"]
        assert ipaddress.ip_address(status["podIP"]) in ipaddress.ip_network(ranges[node]), (status, ranges)
        assert status["hostIP"] == address, status
        wait_for_routes(context, node, {ranges[other]: NODES[other] for other in NODES if other != node})


def test_pods_reach_pods_of_the_other_node_with_their_own_address(context):
    cluster, servers = context.state["cluster"], context.state["servers"]
    for client, server in (("node-a", "node-b"), ("node-b", "node-a"), ("node-a", "node-a")):
        seen, own = cluster.ask_from("asks", client, servers[server]["status"]["podIP"])
        assert seen == own, f"{client} → {server}: the server saw {seen}, the Pod has {own}"


def test_logs_come_from_either_node(context):
    cluster = context.state["cluster"]
    for node in NODES:
        name = f"talks-{node[-1]}"
        cluster.apply(cluster.pod(name, node, f"echo here is {node}; exec sleep 100000"))
        cluster.running_pods(f"app={name}", 1)
        assert cluster.kubectl("logs", name).stdout.strip() == f"here is {node}"
        cluster.kubectl("delete", "pod", name)


@time_limit(240)
def test_a_restarted_kubelet_takes_its_pods_up_again_and_their_connections_work(context):
    cluster, servers = context.state["cluster"], context.state["servers"]
    before = servers["node-b"]["status"]
    assert cluster.programs["node-b"].stop() == 0
    cluster.start_kubelet("node-b")
    cluster.wait_until_ready("node-b")
    after = cluster.running_pods("app=server-b", 1)[0]["status"]
    assert after["podIP"] == before["podIP"]
    assert after["containerStatuses"][0]["containerID"] == before["containerStatuses"][0]["containerID"]
    seen, own = cluster.ask_from("asks-again", "node-a", after["podIP"])
    assert seen == own


@time_limit(240)
def test_a_node_whose_namespace_is_replaced_keeps_its_pods_and_their_addresses(context):
    """As when an engine starts the container anew that owns the namespace."""
    cluster = context.state["cluster"]
    server = lambda: cluster.running_pods("app=server-a", 1)[0]["status"]
    before = server()
    context.run("ip", "-n", "switch", "link", "delete", "node-a")
    for name in ("node-a", "kube-proxy-node-a"):
        program = cluster.programs[name]
        assert program.wait(15) == 1, program.log()[-2000:]
        assert "the node has had no link eth0 for 2 s" in program.log().splitlines()[-1], program.log()[-2000:]
    context.run("ip", "netns", "delete", "node-a")
    cluster.plug_in("node-a")
    cluster.start_kubelet("node-a")
    cluster.start_proxy("node-a")
    cluster.wait_until_ready("node-a")
    for client in ("node-b", "node-a"):
        seen, own = cluster.ask_from(f"asks-{client}", client, before["podIP"])
        assert seen == own, client
    after = server()
    assert after["podIP"] == before["podIP"]
    assert after["containerStatuses"][0]["containerID"] == before["containerStatuses"][0]["containerID"]
    assert after["containerStatuses"][0]["restartCount"] == before["containerStatuses"][0]["restartCount"]
    assert cluster.ruled_addresses("node-a") & {cluster.get("service", "kubernetes")["spec"]["clusterIP"]}


def test_the_scheduler_places_pods_on_the_node_that_takes_them(context):
    cluster = context.state["cluster"]
    for closed, open_node in (("node-a", "node-b"), ("node-b", "node-a")):
        cluster.kubectl("cordon", closed)
        name = f"placed-{open_node[-1]}"
        cluster.apply(cluster.deployment(name, replicas=2, command=("sleep", "100000")))
        pods = cluster.running_pods(f"app={name}", 2)
        assert {p["spec"]["nodeName"] for p in pods} == {open_node}
        cluster.kubectl("uncordon", closed)
        cluster.kubectl("delete", "deployment", name)
        cluster.running_pods(f"app={name}", 0)


def service(context, name):
    """The address of a Service with a Pod on each node, which is ready while /tmp/ready is there."""
    cluster = context.state["cluster"]
    pods = []
    for node in NODES:
        pod = cluster.pod(f"{name}-{node[-1]}", node, f"touch /tmp/ready; echo {node} >/tmp/index.html; exec httpd -f -p 8080 -h /tmp")
        pod["metadata"]["labels"] = {"app": name}
        pod["spec"]["containers"][0]["readinessProbe"] = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
        pods.append(pod)
    cluster.apply(*pods, cluster.service(name))
    pods = {p["metadata"]["name"]: p["status"]["podIP"] for p in cluster.running_pods(f"app={name}", 2)}
    address = cluster.get("service", name)["spec"]["clusterIP"]
    context.wait_until("both Pods in both nodes' rules", lambda: all(set(pods.values()) <= cluster.ruled_addresses(node) for node in NODES), 20)
    return address, pods


def remove(context, name):
    context.state["cluster"].kubectl("delete", "pods", "-l", f"app={name}", "--timeout=20s")
    context.state["cluster"].kubectl("delete", "service", name)


@time_limit(240)
def test_each_nodes_proxy_leads_to_pods_of_both(context):
    cluster = context.state["cluster"]
    address, _ = service(context, "both")
    for node in NODES:
        ask = lambda: context.run("ip", "netns", "exec", node, "curl", "-s", "--max-time", "5", "--noproxy", "*", f"http://{address}/").stdout.strip()  # pylint: disable=cell-var-from-loop
        assert {ask() for _ in range(16)} == set(NODES), node
    remove(context, "both")


@time_limit(240)
def test_a_pod_that_is_not_ready_leaves_every_nodes_rules_within_a_second(context):
    cluster = context.state["cluster"]
    _, pods = service(context, "probed")
    name, ip = sorted(pods.items())[0]
    cluster.kubectl("exec", name, "--", "rm", "/tmp/ready")

    def failing():
        conditions = cluster.get("pod", name)["status"]["conditions"]
        return next((c for c in conditions if c["type"] == "Ready" and c["status"] == "False"), None)
    context.wait_until("the Pod to be unready", failing, 20, every=0.02)
    begin = time.monotonic()
    context.wait_until("the rules without it", lambda: not any(ip in cluster.ruled_addresses(node) for node in NODES), 10, every=0.02)
    late = time.monotonic() - begin
    print(f"    out of both nodes' rules {late * 1000:.0f} ms after its condition was seen", flush=True)
    assert late < context.seconds(1)
    remove(context, "probed")


@time_limit(240)
def test_a_killed_kube_proxy_loses_no_request_and_misses_no_change(context):
    cluster = context.state["cluster"]
    address, pods = service(context, "steady")
    load = Load(address, 80, namespace="/run/netns/node-a")
    try:
        context.wait_until("the first answers", lambda: load.counts()[0] > 20, 10)
        assert cluster.programs["kube-proxy-node-a"].stop(signal.SIGKILL) != 0
        seen = load.counts()[0]
        context.wait_until("answers without a proxy", lambda: load.counts()[0] > seen + 50, 10)
        cluster.start_proxy("node-a")
        seen = load.counts()[0]
        context.wait_until("answers with a new proxy", lambda: load.counts()[0] > seen + 100, 20)
    finally:
        load.stop()
    print(f"    killed kube-proxy: {load.text()}", flush=True)
    assert load.lost == [] and len(load.seen) == 2, load.text()
    # What changed while none ran is made up for.
    assert cluster.programs["kube-proxy-node-b"].stop() == 0
    name, ip = sorted(pods.items())[0]
    cluster.kubectl("delete", "pod", name)
    cluster.start_proxy("node-b")
    context.wait_until("the new proxy's rules without the deleted Pod", lambda: ip not in cluster.ruled_addresses("node-b"), 20)
    remove(context, "steady")


@time_limit(240)
def test_the_route_goes_with_the_node_and_comes_back_with_it(context):
    cluster = context.state["cluster"]
    address = NODES["node-b"]
    wait_for_routes(context, "node-a", {cluster.cidr("node-b"): address})
    assert cluster.programs["node-b"].stop() == 0
    cluster.kubectl("delete", "node", "node-b")
    wait_for_routes(context, "node-a", {})
    cluster.start_kubelet("node-b")
    cluster.wait_until_ready("node-b")
    wait_for_routes(context, "node-a", {cluster.cidr("node-b"): address})
