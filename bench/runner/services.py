"""Connections and requests per second through a ClusterIP beside the same to the Pod itself, in a whole cluster in a world
of its own. measure() is the outer half; run as a module, this file is the inner one and writes JSON lines."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

from .cluster import IMAGE, Inside
from .load import ROUNDS, median_ratio

WORKERS = 32
HTTP_PORT, STREAM_PORT = 8080, 8081
MODES = {'connections': 'connections/s, one request each', 'requests': 'requests/s, kept alive'}
ORIGINS = ('a Pod', 'the host')


class Member(Inside):
    """An all-in-one cluster with a Pod `server` that bench_net serves in, and a Pod `client` to be asked from."""

    def __init__(self, plan):
        super().__init__(plan)
        subprocess.run([f'{plan["root"]}/scripts/busybox-image', self.archive, IMAGE, plan['net']], check=True, stdout=subprocess.DEVNULL)

    def kubectl(self, *words, env=None, **more):
        done = subprocess.run([self.plan['kubectl'], *map(str, words)], capture_output=True, text=True, timeout=300,
                              env=os.environ | (env or {}), **more)
        if done.returncode != 0:
            raise RuntimeError(f'kubectl {" ".join(map(str, words))}: {done.stdout}{done.stderr}')
        return done.stdout

    def get(self, *words):
        return json.loads(self.kubectl('get', *words, '-o', 'json'))

    @staticmethod
    def pod(name, *command):
        return {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'labels': {'app': name}},
                'spec': {'terminationGracePeriodSeconds': 0, 'containers': [
                    {'name': 'main', 'image': IMAGE, 'imagePullPolicy': 'Never', 'command': list(command)}]}}

    def start(self):
        self.create()
        self.ctl('image', 'load', '--archive', str(self.archive))
        # The client is found by its number among the processes of this world.
        objects = [self.pod('server', 'bench_net', 'serve', str(HTTP_PORT), str(STREAM_PORT)), self.pod('client', 'sleep', '2718281'),
                   {'apiVersion': 'v1', 'kind': 'Service', 'metadata': {'name': 'server'},
                    'spec': {'selector': {'app': 'server'}, 'ports': [{'port': 80, 'targetPort': HTTP_PORT}]}}]
        self.kubectl('apply', '-f', '-', input=json.dumps({'apiVersion': 'v1', 'kind': 'List', 'items': objects}))
        self.kubectl('wait', '--for=condition=Ready', 'pod/server', 'pod/client', '--timeout=60s')
        self.pod_ip = self.get('pod', 'server')['status']['podIP']
        self.cluster_ip = self.get('service', 'server')['spec']['clusterIP']

    @staticmethod
    def pid_of(*command):
        wanted = '\0'.join(command).encode() + b'\0'
        for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
            try:
                if path.read_bytes() == wanted:
                    return path.parent.name
            except OSError:
                pass
        raise RuntimeError(f'there is no process {" ".join(command)}')

    def load(self, origin, address, port, mode, milliseconds):
        enter = ['nsenter', '--target', self.pid_of('sleep', '2718281'), '--net'] if origin == 'a Pod' else []
        done = subprocess.run([*enter, self.plan['net'], 'load', address, str(port), mode, str(WORKERS), str(milliseconds)],
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f'bench_net: {done.stderr}')
        return json.loads(done.stdout)

    def wait_answers(self, origin, address, port):
        end = time.monotonic() + 30
        while True:
            seen = self.load(origin, address, port, 'requests', 100)
            if seen['operations'] and not seen['failures']:
                return
            if time.monotonic() > end:
                raise RuntimeError(f'{address}:{port} does not answer {origin}: {seen}')

    def paths(self):
        return [('service', self.cluster_ip, 80), ('direct', self.pod_ip, HTTP_PORT)]

    def measure(self):
        for origin in ORIGINS:
            for _, address, port in self.paths():
                self.wait_answers(origin, address, port)
            for mode in MODES:
                for turn in range(ROUNDS):
                    for path, address, port in self.paths() if turn % 2 == 0 else reversed(self.paths()):
                        report = self.load(origin, address, port, mode, self.plan['load_ms'])
                        self.record(origin=origin, mode=mode, path=path, **report)

    def run(self):
        self.start()
        try:
            self.measure()
        finally:
            self.ctl('delete', '--yes')


def lacking(settings):
    """Why a cluster with bench_net in it cannot be had, or nothing."""
    if os.geteuid() != 0:
        return 'needs root (namespaces and an engine)'
    if not settings.kubectl:
        return 'there is no kubectl (scripts/peers builds it)'
    missing = [path for path in (settings.net, settings.binaries / 'rusternetes-ctl', settings.binaries / 'rusternetes') if not path.exists()]
    return f'{missing[0]} is not built' if missing else ''


def in_worlds(settings, table, module, what, **more):
    """Runs the inner half of a module on each engine: its JSON lines, an engine at a time."""
    why = lacking(settings)
    if why:
        table.skip(what, why)
        return
    for engine in settings.engines:
        if not shutil.which({'docker': 'dockerd'}.get(engine, engine)):
            table.skip(f'{what}, {engine}', f'{engine} is not installed')
            continue
        results = settings.work / f'{module}-{engine}.jsonl'
        results.write_text('')
        plan = {'binaries': str(settings.binaries), 'load': str(settings.load), 'net': str(settings.net), 'kubectl': settings.kubectl,
                'engine': engine, 'root': str(settings.root), 'results': str(results), **more}
        done = subprocess.run([settings.root / 'scripts/world', '--engine', engine, '--', '/usr/bin/python3', '-B', '-m', f'runner.{module}',
                               json.dumps(plan)], capture_output=True, text=True, timeout=1200,
                              env=os.environ | {'PYTHONPATH': str(settings.root / 'bench')})
        if done.returncode != 0:
            table.skip(f'{what} on {engine}', 'it failed: ' + (done.stderr or done.stdout).strip()[-600:])
        yield engine, [json.loads(line) for line in results.read_text().splitlines()]


def report(table, engine, rows, origin, mode):
    def of(path):
        return [row for row in rows if (row['origin'], row['mode'], row['path']) == (origin, mode, path)]

    service, direct = of('service'), of('direct')
    if not service or len(service) != len(direct):
        return

    def median(values, name):
        return statistics.median(value[name] for value in values)

    rate = [[each['per_second'] for each in side] for side in (service, direct)]
    busy = statistics.median(each['client_cpu_seconds'] / each['seconds'] for each in service)
    ratio = median_ratio(*rate)
    note = (f'{100 * ratio:.0f} % of the direct rate; p50 {median(service, "p50_ms"):.2f} against {median(direct, "p50_ms"):.2f} ms, p99 {median(service, "p99_ms"):.2f} against '
            f'{median(direct, "p99_ms"):.2f}; the load used {100 * busy:.0f} % of a CPU')
    for name, side in (('ClusterIP', service), ('direct', direct)):
        failures = sum(each['failures'] for each in side)
        if failures:
            note += f'; {name}: {failures} FAILED ({next(e["first_failure"] for e in side if e["failures"])})'
    table.add(f'{MODES[mode]}, {origin} to a ClusterIP (peer: to the Pod itself), {engine}', '/s', statistics.median(rate[0]),
              statistics.median(rate[1]), ratio=ratio, rounds={'ours': service, 'peer': direct}, note=note)


def measure(settings, table):
    for engine, rows in in_worlds(settings, table, 'services', 'ClusterIP', load_ms=settings.load_ms):
        for origin in ORIGINS:
            for mode in MODES:
                report(table, engine, rows, origin, mode)


if __name__ == '__main__':
    Member(json.loads(sys.argv[1])).run()
