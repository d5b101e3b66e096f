"""Reads the names in a directory into sorted runs: one pass, bounded memory, no long sort.

*Order.* A directory is named with a ``/`` behind it, so names sort as the keys that they begin:
``a-b``, ``a.b``, ``a/``, ``a0``. Names that are not UTF-8 are no part of any key and are left out,
as are the names that the store keeps for itself, and whatever is no file, directory or symbolic
link.

*Memory.* Names are kept as text of 256 joined together (``_BLOCK``), in sorted runs of 32,768
(``_RUN``) that are merged when they are read: no list of a million strings exists at any time, and
no sort holds the interpreter long. A directory costs its names' bytes plus one each. One that is
larger than the budget becomes a window of consecutive names.

*Speed.* ``getdents64`` into a large buffer, taken apart by one regular expression: ``os.scandir``
lets go of the interpreter lock for each single name, and under load each costs a wait for it.
"""

from __future__ import annotations

import ctypes
import errno
import heapq
import os
import re
import stat
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import chain

from s3filters.store.paths import is_reserved

_BLOCK = 256
_RUN = 32_768
_PIECES = (32 << 10, 256 << 10)  # bytes of the first and the further reads of a directory
_GLANCE = 2 << 10

# struct linux_dirent64 (getdents(2)), read as latin-1 so that one character is one byte: inode and
# offset (16), record length (2), type (1), then the name, ended by the 1 to 8 NULs that make the
# record a multiple of 8 bytes. So behind the type come 5 bytes and then words of 8, up to the first
# of these whose last byte is NUL. The kernel writes one NUL and leaves the rest of the record as
# the buffer was, so the buffer is all NULs before each call.
_RECORDS = re.compile("(?s).{18}(.)(.{4}(?:\0|.(?:.{7}[^\0])*+.{7}\0))").findall
_DIRECTORY, _FILE, _LINK, _UNKNOWN = "\x04", "\x08", "\x0a", "\x00"

_libc = ctypes.CDLL(None, use_errno=True)
_getdents = _libc.getdents64
_getdents.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_getdents.restype = ctypes.c_ssize_t


class Names:
    """Sorted names of one directory; never changes once made.

    Complete for names from ``low`` (inclusive) to ``high`` (exclusive); None is no bound. Names
    that ``gone`` has are not there, whatever the runs say.
    """

    __slots__ = ("gone", "high", "low", "runs", "size")

    def __init__(
        self,
        runs: list[list[bytes]],
        low: str = "",
        high: str | None = None,
        gone: frozenset[str] = frozenset(),
    ) -> None:
        self.runs = runs
        self.gone = gone
        self.low = low
        self.high = high
        self.size = sum(len(block) + 48 for run in runs for block in run) + 256  # bytes of memory

    def covers(self, start: str) -> bool:
        """True when the names from ``start`` on are here, at least the next ones."""
        return self.low <= start and (self.high is None or start < self.high)

    def since(self, start: str) -> Iterator[str]:
        """Yield names from ``start`` (inclusive) in order, each once, directories with ``/``."""
        key = start.encode("utf-8", "surrogatepass")
        found = [_run_since(run, key, start) for run in self.runs]
        if len(found) == 1 and self.high is None and not self.gone:
            return found[0]
        return _distinct(heapq.merge(*found), self.high, self.gone)

    def changed(self, changes: dict[str, bool]) -> Names:
        """Return the names after the changes: name -> whether it is there now."""
        known = {
            name: there for name, there in changes.items() if not is_reserved(name.rstrip("/"))
        }
        added = sorted(name for name, there in known.items() if there)
        gone = frozenset(name for name, there in known.items() if not there)
        runs = [*self.runs, _blocks(added, "utf-8")] if added else self.runs
        return Names(runs, self.low, self.high, gone)


def joined(several: list[Names]) -> Names:
    """Return what any of several readings of a directory has, where all of them are complete."""
    runs = [run for names in several for run in names.runs]
    gone = frozenset.intersection(*(names.gone for names in several))
    highs = [names.high for names in several if names.high is not None]
    return Names(runs, max(names.low for names in several), min(highs, default=None), gone)


def _blocks(names: list[str], encoding: str) -> list[bytes]:
    """Return sorted names as a run."""
    return ["\0".join(names[n : n + _BLOCK]).encode(encoding) for n in range(0, len(names), _BLOCK)]


def _first(block: bytes) -> bytes:
    end = block.find(b"\0")
    return block if end < 0 else block[:end]


def _split(block: bytes) -> list[str]:
    return block.decode().split("\0")


def _run_since(run: list[bytes], key: bytes, start: str) -> Iterator[str]:
    at = bisect_right(run, key, key=_first) - 1
    if at < 0:
        return chain.from_iterable(map(_split, run))
    names = _split(run[at])
    here = names[bisect_left(names, start) :]
    return chain(here, chain.from_iterable(map(_split, run[at + 1 :])))


def _distinct(names: Iterator[str], high: str | None, gone: frozenset[str]) -> Iterator[str]:
    last = None
    for name in names:
        if name != last:  # a name made again while the scan went by was seen twice
            if high is not None and name >= high:
                return
            last = name
            if name not in gone:
                yield name


class Scan:
    """One reading of a directory: gathers names into runs, within ``budget`` bytes.

    Names are held as latin-1 text of their bytes: it sorts as the bytes do, and fast.
    """

    def __init__(self, fd: int, start: str, budget: int) -> None:
        self._fd = fd
        self._start = start.encode("utf-8", "surrogatepass").decode("latin-1")
        self._budget = budget
        self._low, self._high = "", ""  # "" is no bound
        self._runs: list[list[bytes]] = []
        self._pending: list[str] = []
        self._bytes = 0
        self.pieces = 0  # calls of getdents(2) that gave names; each by itself is of one moment

    def read(self) -> Names:
        """Read the whole directory. Raise OSError."""
        os.lseek(self._fd, 0, os.SEEK_SET)
        for text in _pieces(self._fd, _PIECES[0]):
            self.pieces += 1
            self._pending += self.wanted(_RECORDS(text))
            if len(self._pending) >= _RUN:
                self._flush()
        self._flush()
        low = self._low.encode("latin-1").decode("utf-8", "surrogatepass")
        high = self._high.encode("latin-1").decode() if self._high else None
        return Names(self._runs, low, high)

    def wanted(self, records: list[tuple[str, str]]) -> list[str]:
        """Return the names of the records that can be keys, in any order."""
        names = [name.rstrip("\0") for kind, name in records if kind == _FILE]
        if len(names) < len(records):
            names += self._others(records)
        if not "".join(names).isascii():
            names = [name for name in names if name.isascii() or _is_utf8(name)]
        if self._low:
            names = [name for name in names if name >= self._low]
        if self._high:
            names = [name for name in names if name < self._high]
        return names

    def _others(self, records: list[tuple[str, str]]) -> Iterator[str]:
        for kind, padded in records:
            if kind == _FILE:
                continue
            name = padded.rstrip("\0")
            if kind == _UNKNOWN:
                kind = self._kind(name)  # noqa: PLW2901
            if kind == _DIRECTORY and name not in (".", ".."):
                yield name + "/"
            elif kind in (_LINK, _FILE):
                yield name

    def _kind(self, name: str) -> str:
        """Ask for what the file system leaves out of its directories. "" when it is gone."""
        try:
            found = os.stat(name.encode("latin-1"), dir_fd=self._fd, follow_symlinks=False)
        except FileNotFoundError:
            return ""
        return chr(stat.S_IFMT(found.st_mode) >> 12)  # DT_x of dirent.h is S_IFx >> 12

    def _flush(self) -> None:
        """Make the pending names a sorted run."""
        if not self._pending:
            return
        names = sorted(set(self._pending))
        self._pending = []
        # What begins with "." stands together: only there can a name be one of the store's own.
        here, end = bisect_left(names, "."), bisect_left(names, "/")
        names[here:end] = [name for name in names[here:end] if not is_reserved(name.rstrip("/"))]
        run = _blocks(names, "latin-1")
        self._runs.append(run)
        self._bytes += sum(map(len, run))
        if self._bytes > self._budget:
            self._narrow()

    def _narrow(self) -> None:
        """Keep a window of names that begins at the asked one and fills half of the budget."""
        self._low = self._start
        low = self._low.encode("latin-1")
        self._runs = [run[max(0, bisect_right(run, low, key=_first) - 1) :] for run in self._runs]
        firsts = sorted((_first(block), len(block)) for run in self._runs for block in run)
        self._bytes = 0
        for first, size in firsts:
            self._bytes += size
            if self._bytes > self._budget // 2 and first > low:
                self._high = first.decode("latin-1")
                break
        if self._high:
            high = self._high.encode("latin-1")
            self._runs = [run[: bisect_left(run, high, key=_first)] for run in self._runs]
        self._runs = [run for run in self._runs if run]


def _is_utf8(name: str) -> bool:
    try:
        name.encode("latin-1").decode()
    except UnicodeDecodeError:
        return False
    return True


def peek(fd: int) -> Iterator[str]:
    """Yield the names as they come from the kernel, reading no further than they are asked for.

    ``fd`` is a descriptor opened for reading; its position moves. Raise OSError.
    """
    scan = Scan(fd, "", 0)
    os.lseek(fd, 0, os.SEEK_SET)
    for text in _pieces(fd, _GLANCE):
        for name in scan.wanted(_RECORDS(text)):
            if not is_reserved(name.rstrip("/")):
                yield name.encode("latin-1").decode()


def _pieces(fd: int, size: int) -> Iterator[str]:
    """Yield the directory's records, whole ones, as latin-1 text; first ``size`` bytes."""
    buffer = ctypes.create_string_buffer(size)
    while count := _getdents(fd, ctypes.memset(buffer, 0, size), size):
        if count < 0:
            error = ctypes.get_errno()
            if error == errno.ENOENT:  # the directory was removed
                return
            raise OSError(error, os.strerror(error))
        yield ctypes.string_at(buffer, count).decode("latin-1")
        if size < _PIECES[-1]:
            size = _PIECES[-1]
            buffer = ctypes.create_string_buffer(size)
