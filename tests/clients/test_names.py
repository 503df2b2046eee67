"""The program dns beside CoreDNS as kubeadm sets it: both watch the same api-server and ask the same server for names of
others. Each question is put to both, and what they say must be the same, but for what EXPECTED explains."""
import os
import random
import struct

from control_plane import ControlPlane, free_port, need
from harness import dns
from harness.functions import time_limit
from harness.programs import Program

TTL = 30
COREFILE = """.:{port} {{
    bind 127.0.0.1
    errors
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl {ttl}
    }}
    forward . 127.0.0.1:{upstream}
    loop
    loadbalance
}}
"""
OUTSIDE = {"www.outside.test": {"A": ["192.0.2.1", "192.0.2.2"], "AAAA": ["2001:db8::1"], "TXT": ["hello"]},
           "alias.outside.test": {"CNAME": ["www.outside.test"]}, "v4.outside.test": {"A": ["192.0.2.4"]},
           "many.outside.test": {"A": [f"192.0.2.{i}" for i in range(1, 101)]}, "fails.outside.test": "SERVFAIL",
           "refuses.outside.test": "REFUSED", "_sip._tcp.outside.test": {"SRV": ["1 2 5060 www.outside.test"]},
           "9.2.0.192.in-addr.arpa": {"PTR": ["nine.outside.test"]}}
EXTERNAL = {"ext": "www.outside.test", "ext-alias": "alias.outside.test", "ext-v4": "v4.outside.test", "ext-gone": "gone.outside.test",
            "ext-fails": "fails.outside.test", "ext-many": "many.outside.test", "ext-in": "web.default.svc.cluster.local",
            "ext-headless": "db.default.svc.cluster.local", "ext-none": "none-such.default.svc.cluster.local",
            "ext-self": "ext-self.default.svc.cluster.local", "ping": "pong.default.svc.cluster.local",
            "pong": "ping.default.svc.cluster.local", "ext-two": "ext-in.default.svc.cluster.local", "ext-address": "192.0.2.77"}
KINDS = ("A", "AAAA", "SRV", "CNAME", "TXT", "MX", "NS", "SOA", "PTR", "ANY", "HTTPS", "DS")


def service(name, ports=(), **spec):
    ports = [{"name": p[0], "port": p[1], "protocol": p[2]} if p[0] else {"port": p[1], "protocol": p[2]} for p in ports]
    return {"metadata": {"name": name}, "spec": {**({"ports": ports} if ports else {}), **spec}}


def endpoint(*addresses, hostname=None, ready=True):
    return {"addresses": list(addresses), "conditions": {} if ready is None else {"ready": ready}, **({"hostname": hostname} if hostname else {})}


def slice_of(name, of, ports, *endpoints, family="IPv4"):
    return {"metadata": {"name": name, "labels": {"kubernetes.io/service-name": of}}, "addressType": family, "endpoints": list(endpoints),
            "ports": [{"name": p[0], "port": p[1], "protocol": p[2]} for p in ports]}


SQL, WEB = ("sql", 5432, "TCP"), (("http", 80, "TCP"), ("dns", 53, "UDP"), ("sctp", 9, "SCTP"))
SERVICES = [
    service("web", WEB), service("unnamed", [("", 80, "TCP")]), service("port", [("a", 1, "TCP"), ("b", 1, "UDP")], type="NodePort"),
    service("balanced", [("http", 80, "TCP")], type="LoadBalancer"), service("db", [SQL], clusterIP="None"), service("lonely", [SQL], clusterIP="None"),
    service("portless", clusterIP="None"), service("six", [SQL], clusterIP="None"), service("early", [SQL], clusterIP="None", publishNotReadyAddresses=True),
    service("twins", [SQL, ("more", 1, "UDP")], clusterIP="None"), service("many", [SQL], clusterIP="None"),
    *(service(name, type="ExternalName", externalName=target) for name, target in EXTERNAL.items())]
SLICES = [
    slice_of("web-1", "web", WEB, endpoint("10.1.0.9"), endpoint("10.1.0.10", hostname="web-0"), endpoint("10.1.0.11", ready=False)),
    slice_of("db-1", "db", [SQL], endpoint("10.1.0.1", hostname="db-0"), endpoint("10.1.0.2", hostname="db-1", ready=False),
             endpoint("10.1.0.3", ready=None), endpoint("10.1.0.4", hostname="Db-4".lower())),
    slice_of("db-2", "db", [SQL], endpoint("10.1.0.3"), endpoint("10.1.0.5", hostname="db-5")),
    slice_of("db-6", "db", [SQL], endpoint("fd00::5", hostname="db-5"), endpoint("fd00::6"), family="IPv6"),
    slice_of("portless-1", "portless", [], endpoint("10.1.1.1"), endpoint("10.1.1.2", hostname="second")),
    slice_of("six-1", "six", [SQL], endpoint("fd00::"), endpoint("fd00::1:0:0:7"), endpoint("fd00:0:0:1::", hostname="last"), family="IPv6"),
    slice_of("early-1", "early", [SQL], endpoint("10.1.2.1")),
    slice_of("twins-1", "twins", [SQL, ("more", 1, "UDP")], endpoint("10.1.3.1", hostname="twin"), endpoint("10.1.3.2", hostname="twin"),
             endpoint("10.1.0.1")),
    slice_of("many-1", "many", [SQL], *(endpoint(f"10.2.0.{i}") for i in range(1, 101))),
    slice_of("many-2", "many", [SQL], *(endpoint(f"10.2.1.{i}") for i in range(1, 101))),
    slice_of("nobody-1", "nobody", [SQL], endpoint("10.1.9.1"))]


def setup(context):
    binary = os.path.join(os.environ.get("PEERS", os.path.join(context.root, "build", "peers")), "coredns")
    need(os.access(binary, os.X_OK), f"there is no {binary} (scripts/peers coredns)")
    plane = context.state["plane"] = ControlPlane(context, "names")
    fill(plane)
    upstream = context.state["upstream"] = dns.MadeUpServer(OUTSIDE, ("127.0.0.1", 0))
    kubeconfig = plane.kubeconfig("admin")
    ours, theirs, ready, their_ready = (free_port() for _ in range(4))
    plane.start("dns", "--kubeconfig", kubeconfig, "--bind-address", "127.0.0.1", "--port", ours, "--ttl", TTL, "--upstream",
                f"127.0.0.1:{upstream.address[1]}", "--ready-port", ready, "--health-port", 0, "--metrics-port", 0,
                "--cache-ttl", 0).wait_for_line("Services are served")
    corefile = plane.path("Corefile")
    with open(corefile, "w", encoding="utf-8") as file:
        file.write(COREFILE.format(port=theirs, ready=their_ready, kubeconfig=kubeconfig, ttl=TTL, upstream=upstream.address[1]))
    context.state["coredns"] = Program(context, "coredns", binary, "-conf", corefile)
    context.state["servers"] = ("127.0.0.1", ours), ("127.0.0.1", theirs)

    def answers():
        return dns.ask(("127.0.0.1", theirs), "many.default.svc.cluster.local", "A", tcp=True).rcode == "NOERROR"
    context.wait_until("CoreDNS to have heard of all Services", answers)


def teardown(context):
    if "coredns" in context.state:
        context.state["coredns"].end()
    if "upstream" in context.state:
        context.state["upstream"].stop()
    if "plane" in context.state:
        context.state["plane"].stop()


def fill(plane):
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
    plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": "empty"}})
    for each in SERVICES:
        plane.request("POST", "/api/v1/namespaces/default/services", each)
    plane.request("POST", "/api/v1/namespaces/other/services", service("web", WEB))
    for each in SLICES:
        plane.request("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", each)


def reverse(address):
    if "." in address:
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    digits = dns.socket.inet_pton(dns.socket.AF_INET6, address).hex()
    return ".".join(reversed(digits)) + ".ip6.arpa"


def questions(plane):
    """(name, kind), a few thousand."""
    zone, names = "cluster.local", []
    for name in [each["metadata"]["name"] for each in SERVICES] + ["kubernetes", "none-such", "nobody"]:
        base = f"{name}.default.svc.{zone}"
        names += [base, f"_http._tcp.{base}", f"_tcp.{base}", f"none.{base}", f"a.b.c.{base}"]
    for prefix in ("_sql._tcp.db", "_sql._udp.db", "_SQL._TCP.Db", "sql.tcp.db", "_none._tcp.db", "_dns._udp.web", "_sctp._sctp.web", "_http._udp.web",
                   "db-0.db", "db-1.db", "DB-0.db", "10-1-0-1.db", "10-1-0-3.db", "10-1-0-2.db", "db-5.db", "fd00--6.db", "10-1-0-9.web", "web-0.web",
                   "10-1-0-11.web", "10-1-1-1.portless", "second.portless", "fd00--0.six", "fd00--1-0-0-7.six", "last.six", "twin.twins",
                   "_sql._tcp.twins", "_more._udp.twins", "_sql._tcp.six", "_sql._tcp.many", "_a._tcp.port", "_b._udp.port", "_sql._tcp.ext", "x.ext",
                   "_tcp.web", "_http._tcp.lonely", "_sql._tcp.db-0.db", "*.db", "_*._tcp.web", "any.db"):
        names.append(f"{prefix}.default.svc.{zone}")
    for middle in (zone, "svc." + zone, "pod." + zone, "default.svc." + zone, "other.svc." + zone, "empty.svc." + zone, "gone.svc." + zone,
                   "default.pod." + zone, "gone.pod." + zone, "web.other.svc." + zone, "db.other.svc." + zone, "web.gone.svc." + zone,
                   "x." + zone, "x.y." + zone, "dns-version." + zone, "DNS-Version." + zone, "x.dns-version." + zone, "ns.dns." + zone, "dns." + zone,
                   "x.dns." + zone, "x.ns.dns." + zone, "1-2-3-4.default.pod." + zone, "1-2-3.default.pod." + zone, "1-2-3-400.default.pod." + zone,
                   "01-2-3-4.default.pod." + zone, "fd00--7.default.pod." + zone, "fd00-0-0-0-0-0-0-7.default.pod." + zone, "--1.default.pod." + zone,
                   "web.default.pod." + zone, "1-2-3-4.gone.pod." + zone, "x.1-2-3-4.default.pod." + zone, "1-2-3-4.empty.pod." + zone,
                   "WEB.Default.SVC.Cluster.Local", "web.default.svc.cluster.local.cluster.local", "web.default.svc.cluster.local.default.svc.cluster.local",
                   "www.outside.test.default.svc." + zone, "www.outside.test.svc." + zone, "www.outside.test." + zone, "local", "default.svc"):
        names.append(middle)
    names += list(OUTSIDE) + ["gone.outside.test", "WWW.Outside.test", "outside.test"]
    found = [(name, kind) for name in names for kind in KINDS]
    taken = {each["spec"].get("clusterIP") for each in plane.request("GET", "/api/v1/services")["items"]} - {"None", None, ""}
    addresses = taken | {a for each in SLICES for e in each["endpoints"][:4] for a in e["addresses"]} | {"192.0.2.9", "10.9.9.9", "fd00::9"}
    for address in sorted(addresses):
        found += [(reverse(address), kind) for kind in ("PTR", "A", "TXT", "SOA", "ANY")]
    found += [(name, "PTR") for name in ("in-addr.arpa", "10.in-addr.arpa", "1.10.in-addr.arpa", "x.1.0.1.10.in-addr.arpa", "ip6.arpa", "d.f.ip6.arpa")]
    return found


def lines(records):
    out = []
    for each in records:
        data = each.data.split(" ")
        if each.kind == "SOA" and len(data) == 7:
            data[2] = "SERIAL"  # when each heard of the last change
        out.append(f"{each.name} {each.ttl} {each.kind} {' '.join(data)}".lower())
    return sorted(out)


def seen(answer):
    """What a client can tell apart."""
    return {"rcode": answer.rcode, "answer": lines(answer.answer), "authority": lines(answer.authority), "additional": lines(answer.additional),
            "authoritative": answer.is_authoritative, "truncated": answer.is_truncated, "question": answer.question}


def test_everything_that_coredns_is_asked_is_answered_as_it_does(context):
    ours, theirs = context.state["servers"]
    asked = questions(context.state["plane"])
    random.Random(1).shuffle(asked)
    problems, explained = [], {}
    for name, kind in asked:
        one, other = seen(dns.ask(ours, name, kind, tcp=True)), seen(dns.ask(theirs, name, kind, tcp=True))
        if one == other:
            continue
        reason = why(name.lower(), kind, one, other)
        if reason:
            explained[reason] = explained.get(reason, 0) + 1
            continue
        problems.append(f"{name} {kind}:\n      ours   {one}\n      theirs {other}")
    print(f"    {len(asked)} questions; explained: {explained}")
    assert not problems, f"{len(problems)} of {len(asked)} answers differ:\n" + "\n".join(problems[:int(os.environ.get("SHOW", "20"))])


def why(name, kind, ours, theirs):
    """The reason for a difference that is meant, if it is one (components/dns/README.md lists them)."""
    codes = ours["rcode"], theirs["rcode"]
    has_nothing = not ours["answer"] and [line.split()[2] for line in ours["authority"]] == ["soa"]
    if codes == ("NOERROR", "NXDOMAIN") and has_nothing:
        if kind == "TXT" or name in ("dns.cluster.local", "dns-version.cluster.local", "ns.dns.cluster.local") or name.startswith("_tcp."):
            return "what stands above a name, or has others records, exists"
    if codes == ("NXDOMAIN", "NOERROR") and kind == "SOA" and not theirs["answer"]:
        return "the SOA record of a name that does not exist is NXDOMAIN"
    if codes == ("NXDOMAIN", "NOERROR") and name.startswith("x.1-2-3-4."):
        return "nothing stands below a Pod's name"
    if (name, kind) in (("cluster.local", "NS"), ("ns.dns.cluster.local", "A")) and not theirs["answer"]:
        return "the zone has a server"
    if name.endswith(".default.svc.cluster.local") and name.split(".")[0] in EXTERNAL and kind not in ("A", "AAAA", "CNAME", "SRV") and not theirs["answer"]:
        return "an ExternalName is a CNAME for whatever type"
    if codes[0] == "SERVFAIL" and name in ("ext-fails.default.svc.cluster.local",):
        return "a target that cannot be resolved just now is no absence"
    if kind == "CNAME" and name.startswith("ext-self.") and has_nothing:
        return "no CNAME leads to itself"
    if kind == "SRV" and name.endswith(".pod.cluster.local") and has_nothing:
        return "a Pod's name has no SRV record"
    if name == reverse("10.1.9.1") and codes == ("NXDOMAIN", "NOERROR"):
        return "endpoints of a Service that does not exist have no name"
    if name.endswith(".arpa") and not ours["authoritative"] and [line.split()[0] for line in theirs["authority"]] in (["in-addr.arpa."], ["ip6.arpa."]):
        return "reverse zones are others', but for the addresses that are the cluster's"
    return None


def outcome(server, message, tcp=False):
    try:
        answer = dns.ask_raw(server, message, tcp, timeout=2)
    except (OSError, struct.error):
        return "nothing"
    return answer.rcode, answer.is_truncated, answer.has_edns


def test_what_is_no_question_comes_to_the_same(context):
    ours, theirs = context.state["servers"]
    good = dns.write_query("web.default.svc.cluster.local", "A", number=7)

    def with_flags(flags):
        return good[:2] + struct.pack(">H", flags) + good[4:]

    def with_counts(*counts):
        return good[:4] + struct.pack(">4H", *counts) + good[12:]
    messages = {"a response": with_flags(0x8100), "STATUS": with_flags(0x1100), "UPDATE": with_flags(0x2900), "no question": with_counts(0, 0, 0, 0),
                "two questions": with_counts(2, 0, 0, 0), "a lost record": with_counts(1, 0, 0, 1), "a cut name": good[:20], "a header": good[:12],
                "half a header": good[:6], "class CH": good[:-2] + b"\0\3", "class ANY": good[:-2] + b"\0\xff", "type 0": good[:-4] + b"\0\0\0\1",
                "EDNS": dns.write_query("web.default.svc.cluster.local", "A", number=7, edns=1232),
                "a tiny EDNS size": dns.write_query("web.default.svc.cluster.local", "A", number=7, edns=10),
                "checking disabled": with_flags(0x0110), "no recursion wanted": with_flags(0)}
    edns = dns.write_query("web.default.svc.cluster.local", "A", number=7, edns=1232)
    messages["EDNS of version 1"] = edns[:-5] + b"\1" + edns[-4:]
    differ = {what: (outcome(ours, each), outcome(theirs, each)) for what, each in messages.items()}
    differ = {what: pair for what, pair in differ.items() if pair[0] != pair[1]}
    # A message that is not what it says is answered with FORMERR, and there is no class but IN here.
    for what in ("a lost record", "a header"):
        assert differ.pop(what)[0] == ("FORMERR", False, False), what
    for what in ("class CH", "class ANY"):
        assert differ.pop(what)[0] == ("REFUSED", False, False), what
    assert not differ, differ


def test_a_transfer_is_refused(context):
    for server in context.state["servers"]:
        for kind in ("AXFR", "IXFR"):
            assert dns.ask(server, "cluster.local", kind, tcp=True).rcode == "REFUSED"


def test_a_datagram_holds_what_the_client_takes(context):
    ours, theirs = context.state["servers"]
    for name, kind in (("many.default.svc.cluster.local", "A"), ("_sql._tcp.many.default.svc.cluster.local", "SRV"), ("many.outside.test", "A"),
                       ("ext-many.default.svc.cluster.local", "A")):
        for edns, most in ((None, 512), (512, 512), (1232, 1232)):
            for server in (ours, theirs):
                answer = dns.ask(server, name, kind, edns=edns)
                assert len(answer.message) <= most, (server, name, edns, len(answer.message))
                assert answer.is_truncated == (len(dns.ask(server, name, kind, tcp=True).answer) > len(answer.answer)), (server, name, edns)
        # musl before 1.2.4 makes do with what is there, so that must be as much as fits.
        assert len(dns.ask(ours, name, kind).answer) >= min(4, len(dns.ask(theirs, name, kind).answer)), name
        assert len(dns.ask(ours, name, kind, tcp=True).answer) == len(dns.ask(theirs, name, kind, tcp=True).answer) >= 100


@time_limit(60)
def test_stub_domains_and_the_end_of_the_program(context):
    plane = context.state["plane"]
    port = free_port()
    stub = dns.MadeUpServer({"host.corp.test": {"A": ["192.0.2.200"]}, "4.3.10.in-addr.arpa": {"PTR": ["x.corp.test"]}}, ("127.0.0.1", 0))
    program = plane.start("dns", "--kubeconfig", plane.kubeconfig("admin"), "--bind-address", "127.0.0.1", "--port", port, "--resolv-conf", "",
                          "--stub-domain", f"corp.test=127.0.0.1:{stub.address[1]}", "--stub-domain", f"3.10.in-addr.arpa=127.0.0.1:{stub.address[1]}",
                          "--ready-port", 0, "--health-port", 0, "--metrics-port", 0)
    try:
        program.wait_for_line("Services are served")
        server = "127.0.0.1", port
        assert dns.ask(server, "host.corp.test", "A").data("A") == ["192.0.2.200"]
        assert dns.ask(server, "none.corp.test", "A").rcode == "NXDOMAIN"
        assert dns.ask(server, "4.3.10.in-addr.arpa", "PTR").data("PTR") == ["x.corp.test."]
        assert dns.ask(server, "www.outside.test", "A").rcode == "REFUSED"  # nobody to ask
        assert [r.kind for r in dns.ask(server, "ext.default.svc.cluster.local", "A").answer] == ["CNAME"]
        assert dns.ask(server, "web.default.svc.cluster.local", "A").rcode == "NOERROR"
        assert program.stop() == 0, program.log()
    finally:
        stub.stop()
    for flags, text in ((("--stub-domain", "corp.test"), "is not DOMAIN=ADDRESS"), (("--upstream", "nobody"), "is not the address of a DNS server"),
                        (("--bind-address", "1.2.3"), "1.2.3"), (("--cluster-domain", "a..b"), "a..b")):
        done = context.run(context.binary("dns"), "--kubeconfig", plane.kubeconfig("admin"), *flags, check=False)
        assert done.returncode == 1 and text in done.stderr, done
