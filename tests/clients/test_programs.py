"""scheduler and controller-manager as programs of their own, beside the api-server."""
import os
import random
import signal
import ssl
import time
import urllib.request

from control_plane import ControlPlane, free_port
from harness.functions import time_limit

RETRY = ("--leader-elect-retry-period", "200ms")
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
              "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                       "template": {"metadata": {"labels": {"app": "web"}},
                                    "spec": {"containers": [{"name": "c", "image": "registry.example/web:1",
                                                             "resources": {"requests": {"cpu": "100m"}}}]}}}}


def setup(context):
    context.state["plane"] = ControlPlane(context, "programs")


def teardown(context):
    if "plane" in context.state:
        context.state["plane"].stop()


def make_node(plane, name):
    plane.request("POST", "/api/v1/nodes", {"metadata": {"name": name}})
    plane.request("PATCH", f"/api/v1/nodes/{name}/status", {"status": {
        "capacity": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
        "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "made up"}]}},
        content_type="application/strategic-merge-patch+json")


def scheduler(plane, *flags):
    return plane.start("scheduler", "--kubeconfig", plane.kubeconfig("scheduler"), "--secure-port", 0, *(flags or RETRY))


def controller_manager(plane, *flags):
    return plane.start("controller-manager", "--kubeconfig", plane.kubeconfig("controller-manager"), "--secure-port", 0, *(flags or RETRY))


def pods(plane):
    return plane.request("GET", "/api/v1/namespaces/default/pods?labelSelector=app%3Dweb")["items"]


@time_limit(120)
def test_a_deployment_gets_pods_on_a_made_up_node(context):
    plane = context.state["plane"]
    manager = controller_manager(plane, *RETRY, "--allocate-node-cidrs", "--cluster-cidr", "10.99.0.0/16")
    bound_by = scheduler(plane)
    make_node(plane, "made-up")
    context.wait_until("the ServiceAccount default", lambda: plane.request("GET", "/api/v1/namespaces/default/serviceaccounts/default"))
    plane.request("POST", "/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT)
    found = context.wait_until("three Pods on the node", lambda: len([p for p in pods(plane) if p["spec"].get("nodeName") == "made-up"]) == 3 and pods(plane))
    sets = plane.request("GET", "/apis/apps/v1/namespaces/default/replicasets")["items"]
    assert len(sets) == 1 and sets[0]["metadata"]["ownerReferences"][0]["name"] == "web", sets
    assert {p["metadata"]["ownerReferences"][0]["uid"] for p in found} == {sets[0]["metadata"]["uid"]}
    node = context.wait_until("the node's Pod CIDR", lambda: (n := plane.request("GET", "/api/v1/nodes/made-up"))["spec"].get("podCIDR") and n)
    assert node["spec"]["podCIDR"] == "10.99.0.0/24", node["spec"]
    authority = plane.request("GET", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt")["data"]["ca.crt"]
    with open(plane.authority, encoding="utf-8") as file:
        assert authority == file.read(), "without --root-ca-file it is the kubeconfig's"
    # Each controller was itself: its fields and events carry its account's name.
    managers = {entry["manager"] for p in found for entry in p["metadata"]["managedFields"]}
    assert "kube-controller-manager" in managers, managers
    accounts = {a["metadata"]["name"] for a in plane.request("GET", "/api/v1/namespaces/kube-system/serviceaccounts")["items"]}
    assert {"deployment-controller", "replicaset-controller"} <= accounts, accounts

    def events():
        return {e["reason"]: e for e in plane.request("GET", "/api/v1/namespaces/default/events")["items"]}
    context.wait_until("the events", lambda: {"ScalingReplicaSet", "SuccessfulCreate", "Scheduled"} <= set(events()))
    assert events()["Scheduled"]["source"]["component"] == "default-scheduler"
    assert "Successfully assigned default/web-" in events()["Scheduled"]["message"]
    # Scaled down and deleted: the Pods go with it (no kubelet holds them: they are deleted at once when not bound or forced).
    plane.request("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/scale", {"spec": {"replicas": 1}}, content_type="application/merge-patch+json")
    context.wait_until("two Pods to be deleted", lambda: len([p for p in pods(plane) if "deletionTimestamp" in p["metadata"]]) == 2 or len(pods(plane)) == 1)
    for program in (manager, bound_by):
        assert program.stop() == 0, program.log()
        plane.programs.remove(program)


@time_limit(120)
def test_the_lease_is_given_back_at_sigterm_and_the_other_program_acts(context):
    plane = context.state["plane"]
    lease = lambda: plane.request("GET", LEASES + "kube-scheduler")["spec"]
    first = scheduler(plane)
    first.wait_for_line("leads kube-scheduler")
    second = scheduler(plane)
    second.wait_for_line("waits for kube-scheduler")
    holder = lease()["holderIdentity"]
    assert first.stop() == 0
    assert "gave kube-scheduler back" in first.log()
    begin = time.monotonic()
    second.wait_for_line("leads kube-scheduler")
    assert time.monotonic() - begin < context.seconds(10), "it waited for the lease to end"
    assert lease()["holderIdentity"] not in ("", holder)
    assert lease()["leaseDurationSeconds"] == 15
    plane.request("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "alone"}, "spec": {"containers": [{"name": "c", "image": "i"}],
                                                              "serviceAccountName": "default"}})
    context.wait_until("the Pod to be bound", lambda: plane.request("GET", "/api/v1/namespaces/default/pods/alone")["spec"].get("nodeName"))
    assert second.stop() == 0
    assert not lease().get("holderIdentity")
    plane.programs = [p for p in plane.programs if p not in (first, second)]


@time_limit(120)
def test_a_killed_leader_is_followed_when_its_lease_is_over(context):
    plane = context.state["plane"]
    short = ("--leader-elect-lease-duration", "3s", "--leader-elect-renew-deadline", "2s", *RETRY)
    first = scheduler(plane, *short)
    first.wait_for_line("leads kube-scheduler")
    second = scheduler(plane, *short)
    second.wait_for_line("waits for kube-scheduler")
    first.stop(signal.SIGKILL)
    second.wait_for_line("leads kube-scheduler")
    assert second.stop() == 0
    plane.programs = [p for p in plane.programs if p not in (first, second)]


@time_limit(240)
def test_stopped_at_any_moment_a_program_ends_at_once_and_holds_no_lease(context):
    plane = context.state["plane"]
    chance = random.Random(int(os.environ.get("RUSTERNETES_TEST_SEED", "1")))
    for turn in range(max(8, int(80 * float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1"))))):
        # With so short a period most moments are within an attempt to get or renew the lease.
        program = (scheduler, controller_manager)[turn % 2](plane, "--leader-elect-retry-period", "20ms")
        program.wait_for_line("leads kube-" if turn % 4 else "waits for kube-")
        time.sleep(chance.random() * 0.15)
        assert program.stop(timeout=8) == 0, program.log()
        plane.programs.remove(program)
        leases = plane.request("GET", LEASES[:-1])["items"]
        held = [each["metadata"]["name"] for each in leases if each["spec"].get("holderIdentity")]
        assert not held, f"turn {turn}: {held} is held after\n{program.log()}"


def test_health_is_served_over_tls(context):
    plane = context.state["plane"]
    port = free_port()
    program = plane.start("controller-manager", "--kubeconfig", plane.kubeconfig("controller-manager"), "--bind-address", "127.0.0.1",
                          "--secure-port", port)
    program.wait_for_line("health is served")
    blind = ssl.create_default_context()
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/healthz?verbose", context=blind, timeout=10) as answer:
        text = answer.read().decode()
    assert answer.status == 200 and "[+]leaderElection ok" in text, text
    assert program.stop() == 0
    plane.programs.remove(program)


def test_a_flag_that_is_not_ours_is_refused_by_name(context):
    for name in ("scheduler", "controller-manager"):
        binary = context.binary(name)
        done = context.run(binary, "--kubeconfg", "/x", check=False)
        assert done.returncode == 1 and done.stderr == f"{name}: there is no flag --kubeconfg; did you mean --kubeconfig?\n", done
        done = context.run(binary, "--kube-api-qps=50", check=False)
        assert done.returncode == 1 and "--kube-api-qps is not supported" in done.stderr, done
        done = context.run(binary, "--kubeconfig", os.path.join(context.work, "none"), check=False)
        assert done.returncode == 1 and "cannot read" in done.stderr, done
        done = context.run(binary, check=False)
        assert done.returncode == 1 and "--kubeconfig says how to reach the API" in done.stderr, done
        assert "--leader-elect" in context.run(binary, "--help").stdout
    refused = context.run(context.binary("controller-manager"), "--allocate-node-cidrs", check=False)
    assert refused.returncode == 1 and "--cluster-cidr" in refused.stderr, refused
    refused = context.run(context.binary("controller-manager"), "--allocate-node-cidrs", "--cluster-cidr=10.0.0.0/24", "--node-cidr-mask-size=16", check=False)
    assert refused.returncode == 1 and "--node-cidr-mask-size" in refused.stderr, refused
    for bad in ("10250", "x/TCP", "0/TCP", "65536/UDP", "10250/tcp"):
        refused = context.run(context.binary("controller-manager"), f"--reserved-node-ports={bad}", check=False)
        said = f'controller-manager: --reserved-node-ports: "{bad}" is no port such as 10250/TCP\n'
        assert refused.returncode == 1 and refused.stderr == said, refused
