"""A client that writes and one that watches while parts of a cluster die, as client-go would: a broken connection is made
anew, what is safe is repeated, a watch goes on behind what it saw last. Both keep what is needed to say afterwards whether
anything was lost, and for how long nothing went."""
import base64
import http.client
import json
import os
import socket
import ssl
import threading
import time

TROUBLE = (OSError, http.client.HTTPException)
CONFIG_MAPS = "/api/v1/namespaces/{}/configmaps"
PASSING = (429, 500, 502, 503, 504)  # the server's trouble, not the request's


class Access:
    """Where a cluster is, and who asks: of a kubeconfig with its certificates inline, as JSON."""

    def __init__(self, kubeconfig, folder):
        cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
        host, port = cluster["server"].removeprefix("https://").rsplit(":", 1)
        self.host, self.port = host, int(port)
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        path = os.path.join(folder, "client.pem")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
        self.tls.load_cert_chain(path)

    def connection(self, host=None, port=None, timeout=30.0):
        return http.client.HTTPSConnection(host or self.host, port or self.port, context=self.tls, timeout=timeout)


class Asker:
    """Requests one after the other over one connection, which is made anew when it broke."""

    def __init__(self, access, **options):
        self.connection = access.connection(**options)

    def ask(self, method, path, body=None):
        """(status, document, seconds that the server asks to wait); TROUBLE where no whole answer came."""
        try:
            self.connection.request(method, path, json.dumps(body).encode() if body is not None else None,
                                    {"Content-Type": "application/json"} if body is not None else {})
            answer = self.connection.getresponse()
            text = answer.read()
        except TROUBLE:
            self.connection.close()
            raise
        try:
            document = json.loads(text)
        except ValueError:
            document = {"message": text.decode(errors="replace")[:200]}
        return answer.status, document, float(answer.headers.get("Retry-After") or 0)


class Troubles:
    """What went wrong, and when."""

    def __init__(self):
        self.all = []

    def note(self, what):
        self.all.append((time.monotonic(), what))

    def between(self, begin, end):
        counts = {}
        for when, what in self.all:
            if begin <= when <= end:
                counts[what] = counts.get(what, 0) + 1
        return counts


class Writer(threading.Thread):
    """Creates objects of new names, and counts in one object by comparing its resourceVersion, without a rest."""

    def __init__(self, access, namespace, pause=0.003):
        super().__init__(daemon=True)
        self.asker, self.path, self.pause = Asker(access), CONFIG_MAPS.format(namespace), pause
        self.over, self.troubles = threading.Event(), Troubles()
        self.failure = None   # what no fault excuses
        self.times = []       # of acknowledgements
        self.created = {}     # name -> resourceVersion
        self.counted = []     # (value, resourceVersion)
        self.number, self.value, self.version = 0, 0, None
        self.server, self.is_server_wanted = None, threading.Event()

    def run(self):
        try:
            self.start_counter()
            while not self.over.is_set():
                if self.is_server_wanted.is_set():
                    self.learn_server()
                self.number += 1
                if self.number % 4 == 0:
                    self.count()
                else:
                    self.create()
                time.sleep(self.pause)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failure = f"{type(error).__name__}: {error}"

    def try_once(self, method, path, body=None):
        """(status, document), or None where the outcome is open and the cluster is to be given a moment."""
        rest = 0.02
        try:
            status, document, wait = self.asker.ask(method, path, body)
            if status not in PASSING:
                return status, document
            self.troubles.note(f"{status} {document.get('message', '')[:70]}")
            rest = max(rest, wait)
        except TROUBLE as error:
            self.troubles.note(type(error).__name__)
        time.sleep(rest)
        return None

    def until_answered(self, method, path, body=None):
        while True:
            answer = self.try_once(method, path, body)
            if answer:
                return answer

    def document(self, name, **data):
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}

    def create(self):
        name, is_repeated = f"fire-{self.number:06d}", False
        while True:
            answer = self.try_once("POST", self.path, self.document(name, number=str(self.number)))
            if answer is None:
                is_repeated = True
                continue
            status, document = answer
            if status == 409 and is_repeated:  # the first time it was written after all
                status, document = self.until_answered("GET", f"{self.path}/{name}")
                assert status == 200, f"{name} exists and does not: {status} {document}"
                status = 201
            assert status == 201, f"create of {name}: {status} {document}"
            self.times.append(time.monotonic())
            self.created[name] = int(document["metadata"]["resourceVersion"])
            return

    def start_counter(self):
        status, document = self.until_answered("POST", self.path, self.document("counter", value="0"))
        assert status == 201, (status, document)
        self.version = document["metadata"]["resourceVersion"]

    def count(self):
        """Nobody else counts: the object is as it was, or as it is to be."""
        wanted = self.document("counter", value=str(self.value + 1))
        wanted["metadata"]["resourceVersion"] = self.version
        is_repeated = False
        while True:
            answer = self.try_once("PUT", f"{self.path}/counter", wanted)
            if answer is None:
                is_repeated = True
                continue
            status, document = answer
            if status == 409:
                assert is_repeated, f"a conflict that nobody caused: {document}"
                status, document = self.until_answered("GET", f"{self.path}/counter")
            assert status == 200 and document["data"]["value"] == str(self.value + 1), \
                f"the counter should be {self.value + 1}: {status} {document}"
            self.times.append(time.monotonic())
            self.value, self.version = self.value + 1, document["metadata"]["resourceVersion"]
            self.counted.append((self.value, int(self.version)))
            return

    def learn_server(self):
        """An api-server says its own address in /api."""
        status, document = self.until_answered("GET", "/api")
        assert status == 200, (status, document)
        self.server = document["serverAddressByClientCIDRs"][0]["serverAddress"].rsplit(":", 1)[0]
        self.is_server_wanted.clear()

    def ask_server(self):
        """The address of the api-server that it writes to."""
        self.is_server_wanted.set()
        end = time.monotonic() + 30
        while self.is_server_wanted.is_set():
            assert time.monotonic() < end and self.is_alive(), f"the writer does not answer: {self.failure}"
            time.sleep(0.01)
        return self.server

    def stop(self):
        """After the write that is under way."""
        self.over.set()
        self.join(60)
        assert not self.is_alive(), "the writer's last request does not end"
        assert self.failure is None, self.failure


class Watcher(threading.Thread):
    """Watches the same objects. Never lists: what it missed is missing."""

    def __init__(self, access, namespace):
        super().__init__(daemon=True)
        self.access, self.path = access, CONFIG_MAPS.format(namespace)
        status, document, _ = Asker(access).ask("GET", self.path + "?limit=1")
        assert status == 200, document
        self.version = document["metadata"]["resourceVersion"]
        self.over, self.troubles = threading.Event(), Troubles()
        self.failure, self.relists, self.resumed, self.connection = None, 0, -1, None
        self.times, self.events, self.bookmarks = [], [], 0  # (type, name, resourceVersion, data)

    def run(self):
        try:
            while not self.over.is_set():
                try:
                    self.watch()
                except TROUBLE as error:
                    if not self.over.is_set():
                        self.troubles.note(type(error).__name__)
                        time.sleep(0.05)
                except (ValueError, AttributeError):  # cut off within a line, or closed by stop()
                    self.troubles.note("cut off")
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.failure = f"{type(error).__name__}: {error}"

    def watch(self):
        self.connection = self.access.connection(timeout=120)
        self.connection.request("GET", f"{self.path}?watch=1&allowWatchBookmarks=true&resourceVersion={self.version}")
        answer = self.connection.getresponse()
        if answer.status in PASSING:
            self.troubles.note(str(answer.status))
            time.sleep(0.05)
            return
        if answer.status == 410:
            self.expired(answer.read()[:300])
            return
        assert answer.status == 200, (answer.status, answer.read()[:300])
        self.resumed += 1
        while line := answer.readline():
            if not line.endswith(b"\n"):
                raise ValueError("cut off")
            event = json.loads(line)
            if event["type"] == "ERROR" and event["object"].get("code") == 410:
                self.connection.close()
                self.expired(event["object"])
                return
            self.take(event)
        self.troubles.note("ended")
        self.connection.close()

    def expired(self, told):
        self.relists += 1
        raise AssertionError(f"the watch expired: {told}")

    def take(self, event):
        what = event["object"]
        if event["type"] == "ERROR":
            raise AssertionError(f"the watch failed: {what}")
        self.version = what["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            self.bookmarks += 1
            return
        self.times.append(time.monotonic())
        self.events.append((event["type"], what["metadata"]["name"], int(self.version), what.get("data", {})))

    def stop(self):
        self.over.set()
        sock = self.connection.sock
        if sock:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.join(30)
        assert self.failure is None, self.failure


class Informer(Watcher):
    """Lists when its watch has expired, and goes on from there, as client-go's does. Knows what is there."""

    def __init__(self, access, namespace):
        super().__init__(access, namespace)
        self.present = {}  # name -> resourceVersion
        self.list()

    def list(self):
        while not self.over.is_set():
            try:
                status, document, _ = Asker(self.access).ask("GET", self.path)
                if status == 200:
                    break
                self.troubles.note(str(status))
            except TROUBLE as error:
                self.troubles.note(type(error).__name__)
            time.sleep(0.05)
        else:
            return
        self.present = {o["metadata"]["name"]: int(o["metadata"]["resourceVersion"]) for o in document["items"]}
        self.version = document["metadata"]["resourceVersion"]

    def expired(self, told):
        self.relists += 1
        self.list()

    def take(self, event):
        super().take(event)
        name = event["object"]["metadata"].get("name")
        if event["type"] == "DELETED":
            self.present.pop(name)
        elif event["type"] != "BOOKMARK":
            self.present[name] = int(self.version)


def longest_gap(times, begin, end):
    """The longest time without one, of what overlaps [begin, end]; `end` itself ends the last."""
    inside = [t for t in times if begin < t < end]
    before = [t for t in times if t <= begin][-1:] or [begin]
    marks = before + inside + [end]
    return max(b - a for a, b in zip(marks, marks[1:]))


def assert_all_written(writer, listed):
    """`listed` are the namespace's ConfigMaps now. Nobody else wrote in the namespace, and nobody deleted."""
    present = {o["metadata"]["name"]: o for o in listed}
    lost = [n for n, version in writer.created.items()
            if n not in present or int(present[n]["metadata"]["resourceVersion"]) != version]
    assert not lost, f"{len(lost)} of {len(writer.created)} acknowledged objects are not there as written: {lost[:5]}"
    unknown = [n for n in present if n.startswith("fire-") and n not in writer.created]
    assert not unknown, f"objects that were never acknowledged: {unknown[:5]}"
    assert present["counter"]["data"]["value"] == str(writer.value), (present["counter"], writer.value)


def assert_nothing_lost(writer, watcher, listed):
    """The same, and of a watch that was never without it."""
    assert_all_written(writer, listed)
    assert watcher.relists == 0, f"{watcher.relists} relists"
    versions = [version for _, _, version, _ in watcher.events]
    assert versions == sorted(set(versions)), "events out of order, or twice"
    added = [(name, version) for kind, name, version, _ in watcher.events if kind == "ADDED" and name.startswith("fire-")]
    assert added == list(writer.created.items()), "events missing: " + str(
        sorted(set(writer.created.items()) - set(added))[:5] or "order differs")
    seen = [(int(data["value"]), version) for kind, name, version, data in watcher.events if name == "counter" and kind == "MODIFIED"]
    assert seen == writer.counted, f"the counter's events differ: {sorted(set(writer.counted) ^ set(seen))[:5]}"
