"""What ends beneath running Pods leaves them connected: the engine, the holder of the node's network, `rusternetes`
itself. And after the host's restart the same Pods run again.

Three Pods serve all tests: an echo server, a client with one connection to it that lasts as long as its container, and
an echo server on the node's own network. The tests hold connections from the host to both servers."""
import json
import os
import re
import signal
import socket
import struct
import subprocess

from harness.cluster import IMAGE, Cluster
from harness.functions import Skipped, time_limit

ECHO, NODE_ECHO = 9000, 9100
PODS = ("server", "client", "nodal")


# ---- the engine of this world

class Engine:
    """The engine's process, found by its socket, which can be killed and started again as it was."""

    def __init__(self, context):
        self.context, self.started = context, None

    def pid(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.context.socket)
            return struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]

    def get(self, path, is_gone_allowed=False):
        """None when there is no such thing (any more) and that is allowed."""
        answer = self.context.run("curl", "-sf", "--unix-socket", self.context.socket, f"http://engine/v1.41{path}", check=not is_gone_allowed)
        return json.loads(answer.stdout) if answer.returncode == 0 else None

    def containers(self, *filters):
        """Inspected, of every kind and state. `filters` are labels."""
        labels = json.dumps({"label": list(filters)})
        answer = self.context.run("curl", "-sfG", "--unix-socket", self.context.socket, "-d", "all=true",
                                  "--data-urlencode", f"filters={labels}", "http://engine/v1.41/containers/json")
        inspected = (self.get(f"/containers/{c['Id']}/json", is_gone_allowed=True) for c in json.loads(answer.stdout))
        return [c for c in inspected if c]

    def kill(self):
        pid = self.pid()
        read = lambda name: open(f"/proc/{pid}/{name}", "rb").read().rstrip(b"\0").split(b"\0")
        self.command = read("cmdline")
        self.environment = dict(e.split(b"=", 1) for e in read("environ") if b"=" in e)
        self.log = os.readlink(f"/proc/{pid}/fd/1")
        os.kill(pid, signal.SIGKILL)
        if self.started and self.started.pid == pid:
            self.started.wait()
        # Docker refuses to start while the process in its pid file is there, if only as a zombie.
        self.context.wait_until("the engine's end", lambda: not os.path.exists(f"/proc/{pid}"), 10)

    def start(self):
        with open(self.log, "ab") as log:
            self.started = subprocess.Popen(self.command, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        self.context.wait_until("the engine's answer", lambda: self.get("/containers/json") is not None, 30, 0.02)

    def set_live_restore(self, is_on):
        """Without it Docker stops every container when it starts again, which is its user's choice, not ours."""
        if self.context.engine != "docker":
            return
        pid = self.pid()
        words = open(f"/proc/{pid}/cmdline", encoding="utf-8").read().split("\0")
        with open(words[words.index("--config-file") + 1], "w", encoding="utf-8") as file:
            json.dump({"live-restore": is_on}, file)  # what is not named stays as it is
        os.kill(pid, signal.SIGHUP)
        self.context.wait_until(f"live-restore {is_on}", lambda: self.get("/info")["LiveRestoreEnabled"] == is_on, 10)


# ---- Pods and their connections

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


def end_everything(context):
    """As when the host loses power: no process, no namespace, no rule, no mount of the cluster is left."""
    cluster, engine = context.state["cluster"], context.state["engine"]
    pids = [c["State"]["Pid"] for c in engine.containers() if c["State"]["Pid"]]
    state = supervisor_file(context)
    netns = os.stat(f"/proc/{state['supervisorPid']}/ns/net").st_ino
    os.kill(state["supervisorPid"], signal.SIGKILL)
    os.kill(state["childPid"], signal.SIGKILL)
    engine.kill()
    # Monitors first, so that nobody is left to take note of what becomes of the containers.
    for name in ("conmon", "containerd-shim", "containerd"):
        for found in os.listdir("/proc"):
            if found.isdigit() and comm(found).startswith(name):
                kill(int(found))
    for pid in pids:
        kill(pid)
    context.wait_until("the end of the node's network", lambda: not any(
        inode(pid) == netns for pid in os.listdir("/proc") if pid.isdigit()))
    folder = os.path.join(cluster.home, "clusters", cluster.name)
    for line in reversed(open("/proc/self/mountinfo", encoding="utf-8").readlines()):
        mount = line.split()[4]
        if mount.startswith((folder + "/", "/var/lib/containers/storage/overlay", "/run/docker")):
            context.run("umount", "--lazy", mount, check=False)
    context.run("nft", "flush", "ruleset")
    # What Podman takes for the sign that the host has not been restarted since.
    for sign in ("/run/libpod/alive", "/run/libpod/alive.lck"):
        if os.path.exists(sign):
            os.remove(sign)


def comm(pid):
    try:
        return open(f"/proc/{pid}/comm", encoding="utf-8").read().strip()
    except OSError:
        return ""


def inode(pid):
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return 0


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


@time_limit(300)
def test_after_the_hosts_restart_the_same_pods_run_again(context):
    cluster, engine = context.state["cluster"], context.state["engine"]
    uids = {name: cluster.get("pod", name)["metadata"]["uid"] for name in PODS}
    before = processes(context)
    end_everything(context)
    engine.start()
    cluster.run_ctl("start", cluster.name)
    cluster.write_kubeconfig()
    now = run_again(context, before)
    assert {name: cluster.get("pod", name)["metadata"]["uid"] for name in PODS} == uids
    assert all(now[name][1] == before[name][1] + 1 for name in PODS), (before, now)
    run_new_pods(context, "after-host")
