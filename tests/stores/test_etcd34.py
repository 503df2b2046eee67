"""Our api-server on etcd 3.4, which answers no progress requests that could be relied upon before 3.4.31: reads are
consistent all the same."""
from harness.functions import time_limit
from servers import MERGE, Stage
from stores import Store, etcd_34

MAPS = "/api/v1/namespaces/default/configmaps"


@time_limit(120)
def test_two_servers_on_etcd_34(context):
    program = etcd_34(context)
    with Stage(context) as stage:
        store = stage.store(Store(context, "etcd34", program))
        one, other = stage.server("ours", store), stage.server("ours", store)
        watch = stage.watch(other.api, MAPS, other.api.get(MAPS)["metadata"]["resourceVersion"])
        for i in range(200):
            made = one.api.send("POST", MAPS, {"metadata": {"name": f"m{i}"}, "data": {"a": "b"}})
            assert other.api.get(f"{MAPS}/m{i}") == made
            changed = other.api.send("PATCH", f"{MAPS}/m{i}", {"data": {"a": "c"}}, MERGE)
            listed = one.api.get(MAPS)["items"]
            assert len(listed) == i + 1 and changed["metadata"]["resourceVersion"] in {item["metadata"]["resourceVersion"] for item in listed}, i
        # Nothing was written here for a while, but elsewhere; the read is not held up by that.
        one.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": "elsewhere"}})
        assert len(other.api.get(MAPS)["items"]) == 200
        assert watch.wait(lambda kind, item: kind == "MODIFIED" and item["metadata"]["name"] == "m199", context.seconds(20)), watch.names()[-3:]
        assert watch.names("ADDED") == watch.names("MODIFIED") == [f"m{i}" for i in range(200)] and not watch.errors()
        one.api.send("DELETE", f"{MAPS}/m7")
        assert watch.wait(lambda kind, item: kind == "DELETED" and item["metadata"]["name"] == "m7", context.seconds(20))
        # It ends and begins as etcd may at any time.
        store.restart(store.members[0])
        context.wait_until("a write after etcd began anew", lambda: one.api.send("PUT", f"{MAPS}/m8", {"metadata": {"name": "m8"}, "data": {"z": "z"}}))
        assert context.wait_until("a read", lambda: other.api.get(f"{MAPS}/m8"))["data"] == {"z": "z"}
        assert watch.wait(lambda kind, item: item.get("data") == {"z": "z"}, context.seconds(20)), "the watch did not go on"
