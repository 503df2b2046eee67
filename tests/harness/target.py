"""What the probes and hooks of Pods may ask, in the test's own process; and what a client hears of a Pod, with the times."""
import base64
import collections
import http.client
import http.server
import json
import os
import socket
import socketserver
import ssl
import threading
import time

from harness.cluster import Cluster
from harness.functions import Skipped
from harness.pods import condition

Request = collections.namedtuple("Request", "time path client headers")
Answer = collections.namedtuple("Answer", "status headers body")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)  # without a name: to ask for one takes as long as resolvers are silent


class Target:
    """An HTTP server on all addresses of the host. Each path has its answer, 404 without one."""

    def __init__(self, tls=None):
        self.lock, self.answers, self.seen = threading.Lock(), {}, []
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                target.serve(self)

            def log_message(self, *_):
                pass

        self.server = Server(("0.0.0.0", 0), Handler)
        if tls:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def serve(self, request):
        path = request.path.split("?")[0]
        with self.lock:
            self.seen.append(Request(time.monotonic(), request.path, request.client_address[0], request.headers))
            answer = self.answers.get(path, Answer(404, {}, b""))
        request.send_response(answer.status)
        for name, value in answer.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(answer.body)))
        request.end_headers()
        request.wfile.write(answer.body)

    def answer(self, path, status, headers=None, body=b""):
        """From now on. The time from which on requests hear it."""
        with self.lock:
            self.answers[path] = Answer(status, headers or {}, body)
            return time.monotonic()

    def requests(self, path, since=0.0):
        with self.lock:
            return [r for r in self.seen if r.path.split("?")[0] == path and r.time >= since]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class PodWatch:
    """A Pod's changes as a client hears of them: (time, Pod), without kubectl's own delays."""

    def __init__(self, context, cluster, name):
        config = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json").stdout)
        server = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        tls = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
        for key in ("client-certificate-data", "client-key-data"):
            with open(os.open(os.path.join(context.work, key), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(base64.b64decode(user[key]))
        tls.load_cert_chain(os.path.join(context.work, "client-certificate-data"), os.path.join(context.work, "client-key-data"))
        host, port = server["server"].removeprefix("https://").split(":")
        self.connection = http.client.HTTPSConnection(host, int(port), context=tls, timeout=context.seconds(120))
        self.connection.connect()
        self.socket = self.connection.sock
        self.connection.request("GET", f"/api/v1/namespaces/default/pods?watch=1&fieldSelector=metadata.name%3D{name}")
        self.response = self.connection.getresponse()
        assert self.response.status == 200, self.response.status
        self.events = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        try:
            while line := self.response.readline():
                self.events.append((time.monotonic(), json.loads(line)["object"]))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed

    def since(self, begin, condition_type, value):
        """When the condition was first heard to have the value, from `begin` on; None: not yet."""
        return next((at for at, pod in list(self.events) if at >= begin and condition(pod, condition_type) == value), None)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)


def addresses(cluster):
    """{"node": the node's address, "host": that of the host towards the node}"""
    node = next(a["address"] for a in cluster.get("nodes")["items"][0]["status"]["addresses"] if a["type"] == "InternalIP")
    route = json.loads(cluster.context.run("ip", "-j", "route", "get", node).stdout)[0]
    return {"node": node, "host": route["prefsrc"]}


def make_with_target(context, name):
    """The setup of a file: context.state gets the cluster, the Target that its Pods ask, and the addresses of both."""
    context.binary("rusternetes-ctl")
    if not context.kubectl:
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    cluster = context.state["cluster"] = Cluster(context, name=name).create()
    cluster.load_image()
    context.state.update(target=Target(), **addresses(cluster))


def remove_with_target(context):
    if "target" in context.state:
        context.state["target"].stop()
    if "cluster" in context.state:
        context.state["cluster"].remove()


def ask_host(context, path, port=None, **more):
    """The httpGet of a path of this process' server."""
    return {"httpGet": {"host": context.state["host"], "port": port or context.state["target"].port, "path": path, **more}}
