"""Pods of one main container, and what is said of them. The cluster is context.state["cluster"]."""
import os
import time

from harness.cluster import IMAGE

SLEEPER = ["sleep", "100000"]


def pod(name, container=None, init=(), metadata=None, **spec):
    """`container` is what the main one has beside an endless sleep, `init` complete init containers."""
    main = {"name": "main", "image": IMAGE, "command": SLEEPER, **(container or {})}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [main], **({"initContainers": list(init)} if init else {}), **spec}}


def shell(script):
    return ["sh", "-c", script]


def exec_action(script):
    return {"exec": {"command": shell(script)}}


def probe(action, **fields):
    return {"periodSeconds": 1, "timeoutSeconds": 5, **action, **fields}


def with_data(context, name, spec):
    """(the folder on the host, the Pod with it as /data in every container)"""
    folder = os.path.join(context.work, "data-" + name)
    os.makedirs(folder)
    os.chmod(folder, 0o755)
    spec["spec"]["volumes"] = [{"name": "data", "hostPath": {"path": folder, "type": "Directory"}}]
    for container in spec["spec"]["containers"] + spec["spec"].get("initContainers", []):
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    return folder, spec


def write(folder, name, content=b""):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(content)


def words(folder, name="log"):
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return file.read().split()


def get(context, name):
    return context.state["cluster"].get("pod", name)


def condition(given, kind):
    return next((c["status"] for c in given.get("status", {}).get("conditions", []) if c["type"] == kind), None)


def status_of(given, name="main"):
    lists = given["status"].get("containerStatuses", []) + given["status"].get("initContainerStatuses", [])
    return next(s for s in lists if s["name"] == name)


def wait_ready(context, name, value="True", timeout=60.0):
    def check():
        now = get(context, name)
        assert condition(now, "Ready") == value, now["status"]
        return now
    return context.wait_until(f"{name} with Ready {value}", check, timeout)


def wait_event(context, name, reason, text, timeout=60.0):
    def check():
        events = context.state["cluster"].get("events")["items"]
        found = [e for e in events if e["involvedObject"].get("name") == name and e["reason"] == reason and text in e["message"]]
        assert found, [(e["reason"], e["message"]) for e in events if e["involvedObject"].get("name") == name]
        return found[0]
    return context.wait_until(f"an event {reason} of {name} with {text!r}", check, timeout)


def wait_restarts(context, name, container="main", count=1, timeout=90.0):
    def check():
        now = get(context, name)
        assert status_of(now, container)["restartCount"] >= count, now["status"]
        return now
    return context.wait_until(f"{count} restarts of {name}", check, timeout)


def delete(context, *names, grace=None, wait=True, timeout=90.0):
    """How long it took."""
    cluster, begin = context.state["cluster"], time.monotonic()
    flags = [f"--grace-period={grace}"] if grace is not None else []
    cluster.kubectl("delete", "pod", *names, "--wait=false", *flags)
    if wait:
        context.wait_until(f"the end of {names}", lambda: not any(n in names for n in pod_names(cluster)), timeout)
    return time.monotonic() - begin


def pod_names(cluster):
    return [p["metadata"]["name"] for p in cluster.get("pods")["items"]]


def output_of(context, spec):
    """What a Pod that runs to its end has printed."""
    cluster, name = context.state["cluster"], spec["metadata"]["name"]
    spec["spec"]["restartPolicy"] = "Never"
    cluster.apply(spec)

    def ended():
        now = get(context, name)
        assert now["status"].get("phase") in ("Succeeded", "Failed"), now["status"]
        return now
    assert context.wait_until(f"the end of {name}", ended)["status"]["phase"] == "Succeeded"
    text = context.wait_until(f"the words of {name}", lambda: cluster.kubectl("logs", name).stdout)
    delete(context, name, wait=False)
    return text
