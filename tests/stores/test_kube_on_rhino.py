"""A real kube-apiserver ($PEERS) has rhino as its only store, and kubectl and kube-controller-manager work with it."""
import json
import re
import subprocess

from harness.functions import time_limit
from servers import Stage
from stores import Store, need, peer

DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "ns"}, "spec": {
    "replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": {
        "metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "registry.example/web:1"}]}}}}
DEFINITION = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets.example.com"}, "spec": {
    "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
    "versions": [{"name": "v1", "served": True, "storage": True, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}},
                                         "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}}}]}}
WIDGET = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "ns"}, "spec": {"size": 1}}
EVENT = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "ns"}, "reason": "Tested", "message": "m", "type": "Normal",
         "involvedObject": {"kind": "Pod", "name": "p", "namespace": "ns"}}


class Kubectl:
    def __init__(self, context, server):
        need(context.kubectl, "there is no kubectl in $KUBECTLS, $PEERS or on PATH")
        self.context = context
        self.words = [context.kubectl.path, "--kubeconfig", server.kubeconfig(), "-n", "ns"]

    def __call__(self, *words, body=None, check=True):
        return self.context.run(*self.words, *words, input=None if body is None else json.dumps(body), check=check)

    def get(self, *words):
        return json.loads(self("get", *words, "-o", "json").stdout)


def use(context, stage, server, kubectl):
    """create, get, patch, delete and watch, of built-in and of custom objects."""
    kubectl("create", "namespace", "ns")
    context.wait_until("the ServiceAccount default", lambda: kubectl("get", "serviceaccount", "default"))
    log = context.work + f"/{server.name}-kubectl-watch"
    with open(log, "wb") as out:
        watcher = subprocess.Popen([*kubectl.words, "get", "configmaps", "--watch", "--output-watch-events"], stdout=out, stderr=out)
    stage.all.append(watcher.kill)

    def watched(event, name):
        with open(log, encoding="utf-8") as file:
            return re.search(rf"^{event} +{re.escape(name)} ", file.read(), re.MULTILINE)
    context.wait_until("a watch of kubectl's", lambda: watched("ADDED", "kube-root-ca.crt"))
    kubectl("create", "configmap", "m", "--from-literal=a=b")
    context.wait_until("the watch to see a ConfigMap", lambda: watched("ADDED", "m"))
    kubectl("create", "secret", "generic", "s", "--from-literal=password=x")
    kubectl("patch", "configmap", "m", "--type", "merge", "-p", '{"data":{"a":"c"}}')
    assert kubectl.get("configmap", "m")["data"] == {"a": "c"}
    kubectl("patch", "secret", "s", "--type", "json", "-p", '[{"op":"add","path":"/data/more","value":"eQ=="}]')
    assert kubectl.get("secret", "s")["data"] == {"password": "eA==", "more": "eQ=="}
    kubectl("create", "configmap", "gone", "--from-literal=a=b")
    kubectl("delete", "configmap", "gone")
    context.wait_until("the watch to see it go", lambda: watched("DELETED", "gone"))
    watcher.terminate()
    watcher.wait()
    assert "NotFound" in kubectl("get", "configmap", "gone", check=False).stderr
    kubectl("create", "-f", "-", body=EVENT)
    assert kubectl.get("event", "e")["reason"] == "Tested"

    kubectl("create", "-f", "-", body=DEFINITION)
    kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=30s")
    context.wait_until("custom objects to be served", lambda: kubectl("apply", "-f", "-", body=WIDGET))
    kubectl("patch", "widget", "w", "--type", "merge", "-p", '{"spec":{"size":2}}')
    kubectl("patch", "widget", "w", "--subresource", "status", "--type", "merge", "-p", '{"status":{"seen":true}}')
    widget = kubectl.get("widget", "w")
    assert widget["spec"] == {"size": 2} and widget["status"] == {"seen": True}, widget
    assert kubectl("patch", "widget", "w", "--type", "merge", "-p", '{"spec":{"size":"x"}}', check=False).returncode != 0

    kubectl("apply", "-f", "-", body=DEPLOYMENT)
    context.wait_until("three Pods of the Deployment", lambda: len(kubectl.get("pods", "-l", "app=web")["items"]) == 3, 90)


def life(context, scheme):
    program, manager = peer(context, "kube-apiserver"), peer(context, "kube-controller-manager")
    assert "v1.35." in context.run(program, "--version").stdout
    with Stage(context) as stage:
        store = stage.store(Store.of(context, "rhino", f"rhino-{scheme}", scheme=scheme))
        server = stage.server("kube", store)
        kubectl = Kubectl(context, server)
        stage.program(f"manager-{scheme}", manager, "--kubeconfig", server.kubeconfig(), "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500",
                      "--kube-api-burst=500", "--root-ca-file", server.api.context.test_authority.path("ca.crt"),
                      "--service-account-private-key-file", server.api.context.test_authority.path("sa.key"), "--use-service-account-credentials=true")
        use(context, stage, server, kubectl)
        kinds = ("namespaces,configmaps,secrets,serviceaccounts,events,pods,replicasets,deployments,services,clusterroles,customresourcedefinitions,"
                 "widgets.example.com,priorityclasses,flowschemas")

        def settled():
            """Everything, once it does not change any more."""
            first, second = ({(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]): o for o in kubectl.get(kinds, "-A")["items"]}
                             for _ in range(2))
            assert first == second and len(first) > 100
            return first
        before = context.wait_until("controllers to rest", settled)
        follow = stage.watch(server.api, "/api/v1/namespaces/ns/configmaps", server.api.get("/api/v1/namespaces/ns/configmaps")["metadata"]["resourceVersion"])
        store.restart(store.members[0])
        after = context.wait_until("kube-apiserver to serve again", settled, 90)
        changed = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        # FlowSchemas of the system get their status now and then, and Pods that nobody runs their events.
        assert [key for key in changed if key[0] not in ("Event", "FlowSchema")] == [], changed
        assert {"Deployment", "Widget", "Secret", "Event"} <= {kind for kind, _, _ in after}

        # It goes on: writes, controllers, and watches that were open.
        context.wait_until("a write", lambda: kubectl("create", "configmap", "after", "--from-literal=a=b"))
        kubectl("scale", "deployment", "web", "--replicas=5")
        context.wait_until("five Pods", lambda: len(kubectl.get("pods", "-l", "app=web")["items"]) == 5, 90)
        seen = follow.wait(lambda kind, item: kind == "ADDED" and item["metadata"]["name"] == "after", context.seconds(30))
        assert seen, f"the watch has {follow.names()} and {follow.errors()}, ended: {follow.has_ended}"
        kubectl("delete", "deployment", "web")
        context.wait_until("its Pods to go", lambda: not kubectl.get("pods", "-l", "app=web")["items"], 90)
        kubectl("delete", "crd", "widgets.example.com")
        kubectl("delete", "namespace", "ns", "--timeout=60s")
        server.program.assert_running()
        assert server.starts == 1


@time_limit(400)
def test_everything_works_and_survives_a_crash_of_rhino(context):
    life(context, "http")


@time_limit(400)
def test_the_same_with_client_certificates(context):
    with Stage(context) as stage:
        store = stage.store(Store.of(context, "rhino", "rhino-closed", scheme="https"))
        refused = subprocess.run(["curl", "-sf", "--cacert", context.test_authority.path("ca.crt"), f"{store.servers}/health"], check=False)
        assert refused.returncode != 0, "rhino answers somebody without a certificate"
    life(context, "https")
