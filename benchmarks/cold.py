"""(g) What telling the truth of tape costs: HEAD and pages with the glacier filter and without it.

Two daemons serve one tree, as in (f), one with the default pipeline and one whose pipeline lacks
``glacier``: once on a plain file system, where nothing is ever on tape, and once on the double of
ScoutFS, where half of the objects are. There both ask where an object's data are, since the data
version that comes with the answer tells whether its ETag is right still. The figure there is time,
since most of a request is in the file system; the double is much slower than ScoutFS, so a quick
run asks it less. It needs root and /dev/fuse.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks import daemon, signing
from benchmarks.access import INI
from benchmarks.bench import Bench, say
from benchmarks.daemon import HERE, Scratch, Subject
from benchmarks.exchange import Client, page_query
from benchmarks.figures import median, median_ratio, percentile
from benchmarks.loop import load
from benchmarks.small import LIST_SHARE, Sample, Setting, keys, requests, sample, with_speeds
from benchmarks.table import Row
from tests.scoutfs import calls

BUCKET = "bench-cold"
OBJECTS = 1000
OPERATIONS = {"HEAD": "HEAD", "LIST": "ListObjectsV2(1,000)"}
PAGES = OBJECTS // LIST_SHARE // 4  # of a round
QUICKLY = 8  # a quick run asks a slow file system so many times less


@dataclass(frozen=True, slots=True)
class Place:
    """A file system to measure on."""

    name: str
    folder: Path
    slow: bool = False


def run(bench: Bench) -> Iterator[Row]:
    """Measure on both file systems; of a server that is not ours nothing."""
    if bench.scratch is None:
        return
    with tempfile.TemporaryDirectory(dir=bench.scratch.tree.parent) as name:
        plain, mount = Path(name) / "plain", Path(name) / "scoutfs"
        plain.mkdir()
        yield from _measure(bench, bench.scratch, Place("plain", plain))
        if os.geteuid() or not os.path.exists("/dev/fuse"):
            say("(g) the double of ScoutFS needs root and /dev/fuse")
            return
        with _double(mount):
            yield from _measure(bench, bench.scratch, Place("ScoutFS double", mount, slow=True))


@contextmanager
def _double(mount: Path) -> Iterator[None]:
    """Mount the double while the context lasts."""
    mount.mkdir()
    command = [sys.executable, "-m", "tests.scoutfs", str(mount), "--with-stdin"]
    process = subprocess.Popen(command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        if not process.stdout.readline().startswith(b"mounted"):
            raise RuntimeError("the double of ScoutFS did not start")
        yield
    finally:
        process.communicate()


def _measure(bench: Bench, scratch: Scratch, place: Place) -> Iterator[Row]:
    say(f"(g) objects on tape, {place.name}, 1 core")
    connections = 1 if place.slow else bench.plan.connections
    share = QUICKLY if place.slow and bench.plan.quick else 1
    setting = Setting("1 core", connections, 1, judged=True)
    taken: dict[str, tuple[list[Sample], list[Sample]]] = {
        method: ([], []) for method in OPERATIONS
    }
    with ExitStack() as stack:
        subjects = [
            stack.enter_context(daemon.running(one, 1, "none", more=words))
            for one, words in _daemons(scratch, place.folder)
        ]
        _fill(subjects[0], tapes=place.slow)
        stack.enter_context(bench.apart([subject.processes for subject in subjects]))
        for number in range(bench.plan.rounds + 1):  # the first one warms up
            for method in OPERATIONS:
                for which in (0, 1) if number % 2 else (1, 0):
                    asks = _asks(subjects[which], method, share)
                    found = sample(subjects[which], asks, setting)
                    if number:
                        taken[method][which].append(found)
    for method, (ours, bare) in taken.items():
        yield _row(place, method, ours, bare)


def _daemons(scratch: Scratch, folder: Path) -> Iterator[tuple[Scratch, tuple[str, ...]]]:
    """Return where each daemon runs, and what it is told: the second has no glacier."""
    bare = scratch.tree.parent / "bare.ini"
    bare.write_text(INI.read_text().replace(" glacier ", " ", 1))
    here = replace(scratch, tree=folder / "tree")
    here.tree.mkdir()
    yield here, ()
    yield here, ("--conf", str(bare))


def _fill(subject: Subject, *, tapes: bool) -> None:
    """Put objects; every other one goes to tape."""
    client = Client(subject.endpoint)
    client.make_bucket(BUCKET)
    client.close()
    load(subject.endpoint, requests(subject.endpoint, "PUT", OBJECTS, BUCKET), 8)
    if tapes:
        assert subject.tree is not None
        for key in keys(OBJECTS)[::2]:
            calls.make_offline(subject.tree / BUCKET / key)


def _asks(subject: Subject, method: str, share: int) -> list[bytes]:
    """Return the requests of a round, one of ``share`` of them."""
    if method == "HEAD":
        return requests(subject.endpoint, "HEAD", OBJECTS, BUCKET)[::share]
    page = signing.request(subject.endpoint, "GET", f"/{BUCKET}", query=page_query())
    return [page] * (PAGES // share or 1)


def _row(place: Place, method: str, ours: list[Sample], bare: list[Sample]) -> Row:
    time_of = _latency if place.slow else _cpu
    here, there = [time_of(one) for one in ours], [time_of(one) for one in bare]
    row = Row(
        "g",
        f"{OPERATIONS[method]}, {place.name}, 1 core",
        median_ratio(here, there),
        of="without glacier",
        target=f"cold.{method}" if place.slow else "cold.plain",
        detail={"without": median(there)},
    )
    return with_speeds(row, ours)


def _cpu(one: Sample) -> float:
    return one.cpu


def _latency(one: Sample) -> float:
    return percentile(one.latencies, 0.5)
