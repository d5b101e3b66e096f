"""(a) Signed requests for 4 KiB objects: requests a second, latency, and CPU per request.

CPU is that of all processes of the server, kernel included, as a ratio to a bare WSGI app under
stock eventlet.wsgi that is sent as many signed GETs right before. Every request names another key
and every DELETE finds its object: a round writes new objects, writes them again, asks for them, and
deletes them. The first HEAD of an object after it was written (``unseen``) has a row of its own.
Durability is about writing, so only PUT has rows for each.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks import signing
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.exchange import page_query
from benchmarks.figures import median, median_ratio, percentile
from benchmarks.loop import load
from benchmarks.signing import Endpoint
from benchmarks.table import Row

SIZE = 4096
BODY = os.urandom(SIZE)
BODY_SHA256 = hashlib.sha256(BODY).hexdigest()
BUCKET = "bench-small"
LISTED = "bench-listed"
LIST_SHARE = 20  # a listing of 1,000 keys costs about as much as so many other requests


@dataclass(frozen=True, slots=True)
class Case:
    """One measured operation; ``target`` may hold ``{durability}``."""

    name: str
    method: str
    target: str = ""


CYCLE = [
    Case("PUT new", "PUT", "cpu.PUT.{durability}"),
    Case("PUT again", "PUT", "cpu.PUT.{durability}"),
    Case("HEAD, unseen", "HEAD"),
    Case("HEAD", "HEAD", "cpu.HEAD"),
    Case("GET", "GET", "cpu.GET"),
    Case("DELETE", "DELETE", "cpu.DELETE"),
]
DURABLE = [case for case in CYCLE if case.method in ("PUT", "DELETE")]
LIST = Case("ListObjectsV2(1,000)", "LIST")


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of one operation."""

    rate: float
    cpu: float  # seconds a request
    latencies: Sequence[float]


@dataclass(frozen=True, slots=True)
class Setting:
    """How many cores, connections and client processes."""

    words: str
    connections: int
    clients: int
    judged: bool = False  # the targets of CPU are about one core


def run(bench: Bench) -> Iterator[Row]:
    """Measure every operation on one core, then on all of them."""
    cores = len(bench.plan.cores.every)
    one = Setting("1 core", bench.plan.connections, 1, judged=True)
    every = Setting(f"{cores} cores", 16 * cores, max(cores // 2, 1))
    with bench.hello(1) as hello:
        for durability in bench.durabilities:
            with (
                bench.subject(1, durability) as subject,
                bench.apart([hello.processes, subject.processes]),
            ):
                yield from _measure(bench, hello, subject, one)
    with bench.hello(cores) as hello, bench.subject(cores, bench.durabilities[0]) as subject:
        yield from _measure(bench, hello, subject, every)


def _measure(bench: Bench, hello: Subject, subject: Subject, setting: Setting) -> Iterator[Row]:
    """Yield the rows of one durability on so many cores: the durable ones are about PUT alone."""
    say(f"(a) 4 KiB, durability {subject.durability}, {setting.words}")
    bench.bucket(subject, BUCKET)
    cases = DURABLE if subject.durability in ("data", "full") else [*CYCLE, LIST]
    if LIST in cases:
        listed(bench, subject)
    ours: dict[Case, list[Sample]] = {case: [] for case in cases}
    theirs: dict[Case, list[Sample]] = {case: [] for case in cases}
    for number in range(bench.plan.rounds + 1):
        count = bench.plan.requests if number else 100  # the first one warms up
        for case in cases:
            bare = sample(hello, requests(hello.endpoint, "GET", count), setting)
            here = sample(subject, requests(subject.endpoint, case.method, count), setting)
            if number:
                ours[case].append(here)
                theirs[case].append(bare)
    if LIST in cases:
        yield _bare_row(theirs, setting)
    for case in cases:
        if LIST in cases or case.method == "PUT":
            yield _row(case, subject.durability, setting, ours[case], theirs[case])


def sample(subject: Subject, messages: Sequence[bytes], setting: Setting) -> Sample:
    """Send the requests and return what came of it."""
    before = subject.processes.clock()
    outcome = load(subject.endpoint, messages, setting.connections, setting.clients)
    cpu = subject.processes.since(before) / len(outcome.latencies)
    return Sample(outcome.rate, cpu, outcome.latencies)


def requests(endpoint: Endpoint, method: str, count: int, bucket: str = BUCKET) -> list[bytes]:
    """Return signed requests for so many keys; listings are fewer, and all alike."""
    if method == "LIST":
        query = page_query()
        message = signing.request(endpoint, "GET", f"/{LISTED}", query=query)
        return [message] * max(count // LIST_SHARE, 8)
    paths = (f"/{bucket}/{key}" for key in keys(count))
    if method == "PUT":
        return [
            signing.request(endpoint, "PUT", path, length=SIZE, sha256=BODY_SHA256) + BODY
            for path in paths
        ]
    return [signing.request(endpoint, method, path) for path in paths]


def keys(count: int) -> list[str]:
    """Return the keys that requests name, in order."""
    return [f"o{number:06d}" for number in range(count)]


def listed(bench: Bench, subject: Subject) -> str:
    """Return a bucket of 1,000 objects that were written through S3."""

    def fill() -> None:
        load(subject.endpoint, requests(subject.endpoint, "PUT", 1000, LISTED), 8)

    return bench.bucket(subject, LISTED, fill)


def _bare_row(theirs: dict[Case, list[Sample]], setting: Setting) -> Row:
    samples = [sample for listed in theirs.values() for sample in listed]
    return with_speeds(Row("a", f"stock eventlet.wsgi, 4 KiB, {setting.words}"), samples)


def _row(
    case: Case, durability: str, setting: Setting, ours: list[Sample], theirs: list[Sample]
) -> Row:
    cpus, bare = [one.cpu for one in ours], [one.cpu for one in theirs]
    words = durability if case.method == "PUT" else ""
    name = ", ".join(filter(None, (case.name, words, setting.words)))
    target = case.target.format(durability=durability) if setting.judged else ""
    ratios = [here / there for here, there in zip(cpus, bare, strict=True)]
    detail = {
        "ratios": ratios,
        "rate_ratio": median_ratio([one.rate for one in ours], [one.rate for one in theirs]),
    }
    row = Row("a", name, median(ratios), of="hello", target=target, detail=detail)
    return with_speeds(row, ours)


def with_speeds(row: Row, samples: list[Sample]) -> Row:
    """Return the row with the medians of its rounds."""
    return replace(
        row,
        rate=median([one.rate for one in samples]),
        p50=median([percentile(one.latencies, 0.50) for one in samples]),
        p99=median([percentile(one.latencies, 0.99) for one in samples]),
        cpu=median([one.cpu for one in samples]),
    )
