#!/usr/bin/env python3
"""Writes yaml.jsonl: answers of a real kube-apiserver as JSON and as YAML, for objects whose texts are hard to write as YAML.
Usage: record_yaml.py --server URL --cert FILE --key FILE --out FILE"""
import argparse
import json
import random
import ssl
import urllib.error
import urllib.request

LONG = "the quick brown fox jumps over the lazy dog and runs away from it as fast as it can, then turns around and comes back"
# Not here: separators of lines, a byte order mark and DEL, which kube-apiserver loses or fails on.
TEXTS = [
    "", " ", "a", "true", "True", "TRUE", "yes", "No", "on", "Off", "y", "N", "null", "~", "Null", "0", "-1", "+1", "1_000", "0x1F", "0o17", "0b101", "017", "08", "1.5", ".5",
    "1e3", "1e999", ".inf", "-.INF", ".nan", "1.2.3", "1:20", "1:20:30.5", "12:61", "2026-01-02", "2026-1-2", "2026-13-01", "2026-02-30", "2026-01-02T03:04:05Z", "2026-01-02t03:04:05+01:00",
    "2026-01-02 03:04:05", "2026-01-02T03:04:05", "-", "- a", "-a", "--- a", "...", "?", "? a", "?a", ":", ": a", ":a", "a:", "a: b", "a:b", "#a", "a #b", "a#b", ",a", "[a]", "{a}", "a]", "a, b",
    "&a", "*a", "!a", "|", ">", "'a'", '"a"', "it's", 'say "x"', "%a", "@a", "`a`", "\\", "a\\b", "a\tb", "\ta", "a\rb", "a\u00a0b", "ä ö ü", "日本語", "emoji 😀", 
    " lead", "trail ", "  two  ", "a  b", "line one\nline two", "line one\nline two\n", "line one\n\nline three\n\n", "\nlead break", "\n", "\n\n", " lead space\nnext", "trail space \nnext", "next\n lead",
    "tab\there\nnext", "ends with space\nx ", "<<", "=", "{{ .Template }}", "key: [a, b]", "0777", "0o9", "0xG", "1__2", "_1", "+", "+a", "1e", "1e+", ".e5", "99999999999999999999", "0x11111111111111111",
    LONG, LONG + "\n" + LONG, "'" + LONG, LONG + ": " + LONG, LONG + "\t" + LONG, LONG.replace(" ", "  "), "x" * 200, "x" * 81 + " y", "a " * 60 + "b", ("word" * 18 + " ") * 3, "é" * 90 + " b c",
    LONG.replace("fox", "fox\u0007"), '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"annotations":{},"name":"x"}}\n', "#!/bin/sh\nset -e\necho \"hi\"\n", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
]
KEYS = ["a", "B", "a1", "a10", "a2", "a01", "a-b", "a.b", "a_b", "1", "10", "2", "true", "null", "1.5", "x" * 130, "0x10", "2026-01-02", "-x", ".x", "a0", "a00", "a100", "b"]


class Server:
    def __init__(self, options):
        self.url = options.server
        self.context = ssl._create_unverified_context()
        self.context.load_cert_chain(options.cert, options.key)

    def send(self, method, path, body=None, accept="application/json"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Accept": accept, "Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.read().decode()


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "cert", "key", "out"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    server = Server(options)
    pick = random.Random(7)
    path = "/api/v1/namespaces/default/configmaps"
    maps = [{f"k{i:03}": text for i, text in enumerate(TEXTS)}, {key: "v" for key in KEYS}]
    # Random texts out of what makes a difference.
    parts = [" ", "  ", "\n", "a", "word", "'", '"', ": ", " #", "-", "\t", "ü", "0", "1", "\\", "{", "longer words here to fill the line up", "\r", "€"]
    maps.append({f"k{i:03}": "".join(pick.choice(parts) for _ in range(pick.randint(1, 14))) for i in range(300)})
    lines = []
    for i, data in enumerate(maps):
        server.send("POST", path, {"metadata": {"name": f"yaml-{i}"}, "data": data})
        at = f"{path}/yaml-{i}"
        lines.append({"json": server.send("GET", at), "yaml": server.send("GET", at, accept="application/yaml")})
        server.send("DELETE", at)
    for at in ("/api/v1/namespaces/default/configmaps/absent", "/api/v1/namespaces/default", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin",
               "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", "/api/v1/namespaces/default/services/kubernetes", "/api/v1/namespaces/kube-system/configmaps"):
        lines.append({"json": server.send("GET", at), "yaml": server.send("GET", at, accept="application/yaml")})
    # Numbers, null and lists in lists only come in what is kept as it is.
    odd = {"n": [0, -1, 1.5, 1e21, 1e-7, 123456789012345678, 1e20, 0.1], "e": [], "m": {}, "z": None, "l": [[1, [2, {"a": [3]}], []], [[]]], "b": [True, False], "x" * 140: {"k" * 129: [1], "y": 2}}
    revisions = "/apis/apps/v1/namespaces/default/controllerrevisions"
    server.send("POST", revisions, {"metadata": {"name": "yaml"}, "revision": 1, "data": odd})
    lines.append({"json": server.send("GET", revisions + "/yaml"), "yaml": server.send("GET", revisions + "/yaml", accept="application/yaml")})
    server.send("DELETE", revisions + "/yaml")
    with open(options.out, "w") as out:
        for line in lines:
            out.write(json.dumps(line, sort_keys=True) + "\n")
    print(len(lines), "bodies")


if __name__ == "__main__":
    main()
