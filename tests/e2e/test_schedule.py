"""Snapshots that a cluster takes by itself: they come and go, with the cluster, and after what takes them was killed."""
import json
import os
import signal
import time

from harness.cluster import Cluster
from harness.functions import Skipped, on_one_engine, time_limit


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")


class Schedule:
    def __init__(self, context, cluster):
        self.context, self.cluster = context, cluster
        self.folder = os.path.join(cluster.home, "snapshots", cluster.name)
        self.run = os.path.join(cluster.home, "clusters", cluster.name, "run")

    def set(self, *flags):
        return json.loads(self.cluster.run_ctl("snapshot", "schedule", self.cluster.name, "--output", "json", *flags).stdout)["schedule"]

    def ids(self):
        names = os.listdir(self.folder) if os.path.isdir(self.folder) else []
        return sorted(name.removesuffix(".snapshot") for name in names if name.endswith("-scheduled.snapshot"))

    def wait_for_more(self, than, count=1):
        """Until so many more have come than those, of which some may be gone."""
        seen = set()

        def come():
            seen.update(set(self.ids()) - set(than))
            return len(seen) >= count
        self.context.wait_until(f"{count} more snapshots", come, 20)
        return self.ids()

    def supervisor(self):
        with open(os.path.join(self.run, "snapshots.pid"), encoding="utf-8") as file:
            return int(file.read())

    def child(self):
        """The pid of what takes one right now, or 0."""
        with open(os.path.join(self.run, "snapshots.json"), encoding="utf-8") as file:
            return json.load(file)["childPid"]

    def processes(self):
        """All that run for it: [(pid, its words)]."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode(errors="replace").split("\0")
            except OSError:
                continue
            if "--run-due" in words and self.cluster.home in words:
                found.append((int(pid), words))
        return found


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


@on_one_engine(1)
@time_limit(120)
def test_a_schedule_takes_snapshots_keeps_the_newest_and_lives_with_its_cluster(context):
    cluster = Cluster(context, name="hourly", home=os.path.join(context.work, "hourly")).create()
    schedule = Schedule(context, cluster)
    try:
        cluster.run_ctl("snapshot", "create", "hourly", "--note", "mine")
        own = [name for name in os.listdir(schedule.folder)]
        assert schedule.set("--every", "6h", "--keep", "2")["running"]
        schedule.wait_for_more([])
        # The next one is not waited for until then.
        assert schedule.set("--every", "2s")["keep"] == 2
        schedule.wait_for_more([], 4)
        # One that has just come stands beside the others until the oldest is gone.
        context.wait_until("the oldest to go", lambda: len(schedule.ids()) == 2, 10)
        assert set(own) <= set(os.listdir(schedule.folder)), os.listdir(schedule.folder)
        newest = schedule.ids()[-1]
        cluster.run_ctl("snapshot", "inspect", "hourly", "--id", newest)
        assert resident_kib(schedule.supervisor()) < 1000, resident_kib(schedule.supervisor())

        # Killed in the midst of it, the next one comes; and its supervisor, which no init starts again here, by `start`.
        context.wait_until("one to be under way", lambda: schedule.child() > 0, 20)
        os.kill(schedule.child(), signal.SIGKILL)
        schedule.wait_for_more(schedule.ids(), 2)
        restarted = schedule.supervisor()
        cluster.run_ctl("restart", "hourly")
        assert schedule.supervisor() == restarted
        os.kill(restarted, signal.SIGKILL)
        context.wait_until("the end of it", lambda: not schedule.processes(), 10)
        status = json.loads(cluster.run_ctl("status", "hourly", "--output", "json").stdout)
        assert not status["snapshotSchedule"]["running"] and status["snapshotSchedule"]["nextAt"] is None, status
        cluster.run_ctl("start", "hourly")
        schedule.wait_for_more(schedule.ids())

        cluster.run_ctl("stop", "hourly")
        assert schedule.processes() == []
        before = schedule.ids()
        time.sleep(3)  # longer than the interval: none comes
        assert schedule.ids() == before and schedule.set()["every"] == "2s"
        cluster.run_ctl("start", "hourly")
        schedule.wait_for_more(before)

        assert schedule.set("--off") is None
        assert schedule.processes() == []
        assert schedule.ids()
        schedule.set("--every", "2s")
        schedule.wait_for_more(schedule.ids())
    finally:
        cluster.run_ctl("delete", "hourly", "--yes", "--snapshots")
    assert schedule.processes() == []
    assert not os.path.exists(cluster.home), os.listdir(cluster.home)
