"""Names as programs in Pods look them up, by glibc's resolver and by musl's: tests/e2e/resolve.c, built with both."""
import contextlib
import json
import os
import shutil
import subprocess
import sys

from harness import dns
from harness.cluster import Cluster
from harness.functions import Skipped, time_limit

IMAGE = "localhost/resolve:local"
HOST, OUTSIDE = "198.51.100.1", "198.51.100.2"  # of the world, on the link between host and outside
RESOLVERS = ("resolve-glibc", "resolve-musl")
ZONE = {"www.outside.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]}, "alias.outside.test": {"CNAME": ["www.outside.test"]},
        "v4.outside.test": {"A": ["192.0.2.4"]}, "many.outside.test": {"A": [f"192.0.2.{i}" for i in range(1, 101)]},
        "fails.outside.test": "SERVFAIL", "9.2.0.192.in-addr.arpa": {"PTR": ["nine.outside.test"]},
        "whose.outside.test": {"TXT": ["outside"]}}
SERVE = "echo $HOSTNAME >/tmp/index.html; exec httpd -f -p 8080 -h /tmp"


def build_image(context, folder):
    """busybox and both resolvers, the glibc one with the libraries it needs."""
    if not shutil.which("musl-gcc"):
        raise Skipped("musl-tools is not installed (scripts/packages test)")
    compiler = next((found for found in map(shutil.which, ("clang-16", "clang", "cc")) if found), None)
    if not compiler:
        raise Skipped("there is no C compiler")
    source = os.path.join(context.root, "tests", "e2e", "resolve.c")
    context.run("bash", "-c", 'source "$0" && busybox_tree "$1"', context.script("lib.sh"), folder)
    context.run("musl-gcc", "-static", "-O1", "-o", f"{folder}/bin/resolve-musl", source)
    context.run(compiler, "-O1", "-o", f"{folder}/bin/resolve-glibc", source, "-lresolv")
    for library in context.run("ldd", f"{folder}/bin/resolve-glibc").stdout.split():
        if library.startswith("/"):
            os.makedirs(folder + os.path.dirname(library), exist_ok=True)
            shutil.copy(os.path.realpath(library), folder + library)
    with open(f"{folder}/etc/nsswitch.conf", "w", encoding="utf-8") as file:
        file.write("hosts: files dns\n")
    archive = os.path.join(context.work, "resolve.tar")
    context.run(context.script("pack-image"), folder, archive, IMAGE)
    return archive


@contextlib.contextmanager
def made_up_server(context, address, zone, *before):
    """A DNS server at port 53 of an address of the world's."""
    process = subprocess.Popen([*before, sys.executable, "-B", "-m", "harness.dns", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True, cwd=os.path.join(context.root, "tests"))
    try:
        process.stdin.write(json.dumps(zone))
        process.stdin.close()
        assert process.stdout.readline() == "serving\n", "the made-up server did not start"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def set_resolver(*addresses):
    with open("/etc/resolv.conf", "w", encoding="utf-8") as file:  # the world's own
        file.write("".join(f"nameserver {address}\n" for address in addresses))


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if context.run("ip", "netns", "exec", "outside", "true", check=False).returncode != 0:
        raise Skipped("this world has no outside")
    archive = build_image(context, os.path.join(context.work, "resolve"))
    stack = context.state["stack"] = contextlib.ExitStack()
    stack.enter_context(made_up_server(context, OUTSIDE, ZONE, "ip", "netns", "exec", "outside"))
    set_resolver(OUTSIDE)
    cluster = context.state["cluster"] = Cluster(context, name="names", home=os.path.join(context.work, "names")).create()
    cluster.run_ctl("image", "load", cluster.name, "--archive", archive)
    pods = [cluster.pod(f"db-{i}", "sh", "-c", SERVE, labels={"app": "db"}, image=IMAGE, hostname=f"node-{i}", subdomain="db") for i in (0, 1)]
    # In the Service, and not ready for as long as it has no file.
    pods.append(cluster.pod("db-2", "sh", "-c", SERVE, labels={"app": "db"}, image=IMAGE, hostname="node-2", subdomain="db",
                            container={"readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}}))
    pods += [cluster.pod("web", "sh", "-c", SERVE, image=IMAGE), cluster.pod("client", "sleep", "100000", image=IMAGE)]
    port = {"ports": [{"name": "main", "port": 80, "targetPort": 8080}, {"name": "other", "port": 81, "targetPort": 8080}]}
    cluster.kubectl("create", "namespace", "other")
    cluster.apply(
        *pods, cluster.service("web", **port), cluster.service("db", clusterIP="None", **port),
        cluster.service("early", clusterIP="None", selector={"app": "db"}, publishNotReadyAddresses=True, **port),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ext"}, "spec": {"type": "ExternalName", "externalName": "alias.outside.test"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "inner"},
         "spec": {"type": "ExternalName", "externalName": "web.default.svc.cluster.local"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger", "namespace": "other", "labels": {"app": "stranger"}},
         "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": IMAGE, "command": ["sleep", "100000"]}]}})
    cluster.running_pods("app=web", 1)
    cluster.running_pods("app=client", 1)
    cluster.running_pods("app=stranger", 1, "other")

    def addresses():
        found = {p["metadata"]["name"]: p["status"].get("podIP") for p in cluster.pods("app=db")}
        return len(found) == 3 and all(found.values()) and found
    context.state["pods"] = context.wait_until("the addresses of the Pods of db", addresses)
    context.wait_until("two endpoints in db", lambda: len(look_up(context, "resolve-musl", "addresses", "db")) == 2, 30)


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()
    if "stack" in context.state:
        context.state["stack"].close()


def look_up(context, resolver, *words, pod="client", namespace="default"):
    """The lines that the resolver prints."""
    return context.state["cluster"].kubectl("exec", "-n", namespace, pod, "--", resolver, *words, check=False).stdout.split("\n")[:-1]


def expect(context, wanted, *words, pod="client", namespace="default"):
    for resolver in RESOLVERS:
        found = look_up(context, resolver, *words, pod=pod, namespace=namespace)
        assert found == wanted, f"{resolver} {' '.join(words)}: {found} instead of {wanted}"


def is_unknown(context, *words, reasons=("error EAI_NONAME",), **where):
    for resolver in RESOLVERS:
        found = look_up(context, resolver, *words, **where)
        assert len(found) == 1 and found[0] in reasons, f"{resolver} {' '.join(words)}: {found}"


def cluster_ip(context, name, namespace="default"):
    return context.state["cluster"].get("service", name, "-n", namespace)["spec"]["clusterIP"]


def test_a_service_is_found_by_every_form_of_its_name(context):
    address = cluster_ip(context, "web")
    for name in ("web", "web.default", "web.default.svc", "web.default.svc.cluster.local", "web.default.svc.cluster.local.", "WEB.Default.svc"):
        expect(context, [address], "addresses", name)
        expect(context, [address], "addresses", name, "4")
    expect(context, [cluster_ip(context, "kubernetes")], "addresses", "kubernetes.default")
    expect(context, [cluster_ip(context, "kube-dns", "kube-system")], "addresses", "kube-dns.kube-system.svc")
    # What it has no address of is no reason to go on along the search path.
    is_unknown(context, "addresses", "web", "6", reasons=("error EAI_NONAME", "error EAI_NODATA"))
    is_unknown(context, "addresses", "wob")
    is_unknown(context, "addresses", "web.nowhere.svc.cluster.local")


def test_the_search_path_begins_in_the_pods_own_namespace(context):
    there = {"pod": "stranger", "namespace": "other"}
    is_unknown(context, "addresses", "web", **there)
    expect(context, [cluster_ip(context, "web")], "addresses", "web.default", **there)
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        assert "search" not in file.read(), "the host has a search path: what follows would be another one"
    text = context.state["cluster"].kubectl("exec", "-n", "other", "stranger", "--", "cat", "/etc/resolv.conf").stdout
    assert "search other.svc.cluster.local svc.cluster.local cluster.local\n" in text and "options ndots:5\n" in text, text
    assert f"nameserver {cluster_ip(context, 'kube-dns', 'kube-system')}\n" in text, text


def test_a_headless_service_has_the_addresses_and_the_names_of_its_ready_pods(context):
    pods = context.state["pods"]
    expect(context, sorted([pods["db-0"], pods["db-1"]]), "addresses", "db")
    expect(context, [pods["db-1"]], "addresses", "node-1.db")
    expect(context, [pods["db-0"]], "addresses", "node-0.db.default.svc.cluster.local")
    is_unknown(context, "addresses", "node-2.db")
    is_unknown(context, "addresses", "db-0.db")  # the Pod's name is not its hostname
    expect(context, sorted(pods.values()), "addresses", "early")
    # A Pod finds itself by its own name, of which /etc/hosts tells.
    own = context.state["cluster"].exec("db-0", "hostname", "-f").stdout.strip()
    assert own == "node-0.db.default.svc.cluster.local", own
    expect(context, [pods["db-0"]], "addresses", own, pod="db-0")


@time_limit(120)
def test_a_pod_that_becomes_ready_is_in_the_answers_at_once(context):
    cluster, pods = context.state["cluster"], context.state["pods"]
    cluster.exec("db-2", "touch", "/tmp/ready")
    context.wait_until("the third address", lambda: look_up(context, "resolve-musl", "addresses", "db") == sorted(pods.values()), 20)
    expect(context, [pods["db-2"]], "addresses", "node-2.db")
    cluster.exec("db-2", "rm", "/tmp/ready")
    context.wait_until("its end", lambda: pods["db-2"] not in look_up(context, "resolve-musl", "addresses", "db"), 20)


def test_named_ports_have_srv_records(context):
    suffix = ".default.svc.cluster.local"
    expect(context, [f"SRV 0 100 80 web{suffix}"], "records", f"_main._tcp.web{suffix}", "SRV")
    for resolver in RESOLVERS:
        found = look_up(context, resolver, "records", f"_main._tcp.db{suffix}", "SRV")
        assert sorted(found) == [f"SRV 0 50 8080 node-0.db{suffix}", f"SRV 0 50 8080 node-1.db{suffix}"], found
        assert len(look_up(context, resolver, "records", f"web{suffix}", "SRV")) == 2
        for name, kind in ((f"_none._tcp.web{suffix}", "SRV"), (f"_main._udp.web{suffix}", "SRV")):
            assert look_up(context, resolver, "records", name, kind)[0].startswith("error "), name
    expect(context, ["TXT 1.1.0"], "records", "dns-version.cluster.local", "TXT")


def test_addresses_have_the_names_of_services_and_pods(context):
    pods = context.state["pods"]
    expect(context, ["web.default.svc.cluster.local"], "name", cluster_ip(context, "web"))
    for resolver in RESOLVERS:
        # In two Services, so either name.
        name = look_up(context, resolver, "name", pods["db-0"])[0]
        assert name in ("node-0.db.default.svc.cluster.local", pods["db-0"].replace(".", "-") + ".early.default.svc.cluster.local"), name
    expect(context, ["nine.outside.test"], "name", "192.0.2.9")
    is_unknown(context, "name", "192.0.2.10")


def test_a_pods_address_is_a_name_in_its_namespace(context):
    address = context.state["pods"]["db-0"]
    expect(context, [address], "addresses", address.replace(".", "-") + ".default.pod")
    is_unknown(context, "addresses", "web.default.pod")


def test_an_external_name_leads_outside_and_inside(context):
    expect(context, ["192.0.2.1", "2001:db8::1"], "addresses", "ext")
    expect(context, ["192.0.2.1"], "addresses", "ext", "4")
    expect(context, [cluster_ip(context, "web")], "addresses", "inner")
    expect(context, ["CNAME alias.outside.test"], "records", "ext.default.svc.cluster.local", "CNAME")
    for resolver in RESOLVERS:
        canonical = look_up(context, resolver, "canonical", "ext")[0].rstrip(".")
        assert canonical == "www.outside.test", canonical


def test_names_of_the_outside_come_from_the_hosts_resolver(context):
    expect(context, ["192.0.2.1", "2001:db8::1"], "addresses", "www.outside.test")
    expect(context, ["192.0.2.1", "2001:db8::1"], "addresses", "alias.outside.test")
    expect(context, ["192.0.2.4"], "addresses", "v4.outside.test")  # NODATA for the other family
    is_unknown(context, "addresses", "v4.outside.test", "6", reasons=("error EAI_NONAME", "error EAI_NODATA"))
    is_unknown(context, "addresses", "none.outside.test")
    is_unknown(context, "addresses", "fails.outside.test", reasons=("error EAI_AGAIN",))


def test_what_does_not_fit_a_datagram_comes_over_tcp_or_in_part(context):
    everything = sorted(ZONE["many.outside.test"]["A"])
    assert look_up(context, "resolve-glibc", "addresses", "many.outside.test") == everything
    # This musl does not know TCP (1.2.4 does): it takes what the datagram holds, at most 48 addresses.
    part = look_up(context, "resolve-musl", "addresses", "many.outside.test")
    assert 20 <= len(part) and set(part) <= set(everything), part


def test_a_resolver_that_asks_all_servers_at_once_takes_the_first_good_answer(context):
    cluster = context.state["cluster"]
    server = cluster_ip(context, "kube-dns", "kube-system")
    for name, servers in (("silent-last", [server, "198.51.100.77"]), ("silent-first", ["198.51.100.77", server])):
        pod = cluster.pod(name, "sleep", "100000", image=IMAGE, dnsPolicy="None",
                          dnsConfig={"nameservers": servers, "searches": ["default.svc.cluster.local"],
                                     "options": [{"name": "ndots", "value": "2"}, {"name": "timeout", "value": "1"}]})
        cluster.apply(pod)
        cluster.running_pods(f"app={name}", 1)
        expect(context, [cluster_ip(context, "web")], "addresses", "web", pod=name)
        expect(context, ["192.0.2.1"], "addresses", "www.outside.test", "4", pod=name)  # two dots: first as it is
        is_unknown(context, "addresses", "kubernetes.kube-system", pod=name)
    cluster.kubectl("delete", "pod", "silent-first", "silent-last")


def test_a_pod_with_the_policy_default_knows_the_outside_alone(context):
    cluster = context.state["cluster"]
    cluster.apply(cluster.pod("plain", "sleep", "100000", image=IMAGE, dnsPolicy="Default"))
    cluster.running_pods("app=plain", 1)
    expect(context, ["192.0.2.4"], "addresses", "v4.outside.test", pod="plain")
    is_unknown(context, "addresses", "web.default.svc.cluster.local", pod="plain")
    cluster.kubectl("delete", "pod", "plain")


@time_limit(120)
def test_another_resolver_of_the_host_is_asked_as_soon_as_it_is_there_also_on_loopback(context):
    expect(context, ["TXT outside"], "records", "whose.outside.test", "TXT")
    try:
        with made_up_server(context, "127.0.0.53", {**ZONE, "fresh.outside.test": {"TXT": ["loopback"]}}):
            set_resolver("127.0.0.53")
            context.wait_until("the resolver on loopback to be asked",
                               lambda: look_up(context, "resolve-musl", "records", "fresh.outside.test", "TXT") == ["TXT loopback"], 10)
            expect(context, ["TXT loopback"], "records", "fresh.outside.test", "TXT")
            # One that does not answer is passed over.
            set_resolver("198.51.100.77", "127.0.0.53")
            for i in range(3):
                expect(context, ["192.0.2.1"], "addresses", "www.outside.test", "4")
                is_unknown(context, "addresses", f"new-{i}.outside.test")
    finally:
        set_resolver(OUTSIDE)


@time_limit(120)
def test_the_cluster_leads_no_question_back_to_itself(context):
    """A host whose resolver is the cluster's DNS server: names of others fail at once, those of the cluster go on."""
    try:
        set_resolver(cluster_ip(context, "kube-dns", "kube-system"))
        context.wait_until("the loop to be seen", lambda: look_up(context, "resolve-musl", "addresses", "looped.outside.test") == ["error EAI_AGAIN"], 60)
        expect(context, [cluster_ip(context, "web")], "addresses", "web")
    finally:
        set_resolver(OUTSIDE)
    context.wait_until("names of the outside again", lambda: look_up(context, "resolve-musl", "addresses", "v4.outside.test") == ["192.0.2.4"], 20)


def test_the_host_asks_the_clusters_server_too(context):
    """Over UDP and TCP, and it says that it knows best."""
    server = cluster_ip(context, "kube-dns", "kube-system"), 53
    for tcp in (False, True):
        answer = dns.ask(server, "WeB.default.svc.cluster.LOCAL", "A", tcp=tcp)
        assert answer.data("A") == [cluster_ip(context, "web")] and answer.is_authoritative and answer.question == "WeB.default.svc.cluster.LOCAL."
        none = dns.ask(server, "none.default.svc.cluster.local", "A", tcp=tcp)
        assert none.rcode == "NXDOMAIN" and [r.kind for r in none.authority] == ["SOA"]
        outside = dns.ask(server, "v4.outside.test", "A", tcp=tcp)
        assert outside.data("A") == ["192.0.2.4"] and not outside.is_authoritative
