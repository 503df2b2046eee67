"""A constant load of requests, each on a connection of its own, and what became of them."""
import http.client
import os
import threading
import time


class Load:
    """`workers` threads that send a request each `period` seconds, from construction to stop(). `url_host` and `port` are an
    address, no name. With `namespace`, a folder of /proc/…/ns or /run/netns, connections are made from there."""

    def __init__(self, host, port, workers=8, period=0.02, timeout=2.0, namespace=None):
        self.host, self.port, self.period, self.timeout, self.namespace = host, port, period, timeout, namespace
        self.answered, self.lost, self.seen, self.slowest = 0, [], {}, 0.0
        self.lock, self.over = threading.Lock(), threading.Event()
        self.threads = [threading.Thread(target=self.work, daemon=True) for _ in range(workers)]
        self.begin = time.monotonic()
        for thread in self.threads:
            thread.start()

    def ask(self):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read().decode().strip()
            if answer.status != 200:
                raise OSError(f"status {answer.status}")
            return body
        finally:
            connection.close()

    def work(self):
        if self.namespace:
            enter(self.namespace)
        due = time.monotonic()
        while not self.over.is_set():
            begin = time.monotonic()
            try:
                who, why = self.ask(), None
            except (OSError, http.client.HTTPException) as error:
                who, why = None, f"{type(error).__name__}: {error}"
            took = time.monotonic() - begin
            with self.lock:
                self.slowest = max(self.slowest, took)
                if why is None:
                    self.answered += 1
                    self.seen[who] = self.seen.get(who, 0) + 1
                else:
                    self.lost.append((begin - self.begin, why))
            due = max(due + self.period, time.monotonic())
            self.over.wait(max(0.0, due - time.monotonic()))

    def counts(self):
        with self.lock:
            return self.answered, len(self.lost)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(self.timeout + 5)
        return self

    def text(self):
        reasons = {}
        for _, why in self.lost:
            reasons[why] = reasons.get(why, 0) + 1
        told = "".join(f"; {count} {why}" for why, count in sorted(reasons.items()))
        return (f"{self.answered} answered by {len(self.seen)} servers, {len(self.lost)} lost, slowest {self.slowest * 1000:.0f} ms{told}")


def enter(path):
    """Moves this thread alone into a network namespace."""
    import ctypes  # pylint: disable=import-outside-toplevel
    fd = os.open(path, os.O_RDONLY)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(fd, 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), f"setns {path}")
    finally:
        os.close(fd)
