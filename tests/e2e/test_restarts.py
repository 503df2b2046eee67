"""What ends beneath running Pods leaves them connected: the engine, the holder of the node's network, `rusternetes`
itself. (The host's own restart: test_reboot.py.)

Three Pods serve all tests: an echo server, a client with one connection to it that lasts as long as its container, and
an echo server on the node's own network. The tests hold connections from the host to both servers."""
import json
import os
import re
import signal
import socket

from harness.cluster import IMAGE, Cluster
from harness.engine import Engine
from harness.functions import Skipped, time_limit

ECHO, NODE_ECHO = 9000, 9100
PODS = ("server", "client", "nodal")


class Line:
    """A connection from the host to an echo server."""

    def __init__(self, context, address, port):
        self.context, self.count = context, 0
        self.socket = context.wait_until(f"a connection to {address}:{port}", lambda: socket.create_connection((address, port), 5))
        self.socket.settimeout(context.seconds(10))
        self.say()

    def say(self):
        self.count += 1
        text = f"word {self.count}\n".encode()
        self.socket.sendall(text)
        heard = b""
        while len(heard) < len(text):
            piece = self.socket.recv(100)
            assert piece, "the connection was closed"
            heard += piece
        assert heard == text, heard


def pod(name, script, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"test": "restarts"}},
            "spec": {"terminationGracePeriodSeconds": 1, **spec,
                     "containers": [{"name": "main", "image": IMAGE, "command": ["sh", "-c", script]}]}}


def status(cluster, name):
    return cluster.get("pod", name)["status"]


def is_running(cluster, name):
    state = status(cluster, name)
    assert state.get("phase") == "Running" and all(c["ready"] for c in state["containerStatuses"]), state
    return state


def last_number(cluster):
    found = re.findall(r"^ping-(\d+)$", cluster.kubectl("logs", "client", "--tail=5").stdout, re.MULTILINE)
    return int(found[-1]) if found else 0


def processes(context):
    """Of the three Pods: what status says, and which processes these are."""
    cluster, out = context.state["cluster"], {}
    by_id = {c["Id"]: c["State"]["Pid"] for c in context.state["engine"].containers("io.rusternetes.kind=container")}
    for name in PODS:
        (container,) = is_running(cluster, name)["containerStatuses"]
        identity = container["containerID"].split("://")[1]
        out[name] = (identity, container["restartCount"], by_id[identity], status(cluster, name)["podIP"])
    return out


class Undisturbed:
    """What runs before is the same after, and no connection was lost."""

    def __init__(self, context):
        self.context, self.cluster = context, context.state["cluster"]

    def __enter__(self):
        self.before = processes(self.context)
        assert all(restarts == 0 for _, restarts, _, _ in self.before.values()), self.before
        self.lines = [Line(self.context, self.before["server"][3], ECHO), Line(self.context, self.before["nodal"][3], NODE_ECHO)]
        return self

    def check(self):
        for line in self.lines:
            line.say()
        said = self.context.wait_until("the client's log", lambda: last_number(self.cluster))
        self.context.wait_until("the client to go on", lambda: last_number(self.cluster) >= said + 5)
        after = self.context.wait_until("the Pods' status", lambda: processes(self.context))
        assert after == self.before, (self.before, after)

    def __exit__(self, kind, *_):
        if kind is None:
            self.check()
        for line in self.lines:
            line.socket.close()


def run_new_pods(context, name):
    """A Pod of the node's Pod network and one of its own network run and reach the server."""
    cluster = context.state["cluster"]
    server = status(cluster, "server")["podIP"]
    script = f"echo through | timeout 10 nc {server} {ECHO}; exec sleep 100000"
    names = [f"{name}-own", f"{name}-node"]
    cluster.apply(pod(names[0], script), pod(names[1], script, hostNetwork=True))
    for one in names:
        context.wait_until(f"{one} to run", lambda one=one: is_running(cluster, one))
        context.wait_until(f"{one} to reach the server", lambda one=one: "through" in cluster.kubectl("logs", one).stdout)
    assert status(cluster, names[1])["podIP"] == status(cluster, "nodal")["podIP"]
    cluster.kubectl("delete", "pod", *names, "--wait=false")


def holders(context):
    return [c for c in context.state["engine"].containers("io.rusternetes.kind=holder") if c["State"]["Running"]]


def supervisor_file(context):
    cluster = context.state["cluster"]
    with open(os.path.join(cluster.home, "clusters", cluster.name, "run", "supervisor.json"), encoding="utf-8") as file:
        return json.load(file)


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    context.state["engine"] = Engine(context)
    context.state["engine"].set_live_restore(True)
    cluster = context.state["cluster"] = Cluster(context, name="restarts").create()
    cluster.load_image()
    cluster.apply(pod("server", f"exec nc -ll -p {ECHO} -e cat"),
                  pod("nodal", f"exec nc -ll -p {NODE_ECHO} -e cat", hostNetwork=True))
    context.wait_until("the server to run", lambda: is_running(cluster, "server"))
    run_client(context)


def run_client(context):
    cluster = context.state["cluster"]
    server = status(cluster, "server")["podIP"]
    # Not before the server listens: there is no second try.
    Line(context, server, ECHO).socket.close()
    cluster.apply(pod("client", f"i=0; while :; do i=$((i+1)); echo ping-$i; sleep 0.1; done | nc {server} {ECHO}; "
                      "echo lost; exec sleep 100000"))
    for name in PODS:
        context.wait_until(f"{name} to run", lambda name=name: is_running(cluster, name))
    context.wait_until("the client's first word", lambda: last_number(cluster))


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()
    if "engine" in context.state:
        context.state["engine"].set_live_restore(False)


# ---- tests

def test_a_pod_of_the_nodes_network_has_the_nodes_address_and_name(context):
    cluster = context.state["cluster"]
    node = cluster.get("nodes")["items"][0]
    (address,) = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    nodal = status(cluster, "nodal")
    assert (nodal["podIP"], nodal["hostIP"]) == (address, address), nodal
    (holder,) = holders(context)
    supervisor = supervisor_file(context)["supervisorPid"]
    (container,) = [c for c in context.state["engine"].containers("io.rusternetes.pod-name=nodal", "io.rusternetes.kind=container")]
    spaces = {os.stat(f"/proc/{pid}/ns/net").st_ino for pid in (supervisor, holder["State"]["Pid"], container["State"]["Pid"])}
    assert len(spaces) == 1, spaces
    assert os.stat("/proc/self/ns/net").st_ino not in spaces
    name = open(f"/proc/{container['State']['Pid']}/root/etc/hostname", encoding="utf-8").read().strip()
    assert name == node["metadata"]["name"], name
    # The holder could do as it likes with the node while it entered; it gave that up.
    capabilities = re.findall(r"^Cap\w+:\s+(\w+)$", open(f"/proc/{holder['State']['Pid']}/status", encoding="utf-8").read(), re.M)
    assert len(capabilities) == 5 and all(int(c, 16) == 0 for c in capabilities), capabilities


@time_limit(240)
def test_a_restarted_engine_leaves_pods_connected(context):
    engine = context.state["engine"]
    with Undisturbed(context) as pods:
        engine.kill()
        for line in pods.lines:
            line.say()
        engine.start()
    run_new_pods(context, "after-engine")


@time_limit(240)
def test_a_killed_holder_of_the_nodes_network_is_started_again_and_leaves_pods_connected(context):
    (before,) = holders(context)
    with Undisturbed(context) as pods:
        os.kill(before["State"]["Pid"], signal.SIGKILL)
        for line in pods.lines:
            line.say()
        (after,) = context.wait_until("another holder", lambda: [h for h in holders(context) if h["State"]["Pid"] not in
                                                                  (0, before["State"]["Pid"])])
        context.wait_until("the holder to enter the node's network", lambda: os.stat(f"/proc/{after['State']['Pid']}/ns/net").st_ino ==
                           os.stat(f"/proc/{supervisor_file(context)['supervisorPid']}/ns/net").st_ino)
    # And at once, before anybody has noticed.
    os.kill(after["State"]["Pid"], signal.SIGKILL)
    run_new_pods(context, "after-holder")


@time_limit(240)
def test_a_killed_process_is_started_again_and_adopts_what_runs(context):
    with Undisturbed(context) as pods:
        before = supervisor_file(context)
        os.kill(before["childPid"], signal.SIGKILL)
        for line in pods.lines:
            line.say()
        now = context.wait_until("another process", lambda: (s := supervisor_file(context))["childPid"] not in (0, before["childPid"]) and s)
        assert now["lastExit"] == "signal 9" and now["supervisorPid"] == before["supervisorPid"], now
        context.wait_until("the API", lambda: context.state["cluster"].kubectl("get", "--raw", "/readyz").stdout == "ok")
    run_new_pods(context, "after-process")


@time_limit(240)
def test_pods_whose_every_process_was_killed_run_again(context):
    """What Docker does to containers when it starts again without live-restore."""
    before = processes(context)
    for container in context.state["engine"].containers("io.rusternetes.owner"):
        if container["State"]["Pid"]:
            kill(container["State"]["Pid"])
    now = run_again(context, before)
    assert [restarts for _, restarts, _, _ in now.values()] == [1, 1, 1], now
    run_new_pods(context, "after-kill")


def run_again(context, before):
    """Waits until the same Pods run in other processes, and tries their servers."""
    cluster = context.state["cluster"]

    def check():
        now = processes(context)
        for name in PODS:
            assert now[name][0] != before[name][0] and now[name][2] != 0, (name, before[name], now[name])
        return now
    now = context.wait_until("the Pods to run again", check)
    for address, port in ((now["server"][3], ECHO), (now["nodal"][3], NODE_ECHO)):
        Line(context, address, port).socket.close()
    return now


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
