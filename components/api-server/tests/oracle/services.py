#!/usr/bin/env python3
"""The second list of requests: the life of Services on a cluster with addresses of both families.

    services.py > services_requests.jsonl

Every type becomes every other one, by a new object and by a patch; each family policy, what it gives at creation and what
each change of it does; node ports and health check ports asked for, kept, taken and given back; status; what goes with
a Service. Addresses and ports that a request names are from the lower bands, where nobody is given one by chance: they
are compared, all others only as "<allocated>".
"""
import json

import requests

NAMESPACE = "oracle-services"
IN = f"/api/v1/namespaces/{NAMESPACE}"
SERVICES, ENDPOINTS = f"{IN}/services", f"{IN}/endpoints"
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
ADDRESSES = "/apis/networking.k8s.io/v1/ipaddresses"
MERGE, STRATEGIC = requests.MERGE, requests.STRATEGIC
SELECTOR = {"app": "web"}

TYPES = {
    "ClusterIP": {"type": "ClusterIP"},
    "headless": {"clusterIP": "None"},
    "NodePort": {"type": "NodePort"},
    "LoadBalancer": {"type": "LoadBalancer"},
    "local LoadBalancer": {"type": "LoadBalancer", "externalTrafficPolicy": "Local"},
    "LoadBalancer without node ports": {"type": "LoadBalancer", "allocateLoadBalancerNodePorts": False, "loadBalancerClass": "example.com/lb"},
    "ExternalName": {"type": "ExternalName", "externalName": "a.example"},
    "external addresses": {"type": "ClusterIP", "externalIPs": ["192.0.2.7"], "externalTrafficPolicy": "Local"},
}
POLICIES = [None, "SingleStack", "PreferDualStack", "RequireDualStack"]
FAMILIES = [None, ["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]]


def service(name, spec=None, ports=None, **metadata):
    full = {"selector": SELECTOR, "ports": ports if ports is not None else [{"port": 80}], **(spec or {})}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **metadata},
            "spec": {key: value for key, value in full.items() if value is not None}}


class Requests:
    def __init__(self):
        self.out = requests.List()

    def send(self, name, method, path, body=None, content_type=None, **more):
        self.out.add(name, method, path, body, content_type, **more)

    def create(self, what, name, spec=None, query="", **more):
        self.send(what, "POST", SERVICES + query, service(name, spec, **more))

    def put(self, what, name, spec=None, query="", **more):
        self.send(what, "PUT", f"{SERVICES}/{name}{query}", service(name, spec, **more))

    def patch(self, what, name, spec, query="", content_type=MERGE):
        self.send(what, "PATCH", f"{SERVICES}/{name}{query}", {"spec": spec}, content_type)

    def status(self, what, name, status):
        self.send(what, "PATCH", f"{SERVICES}/{name}/status", {"status": status}, MERGE)

    def get(self, what, name):
        self.send(what, "GET", f"{SERVICES}/{name}")

    def delete(self, what, name):
        self.send(what, "DELETE", f"{SERVICES}/{name}")

    def address(self, what, ip):
        self.send(what, "GET", f"{ADDRESSES}/{ip}")


def type_changes(r):
    for before, old in TYPES.items():
        for after, new in TYPES.items():
            if before == after:
                continue
            for way in ("put", "patch"):
                label = f"{before} to {after} by {way}"
                r.create(f"{label}: create", "t", old)
                (r.put if way == "put" else r.patch)(f"{label}: change", "t", new)
                r.get(f"{label}: get", "t")
                r.delete(f"{label}: delete", "t")
    for kind, spec in TYPES.items():
        r.create(f"the same {kind}: create", "t", spec)
        r.put(f"the same {kind}: put again", "t", spec)
        r.patch(f"the same {kind}: other ports", "t", {"ports": [{"port": 81}]})
        r.patch(f"the same {kind}: a port more, strategically", "t", {"ports": [{"port": 82, "name": "b"}]}, content_type=STRATEGIC)
        r.patch(f"the same {kind}: no selector", "t", {"selector": None})
        r.delete(f"the same {kind}: delete", "t")


def families(r):
    shapes = {"with an address": {}, "headless": {"clusterIP": "None"}, "headless without selector": {"clusterIP": "None", "selector": None},
              "as NodePort": {"type": "NodePort"}, "as ExternalName": {"type": "ExternalName", "externalName": "a.b"}}
    for shape, spec in shapes.items():
        for policy in POLICIES:
            for wanted in FAMILIES:
                r.create(f"families {shape}, {policy}, {wanted}", "f", {**spec, "ipFamilyPolicy": policy, "ipFamilies": wanted}, "?dryRun=All")
    named = {"IPv4": "10.96.0.20", "IPv6": "fd00:10:96::20"}
    for policy in POLICIES:
        for ips in (["IPv4"], ["IPv6"], ["IPv4", "IPv6"], ["IPv6", "IPv4"]):
            for wanted in (None, ["IPv4"], ["IPv6", "IPv4"]):
                addresses = [named[ip] for ip in ips]
                r.create(f"addresses {ips}, {policy}, {wanted}", "f",
                         {"clusterIP": addresses[0], "clusterIPs": addresses, "ipFamilyPolicy": policy, "ipFamilies": wanted}, "?dryRun=All")
    r.create("addresses: only the plural", "f", {"clusterIPs": ["10.96.0.20"]}, "?dryRun=All")
    r.create("addresses: two that do not agree", "f", {"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.21"]}, "?dryRun=All")
    r.create("addresses: three", "f", {"clusterIP": "10.96.0.20", "clusterIPs": ["10.96.0.20", "fd00:10:96::20", "10.96.0.21"]}, "?dryRun=All")
    r.create("addresses: not written as they should be", "f", {"clusterIP": "FD00:10:96:0::20", "clusterIPs": ["FD00:10:96:0::20"]}, "?dryRun=All")
    for ip in ("10.96.0.0", "10.96.255.255", "10.97.0.1", "fd00:10:96::", "fd00:11::1", "::ffff:10.96.0.9", "010.96.0.9"):
        r.create(f"address {ip}", "f", {"clusterIP": ip}, "?dryRun=All")


def family_changes(r):
    states = {"single IPv4": ("SingleStack", ["IPv4"]), "single IPv6": ("SingleStack", ["IPv6"]), "preferred": ("PreferDualStack", ["IPv4", "IPv6"]),
              "preferred, IPv6 first": ("PreferDualStack", ["IPv6", "IPv4"]), "required": ("RequireDualStack", ["IPv4", "IPv6"])}
    shapes = {"": {}, ", headless": {"clusterIP": "None"}, ", headless without selector": {"clusterIP": "None", "selector": None}}
    for number, (state, (policy, now)) in enumerate(states.items()):
        for shape, spec in shapes.items():
            label = state + shape
            ips = {"IPv4": f"10.96.0.{30 + number}", "IPv6": f"fd00:10:96::{30 + number}"}
            addresses = [ips[family] for family in now]
            other = [family for family in ("IPv4", "IPv6") if family not in now]
            own = {"clusterIP": addresses[0], "clusterIPs": addresses} if not shape else {}
            r.create(f"{label}: create", "c", {**own, **spec, "ipFamilyPolicy": policy, "ipFamilies": now})
            change = lambda what, fields: r.patch(f"{label}: {what}", "c", fields, "?dryRun=All")
            for new in POLICIES:
                change(f"policy {new}", {"ipFamilyPolicy": new})
                for wanted in FAMILIES:
                    change(f"policy {new} and families {wanted}", {"ipFamilyPolicy": new, "ipFamilies": wanted})
            for wanted in FAMILIES:
                change(f"families {wanted}", {"ipFamilies": wanted})
            if not shape:
                for new in (None, "SingleStack", "PreferDualStack", "RequireDualStack"):
                    more = {"ipFamilyPolicy": new} if new else {}
                    change(f"only the first address, {new}", {**more, "clusterIPs": addresses[:1]})
                    change(f"only the first address and family, {new}", {**more, "clusterIPs": addresses[:1], "ipFamilies": now[:1]})
                    change(f"no addresses, {new}", {**more, "clusterIP": None, "clusterIPs": None})
                    change(f"another first address, {new}", {**more, "clusterIP": "10.96.0.99", "clusterIPs": ["10.96.0.99"]})
                    if other:
                        change(f"a second address, {new}", {**more, "clusterIPs": addresses + [ips[other[0]]]})
            for new in POLICIES:
                r.put(f"{label}: put anew with {new}", "c", {**({"clusterIP": "None"} if shape else {}), "ipFamilyPolicy": new}, "?dryRun=All")
            change("external name", {"type": "ExternalName", "externalName": "a.b"})
            r.delete(f"{label}: delete", "c")


def addresses(r):
    v4, v6 = "10.96.0.50", "fd00:10:96::50"
    both = {"clusterIP": v4, "clusterIPs": [v4, v6], "ipFamilyPolicy": "PreferDualStack"}
    r.create("address life: create", "a", both)
    for ip in (v4, v6):
        r.address(f"address life: {ip} is there", ip)
    r.create("address life: the second is taken", "b", {"clusterIP": v6})
    r.patch("address life: one family", "a", {"ipFamilyPolicy": "SingleStack"})
    r.address("address life: the second is free", v6)
    r.create("address life: somebody else has it", "b", {"clusterIP": v6})
    r.patch("address life: both again, by name", "a", {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [v4, v6]})
    r.delete("address life: somebody else goes", "b")
    r.patch("address life: both again", "a", {"ipFamilyPolicy": "RequireDualStack", "clusterIPs": [v4, v6]})
    r.patch("address life: a name only", "a", {"type": "ExternalName", "externalName": "a.b"})
    for ip in (v4, v6):
        r.address(f"address life: {ip} has gone", ip)
    r.patch("address life: back with addresses by name", "a", {"type": "ClusterIP", **both, "externalName": None})
    r.get("address life: get", "a")
    r.delete("address life: delete", "a")
    r.address("address life: the first has gone at last", v4)

    r.create("finalizer: create", "a", {"clusterIP": v4, "type": "NodePort"}, ports=[{"port": 80, "nodePort": 30010}], finalizers=["example.com/wait"])
    r.delete("finalizer: delete", "a")
    r.address("finalizer: the address is still there", v4)
    r.create("finalizer: the port is still taken", "b", {"type": "NodePort"}, ports=[{"port": 80, "nodePort": 30010}])
    r.patch("finalizer: a change meanwhile", "a", {"sessionAffinity": "ClientIP"})
    r.send("finalizer: it may go", "PATCH", f"{SERVICES}/a", {"metadata": {"finalizers": None}}, MERGE)
    r.get("finalizer: it has gone", "a")
    r.address("finalizer: so has the address", v4)
    r.create("finalizer: and the port", "b", {"type": "NodePort"}, ports=[{"port": 80, "nodePort": 30010}])
    r.delete("finalizer: delete the other", "b")
    r.create("finalizer, by status: create", "a", {"clusterIP": v4}, finalizers=["example.com/wait"])
    r.delete("finalizer, by status: delete", "a")
    r.send("finalizer, by status: it may go", "PATCH", f"{SERVICES}/a/status", {"metadata": {"finalizers": None}}, MERGE)
    r.address("finalizer, by status: the address", v4)
    r.send("finalizer, by status: it may go after all", "PATCH", f"{SERVICES}/a", {"metadata": {"finalizers": None}}, MERGE)

    for name, number in (("x", 51), ("y", 52)):
        r.create(f"collection: create {name}", name, {"clusterIP": f"10.96.0.{number}"}, labels={"of": "collection"})
    r.send("collection: delete", "DELETE", SERVICES + "?labelSelector=of%3Dcollection")
    r.address("collection: the address has gone", "10.96.0.51")


def node_ports(r):
    def ports(*numbers):
        return [{"name": f"p{i}", "port": 80 + i, **({"nodePort": number} if number else {})} for i, number in enumerate(numbers)]

    balanced, open_ = {"type": "LoadBalancer"}, {"type": "NodePort"}
    r.create("ports: create", "n", open_, ports=ports(30020, 30021))
    r.put("ports: kept by their names", "n", open_, ports=ports(None, None))
    r.put("ports: exchanged", "n", open_, ports=ports(30021, 30020))
    r.put("ports: one named, one given", "n", open_, ports=ports(30020, None))
    r.put("ports: one less", "n", open_, ports=ports(30020))
    r.create("ports: the other is free", "m", open_, ports=ports(30021))
    r.put("ports: and taken again", "n", open_, ports=ports(30020, 30021))
    r.put("ports: outside of the range", "n", open_, ports=ports(29999))
    r.put("ports: far outside", "n", open_, ports=ports(70000))
    r.put("ports: the same twice", "n", open_, ports=[{"name": "u", "port": 80, "protocol": "UDP", "nodePort": 30020}, {"name": "t", "port": 80, "nodePort": 30020}])
    r.put("ports: named otherwise", "n", open_, ports=[{"name": "other", "port": 80, "nodePort": 30020}])
    r.put("ports: named otherwise without a number", "n", open_, ports=[{"name": "again", "port": 80}])
    r.patch("ports: to ClusterIP with a port that stays", "n", {"type": "ClusterIP", "ports": ports(30022)})
    r.patch("ports: to ClusterIP", "n", {"type": "ClusterIP"})
    r.create("ports: free after ClusterIP", "o", open_, ports=ports(30020))
    for name in ("m", "n", "o"):
        r.delete(f"ports: delete {name}", name)
    r.create("ports: one protocol's number for the other", "n", open_, ports=[{"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30023}, {"name": "t", "port": 53}])
    r.delete("ports: delete both protocols", "n")
    r.create("ports: two numbers for one port", "n", open_, ports=[{"name": "u", "port": 53, "protocol": "UDP", "nodePort": 30023}, {"name": "t", "port": 53, "nodePort": 30024}])
    r.delete("ports: delete two numbers", "n")
    r.create("ports: a duplicate at creation", "n", open_, "?dryRun=All", ports=[{"name": "a", "port": 53, "nodePort": 30023}, {"name": "b", "port": 54, "nodePort": 30023}])
    r.create("ports: of a headless one", "n", {"type": "NodePort", "clusterIP": "None"}, "?dryRun=All")

    none = {**balanced, "allocateLoadBalancerNodePorts": False}
    r.create("balancer's ports: none", "n", none, ports=ports(None, None))
    r.put("balancer's ports: none, but one named", "n", none, ports=ports(30030, None))
    r.put("balancer's ports: none again", "n", none, ports=ports(None, None))
    r.create("balancer's ports: the named one", "m", open_, ports=ports(30030))
    r.delete("balancer's ports: delete the other", "m")
    r.patch("balancer's ports: all after all", "n", {"allocateLoadBalancerNodePorts": True})
    r.patch("balancer's ports: none, which takes none off", "n", {"allocateLoadBalancerNodePorts": False})
    r.patch("balancer's ports: not said", "n", {"allocateLoadBalancerNodePorts": None})
    r.patch("balancer's ports: none said, to NodePort", "n", {"type": "NodePort", "allocateLoadBalancerNodePorts": False})
    r.patch("balancer's ports: to NodePort", "n", {"type": "NodePort"})
    r.delete("balancer's ports: delete", "n")

    local = {**balanced, "externalTrafficPolicy": "Local"}
    r.create("health check: create", "n", {**local, "healthCheckNodePort": 30040})
    r.create("health check: taken", "m", {**local, "healthCheckNodePort": 30040})
    r.create("health check: taken as a node port", "m", open_, ports=ports(30040))
    r.create("health check: outside of the range", "m", {**local, "healthCheckNodePort": 1})
    r.put("health check: kept", "n", local)
    r.put("health check: another", "n", {**local, "healthCheckNodePort": 30041})
    r.patch("health check: to Cluster, number said", "n", {"externalTrafficPolicy": "Cluster", "healthCheckNodePort": 30042}, "?dryRun=All")
    r.patch("health check: to Cluster", "n", {"externalTrafficPolicy": "Cluster"})
    r.create("health check: free", "m", {**local, "healthCheckNodePort": 30040})
    r.patch("health check: to Local", "n", {"externalTrafficPolicy": "Local"})
    r.patch("health check: to NodePort", "n", {"type": "NodePort"})
    r.patch("health check: to Local with a number that is taken", "n", {"type": "LoadBalancer", "healthCheckNodePort": 30040})
    r.patch("health check: to Local with a number", "n", {"type": "LoadBalancer", "healthCheckNodePort": 30043})
    for name in ("m", "n"):
        r.delete(f"health check: delete {name}", name)
    r.create("health check: of a NodePort", "n", {"type": "NodePort", "externalTrafficPolicy": "Local", "healthCheckNodePort": 30044}, "?dryRun=All")
    r.create("health check: free at the end", "n", open_, ports=ports(30043))
    r.delete("health check: delete the last", "n")


def fields(r):
    tries = {
        "affinity": [{"sessionAffinity": "ClientIP"}, {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {}},
                     {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {}}}]
                    + [{"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": s}}} for s in (0, 1, 86400, 86401)]
                    + [{"sessionAffinity": "None", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}},
                       {"sessionAffinity": "ClientIP", "clusterIP": "None"}],
        "distribution": [{"trafficDistribution": word} for word in ("PreferClose", "PreferSameZone", "PreferSameNode", "", "Close")],
        "internal policy": [{"internalTrafficPolicy": "Local"}, {"internalTrafficPolicy": "Local", "clusterIP": "None"},
                            {"internalTrafficPolicy": "Local", "type": "ExternalName", "externalName": "a.b"},
                            {"internalTrafficPolicy": "Wrong", "type": "ExternalName", "externalName": "a.b"}],
        "external policy": [{"externalTrafficPolicy": "Local"}, {"externalTrafficPolicy": "Cluster", "clusterIP": "None"},
                            {"externalTrafficPolicy": "Local", "type": "ExternalName", "externalName": "a.b", "externalIPs": ["192.0.2.1"]}],
        "external addresses": [{"externalIPs": ips} for ips in (["192.0.2.1", "2001:db8::1"], ["192.0.2.1", "192.0.2.1"], ["2001:DB8:0::1"], ["010.0.0.1"], ["::ffff:1.2.3.4"], ["224.0.0.5"], ["224.1.0.5"], ["fe80::1"])]
                              + [{"externalIPs": ["192.0.2.1"], "clusterIP": "None"}, {"externalIPs": ["192.0.2.1"], "type": "ExternalName", "externalName": "a.b"}],
        "balancer": [{"type": "LoadBalancer", **more} for more in (
            {"loadBalancerIP": "192.0.2.1"}, {"loadBalancerIP": "x"}, {"loadBalancerClass": "a.b/c"}, {"loadBalancerClass": "internal"}, {"loadBalancerClass": "a/b/c"}, {"loadBalancerClass": ""},
            {"loadBalancerSourceRanges": ["10.0.0.0/8", " 192.0.2.0/24 "]}, {"loadBalancerSourceRanges": ["10.0.0.1/8"]}, {"loadBalancerSourceRanges": ["2001:DB8::/32"]}, {"loadBalancerSourceRanges": ["10.0.0.0"]},
            {"clusterIP": "None"}, {"ports": []})],
        "name": [{"type": "ExternalName", **more} for more in (
            {}, {"externalName": "a.b."}, {"externalName": "1.2.3.4"}, {"externalName": "A.b"}, {"externalName": "a.b", "ports": None}, {"externalName": "a.b", "selector": None},
            {"externalName": "a.b", "clusterIP": "None"}, {"externalName": "a.b", "clusterIP": "10.96.0.9"}, {"externalName": "a.b", "ports": [{"port": 80, "nodePort": 30050}]})]
                + [{"externalName": "a.b"}],
        "ports": [{"ports": ports} for ports in (
            [{"port": 80, "protocol": "SCTP"}], [{"port": 80, "targetPort": "a-1"}], [{"port": 80, "targetPort": "a" * 16}], [{"port": 80, "targetPort": 0}], [{"port": 80, "targetPort": ""}], [{"port": 80, "targetPort": "80"}],
            [{"port": 80, "appProtocol": "kubernetes.io/h2c"}], [{"port": 80, "appProtocol": ""}], [{"port": 80, "name": "a" * 63}], [{"port": 80, "name": "a" * 64}],
            [{"port": 80, "name": "a"}, {"port": 80, "name": "b", "protocol": "UDP"}], [{"port": 80, "name": "a", "nodePort": 0}], [{"port": 65535}], [{"port": -1}])],
        "more": [{"publishNotReadyAddresses": True}, {"selector": {}}, {"selector": None}],
    }
    for what, specs in tries.items():
        for spec in specs:
            r.create(f"{what} {json.dumps(spec)[:150]}", "v", spec, "?dryRun=All")
    annotations = [{"service.kubernetes.io/topology-mode": "Auto"}, {"service.kubernetes.io/topology-aware-hints": "Auto"},
                   {"service.kubernetes.io/topology-mode": "Auto", "service.kubernetes.io/topology-aware-hints": "Disabled"}]
    for value in ("10.0.0.0/8", "10.0.0.0/8, x", "", "10.0.0.1/8"):
        annotations.append({"service.beta.kubernetes.io/load-balancer-source-ranges": value})
    for notes in annotations:
        for kind in ("ClusterIP", "LoadBalancer"):
            r.create(f"annotation {json.dumps(notes)} of a {kind}", "v", {"type": kind}, "?dryRun=All", annotations=notes)

    r.create("affinity life: create", "v", {"sessionAffinity": "ClientIP"})
    r.patch("affinity life: another time", "v", {"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 7}}})
    r.patch("affinity life: none", "v", {"sessionAffinity": "None"})
    r.patch("affinity life: again", "v", {"sessionAffinity": "ClientIP"})
    r.patch("class of a ClusterIP", "v", {"loadBalancerClass": "a.b/c"})
    r.patch("class: with the type", "v", {"type": "LoadBalancer", "loadBalancerClass": "a.b/c"})
    r.patch("class: another", "v", {"loadBalancerClass": "a.b/d"})
    r.patch("class: none", "v", {"loadBalancerClass": None})
    r.patch("class: to ClusterIP with another", "v", {"type": "ClusterIP", "loadBalancerClass": "a.b/d"})
    r.patch("class: to ClusterIP", "v", {"type": "ClusterIP"})
    r.patch("external addresses: come", "v", {"externalIPs": ["192.0.2.9"]})
    r.patch("external addresses: with Local", "v", {"externalTrafficPolicy": "Local"})
    r.patch("external addresses: go", "v", {"externalIPs": None})
    r.delete("fields: delete", "v")


def status(r):
    values = [
        {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "Proxy"}]}}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ipMode": "Wrong"}]}},
        {"loadBalancer": {"ingress": [{"ip": "x"}]}}, {"loadBalancer": {"ingress": [{"ip": "2001:DB8::1"}]}}, {"loadBalancer": {"ingress": [{"hostname": "a.example"}]}}, {"loadBalancer": {"ingress": [{"hostname": "1.2.3.4"}]}},
        {"loadBalancer": {"ingress": [{"hostname": "Bad_Name"}]}}, {"loadBalancer": {"ingress": [{"hostname": "a.b", "ipMode": "VIP"}]}}, {"loadBalancer": {"ingress": [{}]}},
        {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ports": [{"port": 80, "protocol": "TCP"}]}]}}, {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ports": [{"port": 80}]}]}},
        {"loadBalancer": {"ingress": [{"ip": "192.0.2.1", "ports": [{"port": 80, "protocol": "TCP", "error": "a.b/C"}]}]}},
        {"conditions": [{"type": "a.b/C", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2024-01-01T00:00:00Z"}]}, {"conditions": [{"type": "C"}]},
    ]
    for kind in ("ClusterIP", "LoadBalancer"):
        r.create(f"status of a {kind}: create", "s", {"type": kind})
        for value in values:
            r.status(f"status of a {kind}: {json.dumps(value)}", "s", value)
        r.status(f"status of a {kind}: at last", "s", {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "a.example"}]}})
        r.patch(f"status of a {kind}: kept by a change", "s", {"sessionAffinity": "ClientIP"})
        r.patch(f"status of a {kind}: of a NodePort", "s", {"type": "NodePort"})
        r.patch(f"status of a {kind}: of a name", "s", {"type": "ExternalName", "externalName": "a.b"})
        r.delete(f"status of a {kind}: delete", "s")
    body = service("s", {"type": "LoadBalancer"})
    body["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}
    r.send("status at creation", "POST", SERVICES + "?dryRun=All", body)


def lists(r):
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    made = {"la": {"type": "LoadBalancer", "clusterIP": "10.96.0.60", "externalIPs": ["192.0.2.5"], "loadBalancerSourceRanges": ["10.0.0.0/8"]}, "lb": {"clusterIP": "10.96.0.61", "ipFamilyPolicy": "SingleStack"},
            "lc": {"clusterIP": "None"}, "ld": {"type": "ExternalName", "externalName": "a.example"}, "le": {"type": "NodePort", "clusterIP": "fd00:10:96::60"}}
    for i, (name, spec) in enumerate(made.items()):
        ports = [{"name": "a", "port": 80, **({"nodePort": 30060 + i} if "type" in spec and spec["type"] != "ExternalName" else {})}]
        r.create(f"lists: create {name}", name, spec, ports=ports)
    r.status("lists: an address of the balancer", "la", {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}, {"hostname": "lb.example"}]}})
    for query in ("spec.type%3DLoadBalancer", "spec.clusterIP%3D10.96.0.61", "spec.clusterIP%3DNone", "spec.type!%3DClusterIP", "spec.externalName%3Da", "metadata.name%3Dlc"):
        r.send(f"lists: by {query}", "GET", f"{SERVICES}?fieldSelector={query}")
    r.send("lists: as a table", "GET", SERVICES, accept=table)
    for name in made:
        r.delete(f"lists: delete {name}", name)


def endpoints(r):
    def of(name, subsets, **metadata):
        return {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name, **metadata}, "subsets": subsets}

    def slice_of(name, addresses, kind="IPv4", **more):
        return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"name": name}, "addressType": kind,
                "endpoints": [{"addresses": addresses}], "ports": [{"name": "a", "port": 80}], **more}

    one = [{"addresses": [{"ip": "10.1.0.1"}], "ports": [{"port": 80}]}]
    r.create("endpoints: their Service", "e", {"selector": None})
    r.send("endpoints: create", "POST", ENDPOINTS, of("e", one))
    r.send("endpoints: others", "POST", ENDPOINTS, of("f", one))
    r.delete("endpoints: the Service goes", "e")
    r.send("endpoints: so do they", "GET", f"{ENDPOINTS}/e")
    r.send("endpoints: the others stay", "GET", f"{ENDPOINTS}/f")
    for ip in ("2001:DB8::1", "010.1.0.1", "::ffff:10.1.0.1"):
        for field in ("addresses", "notReadyAddresses"):
            r.send(f"endpoints: {field} {ip}", "PUT", f"{ENDPOINTS}/f", of("f", [{field: [{"ip": ip}], "ports": [{"port": 80}]}]))
    r.send("endpoints: the controller's own", "PUT", f"{ENDPOINTS}/f?dryRun=All", of("f", [{"addresses": [{"ip": "2001:DB8::1"}]}], labels={"endpoints.kubernetes.io/managed-by": "endpoint-controller"}))
    r.send("endpoints: by an update", "PUT", f"{ENDPOINTS}/g", of("g", one))
    r.send("endpoints: delete g", "DELETE", f"{ENDPOINTS}/g")
    r.send("endpoints: delete f", "DELETE", f"{ENDPOINTS}/f")

    r.send("slices: create", "POST", SLICES, slice_of("e", ["10.1.0.1"]))
    for ip, kind in (("2001:DB8::1", "IPv6"), ("::ffff:10.1.0.1", "IPv4"), ("010.1.0.1", "IPv4"), ("a.example", "FQDN"), ("a", "FQDN")):
        r.send(f"slices: {kind} {ip}", "POST", SLICES + "?dryRun=All", slice_of("f", [ip], kind))
    r.send("slices: same again", "PUT", f"{SLICES}/e", slice_of("e", ["10.1.0.1"]))
    r.send("slices: a label", "PATCH", f"{SLICES}/e", {"metadata": {"labels": {"a": "b"}}}, MERGE)
    r.send("slices: an annotation", "PATCH", f"{SLICES}/e", {"metadata": {"annotations": {"a": "b"}}}, MERGE)
    r.send("slices: conditions", "PATCH", f"{SLICES}/e", {"endpoints": [{"addresses": ["10.1.0.1"], "conditions": {"ready": True, "serving": True, "terminating": False}, "zone": "z", "nodeName": "n",
                                                                       "hints": {"forZones": [{"name": "z"}], "forNodes": [{"name": "n"}]}}]}, MERGE)
    r.send("slices: no ports", "PATCH", f"{SLICES}/e", {"ports": None}, MERGE)
    r.send("slices: nothing", "PATCH", f"{SLICES}/e", {"endpoints": None}, MERGE)
    r.send("slices: another type", "PATCH", f"{SLICES}/e", {"addressType": "IPv6"}, MERGE)
    r.send("slices: by an update", "PUT", f"{SLICES}/g", slice_of("g", ["10.1.0.1"]))
    r.send("slices: as a table", "GET", SLICES, accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    r.send("slices: delete", "DELETE", f"{SLICES}/e")


def main():
    r = Requests()
    r.send("setup: namespace", "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    for part in (type_changes, families, family_changes, addresses, node_ports, fields, status, lists, endpoints):
        part(r)
    r.send("end: nothing is left", "GET", SERVICES)
    r.send("end: namespace", "DELETE", f"/api/v1/namespaces/{NAMESPACE}")


if __name__ == "__main__":
    main()
