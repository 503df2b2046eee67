"""Another store under a cluster that runs, with clients that write and watch meanwhile; and another Kubernetes cluster's etcd
as a cluster of ours."""
import base64
import json
import os
import signal
import subprocess
import sys
import time

from harness.cluster import IMAGE, Cluster, assert_matches
from harness.fire import Access, Informer, Writer, assert_all_written
from harness.functions import Skipped, on_one_engine, time_limit
from harness.programs import call_engine

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "stores"))
from servers import ApiError, Stage  # pylint: disable=wrong-import-position
from stores import Store, peer  # pylint: disable=wrong-import-position

NAMESPACE = "fire"


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if not os.access("/usr/bin/etcd", os.X_OK):
        raise Skipped("there is no /usr/bin/etcd to make an image of")


def identities(pods):
    return {(p["metadata"]["uid"], p["status"]["podIP"], p["status"]["containerStatuses"][0]["containerID"],
             p["status"]["containerStatuses"][0]["restartCount"]) for p in pods}


def containers(context, cluster):
    """Ids of the cluster's own containers."""
    prefix = f"/rusternetes-{cluster.name}-"
    return {name.removeprefix(prefix): c["Id"] for c in call_engine(context, "GET", "/containers/json")
            for name in ("/" + n.lstrip("/") for n in c["Names"]) if name.startswith(prefix)}


def mode(cluster):
    return json.loads(cluster.run_ctl("status", cluster.name, "--output", "json", check=False).stdout)["mode"]


def stores(cluster):
    return sorted(os.listdir(os.path.join(cluster.home, "clusters", cluster.name, "data")))


class Clients:
    """One that writes and an informer, of one namespace."""

    def __init__(self, context, cluster):
        self.context, self.cluster = context, cluster
        cluster.kubectl("create", "namespace", NAMESPACE)
        access = Access(json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json").stdout), context.work)
        self.writer, self.informer = Writer(access, NAMESPACE), Informer(access, NAMESPACE)
        self.informer.start()
        self.writer.start()
        self.go_on()

    def go_on(self):
        """Both do, from now on."""
        written, seen = len(self.writer.created), len(self.informer.events)
        self.context.wait_until("more to be written", lambda: self.writer.failure or len(self.writer.created) > written + 5, 20)
        self.context.wait_until("more to be seen", lambda: self.informer.failure or len(self.informer.events) > seen + 5, 20)
        assert not self.writer.failure and not self.informer.failure, (self.writer.failure, self.informer.failure)

    def end(self):
        self.writer.stop()
        listed = self.cluster.get("configmaps", "-n", NAMESPACE)["items"]
        assert_all_written(self.writer, listed)
        present = {o["metadata"]["name"]: int(o["metadata"]["resourceVersion"]) for o in listed}
        self.context.wait_until("the informer to know what is there", lambda: self.informer.present == present, 10)
        self.informer.stop()
        print(f"  {len(self.writer.created)} objects, counted to {self.writer.value}; {self.informer.relists} relists; longest time "
              f"without a write {max(b - a for a, b in zip(self.writer.times, self.writer.times[1:])):.1f} s", flush=True)


@on_one_engine(0)
@time_limit(150)
def test_from_sqlite_to_etcd_and_back_while_clients_and_pods_go_on(context):
    cluster = Cluster(context, name="move", home=os.path.join(context.work, "move"), create_flags=["--mode", "sqlite"])
    follower = None
    try:
        cluster.create().load_image()
        waiting = cluster.deployment("waiting")
        waiting["spec"]["template"]["spec"]["nodeSelector"] = {"go": "yes"}
        cluster.apply(cluster.deployment("web", replicas=2), cluster.service("web"), waiting)
        pods = identities(cluster.running_pods("app=web", 2))
        # An informer of client-go, which has to list again, twice.
        follower = cluster.start_kubectl("rollout", "status", "deployment/waiting", "--timeout", "180s")
        clients = Clients(context, cluster)
        for count, wanted in enumerate(("etcd", "sqlite"), 1):
            before, revision = containers(context, cluster), int(clients.informer.version)
            done = json.loads(cluster.run_ctl("migrate", "move", "--mode", wanted, "--yes", "--output", "json").stdout)
            assert done["migrated"] and done["ready"] and done["cluster"]["mode"] == wanted == mode(cluster), done
            clients.go_on()
            assert clients.informer.relists >= count and int(clients.informer.version) >= revision + 10**9
            assert identities(cluster.running_pods("app=web", 2)) == pods
            after = containers(context, cluster)
            changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
            assert changed == {"rhino", "etcd", "api-server"}, changed
            assert stores(cluster) == [{"etcd": "etcd", "sqlite": "rhino"}[wanted]]
            # Scheduler, controllers and kubelets go on, too.
            cluster.apply(cluster.deployment(f"later-{count}"))
            cluster.running_pods(f"app=later-{count}", 1)
        clients.end()
        assert follower.poll() is None, follower.stdout.read()
        cluster.kubectl("label", "node", "node-1", "go=yes")
        assert follower.wait(timeout=context.seconds(60)) == 0
        listed = json.loads(cluster.run_ctl("snapshot", "list", "move", "--output", "json").stdout)["snapshots"]
        assert [one["note"] for one in listed] == ["before the migration to etcd", "before the migration to sqlite"], listed
    finally:
        if follower and follower.poll() is None:
            follower.kill()
        cluster.run_ctl("delete", "move", "--yes", "--snapshots")
    assert not os.path.exists(cluster.home), os.listdir(cluster.home)


def kill_at(cluster, words, line):
    """SIGKILL, once the command says that it begins with this."""
    command = subprocess.Popen([cluster.ctl, *words, "--home", cluster.home], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               env={**os.environ, "KUBECONFIG": cluster.kubeconfig + ".merged"})
    said = []
    for text in command.stderr:
        said.append(text)
        if line in text:
            break
    command.send_signal(signal.SIGKILL)
    assert command.wait() == -signal.SIGKILL, "".join(said)
    command.stderr.close()


@on_one_engine(1)
@time_limit(150)
def test_a_migration_that_is_killed_is_undone_or_finished(context):
    cluster = Cluster(context, name="cut", home=os.path.join(context.work, "cut"), create_flags=["--mode", "sqlite", "--nodes", "1"])
    try:
        cluster.create().load_image()
        cluster.apply(cluster.deployment("web"))
        pods = identities(cluster.running_pods("app=web", 1))
        clients = Clients(context, cluster)
        migrate = ["migrate", "cut", "--mode", "etcd", "--yes", "--no-snapshot"]
        for line, verdict, wanted in (("Start etcd, and wait", "undoing it", "sqlite"), ("Bring ", "finishing it", "etcd")):
            kill_at(cluster, migrate, line)
            assert_matches(verdict, cluster.run_ctl("list").stderr)
            assert mode(cluster) == wanted
            clients.go_on()
            assert (int(clients.informer.version) > 10**9) == (wanted == "etcd"), clients.informer.version
            assert identities(cluster.running_pods("app=web", 1)) == pods
            assert stores(cluster) == [{"etcd": "etcd", "sqlite": "rhino"}[wanted]]
        clients.end()
        # Three members, and more of all else: kubelets are told, and Pods do not notice.
        cluster.run_ctl("migrate", "cut", "--ha", "--yes", "--no-snapshot")
        assert stores(cluster) == ["etcd-1", "etcd-2", "etcd-3"]
        assert identities(cluster.running_pods("app=web", 1)) == pods
        cluster.kubectl("scale", "deployment", "web", "--replicas=2")
        cluster.running_pods("app=web", 2)
    finally:
        cluster.run_ctl("delete", "cut", "--yes", "--snapshots")
    assert not os.path.exists(cluster.home), os.listdir(cluster.home)


# ---- from another Kubernetes cluster

def foreign_server():
    """kube-apiserver where it has been built, else our own."""
    return "kube" if os.access(os.path.join(os.environ.get("PEERS", ""), "kube-apiserver"), os.X_OK) else "ours"


def container(*command):
    return {"name": "main", "image": IMAGE, "command": list(command)}


def fill(cluster, api):
    """What people made, and what that cluster made for itself."""
    def post(path, kind, name, version="v1", **fields):
        metadata = {"name": name, **fields.pop("metadata", {})}
        try:
            return api.send("POST", path, {"apiVersion": version, "kind": kind, "metadata": metadata, **fields})
        except ApiError as error:
            if error.code == 409:
                return None  # the server made it
            raise
    post("/api/v1/namespaces", "Namespace", "team")
    post("/api/v1/namespaces", "Namespace", "kube-system")
    team = "/api/v1/namespaces/team"
    post(f"{team}/serviceaccounts", "ServiceAccount", "default")
    post(f"{team}/configmaps", "ConfigMap", "settings", data={"color": "green"})
    post(f"{team}/secrets", "Secret", "key", data={"a": base64.b64encode(b"secret").decode()})
    web = cluster.service("web", clusterIP="10.96.7.7")
    post(f"{team}/services", "Service", "web", spec=web["spec"])
    deployment = cluster.deployment("web", command=("sh", "-c", "echo hello >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"))
    owner = post("/apis/apps/v1/namespaces/team/deployments", "Deployment", "web", "apps/v1", spec=deployment["spec"])
    post("/apis/rbac.authorization.k8s.io/v1/namespaces/team/roles", "Role", "reader", "rbac.authorization.k8s.io/v1",
         rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])
    post("/api/v1/nodes", "Node", "theirs", spec={"podCIDR": "10.244.0.0/24"})
    post(f"{team}/pods", "Pod", "bare", spec={"nodeName": "theirs", "terminationGracePeriodSeconds": 1, "containers": [container("sleep", "1000")]})
    post(f"{team}/pods", "Pod", "owned", metadata={"ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": owner["metadata"]["uid"], "controller": True}]},
        spec={"nodeName": "theirs", "containers": [container("sleep", "1000")]})
    system = "/api/v1/namespaces/kube-system"
    post(f"{system}/configmaps", "ConfigMap", "kubeadm-config", data={"ClusterConfiguration": "networking:\n  serviceSubnet: 10.96.0.0/16\n"})
    post("/apis/apps/v1/namespaces/kube-system/deployments", "Deployment", "coredns", "apps/v1", spec=deployment["spec"])
    return {name: api.get(f"{team}/{name}")["metadata"]["uid"] for name in ("configmaps/settings", "secrets/key", "services/web", "pods/bare")}


def save(context, store, path):
    """By etcdctl, or, where there is none, by rhino, which writes the same."""
    tools = [os.path.join(os.environ.get("PEERS", ""), "etcdctl"), "/usr/bin/etcdctl", context.binary("rhino")]
    tool = next(one for one in tools if os.access(one, os.X_OK))
    context.run(tool, "snapshot", "save", path, "--endpoints", store.servers, env={"ETCDCTL_API": "3"})


def check_imported(context, cluster, node, uids):
    assert [n["metadata"]["name"] for n in cluster.get("nodes")["items"]] == [node]
    team = lambda *words: cluster.get(*words, "-n", "team")
    assert team("configmap", "settings")["data"] == {"color": "green"}
    assert team("secret", "key")["data"]["a"] == base64.b64encode(b"secret").decode()
    for name in ("configmaps/settings", "secrets/key", "services/web"):
        assert team(name)["metadata"]["uid"] == uids[name], name
    assert team("role", "reader")["rules"][0]["verbs"] == ["get"]
    # The range is free here, so that Services keep their addresses; and they work.
    assert team("service", "web")["spec"]["clusterIP"] == "10.96.7.7"
    cluster.running_pods("app=web", 1, namespace="team", timeout=90)
    answer = context.wait_until("the Service to answer", lambda: context.run("curl", "-sf", "-m", "2", "http://10.96.7.7/").stdout, 30)
    assert answer.strip() == "hello"
    bare = context.wait_until("the bare Pod to run", lambda: next(
        (p for p in [team("pod", "bare")] if p["status"].get("phase") == "Running"), None), 60)
    assert bare["spec"]["nodeName"] == node and bare["metadata"]["uid"] != uids["pods/bare"]
    for gone in (("pod", "owned", "-n", "team"), ("configmap", "kubeadm-config", "-n", "kube-system"),
                 ("deployment", "coredns", "-n", "kube-system"), ("node", "theirs")):
        assert_matches("NotFound", cluster.kubectl("get", *gone, check=False).stderr)
    listed = json.loads(cluster.kubectl("get", "--raw", "/api/v1/configmaps?limit=1").stdout)
    assert int(listed["metadata"]["resourceVersion"]) > 10**9


@on_one_engine(0)
@time_limit(120)
def test_from_the_etcd_of_another_kubernetes_cluster(context):
    cluster = Cluster(context, name="ours", home=os.path.join(context.work, "ours"))
    snapshot, kind = os.path.join(context.work, "theirs.db"), foreign_server()
    with Stage(context) as stage:
        etcd = peer(context, "etcd") if kind == "kube" else "/usr/bin/etcd"
        store = stage.store(Store(context, "theirs", etcd))
        uids = fill(cluster, stage.server(kind, store).api)
        save(context, store, snapshot)
    with open(snapshot, "rb") as file:
        whole = file.read()
    with open(snapshot + ".cut", "wb") as file:
        file.write(whole[:-1000])
    migrate = ["migrate", "ours", "--engine", context.engine, "--from-etcd-snapshot"]
    refused = cluster.run_ctl(*migrate, snapshot + ".cut", "--output", "json", check=False)
    assert refused.returncode == 12 and json.loads(refused.stdout)["error"]["id"] == "SnapshotCut", refused
    assert not os.path.exists(cluster.home), os.listdir(cluster.home)
    for node, flags in (("ours", []), ("node-1", ["--mode", "etcd", "--nodes", "1"])):
        try:
            begin = time.monotonic()
            cluster.run_ctl(*migrate, snapshot, *flags)
            print(f"  {kind} {' '.join(flags)}: {time.monotonic() - begin:.1f} s", flush=True)
            cluster.write_kubeconfig()
            cluster.load_image()
            check_imported(context, cluster, node, uids)
        finally:
            cluster.remove()
        assert not os.path.exists(cluster.home), os.listdir(cluster.home)
