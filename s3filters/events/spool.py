"""Events on their way out: a small file for each, until somebody has taken it.

``<folder>/<id>.json`` is an event that happened. ``<folder>/new.<id>.<who>`` is one that is about
to: it is written, and synced, before what it tells of is done, and gets its name behind that. So
who dies in between leaves a file, which counts as happened after ``LEFT_S``: told of what may not
be rather than not told of what is. An event that is told twice before it was delivered has one
name, and goes out once. When ``most`` wait, no more are taken, and what they would tell of waits.

Who delivers holds the lock of ``<folder>/lock``, so one process of a machine does at a time; it may
keep it in between.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import heapq
import itertools
import os
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

LEFT_S = 600.0
BATCH = 10_000
_END, _NEW, _LOCK = ".json", "new.", "lock"
_ABOVE = 4  # folders that may have been made with it
_COUNT_S = 1.0  # how long a count is good for
_serial = itertools.count()


class Prepared:
    """An event that is about to happen: exactly one of the two verbs is to be called."""

    __slots__ = ("_path", "_spool", "_to")

    def __init__(self, spool: Spool, path: Path, to: Path) -> None:
        self._spool = spool
        self._path = path
        self._to = to

    def happened(self) -> None:
        """It did. Should this fail the event is told later."""
        with contextlib.suppress(OSError):
            self._path.rename(self._to)
        self._spool.wake()

    def did_not(self) -> None:
        """It did not, and nobody is told."""
        with contextlib.suppress(OSError):
            self._path.unlink()


class Spool:
    """A folder of events, which is made at the first of them.

    :param most: how many may wait
    :param durable: what is taken is still there when the power goes
    """

    def __init__(self, folder: str | os.PathLike[str], most: int, *, durable: bool = True) -> None:
        self.folder = Path(folder)
        self._most = most
        self._durable = durable
        self._count = 0
        self._counted = float("-inf")
        self._news = threading.Event()
        self._lock = -1

    def prepare(self, id_: str, message: bytes) -> Prepared:
        """Keep an event that is about to happen. Raise OSError, with EAGAIN when too many wait."""
        if self._waiting() >= self._most:
            raise OSError(errno.EAGAIN, f"{self._most} events wait to be delivered", self.folder)
        if not self.folder.is_dir():
            self._make_folder()
        path = self.folder / f"{_NEW}{id_}.{os.uname().nodename}.{os.getpid()}.{next(_serial)}"
        with path.open("wb") as file:
            file.write(message)
            if self._durable:
                file.flush()
                os.fsync(file.fileno())
        if self._durable:
            _sync(self.folder)
        self._count += 1
        return Prepared(self, path, self.folder / f"{id_}{_END}")

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for above in list(self.folder.parents)[:_ABOVE] if self._durable else ():
            _sync(above)

    def _waiting(self) -> int:
        now = time.monotonic()
        if now - self._counted > _COUNT_S:
            try:
                self._count = sum(name != _LOCK for name in os.listdir(self.folder))
            except FileNotFoundError:
                self._count = 0
            self._counted = now
        return self._count

    def waiting(self) -> list[Path]:
        """Return events to be delivered, those that waited longest first, ``BATCH`` at most.

        Raise OSError.
        """
        return [Path(path) for _, path in heapq.nsmallest(BATCH, self._all())]

    def _all(self) -> Iterator[tuple[float, str]]:
        """Yield since when each event waits, and its path."""
        try:
            with os.scandir(self.folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        found = entry.stat(follow_symlinks=False)
                        if not stat.S_ISREG(found.st_mode):
                            continue  # somebody put it there: a FIFO would hold who reads it
                        moment_s = found.st_mtime
                        left = entry.name.startswith(_NEW) and time.time() - moment_s > LEFT_S
                        if left or entry.name.endswith(_END):
                            yield moment_s, entry.path
        except (FileNotFoundError, NotADirectoryError):
            return

    def lead(self) -> bool:
        """Be the one who delivers, if nobody else is, until ``leave``; say whether that worked.

        Raise OSError.
        """
        try:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self.folder / _LOCK, flags, 0o600)
        except FileNotFoundError:
            self.leave()
            return False  # there was no event yet
        try:
            if self._lock < 0 or not os.path.sameopenfile(fd, self._lock):
                self.leave()  # what it had is no longer there
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                fd, self._lock = self._lock, fd
        except BlockingIOError:
            return False
        finally:
            if fd >= 0:
                os.close(fd)
        self.refresh()
        return True

    def leave(self) -> None:
        """Let another deliver."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def refresh(self) -> None:
        """Say that somebody is at it still, from time to time. Raise OSError."""
        os.utime(self.folder / _LOCK)

    def is_left(self) -> bool:
        """Whether an event waits, and nobody was at it, for ``LEFT_S``. Raise OSError."""
        limit_s = time.time() - LEFT_S
        if min(self._all(), default=(limit_s, ""))[0] >= limit_s:
            return False
        try:
            return (self.folder / _LOCK).stat().st_mtime < limit_s
        except FileNotFoundError:
            return True

    def wake(self) -> None:
        """Let who waits in ``pause`` go on."""
        self._news.set()

    def pause(self, seconds: float) -> None:
        """Wait, until there is news at most."""
        self._news.wait(seconds)
        self._news.clear()


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
