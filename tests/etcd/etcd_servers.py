"""What tests of etcd v3 servers share: the Go program in go/, the real etcd of $PEERS, and rhino."""
import os
import re
import shutil

import harness.functions
from harness.programs import Program, free_port


def need(condition, reason):
    if not condition:
        raise harness.functions.Skipped(reason)


def share():
    """How much of a long loop to run (scripts/test --full: all of it)."""
    return float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1"))


def seed():
    return int(os.environ.get("RUSTERNETES_TEST_SEED", "0")) or 1


def peer(context, name):
    path = os.path.join(os.environ.get("PEERS", os.path.join(context.root, "build/peers")), name)
    need(os.access(path, os.X_OK), f"there is no {name} in $PEERS (scripts/peers builds it)")
    return path


def build_checker(context):
    """The path of go/'s program; it is built once a run."""
    binary = os.path.join(context.work, "etcd-check")
    if os.path.exists(binary):
        return binary
    candidates = [os.environ.get("GO"), shutil.which("go"), "/usr/local/go/bin/go"]
    go = next((c for c in candidates if c and os.access(c, os.X_OK)), None)
    need(go, "there is no Go on PATH")
    version = re.search(r"go(\d+)\.(\d+)", context.run(go, "env", "GOVERSION").stdout)
    need(version and (int(version[1]), int(version[2])) >= (1, 26), "needs Go 1.26")
    folder = os.path.join(context.root, "tests/etcd/go")
    environment = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    fetched = context.run(go, "-C", folder, "mod", "download", timeout=300, check=False, env=environment)
    need(fetched.returncode == 0, "the Go modules cannot be had: " + " ".join(fetched.stderr.split())[:200])
    context.run(go, "-C", folder, "build", "-o", binary, ".", timeout=900, env=environment)
    return binary


def check(context, *words, timeout=600):
    """(exit code, output) of the program. Its servers' data are in a folder of this run's own."""
    work = os.path.join(context.work, "-".join(str(w) for w in words if re.fullmatch(r"[a-z-]+|[0-9]+", str(w)))[:100])
    os.makedirs(work, exist_ok=True)
    done = context.run(build_checker(context), *words, "--work", work, timeout=timeout, check=False)
    if done.returncode == 1 and "--fault" not in words:
        keep(context, work)
    return done.returncode, done.stdout + done.stderr


def keep(context, work):
    """What can be replayed or looked at outlives the run's folder."""
    kept = os.path.join(context.root, "build", "etcd-failures")
    os.makedirs(kept, exist_ok=True)
    for folder, _, names in os.walk(work):
        for name in names:
            if name.endswith((".jsonl", ".html", ".log")):
                target = os.path.relpath(os.path.join(folder, name), context.work).replace(os.sep, "_")
                shutil.copy(os.path.join(folder, name), os.path.join(kept, target))


class EtcdServer:
    """One etcd, or one rhino, of one member, without anything in it."""

    def __init__(self, context, name, path, data=None):
        self.context = context
        self.url = f"http://127.0.0.1:{free_port()}"
        self.data = data or os.path.join(context.work, f"{name}.data")
        words = ["--data-dir", self.data, "--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        if os.path.basename(path) == "etcd":
            peer_url = f"http://127.0.0.1:{free_port()}"
            words += ["--name", "default", "--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url,
                      "--initial-cluster", f"default={peer_url}", "--log-level", "error"]
            if data:
                words[-4:-2] = ["--force-new-cluster"]
        self.program = Program(context, name, path, *words)

    def stop(self):
        self.program.end()
        shutil.rmtree(self.data, ignore_errors=True)
