"""(e) Uploads in parts: what completing costs, and what parts cost against one PUT.

Completing is timed with one worker on a core of its own, right after the parts were sent (nothing
is synced in between, unless the durability says so), against copying as many bytes on the same
file system: read and written, and by copy_file_range, which shares blocks on some. What it makes
the daemon write is what the kernel says of its processes (``write_bytes``) and, on a file system
made for the run, of the device, with all that was waiting synced before and after.
Parts are sent by many connections at once, against one PUT of as many bytes in the same round.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import large, signing, sparse, volume
from benchmarks.baseline import BLOCK
from benchmarks.bench import Bench, say
from benchmarks.daemon import HERE, Subject
from benchmarks.exchange import Client
from benchmarks.figures import median, median_ratio
from benchmarks.large import GIB, Transfer
from benchmarks.loop import LoadError
from benchmarks.plan import MIB
from benchmarks.table import Row

BUCKET = "bench-parts"
KEY = "joined"
PATH = f"/{BUCKET}/{KEY}"
AT_ONCE = 16  # parts
SENT = GIB  # bytes; of more the parts are mostly holes


@dataclass(frozen=True, slots=True)
class Parts:
    """An upload whose parts are all there."""

    id: str
    etags: Sequence[str]


@dataclass(frozen=True, slots=True)
class Shape:
    """An upload of so many parts of so many bytes."""

    count: int
    size: int

    @property
    def bytes(self) -> int:
        """Return the size of the object."""
        return self.count * self.size

    def __str__(self) -> str:
        return f"{self.count:,} x {self.size // MIB} MiB"


def run(bench: Bench) -> Iterator[Row]:
    """Measure completing, then sending, then reading."""
    if bench.scratch is not None:
        for durability in ("none", "full"):
            if durability in bench.durabilities:
                yield from _completing(bench, durability)
    with bench.subject(len(bench.plan.cores.every)) as subject:
        bench.bucket(subject, BUCKET)
        yield from _sending(bench, subject)
    with bench.subject(1) as subject:
        yield from _reading(bench, subject)


# Completing --------------------------------------------------------------------------------------


def _completing(bench: Bench, durability: str) -> Iterator[Row]:
    assert bench.scratch is not None
    rounds, size = bench.plan.large_rounds, bench.plan.large
    say(f"(e) copying {size // MIB:,} MiB, durability {durability}")
    costs = {}
    for name, how in COPIES.items():
        seconds = [
            copying(bench.scratch.tree.parent, size, how, synced=durability != "none")
            for _ in range(min(rounds, 3))
        ]
        costs[name] = median(seconds) / size
        yield Row("e", f"{name}, {durability}", rate=1 / costs[name] / 1e6, rate_unit=" MB/s")
    for shape in (Shape(*numbers) for numbers in bench.plan.parts):
        say(f"(e) complete of {shape}, durability {durability}")
        with bench.subject(1, durability) as subject:
            yield from _shape_rows(bench, subject, shape, costs)


def _shape_rows(
    bench: Bench, subject: Subject, shape: Shape, costs: dict[str, float]
) -> Iterator[Row]:
    bench.bucket(subject, BUCKET)
    folder = bench.scratch.tree if bench.scratch is not None else Path()
    elapsed, cpu, written = [], [], []
    for number in range(bench.plan.large_rounds + 1):
        with bench.apart([subject.processes]):
            before, asked, seconds = _one(subject, shape)
        if number:  # the first one warms up
            elapsed.append(seconds)
            cpu.append(subject.processes.since(before))
            written.append(subject.processes.written() - asked)
    device = _device_bytes(subject, shape, folder)
    words, took = f"{shape}, {subject.durability}", median(elapsed)
    detail = {
        "seconds": elapsed,
        **{f"of {name}": took / (cost * shape.bytes) for name, cost in costs.items()},
    }
    yield Row("e", f"complete of {words}", took * 1e3, "ms", detail=detail, cpu=median(cpu),
              rate=costs["read and write"] * shape.bytes / took, rate_unit="x a copy",
              target=f"complete.{shape.count}.{subject.durability}")  # fmt: skip
    yield Row("e", f"  bytes written by it ({words})", float(median(written)), "MiB",
              target="complete.written", detail={"rounds": written, "device": device},
              rate=None if device is None else device / MIB, rate_unit=" MiB to disk")  # fmt: skip
    if subject.durability == "none":
        found = subject.processes.memory()
        yield Row("e", f"  worker, {words}", float(found.peak), "MiB", target="memory",
                  rate=found.anonymous / MIB, rate_unit=" MiB own")  # fmt: skip


def _one(subject: Subject, shape: Shape) -> tuple[dict[int, float], int, float]:
    """Send the parts, complete them; return the clocks before completing, and what that took."""
    upload = _filled(subject, shape)
    client = Client(subject.endpoint)
    client.send("HEAD", f"/{BUCKET}")  # the connection is there, as that of a client would be
    before, asked = subject.processes.clock(), subject.processes.written()
    seconds = complete(client, PATH, upload)
    client.close()
    return before, asked, seconds


def _filled(subject: Subject, shape: Shape) -> Parts:
    Client(subject.endpoint).send("DELETE", PATH)
    if shape.bytes > SENT:
        return hollow(subject, shape)
    upload = begin(subject, PATH)
    return Parts(upload, send(subject, PATH, upload, shape))


def hollow(subject: Subject, shape: Shape) -> Parts:
    """Return an upload whose parts were not sent; see ``sparse``. Raise CalledProcessError."""
    assert subject.tree is not None
    words = (subject.tree, BUCKET, KEY, shape.count, shape.size, subject.durability)
    command = [sys.executable, "-m", "benchmarks.sparse", *map(str, words)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE)
    return Parts(done.stdout.strip(), [sparse.ETAG] * shape.count)


def _device_bytes(subject: Subject, shape: Shape, folder: Path) -> int | None:
    """Return what the device was told to write for one more completion; None: shared with others.

    It holds what the file system notes of the names that come and go, in its journal and after.
    """
    if volume.written(folder) is None:
        return None
    upload = _filled(subject, shape)
    client = Client(subject.endpoint)
    os.sync()
    before = volume.written(folder)
    complete(client, PATH, upload)
    client.close()
    os.sync()
    after = volume.written(folder)
    return None if before is None or after is None else after - before


def complete(client: Client, path: str, upload: Parts) -> float:
    """Complete an upload; return the seconds. Raise LoadError unless it became an object."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(upload.etags, 1)
    )
    body = f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()
    started = time.perf_counter()
    data = client.send("POST", path, f"uploadId={upload.id}", body)
    elapsed = time.perf_counter() - started
    if b"<CompleteMultipartUploadResult" not in data:  # an error may come behind a 200
        raise LoadError(f"complete: {data[:500].decode('latin-1')}")
    return elapsed


def _by_hand(source: int, target: int, size: int) -> None:
    for offset in range(0, size, MIB):
        os.pwrite(target, os.pread(source, MIB, offset), offset)


def _by_kernel(source: int, target: int, size: int) -> None:
    done = 0
    while done < size:
        done += os.copy_file_range(source, target, size - done, done, done)


COPIES: dict[str, Callable[[int, int, int], None]] = {
    "read and write": _by_hand,
    "copy_file_range": _by_kernel,
}


def copying(
    folder: Path, size: int, how: Callable[[int, int, int], None], *, synced: bool
) -> float:
    """Write a file, copy it in that way, and return the seconds that the copy took."""
    block = os.urandom(MIB)
    with (folder / "source").open("wb") as source, (folder / "target").open("wb+") as target:
        for _ in range(size // MIB):
            source.write(block)
        source.flush()
        if synced:
            os.fsync(source.fileno())
        with (folder / "source").open("rb") as readable:
            started = time.perf_counter()
            how(readable.fileno(), target.fileno(), size)
            if synced:
                os.fsync(target.fileno())
            elapsed = time.perf_counter() - started
    (folder / "source").unlink()
    (folder / "target").unlink()
    return elapsed


# Sending and reading -----------------------------------------------------------------------------


def _sending(bench: Bench, subject: Subject) -> Iterator[Row]:
    size = bench.plan.large
    shape = Shape(AT_ONCE, size // AT_ONCE)
    say(f"(e) {shape} at once, against one PUT")
    puts, parts = [], []
    bench.bucket(subject, large.BUCKET)
    for number in range(bench.plan.large_rounds + 1):
        for path in (large.PATH, PATH):
            Client(subject.endpoint).send("DELETE", path)
        os.sync()  # what the last round wrote must not compete with this one
        whole = large.put(subject, size)
        Client(subject.endpoint).send("DELETE", large.PATH)
        os.sync()
        pieces = in_parts(subject, PATH, shape)
        if number:  # the first one warms up
            puts.append(whole)
            parts.append(pieces)
    words = f"{shape} at once, all cores"
    speeds = [one.speed for one in parts], [one.speed for one in puts]
    cpus = [one.cpu for one in parts], [one.cpu for one in puts]
    yield Row("e", f"upload of {words}: speed", median_ratio(*speeds), of="one PUT",
              rate=median(speeds[0]), rate_unit=" MB/s")  # fmt: skip
    yield Row("e", f"upload of {words}: CPU a GiB", median_ratio(*cpus), of="one PUT's CPU",
              target="parts.cpu", cpu=median(cpus[0]),
              detail={"parts": cpus[0], "put": cpus[1]})  # fmt: skip


def _reading(bench: Bench, subject: Subject) -> Iterator[Row]:
    size = bench.plan.large
    say("(e) GET of an object made of parts")
    for bucket in (BUCKET, large.BUCKET):
        bench.bucket(subject, bucket)
    whole, made = [], []
    with bench.apart([subject.processes]):
        large.put(subject, size)
        in_parts(subject, PATH, Shape(AT_ONCE, size // AT_ONCE))
        for number in range(bench.plan.large_rounds * large.GETS + 1):
            plain, joined = large.get(subject, size), large.get(subject, size, PATH)
            if number:
                whole.append(plain)
                made.append(joined)
    for path in (PATH, large.PATH):
        Client(subject.endpoint).send("DELETE", path)
    ratio = median_ratio([one.speed for one in made], [one.speed for one in whole])
    yield Row("e", f"GET of an object of {AT_ONCE} parts, 1 core", ratio, of="one of one piece",
              target="parts.get", rate=median([one.speed for one in made]), rate_unit=" MB/s",
              cpu=median([one.cpu for one in made]))  # fmt: skip


def in_parts(subject: Subject, path: str, shape: Shape) -> Transfer:
    """Store an object in parts, from the first word to the last."""
    client = Client(subject.endpoint)
    before, started = subject.processes.clock(), time.perf_counter()
    upload = begin(subject, path)
    complete(client, path, Parts(upload, send(subject, path, upload, shape)))
    elapsed = time.perf_counter() - started
    client.close()
    return Transfer.of(shape.bytes, elapsed, subject.processes.since(before))


def begin(subject: Subject, path: str) -> str:
    """Begin an upload and return its id. Raise LoadError."""
    client = Client(subject.endpoint)
    data = client.send("POST", path, "uploads=").decode()
    client.close()
    found = re.search("<UploadId>(.*?)</UploadId>", data)
    if not found:
        raise LoadError(data[:500])
    return found[1]


def send(subject: Subject, path: str, upload: str, shape: Shape) -> list[str]:
    """Send all parts, ``AT_ONCE`` at a time; return their ETags. Raise LoadError."""
    etags = [""] * shape.count
    numbers = iter(range(1, shape.count + 1))  # one step of the interpreter, so it can be shared
    block = os.urandom(BLOCK)

    def work() -> None:
        with large.connect(subject.endpoint) as sock:
            for number in numbers:
                query = f"partNumber={number}&uploadId={upload}"
                head = signing.request(
                    subject.endpoint, "PUT", path,
                    query=query, length=shape.size, sha256=signing.UNSIGNED,
                )  # fmt: skip
                sock.sendall(head)
                for _ in range(shape.size // len(block)):
                    sock.sendall(block)
                etags[number - 1] = _etag_in(large.read_answer(sock)[0])

    team = [threading.Thread(target=work) for _ in range(min(AT_ONCE, shape.count))]
    for member in team:
        member.start()
    for member in team:
        member.join()
    if not all(etags):
        raise LoadError(f"{etags.count('')} of {shape.count} parts were not stored")
    return etags


def _etag_in(head: bytes) -> str:
    found = re.search(rb'\r\netag: *"?([0-9a-f]+)', head, re.IGNORECASE)
    if not found:
        raise LoadError(head[:500].decode("latin-1"))
    return found[1].decode()
