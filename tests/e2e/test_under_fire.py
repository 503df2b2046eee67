"""A highly available cluster while its parts are killed, paused and cut off under a client that writes and one that watches:
nothing acknowledged is lost, the watch goes on without a new list, and nobody waits for long. The figures are printed.

A sample of the faults runs (RUSTERNETES_TEST_SHARE, RUSTERNETES_TEST_SEED choose); `scripts/test --full` runs all of them."""
import json
import os
import random
import signal
import time

from harness.cluster import Cluster
from harness.fire import TROUBLE, Access, Asker, Watcher, Writer, assert_nothing_lost, longest_gap
from harness.functions import Skipped, on_one_engine, time_limit
from harness.programs import call_engine

SHARE = float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1"))
SEED = int(os.environ.get("RUSTERNETES_TEST_SEED", "0")) or 1
NAMESPACE = "fire"
PAUSE = 30.0
# The longest time without an acknowledged write, on a host that is not slower than others.
AFTER_KILL, AFTER_PAUSE, AFTER_PROXY = 3.0, 5.0, 1.0
# A leader's lease is 15 s and who waits for it looks each 2 s; then Pods have to start.
CONVERGENCE = 30.0


class Row:
    def __init__(self, fault, bound):
        self.fault, self.bound = fault, bound
        self.write_gap = self.watch_gap = self.back = self.converged = None
        self.troubles = {}

    def text(self):
        number = lambda value: f"{value:7.2f}" if value is not None else "      -"
        told = ", ".join(f"{count}x {what}" for what, count in self.troubles.items())
        return (f"  {self.fault:<42}{number(self.bound)}{number(self.write_gap)}{number(self.watch_gap)}{number(self.back)}"
                f"{number(self.converged)}  {told}")

    @staticmethod
    def heading():
        return f"  {'fault':<42}{'bound':>7}{'writes':>7}{'watch':>7}{'back':>7}{'scaled':>7}  seen by the writer"


class Fire:
    """The cluster, both clients, and the faults: each a function that returns its Row."""

    def __init__(self, context, cluster):
        self.context, self.cluster = context, cluster
        view = cluster.kubectl("config", "view", "--raw", "-o", "json").stdout
        self.access = Access(json.loads(view), context.work)
        self.etcd_tls = self.etcd_access()
        self.rows, self.replicas = [], 1

    def etcd_access(self):
        """(curl's words) for the members' own pages, which want a certificate of etcd's authority."""
        folder = os.path.join(self.cluster.home, "clusters", self.cluster.name)
        for path, _, files in os.walk(folder):
            if {"etcd-ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"} <= set(files):
                return ["--cacert", f"{path}/etcd-ca.crt", "--cert", f"{path}/apiserver-etcd-client.crt",
                        "--key", f"{path}/apiserver-etcd-client.key"]
        raise AssertionError(f"no certificate for etcd below {folder}")

    # ---- what is where

    def inspect(self, key):
        return call_engine(self.context, "GET", f"/containers/rusternetes-{self.cluster.name}-{key}/json")

    def pid(self, key):
        state = self.inspect(key)["State"]
        assert state["Running"] and state["Pid"], (key, state)
        return state["Pid"]

    def address(self, key):
        return next(iter(self.inspect(key)["NetworkSettings"]["Networks"].values()))["IPAddress"]

    def etcd_page(self, key, page):
        done = self.context.run("curl", "-sf", "-m", "2", *self.etcd_tls, f"https://{self.address(key)}:2379{page}", check=False)
        return done.stdout

    def etcd_members(self):
        return [f"etcd-{i}" for i in (1, 2, 3)]

    def etcd_leader(self):
        return self.context.wait_until("a leader of etcd", lambda: next(
            (m for m in self.etcd_members() if "\netcd_server_is_leader 1" in self.etcd_page(m, "/metrics")), None), 20)

    def writers_api_server(self):
        address = self.writer.ask_server()
        return next(key for key in ("api-server-1", "api-server-2", "api-server-3") if self.address(key) == address)

    def holder(self, lease):
        return self.cluster.get("lease", lease, "-n", "kube-system")["spec"].get("holderIdentity", "")

    def is_well(self, key):
        """By what the process itself says, where it says anything."""
        if key.startswith("etcd"):
            return '"health":"true"' in self.etcd_page(key, "/health")
        if key.startswith("api-server"):
            status, _, _ = Asker(self.access, host=self.address(key), port=6443, timeout=2).ask("GET", "/readyz")
            return status == 200
        return True

    # ---- faults

    def measure(self, name, bound, begin, end, back=None):
        row = Row(name, bound)
        row.back = back
        row.write_gap = longest_gap(self.writer.times, begin, end)
        row.watch_gap = longest_gap(self.watcher.times, begin, end)
        row.troubles = self.writer.troubles.between(begin, end)
        self.rows.append(row)
        return row

    def settle(self, seconds):
        """The cluster has been under load for so long before a figure is taken."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.writer.failure is None and self.watcher.failure is None, (self.writer.failure, self.watcher.failure)
            time.sleep(0.05)

    def wait_for_writes(self):
        count = len(self.writer.times)
        self.context.wait_until("writes to go on", lambda: len(self.writer.times) > count, 60, 0.02)

    def kill(self, key, bound=AFTER_KILL, note=""):
        before, begin = self.pid(key), time.monotonic()
        os.kill(before, signal.SIGKILL)
        self.wait_for_writes()

        def is_back():
            state = self.inspect(key)["State"]
            return state["Running"] and state["Pid"] not in (0, before) and self.is_well(key)

        def check():
            try:
                return is_back()
            except TROUBLE:
                return False
        self.context.wait_until(f"{key} to be back", check, 60, 0.05)
        back = time.monotonic() - begin
        self.settle(max(0.5, 4 - back))
        return self.measure(f"kill {key}{note}", bound, begin, time.monotonic(), back)

    def pause(self, key, bound=AFTER_PAUSE, seconds=PAUSE, note=""):
        pid, begin = self.pid(key), time.monotonic()
        os.kill(pid, signal.SIGSTOP)
        try:
            self.settle(seconds)
        finally:
            os.kill(pid, signal.SIGCONT)
        self.wait_for_writes()
        self.settle(2)
        return self.measure(f"pause {key} {seconds:.0f} s{note}", bound, begin, time.monotonic())

    def cut(self, key, bound=AFTER_PAUSE, seconds=10.0):
        """Nothing passes between an api-server and any member of etcd."""
        address, members = self.address(key), ", ".join(self.address(m) for m in self.etcd_members())
        rules = (f"table bridge fire {{\nchain forward {{\ntype filter hook forward priority 0; policy accept;\n"
                 f"ip saddr {address} ip daddr {{ {members} }} counter drop\n"
                 f"ip daddr {address} ip saddr {{ {members} }} counter drop\n}}\n}}\n")
        begin = time.monotonic()
        self.context.run("nft", "-f", "-", input=rules)
        try:
            self.settle(seconds)
            counted = json.loads(self.context.run("nft", "-j", "list", "table", "bridge", "fire").stdout)
        finally:
            self.context.run("nft", "delete", "table", "bridge", "fire")
        dropped = [e["counter"]["packets"] for r in counted["nftables"] if "rule" in r for e in r["rule"]["expr"] if "counter" in e]
        assert all(dropped), f"the rules met nothing: {dropped}"
        self.wait_for_writes()
        self.settle(2)
        return self.measure(f"cut {key} from etcd {seconds:.0f} s", bound, begin, time.monotonic())

    # ---- scheduling and controllers

    def scale(self):
        """Asks for another number of Pods; who waits for it gets the seconds that it took."""
        self.replicas = 3 if self.replicas != 3 else 1
        self.cluster.kubectl("scale", "deployment", "web", f"--replicas={self.replicas}")
        return time.monotonic()

    def converged(self, begin):
        def check():
            status = self.cluster.get("deployment", "web")["status"]
            pods = self.cluster.pods("app=web")
            return status.get("readyReplicas") == self.replicas == len(pods) or (status, [p["metadata"]["name"] for p in pods])
        self.context.wait_until("the Deployment to be as asked for", lambda: check() is True, CONVERGENCE + 30, 0.2)
        return time.monotonic() - begin

    def leader(self, lease, strike):
        """A leader is struck, and before anybody can have taken its place something is asked for: another does it."""
        was = self.context.wait_until(f"somebody leads {lease}", lambda: self.holder(lease), 40)
        row = strike(was.split("_")[0])
        now = self.holder(lease)
        assert now != was, f"{was} still leads {lease}"
        return row

    def kill_leader(self, lease):
        def strike(key):
            before, begin = self.pid(key), time.monotonic()
            os.kill(before, signal.SIGKILL)
            asked = self.scale()
            self.context.wait_until(f"{key} to be back", lambda: self.inspect(key)["State"]["Pid"] not in (0, before), 60)
            back = time.monotonic() - begin
            converged = self.converged(asked)
            row = self.measure(f"kill {key}, the leader", AFTER_KILL, begin, time.monotonic(), back)
            row.converged = converged
            return row
        return self.leader(lease, strike)

    def pause_leader(self, lease):
        def strike(key):
            pid, begin = self.pid(key), time.monotonic()
            os.kill(pid, signal.SIGSTOP)
            try:
                converged = self.converged(self.scale())
                self.settle(max(0.0, begin + PAUSE - time.monotonic()))
            finally:
                os.kill(pid, signal.SIGCONT)
            self.settle(2)
            row = self.measure(f"pause {key}, the leader, {PAUSE:.0f} s", AFTER_PAUSE, begin, time.monotonic())
            row.converged = converged
            return row
        return self.leader(lease, strike)

    def kill_dns(self):
        pod = self.cluster.pods("app=web")[0]["metadata"]["name"]
        row = self.kill("dns-1")

        def resolves():
            return "Address" in self.cluster.exec(pod, "nslookup", "kubernetes.default.svc.cluster.local").stdout
        self.context.wait_until("a name in a Pod", resolves, 10)
        return row

    # ---- the run

    def begin(self):
        self.cluster.load_image()
        self.cluster.kubectl("create", "namespace", NAMESPACE)
        self.cluster.apply(self.cluster.deployment("web", replicas=1))
        self.cluster.running_pods("app=web", 1)
        self.writer, self.watcher = Writer(self.access, NAMESPACE), Watcher(self.access, NAMESPACE)
        self.watcher.start()
        self.writer.start()
        self.settle(2)
        self.measure("nothing", 1.0, self.writer.times[0], time.monotonic())

    def faults(self):
        etcd_follower = lambda: next(m for m in self.etcd_members() if m != self.etcd_leader())
        kills = [lambda k=k: self.kill(k) for k in ("api-server-1", "api-server-2", "api-server-3")]
        kills += [lambda k=k: self.kill(k, note=", the leader" if k == self.etcd_leader() else "") for k in self.etcd_members()]
        leaders = [lambda: self.kill_leader("kube-scheduler"), lambda: self.kill_leader("kube-controller-manager")]
        long = [lambda: self.pause(self.writers_api_server(), note=", the writer's"),
                lambda: self.pause(self.etcd_leader(), note=", the leader"),
                lambda: self.pause_leader("kube-controller-manager")]
        proxy = [lambda: self.kill("api-proxy", AFTER_PROXY)]
        if SHARE >= 1:
            return (kills + [lambda: self.kill(self.etcd_leader(), note=", the leader")] + proxy + [self.kill_dns] + leaders + long +
                    [lambda: self.pause(etcd_follower()), lambda: self.cut(self.writers_api_server())])
        draw = random.Random(SEED)
        return [lambda: self.kill(self.writers_api_server(), note=", the writer's"),
                lambda: self.kill(self.etcd_leader(), note=", the leader"), lambda: self.kill(etcd_follower()),
                *proxy, draw.choice(leaders), draw.choice(long)]

    def run(self):
        print(Row.heading(), flush=True)
        for fault in self.faults():
            print(fault().text(), flush=True)
            self.settle(0.5)

    def end(self):
        self.writer.stop()
        last = max(version for _, version in self.writer.counted[-1:] + list(self.writer.created.items())[-1:])
        self.context.wait_until("the watch to see the last write", lambda: int(self.watcher.version) >= last, 10)
        self.watcher.stop()
        listed = self.cluster.get("configmaps", "-n", NAMESPACE)["items"]
        assert_nothing_lost(self.writer, self.watcher, listed)
        print(f"  {len(self.writer.created)} objects, counted to {self.writer.value}; the watch was resumed {self.watcher.resumed} times, "
              f"{self.watcher.bookmarks} bookmarks, {self.watcher.relists} relists; seen by the writer: "
              f"{self.writer.troubles.between(0, time.monotonic())}", flush=True)

    def assert_bounds(self):
        late = [row.text().strip() for row in self.rows if row.write_gap > self.context.seconds(row.bound)]
        assert not late, "too long without a write:\n" + "\n".join(late)
        late = [row.text().strip() for row in self.rows if row.converged and row.converged > self.context.seconds(CONVERGENCE)]
        assert not late, "too long without a controller:\n" + "\n".join(late)


@on_one_engine(1)
@time_limit(300)
def test_writes_and_watches_go_on(context):
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = Cluster(context, name="fire", home=os.path.join(context.work, "fire"), create_flags=["--ha"])
    try:
        cluster.create()
        fire = Fire(context, cluster)
        fire.begin()
        fire.run()
        fire.end()
        fire.assert_bounds()
    finally:
        cluster.remove()
