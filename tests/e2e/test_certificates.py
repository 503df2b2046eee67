"""New authorities and a new key of service account tokens under a cluster that goes on: with several api-servers no request
fails, Pods go on reaching the API with what they have, and what the old ones signed ends only when they are dropped."""
import json
import os
import re
import time

from harness.cluster import CURL, Cluster
from harness.fire import Access, Writer, longest_gap
from harness.functions import Skipped, on_one_engine, time_limit

# Asks as a Pod does that read its token and its authority once, when it started; and as one that reads them each time.
# A line for each answer: the code of HTTP, or curl's own.
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
ASK = ("cp {0}/ca.crt {0}/token /tmp/; while :; do code=$(curl -s -m 5 -o /dev/null -w '%{{http_code}}' --cacert {1}/ca.crt "
       "-H \"Authorization: Bearer $(cat {1}/token)\" https://kubernetes.default.svc/api) || code=curl-$?; "
       "echo $code; sleep 0.2; done")
# The longest time without a write, while three api-servers and three members of etcd are restarted thrice.
LONGEST_GAP = 3.0
MOST_OPEN = 3


def ctl_json(cluster, *words):
    return json.loads(cluster.run_ctl(*words, cluster.name, "--output", "json").stdout)


def certificates(cluster):
    return ctl_json(cluster, "certs", "list")


def authorities(cluster, file="ca.crt"):
    """(those of the file that sign, those that are only trusted), by when they begin and end."""
    found = [c for c in certificates(cluster)["certificates"] if c["file"] == file]
    return [c for c in found if c["isSigning"]], [c for c in found if not c["isSigning"]]


def start_askers(cluster):
    cluster.load_image(CURL)
    for name, folder in (("once", "/tmp"), ("always", ACCOUNT)):
        cluster.apply(cluster.pod(name, "sh", "-c", ASK.format(ACCOUNT, folder), labels={"app": "asker"}, image=CURL))
    return cluster.running_pods("app=asker", 2)


def answers(cluster, name):
    return cluster.kubectl("logs", name).stdout.split()


def wait_answers(cluster, name, wanted, count=3):
    """The last of them are as wanted."""
    def check():
        last = answers(cluster, name)[-count:]
        assert len(last) == count and all(re.fullmatch(wanted, code) for code in last), last
        return True
    cluster.context.wait_until(f"the Pod {name} to hear {wanted}", check, 60, 0.5)


def identities(cluster):
    return {(p["metadata"]["uid"], p["status"]["containerStatuses"][0]["containerID"]) for p in cluster.pods("app=asker")}


def published(cluster):
    return cluster.get("configmap", "kube-root-ca.crt", "-n", "kube-system")["data"]["ca.crt"].count("BEGIN CERTIFICATE")


def with_old(cluster, old, *words):
    return cluster.context.run(cluster.context.kubectl.path, "--kubeconfig", old, *words, check=False)


def keep_kubeconfig(cluster):
    """A copy of the cluster's, as somebody took it elsewhere."""
    path = cluster.kubeconfig + ".copy"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(cluster.run_ctl("kubeconfig", cluster.name).stdout)
    return path


def start_writer(context, cluster, namespace):
    cluster.kubectl("create", "namespace", namespace)
    writer = Writer(Access(json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json").stdout), context.work), namespace)
    writer.start()
    return writer


def check_after_new(cluster, old, before):
    listed = certificates(cluster)
    assert set(listed["rotation"].values()) == {"NewSigns"}, listed["rotation"]
    assert all(not c["problem"] for c in listed["certificates"]), listed
    signing, trusted = authorities(cluster)
    assert len(signing) == len(trusted) == 1
    assert "--drop-old" in cluster.run_ctl("certs", "check", cluster.name).stdout
    assert with_old(cluster, old, "get", "nodes").returncode == 0
    cluster.context.wait_until("both authorities in every namespace", lambda: published(cluster) == 2, 20)
    for name in ("once", "always"):
        wait_answers(cluster, name, "200")
    assert identities(cluster) == before, "the Pods ran on"


def check_after_drop(cluster, old, before):
    assert set(certificates(cluster)["rotation"].values()) == {"None"}
    signing, trusted = authorities(cluster)
    assert len(signing) == 1 and not trusted
    refused = with_old(cluster, old, "get", "nodes")
    assert refused.returncode != 0 and re.search("x509|certificate|Unauthorized", refused.stderr), refused.stderr
    cluster.write_kubeconfig()
    cluster.context.wait_until("the new authority alone in every namespace", lambda: published(cluster) == 1, 20)
    wait_answers(cluster, "always", "200")
    wait_answers(cluster, "once", "curl-60|401")  # what it has read at its start ends
    assert identities(cluster) == before, "the Pods ran on"
    assert "error" not in ctl_json(cluster, "status")
    cluster.run_ctl("certs", "check", cluster.name)


def tell(what, begin, writer=None):
    trouble = f"; the writer's longest gap {longest_gap(writer.times, begin, time.monotonic()):.2f} s" if writer else ""
    print(f"  {what}: {time.monotonic() - begin:.1f} s{trouble}", flush=True)


def rotate_under_fire(context, cluster, namespace, *flags):
    """The command, while a client writes with the kubeconfig of before: nothing it asks for fails."""
    writer, begin = start_writer(context, cluster, namespace), time.monotonic()
    context.wait_until("writes", lambda: len(writer.times) > 20, 20)
    cluster.run_ctl("certs", "rotate", cluster.name, *flags, timeout=240)
    tell(f"certs rotate {' '.join(flags)}", begin, writer)
    writer.stop()
    # An update whose member of etcd ends between the write and the answer: its outcome is open, and the client is told so.
    troubles = writer.troubles.between(begin, time.monotonic())
    assert sum(troubles.values()) <= MOST_OPEN and all(what.startswith("500 ") for what in troubles), f"requests failed: {troubles}"
    print(f"  of {len(writer.times)} writes the outcome was open: {troubles}", flush=True)
    gap = longest_gap(writer.times, begin, time.monotonic())
    assert gap < context.seconds(LONGEST_GAP), f"{gap:.1f} s without a write"


@on_one_engine(0)
@time_limit(240)
def test_highly_available_without_a_failed_request(context):
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = Cluster(context, name="many", home=os.path.join(context.work, "many"), create_flags=["--ha"])
    try:
        cluster.create()
        start_askers(cluster)
        for name in ("once", "always"):
            wait_answers(cluster, name, "200")
        before, old = identities(cluster), keep_kubeconfig(cluster)
        rotate_under_fire(context, cluster, "fire", "--authorities")
        check_after_new(cluster, old, before)
        failed = {name: [code for code in answers(cluster, name) if code != "200"] for name in ("once", "always")}
        print(f"  what Pods heard beside 200: {failed}", flush=True)
        cluster.write_kubeconfig()
        rotate_under_fire(context, cluster, "drop", "--drop-old", "--yes")
        check_after_drop(cluster, old, before)
    finally:
        cluster.remove()


@time_limit(120)
def test_all_in_one(context):
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = Cluster(context, name="one", home=os.path.join(context.work, "one"))
    try:
        cluster.create()
        start_askers(cluster)
        for name in ("once", "always"):
            wait_answers(cluster, name, "200")
        before, old, begin = identities(cluster), keep_kubeconfig(cluster), time.monotonic()
        cluster.run_ctl("certs", "rotate", cluster.name, "--authorities")
        tell("certs rotate --authorities", begin)
        check_after_new(cluster, old, before)
        cluster.write_kubeconfig()
        begin = time.monotonic()
        cluster.run_ctl("certs", "rotate", cluster.name, "--drop-old", "--yes")
        tell("certs rotate --drop-old", begin)
        check_after_drop(cluster, old, before)
    finally:
        cluster.remove()
