"""NetworkPolicies between real Pods: one cluster for all tests of the file. Packets are sent from within the Pods' own
network namespaces."""
import glob
import os
import re
import socket
import subprocess
import time

from harness.cluster import IMAGE, Cluster, network_of
from harness.functions import Skipped, time_limit
from harness.programs import load_busybox
from test_by_hand import ByHand

PORTS = [{"name": "http", "containerPort": 8080}, {"name": "other", "containerPort": 9090},
         {"name": "echo", "containerPort": 9000, "protocol": "UDP"}]
# One program's answer to a connection or a datagram, as "yes"; silence and refusal are told apart.
ASK = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as s:
    s.settimeout(0.7)
    try:
        s.connect((address, port))
        if kind == "udp":
            s.send(b"x")
            s.recv(100)
        print("yes")
    except (TimeoutError, socket.timeout):
        print("silence")
    except OSError as error:
        print(error)
"""


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = context.state["cluster"] = Cluster(context, name="policies", home=os.path.join(context.work, "policies")).create()
    cluster.load_image()
    for name, team in (("shop", "blue"), ("red", "red"), ("blue", "blue")):
        cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": team}}})
    container = lambda name, *command: {"name": name, "image": IMAGE, "command": list(command)}
    server = cluster.pod("server", "sh", "-c", "echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp", container={"ports": PORTS})
    server["spec"]["containers"] += [container("second", "httpd", "-f", "-p", "9090"), container("echo", "test_agent", "udp", "9000")]
    for space, pod in (("shop", server), ("shop", cluster.pod("friend", "sleep", "100000")), ("shop", cluster.pod("stranger", "sleep", "100000")),
                       ("red", cluster.pod("visitor", "sleep", "100000")), ("blue", cluster.pod("visitor", "sleep", "100000"))):
        pod["metadata"]["namespace"] = space
        cluster.apply(pod)
    cluster.apply({**cluster.service("server"), "metadata": {"name": "server", "namespace": "shop"}})
    for space, name in (("shop", "server"), ("shop", "friend"), ("shop", "stranger"), ("red", "visitor"), ("blue", "visitor")):
        cluster.running_pods(f"app={name}", 1, namespace=space)


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


# ---- asking
def pod_of(context, name):
    """"shop/friend" as an object; kept, since none of these is replaced."""
    pods = context.state.setdefault("pods", {})
    if name not in pods:
        space, _, pod = name.partition("/")
        pods[name] = context.state["cluster"].get("pod", pod, "-n", space)
    return pods[name]


def address_of(context, name):
    return pod_of(context, name)["status"]["podIP"]


def namespace_of(context, name):
    """A path to the Pod's network namespace."""
    identity = pod_of(context, name)["status"]["containerStatuses"][0]["containerID"].split("://")[1]
    for path in glob.glob("/proc/[0-9]*/cgroup"):
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(os.path.join(os.path.dirname(path), "comm"), encoding="utf-8") as file:
                if identity in text and "conmon" not in text and not file.read().startswith("conmon"):
                    return os.path.join(os.path.dirname(path), "ns/net")
        except OSError:
            continue
    raise AssertionError(f"no process of {name} ({identity})")


def ask(context, source, address, port, kind="tcp"):
    return context.run("nsenter", f"--net={namespace_of(context, source)}", "python3", "-c", ASK, kind, address, str(port)).stdout.strip()


def settle(context, what, wanted):
    """`wanted`: {(source, address, port, kind): whether it passes}. What does not pass is silence."""
    def check():
        seen = {question: ask(context, *question) for question in wanted}
        assert {q: "yes" if passes else "silence" for q, passes in wanted.items()} == seen, seen
        return True
    context.wait_until(what, check, 20)


def to_server(context, **who):
    """{question: answer} of friend=True and so on, to the server's port 8080."""
    names = {"friend": "shop/friend", "stranger": "shop/stranger", "red": "red/visitor", "blue": "blue/visitor"}
    return {(names[name], address_of(context, "shop/server"), 8080, "tcp"): passes for name, passes in who.items()}


def policy(name, namespace="shop", **spec):
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace},
            "spec": {"podSelector": {}, **spec}}


def labels(**words):
    return {"matchLabels": words}


def remove(context, *names):
    context.state["cluster"].kubectl("delete", "networkpolicy", "-n", "shop", *names)


SERVER = labels(app="server")


# ---- tests
def test_without_policies_everything_passes_and_default_deny_ends_it_until_it_goes(context):
    cluster = context.state["cluster"]
    everybody = {"friend": True, "stranger": True, "red": True, "blue": True}
    settle(context, "open Pods", to_server(context, **everybody))
    cluster.apply(policy("deny", policyTypes=["Ingress"]))
    settle(context, "default deny", to_server(context, **{name: False for name in everybody}))
    remove(context, "deny")
    settle(context, "open Pods again", to_server(context, **everybody))


def test_ingress_is_allowed_by_label_by_namespace_and_by_both(context):
    cluster = context.state["cluster"]
    cluster.apply(policy("deny"), policy("allow", podSelector=SERVER, ingress=[{"from": [{"podSelector": labels(app="friend")}]}]))
    settle(context, "one label", to_server(context, friend=True, stranger=False, red=False, blue=False))
    cluster.apply(policy("allow", podSelector=SERVER, ingress=[{"from": [{"namespaceSelector": labels(team="red")}]}]))
    settle(context, "a namespace", to_server(context, friend=False, stranger=False, red=True, blue=False))
    both = {"namespaceSelector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["blue"]}]}, "podSelector": labels(app="visitor")}
    cluster.apply(policy("allow", podSelector=SERVER, ingress=[{"from": [both]}]))
    settle(context, "both", to_server(context, friend=False, stranger=False, red=False, blue=True))
    # Another policy adds; a label moves a Namespace and a Pod in.
    cluster.apply(policy("more", podSelector=SERVER, ingress=[{"from": [{"podSelector": labels(app="friend")}]}]))
    settle(context, "both policies", to_server(context, friend=True, stranger=False, red=False, blue=True))
    cluster.kubectl("label", "namespace", "red", "team=blue", "--overwrite")
    cluster.kubectl("label", "pod", "-n", "shop", "stranger", "app=friend", "--overwrite")
    settle(context, "new labels", to_server(context, friend=True, stranger=True, red=True, blue=True))
    cluster.kubectl("label", "namespace", "red", "team=red", "--overwrite")
    cluster.kubectl("label", "pod", "-n", "shop", "stranger", "app=stranger", "--overwrite")
    settle(context, "old labels", to_server(context, friend=True, stranger=False, red=False, blue=True))
    remove(context, "deny", "allow", "more")


def test_ports_are_numbers_ranges_names_and_udp(context):
    cluster, server = context.state["cluster"], address_of(context, "shop/server")

    def expect(what, ports, http, other, echo):
        cluster.apply(policy("ports", podSelector=SERVER, ingress=[{"ports": ports}]))
        settle(context, what, {("shop/friend", server, 8080, "tcp"): http, ("shop/friend", server, 9090, "tcp"): other,
                               ("shop/friend", server, 9000, "udp"): echo})
    expect("a number", [{"port": 8080}], True, False, False)
    expect("a range", [{"protocol": "TCP", "port": 9000, "endPort": 9100}], False, True, False)
    expect("a name", [{"port": "other"}], False, True, False)
    expect("a name of UDP", [{"protocol": "UDP", "port": "echo"}], False, False, True)
    expect("UDP and TCP", [{"protocol": "UDP", "port": 9000}, {"port": 8080}], True, False, True)
    remove(context, "ports")
    settle(context, "all ports again", {("shop/friend", server, 9090, "tcp"): True, ("shop/friend", server, 9000, "udp"): True})


def test_a_service_leads_where_the_policy_of_its_pods_allows(context):
    cluster = context.state["cluster"]
    address = cluster.get("service", "server", "-n", "shop")["spec"]["clusterIP"]
    cluster.apply(policy("by-service", podSelector=SERVER, ingress=[{"from": [{"podSelector": labels(app="friend")}], "ports": [{"port": 8080}]}]))
    settle(context, "the Service", {("shop/friend", address, 80, "tcp"): True, ("shop/stranger", address, 80, "tcp"): False,
                                    ("shop/server", address, 80, "tcp"): True})
    remove(context, "by-service")


def test_egress_by_pods_and_by_addresses_with_exceptions(context):
    cluster, server = context.state["cluster"], address_of(context, "shop/server")
    friend = labels(app="friend")
    api = cluster.get("service", "kubernetes")["spec"]["clusterIP"]
    cluster.apply(policy("out", podSelector=friend, policyTypes=["Egress"]))
    settle(context, "no way out", {**to_server(context, friend=False, stranger=True), ("shop/friend", api, 443, "tcp"): False})
    cluster.apply(policy("out", podSelector=friend, policyTypes=["Egress"], egress=[{"to": [{"podSelector": SERVER}], "ports": [{"port": "http"}]}]))
    settle(context, "a Pod's named port", {("shop/friend", server, 8080, "tcp"): True, ("shop/friend", server, 9090, "tcp"): False,
                                           ("shop/friend", api, 443, "tcp"): False})
    block = lambda **words: [{"to": [{"ipBlock": words}]}]
    cluster.apply(policy("out", podSelector=friend, policyTypes=["Egress"], egress=block(cidr="0.0.0.0/0", **{"except": [f"{server}/32"]})))
    settle(context, "all but one", {**to_server(context, friend=False), ("shop/friend", api, 443, "tcp"): True})
    cluster.apply(policy("out", podSelector=friend, policyTypes=["Egress"], egress=block(cidr=f"{server}/32")))
    settle(context, "only one", {**to_server(context, friend=True), ("shop/friend", api, 443, "tcp"): False})
    remove(context, "out")
    settle(context, "every way out", {**to_server(context, friend=True), ("shop/friend", api, 443, "tcp"): True})


def test_the_usual_policy_for_names_lets_pods_resolve_and_nothing_else(context):
    cluster = context.state["cluster"]
    api = cluster.get("service", "kubernetes")["spec"]["clusterIP"]

    def resolves():
        done = cluster.kubectl("exec", "-n", "shop", "friend", "--", "timeout", "4", "nslookup", "server.shop.svc.cluster.local", check=False)
        return done.returncode == 0 and cluster.get("service", "server", "-n", "shop")["spec"]["clusterIP"] in done.stdout
    context.wait_until("names without a policy", resolves, 20)
    cluster.apply(policy("out", podSelector=labels(app="friend"), policyTypes=["Egress"]))
    context.wait_until("no names", lambda: not resolves(), 20)
    dns = {"to": [{"namespaceSelector": labels(**{"kubernetes.io/metadata.name": "kube-system"}), "podSelector": labels(**{"k8s-app": "kube-dns"})}],
           "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    cluster.apply(policy("names", policyTypes=["Egress"], egress=[dns]))
    context.wait_until("names by the policy", resolves, 20)
    settle(context, "nothing else", {**to_server(context, friend=False), ("shop/friend", api, 443, "tcp"): False})
    cluster.apply(policy("names", policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}]))
    context.wait_until("no names by Pods of the own namespace", lambda: not resolves(), 20)
    remove(context, "out", "names")
    context.wait_until("names again", resolves, 20)


def test_probes_the_host_and_the_api_reach_a_denied_pod(context):
    cluster = context.state["cluster"]
    cluster.apply(policy("deny", policyTypes=["Ingress", "Egress"]))
    settle(context, "default deny", to_server(context, friend=False))
    probed = cluster.pod("probed", "httpd", "-f", "-p", "8080", container={
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "timeoutSeconds": 1}})
    probed["metadata"]["namespace"] = "shop"
    cluster.apply(probed)
    cluster.running_pods("app=probed", 1, namespace="shop")  # ready
    with socket.create_connection((address_of(context, "shop/server"), 8080), timeout=3):
        pass
    assert cluster.kubectl("get", "--raw", "/api/v1/namespaces/shop/pods/server:8080/proxy/").stdout.strip() == "hello"
    assert "hello" in cluster.kubectl("exec", "-n", "shop", "server", "-c", "main", "--", "cat", "/tmp/index.html").stdout
    cluster.kubectl("delete", "pod", "-n", "shop", "probed")
    remove(context, "deny")


def test_a_new_pod_is_protected_from_its_first_packet_on(context):
    cluster, server = context.state["cluster"], address_of(context, "shop/server")
    cluster.apply(policy("out", podSelector=labels(app="eager"), policyTypes=["Egress"]),
                  policy("in", podSelector=labels(app="eager"), policyTypes=["Ingress"]))
    script = f"i=0; while [ $i -lt 12 ]; do timeout 0.3 wget -q -O - http://{server}:8080/ && echo REACHED; i=$((i+1)); done; echo done; exec httpd -f -p 8080"
    # The open one shows that the tries are ones.
    for name, label in [(f"eager-{number}", "eager") for number in range(4)] + [("open", "open")]:
        pod = cluster.pod(name, "sh", "-c", script, labels={"app": label})
        pod["metadata"]["namespace"] = "shop"
        cluster.apply(pod)
    pods = cluster.running_pods("app=eager", 4, namespace="shop")
    cluster.running_pods("app=open", 1, namespace="shop")

    def logs(*names):
        return [cluster.kubectl("logs", "-n", "shop", name).stdout for name in names or [p["metadata"]["name"] for p in pods]]
    context.wait_until("the open one's answers", lambda: logs("open")[0].count("REACHED") > 6 and "done" in logs("open")[0], 30)
    context.wait_until("the end of the tries", lambda: all("done" in text for text in logs()), 30)
    assert not any("REACHED" in text for text in logs()), logs()
    settle(context, "no way in", {("shop/friend", p["status"]["podIP"], 8080, "tcp"): False for p in pods})
    cluster.kubectl("delete", "pod", "-n", "shop", "-l", "app in (eager,open)")
    remove(context, "out", "in")


def test_a_connection_that_stands_goes_on_and_a_flush_brings_the_rules_back(context):
    cluster, server = context.state["cluster"], address_of(context, "shop/server")
    keep = ("import socket, sys\ns = socket.create_connection((sys.argv[1], 8080), 5)\nprint('open', flush=True)\nsys.stdin.readline()\n"
            "s.send(b'GET / HTTP/1.0\\r\\n\\r\\n')\ns.settimeout(5)\nprint(s.recv(12).decode(), flush=True)\n")
    with subprocess.Popen(["nsenter", f"--net={namespace_of(context, 'shop/friend')}", "python3", "-c", keep, server],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as kept:
        assert kept.stdout.readline().strip() == "open"
        cluster.apply(policy("deny"))
        settle(context, "default deny", to_server(context, friend=False))
        node = network_of(cluster.process())
        context.run("nsenter", f"--net={node}", "nft", "flush", "ruleset")
        begin = time.monotonic()
        settle(context, "the deny after a flush", to_server(context, friend=False))
        assert time.monotonic() - begin < context.seconds(5), time.monotonic() - begin
        tables = context.run("nsenter", f"--net={node}", "nft", "list", "tables").stdout
        assert re.search(r"table inet rusternetes-\w+-policy", tables), tables
        answer, _ = kept.communicate("\n", timeout=context.seconds(10))
        assert answer.startswith("HTTP/1"), answer
    remove(context, "deny")


@time_limit(240)
def test_rules_outlive_a_crash_of_the_process_and_follow_what_changed_meanwhile(context):
    cluster = context.state["cluster"]
    cluster.apply(policy("deny"))
    settle(context, "default deny", to_server(context, friend=False))
    os.kill(cluster.process(), 9)
    assert ask(context, "shop/friend", address_of(context, "shop/server"), 8080) == "silence"
    context.wait_until("a ready node", cluster.node_is_ready, 40)
    settle(context, "default deny after the crash", to_server(context, friend=False))
    cluster.apply(policy("allow", podSelector=SERVER, ingress=[{}]))
    settle(context, "what was allowed after the crash", to_server(context, friend=True, red=True))
    remove(context, "deny", "allow")


def test_metrics_tell_of_policies_and_denied_packets(context):
    cluster = context.state["cluster"]
    cluster.apply(policy("deny", podSelector=SERVER))
    settle(context, "default deny", to_server(context, friend=False))
    node = network_of(cluster.process())

    def denied():
        text = context.run("nsenter", f"--net={node}", "curl", "-s", "--noproxy", "*", "http://127.0.0.1:10249/metrics").stdout
        assert "kubeproxy_network_policy_policies 1\n" in text and 'isolated_pods{direction="ingress"} 1\n' in text
        return int(re.search(r'kubeproxy_network_policy_denied_packets_total\{reason="ingress"\} (\d+)', text).group(1)) > 0
    context.wait_until("denied packets", denied, 20)
    remove(context, "deny")


@time_limit(120)
def test_switched_off_policies_have_no_effect_and_no_table(context):
    load_busybox(context)
    cluster = ByHand(context, "without-policies")
    try:
        cluster.start("--network-policy=false", "--secure-port", "0").wait_until_ready()
        context.wait_until("a service account", lambda: cluster.get("serviceaccount", "default"), 20)
        cluster.apply(policy("deny", namespace="default", policyTypes=["Ingress", "Egress"]))
        cluster.apply(cluster.pod("server"), cluster.pod("client", ("sleep", "100000")))
        server = cluster.running_pods("app=server", 1)[0]["status"]["podIP"]
        cluster.running_pods("app=client", 1)
        answer = lambda: cluster.kubectl("exec", "client", "--", "timeout", "3", "wget", "-q", "-O", "-", f"http://{server}:8080/", check=False).stdout.strip()
        context.wait_until("an answer", lambda: answer() == "hello", 20)
        tables = context.run("nsenter", f"--net={cluster.node_namespace()}", "nft", "list", "tables").stdout
        assert "-proxy" in tables and "-policy" not in tables, tables
        cluster.kubectl("delete", "pod", "server", "client")
        cluster.stop()
    finally:
        cluster.end()
