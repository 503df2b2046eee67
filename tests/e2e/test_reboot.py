"""A restart of the host: the same Pods run again with their data and addresses, whatever the engine itself has brought up before
`rusternetes-ctl start`, and no packet to a service address gets out meanwhile."""
import json
import os

from harness.cluster import Cluster, assert_matches
from harness.functions import Skipped, on_one_engine, time_limit
from harness.programs import host_state
from harness.reboot import end_unseen, reboot
from test_topologies import ask_engine, check_traffic, engine_things, start_web, status

# What a first start wrote, a later one only shows.
KEEP = "[ -e /data/first ] || date +%s.%N >/data/first; cat /data/first; exec httpd -f -p 8080 -h /data"
# From its first moment on, whatever the node has of rules by then.
CALL = "while :; do timeout 1 wget -q -O /dev/null http://{address}/ && echo reached; usleep 50000; done 2>/dev/null"


def in_outside(context, *words):
    return context.run("ip", "netns", "exec", "outside", "nft", *words).stdout


def count_outside(context, cluster):
    """From here on, packets to the cluster's service addresses that reach the outside."""
    ranges = [r for cidr in cluster.get("servicecidrs")["items"] for r in cidr["spec"]["cidrs"]]
    in_outside(context, "add table inet seen; delete table inet seen; add table inet seen; add counter inet seen c;"
               "add chain inet seen in { type filter hook prerouting priority -300; };" +
               "".join(f"add rule inet seen in ip daddr {r} counter name c;" for r in ranges))


def counted_outside(context):
    listed = json.loads(in_outside(context, "-j", "list", "counters", "table", "inet", "seen"))["nftables"]
    return next(item["counter"]["packets"] for item in listed if "counter" in item)


def start_pods(context, cluster, nodes):
    """web: behind a Service; keeper: has data; caller: asks the Service all the time; nodal: on the node's network."""
    web = start_web(cluster, nodes)
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    caller = ["sh", "-c", CALL.format(address=address)]
    keeper = cluster.pod("keeper", "sh", "-c", KEEP, container={"volumeMounts": [{"name": "data", "mountPath": "/data"}]},
                         volumes=[{"name": "data", "emptyDir": {}}])
    cluster.apply(keeper, cluster.pod("caller", *caller), cluster.pod("nodal", *caller, hostNetwork=True),
                  {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}, "data": {"key": "value"}})
    for name in ("keeper", "caller", "nodal"):
        cluster.running_pods(f"app={name}", 1)
    for name in ("caller", "nodal"):
        context.wait_until(f"{name} to reach the Service", lambda name=name: "reached" in cluster.kubectl("logs", name).stdout, 30)
    return web


def all_pods(cluster, nodes):
    """{name: (UID, restarts)}, once all run."""
    found = [p for app, count in (("web", nodes), ("keeper", 1), ("caller", 1), ("nodal", 1))
             for p in cluster.running_pods(f"app={app}", count)]
    return {p["metadata"]["name"]: (p["metadata"]["uid"], p["status"]["containerStatuses"][0]["restartCount"]) for p in found}


def kept_data(cluster):
    return cluster.exec("keeper", "cat", "/data/first").stdout, cluster.get("configmap", "kept")["data"]


def restarted(before):
    return {name: (uid, restarts + 1) for name, (uid, restarts) in before.items()}


def check_what_the_engine_brought_up(context, cluster, has_containers):
    """Docker starts what is to run always, so that the API is there before anybody says `start`; of what joins another container's
    network it starts what comes by chance after that one. Podman starts nothing, and a process has nobody but systemd."""
    if has_containers and context.engine == "docker":
        context.wait_until("the API", lambda: cluster.kubectl("get", "nodes", check=False).returncode == 0, 60)
        seen = status(cluster).get("error")  # once: Docker may still be about to start others
        if seen and seen["id"] != "NotReady":
            assert seen["id"] == "ComponentEnded", seen
            assert_matches("kubelet|kube-proxy", seen["message"])
        return
    check_told(cluster, "ClusterEnded")
    assert not ask_running(context, cluster, "io.rusternetes.owner"), "nobody can have wired these Pods"


def check_told(cluster, error):
    told = cluster.run_ctl("status", cluster.name, check=False)
    assert told.returncode == 9, told
    assert_matches(rf"\[{error}\]\n`rusternetes-ctl start", told.stderr)
    assert_matches("Nodes? ready: +(0 of|no)", told.stdout) if error == "ClusterEnded" else None


def ask_running(context, cluster, label):
    listed = json.loads(ask_engine(context, "GET", "/containers/json"))
    return [c["Names"] for c in listed if label in c["Labels"] and cluster.name in str(c)]


def check_world(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if context.run("ip", "netns", "exec", "outside", "true", check=False).returncode != 0:
        raise Skipped("this world has no outside")


def check_reboot(context, name, nodes, *flags):
    check_world(context)
    cluster = Cluster(context, name=name, home=os.path.join(context.work, name), create_flags=flags)
    try:
        cluster.create()
        start_pods(context, cluster, nodes)
        before, data = all_pods(cluster, nodes), kept_data(cluster)
        count_outside(context, cluster)
        reboot(context, cluster.home)
        check_what_the_engine_brought_up(context, cluster, bool(flags))
        cluster.run_ctl("start", name)
        context.wait_until("the same Pods to run again", lambda: all_pods(cluster, nodes) == restarted(before))
        assert kept_data(cluster) == data
        check_traffic(context, cluster, cluster.running_pods("app=web", nodes))
        for pod in ("caller", "nodal"):
            context.wait_until(f"{pod} to reach the Service", lambda pod=pod: "reached" in cluster.kubectl("logs", pod).stdout, 30)
        assert counted_outside(context) == 0, "a packet to a service address left the host"
        cluster.run_ctl("status", name)
    finally:
        cluster.remove()
    assert not [line for line in host_state(context) if name in line]
    assert name not in str(engine_things(context))


@time_limit(240)
def test_all_in_one(context):
    check_reboot(context, "bootone", 1)


@on_one_engine(1)
@time_limit(240)
def test_sqlite_with_two_nodes(context):
    check_reboot(context, "bootlite", 2, "--mode", "sqlite")


@on_one_engine(0)
@time_limit(240)
def test_etcd_with_two_nodes(context):
    check_reboot(context, "bootbig", 2, "--mode", "etcd")


@time_limit(240)
def test_containers_whose_end_nobody_saw_run_again(context):
    """Podman goes on calling them running, Docker hears of it."""
    check_world(context)
    cluster = Cluster(context, name="unseen", home=os.path.join(context.work, "unseen"), create_flags=["--mode", "sqlite", "--nodes", "1"])
    try:
        cluster.create()
        start_pods(context, cluster, 1)
        before, data = all_pods(cluster, 1), kept_data(cluster)
        end_unseen(context)
        if context.engine == "podman":
            check_told(cluster, "ClusterEnded")
            assert_matches(r"^kubelet-1 .*ended unseen", cluster.run_ctl("status", "unseen", check=False).stdout)
        cluster.run_ctl("start", "unseen")
        context.wait_until("the same Pods to run again", lambda: all_pods(cluster, 1) == restarted(before))
        assert kept_data(cluster) == data
        check_traffic(context, cluster, cluster.running_pods("app=web", 1))
        # What cannot be stopped any more is no hindrance.
        end_unseen(context)
        cluster.run_ctl("stop", "unseen")
        cluster.run_ctl("start", "unseen")
        assert {name: uid for name, (uid, _) in all_pods(cluster, 1).items()} == {name: uid for name, (uid, _) in before.items()}
        end_unseen(context)
    finally:
        cluster.remove()
    assert "unseen" not in str(engine_things(context))
