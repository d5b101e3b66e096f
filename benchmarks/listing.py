"""(d) What a page of 1,000 keys costs, wherever in a bucket it lies and however large that is.

Each start of the daemon (one worker, its core apart from the client's) gives a first page, when the
directory is not known to it yet, and then pages near the beginning, in the middle and at the end.
The first visit to a page (``unseen``) has to look at a thousand files, later ones (``seen``) need
not: each kind is compared with its own kind in a bucket of 1,000 keys, in the same run.
A file put into the directory behind the daemon's back must be on the very next page, and gone from
the page after it was removed.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from benchmarks import small, trees
from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.exchange import Client, Page, page_query
from benchmarks.figures import median
from benchmarks.loop import LoadError
from benchmarks.table import Row

PAGE = 1000
REFERENCE = "page of 1,000 keys"
VISITS = (", unseen", ", seen")
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

    def page(self, name: str, bucket: str, expect: list[str], **params: str) -> Page:
        """Return a page. Raise LoadError unless its keys, or its prefixes, are the expected."""
        query = page_query(**params)
        before, started = self.processes.clock(), time.perf_counter()
        data = self.client.send("GET", f"/{bucket}", query)
        elapsed = time.perf_counter() - started
        cost = self.costs.setdefault(name, Cost())
        cost.wall.append(elapsed)
        cost.cpu.append(self.processes.since(before))
        page = Page.parse(data)
        if page.keys + page.prefixes != expect:
            raise LoadError(f"{name} {params}: {differences(page.keys + page.prefixes, expect)}")
        return page


def differences(found: list[str], expect: list[str]) -> str:
    """Return a few words on how a page differs from what it should be."""
    missing, surplus = sorted(set(expect) - set(found)), sorted(set(found) - set(expect))
    return (
        f"{len(found)} of {len(expect)} keys, {len(missing)} missing {missing[:3]}, "
        f"{len(surplus)} not expected {surplus[:3]}"
    )


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
            for visit in range(bench.plan.pages + 1):
                name = f"page of 1,000 keys written through S3{VISITS[visit > 0]}"
                reader.page(name, written, small.keys(PAGE))
    yield from (_row(name, costs) for name in costs)
    if seen:
        words = "a change behind the gateway is on the next page"
        yield Row("d", words, float(all(seen)), unit="yes", target="list.seen")


def _flat(bench: Bench, reader: Reader, bucket: str, count: int) -> None:
    """Read the first page, and then the pages at three places of the bucket."""
    pages, words = bench.plan.pages, f"of {count:,} keys"
    first = f"first page {words}" if count > PAGE else REFERENCE + VISITS[0]
    token = reader.page(first, bucket, keys_from(0, count)).token
    if count == PAGE:
        for _ in range(pages):
            reader.page(REFERENCE + VISITS[1], bucket, keys_from(0, count))
        return
    places = {
        "second": (PAGE, {"continuation_token": str(token)}),
        "middle": (count // 2, {"start_after": trees.flat_key(count // 2 - 1)}),
        "last": (count - PAGE, {"start_after": trees.flat_key(count - PAGE - 1)}),
    }
    for place, (at, params) in places.items():
        for visit in range(pages + 1):
            name = f"{place} page {words}{VISITS[visit > 0]}"
            reader.page(name, bucket, keys_from(at, count), **params)


def keys_from(first: int, count: int) -> list[str]:
    """Return the page of a flat bucket of ``count`` keys that begins with this one."""
    return [trees.flat_key(number) for number in range(first, min(first + PAGE, count))]


def _changes(reader: Reader, subject: Subject, bucket: str, count: int) -> Iterator[bool]:
    """Add a file to the directory, then remove it; yield whether the next page is right."""
    if subject.tree is None:
        return
    first = count // 2 - PAGE // 2
    key = f"{trees.flat_key(first)}-new"
    path = subject.tree / bucket / key
    before = keys_from(first, count)
    changed = [before[0], key, *before[1:]][:PAGE]
    os.mknod(path, 0o644 | stat.S_IFREG)
    try:
        yield _shows(reader, bucket, count, changed)
    finally:
        path.unlink()
    yield _shows(reader, bucket, count, before)


def _shows(reader: Reader, bucket: str, count: int, expect: list[str]) -> bool:
    start = trees.flat_key(int(expect[0][1:]) - 1)
    try:
        reader.page(f"page after a change, of {count:,} keys", bucket, expect, start_after=start)
    except LoadError as error:
        say(f"    {error}")
        return False
    return True


def _deep(bench: Bench, reader: Reader, bucket: str) -> None:
    """Read directories as prefixes, one directory, and keys across directories."""
    directories, each = bench.plan.deep
    shape = f"of {directories:,} directories x {each}"
    prefixes = [f"{trees.deep_prefix(number)}" for number in range(min(directories, PAGE))]
    reader.page(f"first page {shape}, delimiter", bucket, prefixes, delimiter="/")
    middle = directories // 2
    inside = trees.deep_keys(range(middle, middle + 1), each)
    for _ in range(bench.plan.pages):
        reader.page(f"page {shape}, delimiter", bucket, prefixes, delimiter="/")
        prefix = trees.deep_prefix(middle)
        reader.page(f"one directory {shape}", bucket, inside, delimiter="/", prefix=prefix)
    start = trees.deep_keys(range(directories), each)[:PAGE]
    reader.page(f"first page {shape}, no delimiter", bucket, start)
    rest = trees.deep_keys(range(middle, directories), each)[1 : PAGE + 1]
    for _ in range(bench.plan.pages):
        name = f"middle page {shape}, no delimiter"
        reader.page(name, bucket, rest, start_after=inside[0])


def _row(name: str, costs: dict[str, Cost]) -> Row:
    cost = costs[name]
    wall, cpu = median(cost.wall), median(cost.cpu)
    row = Row("d", name, p50=wall, cpu=cpu, detail={"wall": cost.wall, "cpu": cost.cpu})
    if name == f"first page of {FIRST_WITHIN:,} keys":
        return replace(row, figure=wall * 1e3, unit="ms", target="list.first")
    kind = VISITS[0] if name.endswith(VISITS[0]) or name.startswith("first") else VISITS[1]
    reference = costs[REFERENCE + kind]
    if cost is reference:
        return row
    target = "list.page" if " page of " in name and name.endswith(VISITS) else ""
    words = f"1,000 keys{kind}"
    return replace(row, figure=wall / median(reference.wall), of=words, target=target)
