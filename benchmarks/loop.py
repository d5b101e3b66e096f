"""The client: a closed loop over keep-alive sockets, one thread, as little work as possible.

Each connection sends a request, waits for the whole answer, and sends the next; all of them share
one list of requests, each of which is sent once. What an answer says is not looked at beyond its
status and its length. The client must not be what is measured: a request costs it about a fifth of
what it costs the stock server.
"""

from __future__ import annotations

import gc
import select
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from benchmarks.signing import Endpoint


class LoadError(RuntimeError):
    """The server did not answer as it should have; the message quotes its first such answer."""


@dataclass(slots=True)
class Outcome:
    """What a run of the loop saw: seconds per request, wall seconds in all, answers not 2xx."""

    latencies: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    failures: list[bytes] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Requests per second."""
        return len(self.latencies) / self.elapsed


class _Connection:
    """One keep-alive connection: what it asked, when, and how much of the answer is to come."""

    __slots__ = ("buffer", "head_only", "left", "sent", "sock", "status", "tail")

    def __init__(self, address: tuple[str, int]) -> None:
        self.sock = socket.create_connection(address, timeout=60)
        self.sock.settimeout(None)  # a time limit would cost a poll(2) before each call
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self.buffer = b""
        self.left: int | None = None  # None: the head is not complete; -1: chunked, see tail
        self.head_only = False
        self.status = 0
        self.tail = b""

    def ask(self, message: bytes) -> None:
        self.buffer = b""
        self.left = None
        self.head_only = message.startswith(b"HEAD ")
        self.sent = time.perf_counter()
        self.sock.sendall(message)

    def take(self) -> bool:
        """Receive once; return whether the answer is whole. Raise LoadError on a closed socket."""
        data = self.sock.recv(262144)
        if not data:
            raise LoadError(f"the server closed the connection after {self.buffer[:200]!r}")
        if self.left is None:
            self.buffer = data = self.buffer + data if self.buffer else data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return False
            self._begin(data[:end].lower(), end)
            received = len(data) - end - 4
        else:
            received = len(data)
        if self.left == -1:
            self.tail = (self.tail + data)[-7:]
            return self.tail.endswith(b"\r\n0\r\n\r\n")
        self.left -= received  # type: ignore[operator]
        return self.left <= 0

    def _begin(self, head: bytes, end: int) -> None:
        self.status = int(head[9:12])
        if self.head_only or self.status in (204, 304):
            self.left = 0
            return
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            stop = head.find(b"\r\n", at + 2)
            self.left = int(head[at + 17 : stop if stop > 0 else end])
        else:
            self.left, self.tail = -1, b""


def closed_loop(
    endpoint: Endpoint, requests: Sequence[bytes], connections: int, limit: float = 120.0
) -> Outcome:
    """Send every request once over so many connections; stop early after ``limit`` seconds."""
    outcome = Outcome()
    todo = iter(requests)
    with select.epoll() as poll:
        members = [
            _Connection((endpoint.host, endpoint.port))
            for _ in range(min(connections, len(requests)))
        ]
        by_fd = {member.sock.fileno(): member for member in members}
        gc.disable()
        try:
            started = time.perf_counter()
            for fd, member in by_fd.items():
                poll.register(fd, select.EPOLLIN)
                member.ask(next(todo))
            _run(poll, by_fd, todo, outcome, started + limit)
            outcome.elapsed = time.perf_counter() - started
        finally:
            gc.enable()
            for member in members:
                member.sock.close()
    return outcome


def _run(
    poll: select.epoll,
    by_fd: dict[int, _Connection],
    todo: Iterator[bytes],
    outcome: Outcome,
    until: float,
) -> None:
    active = len(by_fd)
    clock, latencies = time.perf_counter, outcome.latencies
    while active:
        events = poll.poll(max(until - clock(), 0))
        if not events:
            raise LoadError(f"{active} requests were not answered in time")
        for fd, _ in events:
            member = by_fd[fd]
            if not member.take():
                continue
            now = clock()
            latencies.append(now - member.sent)
            if not 200 <= member.status < 300:
                outcome.failures.append(member.buffer[:600])
            message = next(todo, None) if now < until else None
            if message is None:
                active -= 1
                poll.unregister(fd)
            else:
                member.ask(message)


def load(
    endpoint: Endpoint, requests: Sequence[bytes], connections: int, clients: int = 1
) -> Outcome:
    """Run the loop in this process, or in so many; raise LoadError when any answer is not 2xx."""
    if clients == 1:
        total = closed_loop(endpoint, requests, connections)
    else:
        total = _by_processes(endpoint, requests, connections, clients)
    if total.failures:
        first = total.failures[0].decode("latin-1")
        raise LoadError(f"{len(total.failures)} of {len(requests)} requests failed, first: {first}")
    return total


def _by_processes(
    endpoint: Endpoint, requests: Sequence[bytes], connections: int, clients: int
) -> Outcome:
    each = max(connections // clients, 1)
    with ProcessPoolExecutor(clients, mp_context=get_context("fork")) as pool:
        started = time.perf_counter()
        shares = [
            pool.submit(closed_loop, endpoint, requests[number::clients], each)
            for number in range(clients)
        ]
        outcomes = [share.result() for share in shares]
    return Outcome(
        [latency for outcome in outcomes for latency in outcome.latencies],
        time.perf_counter() - started,
        [failure for outcome in outcomes for failure in outcome.failures],
    )
