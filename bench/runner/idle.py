"""Memory of the peer's idle control plane; ours was read in a cluster (cluster.py)."""
import time

from .servers import Peer

WHAT = 'control plane, idle'


def measure(settings, table):
    ours = [row for row in table.rows if row['what'].startswith(WHAT)]
    lacking = settings.peer_missing('etcd', 'kube-apiserver', 'kube-scheduler', 'kube-controller-manager')
    if lacking:
        table.skip(f'{WHAT}: the peer', lacking)
        return
    with Peer(settings) as peer:
        peer.start_rest()
        time.sleep(settings.settle_s)
        for process in peer.processes.values():
            process.check()
        memory = peer.memory()
    total = sum(memory.values())
    note = ' + '.join(f'{name} {mb:.0f}' for name, mb in memory.items())
    for row in ours:
        row['peer'], row['note'] = total, f'{row["note"]}; the peer: {note}'
        row['ratio'] = total / row['ours']
    if not ours:
        table.add(f'{WHAT}: the peer alone', 'MB', None, total, note=note)
