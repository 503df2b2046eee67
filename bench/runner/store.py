"""Stores: rhino beside etcd and kine on SQLite, all three by etcd's own API, in turn, on the same disk."""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import time

from .load import median_ratio
from .servers import Process, cpu_seconds, free_ports, resident_mb
from .table import number

ROUNDS = 5
KEYS = 20_000
PAGE = 501
FILL_PATIENCE_S = 120  # who would take longer to be filled is left out of that size


class Server:
    """An etcd v3 endpoint with an empty folder."""

    def __init__(self, settings, folder):
        self.settings, self.folder, self.failed = settings, folder, {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.port, = free_ports(1)
        self.process = None

    def start(self):
        """Milliseconds until the first read was answered."""
        begin = time.monotonic()
        self.process = Process(self.name, self.command(), self.folder / f'{self.name}.log')
        self.load('ready')
        return 1000 * (time.monotonic() - begin)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def load(self, word, *flags):
        out = subprocess.run([str(self.settings.tools / 'bench_store'), word, '--endpoint', f'127.0.0.1:{self.port}',
                              *map(str, flags)], capture_output=True, text=True, timeout=600)
        self.process.check()
        if out.returncode != 0:
            raise RuntimeError(f'{self.name}: {out.stderr.strip()}')
        return json.loads(out.stdout)

    def rate(self, word, *flags):
        return self.load(word, '--server-pid', self.process.pid, *flags)

    def memory(self):
        return resident_mb(self.process.pid)

    def disk_mb(self):
        """What is allocated on disk, logs of writes included; the program's own log is not."""
        total = 0
        for path, _, names in os.walk(self.folder / 'data'):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += os.stat(os.path.join(path, name)).st_blocks * 512
        return total / 1e6


class Rhino(Server):
    name = 'rhino'

    def command(self):
        url = f'http://127.0.0.1:{self.port}'
        return [self.settings.binaries / 'rhino', '--data-dir', self.folder / 'data', '--listen-client-urls', url,
                '--advertise-client-urls', url]


class Etcd(Server):
    name = 'etcd'

    def command(self):
        peer, = free_ports(1)
        urls = f'http://127.0.0.1:{self.port}', f'http://127.0.0.1:{peer}'
        return [self.settings.peers / 'etcd', '--data-dir', self.folder / 'data', '--listen-client-urls', urls[0],
                '--advertise-client-urls', urls[0], '--listen-peer-urls', urls[1], '--initial-advertise-peer-urls', urls[1],
                '--initial-cluster', f'default={urls[1]}']


class Kine(Server):
    name = 'kine'

    def command(self):
        data = self.folder / 'data'
        data.mkdir(exist_ok=True)
        # The parameters are those that kine takes when it is given no file.
        return [self.settings.peers / 'kine', '--listen-address', f'127.0.0.1:{self.port}', '--metrics-bind-address', '0', '--endpoint',
                f'sqlite://{data}/state.db?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate']


@contextlib.contextmanager
def running(settings, table, tag, kinds):
    with contextlib.ExitStack() as stack:
        sides = []
        for kind in kinds:
            lacking = '' if kind is Rhino else settings.peer_missing(kind.name)
            if lacking:
                table.skip(f'stores, {tag}: {kind.name}', lacking)
                continue
            side = kind(settings, settings.work / f'store-{tag}-{kind.name}')
            stack.callback(side.stop)
            side.start()
            sides.append(side)
        yield sides


class Results:
    """A list of rounds a side; of one that failed, why."""

    def __init__(self, rounds, failed):
        self.rounds, self.failed = rounds, failed

    def values(self, name, key):
        return [each[key] if isinstance(key, str) else key(each) for each in self.rounds.get(name, [])]


def in_turn(sides, call, rounds=ROUNDS):
    """call(side, round) for each side, another one first each time. A peer that fails is left out from there on."""
    results, failed = {side.name: [] for side in sides}, {}
    for turn in range(rounds):
        first = turn % len(sides)
        for side in sides[first:] + sides[:first]:
            if side.name in failed:
                continue
            try:
                results[side.name].append(call(side, turn))
            except RuntimeError as error:
                if side.name == 'rhino':
                    raise
                failed[side.name] = str(error).splitlines()[0][:120]
                results[side.name] = []
    return Results(results, failed)


def add(table, what, unit, results, key, *, note='', keep=True, **budget):
    """A row: rhino, etcd, and kine in the note. `key` names a figure of a round, or makes one of it."""
    values = {name: results.values(name, key) for name in ('rhino', 'etcd', 'kine')}
    middle = {name: statistics.median(each) if each else None for name, each in values.items()}
    more_is_better = unit == '/s'

    def ratio(name):
        mine, theirs = values['rhino'], values[name]
        return median_ratio(mine, theirs) if more_is_better else median_ratio(theirs, mine)

    notes = []
    if middle['kine'] is not None:
        notes.append(f'kine {number(middle["kine"], unit)} ({ratio("kine"):.1f}x)')
    notes += [f'{name} failed: {why}' for name, why in results.failed.items()] + ([note] if note else [])
    table.add(what, unit, middle['rhino'], middle['etcd'], ratio=ratio('etcd') if values['etcd'] else None,
              rounds=results.rounds if keep else None, note='; '.join(notes), **budget)
    return middle


def add_rates(table, what, results, **budget):
    busy = statistics.median(each['client_cpu_seconds'] / each['seconds'] for each in results.rounds['rhino'])
    add(table, f'{what}, 64 workers, 1 KiB', '/s', results, 'per_second', note=f'the load generator used {100 * busy:.0f} % of a CPU', **budget)
    for name in ('p50', 'p99'):
        add(table, f'{what}: latency {name}', 'ms', results, f'{name}_ms', keep=False)
    add(table, f'{what}: CPU of the server for 10,000', 's', results, lambda each: 10_000 * each['server_cpu_seconds'] / each['operations'], keep=False)


def by_parts(sides, word, total, *flags):
    ends = [total * i // ROUNDS for i in range(ROUNDS + 1)]
    return in_turn(sides, lambda side, turn: side.rate(word, '--from', ends[turn], '--count', ends[turn + 1] - ends[turn], *flags))


def once(sides, read):
    return in_turn(sides, lambda side, _: {'value': read(side)}, 1)


def measure(settings, table):
    for program in (settings.binaries / 'rhino', settings.tools / 'bench_store'):
        if not program.exists():
            table.skip('stores', f'{program.relative_to(settings.root)} is not built (scripts/build {settings.preset})')
            return
    print(f'  stores: load of the host {os.getloadavg()[0]:.1f} at the start', flush=True)
    with running(settings, table, 'small', (Rhino, Etcd, Kine)) as sides:
        measure_rates(settings, table, sides)
        measure_ranges(settings, table, sides)
        measure_watches(settings, table, sides)
        add(table, 'store: memory after all that', 'MB', once(sides, Server.memory), 'value')
        add_rates(table, 'store: deletes', by_parts(sides, 'delete', KEYS))
    measure_growth(settings, table)
    print(f'  stores: load of the host {os.getloadavg()[0]:.1f} at the end', flush=True)


def measure_rates(settings, table, sides):
    add_rates(table, 'store: creates', by_parts(sides, 'create', KEYS), factor=1)
    time.sleep(settings.settle_s)
    add(table, f'store: memory with {KEYS:,} keys, {settings.settle_s} s later', 'MB', once(sides, Server.memory), 'value', below=60)
    gets = settings.store_gets
    add_rates(table, 'store: gets', in_turn(sides, lambda side, turn: side.rate('get', '--from', turn * gets, '--count', gets, '--keys', KEYS)), factor=1)
    add_rates(table, 'store: updates', by_parts(sides, 'update', KEYS, '--keys', KEYS), factor=1)
    time.sleep(1)
    add(table, 'store: disk after 40,000 writes, with logs', 'MB', once(sides, Server.disk_mb), 'value', below=120)


def pages(sides, limit, count, keys, rounds=ROUNDS):
    def one_round(side, _):
        before = cpu_seconds(side.process.pid)
        result = side.load('page', '--limit', limit, '--count', count, '--keys', keys)
        return {'wall_ms': statistics.median(result['walls_ms']), 'cpu_ms': 1000 * (cpu_seconds(side.process.pid) - before) / count}
    return in_turn(sides, one_round, rounds)


def measure_ranges(settings, table, sides):
    first = pages(sides, PAGE, settings.store_pages, KEYS)
    add(table, f'store: first page of {PAGE} of {KEYS:,} keys', 'ms', first, 'wall_ms', below=1)
    add(table, f'store: first page of {PAGE}: CPU of the server', 'ms', first, 'cpu_ms', keep=False)
    whole = pages(sides, 0, settings.lists, KEYS)
    add(table, f'store: all {KEYS:,} keys', 'ms', whole, 'wall_ms', below=40)
    add(table, f'store: all {KEYS:,} keys: CPU of the server', 'ms', whole, 'cpu_ms', keep=False)

    def second(side, turn):
        result = side.load('older', '--limit', PAGE, '--count', settings.lists, '--prefix', f'older-{turn}', '--writes', 1000)
        return {**result, 'wall_ms': statistics.median(result['walls_ms'])}
    older = in_turn(sides, second, 3)
    behind = ', '.join(f'{name} {statistics.median(results):.0f}' for name in older.rounds if (results := older.values(name, 'revisions_behind')))
    add(table, 'store: second page, 200 ms later, 1,000 writes a second', 'ms', older, 'wall_ms', note=f'revisions meanwhile: {behind}')


def measure_watches(settings, table, sides):
    count = settings.watched
    one = in_turn(sides, lambda side, turn: side.load('watch', '--count', count, '--prefix', f'watched-{turn}'))
    add(table, 'store: watch, put to event, p50', 'ms', one, 'p50_ms', below=0.4)
    add(table, 'store: watch, put to event, p99', 'ms', one, 'p99_ms', keep=False)
    add(table, 'store: put alone, p50', 'ms', one, 'put_p50_ms', keep=False)
    for what, writes, workers, flags in (('distinct prefixes', settings.store_watched, 64, ()), ('one prefix', settings.store_watched // 20, 8, ('--same',))):
        many = in_turn(sides, lambda side, turn: side.rate('watchers', '--prefix', f'many-{turn}', '--count', writes, '--workers', workers, *flags), 3)  # pylint: disable=cell-var-from-loop
        add(table, f'store: writes with 1,000 watchers of {what}, {workers} workers', '/s', many, 'per_second')
        add(table, f'store: events to 1,000 watchers of {what}', '/s', many, 'events_per_second', keep=False)
        for name in ('p50', 'p99'):
            add(table, f'store: put to event with 1,000 watchers of {what}, {name}', 'ms', many, f'{name}_ms', keep=False)
        add(table, f'store: the same: CPU of the server for 1,000 writes', 's', many, lambda each: 1000 * each['server_cpu_seconds'] / writes, keep=False)  # pylint: disable=cell-var-from-loop


def measure_growth(settings, table):
    """The same reads and writes with ever more keys, then a restart with as many revisions."""
    first, last = {}, {}
    sizes = settings.store_sizes
    with running(settings, table, 'growing', (Rhino, Etcd, Kine)) as sides:
        speed, have = {}, 0
        for size in sizes:
            sides = [side for side in sides if keeps_up(side, size - have, speed, table, size)]
            fill = in_turn(sides, lambda side, _: side.rate('create', '--from', have, '--count', size - have), 1)  # pylint: disable=cell-var-from-loop
            sides = [side for side in sides if side.name not in fill.failed]
            for side in sides:
                speed[side.name] = fill.values(side.name, 'per_second')[0]
            add(table, f'store: creates up to {size:,} keys', '/s', fill, 'per_second')
            have = size
            last = measure_size(settings, table, sides, size)
            first = first or last
        report_growth(table, first, last, sizes)
        measure_restart(table, sides, have)


def keeps_up(side, more, speed, table, size):
    seconds = more / speed[side.name] if side.name in speed else 0
    if side.name != 'kine' or seconds < FILL_PATIENCE_S:
        return True
    table.skip(f'store: kine with {size:,} keys', f'it would take {seconds:.0f} s to fill it')
    return False


def measure_size(settings, table, sides, size):
    time.sleep(min(settings.settle_s, 10))
    what, budget = f'store, {size:,} keys', {'below': 160} if size == 1_000_000 else {}
    gets, updates = settings.store_gets, settings.store_gets // 4
    out = {'memory': add(table, f'{what}: memory', 'MB', once(sides, Server.memory), 'value', **budget)}
    rounds = in_turn(sides, lambda side, turn: side.rate('get', '--from', turn * gets, '--count', gets, '--keys', size), 3)
    out['get'] = add(table, f'{what}: gets', '/s', rounds, 'per_second')
    rounds = in_turn(sides, lambda side, turn: side.rate('update', '--from', turn * updates, '--count', updates, '--keys', size), 3)
    out['update'] = add(table, f'{what}: updates', '/s', rounds, 'per_second')
    out['first page'] = add(table, f'{what}: first page of {PAGE}', 'ms', pages(sides, PAGE, settings.store_pages, size, 3), 'wall_ms')
    add(table, f'{what}: disk', 'MB', once(sides, Server.disk_mb), 'value')
    return out


def report_growth(table, first, last, sizes):
    """How many times as much (or as fast) it is with the most keys as with the fewest."""
    for what, few in first.items():
        ratios = {name: last[what][name] / few[name] for name in few if few[name] and last[what].get(name)}
        note = '; '.join(f'{name} {value:.2f}' for name, value in ratios.items())
        table.add(f'store: {what}, {sizes[-1]:,} keys / {sizes[0]:,}', '', ratios.get('rhino'), ratios.get('etcd'),
                  ratio=0 or None, note=note + ('; of rates: more is better' if what in ('get', 'update') else '; less is better'))


def measure_restart(table, sides, revisions):
    def restart(side, _):
        begin = time.monotonic()
        side.stop()
        stopped = time.monotonic()
        return {'start_ms': side.start(), 'stop_ms': 1000 * (stopped - begin), 'memory': side.memory()}
    results = in_turn(sides, restart, 3)
    what = f'store: start with {revisions:,} revisions and more'
    add(table, f'{what}, to the first read', 'ms', results, 'start_ms', below=3000, note='the file is in the page cache', judged=revisions >= 1_000_000)
    add(table, f'{what}: memory then', 'MB', results, 'memory', keep=False)
    add(table, 'store: stop by SIGTERM', 'ms', results, 'stop_ms', keep=False)
