"""An api-server of ours as a process, users with tokens and kubeconfigs, and the programs that act through it."""
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

import harness.functions

USERS = {  # name: (user, groups)
    "admin": ("admin", "system:masters"),
    "scheduler": ("system:kube-scheduler", ""),
    "controller-manager": ("system:kube-controller-manager", ""),
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A process whose log is kept; ended with its owner."""

    def __init__(self, context, name, *flags):
        self.context, self.name = context, name
        self.log_path = os.path.join(context.work, f"{name}-{id(self):x}.log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen([context.binary(name), *map(str, flags)], stdout=log, stderr=subprocess.STDOUT,
                                            stdin=subprocess.DEVNULL)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_for_line(self, pattern, timeout=30):
        def find():
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log()}"
            return re.search(pattern, self.log())
        return self.context.wait_until(f"{pattern!r} in the log of {self.name}", find, timeout)

    def stop(self, with_signal=signal.SIGTERM, timeout=20):
        """The exit code."""
        if self.process.poll() is None:
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(self.context.seconds(timeout))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not stop:\n{self.log()[-3000:]}") from None


class ControlPlane:
    def __init__(self, context, name):
        self.context = context
        self.folder = os.path.join(context.work, name)
        os.makedirs(self.folder)
        self.programs = []
        with open(self.path("tokens.csv"), "w", encoding="utf-8") as file:
            for short, (user, groups) in USERS.items():
                file.write(f'{short}-token,{user},{short},"{groups}"\n')
        context.run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.path("sa.key"))
        self.server = self.start("api-server", "--data-dir", self.path("data"), "--cert-dir", self.path("certs"), "--secure-port", 0,
                                 "--bind-address", "127.0.0.1", "--authorization-mode", "Node,RBAC", "--token-auth-file",
                                 self.path("tokens.csv"), "--service-account-issuer", "https://kubernetes.default.svc",
                                 "--service-account-signing-key-file", self.path("sa.key"), "--service-account-key-file", self.path("sa.key"))
        port = self.server.wait_for_line(r"serving on 127\.0\.0\.1:(\d+)").group(1)
        self.url = f"https://127.0.0.1:{port}"
        self.authority = self.path("certs/apiserver.crt")
        context.wait_until("the api-server to be ready", lambda: self.request("GET", "/readyz", raw=True) == "ok")

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, name, *flags):
        program = Program(self.context, name, *flags)
        self.programs.append(program)
        return program

    def kubeconfig(self, user):
        path = self.path(f"{user}.kubeconfig")
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "c",
                  "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
                  "clusters": [{"name": "k", "cluster": {"server": self.url, "certificate-authority": self.authority}}],
                  "users": [{"name": "u", "user": {"token": f"{user}-token"}}]}
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        os.chmod(path, 0o600)
        return path

    def request(self, method, path, body=None, raw=False, content_type="application/json"):
        """The answer as the administrator gets it; HTTP errors are raised."""
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"authorization": "Bearer admin-token", "content-type": content_type})
        tls = ssl.create_default_context(cafile=self.authority)
        tls.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        try:
            with urllib.request.urlopen(request, context=tls, timeout=self.context.seconds(20)) as answer:
                text = answer.read().decode()
        except urllib.error.HTTPError as error:
            raise OSError(f"{method} {path}: {error.code} {error.read().decode()[:500]}") from None
        return text if raw else json.loads(text)

    def stop(self):
        problems = []
        for program in reversed(self.programs):
            try:
                code = program.stop()
                if code != 0:
                    problems.append(f"{program.name} ended with {code}:\n{program.log()[-2000:]}")
            except AssertionError as problem:
                problems.append(str(problem))
        self.programs = []
        assert not problems, "\n".join(problems)


def need(condition, reason):
    if not condition:
        raise harness.functions.Skipped(reason)
