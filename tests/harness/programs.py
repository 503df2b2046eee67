"""Programs that a test starts itself, without the launcher, and what the engine says when asked directly."""
import json
import os
import re
import signal
import socket
import subprocess

from harness.cluster import IMAGE, Cluster


class Program:
    """Runs from its construction on. Standard output and error go to files in the test's folder."""

    def __init__(self, context, name, *words, env=None):
        self.context, self.name = context, name
        base = os.path.join(context.work, name)
        self.output_path, self.log_path = base + ".out", base + ".log"
        with open(self.output_path, "w", encoding="utf-8") as out, open(self.log_path, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                                            env={**os.environ, **(env or {})})

    @property
    def pid(self):
        return self.process.pid

    def output(self):
        with open(self.output_path, encoding="utf-8") as file:
            return file.read()

    def log(self):
        with open(self.log_path, encoding="utf-8") as file:
            return file.read()

    def is_running(self):
        return self.process.poll() is None

    def assert_running(self):
        assert self.is_running(), f"{self.name} ended with {self.process.returncode}:\n{self.log()[-3000:]}"

    def wait(self, timeout=30.0):
        return self.process.wait(self.context.seconds(timeout))

    def stop(self, how=signal.SIGTERM, timeout=30.0):
        """The exit code."""
        if self.is_running():
            self.process.send_signal(how)
        return self.wait(timeout)

    def end(self):
        """For clean-ups: nothing is asserted."""
        if self.is_running():
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class KubeconfigCluster(Cluster):
    """What tests ask of a cluster, of one that is known by its kubeconfig alone."""

    def __init__(self, context, name, kubeconfig):  # pylint: disable=super-init-not-called
        self.context, self.name, self.kubeconfig = context, name, kubeconfig


def call_engine(context, method, path, body_file=None, check=True):
    """The parsed answer of the engine's API, or its text."""
    words = ["curl", "-sf" if check else "-s", "--unix-socket", context.socket, "-X", method, f"http://engine/v1.41{path}"]
    if body_file:
        words += ["-H", "content-type: application/x-tar", "--data-binary", f"@{body_file}"]
    text = context.run(*words, check=check, timeout=120).stdout
    try:
        return json.loads(text)
    except ValueError:
        return text


def load_busybox(context, reference=IMAGE):
    archive = os.path.join(context.work, re.sub(r"\W", "_", reference) + ".tar")
    context.run(context.script("busybox-image"), archive, reference)
    call_engine(context, "POST", "/images/load", archive)


def free_port(address="127.0.0.1"):
    """Nobody listens on it now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return probe.getsockname()[1]


def host_state(context):
    """Lines of scripts/host-state, without the engine's own: Podman mounts its store on itself, and whichever of its
    processes ends last takes that away."""
    lines = context.run(context.script("host-state")).stdout.splitlines()
    return [line for line in lines if not line.startswith("mount: /var/lib/containers/storage/overlay ")]


def differences(before, after):
    """(what is gone, what was added)"""
    return [l for l in before if l not in set(after)], [l for l in after if l not in set(before)]
