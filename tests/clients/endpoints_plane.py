"""A control plane to write EndpointSlices on: who writes there, ours or the real kube-controller-manager, and one
connection that makes what they are written from."""
import http.client
import json
import os
import queue
import ssl
import subprocess
import threading
import time
import urllib.parse

from control_plane import need

NAMESPACE = "eps"
IN = f"/api/v1/namespaces/{NAMESPACE}"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
CONTROLLERS = "endpointslice-controller,endpoints-controller,endpointslice-mirroring-controller"
TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"
PORTS = [{"name": "http", "port": 80, "targetPort": 8080}, {"name": "https", "port": 443, "targetPort": 8443},
         {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": "dns", "appProtocol": "kubernetes.io/h2c"}]


class Api:
    """One connection to a control plane, as its administrator."""

    def __init__(self, plane):
        self.plane = plane
        tls = ssl.create_default_context(cafile=plane.authority)
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        url = urllib.parse.urlsplit(plane.url)
        self.connect = lambda seconds: http.client.HTTPSConnection(url.hostname, url.port, context=tls, timeout=plane.context.seconds(seconds))
        self.connection = self.connect(30)
        self.ready_times = 0

    def send(self, method, path, body=None, kind="application/json"):
        headers = {"Authorization": "Bearer admin-token", "Content-Type": kind}
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {text[:500]}")
        return json.loads(text)

    def watch(self, path):
        """A queue of (time, type, object) and what ends it."""
        connection, seen = self.connect(300), queue.Queue()
        version = self.send("GET", path)["metadata"]["resourceVersion"]
        connection.request("GET", f"{path}?watch=true&resourceVersion={version}", headers={"Authorization": "Bearer admin-token"})
        answer = connection.getresponse()

        def read():
            try:
                for line in answer:
                    event = json.loads(line)
                    seen.put((time.monotonic(), event["type"], event["object"]))
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                pass  # closed
        thread = threading.Thread(target=read, daemon=True)
        thread.start()

        def end():
            connection.sock.shutdown(2)
            thread.join(self.plane.context.seconds(10))
            connection.close()
        return seen, end

    def service(self, name, spec, labels=None, annotations=None):
        self.send("POST", f"{IN}/services", {"metadata": {"name": name, "labels": labels or {}, "annotations": annotations or {}}, "spec": spec})

    def change(self, resource, name, body, subresource="", kind=MERGE):
        return self.send("PATCH", f"{IN}/{resource}/{name}{subresource}", body, kind)

    def pod(self, name, ip, app="web", node="n1", ready=True, ip6=None, ports=None, phase="Running", finalizers=None, init=None, **spec):
        ports = ports or [{"name": "web", "containerPort": 8080}, {"name": "dns", "containerPort": 5353, "protocol": "UDP"}]
        body = {"nodeName": node, "containers": [{"name": "c", "image": "i", "ports": ports}], **spec}
        if init:
            body["initContainers"] = init
        self.send("POST", f"{IN}/pods", {"metadata": {"name": name, "labels": {"app": app}, "finalizers": finalizers or []}, "spec": body})
        self.pod_status(name, ready, ip, ip6, phase)

    def pod_status(self, name, ready, ip=None, ip6=None, phase="Running"):
        self.ready_times += 1
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + self.ready_times))
        status = {"phase": phase, "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": at}]}
        if ip:
            status |= {"podIP": ip, "podIPs": [{"ip": one} for one in (ip, ip6) if one]}
        self.change("pods", name, {"status": status}, "/status")

    def remove_pod(self, name):
        self.send("DELETE", f"{IN}/pods/{name}", {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0})

    def mark(self, name, ready):
        """Everything before has been seen by the controllers when they have seen this; it is waited for by marked()."""
        if name not in {s["metadata"]["name"] for s in self.send("GET", f"{IN}/services")["items"]}:
            self.pod(name, "10.9.9.9", app=name, ready=ready)
            self.service(name, {"selector": {"app": name}, "ports": PORTS[:1]})
        self.pod_status(name, ready)

    def marked(self, name, ready):
        slices = [s for s in self.send("GET", SLICES)["items"] if s["metadata"]["labels"].get("kubernetes.io/service-name") == name]
        subsets = self.send("GET", f"{IN}/endpoints/{name}").get("subsets") or []
        has = [e["conditions"]["ready"] for s in slices for e in s["endpoints"] or []]
        return has == [ready] and len(subsets) == 1 and ("addresses" in subsets[0]) == ready

    def change_node(self, change, *pods):
        """A node changes, of which controllers learn by another watch; only later Pods, which make them look."""
        change()
        for lag in (False, True):
            self.mark("lag", lag)
            self.plane.context.wait_until("the controllers to see a Pod", lambda: self.marked("lag", lag), 60)
        for pod in pods:
            self.pod_status(pod, False)


class Peer:
    """The real kube-controller-manager with the same three controllers."""

    def __init__(self, plane, program):
        self.log_path = plane.path(f"kube-controller-manager-{id(self):x}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [program, "--kubeconfig", plane.kubeconfig("admin"), "--leader-elect=false", "--secure-port=0", f"--controllers={CONTROLLERS}",
                 "--use-service-account-credentials=false", "--kube-api-qps=2000", "--kube-api-burst=2000"],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def peer_program(context):
    path = os.path.join(os.environ.get("PEERS", os.path.join(context.root, "build/peers")), "kube-controller-manager")
    need(os.access(path, os.X_OK), "there is no kube-controller-manager in $PEERS (scripts/peers builds it)")
    return path


def start_ours(plane):
    return plane.start("controller-manager", "--kubeconfig", plane.kubeconfig("controller-manager"), "--secure-port", 0,
                       "--leader-elect=false", "--controllers", CONTROLLERS)


def stop_ours(plane, manager):
    assert manager.stop() == 0, manager.log()
    plane.programs.remove(manager)
