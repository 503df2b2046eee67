"""Probes of every kind on a real engine, and what they do to Pods, containers and sidecars; readiness gates.

A server of this test's process, on the host, is what HTTP probes ask: it knows who asked, when, and what was answered.
Folders of the host in Pods' /data are how a test changes what the other probes find."""
import os
import ssl

from harness.cluster import IMAGE, NGINX
from harness.functions import time_limit
from harness.pods import (condition, delete, exec_action, get, pod, probe, shell, status_of, wait_event, wait_ready, wait_restarts,
                          with_data, words, write)
from harness.target import PodWatch, Target, ask_host, make_with_target, remove_with_target


def setup(context):
    make_with_target(context, "probes")


def teardown(context):
    remove_with_target(context)


# ---- HTTP

def test_an_http_probe_asks_from_the_node_with_its_own_headers(context):
    cluster, target = context.state["cluster"], context.state["target"]
    target.answer("/healthz", 200)
    headers = [{"name": "X-Probe", "value": "one"}, {"name": "Host", "value": "example.com"}]
    cluster.apply(pod("asked", {"readinessProbe": probe(ask_host(context, "/healthz?full=1", httpHeaders=headers))}))
    wait_ready(context, "asked")
    request = target.requests("/healthz")[0]
    assert request.client == context.state["node"], request
    assert request.path == "/healthz?full=1", request
    found = {name: request.headers.get(name) for name in ("User-Agent", "X-Probe", "Host", "Accept")}
    assert found == {"User-Agent": "kube-probe/1.35", "X-Probe": "one", "Host": "example.com", "Accept": "*/*"}, found
    delete(context, "asked", wait=False)


def test_an_https_probe_takes_any_certificate_and_redirects_stay_on_their_host(context):
    cluster, target = context.state["cluster"], context.state["target"]
    key, certificate = (os.path.join(context.work, name) for name in ("target.key", "target.pem"))
    context.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=nobody",
                "-days", "2", "-keyout", key, "-out", certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    secure = Target(tls)
    try:
        secure.answer("/secure", 200)
        target.answer("/moved", 302, {"Location": "/arrived"})
        target.answer("/arrived", 200)
        target.answer("/away", 302, {"Location": "http://192.0.2.1/"}, b"elsewhere")
        cluster.apply(pod("secure", {"readinessProbe": probe(ask_host(context, "/secure", secure.port, scheme="HTTPS"))}),
                      pod("moved", {"readinessProbe": probe(ask_host(context, "/moved"))}),
                      pod("away", {"readinessProbe": probe(ask_host(context, "/away"))}))
        for name in ("secure", "moved", "away"):
            wait_ready(context, name)
        assert secure.requests("/secure") and target.requests("/arrived")
        wait_event(context, "away", "ProbeWarning", "Readiness probe warning: Probe terminated redirects, Response body: elsewhere")
    finally:
        delete(context, "secure", "moved", "away", wait=False)
        secure.stop()


def test_a_failing_readiness_probe_is_in_the_pods_status_at_once(context):
    cluster, target = context.state["cluster"], context.state["target"]
    target.answer("/ready", 200)
    cluster.apply(pod("flapping", {"readinessProbe": probe(ask_host(context, "/ready"), failureThreshold=1)}))
    wait_ready(context, "flapping")
    watch = PodWatch(context, cluster, "flapping")
    took = {"False": [], "True": []}
    try:
        for status, value in [(503, "False"), (200, "True")] * 5:
            begin = target.answer("/ready", status)
            asked = context.wait_until("the probe", lambda since=begin: target.requests("/ready", since), 30, 0.01)[0].time
            heard = context.wait_until(f"Ready {value}", lambda since=begin, wanted=value: watch.since(since, "Ready", wanted), 30, 0.01)
            took[value].append((heard - asked) * 1000)
    finally:
        watch.close()
    for value, times in took.items():
        print(f"    from the probe's request to Ready={value} at another client: "
              f"{min(times):.1f} to {max(times):.1f} ms, median {sorted(times)[len(times) // 2]:.1f} ms")
    assert max(took["False"]) < context.seconds(5) * 1000, took
    now = wait_ready(context, "flapping")
    assert status_of(now)["restartCount"] == 0 and condition(now, "ContainersReady") == "True", now["status"]
    wait_event(context, "flapping", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    delete(context, "flapping", wait=False)


# ---- TCP, exec, gRPC

def test_a_tcp_probe_finds_a_named_port_of_the_pod_and_says_what_is_refused(context):
    cluster = context.state["cluster"]
    serve = {"command": ["httpd", "-f", "-p", "8080"], "ports": [{"name": "web", "containerPort": 8080}]}
    cluster.apply(pod("open", {**serve, "readinessProbe": probe({"tcpSocket": {"port": "web"}})}),
                  pod("shut", {**serve, "readinessProbe": probe({"tcpSocket": {"port": 8081}})}))
    wait_ready(context, "open")
    address = context.wait_until("an address", lambda: get(context, "shut")["status"].get("podIP"))
    wait_event(context, "shut", "Unhealthy", f"Readiness probe failed: dial tcp {address}:8081: connect: connection refused")
    now = get(context, "shut")
    assert condition(now, "Ready") == "False" and status_of(now)["started"], now["status"]
    delete(context, "open", "shut", wait=False)


def test_a_probe_of_a_host_network_pod_goes_to_the_nodes_address(context):
    cluster = context.state["cluster"]
    cluster.apply(pod("nodal", {"command": shell("echo here >/var/www/index.html; exec httpd -f -p 18080 -h /var/www"),
                                "readinessProbe": probe({"httpGet": {"port": 18080, "path": "/index.html"}})}, hostNetwork=True))
    assert wait_ready(context, "nodal")["status"]["podIP"] == context.state["node"]
    delete(context, "nodal", wait=False)


def test_an_exec_probe_goes_by_exit_code_and_time(context):
    cluster = context.state["cluster"]
    spec = pod("filed", {"env": [{"name": "FILE", "value": "/data/ready"}],
                         "readinessProbe": probe({"exec": {"command": ["cat", "$(FILE)"]}}, failureThreshold=1)})
    folder, spec = with_data(context, "filed", spec)
    cluster.apply(spec, pod("slow", {"readinessProbe": probe({"exec": {"command": ["sleep", "1000"]}}, timeoutSeconds=1)}))
    wait_event(context, "filed", "Unhealthy", "Readiness probe failed: cat: can't open '/data/ready': No such file or directory")
    assert condition(get(context, "filed"), "Ready") == "False"
    write(folder, "ready")
    wait_ready(context, "filed")
    os.remove(os.path.join(folder, "ready"))
    wait_ready(context, "filed", "False")
    wait_event(context, "slow", "Unhealthy", 'Readiness probe failed: command timed out: "sleep 1000" timed out after 1s')
    delete(context, "filed", "slow", wait=False)


NGINX_HEALTH = """daemon off; worker_processes 1; pid /tmp/nginx.pid; error_log /dev/stderr; user root;
events { worker_connections 64; }
http {
  access_log off;
  server {
    listen 9000 http2; root /data;
    location = /grpc.health.v1.Health/Check { default_type application/grpc; error_page 404 405 =200 /answer; }
    location = /answer { default_type application/grpc; add_trailer grpc-status 0; }
  }
}
"""


def test_a_grpc_probe_asks_the_health_service(context):
    cluster = context.state["cluster"]
    cluster.load_nginx()
    spec = pod("grpc", {"image": NGINX, "command": ["nginx", "-c", "/data/nginx.conf"],
                        "readinessProbe": probe({"grpc": {"port": 9000}}, failureThreshold=1)})
    folder, spec = with_data(context, "grpc", spec)
    serving, not_serving = (b"\0\0\0\0\2\x08" + status for status in (b"\1", b"\2"))  # a framed HealthCheckResponse
    write(folder, "nginx.conf", NGINX_HEALTH.encode())
    write(folder, "answer", serving)
    cluster.apply(spec)
    wait_ready(context, "grpc")
    write(folder, "next", not_serving)
    os.replace(os.path.join(folder, "next"), os.path.join(folder, "answer"))
    wait_ready(context, "grpc", "False")
    wait_event(context, "grpc", "Unhealthy", 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")')
    delete(context, "grpc", wait=False)


# ---- startup, liveness, gates

@time_limit(240)
def test_a_startup_probe_holds_back_the_others_and_a_failed_liveness_probe_restarts(context):
    cluster, target = context.state["cluster"], context.state["target"]
    for path, status in (("/startup", 500), ("/alive", 200), ("/able", 200)):
        target.answer(path, status)
    cluster.apply(pod("held", {"command": shell("trap '' TERM; while :; do sleep 0.2; done"),
                               "startupProbe": probe(ask_host(context, "/startup"), failureThreshold=1000),
                               "readinessProbe": probe(ask_host(context, "/able")),
                               "livenessProbe": probe(ask_host(context, "/alive"), failureThreshold=2, terminationGracePeriodSeconds=1)},
                      terminationGracePeriodSeconds=600))
    context.wait_until("three startup probes", lambda: len(target.requests("/startup")) >= 3)
    now = get(context, "held")
    assert not target.requests("/alive") and not target.requests("/able")
    assert now["status"]["phase"] == "Running" and not status_of(now)["started"] and not status_of(now)["ready"], now["status"]
    wait_event(context, "held", "Unhealthy", "Startup probe failed: HTTP probe failed with statuscode: 500")
    target.answer("/startup", 200)
    assert status_of(wait_ready(context, "held"))["started"]
    asked = len(target.requests("/startup"))
    context.wait_until("liveness probes", lambda: len(target.requests("/alive")) >= 3)
    assert len(target.requests("/startup")) == asked
    # Its own grace: the Pod's would take ten minutes.
    target.answer("/alive", 500)
    now = wait_restarts(context, "held")
    target.answer("/alive", 200)
    assert status_of(now)["lastState"]["terminated"]["exitCode"] == 137, now["status"]
    wait_event(context, "held", "Killing", "Container main failed liveness probe, will be restarted")
    wait_event(context, "held", "Unhealthy", "Liveness probe failed: HTTP probe failed with statuscode: 500")
    wait_ready(context, "held")
    delete(context, "held", grace=1, wait=False)


def test_a_container_that_does_not_start_in_time_is_restarted_or_ended_for_good(context):
    cluster = context.state["cluster"]
    never = {"startupProbe": probe(exec_action("exit 1"), failureThreshold=2)}
    cluster.apply(pod("again", never), pod("once", never, restartPolicy="Never"))
    wait_event(context, "again", "Killing", "Container main failed startup probe, will be restarted")
    wait_restarts(context, "again")
    context.wait_until("the end of once", lambda: get(context, "once")["status"]["phase"] == "Failed")
    assert status_of(get(context, "once"))["restartCount"] == 0
    delete(context, "again", "once", wait=False)


def test_a_readiness_gate_holds_back_ready_and_not_containers_ready(context):
    cluster = context.state["cluster"]
    cluster.apply(pod("gated", readinessGates=[{"conditionType": "example.com/gate"}]))

    def held():
        now = get(context, "gated")
        assert condition(now, "ContainersReady") == "True" and condition(now, "Ready") == "False", now["status"]
        return next(c for c in now["status"]["conditions"] if c["type"] == "Ready")
    ready = context.wait_until("ready containers", held)
    assert (ready["reason"], ready["message"]) == (
        "ReadinessGatesNotReady", 'corresponding condition of pod readiness gate "example.com/gate" does not exist.'), ready
    for value in ("True", "False"):
        gate = {"type": "example.com/gate", "status": value}
        cluster.change_status("/api/v1/namespaces/default/pods/gated", lambda status: status.update(  # pylint: disable=cell-var-from-loop
            conditions=[c for c in status["conditions"] if c["type"] != gate["type"]] + [gate]))
        assert condition(wait_ready(context, "gated", value), "ContainersReady") == "True"
    delete(context, "gated", wait=False)


# ---- sidecars

@time_limit(240)
def test_sidecars_start_first_have_probes_and_end_last(context):
    cluster = context.state["cluster"]
    told = lambda name: shell(f"trap 'sleep 0.3; echo {name} >>/data/log; exit 0' TERM; while :; do sleep 0.1; done")
    side = {"name": "side", "image": IMAGE, "restartPolicy": "Always", "command": told("side"),
            "startupProbe": probe(exec_action("[ -f /data/started ]"), failureThreshold=1000, periodSeconds=2),
            "readinessProbe": probe(exec_action("[ -f /data/ready ]"), failureThreshold=1),
            "livenessProbe": probe(exec_action("[ ! -f /data/sick ]"), failureThreshold=1)}
    folder, spec = with_data(context, "escorted", pod("escorted", {"command": told("main")}, init=[side], terminationGracePeriodSeconds=30))
    cluster.apply(spec)

    def running(name, wanted=True):
        now = get(context, "escorted")
        assert ("running" in status_of(now, name)["state"]) == wanted, now["status"]
        return now
    context.wait_until("the running sidecar", lambda: running("side"))
    wait_event(context, "escorted", "Unhealthy", "Startup probe failed")
    now = running("main", False)
    assert now["status"]["phase"] == "Pending" and condition(now, "Initialized") == "False", now["status"]
    write(folder, "started")
    now = context.wait_until("the main container", lambda: running("main"))
    assert condition(now, "Initialized") == "True" and condition(now, "Ready") == "False", now["status"]
    write(folder, "ready")
    wait_ready(context, "escorted")
    write(folder, "sick")
    wait_event(context, "escorted", "Killing", "Init container side failed liveness probe")
    os.remove(os.path.join(folder, "sick"))
    wait_restarts(context, "escorted", "side")
    now = wait_ready(context, "escorted")
    assert status_of(now)["restartCount"] == 0, now["status"]
    os.remove(os.path.join(folder, "log"))  # of the sidecar that was restarted
    delete(context, "escorted")
    assert words(folder) == ["main", "side"]
