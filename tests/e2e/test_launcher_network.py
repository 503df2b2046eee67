"""The host's side of a cluster's network: published ports, and Docker's forbidden forwarding."""
import contextlib
import json
import os
import shutil
import subprocess

from harness.cluster import IMAGE, Cluster, assert_matches
from harness.functions import Skipped, time_limit

HOST = "198.51.100.1"  # the world's host as the outside sees it
OUTSIDE = "198.51.100.2"


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    if context.run("ip", "netns", "exec", "outside", "true", check=False).returncode != 0:
        raise Skipped("this world has no outside")


def make(context, name, *flags):
    cluster = Cluster(context, name=name, home=os.path.join(context.work, "network"), create_flags=flags).create()
    cluster.load_image()
    return cluster


def rules(context):
    return context.run("nft", "--stateless", "list", "ruleset").stdout


def fetch(context, url, *before):
    return context.run(*before, "curl", "-s", "-g", "--max-time", "5", "--noproxy", "*", url, check=False).stdout


def host_network_server(name, port, text):
    command = f"mkdir -p /tmp/{name} && echo {text} >/tmp/{name}/index.html && exec httpd -f -p {port} -h /tmp/{name}"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"hostNetwork": True, "terminationGracePeriodSeconds": 1,
                     "containers": [{"name": "main", "image": IMAGE, "command": ["sh", "-c", command]}]}}


@time_limit(300)
def test_a_published_port_answers_on_every_address_of_the_host(context):
    before = rules(context)
    cluster = make(context, "first", "--publish", "8080:30080", "--publish", "8081:30081")
    other = None
    try:
        cluster.apply(host_network_server("web", 30080, "first"))
        cluster.running_pods("app=web", 1)

        def answers(host_port, text):
            for address in ("127.0.0.1", "127.9.9.9", "[::1]", HOST):
                assert fetch(context, f"http://{address}:{host_port}/") == text, address
            assert fetch(context, f"http://{HOST}:{host_port}/", "ip", "netns", "exec", "outside") == text, "outside"
            return True
        context.wait_until("the published port to answer", lambda: answers(8080, "first\n"), 20)
        # A Pod reaches it by the host's addresses, too.
        cluster.apply(cluster.deployment("asker", command=("sh", "-c", f"until wget -q -O - http://{HOST}:8080/; do sleep 0.2; done; exec sleep 1000")))
        asker = cluster.running_pods("app=asker", 1)[0]["metadata"]["name"]
        context.wait_until("an answer to the Pod", lambda: "first" in cluster.kubectl("logs", asker).stdout, 20)
        # Nobody listens on 30081: refused, not silent.
        for begin in ((), ("ip", "netns", "exec", "outside")):
            done = context.run(*begin, "curl", "-s", "--max-time", "5", "--noproxy", "*", f"http://{HOST}:8081/", check=False)
            assert done.returncode in (7, 56), done
        assert_matches(r"^Published ports: +8080:30080, 8081:30081$", cluster.run_ctl("status", "first").stdout)

        # Neither the same home nor another one gives the port a second time.
        for home in (cluster.home, os.path.join(context.work, "network2")):
            clash = Cluster(context, name="clash", home=home).run_ctl("create", "clash", "--engine", context.engine,
                                                                      "--publish", "8080:30090", check=False)
            assert clash.returncode == 6 and "--publish 8080" in clash.stderr, clash
        other = make(context, "second", "--publish", "9080:30080")
        other.apply(host_network_server("web", 30080, "second"))
        other.running_pods("app=web", 1)
        context.wait_until("both clusters to answer", lambda: answers(9080, "second\n") and answers(8080, "first\n"), 20)

        # A crash of the process leaves the port closed on loopback for a moment only.
        status = json.loads(cluster.run_ctl("status", "first", "--output", "json").stdout)
        os.kill(status["process"]["pid"], 9)
        context.wait_until("the port to answer after a crash", lambda: answers(8080, "first\n"), 30)

        cluster.run_ctl("stop", "first")
        for begin in ((), ("ip", "netns", "exec", "outside")):
            assert fetch(context, f"http://{HOST}:8080/", *begin) == ""
        taken = subprocess.Popen(["busybox", "nc", "-l", "-p", "8080"], stdin=subprocess.DEVNULL)
        try:
            context.wait_until("the port to be taken", lambda: ":8080 " in context.run("ss", "-ltn").stdout, 10)
            refused = cluster.run_ctl("start", "first", check=False)
            assert refused.returncode == 6 and "port 8080 of cluster \"first\" is in use" in refused.stderr, refused
        finally:
            taken.kill()
            taken.wait()
        cluster.run_ctl("start", "first")
        cluster.write_kubeconfig()
        cluster.running_pods("app=web", 1)
        context.wait_until("the port to answer after a start", lambda: answers(8080, "first\n"), 30)
    finally:
        cluster.remove()
        if other:
            context.wait_until("the second one to go on", lambda: fetch(context, f"http://{HOST}:9080/") == "second\n", 10)
            other.remove()
    assert "dport 8080" not in rules(context) and "rusternetes" not in rules(context), rules(context)
    assert context.engine == "docker" or before == rules(context)


def test_a_bad_or_taken_published_port_is_refused_before_anything_is_made(context):
    cluster = Cluster(context, name="never", home=os.path.join(context.work, "never"))
    server = subprocess.Popen(["busybox", "nc", "-l", "-p", "8085"], stdin=subprocess.DEVNULL)
    try:
        context.wait_until("a listener", lambda: ":8085 " in context.run("ss", "-ltn").stdout, 10)
        for flags, code, words in ((["8080"], 2, "is not HOST:NODEPORT"), (["x:y"], 2, "is not HOST:NODEPORT"),
                                   (["8080:1", "8080:2"], 2, "the same port"), (["8085:1"], 6, "in use on this host")):
            words_of = [word for flag in flags for word in ("--publish", flag)]
            done = cluster.run_ctl("create", "never", "--engine", context.engine, *words_of, check=False)
            assert done.returncode == code and words in done.stderr, done
            assert not os.path.exists(cluster.home), os.listdir(cluster.home)
    finally:
        server.kill()
        server.wait()


def forbid_forwarding(context):
    """Docker's chains as on a host where it turned forwarding on; beside Podman, as if Docker ran there, too."""
    if not shutil.which("iptables"):
        raise Skipped("iptables is not installed")
    if context.run("iptables", "-S", "DOCKER-USER", check=False).returncode != 0:
        context.run("iptables", "-N", "DOCKER-USER")
        context.run("iptables", "-A", "DOCKER-USER", "-j", "RETURN")
        context.run("iptables", "-I", "FORWARD", "-j", "DOCKER-USER")
    context.run("iptables", "-P", "FORWARD", "DROP")
    assert "policy drop" in context.run("nft", "list", "chain", "ip", "filter", "FORWARD").stdout


@contextlib.contextmanager
def outside_server(context):
    folder = os.path.join(context.work, "outside")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "index.html"), "w", encoding="utf-8") as file:
        file.write("outside\n")
    server = subprocess.Popen(["ip", "netns", "exec", "outside", "busybox", "httpd", "-f", "-p", "8088", "-h", folder])
    try:
        context.wait_until("the outside to answer", lambda: fetch(context, f"http://{OUTSIDE}:8088/") == "outside\n", 10)
        yield
    finally:
        server.kill()
        server.wait()


def reach_outside(context, cluster):
    """A new Pod that asks the outside; whether it was answered."""
    cluster.apply(cluster.deployment("asker", command=("sh", "-c", f"while :; do wget -q -O - http://{OUTSIDE}:8088/; sleep 0.3; done")))
    asker = cluster.running_pods("app=asker", 1)[0]["metadata"]["name"]
    context.wait_until("the outside's answer to a Pod", lambda: "outside" in cluster.kubectl("logs", asker).stdout, 20)
    return asker


def accepts(context):
    listed = context.run("nft", "list", "chain", "ip", "filter", "DOCKER-USER", check=False).stdout
    return [line.strip() for line in listed.splitlines() if "\"rn" in line and "accept" in line]


@time_limit(240)
def test_pods_reach_the_outside_where_docker_forbids_forwarding(context):
    forbid_forwarding(context)
    assert accepts(context) == []
    cluster = make(context, "forward")
    try:
        with outside_server(context):
            asker = reach_outside(context, cluster)
            assert len(accepts(context)) == 2, accepts(context)
            assert_matches("DOCKER-USER -i rn[a-z2-7]+\\+ -j ACCEPT", context.run("iptables", "-S", "DOCKER-USER").stdout)

            # Somebody flushes the chain, as `iptables -F` does: it is seen and mended.
            context.run("iptables", "-F", "DOCKER-USER")
            context.wait_until("the accepts to come back", lambda: len(accepts(context)) == 2, 20)
            seen = cluster.kubectl("logs", asker).stdout.count("outside")
            context.wait_until("new answers", lambda: cluster.kubectl("logs", asker).stdout.count("outside") > seen + 1, 20)

            cluster.run_ctl("stop", "forward")
            assert accepts(context) == []
            cluster.run_ctl("start", "forward")
            cluster.write_kubeconfig()
            context.wait_until("the accepts of a start", lambda: len(accepts(context)) == 2, 20)
    finally:
        cluster.remove()
    assert accepts(context) == []
