"""nginx with three replicas behind a Service, asked all the time while it is rolled out, killed and its proxy restarted: what
was lost is counted and printed, and where nothing may be lost, nothing is."""
import os
import signal
import time

from harness.cluster import NGINX, Cluster
from harness.functions import Skipped, time_limit
from harness.load import Load
from harness.programs import call_engine


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = context.state["cluster"] = Cluster(context, name="rollouts", home=os.path.join(context.work, "rollouts")).create()
    cluster.load_nginx()
    cluster.apply(nginx(cluster), cluster.service("web"))
    cluster.running_pods("app=web", 3)
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    context.wait_until("all of nginx to answer", lambda: len({Load.ask(asker(address)) for _ in range(20)}) == 3, 20)
    context.state["address"] = address


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


def asker(address):
    load = Load.__new__(Load)  # asks, but has no threads
    load.host, load.port, load.timeout = address, 80, 2.0
    return load


def nginx(cluster, version="1", hook=None):
    deployment = cluster.deployment("web", replicas=3)
    deployment["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    template = deployment["spec"]["template"]
    template["metadata"]["annotations"] = {"version": version}
    template["spec"]["terminationGracePeriodSeconds"] = 10
    probe = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
    template["spec"]["containers"] = [{"name": "nginx", "image": NGINX, "readinessProbe": probe, **({"lifecycle": {"preStop": hook}} if hook else {})}]
    return deployment


def roll_out(cluster, version, hook=None):
    cluster.apply(nginx(cluster, version, hook))
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=90s", timeout=100)
    cluster.running_pods("app=web", 3)


def under_load(context, what, action, settle=1.0):
    """The load's counts over `action` and a moment before and after it."""
    load = Load(context.state["address"], 80)
    try:
        context.wait_until("the first answers", lambda: load.counts()[0] > 20, 10)
        action()
        time.sleep(settle)  # of load after the event: it ends nothing early
        seen = load.counts()[0]
        context.wait_until("the load to be answered again", lambda: load.counts()[0] > seen + 20, 30)
    finally:
        load.stop()
    print(f"    {what}: {load.text()}", flush=True)
    assert load.answered > 0
    return load


@time_limit(240)
def test_a_rolling_update_with_a_pre_stop_hook_loses_no_request(context):
    cluster = context.state["cluster"]
    hook = {"exec": {"command": ["sleep", "2"]}}
    roll_out(cluster, "with-hook", hook)  # so that the Pods that go in the next one have the hook
    load = under_load(context, "rolling update with preStop", lambda: roll_out(cluster, "with-hook-2", hook))
    assert load.lost == [], load.text()
    assert len(load.seen) == 6, load.text()


@time_limit(240)
def test_a_rolling_update_without_a_hook_is_counted(context):
    cluster = context.state["cluster"]
    roll_out(cluster, "plain")
    load = under_load(context, "rolling update without preStop", lambda: roll_out(cluster, "plain-2"))
    assert len(load.lost) * 50 < load.answered, load.text()


@time_limit(180)
def test_a_killed_container_is_left_out_and_comes_back(context):
    cluster = context.state["cluster"]
    pod = cluster.running_pods("app=web", 3)[0]

    def kill():
        before = pod["status"]["containerStatuses"][0]["restartCount"]
        call_engine(context, "POST", f"/containers/{pod['status']['containerStatuses'][0]['containerID'].split('//')[1]}/kill?signal=KILL")

        def restarted():
            status = cluster.get("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]
            return status["restartCount"] > before and status["ready"]
        context.wait_until("the container to be back", restarted, 30)
    load = under_load(context, "killed container", kill)
    assert len(load.lost) * 10 < load.answered, load.text()
    assert len(load.seen) == 3, load.text()


@time_limit(180)
def test_a_restarted_process_loses_nothing_since_the_rules_stay(context):
    """kube-proxy, DNS and the API are in it: kill -9 is the end of all of them at once."""
    cluster = context.state["cluster"]

    def kill():
        before = cluster.process()
        os.kill(before, signal.SIGKILL)
        context.wait_until("a new process", lambda: cluster.process() not in (0, None, before), 30)
        context.wait_until("the API", lambda: cluster.kubectl("get", "--raw", "/readyz", check=False).returncode == 0, 30)
        cluster.running_pods("app=web", 3)
    load = under_load(context, "killed rusternetes", kill)
    assert load.lost == [], load.text()


@time_limit(180)
def test_scaling_up_and_down_under_load(context):
    cluster = context.state["cluster"]

    def scale():
        for replicas in (6, 2, 3):
            cluster.kubectl("scale", "deployment", "web", f"--replicas={replicas}")
            cluster.running_pods("app=web", replicas)
    load = under_load(context, "scaled 3, 6, 2, 3", scale)
    assert len(load.lost) * 50 < load.answered, load.text()
