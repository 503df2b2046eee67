"""From an EndpointSlice to the kernel's rule: our proxy beside kube-proxy in nftables mode, each in a world of its own
(scripts/world, without an engine) with an api-server of ours on its loopback, so that the proxies alone differ.
measure() is the outer half; run as a module, this file is the inner one, which takes orders as JSON lines."""
import contextlib
import json
import os
import pathlib
import select
import shutil
import statistics
import subprocess
import sys
import time
import types

from .load import ROUNDS, median_ratio
from .servers import TICKS, Ours, Process, resident_mb

SIZES = ((10, 10), (1000, 10))  # Services, endpoints of each
NODE, NODE_ADDRESS = 'bench-node', '10.213.0.2'
QUIET_MS = 1200


# ---- outer

class Failed(RuntimeError):
    """Of one side, which can be no more of use."""

    def __init__(self, side, why):
        super().__init__(why)
        self.side = side


class Side:
    """A world with one proxy."""

    def __init__(self, settings, name):
        self.name = name
        self.log = settings.work / f'rules-{name}.log'
        plan = {'side': name, 'binaries': str(settings.binaries), 'peers': str(settings.peers), 'load': str(settings.load),
                'rules': str(settings.rules), 'work': str(settings.work / f'rules-{name}')}
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [settings.root / 'scripts/world', '--', '/usr/bin/python3', '-B', '-m', 'runner.rules', json.dumps(plan)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
                env=os.environ | {'PYTHONPATH': str(settings.root / 'bench')})

    def ask(self, do, **order):
        line = ''
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({'do': do, **order}) + '\n')
            self.process.stdin.flush()
            if select.select([self.process.stdout], [], [], 600)[0]:
                line = self.process.stdout.readline()
        if not line:
            raise Failed(self, f'{do}: ' + ' '.join(self.log.read_text(errors='replace').split())[-600:])
        return json.loads(line)

    def close(self):
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            self.process.wait()


def in_turn(sides, ask):
    """ask(side, round) for each side, the first to go changing; a list of results a side."""
    results = [[] for _ in sides]
    for turn in range(ROUNDS):
        order = list(zip(sides, results))
        for side, out in order if turn % 2 == 0 else reversed(order):
            out.append(ask(side, turn))
    return results


def nft_version():
    """The one that kube-proxy runs; ours calls the library."""
    return ' '.join(subprocess.run(['nft', '--version'], capture_output=True, text=True).stdout.split()[:2])


def flat(rounds, name):
    return [value for each in rounds for value in each[name]]


def report_changes(settings, table, what, ours, peer):
    mine, theirs = ([statistics.median(each['rule_ms']) for each in side] for side in (ours, peer))
    note = f'of it the api-server {statistics.median(flat(ours, "answer_ms")):.1f}'
    if peer:
        note += f' against {statistics.median(flat(peer, "answer_ms")):.1f}'
    note += f' ms; the slowest {max(flat(ours, "rule_ms")):.1f}' + (f' against {max(flat(peer, "rule_ms")):.1f}' if peer else '') + ' ms'
    table.add(f'{what}: change of an EndpointSlice to the kernel\'s rule', 'ms', statistics.median(mine),
              statistics.median(theirs) if peer else None, ratio=median_ratio(theirs, mine), rounds={'ours': ours, 'peer': peer}, note=note)
    def mean(side, *names):
        return sum(each[name] for each in side for name in names) / (ROUNDS * settings.changes) if side else None
    table.add(f'{what}: CPU of the proxy a change', 'ms', mean(ours, 'own_cpu_ms', 'started_cpu_ms'), mean(peer, 'own_cpu_ms', 'started_cpu_ms'),
              note=f'of the peer\'s, {nft_version()} {mean(peer, "started_cpu_ms"):.0f} ms' if peer else '')


def report_starts(table, what, ours, peer):
    def add(name, unit, what, note=''):
        mine, theirs = ([each[name] for each in side] for side in (ours, peer))
        table.add(what, unit, statistics.median(mine), statistics.median(theirs) if theirs else None, rounds={'ours': mine, 'peer': theirs}, note=note)

    add('start_ms', 'ms', f'{what}: start of the proxy to the last rule')
    add('start_cpu_ms', 'ms', f'{what}: CPU of the proxy for it', 'until a second later')
    add('memory_mb', 'MB', f'{what}: memory of the proxy')


def measure_size(settings, table, sides, services, endpoints):
    what = f'{services:,} Services, {services * endpoints:,} endpoints'
    starts = [[side.ask('begin', services=services, endpoints=endpoints)] for side in sides]
    for _ in range(settings.creations - 1):
        for side, out in zip(sides, starts):
            out.append(side.ask('restart'))
    rounds = in_turn(sides, lambda side, turn: side.ask('change', start=turn * settings.changes, count=settings.changes))
    for side in sides:
        side.ask('end')
    rounds.append([]), starts.append([])
    if services > 100:
        report_starts(table, what, *starts[:2])
    report_changes(settings, table, what, *rounds[:2])


def measure(settings, table):
    if os.geteuid() != 0:
        table.skip('rules', 'needs root (namespaces and rules)')
        return
    missing = [path for path in (settings.binaries / 'kube-proxy', settings.rules) if not path.exists()]
    if missing:
        table.skip('rules', f'{missing[0]} is not built')
        return
    names = ['ours', 'peer']
    lacking = settings.peer_missing('kube-proxy') or ('' if shutil.which('nft') else 'it needs nft')
    if lacking:
        table.skip('the peer of rules', lacking)
        names = ['ours']
    worlds = []
    try:
        for name in names:
            worlds.append(Side(settings, name))
        for services, endpoints in SIZES:
            try:
                measure_size(settings, table, worlds, services, endpoints)
            except Failed as failed:
                if failed.side is worlds[0]:
                    raise
                table.skip('the peer of rules', f'it failed: {failed}')
                worlds.pop().close()
                measure_size(settings, table, worlds, services, endpoints)
    except Failed as failed:
        table.skip('rules', f'it failed: {failed}')
    finally:
        for world in worlds:
            world.close()


# ---- inner

def cpu_ms(pid):
    """Of all threads that are there, as fine as the kernel has it; of the children that have ended."""
    with open(f'/proc/{pid}/stat') as stat:
        fields = [int(field) for field in stat.read().rsplit(')', 1)[1].split()[11:15]]
    own, children = sum(fields[:2]) * 1000 / TICKS, sum(fields[2:]) * 1000 / TICKS
    threads = 0.0
    for path in pathlib.Path(f'/proc/{pid}/task').glob('*/schedstat'):
        try:
            threads += int(path.read_text().split()[0]) / 1e6
        except (OSError, IndexError):
            pass
    # Threads that ended are in the coarse figure alone.
    return threads if threads > own - 2000 / TICKS else own, children


class World:
    def __init__(self, plan):
        if os.environ.get('RUSTERNETES_WORLD') != '1':
            raise RuntimeError('this is started in a world by bench/run')
        self.plan = plan
        folder = pathlib.Path(plan['work'])
        folder.mkdir(parents=True, exist_ok=True)
        self.settings = types.SimpleNamespace(work=folder, load=pathlib.Path(plan['load']), binaries=pathlib.Path(plan['binaries']),
                                              peers=pathlib.Path(plan['peers']))
        # Nothing is sent to a service address here, and there is no way out; the route is for what nobody thought of.
        for words in (['route', 'add', 'blackhole', '10.96.0.0/16'], ['address', 'add', f'{NODE_ADDRESS}/32', 'dev', 'lo']):
            subprocess.run(['ip', *words], check=True)
        self.api = self.proxy = None

    def tool(self, word, *flags):
        done = subprocess.run([self.plan['rules'], word, '--services', str(self.services), '--endpoints', str(self.endpoints), *map(str, flags)],
                              capture_output=True, text=True, timeout=500)
        if done.returncode != 0:
            if self.proxy:
                self.proxy.check()
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    def proxy_command(self):
        flags = ['--kubeconfig', self.api.kubeconfig, '--hostname-override', NODE, '--cluster-cidr', '10.244.0.0/16', '--proxy-mode', 'nftables']
        if self.plan['side'] == 'ours':
            return [self.settings.binaries / 'kube-proxy', *flags, '--service-cluster-ip-range', '10.96.0.0/16']
        # The limits of conntrack are the host's, which nobody may write here.
        return [self.settings.peers / 'kube-proxy', *flags, '--conntrack-max-per-core=0', '--conntrack-min=0',
                '--conntrack-tcp-timeout-established=0s', '--conntrack-tcp-timeout-close-wait=0s']

    def start_proxy(self):
        waiting = subprocess.Popen([self.plan['rules'], 'await', '--services', str(self.services), '--endpoints', str(self.endpoints)],
                                   stdout=subprocess.PIPE, text=True)
        if waiting.stdout.readline().strip() != 'listening':
            raise RuntimeError('bench_rules does not listen')
        begin = time.monotonic_ns()
        self.proxy = Process(f'{self.plan["side"]}: kube-proxy', self.proxy_command(), self.settings.work / 'kube-proxy.log')
        while waiting.poll() is None:
            self.proxy.check()
            time.sleep(0.05)
        out = waiting.communicate()[0]
        if waiting.returncode != 0:
            raise RuntimeError('not every endpoint got its rule: ' + open(self.proxy.log, errors='replace').read()[-2000:])
        time.sleep(1)
        return {'start_ms': (json.loads(out)['seen_at_ns'] - begin) / 1e6, 'start_cpu_ms': sum(cpu_ms(self.proxy.pid)),
                'memory_mb': resident_mb(self.proxy.pid)}

    def stop_proxy(self):
        self.proxy.stop()
        self.proxy = None
        subprocess.run(['nft', 'flush', 'ruleset'], check=True)

    def begin(self, services, endpoints):
        if self.api:
            self.end()  # what was broken off
        self.services, self.endpoints = services, endpoints
        self.api = Ours(self.settings).__enter__()
        self.tool('prepare', '--kubeconfig', self.api.kubeconfig, '--node-address', NODE_ADDRESS)
        return self.start_proxy()

    def restart(self):
        self.stop_proxy()
        return self.start_proxy()

    def change(self, start, count):
        before = cpu_ms(self.proxy.pid)
        out = self.tool('change', '--kubeconfig', self.api.kubeconfig, '--from', start, '--count', count, '--quiet', QUIET_MS)
        # What the proxy started for the last change may still be about to end.
        time.sleep(0.3)
        after = cpu_ms(self.proxy.pid)
        return {**out, 'own_cpu_ms': after[0] - before[0], 'started_cpu_ms': after[1] - before[1]}

    def end(self):
        if self.proxy:
            self.stop_proxy()
        self.api.stop()
        self.api = None
        return {}

    def run(self):
        orders = {'begin': self.begin, 'restart': self.restart, 'change': self.change, 'end': self.end}
        for line in sys.stdin:
            order = json.loads(line)
            try:
                print(json.dumps(orders[order.pop('do')](**order)), flush=True)
            except RuntimeError as error:
                sys.exit(str(error))


if __name__ == '__main__':
    World(json.loads(sys.argv[1])).run()
