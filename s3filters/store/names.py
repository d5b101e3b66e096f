"""The names in directories, read once and believed while the directory proves unchanged.

This is what makes a page of a listing cost the same wherever it begins: the kernel gives names in
no order and cannot seek by name, so somebody has to read all of them; ``scan`` does it, and this
module says whether it has to.

*Proof by time.* Names are kept under the directory's device and inode and are used again only while
``fstat`` gives the same ctime and mtime, and only when that ctime was already past when the scan
began. A later change then gets a later ctime. A ctime as young as the scan proves nothing, because
timestamps tick (4 or 10 ms; a second on old file systems) and a change in the same tick leaves it
as it is: git's index knows this as the racy entry. Such a scan serves its own page and is dropped.
Fine ("multigrain") timestamps only make the ticks smaller. ctime cannot be set back by any program,
only by the clock of the machine. On network file systems another clock stamps, so there a ctime
must be older by far more than clocks differ.

*Proof by hearing.* A large directory of this machine that is found changed is watched (``watch``)
when it is read again, and from then on its names are those that were read and the changes that the
kernel reports. Its ctime still has to agree: a ctime that moves without a report means reading
again.

*Names that move.* On btrfs and tmpfs a rename over a name gives it another place in the directory,
perhaps behind the one that a reading has come to, which then misses it. So a reading of more than
one getdents(2) during which the directory changed, or may have, is done again under a watch, whose
reports complete it. Without a watch (network, or no more of them) it is done ``_SCANS`` times in
all and a name seen in any is taken: whoever lists looks at each name anyway.

*Memory.* The names of the directories listed last are kept, within a budget. A directory larger
than the whole budget is kept as a window, and read again when a page leaves the window.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator

from s3filters.store import scan
from s3filters.store.errors import WouldBlock
from s3filters.store.scan import Names
from s3filters.store.watch import Watched, Watcher

BUDGET = 32 << 20  # bytes of names that a process keeps, unless told otherwise
_LARGE = 256 << 10  # st_size from which on one directory at a time is read
_WORTH_WATCHING = 64 << 10  # bytes of names; reading fewer again is cheaper
_MOST_CHANGES = 8192  # names that a watch collects before the directory is read again
_MOST_BUSY = 1024
_SCANS = 3  # readings of a directory that changes all the time and cannot be watched

_TICK_NS = 20_000_000  # no kernel's clock for timestamps ticks slower (CONFIG_HZ=100: 10 ms)
_COARSE_NS = 2_000_000_000  # file systems that keep whole seconds (FAT: two)
_FOREIGN_NS = 600_000_000_000  # how far the clock of a file server may be behind ours
_CLOCK_REALTIME_COARSE = 5  # linux/time.h: the clock that the kernel stamps inodes with


class _Held:
    """Names of a directory that were read, and what proves that they are its names now."""

    __slots__ = ("_ahead", "_base", "_seen", "_stamp", "names", "size", "watched")

    def __init__(self, stamp: tuple[int, int], names: Names, watched: Watched | None) -> None:
        self._stamp = stamp  # ctime and mtime before names was read
        self._base = self.names = names
        self.size = names.size
        self.watched = watched
        self._seen = 0  # events of the watch that ``names`` has in it
        self._ahead = watched is not None  # ``names`` may have changes that are not in the stamp

    def holds(self, stamp: tuple[int, int]) -> bool:
        """True when ``names`` is current; ``stamp`` was taken before the watcher was drained."""
        watched = self.watched
        if watched is None:
            return stamp == self._stamp
        seen = self._seen
        if not self.hears(watched):
            return False
        if self._seen == seen:
            if stamp != self._stamp and not self._ahead:
                return False  # it changed and no event came: not as it should be
            self._ahead = False
        self._stamp = stamp
        return True

    def hears(self, watched: Watched) -> bool:
        """Take in what the watch has reported; False when it cannot have reported all."""
        if watched.lost or len(watched.changes) > _MOST_CHANGES:
            return False
        if watched.count != self._seen:
            self.names = self._base.changed(watched.changes)
            self._seen, self._ahead = watched.count, True
        return True

    def end(self, watcher: Watcher) -> None:
        """Give up the watch."""
        if self.watched is not None:
            watcher.end(self.watched)


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_ctime_ns, found.st_mtime_ns


class NameCache:
    """Names of the directories listed last, within a budget of bytes; one in each process.

    :param budget: bytes of names to keep
    :param local: the file system is this machine's own: its clock stamps, its kernel knows all
    """

    def __init__(self, budget: int = BUDGET, *, local: bool = True) -> None:
        self.budget = budget
        self._local = local
        self._held: OrderedDict[tuple[int, int], _Held] = OrderedDict()
        self._bytes = 0
        self._busy: set[tuple[int, int]] = set()  # large ones that changed between two pages
        self._watcher = Watcher()
        self._lock = threading.Lock()
        self._large = threading.Lock()  # one large directory is scanned at a time: memory

    def known(self, found: os.stat_result, start: str = "") -> Names | None:
        """Return the names if ``found``, the directory's stat of now, proves them current."""
        key = (found.st_dev, found.st_ino)
        with self._lock:
            held = self._held.get(key)
            if held is None:
                return None
            if held.watched is not None:
                self._watcher.drain()
            if not held.holds(_stamp(found)):
                self._note_change(key, held.names)
                self._drop(key)
                return None
            if not held.names.covers(start):
                self._drop(key)  # before another window is read: memory
                return None
            self._held.move_to_end(key)
            return held.names

    def read(self, fd: int, start: str = "") -> Names:
        """Return the names of a directory as they are now, complete at least from ``start`` on.

        ``fd`` is a descriptor opened for reading; its position moves. Raise OSError.
        """
        found = os.fstat(fd)
        names = self.known(found, start)
        if names is not None:
            return names
        if found.st_size < _LARGE:
            return self._scan(fd, start)
        with self._large:  # whoever waited may find it done
            return self.known(os.fstat(fd), start) or self._scan(fd, start)

    def since(
        self, open_fd: Callable[[], int], start: str = "", *, cached: bool = False
    ) -> Iterator[str]:
        """Yield names from ``start`` (inclusive), scanning again where a window ends.

        ``open_fd`` gives a descriptor of the directory, whenever one is needed. With ``cached``
        raise WouldBlock instead of reading the directory. Raise OSError.
        """
        at: str | None = start
        while at is not None:
            names = self.known(os.fstat(open_fd()), at) if cached else self.read(open_fd(), at)
            if names is None:
                raise WouldBlock
            yield from names.since(at)
            at, names = names.high, None

    def close(self) -> None:
        """Forget all names and give up all watches."""
        with self._lock:
            for key in list(self._held):
                self._drop(key)
            self._watcher.close()

    def _scan(self, fd: int, start: str) -> Names:
        """Read the directory, again when a name may have moved past the reading."""
        scanned = []
        for number in range(_SCANS):
            names, whole = self._scan_once(fd, start, self._watch(fd, again=number > 0))
            if whole:
                return names
            scanned.append(names)
        return scan.joined(scanned)

    def _scan_once(self, fd: int, start: str, watched: Watched | None) -> tuple[Names, bool]:
        """Return the names, and whether none that was there all the time can be missing."""
        now = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
        found = os.fstat(fd)
        reading = scan.Scan(fd, start, self.budget)
        try:
            names = reading.read()
            quiet = _stamp(os.fstat(fd)) == _stamp(found)
        except OSError:
            if watched is not None:
                with self._lock:
                    self._watcher.end(watched)
            raise
        key = (found.st_dev, found.st_ino)
        with self._lock:
            if watched is not None:
                return self._merged(key, _Held(_stamp(found), names, watched), watched)
            past = self._is_past(found.st_ctime_ns, now)
            if past and quiet:
                self._keep(key, _Held(_stamp(found), names, None))
            else:
                self._note_change(key, names)
        return names, reading.pieces <= 1 or (quiet and (past or not self._local))

    def _merged(self, key: tuple[int, int], held: _Held, watched: Watched) -> tuple[Names, bool]:
        """Add what was heard during the reading; False when something was not heard."""
        self._watcher.drain()
        whole = held.hears(watched)
        if whole and held.names.size >= _WORTH_WATCHING:
            self._keep(key, held)
        else:
            self._watcher.end(watched)
        return held.names, whole

    def _watch(self, fd: int, *, again: bool) -> Watched | None:
        """Begin to watch a directory that would else be read again and again."""
        if not self._local:
            return None
        found = os.fstat(fd)
        with self._lock:
            if not again and (found.st_dev, found.st_ino) not in self._busy:
                return None
            watched = self._watcher.begin(fd)
            if watched is None and again:
                oldest = next((key for key, held in self._held.items() if held.watched), None)
                if oldest is not None:
                    self._drop(oldest)
                    watched = self._watcher.begin(fd)
            return watched

    def _note_change(self, key: tuple[int, int], names: Names) -> None:
        if self._local and names.size >= _WORTH_WATCHING:
            if len(self._busy) >= _MOST_BUSY:
                self._busy.clear()
            self._busy.add(key)

    def _is_past(self, ctime: int, now: int) -> bool:
        """True when any change made from ``now`` on gets another ctime than this."""
        margin = _TICK_NS if ctime % 1_000_000_000 else _COARSE_NS
        return ctime + (margin if self._local else _FOREIGN_NS) < now

    def _keep(self, key: tuple[int, int], held: _Held) -> None:
        self._drop(key)
        self._held[key] = held
        self._bytes += held.size
        while self._bytes > self.budget and len(self._held) > 1:
            self._drop(next(iter(self._held)))

    def _drop(self, key: tuple[int, int]) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            self._bytes -= held.size
            held.end(self._watcher)
