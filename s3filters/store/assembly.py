"""How parts become one file on ScoutFS: their blocks are moved, and no byte is written.

1. *Every part has its place* in the target before the first block moves: the sum of the sizes
   before it. Nothing is ever appended, so a step that is done twice does no harm.
2. *All parts are looked at*: what is offline, or not what was acknowledged, is refused while
   everything is still where it was. From here on a part is that inode, whatever takes its name.
3. *The plan* (which target, which parts, by name, size and inode) goes into an attribute of the
   upload's directory, then the target gets its final size. ScoutFS commits changes in their order,
   so no block can be found moved without the plan that says where to.
4. *MOVE_BLOCKS*, part by part, to explicit offsets. Each extent is in the part or in the target, in
   one of them, whatever dies when.
5. *What cannot be moved is copied* to its own place, extent by extent, and said in the log: a part
   that does not begin at a block of the target, and the end of one that does not fill its last.

The same list again goes on where the last try ended: a part whose blocks are gone is in the
target. Another list, or a part that was uploaded again, first has all blocks moved back to the
parts that they came from, and begins anew. So a complete that fails at any step costs nobody a
part.

The target is a named file in the upload's directory; making its name the object's is ``place``'s.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from s3filters.store import errors, scoutfs
from s3filters.store.scoutfs import BLOCK

PLAN = "user.s3filters.assembly"

log = logging.getLogger("s3filters.store")

_PIECE = 48 << 10  # bytes of the plan in one attribute; ScoutFS takes 65,535
_COPY_AT_ONCE = 1 << 20
# What MOVE_BLOCKS says where copying is as good: something of an earlier try lies there, another
# file system is mounted over a part, or the part belongs to somebody who does not let us.
_COPY_INSTEAD = (errno.EINVAL, errno.EXDEV, errno.EACCES)

OpenPart = Callable[[bytes], int]
IsPart = Callable[[bytes, int], bool]


class Part(NamedTuple):
    """A part as the plan has it; a name used again has another inode."""

    name: bytes
    size: int
    inode: int


class Place(NamedTuple):
    """Where a part goes. ``movable`` bytes of it, from its beginning, can be moved."""

    part: Part
    offset: int
    movable: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Which parts become which file (``target`` is its inode), in order."""

    target: int
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Bytes of the whole."""
        return sum(part.size for part in self.parts)

    def places(self) -> Iterator[Place]:
        """Yield where each part goes."""
        ends = list(accumulate(part.size for part in self.parts))
        for part, end in zip(self.parts, ends, strict=True):
            offset = end - part.size
            # A range that ends where its source ends may end within a block. Moving back is from
            # the target, so only its own end may: the last part's.
            whole = part.size if end == ends[-1] else part.size - part.size % BLOCK
            yield Place(part, offset, 0 if offset % BLOCK else whole)


def move_parts(
    target: int,
    parts: Iterable[tuple[bytes, int]],
    open_part: OpenPart,
    upload: int,
    is_part: IsPart = lambda name, fd: True,
) -> int:
    """Make ``target`` the parts, one after another; return how many bytes had to be copied.

    Call it under the upload's lock. Nothing is synced.

    :param target: open for writing: a named file in the upload's directory, the same one at every
        try, which nobody else writes to
    :param parts: name and size of each
    :param open_part: opens a part for reading, by name; it is closed here
    :param upload: the upload's directory, open (not with O_PATH)
    :param is_part: whether an open file is still the part of that name that is to be joined

    Raise Busy when another node replaced a part meanwhile, so that all is to be read again,
    InvalidObjectState when a part or the target is offline, InternalError when a part is not what
    was acknowledged, OSError.
    """
    old = _read_plan(upload)
    if scoutfs.state(target, format_version=1).offline_blocks:
        raise errors.InvalidObjectState("What was joined of the upload so far is on tape.")
    looked = [_look(name, size, open_part, is_part) for name, size in parts]
    plan = Plan(os.fstat(target).st_ino, tuple(part for part, _ in looked))
    moved = {part.name for part, blocks in looked if not blocks}
    if plan != old:
        moved = set()
        if old is not None and old.target == plan.target:
            _give_back(old, target, open_part)
        elif old is not None:
            _need_blocks(looked, old)
        os.ftruncate(target, 0)
        _write_plan(upload, plan)
    if os.fstat(target).st_size != plan.size:
        os.ftruncate(target, plan.size)
    left = [place for place in plan.places() if place.part.name not in moved]
    return _fill(target, left, open_part)


def _look(name: bytes, size: int, open_part: OpenPart, is_part: IsPart) -> tuple[Part, int]:
    """Return a part, and how many blocks it holds.

    Raise Busy when it is another one, InternalError when its file was changed, InvalidObjectState
    when it is offline.
    """
    with _opened(name, open_part) as fd:
        if not is_part(name, fd):
            raise errors.Busy
        found = os.fstat(fd)
        state = scoutfs.state(fd, format_version=1)
    if found.st_size != size:
        raise errors.InternalError(f"Part {name.decode()} is not of the size that it had.")
    if state.offline_blocks:
        raise errors.InvalidObjectState(
            f"Part {name.decode()} is on tape: the upload can be completed when it has been staged."
        )
    return Part(name, size, found.st_ino), state.online_blocks


def _need_blocks(looked: Sequence[tuple[Part, int]], old: Plan) -> None:
    """Raise InternalError when a part's blocks went into a target that is gone."""
    once_moved = set(old.parts)
    for part, blocks in looked:
        if part in once_moved and blocks * BLOCK < part.size:
            raise errors.InternalError(f"The data of part {part.name.decode()} are gone.")


def _fill(target: int, places: Iterable[Place], open_part: OpenPart) -> int:
    copied, first = 0, b""
    for place in places:
        with _opened(place.part.name, open_part) as fd:
            if os.fstat(fd).st_ino != place.part.inode:  # by another node, where locks do not reach
                raise errors.Busy
            count = _place(target, place, fd)
        if count and not copied:
            first = place.part.name
        copied += count
    if copied:
        log.info(
            "%d of %d bytes were copied, not moved, from part %s on: only parts whose sizes are"
            " multiples of %d bytes can be moved",
            *(copied, os.fstat(target).st_size, first.decode(), BLOCK),
        )
    return copied


def _place(target: int, place: Place, fd: int) -> int:
    """Move what can be moved of a part and copy what is left of it; return the bytes copied."""
    left = place.movable
    if place.movable:
        try:
            scoutfs.move_blocks(fd, 0, place.movable, target, place.offset)
        except OSError as error:
            if error.errno not in _COPY_INSTEAD:
                raise
            left = 0
    return sum(
        _copy(fd, begin, end, target, place.offset + begin)
        for begin, end in _extents(fd, left, place.part.size)
    )


def _give_back(old: Plan, target: int, open_part: OpenPart) -> None:
    """Move all blocks of a target back to the parts that they came from and that are still there.

    What was copied is in its part anyway. Goes on where an earlier try ended.
    """
    if os.fstat(target).st_size != old.size:
        return  # its size comes before the first block
    for part, offset, movable in old.places():
        with contextlib.suppress(FileNotFoundError), _opened(part.name, open_part) as fd:
            if movable and os.fstat(fd).st_ino == part.inode:
                _move_back(target, offset, movable, fd)


def _move_back(target: int, offset: int, length: int, fd: int) -> None:
    """Move a part's blocks back. Those that it still has were copied and stay in the target."""
    missing = 0
    for begin, end in (*_extents(fd, 0, length), (length, length)):
        if missing < begin:
            scoutfs.move_blocks(target, offset + missing, begin - missing, fd, missing)
        missing = end


def _extents(fd: int, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file, within a range of it, that hold data; whole blocks or to its end.

    See lseek(2), SEEK_DATA.
    """
    while begin < end:
        try:
            begin = os.lseek(fd, begin, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        until = min(os.lseek(fd, begin, os.SEEK_HOLE), end)
        if begin < until:
            yield begin, until
        begin = max(begin, until)


def _copy(source: int, begin: int, end: int, target: int, at: int) -> int:
    """Copy a range to a place in the target; return its length."""
    for offset in range(begin, end, _COPY_AT_ONCE):
        data = memoryview(os.pread(source, min(_COPY_AT_ONCE, end - offset), offset))
        to = at + offset - begin
        while data:
            written = os.pwrite(target, data, to)
            data, to = data[written:], to + written
    return end - begin


def _read_plan(upload: int) -> Plan | None:
    """Return the plan of an earlier try.

    None when there was none, or when that try died while it wrote its plan: it moved nothing.
    """
    packed = b""
    with contextlib.suppress(_NoSuchAttribute):
        for number in range(1 << 10):
            packed += _attribute(upload, f"{PLAN}.{number}")
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(packed)
    except zlib.error:
        return None
    if not reader.eof:
        return None
    target, names, sizes, steps = text.split(b"\n")
    inodes = accumulate(int(step) for step in steps.split())
    parts = map(Part, names.split(), map(int, sizes.split()), inodes)
    return Plan(int(target), tuple(parts))


def _write_plan(upload: int, plan: Plan) -> None:
    """Store a plan, in columns that compress well: 10,000 parts take some 20 KiB."""
    inodes = [0, *(part.inode for part in plan.parts)]
    columns = (
        [plan.target],
        (part.name.decode() for part in plan.parts),
        (part.size for part in plan.parts),
        (after - before for before, after in pairwise(inodes)),
    )
    packed = zlib.compress("\n".join(" ".join(map(str, each)) for each in columns).encode())
    for number, at in enumerate(range(0, len(packed), _PIECE)):
        os.setxattr(upload, f"{PLAN}.{number}", packed[at : at + _PIECE])


class _NoSuchAttribute(Exception):
    """There is none of this name."""


def _attribute(fd: int, name: str) -> bytes:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            raise _NoSuchAttribute from error
        raise


@contextlib.contextmanager
def _opened(name: bytes, open_part: OpenPart) -> Iterator[int]:
    fd = open_part(name)
    try:
        yield fd
    finally:
        os.close(fd)
