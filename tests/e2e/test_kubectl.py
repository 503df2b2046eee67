"""The kubectl commands that people type first, with every kubectl at hand. One cluster serves them all; each kubectl
works in a namespace of its own."""
import json

from harness.cluster import Cluster, assert_matches
from harness.functions import Skipped, each_kubectl


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    context.state["cluster"] = Cluster(context, name="kubectls").create()
    context.state["cluster"].load_image()


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


class Namespace:
    """A namespace for one test and one kubectl."""

    def __init__(self, context, test):
        self.cluster = context.state["cluster"]
        self.name = f"{test}-" + context.kubectl.version.replace(".", "-").replace("+", "-").lower()

    def __enter__(self):
        self.cluster.kubectl("create", "namespace", self.name)
        return self

    def __exit__(self, *_):
        self.cluster.kubectl("delete", "namespace", self.name, "--wait=false")

    def __call__(self, *words, **more):
        return self.cluster.kubectl("-n", self.name, *words, **more).stdout


@each_kubectl
def test_get_prints_tables_documents_and_paths(context):
    cluster = context.state["cluster"]
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    assert_matches(r"^NAME +STATUS +ROLES +AGE +VERSION$", cluster.kubectl("get", "nodes").stdout)
    assert_matches(rf"^{node} +Ready ", cluster.kubectl("get", "nodes").stdout)
    assert_matches(r"INTERNAL-IP", cluster.kubectl("get", "nodes", "-o", "wide").stdout)
    assert cluster.kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}").stdout == node
    assert_matches(r"^kind: Node$", cluster.kubectl("get", "node", node, "-o", "yaml").stdout)
    assert cluster.kubectl("get", "node", node, "-o", "name").stdout == f"node/{node}\n"
    done = cluster.kubectl("get", "node", "nobody", check=False)
    assert done.returncode == 1 and 'nodes "nobody" not found' in done.stderr, done.stderr


@each_kubectl
def test_apply_diff_and_a_second_apply(context):
    with Namespace(context, "apply") as kubectl:
        before = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1", "b": "2"}}
        after = {**before, "data": {"a": "1", "c": "3"}}
        assert "configmap/settings created" in kubectl("apply", "-f", "-", input=json.dumps(before))
        assert "configmap/settings unchanged" in kubectl("apply", "-f", "-", input=json.dumps(before))
        shown = kubectl.cluster.kubectl("-n", kubectl.name, "diff", "-f", "-", input=json.dumps(after), check=False)
        assert shown.returncode == 1, shown
        assert_matches(r"^\+ +c: \"3\"$", shown.stdout)
        assert "configured" in kubectl("apply", "-f", "-", input=json.dumps(after))
        assert json.loads(kubectl("get", "configmap", "settings", "-o", "json"))["data"] == {"a": "1", "c": "3"}


@each_kubectl
def test_label_annotate_patch_and_edit_change_one_object(context):
    with Namespace(context, "change") as kubectl:
        kubectl("create", "configmap", "it", "--from-literal=k=v")
        kubectl("label", "configmap", "it", "colour=red")
        kubectl("annotate", "configmap", "it", "note=kept")
        for kind, patch in (("merge", '{"data":{"m":"1"}}'), ("strategic", '{"data":{"s":"2"}}'),
                            ("json", '[{"op":"add","path":"/data/j","value":"3"}]')):
            kubectl("patch", "configmap", "it", "--type", kind, "-p", patch)
        editor = {"KUBE_EDITOR": "sed -i s/k:.v/k:\\ edited/"}
        context.run(*kubectl.cluster.command("-n", kubectl.name, "edit", "configmap", "it"), env=editor)
        it = json.loads(kubectl("get", "configmap", "it", "-o", "json"))
        assert it["data"] == {"k": "edited", "m": "1", "s": "2", "j": "3"}, it["data"]
        assert it["metadata"]["labels"] == {"colour": "red"} and it["metadata"]["annotations"] == {"note": "kept"}
        assert kubectl("get", "configmap", "-l", "colour=red", "-o", "name") == "configmap/it\n"


@each_kubectl
def test_a_watch_sees_what_happens_and_wait_ends_with_a_deployment_available(context):
    with Namespace(context, "watch") as kubectl:
        watcher = kubectl.cluster.start_kubectl("-n", kubectl.name, "get", "deployments", "--watch", "-o", "name")
        try:
            kubectl("apply", "-f", "-", input=json.dumps(kubectl.cluster.deployment("web")))
            assert watcher.stdout.readline() == "deployment.apps/web\n"
            kubectl("wait", "deployment/web", "--for=condition=Available", "--timeout=60s")
        finally:
            watcher.terminate()
            watcher.wait(timeout=context.seconds(10))
            watcher.stdout.close()
        text = kubectl("describe", "deployment", "web")
        assert_matches(r"^Replicas: +1 desired \| 1 updated \| 1 total \| 1 available", text)
        assert_matches("ScalingReplicaSet", text)
        assert_matches(r"^Status: +Running", kubectl("describe", "pods", "-l", "app=web"))
        kubectl("delete", "deployment", "web")


@each_kubectl
def test_explain_api_resources_and_auth_can_i_answer(context):
    cluster = context.state["cluster"]
    assert_matches("containers", cluster.kubectl("explain", "pod.spec").stdout)
    resources = cluster.kubectl("api-resources").stdout
    for line in (r"^pods +po +v1 +true +Pod$", r"^deployments +deploy +apps/v1 +true +Deployment$"):
        assert_matches(line, resources)
    assert cluster.kubectl("auth", "can-i", "delete", "nodes").stdout.strip() == "yes"
    refused = cluster.kubectl("auth", "can-i", "delete", "nodes", "--as", "somebody", check=False)
    assert refused.stdout.strip() == "no" and refused.returncode == 1
