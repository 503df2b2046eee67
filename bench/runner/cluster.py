"""A whole cluster on a real engine, in a world of its own (scripts/world): create to Ready, a Pod to Running, idle
memory. measure() is the outer half; run as a script, this file is the inner one and writes JSON lines."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

IMAGE = 'localhost/busybox:local'


def measure(settings, table, wanted):
    if os.geteuid() != 0:
        table.skip('create of a cluster', 'needs root (namespaces and an engine)')
        return
    for engine in settings.engines:
        if not shutil.which({'docker': 'dockerd'}.get(engine, engine)):
            table.skip(f'create of a cluster, {engine}', f'{engine} is not installed')
            continue
        results = settings.work / f'cluster-{engine}.jsonl'
        results.write_text('')
        plan = {'binaries': str(settings.binaries), 'load': str(settings.load), 'kubectl': settings.kubectl, 'engine': engine,
                'root': str(settings.root), 'results': str(results), 'creations': settings.creations if 'create' in wanted else 0,
                'settle_s': settings.settle_s if 'idle' in wanted else 0}
        done = subprocess.run([settings.root / 'scripts/world', '--engine', engine, '--', '/usr/bin/python3', '-B', __file__,
                               json.dumps(plan)], capture_output=True, text=True, timeout=900)
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        if done.returncode != 0:
            table.skip(f'cluster on {engine}', 'it failed: ' + (done.stderr or done.stdout).strip()[-600:])
        report(settings, table, engine, rows)


def report(settings, table, engine, rows):
    def values(name):
        return [row[name] for row in rows if name in row]

    def add(name, what, below, note=''):
        if values(name):
            table.add(what, 'ms', statistics.median(values(name)), below=below, rounds=values(name), note=note)

    add('create_ms', f'create of an all-in-one cluster to node Ready, {engine}', 2000)
    add('apply_ms', f'first Pod of a loaded image, kubectl apply to Running, {engine}', 1000,
        f'of it kubectl {statistics.median(values("kubectl_ms")):.0f} ms' if values('kubectl_ms') else '')
    add('second_ms', f'another Pod, create request to Running, {engine}', 1000)
    add('delete_ms', f'delete of the cluster, {engine}', None)
    for row in rows:
        if 'idle_mb' in row:
            table.add(f'control plane, idle ({settings.settle_s} s), all-in-one on {engine}', 'MB', row['idle_mb'], below=40,
                      note=f'supervisor apart: {row["supervisor_mb"]:.1f} MB')


def manifest(name):
    return {'apiVersion': 'v1', 'kind': 'Pod', 'metadata': {'name': name, 'namespace': 'default'},
            'spec': {'terminationGracePeriodSeconds': 0, 'containers': [
                {'name': 'main', 'image': IMAGE, 'imagePullPolicy': 'Never', 'command': ['sleep', '3600']}]}}


class Inside:
    """The inner half: one engine, one home of clusters."""

    def __init__(self, plan):
        self.plan = plan
        self.home = pathlib.Path('/run/bench')
        self.home.mkdir()
        os.environ.update(RUSTERNETES_HOME=str(self.home / 'home'), KUBECONFIG=str(self.home / 'kubeconfig'))
        self.archive = self.home / 'busybox.tar'
        subprocess.run([f'{plan["root"]}/scripts/busybox-image', self.archive, IMAGE], check=True, stdout=subprocess.DEVNULL)
        self.write('first', manifest('first'))
        self.write('second', manifest('second'))

    def write(self, name, value):
        (self.home / f'{name}.json').write_text(json.dumps(value))

    def ctl(self, *words):
        begin = time.monotonic()
        done = subprocess.run([f'{self.plan["binaries"]}/rusternetes-ctl', *words], capture_output=True, text=True, timeout=120)
        if done.returncode != 0:
            raise RuntimeError(f'rusternetes-ctl {words[0]}: {done.stdout}{done.stderr}')
        return 1000 * (time.monotonic() - begin)

    def record(self, **row):
        with open(self.plan['results'], 'a') as out:
            out.write(json.dumps(row) + '\n')

    def create(self):
        return self.ctl('create', '--engine', self.plan['engine'], '--wait', '60s', '--yes')

    def running(self, name, *flags):
        return subprocess.Popen([self.plan['load'], 'running', '--kubeconfig', os.environ['KUBECONFIG'], '--name', name, *flags],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, child):
        try:
            out, complaint = child.communicate(timeout=60)
        finally:
            child.kill()
        if child.returncode != 0:
            raise RuntimeError(f'the Pod was not seen Running: {complaint.strip()}')
        return json.loads(out.splitlines()[-1])

    def pods(self):
        self.ctl('image', 'load', '--archive', str(self.archive))
        row = {}
        if self.plan['kubectl']:
            child = self.running('first')
            if child.stdout.readline().strip() != 'watching':
                raise RuntimeError('no watch')
            begin = time.monotonic_ns()
            subprocess.run([self.plan['kubectl'], 'apply', '-f', self.home / 'first.json'], check=True, stdout=subprocess.DEVNULL, timeout=60)
            row['kubectl_ms'] = (time.monotonic_ns() - begin) / 1e6
            row['apply_ms'] = (self.finish(child)['running_at_ns'] - begin) / 1e6
        row['second_ms'] = self.finish(self.running('second', '--create', str(self.home / 'second.json')))['running_ms']
        return row

    def idle(self):
        time.sleep(self.plan['settle_s'])
        resident = {'rusternetes': 0.0, 'supervisor': 0.0}
        for status in pathlib.Path('/proc').glob('[0-9]*/status'):
            fields = dict(line.split(':', 1) for line in status.read_text().splitlines())
            name = fields['Name'].strip()
            if name in resident:
                resident[name] += int(fields['VmRSS'].split()[0]) / 1024
        if not resident['rusternetes']:
            raise RuntimeError('there is no process rusternetes')
        self.record(idle_mb=resident['rusternetes'], supervisor_mb=resident['supervisor'])

    def run(self):
        for _ in range(self.plan['creations']):
            row = {'create_ms': self.create()}
            try:
                row.update(self.pods())
            finally:
                row['delete_ms'] = self.ctl('delete', '--yes')
                self.record(**row)
        if self.plan['settle_s']:
            self.create()
            self.idle()
            self.ctl('delete', '--yes')


if __name__ == '__main__':
    Inside(json.loads(sys.argv[1])).run()
