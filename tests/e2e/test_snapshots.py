"""Snapshots of clusters that run: taken while others write, put back, cloned beside the original, taken elsewhere."""
import json
import os
import re
import signal
import subprocess
import threading
import time

from harness.cluster import Cluster, assert_matches
from harness.functions import Skipped, time_limit
from harness.programs import host_state


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def take(cluster, *flags):
    done = cluster.run_ctl("snapshot", "create", cluster.name, "--output", "json", *flags)
    return json.loads(done.stdout)["snapshot"]


def alive(cluster, selector, count):
    return sorted((p["metadata"]["uid"], p["status"]["podIP"], p["status"]["containerStatuses"][0]["containerID"])
                  for p in cluster.running_pods(selector, count))


def answers(context, cluster, name="web"):
    """What the Service says to the cluster's host."""
    address = cluster.get("service", name)["spec"]["clusterIP"]
    return context.wait_until(f"{name} to answer at {address}", lambda: context.run(
        "curl", "-sf", "--max-time", "2", f"http://{address}/").stdout, 20)


def web(cluster, text, replicas=1):
    return cluster.deployment("web", replicas=replicas,
                              command=("sh", "-c", f"echo {text} >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"))


class Writer:
    """Creates ConfigMaps one after the other, and knows which were acknowledged."""

    def __init__(self, cluster):
        self.cluster, self.names, self.is_ending = cluster, [], False
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        number = 0
        while not self.is_ending:
            name = f"written-{number:04}"
            if self.cluster.kubectl("create", "configmap", name, check=False).returncode == 0:
                self.names.append(name)
            number += 1

    def end(self):
        self.is_ending = True
        self.thread.join()


def engine_pods(context, cluster):
    """Names of Pods of which the engine has running containers of the cluster."""
    listed = context.run("curl", "-sf", "--unix-socket", context.socket, "http://engine/v1.41/containers/json")
    names = [name for c in json.loads(listed.stdout) for name in c["Names"]]
    return sorted({name.split("_")[2] for name in names if "k8s_main_" in name})


@time_limit(300)
def test_restore_brings_back_what_was_while_pods_and_informers_go_on(context):
    cluster = Cluster(context, name="back", home=os.path.join(context.work, "back")).create()
    follower = None
    try:
        cluster.load_image()
        waiting = cluster.deployment("waiting")
        waiting["spec"]["template"]["spec"]["nodeSelector"] = {"go": "yes"}
        cluster.apply(web(cluster, "first", 2), cluster.service("web"), waiting, config_map("settings", color="green"))
        cluster.running_pods("app=web", 2)
        assert_matches("first", answers(context, cluster))
        # An informer of client-go, which has to list again when its revision is none any more.
        follower = cluster.start_kubectl("rollout", "status", "deployment/waiting", "--timeout", "180s")
        writer = Writer(cluster)
        context.wait_until("something to be written", lambda: len(writer.names) > 3)
        acknowledged = list(writer.names)
        snapshot = take(cluster, "--note", "while others write")
        context.wait_until("more to be written", lambda: len(writer.names) > len(acknowledged) + 3)
        writer.end()
        old_revision = cluster.get("configmaps", "settings")["metadata"]["resourceVersion"]

        cluster.apply(config_map("settings", color="red"), config_map("later", a="b"), cluster.deployment("late"))
        cluster.running_pods("app=late", 1)
        cluster.kubectl("delete", "deployment", "web")
        cluster.running_pods("app=web", 0)
        done = cluster.run_ctl("restore", "back", "--id", snapshot["id"], check=False)
        assert done.returncode == 2, done
        assert_matches(r"\d+ revisions since then are dropped\. Restore cluster \"back\"", done.stderr)
        assert cluster.get("configmaps", "settings")["data"]["color"] == "red"
        restored = json.loads(cluster.run_ctl("restore", "back", "--id", snapshot["id"], "--yes", "--output", "json").stdout)
        assert restored["ready"] and restored["droppedRevisions"] > 0, restored

        assert cluster.get("configmaps", "settings")["data"]["color"] == "green"
        names = {c["metadata"]["name"] for c in cluster.get("configmaps")["items"]}
        assert "later" not in names and set(acknowledged) <= names, names
        assert int(cluster.get("configmaps")["metadata"].get("resourceVersion") or
                   json.loads(cluster.kubectl("get", "--raw", "/api/v1/configmaps?limit=1").stdout)
                   ["metadata"]["resourceVersion"]) > 10**9
        # The Pods of before were ended with their Deployment, so they are begun anew; those of `late` end.
        cluster.running_pods("app=web", 2)
        assert_matches("first", answers(context, cluster))
        context.wait_until("Pods that are not in the store to end", lambda: not [
            p for p in engine_pods(context, cluster) if p.startswith("late-")], 60)
        gone = cluster.kubectl("get", "--raw", f"/api/v1/configmaps?watch=1&timeoutSeconds=3&resourceVersion={old_revision}", check=False)
        assert_matches("Expired|too old|410", gone.stdout + gone.stderr)
        assert follower.poll() is None, follower.stdout.read()
        cluster.kubectl("label", "node", "back", "go=yes")
        assert follower.wait(timeout=context.seconds(60)) == 0
        # Back to what was before the restore.
        cluster.run_ctl("restore", "back", "--id", restored["before"], "--yes")
        assert cluster.get("configmaps", "settings")["data"]["color"] == "red"
        cluster.running_pods("app=late", 1)
        cluster.running_pods("app=web", 0)
    finally:
        if follower and follower.poll() is None:
            follower.kill()
        cluster.run_ctl("delete", "back", "--yes", "--snapshots")
    assert not os.path.exists(cluster.home), os.listdir(cluster.home)


@time_limit(240)
def test_pods_that_are_in_the_snapshot_run_on_through_a_restore(context):
    cluster = Cluster(context, name="through", home=os.path.join(context.work, "through")).create()
    try:
        cluster.load_image()
        cluster.apply(web(cluster, "hello", 2), cluster.service("web"), config_map("settings", color="green"))
        before = alive(cluster, "app=web", 2)
        snapshot = take(cluster)
        cluster.apply(config_map("settings", color="red"))
        cluster.run_ctl("restore", "through", "--id", snapshot["id"], "--yes")
        assert cluster.get("configmaps", "settings")["data"]["color"] == "green"
        assert alive(cluster, "app=web", 2) == before
        assert_matches("hello", answers(context, cluster))
        # A stopped cluster: from its file, and it stays stopped.
        cluster.run_ctl("stop", "through")
        stopped = take(cluster, "--note", "stopped")
        cluster.run_ctl("restore", "through", "--id", snapshot["id"], "--yes")
        assert cluster.run_ctl("status", "through", check=False).returncode != 0
        cluster.run_ctl("start", "through")
        assert alive(cluster, "app=web", 2)
        assert int(stopped["revision"]) > 10**9, stopped
    finally:
        cluster.run_ctl("delete", "through", "--yes", "--snapshots")


@time_limit(300)
def test_a_clone_stands_beside_its_original_and_both_answer(context):
    home = os.path.join(context.work, "clones")
    state = host_state(context)
    original = Cluster(context, name="original", home=home).create()
    copy = Cluster(context, name="copy", home=home)
    try:
        original.load_image()
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "b"}}
        original.apply(web(original, "first"), original.service("web"), secret, config_map("settings", color="green"),
                       original.pod("bare", "sleep", "100000"))
        original.running_pods("app=web", 1)
        original.running_pods("app=bare", 1)
        original.kubectl("label", "node", "original", "team=x")
        before = alive(original, "app=web", 1)
        assert [line for line in host_state(context) if re.search(r"\brn[a-z2-7]{5}", line)], "a cluster without a link cannot be right"
        engine = ("--engine", context.engine) if context.engine else ()
        made = json.loads(original.run_ctl("clone", "copy", "--from-cluster", "original", "--output", "json", *engine).stdout)
        copy.write_kubeconfig()
        for key in ("podCIDRs", "serviceCIDRs", "nodeAddresses"):
            mine = json.loads(original.run_ctl("status", "original", "--output", "json").stdout)[key]
            assert mine != made["cluster"][key], key
        copy.running_pods("app=web", 1)
        copy.running_pods("app=bare", 1)
        # Deployments, Services, data and what people said of the node are there, and addresses are its own.
        assert copy.get("configmaps", "settings")["data"] == {"color": "green"}
        assert copy.get("secrets", "key")["data"]["a"] == "Yg=="
        assert copy.get("nodes")["items"][0]["metadata"]["labels"]["team"] == "x"
        addresses = [c.get("service", "web")["spec"]["clusterIP"] for c in (original, copy)]
        assert addresses[0] != addresses[1] and addresses[0].split(".")[2:] == addresses[1].split(".")[2:], addresses
        uids = [{p["metadata"]["uid"] for p in c.get("pods")["items"]} for c in (original, copy)]
        assert not uids[0] & uids[1], uids
        for cluster in (original, copy):
            assert_matches("first", answers(context, cluster))
        # Within the clone names and the API lead to the clone.
        pod = copy.pods("app=bare")[0]["metadata"]["name"]
        assert_matches(addresses[1].replace(".", r"\."), copy.exec(pod, "nslookup", "web.default.svc.cluster.local").stdout)
        # One does not see what the other does.
        copy.apply(web(copy, "second"))
        context.wait_until("the clone to say it", lambda: "second" in answers(context, copy), 60)
        assert_matches("first", answers(context, original))
        assert alive(original, "app=web", 1) == before
        original.run_ctl("delete", "original", "--yes", "--snapshots")
        assert_matches("second", answers(context, copy))
    finally:
        copy.run_ctl("delete", "--all", "--yes", "--snapshots")
    # What engines make with the first container ever is theirs.
    left = [line for line in host_state(context) if line not in state and re.search(r"rusternetes|\brn[a-z2-7]{5}", line)]
    assert left == [], left


@time_limit(240)
def test_a_deleted_cluster_comes_back_on_another_home_from_an_encrypted_file(context):
    secret, file = os.path.join(context.work, "passphrase"), os.path.join(context.work, "moved.snapshot")
    with open(secret, "w", encoding="utf-8") as out:
        out.write("correct horse battery staple\n")
    cluster = Cluster(context, name="moved", home=os.path.join(context.work, "here")).create()
    try:
        cluster.load_image()
        cluster.apply(web(cluster, "first"), cluster.service("web"), config_map("settings", color="green"))
        cluster.running_pods("app=web", 1)
        address, kubeconfig = cluster.get("service", "web")["spec"]["clusterIP"], cluster.run_ctl("kubeconfig", "moved").stdout
        snapshot = take(cluster, "--passphrase-file", secret)
        assert snapshot["encrypted"], snapshot
        cluster.run_ctl("snapshot", "export", "moved", "--id", snapshot["id"], "--file", file)
        again = cluster.run_ctl("snapshot", "export", "moved", "--id", snapshot["id"], "--file", file, check=False)
        assert again.returncode == 4 and "FileInTheWay" in again.stderr, again
        with open(file, "rb") as stored:
            bytes_of_it = stored.read()
        assert b"color" not in bytes_of_it and b"PRIVATE KEY" not in bytes_of_it
        done = cluster.run_ctl("delete", "moved", "--yes")
        assert_matches("1 snapshot stays in", done.stderr)
        cluster.run_ctl("snapshot", "delete", "--id", snapshot["id"], "--yes")
        assert not os.path.exists(cluster.home), os.listdir(cluster.home)

        cluster.home = os.path.join(context.work, "there")
        refused = cluster.run_ctl("snapshot", "import", "--file", file, check=False)
        assert refused.returncode == 13 and "PassphraseNeeded" in refused.stderr, refused
        cluster.run_ctl("snapshot", "import", "--file", file, "--passphrase-file", secret)
        engine = ("--engine", context.engine) if context.engine else ()
        cluster.run_ctl("restore", "moved", "--id", snapshot["id"], "--certificates", "--passphrase-file", secret, *engine)
        cluster.write_kubeconfig()
        assert cluster.get("configmaps", "settings")["data"]["color"] == "green"
        assert cluster.get("service", "web")["spec"]["clusterIP"] == address
        # Whoever had a kubeconfig of the cluster before still gets in.
        old = os.path.join(context.work, "moved-old.conf")
        with open(old, "w", encoding="utf-8") as out:
            out.write(kubeconfig)
        context.run(context.kubectl.path, "--kubeconfig", old, "get", "nodes")
        cluster.running_pods("app=web", 1)
        assert_matches("first", answers(context, cluster))
    finally:
        cluster.run_ctl("delete", "--all", "--yes", "--snapshots")


@time_limit(240)
def test_a_cluster_whose_store_is_damaged_is_restored_and_the_damaged_file_kept(context):
    cluster = Cluster(context, name="broken", home=os.path.join(context.work, "broken")).create()
    try:
        cluster.load_image()
        cluster.apply(web(cluster, "first"), cluster.service("web"), config_map("settings", color="green"))
        before = alive(cluster, "app=web", 1)
        snapshot = take(cluster)
        data = os.path.join(cluster.home, "clusters", "broken", "data")
        pid = cluster.process()
        with open(os.path.join(data, "store.db"), "r+b") as store:
            store.write(b"not a database at all" * 1000)
        os.kill(pid, signal.SIGKILL)
        context.wait_until("the api-server to be gone", lambda: cluster.kubectl("get", "nodes", check=False).returncode != 0)
        refused = cluster.run_ctl("snapshot", "create", "broken", check=False)
        assert refused.returncode != 0, refused
        done = cluster.run_ctl("restore", "broken", "--id", snapshot["id"], "--yes")
        assert_matches("cannot be kept as a snapshot", done.stderr)
        assert cluster.get("configmaps", "settings")["data"]["color"] == "green"
        assert alive(cluster, "app=web", 1) == before
        assert_matches("first", answers(context, cluster))
        with open(os.path.join(data, "replaced.db"), "rb") as kept:
            assert kept.read(10) == b"not a data"
    finally:
        cluster.run_ctl("delete", "broken", "--yes", "--snapshots")


@time_limit(240)
def test_a_full_disk_ends_snapshot_and_restore_before_anything_is_changed(context):
    home = os.path.join(context.work, "full")
    os.mkdir(home)
    context.run("mount", "-t", "tmpfs", "-o", "size=48m,mode=0700", "tmpfs", home)
    cluster = Cluster(context, name="full", home=os.path.join(home, "home")).create()
    try:
        cluster.apply(config_map("settings", color="green"))
        snapshot = take(cluster)
        cluster.apply(config_map("settings", color="red"))
        filler = os.path.join(home, "filler")
        free = os.statvfs(home)
        with open(filler, "wb") as out:  # what is left is too little for a copy of the store
            out.write(b"x" * (free.f_bavail * free.f_bsize - 100_000))
        for words in (("snapshot", "create", "full"), ("restore", "full", "--id", snapshot["id"], "--yes"),
                      ("restore", "full", "--id", snapshot["id"], "--yes", "--no-snapshot"),
                      ("clone", "copy", "--from", snapshot["id"])):
            done = cluster.run_ctl(*words, check=False)
            assert done.returncode == 14 and "[NoSpace]" in done.stderr, (words, done)
            assert sorted(os.listdir(os.path.join(cluster.home, "snapshots", "full"))) == [snapshot["id"] + ".snapshot"], words
            left = set(os.listdir(os.path.join(cluster.home, "clusters", "full"))) & {"snapshot", "restore"}
            assert not left, (words, left)
            assert cluster.get("configmaps", "settings")["data"]["color"] == "red", words
        os.unlink(filler)
        cluster.run_ctl("list")  # undoes what could not even be journaled
        assert os.listdir(os.path.join(cluster.home, "clusters")) == ["full"]
        cluster.run_ctl("restore", "full", "--id", snapshot["id"], "--yes")
        assert cluster.get("configmaps", "settings")["data"]["color"] == "green"
        # Snapshots on a disk of their own that is full, and then is not.
        kept = os.path.join(cluster.home, "snapshots", "full")
        context.run("mount", "-t", "tmpfs", "-o", "size=8k,mode=0700", "tmpfs", kept)
        try:
            done = cluster.run_ctl("snapshot", "create", "full", check=False)
            assert done.returncode == 14 and os.listdir(kept) == [], (done, os.listdir(kept))
            context.run("mount", "-o", "remount,size=8m", kept)
            assert take(cluster)["id"] + ".snapshot" in os.listdir(kept)
        finally:
            context.run("umount", kept)
    finally:
        cluster.run_ctl("delete", "full", "--yes", "--snapshots")
        context.run("umount", home)


@time_limit(240)
def test_a_restore_killed_at_any_moment_leaves_a_cluster_that_serves(context):
    cluster = Cluster(context, name="killed", home=os.path.join(context.work, "killed")).create()
    try:
        cluster.apply(config_map("settings", color="green"))
        snapshot = take(cluster)
        cluster.apply(config_map("settings", color="red"))
        seen = set()
        for delay in (0.02, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 0.8):
            process = subprocess.Popen([cluster.ctl, "restore", "killed", "--id", snapshot["id"], "--yes", "--home", cluster.home],
                                       env={**os.environ, "KUBECONFIG": cluster.kubeconfig + ".merged"},
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(context.seconds(delay))
            process.kill()
            process.wait()
            done = cluster.run_ctl("start", "killed")
            seen.add("finished" if "finishing it" in done.stderr else "undone" if "undoing it" in done.stderr else "")
            color = cluster.get("configmaps", "settings")["data"]["color"]
            assert color in ("red", "green"), color
            cluster.apply(config_map("settings", color="red"))
            assert not os.path.exists(os.path.join(cluster.home, "clusters", "killed", "restore"))
        assert seen & {"finished", "undone"}, seen
    finally:
        cluster.run_ctl("delete", "killed", "--yes", "--snapshots")
