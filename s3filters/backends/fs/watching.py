"""Which objects that were asked back are to be looked at: as few as can be, and none too late.

One process of a machine does this. It goes through all notes once an hour, and remembers the inode
and the next date of each. At every other look it takes what is newly noted, what has a date that
has come, and what ScoutFS's index of changes names: staging changes an inode, and so do the
archiver's flags and our own attributes. Where more changed than looking at each object is worth, or
there is no index, each is looked at.

What became of them is ``returning``'s.
"""

from __future__ import annotations

import time
from collections import deque
from typing import NamedTuple

from s3filters.store.changes import Changes

ALL_S = 3600.0
# Inodes of the index that are read rather than looking at one object, and what is read in any case.
INDEX_PER_OBJECT, INDEX_AT_LEAST = 100, 4096


class Known(NamedTuple):
    """What is remembered of an object: its inode, and when to look at it in any case (s)."""

    ino: int
    due_s: float


Name = tuple[str, str]  # bucket and key


class Memory:
    """The objects that were asked back, as one process knows them; for one thread."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._known: dict[Name, Known] = {}
        self._inodes: dict[int, Name] = {}
        self._news: deque[Name] = deque()
        self._all_at = float("-inf")

    def __len__(self) -> int:
        return len(self._known)

    def put(self, name: Name, known: Known | None) -> None:
        """Remember an object, or nothing of it any more."""
        before = self._known.pop(name, None)
        if before is not None:
            self._inodes.pop(before.ino, None)
        if known is not None:
            self._known[name] = known
            self._inodes[known.ino] = name

    def announce(self, name: Name) -> None:
        """Have an object looked at the next time; for any thread."""
        self._news.append(name)

    def due(self) -> set[Name] | None:
        """Return the objects to look at; None when all are, of which nothing is known from now on.

        Raise OSError.
        """
        found = set()
        while self._news:
            found.add(self._news.popleft())
        if time.monotonic() < self._all_at:
            if not self._known:
                return found
            most = INDEX_AT_LEAST + INDEX_PER_OBJECT * len(self._known)
            changed = self._changes.since(most, self._inodes)
            if changed is not None:
                now_s = time.time()
                found.update(self._inodes[ino] for ino in changed)
                found.update(name for name, known in self._known.items() if known.due_s <= now_s)
                return found
        self._changes.begin()  # before anything is looked at: so what changes from now on is found
        self._all_at = time.monotonic() + ALL_S
        self._known.clear()
        self._inodes.clear()
        return None

    def forget(self) -> None:
        """Have all looked at the next time: this time not all were."""
        self._all_at = float("-inf")
