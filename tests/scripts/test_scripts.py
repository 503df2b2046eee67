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


def test_every_script_says_how_it_is_used(context):
    folder = os.path.join(context.root, "scripts")
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            done = context.run(path, "--help", check=False)
            assert "Usage: scripts/" + name in done.stdout + done.stderr, f"{name}: {done}"


def test_every_path_that_the_architecture_names_exists(context):
    listed = context.run("git", "-C", context.root, "ls-files", check=False)
    if listed.returncode:
        raise Skipped("this tree is no clone")
    files = set(listed.stdout.splitlines())
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
