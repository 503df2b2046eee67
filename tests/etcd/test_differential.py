"""One random sequence of operations on rhino and on a real etcd: the same answers, revisions, errors and events."""
import os

from etcd_servers import build_checker, check, need, peer, seed, share
from harness.functions import time_limit

CASES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")


def setup(context):
    context.state["etcd"] = peer(context, "etcd")
    build_checker(context)


@time_limit(900)
def test_rhino_answers_as_etcd_does(context):
    count = int(100_000 * share())
    code, output = check(context, "differential", "--a", context.state["etcd"], "--b", context.binary("rhino"), "--count", count,
                         "--slow", max(1, int(10 * share())), "--seed", seed())
    assert code == 0, output[-6000:]
    assert f"{count} operations" in output and "no difference" in output, output[-1000:]


def test_cases_of_earlier_differences_stay_without_one(context):
    names = sorted(os.listdir(CASES))
    need(names, "there are no cases")
    for name in names:
        code, output = check(context, "differential", "--a", context.state["etcd"], "--b", context.binary("rhino"), "--replay",
                             os.path.join(CASES, name))
        assert code == 0, f"{name}:\n{output[-4000:]}"


def test_two_etcds_do_not_differ(context):
    etcd = context.state["etcd"]
    code, output = check(context, "differential", "--a", etcd, "--b", etcd, "--count", 1500, "--slow", 0, "--seed", seed())
    assert code == 0, output[-6000:]


@time_limit(600)
def test_faults_are_found_and_shrunk(context):
    etcd = context.state["etcd"]
    faults = ["nested", "watch-prev"]
    if share() == 1:
        faults += ["version", "count", "prev-kvs", "lease-keys", "error-text", "watch-drop", "watch-order", "watch-split", "watch-bookmark"]
    for fault in faults:
        code, output = check(context, "differential", "--a", etcd, "--b", etcd, "--count", 3000, "--slow", 0, "--seed", seed(),
                             "--fault", fault, "--shrink-for", "30s")
        assert code == 1 and "DIFFERENCE with seed" in output, f"{fault}: {output[-3000:]}"
        assert "the smallest case" in output and "--replay" in output, f"{fault}: {output[-3000:]}"
