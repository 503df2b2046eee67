"""api-proxy in front of real api-servers on one rhino: what clients notice when one dies or hangs."""
import http.client
import signal
import ssl
import threading
import time
import urllib.request

from control_plane import free_port
from harness.functions import time_limit
from secure_plane import SecurePlane


class Front:
    """The proxy, and a constant stream of requests through it, each over a connection of its own."""

    def __init__(self, context, plane):
        self.context, self.plane, port = context, plane, free_port()
        self.health = f"http://127.0.0.1:{free_port()}"
        pki = plane.pki
        servers = [word for url in plane.urls for word in ("--server", url.removeprefix("https://"))]
        self.proxy = plane.start("api-proxy", "--listen-address", f"127.0.0.1:{port}", *servers,
                                 "--certificate-authority", pki.path("ca.crt"),
                                 "--client-certificate", pki.path("user-admin.crt"), "--client-key",
                                 pki.path("user-admin.key"),
                                 "--health-address", self.health.removeprefix("http://"), "--probe-interval",
                                 "200ms", "--probe-timeout", "500ms")
        plane.urls.append(f"https://127.0.0.1:{port}")
        self.index = len(plane.urls) - 1
        self.times, self.problems, self.stopping = [], [], threading.Event()
        self.thread = threading.Thread(target=self.ask_on, daemon=True)

    def ready_servers(self):
        """By what the proxy said last of each."""
        said = {}
        for line in self.proxy.log().splitlines():
            for url in self.plane.urls[:-1]:
                where = url.removeprefix("https://")
                if f" {where} is ready" in line or f" {where} gets no connections" in line:
                    said[where] = "is ready" in line
        return sorted(where for where, is_ready in said.items() if is_ready)

    def get(self, path, raw=False):
        return self.plane.request("GET", path, server=self.index, raw=raw)

    def ask_on(self):
        while not self.stopping.is_set():
            begin = time.monotonic()
            try:
                self.get("/api/v1/namespaces/default")
            except (OSError, http.client.HTTPException) as problem:
                self.problems.append(f"{time.monotonic() - begin:.1f} s: {problem}")
            self.times.append(time.monotonic() - begin)
            self.stopping.wait(0.02)

    def end(self):
        self.stopping.set()
        if self.thread.is_alive():
            self.thread.join(self.context.seconds(30))


class Watch:
    """A watch through the proxy, on a connection that nothing else uses."""

    def __init__(self, front):
        plane = front.plane
        tls = ssl.create_default_context(cafile=plane.pki.path("ca.crt"))
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        tls.load_cert_chain(plane.pki.path("user-super-admin.crt"), plane.pki.path("user-super-admin.key"))
        self.answer = urllib.request.urlopen(f"{plane.urls[front.index]}/api/v1/namespaces?watch=true", context=tls,
                                             timeout=60)
        self.seen = b""
        self.thread = threading.Thread(target=self.until_its_end, daemon=True)
        self.thread.start()

    def until_its_end(self):
        try:
            while piece := self.answer.read1(65536):
                self.seen += piece
        except (OSError, http.client.HTTPException):
            pass

    def goes_on(self):
        return self.thread.is_alive()


@time_limit(180)
def test_requests_go_on_while_a_server_dies_and_another_hangs(context):
    plane = SecurePlane(context, "proxied", 2)
    front = Front(context, plane)
    try:
        front.proxy.wait_for_line("listening on")
        plane.start_store()
        servers = [plane.start_api_server(i) for i in range(2)]
        for i in range(2):
            plane.wait_ready(i)
        both = sorted(url.removeprefix("https://") for url in plane.urls[:2])
        context.wait_until("both to be ready for the proxy", lambda: front.ready_servers() == both)
        assert urllib.request.urlopen(front.health + "/readyz", timeout=5).read() == b"ok"
        # Certificates pass: the server knows who asks, and the client that it is the API's own.
        who = plane.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {
            "kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}, user="admin",
            server=front.index)
        assert who["status"]["userInfo"]["username"] == "kubernetes-admin", who
        front.thread.start()

        servers[0].stop(signal.SIGKILL)
        context.wait_until("the dead one to be noticed", lambda: front.ready_servers() == both[1:], 10)
        time.sleep(1)
        # Whoever was being answered by the dead one hears of its end; nobody after that.
        assert len(front.problems) <= 1, front.problems
        front.problems.clear()
        plane.forget(servers[0])
        servers[0] = plane.start_api_server(0)
        context.wait_until("both again", lambda: front.ready_servers() == both, 30)
        time.sleep(1)
        assert not front.problems, front.problems

        watches = [Watch(front) for _ in range(6)]  # about as many at each
        front.times.clear()
        servers[1].process.send_signal(signal.SIGSTOP)
        try:
            context.wait_until("the one that hangs to be noticed", lambda: front.ready_servers() == both[:1],
                               10)
            # Whoever watches the one that hangs would hear of nothing any more.
            plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": "news"}}, server=0)
            context.wait_until("the watches at it to end and all others to hear of what is new", lambda: all(
                not one.goes_on() or b'"news"' in one.seen for one in watches), 10)
            time.sleep(1)
            assert max(front.times) < 4, max(front.times)
            front.times.clear()
            time.sleep(2)
            assert len(front.times) > 10 and max(front.times) < 1.5, front.times
        finally:
            servers[1].process.send_signal(signal.SIGCONT)
        context.wait_until("both once more", lambda: front.ready_servers() == both, 30)
        assert len(front.problems) <= 1, front.problems
        assert 1 <= sum(one.goes_on() for one in watches) <= 5, [one.goes_on() for one in watches]
    finally:
        front.end()
        plane.stop()
