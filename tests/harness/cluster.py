"""A cluster made by rusternetes-ctl within the world that the tests run in, and what tests ask of it."""
import json
import os
import re
import subprocess

IMAGE = "localhost/busybox:local"


class Cluster:
    """Owns its launcher home and kubeconfig below the test's work folder; remove() leaves nothing of it."""

    def __init__(self, context, name="rusternetes", home=None, create_flags=()):
        self.context, self.name = context, name
        self.ctl = context.binary("rusternetes-ctl")
        self.home = home or os.path.join(context.work, "home")
        self.kubeconfig = os.path.join(context.work, f"{name}.kubeconfig")
        self.create_flags = list(create_flags)

    def run_ctl(self, *words, check=True, timeout=120.0):
        # The user's kubeconfig that `create` merges into is a file of this cluster's own.
        return self.context.run(self.ctl, *words, "--home", self.home, check=check, timeout=timeout,
                                env={"KUBECONFIG": self.kubeconfig + ".merged"})

    def create(self, timeout=120.0):
        flags = list(self.create_flags)
        if self.context.engine:
            flags += ["--engine", self.context.engine]
        self.run_ctl("create", self.name, "--wait", "60s", "--yes", *flags, timeout=timeout)
        self.write_kubeconfig()
        return self

    def write_kubeconfig(self):
        text = self.run_ctl("kubeconfig", self.name).stdout
        with open(os.open(self.kubeconfig, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)

    def load_image(self):
        archive = os.path.join(self.context.work, "busybox.tar")
        if not os.path.exists(archive):
            self.context.run(self.context.script("busybox-image"), archive, IMAGE)
        self.run_ctl("image", "load", self.name, "--archive", archive)

    def remove(self):
        return self.run_ctl("delete", self.name, "--yes")

    def command(self, *words):
        assert self.context.kubectl, "a test that needs kubectl must be skipped where there is none"
        return [self.context.kubectl.path, "--kubeconfig", self.kubeconfig, *words]

    def kubectl(self, *words, input=None, check=True, timeout=60.0):
        return self.context.run(*self.command(*words), input=input, check=check, timeout=timeout)

    def start_kubectl(self, *words):
        """A kubectl that goes on (get --watch, logs --follow); the caller ends it."""
        return subprocess.Popen(self.command(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                stdin=subprocess.DEVNULL)

    def get(self, *words):
        return json.loads(self.kubectl("get", *words, "-o", "json").stdout)

    def node_is_ready(self):
        nodes = self.get("nodes")["items"]
        ready = lambda n: any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"].get("conditions", []))
        return bool(nodes) and all(map(ready, nodes))

    def pods(self, selector, namespace="default"):
        return self.get("pods", "-n", namespace, "-l", selector)["items"]

    def running_pods(self, selector, count, namespace="default", timeout=60.0):
        """Waits until exactly `count` Pods are there, all Running with ready containers and none on its way out."""
        def check():
            pods = self.pods(selector, namespace)
            fit = [p for p in pods if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]
                   and all(c["ready"] for c in p["status"].get("containerStatuses", [{"ready": False}]))]
            assert len(fit) == count and len(pods) == count, [
                (p["metadata"]["name"], p["status"].get("phase"), p["metadata"].get("deletionTimestamp"), p["metadata"].get("ownerReferences"),
                 p["status"].get("containerStatuses")) for p in pods]
            return fit or True
        return self.context.wait_until(f"{count} running Pods of {selector}", check, timeout)

    def deployment(self, name, replicas=1, command=("sh", "-c", "echo started; exec httpd -f -p 8080")):
        """A Deployment of the local image; labels are app=NAME."""
        return {
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}},
                                  "spec": {"terminationGracePeriodSeconds": 1,
                                           "containers": [{"name": "main", "image": IMAGE, "command": list(command)}]}}}}

    def apply(self, *objects):
        document = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", input=json.dumps(document)).stdout


def assert_matches(pattern, text):
    assert re.search(pattern, text, re.MULTILINE), f"no {pattern!r} in:\n{text[-3000:]}"
