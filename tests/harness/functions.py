"""Runs the functions named test_* of the files test_*.py in a folder, in the order in which they stand there.

A function takes the Context. One decorated with @each_kubectl runs once for every kubectl. A file may have
setup(context) and teardown(context), which run once. A test that cannot run on this host raises Skipped(reason)."""
import argparse
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from harness.kubectls import kubectls
from harness.results import FAILED, PASSED, SKIPPED, TESTS_FAILED, Results


class Skipped(Exception):
    """This host cannot run the test; the text says why."""


class Late(BaseException):
    """A test ran into its time limit. Not an Exception, so that no test's own handler swallows it."""


def each_kubectl(function):
    function.each_kubectl = True
    return function


def time_limit(seconds):
    """How long a test may take on an unloaded host; 180 s without this."""
    def mark(function):
        function.time_limit = seconds
        return function
    return mark


def on_one_engine(turn):
    """For a long test that differs little between engines: where both engines' worlds run side by side and long loops are
    sampled (RUSTERNETES_TEST_SHARE below 1), it runs on one of them, another one with the next seed. Tests of turn 0 and 1
    go to different engines. Whoever asks for tests by name gets them."""
    def mark(function):
        function.turn = turn
        return function
    return mark


def is_others_turn(function, engine):
    if not hasattr(function, "turn") or engine is None or int(os.environ.get("RUSTERNETES_TEST_ENGINES_AT_ONCE", "1")) < 2:
        return False
    if float(os.environ.get("RUSTERNETES_TEST_SHARE", "0.1")) >= 1:
        return False
    return (function.turn + int(os.environ.get("RUSTERNETES_TEST_SEED", "0"))) % 2 != ["podman", "docker"].index(engine)


class Context:
    """What a test knows of where it runs. `socket` is the engine's, `work` a folder that is removed at the end."""

    def __init__(self, options, work):
        self.root = options.root
        self.bin = options.bin
        self.work = work
        self.slowness = options.slowness
        self.kubectls = kubectls()
        self.kubectl = self.kubectls[-1] if self.kubectls else None
        self.engines = dict(e.split(":", 1) for e in os.environ.get("RUSTERNETES_TEST_ENGINES", "").split())
        self.engine = next(iter(self.engines), None)
        self.socket = self.engines.get(self.engine)
        self.state = {}

    def binary(self, name):
        path = os.path.join(self.bin, name)
        if not os.access(path, os.X_OK):
            raise Skipped(f"{name} is not built")
        return path

    def script(self, name):
        return os.path.join(self.root, "scripts", name)

    def seconds(self, seconds):
        """A deadline on this host: sanitizers make everything slower."""
        return seconds * self.slowness

    def wait_until(self, what, check, timeout=60.0, every=0.1):
        """Calls `check` until it returns something true, which is returned. `what` completes "waited 60 s for …"."""
        end = time.monotonic() + self.seconds(timeout)
        last = ""
        while True:
            try:
                value = check()
                if value:
                    return value
                last = repr(value)
            except (AssertionError, subprocess.SubprocessError, OSError, ValueError, LookupError) as error:
                last = str(error)
            if time.monotonic() > end:
                raise AssertionError(f"waited {self.seconds(timeout):.0f} s for {what}; last seen: {last[-2000:]}")
            time.sleep(every)

    def run(self, *command, input=None, timeout=60.0, check=True, env=None):
        """The completed process. With `check`, another exit code than 0 is a failed assertion that shows the output."""
        done = subprocess.run([str(word) for word in command], input=input, capture_output=True, text=True, check=False,
                              timeout=self.seconds(timeout), stdin=None if input is not None else subprocess.DEVNULL,
                              env={**os.environ, **(env or {})})
        if check:
            assert done.returncode == 0, (f"{' '.join(map(str, command))} ended with {done.returncode}\n"
                                          f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done


def load(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(function, context, seconds):
    """(result, reason, traceback text)"""
    def late(_signal, _frame):
        raise Late(f"not done after {seconds:.0f} s")
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        function(context)
        return PASSED, "", ""
    except Skipped as reason:
        return SKIPPED, str(reason), ""
    except (Exception, Late, SystemExit) as error:
        return FAILED, (str(error).splitlines() or [type(error).__name__])[0][:300], traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Runner:
    def __init__(self, context, results, label):
        self.context, self.results, self.label = context, results, label

    def report(self, name, result, reason, trace, begin):
        seconds = time.monotonic() - begin
        self.results.add(name, result, reason, seconds)
        words = {PASSED: "ok     ", FAILED: "FAILED ", SKIPPED: "SKIPPED: "}
        print(f"  {words[result]}[{self.label}] {name}{': ' + reason if reason else ''} ({seconds:.1f} s)", flush=True)
        if trace:
            print("\n".join("    " + line for line in trace.splitlines()), flush=True)

    def run_function(self, name, function):
        limit = self.context.seconds(getattr(function, "time_limit", 180))
        for kubectl in self.context.kubectls if getattr(function, "each_kubectl", False) else [self.context.kubectl]:
            shown = name
            if getattr(function, "each_kubectl", False):
                shown += f" (kubectl {kubectl.version})"
            previous, self.context.kubectl = self.context.kubectl, kubectl
            begin = time.monotonic()
            self.report(shown, *call(function, self.context, limit), begin)
            self.context.kubectl = previous
        if getattr(function, "each_kubectl", False) and not self.context.kubectls:
            self.report(name, SKIPPED, "there is no kubectl in $KUBECTLS or on PATH", "", time.monotonic())

    def run_file(self, path, only):
        stem = os.path.basename(path)[len("test_"):-3]
        begin, loaded = time.monotonic(), []
        result, reason, trace = call(lambda _: loaded.append(load(path)), self.context, self.context.seconds(60))
        if result != PASSED:  # whatever was asked for may be in it
            return self.report(f"{stem}.load", result, reason, trace, begin)
        module = loaded[0]
        functions = [(f"{stem}.{key[len('test_'):]}", value) for key, value in vars(module).items()
                     if key.startswith("test_") and callable(value)]
        functions = [(name, value) for name, value in functions if re.search(only, name)]
        if not functions:
            return
        self.context.state = {}
        begin = time.monotonic()
        result, reason, trace = PASSED, "", ""
        if hasattr(module, "setup"):
            result, reason, trace = call(module.setup, self.context, self.context.seconds(300))
        if result == PASSED:
            for name, function in functions:
                if not only and is_others_turn(function, self.context.engine):
                    self.report(name, SKIPPED, "with this seed it is the other engine's turn", "", time.monotonic())
                else:
                    self.run_function(name, function)
        else:
            # Without its setup no test of the file has run: each counts as what the setup came to.
            for name, _ in functions:
                self.report(name, result, reason if result == SKIPPED else f"setup: {reason}", trace, begin)
                trace = ""
        if hasattr(module, "teardown"):
            begin = time.monotonic()
            ended, why, trace = call(module.teardown, self.context, self.context.seconds(120))
            if ended == FAILED:
                self.report(f"{stem}.teardown", ended, why, trace, begin)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--bin", required=True, help="the folder of the built binaries")
    parser.add_argument("--folder", required=True, help="where the test_*.py files are")
    parser.add_argument("--results", required=True)
    parser.add_argument("--phase", required=True)
    parser.add_argument("--only", default="", help="a regular expression for file.function")
    parser.add_argument("--slowness", type=float, default=1.0)
    options = parser.parse_args()
    sys.path.insert(0, options.folder)
    # A shell that runs tests in the background has them ignore it, and all that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = Results(options.results, options.phase)
    work = tempfile.mkdtemp(prefix="rusternetes-test-")
    try:
        runner = Runner(Context(options, work), results, options.phase)
        for name in sorted(os.listdir(options.folder)):
            if re.fullmatch(r"test_.*\.py", name):
                runner.run_file(os.path.join(options.folder, name), options.only)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return TESTS_FAILED if results.counts[FAILED] else 0


if __name__ == "__main__":
    # Test files import this module by its name: their Skipped must be the one that is caught here.
    from harness import functions
    sys.exit(functions.main())
