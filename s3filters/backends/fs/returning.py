"""Looks after the objects that were asked back: their days begin, and they end.

One pass goes through the notes of all requests (``store.asked``), at one look an object. What has
come back is written down, so that its days count from then; what is over is released by the driver
(by a program of the site, or not at all), under the key's lock, so that nobody does it twice. What
nobody is at any more, because a process died with its batch, is asked for again.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from s3filters.backends.fs import cold, telling
from s3filters.backends.fs.parts import Part
from s3filters.backends.fs.telling import Subject
from s3filters.events.events import Events
from s3filters.events.message import COMPLETED, DELETE
from s3filters.store import asked as notes
from s3filters.store import changing, paths, restores
from s3filters.store.asked import Asked
from s3filters.store.errors import NoSuchBucket, NoSuchKey, StoreError
from s3filters.store.metadata import RESTORE, Record
from s3filters.store.restores import Restore
from s3filters.tiers.base import CannotAsk, Driver, File

# What is to be done about an object; of the first two others are told.
RESTORED, ENDED, ASK, FORGET, WAIT = "restored", "ended", "ask", "forget", "wait"
ASK_AGAIN_S = 6 * 3600.0  # what nobody has brought back after so long is asked for again

log = logging.getLogger("s3filters.backends")


@dataclass(slots=True)
class Watch:
    """What one process knows while it looks after restores.

    :param begun_s: when the process began: what was asked before was asked of another
    :param events: where it is told what came back and what is over
    """

    driver: Driver | None
    begun_s: float
    events: Events | None = None

    def must_ask(self, one: Asked, now_s: float) -> bool:
        """Whether nobody may be at an open request any more."""
        return one.moment_s < self.begun_s or now_s - one.moment_s > ASK_AGAIN_S


class Returning(Part):
    """Restores that were asked for."""

    def spool(self) -> tuple[str, str, bool]:
        """Return where events are kept, this node's name, and whether they have to be durable."""
        store = self.store
        folder = f"{store.root.path}/{paths.HIDDEN}/events"
        return folder, store.node, store.durability == "full"

    def watch_restores(self, watch: Watch) -> int:
        """Look at all of them once; return how many were noted. Raise OSError."""
        count = 0
        for one in notes.all_of(self.store.root):
            count += 1
            try:
                self._look(watch, one)
            except (CannotAsk, StoreError, OSError) as error:
                log.warning("%s/%s: %s", one.bucket, ascii(one.key)[1:-1], error)
        return count

    def _look(self, watch: Watch, one: Asked) -> None:
        """Look at an object, and again under its lock when there is something to do."""
        store = self.store
        try:
            if _next(watch, one, store.head(one.bucket, one.key)) == WAIT:
                return
            word, request = store.ask_restore(
                one.bucket, one.key, lambda fd, record: self._act(watch, one, fd, record)
            )
        except (NoSuchKey, NoSuchBucket):
            notes.forget(store.root, one.bucket, one.key)
            return
        if request is not None:
            log.info("%s/%s: %s", one.bucket, ascii(one.key)[1:-1], word)

    def _act(self, watch: Watch, one: Asked, fd: int, record: Record) -> tuple[str, Restore | None]:
        """Do what is to be done; return what has become true of which request."""
        what = _next(watch, one, record)
        request = restores.decode(record.restore)
        file = File(f"{self.store.root.path}/{one.bucket}/{one.key}", fd, record.ino)
        if what == FORGET or request is None:
            notes.forget(self.store.root, one.bucket, one.key)
        elif what == RESTORED:
            request = cold.settled(request)
            subject = Subject(one.bucket, one.key, record, request)
            with telling.about(self, watch.events, COMPLETED, subject):
                restores.write(fd, request)
            return what, request
        elif what == ENDED:
            subject = Subject(one.bucket, one.key, record, request)
            with telling.about(self, watch.events, DELETE, subject):
                if watch.driver is not None and not _is_offline(record):
                    watch.driver.release(file)
                changing.put(fd, {RESTORE: None})
            notes.forget(self.store.root, one.bucket, one.key)
            return what, request
        elif what == ASK and watch.driver is not None:
            watch.driver.stage(file._replace(tier=request.tier))
            notes.note(self.store.root, one.bucket, one.key)
        return what, None


def _next(watch: Watch, one: Asked, record: Record) -> str:
    """Return what is to be done about an object."""
    request = restores.decode(record.restore)
    now_s = time.time()
    if request is None:
        return FORGET
    if not request.open:
        return ENDED if request.end_s <= now_s else WAIT
    if not _is_offline(record):
        return RESTORED
    return ASK if _is_forgotten(request) and watch.must_ask(one, now_s) else WAIT


def _is_offline(record: Record) -> bool:
    return record.state is not None and record.state.offline_blocks > 0


def _is_forgotten(asked: Restore) -> bool:
    """Whether only a process knows of the request, and the archiver's flags do not."""
    return not (asked.flagged or asked.failed)
