"""Clusters whose components are containers: what works in them, a component's death, stop and start, and that nothing is
left."""
import contextlib
import json
import os
import urllib.request

from harness.cluster import IMAGE, Cluster, assert_matches, untranslated_drops
from harness.functions import Skipped, on_one_engine, time_limit
from harness.programs import host_state

SERVE = "mkdir -p /tmp/www; hostname >/tmp/www/index.html; exec httpd -f -p 8080 -h /tmp/www"


@contextlib.contextmanager
def cluster_of(context, name, *flags):
    """A cluster that has gone afterwards, with all that it made: the host is compared."""
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    # Engines make chains and cgroup parents with the first container ever, and Docker its own with the first network.
    warm = Cluster(context, name="warm", home=os.path.join(context.work, "warm"), create_flags=flags).create()
    warm.remove()
    before, things = host_state(context), engine_things(context)
    cluster = Cluster(context, name=name, home=os.path.join(context.work, name), create_flags=flags)
    try:
        yield cluster.create()
    finally:
        cluster.remove()
    after = host_state(context)
    left, gone = [line for line in after if line not in before], [line for line in before if line not in after]
    assert (left, gone) == ([], []), f"left: {left}; gone: {gone}"
    assert engine_things(context) == things
    assert not os.path.exists(os.path.join(cluster.home, "clusters"))


def ask_engine(context, method, path, check=True):
    return context.run("curl", "-sf", "-X", method, "--unix-socket", context.socket, "http://engine/v1.41" + path, check=check).stdout


def engine_things(context):
    """Names of the containers, networks and our own images that the engine has."""
    containers = [c["Names"] for c in json.loads(ask_engine(context, "GET", "/containers/json?all=true"))]
    networks = sorted(n["Name"] for n in json.loads(ask_engine(context, "GET", "/networks")))
    images = sorted(t for i in json.loads(ask_engine(context, "GET", "/images/json")) for t in i.get("RepoTags") or []
                    if "rusternetes" in t)
    return containers, networks, images


def status(cluster):
    return json.loads(cluster.run_ctl("status", cluster.name, "--output", "json", check=False).stdout)


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode().strip()


def start_web(cluster, nodes):
    """A Pod of the Deployment `web` on each node, each of which answers with its name, behind a Service of type NodePort."""
    cluster.load_image()
    web = cluster.deployment("web", replicas=nodes, command=("sh", "-c", SERVE))
    spread = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    web["spec"]["template"]["spec"]["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [spread]}}
    cluster.apply(web, cluster.service("web", type="NodePort"))
    return cluster.running_pods("app=web", nodes)


def identities(pods):
    return {(p["metadata"]["uid"], p["status"]["podIP"], p["status"]["containerStatuses"][0]["containerID"],
             p["status"]["containerStatuses"][0]["restartCount"]) for p in pods}


def node_port(cluster):
    return cluster.get("service", "web")["spec"]["ports"][0]["nodePort"]


def check_traffic(context, cluster, pods):
    """From each Pod and from the host: the Service by name, address and on each node, and every Pod."""
    names = {p["metadata"]["name"] for p in pods}
    service, port = cluster.get("service", "web")["spec"], node_port(cluster)
    nodes = [a["address"] for n in cluster.get("nodes")["items"] for a in n["status"]["addresses"] if a["type"] == "InternalIP"]
    targets = [f"http://{service['clusterIP']}:80/"] + [f"http://{address}:{port}/" for address in nodes]

    def from_pod(pod, url):
        return cluster.exec(pod["metadata"]["name"], "timeout", "5", "wget", "-q", "-O", "-", url).stdout.strip()

    def name_in(pod):
        return cluster.exec(pod["metadata"]["name"], "nslookup", "web.default.svc.cluster.local").stdout

    for url in targets:
        assert context.wait_until(f"{url} on the host", lambda url=url: fetch(url), 10) in names
        for pod in pods:
            assert context.wait_until(f"{url} in a Pod", lambda url=url, pod=pod: from_pod(pod, url), 10) in names
    for pod in pods:
        assert_matches(service["clusterIP"], context.wait_until("the Service's name", lambda pod=pod: name_in(pod), 10))
        for other in pods:
            url = f"http://{other['status']['podIP']}:8080/"
            assert from_pod(pod, url) == fetch(url) == other["metadata"]["name"]
    # A Service reaches each of them.
    assert {from_pod(pods[0], targets[0]) for _ in range(40)} == names


def check_kubectl(cluster, pods):
    name = pods[0]["metadata"]["name"]
    assert_matches(name, cluster.exec(name, "hostname").stdout)
    assert cluster.kubectl("get", "--raw", f"/api/v1/namespaces/default/pods/{name}:8080/proxy/").stdout.strip() == name
    assert cluster.kubectl("get", "--raw", "/api/v1/namespaces/default/services/web:80/proxy/").stdout.strip()
    assert cluster.kubectl("logs", name).stdout == ""


def kill_component(context, cluster, key):
    """SIGKILL, as a crash would be; waits until the engine has started it again."""
    name = f"rusternetes-{cluster.name}-{key}"

    def state():
        return json.loads(ask_engine(context, "GET", f"/containers/{name}/json"))["State"]
    before = state()
    os.kill(before["Pid"], 9)
    context.wait_until(f"{key} to run again", lambda: (lambda s: s["Running"] and s["Pid"] not in (0, before["Pid"]))(state()), 20)


def check_deaths(context, cluster, pods, keys):
    before = identities(pods)
    for key in keys:
        kill_component(context, cluster, key)
        context.wait_until(f"the cluster to be whole without {key}'s old process",
                           lambda: "error" not in status(cluster), 40)
        assert identities(cluster.running_pods("app=web", len(pods))) == before, key
    check_traffic(context, cluster, pods)


def check_stop_and_start(context, cluster, nodes):
    uids = {p["metadata"]["uid"] for p in cluster.running_pods("app=web", nodes)}
    cluster.run_ctl("stop", cluster.name)
    assert status(cluster)["error"]["id"] == "ClusterStopped"
    assert not [n for n in engine_things(context)[0] if f"rusternetes-{cluster.name}-" in str(n)]
    cluster.run_ctl("start", cluster.name)
    pods = cluster.running_pods("app=web", nodes)
    assert {p["metadata"]["uid"] for p in pods} == uids
    check_traffic(context, cluster, pods)
    return pods


def note(cluster, text):
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "note"}, "data": {"text": text}})


def noted(cluster):
    return cluster.get("configmap", "note")["data"]["text"]


def take_snapshot(cluster):
    note(cluster, "before")
    done = cluster.run_ctl("snapshot", "create", cluster.name, "--output", "json")
    note(cluster, "after")
    return json.loads(done.stdout)["snapshot"]["id"]


def check_restore(cluster, nodes):
    """The objects are as they were, and Pods run on."""
    before = identities(cluster.running_pods("app=web", nodes))
    snapshot = take_snapshot(cluster)
    cluster.run_ctl("restore", cluster.name, "--id", snapshot, "--yes")
    assert noted(cluster) == "before"
    assert identities(cluster.running_pods("app=web", nodes)) == before
    note(cluster, "later")


@contextlib.contextmanager
def clone_of(cluster, name, *flags):
    """A cluster beside it, of a snapshot that is made now."""
    snapshot = take_snapshot(cluster)
    other = Cluster(cluster.context, name=name, home=cluster.home)
    other.run_ctl("clone", name, "--from", snapshot, "--engine", cluster.context.engine, "--yes", *flags)
    other.write_kubeconfig()
    try:
        yield other
    finally:
        other.remove()


def check_added_range(context, cluster):
    """Of a ServiceCIDR that a user adds an address is given out once the host drops what is not translated."""
    block, address = "172.30.9.0/24", "172.30.9.5"
    drops = lambda: untranslated_drops(context.run("nft", "list", "ruleset").stdout)
    assert block not in drops()
    cluster.apply(cluster.service_cidr("added", block))
    cluster.create_as_soon_as_allowed(cluster.service("added", selector={"app": "web"}, clusterIP=address))
    assert block in drops(), "the host has no drop rule for an address that is given out"
    assert context.wait_until("the Service of the added range", lambda: fetch(f"http://{address}/"), 20)
    cluster.kubectl("delete", "service", "added")
    cluster.kubectl("delete", "servicecidr", "added", timeout=60.0)
    context.wait_until("the host's drop rule to go", lambda: block not in drops(), 20)


def check_topology(context, cluster, nodes, deaths):
    assert len(cluster.get("nodes")["items"]) == nodes and cluster.node_is_ready()
    pods = start_web(cluster, nodes)
    check_traffic(context, cluster, pods)
    check_kubectl(cluster, pods)
    check_deaths(context, cluster, pods, deaths)
    check_stop_and_start(context, cluster, nodes)
    assert_matches("rusternetes-|Image|begin|ready|serving", cluster.run_ctl("logs", cluster.name, "--tail", "3").stdout)


@on_one_engine(0)
@time_limit(240)
def test_sqlite_with_two_nodes(context):
    with cluster_of(context, "lite", "--mode", "sqlite") as cluster:
        check_topology(context, cluster, 2, ["rhino", "api-server", "controller-manager", "scheduler", "dns", "host-agent",
                                             "api-proxy", "kube-proxy-1", "kubelet-1", "node-2"])
        check_restore(cluster, 2)
        with clone_of(cluster, "copy") as copy:
            assert noted(copy) == "before" and noted(cluster) == "after"
            check_traffic(context, copy, copy.running_pods("app=web", 2))
        check_traffic(context, cluster, cluster.running_pods("app=web", 2))
        cluster.run_ctl("node", "add", cluster.name)
        cluster.run_ctl("node", "remove", cluster.name, "--node", "node-2", "--yes")
        assert sorted(n["metadata"]["name"] for n in cluster.get("nodes")["items"]) == ["node-1", "node-3"]
        check_traffic(context, cluster, cluster.running_pods("app=web", 2))
        cluster.run_ctl("port", "add", cluster.name, "--publish", "18080:" + str(node_port(cluster)))
        assert context.wait_until("the published port", lambda: fetch("http://127.0.0.1:18080/"), 10)


@on_one_engine(1)
@time_limit(240)
def test_etcd_with_two_nodes(context):
    with cluster_of(context, "big", "--mode", "etcd") as cluster:
        check_topology(context, cluster, 2, ["etcd", "api-server"])
        check_added_range(context, cluster)
        check_restore(cluster, 2)
        with clone_of(cluster, "small", "--mode", "all-in-one") as small:
            assert noted(small) == "before"


@on_one_engine(1)
@time_limit(240)
def test_highly_available(context):
    with cluster_of(context, "high", "--ha") as cluster:
        check_topology(context, cluster, 2, ["etcd-1", "api-server-1", "controller-manager-1", "scheduler-1"])
        check_restore(cluster, 2)
