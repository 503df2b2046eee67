"""Services as programs within the cluster, on its host and beyond it see them: one cluster for all tests of the file."""
import contextlib
import ipaddress
import json
import os
import re
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

from harness.cluster import CURL, Cluster, assert_matches, network_of, untranslated_drops
from harness.functions import Skipped, time_limit

HOST, OUTSIDE = "198.51.100.1", "198.51.100.2"  # of the world, on the link between host and outside
NODE_PORT, PUBLISHED = 30080, 8080
UNREACHED = (6, 7, 28)  # curl: no such name, no connection, no answer in time
# Tells who answers and whom: httpd sends what it has read so far as the whole answer, so it is one write.
WHO = ("mkdir -p /tmp/cgi-bin; echo '#!/bin/sh' >/tmp/cgi-bin/who;"
       " echo 'printf \"Content-Type: text/plain\\r\\n\\r\\n%s %s\\n\" \"$HOSTNAME\" \"$REMOTE_ADDR\"' >>/tmp/cgi-bin/who; chmod +x /tmp/cgi-bin/who;"
       " echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp")


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if context.run("ip", "netns", "exec", "outside", "true", check=False).returncode != 0:
        raise Skipped("this world has no outside")
    cluster = context.state["cluster"] = Cluster(context, name="services", home=os.path.join(context.work, "services"),
                                                 create_flags=("--publish", f"{PUBLISHED}:{NODE_PORT}")).create()
    cluster.load_image()
    cluster.load_image(CURL)
    web = cluster.deployment("web", replicas=3, command=("sh", "-c", WHO))
    web["spec"]["template"]["spec"]["enableServiceLinks"] = False
    service = cluster.service("web", type="NodePort")
    service["spec"]["ports"][0]["nodePort"] = NODE_PORT
    cluster.apply(web, service, cluster.service("web-headless", selector={"app": "web"}, clusterIP="None"))
    cluster.running_pods("app=web", 3)
    cluster.apply(cluster.pod("client", "sleep", "100000", image=CURL))
    cluster.running_pods("app=client", 1)


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


def cluster_ip(context, name="web"):
    return context.state["cluster"].get("service", name)["spec"]["clusterIP"]


def node_address(context):
    node = context.state["cluster"].get("nodes")["items"][0]
    return next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")


def fetch(url, timeout=3.0):
    """Without any proxy, on a connection of its own."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, headers={"Connection": "close"}), timeout=timeout) as answer:
        return answer.read().decode().strip()


def refusal(url, timeout=5.0):
    """Why the URL gives no answer, and after how long."""
    begin = time.monotonic()
    try:
        answer = fetch(url, timeout)
    except (urllib.error.URLError, OSError) as error:
        return str(getattr(error, "reason", error)), time.monotonic() - begin
    raise AssertionError(f"{url} answered {answer!r}")


def from_outside(context, url, check=True):
    return context.run("ip", "netns", "exec", "outside", "curl", "-s", "--max-time", "5", "--noproxy", "*", url, check=check)


def from_pod(context, url, pod="client"):
    return context.state["cluster"].exec(pod, "curl", "-sS", "--max-time", "5", url).stdout.strip()


def wait_for_answers(context, ask, wanted, what):
    """Asks until the set of servers that answered is the wanted one, each of the last answers being new."""
    def check():
        seen = {ask().split()[0] for _ in range(4 * len(wanted) + 4)}
        assert seen == wanted, f"{seen} instead of {wanted}"
        return True
    context.wait_until(what, check, 20)


def test_every_pod_of_a_service_answers_from_pod_host_and_outside(context):
    cluster = context.state["cluster"]
    pods = {p["metadata"]["name"]: p for p in cluster.pods("app=web")}
    address = cluster_ip(context)
    for ask, what in ((lambda: fetch(f"http://{address}/cgi-bin/who"), "the ClusterIP from the host"),
                      (lambda: fetch(f"http://{node_address(context)}:{NODE_PORT}/cgi-bin/who"), "the NodePort from the host"),
                      (lambda: fetch(f"http://{HOST}:{PUBLISHED}/cgi-bin/who"), "the published port from the host"),
                      (lambda: from_outside(context, f"http://{HOST}:{PUBLISHED}/cgi-bin/who").stdout, "the published port from the outside"),
                      (lambda: from_pod(context, f"http://{address}/cgi-bin/who"), "the ClusterIP from a Pod"),
                      (lambda: from_pod(context, "http://web/cgi-bin/who"), "the name from a Pod"),
                      (lambda: from_pod(context, f"http://{node_address(context)}:{NODE_PORT}/cgi-bin/who"), "the NodePort from a Pod")):
        wait_for_answers(context, ask, set(pods), what)
    # A Pod's own address stays what it is on the way to a ClusterIP; the host reaches Pods directly.
    client = cluster.get("pod", "client")["status"]["podIP"]
    assert from_pod(context, f"http://{address}/cgi-bin/who").split()[1].removeprefix("::ffff:").strip("[]").removeprefix("::ffff:") == client
    for name, pod in pods.items():
        assert fetch(f"http://{pod['status']['podIP']}:8080/cgi-bin/who").startswith(name)


def test_a_pod_reaches_itself_through_its_service(context):
    cluster = context.state["cluster"]
    lonely = cluster.deployment("lonely", command=("sh", "-c", WHO))
    lonely["spec"]["template"]["spec"]["containers"][0]["image"] = CURL
    cluster.apply(lonely, cluster.service("lonely"))
    name = cluster.running_pods("app=lonely", 1)[0]["metadata"]["name"]
    context.wait_until("the answer to itself", lambda: from_pod(context, "http://lonely/cgi-bin/who", pod=name).startswith(name), 20)
    cluster.kubectl("delete", "deployment,service", "lonely")


def test_names_of_services_headless_pods_and_the_api_resolve_in_a_pod(context):
    cluster = context.state["cluster"]
    address, addresses = cluster_ip(context), sorted(p["status"]["podIP"] for p in cluster.pods("app=web"))

    def resolved(name):
        text = cluster.exec("client", "nslookup", name, check=False).stdout
        return sorted(re.findall(r"^Address(?: \d+)?: ([0-9.]+)$", text.split("Name:", 1)[-1], re.MULTILINE))
    for name in ("web.default.svc.cluster.local", "kubernetes.default.svc.cluster.local"):
        wanted = address if name.startswith("web") else cluster.get("service", "kubernetes")["spec"]["clusterIP"]
        context.wait_until(name, lambda: resolved(name) == [wanted], 20)  # pylint: disable=cell-var-from-loop
    context.wait_until("the headless Service's Pods", lambda: resolved("web-headless.default.svc.cluster.local") == addresses, 20)
    # Short names by the search path, whatever resolver the image has.
    assert from_pod(context, "http://web.default.svc/").strip() == "hello"
    assert from_pod(context, "http://web.default/").strip() == "hello"
    assert from_pod(context, "http://web-headless:8080/").strip() == "hello"


def test_services_stand_in_the_environment_of_pods_that_come_after_them(context):
    cluster = context.state["cluster"]
    words = dict(line.split("=", 1) for line in cluster.exec("client", "env").stdout.splitlines() if "=" in line)
    assert words["WEB_SERVICE_HOST"] == cluster_ip(context) and words["WEB_SERVICE_PORT"] == "80", words
    assert words["WEB_PORT"] == f"tcp://{cluster_ip(context)}:80" and words["WEB_SERVICE_PORT_MAIN"] == "80"
    assert words["KUBERNETES_SERVICE_HOST"] == cluster_ip(context, "kubernetes")
    assert not any(key.startswith("WEB_HEADLESS_") for key in words), words
    without = cluster.exec(cluster.pods("app=web")[0]["metadata"]["name"], "env").stdout
    assert "WEB_SERVICE" not in without and "KUBERNETES_SERVICE_HOST=" in without, without


def test_a_pod_asks_the_api_by_its_token_at_kubernetes_default(context):
    cluster = context.state["cluster"]
    cluster.kubectl("create", "role", "reads-pods", "--verb=list,get", "--resource=pods")
    cluster.kubectl("create", "rolebinding", "reads-pods", "--role=reads-pods", "--serviceaccount=default:default")
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    ask = lambda path: cluster.exec("client", "sh", "-c", f'curl -sSf --max-time 10 --cacert {folder}/ca.crt --header "Authorization: Bearer '
                                    f'$(cat {folder}/token)" https://kubernetes.default{path}', check=False)

    def names():
        done = ask("/api/v1/namespaces/default/pods")
        assert done.returncode == 0, done
        return {item["metadata"]["name"] for item in json.loads(done.stdout)["items"]}
    assert "client" in context.wait_until("the API's answer to a Pod", names, 20)
    denied = ask("/api/v1/namespaces/default/secrets")
    assert denied.returncode != 0 and "403" in denied.stderr, denied
    # It is the address that the certificate names, too.
    certificate = context.run("openssl", "s_client", "-connect", f"{cluster_ip(context, 'kubernetes')}:443", "-verify_return_error",
                              "-verify_ip", cluster_ip(context, "kubernetes"), "-CAfile", ca_file(context), input="")
    assert_matches("Verify return code: 0", certificate.stdout)


def ca_file(context):
    cluster = context.state["cluster"]
    path = os.path.join(context.work, "services-ca.crt")
    with open(path, "w", encoding="utf-8") as file:
        file.write(cluster.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"])
    return path


@contextlib.contextmanager
def outside_server(context):
    """Says who asks."""
    script = ("import http.server\n"
              "class H(http.server.BaseHTTPRequestHandler):\n"
              "    def do_GET(self):\n"
              "        self.send_response(200); self.end_headers(); self.wfile.write(self.client_address[0].encode())\n"
              "    def log_message(self, *words): pass\n"
              "http.server.ThreadingHTTPServer(('0.0.0.0', 8088), H).serve_forever()\n")
    server = subprocess.Popen(["ip", "netns", "exec", "outside", "/usr/bin/python3", "-c", script])
    try:
        context.wait_until("the outside to listen", lambda: fetch(f"http://{OUTSIDE}:8088/") == HOST, 10)
        yield
    finally:
        server.kill()
        server.wait()


def test_a_pod_reaches_the_outside_by_address_as_its_host(context):
    with outside_server(context):
        assert from_pod(context, f"http://{OUTSIDE}:8088/") == HOST


def test_without_endpoints_and_at_unknown_ports_a_service_refuses_at_once(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.service("nobody"))
    address = cluster_ip(context, "nobody")
    for url in (f"http://{address}/", f"http://{cluster_ip(context)}:81/"):
        def refused():
            why, took = refusal(url)  # pylint: disable=cell-var-from-loop
            assert "refused" in why and took < 2, (url, why, took)  # pylint: disable=cell-var-from-loop
            return True
        context.wait_until(f"{url} to be refused", refused, 20)
    done = cluster.exec("client", "curl", "-sS", "--max-time", "5", f"http://{address}/", check=False)
    assert done.returncode == 7, done  # refused
    cluster.kubectl("delete", "service", "nobody")


def test_a_client_keeps_its_pod_with_client_ip_affinity(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.service("sticky", selector={"app": "web"}, sessionAffinity="ClientIP"))
    assert cluster.get("service", "sticky")["spec"]["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    address = cluster_ip(context, "sticky")
    first = context.wait_until("an answer", lambda: fetch(f"http://{address}/cgi-bin/who"), 20)
    assert {fetch(f"http://{address}/cgi-bin/who").split()[0] for _ in range(12)} == {first.split()[0]}
    cluster.kubectl("delete", "service", "sticky")


def test_policy_local_keeps_the_clients_address_and_has_a_health_check_port(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.service("edge", selector={"app": "web"}, type="LoadBalancer", externalTrafficPolicy="Local"))
    cluster.change_status("/api/v1/namespaces/default/services/edge",
                          lambda status: status.update(loadBalancer={"ingress": [{"ip": "203.0.113.10"}]}))
    service = cluster.get("service", "edge")
    check, port = service["spec"]["healthCheckNodePort"], service["spec"]["ports"][0]["nodePort"]
    node = node_address(context)

    def healthy():
        told = json.loads(fetch(f"http://{node}:{check}/"))
        assert told["localEndpoints"] == 3 and told["service"] == {"namespace": "default", "name": "edge"}, told
        return True
    context.wait_until("the health check's answer", healthy, 20)
    seen = fetch(f"http://{node}:{port}/cgi-bin/who").split()[1].strip("[]").removeprefix("::ffff:")
    own = re.search(r"src ([0-9.]+)", context.run("ip", "route", "get", node).stdout).group(1)
    assert seen == own, (seen, own)
    cluster.kubectl("delete", "service", "edge")


def test_external_addresses_and_a_load_balancers_answer_on_the_host(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.service("given", selector={"app": "web"}, externalIPs=["203.0.113.77"]))
    context.run("ip", "route", "add", "203.0.113.77/32", "via", node_address(context))
    try:
        context.wait_until("the external address", lambda: fetch("http://203.0.113.77/") == "hello", 20)
    finally:
        context.run("ip", "route", "delete", "203.0.113.77/32")
        cluster.kubectl("delete", "service", "given")


def test_a_load_balancers_service_answers_at_the_nodes_own_address(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.service("balanced", port=8888, selector={"app": "web"}, type="LoadBalancer"))
    node = node_address(context)

    def address():
        return [i["ip"] for i in cluster.get("service", "balanced")["status"]["loadBalancer"].get("ingress", [])]
    context.wait_until("an address", lambda: address() == [node], 20)
    context.wait_until("an answer there", lambda: fetch(f"http://{node}:8888/") == "hello", 20)
    assert from_pod(context, f"http://{node}:8888/") == "hello"
    # One more for the same port has to wait, and says for whom.
    cluster.apply(cluster.service("late", port=8888, selector={"app": "web"}, type="LoadBalancer"))
    context.wait_until("the reason", lambda: "port 8888/TCP of the node is taken by default/balanced" in cluster.kubectl("describe", "service", "late").stdout, 20)
    assert cluster.kubectl("get", "service", "late", "--no-headers").stdout.split()[3] == "<pending>"
    cluster.kubectl("delete", "service", "balanced")
    context.wait_until("an answer of the late one", lambda: cluster.get("service", "late")["status"]["loadBalancer"].get("ingress") and fetch(f"http://{node}:8888/") == "hello", 20)
    cluster.kubectl("delete", "service", "late")


def test_udp_finds_another_pod_when_its_own_goes(context):
    """One client socket that goes on sending: its flow must leave the Pod that went."""
    cluster = context.state["cluster"]
    cluster.apply(cluster.deployment("echo", replicas=2, command=("test_agent", "udp", "9000")),
                  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "echo"},
                   "spec": {"selector": {"app": "echo"}, "ports": [{"protocol": "UDP", "port": 9000, "targetPort": 9000}]}})
    cluster.running_pods("app=echo", 2)
    address = cluster_ip(context, "echo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        client.connect((address, 9000))

        def asked():
            try:
                client.send(b"x")
                return client.recv(200).decode().strip()
            except (TimeoutError, ConnectionError):
                return ""
        first = context.wait_until("an answer by UDP", asked, 20)
        cluster.kubectl("delete", "pod", first, "--wait=false")
        context.wait_until("another Pod's answer on the same socket", lambda: asked() not in ("", first), 20)
    cluster.kubectl("delete", "deployment,service", "echo")


def has_sctp():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
        return True
    except OSError:
        return False


def test_sctp_leads_to_a_pod_or_at_least_into_the_rules(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.deployment("sctp", command=("sh", "-c", "test_agent sctp 9001 || exec sleep 100000")),
                  {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "sctp"},
                   "spec": {"selector": {"app": "sctp"}, "ports": [{"protocol": "SCTP", "port": 9001}]}})
    pod = cluster.running_pods("app=sctp", 1)[0]
    address = cluster_ip(context, "sctp")
    rules = lambda: context.run(*node_rules(context), "list", "ruleset").stdout
    context.wait_until("the Service's rules", lambda: re.search(rf"{re.escape(address)} \. sctp \. 9001", rules()), 20)
    assert_matches(re.escape(pod["status"]["podIP"]), rules())
    if has_sctp():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP) as client:
            client.settimeout(5)
            client.connect((address, 9001))
            assert client.recv(200).decode() == pod["metadata"]["name"]
    cluster.kubectl("delete", "deployment,service", "sctp")


def node_rules(context):
    return ["nsenter", f"--net={network_of(context.state['cluster'].process())}", "nft"]


def test_flushed_rules_are_back_within_seconds(context):
    address = cluster_ip(context)
    assert fetch(f"http://{address}/") == "hello"
    with outside_server(context):
        context.run(*node_rules(context), "flush", "ruleset")
        begin = time.monotonic()
        context.wait_until("the Service to answer again", lambda: fetch(f"http://{address}/", 1.0) == "hello", 10)
        print(f"    rules were back {time.monotonic() - begin:.1f} s after a flush", flush=True)
        assert time.monotonic() - begin < context.seconds(5)
        # The way out of the cluster is the kubelet's.
        context.wait_until("a Pod's way to the outside", lambda: from_pod(context, f"http://{OUTSIDE}:8088/") == HOST, 30)
        # Nothing to an unknown service address leaves the node: the drop rule stands again, and counts.
        dropped = lambda: sum(int(n) for n in re.findall(r"counter untranslated \{\s*packets (\d+)", context.run(*node_rules(context), "list", "ruleset").stdout))
        before = dropped()
        unknown = str(ipaddress.ip_address(address) + (1 if int(address.rsplit(".", 1)[1]) < 254 else -1))
        assert unknown not in {s["spec"]["clusterIP"] for s in context.state["cluster"].get("services", "-A")["items"]}
        assert context.state["cluster"].exec("client", "curl", "-sS", "--max-time", "1", f"http://{unknown}/", check=False).returncode in UNREACHED
        context.wait_until("the drop rule to have counted", lambda: dropped() > before, 10)


@time_limit(240)
def test_an_added_service_cidr_is_safe_before_its_first_address_and_gone_after_its_last(context):
    cluster = context.state["cluster"]
    block, address, unknown = "172.30.7.0/24", "172.30.7.5", "172.30.7.9"
    route = lambda: context.run("ip", "route", "get", address).stdout
    on_host = lambda: untranslated_drops(context.run("nft", "list", "ruleset").stdout)
    on_node = lambda: untranslated_drops(context.run(*node_rules(context), "list", "ruleset").stdout)
    assert block not in on_host() and block not in on_node() and "dev rn" not in route()
    service = cluster.service("added", selector={"app": "web"}, clusterIP=address)
    cluster.apply(cluster.service_cidr("added", block))
    # The first moment in which the address is given out has route and rules.
    cluster.create_as_soon_as_allowed(service)
    assert block in on_host(), "the host has no drop rule for an address that is given out"
    assert block in on_node(), "the node has no drop rule for an address that is given out"
    assert "dev rn" in route(), route()
    ready = [c for c in cluster.get("servicecidr", "added")["status"]["conditions"] if c["type"] == "Ready"][0]
    assert (ready["status"], ready.get("reason", ""), ready["message"]) == ("True", "", "Kubernetes Service CIDR is ready"), ready
    context.wait_until("the host to reach the Service", lambda: fetch(f"http://{address}/", 1.0) == "hello", 20)
    assert from_pod(context, f"http://{address}/") == "hello"
    # What is no Service's goes nowhere, from a Pod and from the host.
    assert cluster.exec("client", "curl", "-sS", "--max-time", "1", f"http://{unknown}/", check=False).returncode in UNREACHED
    assert context.run("curl", "-s", "--max-time", "1", "--noproxy", "*", f"http://{unknown}/", check=False).returncode in UNREACHED
    # A range that the host uses itself is told about and never used.
    cluster.apply(cluster.service_cidr("taken", "198.51.100.0/25"))
    context.wait_until("the reason to be told", lambda: "198.51.100.0/24, which the host" in cluster.kubectl(
        "get", "events", "-A", "--field-selector", "involvedObject.name=taken", "-o", "jsonpath={.items[*].message}").stdout, 20)
    assert not cluster.get("servicecidr", "taken").get("status", {}).get("conditions")
    assert "198.51.100.0/25" not in on_host() and "dev rn" not in context.run("ip", "route", "get", OUTSIDE).stdout
    cluster.kubectl("delete", "servicecidr", "taken", timeout=60.0)
    # While a Service has an address of it, it stays, and so does all that it needs.
    cluster.kubectl("delete", "servicecidr", "added", "--wait=false")
    time.sleep(12)  # longer than the controller's grace
    assert fetch(f"http://{address}/") == "hello" and block in on_host() and block in on_node()
    cluster.kubectl("delete", "service", "added")
    context.wait_until("the ServiceCIDR to go", lambda: cluster.kubectl("get", "servicecidr", "added", check=False).returncode != 0, 60)
    context.wait_until("the route to go", lambda: "dev rn" not in route(), 20)
    context.wait_until("the host's drop rule to go", lambda: block not in on_host(), 20)
    context.wait_until("the node's drop rule to go", lambda: block not in on_node(), 20)
    assert fetch(f"http://{cluster_ip(context)}/") == "hello"


def test_a_pod_whose_readiness_fails_leaves_the_rules_at_once(context):
    cluster = context.state["cluster"]
    probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    web = cluster.deployment("probed", replicas=2, command=("sh", "-c", "touch /tmp/ready; " + WHO))
    web["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    cluster.apply(web, cluster.service("probed"))
    pods = {p["metadata"]["name"] for p in cluster.running_pods("app=probed", 2)}
    address = cluster_ip(context, "probed")
    wait_for_answers(context, lambda: fetch(f"http://{address}/cgi-bin/who"), pods, "both Pods")
    failing = sorted(pods)[0]
    heard = threading.Event()
    times = {}

    def watch(process):
        for line in process.stdout:
            if failing in line and "0/1" in line:
                times["status"] = time.monotonic()
                heard.set()
                return
    watcher = cluster.start_kubectl("get", "pods", "-l", "app=probed", "--watch")
    thread = threading.Thread(target=watch, args=(watcher,), daemon=True)
    thread.start()
    try:
        cluster.exec(failing, "rm", "/tmp/ready")
        end = time.monotonic() + context.seconds(20)
        while time.monotonic() < end:  # the last answer of the failing Pod
            if fetch(f"http://{address}/cgi-bin/who").startswith(failing):
                times["answer"] = time.monotonic()
            elif heard.is_set() and time.monotonic() - times["status"] > 2:
                break
        assert heard.is_set(), "the Pod's readiness was never seen to fail"
    finally:
        watcher.kill()
        watcher.wait()
    late = times.get("answer", times["status"]) - times["status"]
    print(f"    last answer of the failed Pod {late * 1000:.0f} ms after its status was seen", flush=True)
    assert late < context.seconds(1), times
    cluster.kubectl("delete", "deployment,service", "probed")


@time_limit(240)
def test_a_second_cluster_sees_nothing_of_the_first(context):
    cluster = context.state["cluster"]
    second = Cluster(context, name="second", home=os.path.join(context.work, "services")).create()
    try:
        second.load_image(CURL)
        second.apply(second.pod("client", "sleep", "100000", image=CURL))
        second.running_pods("app=client", 1)
        pod = cluster.pods("app=web")[0]["status"]["podIP"]
        for url in (f"http://{cluster_ip(context)}/", f"http://{pod}:8080/", f"http://{node_address(context)}:{NODE_PORT}/", "http://web/"):
            done = second.exec("client", "curl", "-sS", "--max-time", "3", url, check=False)
            assert done.returncode in UNREACHED and "hello" not in done.stdout, (url, done)
        # It does have a network: its own API answers it, and what the first publishes on the host, as to anybody.
        assert second.exec("client", "curl", "-sk", "--max-time", "5", "https://kubernetes.default/healthz").stdout == "ok"
        assert second.exec("client", "curl", "-sS", "--max-time", "5", f"http://{HOST}:{PUBLISHED}/").stdout.strip() == "hello"
        # Nor does the first see anything of the second, from a Pod with the node's network either.
        second.apply(second.deployment("web", command=("sh", "-c", WHO)), second.service("web"))
        server = second.running_pods("app=web", 1)[0]["status"]["podIP"]
        own = cluster.pod("on-node", "sleep", "100000", image=CURL)
        own["spec"]["hostNetwork"] = True
        cluster.apply(own)
        cluster.running_pods("app=on-node", 1)
        for pod in ("client", "on-node"):
            done = cluster.exec(pod, "curl", "-sS", "--max-time", "3", f"http://{server}:8080/", check=False)
            assert done.returncode in UNREACHED and "hello" not in done.stdout, (pod, done)
        cluster.kubectl("delete", "pod", "on-node")
        assert fetch(f"http://{cluster_ip(context)}/") == "hello"
    finally:
        second.remove()
    assert fetch(f"http://{cluster_ip(context)}/") == "hello"
