"""kill -9 in a loop under load: nothing acknowledged is lost, slow and reconnecting watchers miss no event, leases stay or run
out as they should."""
import re

from etcd_servers import build_checker, check, peer, seed, share
from harness.functions import time_limit


def setup(context):
    build_checker(context)


def survives(context, kills, *words):
    code, output = check(context, "crash", "--kills", kills, "--for", f"{kills * 10}s", "--seed", seed(), *words, timeout=1200)
    assert code == 0, output[-5000:]
    told = re.search(r"(\d+) kills in .* (\d+) puts acknowledged", output)
    assert told and int(told[1]) >= min(kills, 3) and int(told[2]) > 100, output


@time_limit(1300)
def test_rhino_keeps_what_it_acknowledged(context):
    survives(context, int(60 * share()), "--server", context.binary("rhino"))


@time_limit(1300)
def test_three_etcds_keep_what_they_acknowledged(context):
    survives(context, max(3, int(30 * share())), "--server", peer(context, "etcd"), "--members", 3)


def test_losses_are_found(context):
    told = {"lost-write": "acknowledged write is lost", "watch-drop": "reliable"}
    for fault, words in told.items():
        code, output = check(context, "crash", "--server", peer(context, "etcd"), "--kills", 1, "--fault", fault, "--seed", seed())
        assert code == 1 and "VIOLATION" in output and words in output, f"{fault}: {output[-3000:]}"
