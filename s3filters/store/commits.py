"""Syncs that are shared: on ScoutFS one fsync commits the whole mount, so one serves many objects.

A *visit* is one change on its way to being durable: an object or a part, whose file has its bytes,
attributes and name when it asks for a sync, or what else is done to names and attributes (tags,
grants, requests of restores, settings of buckets, deletions, beginning and end of uploads). All
that ask before a sync begins share it: the first of them, the leader, calls fsync on its own file,
the others wait for what that returns. Whoever comes after it has begun is of the next one, for it
may have changed something since. So each visitor's changes are made before the sync begins that it
returns with: that is all the argument there is. Where one change has several steps (a large setting
is a file, then a word in a list) commits keep their order, and the sync of the last one is enough.

A leader waits for those of this process that were announced and have not come yet, ``GATHER_S`` at
most, because a commit takes longer than that on any disk and keeps everybody from changing anything
as long as it lasts. Nobody waits who is alone. Processes and nodes share in the kernel, by chance.
"""

from __future__ import annotations

import errno
import os
import threading

GATHER_S = 0.004


class _Round:
    """One sync: of whom it is, and what came of it."""

    __slots__ = ("done", "error", "led")

    def __init__(self) -> None:
        self.led = False
        self.done = False
        self.error: OSError | None = OSError(errno.EIO, "the sync was given up")


class Commits:
    """The syncs of one mount by the threads of one process."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._announced = 0
        self._running = False
        self._next = _Round()

    def visit(self) -> Visit:
        """Announce one that will ask for a sync soon, and closes its visit in any case."""
        with self._changed:
            self._announced += 1
        return Visit(self)

    def come(self) -> None:
        """One that was announced is waited for no longer."""
        with self._changed:
            self._announced -= 1
            if not self._announced:
                self._changed.notify_all()

    def sync(self, fd: int) -> None:
        """Return when a sync is done that began after this call did. Raise OSError."""
        with self._changed:
            ours = self._next
            if ours.led:
                self._changed.wait_for(lambda: ours.done)
            leads = not ours.led
            ours.led = True
        if leads:
            self._lead(ours, fd)
        if ours.error is not None:
            raise OSError(ours.error.errno, ours.error.strerror) from ours.error

    def _lead(self, ours: _Round, fd: int) -> None:
        began = False
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._running)
                self._changed.wait_for(lambda: not self._announced, GATHER_S)
                self._running = began = True
                self._next = _Round()
            os.fsync(fd)
            ours.error = None
        except OSError as error:
            ours.error = error
        finally:
            with self._changed:
                ours.done = True
                if began:
                    self._running = False
                else:
                    self._next = _Round()
                self._changed.notify_all()


class Visit:
    """One object or part that becomes durable; closed once, and then once more without harm."""

    __slots__ = ("_coming", "_commits")

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._coming = True

    def sync(self, fd: int) -> None:
        """Make durable all that was done before this call, by a sync of a file. Raise OSError."""
        self.close()
        self._commits.sync(fd)

    def close(self) -> None:
        """Nobody need wait for this one any more."""
        if self._coming:
            self._coming = False
            self._commits.come()
