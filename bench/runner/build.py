"""Build times: after touching one file with the compiler cache off, and the slowest file."""
import os
import resource
import shlex
import subprocess
import tempfile
import time

# A file of the middle of the tree, whose change links the api-server, the all-in-one binary and their tests anew.
TOUCHED = 'components/api-server/actions.cpp'


def slowest(settings, candidates=8):
    """The slowest file and its CPU seconds. The build's log has wall times, which other work on the host stretches, so
    the files that it names first are compiled again, alone and without the cache; their objects are thrown away."""
    tree = settings.root / 'build' / settings.preset
    took = {}
    for line in (tree / '.ninja_log').read_text().splitlines()[1:]:
        start, end, _, output, _ = line.split('\t')
        if output.endswith('.o') and (tree / output).exists():
            took[output] = int(end) - int(start)
    found = []
    for output in sorted(took, key=took.get, reverse=True)[:candidates]:
        listed = subprocess.run(['ninja', '-C', tree, '-t', 'commands', '-s', output], capture_output=True, text=True)
        words = shlex.split(listed.stdout.strip())
        with tempfile.TemporaryDirectory() as folder:
            for flag, name in (('-o', 'object.o'), ('-MF', 'object.d')):
                if flag in words:
                    words[words.index(flag) + 1] = f'{folder}/{name}'
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(words, cwd=tree, env=os.environ | {'CCACHE_DISABLE': '1'}, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode == 0:
            found.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, output))
    return max(found, default=(None, ''))


def build(settings, **environment):
    """Seconds that it took, or None where it failed."""
    begin = time.monotonic()
    done = subprocess.run([settings.root / 'scripts/build', settings.preset], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          env=os.environ | environment)
    return time.monotonic() - begin if done.returncode == 0 else None


def measure(settings, table):
    if build(settings) is None:
        table.skip('build times', f'scripts/build {settings.preset} fails')
        return
    (settings.root / TOUCHED).touch()
    seconds = build(settings, CCACHE_DISABLE='1')
    if seconds is None:
        table.skip(f'build after touching {TOUCHED}', 'it failed; did the tree change meanwhile?')
    else:
        table.add(f'build after touching {TOUCHED}', 'ms', 1000 * seconds, below=20_000)
    seconds, file = slowest(settings)
    if seconds is not None:
        table.add('slowest file to compile, CPU', 'ms', 1000 * seconds, below=8_000, note=file)
