"""(a) Durable PUTs: what the store makes of the disk, with several clients at once.

The baseline is a bare loop of the system calls that a durable PUT cannot do without, from as many
threads as the daemon has clients, in a folder of the same file system: O_TMPFILE, write, the
extended attributes that the store set on an object, fsync, link, fsync of the directory. No HTTP,
no signature, no hash.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench, say
from benchmarks.daemon import Subject
from benchmarks.figures import median, median_ratio
from benchmarks.loop import load
from benchmarks.small import BODY, BUCKET, Sample, Setting, requests, sample, with_speeds
from benchmarks.table import Row


def run(bench: Bench) -> Iterator[Row]:
    """Measure PUT with durability full, with as many clients as the plan says."""
    plan = bench.plan
    if bench.other is not None or "full" not in plan.durabilities:
        return
    assert bench.scratch is not None
    with bench.subject(len(plan.cores.every), "full") as subject:
        bench.bucket(subject, BUCKET)
        attributes = _attributes_of_an_object(subject)
        yield _floor(bench, attributes)
        for clients in plan.durable_clients:
            say(f"(a) PUT 4 KiB, durability full, {clients} clients")
            yield from _rows(bench, subject, clients, attributes)


def _attributes_of_an_object(subject: Subject) -> dict[str, bytes]:
    """PUT one object and return the extended attributes that the store gave it."""
    assert subject.tree is not None
    load(subject.endpoint, requests(subject.endpoint, "PUT", 1), 1)
    path = next((subject.tree / BUCKET).glob("o*"))
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


@dataclass(frozen=True, slots=True)
class Bare:
    """One run of the bare loop: files a second, CPU seconds a file."""

    rate: float
    cpu: float


def _floor(bench: Bench, attributes: dict[str, bytes]) -> Row:
    """Return what the system calls alone cost one thread, when nothing is synced."""
    assert bench.scratch is not None
    folder, count = bench.scratch.tree.parent / "bare", bench.plan.durable_requests
    runs = [
        bare_loop(folder, 1, count, attributes, synced=False)
        for _ in range(bench.plan.durable_rounds)
    ]
    return Row("a", "bare calls, not synced, 1 thread", rate=median([one.rate for one in runs]),
               cpu=median([one.cpu for one in runs]))  # fmt: skip


def _rows(
    bench: Bench, subject: Subject, clients: int, attributes: dict[str, bytes]
) -> Iterator[Row]:
    plan = bench.plan
    assert bench.scratch is not None
    folder = bench.scratch.tree.parent / "bare"
    setting = Setting("all cores", clients, 1)
    bare, ours = [], list[Sample]()
    for _ in range(plan.durable_rounds):
        bare.append(bare_loop(folder, clients, plan.durable_requests, attributes))
        messages = requests(subject.endpoint, "PUT", plan.durable_requests)
        ours.append(sample(subject, messages, setting))
        messages = requests(subject.endpoint, "DELETE", plan.durable_requests)
        load(subject.endpoint, messages, clients)
    yield Row("a", f"bare calls, {clients} threads", rate=median([one.rate for one in bare]),
              cpu=median([one.cpu for one in bare]))  # fmt: skip
    ratio = median_ratio([one.rate for one in ours], [one.rate for one in bare])
    row = Row("a", f"PUT new, full, {clients} clients", ratio, of="bare calls",
              target=f"durable.{clients}", detail={"attributes": sorted(attributes)})  # fmt: skip
    yield with_speeds(row, ours)


def bare_loop(
    folder: Path, threads: int, count: int, attributes: Mapping[str, bytes], *, synced: bool = True
) -> Bare:
    """Make so many durable files by so many threads; the folder is gone afterwards."""
    folder.mkdir()
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    numbers = iter(range(count))  # next() of it is one step of the interpreter, so it can be shared

    def work() -> None:
        for number in numbers:
            put(directory, f"o{number:06d}", attributes, synced=synced)

    team = [threading.Thread(target=work) for _ in range(threads)]
    before, started = time.process_time(), time.perf_counter()
    for member in team:
        member.start()
    for member in team:
        member.join()
    elapsed, cpu = time.perf_counter() - started, time.process_time() - before
    os.close(directory)
    shutil.rmtree(folder)
    return Bare(count / elapsed, cpu / count)


def put(directory: int, name: str, attributes: Mapping[str, bytes], *, synced: bool) -> None:
    """Make one file of 4 KiB: data and attributes first, then the name, each synced if wanted."""
    fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644, dir_fd=directory)
    try:
        os.write(fd, BODY)
        for attribute, value in attributes.items():
            os.setxattr(fd, attribute, value)
        if synced:
            os.fsync(fd)
        os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=directory, follow_symlinks=True)
        if synced:
            os.fsync(directory)
    finally:
        os.close(fd)
