"""Runs what CTest knows of a build: Catch2 executables with their XML reporter, so that each test case counts, other
commands by their exit code. What changes a host runs only in scripts/world, and only with --tag: executables labelled
"integration" and test cases tagged [engine] once an engine, test cases tagged [world] in a world without one."""
import argparse
import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree

from harness.results import FAILED, PASSED, SKIPPED, TESTS_FAILED, Results

WORLD_TAGS = ("engine", "world")
SKIP_LINE = re.compile(r"SKIPPED: *(.+)")


def ctest_entries(build):
    output = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True,
                            text=True).stdout
    for test in json.loads(output)["tests"]:
        properties = {p["name"]: p["value"] for p in test.get("properties", [])}
        yield {"name": test["name"], "command": test.get("command", []), "labels": properties.get("LABELS", []),
               "timeout": float(properties.get("TIMEOUT", 300)), "directory": properties.get("WORKING_DIRECTORY", build)}


def run_command(command, directory, timeout):
    """(exit code or None after the timeout, output). The whole process group ends with it."""
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, cwd=directory, stdout=output, stderr=subprocess.STDOUT,
                                   stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        return code, output.read().decode(errors="replace")


def failure_text(case):
    """What failed in a <TestCase>, as an editor can jump to it."""
    lines, infos = [], []
    for node in case.iter():
        if node.tag == "Info" and node.text and node.text.strip() not in infos:
            infos.append(node.text.strip())
        if node.tag == "Expression" and node.get("success") == "false":
            expanded = " ".join((node.findtext("Expanded") or "").split())
            lines.append(f"{node.get('filename')}:{node.get('line')}: {(node.findtext('Original') or '').strip()}"
                         f" with {expanded[:400]}")
            lines += [f"  threw {(e.text or '').strip()[:400]}" for e in node.findall("Exception")]
        elif node.tag in ("Failure", "FatalErrorCondition", "Exception") and node.text:
            lines.append(f"{node.get('filename', '')}:{node.get('line', '')}: {node.tag}: {node.text.strip()[:400]}")
    return lines + [f"  with: {info[:600]}" for info in infos if lines]


def read_cases(report):
    """The (name, result, reason, seconds, failure lines) of the finished test cases in a report, which may be cut off
    by a crash, and the name of the one that was not finished."""
    cases, unfinished = [], None
    try:
        for event, node in ElementTree.iterparse(report, events=("start", "end")):
            if node.tag != "TestCase":
                continue
            if event == "start":
                unfinished = node.get("name")
                continue
            unfinished = None
            overall = node.find("OverallResult")
            texts = [t for t in (e.text for e in node.iter() if e.tag in ("StdOut", "StdErr", "Warning", "Info")) if t]
            skip = next((m for m in map(SKIP_LINE.search, texts) if m), None)
            if overall is None or overall.get("success") != "true":
                cases.append((node.get("name"), FAILED, "", 0.0, failure_text(node)))
            else:
                seconds = float(overall.get("durationInSeconds", 0))
                cases.append((node.get("name"), SKIPPED if skip else PASSED, skip.group(1).strip() if skip else "",
                              seconds, []))
            node.clear()
    except ElementTree.ParseError:
        pass
    return cases, unfinished


def run_catch(entry, spec, options):
    """All test cases of one executable that match `spec`."""
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        command = entry["command"] + [spec, "--reporter", "xml", "--out", report, "--durations", "yes"]
        if options.seed is not None:
            command += ["--rng-seed", str(options.seed)]
        code, output = run_command(command, entry["directory"], entry["timeout"] * options.slowness)
        cases, unfinished = read_cases(report) if os.path.exists(report) else ([], None)
    # A line that a test wrote past std::cout, by printf or from a child, is not in the report.
    loose = SKIP_LINE.findall(output)
    for reason in loose:
        index = next((i for i, case in enumerate(cases) if case[1] == PASSED), None)
        if index is not None:
            cases[index] = (cases[index][0], SKIPPED, reason.strip(), cases[index][3], [])
    failed = any(case[1] == FAILED for case in cases)
    if code is None:
        cases.append((unfinished or entry["name"], FAILED, f"not done after {entry['timeout'] * options.slowness:.0f} s",
                      0.0, output.splitlines()[-30:]))
    elif code != 0 and not failed:
        cases.append((unfinished or entry["name"], FAILED, f"ended with code {code}", 0.0, output.splitlines()[-60:]))
    return cases


def run_plain(entry, options):
    code, output = run_command(entry["command"], entry["directory"], entry["timeout"] * options.slowness)
    skip = SKIP_LINE.search(output)
    if code == 0 or code == 77:
        return [(entry["name"], SKIPPED if skip or code == 77 else PASSED, skip.group(1) if skip else "", 0.0, [])]
    reason = "not done in time" if code is None else f"ended with code {code}"
    return [(entry["name"], FAILED, reason, 0.0, output.splitlines()[-40:])]


def has_tag(entry, tag):
    listed = subprocess.run(entry["command"] + ["--list-test-names-only", f"[{tag}]"], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL, check=False)
    return bool(listed.stdout.strip())


def spec_for(entry, tag):
    """The Catch2 specification of what runs in this phase; empty for nothing."""
    if "integration" in entry["labels"]:
        return "~[.]" if tag == "engine" else ""
    if tag:
        return f"[{tag}]~[.]" if has_tag(entry, tag) else ""
    return "~[.]" + "".join(f"~[{t}]" for t in WORLD_TAGS)


def run_entry(entry, options):
    """(entry, its cases, seconds). What cannot even be started is a failed case: the others go on."""
    begin = time.monotonic()
    try:
        cases = cases_of(entry, options)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        cases = [(entry["name"], FAILED, f"could not be run: {error}", 0.0, [])]
    return entry, cases, time.monotonic() - begin


def cases_of(entry, options):
    if options.tag != "engine" and "integration" in entry["labels"]:
        return []
    if not entry["command"] or not os.path.exists(entry["command"][0]):
        return [(entry["name"], FAILED, "not built", 0.0, [])]
    spec = spec_for(entry, options.tag)
    if "unit" not in entry["labels"]:
        return [] if options.tag else run_plain(entry, options)
    return run_catch(entry, spec, options) if spec else []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, help="a CMake build folder")
    parser.add_argument("--results", required=True)
    parser.add_argument("--phase", required=True, help="the name that results carry")
    parser.add_argument("--tag", choices=WORLD_TAGS, help="only test cases of this tag (within scripts/world)")
    parser.add_argument("--only", default="", help="a regular expression for the executables' names")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--slowness", type=float, default=1.0, help="what time limits are multiplied by")
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    results = Results(options.results, options.phase)
    entries = list(ctest_entries(options.build))
    if not entries:
        sys.exit(f"CTest knows of no test in {options.build}")
    entries = [e for e in entries if re.search(options.only, e["name"])]
    with concurrent.futures.ThreadPoolExecutor(1 if options.tag else options.jobs) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run_entry, e, options) for e in entries]):
            entry, cases, seconds = done.result()
            count = lambda result: sum(1 for case in cases if case[1] == result)
            for name, result, reason, took, lines in cases:
                results.add(f"{entry['name']}: {name}", result, reason, took)
                if result == FAILED:
                    print(f"  FAILED {entry['name']}: {name}" + (f": {reason}" if reason else ""))
                    print("\n".join("    " + line for line in lines))
            if cases:
                text = f"  [{options.phase}] {entry['name']}: {count(PASSED)} passed"
                text += f", {count(FAILED)} failed" if count(FAILED) else ""
                text += f", {count(SKIPPED)} skipped" if count(SKIPPED) else ""
                print(f"{text} ({seconds:.1f} s)", flush=True)
    return TESTS_FAILED if results.counts[FAILED] else 0


if __name__ == "__main__":
    sys.exit(main())
