"""Clusters that are brought to the next release (bin/next) and back while they are in use: in order and without a failed
request, taken back by itself where a component does not come up, and with the data of before where that is asked for."""
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

from harness.cluster import Cluster
from harness.fire import Access, Watcher, Writer, assert_nothing_lost, longest_gap
from harness.functions import Skipped, on_one_engine, time_limit
from harness.programs import call_engine
from test_topologies import cluster_of, identities, start_web

FIRST, NEXT = "0.1.0", "0.2.0"
NAMESPACE = "fire"


def next_folder(context):
    folder = os.path.join(os.path.dirname(context.binary("rusternetes-ctl")), "next")
    if not os.path.exists(os.path.join(folder, "rusternetes-ctl")):
        raise Skipped("the build has no bin/next: cmake --build build/release --target next")
    return folder


def broken_folder(context, program):
    """The next release, of which one program ends at once."""
    folder = os.path.join(context.work, f"broken-{program}")
    shutil.copytree(next_folder(context), folder, symlinks=True)
    supervisor = os.path.join(folder, "supervisor")
    os.remove(supervisor)
    shutil.copy(os.path.join(next_folder(context), "supervisor"), supervisor)
    shutil.copy("/bin/false", os.path.join(folder, program))
    return folder


def use(cluster, folder):
    cluster.ctl = os.path.join(folder, "rusternetes-ctl")


def describe(cluster):
    listed = json.loads(cluster.run_ctl("list", "--output", "json").stdout)["clusters"]
    return next(one for one in listed if one["name"] == cluster.name)


def releases(cluster):
    """Of the components' images but the nodes' own."""
    components = json.loads(cluster.run_ctl("status", cluster.name, "--output", "json").stdout)["components"]
    return {one["version"].rsplit("-", 1)[0] for one in components if one["component"] not in ("node", "etcd")}


def fire(context, cluster):
    cluster.kubectl("create", "namespace", NAMESPACE)
    access = Access(json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json").stdout), context.work)
    watcher, writer = Watcher(access, NAMESPACE), Writer(access, NAMESPACE)
    watcher.start()
    writer.start()
    context.wait_until("the first writes", lambda: len(writer.times) > 20 or writer.failure, 20)
    return writer, watcher


def check_unhurt(writer, begin, end, done):
    """No request has failed; else the steps and what was seen at which second."""
    seen = [f"{when - begin:.2f} s: {what}" for when, what in writer.troubles.all if begin <= when <= end]
    if not seen:
        return
    at, steps = 0.0, []
    for line in done.stderr.splitlines():
        took = re.search(r"\((\d+) ms\)$", line)
        at += int(took[1]) / 1000 if took else 0
        steps.append(f"until {at:.2f} s: {line}")
    raise AssertionError("\n".join([f"{len(seen)} requests failed", *seen, *steps]))


def upgrade(cluster, *flags, code=0):
    begin = time.monotonic()
    done = cluster.run_ctl("upgrade", cluster.name, "--yes", *flags, check=False, timeout=300)
    assert done.returncode == code, done
    return begin, time.monotonic(), done


@on_one_engine(1)
@time_limit(420)
def test_three_of_everything_under_load(context):
    good, broken = next_folder(context), broken_folder(context, "scheduler")
    with cluster_of(context, "rolling", "--ha", "--nodes", "2") as cluster:
        pods = identities(start_web(cluster, 2))
        assert releases(cluster) == {FIRST}
        writer, watcher = fire(context, cluster)

        use(cluster, broken)
        begin, end, done = upgrade(cluster, "--timeout", "20s", code=9)
        assert "[UpgradeFailed]" in done.stderr and "scheduler" in done.stderr and f"runs {FIRST} again" in done.stderr, done.stderr
        assert releases(cluster) == {FIRST} and describe(cluster)["release"] == FIRST
        check_unhurt(writer, begin, end, done)
        print(f"  taken back after {end - begin:.1f} s; longest gap in writes {longest_gap(writer.times, begin, end):.2f} s")

        use(cluster, good)
        begin, end, done = upgrade(cluster)
        check_unhurt(writer, begin, end, done)
        assert releases(cluster) == {NEXT} and describe(cluster)["previousRelease"] == FIRST
        print(f"  upgraded in {end - begin:.1f} s; longest gap in writes {longest_gap(writer.times, begin, end):.2f} s")
        assert identities(cluster.pods("app=web")) == pods

        writer.stop()
        listed = cluster.get("configmaps", "-n", NAMESPACE)["items"]
        ours = [o for o in listed if o["metadata"]["name"] != "kube-root-ca.crt"]
        context.wait_until("the watch to see the last write",
                           lambda: watcher.version and watcher.events and watcher.events[-1][2] >= max(writer.created.values()), 20)
        watcher.stop()
        assert_nothing_lost(writer, watcher, ours)

        # Back, with what was there before: the writes of meanwhile go.
        done = cluster.run_ctl("rollback", cluster.name, "--restore-data", "--yes", "--output", "json", timeout=300)
        told = json.loads(done.stdout)
        assert told["droppedRevisions"] > 0 and told["to"] == FIRST, told
        assert releases(cluster) == {FIRST}
        kept = [o for o in cluster.get("configmaps", "-n", NAMESPACE)["items"] if o["metadata"]["name"] != "kube-root-ca.crt"]
        assert 0 < len(kept) < len(ours), (len(kept), len(ours))
        context.wait_until("the Pods to be as they were", lambda: identities(cluster.pods("app=web")) == pods, 30)
        # Kubelets go on from what the store holds now, which is older than what they have written.
        container = cluster.pods("app=web")[0]["status"]["containerStatuses"][0]["containerID"].split("//")[1]
        os.kill(call_engine(context, "GET", f"/containers/{container}/json")["State"]["Pid"], signal.SIGKILL)
        context.wait_until("the restart to be told", lambda: [
            one for pod in cluster.pods("app=web") for one in pod["status"]["containerStatuses"] if one["restartCount"] == 1 and one["ready"]], 30)


def tables(cluster):
    """Of the store, which nobody else has open then."""
    cluster.run_ctl("stop", cluster.name)
    path = os.path.join(cluster.home, "clusters", cluster.name, "data", "store.db")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as store:
        return {row[0] for row in store.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}


@time_limit(240)
def test_one_process(context):
    good, broken = next_folder(context), broken_folder(context, "rusternetes")
    cluster = Cluster(context, name="single", home=os.path.join(context.work, "single")).create()
    first = cluster.ctl
    try:
        pods = identities(start_web(cluster, 1))
        use(cluster, broken)
        _, _, done = upgrade(cluster, "--timeout", "20s", code=9)
        assert "[UpgradeFailed]" in done.stderr and f"runs {FIRST} again" in done.stderr, done.stderr
        assert cluster.kubectl("get", "--raw", "/readyz").stdout == "ok"

        use(cluster, good)
        upgrade(cluster)
        cluster.kubectl("create", "configmap", "since")
        assert identities(cluster.pods("app=web")) == pods
        assert describe(cluster)["release"] == NEXT
        assert "next_release" in tables(cluster)
        cluster.run_ctl("start", cluster.name)

        # The release of before reads what this one wrote.
        cluster.run_ctl("rollback", cluster.name, "--yes")
        assert cluster.get("configmap", "since")["metadata"]["name"] == "since"
        upgrade(cluster)
        cluster.kubectl("delete", "configmap", "since")
        cluster.kubectl("create", "configmap", "later")
        cluster.run_ctl("rollback", cluster.name, "--restore-data", "--yes")
        assert cluster.kubectl("get", "configmap", "since", "later", check=False).stderr.count("NotFound") == 1
        cluster.kubectl("get", "configmap", "since")
        cluster.ctl = first  # as who never had the later one
        assert "next_release" in tables(cluster)  # of the first upgrade: the snapshot was taken after it
        cluster.run_ctl("start", cluster.name)
        assert cluster.kubectl("get", "--raw", "/readyz").stdout == "ok"
    finally:
        cluster.remove()


@on_one_engine(0)
@time_limit(240)
def test_a_killed_upgrade_is_taken_back_by_the_next_command(context):
    good = next_folder(context)
    with cluster_of(context, "killed", "--mode", "sqlite", "--nodes", "1") as cluster:
        pods = identities(start_web(cluster, 1))
        use(cluster, good)
        with open(os.path.join(context.work, "killed.log"), "w+", encoding="utf-8") as log:
            running = subprocess.Popen([cluster.ctl, "upgrade", cluster.name, "--yes", "--home", cluster.home], stderr=log,
                                       stdout=subprocess.DEVNULL, env={**os.environ, "KUBECONFIG": cluster.kubeconfig + ".merged"})
            try:
                context.wait_until("the api-server to be replaced", lambda: f"{NEXT} scheduler" in open(log.name, encoding="utf-8").read()
                                   or running.poll() is not None, 60, 0.01)
            finally:
                running.send_signal(signal.SIGKILL)
                assert running.wait() == -signal.SIGKILL, "the upgrade was over before it was killed"
        said = cluster.run_ctl("list").stderr
        assert "The upgrade of \"killed\" is undone" in said, said
        assert releases(cluster) == {FIRST}
        assert identities(cluster.pods("app=web")) == pods
        upgrade(cluster)
        assert releases(cluster) == {NEXT}
        cluster.run_ctl("rollback", cluster.name, "--yes")
        assert releases(cluster) == {FIRST} and identities(cluster.pods("app=web")) == pods
