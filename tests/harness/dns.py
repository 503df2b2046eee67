"""DNS as a test sees it: messages written and read by hand, a question to a server, and a small server whose answers a
test makes up. Run as a program, the module is that server: python3 -m harness.dns ADDRESS[:PORT]... < ZONE.json"""
import dataclasses
import json
import secrets
import socket
import socketserver
import struct
import sys
import threading

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "HINFO": 13, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "OPT": 41,
         "DS": 43, "HTTPS": 65, "IXFR": 251, "AXFR": 252, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}
RCODES = ("NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED")


def write_name(text):
    labels = [label.encode() for label in text.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def read_name(message, at):
    """(text with a dot at its end, where it ended)"""
    labels, end = [], None
    while True:
        size = message[at]
        if size >= 0xC0:
            end = end or at + 2
            target = struct.unpack_from(">H", message, at)[0] & 0x3FFF
            if target >= at:
                raise ValueError("a name points forwards")
            at = target
        elif size == 0:
            return ".".join(labels) + ".", end or at + 1
        else:
            labels.append(message[at + 1:at + 1 + size].decode("latin-1"))
            at += 1 + size


def write_query(name, kind, number=None, edns=None, flags=0x0100):
    number = secrets.randbelow(65536) if number is None else number
    out = struct.pack(">6H", number, flags, 1, 0, 0, 0 if edns is None else 1) + write_name(name) + struct.pack(">2H", TYPES.get(kind, kind), 1)
    return out if edns is None else out + struct.pack(">BHHIH", 0, 41, edns, 0, 0)


@dataclasses.dataclass(frozen=True)
class Record:
    name: str
    kind: str
    ttl: int
    data: str


def read_record(message, at):
    name, at = read_name(message, at)
    kind, _, ttl, size = struct.unpack_from(">HHIH", message, at)
    at += 10
    data, end = message[at:at + size], at + size
    kind = NAMES.get(kind, str(kind))
    if kind in ("A", "AAAA"):
        text = socket.inet_ntop(socket.AF_INET if kind == "A" else socket.AF_INET6, data)
    elif kind in ("CNAME", "NS", "PTR"):
        text = read_name(message, at)[0]
    elif kind == "SRV":
        text = "%d %d %d " % struct.unpack_from(">3H", data) + read_name(message, at + 6)[0]
    elif kind == "SOA":
        server, next_at = read_name(message, at)
        mailbox, next_at = read_name(message, next_at)
        text = f"{server} {mailbox} " + " ".join(map(str, struct.unpack_from(">5I", message, next_at)))
    elif kind == "TXT":
        text = data[1:1 + data[0]].decode("latin-1")
    else:
        text = data.hex()
    return Record(name, kind, ttl, text), end


class Answer:
    """A message that came back. `answer`, `authority` and `additional` are lists of Record, without OPT."""

    def __init__(self, message):
        self.message = message
        self.number, self.flags, *counts = struct.unpack_from(">6H", message)
        self.rcode = RCODES[self.flags & 15] if self.flags & 15 < len(RCODES) else str(self.flags & 15)
        self.is_authoritative, self.is_truncated = bool(self.flags & 0x0400), bool(self.flags & 0x0200)
        at, self.question = 12, ""
        for _ in range(counts[0]):
            self.question, at = read_name(message, at)
            at += 4
        sections = []
        for count in counts[1:]:
            records = []
            for _ in range(count):
                record, at = read_record(message, at)
                records.append(record)
            sections.append(records)
        if at != len(message):
            raise ValueError("bytes after the end of the message")
        self.answer, self.authority, additional = sections
        self.has_edns = any(record.kind == "OPT" for record in additional)
        self.additional = [record for record in additional if record.kind != "OPT"]

    def data(self, kind):
        return sorted(record.data for record in self.answer if record.kind == kind)


def ask(server, name, kind, tcp=False, edns=None, timeout=5.0):
    """`server` is (address, port)."""
    return ask_raw(server, write_query(name, kind, edns=edns), tcp, timeout)


def ask_raw(server, query, tcp=False, timeout=5.0):
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(timeout)
        client.connect(server)
        if tcp:
            client.sendall(struct.pack(">H", len(query)) + query)
            stream = client.makefile("rb")
            message = stream.read(struct.unpack(">H", stream.read(2))[0])
        else:
            client.send(query)
            message = client.recv(65535)
    answer = Answer(message)
    assert answer.number == struct.unpack_from(">H", query)[0], "an answer to another question"
    return answer


class MadeUpServer:
    """Answers from a zone {name without a dot at its end: {kind: [data as text]}}: authoritative for all that there is, with
    CNAMEs followed, and with the SOA record of "test." for what there is not. A name whose value is a word gets that code."""
    TTL = 60

    def __init__(self, zone, *addresses):
        self.zone, self.asked, self.servers = zone, [], []
        for address in addresses:
            self.servers += self._listen(address)
        self.address = addresses and self.servers[0].server_address[:2]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def _listen(self, address):
        for attempt in range(20):
            udp = _Udp(address, _handler(self))
            try:
                return [udp, _Tcp(udp.server_address[:2], _handler(self))]
            except OSError:  # the port that was free for UDP may be taken for TCP
                udp.server_close()
                if address[1] != 0 or attempt == 19:
                    raise
        return []

    def stop(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def count(self, name):
        return sum(1 for asked, _ in list(self.asked) if asked == name.lower())

    def reply(self, query, limit):
        number, flags, *counts = struct.unpack_from(">6H", query)
        name, at = read_name(query, 12)
        kind = NAMES.get(struct.unpack_from(">H", query, at)[0], "")
        if counts[3]:
            limit = max(limit, struct.unpack_from(">H", query, at + 4 + 3)[0])
        name = name.rstrip(".").lower()
        self.asked.append((name, kind))
        records, rcode, owner = [], 0, name
        for _ in range(8):
            found = self.zone.get(owner)
            if found is None or isinstance(found, str):
                rcode = RCODES.index(found or "NXDOMAIN")
                break
            if "CNAME" in found and kind != "CNAME":
                records.append((owner, "CNAME", found["CNAME"][0]))
                owner = found["CNAME"][0].rstrip(".").lower()
                continue
            records += [(owner, kind, data) for data in found.get(kind, [])]
            break
        body = [self._record(*record, name) for record in records]
        authority = [] if rcode not in (0, 3) or any(r[1] == kind for r in records) else [self._record("test", "SOA", "")]
        question = query[12:at + 4]
        while True:
            out = b"".join(body) + b"".join(authority)
            if 12 + len(question) + len(out) <= limit:
                break
            flags |= 0x0200
            (authority or body).pop()
        head = struct.pack(">6H", number, 0x8080 | flags & 0x0300 | rcode, 1, len(body), len(authority), 0)
        return head + question + out

    def _record(self, owner, kind, data, asked=None):
        if kind in ("A", "AAAA"):
            raw = socket.inet_pton(socket.AF_INET if kind == "A" else socket.AF_INET6, data)
        elif kind in ("CNAME", "PTR", "NS"):
            raw = write_name(data)
        elif kind == "TXT":
            raw = bytes([len(data)]) + data.encode()
        elif kind == "SRV":
            *numbers, target = data.split()
            raw = struct.pack(">3H", *map(int, numbers)) + write_name(target)
        else:
            raw = write_name("ns.test") + write_name("mail.test") + struct.pack(">5I", 1, 2, 3, 4, self.TTL)
        return (b"\xc0\x0c" if owner == asked else write_name(owner)) + struct.pack(">HHIH", TYPES[kind], 1, self.TTL, len(raw)) + raw


class _Udp(socketserver.ThreadingUDPServer):
    daemon_threads, max_packet_size = True, 65535


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads, allow_reuse_address = True, True


def _handler(owner):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            if isinstance(self.server, _Udp):
                query, client = self.request
                client.sendto(owner.reply(query, 512), self.client_address)
                return
            stream = self.request.makefile("rb")
            while len(length := stream.read(2)) == 2:
                answer = owner.reply(stream.read(struct.unpack(">H", length)[0]), 65535)
                self.request.sendall(struct.pack(">H", len(answer)) + answer)
    return Handler


def main():
    addresses = [(host, int(port or 53)) for host, _, port in (word.partition(":") for word in sys.argv[1:])]
    server = MadeUpServer(json.load(sys.stdin), *addresses)
    print("serving", flush=True)
    try:
        threading.Event().wait()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
