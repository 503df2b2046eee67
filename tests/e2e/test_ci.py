"""scripts/ci-cluster, and every shell line of docs/ci.md as the job that it stands in would run it."""
import json
import os
import re
import subprocess

import yaml
from harness.functions import Skipped, time_limit
from harness.kubectls import kubectls
from harness.programs import host_state


def setup(context):
    context.binary("rusternetes-ctl")
    if not kubectls():
        raise Skipped("there is no kubectl in $KUBECTLS or on PATH")
    folder = os.path.join(context.work, "job")
    os.makedirs(os.path.join(folder, "bin"))
    os.symlink(context.root, os.path.join(folder, "rusternetes"))
    os.symlink(context.kubectl.path, os.path.join(folder, "bin", "kubectl"))
    context.state["folder"] = folder


def blocks(context, language):
    with open(os.path.join(context.root, "docs", "ci.md"), encoding="utf-8") as file:
        return re.findall(rf"^```{language}\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)


def shell(context, text, check=True, **variables):
    """The completed shell, in a folder that has the checkout, with the environment of one job."""
    folder = context.state["folder"]
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", text], cwd=folder, capture_output=True, text=True, check=False,
                          timeout=context.seconds(120), stdin=subprocess.DEVNULL,
                          env={**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}", "RUSTERNETES_BIN": context.bin, **variables})
    assert not check or done.returncode == 0, (text, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stderr, "control codes without a terminal"
    return done


def is_gone(context, name):
    return not os.path.exists(f"/var/tmp/rusternetes-{name}") and not os.path.exists(f"/var/tmp/rusternetes-{name}.kubeconfig")


@time_limit(120)
def test_the_shell_lines(context):
    (text,) = blocks(context, "sh")
    done = shell(context, text, CI_JOB_ID="7")
    assert re.search(r"\bReady\b", done.stdout) and "configmap/greeting created" in done.stdout, done
    assert is_gone(context, "ci-7")


@time_limit(120)
def test_the_job_of_github(context):
    job = yaml.safe_load(blocks(context, "yaml")[0])["jobs"]["test"]
    file, variables = os.path.join(context.work, "github-env"), {"GITHUB_RUN_ID": "8"}
    open(file, "w", encoding="utf-8").close()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    assert len(steps) == 3
    for step in steps:
        shell(context, step, GITHUB_ENV=file, **variables)
        with open(file, encoding="utf-8") as lines:
            variables.update(line.strip().split("=", 1) for line in lines)
    assert is_gone(context, "ci-8")


@time_limit(120)
def test_the_job_of_gitlab(context):
    job = yaml.safe_load(blocks(context, "yaml")[1])["test"]
    shell(context, "\n".join(job["before_script"] + job["script"]), CI_JOB_ID="9")
    shell(context, "\n".join(job["after_script"]), CI_JOB_ID="9")
    assert is_gone(context, "ci-9")


@time_limit(180)
def test_exit_codes_and_json(context):
    before = host_state(context)
    script = "rusternetes/scripts/ci-cluster"
    made = shell(context, f"{script} --name jobs --output json --engine {context.engine}")
    told = json.loads(made.stdout)
    assert told["name"] == "jobs" and told["context"] == "rusternetes-jobs", told
    assert os.stat(told["kubeconfig"]).st_mode & 0o077 == 0
    shell(context, f"kubectl --kubeconfig {told['kubeconfig']} get --raw /readyz")
    again = shell(context, f"{script} --name jobs", check=False)
    assert (again.returncode, again.stdout) == (4, ""), again
    # Nobody takes away what another job has made.
    shell(context, f"kubectl --kubeconfig {told['kubeconfig']} get --raw /readyz")
    for _ in range(2):
        assert shell(context, f"{script} --delete --name jobs").stdout == ""
        assert is_gone(context, "jobs")
    for words, code in (("--colour", 2), ("--output xml", 2), ("--name", 2), ("--name jobs -- --mode none", 2), ("--bin /nowhere", 5)):
        done = shell(context, f"{script} {words}", check=False)
        assert (done.returncode, done.stdout) == (code, "") and done.stderr, (words, done)
    # One that does not get ready is shown and taken away.
    late = shell(context, f"{script} --name jobs --wait 1ms", check=False)
    assert late.returncode == 9 and "[NotReady]" in late.stderr, late
    assert is_gone(context, "jobs")
    assert [line for line in host_state(context) if "jobs" in line] == [line for line in before if "jobs" in line]
