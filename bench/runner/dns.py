"""Names: dns beside CoreDNS as kubeadm sets it, both with the Services of one api-server, asked by dnsperf in turn."""
import base64
import http.client
import json
import random
import re
import shutil
import socket
import ssl
import statistics
import struct
import subprocess
import threading
import time
import urllib.request

from .load import median_ratio
from .servers import Ours, Process, free_ports, resident_mb

ROUNDS = 5
SERVICES, HEADLESS, ENDPOINTS = 1_000, 50, 10
RATE = 5_000  # questions a second, at which p99 is read
COREFILE = """.:{port} {{
    bind 127.0.0.1
    errors
    health 127.0.0.1:{health}
    ready 127.0.0.1:{ready}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }}
    prometheus 127.0.0.1:{metrics}
    forward . 127.0.0.1:{upstream} {{
        max_concurrent 1000
    }}
    cache 30 {{
        disable success cluster.local
        disable denial cluster.local
    }}
    loop
    reload
    loadbalance
}}
"""


class Api:
    """Creates objects by the certificate of a kubeconfig."""

    def __init__(self, plane):
        fields = dict(re.findall(r"([a-z-]+-data): *\"?([A-Za-z0-9+/=]+)", plane.kubeconfig.read_text()))
        context = ssl._create_unverified_context()
        pair = plane.folder / "dns-admin.pem"
        pair.touch(0o600)
        pair.write_bytes(base64.b64decode(fields["client-certificate-data"]) + base64.b64decode(fields["client-key-data"]))
        context.load_cert_chain(pair)
        self.connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=context, timeout=30)

    def create(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"POST {path}: {text[:500]}")


def fill(plane):
    api = Api(plane)
    port = [{"name": "http", "port": 80, "protocol": "TCP"}]
    for i in range(SERVICES):
        api.create("/api/v1/namespaces/default/services", {"metadata": {"name": f"service-{i}"}, "spec": {"ports": port}})
    for i in range(HEADLESS):
        api.create("/api/v1/namespaces/default/services", {"metadata": {"name": f"headless-{i}"}, "spec": {"ports": port, "clusterIP": "None"}})
        endpoints = [{"addresses": [f"10.244.{i}.{j}"], "hostname": f"pod-{j}", "conditions": {"ready": True}} for j in range(1, ENDPOINTS + 1)]
        api.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
                   {"metadata": {"name": f"headless-{i}", "labels": {"kubernetes.io/service-name": f"headless-{i}"}}, "addressType": "IPv4",
                    "ports": port, "endpoints": endpoints})


class Upstream:
    """Says 192.0.2.1 to everything, for an hour."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            count = 1 if query[end - 4:end] == b"\0\1\0\1" else 0
            head = query[:2] + struct.pack(">5H", 0x8180, 1, count, 0, 0)
            self.socket.sendto(head + query[12:end] + count * (b"\xc0\x0c\0\1\0\1" + struct.pack(">IH4B", 3600, 4, 192, 0, 2, 1)), peer)


def write_questions(folder):
    """As Pods ask: each name for A and AAAA, short ones by the whole search path first."""
    chance, suffix = random.Random(1), "default.svc.cluster.local"
    cluster = []
    for _ in range(4_000):
        kind = chance.random()
        names = [f"service-{chance.randrange(SERVICES)}.{suffix}"]
        if kind < 0.2:
            names = [f"headless-{chance.randrange(HEADLESS)}.{suffix}"]
        elif kind < 0.3:
            names = [f"pod-{chance.randrange(1, ENDPOINTS + 1)}.headless-{chance.randrange(HEADLESS)}.{suffix}"]
        elif kind < 0.5:
            names = [f"www.example.com.{part}" for part in (suffix, "svc.cluster.local", "cluster.local")]
        cluster += [f"{name} {what}" for name in names for what in ("A", "AAAA")]
    (folder / "cluster.txt").write_text("\n".join(cluster) + "\n")
    (folder / "outside.txt").write_text("\n".join(f"host-{i}.example.com A" for i in range(200)) + "\n")


class Side:
    def __init__(self, name, port, ready, command, log):
        self.name, self.port = name, port
        self.process = Process(name, command, log)
        end = time.monotonic() + 60
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            self.process.check()
            try:
                with opener.open(f"http://127.0.0.1:{ready}/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                if time.monotonic() > end:
                    raise
            time.sleep(0.02)

    def ask(self, questions, seconds, *flags):
        done = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(self.port), "-d", questions, "-l", str(seconds), "-c", "8", "-T", "1", *flags],
                              capture_output=True, text=True, timeout=seconds + 60)
        self.process.check()
        completed = int(re.search(r"Queries completed: +(\d+)", done.stdout).group(1))
        lost = int(re.search(r"Queries lost: +(\d+)", done.stdout).group(1))
        codes = dict(re.findall(r"(NOERROR|NXDOMAIN|SERVFAIL|REFUSED|FORMERR) \d+ \(([\d.]+)%\)", done.stdout))
        if not completed or set(codes) - {"NOERROR", "NXDOMAIN"}:
            raise RuntimeError(f"{self.name}: {done.stdout[-1500:]}{done.stderr[-500:]}")
        return {"completed": completed, "lost": lost, "codes": codes, "text": done.stdout,
                "per_second": float(re.search(r"Queries per second: +([\d.]+)", done.stdout).group(1))}

    def rate(self, questions, seconds, *flags):
        result = self.ask(questions, seconds, *flags)
        return {key: result[key] for key in ("per_second", "lost", "codes")}

    def latency(self, questions, seconds):
        result = self.ask(questions, seconds, "-Q", str(RATE), "-v")
        values = sorted(1000 * float(line.rsplit(" ", 1)[1]) for line in result["text"].splitlines() if line.startswith("> "))
        return {"p50": values[len(values) // 2], "p99": values[len(values) * 99 // 100], "lost": result["lost"], "count": len(values)}


def measure(settings, table):
    program = settings.binaries / "dns"
    if not program.exists() or not shutil.which("dnsperf"):
        table.skip("DNS", f"{program.name} is not built" if not program.exists() else "dnsperf is not installed (scripts/packages test)")
        return
    lacking = settings.peer_missing("coredns")
    seconds = 2 if settings.quick else 5
    with Ours(settings) as plane:
        fill(plane)
        folder, upstream = plane.folder, Upstream()
        write_questions(folder)
        sides = []
        try:
            port, ready = free_ports(2)
            sides.append(Side("dns", port, ready, [program, "--kubeconfig", plane.kubeconfig, "--bind-address", "127.0.0.1", "--port", port, "--ttl", 30,
                                                   "--upstream", f"127.0.0.1:{upstream.port}", "--ready-port", ready, "--health-port", 0,
                                                   "--metrics-port", 0], folder / "dns.log"))
            if lacking:
                table.skip("the peer of DNS", lacking)
            else:
                port, ready, health, metrics = free_ports(4)
                (folder / "Corefile").write_text(COREFILE.format(port=port, ready=ready, health=health, metrics=metrics, kubeconfig=plane.kubeconfig,
                                                                 upstream=upstream.port))
                sides.append(Side("coredns", port, ready, [settings.peers / "coredns", "-conf", folder / "Corefile"], folder / "coredns.log"))
            report(table, sides, folder, seconds)
        finally:
            for side in sides:
                side.process.stop()


def in_turn(sides, call):
    """call(side) for each side, the first to go changing: a list of results a side."""
    results = {side.name: [] for side in sides}
    for turn in range(ROUNDS):
        for side in sides if turn % 2 == 0 else reversed(sides):
            results[side.name].append(call(side))
    return results["dns"], results.get("coredns", [])


def lost(rounds):
    return sum(each["lost"] for each in rounds)


def report(table, sides, folder, seconds):
    for side in sides:  # what is outside is then in the caches, and each has its memory
        side.ask(folder / "cluster.txt", 1)
        side.ask(folder / "outside.txt", 1)
    for what, questions, flags in (("DNS, names of the cluster, UDP", "cluster.txt", ()), ("DNS, names of the cluster, TCP", "cluster.txt", ("-m", "tcp")),
                                   ("DNS, cached names of the outside, UDP", "outside.txt", ())):
        ours, theirs = in_turn(sides, lambda side: side.rate(folder / questions, seconds, *flags))  # pylint: disable=cell-var-from-loop
        rates = [[each["per_second"] for each in side] for side in (ours, theirs)]
        table.add(what, "/s", statistics.median(rates[0]), statistics.median(rates[1]) if theirs else None, ratio=median_ratio(*rates),
                  rounds={"ours": ours, "peer": theirs}, note=f"lost {lost(ours)}" + (f" against {lost(theirs)}" if theirs else "")
                  + "; 1,000 Services; dnsperf shares the cores")
    ours, theirs = in_turn(sides, lambda side: side.latency(folder / "cluster.txt", seconds))
    for name in ("p50", "p99"):
        values = [[each[name] for each in side] for side in (ours, theirs)]
        table.add(f"DNS, names of the cluster at {RATE:,} a second, {name}", "ms", statistics.median(values[0]),
                  statistics.median(values[1]) if theirs else None, ratio=median_ratio(values[1], values[0]), rounds={"ours": ours, "peer": theirs},
                  note=f"lost {lost(ours)}" + (f" against {lost(theirs)}" if theirs else ""))
    memory = {side.name: resident_mb(side.process.pid) for side in sides}
    table.add("DNS, memory after that", "MB", memory["dns"], memory.get("coredns"))
