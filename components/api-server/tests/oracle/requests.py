#!/usr/bin/env python3
"""Makes the list of requests from the objects in objects.py: requests.py > requests.jsonl

For each kind: what a minimal object becomes, each required field missing, each enumeration wrong, other bad values, each
fixed field changed, the rules of metadata, conflicts, patches, subresources, dry run, deletion.
"""
import copy
import json
import sys

import general
from objects import KINDS, NAMESPACE, SETUP, TEARDOWN

MERGE, STRATEGIC, JSON_PATCH = ("application/merge-patch+json", "application/strategic-merge-patch+json",
                                "application/json-patch+json")
DELETE = object()  # a value that stands for taking the field away


def at(document, path):
    for part in path.split("."):
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def changed(document, path, value):
    """A copy with the value at the path ("a.b.0.c"; "~1" in a part stands for "."); None as DELETE takes it away."""
    document = copy.deepcopy(document)
    parts = [part.replace("~1", ".") for part in path.split(".")]
    here = document
    for part, following in zip(parts[:-1], parts[1:]):
        if isinstance(here, list):
            index = int(part)
            while len(here) <= index:
                here.append({})
            here = here[index]
        else:
            if part not in here:
                here[part] = [] if following.isdigit() else {}
            here = here[part]
    last = parts[-1]
    if value is DELETE:
        if isinstance(here, list):
            del here[int(last)]
        else:
            here.pop(last, None)
    elif isinstance(here, list):
        if int(last) < len(here):
            here[int(last)] = value
        else:
            here.append(value)
    else:
        here[last] = value
    return document


class List:
    def __init__(self):
        self.seen = set()

    def add(self, name, method, path, body=None, content_type=None, text=None, accept=None):
        plain, number = name, 1
        while name in self.seen:
            number += 1
            name = f"{plain} #{number}"
        self.seen.add(name)
        request = {"name": name, "method": method, "path": path}
        if body is not None:
            request["body"] = body
        if text is not None:
            request["text"] = text
        if content_type:
            request["type"] = content_type
        if accept:
            request["accept"] = accept
        print(json.dumps(request))


def short(value):
    return json.dumps(value, separators=(",", ":")).replace(" ", "_")[:48]


def kind_requests(out, kind):
    label, collection, valid = kind["label"], kind["path"], kind["object"]
    name = valid["metadata"]["name"]
    one = f"{collection}/{name}"
    dry = "?dryRun=All"
    namespaced = "/namespaces/" in collection

    def create(what, body, query="?dryRun=All"):
        out.add(f"{label}: {what}", "POST", collection + query, body)

    def named(suffix, body=None):
        return changed(body or valid, "metadata.name", kind.get("other_name", name + suffix))

    create("create of a minimal object, dry run", valid)
    for what, body in kind.get("creates", {}).items():
        create(f"create {what}", body)
    for path in kind.get("required", []):
        create(f"create without {path}", changed(valid, path, DELETE))
        if path.split(".")[-1] in ("name", "kind", "apiVersion") or not isinstance(at(valid, path), str):
            continue
        create(f"create with empty {path}", changed(valid, path, ""))
    for path in kind.get("enums", []):
        create(f"create with wrong {path}", changed(valid, path, "Wrong"))
    for path, values in kind.get("values", {}).items():
        for value in values:
            create(f"create with {path}={short(value)}", changed(valid, path, value))
    metadata_requests(create, kind, valid)
    create("create for good", valid, "?fieldManager=oracle")
    create("create again", valid, "")
    out.add(f"{label}: get", "GET", one)
    out.add(f"{label}: get of an unknown name", "GET", one + "-absent")
    update_requests(out, kind, one)
    out.add(f"{label}: delete with a wrong uid", "DELETE", one, {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"uid": "wrong"}})
    out.add(f"{label}: delete with a wrong resourceVersion", "DELETE", one, {"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": {"resourceVersion": "1"}})
    out.add(f"{label}: delete with a wrong policy", "DELETE", one + "?propagationPolicy=Wrong")
    if kind.get("keep"):
        return
    out.add(f"{label}: delete, dry run", "DELETE", one + dry)
    out.add(f"{label}: delete", "DELETE", one)
    if not kind.get("lingers"):
        out.add(f"{label}: get when it is gone", "GET", one)
        out.add(f"{label}: delete when it is gone", "DELETE", one)
    if namespaced:
        out.add(f"{label}: create in a namespace that is not there", "POST", collection.replace(NAMESPACE, "oracle-absent"),
                changed(valid, "metadata.namespace", DELETE))


def metadata_requests(create, kind, valid):
    create("create without metadata", changed(valid, "metadata", DELETE))
    create("create without a name", changed(valid, "metadata.name", DELETE))
    for value in kind.get("bad_names", ["Upper", "-dash", "under_score", "a" * 254, "two..dots"]):
        create(f"create named {value[:20]}", changed(valid, "metadata.name", value))
    create("create with generateName", changed(changed(valid, "metadata.name", DELETE), "metadata.generateName", kind.get("generate", "made-")))
    create("create with a bad generateName", changed(changed(valid, "metadata.name", DELETE), "metadata.generateName", "Bad_"))
    create("create with a bad label key", changed(valid, "metadata.labels", {"-bad-": "x"}))
    create("create with a bad label value", changed(valid, "metadata.labels", {"a": "not valid!"}))
    create("create with a bad annotation key", changed(valid, "metadata.annotations", {"a b": "x"}))
    create("create with an upper-case annotation key", changed(valid, "metadata.annotations", {"Example.com/A": "x"}))
    create("create with a bad finalizer", changed(valid, "metadata.finalizers", ["bad finalizer"]))
    create("create with a finalizer that is not qualified", changed(valid, "metadata.finalizers", ["plain"]))
    create("create with contradicting finalizers", changed(valid, "metadata.finalizers", ["orphan", "foregroundDeletion"]))
    create("create with an empty owner", changed(valid, "metadata.ownerReferences", [{}]))
    create("create with two controllers", changed(valid, "metadata.ownerReferences", [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": n, "uid": n, "controller": True} for n in ("a", "b")]))
    create("create owned by an Event", changed(valid, "metadata.ownerReferences", [{"apiVersion": "v1", "kind": "Event", "name": "a", "uid": "a"}]))
    create("create with another namespace", changed(valid, "metadata.namespace", "kube-system"))
    create("create with a resourceVersion", changed(valid, "metadata.resourceVersion", "1"))
    create("create of another kind", changed(valid, "kind", "Wrong"))
    create("create of another version", changed(valid, "apiVersion", "wrong/v9"))
    create("create without kind and version", changed(changed(valid, "kind", DELETE), "apiVersion", DELETE))
    create("create with an unknown field, strictly", changed(valid, "unknownField", 1), "?dryRun=All&fieldValidation=Strict")
    create("create with an unknown field, warned", changed(valid, "unknownField", 1))
    create("create with a wrong option", valid, "?dryRun=Wrong")
    create("create with metadata of a wrong type", changed(valid, "metadata.labels", "text"))


def update_requests(out, kind, one):
    label, valid = kind["label"], kind["object"]
    dry = "?dryRun=All"
    base = changed(valid, "metadata.resourceVersion", "$rv")

    def put(what, body, path=one, query=dry):
        out.add(f"{label}: {what}", "PUT", path + query, body)

    def patch(what, body, path=one, content_type=MERGE, query=dry):
        out.add(f"{label}: {what}", "PATCH", path + query, body, content_type)

    put("update that changes nothing", base)
    put("update without resourceVersion", valid)
    put("update of a stale version", changed(valid, "metadata.resourceVersion", "1"))
    put("update with a resourceVersion that is no number", changed(valid, "metadata.resourceVersion", "x"))
    put("update under another name", changed(base, "metadata.name", "other"))
    put("update with another uid", changed(base, "metadata.uid", "wrong"))
    put("update with its uid", changed(base, "metadata.uid", "$uid"))
    put("update with another namespace", changed(base, "metadata.namespace", "kube-system"))
    put("update of labels and annotations", changed(changed(base, "metadata.labels", {"a": "b"}), "metadata.annotations", {"c": "d"}))
    put("update with a bad label", changed(base, "metadata.labels", {"a": "not valid!"}))
    put("update of an absent object", changed(valid, "metadata.name", kind.get("other_name", "absent")),
        path=one.rsplit("/", 1)[0] + "/" + kind.get("other_name", "absent"))
    for path, values in kind.get("updates", {}).items():
        for value in values:
            body = changed(base, path, DELETE if value == "<gone>" else value)
            put(f"update of {path} to {short(value)}", body)
    patch("merge patch of a label", {"metadata": {"labels": {"patched": "yes"}}})
    patch("strategic patch of a label", {"metadata": {"labels": {"patched": "yes"}}}, content_type=STRATEGIC)
    patch("JSON patch of a label", [{"op": "add", "path": "/metadata/labels", "value": {"patched": "yes"}}], content_type=JSON_PATCH)
    patch("JSON patch whose test fails", [{"op": "test", "path": "/metadata/name", "value": "x"}], content_type=JSON_PATCH)
    patch("JSON patch of an absent path", [{"op": "remove", "path": "/metadata/absent"}], content_type=JSON_PATCH)
    patch("merge patch of the name", {"metadata": {"name": "other"}})
    patch("merge patch with a stale version", {"metadata": {"resourceVersion": "1"}})
    patch("merge patch with a bad label", {"metadata": {"labels": {"a": "not valid!"}}})
    patch("patch of an unknown media type", {"metadata": {}}, content_type="application/wrong")
    out.add(f"{label}: merge patch that is no JSON", "PATCH", one + dry, None, MERGE, "{")
    for name, body in kind.get("patches", {}).items():
        patch(f"merge patch {name}", body)
    for name, (content_type, body) in kind.get("typed_patches", {}).items():
        patch(name, body, content_type=content_type)
    if "status" in kind:
        out.add(f"{label}: get of status", "GET", one + "/status")
        put("update of status that changes nothing", base, one + "/status")
        put("update of status with labels", changed(base, "metadata.labels", {"from": "status"}), one + "/status")
        put("update of status with another spec", changed(base, kind["status"]["ignored"], kind["status"]["ignored_value"]), one + "/status")
        for number, status in enumerate(kind["status"]["values"]):
            put(f"update of status {number} {short(status)}", changed(base, "status", status), one + "/status")
        patch("merge patch of status", {"status": kind["status"]["values"][0]}, one + "/status")
    for name, (method, path, body) in kind.get("subresources", {}).items():
        out.add(f"{label}: {name}", method, one + path, body, STRATEGIC if method == "PATCH" else None)


def main():
    out = List()
    for name, method, path, body in SETUP:
        out.add(f"setup: {name}", method, path, body)
    for kind in KINDS:
        kind_requests(out, kind)
    for name, method, path, body, extra in general.requests():
        out.add(f"API: {name}", method, path, body, extra.get("type"), extra.get("text"), extra.get("accept"))
    for name, method, path, body in TEARDOWN:
        out.add(f"end: {name}", method, path, body)


if __name__ == "__main__":
    sys.exit(main())
