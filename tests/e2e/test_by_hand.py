"""`rusternetes --data-dir DIR` without the launcher: it makes what is missing, runs Pods, and cleans up behind itself."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

from harness.cluster import IMAGE, assert_matches, network_of
from harness.functions import Skipped, time_limit
from harness.programs import KubeconfigCluster, Program, call_engine, differences, free_port, host_state, load_busybox

SERVER = ("sh", "-c", "echo serving; echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp")


class ByHand(KubeconfigCluster):
    """A cluster of one process. `start` may be called again after `stop`."""

    def __init__(self, context, name, *flags):
        super().__init__(context, name, "")
        self.data_dir = os.path.join(context.work, name)
        self.flags = list(flags)
        self.program, self.starts = None, 0
        self.socket = context.socket

    def launch(self, *flags):
        self.starts += 1
        words = ["--data-dir", self.data_dir, "--engine", self.context.engine, "--engine-socket", self.socket]
        self.program = Program(self.context, f"{self.name}-{self.starts}", self.context.binary("rusternetes"), *words,
                               *self.flags, *flags)
        return self.program

    def start(self, *flags):
        self.launch(*flags)

        def told():
            self.program.assert_running()
            return "Ctrl-C stops it" in self.program.output()
        self.context.wait_until("how to connect", told, 30)
        found = re.search(r"export KUBECONFIG=(.*)", self.program.output())
        self.kubeconfig = found.group(1) if found else os.path.join(self.data_dir, "kubeconfig")
        return self

    def wait_until_ready(self):
        self.context.wait_until("a ready node", self.node_is_ready, 30)
        return self

    def stop(self, how=signal.SIGTERM):
        code = self.program.stop(how)
        assert code == 0, f"ended with {code}:\n{self.program.log()[-3000:]}"

    def end(self):
        if self.program:
            self.program.end()

    def pod(self, name, command=SERVER):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1,
                         "containers": [{"name": "main", "image": IMAGE, "command": list(command)}]}}

    def run_pod(self, name):
        self.context.wait_until("a service account", lambda: self.get("serviceaccount", "default"), 20)
        self.apply(self.pod(name))
        return self.running_pods(f"app={name}", 1)[0]

    def settings(self):
        with open(os.path.join(self.data_dir, "cluster.json"), encoding="utf-8") as file:
            return json.load(file)

    def node_namespace(self):
        """A path to the node's network namespace, which only the process holds."""
        return network_of(self.program.pid)


def answer_of(pod):
    with urllib.request.urlopen(f"http://{pod['status']['podIP']}:8080/", timeout=5) as response:
        return response.read().decode().strip()


def tables(context):
    return re.findall(r"^table inet (rusternetes-\S+)", context.run("nft", "list", "tables").stdout, re.MULTILINE)


def setup(context):
    context.binary("rusternetes")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    load_busybox(context)
    # Docker makes its own chains, and both engines their cgroup parents, with the first container ever.
    warm = ByHand(context, "warm")
    try:
        warm.start().wait_until_ready().run_pod("first")
        warm.kubectl("delete", "pod", "first")
        warm.stop()
    finally:
        warm.end()
    context.state["before"] = host_state(context)
    assert tables(context) == [], tables(context)


def assert_clean(context):
    """Rules, links, addresses, routes, mounts and cgroups are as before the test."""
    gone_and_added = [[], []]

    def same():
        gone_and_added[:] = differences(context.state["before"], host_state(context))
        assert gone_and_added == [[], []], gone_and_added
        return True
    context.wait_until("the host to be as before", same, 10)


@time_limit(120)
def test_one_flag_makes_a_cluster_and_ctrl_c_leaves_nothing_of_it_on_the_host(context):
    cluster = ByHand(context, "first")
    try:
        cluster.start().wait_until_ready()
        pod = cluster.run_pod("web")
        assert "serving" in cluster.kubectl("logs", "web").stdout
        assert answer_of(pod) == "hello"
        for name in ("store.db", "kubeconfig", "pki/ca.crt", "pki/apiserver.key", "cluster.json"):
            assert os.path.exists(os.path.join(cluster.data_dir, name)), name
        for name in ("kubeconfig", "pki/ca.key", "pki/apiserver.key", "pki/sa.key"):
            assert os.stat(os.path.join(cluster.data_dir, name)).st_mode & 0o077 == 0, name
        assert [table.split("-")[2:] for table in tables(context)] == [[], ["isolation"], ["nat"]], tables(context)
        cluster.kubectl("delete", "pod", "web")
        cluster.stop(signal.SIGINT)
    finally:
        cluster.end()
    assert_clean(context)


@time_limit(120)
def test_a_second_start_continues_with_the_same_data_and_the_same_containers(context):
    cluster = ByHand(context, "second")
    try:
        cluster.start().wait_until_ready()
        before = cluster.run_pod("kept")
        cluster.kubectl("create", "configmap", "note", "--from-literal=text=remembered")
        authority = open(os.path.join(cluster.data_dir, "pki/ca.crt"), encoding="utf-8").read()
        settings = cluster.settings()
        cluster.stop()
        assert tables(context) == []
        container = before["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        assert call_engine(context, "GET", f"/containers/{container}/json")["State"]["Running"] is True
        assert cluster.kubectl("get", "nodes", "--request-timeout", "3s", check=False).returncode != 0

        cluster.start().wait_until_ready()
        assert cluster.get("configmap", "note")["data"]["text"] == "remembered"
        assert open(os.path.join(cluster.data_dir, "pki/ca.crt"), encoding="utf-8").read() == authority
        assert cluster.settings() == settings
        after = cluster.running_pods("app=kept", 1)[0]
        for path in (("metadata", "uid"), ("status", "podIP")):
            assert after[path[0]][path[1]] == before[path[0]][path[1]], path
        status = after["status"]["containerStatuses"][0]
        assert status["containerID"].endswith(container) and status["restartCount"] == 0, status
        # Its link went with the node's namespace and is made again.
        context.wait_until("an answer of the kept Pod", lambda: answer_of(after) == "hello", 20)
        assert "serving" in cluster.kubectl("logs", "kept").stdout
        cluster.kubectl("delete", "pod", "kept")
        cluster.stop()
    finally:
        cluster.end()
    assert_clean(context)


@time_limit(120)
def test_after_a_kill_the_next_start_continues_and_still_cleans_up(context):
    cluster = ByHand(context, "killed")
    try:
        cluster.start().wait_until_ready()
        before = cluster.run_pod("kept")
        cluster.program.process.kill()
        cluster.program.process.wait()
        assert tables(context), "the drop rule outlives its process"
        cluster.start().wait_until_ready()
        after = cluster.running_pods("app=kept", 1)[0]
        assert after["metadata"]["uid"] == before["metadata"]["uid"]
        context.wait_until("an answer of the kept Pod", lambda: answer_of(after) == "hello", 20)
        cluster.kubectl("delete", "pod", "kept")
        cluster.stop()
    finally:
        cluster.end()
    assert_clean(context)


@time_limit(120)
def test_two_clusters_by_hand_stand_side_by_side(context):
    one, two = ByHand(context, "left"), ByHand(context, "right", "--secure-port", "0")
    try:
        for cluster in (one, two):
            cluster.start().wait_until_ready()
        pods = [cluster.run_pod("web") for cluster in (one, two)]
        assert pods[0]["status"]["podIP"] != pods[1]["status"]["podIP"]
        settings = [cluster.settings() for cluster in (one, two)]
        for key in ("clusterName", "podCIDR", "serviceCIDR", "nodeAddress", "hostAddress"):
            assert settings[0][key] != settings[1][key], key
        one.kubectl("delete", "pod", "web")
        one.stop()
        assert answer_of(pods[1]) == "hello"
        two.kubectl("delete", "pod", "web")
        two.stop()
    finally:
        one.end()
        two.end()
    assert_clean(context)


@time_limit(120)
def test_the_host_can_be_the_node(context):
    cluster = ByHand(context, "whole", "--node-network", "host")
    try:
        cluster.start().wait_until_ready()
        pod = cluster.run_pod("web")
        assert pod["status"]["hostIP"] == "198.51.100.1", pod["status"]
        assert answer_of(pod) == "hello"
        assert "serving" in cluster.kubectl("logs", "web").stdout
        cluster.stop()
        assert tables(context) == []
        cluster.start().wait_until_ready()
        context.wait_until("an answer after the second start", lambda: answer_of(pod) == "hello", 20)
        cluster.kubectl("delete", "pod", "web")
        cluster.stop()
    finally:
        cluster.end()
    assert_clean(context)


def http(context, url, token=None, method="GET", body=None):
    """(code, text)"""
    words = ["curl", "-s", "--max-time", "10", "-X", method, "-w", "\n%{http_code}", url]
    if token:
        words += ["-H", f"Authorization: Bearer {token}"]
    if body:
        words += ["-H", "content-type: application/json", "--data", json.dumps(body)]
    text, _, code = context.run(*words, check=False).stdout.rpartition("\n")
    return int(code or 0), text


@time_limit(120)
def test_without_tls_it_serves_loopback_only_and_still_asks_for_a_token(context):
    port = free_port()
    cluster = ByHand(context, "plain", "--tls=false", "--secure-port", str(port))
    base = f"http://127.0.0.1:{port}"
    try:
        cluster.start()
        said = cluster.program.output()
        assert_matches(r'curl -H "Authorization: Bearer \$\(cat \S+admin.token\)" ' + base, said)
        path = re.search(r"cat (\S+admin.token)", said).group(1)
        assert os.stat(path).st_mode & 0o077 == 0
        token = open(path, encoding="utf-8").read().strip()
        assert len(token) == 64

        code, text = http(context, f"{base}/api/v1/nodes")
        assert code == 401 and json.loads(text)["reason"] == "Unauthorized", (code, text)
        assert http(context, f"{base}/api/v1/nodes", "wrong" + token)[0] == 401
        ready = lambda: '"type":"Ready","status":"True"' in re.sub(r"\s", "", http(context, f"{base}/api/v1/nodes", token)[1]) or \
            any(c["type"] == "Ready" and c["status"] == "True" for n in json.loads(http(context, f"{base}/api/v1/nodes", token)[1])["items"]
                for c in n["status"].get("conditions", []))
        context.wait_until("a ready node", ready, 30)
        context.wait_until("a service account",
                           lambda: http(context, f"{base}/api/v1/namespaces/default/serviceaccounts/default", token)[0] == 200, 20)
        pods = f"{base}/api/v1/namespaces/default/pods"
        assert http(context, pods, None, "POST", cluster.pod("web"))[0] == 401
        code, text = http(context, pods, token, "POST", cluster.pod("web"))
        assert code == 201, (code, text)
        running = lambda: json.loads(http(context, f"{pods}/web", token)[1])["status"].get("phase") == "Running"
        context.wait_until("a running Pod", running, 30)
        assert "serving" in http(context, f"{pods}/web/log", token)[1]

        # Neither the host's other addresses nor the node's serve it.
        for address in ("198.51.100.1", cluster.settings()["hostAddress"], cluster.settings()["nodeAddress"]):
            with socket.socket() as probe:
                probe.settimeout(5)
                assert probe.connect_ex((address, port)) != 0, f"{address}:{port} answers"
        kubeconfig = open(os.path.join(cluster.data_dir, "kubeconfig"), encoding="utf-8").read()
        assert f"server: {base}" in kubeconfig and f"token: {token}" in kubeconfig
        assert http(context, f"{pods}/web", token, "DELETE")[0] == 200
        context.wait_until("the Pod's end", lambda: http(context, f"{pods}/web", token)[0] == 404, 30)
        cluster.stop()

        # The same data with TLS: plain requests get nothing.
        cluster.flags[0] = "--tls=true"
        cluster.start().wait_until_ready()
        assert http(context, f"{base}/api/v1/nodes", token)[0] in (0, 400)
        assert "https://" in open(os.path.join(cluster.data_dir, "kubeconfig"), encoding="utf-8").read()
        cluster.stop()
    finally:
        cluster.end()
    assert_clean(context)


@time_limit(120)
def test_a_packet_to_an_unused_service_address_is_dropped_and_counted(context):
    cluster = ByHand(context, "dropped")
    count = lambda text: int(re.search(r"packets (\d+)", text).group(1))
    in_outside = lambda *words: context.run("ip", "netns", "exec", "outside", "nft", *words)
    try:
        cluster.start().wait_until_ready()
        settings = cluster.settings()
        table = next(t for t in tables(context) if not t.endswith("-nat"))
        target = settings["serviceCIDR"].split("/")[0].rsplit(".", 1)[0] + ".77"
        in_outside("add table inet seen; add counter inet seen c; add chain inet seen in { type filter hook prerouting priority -300; };"
                   f" add rule inet seen in ip daddr {settings['serviceCIDR']} counter name c")
        node = lambda: count(context.run("nsenter", f"--net={cluster.node_namespace()}", "nft", "list", "counters", "table", "inet", table).stdout)
        host = lambda: count(context.run("nft", "list", "counters", "table", "inet", table).stdout)
        before = node(), host()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (target, 9))
        context.wait_until("the node's rule to count it", lambda: node() == before[0] + 1, 5)
        # Without the link, the host's own rule stands between the address and the default route.
        link = next(l.split(":")[1].split("@")[0].strip() for l in context.run("ip", "-o", "link").stdout.splitlines() if " rn" in l)
        context.run("ip", "link", "set", link, "down")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            try:
                sender.sendto(b"x", (target, 9))
            except PermissionError:
                pass  # so does the kernel tell a sender of a drop in its own output
        context.wait_until("the host's rule to count it", lambda: host() == before[1] + 1, 5)
        assert count(in_outside("list", "counters", "table", "inet", "seen").stdout) == 0, "a packet left untranslated"
        cluster.stop()
    finally:
        cluster.end()
        in_outside("add table inet seen; delete table inet seen")
    assert_clean(context)


@time_limit(120)
def test_without_its_drop_rule_no_api_server_starts(context):
    port = free_port()
    cluster = ByHand(context, "guarded", "--secure-port", str(port))
    keeper = None
    try:
        cluster.start()
        table = next(t for t in tables(context) if not t.endswith("-nat"))
        cluster.stop()
        # A table that belongs to another program's socket cannot be replaced by anybody else.
        keeper = subprocess.Popen(["nft", "-i"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True)
        keeper.stdin.write(f"add table inet {table} {{ flags owner; }}\n")
        keeper.stdin.flush()
        context.wait_until("the table to be kept", lambda: table in tables(context), 10)
        answers, ended = [], threading.Event()

        def knock():
            while not ended.is_set():
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        answers.append(time.monotonic())
        watcher = threading.Thread(target=knock)
        watcher.start()
        code = cluster.launch().wait(30)
        ended.set()
        watcher.join()
        assert code == 1, code
        assert_matches(r"^rusternetes: .*" + table, cluster.program.log())
        assert answers == [], "the API answered before its drop rule stood"
        keeper.stdin.close()
        keeper.wait(10)
        context.wait_until("the table to go", lambda: table not in tables(context), 10)
        cluster.start().wait_until_ready()
        cluster.stop()
    finally:
        if keeper and keeper.poll() is None:
            keeper.kill()
        cluster.end()
    assert_clean(context)


@time_limit(120)
def test_without_its_engine_the_api_serves_and_the_node_waits_for_it(context):
    cluster = ByHand(context, "waits")
    cluster.socket = os.path.join(context.work, "engine-to-come.sock")
    try:
        cluster.start()
        assert "waits for a container engine" in cluster.program.output() and cluster.socket in cluster.program.output()
        assert cluster.get("namespace", "default")["status"]["phase"] == "Active"
        os.symlink(context.socket, cluster.socket)
        cluster.wait_until_ready().run_pod("late")
        cluster.kubectl("delete", "pod", "late")
        cluster.stop()
    finally:
        cluster.end()
    assert_clean(context)


@time_limit(120)
def test_what_cannot_start_says_why_in_a_sentence_and_leaves_nothing(context):
    running = ByHand(context, "running")
    folders = iter(range(100))

    def refused(words, *flags, data_dir=None):
        data_dir = data_dir or os.path.join(context.work, f"refused-{next(folders)}")
        if "--engine-socket" not in flags:
            flags = [*flags, "--engine-socket", context.socket]
        done = context.run(context.binary("rusternetes"), "--data-dir", data_dir, "--engine", context.engine, *flags, check=False)
        sentences = [line for line in done.stderr.splitlines() if line.startswith("rusternetes: ")]
        assert done.returncode == 1 and len(sentences) == 1, done
        assert_matches(words, sentences[0])
        assert "Ctrl-C" not in done.stdout

    refused("--tls=false .*loopback", "--tls=false", "--bind-address", "0.0.0.0")
    refused("198.51.100.0/24", "--service-cluster-ip-range", "198.51.100.0/25")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused(f"{port}.*in use", "--secure-port", str(port))
    assert_clean(context)
    try:
        running.start().wait_until_ready()
        # Until the kernel has made sure of them, the link's own addresses are only tentative.
        context.wait_until("the link to settle", lambda: not any("tentative" in line for line in host_state(context)), 10)
        before = host_state(context)
        refused("in use by another process", data_dir=running.data_dir)
        refused("--cluster-name", "--cluster-name", running.settings()["clusterName"])
        changed = differences(before, host_state(context))
        assert changed == ([], []), changed
        assert running.node_is_ready()
        running.stop()
        refused("--pod-cidr 10.99.0.0/16", "--pod-cidr", "10.99.0.0/16", data_dir=running.data_dir)
    finally:
        running.end()
    assert_clean(context)
