"""Requests about the API rather than about a kind: lists, watches, forms of an answer, wrong methods, types and bodies."""
from objects import NAMESPACE

IN = f"/api/v1/namespaces/{NAMESPACE}"
MAPS = f"{IN}/configmaps"
META = "meta.k8s.io;v=v1"


def one_map(name, labels=None, **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels or {}}, "data": {"k": name}, **more}


def requests():
    """(name, method, path, body, extra) each; `extra` may have type, accept, text."""
    def get(name, query, **extra):
        return (name, "GET", MAPS + query, None, extra)

    for i in range(5):
        yield f"make map {i}", "POST", MAPS, one_map(f"m{i}", {"tier": "ab"[i % 2], "number": str(i)}), {}

    # Lists. "$first" is the resourceVersion of m0, "$continue" the token of the last list that had one.
    yield get("list", "")
    yield get("list in pages", "?limit=2")
    yield get("list, next page", "?limit=2&continue=$continue")
    yield get("list, last page", "?limit=2&continue=$continue")
    yield get("list in pages for the rest", "?limit=4")
    yield get("list, next page without a limit", "?continue=$continue")
    yield get("list in pages with a selector", "?limit=1&labelSelector=tier%3Da")
    yield get("continue with a resourceVersion", "?limit=2&continue=$continue&resourceVersion=5")
    yield get("continue with resourceVersion 0", "?limit=2&continue=$continue&resourceVersion=0")
    yield get("continue with a match", "?limit=2&continue=$continue&resourceVersionMatch=Exact")
    yield get("continue that is garbage", "?limit=2&continue=garbage")
    yield get("continue that is base64 of garbage", "?limit=2&continue=Z2FyYmFnZQ")
    yield get("limit that is no number", "?limit=x")
    yield get("negative limit", "?limit=-1")
    yield get("any version", "?resourceVersion=0")
    yield get("any version in pages", "?resourceVersion=0&limit=2")
    yield get("not older than", "?resourceVersion=$first&resourceVersionMatch=NotOlderThan")
    yield get("exactly", "?resourceVersion=$first&resourceVersionMatch=Exact")
    yield get("exactly in pages", "?resourceVersion=$first&resourceVersionMatch=Exact&limit=1")
    yield get("exact version 0", "?resourceVersion=0&resourceVersionMatch=Exact")
    yield get("match without version", "?resourceVersionMatch=Exact")
    yield get("unknown match", "?resourceVersion=1&resourceVersionMatch=Wrong")
    yield get("version that is no number", "?resourceVersion=x")
    yield get("version in the future", "?resourceVersion=99999999&resourceVersionMatch=Exact")
    yield get("limit with a version", "?resourceVersion=$first&limit=1")
    for text in ("tier=a", "tier==a", "tier!=a", "tier in (a,b)", "tier notin (a)", "!tier", "tier", "number>2", "number<2", "tier=a,number>0",
                 "tier in ()", "tier=", "a b", "=a", "tier in (a", "number>x", "(", "UPPER/x=1", "a//b=1", "x=" + "v" * 64):
        yield get(f"label selector {text[:20]}", "?labelSelector=" + quote(text))
    for text in ("metadata.name=m1", "metadata.name!=m1", f"metadata.namespace={NAMESPACE}", "metadata.name=m1,metadata.namespace=other", "metadata.name",
                 "data.k=v", "metadata.labels=x", "metadata.name==m2", "metadata.name=a%", "=", ","):
        yield get(f"field selector {text}", "?fieldSelector=" + quote(text))
    yield "list of all namespaces", "GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dm1", None, {}
    yield "list in a namespace that is not there", "GET", "/api/v1/namespaces/nowhere/configmaps", None, {}

    # Gets.
    yield get("get at version 0", "/m1?resourceVersion=0")
    yield get("get at a version that is no number", "/m1?resourceVersion=x")
    yield get("get of what is not there", "/none")
    yield get("get with an unknown query", "/m1?nothing=1")

    # Watches, for a second.
    watch = "&timeoutSeconds=1"
    yield get("watch from the beginning", "?watch=true&resourceVersion=0&fieldSelector=metadata.name%3Dm1" + watch)
    yield get("watch from a version", "?watch=1&resourceVersion=$first&labelSelector=number%3D4" + watch)
    yield get("watch with initial events", "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dm1" + watch)
    yield get("watch without initial events", "?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&fieldSelector=metadata.name%3Dm1" + watch)
    yield get("initial events without a match", "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true" + watch)
    yield get("initial events without bookmarks", "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan" + watch)
    yield get("initial events of a list", "?sendInitialEvents=true")
    yield get("watch with an exact match", "?watch=true&resourceVersion=1&resourceVersionMatch=Exact" + watch)
    yield get("watch with a match alone", "?watch=true&resourceVersionMatch=NotOlderThan" + watch)
    yield get("watch from a version that is no number", "?watch=true&resourceVersion=x" + watch)
    yield get("watch from a negative version", "?watch=true&resourceVersion=-1" + watch)
    yield get("watch of one", "/m1?watch=true&resourceVersion=0" + watch)
    yield "watch by its old path", "GET", f"/api/v1/watch/namespaces/{NAMESPACE}/configmaps/m1?resourceVersion=0{watch}", None, {}
    yield get("watch with a bad selector", "?watch=true&labelSelector=a%20b" + watch)
    yield get("watch as metadata", "?watch=true&resourceVersion=0&fieldSelector=metadata.name%3Dm1" + watch, accept=f"application/json;as=PartialObjectMetadata;g={META}")

    # Forms of an answer.
    for form in ("PartialObjectMetadata", "PartialObjectMetadataList", "Table", "Wrong"):
        yield get(f"list as {form}", "", accept=f"application/json;as={form};g={META}")
        yield get(f"get as {form}", "/m1", accept=f"application/json;as={form};g={META}")
    yield get("list as a table without objects", "?includeObject=None", accept=f"application/json;as=Table;g={META}")
    yield get("list as a table with objects", "?includeObject=Object", accept=f"application/json;as=Table;g={META}")
    yield get("list as a table with something else", "?includeObject=Wrong", accept=f"application/json;as=Table;g={META}")
    yield get("table of another version", "", accept="application/json;as=Table;g=meta.k8s.io;v=v2")
    yield get("table or plain", "/m1", accept=f"application/json;as=Table;g=meta.k8s.io;v=v9,application/json")
    yield get("anything", "/m1", accept="*/*")
    yield get("any application", "/m1", accept="application/*")
    yield get("no type we have", "/m1", accept="text/html")
    yield get("no type we have, or anything", "/m1", accept="text/html,*/*;q=0.1")
    yield get("not found as a table", "/none", accept=f"application/json;as=Table;g={META}")

    # Bodies.
    def post(name, body=None, query="?dryRun=All", **extra):
        return (name, "POST", MAPS + query, body, extra)

    yield post("no body", text="")
    yield post("body that is no JSON", text="{")
    yield post("body that is a list", text="[]")
    yield post("body that is a string", text='"x"')
    yield post("body that is null", text="null")
    yield post("empty object", text="{}")
    yield post("another kind", {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    yield post("another version", {"apiVersion": "v2", "kind": "ConfigMap", "metadata": {"name": "x"}})
    yield post("another group", {"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "x"}})
    yield post("unknown kind", {"apiVersion": "v1", "kind": "Nothing", "metadata": {"name": "x"}})
    yield post("only a kind", {"kind": "ConfigMap", "metadata": {"name": "x"}})
    yield post("only a version", {"apiVersion": "v1", "metadata": {"name": "x"}})
    yield post("a number for a string", {"metadata": {"name": 5}})
    yield post("a string for a map", {"metadata": {"name": "x"}, "data": "x"})
    yield post("a boolean in a map of strings", {"metadata": {"name": "x"}, "data": {"a": True}})
    yield post("a list for an object", {"metadata": []})
    yield post("null for everything", {"metadata": {"name": "x", "labels": None, "annotations": None}, "data": None})
    yield post("bad base64", {"metadata": {"name": "x"}, "binaryData": {"a": "%%%"}})
    yield post("duplicate field", text='{"metadata":{"name":"x"},"data":{"a":"b"},"data":{"c":"d"}}')
    yield post("duplicate field, strict", text='{"metadata":{"name":"x"},"data":{"a":"b"},"data":{"c":"d"}}', query="?dryRun=All&fieldValidation=Strict")
    yield post("unknown field, strict", {"metadata": {"name": "x", "wrong": 1}, "dat": {}}, query="?dryRun=All&fieldValidation=Strict")
    yield post("unknown field, ignored", {"metadata": {"name": "x", "wrong": 1}, "dat": {}}, query="?dryRun=All&fieldValidation=Ignore")
    yield post("field validation of no kind", {"metadata": {"name": "x"}}, query="?fieldValidation=Wrong")
    yield post("dry run of no kind", {"metadata": {"name": "x"}}, query="?dryRun=Wrong")
    yield post("field manager that is too long", {"metadata": {"name": "x"}}, query="?dryRun=All&fieldManager=" + "m" * 129)
    yield post("field manager with a line break", {"metadata": {"name": "x"}}, query="?dryRun=All&fieldManager=a%0Ab")
    yield post("case of a field name", {"metadata": {"name": "x"}, "Data": {"a": "b"}})
    yield post("YAML", text="metadata:\n  name: x\ndata:\n  a: b\n", type="application/yaml")
    yield post("YAML that is none", text="a: [", type="application/yaml")
    yield post("YAML twice the same key", text="metadata:\n  name: x\ndata:\n  a: b\n  a: c\n", type="application/yaml")
    yield post("YAML twice the same key, strict", text="metadata:\n  name: x\ndata:\n  a: b\n  a: c\n", type="application/yaml", query="?dryRun=All&fieldValidation=Strict")
    yield post("protobuf that is none", text="xyz", type="application/vnd.kubernetes.protobuf")
    yield post("unknown type", {"metadata": {"name": "x"}}, type="text/plain")
    yield post("type with a charset", {"metadata": {"name": "x"}}, type="application/json; charset=utf-8")
    yield post("patch type", {"metadata": {"name": "x"}}, type="application/merge-patch+json")
    yield post("large numbers", {"metadata": {"name": "x", "generation": 9223372036854775808}})
    yield post("a fraction for an integer", {"metadata": {"name": "x", "generation": 1.5}})
    yield post("deep nesting", text='{"metadata":{"name":"x","annotations":' + "[" * 200 + "]" * 200 + "}}")
    yield post("a name in capitals", {"metadata": {"name": "X"}})
    yield post("an object that is too large", {"metadata": {"name": "x"}, "data": {"a": "x" * (1024 * 1024 + 10)}})

    # Patches.
    def patch(name, body, kind, query="?dryRun=All", **extra):
        return (name, "PATCH", MAPS + "/m1" + query, body, {"type": f"application/{kind}+json", **extra})

    yield patch("merge patch that is a list", [], "merge-patch")
    yield patch("merge patch of null", {"data": {"k": None}}, "merge-patch")
    yield patch("merge patch of a wrong type", {"data": {"k": {"a": 1}}}, "merge-patch")
    yield patch("merge patch of the name", {"metadata": {"name": "other"}}, "merge-patch")
    yield patch("merge patch of the namespace", {"metadata": {"namespace": "other"}}, "merge-patch")
    yield patch("merge patch of the kind", {"kind": "Secret"}, "merge-patch")
    yield patch("merge patch of an unknown field", {"wrong": 1}, "merge-patch")
    yield patch("merge patch of an unknown field, strict", {"wrong": 1}, "merge-patch", query="?dryRun=All&fieldValidation=Strict")
    yield patch("merge patch with a stale version", {"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}}, "merge-patch")
    yield patch("merge patch that is no JSON", None, "merge-patch", text="{")
    yield patch("strategic patch with a directive", {"data": {"$patch": "replace", "n": "m"}}, "strategic-merge-patch")
    yield patch("strategic patch with a wrong directive", {"data": {"$patch": "wrong"}}, "strategic-merge-patch")
    yield patch("strategic patch that deletes finalizers", {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/b"]}}, "strategic-merge-patch")
    yield patch("strategic patch retaining keys", {"metadata": {"labels": {"$retainKeys": ["tier"], "tier": "z"}}}, "strategic-merge-patch")
    yield patch("JSON patch", [{"op": "add", "path": "/data/n", "value": "v"}], "json-patch")
    yield patch("JSON patch with a test", [{"op": "test", "path": "/data/k", "value": "m1"}, {"op": "remove", "path": "/data/k"}], "json-patch")
    yield patch("JSON patch with a failing test", [{"op": "test", "path": "/data/k", "value": "no"}], "json-patch")
    yield patch("JSON patch of what is not there", [{"op": "replace", "path": "/data/none", "value": "v"}], "json-patch")
    yield patch("JSON patch that removes nothing", [{"op": "remove", "path": "/data/none"}], "json-patch")
    yield patch("JSON patch with an unknown operation", [{"op": "wrong", "path": "/data"}], "json-patch")
    yield patch("JSON patch that is an object", {}, "json-patch")
    yield patch("JSON patch without a path", [{"op": "add"}], "json-patch")
    yield patch("JSON patch that moves", [{"op": "move", "from": "/data/k", "path": "/data/l"}], "json-patch")
    yield patch("JSON patch that copies", [{"op": "copy", "from": "/data/k", "path": "/data/l"}], "json-patch")
    yield "patch of an unknown type", "PATCH", MAPS + "/m1", {}, {"type": "application/json"}
    yield "patch of what is not there", "PATCH", MAPS + "/none", {"data": {}}, {"type": "application/merge-patch+json"}
    yield "forced merge patch", "PATCH", MAPS + "/m1?force=true&dryRun=All", {}, {"type": "application/merge-patch+json"}

    # Deletion.
    yield "delete with a wrong uid", "DELETE", MAPS + "/m1", {"preconditions": {"uid": "wrong"}}, {}
    yield "delete with a stale version", "DELETE", MAPS + "/m1", {"preconditions": {"resourceVersion": "1"}}, {}
    yield "delete with a wrong policy", "DELETE", MAPS + "/m1", {"propagationPolicy": "Wrong"}, {}
    yield "delete with two policies", "DELETE", MAPS + "/m1", {"propagationPolicy": "Orphan", "orphanDependents": True}, {}
    yield "delete with options of another kind", "DELETE", MAPS + "/m1", {"apiVersion": "v1", "kind": "Pod"}, {}
    yield "delete, dry run by body", "DELETE", MAPS + "/m1", {"dryRun": ["All"]}, {}
    yield "delete, dry run of no kind", "DELETE", MAPS + "/m1", {"dryRun": ["Some"]}, {}
    yield "delete of what is not there", "DELETE", MAPS + "/none", None, {}
    yield "orphaning delete", "DELETE", MAPS + "/m4?propagationPolicy=Orphan", None, {}
    yield get("what is being deleted", "/m4")
    yield "foreground delete", "DELETE", MAPS + "/m3?propagationPolicy=Foreground", None, {}
    yield "delete collection, dry run", "DELETE", MAPS + "?labelSelector=tier%3Da&dryRun=All", None, {}
    yield "delete collection", "DELETE", MAPS + "?labelSelector=tier%3Da,number!%3D4", None, {}
    yield "delete collection of all namespaces", "DELETE", "/api/v1/configmaps", None, {}

    # Methods and paths.
    yield "POST to an object", "POST", MAPS + "/m1", one_map("m1"), {}
    yield "PUT to a list", "PUT", MAPS, one_map("m1"), {}
    yield "PATCH of a list", "PATCH", MAPS, {}, {"type": "application/merge-patch+json"}
    yield "PUT with another name", "PUT", MAPS + "/m1", one_map("other"), {}
    yield "PUT without a name", "PUT", MAPS + "/m1", {"data": {}}, {}
    yield "unknown method", "PURGE", MAPS + "/m1", None, {}
    yield "unknown resource", "GET", f"{IN}/nothings", None, {}
    yield "unknown subresource", "GET", MAPS + "/m1/nothing", None, {}
    yield "unknown group", "GET", "/apis/nothing.example.com/v1/things", None, {}
    yield "unknown version", "GET", "/apis/apps/v9/deployments", None, {}
    yield "unknown path", "GET", "/nothing", None, {}
    yield "cluster-scoped kind in a namespace", "GET", f"{IN}/nodes", None, {}
    yield "create without a namespace", "POST", "/api/v1/configmaps", one_map("x"), {}
    yield "a name with a slash encoded", "GET", MAPS + "/a%2Fb", None, {}
    yield "path with a slash at its end", "GET", MAPS + "/", None, {}
    yield "two slashes", "GET", f"{IN}//configmaps", None, {}
    for path in ("/api", "/apis", "/api/v1", "/apis/apps", "/apis/apps/v1", "/apis/events.k8s.io/v1", "/apis/coordination.k8s.io/v1",
                 "/apis/discovery.k8s.io/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/networking.k8s.io/v1", "/apis/scheduling.k8s.io/v1"):
        yield f"discovery {path}", "GET", path, None, {}
    for path in ("/healthz", "/livez", "/readyz", "/healthz/ping", "/healthz/none"):
        yield f"health {path}", "GET", path, None, {}

    # Reviews.
    reviews = "/apis/authorization.k8s.io/v1"
    attributes = {"namespace": "x", "verb": "get", "resource": "pods"}
    yield "access of a user", "POST", f"{reviews}/subjectaccessreviews", {"spec": {"user": "bob", "resourceAttributes": attributes}}, {}
    yield "access of nobody", "POST", f"{reviews}/subjectaccessreviews", {"spec": {"resourceAttributes": attributes}}, {}
    yield "access to nothing", "POST", f"{reviews}/subjectaccessreviews", {"spec": {"user": "bob"}}, {}
    yield "access to two things", "POST", f"{reviews}/subjectaccessreviews", {"spec": {"user": "bob", "resourceAttributes": attributes, "nonResourceAttributes": {"path": "/", "verb": "get"}}}, {}
    yield "own access", "POST", f"{reviews}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": attributes}}, {}
    yield "own access to a path", "POST", f"{reviews}/selfsubjectaccessreviews", {"spec": {"nonResourceAttributes": {"path": "/healthz", "verb": "get"}}}, {}
    yield "local access in another namespace", "POST", f"{reviews}/namespaces/y/localsubjectaccessreviews", {"metadata": {"namespace": "y"}, "spec": {"user": "bob", "resourceAttributes": attributes}}, {}
    yield "token review of garbage", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {"token": "garbage"}}, {}
    yield "token review of nothing", "POST", "/apis/authentication.k8s.io/v1/tokenreviews", {"spec": {}}, {}
    yield "reading a review", "GET", f"{reviews}/subjectaccessreviews", None, {}
    for i in range(5):
        yield f"end map {i}", "DELETE", MAPS + f"/m{i}", None, {}


def quote(text):
    import urllib.parse
    return urllib.parse.quote(text, safe="")
