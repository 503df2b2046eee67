"""Our api-server on an etcd of three members, each of which is killed and one paused, while a client writes and another
watches: nothing acknowledged is lost, and the watch has no error, no gap and no end."""
import json
import threading
import time

from harness.functions import time_limit
from servers import MERGE, Stage
from stores import Store

MAPS = "/api/v1/namespaces/default/configmaps"


class Writer:
    """Creates one ConfigMap after the other and changes it. What a failed request has done is asked before going on."""

    def __init__(self, api):
        self.api, self.is_over, self.problems = api, False, []
        self.acknowledged = {}  # name: resourceVersion of the create
        self.changed = {}  # name: resourceVersion of the change
        self.failures, self.longest_gap, self.gap_from, self.last = {}, 0.0, None, time.monotonic()
        self.begin = self.last
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        i = 0
        while not self.is_over:
            name = f"w{i:05}"
            made = self.until_done("POST", MAPS, {"metadata": {"name": name}, "data": {"n": "1"}}, {201, 409})
            if made:
                code, item = made
                if code == 201:
                    self.acknowledged[name] = item["metadata"]["resourceVersion"]
                done = self.until_done("PATCH", f"{MAPS}/{name}", {"data": {"n": "2"}}, {200}, MERGE)
                if done:
                    self.changed[name] = done[1]["metadata"]["resourceVersion"]
            i += 1

    def until_done(self, method, path, body, good, kind="application/json"):
        while not self.is_over:
            try:
                code, text = self.api.exchange(method, path, body, kind)
            except OSError as error:
                code, text = 0, str(error)
            if code in good:
                now = time.monotonic()
                if now - self.last > self.longest_gap:
                    self.longest_gap, self.gap_from = now - self.last, self.last - self.begin
                self.last = now
                return code, json.loads(text)
            self.failures[code] = self.failures.get(code, 0) + 1
            if code not in (0, 429, 500, 503, 504):
                self.problems.append(f"{method} {path}: {code} {text[:300]}")
                return None
            time.sleep(0.05)
        return None

    def stop(self):
        self.is_over = True
        self.thread.join(60)


def check(writer, watch, api, context):
    assert not writer.problems, writer.problems[:5]
    last = api.send("POST", MAPS, {"metadata": {"name": "last"}})["metadata"]["name"]
    assert watch.wait(lambda kind, item: kind == "ERROR" or item["metadata"]["name"] == last, context.seconds(30)), "the watch does not get the last write"
    assert not watch.errors() and not watch.has_ended, watch.errors()
    there = {item["metadata"]["name"]: item for item in api.get(MAPS)["items"]}
    lost = writer.acknowledged.keys() - there.keys()
    assert not lost, f"acknowledged and lost: {sorted(lost)}"
    undone = [name for name in writer.changed if there[name]["data"] != {"n": "2"}]
    assert not undone, f"acknowledged changes are lost: {undone}"

    told, before = {}, 0
    with watch.changed:
        for _, kind, item in watch.events:
            version = int(item["metadata"]["resourceVersion"])
            assert version > before, f"{kind} {item['metadata']['name']}: {version} after {before}"
            before = version
            told.setdefault(item["metadata"]["name"], []).append((kind, str(version)))
    for name, version in writer.acknowledged.items():
        assert told[name][0] == ("ADDED", version), (name, version, told[name])
    for name, version in writer.changed.items():
        assert ("MODIFIED", version) == told[name][-1], (name, version, told[name])
    assert told.keys() == {name for name in there if name.startswith("w")} | {"last"}, told.keys() ^ there.keys()


@time_limit(400)
def test_each_member_is_killed_and_one_paused_while_clients_write_and_watch(context):
    with Stage(context) as stage:
        store = stage.store(Store.of(context, "etcd", "three", members=3))
        server = stage.server("ours", store)
        watch = stage.watch(server.api, MAPS, server.api.get(MAPS)["metadata"]["resourceVersion"])
        writer = Writer(server.api)
        stage.all.append(writer.stop)

        def goes_on():
            count = len(writer.changed)
            context.wait_until("writes to go on", lambda: len(writer.changed) >= count + 20, 60)
        gaps = []
        for member in store.members:
            goes_on()
            member.kill()
            goes_on()  # the other two are enough
            store.start(member)
            goes_on()
            gaps.append((f"{member.name} killed", writer.longest_gap))
            writer.longest_gap = 0.0
        for paused in store.members[:2]:
            paused.pause()
            time.sleep(10)  # as long as it takes no answer
            paused.resume()
            goes_on()
            gaps.append((f"{paused.name} paused", writer.longest_gap))
            writer.longest_gap = 0.0
        writer.stop()
        check(writer, watch, server.api, context)
        print(f"  {len(writer.changed)} writes; longest gaps: " + ", ".join(f"{what} {gap:.2f} s" for what, gap in gaps) + f"; failed attempts {writer.failures}")
        assert all(gap < context.seconds(5 if "paused" in what else 3) for what, gap in gaps), gaps
        assert server.starts == 1 and server.program.is_running()


@time_limit(200)
def test_rhino_is_killed_again_and_again_while_clients_write_and_watch(context):
    with Stage(context) as stage:
        store = stage.store(Store.of(context, "rhino", "killed"))
        server = stage.server("ours", store)
        watch = stage.watch(server.api, MAPS, server.api.get(MAPS)["metadata"]["resourceVersion"])
        writer = Writer(server.api)
        stage.all.append(writer.stop)
        for _ in range(5):
            count = len(writer.changed)
            context.wait_until("writes to go on", lambda least=count + 30: len(writer.changed) >= least, 60)
            store.restart(store.members[0])
        count = len(writer.changed)
        context.wait_until("writes to go on", lambda: len(writer.changed) >= count + 30, 60)
        writer.stop()
        check(writer, watch, server.api, context)
        print(f"  {len(writer.changed)} writes; longest gap {writer.longest_gap:.2f} s; failed attempts {writer.failures}")
        assert writer.longest_gap < context.seconds(30)
