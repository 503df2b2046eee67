"""What is seen of a cluster of containers from outside: status, doctor, and a support-bundle without its secrets."""
import base64
import json
import os
import shutil
import stat
import time

from harness.functions import Skipped, load, on_one_engine, time_limit

topologies = load(os.path.join(os.path.dirname(__file__), "test_topologies.py"))
ask_engine, cluster_of, status = topologies.ask_engine, topologies.cluster_of, topologies.status

PASSWORD = "correct horse battery staple"


def findings(cluster):
    answer = cluster.run_ctl("doctor", cluster.name, "--output", "json", check=False)
    return [f for f in json.loads(answer.stdout)["findings"] if f["cluster"] == cluster.name]


def check_status(context, cluster):
    # Nodes are Ready before dns has read its Services.
    context.wait_until("every component to be well", lambda: status(cluster)["problems"] == [], 30)
    # The first one opens connections that keep; a host of two cores has its moods.
    took = []
    for _ in range(5):
        begin = time.monotonic()
        seen = status(cluster)
        took.append(time.monotonic() - begin)
    assert min(took) < 0.5, took
    assert "error" not in seen and seen["problems"] == [], seen
    for one in seen["components"]:
        silent = one["component"] in ("node", "host-agent")
        assert one["healthy"] is (None if silent else True), one
        assert one["running"] and one["version"], one
    assert seen["storeBytes"] > 0 and seen["certificateDaysLeft"] > 300, seen
    assert {f["what"]: f for f in findings(cluster) if f["level"] != "ok"} == {}


def check_end_of_component(context, cluster, key):
    ask_engine(context, "POST", f"/containers/rusternetes-{cluster.name}-{key}/stop?t=1")
    seen = status(cluster)
    assert [(p["component"], "has ended" in p["problem"]) for p in seen["problems"]] == [(key, True)], seen["problems"]
    assert seen["error"]["id"] == "ComponentEnded"
    assert [f["level"] for f in findings(cluster) if f["what"] == "components"] == ["problem"]
    cluster.run_ctl("start", cluster.name)
    context.wait_until("the cluster to be well again", lambda: status(cluster)["problems"] == [], 20)


def check_lost_rules(context, cluster):
    """What somebody takes away is told, or is there again already: the host-agent keeps it."""
    tables = [line.split()[-1] for line in context.run("nft", "list", "tables", "inet").stdout.splitlines() if "rusternetes-" in line]
    for table in tables:
        context.run("nft", "delete", "table", "inet", table)
    context.wait_until("the host's rules to stand again",
                       lambda: [f["level"] for f in findings(cluster) if f["what"] == "host-rules"] == ["ok"], 40)


def secrets_of(context, cluster):
    """Lines of private keys, keys of kubeconfigs, and what the cluster's Secrets and tokens are."""
    out = {PASSWORD, base64.b64encode(PASSWORD.encode()).decode()}
    for folder, _, files in os.walk(os.path.join(cluster.home, "clusters", cluster.name)):
        for name in files:
            try:
                with open(os.path.join(folder, name), encoding="utf-8") as file:
                    text = file.read()
            except (UnicodeDecodeError, OSError):
                continue  # a store, a socket
            lines = text.splitlines()
            if "PRIVATE KEY-----" in text:
                out |= {line for line in lines if line and not line.startswith("-----")}
            out |= {line.split()[1] for line in lines if line.strip().startswith("client-key-data:")}
    assert len(out) > 60, len(out)
    return out


def read_bundle(context, file):
    folder = os.path.join(context.work, "unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    context.run("tar", "--zstd", "-xf", file, "-C", folder)
    out = {}
    for root, _, files in os.walk(folder):
        for name in files:
            with open(os.path.join(root, name), "rb") as one:
                out[os.path.relpath(os.path.join(root, name), folder).split("/", 1)[1]] = one.read()
    return out


def bundle(context, cluster):
    file = os.path.join(context.work, "bundle.tar.zst")
    if os.path.exists(file):
        os.remove(file)
    cluster.run_ctl("support-bundle", cluster.name, "--file", file)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    return read_bundle(context, file)


def check_bundle(context, cluster):
    cluster.kubectl("create", "secret", "generic", "mine", f"--from-literal=password={PASSWORD}")
    token = cluster.kubectl("create", "token", "default").stdout.strip()
    # In places where text of the cluster tells them.
    cluster.kubectl("create", "configmap", "told", f"--from-literal=of={PASSWORD}", "-n", "kube-system")
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "teller", "annotations": {"token": token}}, "spec": {
        "containers": [{"name": "c", "image": f"localhost/none:{token[-20:]}", "imagePullPolicy": "Never", "args": [PASSWORD],
                        "env": [{"name": "E", "value": PASSWORD}]}]}})
    secrets = secrets_of(context, cluster) | {token}
    seen = bundle(context, cluster)
    for name in ("status.json", "doctor.json", "versions.json", "journal.json", "settings.json", "compose.yaml", "certificates.json",
                 "containers.json", "network.txt", "logs/api-server-1.log", "logs/kubelet-1.log", "cluster/nodes.json",
                 "cluster/events.json", "cluster/pods.json", "cluster/kube-system/configmaps.json"):
        assert seen.get(name), f"{name} is not in {sorted(seen)}: {seen.get('missing.txt')}"
    assert seen["missing.txt"] == b"Nothing is missing.\n", seen["missing.txt"]
    for name, text in seen.items():
        for secret in secrets:
            assert secret.encode() not in text, f"{name} has {secret}"
        assert b"PRIVATE KEY" not in text, name
    assert any(p["metadata"]["name"] == "teller" for p in json.loads(seen["cluster/pods.json"])["items"])
    assert b"chain" in seen["network.txt"] and b"route" in seen["network.txt"], seen["network.txt"]


def check_bundle_of_remains(context, cluster):
    cluster.run_ctl("stop", cluster.name)
    seen = bundle(context, cluster)
    assert json.loads(seen["status.json"])["status"] == "stopped"
    assert b"cluster/" in seen["missing.txt"]
    cluster.run_ctl("start", cluster.name)


@on_one_engine(0)
@time_limit(200)
def test_status_doctor_and_bundle(context):
    if not shutil.which("zstd"):
        raise Skipped("there is no zstd, which tar reads the bundle with")
    with cluster_of(context, "seen", "--ha", "--nodes", "1", "--publish", "18080:30080") as cluster:
        check_status(context, cluster)
        check_end_of_component(context, cluster, "scheduler-2")
        check_lost_rules(context, cluster)
        check_bundle(context, cluster)
        check_bundle_of_remains(context, cluster)
        check_status(context, cluster)
