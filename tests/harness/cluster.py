"""A cluster made by rusternetes-ctl within the world that the tests run in, and what tests ask of it."""
import contextlib
import json
import os
import re
import subprocess
import time

from harness.functions import Skipped

IMAGE = "localhost/busybox:local"
CURL = "localhost/curl:local"  # curl with glibc's resolver, and busybox
NGINX = "localhost/nginx:local"  # answers with its host's name on port 8080


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

    def load_image(self, reference=IMAGE):
        """IMAGE or CURL."""
        script, programs = ("busybox-image", [self.context.binary("test_agent")]) if reference == IMAGE else ("curl-image", [])
        archive = os.path.join(self.context.work, f"{script.removesuffix('-image')}.tar")
        if not os.path.exists(archive):
            self.context.run(self.context.script(script), archive, reference, *programs)
        self.run_ctl("image", "load", self.name, "--archive", archive)

    def load_nginx(self):
        archive = os.path.join(self.context.root, "build", "nginx.tar")
        if not os.path.exists(archive):
            raise Skipped("there is no build/nginx.tar: scripts/nginx-image build/nginx.tar makes it where Debian's packages can be fetched")
        self.run_ctl("image", "load", self.name, "--archive", archive)

    def process(self):
        """The pid of the cluster's rusternetes."""
        return json.loads(self.run_ctl("status", self.name, "--output", "json").stdout)["process"]["pid"]

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

    def service(self, name, port=80, target=8080, **spec):
        """A Service of the Pods app=NAME."""
        ports = [{"name": "main", "port": port, "targetPort": target}]
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
                "spec": {"selector": {"app": name}, "ports": ports, **spec}}

    def service_cidr(self, name, *blocks):
        return {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": name}, "spec": {"cidrs": list(blocks)}}

    def create_as_soon_as_allowed(self, thing):
        """As fast as a client can: what is refused is asked for again."""
        end = time.monotonic() + self.context.seconds(30)
        while self.kubectl("create", "-f", "-", input=json.dumps(thing), check=False).returncode != 0:
            assert time.monotonic() < end, f"{thing['kind']} {thing['metadata']['name']} is never accepted"

    def pod(self, name, *command, labels=None, image=IMAGE, container=None, **spec):
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {"app": name}},
                "spec": {"terminationGracePeriodSeconds": 1, **spec,
                         "containers": [{"name": "main", "image": image, **({"command": list(command)} if command else {}), **(container or {})}]}}

    def exec(self, pod, *command, check=True, timeout=30.0, input=None):
        """The completed `kubectl exec` of a command in a Pod."""
        flags = ["-i"] if input is not None else []
        return self.kubectl("exec", *flags, pod, "--", *command, check=check, timeout=timeout, input=input)

    def change_status(self, path, change):
        """Writes what change(status) makes of an object's status, as its controller would. `path` is the object's in the API
        (kubectl has --subresource from 1.24 on, --raw always)."""
        def write():
            document = json.loads(self.kubectl("get", "--raw", path).stdout)
            change(document.setdefault("status", {}))
            return self.kubectl("replace", "--raw", f"{path}/status", "-f", "-", input=json.dumps(document))
        self.context.wait_until(f"the status of {path} to be written", write, 20)

    def apply(self, *objects):
        document = objects[0] if len(objects) == 1 else {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self.kubectl("apply", "-f", "-", input=json.dumps(document)).stdout


def assert_matches(pattern, text):
    assert re.search(pattern, text, re.MULTILINE), f"no {pattern!r} in:\n{text[-3000:]}"


def untranslated_drops(listing):
    """The ranges of the drop rules of a `nft list ruleset`: chains of the tables rusternetes-HASH."""
    return set(re.findall(r"ip6? daddr (\S+) (?:oifname != \S+ )?counter name \"untranslated\" drop", listing))


def network_of(pid):
    """A path to the network namespace that a process holds beside its own: a rusternetes' is its node's. A Pod's, too, is
    held while it is wired, so only what stays for a while counts."""
    folder, own = f"/proc/{pid}/fd", os.readlink(f"/proc/{pid}/ns/net")

    def held():
        out = set()
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError):
                target = os.readlink(os.path.join(folder, fd))
                if target.startswith("net:[") and target != own:
                    out.add((os.path.join(folder, fd), target))
        return out
    end, seen = time.monotonic() + 20, held()
    while len({target for _, target in seen}) != 1 and time.monotonic() < end:
        time.sleep(0.1)
        seen = held() if len(seen) == 0 else seen & held()
    assert seen, f"process {pid} holds no other network namespace"
    return min(seen)[0]
