"""(c) The most memory that a worker ever held: 4 KiB load, 1 GiB objects, idle clients, listings.

Each row has a daemon of its own, so that its peak is nobody else's. The figure is VmHWM of the
largest worker: everything that was resident, files that it maps included; in the column of speeds
stands what is its own at the end.
"""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from benchmarks import large, signing, small, trees
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.exchange import Client
from benchmarks.loop import load
from benchmarks.plan import MIB
from benchmarks.table import Row

WALK = 50  # pages one after the other, from the beginning of the largest bucket


@dataclass(frozen=True, slots=True)
class Case:
    """Something that is done to a fresh daemon, and how many workers it has (0: one a core)."""

    name: str
    do: Callable[[Bench, Subject], None]
    workers: int = 1


def run(bench: Bench) -> Iterator[Row]:
    """Measure every case."""
    for case in _cases(bench):
        say(f"(c) memory: {case.name}")
        workers = case.workers or len(bench.plan.cores.every)
        with bench.subject(workers) as subject:
            if bench.other is not None:
                subject.processes.forget_peak()
            case.do(bench, subject)
            found = subject.processes.memory()
        yield Row("c", f"worker, {case.name}", float(found.peak), "MiB", target="memory",
                  rate=found.anonymous / MIB, rate_unit=" MiB own")  # fmt: skip


def _cases(bench: Bench) -> Iterator[Case]:
    size = f"{bench.plan.large >> 20:,} MiB"
    yield Case("started", lambda _bench, _subject: None)
    yield Case("4 KiB load", _load, workers=0)
    yield Case(f"PUT and GET of {size}", _large)
    yield Case(f"{bench.plan.idle:,} idle connections", _idle)
    yield Case("deep tree listed", _walk_deep)
    yield Case(f"{max(bench.plan.flat):,} keys listed", _walk_flat)


def _load(bench: Bench, subject: Subject) -> None:
    """Write, read and delete many objects from many connections."""
    bench.bucket(subject, small.BUCKET)
    for method in ("PUT", "PUT", "GET", "HEAD", "DELETE"):
        load(subject.endpoint, small.requests(subject.endpoint, method, bench.plan.requests), 64)


def _large(bench: Bench, subject: Subject) -> None:
    """Write and read a large object."""
    bench.bucket(subject, large.BUCKET)
    large.put(subject, bench.plan.large)
    large.get(subject, bench.plan.large)
    Client(subject.endpoint).send("DELETE", large.PATH)


def _idle(bench: Bench, subject: Subject) -> None:
    """Leave so many connections open after one request each, then ask again on every tenth."""
    bench.bucket(subject, small.BUCKET)
    head = signing.request(subject.endpoint, "HEAD", f"/{small.BUCKET}")
    with many_files(bench.plan.idle + 100), ExitStack() as stack:
        sockets = [
            stack.enter_context(large.connect(subject.endpoint)) for _ in range(bench.plan.idle)
        ]
        for sock in sockets:
            sock.sendall(head)
            large.read_head(sock)
        for sock in sockets[::10]:
            sock.sendall(head)
            large.read_head(sock)


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """Let this process open so many files while the context lasts; servers keep their own limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(count, hard)), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _walk_deep(bench: Bench, subject: Subject) -> None:
    walk(subject, trees.deep(bench, subject), pages=None)


def _walk_flat(bench: Bench, subject: Subject) -> None:
    """Read pages from the beginning, from the middle and from the end of the largest bucket."""
    reachable = [count for count in bench.plan.flat if trees.within_reach(subject, count)]
    count = max(reachable)
    bucket = trees.flat(bench, subject, count)
    walk(subject, bucket, WALK)
    client = Client(subject.endpoint)
    for number in (count // 2, count - 1000):
        client.page(bucket, start_after=trees.flat_key(number))
    client.close()


def walk(subject: Subject, bucket: str, pages: int | None) -> int:
    """Read so many pages one after the other, or all of them; return the number of keys."""
    client = Client(subject.endpoint)
    page = client.page(bucket)
    found, read = len(page.keys), 1
    while page.token and (pages is None or read < pages):
        page = client.page(bucket, continuation_token=page.token)
        found, read = found + len(page.keys), read + 1
    client.close()
    return found
