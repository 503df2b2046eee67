"""Clients work on few keys while servers are killed: what they saw must have been one store (Porcupine), and what watchers were
told must be what etcd's documentation promises: ordered, unique, reliable, atomic, resumable, bookmarkable."""
import re

from etcd_servers import build_checker, check, peer, seed, share
from harness.functions import time_limit


def setup(context):
    build_checker(context)


def holds(context, operations, kills, *words):
    code, output = check(context, "linearizability", "--operations", operations, "--kills", kills, "--seed", seed(), *words)
    assert code == 0 and "Porcupine: Ok" in output, output[-5000:]
    checked = int(re.search(r"(\d+) operations", output)[1])
    assert checked > operations * 0.8, output


@time_limit(600)
def test_rhino_is_linearizable_through_kills(context):
    holds(context, int(40_000 * share()), max(3, int(30 * share())), "--server", context.binary("rhino"))


@time_limit(600)
def test_three_etcds_are_linearizable_through_kills(context):
    holds(context, int(20_000 * share()), max(2, int(15 * share())), "--server", peer(context, "etcd"), "--members", 3)


@time_limit(300)
def test_violations_are_found(context):
    etcd = peer(context, "etcd")
    told = {"stale-read": "not linearizable", "lost-write": "acknowledged write is lost", "watch-split": "atomic",
            "watch-bookmark": "bookmarkable"}
    if share() == 1:
        told |= {"watch-drop": "reliable", "watch-twice": "unique", "watch-order": "reliable|ordered", "watch-prev": "reliable"}
    for fault, words in told.items():
        code, output = check(context, "linearizability", "--server", etcd, "--operations", 2500, "--kills", 1, "--check-for", "20s",
                             "--fault", fault, "--seed", seed())
        assert code == 1 and "VIOLATION" in output and re.search(words, output), f"{fault}: {output[-3000:]}"
