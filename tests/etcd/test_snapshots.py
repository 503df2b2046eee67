"""Whole stores carried between servers that run: rhino to one and to three etcds (3.6 and Debian's 3.4) and back, by
`rhino snapshot save`, `restore` and `import`. Keys are equal, revisions rise, who watched an older one is told so."""
import contextlib
import json
import os
import signal

from etcd_servers import EtcdServer, peer
from harness.programs import Program, free_port

BUMP = 1_000_000_000


def etcdctl(context, url, *words, check=True):
    return context.run(peer(context, "etcdctl"), "--endpoints", url, *words, check=check, env={"ETCDCTL_API": "3"})


def healthy(context, url):
    context.wait_until(f"{url} to be healthy", lambda: etcdctl(context, url, "endpoint", "health", check=False).returncode == 0, 40)


def keys(context, url):
    """{key: (value, create revision, mod revision, version, lease)} and the revision."""
    told = json.loads(etcdctl(context, url, "get", "--prefix", "", "-w", "json").stdout)
    fields = ("value", "create_revision", "mod_revision", "version", "lease")
    return {kv["key"]: tuple(kv.get(field) for field in fields) for kv in told.get("kvs", [])}, told["header"]["revision"]


def fill(context, url):
    lease = etcdctl(context, url, "lease", "grant", "9000").stdout.split()[1]
    for i in range(40):
        etcdctl(context, url, "put", f"/registry/things/{i % 25}", f"value {i} " + "x" * 100 * i)
    etcdctl(context, url, "del", "/registry/things/3")
    etcdctl(context, url, "put", "/leased", "1", f"--lease={lease}")
    etcdctl(context, url, "compaction", "12")


def told_compacted(context, url, revision):
    said = context.run("timeout", "10", peer(context, "etcdctl"), "--endpoints", url, "watch", "--prefix", "/", f"--rev={revision}",
                       check=False)
    return "required revision has been compacted" in said.stdout + said.stderr


class Cluster:
    """Members of etcd on data folders that were restored."""

    def __init__(self, context, ends, name, program, count, file):
        self.context, self.programs, self.urls = context, [], []
        peers = [f"http://127.0.0.1:{free_port()}" for _ in range(count)]
        initial = ",".join(f"{name}-{i}={url}" for i, url in enumerate(peers))
        for i, url in enumerate(peers):
            data = os.path.join(context.work, f"{name}-{i}.data")
            context.run(context.binary("rhino"), "snapshot", "restore", file, "--data-dir", data, "--name", f"{name}-{i}",
                        "--initial-cluster", initial, "--initial-advertise-peer-urls", url, "--initial-cluster-token", name,
                        "--bump-revision", BUMP, "--mark-compacted")
            client = f"http://127.0.0.1:{free_port()}"
            self.urls.append(client)
            self.programs.append(Program(context, f"{name}-{i}", program, "--name", f"{name}-{i}", "--data-dir", data,
                                         "--listen-client-urls", client, "--advertise-client-urls", client,
                                         "--listen-peer-urls", url, "--initial-advertise-peer-urls", url,
                                         "--initial-cluster", initial, "--logger", "zap", "--log-level", "error"))
            ends.callback(self.programs[-1].end)
        for url in self.urls:
            healthy(context, url)


def there_and_back(context, program, count):
    with contextlib.ExitStack() as ends:
        carry(context, ends, program, count)


def carry(context, ends, program, count):
    name = f"{os.path.basename(program).replace('.', '-')}-of-{count}"
    rhino = EtcdServer(context, f"rhino-{name}", context.binary("rhino"))
    ends.callback(rhino.stop)
    healthy(context, rhino.url)
    fill(context, rhino.url)
    before, revision = keys(context, rhino.url)
    file = os.path.join(context.work, f"{name}.snap")
    saved = context.run(context.binary("rhino"), "snapshot", "save", file, "--endpoints", f"http://127.0.0.1:1,{rhino.url}")
    assert f"revision {revision}, {len(before)} keys" in saved.stdout, saved.stdout

    cluster = Cluster(context, ends, name, program, count, file)
    for url in cluster.urls:
        after, raised = keys(context, url)
        assert after == before and raised == revision + BUMP, (raised, len(after))
        assert told_compacted(context, url, revision)
        members = etcdctl(context, url, "member", "list").stdout
        assert members.count(", started, ") == count, members
    for i, url in enumerate(cluster.urls):
        etcdctl(context, url, "put", f"/written/{i}", "later")
    before, revision = keys(context, cluster.urls[0])

    # Back as a store of rhino's, from the first server that answers; one member is down where there are several.
    if count > 1:
        cluster.programs[0].stop()
    data = os.path.join(context.work, f"back-{name}.data")
    os.mkdir(data)
    context.run(context.binary("rhino"), "snapshot", "save", os.path.join(data, "store.db"), "--format", "sqlite", "--bump-revision",
                BUMP, "--endpoints", ",".join(cluster.urls))
    assert os.listdir(data) == ["store.db"], os.listdir(data)
    back = EtcdServer(context, f"back-{name}", context.binary("rhino"), data)
    ends.callback(back.stop)
    healthy(context, back.url)
    after, raised = keys(context, back.url)
    assert after == before and raised == revision + BUMP
    assert told_compacted(context, back.url, revision)
    etcdctl(context, back.url, "put", "/written/last", "on rhino")


def test_rhino_to_one_etcd_and_back(context):
    there_and_back(context, peer(context, "etcd"), 1)


def test_rhino_to_three_etcds_and_back(context):
    there_and_back(context, peer(context, "etcd"), 3)


def test_rhino_to_one_etcd_of_debian_and_back(context):
    there_and_back(context, peer(context, "etcd-3.4"), 1)


def test_rhino_to_three_etcds_of_debian_and_back(context):
    there_and_back(context, peer(context, "etcd-3.4"), 3)


def test_a_killed_etcd_comes_over_whole(context):
    """What it acknowledged a moment before is in its write-ahead log alone."""
    for name in ("etcd", "etcd-3.4"):
        with contextlib.ExitStack() as ends:
            bring_over_killed(context, ends, name)


def bring_over_killed(context, ends, name):
    data = os.path.join(context.work, f"killed-{name}.data")
    url = f"http://127.0.0.1:{free_port()}"
    etcd = Program(context, f"killed-{name}", peer(context, name), "--data-dir", data, "--listen-client-urls", url,
                   "--advertise-client-urls", url, "--listen-peer-urls", f"http://127.0.0.1:{free_port()}",
                   "--logger", "zap", "--log-level", "error")
    ends.callback(etcd.end)
    healthy(context, url)
    fill(context, url)
    before, revision = keys(context, url)
    etcdctl(context, url, "put", "/last", "one")
    etcd.stop(signal.SIGKILL)
    store = os.path.join(context.work, f"killed-{name}.rhino")
    context.run(context.binary("rhino"), "snapshot", "import", "--from", data, "--data-dir", store)
    rhino = EtcdServer(context, f"after-{name}", context.binary("rhino"), store)
    ends.callback(rhino.stop)
    healthy(context, rhino.url)
    after, raised = keys(context, rhino.url)
    assert raised == revision + 1 + BUMP, (raised, revision)
    assert len(after) == len(before) + 1 and all(after[key] == before[key] for key in before)
