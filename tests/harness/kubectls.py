"""The kubectl binaries that tests use: those of $KUBECTLS (paths with spaces between), of $PEERS (default build/peers),
and of PATH, there also the kubectl.1.27 and the like that some distributions put beside it. One a version, oldest
first."""
import json
import os
import re
import subprocess
import sys

NAME = re.compile(r"kubectl([.-]v?1\.\d+(\.\d+)?)?$")


class Kubectl:
    def __init__(self, path, version):
        self.path, self.version = path, version
        self.key = tuple(int(n) for n in re.findall(r"\d+", version)[:3])

    @property
    def minor(self):
        return self.key[1]


def candidates():
    yield from os.environ.get("KUBECTLS", "").split()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    yield os.path.join(os.environ.get("PEERS", os.path.join(root, "build", "peers")), "kubectl")
    for folder in os.environ.get("PATH", "").split(":"):
        path = os.path.join(folder, "kubectl")
        if os.path.exists(path):
            yield path
            # PATH may hold a link to where its siblings are.
            for beside in {folder, os.path.dirname(os.path.realpath(path))}:
                yield from (os.path.join(beside, n) for n in sorted(os.listdir(beside)) if NAME.match(n))


def version_of(path):
    """Such as 1.33.1; None if this is not a kubectl that runs here."""
    try:
        done = subprocess.run([path, "version", "--client", "-o", "json"], capture_output=True, text=True, timeout=30,
                              check=True, env={**os.environ, "KUBECONFIG": "/dev/null"})
        return json.loads(done.stdout)["clientVersion"]["gitVersion"].lstrip("v")
    except (OSError, subprocess.SubprocessError, ValueError, KeyError):
        return None


def kubectls():
    found = {}
    seen = set()
    for path in candidates():
        real = os.path.realpath(path)
        if real in seen or not os.access(real, os.X_OK):
            continue
        seen.add(real)
        version = version_of(path)
        # A dispatcher only starts the one beside it that fits the server; those are taken themselves.
        if version and "dispatcher" not in version:
            found.setdefault(version, Kubectl(path, version))
    return sorted(found.values(), key=lambda k: k.key)


if __name__ == "__main__":
    for kubectl in kubectls():
        print(kubectl.version, kubectl.path)
    sys.exit(0)
