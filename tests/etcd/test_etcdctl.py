"""etcdctl 3.6, and 3.4 where there is one, against rhino and against a real etcd: the same commands, what they print compared
without what is each server's own (IDs, addresses, times, sizes), and the same exit codes."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

from etcd_servers import EtcdServer, need, peer, share
from harness.functions import time_limit
from harness.programs import free_port

# Of JSON: what is each server's own.
OWN = {"cluster_id", "member_id", "raft_term", "raftTerm", "raftIndex", "raftAppliedIndex", "leader", "dbSize", "dbSizeInUse",
       "dbSizeQuota", "version", "storageVersion", "ID", "took", "name", "downgradeInfo", "dbSizeInUseBytes", "Endpoint", "endpoint"}


def versions(context):
    """{version: path} of every etcdctl in $PEERS and on PATH, and Debian's in $ETCDCTLS."""
    found = {}
    peers = os.environ.get("PEERS", os.path.join(context.root, "build/peers"))
    for path in [*sorted(glob.glob(os.path.join(peers, "etcdctl*"))), shutil.which("etcdctl"), *os.environ.get("ETCDCTLS", "").split()]:
        if path and os.access(path, os.X_OK):
            told = re.search(r"etcdctl version: (\d+\.\d+)", context.run(path, "version", check=False, env={"ETCDCTL_API": "3"}).stdout)
            if told:
                found.setdefault(told[1], path)
    return found


class Side:
    """One server and one etcdctl."""

    def __init__(self, context, etcdctl, server):
        self.context, self.etcdctl, self.server = context, etcdctl, server
        self.environment = {**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": server.url}
        self.names = {"url": server.url}  # what stands for {NAME} in later commands
        self.processes = []

    def words(self, words):
        return [self.etcdctl, *(str(word).format(**self.names) if "{" in str(word) else str(word) for word in words)]

    def run(self, *words, input=None, timeout=60):
        done = subprocess.run(self.words(words), input=input, capture_output=True, text=True, timeout=self.context.seconds(timeout),
                              env=self.environment, check=False, stdin=None if input is not None else subprocess.DEVNULL)
        return done.returncode, done.stdout, done.stderr

    def start(self, *words, input=None):
        process = subprocess.Popen(self.words(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   env=self.environment)
        self.processes.append(process)
        os.set_blocking(process.stdout.fileno(), False)
        if input:
            process.stdin.write(input.encode())
            process.stdin.flush()
        return process

    def read(self, process, text, lines):
        """What has been printed, once there are that many lines of it."""
        def enough():
            text.append((process.stdout.read() or b"").decode())
            return "".join(text).count("\n") >= lines or process.poll() is not None
        self.context.wait_until(f"{lines} lines of etcdctl", enough, 20, every=0.02)
        return "".join(text)

    def end(self, process, how=signal.SIGINT):
        if process.poll() is None:
            process.send_signal(how)
        try:
            process.wait(self.context.seconds(20))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("etcdctl does not end") from None
        return process.returncode

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                pipe.close()


class Session:
    """The same commands on both; what differs is collected, and told at the end."""

    def __init__(self, context, version, etcdctl):
        self.context, self.version = context, version
        self.sides, self.problems, self.count = [], [], 0
        try:
            for name, path in (("etcd", peer(context, "etcd")), ("rhino", context.binary("rhino"))):
                self.sides.append(Side(context, etcdctl, EtcdServer(context, f"{name}-{version}", path)))
            for side in self.sides:
                context.wait_until(f"{side.server.url} to be healthy", lambda s=side: s.run("endpoint", "health")[0] == 0, 30)
        except BaseException:
            self.close()
            raise

    def __call__(self, *words, input=None, clean=None, check=0, timeout=60):
        """Runs a command on both; `check` is the exit code that etcd must give (None: any). The answer is what etcd's printed."""
        told = [side.run(*words, input=input, timeout=timeout) for side in self.sides]
        if check is not None and told[0][0] != check:
            self.problems.append(f"etcdctl {' '.join(map(str, words))} ended with {told[0][0]} on etcd: {told[0][1]}{told[0][2]}")
        self.compare(words, *[(code, (clean or self.plain)(self.own(side, out)), self.plain(self.own(side, errors(err))))
                              for side, (code, out, err) in zip(self.sides, told)])
        return told[0][1]

    def compare(self, words, etcd, rhino):
        self.count += 1
        if etcd != rhino:
            self.problems.append(f"etcdctl {' '.join(map(str, words))}\n  etcd:  {etcd}\n  rhino: {rhino}")

    @staticmethod
    def own(side, text):
        """Without the names of things that only one side has."""
        for name, value in sorted(side.names.items(), key=lambda item: -len(str(item[1]))):
            text = text.replace(str(value), f"<{name}>").replace(str(value).removeprefix("http://"), f"<{name}>")
        return text

    @staticmethod
    def plain(text):
        text = re.sub(r"\b[0-9a-f]{13,16}\b", "<id>", text)
        return re.sub(r"\b(took:? =? ?)[0-9.]+[µm]?s", r"\1<time>", text)

    def start(self, *words, input=None, lines=1, then=None, clean=None, how=signal.SIGINT):
        """Starts a command that lasts, does `then` meanwhile, and compares what was printed once there are `lines` of it."""
        processes = [(side, side.start(*words, input=input), []) for side in self.sides]
        if then:
            then([(side, process, text) for side, process, text in processes])
        told = []
        for side, process, text in processes:
            out = side.read(process, text, lines)
            code = side.end(process, how)
            told.append((code, (clean or self.plain)(self.own(side, out))))
        self.compare(words, *told)

    def name(self, name, pattern, text_of):
        """Keeps what `pattern` finds in what each side prints under a name for later commands."""
        for side in self.sides:
            text = text_of(side)
            found = re.search(pattern, text)
            assert found, f"no {pattern} in {text}"
            side.names[name] = found[1]

    def close(self):
        for side in self.sides:
            side.close()
            side.server.stop()

    def judge(self):
        assert self.count > 0 and not self.problems, (f"etcdctl {self.version}, {len(self.problems)} of {self.count} commands differ:\n" +
                                                     "\n".join(self.problems[:15]))


def errors(text):
    """Without the client's own log lines, which name addresses in memory."""
    return "".join(line + "\n" for line in text.splitlines() if not line.startswith("{\"level"))


def parsed(text):
    """JSON without what is one server's own."""
    def strip(value):
        if isinstance(value, dict):
            return {key: strip(item) for key, item in value.items() if key not in OWN}
        return [strip(item) for item in value] if isinstance(value, list) else value
    return [strip(json.loads(line)) if line.startswith(("{", "[")) else line for line in text.splitlines()]


def fields(text):
    own = r'"(ClusterID|MemberID|Raft\w+|Leader|DBSize\w*|Version|StorageVersion)"'
    return "\n".join(line for line in text.splitlines() if not re.match(own, line))


def shape(text):
    """What a table or a line of figures looks like, without the figures."""
    return re.sub(r"[-+| ]{4,}", "|", re.sub(r"[0-9a-f]*\d[\w.]*( [kMG]?B)?", "#", text))


def with_each(function):
    """A test that runs a session of its own with each etcdctl."""
    def test(context):
        need(share() == 1 or not getattr(function, "takes_minutes", False), "takes minutes; scripts/test --full runs it")
        found = versions(context)
        need(found, "there is no etcdctl in $PEERS or on PATH")
        problems = []
        for version, path in sorted(found.items()):
            session = Session(context, version, path)
            try:
                function(session)
                session.judge()
            except AssertionError as problem:
                problems.append(str(problem))
            finally:
                session.close()
        assert not problems, "\n".join(problems)
    test.__name__ = function.__name__
    return test


def takes_minutes(function):
    function.takes_minutes = True
    return function


@with_each
def test_keys(do):
    do("put", "a", "1")
    do("put", "a", "2", "--prev-kv")
    do("put", "a", "--ignore-value")
    do("put", "none", "--ignore-value", check=1)
    do("put", "b/1", input="from standard input")
    for i in range(2, 6):
        do("put", f"b/{i}", i)
    do("put", "c", "x", "--lease=123", check=1)
    do("put", "d", "x", "-w", "json", clean=parsed)
    do("get", "a")
    do("get", "none")
    do("get", "a", "-w", "json", clean=parsed)
    do("get", "a", "-w", "fields", clean=fields)
    do("get", "b/", "--prefix")
    do("get", "b/", "--prefix", "--keys-only")
    do("get", "b/", "--prefix", "--print-value-only")
    do("get", "b/", "--prefix", "--limit=2", "-w", "json", clean=parsed)
    do("get", "b/", "--prefix", "--order=DESCEND", "--sort-by=MODIFY")
    do("get", "b/", "--prefix", "--order=ASCEND", "--sort-by=VALUE")
    do("get", "", "--prefix", "--keys-only")
    do("get", "b/3", "--from-key")
    do("get", "b/2", "b/4")
    do("get", "a", "--rev=2")
    do("get", "a", "--rev=99999", check=1)
    do("get", "a", "--consistency=s")
    if do.version != "3.4":  # which does not know it
        do("get", "b/", "--prefix", "--count-only", "-w", "fields", clean=fields)
    do("get", "a", "--hex")
    do("get", "a", "--sort-by=NOTHING", check=None)
    do("del", "none")
    do("del", "a", "--prev-kv")
    do("del", "b/2", "b/4")
    do("del", "b/", "--prefix", "-w", "json", clean=parsed)
    do("get", "", "--from-key", "-w", "json", clean=parsed)
    do("put", "big", input="x" * 1_600_000, check=1)


@with_each
def test_transactions(do):
    do("put", "k", "1")
    do("txn", input='value("k") = "1"\n\nput k 2\nget k\n\nput k 3\n\n')
    do("txn", input='value("k") = "1"\n\nput k 2\n\nget k\nput other 5\n\n')
    do("txn", "--interactive", input='mod("k") > "0"\nver("other") = "1"\ncreate("none") = "0"\n\ndel k\nput z 1\n\nget k\n\n')
    do("txn", "-w", "json", input='\n\nget z\n\n\n', clean=parsed)
    do("txn", input='\nput same 1\nput same 2\n\n\n', check=1)
    if do.version != "3.4":  # which reads no lease there
        do("txn", input='lease("z") = "0"\n\nget "" --prefix\n\n\n')
    do("txn", input='nonsense\n\n', check=None)
    do("get", "", "--from-key", "-w", "json", clean=parsed)


@with_each
def test_leases(do):
    do.name("lease", r"lease (\w+) granted", lambda side: side.run("lease", "grant", "300")[1])
    do("put", "l1", "x", "--lease={lease}")
    do("put", "l2", "x", "--lease={lease}")
    do("lease", "list")

    def seconds(text):
        text = re.sub(r"remaining\(\d+s\)", "remaining(#)", text)
        # etcd has them in no order.
        return re.sub(r"attached keys\(\[(.*)\]\)", lambda keys: f"attached keys({sorted(keys[1].split())})", text)
    do("lease", "timetolive", "{lease}", clean=seconds)
    do("lease", "timetolive", "{lease}", "--keys", clean=seconds)
    do("lease", "keep-alive", "--once", "{lease}")
    do("lease", "keep-alive", "7777", check=None)
    do.start("lease", "keep-alive", "{lease}", lines=1)
    do("get", "l", "--prefix", "--keys-only")
    do("lease", "revoke", "{lease}")
    do("get", "l", "--prefix")
    do("lease", "revoke", "{lease}", check=1)
    do("lease", "timetolive", "{lease}")
    do("lease", "list")
    do("lease", "grant", "99999999999", check=1)
    # One that runs out by itself.
    do.name("short", r"lease (\w+) granted", lambda side: side.run("lease", "grant", "2")[1])
    do("put", "l3", "x", "--lease={short}")
    for side in do.sides:
        do.context.wait_until("a lease to run out", lambda s=side: s.run("get", "l3")[1] == "", 20)
    do("lease", "timetolive", "{short}")
    do("get", "none", "-w", "json", clean=parsed)


@with_each
def test_watches(do):
    for i in range(4):
        do("put", "w/a", i)
    do("del", "w/a")
    do.start("watch", "w/a", "--rev=2", lines=14)
    do.start("watch", "w/", "--prefix", "--rev=3", "--prev-kv", lines=19)
    events = lambda text: re.findall(r'"(?:key|value|mod_revision|version)":"?[\w+/=]+', text)
    do.start("watch", "w/a", "--rev=2", "-w", "json", lines=1, clean=events)
    script = 'echo "$ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE $ETCD_WATCH_REVISION"'
    do.start("watch", "w/a", "--rev=5", "--", "sh", "-c", script, lines=8)  # two of them the script's own

    def ask_for_progress(started):
        # etcd keeps silent until the watch has caught up, which is some time after it has told all there is.
        for side, process, text in started:
            side.read(process, text, 6)
            for _ in range(200):
                process.stdin.write(b"progress\n")
                process.stdin.flush()
                time.sleep(0.05)
                text.append((process.stdout.read() or b"").decode())
                if text[-1]:
                    break
    do.start("watch", "-i", input="watch w/a --rev=5\n", lines=7, then=ask_for_progress, clean=lambda text: text.splitlines()[:7])

    def put_later(started):
        # The first event of a watch from now on is only one if it was there in time: one is written until one is told.
        for side, process, text in started:
            for number in range(200):
                side.run("put", "now", "same")
                time.sleep(0.05)
                text.append((process.stdout.read() or b"").decode())
                if text[-1]:
                    break
    do.start("watch", "now", lines=3, then=put_later, clean=lambda text: text.splitlines()[:3])
    do("compaction", "4")
    do.start("watch", "w/a", "--rev=2", lines=1, then=lambda started: [side.end(process, 0) for side, process, _ in started])
    do.start("watch", "w/a", "--rev=4", lines=9)


@with_each
def test_compaction_and_maintenance(do):
    for i in range(5):
        do("put", "k", i)
    do("endpoint", "hashkv", "-w", "json", clean=lambda text: re.findall(r'"(?:hash|compact_revision|hash_revision)":\d+', text))
    do("compaction", "4")
    do("compaction", "4", check=1)
    do("compaction", "99", check=1)
    do("compaction", "5", "--physical")
    do("get", "k", "--rev=3", check=1)
    do("get", "k", "--rev=5")
    do("endpoint", "hashkv", "-w", "json", clean=lambda text: re.findall(r'"(?:hash|compact_revision|hash_revision)":\d+', text))
    do("endpoint", "hashkv")
    do("defrag", clean=lambda text: re.sub(r"took .*", "", text))
    do("endpoint", "health", clean=lambda text: re.sub(r"took = .*", "", text))
    do("endpoint", "health", "-w", "json", clean=parsed)
    do("endpoint", "status", "-w", "json", clean=parsed)
    do("endpoint", "status", clean=lambda text: [shape(part) for part in text.split(", ")[3:]])
    do("endpoint", "status", "-w", "table", clean=lambda text: re.findall(r"[A-Z][A-Z -]+", text.replace("<url>", "")))
    do("endpoint", "status", "--cluster", "-w", "json", clean=parsed)
    do("member", "list", clean=lambda text: text.split(", ")[1:2] + text.split(", ")[4:])
    do("member", "list", "-w", "json", clean=lambda text: [sorted(m) for m in json.loads(text)["members"]])
    do("alarm", "list")
    do("alarm", "disarm")
    do("move-leader", "1234", check=None)


@with_each
def test_auth_answers_as_without_users(do):
    do("auth", "status", clean=shape, check=None)
    do("user", "list")
    do("role", "list")
    do("user", "get", "nobody", check=1)
    do("role", "get", "nothing", check=1)
    do("auth", "enable", check=1)
    do("get", "a", "--user", "nobody:secret", check=None)


@with_each
def test_locks_and_elections(do):
    do("lock", "l", "echo", "hi")
    do("lock", "l", "sh", "-c", "exit 3", check=None)
    clean = lambda text: re.sub(r"/[0-9a-f]{10,16}", "/<id>", text)
    do.start("lock", "l", lines=1, clean=clean)
    do.start("elect", "e", "first", lines=2, clean=clean)
    held = [(side, side.start("elect", "e2", "second")) for side in do.sides]
    for side, process in held:
        side.read(process, [], 2)
    do.start("elect", "-l", "e2", lines=2, clean=clean)
    do.start("lock", "other", lines=1, clean=clean)
    do.compare(["elect"], *[side.end(process) for side, process in held])
    do("get", "e2", "--prefix")
    do("get", "l", "--prefix")


@with_each
def test_a_second_lock_waits_for_the_first(do):
    for side in do.sides:
        first = side.start("lock", "one")
        side.read(first, [], 1)
        second = side.start("lock", "one")
        time.sleep(0.5)
        assert not second.stdout.read(), "two hold one lock"
        side.end(first)
        side.read(second, [], 1)
        side.end(second)
    do("get", "one", "--prefix")


def content(side):
    return parsed(side.run("get", "", "--from-key", "-w", "json")[1])


@with_each
def test_snapshots(do):
    context = do.context
    etcdutl, etcd = peer(context, "etcdutl"), peer(context, "etcd")
    for i in range(50):
        do("put", f"s/{i:02}", f"value {i}")
    do("del", "s/1", "s/2")
    do("compaction", "20")
    for side in do.sides:
        file = side.server.data.rstrip("/") + ".snapshot"
        side.names["snapshot"] = file
        code, out, err = side.run("snapshot", "save", file)
        assert code == 0 and "Snapshot saved at" in out + err, out + err
        told = json.loads(context.run(etcdutl, "snapshot", "status", file, "-w", "json").stdout)
        assert told["revision"] == 52 and told["totalKey"] >= 40 and 0 < told["totalSize"] <= os.path.getsize(file), told
        restored = file + ".restored"
        context.run(etcdutl, "snapshot", "restore", file, "--data-dir", restored)
        server = EtcdServer(context, "restored", etcd, data=restored)
        again = Side(context, side.etcdctl, server)
        try:
            context.wait_until("the restored etcd to be healthy", lambda s=again: s.run("endpoint", "health")[0] == 0, 30)
            assert content(again) == content(side), "a restored etcd has something else"
            again.run("put", "new", "1")
            assert again.run("get", "new")[1] == "new\n1\n"
        finally:
            server.stop()
            os.remove(file)
    do("snapshot", "save", "/nonexistent/folder/file", check=None, clean=lambda text: "")


@with_each
def test_mirrors(do):
    first, second = do.sides
    for source, target in ((first, second), (second, first)):
        for i in range(20):
            source.run("put", f"m/{source.server.url}/{i:02}", f"{i}")
        prefix = f"m/{source.server.url}/"
        mirror = source.start("make-mirror", "--prefix", prefix, target.server.url)
        expected = source.run("get", prefix, "--prefix")[1]
        do.context.wait_until("the mirror to have all", lambda: target.run("get", prefix, "--prefix")[1] == expected, 30)
        source.run("put", prefix + "late", "x")
        source.run("del", prefix + "05")
        expected = source.run("get", prefix, "--prefix")[1]
        do.context.wait_until("the mirror to follow", lambda: target.run("get", prefix, "--prefix")[1] == expected, 30)
        source.end(mirror, signal.SIGTERM)
        do.count += 1


@time_limit(900)
@with_each
@takes_minutes
def test_check_perf(do):
    told = []
    for side in do.sides:
        code, out, err = side.run("check", "perf", "--load=s", timeout=180)
        told.append((code, re.findall(r"(PASS|FAIL): ([A-Z]\w+)", out)))
        assert re.search(r"PASS: Throughput", out), f"{side.server.url}: {out}{err}"
    do.compare(["check", "perf"], *([name for _, name in lines] for _, lines in told))
