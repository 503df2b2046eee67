"""rusternetes-ctl ends as by `kill -9` at a point of its own, in each command that changes a cluster of containers: the next
command finishes or undoes what was begun and says which, and the cluster is well and is what it was or what it was to be.

`killable_ctl` is rusternetes-ctl with points; a place is STAGE.POINT[+MS], as its source says. A sample of commands and places
is walked (RUSTERNETES_TEST_SHARE, RUSTERNETES_TEST_SEED choose); `scripts/test --full` walks all commands on both engines."""
import collections
import json
import math
import os
import random
import re
import signal
import subprocess
import time

from harness.cluster import Cluster
from harness.functions import Skipped, on_one_engine, time_limit
from harness.programs import host_state
from test_topologies import cluster_of, engine_things, identities, note, noted, status
from test_upgrade import next_folder

SHARE = float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1"))
SEED = int(os.environ.get("RUSTERNETES_TEST_SEED", "0")) or 1
PLACES = 8  # of each command, with a share of 1
LATEST = 40  # a stage with more points than that only waits on
AGAIN = 0.25  # how often the command that cleans up is killed, too
FIRST, NEXT = "0.1.0", "0.2.0"


def setup(context):
    for folder in (os.path.dirname(context.binary("rusternetes-ctl")), next_folder(context)):
        if not os.access(os.path.join(folder, "killable_ctl"), os.X_OK):
            raise Skipped(f"{folder} has no killable_ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if not os.access("/usr/bin/etcd", os.X_OK):
        raise Skipped("there is no /usr/bin/etcd to make an image of")


Done = collections.namedtuple("Done", "code out err seconds stages")


def wait_until_well(context, cluster):
    """Or stopped, where that is what it is to be."""
    def check():
        error = status(cluster).get("error")
        assert not error or error["id"] == "ClusterStopped", error
        return True
    context.wait_until("the cluster to be well", check, 90, 0.3)


class Ctl:
    """The programs of both releases for one cluster."""

    def __init__(self, context, cluster, seed=SEED):
        self.context, self.cluster = context, cluster
        self.random = random.Random(f"{seed} {cluster.name}")
        self.kills = self.hits = 0

    def run(self, *words, release=FIRST, place=None):
        """By way of files: what it has started may hold its output for longer than it lives."""
        folder = self.context.bin if release == FIRST else next_folder(self.context)
        out, err, points = (os.path.join(self.context.work, f"{self.cluster.name}.ctl.{what}") for what in ("out", "err", "points"))
        environment = {**os.environ, "KUBECONFIG": self.cluster.kubeconfig + ".merged", "RUSTERNETES_POINTS": points}
        environment.update({"RUSTERNETES_KILL_AT": place} if place else {})
        begin = time.monotonic()
        with open(out, "w", encoding="utf-8") as to_out, open(err, "w", encoding="utf-8") as to_err:
            code = subprocess.run([os.path.join(folder, "killable_ctl"), *words, "--home", self.cluster.home], env=environment, check=False,
                                  stdin=subprocess.DEVNULL, stdout=to_out, stderr=to_err, timeout=self.context.seconds(180)).returncode
        took = time.monotonic() - begin
        with open(out, encoding="utf-8") as from_out, open(err, encoding="utf-8") as from_err:
            said = from_out.read(), from_err.read()
        stages = []
        if code != -signal.SIGKILL:
            with open(points, encoding="utf-8") as file:
                stages = [int(line.split(" ", 1)[0]) for line in file]
        return Done(code, *said, took, stages)

    def whole(self, *words, release=FIRST):
        done = self.run(*words, release=release)
        assert done.code == 0, (words, done)
        return done

    def draw(self, stages):
        """A place of a command that has so many points in each of its stages."""
        stage = self.random.randrange(len(stages))
        place = f"{stage}.{self.random.randint(1, max(1, min(stages[stage], LATEST)))}"
        return place if self.random.random() < 0.6 else f"{place}+{round(math.exp(self.random.uniform(0, math.log(1500))))}"

    def kill(self, words, place, release=FIRST):
        """The command, and then what cleans up. ({kind of plan: finished or undone}, what to show of it)"""
        killed = self.run(*words, release=release, place=place)
        self.kills += 1
        self.hits += killed.code == -signal.SIGKILL
        assert killed.code in (0, -signal.SIGKILL), (words, place, killed)
        where = re.findall("^killed at .*", killed.err, re.M) if killed.code else ["ended in order"]
        told = [f"{release} {' '.join(words)}: {place}, {where[-1]}"]
        verdicts = {}
        for is_last in (self.random.random() >= AGAIN, True):
            place = None if is_last else f"{self.random.randint(1, 12)}.{self.random.randint(1, 10)}"
            after = self.run("list", release=self.random.choice([release, release, FIRST, NEXT]), place=place)
            assert after.code == 0 or place and after.code == -signal.SIGKILL, (told, killed, after)
            assert "could not be" not in after.err, (told, killed, after)
            for kind, how in re.findall(rf'The (\S+) of "{self.cluster.name}" was interrupted [^;]*; (finishing|undoing) it', after.err):
                how = {"finishing": "finished", "undoing": "undone"}[how]
                assert verdicts.setdefault(kind, how) == how, (told, killed, after)
                if after.code == 0:
                    assert f'The {kind} of "{self.cluster.name}" is {how}.' in after.err, (told, killed, after)
            if after.code == 0:
                break
            told += re.findall("^killed at .*", after.err, re.M)
        again = self.whole("list", release=release)
        assert again.err == "", (told, killed, after, again)
        told.append(", ".join(f"{kind} {how}" for kind, how in verdicts.items()) or "nothing to clean up")
        return verdicts, "; ".join(told)


class Command:
    """One that changes the cluster. `old` and `new` are what it is before and after it."""

    def __init__(self, kind, *words, release=FIRST, prepare=None, pods_run_on=True):
        self.kind, self.words, self.release = kind, words, release
        self.prepare, self.pods_run_on = prepare or (lambda: None), pods_run_on
        self.old = self.new = self.stages = None


class Walk:
    """A cluster, and the commands that change it: each group is one that may be had again and again, or one and what takes it
    back."""

    def __init__(self, context, cluster):
        self.context, self.cluster, self.ctl = context, cluster, Ctl(context, cluster)
        self.snapshots_before = 0
        self.begin()

    def begin(self):
        self.cluster.load_image()
        web = self.cluster.deployment("web")
        web["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "node-1"}
        self.cluster.apply(web)
        self.pods = identities(self.cluster.running_pods("app=web", 1))
        note(self.cluster, "before")
        self.snapshot = json.loads(self.ctl.whole("snapshot", "create", self.cluster.name, "--output", "json").out)["snapshot"]["id"]
        note(self.cluster, "after")

    def groups(self):
        name = self.cluster.name
        take_note = lambda text: lambda: note(self.cluster, text)
        upgrade = lambda: Command("upgrade", "upgrade", name, "--yes", release=NEXT)
        return [
            [Command("snapshot", "snapshot", "create", name, prepare=self.count_snapshots)],
            [Command("restore", "restore", name, "--id", self.snapshot, "--yes", prepare=take_note("after"))],
            [Command("restart", "restart", name)],
            [Command("rotate", "certs", "rotate", name)],
            [Command("stop", "stop", name, pods_run_on=False), Command("start", "start", name, pods_run_on=False)],
            [Command("rotate-authorities", "certs", "rotate", name, "--authority", "ca"),
             Command("rotate-authorities", "certs", "rotate", name, "--drop-old", "--yes")],
            [Command("change", "node", "add", name), Command("change", "node", "remove", name, "--node", "node-2", "--yes")],
            [Command("change", "port", "add", name, "--publish", "18080:30080"),
             Command("change", "port", "remove", name, "--publish", "18080:30080")],
            [Command("migrate", "migrate", name, "--mode", "etcd", "--yes"), Command("migrate", "migrate", name, "--mode", "sqlite", "--yes")],
            [upgrade(), Command("rollback", "rollback", name, "--yes", release=NEXT)],
            [upgrade(), Command("rollback", "rollback", name, "--restore-data", "--yes", release=NEXT, prepare=take_note("upgraded"))],
        ]

    # ---- what the cluster is

    def snapshots(self):
        folder = os.path.join(self.cluster.home, "snapshots", self.cluster.name)
        files = os.listdir(folder) if os.path.exists(folder) else []
        assert all(re.fullmatch(r"[0-9-]+\.snapshot", file) for file in files), files
        return len(files)

    def count_snapshots(self):
        self.snapshots_before = self.snapshots()

    def files(self):
        """Of the cluster's folder, but what its components keep there."""
        top, out = os.path.join(self.cluster.home, "clusters", self.cluster.name), []
        for folder, folders, files in os.walk(top):
            folder = os.path.relpath(folder, top)
            if folder.split("/")[0] in ("kubelet", "logs") or re.match("data/.", folder):
                folders.clear()
                continue
            out += [os.path.normpath(os.path.join(folder, name)) for name in folders + files]
        return sorted(out)

    def is_stopped(self):
        return status(self.cluster).get("error", {}).get("id") == "ClusterStopped"

    def look(self, command):
        """All that tells one state from another; only of a cluster that is well or stopped."""
        wait_until_well(self.context, self.cluster)
        now = next(one for one in json.loads(self.ctl.whole("list", "--output", "json").out)["clusters"] if one["name"] == self.cluster.name)
        out = {key: now[key] for key in ("mode", "status", "release", "previousRelease", "publishedPorts")}
        out["nodes"] = [node["name"] for node in now["nodes"]]
        certificates = json.loads(self.ctl.whole("certs", "list", self.cluster.name, "--output", "json").out)
        assert not [one for one in certificates["certificates"] if one["problem"]], certificates
        out["rotation"] = certificates["rotation"]
        containers, out["networks"], out["images"] = engine_things(self.context)
        out["containers"] = sorted(name for names in containers for name in names if "k8s_" not in name)
        out["files"] = self.files()
        if command.kind == "snapshot":
            out["snapshots"] = self.snapshots() - self.snapshots_before
        self.snapshots()
        if out["status"] != "stopped":
            self.cluster.write_kubeconfig()
            out["note"] = noted(self.cluster)
        return out

    def check_pods(self, command):
        if self.is_stopped():
            return
        now = identities(self.cluster.running_pods("app=web", 1))
        if command.pods_run_on:
            assert now == self.pods, (now, self.pods)
        assert {uid for uid, *_ in now} == {uid for uid, *_ in self.pods}, (now, self.pods)
        self.pods = now

    # ---- the walk

    def run_whole(self, command):
        command.prepare()
        command.old = self.look(command)
        done = self.ctl.whole(*command.words, release=command.release)
        command.stages, command.new = done.stages, self.look(command)
        self.check_pods(command)
        print(f"  {' '.join(command.words)}: {done.seconds:.1f} s, {sum(done.stages)} points in {len(done.stages)} stages", flush=True)

    def run_killed(self, command):
        """True if the cluster became what it was to be."""
        command.prepare()
        begin = time.monotonic()
        verdicts, told = self.ctl.kill(command.words, self.ctl.draw(command.stages), command.release)
        print(f"  {told} ({time.monotonic() - begin:.1f} s)", flush=True)
        now = self.look(command)
        # A command may run another plan before its own, such as that of a snapshot.
        verdict = verdicts.get(command.kind, "undone" if verdicts else "")
        fit = {"undone": [command.old], "finished": [command.new], "": [command.old, command.new]}[verdict]
        assert now in fit, "\n".join([told, *(difference(now, wanted) for wanted in fit)])
        self.check_pods(command)
        return now == command.new

    def walk(self, group, count):
        """Kills each of the group's commands so often; which one is possible, what became of the one before says."""
        there, back = group[0], group[-1]
        for command in group:
            self.run_whole(command)
        left, command = {id(one): count for one in group}, there
        while any(left.values()) or command is not there:
            if left[id(command)]:
                left[id(command)] -= 1
                is_done = self.run_killed(command)
            else:
                self.ctl.whole(*command.words, release=command.release)
                self.check_pods(command)
                is_done = True
            if is_done:
                command = back if command is there else there

    def end(self):
        print(f"  {self.ctl.hits} of {self.ctl.kills} were killed before they ended", flush=True)
        assert self.ctl.hits, "no command was killed before it ended"


def difference(now, wanted):
    out = ["  what is not as it was or was to be:"]
    for key in now.keys() | wanted.keys():
        a, b = now.get(key), wanted.get(key)
        if a != b and isinstance(a, list) and isinstance(b, list):
            out.append(f"    {key}: too many {[one for one in a if one not in b]}, missing {[one for one in b if one not in a]}")
        elif a != b:
            out.append(f"    {key}: {a}, not {b}")
    return "\n".join(out)


@on_one_engine(0)
@time_limit(180)
def test_commands_that_change_a_cluster(context):
    with cluster_of(context, "cut", "--mode", "sqlite", "--nodes", "1") as cluster:
        walk = Walk(context, cluster)
        groups = walk.groups()
        for group in walk.ctl.random.sample(groups, max(1, round(len(groups) * min(1, 3 * SHARE)))):
            walk.walk(group, max(1, round(PLACES * SHARE)))
        walk.end()


def left_of(context, cluster):
    """Of one that has been deleted: nothing."""
    assert not os.path.exists(cluster.home), os.listdir(cluster.home)
    assert not os.path.exists(cluster.kubeconfig + ".merged")
    return host_state(context), engine_things(context)


@on_one_engine(1)
@time_limit(120)
def test_create_and_delete(context):
    cluster = Cluster(context, name="brief", home=os.path.join(context.work, "brief"))
    ctl = Ctl(context, cluster)
    create = ["create", cluster.name, "--mode", "sqlite", "--nodes", "1", "--engine", context.engine, "--yes"]
    delete = ["delete", cluster.name, "--yes"]
    stages = {words[0]: ctl.whole(*words).stages for words in (create, delete)}
    before = left_of(context, cluster)
    for _ in range(max(1, round(PLACES * SHARE))):
        for words in (create, delete):
            if words is delete:
                ctl.whole(*create)
            begin = time.monotonic()
            verdicts, told = ctl.kill(words, ctl.draw(stages[words[0]]))
            print(f"  {told} ({time.monotonic() - begin:.1f} s)", flush=True)
            is_there = ctl.whole("list", "--names").out == cluster.name + "\n"
            wanted = {("create", "undone"): False, ("create", "finished"): True, ("delete", "finished"): False}
            assert is_there == wanted.get((words[0], verdicts.get(words[0])), is_there), told
            if is_there:
                wait_until_well(context, cluster)
                cluster.write_kubeconfig()
                assert cluster.node_is_ready()
                ctl.whole(*delete)
            after = left_of(context, cluster)
            assert after == before, (told, [[one for one in a if one not in b] for a, b in ((after[0], before[0]), (before[0], after[0]))],
                                     after[1], before[1])
    assert ctl.hits, "no command was killed before it ended"


@on_one_engine(0)
@time_limit(180)
def test_highly_available(context):
    if SHARE < 1:
        raise Skipped("with three of everything each command takes long: scripts/test --full runs it")
    with cluster_of(context, "cuts", "--ha", "--nodes", "1") as cluster:
        walk = Walk(context, cluster)
        kinds = ("rotate-authorities", "upgrade")
        for group in [group for group in walk.groups() if group[0].kind in kinds]:
            walk.walk(group, PLACES)
        walk.end()
