"""(b) One object of 1 GiB, there and back, against what a socket and MD5 can do on this machine.

GET: the server on one core and the client on the other, against a socket loop on the same two cores
that sends as many bytes from memory to the same client. PUT: on all cores, against MD5 of as many
bytes, which nobody who returns an ETag can do without; the payload is UNSIGNED-PAYLOAD, so that no
other hash of a client is in the way. Nothing is fsynced: this is not about the disk.
"""

from __future__ import annotations

import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks import daemon, signing
from benchmarks.baseline import BLOCK
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.exchange import Client
from benchmarks.figures import median, median_ratio
from benchmarks.loop import LoadError
from benchmarks.signing import Endpoint
from benchmarks.table import Row

BUCKET = "bench-large"
PATH = f"/{BUCKET}/large"
GIB = 1 << 30
GETS = 3  # rounds of GET for each round of PUT: they take less, and scatter more


@dataclass(frozen=True, slots=True)
class Transfer:
    """One transfer: MB (a million bytes) per wall second, CPU seconds of the server per GiB."""

    speed: float
    cpu: float

    @classmethod
    def of(cls, size: int, elapsed: float, cpu: float) -> Transfer:
        """Return the transfer of so many bytes in so many seconds."""
        return cls(size / 1e6 / elapsed, cpu * GIB / size)


def run(bench: Bench) -> Iterator[Row]:
    """Measure PUT, then GET of what was put."""
    say("(b) the large object")
    with bench.subject(len(bench.plan.cores.every)) as subject:
        bench.bucket(subject, BUCKET)
        yield from _put_rows(bench, subject)
    with bench.subject(1) as subject, daemon.baseline("stream") as (port, who):
        with bench.apart([subject.processes, who]):
            yield from _get_rows(bench, subject, port)
        Client(subject.endpoint).send("DELETE", PATH)


def _put_rows(bench: Bench, subject: Subject) -> Iterator[Row]:
    size = bench.plan.large
    digests, puts = [], []
    for _ in range(bench.plan.large_rounds):
        digests.append(md5_alone(size))
        Client(subject.endpoint).send("DELETE", PATH)
        os.sync()  # what the last round wrote must not compete with this one
        puts.append(put(subject, size))
    ratio = median_ratio([one.speed for one in puts], [one.speed for one in digests])
    cpu = median([one.cpu for one in puts])
    rate = median([one.speed for one in puts])
    yield Row("b", "MD5 alone", rate=median([one.speed for one in digests]), rate_unit=" MB/s",
              cpu=median([one.cpu for one in digests]))  # fmt: skip
    yield Row("b", f"PUT {_words(size)}: speed", ratio, of="MD5", target="large.put", rate=rate,
              rate_unit=" MB/s", cpu=cpu)  # fmt: skip
    ratio = median_ratio([one.cpu for one in puts], [one.cpu for one in digests])
    yield Row("b", f"PUT {_words(size)}: CPU a GiB", ratio, of="MD5's CPU",
              target="large.put.cpu", cpu=cpu)  # fmt: skip


def _get_rows(bench: Bench, subject: Subject, port: int) -> Iterator[Row]:
    size = bench.plan.large
    put(subject, size)
    loops, gets = [], []
    for number in range(bench.plan.large_rounds * GETS + 1):
        loop, got = socket_loop(port, size), get(subject, size)
        if number:  # the first one warms up
            loops.append(loop)
            gets.append(got)
    yield Row("b", "socket loop, 1 core", rate=median([one.speed for one in loops]),
              rate_unit=" MB/s")  # fmt: skip
    yield Row(
        "b",
        f"GET {_words(size)}, 1 core",
        median_ratio([one.speed for one in gets], [one.speed for one in loops]),
        of="socket loop",
        target="large.get",
        rate=median([one.speed for one in gets]),
        rate_unit=" MB/s",
        cpu=median([one.cpu for one in gets]),
    )


def _words(size: int) -> str:
    return f"{size >> 20:,} MiB" if size % GIB else f"{size >> 30} GiB"


def md5_alone(size: int) -> Transfer:
    """Hash so many bytes from memory."""
    block, digest = os.urandom(BLOCK), hashlib.md5(usedforsecurity=False)
    before, started = time.process_time(), time.perf_counter()
    for _ in range(size // BLOCK):
        digest.update(block)
    return Transfer.of(size, time.perf_counter() - started, time.process_time() - before)


def put(subject: Subject, size: int) -> Transfer:
    """PUT so many bytes."""
    endpoint, block = subject.endpoint, os.urandom(BLOCK)
    head = signing.request(endpoint, "PUT", PATH, length=size, sha256=signing.UNSIGNED)
    with connect(endpoint) as sock:
        before, started = subject.processes.clock(), time.perf_counter()
        sock.sendall(head)
        for _ in range(size // BLOCK):
            sock.sendall(block)
        read_head(sock)
        elapsed = time.perf_counter() - started
        return Transfer.of(size, elapsed, subject.processes.since(before))


def get(subject: Subject, size: int, path: str = PATH) -> Transfer:
    """GET the object of so many bytes and throw it away."""
    endpoint = subject.endpoint
    head = signing.request(endpoint, "GET", path)
    with connect(endpoint) as sock:
        before, started = subject.processes.clock(), time.perf_counter()
        sock.sendall(head)
        drain(sock, size - len(read_head(sock)))
        elapsed = time.perf_counter() - started
        return Transfer.of(size, elapsed, subject.processes.since(before))


def socket_loop(port: int, size: int) -> Transfer:
    """Take so many bytes from the plain socket loop."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        started = time.perf_counter()
        sock.sendall(b"GET %d\n" % size)
        drain(sock, size)
        return Transfer.of(size, time.perf_counter() - started, 0.0)


def connect(endpoint: Endpoint) -> socket.socket:
    """Return a connection without Nagle's delay."""
    sock = socket.create_connection((endpoint.host, endpoint.port), timeout=120)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def drain(sock: socket.socket, left: int) -> None:
    """Receive so many bytes into one buffer."""
    buffer = bytearray(BLOCK)
    while left > 0:
        received = sock.recv_into(buffer)
        if not received:
            raise LoadError(f"the server closed the connection {left} bytes early")
        left -= received


def read_head(sock: socket.socket) -> bytes:
    """Read the head of an answer and return what came of the body. Raise LoadError unless 200."""
    return read_answer(sock)[1]


def read_answer(sock: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of an answer, and what came of the body. Raise LoadError unless 200."""
    data = b""
    while b"\r\n\r\n" not in data:
        received = sock.recv(65536)
        if not received:
            raise LoadError(f"the server closed the connection after {data[:300]!r}")
        data += received
    if data[9:12] != b"200":
        raise LoadError(data[:600].decode("latin-1"))
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest
