"""The Python client creates, lists and watches."""
import os
import subprocess
import sys

from control_plane import ControlPlane, need


def interpreter():
    for candidate in (sys.executable, "/usr/bin/python3"):
        if os.access(candidate, os.X_OK) and subprocess.run([candidate, "-c", "import kubernetes"], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def test_create_list_and_watch(context):
    python = interpreter()
    need(python, "the Python client is not there (Debian's python3-kubernetes)")
    plane = ControlPlane(context, "python")
    try:
        done = context.run(python, os.path.join(context.root, "tests/clients/python/create_list_watch.py"),
                           env={"KUBECONFIG": plane.kubeconfig("admin")}, timeout=90)
        assert done.stdout.strip() == "well", done.stdout
    finally:
        plane.stop()
