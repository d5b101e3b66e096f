"""(d) What a page of 1,000 keys costs, wherever in a bucket it lies and however large that is.

Each start of the daemon (one worker, its core apart from the client's) gives a first page, when the
directory is not known to it yet, and then pages at the beginning, in the middle and at the end of
what it knows by then. They are compared with known pages of a bucket of 1,000 keys in the same run.
A file put into the directory behind the daemon's back must be on the very next page, and gone from
the page after it was removed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import small, trees
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.exchange import Client, Page, page_query
from benchmarks.figures import median
from benchmarks.loop import LoadError
from benchmarks.table import Row

PAGE = 1000
REFERENCE = "page of 1,000 keys"
FIRST_WITHIN = 100_000  # keys of the bucket whose first page has a target


@dataclass(slots=True)
class Cost:
    """Wall and CPU seconds of pages of one kind."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


class Reader:
    """Asks for pages, checks that they are whole, and notes what they cost under a name."""

    def __init__(self, subject: Subject, costs: dict[str, Cost]) -> None:
        self.processes = subject.processes
        self.client = Client(subject.endpoint)
        self.costs = costs

    def page(self, name: str, bucket: str, expect: int = PAGE, **params: str) -> Page:
        """Return a page that holds ``expect`` keys and prefixes. Raise LoadError if it does not."""
        query = page_query(**params)
        before, started = self.processes.clock(), time.perf_counter()
        data = self.client.send("GET", f"/{bucket}", query)
        elapsed = time.perf_counter() - started
        cost = self.costs.setdefault(name, Cost())
        cost.wall.append(elapsed)
        cost.cpu.append(self.processes.since(before))
        page = Page.parse(data)
        if len(page.keys) + len(page.prefixes) != expect:
            found = f"{len(page.keys)} keys and {len(page.prefixes)} prefixes"
            raise LoadError(f"a page of {bucket} {params} has {found}, not {expect}")
        return page


def run(bench: Bench) -> Iterator[Row]:
    """Measure flat buckets, then the deep tree."""
    costs: dict[str, Cost] = {}
    seen: list[bool] = []
    with bench.subject(1) as subject:
        counts = [count for count in bench.plan.flat if trees.within_reach(subject, count)]
        flat = {count: trees.flat(bench, subject, count) for count in counts}
        deep = trees.deep(bench, subject)
        written = small.listed(bench, subject)
    for number in range(bench.plan.starts):
        say(f"(d) listings, start {number + 1} of {bench.plan.starts}")
        with bench.subject(1) as subject, bench.apart([subject.processes]):
            reader = Reader(subject, costs)
            for count, bucket in flat.items():
                _flat(bench, reader, bucket, count)
                seen.extend(_changes(reader, subject, bucket, count))
            _deep(bench, reader, deep)
            for _ in range(bench.plan.pages):
                reader.page("page of 1,000 keys, written through S3", written)
    yield from (_row(name, cost, costs[REFERENCE]) for name, cost in costs.items())
    if seen:
        words = "a change behind the gateway is on the next page"
        yield Row("d", words, float(all(seen)), unit="yes", target="list.seen")


def _flat(bench: Bench, reader: Reader, bucket: str, count: int) -> None:
    """Read the first page, and then the pages at three places of the bucket."""
    pages, words = bench.plan.pages, f"of {count:,} keys"
    token = reader.page(f"first page {words}", bucket).token
    if count == PAGE:
        for _ in range(pages):
            reader.page(REFERENCE, bucket)
        return
    for _ in range(pages):
        reader.page(f"second page {words}", bucket, continuation_token=str(token))
    for number in range(pages):
        middle = after(count // 2 + number * PAGE)
        reader.page(f"middle page {words}", bucket, start_after=middle)
        end = after(count - (number + 1) * PAGE)
        reader.page(f"late page {words}", bucket, start_after=end)


def after(number: int) -> str:
    """Return the key that stands right before the key of this number."""
    return trees.flat_key(number - 1)


def _changes(reader: Reader, subject: Subject, bucket: str, count: int) -> Iterator[bool]:
    """Add a file to the directory, then remove it; yield whether the next page is right."""
    if subject.tree is None:
        return
    place = count // 2 - PAGE // 2
    key = f"{trees.flat_key(place)}-new"
    path = subject.tree / bucket / key
    name = f"page after a change, of {count:,} keys"
    known = reader.client.page(bucket, start_after=after(place)).keys
    os.mknod(path, 0o644 | stat.S_IFREG)
    try:
        expect = min(len(known) + 1, PAGE)
        page = reader.page(name, bucket, expect, start_after=after(place))
        yield key in page.keys
    finally:
        path.unlink()
    yield reader.page(name, bucket, len(known), start_after=after(place)).keys == known


def _deep(bench: Bench, reader: Reader, bucket: str) -> None:
    """Read directories as prefixes, one directory, and keys across directories."""
    directories, each = bench.plan.deep
    shape = f"of {directories:,} directories x {each}"
    prefixes, keys = min(directories, PAGE), min(directories * each, PAGE)
    reader.page(f"first page {shape}, delimiter", bucket, prefixes, delimiter="/")
    middle = f"d{directories // 2:04d}/"
    for _ in range(bench.plan.pages):
        reader.page(f"page {shape}, delimiter", bucket, prefixes, delimiter="/")
        reader.page(f"one directory {shape}", bucket, each, delimiter="/", prefix=middle)
    reader.page(f"first page {shape}, no delimiter", bucket, keys)
    for _ in range(bench.plan.pages):
        reader.page(f"middle page {shape}, no delimiter", bucket, keys, start_after=middle)


def _row(name: str, cost: Cost, reference: Cost) -> Row:
    wall, cpu = median(cost.wall), median(cost.cpu)
    detail = {"wall": cost.wall, "cpu": cost.cpu}
    if name == f"first page of {FIRST_WITHIN:,} keys":
        return Row("d", name, wall * 1e3, "ms", target="list.first", p50=wall, cpu=cpu,
                   detail=detail)  # fmt: skip
    known = name.startswith(("second page", "middle page of", "late page")) and "keys" in name
    ratio = None if cost is reference else wall / median(reference.wall)
    return Row("d", name, ratio, of="1,000 keys", target="list.page" if known else "", p50=wall,
               cpu=cpu, detail=detail)  # fmt: skip
