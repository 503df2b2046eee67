"""Snapshot, restore and clone of a cluster that holds many objects, on a real engine in a world of its own. There is no
peer: the figures are what a user waits for. measure() is the outer half; run as a script, this file is the inner one and
writes JSON lines."""
import base64
import concurrent.futures
import http.client
import json
import os
import pathlib
import re
import shutil
import ssl
import statistics
import subprocess
import sys
import threading
import time
import urllib.parse

WORKERS = 8


def measure(settings, table):
    if os.geteuid() != 0:
        table.skip('snapshot, restore and clone', 'needs root (namespaces and an engine)')
        return
    engine = next((e for e in settings.engines if shutil.which({'docker': 'dockerd'}.get(e, e))), None)
    if engine is None:
        table.skip('snapshot, restore and clone', 'no engine is installed')
        return
    results = settings.work / 'snapshots.jsonl'
    results.write_text('')
    plan = {'binaries': str(settings.binaries), 'engine': engine, 'results': str(results), 'objects': settings.pods,
            'rounds': settings.creations}
    done = subprocess.run([settings.root / 'scripts/world', '--engine', engine, '--', '/usr/bin/python3', '-B', __file__,
                           json.dumps(plan)], capture_output=True, text=True, timeout=900)
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    if done.returncode != 0:
        table.skip(f'snapshots on {engine}', 'it failed: ' + (done.stderr or done.stdout).strip()[-600:])
    report(table, engine, settings.pods, rows)


def report(table, engine, objects, rows):
    def add(name, what, below=None, note=''):
        values = [row[name] for row in rows if name in row]
        if values:
            table.add(what, 'ms', statistics.median(values), below=below, rounds=values, note=note)

    size = next((f'{row["mb"]:.1f} MB' for row in rows if 'mb' in row), '')
    add('snapshot_ms', f'snapshot of a running cluster, {objects:,} objects', note=size)
    add('encrypted_ms', 'the same, encrypted')
    add('restore_ms', 'restore of it to node Ready')
    add('outage_ms', 'of that, without an answer of the API')
    add('clone_ms', f'clone of it to node Ready, {engine}', 2000)


class Client:
    """Requests to the api-server of a kubeconfig, a connection for each thread."""

    def __init__(self, kubeconfig, folder):
        fields = dict(re.findall(r'^ +([a-z-]+): "?([^"\n]+)"?$', kubeconfig, re.MULTILINE))

        def stored(name, data):
            path = folder / name
            path.write_bytes(base64.b64decode(data))
            path.chmod(0o600)
            return str(path)

        self.server = urllib.parse.urlparse(fields['server'])
        self.tls = ssl.create_default_context(cafile=stored('ca.crt', fields['certificate-authority-data']))
        self.tls.load_cert_chain(stored('user.crt', fields['client-certificate-data']), stored('user.key', fields['client-key-data']))
        self.local = threading.local()

    def send(self, method, path, body=None, timeout=30.0):
        if not getattr(self.local, 'connection', None):
            self.local.connection = http.client.HTTPSConnection(self.server.hostname, self.server.port, context=self.tls, timeout=timeout)
        try:
            self.local.connection.request(method, path, body, {'content-type': 'application/json'})
            answer = self.local.connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            self.local.connection.close()
            self.local.connection = None
            raise


class Inside:
    def __init__(self, plan):
        self.plan = plan
        self.home = pathlib.Path('/run/bench')
        self.home.mkdir()
        os.environ.update(RUSTERNETES_HOME=str(self.home / 'home'), KUBECONFIG=str(self.home / 'kubeconfig'))
        (self.home / 'passphrase').write_text('of a bench\n')

    def ctl(self, *words):
        begin = time.monotonic()
        done = subprocess.run([f'{self.plan["binaries"]}/rusternetes-ctl', *words, '--output', 'json'], capture_output=True,
                              text=True, timeout=300)
        if done.returncode != 0:
            raise RuntimeError(f'rusternetes-ctl {words[0]}: {done.stdout}{done.stderr}')
        return 1000 * (time.monotonic() - begin), json.loads(done.stdout)

    def fill(self, client):
        value = 'x' * 900

        def create(number):
            body = json.dumps({'metadata': {'name': f'object-{number:05}'}, 'data': {'value': value + str(number)}})
            status = client.send('POST', '/api/v1/namespaces/default/configmaps', body)
            if status != 201:
                raise RuntimeError(f'a create was answered with {status}')

        with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(create, range(self.plan['objects'])))

    def silence(self, client, is_over):
        """How long nobody answered, while is_over is not set."""
        longest, answered = 0.0, time.monotonic()
        while not is_over.is_set():
            try:
                client.send('GET', '/api/v1/namespaces/default/configmaps/object-00000', timeout=2.0)
                longest, answered = max(longest, time.monotonic() - answered), time.monotonic()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.005)
        return 1000 * longest

    def record(self, **row):
        with open(self.plan['results'], 'a') as out:
            out.write(json.dumps(row) + '\n')

    def run(self):
        engine = ('--engine', self.plan['engine'])
        self.ctl('create', 'a', *engine)
        client = Client(self.ctl('kubeconfig', 'a')[1]['kubeconfig'], self.home)
        self.fill(client)
        for _ in range(self.plan['rounds']):
            row = {}
            row['snapshot_ms'], taken = self.ctl('snapshot', 'a')
            row['mb'] = taken['snapshot']['size'] / 1e6
            row['encrypted_ms'], _ = self.ctl('snapshot', 'a', '--passphrase-file', str(self.home / 'passphrase'))
            taken_id = taken['snapshot']['id']
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                is_over = threading.Event()
                silence = pool.submit(self.silence, client, is_over)
                try:
                    row['restore_ms'], _ = self.ctl('restore', 'a', '--id', taken_id, '--yes', '--no-snapshot')
                finally:
                    is_over.set()
                row['outage_ms'] = silence.result()
            row['clone_ms'], _ = self.ctl('clone', 'b', '--from', taken_id, *engine)
            self.ctl('delete', 'b', '--yes')
            self.record(**row)
        self.ctl('delete', 'a', '--yes', '--snapshots')


if __name__ == '__main__':
    Inside(json.loads(sys.argv[1])).run()
