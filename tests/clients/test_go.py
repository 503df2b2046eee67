"""client-go and controller-runtime's envtest: the Go module in go/, built and run where Go and its modules are at hand."""
import os
import re
import shutil

from control_plane import ControlPlane, need
from harness.functions import time_limit


def go_program():
    for candidate in (os.environ.get("GO"), shutil.which("go"), "/usr/local/go/bin/go"):
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    return None


@time_limit(900)  # the first build compiles client-go
def test_the_module_builds(context):
    go = go_program()
    need(go, "there is no Go on PATH")
    folder = os.path.join(context.root, "tests/clients/go")
    environment = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    fetched = context.run(go, "-C", folder, "mod", "download", timeout=300, check=False, env=environment)
    need(fetched.returncode == 0, "the Go modules cannot be had: " + " ".join(fetched.stderr.split())[:200])
    binary = os.path.join(context.work, "go-clients")
    context.run(go, "-C", folder, "test", "-c", "-vet=off", "-o", binary, ".", timeout=900, env=environment)
    context.state["binary"] = binary


def run_tests(context, pattern, environment):
    need("binary" in context.state, "the Go tests were not built")
    done = context.run(context.state["binary"], "-test.run", pattern, "-test.v", timeout=150, check=False, env=environment)
    told = re.findall(r"^\s*--- (PASS|FAIL|SKIP): (\S+)", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and told and all(word == "PASS" for word, _ in told), f"{done.stdout[-4000:]}{done.stderr[-3000:]}"
    return [name for _, name in told]


def test_client_go_creates_lists_watches_and_elects(context):
    need("binary" in context.state, "the Go tests were not built")
    plane = ControlPlane(context, "client-go")
    try:
        names = run_tests(context, "^Test(Create|Conflict|Informers|Dynamic|Leader)", {"KUBECONFIG": plane.kubeconfig("admin")})
        assert len([n for n in names if "/" not in n]) == 5, names
    finally:
        plane.stop()


def test_envtest_starts_our_api_server(context):
    assert run_tests(context, "^TestEnvtestRunsOnOur", {"API_SERVER": context.binary("api-server")}) == ["TestEnvtestRunsOnOurAPIServer"]


def test_envtest_starts_rhino_and_our_api_server(context):
    binaries = {"API_SERVER": context.binary("api-server"), "RHINO": context.binary("rhino")}
    assert run_tests(context, "^TestEnvtestRunsOnRhino", binaries) == ["TestEnvtestRunsOnRhinoAndOurAPIServer"]
