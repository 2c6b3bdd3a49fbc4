"""Requests at a fixed rate, whatever the server does: latency from the moment when a request was due.

A closed loop sends fewer requests while the server is slow, and so hides it; here the full waiting time counts. One
thread and plain sockets.

`python -m benchmarks.day.open_loop HOST PORT RATE SECONDS CONNECTIONS MIXTURE START` prints percentiles as JSON.
"""

import collections
import json
import random
import select
import socket
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.load import CLIENT_HEADERS

_ROOM: Final = memoryview(bytearray(1024 * 1024))


class _Connection:
    __slots__ = ("due", "head", "left", "socket")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self.head: bytes | None = b""
        self.left = 0

    def ask(self, request: bytes, due: float) -> None:
        self.due, self.head, self.left = due, b"", 0
        if self.socket.send(request) != len(request):
            raise RuntimeError("a request did not fit into the socket")

    def read(self) -> bool:
        """Process received bytes; return whether the answer is complete."""
        while True:
            try:
                size = self.socket.recv_into(_ROOM)
            except BlockingIOError:
                return False
            if size == 0:
                raise RuntimeError("the server closed a connection")
            if self.head is None:
                self.left -= size
            else:
                head = self.head + bytes(_ROOM[:size])
                end = head.find(b"\r\n\r\n")
                if end < 0:
                    self.head = head
                    continue
                status, length = _read_head(head[:end])
                if status not in (200, 304):
                    raise RuntimeError(f"answered with {status}: {head[:200]!r}")
                self.head = None
                self.left = (0 if status == 304 else length) - (len(head) - end - 4)
            if self.left <= 0:
                return True


def _read_head(head: bytes) -> tuple[int, int]:
    status, lower = int(head[9:12]), head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at < 0:
        if status == 304:
            return status, 0
        raise RuntimeError(f"an answer without a length: {head!r}")
    return status, int(lower[at + 17 :].split(b"\r\n", 1)[0])


def run(
    host: str, port: int, rate: float, seconds: float, connections: int, mixture: Path, start: int
) -> dict[str, float]:
    requests = [_request(line, f"{host}:{port}") for line in mixture.read_text().splitlines()]
    choose = random.Random(start)
    free = collections.deque(_Connection((host, port)) for _ in range(connections))
    poll = select.epoll()
    by_descriptor = {each.socket.fileno(): each for each in free}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    waiting: collections.deque[tuple[bytes, float]] = collections.deque()
    latencies: list[float] = []
    late = 0.0  # how far behind the schedule we are ourselves
    at, began = start, time.perf_counter()
    due = began
    end = began + seconds
    while due < end or waiting or len(free) < connections:
        now = time.perf_counter()
        while due <= now and due < end:
            waiting.append((requests[at % len(requests)], due))
            late = max(late, now - due)
            at += 1
            due += choose.expovariate(rate)
        while waiting and free:
            request, was_due = waiting.popleft()
            free.popleft().ask(request, was_due)
        pause = max(0.0, min(due, end) - time.perf_counter()) if due < end and not waiting else 1.0
        for descriptor, _ in poll.poll(pause if pause > 0.0002 or due >= end else 0):
            connection = by_descriptor[descriptor]
            if connection.read():
                latencies.append(time.perf_counter() - connection.due)
                free.append(connection)
        if now > end + 60:
            raise RuntimeError("the server did not catch up within a minute")
    latencies.sort()
    last = len(latencies) - 1
    return {
        "requests": len(latencies),
        "rate": len(latencies) / seconds,
        "p50": latencies[int(last * 0.5)],
        "p99": latencies[int(last * 0.99)],
        "p999": latencies[int(last * 0.999)],
        "worst": latencies[-1],
        "generator_late": late,
    }


def _request(line: str, host: str) -> bytes:
    target, *fields = line.split("\t")
    headers = [f"Host: {host}", *(f"{name}: {value}" for name, value in CLIENT_HEADERS.items()), *fields]
    return "\r\n".join((f"GET {target} HTTP/1.1", *headers, "", "")).encode()


if __name__ == "__main__":
    name, number, wanted, lasting, many, recorded, begin = sys.argv[1:]
    print(json.dumps(run(name, int(number), float(wanted), float(lasting), int(many), Path(recorded), int(begin))))
