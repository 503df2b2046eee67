"""What a run is made with: paths, counts and waits."""
import dataclasses
import os
import pathlib
import shutil


@dataclasses.dataclass(frozen=True)
class Settings:
    root: pathlib.Path
    binaries: pathlib.Path  # build/PRESET/bin
    tools: pathlib.Path     # build/PRESET/bench
    preset: str
    peers: pathlib.Path
    work: pathlib.Path
    quick: bool
    engines: tuple
    pods: int
    patches: int
    settle_s: int      # quiet before memory is read
    creations: int     # clusters an engine, starts of a proxy
    lists: int         # a round
    watched: int       # creates a round
    load_ms: int       # of connections or requests, a round
    changes: int       # of EndpointSlices, a round
    execs: int         # and connections of a port-forward
    stream_mb: int     # a port-forward or a copy
    store_gets: int    # a round
    store_pages: int   # a round
    store_watched: int  # writes that watchers of distinct prefixes hear of, a round
    store_sizes: tuple  # keys

    @staticmethod
    def make(root, options):
        quick = options.quick
        return Settings(
            root=root, binaries=root / 'build' / options.preset / 'bin', tools=root / 'build' / options.preset / 'bench',
            preset=options.preset, peers=pathlib.Path(os.environ.get('PEERS', root / 'build/peers')).resolve(),
            work=root / 'build/bench' / str(os.getpid()), quick=quick,
            engines=tuple(options.engine or ['podman', 'docker']),
            pods=2_000 if quick else 10_000, patches=10_000 if quick else 50_000, settle_s=10 if quick else 60,
            creations=1 if quick else 3, lists=5 if quick else 10, watched=100 if quick else 300,
            load_ms=500 if quick else 3_000, changes=2 if quick else 6, execs=8 if quick else 40, stream_mb=32 if quick else 256,
            store_gets=5_000 if quick else 20_000, store_pages=20 if quick else 50, store_watched=1_000 if quick else 4_000,
            store_sizes=(10_000, 50_000) if quick else (10_000, 100_000, 1_000_000))

    def missing_programs(self):
        programs = [self.binaries / name for name in ('api-server', 'rusternetes', 'rusternetes-ctl')] + [self.load]
        return [str(program.relative_to(self.root)) for program in programs if not program.exists()]

    @property
    def load(self):
        return self.tools / 'bench_load'

    @property
    def net(self):
        return self.tools / 'bench_net'

    @property
    def rules(self):
        return self.tools / 'bench_rules'

    def peer_missing(self, *names):
        """Why the peer cannot be measured, or nothing."""
        lacking = [name for name in names if not os.access(self.peers / name, os.X_OK)]
        return f'{", ".join(lacking)} not in {self.peers} (scripts/peers builds them)' if lacking else ''

    @property
    def kubectl(self):
        own = self.peers / 'kubectl'
        return str(own) if os.access(own, os.X_OK) else shutil.which('kubectl')
