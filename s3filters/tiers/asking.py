"""Gathers what an archiver is to be asked for, and gives it to a driver in batches.

A file waits once for each verb; asked for again it waits for the faster tier. A batch has files of
one tier, in the driver's order and from where the last batch ended, as a lift goes: so none waits
for ever, and tapes are read forwards. Each verb and tier has a thread of its own: what is wanted
fast does not wait for what is slow. What was not done is tried again, later each time, and given up
in the end.

All of it is in memory: a death of the process forgets it, and who looks at the notes asks again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from s3filters.tiers.base import FASTEST_FIRST, Driver, File, Settings, batch_of

log = logging.getLogger("s3filters.tiers")

MOST_WAITING = 1_000_000  # files of one verb and tier
FIRST_RETRY_S = 5.0  # doubled each time
LAST_RETRY_S = 3600.0
LAST_WORD_S = 5.0


class Listener(Protocol):
    """Who wants to know what becomes of files; called in the threads of the queues."""

    def is_wanted(self, verb: str, file: File) -> bool:
        """Whether a file that waited is to be asked for still, just before it is."""

    def done(self, verb: str, file: File) -> None:
        """A file was asked for."""

    def given_up(self, verb: str, file: File) -> None:
        """A file was tried too often."""

    def dropped(self, verb: str, file: File) -> None:
        """A file is not wanted any more."""


@dataclass(slots=True)
class _Waiting:
    file: File
    place: tuple[bool, Any]  # in the driver's order; those that have none are behind all others
    tries: int = 0
    not_before: float = 0.0


class Asking:
    """A driver's queues, one for each verb and tier.

    :param settings: how many files at a time, after how long, how often; kept as ``settings``
    """

    def __init__(self, driver: Driver, settings: Settings, listener: Listener) -> None:
        self.driver = driver
        self.settings = settings
        self._listener = listener
        self._queues: dict[tuple[str, str], _Queue] = {}  # by verb and tier

    def add(self, verb: str, file: File) -> bool:
        """Let a file wait; return whether there was room for it. For one thread."""
        rank = _rank(file.tier)
        for tier in FASTEST_FIRST[:rank]:
            if (verb, tier) in self._queues and self._queues[verb, tier].has(file.path):
                return True
        if not self._queue(verb, file.tier).add(file):
            return False
        for tier in FASTEST_FIRST[rank + 1 :]:
            if (verb, tier) in self._queues:
                self._queues[verb, tier].drop(file.path)
        return True

    def _queue(self, verb: str, tier: str) -> _Queue:
        found = self._queues.get((verb, tier))
        if found is None:  # its thread begins here: none survives the fork of a worker
            found = self._queues[verb, tier] = _Queue(self, verb, tier)
        return found

    def close(self) -> None:
        """Forget all that waits, and let the threads end; wait a moment for what is under way."""
        for queue in self._queues.values():
            queue.close()

    def ask(self, verb: str, batch: list[_Waiting]) -> list[_Waiting]:
        """Give a batch to the driver; return those that are to be tried again."""
        wanted = [one for one in batch if self._is_wanted(verb, one.file)]
        files = [one.file for one in wanted]
        try:
            undone = set(getattr(self.driver, verb)(files) if files else ())
        except Exception:  # a driver may be anybody's, and the work of all others goes on
            log.exception("%s failed", batch_of(verb, files))
            undone = {file.path for file in files}
        _say(verb, [file for file in files if file.path not in undone])
        again = []
        for one in wanted:
            if one.file.path not in undone:
                self._tell(self._listener.done, verb, one.file)
                continue
            one.tries += 1
            if one.tries <= self.settings.retries:
                wait_s = min(FIRST_RETRY_S * 2 ** (one.tries - 1), LAST_RETRY_S)
                one.not_before = monotonic() + wait_s
                again.append(one)
                continue
            log.error("%s of %s failed %d times", verb, ascii(one.file.path), one.tries)
            self._tell(self._listener.given_up, verb, one.file)
        return again

    def _is_wanted(self, verb: str, file: File) -> bool:
        try:
            if self._listener.is_wanted(verb, file):
                return True
        except Exception:  # this file is left out, and the work of all others goes on
            log.exception("nobody knows whether %s of %s is wanted", verb, ascii(file.path))
        self._tell(self._listener.dropped, verb, file)
        return False

    def _tell(self, told: Callable[[str, File], None], verb: str, file: File) -> None:
        try:
            told(verb, file)
        except Exception:  # its note stays, and is looked at again
            log.exception("nobody could note what became of %s of %s", verb, ascii(file.path))


def _say(verb: str, done: list[File]) -> None:
    """Log what the archiver was asked for, once for a batch."""
    if done:
        tier = f" ({done[0].tier})" if done[0].tier else ""
        many = "file" if len(done) == 1 else "files"
        log.info("%s: %d %s asked for%s", verb, len(done), many, tier)


class _Queue:
    """The files that wait for one verb and tier, and the thread that sees to them."""

    def __init__(self, asking: Asking, verb: str, tier: str) -> None:
        self._asking = asking
        self._verb = verb
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._ended = False
        self._last: tuple[bool, Any] | None = None  # where the last batch ended
        self._thread = threading.Thread(target=self._work, name=f"{verb} {tier}", daemon=True)
        self._thread.start()

    def add(self, file: File) -> bool:
        place = self._place(file)  # it may take a while, and batches go on
        with self._changed:
            known = self._waiting.get(file.path)
            if known is not None:
                known.file = file  # another may be there by now
                return True
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting[file.path] = _Waiting(file, place)
            self._changed.notify()
            return True

    def _place(self, file: File) -> tuple[bool, Any]:
        try:
            return False, self._asking.driver.order(file)
        except Exception:  # a driver may be anybody's
            log.exception("%s has no place in the order of %s", ascii(file.path), self._verb)
            return True, file.ino

    def has(self, path: str) -> bool:
        with self._changed:
            return path in self._waiting

    def drop(self, path: str) -> None:
        with self._changed:
            self._waiting.pop(path, None)

    def close(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify()
        self._thread.join(LAST_WORD_S)

    def _work(self) -> None:
        while not self._ended:
            batch = self._take()
            again = self._asking.ask(self._verb, batch) if batch else []
            with self._changed:
                for one in again:
                    self._waiting.setdefault(one.file.path, one)

    def _take(self) -> list[_Waiting]:
        """Wait for files, and a moment longer for more of them; return the next batch.

        None when there is nothing to do any more, or what waited was dropped meanwhile.
        """
        settings = self._asking.settings
        with self._changed:
            while not (due := self._due()) and not self._ended:
                self._changed.wait(self._pause())
            if len(due) < settings.batch:
                full = settings.batch + len(self._waiting) - len(due)  # others wait for their turn
                self._changed.wait_for(
                    lambda: self._ended or len(self._waiting) >= full, settings.wait_s
                )
            batch = [] if self._ended else self._next(self._due())
            for one in batch:
                del self._waiting[one.file.path]
            return batch

    def _next(self, due: list[_Waiting]) -> list[_Waiting]:
        last, most = self._last, self._asking.settings.batch
        try:
            due.sort(key=lambda one: one.place)
            ahead = [one for one in due if last is None or one.place > last]
        except TypeError as error:
            log.error("the driver's order of %s is none: %s", self._verb, error)
            self._last = None
            return due[:most]
        chosen = (ahead or due)[:most]
        if chosen:
            self._last = chosen[-1].place
        return chosen

    def _due(self) -> list[_Waiting]:
        now = monotonic()
        return [one for one in self._waiting.values() if one.not_before <= now]

    def _pause(self) -> float | None:
        if not self._waiting:
            return None
        return max(0.01, min(one.not_before for one in self._waiting.values()) - monotonic())


def _rank(tier: str) -> int:
    return FASTEST_FIRST.index(tier) if tier in FASTEST_FIRST else len(FASTEST_FIRST)
