"""What tests of streams need beside kubectl: a terminal of their own, a small WebSocket client that speaks the channels
of exec and attach, and what a process has taken of memory and descriptors."""
import base64
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import ssl
import struct
import subprocess
import termios
import time
import urllib.parse

MIB = 1 << 20
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, section 1.3
STDIN, STDOUT, STDERR, ERROR = range(4)


class Terminal:
    """A program on a pseudo terminal that this test holds the other end of."""

    def __init__(self, context, words, rows=24, columns=80, env=None):
        self.context, self.text, self.code = context, "", None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execvpe(words[0], words, {**os.environ, "TERM": "xterm", **(env or {})})
            finally:
                os._exit(127)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def say(self, text):
        os.write(self.fd, text.encode())

    def read(self, timeout):
        """What has come within that time, added to `text`; empty at the end."""
        if not select.select([self.fd], [], [], timeout)[0]:
            return None
        try:
            piece = os.read(self.fd, 65536).decode(errors="replace")
        except OSError:  # how Linux tells that nobody holds the terminal any more
            piece = ""
        self.text += piece
        return piece

    def wait_for(self, pattern, timeout=30.0, again=None):
        """Until the pattern stands in what came since the last match. `again` is typed every half second meanwhile."""
        end, typed = time.monotonic() + self.context.seconds(timeout), time.monotonic()
        while not (found := re.search(pattern, self.text, re.MULTILINE)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.text[-2000:]!r}"
            assert self.read(0.2) != "", f"the program has ended without {pattern!r}: {self.text[-2000:]!r}"
            if again and time.monotonic() > typed + 0.5:
                self.say(again)
                typed = time.monotonic()
        self.text = self.text[found.end():]
        return found

    def wait(self, timeout=30.0):
        """The exit code; what came until then is added to `text`."""
        end = time.monotonic() + self.context.seconds(timeout)
        while self.code is None:
            assert time.monotonic() < end, f"the program does not end: {self.text[-2000:]!r}"
            if not self.read(0.05):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.fd)


class Access:
    """Where a cluster's API is and how one proves to be its administrator, as Python's sockets need it."""

    def __init__(self, context, cluster):
        config = json.loads(cluster.kubectl("config", "view", "--raw", "-o", "json").stdout)
        server = urllib.parse.urlparse(config["clusters"][0]["cluster"]["server"])
        self.host, self.port = server.hostname, server.port
        self.timeout = context.seconds(60)
        user, folder = config["users"][0]["user"], os.path.join(context.work, f"{cluster.name}-access")
        os.makedirs(folder, mode=0o700, exist_ok=True)

        def keep(name, text):
            path = os.path.join(folder, name)
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(base64.b64decode(text))
            return path
        self.tls = ssl.create_default_context(cafile=keep("ca", config["clusters"][0]["cluster"]["certificate-authority-data"]))
        self.tls.load_cert_chain(keep("certificate", user["client-certificate-data"]), keep("key", user["client-key-data"]))

    def connect(self):
        plain = socket.create_connection((self.host, self.port), timeout=self.timeout)
        return self.tls.wrap_socket(plain, server_hostname=self.host)


class WebSocket:
    """A connection that asked for a WebSocket; `status` is what the server answered."""

    def __init__(self, stream, target, protocol="", headers=()):
        self.stream, self.buffer = stream, b""
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Key: {KEY}",
                 "Sec-WebSocket-Version: 13", *([f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []), *headers]
        stream.sendall("".join(line + "\r\n" for line in lines).encode() + b"\r\n")
        while b"\r\n\r\n" not in self.buffer and self.fill():
            pass
        self.head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        self.status = int(self.head.split()[1]) if self.head else 0

    def fill(self):
        piece = self.stream.recv(65536)
        self.buffer += piece
        return piece

    def take(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise ConnectionError("the server has left in the middle of a frame")
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def send(self, payload, opcode=2):
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size) if size < 65536 else b"\xff" + struct.pack(">Q", size)
        self.stream.sendall(bytes([0x80 | opcode]) + length + b"\0\0\0\0" + payload)  # a mask of zeros changes nothing

    def receive(self):
        """(opcode, payload) of the next frame."""
        first, second = self.take(2)
        size = second & 0x7f
        if size == 126:
            size = struct.unpack(">H", self.take(2))[0]
        elif size == 127:
            size = struct.unpack(">Q", self.take(8))[0]
        return first & 0x0f, self.take(size)

    def close(self):
        self.stream.close()


class Exec:
    """One exec over v5 channels. `output` holds what came on each channel."""

    def __init__(self, access, pod, *command, namespace="default", headers=(), stdin=True, container="main"):
        query = [("command", word) for word in command] + [("container", container), ("stdout", "1"), ("stderr", "1")] + [("stdin", "1")] * stdin
        self.socket = WebSocket(access.connect(), f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urllib.parse.urlencode(query)}",
                                "v5.channel.k8s.io", headers)
        self.output = {STDOUT: b"", STDERR: b"", ERROR: b""}
        self.is_over = False

    def say(self, data):
        self.socket.send(bytes([STDIN]) + data)

    def end_input(self):
        self.socket.send(bytes([255, STDIN]))

    def read(self):
        opcode, payload = self.socket.receive()
        if opcode == 8:
            self.is_over = True
        elif opcode == 2 and payload:
            self.output[payload[0]] += payload[1:]

    def wait_for(self, channel, wanted):
        while wanted not in self.output[channel]:
            assert not self.is_over, self.output
            self.read()

    def finish(self):
        """(exit code, stdout, stderr)"""
        while not self.is_over:
            self.read()
        self.socket.close()
        status = json.loads(self.output[ERROR])
        code = 0 if status["status"] == "Success" else next(int(c["message"]) for c in status["details"]["causes"] if c.get("reason") == "ExitCode")
        return code, self.output[STDOUT].decode(), self.output[STDERR].decode()


# ---- kubectl that goes on

class Background:
    """A kubectl that serves (port-forward, proxy); `port` is the one of its first line that matches."""

    def __init__(self, context, cluster, *words, line, env=None):
        self.context = context
        self.process = subprocess.Popen(cluster.command(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        env={**os.environ, **(env or {})})
        os.set_blocking(self.process.stdout.fileno(), False)
        self.text = ""
        try:
            self.port = int(self.wait_for(line)[1])
        except BaseException:
            self.__exit__()
            raise

    def wait_for(self, pattern, timeout=30.0):
        def check():
            self.text += (self.process.stdout.read() or b"").decode(errors="replace")
            found = re.search(pattern, self.text)
            assert found or self.process.poll() is None, f"it ended with {self.process.returncode}: {self.text}"
            return found
        return self.context.wait_until(f"{pattern!r} of kubectl: {self.text}", check, timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def port_forward(context, cluster, what, port, env=None):
    return Background(context, cluster, "port-forward", "--address=127.0.0.1", what, f":{port}", line=r"Forwarding from 127\.0\.0\.1:(\d+) ->", env=env)


# ---- what a process has taken

def own_processes(context):
    """The pids of the cluster's programs."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.path.basename(os.readlink(f"/proc/{name}/exe")).split(" ")[0] in ("rusternetes", "api-server", "kubelet", "kube-proxy", "supervisor"):
                found.append(int(name))
    assert found, "no process of the cluster is seen here"
    return found


def status_field(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"^{field}:\s+(\d+) kB$", file.read(), re.MULTILINE)[1]) * 1024


@contextlib.contextmanager
def bounded_memory(context, what, limit=8 * MIB):
    """What is resident of any of the cluster's processes rises by no more than `limit` meanwhile, at its peak. Sanitizers
    keep what was freed, so of theirs it is only told."""
    before, is_bounded = {}, True
    for pid in own_processes(context):
        with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the peak begins anew
        before[pid] = status_field(pid, "VmRSS")
        is_bounded = is_bounded and status_field(pid, "VmSize") < 1 << 40  # their shadow memory is larger
    yield
    rises = {pid: (status_field(pid, "VmHWM") - was) / MIB for pid, was in before.items()}
    print(f"    {what}: memory rose by {', '.join(f'{rise:.1f}' for rise in rises.values())} MiB, from "
          f"{', '.join(f'{was / MIB:.1f}' for was in before.values())}", flush=True)
    assert max(rises.values()) * MIB <= limit or not is_bounded, f"{what}: {rises} MiB more"


def open_files(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def written_by(command_line):
    """Bytes that each process with exactly that command line has written, by pid."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/cmdline", encoding="utf-8") as file:
                if file.read() != command_line:
                    continue
            with open(f"/proc/{name}/io", encoding="ascii") as file:
                found[name] = int(re.search(r"^wchar: (\d+)$", file.read(), re.MULTILINE)[1])
    return found


def count_of(program):
    """How many processes have that name."""
    found = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/comm", encoding="utf-8") as file:
            found += file.read().strip() == program
    return found
