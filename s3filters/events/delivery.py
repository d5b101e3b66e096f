"""Carries events from a spool to an outlet, each until it was taken.

An event that the receiver refuses waits while others go, longer each time. When nothing can be sent
at all everything waits, longer each time. Nothing is given up: only what was taken is removed, so a
death in between sends it again. After a start what is in the spool goes out first.

Of the processes of a machine any delivers, one at a time. One to which something was refused, or
that could send nothing, goes on alone until all was taken, or it ends: else each would ask and warn
at its own pace, and the receiver had no longer pauses.

Among the nodes of one ScoutFS each has a spool of its own, beside those of the others, because
locks stay on their node; of a node that has not been at it for long the others deliver.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

from s3filters.events.outlets import Outlet, Refused
from s3filters.events.spool import Spool

log = logging.getLogger("s3filters.events")

FIRST_PAUSE_S = 1.0  # doubled each time
LAST_PAUSE_S = 300.0
LOOK_S = 5.0  # how often who has nothing to do looks for what other processes put there
NEIGHBOURS_S = 60.0


class Delivery:
    """The work of one thread.

    :param name: of the option that says where to, for the log
    """

    def __init__(self, name: str, spool: Spool, outlet: Outlet) -> None:
        self.spool = spool
        self._name = name
        self._outlet = outlet
        self._refused: dict[Path, tuple[int, float]] = {}  # how often, and not before when
        self._failures = 0
        self._failed = False
        self._others = False  # another process is at it
        self._looked = float("-inf")
        self._over = threading.Event()

    def work(self) -> None:
        """Deliver until the end."""
        try:
            self._work()
        finally:
            self.spool.leave()

    def end(self) -> None:
        """Deliver no more, and let another process do it; a message under way goes out still."""
        self._over.set()
        self.spool.wake()

    def _work(self) -> None:
        while not self._over.is_set():
            try:
                self.look()
            except OSError as error:
                self._failures += 1
                log.warning("%s: events wait: %s", self._name, error)
            except Exception:  # whatever it is, what comes later is to be delivered
                self._failures += 1
                log.exception("%s: events wait", self._name)
            if self._failures:
                self._over.wait(self.pause_s())
            else:
                self.spool.pause(self.pause_s())

    def pause_s(self) -> float:
        """Return how long to wait until the next look."""
        return _pause(self._failures) if self._failures else LOOK_S

    def look(self) -> int:
        """Deliver once what waits; return how many were taken. Raise OSError."""
        self._refused = {path: how for path, how in self._refused.items() if path.exists()}
        self._failed = self._others = False
        count = self._from(self.spool)
        if not self._others and time.monotonic() - self._looked > NEIGHBOURS_S:
            self._looked = time.monotonic()
            count += sum(self._from(spool) for spool in self._left() if not self._failed)
        if not self._failed:
            self._failures = 0
        else:
            self._failures = 1 if count else self._failures + 1
        return count

    def _left(self) -> list[Spool]:
        """Return the spools of other nodes that nobody delivers from."""
        folder = self.spool.folder
        try:
            names = os.listdir(folder.parent)
        except FileNotFoundError:
            return []
        others = [Spool(folder.parent / name, 0) for name in names if name != folder.name]
        return [spool for spool in others if spool.is_left()]

    def _from(self, spool: Spool) -> int:
        """Deliver what waits in a spool; the lock of the own one is kept unless all was taken."""
        try:
            if not spool.waiting():
                return 0
            if not spool.lead():
                self._others = True
                return 0
            return self._all_of(spool)
        finally:
            if spool is not self.spool or not (self._failed or self._refused):
                spool.leave()

    def _all_of(self, spool: Spool) -> int:
        count = 0
        try:
            for path in spool.waiting():
                if self._over.is_set():
                    break
                tries, not_before = self._refused.get(path, (0, 0.0))
                if not_before > time.monotonic():
                    continue
                try:
                    spool.refresh()
                    count += self._deliver(path)
                except Refused as error:
                    self._refused[path] = tries + 1, time.monotonic() + _pause(tries + 1)
                    log.warning("%s: an event is refused: %s (%s)", self._name, error, path.name)
                except OSError as error:
                    self._failed = True
                    log.warning("%s: events wait: %s", self._name, error)
                    break
        finally:
            self._outlet.rest()
        return count

    def _deliver(self, path: Path) -> int:
        try:
            message = path.read_bytes()
        except FileNotFoundError:
            return 0
        if message:  # a death may leave a file before there is anything in it
            self._outlet.send(message, path.name.removeprefix("new.").partition(".")[0])
        path.unlink(missing_ok=True)
        self._refused.pop(path, None)
        return 1


def _pause(failures: int) -> float:
    return float(min(FIRST_PAUSE_S * 2 ** min(failures - 1, 20), LAST_PAUSE_S))
