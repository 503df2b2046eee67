"""What api-servers keep their objects in: rhino, etcd of one member or of three; and certificates for all."""
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request

import harness.functions
from harness.programs import Program, free_port


def need(condition, reason):
    if not condition:
        raise harness.functions.Skipped(reason)


def peer(context, name):
    path = os.path.join(os.environ.get("PEERS", os.path.join(context.root, "build/peers")), name)
    need(os.access(path, os.X_OK), f"there is no {name} in $PEERS (scripts/peers builds it)")
    return path


def etcd_34(context):
    """Debian 12's, or one that somebody put beside the peers."""
    for path in (os.path.join(os.environ.get("PEERS", os.path.join(context.root, "build/peers")), "etcd-3.4"), "/usr/bin/etcd"):
        if os.access(path, os.X_OK) and "etcd Version: 3.4." in context.run(path, "--version").stdout:
            return path
    return need(False, "there is no etcd 3.4: neither /usr/bin/etcd nor etcd-3.4 in $PEERS")


class Authority:
    """Signs certificates for 127.0.0.1 and for users; one a run."""

    def __init__(self, context):
        self.context, self.folder = context, os.path.join(context.work, "pki")
        os.makedirs(self.folder)
        context.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path("ca.key"))
        context.run("openssl", "req", "-x509", "-new", "-key", self.path("ca.key"), "-out", self.path("ca.crt"), "-days", "2", "-subj",
                    "/CN=ca", "-addext", "keyUsage=critical,digitalSignature,keyCertSign")
        context.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path("sa.key"))
        context.run("openssl", "ec", "-in", self.path("sa.key"), "-pubout", "-out", self.path("sa.pub"))
        for name, subject in (("server", "/CN=server"), ("etcd-client", "/CN=etcd-client"), ("admin", "/O=system:masters/CN=admin")):
            self.issue(name, subject)
        with open(self.path("tokens.csv"), "w", encoding="utf-8") as file:
            file.write('admin-token,admin,admin,"system:masters"\n')

    def path(self, name):
        return os.path.join(self.folder, name)

    def issue(self, name, subject):
        self.context.run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.path(f"{name}.key"),
                         "-out", self.path(f"{name}.csr"), "-subj", subject)
        with open(self.path("extensions"), "w", encoding="utf-8") as file:
            file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\nextendedKeyUsage=serverAuth,clientAuth\nkeyUsage=digitalSignature\n")
        self.context.run("openssl", "x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key"),
                         "-CAcreateserial", "-out", self.path(f"{name}.crt"), "-days", "2", "-extfile", self.path("extensions"))


def authority(context):
    if not hasattr(context, "test_authority"):
        context.test_authority = Authority(context)
    return context.test_authority


class Member:
    """One process of a store, rhino's or etcd's. It can be killed, paused and started again on the same ports and data."""

    def __init__(self, context, name, program, scheme):
        self.context, self.name, self.path, self.scheme = context, name, program, scheme
        self.url = f"{scheme}://127.0.0.1:{free_port()}"
        self.peer_url = f"http://127.0.0.1:{free_port()}"
        self.data = os.path.join(context.work, f"{name}.data")
        self.program, self.starts = None, 0

    def start(self, initial_cluster):
        self.starts += 1
        words = ["--name", self.name, "--data-dir", self.data, "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                 "--listen-peer-urls", self.peer_url, "--initial-advertise-peer-urls", self.peer_url, "--initial-cluster", initial_cluster]
        if self.scheme == "https":
            pki = authority(self.context)
            words += ["--cert-file", pki.path("server.crt"), "--key-file", pki.path("server.key"), "--client-cert-auth",
                      "--trusted-ca-file", pki.path("ca.crt")]
        self.program = Program(self.context, f"{self.name}-{self.starts}", self.path, *words)

    def kill(self):
        self.program.process.kill()
        self.program.process.wait()

    def pause(self):
        self.program.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.program.process.send_signal(signal.SIGCONT)


class Store:
    """A cluster of them, empty at first."""

    def __init__(self, context, name, program, members=1, scheme="http"):
        self.context, self.scheme = context, scheme
        self.members = [Member(context, f"{name}-{i}", program, scheme) for i in range(members)]
        self.initial_cluster = ",".join(f"{m.name}={m.peer_url}" for m in self.members)
        self.start(*self.members)

    @classmethod
    def of(cls, context, kind, name, **more):
        return cls(context, name, context.binary("rhino") if kind == "rhino" else peer(context, "etcd"), **more)

    @property
    def servers(self):
        return ",".join(m.url for m in self.members)

    def start(self, *members):
        for member in members:
            member.start(self.initial_cluster)
        for member in members:
            self.context.wait_until(f"{member.name} to serve", lambda one=member: self.is_healthy(one), 30)

    def is_healthy(self, member):
        member.program.assert_running()
        words = ["curl", "-sf", "-m", "3", f"{member.url}/health"]
        if self.scheme == "https":
            pki = authority(self.context)
            words += ["--cacert", pki.path("ca.crt"), "--cert", pki.path("etcd-client.crt"), "--key", pki.path("etcd-client.key")]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.returncode == 0 and json.loads(done.stdout).get("health") == "true"

    def restart(self, member):
        """As after a crash."""
        member.kill()
        self.start(member)

    def flags(self):
        """What an api-server is told."""
        words = ["--etcd-servers", self.servers]
        if self.scheme == "https":
            pki = authority(self.context)
            words += ["--etcd-cafile", pki.path("ca.crt"), "--etcd-certfile", pki.path("etcd-client.crt"), "--etcd-keyfile", pki.path("etcd-client.key")]
        return words

    def etcdctl(self, *words):
        return self.context.run(peer(self.context, "etcdctl"), "--endpoints", self.servers, *words).stdout

    def stop(self):
        for member in self.members:
            if member.program:
                member.resume() if member.program.is_running() else None
                member.program.end()
            shutil.rmtree(member.data, ignore_errors=True)
