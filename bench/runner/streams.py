"""Latency of exec and of a port-forward's connection, throughput of port-forward and cp, with kubectl over both protocols and
with a client of our own, in a whole cluster. There is no peer: the figures are what a user waits for. measure() is the
outer half; run as a module, this file is the inner one and writes JSON lines."""
import base64
import json
import os
import re
import secrets
import socket
import ssl
import statistics
import struct
import subprocess
import sys
import time
import urllib.parse

from .services import STREAM_PORT, Member, in_worlds

SPDY = {'KUBECTL_REMOTE_COMMAND_WEBSOCKETS': 'false', 'KUBECTL_PORT_FORWARD_WEBSOCKETS': 'false'}
WEBSOCKET = {'KUBECTL_REMOTE_COMMAND_WEBSOCKETS': 'true', 'KUBECTL_PORT_FORWARD_WEBSOCKETS': 'true'}
PROTOCOLS = {'WebSocket': WEBSOCKET, 'SPDY': SPDY}
MB = 1_000_000


class WebSocketExec:
    """Executes a command as kubectl would, on a TLS connection of its own each time, without kubectl's own start."""

    def __init__(self, config, folder):
        cluster, user = config['clusters'][0]['cluster'], config['users'][0]['user']
        self.server = urllib.parse.urlsplit(cluster['server'])
        self.tls = ssl.create_default_context(cadata=base64.b64decode(cluster['certificate-authority-data']).decode())
        pem = folder / 'client.pem'
        with open(os.open(pem, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'wb') as out:
            for key in ('client-certificate-data', 'client-key-data'):
                out.write(base64.b64decode(user[key]) + b'\n')
        self.tls.load_cert_chain(pem)

    def run(self, path):
        """Milliseconds until the exit status was read."""
        begin = time.monotonic()
        with socket.create_connection((self.server.hostname, self.server.port), timeout=30) as plain, \
                self.tls.wrap_socket(plain, server_hostname=self.server.hostname) as connection:
            key = base64.b64encode(secrets.token_bytes(16)).decode()
            connection.sendall((f'GET {path} HTTP/1.1\r\nHost: {self.server.netloc}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'
                                f'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n').encode())
            status = self.status(connection.makefile('rb'))
        took = 1000 * (time.monotonic() - begin)
        if status.get('status') != 'Success':
            raise RuntimeError(f'exec answered {status}')
        return took

    @staticmethod
    def status(reader):
        head = reader.readline().decode()
        if ' 101 ' not in head:
            raise RuntimeError(f'exec answered {head.strip()}: {reader.read(500)}')
        while reader.readline().strip():
            pass
        while True:
            first, size = reader.read(2)
            size &= 127
            if size == 126:
                size, = struct.unpack('>H', reader.read(2))
            elif size == 127:
                size, = struct.unpack('>Q', reader.read(8))
            payload = reader.read(size)
            if first & 15 == 8:
                raise RuntimeError(f'the connection was closed without an exit status: {payload}')
            if payload[:1] == b'\x03':
                return json.loads(payload[1:])


class EngineExec:
    """The same command in the same container by the engine's own API, without a cluster between."""

    def __init__(self, container_id, socket_path):
        self.container, self.socket_path = container_id, socket_path

    def ask(self, method, path, body=None, upgrade=False):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket_path)
            text = json.dumps(body) if body is not None else ''
            connection.sendall((f'{method} /v1.41{path} HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n'
                                + ('Connection: Upgrade\r\nUpgrade: tcp\r\n' if upgrade else 'Connection: close\r\n') + '\r\n' + text).encode())
            answer = b''
            while piece := connection.recv(65536):
                answer += piece
        head, _, rest = answer.partition(b'\r\n\r\n')
        if head.split()[1] not in (b'101', b'200', b'201'):
            raise RuntimeError(f'the engine answered {answer[:500]}')
        return rest[rest.find(b'{'):rest.rfind(b'}') + 1]

    def run(self):
        """Milliseconds until the exit code was read."""
        begin = time.monotonic()
        made = json.loads(self.ask('POST', f'/containers/{self.container}/exec', {'AttachStdout': True, 'AttachStderr': True, 'Cmd': ['true']}))
        self.ask('POST', f'/exec/{made["Id"]}/start', {'Detach': False}, upgrade=True)
        told = json.loads(self.ask('GET', f'/exec/{made["Id"]}/json'))
        took = 1000 * (time.monotonic() - begin)
        if told['Running'] or told['ExitCode'] != 0:
            raise RuntimeError(f'the engine says {told}')
        return took


def received(connection, count):
    buffer = bytearray(1 << 20)
    left = count
    while left:
        got = connection.recv_into(buffer, min(left, len(buffer)))
        if not got:
            raise RuntimeError(f'{left} of {count} bytes did not come')
        left -= got
    return buffer


class PortForward:
    """kubectl port-forward to the server's port of streams."""

    def __init__(self, member, protocol):
        self.child = subprocess.Popen([member.plan['kubectl'], 'port-forward', 'pod/server', f':{STREAM_PORT}', '--address', '127.0.0.1'],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | PROTOCOLS[protocol])
        line = self.child.stdout.readline()
        found = re.search(r'127\.0\.0\.1:(\d+)', line)
        if not found:
            self.__exit__()
            raise RuntimeError(f'kubectl port-forward: {line}')
        self.address = ('127.0.0.1', int(found[1]))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.wait()


def open_ms(address):
    """Until a byte has come back on a new connection."""
    begin = time.monotonic()
    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b'Ex')
        received(connection, 1)
        return 1000 * (time.monotonic() - begin)


def megabytes_a_second(address, letter, megabytes):
    with socket.create_connection(address, timeout=120) as connection:
        begin = time.monotonic()
        connection.sendall(letter + struct.pack('<Q', megabytes * MB))
        if letter == b'U':
            piece = bytes(MB)
            for _ in range(megabytes):
                connection.sendall(piece)
            told, = struct.unpack('<Q', received(connection, 8)[:8])
            if told != megabytes * MB:
                raise RuntimeError(f'{told} bytes arrived of {megabytes * MB}')
        else:
            received(connection, megabytes * MB)
        return megabytes / (time.monotonic() - begin)


class Streams(Member):
    def times(self, *words, env=None):
        def once():
            begin = time.monotonic()
            self.kubectl(*words, env=env)
            return 1000 * (time.monotonic() - begin)
        once()
        return [once() for _ in range(self.plan['execs'])]

    def execs(self):
        self.record(name='kubectl', values=self.times('get', '--raw', '/version'))
        client = WebSocketExec(json.loads(self.kubectl('config', 'view', '--raw', '--minify', '-o', 'json')), self.home)
        path = '/api/v1/namespaces/default/pods/server/exec?command=true&stdout=true&stderr=true'
        client.run(path)
        self.record(name='exec', values=[client.run(path) for _ in range(self.plan['execs'])])
        container = self.get('pod', 'server')['status']['containerStatuses'][0]['containerID'].partition('://')[2]
        sockets = dict(each.split(':', 1) for each in os.environ['RUSTERNETES_TEST_ENGINES'].split())
        engine = EngineExec(container, sockets[self.plan['engine']])
        engine.run()
        self.record(name='engine', values=[engine.run() for _ in range(self.plan['execs'])])
        for protocol, env in PROTOCOLS.items():
            self.record(name='kubectl exec', protocol=protocol, values=self.times('exec', 'server', '--', 'true', env=env))

    def forwards(self):
        direct = (self.pod_ip, STREAM_PORT)
        size = self.plan['stream_mb']
        self.record(name='direct', values=[open_ms(direct) for _ in range(self.plan['execs'])],
                    down=megabytes_a_second(direct, b'D', size), up=megabytes_a_second(direct, b'U', size))
        for protocol in PROTOCOLS:
            with PortForward(self, protocol) as forward:
                open_ms(forward.address)
                self.record(name='forward', protocol=protocol, values=[open_ms(forward.address) for _ in range(self.plan['execs'])],
                            down=megabytes_a_second(forward.address, b'D', size), up=megabytes_a_second(forward.address, b'U', size))

    def copies(self):
        size = self.plan['stream_mb']
        there, back = self.home / 'there', self.home / 'back'
        piece = secrets.token_bytes(MB)
        with open(there, 'wb') as out:
            for _ in range(size):
                out.write(piece)
        for protocol, env in PROTOCOLS.items():
            begin = time.monotonic()
            self.kubectl('cp', there, 'server:/tmp/there', env=env)
            middle = time.monotonic()
            self.kubectl('cp', 'server:/tmp/there', back, env=env)
            end = time.monotonic()
            if back.stat().st_size != size * MB:
                raise RuntimeError(f'{back.stat().st_size} bytes came back')
            self.record(name='cp', protocol=protocol, up=size / (middle - begin), down=size / (end - middle))
            back.unlink()

    def measure(self):
        self.execs()
        self.forwards()
        self.copies()


def report(settings, table, engine, rows):
    def find(name):
        return [row for row in rows if row['name'] == name]

    def latency(what, row, note=''):
        values = sorted(row['values'])
        table.add(f'{what}, {engine}', 'ms', statistics.median(values), rounds=values, note=f'slowest {values[-1]:.1f} ms{note}')

    def rates(what, row, note=''):
        for direction, key in (('to the Pod', 'up'), ('from the Pod', 'down')):
            table.add(f'{what} {direction}, {engine}', 'MB/s', row[key], note=f'{settings.stream_mb} MB{note(key) if note else ""}')

    engines = ''.join(f'; by the engine\'s own API {statistics.median(row["values"]):.1f}' for row in find('engine'))
    for row in find('exec'):
        latency('exec of `true`, WebSocket, a client of ours', row, engines)
    own = ''.join(f'; kubectl get --raw /version takes {statistics.median(row["values"]):.1f}' for row in find('kubectl'))
    for row in find('kubectl exec'):
        latency(f'kubectl exec POD -- true, {row["protocol"]}', row, own)
    direct = find('direct')
    for row in find('forward'):
        latency(f'port-forward, a new connection to its first byte back, {row["protocol"]}', row,
                f'; to the Pod itself {statistics.median(direct[0]["values"]):.2f}')
        rates(f'port-forward, {row["protocol"]},', row, lambda key: f'; to or from the Pod itself {direct[0][key]:.0f} MB/s')
    for row in find('cp'):
        rates(f'kubectl cp, {row["protocol"]},', row)


def measure(settings, table):
    for engine, rows in in_worlds(settings, table, 'streams', 'streams', execs=settings.execs, stream_mb=settings.stream_mb):
        report(settings, table, engine, rows)


if __name__ == '__main__':
    Streams(json.loads(sys.argv[1])).run()
