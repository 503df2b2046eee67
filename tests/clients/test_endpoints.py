"""EndpointSlices and Endpoints, written by our controllers and by the real kube-controller-manager ($PEERS) from the same
objects: on two api-servers of ours happens the same, step by step, and after each step both hold the same. At the end each
takes over what the other has written, and finds nothing to do."""
import json
import os
import time

from control_plane import ControlPlane
from endpoints_plane import IN, MERGE, NAMESPACE, PORTS, SLICES, STRATEGIC, TRIGGER, Api, Peer, peer_program, start_ours, stop_ours
from harness.functions import time_limit


def prepare(api):
    api.send("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    api.send("POST", f"{IN}/serviceaccounts", {"metadata": {"name": "default"}})
    api.send("PATCH", "/apis/networking.k8s.io/v1/servicecidrs/kubernetes", {"spec": {"cidrs": ["10.96.0.0/16", "fd00:10:96::/112"]}}, MERGE)
    for name, zone in (("n1", "east"), ("n2", "west"), ("n3", None)):
        labels = {"topology.kubernetes.io/zone": zone} if zone else {"node-role.kubernetes.io/control-plane": ""}
        api.send("POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": labels}})
        api.send("PATCH", f"/api/v1/nodes/{name}/status", {"status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"},
                                                                      "conditions": [{"type": "Ready", "status": "True"}]}}, STRATEGIC)


def populate(api, big):
    api.pod("a", "10.1.0.1")
    api.pod("b", "10.1.0.2", node="n2", ports=[{"name": "web", "containerPort": 9090}])
    api.pod("c", "10.1.0.3", ready=False, node="n3")
    api.pod("d", "10.1.0.4", hostname="d", subdomain="headless")
    api.pod("e", "10.1.0.5", ip6="fd00::5", node="n2")
    api.pod("f", "10.1.0.6", phase="Succeeded")
    api.pod("g", "10.1.0.7", finalizers=["example.com/stay"])
    api.pod("h", "10.1.0.8", ports=[{"name": "z", "containerPort": 1}],
            init=[{"name": "s", "image": "i", "restartPolicy": "Always", "ports": [{"name": "web", "containerPort": 7070}]}])
    api.pod("lost", "10.1.0.9", app="lost", node="nowhere")
    for i in range(6):
        api.pod(f"z{i}", f"10.3.0.{i + 1}", app="zoned", node="n1" if i < 5 else "n2")
    for i in range(big):
        api.pod(f"big{i:04}", f"10.2.{i // 250}.{i % 250 + 1}", app="big", ready=i % 50 != 7)
    api.remove_pod("g")
    web = {"selector": {"app": "web"}}
    api.service("plain", {**web, "ports": PORTS}, {"app": "web", "tier": "x"})
    api.service("named", {**web, "ports": [{"port": 80, "targetPort": "web"}]})
    api.service("headless", {**web, "clusterIP": "None", "ports": [{"port": 80}]}, {"a": "b"})
    api.service("bare", {**web, "clusterIP": "None"})
    api.service("pub", {**web, "publishNotReadyAddresses": True, "ports": PORTS[:2]})
    api.service("empty", {"selector": {"app": "nothing"}, "ports": PORTS[:1]})
    api.service("close", {**web, "ports": PORTS[:1], "trafficDistribution": "PreferClose"})
    api.service("zone", {**web, "ports": PORTS[:1], "trafficDistribution": "PreferSameZone"})
    api.service("node", {**web, "ports": PORTS[:1], "trafficDistribution": "PreferSameNode"})
    api.service("both", {**web, "ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv4", "IPv6"], "ports": PORTS[:1]})
    api.service("six", {**web, "ipFamilies": ["IPv6"], "clusterIP": "None", "ports": PORTS[:1]})
    api.service("ext", {"type": "ExternalName", "externalName": "example.com", **web})
    api.service("lost", {"selector": {"app": "lost"}, "ports": PORTS[:1]})
    api.service("big", {"selector": {"app": "big"}, "ports": PORTS[:2]})
    for name in ("own", "own2", "own3"):
        api.service(name, {"ports": [{"port": 80}]})
    one = [{"addresses": [{"ip": "10.9.0.1"}], "ports": [{"port": 80}]}]
    api.send("POST", f"{IN}/endpoints", {"metadata": {"name": "own", "labels": {"l": "1"}, "annotations": {"note": "x"}}, "subsets": [
        {"addresses": [{"ip": "10.9.0.1", "hostname": "h"}, {"ip": "fd00::9"}], "notReadyAddresses": [{"ip": "10.9.0.2"}],
         "ports": [{"name": "a", "port": 80}, {"name": "b", "port": 81, "protocol": "UDP"}]},
        {"addresses": [{"ip": "10.9.0.3"}], "ports": [{"name": "c", "port": 82, "appProtocol": "http"}]}]})
    api.send("POST", f"{IN}/endpoints", {"metadata": {"name": "own2", "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}, "subsets": one})
    api.send("POST", f"{IN}/endpoints", {"metadata": {"name": "own3", "annotations": {"control-plane.alpha.kubernetes.io/leader": "{}"}}, "subsets": one})


def want_zones(api):
    api.service("auto", {"selector": {"app": "zoned"}, "ports": PORTS[:1]}, None, {"service.kubernetes.io/topology-mode": "Auto"})


def break_slice(api, service, how):
    name = next(s["metadata"]["name"] for s in api.send("GET", SLICES)["items"] if s["metadata"]["labels"]["kubernetes.io/service-name"] == service)
    if how == "delete":
        api.send("DELETE", f"{SLICES}/{name}")
    else:
        api.send("PATCH", f"{SLICES}/{name}", {"endpoints": None}, MERGE)


def change_big(api):
    for i in range(20, 50):
        api.remove_pod(f"big{i:04}")
    for i in (60, 61, 62):
        api.pod_status(f"big{i:04}", False)
    for i in range(10):
        api.pod(f"more{i:04}", f"10.2.9.{i + 1}", app="big")


STEPS = {
    "a Pod is no more ready": lambda api: api.pod_status("a", False),
    "another comes to be": lambda api: api.pod_status("c", True),
    "a label takes a Pod out": lambda api: api.change("pods", "b", {"metadata": {"labels": {"app": "other"}}}),
    "and brings it back": lambda api: api.change("pods", "b", {"metadata": {"labels": {"app": "web"}}}),
    "a Pod goes": lambda api: api.remove_pod("d"),
    "a Pod with both addresses comes": lambda api: api.pod("i", "10.1.0.10", ip6="fd00::10", node="n2"),
    "a Pod has another address": lambda api: api.pod_status("i", True, "10.1.0.11", "fd00::11"),
    "a Pod ends": lambda api: api.pod_status("h", False, phase="Failed"),
    "a port more": lambda api: api.change("services", "plain", {"spec": {"ports": PORTS + [{"name": "more", "port": 90, "targetPort": "web"}]}}),
    "other labels": lambda api: api.change("services", "plain", {"metadata": {"labels": {"tier": None, "new": "1"}}}),
    "no distribution": lambda api: api.change("services", "close", {"spec": {"trafficDistribution": None}}),
    "distribution by zone, no more by node": lambda api: api.change("services", "node", {"spec": {"trafficDistribution": "PreferSameZone"}}),
    "distribution by node": lambda api: api.change("services", "zone", {"spec": {"trafficDistribution": "PreferSameNode"}}),
    "addresses that are not ready are published": lambda api: api.change("services", "named", {"spec": {"publishNotReadyAddresses": True}}),
    "another selector": lambda api: api.change("services", "pub", {"spec": {"selector": {"app": "zoned"}}}),
    "no topology": lambda api: api.change("services", "auto", {"metadata": {"annotations": {"service.kubernetes.io/topology-mode": None}}}),
    "only one family": lambda api: api.change("services", "both", {"spec": {"ipFamilyPolicy": "SingleStack"}}),
    "both families again": lambda api: api.change("services", "both", {"spec": {"ipFamilyPolicy": "PreferDualStack"}}),
    "a Service becomes a name": lambda api: api.change("services", "named", {"spec": {"type": "ExternalName", "externalName": "a.b"}}),
    "and a Service again": lambda api: api.change("services", "named", {"spec": {"type": "ClusterIP", "externalName": None}}),
    "a Service goes": lambda api: api.send("DELETE", f"{IN}/services/bare"),
    "own Endpoints change": lambda api: api.change("endpoints", "own", {"metadata": {"labels": {"l": "2"}}, "subsets": [
        {"addresses": [{"ip": "10.9.0.1"}, {"ip": "10.9.0.4"}], "ports": [{"name": "a", "port": 80}]}]}),
    "own Endpoints are to be mirrored after all": lambda api: api.change("endpoints", "own2", {"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": None}}}),
    "own Endpoints are empty": lambda api: api.change("endpoints", "own2", {"subsets": None}),
    "own Endpoints go": lambda api: api.send("DELETE", f"{IN}/endpoints/own2"),
    "a selector for the Service of own Endpoints": lambda api: api.change("services", "own", {"spec": {"selector": {"app": "zoned"}}}),
    "its selector goes": lambda api: api.change("services", "own", {"spec": {"selector": None}}),
    "somebody deletes a slice": lambda api: break_slice(api, "plain", "delete"),
    "somebody empties a slice": lambda api: break_slice(api, "pub", "empty"),
    "a missing node comes": lambda api: api.change_node(lambda: api.send("POST", "/api/v1/nodes", {"metadata": {"name": "nowhere"}}), "lost"),
    "a node has no zone any more": lambda api: api.change_node(
        lambda: api.send("PATCH", "/api/v1/nodes/n2", {"metadata": {"labels": {"topology.kubernetes.io/zone": None}}}, MERGE), "b", "z5"),
    "much of a large Service changes": change_big,
}


def strip(value):
    """Without uids, in place."""
    if isinstance(value, dict):
        value.pop("uid", None)
        for item in value.values():
            strip(item)
    elif isinstance(value, list):
        for item in value:
            strip(item)


def state(api, with_times, is_peer=False):
    """What the controllers have written, without what differs from run to run: names, uids, times; and which endpoints of a
    large Service are in which slice, and so how many are in each."""
    out, large = [], {}
    for resource, path in (("EndpointSlice", SLICES), ("Endpoints", f"{IN}/endpoints")):
        for item in api.send("GET", path)["items"]:
            metadata = item["metadata"]
            for field in ("resourceVersion", "creationTimestamp", "generation", "managedFields", "generateName"):
                metadata.pop(field, None)
            if resource == "EndpointSlice":
                metadata["name"] = metadata["labels"]["kubernetes.io/service-name"]
            strip(item)
            if is_peer and with_times and resource == "EndpointSlice" and item.get("endpoints") and not item["ports"]:
                # A slice without ports is none that kube-controller-manager v1.35 finds again: each later round, if there
                # is one, writes it once more, without the time (kubernetes/kubernetes#133474). Ours has to keep it.
                metadata.setdefault("annotations", {}).setdefault(TRIGGER, "<made>")
            notes = metadata.get("annotations", {})
            if not with_times:
                notes.pop(TRIGGER, None)
                if not notes:
                    metadata.pop("annotations", None)
            elif TRIGGER in notes:
                notes[TRIGGER] = notes[TRIGGER] if notes[TRIGGER].startswith("2023") else "<made>"
            # The order is that of a hash, also of uids.
            (item.get("subsets") or []).sort(key=json.dumps)
            endpoints = item.get("endpoints")
            if endpoints:
                assert len(endpoints) <= 100, f"{len(endpoints)} endpoints in a slice"
                endpoints.sort(key=json.dumps)
            if resource == "EndpointSlice" and metadata["name"] == "auto":  # so many for each zone, whichever they are
                item["hints"] = sorted(json.dumps(endpoint.pop("hints", None)) for endpoint in endpoints or [])
            if resource == "EndpointSlice" and metadata["name"] == "big":
                large.setdefault(json.dumps(item["ports"]), []).extend(endpoints)
                continue
            out.append(json.dumps([resource, item], sort_keys=True))
    for ports, endpoints in large.items():
        out.append(json.dumps(["all of big", ports, sorted(endpoints, key=json.dumps)], sort_keys=True))
    return sorted(out)


def events(api):
    return sorted({json.dumps([e["involvedObject"]["kind"], e["involvedObject"]["name"], e["type"], e["reason"], e["message"], e["source"].get("component")])
                   for e in api.send("GET", f"{IN}/events")["items"]})


def difference(ours, theirs):
    """Those that only one has; of long ones what stands around the first difference to their likes."""
    a, b = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    lines = []
    for who, those, others in (("ours  ", a, b), ("theirs", b, a)):
        for one in those:
            common = max((len(os.path.commonprefix([one, other])) for other in others), default=0)
            lines.append(f"{who} {one[:150]} ... {one[max(150, common - 150):common + 300]}")
    return "\n" + "\n".join(lines)


def versions(api):
    return {(item["kind"] if "kind" in item else path, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
            for path in (SLICES, f"{IN}/endpoints") for item in api.send("GET", path)["items"] if item["metadata"]["name"].split("-")[0] != "mark"}


def wait_for_mark(context, apis, what, ready):
    for api in apis:
        api.mark("mark", ready)
    for api in apis:
        context.wait_until(f"the controllers to see {what}", lambda one=api: one.marked("mark", ready), 60)


def has_settled(context, apis, what, ready, with_times=False):
    wait_for_mark(context, apis, what, ready)

    def is_same():
        ours, theirs = (state(api, with_times, is_peer=api is apis[1]) for api in apis)
        assert ours == theirs, difference(ours, theirs)
        return True
    context.wait_until(f"both to say the same of: {what}", is_same, 30)


@time_limit(300)
def test_the_same_as_kube_controller_manager_writes(context):
    program = peer_program(context)
    planes = [ControlPlane(context, "endpoints-ours"), ControlPlane(context, "endpoints-theirs")]
    apis = [Api(plane) for plane in planes]
    peer = None
    try:
        for api in apis:
            prepare(api)
            populate(api, 230)
        want_zones(apis[0])
        manager, peer = start_ours(planes[0]), Peer(planes[1], program)
        # kube-controller-manager may write slices before it has counted its nodes' zones: a Service that wants hints is then
        # told "Nodes only ready in one zone", and has them after another round, without the time, or never. Ours has both
        # from the first, so only the other is given the Service later.
        for ready in (False, True):
            wait_for_mark(context, apis, "the first changes", ready)
        want_zones(apis[1])
        has_settled(context, apis, "what is there from the beginning", True, with_times=True)
        ready = True
        for what, step in STEPS.items():
            for api in apis:
                step(api)
            ready = not ready
            has_settled(context, apis, what, ready)

        def same_events():
            ours, theirs = (events(api) for api in apis)
            assert ours == theirs, difference(ours, theirs)
            return ours
        print(f"  {len(STEPS)} steps, {len(state(apis[0], False))} objects and {len(context.wait_until('the same events', same_events, 30))} events are the same")

        # Each takes over from the other.
        stop_ours(planes[0], manager)
        peer.stop()
        before = [versions(api) for api in apis]
        peer = Peer(planes[0], program)
        manager = start_ours(planes[1])
        for ready in (not ready, ready):
            has_settled(context, apis, "who takes over", ready)
        for api, was, who in zip(apis, before, ("theirs after ours", "ours after theirs")):
            now = versions(api)
            assert now == was, f"{who}: {sorted(set(now.items()) ^ set(was.items()))}"
        stop_ours(planes[1], manager)
    finally:
        if peer:
            peer.stop()
        for plane in planes:
            plane.stop()


def measure_changes(context, api, count, rounds):
    """Milliseconds from the call that makes one Pod of `count` unready to its slice at a watcher, and the writes that it takes."""
    for i in range(count):
        api.pod(f"big{i:04}", f"10.2.{i // 250}.{i % 250 + 1}", app="big")
    api.service("big", {"selector": {"app": "big"}, "ports": PORTS[:1]})

    def ready():
        slices = api.send("GET", SLICES)["items"]
        return sum(e["conditions"]["ready"] for s in slices for e in s["endpoints"] or []) == count and len(slices)
    slices = context.wait_until(f"{count} endpoints", ready, 120)
    api.mark("mark", True)
    context.wait_until("quiet", lambda: api.marked("mark", True), 60)
    seen, end = api.watch(SLICES)
    seen_endpoints, end_endpoints = api.watch(f"{IN}/endpoints")
    times = []
    try:
        for i in range(rounds):
            name = f"big{(i * 37) % count:04}"
            begin = time.monotonic()
            api.pod_status(name, False)
            while True:
                at, _, changed = seen.get(timeout=context.seconds(30))
                if any(e["targetRef"]["name"] == name and not e["conditions"]["ready"] for e in changed["endpoints"]):
                    break
            times.append((at - begin) * 1000)
        api.mark("mark", False)
        context.wait_until("quiet", lambda: api.marked("mark", False), 60)
    finally:
        end()
        end_endpoints()
    more = [o for _, _, o in list(seen.queue) if o["metadata"]["labels"]["kubernetes.io/service-name"] == "big"]
    whole = [o for _, _, o in list(seen_endpoints.queue) if o["metadata"]["name"] == "big"]
    times.sort()
    return slices, times, rounds + len(more), len(whole)


@time_limit(600)
def test_one_pod_of_a_large_service_changes_one_slice(context):
    count, rounds = max(500, int(5000 * float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1")))), 20
    peers = os.path.join(os.environ.get("PEERS", os.path.join(context.root, "build/peers")), "kube-controller-manager")
    for who in ("ours", "kube-controller-manager"):
        if who != "ours" and not os.access(peers, os.X_OK):
            continue
        plane = ControlPlane(context, f"large-{who}")
        other = None
        try:
            api = Api(plane)
            prepare(api)
            if who == "ours":
                start_ours(plane)
            else:
                other = Peer(plane, peers)
            slices, times, writes, whole = measure_changes(context, api, count, rounds)
        finally:
            if other:
                other.stop()
            plane.stop()
        print(f"  {who}: {count} endpoints in {slices} slices; one Pod becomes unready: {writes / rounds:.2f} slice writes, {whole / rounds:.2f} Endpoints writes, "
              f"p50 {times[rounds // 2]:.1f} ms, at most {times[-1]:.1f} ms from the call to a watcher of the slices")
        if who == "ours":
            assert writes == rounds, f"{writes} slice writes for {rounds} changes"
            assert times[rounds // 2] < context.seconds(1000)
