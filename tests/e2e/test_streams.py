"""exec, attach, port-forward, cp, run, debug and proxy as people and programs use them, with every kubectl at hand and over
both protocols: SPDY and WebSocket. One cluster for all tests of the file."""
import concurrent.futures
import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from harness.cluster import IMAGE, Cluster, assert_matches
from harness.functions import Skipped, each_kubectl, time_limit
from harness.streams import (ACCEPT, ERROR, MIB, STDOUT, Access, Background, Exec, Terminal, WebSocket, bounded_memory, open_files,
                             count_of, port_forward, written_by)

SHARE = float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1"))
# Answers GET with a page, POST of /cgi-bin/echo with what it was given; an upgrade on port 9000 with what comes after it.
SERVER = ("mkdir -p /tmp/cgi-bin; cd /tmp; echo 'the page' >index.html; seq 200000 >numbers;"
          " printf '#!/bin/sh\\nprintf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n\"; exec cat\\n' >cgi-bin/echo;"
          " printf '#!/bin/sh\\nr=$(printf \"\\\\r\"); while read -r line && [ \"$line\" != \"$r\" ]; do :; done;"
          " printf \"HTTP/1.1 101 Switching Protocols\\\\r\\\\nUpgrade: websocket\\\\r\\\\nConnection: Upgrade\\\\r\\\\n"
          f"Sec-WebSocket-Accept: {ACCEPT}\\\\r\\\\n\\\\r\\\\n\"; exec cat\\n' >upgrade;"
          " chmod +x cgi-bin/echo upgrade; nc -ll -p 9000 -e /tmp/upgrade & exec httpd -f -p 8080 -h /tmp")


def setup(context):
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = context.state["cluster"] = Cluster(context, name="streams", home=os.path.join(context.work, "streams")).create()
    cluster.load_image()
    cluster.apply(cluster.pod("box", "sleep", "100000"), cluster.deployment("web", command=("sh", "-c", SERVER)), cluster.service("web"))
    cluster.running_pods("app=box", 1)
    context.state["web"] = cluster.running_pods("app=web", 1)[0]["metadata"]["name"]
    context.state["access"] = Access(context, cluster)


def teardown(context):
    if "cluster" in context.state:
        context.state["cluster"].remove()


def protocols(context):
    """(name, environment) of what this kubectl can speak."""
    names = ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "KUBECTL_PORT_FORWARD_WEBSOCKETS")
    yield "SPDY", dict.fromkeys(names, "false")
    if context.kubectl.minor >= 30:
        yield "WebSocket", dict.fromkeys(names, "true")


def run(context, *words, env=None, **more):
    return context.run(*context.state["cluster"].command(*words), env=env, **more)


def fetch(url, data=None, timeout=20.0):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, data=data, headers={"Connection": "close"}), timeout=timeout) as answer:
        return answer.read()


def unique(context, name):
    return f"{name}-{context.kubectl.version.replace('.', '-').replace('+', '-').lower()}"


# ---- much: first, since what others have used and given back would hide what it takes

def digest_of(path):
    made = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(MIB):
            made.update(piece)
    return made.hexdigest()


def transfer_size():
    """1 GiB, or a sample of it that takes a while on any connection."""
    return max(64 * MIB, int(1024 * MIB * min(1.0, SHARE)))


def make_file(path, size):
    """Random, and never the same twice within 8 MiB; its digest."""
    made, source = hashlib.sha256(), random.Random(1)
    with open(path, "wb") as file:
        block = source.randbytes(8 * MIB)
        for start in range(0, size, len(block)):
            piece = start.to_bytes(8, "big") + block[8:min(len(block), size - start)]
            file.write(piece)
            made.update(piece)
    return made.hexdigest()


@time_limit(900)
def test_cp_of_much_takes_little_memory(context):
    cluster, size = context.state["cluster"], transfer_size()
    path, back = os.path.join(context.work, "much"), os.path.join(context.work, "much-back")
    digest = make_file(path, size)
    for protocol, env in protocols(context):
        cluster.kubectl("exec", "box", "--", "true")  # what is used first is loaded first
        begin = time.monotonic()
        with bounded_memory(context, f"cp of {size // MIB} MiB to a Pod over {protocol}"):
            run(context, "cp", path, "box:/tmp/much", env=env, timeout=300)
        there = time.monotonic()
        assert cluster.exec("box", "sha256sum", "/tmp/much", timeout=120).stdout.split()[0] == digest, protocol
        copied = time.monotonic()
        with bounded_memory(context, f"cp of {size // MIB} MiB from a Pod over {protocol}"):
            run(context, "cp", "box:/tmp/much", back, env=env, timeout=300)
        print(f"    {protocol}: {size / MIB / (there - begin):.0f} MiB/s to it, {size / MIB / (time.monotonic() - copied):.0f} MiB/s from it", flush=True)
        assert digest_of(back) == digest, protocol
        os.remove(back)
        cluster.exec("box", "rm", "/tmp/much")
    os.remove(path)


@time_limit(900)
def test_a_port_forward_of_much_takes_little_memory(context):
    cluster, size = context.state["cluster"], transfer_size()
    cluster.apply(cluster.pod("carrier", "sh", "-c", "nc -ll -p 7001 -e sh -c 'sha256sum; echo taken' & nc -ll -p 7002 -e cat /tmp/much & wait"))
    cluster.running_pods("app=carrier", 1)
    path = os.path.join(context.work, "much-to-carry")
    digest = make_file(path, size)
    run(context, "cp", path, "carrier:/tmp/much", timeout=300)
    for protocol, env in protocols(context):
        with port_forward(context, cluster, "pod/carrier", 7001, env) as forward:
            with bounded_memory(context, f"port-forward of {size // MIB} MiB to a Pod over {protocol}"):
                with socket.create_connection(("127.0.0.1", forward.port), timeout=context.seconds(120)) as client, open(path, "rb") as file:
                    client.sendfile(file)
                    client.shutdown(socket.SHUT_WR)
                    answer = b"".join(iter(lambda: client.recv(4096), b"")).decode()
            assert answer == f"{digest}  -\ntaken\n", (protocol, answer)
        with port_forward(context, cluster, "pod/carrier", 7002, env) as forward:
            made, count = hashlib.sha256(), 0
            with bounded_memory(context, f"port-forward of {size // MIB} MiB from a Pod over {protocol}"):
                with socket.create_connection(("127.0.0.1", forward.port), timeout=context.seconds(120)) as client:
                    while piece := client.recv(MIB):
                        made.update(piece)
                        count += len(piece)
            assert (count, made.hexdigest()) == (size, digest), (protocol, count)
    os.remove(path)
    cluster.kubectl("delete", "pod", "carrier")


# ---- exec

@each_kubectl
def test_exec_keeps_the_outputs_apart_and_ends_as_its_command_does(context):
    for protocol, env in protocols(context):
        done = run(context, "exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7", env=env, check=False)
        assert (done.returncode, done.stdout) == (7, "out\n"), (protocol, done)
        assert done.stderr.startswith("err\n") and "command terminated with exit code 7" in done.stderr, (protocol, done)
        assert run(context, "exec", "box", "--", "true", env=env).stdout == ""
        # What its input holds, and its end.
        text = "".join(f"line {i}\n" for i in range(50_000))
        done = run(context, "exec", "-i", "box", "--", "sh", "-c", "sha256sum; echo done; exit 3", env=env, input=text, check=False)
        assert (done.returncode, done.stdout) == (3, f"{hashlib.sha256(text.encode()).hexdigest()}  -\ndone\n"), (protocol, done)
        # A command that ends without reading. (Podman loses the output of one that ends before its monitor has taken all
        # input, since a socket that is closed with some unread is broken for its other end; a pipe takes 64 KiB.)
        few = text[:20_000]
        done = run(context, "exec", "-i", "box", "--", "sh", "-c", "seq 3000; sleep 1; exit 9", env=env, input=few, check=False)
        assert (done.returncode, done.stdout) == (9, "".join(f"{i}\n" for i in range(1, 3001))), (protocol, done)
        done = run(context, "exec", "-i", "box", "--", "sh", "-c", "echo early; exit 9", env=env, input=text, check=False)
        assert done.returncode == 9 and done.stdout in ("early\n", "" if context.engine == "podman" else "early\n"), (protocol, done)
        assert "unixpacket" not in done.stderr, (protocol, done.stderr)
        done = run(context, "exec", "box", "--", "seq", "300000", env=env)
        assert done.stdout == "".join(f"{i}\n" for i in range(1, 300_001)), (protocol, len(done.stdout))


@each_kubectl
def test_exec_says_what_is_wrong(context):
    for protocol, env in protocols(context):
        done = run(context, "exec", "box", "--", "no-such-program", env=env, check=False)
        assert done.returncode != 0 and "no-such-program" in done.stdout + done.stderr, (protocol, done)
        done = run(context, "exec", "box", "-c", "nobody", "--", "true", env=env, check=False)
        assert done.returncode == 1 and "container nobody" in done.stderr, (protocol, done)
        done = run(context, "exec", "nobody", "--", "true", env=env, check=False)
        assert done.returncode == 1 and 'pods "nobody" not found' in done.stderr, (protocol, done)


@each_kubectl
def test_kubectl_speaks_the_protocol_that_it_is_told_to(context):
    for protocol, env in protocols(context):
        done = run(context, "exec", "-v=7", "box", "--", "true", env=env)
        verb = "GET" if protocol == "WebSocket" else "POST"
        assert_matches(rf'{verb}"? (url=")?https://\S*/pods/box/exec', done.stderr)
        assert "fallback" not in done.stderr.lower(), done.stderr


@each_kubectl
def test_a_terminal_has_the_size_of_the_users_and_follows_it(context):
    cluster = context.state["cluster"]
    for protocol, env in protocols(context):
        with Terminal(context, cluster.command("exec", "-it", "box", "--", "sh"), rows=30, columns=100, env=env) as terminal:
            terminal.wait_for(r"# ", again="\r")
            terminal.wait_for(r"^30 100\s*$", again="stty size\r")
            terminal.resize(40, 120)
            terminal.wait_for(r"^40 120\s*$", again="stty size\r")
            # The terminal's keys are the container's: ^C ends what runs there, not kubectl.
            terminal.say("sleep 5000\r")
            terminal.wait_for(r"sleep 5000")
            terminal.say("\x03")
            # One that came before `sleep` ran ended nothing, and a prompt from before says nothing.
            terminal.wait_for(r"\^C\s+\S*\s*# ", again="\x03")
            terminal.say("exit 5\r")
            assert terminal.wait() == 5, (protocol, terminal.text)


def test_200_execs_at_once_have_their_own_output_and_exit_codes(context):
    access = context.state["access"]
    script = 'echo "ready $0"; read -r word; echo "$word of $0"; echo "wrong $0" >&2; exit $(($0 % 100))'

    def begin(number):
        one = Exec(access, "box", "sh", "-c", script, str(number))
        assert one.socket.status == 101, one.socket.head
        one.wait_for(STDOUT, b"\n")
        return one

    def end(number, one):
        one.say(f"word {number}\n".encode())
        return one.finish()
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        running = list(pool.map(begin, range(200)))  # all of them run before the first may end
        told = list(pool.map(end, range(200), running))
    # Podman tidies up five seconds after an exec; what it does then for 200 of them makes it forget others too soon.
    context.wait_until("the engine to be calm", lambda: count_of("conmon") < 50, 120)
    for number, found in enumerate(told):
        assert found == (number % 100, f"ready {number}\nword {number} of {number}\n", f"wrong {number}\n"), (number, found)


@time_limit(600)
def test_many_kubectls_exec_at_once(context):
    count = 16  # each a process of 50 MB that is busy for a quarter of a second
    for protocol, env in protocols(context):
        started = [subprocess.Popen(context.state["cluster"].command("exec", "-i", "box", "--", "sh", "-c", f"cat; echo {n} >&2; exit {n % 100}"),
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env})
                   for n in range(count)]
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            told = list(pool.map(lambda n: started[n].communicate(f"text {n}\n".encode(), context.seconds(400)), range(count)))
        for n, (out, err) in enumerate(told):
            assert (started[n].returncode, out) == (n % 100, f"text {n}\n".encode()) and err.startswith(f"{n}\n".encode()), (protocol, n, out, err)


# ---- attach, run, debug

@each_kubectl
def test_attach_joins_a_running_container_and_leaves_it_running(context):
    cluster, name = context.state["cluster"], unique(context, "attached")
    loop = 'while read -r line; do echo "heard $line"; echo "aside $line" >&2; done; sleep 100000'
    cluster.apply(cluster.pod(name, "sh", "-c", loop, container={"stdin": True}))
    cluster.running_pods(f"app={name}", 1)
    for protocol, env in protocols(context):
        with Terminal(context, cluster.command("attach", "-i", name), env=env) as terminal:
            terminal.say(f"one {protocol}\r")
            heard, aside = f"heard one {protocol}", f"aside one {protocol}"  # two streams: either may be the first
            terminal.wait_for(rf"(?s){heard}.*{aside}|{aside}.*{heard}")
    status = cluster.get("pod", name)["status"]["containerStatuses"][0]
    assert status["restartCount"] == 0 and "running" in status["state"], status
    assert f"heard one {protocol}" in cluster.kubectl("logs", name).stdout
    cluster.kubectl("delete", "pod", name)


@each_kubectl
def test_run_gives_a_shell_in_a_pod_that_goes_with_it(context):
    cluster = context.state["cluster"]
    for protocol, env in protocols(context):
        name = unique(context, f"shell-{protocol.lower()}")
        command = cluster.command("run", name, "-it", "--rm", "--restart=Never", f"--image={IMAGE}", "--command", "--", "sh")
        with Terminal(context, command, rows=33, columns=111, env=env) as terminal:
            terminal.wait_for(r"# ", again="\r")
            terminal.wait_for(r"^33 111\s*$", again="stty size\r")
            terminal.say("exit 4\r")
            assert terminal.wait(60) == 4, (protocol, terminal.text)
        context.wait_until("the Pod to go", lambda: cluster.kubectl("get", "pod", name, check=False).returncode == 1, 30)


@each_kubectl
def test_debug_starts_an_ephemeral_container_that_sees_its_targets_processes(context):
    if context.kubectl.minor < 23:
        raise Skipped("before 1.23, kubectl debug speaks an alpha API that is no more")
    cluster, pod_name = context.state["cluster"], unique(context, "debugged")
    cluster.apply(cluster.pod(pod_name, "sleep", "100000"))
    cluster.running_pods(f"app={pod_name}", 1)
    for protocol, env in protocols(context):
        name = f"debugger-{protocol.lower()}"
        command = cluster.command("debug", "-it", pod_name, f"--image={IMAGE}", "--target=main", f"--container={name}", "--", "sh")
        with Terminal(context, command, env=env) as terminal:
            terminal.wait_for(r"# ", 60, again="\r")
            terminal.say("ps\r")
            terminal.wait_for(r"sleep 100000")
            terminal.say("echo $((40 + 2)) >/proc/1/root/tmp/seen; exit 6\r")
            terminal.wait(60)

        def ended():
            pod = cluster.get("pod", pod_name)
            status = next(s for s in pod["status"]["ephemeralContainerStatuses"] if s["name"] == name)
            return status["state"]["terminated"]["exitCode"] == 6 and pod
        pod = context.wait_until("the end of the ephemeral container", ended, 30)
        # Its Pod runs on, and it is not started again.
        assert pod["status"]["phase"] == "Running" and "running" in pod["status"]["containerStatuses"][0]["state"], pod["status"]
        assert [s["restartCount"] for s in pod["status"]["ephemeralContainerStatuses"] if s["name"] == name] == [0]
        assert cluster.exec(pod_name, "cat", "/tmp/seen").stdout == "42\n", protocol
    told = lambda: cluster.kubectl("get", "events", "--field-selector", f"involvedObject.name={pod_name},reason=Started", "-o", "yaml").stdout
    context.wait_until("an event of the start", lambda: f"fieldPath: spec.ephemeralContainers{{{name}}}" in told(), 10)
    if context.kubectl is not context.kubectls[-1]:  # the last one stays for the end of the cluster
        cluster.kubectl("delete", "pod", pod_name)


# ---- cp

@each_kubectl
def test_cp_carries_files_and_folders_both_ways(context):
    cluster, folder = context.state["cluster"], os.path.join(context.work, unique(context, "cp"))
    os.makedirs(os.path.join(folder, "there", "deep"))
    contents = {"empty": b"", "deep/text": b"some text\n", "deep/a b": os.urandom(1000), "large": os.urandom(3 * MIB + 17)}
    for path, data in contents.items():
        with open(os.path.join(folder, "there", path), "wb") as file:
            file.write(data)
    for protocol, env in protocols(context):
        run(context, "cp", os.path.join(folder, "there"), "box:/tmp/there", env=env)
        run(context, "cp", "box:/tmp/there", os.path.join(folder, protocol), env=env)
        for path, data in contents.items():
            with open(os.path.join(folder, protocol, path), "rb") as file:
                assert file.read() == data, (protocol, path)
        run(context, "cp", "box:/tmp/there/large", os.path.join(folder, "one"), "-c", "main", env=env)
        with open(os.path.join(folder, "one"), "rb") as file:
            assert file.read() == contents["large"], protocol
        cluster.exec("box", "rm", "-r", "/tmp/there")


# ---- port-forward

@each_kubectl
def test_port_forward_leads_to_a_pod_a_deployment_and_a_service(context):
    numbers = "".join(f"{i}\n" for i in range(1, 200_001)).encode()
    for protocol, env in protocols(context):
        for what, port in ((f"pod/{context.state['web']}", 8080), ("deployment/web", 8080), ("service/web", 80)):
            with port_forward(context, context.state["cluster"], what, port, env) as forward:
                url = f"http://127.0.0.1:{forward.port}"
                assert fetch(url + "/index.html") == b"the page\n", (protocol, what)
                with concurrent.futures.ThreadPoolExecutor(10) as pool:
                    for page in pool.map(fetch, [url + "/numbers"] * 10):
                        assert page == numbers, (protocol, what, len(page))
                assert fetch(url + "/cgi-bin/echo", data=numbers[:100_000]) == numbers[:100_000], (protocol, what)


@each_kubectl
def test_port_forward_passes_the_end_of_one_half_on(context):
    cluster, name = context.state["cluster"], unique(context, "halves")
    cluster.apply(cluster.pod(name, "sh", "-c", "while :; do nc -l -p 7000 -e sh -c 'sha256sum; echo after the end'; done"))
    cluster.running_pods(f"app={name}", 1)
    data = os.urandom(2 * MIB)
    for protocol, env in protocols(context):
        with port_forward(context, cluster, f"pod/{name}", 7000, env) as forward:
            with socket.create_connection(("127.0.0.1", forward.port), timeout=context.seconds(20)) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                answer = b"".join(iter(lambda: client.recv(4096), b""))
            assert answer.decode() == f"{hashlib.sha256(data).hexdigest()}  -\nafter the end\n", (protocol, answer)
    cluster.kubectl("delete", "pod", name)


@each_kubectl
def test_port_forward_to_a_port_where_nobody_listens_says_so(context):
    for protocol, env in protocols(context):
        with port_forward(context, context.state["cluster"], "pod/box", 81, env) as forward:
            with socket.create_connection(("127.0.0.1", forward.port), timeout=context.seconds(20)) as client:
                with contextlib.suppress(ConnectionResetError):
                    assert client.recv(1) == b"", protocol
            forward.wait_for("connection refused")


# ---- proxies

@each_kubectl
def test_raw_paths_lead_through_the_proxies_of_pods_services_and_nodes(context):
    cluster, web = context.state["cluster"], context.state["web"]
    raw = lambda path: cluster.kubectl("get", "--raw", path).stdout
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    for path in (f"pods/{web}:8080", f"pods/http:{web}:8080", "services/web:main", "services/web:80", "services/http:web:main"):
        assert raw(f"/api/v1/namespaces/default/{path}/proxy/index.html") == "the page\n", path
    assert raw(f"/api/v1/nodes/{node}/proxy/healthz") == "ok"
    pods = json.loads(raw(f"/api/v1/nodes/{node}/proxy/pods"))["items"]
    assert {"box", web} <= {p["metadata"]["name"] for p in pods}
    summary = json.loads(raw(f"/api/v1/nodes/{node}/proxy/stats/summary"))
    assert summary["node"]["nodeName"] == node and summary["node"]["memory"]["workingSetBytes"] > 0
    used = next(p for p in summary["pods"] if p["podRef"]["name"] == web)
    assert used["containers"][0]["memory"]["usageBytes"] > 0 and used["network"]["rxBytes"] >= 0, used
    text = raw(f"/api/v1/nodes/{node}/proxy/metrics/resource")
    assert_matches(r'^container_memory_working_set_bytes\{container="main",namespace="default",pod="box"\} [1-9]\d* \d+$', text)
    assert_matches(r"^kubelet_running_pods [1-9]\d*$", raw(f"/api/v1/nodes/{node}/proxy/metrics"))
    done = cluster.kubectl("get", "--raw", "/api/v1/namespaces/default/services/nobody/proxy/", check=False)
    assert done.returncode == 1 and "not found" in done.stderr, done


@each_kubectl
def test_kubectl_proxy_carries_requests_bodies_and_websockets(context):
    cluster, web = context.state["cluster"], context.state["web"]
    with Background(context, cluster, "proxy", "--port=0", line=r"Starting to serve on 127\.0\.0\.1:(\d+)") as proxy:
        base = f"http://127.0.0.1:{proxy.port}"
        assert json.loads(fetch(base + "/api/v1/namespaces/default/pods/box"))["metadata"]["name"] == "box"
        pod = f"/api/v1/namespaces/default/pods/{web}"
        body = os.urandom(300_000)
        assert fetch(base + pod + ":8080/proxy/cgi-bin/echo", data=body) == body
        assert fetch(base + pod + ":8080/proxy") == b"the page\n"  # by way of a redirect that adds the slash
        try:
            fetch(base + pod + ":8080/proxy/nothing")
            raise AssertionError("what is not there was found")
        except urllib.error.HTTPError as error:
            assert error.code == 404
        stream = socket.create_connection(("127.0.0.1", proxy.port), timeout=context.seconds(20))
        echo = WebSocket(stream, f"{pod}:9000/proxy/talk", headers=(f"Origin: {base}",))
        assert echo.status == 101 and ACCEPT.encode() in echo.head, echo.head
        for size in (5, 100_000):
            frame = bytes([0x82, 0xff]) + size.to_bytes(8, "big") + b"\0\0\0\0" + os.urandom(size)
            stream.sendall(frame)
            assert echo.take(len(frame)) == frame
        stream.shutdown(socket.SHUT_WR)
        assert stream.recv(1) == b""
        echo.close()


# ---- who may

def test_exec_needs_create_and_by_websocket_get_too(context):
    cluster, access = context.state["cluster"], context.state["access"]
    for verbs, by_spdy, by_websocket in (("get", 1, 403), ("create", 0, 403), ("get,create", 0, 101)):
        user = "user-" + verbs.replace(",", "-")
        cluster.kubectl("create", "role", user, f"--verb={verbs}", "--resource=pods/exec,pods/portforward")
        cluster.kubectl("create", "role", user + "-pods", "--verb=get", "--resource=pods")
        for role in (user, user + "-pods"):
            cluster.kubectl("create", "rolebinding", role, f"--role={role}", f"--user={user}")
        done = run(context, "--as", user, "exec", "box", "--", "true", env={"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}, check=False)
        assert done.returncode == by_spdy and ("forbidden" in done.stderr) == bool(by_spdy), (verbs, done)
        one = Exec(access, "box", "true", headers=(f"Impersonate-User: {user}",))
        assert one.socket.status == by_websocket, (verbs, one.socket.head)
        if by_websocket == 101:
            one.end_input()
            assert one.finish()[0] == 0
        one.socket.close()


# ---- clients that leave

@time_limit(300)
def test_what_a_lost_client_had_is_cleaned_up(context):
    cluster, pid, web = context.state["cluster"], context.state["cluster"].process(), context.state["web"]
    commands = lambda: cluster.exec("box", "ps", "-o", "args").stdout
    cluster.exec("box", "true")
    before = open_files(pid)
    for protocol, env in protocols(context):
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "env": {**os.environ, **env}}
        lost = [subprocess.Popen(cluster.command("exec", "-i", "box", "--", "sh", "-c", script), stdin=subprocess.PIPE, **more)
                for script in ("echo up; sleep 7654321", "echo up; cat", "echo up; while :; do echo 7654321; done", "echo up; sleep 7654321 & wait")]
        for one in lost:
            assert one.stdout.readline() == b"up\n", protocol
        assert commands().count("7654321") >= 3, protocol
        forward = port_forward(context, cluster, f"pod/{web}", 8080, env)
        waiting = socket.create_connection(("127.0.0.1", forward.port))
        waiting.sendall(b"GET / HTTP/1.1\r\n")
        context.wait_until("the streams to stand", lambda: open_files(pid) > before + 10, 10)
        for one in [*lost, forward.process]:
            one.send_signal(signal.SIGKILL)
            one.wait()
            one.stdout.close()
        waiting.close()
        context.wait_until("the commands of lost clients to end", lambda: "7654321" not in commands() and "sh -c" not in commands(), 60)
        context.wait_until("their streams to be closed", lambda: open_files(pid) <= before, 60)
    running = cluster.kubectl("get", "--raw", "/metrics").stdout
    for line in running.splitlines():
        if line.startswith("apiserver_longrunning_requests") and ('subresource="exec"' in line or 'subresource="portforward"' in line):
            assert line.endswith(" 0"), line


def test_a_client_that_does_not_read_takes_little_memory(context):
    access = context.state["access"]
    # Ours of each: what is read of the engine and waits on two connections, some 700 KiB; not what a command could write.
    with bounded_memory(context, "ten execs whose clients do not read", limit=16 * MIB):
        stuck = [Exec(access, "box", "cat", "/dev/zero", stdin=False) for _ in range(10)]
        for one in stuck:
            one.wait_for(STDOUT, b"\0")
        # What passes is held back: at last the writers of all of them wait for room.
        seen = []

        def are_held_back():
            seen.append(written_by("cat\0/dev/zero\0"))
            return len(seen) > 4 and len(seen[-1]) == 10 and seen[-1] == seen[-2] == seen[-3] == seen[-4]
        context.wait_until("ten writers that wait", are_held_back, 60, every=0.3)
    for one in stuck:
        one.socket.close()
    context.wait_until("them to end", lambda: not written_by("cat\0/dev/zero\0"), 60)
