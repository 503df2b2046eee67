"""Clusters of each topology on a real engine, in a world of its own (scripts/world): create to Ready, stop, start, delete,
and the memory of all their processes. measure() is the outer half; run as a script, this file is the inner one and writes
JSON lines."""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

# name, flags of create, budgets: create in ms, idle memory in MB
TOPOLOGIES = (
    ('all-in-one', (), 2000, 40),
    ('sqlite, 2 nodes', ('--mode', 'sqlite', '--nodes', '2'), 6000, 150),
    ('etcd, 2 nodes', ('--mode', 'etcd', '--nodes', '2'), None, 250),
    ('etcd --ha, 2 nodes', ('--mode', 'etcd', '--ha', '--nodes', '2'), 10000, None),
)
PROGRAMS = ('api-server', 'scheduler', 'controller-manager', 'kubelet', 'kube-proxy', 'dns', 'rhino', 'api-proxy', 'host-agent',
            'rusternetes', 'rusternetes-ctl', 'supervisor')
# What belongs to a cluster, by the program's file; the engine and its monitors do not, and are told beside it.
OWN = {*PROGRAMS, 'etcd', 'pause'} - {'rusternetes-ctl'}
MONITORS = {'conmon', 'containerd-shim', 'containerd-shim-runc-v2'}


def measure(settings, table):
    what = 'clusters of each topology'
    lacking = [name for name in PROGRAMS if not os.access(settings.binaries / name, os.X_OK)]
    if os.geteuid() != 0 or lacking:
        table.skip(what, f'{", ".join(lacking)} not built' if lacking else 'needs root (namespaces and an engine)')
        return
    path = os.environ['PATH'] if shutil.which('etcd') else f'{settings.peers}:{os.environ["PATH"]}'
    if not shutil.which('etcd', path=path):
        table.skip(f'{what}, those on etcd', f'there is no etcd, neither on PATH nor in {settings.peers}')
    for engine in settings.engines:
        if not shutil.which({'docker': 'dockerd'}.get(engine, engine)):
            table.skip(f'{what}, {engine}', f'{engine} is not installed')
            continue
        results = settings.work / f'topologies-{engine}.jsonl'
        results.write_text('')
        plan = {'binaries': str(settings.binaries), 'engine': engine, 'results': str(results), 'creations': settings.creations,
                'settle_s': settings.settle_s, 'has_etcd': bool(shutil.which('etcd', path=path))}
        done = subprocess.run([settings.root / 'scripts/world', '--engine', engine, '--', '/usr/bin/python3', '-B', __file__,
                               json.dumps(plan)], capture_output=True, text=True, timeout=2400, env=os.environ | {'PATH': path})
        rows = [json.loads(line) for line in results.read_text().splitlines()]
        if done.returncode != 0:
            table.skip(f'{what} on {engine}', 'it failed: ' + (done.stderr or done.stdout).strip()[-600:])
        report(settings, table, engine, rows)


def report(settings, table, engine, rows):
    for name, _, create_ms, idle_mb in TOPOLOGIES:
        mine = [row for row in rows if row['topology'] == name]
        for key, title, below in (('first_ms', 'create to Ready, images to be loaded', None), ('create_ms', 'create to Ready', create_ms),
                                  ('stop_ms', 'stop', None), ('start_ms', 'start to Ready', None), ('delete_ms', 'delete', None)):
            values = [row[key] for row in mine if key in row]
            if values:
                table.add(f'{title}: {name}, {engine}', 'ms', statistics.median(values), below=below, rounds=values,
                          note=f'{min(values):.0f} to {max(values):.0f} ms' if len(values) > 1 else '')
        for row in mine:
            if 'memory' in row:
                shares = sorted(row['memory'].items(), key=lambda share: -share[1]['mb'])
                table.add(f'idle ({settings.settle_s} s): {name}, {engine}', 'MB', sum(each['mb'] for _, each in shares), below=idle_mb,
                          note=', '.join(f'{program} {each["mb"]:.1f}' + (f' ({each["count"]})' if each['count'] > 1 else '')
                                         for program, each in shares) + f'; monitors of the engine apart: {row["monitors_mb"]:.0f}',
                          judged=not settings.quick)


def proportional_mb(process):
    for line in (process / 'smaps_rollup').read_text().splitlines():
        if line.startswith('Pss:'):
            return int(line.split()[1]) / 1024
    return 0.0


def memory():
    """PSS of every process of the world's clusters by program, and that of the engine's monitors."""
    own, monitors = {}, 0.0
    for process in pathlib.Path('/proc').glob('[0-9]*'):
        try:
            program = pathlib.Path(os.readlink(process / 'exe')).name
            if program in OWN:
                share = own.setdefault(program, {'mb': 0.0, 'count': 0})
                share['mb'] += proportional_mb(process)
                share['count'] += 1
            elif program in MONITORS:
                monitors += proportional_mb(process)
        except FileNotFoundError:
            pass  # it has ended, or is the kernel's
    return own, monitors


class Inside:
    """The inner half: one engine, one home of clusters."""

    def __init__(self, plan):
        self.plan = plan
        home = pathlib.Path('/run/bench')
        home.mkdir()
        os.environ.update(RUSTERNETES_HOME=str(home / 'home'), KUBECONFIG=str(home / 'kubeconfig'))

    def ctl(self, word, name, *flags):
        begin = time.monotonic()
        done = subprocess.run([f'{self.plan["binaries"]}/rusternetes-ctl', word, name, '--yes', *flags], capture_output=True, text=True,
                              timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f'rusternetes-ctl {word} {name} {" ".join(flags)}: {done.stdout}{done.stderr}')
        return 1000 * (time.monotonic() - begin)

    def create(self, name, flags):
        return self.ctl('create', name, '--engine', self.plan['engine'], '--wait', '120s', *flags)

    def record(self, **row):
        with open(self.plan['results'], 'a') as out:
            out.write(json.dumps(row) + '\n')

    def keep_images(self):
        """A stopped cluster of each store keeps its images in the engine; what it took to load them is told, too."""
        for topology, flags, *_ in self.topologies():
            if flags and '--ha' not in flags:
                name = 'keep-' + flags[1]
                self.record(topology=topology, first_ms=self.create(name, flags))
                self.ctl('stop', name)

    def topologies(self):
        return [each for each in TOPOLOGIES if self.plan['has_etcd'] or 'etcd' not in each[0]]

    def run(self):
        self.keep_images()
        for topology, flags, *_ in self.topologies():
            for _ in range(self.plan['creations']):
                row = {'topology': topology, 'create_ms': self.create('bench', flags)}
                row['stop_ms'] = self.ctl('stop', 'bench')
                row['start_ms'] = self.ctl('start', 'bench', '--wait', '120s')
                row['delete_ms'] = self.ctl('delete', 'bench')
                self.record(**row)
            self.create('bench', flags)
            time.sleep(self.plan['settle_s'])
            own, monitors = memory()
            self.ctl('delete', 'bench')
            self.record(topology=topology, memory=own, monitors_mb=monitors)


if __name__ == '__main__':
    Inside(json.loads(sys.argv[1])).run()
