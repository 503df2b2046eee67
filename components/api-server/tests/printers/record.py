#!/usr/bin/env python3
"""Writes tables.jsonl: rows that a real kube-apiserver prints for the objects of samples.py, with the objects as they were in the
same answer. Usage: record.py --server URL --cert FILE --key FILE --out FILE. Takes its objects away again."""
import argparse
import base64
import datetime
import email.utils
import json
import ssl
import subprocess
import urllib.error
import urllib.request

import samples

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


class Server:
    def __init__(self, url, cert, key):
        self.url = url
        self.context = ssl._create_unverified_context()
        self.context.load_cert_chain(cert, key)

    def send(self, method, path, body=None, accept="application/json", content_type="application/json"):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Accept": accept, "Content-Type": content_type}, method=method)
        try:
            with urllib.request.urlopen(request, context=self.context) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}"), error.headers


def signing_request():
    text = subprocess.run("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null -subj /CN=tables", shell=True, check=True,
                          capture_output=True).stdout
    spec = {"request": base64.b64encode(text).decode(), "signerName": "a.example/b", "usages": ["client auth"]}
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
    denied = {"conditions": [{"type": "Denied", "status": "True"}]}
    yield path, {**kind, "metadata": {"name": "tables-new"}, "spec": spec}, None, {}
    yield path, {**kind, "metadata": {"name": "tables-long"}, "spec": {**spec, "expirationSeconds": 86400 * 3}}, denied, {"status": "approval"}


def row_of(server, path, query=""):
    code, table, headers = server.send("GET", path + "?includeObject=Object" + query, accept=TABLE)
    if code != 200:
        raise SystemExit(f"{path}: {code} {table}")
    now = email.utils.parsedate_to_datetime(headers["Date"])
    row = table["rows"][0]
    return table["columnDefinitions"], row, now.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main():
    parser = argparse.ArgumentParser()
    for name in ("server", "cert", "key", "out"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    server = Server(options.server, options.cert, options.key)
    server.send("POST", "/api/v1/namespaces", {"metadata": {"name": samples.NAMESPACE}})
    server.send("POST", samples.IN + "/serviceaccounts", {"metadata": {"name": "default"}})
    lines, failed = [], []
    for path, body, status, extra in [*samples.SAMPLES, *signing_request()]:
        name = body["metadata"]["name"]
        if "owner" in extra:
            owner = server.send("GET", extra["owner"])[1]
            body["metadata"]["ownerReferences"] = [{"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"],
                                                    "uid": owner["metadata"]["uid"], "controller": True}]
        code, made, _ = server.send("POST", path, body)
        if code not in (201, 409):
            failed.append(f"{path} {name}: {code} {made.get('message')}")
            continue
        if status is not None:
            at = f"{path}/{name}/{extra.get('status', 'status')}"
            code, changed, _ = server.send("PATCH", at, {"status": status}, content_type="application/merge-patch+json")
            if code != 200:
                failed.append(f"{at}: {code} {changed.get('message')}")
        if extra.get("delete"):
            server.send("DELETE", f"{path}/{name}")
        shown = [f"{path}/{name}"]
        if "twin" in extra:
            g, _, v = extra["twin"].rpartition("/")
            shown.append(samples.group(g, v) + path[path.index("/namespaces"):] + "/" + name)
        if extra.get("scale"):
            shown.append(f"{path}/{name}/scale")
        for at in shown:
            columns, row, now = row_of(server, at)
            shown_object = row["object"]
            shown_object["metadata"].pop("managedFields", None)
            line = {"path": at, "now": now, "columns": [[c["name"], c["type"], c["format"], c["priority"]] for c in columns], "cells": row["cells"],
                    "object": shown_object}
            if row.get("conditions"):
                line["conditions"] = row["conditions"]
            lines.append(json.dumps(line, sort_keys=True, separators=(",", ":")))
    for path, body, _, _ in [*samples.SAMPLES, *signing_request()]:
        at = path + "/" + body["metadata"]["name"]
        server.send("DELETE", at, {"gracePeriodSeconds": 0})
        clear = [{"op": "add", "path": "/metadata/finalizers", "value": []}]
        server.send("PATCH", at, clear, content_type="application/json-patch+json")
    server.send("DELETE", "/api/v1/namespaces/" + samples.NAMESPACE)
    if failed:
        raise SystemExit("\n".join(failed))
    with open(options.out, "w") as out:
        out.write("\n".join(lines) + "\n")
    print(len(lines), "rows")


if __name__ == "__main__":
    main()
