"""A cluster's life: create, list, stop and start, delete, and that nothing of it is left."""
import json
import os

from harness.cluster import Cluster, assert_matches
from harness.functions import Skipped, time_limit
from harness.programs import host_state


def need_kubectl(context):
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")


def containers(context):
    """Names of every container that the engine knows of."""
    listed = context.run("curl", "-sf", "--unix-socket", context.socket, "http://engine/v1.41/containers/json?all=true")
    return [name for c in json.loads(listed.stdout) for name in c["Names"]]


@time_limit(240)
def test_create_makes_a_ready_node_and_delete_leaves_nothing(context):
    context.binary("rusternetes-ctl")
    need_kubectl(context)
    # Docker makes its own chains, and both engines their cgroup parents, with the first container ever.
    first = Cluster(context, name="warm", home=os.path.join(context.work, "warm")).create()
    first.remove()
    before, names = host_state(context), containers(context)
    cluster = Cluster(context, name="short", home=os.path.join(context.work, "short")).create()
    assert cluster.node_is_ready()
    assert_matches(r"\bshort\b", cluster.run_ctl("list").stdout)
    assert host_state(context) != before, "a cluster without a link, a route and a rule cannot be right"
    cluster.remove()
    left = [line for line in host_state(context) if line not in before]
    after = set(host_state(context))
    gone = [line for line in before if line not in after]
    assert (left, gone) == ([], []), f"left: {left}; gone: {gone}"
    assert containers(context) == names
    assert "short" not in cluster.run_ctl("list").stdout
    files = [os.path.join(folder, f) for folder, _, fs in os.walk(cluster.home) for f in fs if "short" in folder]
    assert files == [], files


@time_limit(240)
def test_two_clusters_stand_side_by_side_and_deleting_one_leaves_the_other(context):
    context.binary("rusternetes-ctl")
    need_kubectl(context)
    clusters = [Cluster(context, name=name, home=os.path.join(context.work, "pair")) for name in ("one", "two")]
    try:
        for cluster in clusters:
            cluster.create()
            cluster.load_image()
            cluster.apply(cluster.deployment("web"))
        for cluster in clusters:
            cluster.running_pods("app=web", 1)
        addresses = [cluster.pods("app=web")[0]["status"]["podIP"] for cluster in clusters]
        assert addresses[0] != addresses[1], addresses
        clusters[0].remove()
        clusters[1].running_pods("app=web", 1)
        assert clusters[1].node_is_ready()
    finally:
        clusters[0].run_ctl("delete", "--all", "--yes")


@time_limit(240)
def test_stop_and_start_bring_the_same_pods_back(context):
    context.binary("rusternetes-ctl")
    need_kubectl(context)
    cluster = Cluster(context, name="again", home=os.path.join(context.work, "again")).create()
    try:
        cluster.load_image()
        cluster.apply(cluster.deployment("web", replicas=2))
        uids = {p["metadata"]["uid"] for p in cluster.running_pods("app=web", 2)}
        cluster.run_ctl("stop", "again")
        assert cluster.kubectl("get", "pods", "--request-timeout", "3s", check=False).returncode != 0
        cluster.run_ctl("start", "again")
        cluster.write_kubeconfig()
        assert {p["metadata"]["uid"] for p in cluster.running_pods("app=web", 2)} == uids
    finally:
        cluster.remove()


@time_limit(240)
def test_restart_and_new_certificates_leave_pods_and_kubectl_alone(context):
    context.binary("rusternetes-ctl")
    need_kubectl(context)
    cluster = Cluster(context, name="anew", home=os.path.join(context.work, "anew")).create()
    try:
        cluster.load_image()
        cluster.apply(cluster.deployment("web"))
        def alive():
            return [(p["metadata"]["uid"], p["status"]["podIP"], p["status"]["containerStatuses"][0]["containerID"],
                     p["status"]["containerStatuses"][0]["restartCount"]) for p in cluster.running_pods("app=web", 1)]
        before, kubeconfig = alive(), cluster.run_ctl("kubeconfig", "anew").stdout
        pid = json.loads(cluster.run_ctl("status", "anew", "--output", "json").stdout)["process"]["pid"]
        for words in (("restart", "anew"), ("certs", "rotate", "anew")):
            assert_matches("Its Pods ran on|are new, and the cluster is ready", cluster.run_ctl(*words).stdout)
            now = json.loads(cluster.run_ctl("status", "anew", "--output", "json").stdout)["process"]["pid"]
            assert now not in (0, pid), words
            pid = now
            assert alive() == before
        assert cluster.run_ctl("kubeconfig", "anew").stdout != kubeconfig
        assert_matches("are good for 30 days", cluster.run_ctl("certs", "check", "anew").stdout)
        # Who kept a copy of the old kubeconfig still gets in.
        old = os.path.join(context.work, "anew-old.conf")
        with open(old, "w", encoding="utf-8") as out:
            out.write(kubeconfig)
        context.run(context.kubectl.path, "--kubeconfig", old, "get", "nodes")
        context.run(context.kubectl.path, "--kubeconfig", os.path.join(cluster.home, "clusters", "anew", "kubeconfig"), "get", "nodes")
    finally:
        cluster.remove()


def test_deleting_a_cluster_that_is_not_there_fails_in_one_sentence(context):
    cluster = Cluster(context, name="nobody", home=os.path.join(context.work, "nobody"))
    done = cluster.run_ctl("delete", "nobody", "--yes", check=False)
    assert done.returncode != 0 and len(done.stderr.strip().splitlines()) <= 2, done
    assert_matches("nobody", done.stderr)
