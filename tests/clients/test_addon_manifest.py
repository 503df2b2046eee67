"""What api-server makes of --addon-manifest: on a store of its own, and two of them at once on one rhino."""
import json
import os
import re

from control_plane import Program
from harness.functions import time_limit
from secure_plane import SecurePlane

BINDING = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/kubeadm:cluster-admins"
DNS = "/api/v1/namespaces/kube-system/services/kube-dns"
SLICE = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns"
MADE_BY_LIST = ["/api/v1/namespaces/added", "/apis/apps/v1/namespaces/added/deployments/made"]
MANIFEST = """# of a cluster in containers
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "kubeadm:cluster-admins"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "kubeadm:cluster-admins"}]
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {clusterIP: 10.96.0.10, ports: [{name: dns, port: 53, protocol: UDP}]}
---
""" + json.dumps({"apiVersion": "v1", "kind": "List", "items": [
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
     "endpoints": [{"addresses": ["172.20.0.4"]}],
     "metadata": {"name": "kube-dns", "namespace": "kube-system",
                  "labels": {"kubernetes.io/service-name": "kube-dns"}},
     "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "added"}},
    {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "made", "namespace": "added"},
     "spec": {"selector": {"matchLabels": {"a": "b"}},
              "template": {"metadata": {"labels": {"a": "b"}},
                           "spec": {"containers": [{"name": "c", "image": "i"}]}}}}]})
MADE = [BINDING, DNS, SLICE, *MADE_BY_LIST]


def manifest(context, name, text=MANIFEST):
    path = os.path.join(context.work, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def complaints(program):
    return [line for line in program.log().splitlines() if re.match(r"\S+ [WE] ", line)]


def versions(plane, server=0):
    return {path: plane.request("GET", path, server=server)["metadata"]["resourceVersion"] for path in MADE}


@time_limit(120)
def test_what_is_missing_is_made_and_what_is_there_is_left_alone(context):
    plane = SecurePlane(context, "embedded", 1)
    path = manifest(context, "embedded.yaml")

    def start(text=None):
        if text:
            manifest(context, "embedded.yaml", text)
        pki = plane.pki
        program = plane.start(
            "api-server", "--data-dir", plane.path("data"), "--bind-address", "127.0.0.1",
            "--secure-port", plane.port, "--tls-cert-file", pki.path("apiserver.crt"),
            "--tls-private-key-file", pki.path("apiserver.key"), "--client-ca-file", pki.path("ca.crt"),
            "--authorization-mode", "Node,RBAC", "--service-cluster-ip-range", "10.96.0.0/16",
            "--addon-manifest", path)
        plane.wait_ready()
        return program

    try:
        first = start()
        service = plane.request("GET", DNS, user="admin")
        assert service["spec"]["clusterIP"] == "10.96.0.10", "kubeadm's administrators may read"
        made = plane.request("GET", "/apis/apps/v1/namespaces/added/deployments/made")
        assert made["spec"]["replicas"] == 1, "defaults are set"
        assert not complaints(first), first.log()
        plane.request("PATCH", DNS, {"metadata": {"labels": {"mine": "yes"}}},
                      content_type="application/merge-patch+json")
        plane.request("DELETE", SLICE)
        before = {path: plane.request("GET",
                                      path)["metadata"]["resourceVersion"] for path in MADE if path != SLICE}
        assert first.stop() == 0
        plane.forget(first)
        # What another version of the file says of what exists has no effect; what was deleted comes back.
        second = start(MANIFEST.replace("10.96.0.10", "10.96.0.11").replace("172.20.0.4", "172.20.0.5"))
        assert plane.request("GET", DNS)["spec"]["clusterIP"] == "10.96.0.10"
        assert plane.request("GET", SLICE)["endpoints"][0]["addresses"] == ["172.20.0.5"]
        assert {path: plane.request("GET", path)["metadata"]["resourceVersion"] for path in before} == before
        assert not complaints(second), second.log()
    finally:
        plane.stop()


@time_limit(240)
def test_api_servers_of_one_store_make_the_objects_at_once(context):
    for turn in range(max(3, int(20 * float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1"))))):
        three_make_the_objects(context, f"shared-{turn}")


def three_make_the_objects(context, name):
    plane = SecurePlane(context, name, 3)
    path = manifest(context, f"{name}.yaml")
    try:
        plane.start_store()
        servers = [plane.start_api_server(i, "--addon-manifest", path) for i in range(3)]
        for i in range(3):
            plane.wait_ready(i)
        first = versions(plane)
        assert plane.request("GET", DNS, server=1)["spec"]["clusterIP"] == "10.96.0.10"
        for server in servers:
            lines = complaints(server)
            assert all("waiting for the store" in line for line in lines) and len(lines) < 2, server.log()
        # Started anew they write nothing.
        for server in servers:
            assert server.stop() == 0, server.log()
        plane.forget(*servers)
        servers = [plane.start_api_server(i, "--addon-manifest", path) for i in range(3)]
        for i in range(3):
            plane.wait_ready(i)
        for i in range(3):
            assert versions(plane, i) == first
        for server in servers:
            assert not complaints(server), server.log()
    finally:
        plane.stop()


@time_limit(120)
def test_an_object_that_stands_in_the_way_does_not_keep_the_cluster_from_serving(context):
    plane = SecurePlane(context, "taken", 1)
    try:
        plane.start_store()
        first = plane.start_api_server(0)
        plane.wait_ready()
        plane.request("POST", "/api/v1/namespaces/default/services", {"metadata": {"name": "other"}, "spec": {
            "clusterIP": "10.96.0.10", "ports": [{"port": 80}]}})
        assert first.stop() == 0
        plane.forget(first)
        second = plane.start_api_server(0, "--addon-manifest", manifest(context, "taken.yaml"))
        plane.wait_ready()
        lines = complaints(second)
        assert len(lines) == 1 and "services kube-dns was not made" in lines[0], lines
        assert "already allocated" in lines[0], lines
        assert plane.request("GET", "/api/v1/namespaces/added")
    finally:
        plane.stop()


def test_a_bad_manifest_is_refused_before_anything_starts(context):
    unknown = "apiVersion: v1\nkind: Nothing\nmetadata: {name: a}\n"
    misspelt = MANIFEST.replace("clusterIP:", "clusterlP:")
    for name, text, said in (("broken", "a: [", "document 1: "),
                             ("kind", unknown, "document 1: there is no built-in kind v1 Nothing"),
                             ("field", misspelt, 'document 2: Service: unknown field "spec.clusterlP"')):
        path, data = manifest(context, name, text), os.path.join(context.work, f"{name}-data")
        program = Program(context, "api-server", "--data-dir", data, "--cert-dir", data, "--secure-port", 0,
                          "--addon-manifest", path)
        assert program.process.wait(context.seconds(20)) == 1
        lines = program.log().splitlines()
        assert len(lines) == 1 and lines[0].startswith(f"api-server: --addon-manifest {path}: {said}"), lines
        assert not os.path.exists(data)
    missing = os.path.join(context.work, "missing.yaml")
    done = context.run(context.binary("api-server"), "--data-dir", context.work, "--addon-manifest", missing,
                       check=False)
    said = f"api-server: --addon-manifest: cannot read {missing}\n"
    assert done.returncode == 1 and done.stderr == said, done
