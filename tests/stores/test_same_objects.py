"""What one server wrote the other lists: kube-apiserver v1.35 ($PEERS) and ours, one after the other and both at once on one
store, on rhino and on etcd."""
import json
import re
import time

from harness.functions import time_limit
from servers import APPLY, MERGE, Stage
from stores import Store, peer
from things import NAMESPACE, OURS_LACKS, Writer, definition

# Made up when they are asked for; no store has them.
NOT_STORED = {("v1", "componentstatuses")}

# Objects that servers keep themselves, which the second may change when it starts. While both run, these too must be the same.
OWN = (
    ("v1", "endpoints", "kubernetes"),  # who stands behind the API
    ("discovery.k8s.io/v1", "endpointslices", "kubernetes"),
    ("v1", "services", "kubernetes"),
    ("v1", "configmaps", "extension-apiserver-authentication"),  # authorities of clients
    ("v1", "configmaps", "kube-apiserver-legacy-service-account-token-tracking"),  # the day of the start
    ("coordination.k8s.io/v1", "leases", "apiserver-"),  # who is there
    ("apiregistration.k8s.io/v1", "apiservices", ""),  # one for each version that the server has, and whether it answers
    ("flowcontrol.apiserver.k8s.io/v1", "flowschemas", ""),  # of the system, and the status of all
    ("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations", ""),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "system:"),  # what is missing of the built-in ones is added
    ("rbac.authorization.k8s.io/v1", "clusterroles", "admin"),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "edit"),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "view"),
    ("rbac.authorization.k8s.io/v1", "clusterrolebindings", "system:"),
    ("rbac.authorization.k8s.io/v1", "roles", "system:"),
    ("rbac.authorization.k8s.io/v1", "rolebindings", "system:"),
    ("networking.k8s.io/v1", "servicecidrs", "kubernetes"),
)
# Kinds of which kube-apiserver itself writes the status, which nobody has written while ours was alone.
WITH_STATUS_OF_KUBE = ("customresourcedefinitions", "flowschemas", "validatingadmissionpolicies")
STATUS = re.compile(r"\.(status|metadata\.managedFields|metadata\.resourceVersion)\b")


def listable(api):
    """((apiVersion, resource), path prefix) of each."""
    return [((version, entry[1]), entry[0]) for (version, _), entry in api.resources().items() if "list" in entry[3]]


def lists(api, resources):
    """{(apiVersion, resource, namespace, name): object} of all these resources."""
    found = {}
    for (version, resource), prefix in resources:
        if (version, resource) in NOT_STORED:
            continue
        answer = api.get(f"{prefix}/{resource}")
        assert answer["apiVersion"] == version and answer["kind"].endswith("List"), answer
        for item in answer["items"]:
            found[version, resource, item["metadata"].get("namespace", ""), item["metadata"]["name"]] = item
    return found


def is_own(key):
    return key[3] != "thing" and any(key[:2] == own[:2] and key[3].startswith(own[2]) for own in OWN)


def paths(first, second, at=""):
    """Where two documents differ."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in sorted(first.keys() | second.keys()):
            yield from paths(first.get(key, "<none>"), second.get(key, "<none>"), f"{at}.{key}")
    elif isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        for i, pair in enumerate(zip(first, second)):
            yield from paths(*pair, f"{at}[{i}]")
    elif first != second or isinstance(first, bool) != isinstance(second, bool):
        yield f"{at}: {json.dumps(first)[:200]} | {json.dumps(second)[:200]}"


def differences(one, other, leave_out=lambda key: False, without_status=()):
    out = []
    for key in sorted(one.keys() | other.keys()):
        if leave_out(key):
            continue
        if key not in one or key not in other:
            out.append(f"{key}: only in the {'first' if key in one else 'second'}")
        else:
            out += [f"{key} {where}" for where in paths(one[key], other[key]) if key[1] not in without_status or not STATUS.match(where)]
    return out


def both_see_the_same(context, servers, resources):
    """While neither writes: what is kept anew all the time is read again until both answers are of one moment."""
    def same():
        one, other = (lists(server.api, resources) for server in servers)
        found = differences(one, other)
        assert not found, f"{len(found)} differences\n" + "\n".join(found[:300])
        return one
    return context.wait_until("both servers to list the same", same, 30, every=1)


def follow_each_other(context, stage, writer, reader, count=100):
    """A GET or a LIST at one sees at once what the other has acknowledged, and so does a watch, a little later."""
    maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    watch = stage.watch(reader.api, f"{maps}?labelSelector=by%3D{writer.kind}", reader.api.get(maps)["metadata"]["resourceVersion"])
    for i in range(count):
        name = f"{writer.kind}-{i}"
        made = writer.api.send("POST", maps, {"metadata": {"name": name, "labels": {"by": writer.kind}}, "data": {"i": str(i)}})
        assert reader.api.get(f"{maps}/{name}") == made
        changed = writer.api.send("PATCH", f"{maps}/{name}", {"data": {"i": "x"}}, MERGE)
        listed = reader.api.get(f"{maps}?labelSelector=by%3D{writer.kind}")["items"]
        assert len(listed) == i + 1 and changed["metadata"]["resourceVersion"] in {item["metadata"]["resourceVersion"] for item in listed}, f"{i}: {len(listed)}"
    assert watch.wait(lambda kind, item: kind == "MODIFIED" and item["metadata"]["name"] == f"{writer.kind}-{count - 1}", context.seconds(20)), watch.events[-3:]
    assert watch.names("ADDED") == watch.names("MODIFIED") == [f"{writer.kind}-{i}" for i in range(count)] and not watch.errors()


def takes_over(context, first, second, kind):
    peer(context, "kube-apiserver")
    with Stage(context) as stage:
        store = stage.store(Store.of(context, kind, f"same-{kind}-{first}"))
        writer = stage.server(first, store)
        Writer(context, writer.api, OURS_LACKS if first == "ours" else ()).write()
        resources = listable(writer.api)
        # Both start others of their objects after they are ready.
        context.wait_until("the writer to rest", lambda: not differences(lists(writer.api, resources), lists(writer.api, resources)), every=2)
        before = lists(writer.api, resources)
        writer.stop()
        reader = stage.server(second, store)
        theirs = listable(reader.api)
        # Ours serves a part of kube-apiserver's resources, and no other ones.
        ours, all_of_kube = (resources, theirs) if first == "ours" else (theirs, resources)
        assert set(ours) <= set(all_of_kube), set(ours) - set(all_of_kube)
        served = {(version, resource) for (version, resource), _ in ours}
        written = {key[:2] for key, item in before.items() if "example.com/note" in item["metadata"].get("annotations", {})}
        missing = served - written - NOT_STORED
        assert not missing, f"nothing was written of {sorted(missing)}"
        assert len(written & served) >= 50, len(written & served)

        before = {key: item for key, item in before.items() if key[:2] in served}
        after = lists(reader.api, ours)
        found = differences(before, after, is_own, WITH_STATUS_OF_KUBE if second == "kube" else ())
        assert not found, f"{len(found)} differences\n" + "\n".join(found[:300])

        # And side by side, everything.
        again = stage.server(first, store)
        both = both_see_the_same(context, (again, reader), ours)
        print(f"  {kind}, written by {first}: {len(served)} resources, {sum(not is_own(key) for key in before)} objects are the same "
              f"after the change, {len(both)} side by side")
        for pair in ((again, reader), (reader, again)):
            follow_each_other(context, stage, *pair)


def test_what_ours_lacks_is_what_the_other_tests_leave_out(context):
    with Stage(context) as stage:
        api = stage.server("ours", stage.store(Store.of(context, "rhino", "lacks"))).api
        code, text = api.exchange("PATCH", "/api/v1/namespaces/default/configmaps/x?fieldManager=m", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, APPLY)
        assert (code == 415) == ("server-side apply" in OURS_LACKS), f"{code} {text}"
        api.send("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition("widget", "Namespaced"))

        def are_served():
            return ("example.com/v1", "Widget") in api.resources()
        if "custom objects" in OURS_LACKS:
            time.sleep(1)  # there is nothing to wait for
            assert not are_served()
        else:
            context.wait_until("custom objects to be served", are_served)


@time_limit(300)
def test_ours_on_what_kube_apiserver_wrote_to_rhino(context):
    takes_over(context, "kube", "ours", "rhino")


@time_limit(300)
def test_kube_apiserver_on_what_ours_wrote_to_rhino(context):
    takes_over(context, "ours", "kube", "rhino")


@time_limit(300)
def test_ours_on_what_kube_apiserver_wrote_to_etcd(context):
    takes_over(context, "kube", "ours", "etcd")


@time_limit(300)
def test_kube_apiserver_on_what_ours_wrote_to_etcd(context):
    takes_over(context, "ours", "kube", "etcd")
