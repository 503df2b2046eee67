"""What stands around a Pod's processes on a real engine: lifecycle hooks; and what the processes find: resolv.conf, hosts,
hostname, variables of Services."""
import collections

from harness.cluster import assert_matches
from harness.functions import time_limit
from harness.pods import (condition, delete, exec_action, get, output_of, pod, shell, status_of, wait_event, wait_ready, wait_restarts,
                          with_data, words, write)
from harness.target import ask_host, make_with_target, remove_with_target


def setup(context):
    make_with_target(context, "surroundings")


def teardown(context):
    remove_with_target(context)


# ---- lifecycle hooks

def test_hooks_run_after_the_start_and_before_the_stop_signal(context):
    cluster, target = context.state["cluster"], context.state["target"]
    for path in ("/begin", "/bye"):
        target.answer(path, 500)  # that it answers is enough
    told = shell("trap 'echo term >>/data/log; exit 0' TERM; while :; do sleep 0.1; done")
    spec = pod("hooked", {"command": told, "lifecycle": {"postStart": exec_action("sleep 1; echo post >>/data/log"),
                                                         "preStop": exec_action("sleep 1; echo pre >>/data/log")}},
               terminationGracePeriodSeconds=60)
    folder, spec = with_data(context, "hooked", spec)
    asking = pod("asking", {"lifecycle": {"postStart": ask_host(context, "/begin"), "preStop": ask_host(context, "/bye")}})
    sleeping = pod("sleeping", {"command": shell("trap 'exit 0' TERM; while :; do sleep 0.1; done"), "lifecycle": {"preStop": {"sleep": {"seconds": 3}}}},
                   terminationGracePeriodSeconds=60)
    cluster.apply(spec, asking, sleeping)
    for name in ("hooked", "asking", "sleeping"):
        wait_ready(context, name)
    assert words(folder) == ["post"]
    (begin,) = target.requests("/begin")
    assert begin.headers["User-Agent"] == "kube-lifecycle/1.35" and begin.client == context.state["node"], begin
    took = delete(context, "sleeping")
    assert took >= 3, took
    delete(context, "hooked", "asking")
    assert words(folder) == ["post", "pre", "term"]
    assert len(target.requests("/bye")) == 1


def test_a_pod_is_not_running_before_its_post_start_hook_has_ended(context):
    cluster = context.state["cluster"]
    spec = pod("waiting", {"lifecycle": {"postStart": exec_action("echo begun >/data/log; until [ -f /data/go ]; do sleep 0.1; done")}})
    folder, spec = with_data(context, "waiting", spec)
    cluster.apply(spec)
    context.wait_until("the hook", lambda: words(folder) == ["begun"])
    now = get(context, "waiting")
    assert now["status"]["phase"] == "Pending" and condition(now, "Ready") != "True", now["status"]
    write(folder, "go")
    wait_ready(context, "waiting")
    delete(context, "waiting", wait=False)


@time_limit(240)
def test_hooks_that_fail_are_told_and_one_grace_is_for_hook_and_signal(context):
    cluster = context.state["cluster"]
    spec = pod("failing", {"command": shell("trap 'echo term >>/data/log; exit 0' TERM; while :; do sleep 0.1; done"),
                           "lifecycle": {"postStart": exec_action("exit 3")}})
    folder, spec = with_data(context, "failing", spec)
    endless = pod("endless", {"command": shell("trap 'echo term >>/data/log; exit 0' TERM; while :; do sleep 0.1; done"),
                              "lifecycle": {"preStop": exec_action("echo pre >>/data/log; sleep 600")}}, terminationGracePeriodSeconds=3)
    endless_folder, endless = with_data(context, "endless", endless)
    cluster.apply(spec, endless, pod("unkind", {"lifecycle": {"preStop": exec_action("exit 4")}}))
    wait_event(context, "failing", "FailedPostStartHook", "PostStartHook failed")
    wait_event(context, "failing", "Killing", "FailedPostStartHook")
    now = wait_restarts(context, "failing")
    assert not status_of(now)["ready"], now["status"]
    context.wait_until("the stop signal", lambda: "term" in words(folder))
    for name in ("endless", "unkind"):
        wait_ready(context, name)
    delete(context, "unkind", "failing", wait=False)
    wait_event(context, "unkind", "FailedPreStopHook", "PreStopHook failed")
    took = delete(context, "endless")
    assert took >= 3, took
    assert words(endless_folder) == ["pre", "term"]
    print(f"    a Pod whose preStop hook never ends, with a grace of 3 s, was gone after {took:.1f} s")


# ---- what processes find

def resolv_conf(text):
    """{"nameserver": [...], "search": [...], "options": [...]}"""
    out = collections.defaultdict(list)
    for line in text.splitlines():
        key, *rest = line.split()
        out[key] += rest
    return dict(out)


def test_every_dns_policy_gives_its_resolv_conf(context):
    cluster = context.state["cluster"]
    server = cluster.get("service", "-n", "kube-system", "kube-dns")["spec"]["clusterIP"]
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        lines = [line for line in file.read().splitlines() if line.strip() and line.split()[0] in ("nameserver", "search", "options")]
    host = resolv_conf("\n".join(lines))
    found = lambda name, **spec: resolv_conf(output_of(context, pod(name, {"command": ["cat", "/etc/resolv.conf"]}, **spec)))
    searches = ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"] + host.get("search", [])
    cluster_first = {"nameserver": [server], "search": searches, "options": ["ndots:5"]}
    assert found("first") == cluster_first
    assert found("first-nodal", dnsPolicy="ClusterFirstWithHostNet", hostNetwork=True) == cluster_first
    for name, spec in (("default", {"dnsPolicy": "Default"}), ("default-nodal", {"hostNetwork": True})):
        assert found(name, **spec).get("nameserver") == host.get("nameserver"), name
    config = {"nameservers": ["192.0.2.53", "192.0.2.54", "192.0.2.55"], "searches": ["example.com", "cluster.local"],
              "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}]}
    none = found("none", dnsPolicy="None", dnsConfig=config)
    assert (none["nameserver"], none["search"], sorted(none["options"])) == (config["nameservers"], config["searches"], ["edns0", "ndots:2"]), none
    merged = found("merged", dnsConfig=config)
    assert merged["nameserver"] == [server, "192.0.2.53", "192.0.2.54"] and merged["search"] == searches + ["example.com"], merged
    assert sorted(merged["options"]) == ["edns0", "ndots:2"], merged
    wait_event(context, "merged", "DNSConfigForming", "Nameserver limits were exceeded, some nameservers have been omitted, "
               f"the applied nameserver line is: {server} 192.0.2.53 192.0.2.54")


def test_hostname_subdomain_and_host_aliases_are_as_the_pod_says(context):
    ask = shell('echo "name $(hostname)"; echo "full $(hostname -f)"; echo "ip $IP"; cat /etc/hosts')
    container = {"command": ask, "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}
    aliases = [{"ip": "192.0.2.7", "hostnames": ["seven.example", "seven"]}, {"ip": "192.0.2.8", "hostnames": ["eight.example"]}]
    plain = output_of(context, pod("plain", container))
    assert_matches("^name plain$", plain)
    named = output_of(context, pod("named", container, hostname="host", subdomain="sub", hostAliases=aliases))
    assert_matches("^name host$", named)
    assert_matches(r"^full host\.sub\.default\.svc\.cluster\.local$", named)
    head, hosts = named.split("# Kubernetes-managed hosts file.\n")
    address = head.split("ip ")[1].strip()
    assert hosts == ("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n"
                     f"fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n{address}\thost.sub.default.svc.cluster.local\thost\n"
                     "\n# Entries added by HostAliases.\n192.0.2.7\tseven.example\tseven\n192.0.2.8\teight.example\n"), hosts
    whole = output_of(context, pod("whole", container, hostname="host", subdomain="sub", setHostnameAsFQDN=True))
    assert_matches(r"^name host\.sub\.default\.svc\.cluster\.local$", whole)
    nodal = output_of(context, pod("nodal-hosts", {"command": ["cat", "/etc/hosts"]}, hostNetwork=True, hostAliases=aliases))
    assert nodal.startswith("# Kubernetes-managed hosts file (host network).\n") and "192.0.2.8\teight.example\n" in nodal, nodal


def test_variables_name_the_services_of_the_namespace(context):
    cluster = context.state["cluster"]
    ports = [{"name": "sql", "port": 5432}, {"name": "stats", "port": 9090, "protocol": "UDP"}]
    service = lambda name, namespace: {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
                                       "spec": {"selector": {"app": "none"}, "ports": ports}}
    cluster.apply(service("db-one", "default"), service("other", "kube-system"))
    address = cluster.get("service", "db-one")["spec"]["clusterIP"]
    kubernetes = cluster.get("service", "kubernetes")["spec"]["clusterIP"]
    variables = lambda name, **spec: dict(line.split("=", 1) for line in output_of(context, pod(name, {"command": ["env"]}, **spec)).splitlines())
    found = variables("linked")
    expected = {"DB_ONE_SERVICE_HOST": address, "DB_ONE_SERVICE_PORT": "5432", "DB_ONE_SERVICE_PORT_SQL": "5432", "DB_ONE_SERVICE_PORT_STATS": "9090",
                "DB_ONE_PORT": f"tcp://{address}:5432", "DB_ONE_PORT_5432_TCP": f"tcp://{address}:5432", "DB_ONE_PORT_5432_TCP_PROTO": "tcp",
                "DB_ONE_PORT_5432_TCP_PORT": "5432", "DB_ONE_PORT_5432_TCP_ADDR": address, "DB_ONE_PORT_9090_UDP": f"udp://{address}:9090",
                "DB_ONE_PORT_9090_UDP_PROTO": "udp", "DB_ONE_PORT_9090_UDP_PORT": "9090", "DB_ONE_PORT_9090_UDP_ADDR": address}
    assert {k: v for k, v in found.items() if k.startswith("DB_ONE_")} == expected, found
    unlinked = variables("unlinked", enableServiceLinks=False)
    for given in (found, unlinked):
        assert given["KUBERNETES_SERVICE_HOST"] == kubernetes and given["KUBERNETES_SERVICE_PORT"] == "443", given
        assert not any(k.startswith("OTHER_") for k in given), given
    assert not any(k.startswith("DB_ONE_") for k in unlinked), unlinked
    cluster.kubectl("delete", "service", "db-one")
    cluster.kubectl("delete", "service", "other", "-n", "kube-system")
