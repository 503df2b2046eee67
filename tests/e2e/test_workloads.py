"""A Deployment's Pods on a real engine: they run, scale, are replaced, log and go away."""
from harness.cluster import IMAGE, Cluster, assert_matches
from harness.functions import Skipped


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    context.state["cluster"] = Cluster(context, name="workloads").create()
    context.state["cluster"].load_image()


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


def test_kubectl_create_deployment_runs_a_pod_with_an_address(context):
    cluster = context.state["cluster"]
    cluster.kubectl("create", "deployment", "first", f"--image={IMAGE}", "--", "sh", "-c", "trap exit TERM; sleep 100000 & wait")
    pod = cluster.running_pods("app=first", 1)[0]
    assert pod["status"]["podIP"] and pod["status"]["hostIP"], pod["status"]
    assert pod["spec"]["nodeName"]
    cluster.kubectl("delete", "deployment", "first")
    cluster.running_pods("app=first", 0)


def test_scaling_up_and_down_ends_with_exactly_that_many_pods(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.deployment("scaled"))
    cluster.running_pods("app=scaled", 1)
    cluster.kubectl("scale", "deployment/scaled", "--replicas=4")
    assert_matches("successfully rolled out", cluster.kubectl("rollout", "status", "deployment/scaled", "--timeout=60s").stdout)
    addresses = {p["status"]["podIP"] for p in cluster.running_pods("app=scaled", 4)}
    assert len(addresses) == 4, addresses
    cluster.kubectl("scale", "deployment/scaled", "--replicas=1")
    cluster.running_pods("app=scaled", 1)
    cluster.kubectl("delete", "deployment/scaled")
    cluster.running_pods("app=scaled", 0)


def test_a_changed_template_replaces_the_pods_and_keeps_the_deployment_available(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.deployment("rolled", replicas=2))
    before = {p["metadata"]["uid"] for p in cluster.running_pods("app=rolled", 2)}
    cluster.apply(cluster.deployment("rolled", replicas=2, command=("sh", "-c", "echo second; exec sleep 100000")))
    cluster.kubectl("rollout", "status", "deployment/rolled", "--timeout=60s")
    after = cluster.running_pods("app=rolled", 2)
    assert not before & {p["metadata"]["uid"] for p in after}
    assert len(cluster.get("replicasets", "-l", "app=rolled")["items"]) == 2
    assert "second" in cluster.kubectl("logs", after[0]["metadata"]["name"]).stdout
    cluster.kubectl("delete", "deployment/rolled")
    cluster.running_pods("app=rolled", 0)


def test_logs_come_whole_by_tail_and_while_followed(context):
    cluster = context.state["cluster"]
    script = "i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); done; echo problem >&2; sleep 100000"
    cluster.apply(cluster.deployment("talker", command=("sh", "-c", script)))
    pod = cluster.running_pods("app=talker", 1)[0]["metadata"]["name"]
    whole = context.wait_until("21 lines", lambda: (t := cluster.kubectl("logs", pod).stdout).count("\n") == 21 and t)
    assert sorted(whole.splitlines()) == sorted([f"line {i}" for i in range(20)] + ["problem"])
    assert len(cluster.kubectl("logs", pod, "--tail=3").stdout.splitlines()) == 3
    follower = cluster.start_kubectl("logs", "--follow", pod)
    try:
        assert sorted(follower.stdout.readline().strip() for _ in range(21)) == sorted(whole.splitlines())
    finally:
        follower.terminate()
        follower.wait(timeout=context.seconds(10))
        follower.stdout.close()
    cluster.kubectl("delete", "deployment/talker")


def test_a_container_that_ends_is_started_again_and_its_last_logs_are_kept(context):
    cluster = context.state["cluster"]
    script = 'echo run at $(date +%s%N); sleep 1; exit 3'
    cluster.apply(cluster.deployment("ender", command=("sh", "-c", script)))

    def restarted():
        pods = cluster.pods("app=ender")
        status = pods[0]["status"]["containerStatuses"][0]
        return status["restartCount"] >= 1 and status["lastState"]["terminated"]["exitCode"] == 3 and pods[0]
    pod = context.wait_until("a restart after exit code 3", restarted, 60)["metadata"]["name"]
    assert_matches("run at", cluster.kubectl("logs", pod, "--previous").stdout)
    cluster.kubectl("delete", "deployment/ender")


def test_a_missing_image_is_said_in_the_pods_status_and_events(context):
    cluster = context.state["cluster"]
    deployment = cluster.deployment("imageless")
    deployment["spec"]["template"]["spec"]["containers"][0].update(image="localhost/nowhere:1", imagePullPolicy="Never")
    cluster.apply(deployment)

    def waiting():
        status = cluster.pods("app=imageless")[0]["status"]["containerStatuses"][0]
        return status["state"]["waiting"]["reason"] == "ErrImageNeverPull"
    context.wait_until("ErrImageNeverPull", waiting, 30)
    cluster.kubectl("delete", "deployment/imageless")
    cluster.running_pods("app=imageless", 0)


def test_pods_reach_each_other_by_address(context):
    cluster = context.state["cluster"]
    serve = "echo from $HOSTNAME >/var/www/index.html; exec httpd -f -p 8080 -h /var/www"
    cluster.apply(cluster.deployment("server", command=("sh", "-c", serve)))
    server = cluster.running_pods("app=server", 1)[0]
    fetch = f"until wget -q -O - http://{server['status']['podIP']}:8080/; do sleep 0.2; done; exec sleep 100000"
    cluster.apply(cluster.deployment("asker", command=("sh", "-c", fetch)))
    asker = cluster.running_pods("app=asker", 1)[0]["metadata"]["name"]
    expected = f"from {server['metadata']['name']}"
    context.wait_until("the answer", lambda: expected in cluster.kubectl("logs", asker).stdout, 30)
    cluster.kubectl("delete", "deployment/server", "deployment/asker")
