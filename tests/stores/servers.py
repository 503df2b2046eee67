"""api-servers on a store, ours and kube-apiserver by the same flags, and a client of both."""
import base64
import http.client
import json
import os
import signal
import ssl
import threading
import time
import urllib.parse

from harness.programs import Program, free_port
from stores import authority, peer

MERGE, STRATEGIC, APPLY = "application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml"


class ApiError(Exception):
    def __init__(self, method, path, code, status):
        super().__init__(f"{method} {path}: {code} {json.dumps(status)[:600]}")
        self.code, self.status = code, status


class Api:
    """The administrator's requests; each thread has a connection of its own. No answer is an OSError."""

    def __init__(self, context, url, timeout=30):
        self.context, self.timeout = context, timeout
        self.tls = ssl.create_default_context(cafile=authority(context).path("ca.crt"))
        self.tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        self.address = urllib.parse.urlsplit(url)
        self.own = threading.local()

    def connect(self, timeout):
        return http.client.HTTPSConnection(self.address.hostname, self.address.port, context=self.tls, timeout=timeout)

    def exchange(self, method, path, body=None, kind="application/json"):
        """(code, text)"""
        if not hasattr(self.own, "connection"):
            self.own.connection = self.connect(self.context.seconds(self.timeout))
        try:
            self.own.connection.request(method, path, None if body is None else json.dumps(body),
                                        {"Authorization": "Bearer admin-token", "Content-Type": kind, "Accept": "application/json"})
            answer = self.own.connection.getresponse()
            return answer.status, answer.read().decode()
        except (http.client.HTTPException, OSError) as error:
            self.own.connection.close()
            del self.own.connection
            raise OSError(f"{method} {path}: {type(error).__name__} {error}") from None

    def send(self, method, path, body=None, kind="application/json"):
        code, text = self.exchange(method, path, body, kind)
        if code >= 300:
            try:
                status = json.loads(text)
            except ValueError:
                status = text
            raise ApiError(method, path, code, status)
        return json.loads(text)

    def get(self, path):
        return self.send("GET", path)

    def apply(self, path, body, manager):
        return self.send("PATCH", f"{path}?fieldManager={manager}&force=true", body, APPLY)

    def watch(self, path, version):
        return Watch(self, path, version)

    def resources(self):
        """{(apiVersion, kind): (path prefix, resource, is namespaced, verbs)}"""
        found = {}
        groups = ["/api/v1"] + [f"/apis/{v['groupVersion']}" for g in self.get("/apis")["groups"] for v in g["versions"]]
        for prefix in groups:
            code, text = self.exchange("GET", prefix)
            if code == 503:  # an aggregated API whose server does not answer
                continue
            assert code == 200, f"{prefix}: {code} {text}"
            answer = json.loads(text)
            for one in answer["resources"]:
                if "/" not in one["name"]:
                    found[answer["groupVersion"], one["kind"]] = (prefix, one["name"], one["namespaced"], one["verbs"])
        return found


class Watch:
    """The events of one watch, as they come."""

    def __init__(self, api, path, version):
        self.connection = api.connect(None)
        self.connection.request("GET", f"{path}{'&' if '?' in path else '?'}watch=true&resourceVersion={version}",
                                headers={"Authorization": "Bearer admin-token", "Accept": "application/json"})
        self.answer = self.connection.getresponse()
        self.code = self.answer.status
        self.events, self.changed, self.has_ended = [], threading.Condition(), False
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while line := self.answer.readline():
                event = json.loads(line)
                with self.changed:
                    self.events.append((time.monotonic(), event["type"], event["object"]))
                    self.changed.notify_all()
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            pass  # closed
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()

    def wait(self, check, seconds):
        """The first event of which check(type, object) is true; None if there is none in time."""
        seen, end = 0, time.monotonic() + seconds
        with self.changed:
            while True:
                for _, kind, item in self.events[seen:]:
                    if check(kind, item):
                        return kind, item
                seen = len(self.events)
                left = end - time.monotonic()
                if left <= 0 or self.has_ended:
                    return None
                self.changed.wait(left)

    def names(self, kind="ADDED"):
        with self.changed:
            return [item["metadata"]["name"] for _, one, item in self.events if one == kind]

    def errors(self):
        with self.changed:
            return [item for _, kind, item in self.events if kind == "ERROR"]

    def close(self):
        try:
            self.connection.sock.shutdown(2)
        except (OSError, AttributeError):
            pass
        self.thread.join(10)
        self.connection.close()


class ApiServer:
    """kind: "ours" or "kube". Each has an address of its own that it advertises; nobody connects to that."""
    count = 0

    def __init__(self, context, kind, store, *flags, name=None):
        ApiServer.count += 1
        self.context, self.kind, self.store = context, kind, store
        self.name = name or f"{kind}-{ApiServer.count}"
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.api = Api(context, self.url)
        pki = authority(context)
        self.words = [
            context.binary("api-server") if kind == "ours" else peer(context, "kube-apiserver"), *store.flags(),
            "--secure-port", self.port, "--bind-address", "127.0.0.1", "--advertise-address", f"192.0.2.{ApiServer.count}",
            "--tls-cert-file", pki.path("server.crt"), "--tls-private-key-file", pki.path("server.key"), "--client-ca-file", pki.path("ca.crt"),
            "--token-auth-file", pki.path("tokens.csv"), "--service-account-issuer", "https://kubernetes.default.svc",
            "--service-account-key-file", pki.path("sa.pub"), "--service-account-signing-key-file", pki.path("sa.key"),
            "--authorization-mode", "Node,RBAC", "--service-cluster-ip-range", "10.96.0.0/16", "--allow-privileged=true",
            "--enable-admission-plugins", "NodeRestriction", *flags]
        self.starts = 0
        self.start()

    def start(self):
        self.starts += 1
        self.program = Program(self.context, f"{self.name}-{self.starts}", *self.words)

    def wait(self):
        def is_ready():
            self.program.assert_running()
            code, text = self.api.exchange("GET", "/readyz")
            return code == 200 and text == "ok"
        self.context.wait_until(f"{self.name} to be ready", is_ready, 60)
        return self

    def kubeconfig(self):
        path = os.path.join(self.context.work, f"{self.name}.kubeconfig")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "c",
                       "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                       "clusters": [{"name": "k", "cluster": {"server": self.url, "certificate-authority": authority(self.context).path("ca.crt")}}],
                       "users": [{"name": "u", "user": {"token": "admin-token"}}]}, file)
        os.chmod(path, 0o600)
        return path

    def pause(self):
        self.program.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.program.process.send_signal(signal.SIGCONT)

    def stop(self):
        """In order, which is asserted of ours."""
        if self.program.is_running():
            self.resume()
            code = self.program.stop(timeout=60)
            assert code == 0 or self.kind == "kube", f"{self.name} ended with {code}:\n{self.program.log()[-3000:]}"

    def end(self):
        if self.program.is_running():
            self.resume()
        self.program.end()


class Stage:
    """with Stage() as s: what was started there ends with it, in the opposite order."""

    def __init__(self, context):
        self.context, self.all = context, []

    def __enter__(self):
        return self

    def store(self, store):
        self.all.append(store.stop)
        return store

    def server(self, kind, store, *flags, wait=True, **more):
        server = ApiServer(self.context, kind, store, *flags, **more)
        self.all.append(server.end)
        return server.wait() if wait else server

    def program(self, name, *words):
        program = Program(self.context, name, *words)
        self.all.append(program.end)
        return program

    def watch(self, api, path, version):
        watch = api.watch(path, version)
        self.all.append(watch.close)
        return watch

    def __exit__(self, *_):
        for end in reversed(self.all):
            end()


def text64(text):
    return base64.b64encode(text.encode()).decode()
