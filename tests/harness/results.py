"""One line of JSON a test case in a file that every phase appends to, and the summary made of it."""
import json
import os
import sys

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
# How a phase ends whose tests failed, each with a line in the results. Any other code than 0 means that the
# phase itself did not come to its end (1 is what Python ends with), and scripts/test adds a line that says so.
TESTS_FAILED = 10


class Results:
    """Appends to `path`; a line at a time, so that phases in other processes and namespaces share one file."""

    def __init__(self, path, phase):
        self.path, self.phase = path, phase
        self.counts = {PASSED: 0, FAILED: 0, SKIPPED: 0}

    def add(self, name, result, reason="", seconds=0.0):
        self.counts[result] += 1
        line = {"phase": self.phase, "name": name, "result": result, "reason": reason, "seconds": round(seconds, 3)}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read(path):
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [parse(line) for line in file if line.strip()]


def parse(line):
    try:
        return json.loads(line)
    except ValueError:  # whoever wrote it was killed
        return {"phase": "results", "name": "a torn line", "result": FAILED, "reason": line.strip()[:100], "seconds": 0}


def tally(lines):
    """The last line that scripts/test prints; others parse it."""
    count = lambda result: sum(1 for line in lines if line["result"] == result)
    text = f"{count(PASSED)} passed, {count(FAILED)} failed"
    return text + (f", {count(SKIPPED)} skipped" if count(SKIPPED) else "")


def summary(path):
    """Reasons of skipped tests, failed tests, and the tally; the exit code."""
    lines = read(path)
    skipped = {}
    for line in lines:
        if line["result"] == SKIPPED:
            skipped.setdefault((line["phase"], line["reason"]), []).append(line["name"])
    if skipped:
        print("\nskipped:")
        for (phase, reason), names in sorted(skipped.items()):
            shown = ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
            print(f"  [{phase}] {reason}: {shown}")
    failed = [line for line in lines if line["result"] == FAILED]
    if failed:
        print("\nfailed:")
        for line in failed:
            print(f"  [{line['phase']}] {line['name']}" + (f": {line['reason']}" if line["reason"] else ""))
    if not lines:
        print("no test ran")
    slowest = sorted(lines, key=lambda line: -line["seconds"])[:5]
    if slowest and slowest[0]["seconds"] >= 5:
        print("\nslowest: " + ", ".join(f"{line['name']} {line['seconds']:.0f} s" for line in slowest))
    print()
    print(tally(lines))
    return 1 if failed or not lines else 0


def main():
    """results.py add FILE PHASE NAME RESULT [REASON] | summary FILE"""
    if sys.argv[1] == "add":
        path, phase, name, result = sys.argv[2:6]
        Results(path, phase).add(name, result, sys.argv[6] if len(sys.argv) > 6 else "")
        return 0
    return summary(sys.argv[2])


if __name__ == "__main__":
    sys.exit(main())
