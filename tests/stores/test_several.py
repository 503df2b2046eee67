"""Several of our api-servers on one store: what one acknowledged the others see at once, nothing is allocated twice, they
agree on who compacts, and one that was away for longer than history reaches finds back."""
import json
import threading
import time

from harness.functions import time_limit
from servers import MERGE, ApiError, Stage
from stores import Store, peer

MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"


def at_once(functions):
    """Calls all, each in a thread; their results. The first error is raised."""
    results, errors = [None] * len(functions), []

    def run(i):
        try:
            results[i] = functions[i]()
        except Exception as error:  # pylint: disable=broad-except
            errors.append(error)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results


def start(context, stage, kind, servers, *flags):
    number = context.state["stores"] = context.state.get("stores", 0) + 1
    store = stage.store(Store.of(context, kind, f"several-{kind}-{number}"))
    all_of_them = [stage.server("ours", store, *flags, wait=False) for _ in range(servers)]
    return store, [server.wait() for server in all_of_them]


def write_and_read(servers, me, rounds):
    """One server's writer: each acknowledged write is read at every other server."""
    writer, others = servers[me].api, [s.api for s in servers if s is not servers[me]]
    for i in range(rounds):
        name = f"from-{me}-{i}"
        made = writer.send("POST", MAPS, {"metadata": {"name": name, "labels": {"by": str(me)}}, "data": {"i": "0"}})
        for other in others:
            assert other.get(f"{MAPS}/{name}") == made, f"{name}: the GET is stale"
        changed = writer.send("PATCH", f"{MAPS}/{name}", {"data": {"i": "1"}}, MERGE)
        for other in others:
            found = {item["metadata"]["name"]: item for item in other.get(f"{MAPS}?labelSelector=by%3D{me}")["items"]}
            expected = {key: value for key, value in changed.items() if key not in ("kind", "apiVersion")}
            assert len(found) == i % 20 + 1 and found[name] == expected, f"{name}: the LIST is stale, {sorted(found)}"
        if i % 20 == 19:
            for k in range(i - 19, i + 1):
                writer.send("DELETE", f"{MAPS}/from-{me}-{k}")
                for other in others:
                    code, _ = other.exchange("GET", f"{MAPS}/from-{me}-{k}")
                    assert code == 404, f"from-{me}-{k} is still there: {code}"


def sees_at_once(context, kind):
    rounds = 100
    with Stage(context) as stage:
        _, servers = start(context, stage, kind, 3)
        version = servers[0].api.get(MAPS)["metadata"]["resourceVersion"]
        watches = [stage.watch(server.api, MAPS, version) for server in servers]
        at_once([lambda me=me: write_and_read(servers, me, rounds) for me in range(3)])
        last = servers[1].api.send("POST", MAPS, {"metadata": {"name": "last"}})

        # The same events in the same order everywhere.
        for watch in watches:
            assert watch.wait(lambda kind, item: item["metadata"]["name"] == "last", context.seconds(20)), "a watch does not get the last write"
        told = [[(one, item["metadata"]["name"], item["metadata"]["resourceVersion"]) for _, one, item in watch.events] for watch in watches]
        assert told[0] == told[1] == told[2], [len(one) for one in told]
        assert len(told[0]) == 3 * rounds * 3 + 1 and told[0][-1][2] == last["metadata"]["resourceVersion"], len(told[0])


@time_limit(240)
def test_each_sees_at_once_what_another_acknowledged_on_etcd(context):
    sees_at_once(context, "etcd")


@time_limit(240)
def test_each_sees_at_once_what_another_acknowledged_on_rhino(context):
    sees_at_once(context, "rhino")


def allocates(context, kind):
    """Services made at all servers at once, and once more after all were deleted."""
    def make(server, who, count, spec):
        out = []
        for i in range(count):
            out.append(server.api.send("POST", SERVICES, {"metadata": {"name": f"s{who}-{i}"}, "spec": spec}))
        return out

    with Stage(context) as stage:
        _, servers = start(context, stage, kind, 3)
        for server in servers:
            server.api.get(SERVICES)
        for turn in range(2):
            # Six writers, two at each server.
            made = sum(at_once([lambda who=who: make(servers[who % 3], f"{turn}-{who}", 30, {"type": "NodePort", "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81}]})
                                for who in range(6)]), [])
            addresses = [s["spec"]["clusterIP"] for s in made]
            ports = [p["nodePort"] for s in made for p in s["spec"]["ports"]]
            assert len(set(addresses)) == len(addresses) == 180, sorted(a for a in addresses if addresses.count(a) > 1)
            assert len(set(ports)) == len(ports) == 360, sorted(p for p in ports if ports.count(p) > 1)
            kept = {item["metadata"]["name"] for item in servers[turn].api.get("/apis/networking.k8s.io/v1/ipaddresses")["items"]}
            assert set(addresses) <= kept, set(addresses) - kept
            # The same port, of those that are given only to who asks, asked for at all three: one gets it.
            code = at_once([lambda who=who: servers[who].api.exchange("POST", SERVICES, {"metadata": {"name": f"one-{who}"}, "spec": {
                "type": "NodePort", "clusterIP": "10.96.0.77", "ports": [{"port": 80, "nodePort": 30050}]}})[0] for who in range(3)])
            assert sorted(code) == [201, 422, 422], code
            at_once([lambda who=who: [servers[(who + 1) % 3].api.send("DELETE", f"{SERVICES}/s{turn}-{who}-{i}") for i in range(30)] for who in range(6)])
            servers[0].api.send("DELETE", f"{SERVICES}/one-{code.index(201)}")
            left = [item["metadata"]["name"] for item in servers[2].api.get("/apis/networking.k8s.io/v1/ipaddresses")["items"]]
            assert len(left) == 1, left  # of the Service kubernetes


@time_limit(240)
def test_addresses_and_ports_never_collide_on_etcd(context):
    allocates(context, "etcd")


@time_limit(240)
def test_addresses_and_ports_never_collide_on_rhino(context):
    allocates(context, "rhino")


def turns(store):
    """How often somebody took a turn at compacting."""
    found = json.loads(store.etcdctl("get", "compact_rev_key", "-w", "json")).get("kvs")
    return found[0]["version"] if found else 0


def is_compacted(store, revision):
    done = store.context.run(peer(store.context, "etcdctl"), "--endpoints", store.servers, "get", "compact_rev_key", "--rev", revision, check=False)
    return done.returncode != 0 and "required revision has been compacted" in done.stderr


def write_for(api, seconds, name):
    end, i = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        api.send("POST", MAPS, {"metadata": {"name": f"{name}-{i}"}})
        i += 1
        time.sleep(0.05)
    return i


def compacts(context, kind):
    with Stage(context) as stage:
        store, servers = start(context, stage, kind, 3, "--etcd-compaction-interval", "2s")
        for i in range(10):
            servers[0].api.send("POST", MAPS, {"metadata": {"name": f"page-{i}"}})
        page = servers[1].api.get(f"{MAPS}?limit=3")
        token = page["metadata"]["continue"]
        second = servers[2].api.get(f"{MAPS}?limit=3&continue={token}")  # another server goes on with it
        assert [item["metadata"]["name"] for item in page["items"] + second["items"]] == [f"page-{i}" for i in range(6)]
        first, begin = turns(store), time.monotonic()
        write_for(servers[0].api, context.seconds(6), "busy")
        taken, intervals = turns(store) - first, (time.monotonic() - begin) / 2
        # Each interval one of three takes its turn; three that do not agree would take three.
        assert intervals / 2 - 1 <= taken <= intervals + 1, f"{taken} turns in {intervals:.1f} intervals"
        version = page["metadata"]["resourceVersion"]
        assert is_compacted(store, version)
        # Who was there then may still have the page in memory, unchanged; who was not has nowhere to read it.
        for server in servers:
            code, text = server.api.exchange("GET", f"{MAPS}?limit=3&continue={token}")
            assert code == 410 or (code == 200 and json.loads(text) == second), f"{server.name}: {code} {text[:500]}"
        late = stage.server("ours", store, "--etcd-compaction-interval", "2s")
        for query in (f"limit=3&continue={token}", f"limit=3&resourceVersion={version}&resourceVersionMatch=Exact"):
            code, text = late.api.exchange("GET", f"{MAPS}?{query}")
            assert code == 410 and json.loads(text)["reason"] == "Expired", f"{query}: {code} {text[:500]}"
        assert len([n for n in servers[2].api.get(MAPS)["items"] if n["metadata"]["name"].startswith("page-")]) == 10
        print(f"  {kind}: {taken} turns in {intervals:.1f} intervals of three servers")


@time_limit(120)
def test_one_of_three_compacts_each_interval_on_etcd(context):
    compacts(context, "etcd")


@time_limit(120)
def test_one_of_three_compacts_each_interval_on_rhino(context):
    compacts(context, "rhino")


class Reflector:
    """What a client does: lists, watches from there, and lists anew on 410."""

    def __init__(self, api):
        self.api, self.items, self.relists, self.problems, self.is_over = api, {}, -1, [], False
        self.watch = None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.is_over:
            try:
                self.once()
            except ApiError as error:
                if error.code not in (410, 429, 500, 503, 504):
                    self.problems.append(str(error))
                time.sleep(0.1)
            except OSError:
                time.sleep(0.1)

    def once(self):
        listed = self.api.get(MAPS)
        self.items = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}
        self.relists += 1
        version = int(listed["metadata"]["resourceVersion"])
        self.watch, seen = self.api.watch(MAPS, version), 0
        while not self.is_over:
            with self.watch.changed:
                self.watch.changed.wait(0.2)
                news, seen, has_ended = self.watch.events[seen:], len(self.watch.events), self.watch.has_ended
            for _, kind, item in news:
                if kind == "ERROR":
                    if item.get("code") != 410:
                        self.problems.append(json.dumps(item))
                    return
                if int(item["metadata"]["resourceVersion"]) <= version:
                    self.problems.append(f"{kind} {item['metadata']} after {version}")
                version = int(item["metadata"]["resourceVersion"])
                if kind == "DELETED":
                    self.items.pop(item["metadata"]["name"], None)
                else:
                    self.items[item["metadata"]["name"]] = item["metadata"]["resourceVersion"]
            if has_ended and not news:
                return

    def stop(self):
        self.is_over = True
        if self.watch:
            self.watch.close()
        self.thread.join(10)


def comes_back(context, kind, is_store_restarted):
    with Stage(context) as stage:
        store, servers = start(context, stage, kind, 2, "--etcd-compaction-interval", "2s")
        stays, leaves = servers
        reflector = Reflector(leaves.api)
        stage.all.append(reflector.stop)
        for i in range(20):
            stays.api.send("POST", MAPS, {"metadata": {"name": f"before-{i}"}})
        context.wait_until("a client of the one that will be stopped", lambda: f"before-{19}" in reflector.items)
        old = leaves.api.get(MAPS)["metadata"]["resourceVersion"]
        first = turns(store)
        leaves.pause()
        if is_store_restarted:  # then the watch cannot go on with what waits in its connection
            store.restart(store.members[0])
        context.wait_until("the other one to write", lambda: stays.api.send("PUT", f"{MAPS}/before-0", {"metadata": {"name": "before-0"}, "data": {"a": "b"}}))
        written = write_for(stays.api, context.seconds(5), "meanwhile")
        for i in range(10, 20):
            stays.api.send("DELETE", f"{MAPS}/before-{i}")
        context.wait_until("history to be compacted", lambda: turns(store) >= first + 3)
        assert is_compacted(store, int(old) + 5)
        leaves.resume()
        begin = time.monotonic()

        # It tells nothing old as new, from the first answer on.
        def first_answer():
            expected = stays.api.get(MAPS)["items"]
            found = leaves.api.get(MAPS)["items"]
            assert found == expected, f"{len(found)} objects instead of {len(expected)}"
            return True
        context.wait_until("the one that was away to answer", lambda: leaves.api.exchange("GET", f"{MAPS}/before-1")[0] == 200, 60)
        answered = time.monotonic() - begin
        first_answer()
        for i in range(20):
            made = stays.api.send("POST", MAPS, {"metadata": {"name": f"after-{i}"}})
            assert leaves.api.get(f"{MAPS}/after-{i}") == made
            leaves.api.send("PATCH", f"{MAPS}/after-{i}", {"data": {"by": "it"}}, MERGE)

        def is_level():
            expected = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in stays.api.get(MAPS)["items"]}
            assert reflector.items == expected, f"{len(reflector.items)} objects instead of {len(expected)}"
            return True
        context.wait_until("its client to have all", is_level, 30)
        assert not reflector.problems, reflector.problems
        # Whoever asks it for events from before then gets all of them, or is told that they are gone.
        late = stage.watch(leaves.api, MAPS, old)
        if late.code == 200:
            is_over = late.wait(lambda kind, item: kind == "ERROR" or item["metadata"]["name"] == "after-19", context.seconds(10))
            assert is_over, late.names()
            missed = {f"meanwhile-{i}" for i in range(written)} - set(late.names())
            assert (is_over[0] == "ERROR" and is_over[1]["code"] == 410 and not late.names()) or (is_over[0] != "ERROR" and not missed), f"{is_over}, without {missed}"
        else:
            assert late.code == 410, late.code
        was_told = late.code == 410 or is_over[0] == "ERROR"
        assert was_told or not is_store_restarted, "the store has no more these events"
        assert leaves.starts == 1 and leaves.program.is_running()
        print(f"  {kind}{', restarted meanwhile' if is_store_restarted else ''}: answers {answered:.2f} s after it goes on; its client listed {reflector.relists} times more")


@time_limit(180)
def test_one_that_was_stopped_for_longer_than_history_reaches_finds_back_on_etcd(context):
    for is_store_restarted in (False, True):
        comes_back(context, "etcd", is_store_restarted)


@time_limit(180)
def test_one_that_was_stopped_for_longer_than_history_reaches_finds_back_on_rhino(context):
    for is_store_restarted in (False, True):
        comes_back(context, "rhino", is_store_restarted)
