"""What people and CI rely on in scripts/ and in the harness itself: counts, time lists, skips, reproducible images."""
import hashlib
import os
import pathlib
import re
import stat
import sys

from harness import catch, results
from harness.functions import Skipped


def write(context, name, text, executable=False):
    path = os.path.join(context.work, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    if executable:
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


class Options:
    slowness, seed = 0.02, 1


def entry(command, timeout=100.0):
    return {"name": "made_up", "command": command, "labels": ["unit"], "timeout": timeout, "directory": "/"}


def test_the_tally_names_skipped_tests_only_if_there_are_any(_context):
    line = lambda result: {"phase": "p", "name": "n", "result": result, "reason": "", "seconds": 0}
    assert results.tally([line("passed"), line("failed")]) == "1 passed, 1 failed"
    assert results.tally([line("passed"), line("skipped"), line("skipped")]) == "1 passed, 0 failed, 2 skipped"


def test_the_summary_fails_when_a_test_failed_or_none_ran(context):
    path = os.path.join(context.work, "results.jsonl")
    summary = lambda: context.run(sys.executable, "-m", "harness.results", "summary", path, check=False)
    assert summary().returncode == 1
    results.Results(path, "one").add("good", "passed")
    results.Results(path, "one").add("other", "skipped", "no such thing here")
    done = summary()
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "1 passed, 0 failed, 1 skipped", done.stdout
    assert "no such thing here: other" in done.stdout
    results.Results(path, "two").add("bad", "failed", "why")
    done = summary()
    assert done.returncode == 1 and done.stdout.splitlines()[-1] == "1 passed, 1 failed, 1 skipped", done.stdout


REPORT = """<?xml version="1.0"?><Catch name="x"><Group name="x">
<TestCase name="good"><OverallResult success="true" durationInSeconds="0.5"/></TestCase>
<TestCase name="bad"><Expression success="false" type="CHECK" filename="f.cpp" line="7"><Original>a == b</Original>
<Expanded>1 == 2</Expanded></Expression><OverallResult success="false"/></TestCase>
<TestCase name="absent"><OverallResult success="true"><StdOut>SKIPPED: no engine</StdOut></OverallResult></TestCase>
"""


def fake_catch(context, report, ending):
    """A program that writes `report` where Catch2 would, and then does `ending`."""
    text = f"#!/bin/sh\nwhile [ $# -gt 0 ]; do [ \"$1\" != --out ] || out=$2; shift; done\ncat >$out <<'X'\n{report}\nX\n{ending}\n"
    return [write(context, f"fake-{abs(hash((report, ending)))}", text, executable=True)]


def test_each_test_case_counts_with_what_failed_and_why_it_was_skipped(context):
    cases = catch.run_catch(entry(fake_catch(context, REPORT + "</Group></Catch>", "exit 1")), "", Options)
    assert [(c[0], c[1], c[2]) for c in cases] == [
        ("good", "passed", ""), ("bad", "failed", ""), ("absent", "skipped", "no engine")], cases
    assert cases[1][4] == ["f.cpp:7: a == b with 1 == 2"]


def test_a_crash_fails_the_test_case_that_was_running_and_keeps_those_before(context):
    whole = REPORT.replace('success="false"', 'success="true"')
    cases = catch.run_catch(entry(fake_catch(context, whole + '<TestCase name="crasher">', "echo oops; kill -SEGV $$")), "", Options)
    assert cases[-1][:3] == ("crasher", "failed", "ended with code -11") and "oops" in cases[-1][4], cases[-1]


def test_a_program_that_does_not_end_is_ended_and_counts_as_failed(context):
    cases = catch.run_catch(entry(fake_catch(context, "<Catch>", "sleep 1000"), timeout=10), "", Options)
    assert len(cases) == 1 and cases[0][1] == "failed" and "not done after" in cases[0][2], cases


def test_a_program_that_fails_without_a_failed_case_counts_as_failed(context):
    report = '<Catch><TestCase name="a"><OverallResult success="true"/></TestCase></Catch>'
    cases = catch.run_catch(entry(fake_catch(context, report, "echo leak; exit 23")), "", Options)
    assert [c[1] for c in cases] == ["passed", "failed"] and cases[1][2] == "ended with code 23", cases


def results_of(path):
    return {(line["name"], line["result"]) for line in results.read(path)}


def test_a_program_that_cannot_be_started_fails_and_the_others_run(_context):
    options = type("", (Options,), {"tag": "world"})
    _, cases, _ = catch.run_entry(entry([os.path.abspath(__file__)]), options)
    assert [(c[0], c[1]) for c in cases] == [("made_up", "failed")] and "could not be run" in cases[0][2], cases


def run_functions(context, folder, path):
    return context.run(sys.executable, "-m", "harness.functions", "--root", context.root, "--bin", context.bin, "--folder",
                       os.path.join(context.work, folder), "--results", path, "--phase", "p", check=False)


def test_a_test_file_that_cannot_be_loaded_fails_and_those_after_it_run(context):
    for name, text in {"a": "def test_x(_context:\n", "b": "import no_such_module\n", "c": "import sys\nsys.exit(0)\n",
                       "d": "def test_good(_context):\n    pass\n"}.items():
        write(context, f"broken/test_{name}.py", text)
    path = os.path.join(context.work, "broken.jsonl")
    done = run_functions(context, "broken", path)
    assert done.returncode == results.TESTS_FAILED, done
    assert results_of(path) == {("a.load", "failed"), ("b.load", "failed"), ("c.load", "failed"), ("d.good", "passed")}, done


def test_a_harness_that_ends_in_the_middle_is_told_from_one_whose_tests_failed(context):
    write(context, "torn/test_a.py", "import os\n\n\ndef test_x(_context):\n    os._exit(1)\n")
    assert run_functions(context, "torn", os.path.join(context.work, "torn.jsonl")).returncode == 1
    path = write(context, "cut.jsonl", '{"phase": "p", "name": "n", "result": "passed", "reason": "", "seconds": 0}\n{"phase": "p')
    assert results.tally(results.read(path)) == "1 passed, 1 failed"


def test_a_phase_that_cannot_run_is_a_failure_of_the_whole(context):
    path = os.path.join(context.work, "phases.jsonl")
    done = context.run(context.script("test"), "--unit", "--no-build", "--preset", "nowhere", "--only", "^no such test$",
                       "--results", path, timeout=300, check=False)
    assert done.returncode == 1, done
    failed = [line for line in results.read(path) if line["phase"] == "unit nowhere"]
    assert [line["result"] for line in failed] == ["failed"] and "it ended with code 1" in failed[0]["reason"], failed
    # What went as it should have is not counted as if it had not.
    assert not [line for line in results.read(path) if line["phase"] == "scripts"]


def test_peers_without_go_are_skipped_with_the_reason(context):
    done = context.run(context.script("peers"), "kubectl", env={"GO": write(
        context, "old-go", "#!/bin/sh\necho go1.25.3\n", executable=True)})
    assert done.stdout.startswith("SKIPPED: kubectl: needs Go 1.26,"), done.stdout
    assert context.run(context.script("peers"), "nobody", check=False).returncode == 1


def test_the_same_busybox_makes_the_same_image(context):
    if context.run("sh", "-c", "command -v busybox", check=False).returncode:
        raise Skipped("busybox-static is not installed")
    digests = set()
    for name in ("one.tar", "two.tar"):
        path = os.path.join(context.work, name)
        context.run(context.script("busybox-image"), path)
        with open(path, "rb") as file:
            digests.add(hashlib.sha256(file.read()).hexdigest())
    assert len(digests) == 1


def test_package_groups_are_refused_by_name_and_listed_without_installing(context):
    packages = context.run(context.script("packages"), "--list", "build").stdout.split()
    assert "clang-16" in packages and "podman" not in packages
    refused = context.run(context.script("packages"), "nonsense", check=False)
    assert refused.returncode == 1 and "unknown group nonsense" in refused.stderr


def test_the_host_state_comparison_names_what_came_and_went_but_no_new_modules_settings(context):
    before = write(context, "before", "link: a\nsysctl: net/x = 1\n")
    after = write(context, "after", "link: b\nsysctl: net/x = 2\nsysctl: net/bridge/y = 1\n")
    done = context.run(context.script("host-state"), "--diff", before, after, check=False)
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == ["added: link: b", "added: sysctl: net/x = 2", "gone:  link: a", "gone:  sysctl: net/x = 1"]
    same = context.run(context.script("host-state"), "--diff", before, before)
    assert same.stdout == ""


# What scripts/quickstart calls; each call is a line in `calls`.
STAND_INS = {
    "tree/scripts/packages": "", "tree/scripts/build": "", "tree/scripts/busybox-image": "",
    "tree/build/release/bin/rusternetes-ctl": """case $1 in
  status) printf '%s\\n' "$STATUS"; exit "$STATUS_CODE" ;;
  start) echo "the port is in use" >&2; exit "$START_CODE" ;;
esac""",
    "bin/id": "echo 0", "bin/docker": "", "bin/kubectl": "case $* in *jsonpath*) echo Running ;; esac",
}


def quickstart(context, *words, status, status_code=0, start_code=0):
    """(the completed process, which programs it called with which words)"""
    calls = write(context, "quickstart/calls", "")
    for name, text in STAND_INS.items():
        write(context, "quickstart/" + name, f'#!/bin/sh\necho "${{0##*/}} $*" >> {calls}\n{text}\n', executable=True)
    for name in ("quickstart", "lib.sh"):
        with open(context.script(name), encoding="utf-8") as file:
            path = write(context, "quickstart/tree/scripts/" + name, file.read(), executable=True)
    folder = os.path.join(context.work, "quickstart")
    done = context.run(os.path.join(os.path.dirname(path), "quickstart"), *words, check=False, env={
        "PATH": folder + "/bin:" + os.environ["PATH"], "KUBECTLS": folder + "/bin/kubectl", "STATUS": status,
        "STATUS_CODE": str(status_code), "START_CODE": str(start_code)})
    with open(calls, encoding="utf-8") as file:
        return done, file.read().splitlines()


def words_of(calls, program):
    return [call.split()[1] for call in calls if call.startswith(program + " ")]


def test_quickstart_creates_what_is_not_there_and_starts_what_is_stopped(context):
    done, calls = quickstart(context, "--engine", "docker", status='{"error":{"id":"ClusterNotFound"}}', status_code=3)
    assert done.returncode == 0, done
    assert "rusternetes-ctl create rusternetes --engine docker --wait 60s --yes" in calls, calls
    assert "start" not in words_of(calls, "rusternetes-ctl"), calls
    done, calls = quickstart(context, "--name", "mine", status='{"name":"mine","engine":"podman"}', status_code=9)
    assert done.returncode == 0 and "rusternetes-ctl start mine --wait 60s" in calls, (done, calls)
    assert "create" not in words_of(calls, "rusternetes-ctl"), calls
    done, calls = quickstart(context, status='{"engine":"podman"}')
    assert done.returncode == 0 and not {"create", "start"} & set(words_of(calls, "rusternetes-ctl")), (done, calls)


def test_quickstart_says_why_a_cluster_does_not_start_and_makes_no_other(context):
    done, calls = quickstart(context, status='{"engine":"podman"}', status_code=9, start_code=6)
    assert done.returncode == 6 and "the port is in use" in done.stderr, done
    assert "create" not in words_of(calls, "rusternetes-ctl"), calls
    done, calls = quickstart(context, status='{"error":{"id":"StateDamaged"}}', status_code=7)
    assert done.returncode != 0 and not {"create", "start"} & set(words_of(calls, "rusternetes-ctl")), (done, calls)


def test_quickstart_refuses_another_engine_than_the_clusters_before_it_touches_that(context):
    done, calls = quickstart(context, "--engine", "docker", status='{"name":"rusternetes","engine":"podman","ready":true}')
    assert done.returncode == 1 and "uses podman" in done.stderr and "--name" in done.stderr, done
    assert not words_of(calls, "docker") and not [c for c in calls if c.startswith("packages")], calls


def test_every_script_says_how_it_is_used(context):
    folder = os.path.join(context.root, "scripts")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            done = context.run(path, "--help", check=False)
            assert "Usage: scripts/" + name in done.stdout + done.stderr, f"{name}: {done}"


def test_every_path_that_the_architecture_names_exists(context):
    files = set()
    for folder, names, found in os.walk(context.root):
        names[:] = [name for name in names if name not in (".git", "build")]
        files |= {os.path.relpath(os.path.join(folder, file), context.root) for file in found}
    folders = {str(folder) for file in files for folder in pathlib.PurePath(file).parents}
    missing = []
    with open(os.path.join(context.root, "docs/ARCHITECTURE.md"), encoding="utf-8") as text:
        words = re.findall(r"`([^`\n]+)`", text.read())
    for word in words:
        if not re.fullmatch(r"[A-Za-z0-9_./*-]+", word) or ("/" not in word and not re.search(r"\.(cpp|h|md|schema)$", word)):
            continue
        name = word.replace("*.schema", "core_v1.schema").rstrip("/")
        if name not in files and name not in folders and not any(f.endswith("/" + name) for f in files | folders):
            missing.append(word)
    assert len(words) > 50 and not missing, missing
