"""Sequence numbers of transactions, and the two indexes of inodes by them.

All that is changed in one transaction bears its number; a commit ends it and begins the next. The
indexes tell of what is committed, and nothing else. One node alone changes this file system, so
what is committed is all below the open transaction's number.

A real node commits ten seconds after the last commit, if nobody syncs before. Here that happens
when somebody asks for a number or an index; to whoever asks it is the same. With ``every_s`` 0 it
does not happen.

Numbers begin anew with each mount. What is in the folder beneath from before bears the first one,
and is in no index until somebody has come upon it.
"""

from __future__ import annotations

import threading
import time

COMMIT_S = 10
META, DATA = 0, 1  # of WALK_INODES
_BEFORE = 1  # the number of all that was changed before the mount
_FIRST = 1000  # an open transaction's; ScoutFS has used up some when the first one mounts it
_STEP = 3  # between transactions: others take numbers of the same counter

Entry = tuple[int, int]  # number of a transaction, number of an inode


class Sequences:
    """The transactions of a mount, as far as they are numbers.

    :param every_s: seconds between commits that nobody asks for
    """

    def __init__(self, every_s: float = COMMIT_S) -> None:
        self._every_s = every_s
        self._lock = threading.Lock()
        self._open = _FIRST
        self._begun_s = time.monotonic()
        self._dirty = False
        self._indexes: tuple[dict[int, int], dict[int, int]] = ({}, {})

    def came_upon(self, inode: int) -> None:
        """Put in an inode that is not known yet."""
        with self._lock:
            for index in self._indexes:
                index.setdefault(inode, _BEFORE)

    def changed(self, inode: int, *, data: bool = False) -> None:
        """Note that an inode, or also its bytes, was changed just now."""
        with self._lock:
            self._dirty = True
            for index in self._indexes[: DATA + 1 if data else META + 1]:
                index[inode] = self._open

    def removed(self, inode: int) -> None:
        """Take an inode out: it is no more."""
        with self._lock:
            self._dirty = True
            for index in self._indexes:
                index.pop(inode, None)

    def of(self, inode: int) -> Entry:
        """Return the numbers of the transactions that changed an inode, and its bytes, last."""
        with self._lock:
            return self._indexes[META].get(inode, _BEFORE), self._indexes[DATA].get(inode, _BEFORE)

    def commit(self) -> None:
        """End the open transaction, if there is anything in it."""
        with self._lock:
            if self._dirty:
                self._commit()

    def committed(self) -> int:
        """Return the highest number that no open transaction has and no later one will have."""
        with self._lock:
            return self._stable()

    def walk(self, index: int, first: Entry, last: Entry, most: int) -> list[Entry]:
        """Return what is between two entries of an index and committed, in order."""
        with self._lock:
            last = min(last, (self._stable(), 2**64 - 1))
            found = [
                (number, inode)
                for inode, number in self._indexes[index].items()
                if first <= (number, inode) <= last
            ]
        return sorted(found)[:most]

    def _stable(self) -> int:
        if self._every_s and time.monotonic() - self._begun_s >= self._every_s:
            self._commit()  # an idle node's transaction has its time too
        return self._open - 1

    def _commit(self) -> None:
        self._open += _STEP
        self._dirty = False
        self._begun_s = time.monotonic()
