"""The two control planes as processes: started on free loopback ports, measured through /proc, ended by their id."""
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time

TICKS = os.sysconf('SC_CLK_TCK')
_libc = ctypes.CDLL(None)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(('127.0.0.1', 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def resident_mb(pid):
    with open(f'/proc/{pid}/status') as status:
        for line in status:
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f'process {pid} has no memory')


def cpu_seconds(pid):
    """User and system time of all threads so far, those that ended too."""
    with open(f'/proc/{pid}/stat') as stat:
        fields = stat.read().rsplit(')', 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def die_with_parent():
    _libc.prctl(1, signal.SIGKILL)


class Process:
    def __init__(self, name, command, log):
        self.name = name
        with open(log, 'ab') as out:
            self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          preexec_fn=die_with_parent)
        self.log = log

    @property
    def pid(self):
        return self.child.pid

    def check(self):
        if self.child.poll() is not None:
            tail = open(self.log, errors='replace').read()[-2000:]
            raise RuntimeError(f'{self.name} ended with {self.child.returncode}:\n{tail}')

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class ControlPlane:
    """One api-server with what it needs. `kubeconfig` is of an administrator."""

    def __init__(self, settings, name):
        self.settings = settings
        self.name = name
        self.folder = settings.work / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.processes = {}
        self.port, = free_ports(1)
        self.load_tool('pki', '--folder', self.folder, '--server', f'https://127.0.0.1:{self.port}')
        self.kubeconfig = self.folder / 'admin.kubeconfig'

    def load_tool(self, *words):
        out = subprocess.run([str(self.settings.load), *map(str, words)], capture_output=True, text=True, timeout=600)
        if out.returncode != 0:
            raise RuntimeError(f'{self.name}: {out.stderr.strip()}')
        return json.loads(out.stdout)

    def load(self, word, *flags):
        for process in self.processes.values():
            process.check()
        return self.load_tool(word, '--kubeconfig', self.kubeconfig, *flags)

    def start_process(self, name, command):
        self.processes[name] = Process(f'{self.name}: {name}', command, self.folder / f'{name}.log')

    def wait_ready(self, process, timeout_s=60):
        """Until /readyz says ok."""
        context = ssl._create_unverified_context()
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self.processes[process].check()
            try:
                connection = http.client.HTTPSConnection('127.0.0.1', self.port, timeout=2, context=context)
                connection.request('GET', '/readyz')
                if connection.getresponse().status == 200:
                    return
            except OSError:
                pass
            finally:
                connection.close()
            time.sleep(0.01)
        raise RuntimeError(f'{self.name} is not ready after {timeout_s} s, see {self.folder}')

    def memory(self):
        return {name: resident_mb(process.pid) for name, process in self.processes.items()}

    def api_memory(self):
        return resident_mb(self.processes['api'].pid)

    def api_cpu(self):
        return cpu_seconds(self.processes['api'].pid)

    def stop(self, *names):
        for name in names or reversed(list(self.processes)):
            self.processes.pop(name).stop()

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    # Flags that both take, with the same meaning.
    def api_flags(self):
        f = self.folder
        return ['--secure-port', self.port, '--bind-address=127.0.0.1', f'--tls-cert-file={f}/server.crt',
                f'--tls-private-key-file={f}/server.key', f'--client-ca-file={f}/ca.crt',
                f'--service-account-key-file={f}/sa.pub', f'--service-account-signing-key-file={f}/sa.key',
                '--service-account-issuer=https://kubernetes.default.svc', '--authorization-mode=Node,RBAC',
                '--service-cluster-ip-range=10.96.0.0/16', '--enable-admission-plugins=NodeRestriction',
                '--allow-privileged=true']


class Ours(ControlPlane):
    def __init__(self, settings):
        super().__init__(settings, 'ours')

    def start(self):
        begin = time.monotonic()
        self.start_process('api', [self.settings.binaries / 'api-server', '--data-dir', self.folder / 'data', *self.api_flags()])
        self.wait_ready('api')
        self.ready_ms = 1000 * (time.monotonic() - begin)


class Peer(ControlPlane):
    def __init__(self, settings):
        super().__init__(settings, 'peer')

    def start(self):
        begin = time.monotonic()
        client, peer = free_ports(2)
        peers, f = self.settings.peers, self.folder
        urls = f'http://127.0.0.1:{client}', f'http://127.0.0.1:{peer}'
        self.start_process('etcd', [
            peers / 'etcd', '--data-dir', f / 'etcd', '--listen-client-urls', urls[0], '--advertise-client-urls', urls[0],
            '--listen-peer-urls', urls[1], '--initial-advertise-peer-urls', urls[1], '--initial-cluster', f'default={urls[1]}'])
        self.start_process('api', [peers / 'kube-apiserver', f'--etcd-servers={urls[0]}', f'--cert-dir={f}', *self.api_flags()])
        self.wait_ready('api')
        self.ready_ms = 1000 * (time.monotonic() - begin)

    def start_rest(self):
        peers, f = self.settings.peers, self.folder
        ports = free_ports(2)
        self.start_process('scheduler', [
            peers / 'kube-scheduler', f'--kubeconfig={f}/scheduler.kubeconfig', '--leader-elect=false',
            '--bind-address=127.0.0.1', f'--secure-port={ports[0]}', f'--cert-dir={f}'])
        self.start_process('controller-manager', [
            peers / 'kube-controller-manager', f'--kubeconfig={f}/controller-manager.kubeconfig', '--leader-elect=false',
            '--bind-address=127.0.0.1', f'--secure-port={ports[1]}', f'--cert-dir={f}',
            f'--service-account-private-key-file={f}/sa.key', f'--root-ca-file={f}/ca.crt',
            '--use-service-account-credentials=true', f'--cluster-signing-cert-file={f}/ca.crt',
            f'--cluster-signing-key-file={f}/ca.key'])
