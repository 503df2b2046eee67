#!/usr/bin/env python3
"""Sends a list of requests to an API server and writes down what it answers; compares two such recordings.

    oracle.py record --server https://127.0.0.1:6443 --cert admin.crt --key admin.key --requests requests.jsonl --out ours.jsonl
    oracle.py compare answers.jsonl ours.jsonl --exceptions exceptions.tsv
    oracle.py check --program build/dev/bin/api-server      # records our answers and compares them with those kept here

A request is a line {"name", "method", "path", "body", "type"}. Of an answer are kept: the status code, the reason, the set
of fields that causes name, and the object without what differs from run to run (uids, times, resource versions, random
suffixes, allocated addresses). "$rv" and "$uid" in a body stand for those of the object at the request's path.
"""
import argparse
import http.client
import json
import pathlib
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse

VOLATILE = {"storageVersionHash", "serverAddress", "uid", "resourceVersion", "creationTimestamp", "time", "lastTransitionTime", "lastProbeTime",
            "lastHeartbeatTime", "selfLink"}
ALLOCATED = {"clusterIP", "clusterIPs", "nodePort", "healthCheckNodePort"}
NETWORKS = {"10.96.0.0", "fd00:10:96::"}  # what kube-apiserver shows as the address that a dry run would give


def asked_for(value, key=""):
    """Addresses and ports that a body names."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from asked_for(item, name)
    elif isinstance(value, list):
        for item in value:
            yield from asked_for(item, key)
    elif key in ALLOCATED and value:
        yield value


def scrub_allocated(item, named):
    """What some request of the list asks for stays: nobody is given that by chance."""
    if isinstance(item, list):
        return [scrub_allocated(one, named) for one in item]
    return item if item in named else "<allocated>"


def scrub(value, sent, named=frozenset(), key=""):
    """The part of an answer that every server gives alike. `sent` is what the request said at the same place."""
    if isinstance(value, dict):
        out = {}
        is_column = {"name", "type", "format", "priority"} <= value.keys()
        for name, item in value.items():
            if is_column and name == "description":  # everybody's own words
                continue
            if name in VOLATILE and not (name == "uid" and key in ("involvedObject", "regarding", "parentRef")):
                continue
            if name in ("deletionTimestamp", "continue"):
                out[name] = "<set>"
                continue
            said = sent.get(name) if isinstance(sent, dict) else None
            if name in ALLOCATED and named:
                out[name] = scrub_allocated(item, named)
                continue
            if name in ALLOCATED and said in (None, 0, "", []) and item not in ("None", ["None"]):
                out[name] = "<allocated>"
                continue
            out[name] = scrub(item, said, named, name)
        return out
    if isinstance(value, list):
        said = sent if isinstance(sent, list) else []
        out = [scrub(item, said[i] if i < len(said) else None, named, key) for i, item in enumerate(value)]
        if named and key == "managedFields":  # their order is that of their times
            out.sort(key=lambda entry: json.dumps(entry, sort_keys=True))
        return out
    if isinstance(value, str):
        if key == "cells" and re.fullmatch(r"\d+s", value):
            return "<age>"
        return re.sub(r"kube-api-access-[a-z0-9]{5}", "kube-api-access-*", value)
    return value


def scrub_answer(document, sent, named=frozenset()):
    """Also without the random end of a generated name, wherever it stands."""
    generate = (document.get("metadata") or {}).get("generateName") if isinstance(document, dict) else None
    out = scrub(document, sent, named)
    if generate:
        text = re.sub(re.escape(json.dumps(generate)[1:-1]) + r"[a-z0-9]{5}\b", generate + "<random>", json.dumps(out))
        out = json.loads(text)
    return out


class Client:
    def __init__(self, options):
        url = urllib.parse.urlsplit(options.server)
        context = None
        if url.scheme == "https":
            context = ssl.create_default_context(cafile=options.ca)
            if not options.ca:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if options.cert:
                context.load_cert_chain(options.cert, options.key)
        self.make = lambda: (http.client.HTTPSConnection(url.hostname, url.port, context=context, timeout=30)
                             if context else http.client.HTTPConnection(url.hostname, url.port, timeout=30))
        self.connection = self.make()
        self.token = options.token

    def send(self, method, path, body=None, content_type="application/json", accept="application/json"):
        headers = {"User-Agent": "oracle/1", "Accept": accept}
        if self.token:
            headers["Authorization"] = "Bearer " + self.token
        data = None
        if body is not None:
            data = body if isinstance(body, str) else json.dumps(body)
            headers["Content-Type"] = content_type
        for attempt in (0, 1):
            try:
                self.connection.request(method, path, data.encode() if data is not None else None, headers)
                response = self.connection.getresponse()
                text = response.read().decode("utf-8", "replace")
                warnings = response.msg.get_all("Warning") or []
                return response.status, text, warnings
            except (http.client.HTTPException, ConnectionError):
                self.connection.close()
                self.connection = self.make()
                if attempt:
                    raise


def fill(client, request):
    """The body with $rv and $uid replaced by the object's own."""
    body = request.get("body")
    text = json.dumps(body)
    if "$rv" not in text and "$uid" not in text:
        return body
    path = request["path"].split("?")[0]
    path = re.sub(r"/(status|scale|finalize|ephemeralcontainers|resize)$", "", path)
    code, answer, _ = client.send("GET", path)
    metadata = json.loads(answer).get("metadata", {}) if code == 200 else {}
    text = text.replace("$rv", metadata.get("resourceVersion", "1")).replace("$uid", metadata.get("uid", "0"))
    return json.loads(text)


def record(options):
    client = Client(options)
    kept = {"$first": "1", "$continue": ""}
    named = frozenset()
    if options.named:
        with open(options.requests) as lines:
            named = frozenset(value for line in lines for value in asked_for(json.loads(line).get("body"))) - NETWORKS
    with open(options.requests) as lines, open(options.out, "w") as out:
        for line in lines:
            request = json.loads(line)
            body = fill(client, request) if "body" in request else request.get("text")
            path = request["path"]
            for word, value in kept.items():
                path = path.replace(word, value)
            code, text, warnings = client.send(request["method"], path, body, request.get("type", "application/json"),
                                               request.get("accept", "application/json"))
            answer = {"name": request["name"], "code": code}
            document = parse(text)
            if request["name"] == "API: make map 0":
                kept["$first"] = document["metadata"]["resourceVersion"]
            token = ((document.get("metadata") or {}).get("continue") if isinstance(document, dict) else None)
            if token:
                kept["$continue"] = token
            if isinstance(document, dict) and document.get("kind") == "Status" and "status" in document:
                answer["status"] = document["status"]
                answer["reason"] = document.get("reason", "")
                details = document.get("details") or {}
                answer["fields"] = sorted({cause.get("field", "") for cause in details.get("causes") or []})
                answer["causes"] = sorted({cause.get("reason", "") + " " + cause.get("field", "")
                                           for cause in details.get("causes") or []})
                answer["message"] = document.get("message", "")
            else:
                answer["object"] = scrub_answer(document, request.get("body"), named)
            if warnings:
                answer["warnings"] = sorted(warnings)
            out.write(json.dumps(answer, sort_keys=True) + "\n")
    return 0


def parse(text):
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:  # a watch: one document a line
        return {"events": [json.loads(line) for line in text.splitlines()]}
    except ValueError:
        return {"text": text[:200]}


def load(path):
    with open(path) as lines:
        return {answer["name"]: answer for answer in map(json.loads, lines)}


def difference(a, b, more=()):
    """In a word, what differs; None when nothing that counts does."""
    for key in ("code", "reason", "fields", *more):
        if a.get(key) != b.get(key):
            return f"{key}: {a.get(key)!r} and {b.get(key)!r}"
    if a.get("object") != b.get("object"):
        return "object: " + "; ".join(changes(a.get("object"), b.get("object"), ""))[:400]
    return None


def changes(a, b, path):
    if isinstance(a, dict) and isinstance(b, dict):
        for key in sorted(set(a) | set(b)):
            if a.get(key) != b.get(key):
                yield from changes(a.get(key), b.get(key), f"{path}.{key}")
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for i, (x, y) in enumerate(zip(a, b)):
            if x != y:
                yield from changes(x, y, f"{path}[{i}]")
    else:
        yield f"{path} {json.dumps(a)} / {json.dumps(b)}"


def compare(options):
    expected, got = load(options.a), load(options.b)
    exceptions = {}
    if options.exceptions:
        with open(options.exceptions) as lines:
            for line in lines:
                if line.strip() and not line.startswith("#"):
                    name, _, reason = line.rstrip("\n").partition("\t")
                    exceptions[name] = reason
    equal = excused = 0
    bad = []
    for name, answer in expected.items():
        why = "not answered" if name not in got else difference(answer, got[name], ["warnings"] if options.warnings else [])
        if why is None:
            equal += 1
            if name in exceptions:
                bad.append((name, "is equal, and so no exception any more"))
        elif name in exceptions:
            excused += 1
        else:
            bad.append((name, why))
    for name in exceptions:
        if name not in expected:
            bad.append((name, "stands among the exceptions but not among the requests"))
    for name, why in bad:
        print(f"{name}: {why}")
    if options.messages:
        for name, answer in expected.items():
            other = got.get(name, {})
            if answer.get("message") != other.get("message"):
                print(f"message {name}:\n   {answer.get('message')}\n   {other.get('message')}")
    share = 100 * equal / max(1, len(expected))
    print(f"{equal} of {len(expected)} equal ({share:.1f} %), {excused} excused, {len(bad)} not")
    return 1 if bad or share < options.share else 0


def check(options):
    """Starts our server and asks it everything: the list of all kinds, and that of Services, where both families are served."""
    lists = [("", "10.96.0.0/16", False), ("services_", "10.96.0.0/16,fd00:10:96::/112", True)]
    return max(check_list(options, *one) for one in lists)


def check_list(options, prefix, service_range, is_exact):
    """Compares our answers to PREFIXrequests.jsonl with PREFIXanswers.jsonl and PREFIXexceptions.tsv; `is_exact` also in
    warnings, and in addresses and ports that were asked for."""
    here = pathlib.Path(__file__).parent
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rusternetes-oracle-"))
    token = secrets.token_hex(16)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    key = folder / "sa.key"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [options.program, "--data-dir", folder / "data", "--cert-dir", folder / "certs", "--bind-address", "127.0.0.1",
               "--secure-port", str(port), "--token-auth-file", folder / "tokens.csv", "--service-account-key-file", key,
               "--service-account-signing-key-file", key, "--service-account-issuer", "https://kubernetes.default.svc",
               "--authorization-mode", "Node", "--authorization-mode", "RBAC", "--service-cluster-ip-range", service_range,
               "--allow-privileged=true", "--enable-admission-plugins", "NodeRestriction"]
    with open(folder / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        options.server, options.token = f"https://127.0.0.1:{port}", token
        options.cert = options.key = options.ca = None
        options.requests, options.out = here / f"{prefix}requests.jsonl", folder / "ours.jsonl"
        options.named = options.warnings = is_exact
        wait_for_port(process, port)
        record(options)
        options.a, options.b, options.messages = here / f"{prefix}answers.jsonl", options.out, False
        options.exceptions = here / f"{prefix}exceptions.tsv"
        result = compare(options)
    finally:
        process.terminate()
        process.wait(30)
    if result == 0:
        shutil.rmtree(folder)
    else:
        print(f"our answers and the server's log are in {folder}")
    return result


def wait_for_port(process, port):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"the server ended with code {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)  # until the port is open
    raise SystemExit("the server did not open its port within 30 s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = parser.add_subparsers(dest="word", required=True)
    word = words.add_parser("record")
    word.add_argument("--server", required=True)
    word.add_argument("--cert")
    word.add_argument("--key")
    word.add_argument("--ca")
    word.add_argument("--token")
    word.add_argument("--requests", required=True)
    word.add_argument("--out", required=True)
    word.add_argument("--named", action="store_true", help="keep addresses and ports that some request asks for")
    word.set_defaults(run=record)
    word = words.add_parser("compare")
    word.add_argument("a")
    word.add_argument("b")
    word.add_argument("--exceptions")
    word.add_argument("--share", type=float, default=95.0, help="the least share of equal answers, in percent")
    word.add_argument("--warnings", action="store_true", help="compare warnings, too")
    word.add_argument("--messages", action="store_true", help="also print where the wording differs")
    word.set_defaults(run=compare)
    word = words.add_parser("check")
    word.add_argument("--program", required=True)
    word.add_argument("--share", type=float, default=95.0)
    word.set_defaults(run=check)
    options = parser.parse_args()
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
