"""Images: what a Pod's owner sees when one cannot be had, and that a registry which never answers holds nobody up."""
import json
import os
import re
import sys
import time
from datetime import datetime, timedelta

from harness.cluster import IMAGE, Cluster, assert_matches
from harness.functions import Skipped, time_limit
from harness.programs import Program, call_engine, free_port, load_busybox

# In the namespace that stands for the outside: nothing comes back from the one port; the other takes connections and says
# nothing. Engines wait for the first about 30 s (Docker) or four minutes (Podman), for the second a fraction of that.
SILENT, MUTE = "198.51.100.2:5000", "198.51.100.2:5001"
LISTENER = "import socket, signal; s = socket.socket(); s.bind(('198.51.100.2', 5001)); s.listen(64); print('listens', flush=True); signal.pause()"


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    context.run("ip", "netns", "exec", "outside", "nft",
                "add table inet silent; add chain inet silent in { type filter hook input priority 0; };"
                " add rule inet silent in tcp dport 5000 drop")
    listener = context.state["listener"] = Program(context, "listener", "ip", "netns", "exec", "outside", sys.executable, "-c", LISTENER)
    context.wait_until("the listener", lambda: "listens" in listener.output(), 10)
    context.state["refusing"] = f"127.0.0.1:{free_port()}"
    cluster = context.state["cluster"] = Cluster(context, name="pictures").create()
    cluster.load_image()
    context.wait_until("a service account", lambda: cluster.get("serviceaccount", "default"), 20)
    # A pull takes as long as the engine's patience: the other tests run meanwhile.
    context.state["patient"] = {"mute": f"{MUTE}/team/mute:1"}
    if float(os.environ.get("RUSTERNETES_TEST_SHARE", "1")) >= 1:
        context.state["patient"]["silent"] = f"{SILENT}/team/silent:1"
    for name, image in context.state["patient"].items():
        run(cluster, name, image)


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()
    if "listener" in context.state:
        context.state["listener"].end()
    context.run("ip", "netns", "exec", "outside", "nft", "add table inet silent; delete table inet silent")


def run(cluster, name, image, policy=None, command=("sleep", "100000")):
    container = {"name": "main", "image": image, "command": list(command)}
    if policy:
        container["imagePullPolicy"] = policy
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                   "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}})


def waiting(cluster, name):
    """The container's waiting state; empty while there is none."""
    statuses = cluster.get("pod", name)["status"].get("containerStatuses", [])
    return statuses[0]["state"].get("waiting", {}) if statuses else {}


def wait_for_reason(context, name, reason, timeout=30):
    cluster = context.state["cluster"]

    def check():
        state = waiting(cluster, name)
        assert state.get("reason") == reason, cluster.get("pod", name)["status"]
        return state
    return context.wait_until(f"{name} to be {reason}", check, timeout)


def events(cluster, name):
    listed = cluster.get("events", "--field-selector", f"involvedObject.name={name}")["items"]
    return [(e["type"], e["reason"], e["message"]) for e in listed]


def wait_for_event(context, name, kind, reason, pattern, timeout=20):
    def check():
        seen = events(context.state["cluster"], name)
        assert any(k == kind and r == reason and re.search(pattern, m) for k, r, m in seen), seen
        return True
    context.wait_until(f"the event {reason} of {name}", check, timeout)


def remove(cluster, name):
    cluster.kubectl("delete", "pod", name, "--timeout=20s")


def test_a_pod_can_be_deleted_at_once_while_its_registry_does_not_answer(context):
    cluster = context.state["cluster"]
    run(cluster, "unwanted", f"{SILENT}/team/unwanted:1")
    wait_for_event(context, "unwanted", "Normal", "Pulling", rf'^Pulling image "{SILENT}/team/unwanted:1"$')
    pod = cluster.get("pod", "unwanted")
    assert pod["status"]["phase"] == "Pending" and waiting(cluster, "unwanted")["reason"] == "ContainerCreating", pod["status"]
    begin = time.monotonic()
    remove(cluster, "unwanted")
    assert time.monotonic() - begin < context.seconds(5), "deleting waited for the pull"
    left = call_engine(context, "GET", "/containers/json?all=true")
    assert not any(c["Labels"].get("io.kubernetes.pod.name") == "unwanted" for c in left), left


def test_a_loaded_image_runs_without_a_registry(context):
    cluster = context.state["cluster"]
    run(cluster, "here", IMAGE, "IfNotPresent")
    context.wait_until("a running Pod", lambda: cluster.get("pod", "here")["status"]["phase"] == "Running", 30)
    wait_for_event(context, "here", "Normal", "Pulled", rf'^Container image "{IMAGE}" already present on machine and can be accessed by the pod$')
    status = cluster.get("pod", "here")["status"]["containerStatuses"][0]
    assert status["image"] == IMAGE and status["imageID"], status
    assert not [e for e in events(cluster, "here") if e[1] == "Pulling"]
    remove(cluster, "here")


@time_limit(240)
def test_a_registry_that_refuses_shows_the_pull_error_then_longer_and_longer_back_off(context):
    cluster = context.state["cluster"]
    image = f"{context.state['refusing']}/team/app:1"
    run(cluster, "refused", image)
    state = wait_for_reason(context, "refused", "ErrImagePull")
    assert "connection refused" in state["message"], state
    state = wait_for_reason(context, "refused", "ImagePullBackOff")
    assert_matches(rf'^Back-off pulling image "{image}": ErrImagePull: .*connection refused', state["message"])
    wait_for_event(context, "refused", "Normal", "Pulling", rf'^Pulling image "{image}"$')
    wait_for_event(context, "refused", "Warning", "Failed", rf'^Failed to pull image "{image}": .*connection refused')
    wait_for_event(context, "refused", "Warning", "Failed", "^Error: ErrImagePull$")
    wait_for_event(context, "refused", "Normal", "BackOff", rf'^Back-off pulling image "{image}"$')
    wait_for_event(context, "refused", "Warning", "Failed", "^Error: ImagePullBackOff$")

    # The event counts the pulls and tells when the last one began, in whole seconds.
    pulls = {}

    def count():
        for event in cluster.get("events", "--field-selector", "involvedObject.name=refused,reason=Pulling")["items"]:
            pulls.setdefault(1, event["firstTimestamp"])
            pulls.setdefault(event["count"], event["lastTimestamp"])
        return all(n in pulls for n in (1, 2, 3))
    context.wait_until("three pulls", count, 90, every=0.3)
    first, second, third = (datetime.fromisoformat(pulls[n].replace("Z", "+00:00")) for n in (1, 2, 3))
    assert (third - second) - (second - first) > timedelta(seconds=5), f"pulls came at {pulls}"

    described = cluster.kubectl("describe", "pod", "refused").stdout
    assert_matches(r"^\s+Reason:\s+(ErrImagePull|ImagePullBackOff)$", described)
    for kind, reason, message in (("Normal", "Pulling", "Pulling image"), ("Warning", "Failed", "Failed to pull image"), ("Warning", "Failed", "Error: ErrImagePull"),
                                  ("Normal", "BackOff", "Back-off pulling image"), ("Warning", "Failed", "Error: ImagePullBackOff")):
        # Newer ones of kubectl name the container.
        assert_matches(rf"^\s+{kind}\s+{reason}\s.*\bkubelet\s+(spec\.containers\{{main\}}: )?{message}", described)
    assert_matches(r"^refused\s+0/1\s+(ErrImagePull|ImagePullBackOff)\s+0\b", cluster.kubectl("get", "pod", "refused").stdout)
    begin = time.monotonic()
    remove(cluster, "refused")
    assert time.monotonic() - begin < context.seconds(5), "deleting waited for the back-off"


def test_always_asks_the_registry_even_for_an_image_that_is_here(context):
    cluster = context.state["cluster"]
    image = f"{context.state['refusing']}/team/loaded:1"
    load_busybox(context, image)
    run(cluster, "always", image, "Always")
    assert "connection refused" in wait_for_reason(context, "always", "ErrImagePull")["message"]
    run(cluster, "if-not-present", image, "IfNotPresent")
    context.wait_until("a running Pod", lambda: cluster.get("pod", "if-not-present")["status"]["phase"] == "Running", 30)
    remove(cluster, "always")
    remove(cluster, "if-not-present")


def test_never_fails_without_the_image_and_runs_once_it_is_loaded(context):
    cluster = context.state["cluster"]
    image = "localhost/absent:1"
    run(cluster, "never", image, "Never")
    message = f'Container image "{image}" is not present with pull policy of Never'
    assert wait_for_reason(context, "never", "ErrImageNeverPull")["message"] == message
    wait_for_event(context, "never", "Warning", "ErrImageNeverPull", f"^{message}$")
    wait_for_event(context, "never", "Warning", "Failed", "^Error: ErrImageNeverPull$")
    assert not [e for e in events(cluster, "never") if e[1] == "Pulling"]
    load_busybox(context, image)
    context.wait_until("a running Pod", lambda: cluster.get("pod", "never")["status"]["phase"] == "Running", 60)
    remove(cluster, "never")


def test_a_name_that_is_none_is_told_apart(context):
    cluster = context.state["cluster"]
    image = "localhost/Not//Valid::x"
    run(cluster, "misnamed", image)
    state = wait_for_reason(context, "misnamed", "InvalidImageName")
    assert_matches(rf'^Failed to apply default image tag "{image}": couldn\'t parse image name "{image}": invalid reference format', state["message"])
    wait_for_event(context, "misnamed", "Warning", "InspectFailed", f'^Failed to apply default image tag "{image}"')
    wait_for_event(context, "misnamed", "Warning", "Failed", "^Error: InvalidImageName$")
    remove(cluster, "misnamed")


@time_limit(400)
def test_a_registry_that_never_answers_ends_in_an_error(context):
    cluster = context.state["cluster"]
    for name, image in context.state["patient"].items():
        def failed(name=name):
            state = waiting(cluster, name)
            assert state.get("reason") in ("ErrImagePull", "ImagePullBackOff"), cluster.get("pod", name)["status"]
            return state
        state = context.wait_until(f"the pull of {name} to end", failed, 300, every=0.5)
        assert_matches(r"(?i)timeout|timed out|deadline", state["message"])
        wait_for_event(context, name, "Warning", "Failed", rf'^Failed to pull image "{image}": .*(?i:timeout|timed out|deadline)')
        assert cluster.node_is_ready()
        remove(cluster, name)


def test_a_cluster_can_be_deleted_while_a_registry_does_not_answer(context):
    cluster = context.state["cluster"]
    run(cluster, "last", f"{SILENT}/team/last:1")
    wait_for_event(context, "last", "Normal", "Pulling", "^Pulling image")
    begin = time.monotonic()
    cluster.remove()
    del context.state["cluster"]
    assert time.monotonic() - begin < context.seconds(20), "deleting waited for the pull"
    left = call_engine(context, "GET", "/containers/json?all=true")
    assert not [c["Names"] for c in left if "pictures" in json.dumps(c["Labels"])], left
