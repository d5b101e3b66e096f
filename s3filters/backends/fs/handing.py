"""What the process knows that looks after restores: what it handed to the driver's queues.

The queues tell it what became of a file, in their threads, and it is written down by ``returning``.
"""

from __future__ import annotations

import time
from math import inf
from typing import TYPE_CHECKING

from s3filters.backends.fs.wanted import FOLDER, WANTED
from s3filters.backends.fs.watching import Memory
from s3filters.events.events import Events
from s3filters.store.asked import RESTORES, Id, Note
from s3filters.store.changes import Changes
from s3filters.store.errors import NoSuchBucket, NoSuchKey
from s3filters.store.leading import Leading
from s3filters.store.metadata import Record
from s3filters.tiers.asking import Asking
from s3filters.tiers.base import FASTEST_FIRST, STAGE, Driver, File, Settings

if TYPE_CHECKING:
    from s3filters.backends.fs.returning import Returning

TRY_AGAIN_S = 3600.0  # what was given up, archiving and releasing
ASIDE_S = 60.0  # what may not be there yet
WRITE_AGAIN_S = 60.0  # what was asked for, and that could not be written down, is asked for again


class Watch:
    """What the process knows that looks after restores and archiving.

    :param driver: with its settings, who is asked; None for nobody
    :param events: where it is told what came back and what is over
    """

    def __init__(
        self,
        part: Returning,
        driver: Driver | None,
        settings: Settings,
        events: Events | None = None,
    ) -> None:
        self._part = part
        self.events = events
        self.memory = Memory(Changes(part.store.root.fd))
        self.leads = Leading(part.store.root)
        self.handed: dict[Id, float] = {}  # notes that the queues have, until when (monotonic, s)
        self.changed = False  # something that is not synced yet
        self.asking: Asking | None = None
        if driver is not None:
            self.asking = Asking(driver, settings, self)

    def look(self) -> int:
        """Look at what may have changed; return at how many. Raise OSError."""
        now = time.monotonic()
        for id_, until in list(self.handed.items()):
            if until <= now:
                self.handed.pop(id_, None)
        return self._part.look_after(self)

    def wait(self, seconds: float) -> None:
        """Wait until something is newly noted, so long at most."""
        self._part.store.bell.wait(seconds)

    def close(self) -> None:
        """Ask no more, and let another process lead."""
        if self.asking is not None:
            self.asking.close()
        self.leads.close()
        self._part.store.bell.close()

    @property
    def is_busy(self) -> bool:
        """Whether files are in the queues that were not given up."""
        return inf in list(self.handed.values())

    def can(self, verb: str) -> bool:
        """Whether somebody can be asked."""
        return self.asking is not None and not self.asking.driver.cannot(verb)

    def ask(self, verb: str, file: File, note: Note) -> None:
        """Have a driver asked that can be; until it was, the note is in ``handed``."""
        if self.asking is None or not self.can(verb):
            return
        self.handed[note.id] = inf  # first, for the queue may be done with it at once
        added = False
        try:
            added = self.asking.add(verb, file)
        finally:
            if not added:
                self.handed.pop(note.id, None)

    def set_aside(self, note: Note) -> None:
        """Leave a note alone for a while, of which nothing is to be done yet."""
        self.handed[note.id] = time.monotonic() + ASIDE_S

    # what becomes of files in the queues

    def is_wanted(self, verb: str, file: File) -> bool:
        """Whether it is the same object still, and nobody wants it otherwise since."""
        record = self._there(file)
        return record is not None and WANTED[verb](record)

    def _there(self, file: File) -> Record | None:
        """Return the record of a file, None when it is not there any more."""
        try:
            record = self._part.store.head(*self._part.name_of(file.path))
        except (NoSuchKey, NoSuchBucket):
            return None
        return record if record.ino == file.ino else None

    def done(self, verb: str, file: File) -> None:
        """Write down that the archiver was asked."""
        if verb == STAGE:
            assert self.asking is not None
            written = self._part.asked_for(file, flagged=self.asking.driver.flagged)
        else:
            written = self._part.was_asked(FOLDER[verb], file)
        self._go_on(verb, file, written)

    def given_up(self, verb: str, file: File) -> None:
        """Show that an object was not brought back; what else was noted is tried again later."""
        if verb == STAGE:
            self._go_on(verb, file, self._part.stage_failed(file))
        else:
            self._keep(verb, file, TRY_AGAIN_S)

    def _go_on(self, verb: str, file: File, written: bool) -> None:
        if written:
            self.dropped(verb, file)
        else:  # the notes are as they were, and to look at them now would be to ask at once
            self._keep(verb, file, WRITE_AGAIN_S)

    def _keep(self, verb: str, file: File, seconds: float) -> None:
        """Leave the notes of an object alone for so long."""
        until = time.monotonic() + seconds
        for id_ in self._ids(verb, file):
            if id_ in self.handed:
                self.handed[id_] = until

    def dropped(self, verb: str, file: File) -> None:
        """Have an object and its notes looked at again."""
        for id_ in self._ids(verb, file):
            self.handed.pop(id_, None)
        if verb == STAGE:
            self.memory.announce(self._part.name_of(file.path))
        self._part.store.bell.ring()

    def _ids(self, verb: str, file: File) -> list[Id]:
        """Return all notes that there may be of what a file waits for."""
        name = self._part.name_of(file.path)
        new = [Note(FOLDER[verb], *name, 0.0, tier).id for tier in FASTEST_FIRST]
        return [*new, Note(RESTORES, *name, 0.0).id] if verb == STAGE else new
