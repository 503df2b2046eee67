"""What a cluster's life leaves and waits for: cgroups, Pods' own grace periods, a Ready of this start, a Podman of its own."""
import json
import os
import select
import shutil
import signal
import time

from harness.cluster import IMAGE, Cluster, assert_matches
from harness.functions import Skipped, time_limit


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")


def cgroups(name):
    """The folders of a cluster's groups, in every hierarchy."""
    found = []
    for hierarchy in ["/sys/fs/cgroup"] + [e.path for e in os.scandir("/sys/fs/cgroup") if e.is_dir(follow_symlinks=False)]:
        top = f"{hierarchy}/rusternetes-{name}"
        found += [folder for folder, _, _ in os.walk(top)]
    return found


def pod(name, grace, command):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": grace,
                     "containers": [{"name": "main", "image": IMAGE, "command": ["sh", "-c", command]}]}}


@time_limit(240)
def test_neither_stop_nor_delete_leaves_cgroups_even_after_an_exec(context):
    cluster = Cluster(context, name="groups", home=os.path.join(context.work, "groups")).create()
    try:
        cluster.load_image()
        cluster.apply(cluster.deployment("web"))
        cluster.running_pods("app=web", 1)
        assert cgroups("groups"), "a running Pod without a cgroup cannot be right"
        cluster.run_ctl("stop", "groups")
        assert cgroups("groups") == []
        cluster.run_ctl("start", "groups")
        cluster.running_pods("app=web", 1)
        assert cgroups("groups")
        # An engine's monitor of a process within a container outlives it, by minutes.
        listed = json.loads(context.run("curl", "-sf", "--unix-socket", context.socket, "http://engine/v1.41/containers/json").stdout)
        mains = [c["Id"] for c in listed if c["Labels"].get("io.rusternetes.container-name") == "main"]
        api = ["curl", "-sf", "--unix-socket", context.socket, "-H", "Content-Type: application/json"]
        made = json.loads(context.run(*api, "-d", '{"Cmd": ["true"], "AttachStdout": true}', f"http://engine/v1.41/containers/{mains[0]}/exec").stdout)
        context.run(*api, "-d", '{"Detach": false}', f"http://engine/v1.41/exec/{made['Id']}/start")
    finally:
        cluster.remove()
    assert cgroups("groups") == []


@time_limit(240)
def test_stop_gives_each_pod_its_own_grace_and_stops_them_side_by_side(context):
    cluster = Cluster(context, name="graceful", home=os.path.join(context.work, "graceful")).create()
    deaf = "trap '' TERM; while :; do sleep 1 & wait; done"
    try:
        cluster.load_image()
        folder = os.path.join(context.work, "said")
        os.makedirs(folder)
        polite = pod("polite", 25, "trap 'sleep 3; echo bye >/said/bye; exit 0' TERM; while :; do sleep 1 & wait $!; done")
        polite["spec"]["volumes"] = [{"name": "said", "hostPath": {"path": folder}}]
        polite["spec"]["containers"][0]["volumeMounts"] = [{"name": "said", "mountPath": "/said"}]
        # The sidecar, which would end at once, is told only after the polite one has ended.
        polite["spec"]["initContainers"] = [{
            "name": "side", "image": IMAGE, "restartPolicy": "Always", "volumeMounts": [{"name": "said", "mountPath": "/said"}],
            "command": ["sh", "-c", "trap 'cp /said/bye /said/heard; exit 0' TERM; while :; do sleep 1 & wait $!; done"]}]
        cluster.apply(polite, *[pod(f"deaf-{i}", 4, deaf) for i in range(4)])
        for name in ["polite"] + [f"deaf-{i}" for i in range(4)]:
            cluster.running_pods(f"app={name}", 1)
        begin = time.monotonic()
        said = cluster.run_ctl("stop", "graceful").stderr
        taken = time.monotonic() - begin
        # One after the other, four deaf ones alone would take 16 s; with 30 s for each it would be 30 s.
        assert 3.5 <= taken < context.seconds(12), taken
        assert os.path.exists(os.path.join(folder, "bye")), "the polite one was killed before its grace period was over"
        assert os.path.exists(os.path.join(folder, "heard")), "the sidecar was not there to the end"
        assert_matches(r"^Stop the Pods, each within its own grace period \.\.\.: \d of 5 ended, the longest grace period is 25 s$", said)
    finally:
        cluster.remove()


@time_limit(240)
def test_start_right_after_stop_waits_for_what_the_node_says_now(context):
    cluster = Cluster(context, name="fresh", home=os.path.join(context.work, "fresh")).create()
    try:
        for _ in range(3):
            cluster.run_ctl("stop", "fresh")
            before = time.time()
            cluster.run_ctl("start", "fresh", "--wait", "60s")
            cluster.write_kubeconfig()
            node = cluster.get("nodes")["items"][0]
            ready = [c for c in node["status"]["conditions"] if c["type"] == "Ready"][0]
            beat = time.mktime(time.strptime(ready["lastHeartbeatTime"], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
            assert ready["status"] == "True" and beat >= int(before), (ready, before)
    finally:
        cluster.remove()


@time_limit(240)
def test_a_podman_of_the_clusters_own_that_died_is_started_again(context):
    if not shutil.which("podman"):
        raise Skipped("podman is not installed")
    hidden = context.socket + ".hidden"
    # As on a host where no engine runs.
    os.rename(context.socket, hidden)
    cluster = Cluster(context, name="own", home=os.path.join(context.work, "own"))
    try:
        engine, cluster.context.engine = context.engine, None
        try:
            cluster.create()
        finally:
            context.engine = engine
        cluster.load_image()
        cluster.apply(cluster.deployment("web"))
        before = cluster.running_pods("app=web", 1)[0]
        status = json.loads(cluster.run_ctl("status", "own", "--output", "json").stdout)
        assert status["engineSocket"].startswith(cluster.home) and status["engineAnswers"], status
        for _ in range(2):
            kill_listener(status["engineSocket"])
            told = cluster.run_ctl("status", "own", check=False)
            assert told.returncode == 9, told
            assert_matches(r"\[EngineStopped\]", told.stderr)
            assert_matches("which does not answer", told.stdout)
            cluster.run_ctl("start", "own")
            cluster.run_ctl("status", "own")
            after = cluster.running_pods("app=web", 1)[0]
            assert after["metadata"]["uid"] == before["metadata"]["uid"]
            assert after["status"]["containerStatuses"][0]["restartCount"] == 0, after["status"]
        # The kubelet has found it again: new Pods run.
        cluster.kubectl("scale", "deployment/web", "--replicas=2")
        cluster.running_pods("app=web", 2)
        # stop and delete need an engine, too.
        kill_listener(status["engineSocket"])
        cluster.run_ctl("stop", "own")
        assert_matches(r"\bstopped\b", cluster.run_ctl("list").stdout)
    finally:
        cluster.run_ctl("delete", "own", "--yes")
        os.rename(hidden, context.socket)
    assert cgroups("own") == []


def kill_listener(path):
    """Ends who serves the unix socket, and waits for its end."""
    found = [pid for pid in os.listdir("/proc") if pid.isdigit() and is_service(pid, path)]
    assert len(found) == 1, found
    descriptor = os.pidfd_open(int(found[0]))
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    os.set_blocking(descriptor, False)
    assert select.select([descriptor], [], [], 10)[0], "it does not end"
    os.close(descriptor)


def is_service(pid, path):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
        return b"service" in words and f"unix://{path}".encode() in words
    except OSError:
        return False
