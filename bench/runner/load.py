"""Many Pods: rates, memory, lists and watches of both api-servers, in turn."""
import contextlib
import statistics
import time

from .servers import Ours, Peer

ROUNDS = 5
PEER_NEEDS = ('etcd', 'kube-apiserver')


class Pair:
    """Our api-server and, where it is built, the peer's."""

    def __init__(self, settings, table):
        self.settings, self.table = settings, table

    @contextlib.contextmanager
    def running(self):
        with contextlib.ExitStack() as stack:
            self.ours = stack.enter_context(Ours(self.settings))
            lacking = self.settings.peer_missing(*PEER_NEEDS)
            self.peer = None if lacking else stack.enter_context(Peer(self.settings))
            if lacking:
                self.table.skip('the peer of all Pod measurements', lacking)
            for side in self.sides():
                side.load('prepare')
            yield self

    def sides(self):
        return [side for side in (self.ours, self.peer) if side]

    def rounds(self, measure, count):
        """measure(side, round) for each side, the first to go changing; one list of results a side."""
        results = {side: [] for side in self.sides()}
        for turn in range(count):
            order = self.sides()
            for side in order if turn % 2 == 0 else reversed(order):
                results[side].append(measure(side, turn))
        return results[self.ours], results.get(self.peer, [])

    def by_parts(self, word, total, *flags):
        """The load WORD over 0 .. total, a part a round."""
        ends = [total * i // ROUNDS for i in range(ROUNDS + 1)]
        return self.rounds(lambda side, turn: side.load(word, '--from', ends[turn], '--count', ends[turn + 1] - ends[turn], *flags), ROUNDS)

    def settle(self):
        time.sleep(self.settings.settle_s)


def median_ratio(numerators, denominators):
    pairs = [a / b for a, b in zip(numerators, denominators) if b]
    return statistics.median(pairs) if pairs else None


def add_rate(pair, what, factor, ours, peer):
    ours_rate = [each['per_second'] for each in ours]
    peer_rate = [each['per_second'] for each in peer]
    busy = statistics.median(each['client_cpu_seconds'] / each['seconds'] for each in ours)
    pair.table.add(f'{what}, 64 workers', '/s', statistics.median(ours_rate), statistics.median(peer_rate) if peer_rate else None,
                   factor=factor, ratio=median_ratio(ours_rate, peer_rate), rounds={'ours': ours, 'peer': peer},
                   note=f'p50 {statistics.median(e["p50_ms"] for e in ours):.1f}'
                        + (f' against {statistics.median(e["p50_ms"] for e in peer):.1f}' if peer else '')
                        + f' ms; our load generator used {100 * busy:.0f} % of a CPU')


def add_memory(pair, what, judged=True, **budget):
    ours = pair.ours.api_memory()
    memory = pair.peer.memory() if pair.peer else {}
    pair.table.add(what, 'MB', ours, memory.get('api'), judged=judged and not pair.settings.quick,
                   note=f'etcd apart: {memory["etcd"]:.0f} MB' if memory else '', **budget)
    return ours


def create_all(pair):
    return pair.by_parts('create', pair.settings.pods)


def measure(settings, table, wanted):
    # Lists and watches meet bare Pods on servers of their own: what they leave in caches would count as memory.
    if wanted & {'memory', 'rates'}:
        with Pair(settings, table).running() as pair:
            measure_writes(pair, 'rates' in wanted, 'memory' in wanted)
    if wanted & {'list', 'watch'}:
        with Pair(settings, table).running() as pair:
            measure_reads(pair, wanted)


def measure_writes(pair, rates, memory):
    settings, n = pair.settings, pair.settings.pods

    def rate(what, factor, rounds):
        if rates:
            add_rate(pair, what, factor, *rounds)

    def held(what, **budget):
        if memory:
            pair.settle()
            return add_memory(pair, what, **budget)

    if pair.peer:
        pair.table.add('api-server with its store, start to /readyz', 'ms', pair.ours.ready_ms, pair.peer.ready_ms)
    rate('Pod creates', 5, create_all(pair))
    held(f'{n:,} bare Pods, {settings.settle_s} s later', below=150)
    if rates:
        rate('Pod gets', 2, pair.rounds(lambda side, turn: side.load('get', '--from', turn * n, '--count', n, '--pods', n), ROUNDS))
    rate('Pod status to Running (merge patch of /status)', None, pair.by_parts('run', n))
    before = held(f'{n:,} Running Pods, full status', below=400)
    rate('Pod merge patches', 5, pair.by_parts('patch', settings.patches, '--pods', n))
    if memory:
        held(f'the same after {settings.patches:,} patches (at most +30 %)', below=round(before * 1.3))
    rate('Pod deletes', 5, pair.by_parts('delete', n))
    held('after all were deleted')


def measure_reads(pair, wanted):
    create_all(pair)
    if 'watch' in wanted:
        measure_watch(pair)
    if 'list' in wanted:
        for encoding in ('json', 'protobuf'):
            measure_list(pair, encoding)
        add_memory(pair, f'{pair.settings.pods:,} bare Pods after lists in both encodings')


def measure_watch(pair):
    count = pair.settings.watched
    ours, peer = pair.rounds(lambda side, turn: side.load('watch', '--count', count, '--prefix', f'watched-{turn}'), ROUNDS)
    for name, below in (('p50', 0.5), ('p99', None)):
        key = f'{name}_ms'
        mine, theirs = [e[key] for e in ours], [e[key] for e in peer]
        pair.table.add(f'watch: create call to event, {name}', 'ms', statistics.median(mine), statistics.median(theirs) if theirs else None,
                       below=below, ratio=median_ratio(theirs, mine), rounds={'ours': mine, 'peer': theirs})


def measure_list(pair, encoding):
    def one_round(side, _):
        before = side.api_cpu()
        result = side.load('list', '--encoding', encoding, '--count', pair.settings.lists)
        result['server_cpu_ms'] = 1000 * (side.api_cpu() - before) / pair.settings.lists
        return result

    # The first list fills whatever a server keeps; it is told apart.
    cold_ours, cold_peer = pair.rounds(lambda side, _: side.load('list', '--encoding', encoding, '--count', 1), 1)
    ours, peer = pair.rounds(one_round, ROUNDS)
    mine = [statistics.median(e['walls_ms']) for e in ours]
    theirs = [statistics.median(e['walls_ms']) for e in peer]
    what = f'LIST of {pair.settings.pods:,} Pods, {encoding}'
    note = f'{ours[0]["bytes"] / 1e6:.1f} MB'
    if peer:
        note += f' against {peer[0]["bytes"] / 1e6:.1f}'
    note += f'; the first took {cold_ours[0]["walls_ms"][0]:.0f}'
    if peer:
        note += f' against {cold_peer[0]["walls_ms"][0]:.0f}'
    note += f' ms; the client used {1000 * statistics.median(e["client_cpu_seconds"] for e in ours) / pair.settings.lists:.0f} ms of CPU a list'
    pair.table.add(f'{what}: wall', 'ms', statistics.median(mine), statistics.median(theirs) if theirs else None, factor=5,
                   ratio=median_ratio(theirs, mine), rounds={'ours': mine, 'peer': theirs}, note=note)
    mine, theirs = [e['server_cpu_ms'] for e in ours], [e['server_cpu_ms'] for e in peer]
    pair.table.add(f'{what}: server CPU', 'ms', statistics.median(mine), statistics.median(theirs) if theirs else None, factor=10,
                   ratio=median_ratio(theirs, mine), rounds={'ours': mine, 'peer': theirs})
