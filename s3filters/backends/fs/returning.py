"""Looks after the objects that were asked back: they are asked for, their days begin and end.

What is new is handed to the driver's queues, and its note is moved when the driver was asked. What
has come back is written down, so that its days count from then; what is over is released by the
driver (by a program of the site, or not at all). All is decided under the key's lock, so nobody
does it twice. Which objects to look at is ``watching``'s to say.

What a look writes down is synced once at its end. Power that goes before makes the next look do it
again, and tell of it again by the same name.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf

from s3filters.backends.fs import cold, telling
from s3filters.backends.fs.handing import Watch
from s3filters.backends.fs.parts import Part
from s3filters.backends.fs.telling import Subject
from s3filters.backends.fs.wanted import SIMPLE, WANTED, is_offline, is_to_release
from s3filters.backends.fs.watching import Known, Name
from s3filters.events.message import COMPLETED, DELETE
from s3filters.s3.headers import COLD_CLASSES
from s3filters.store import asked as notes
from s3filters.store import changing, paths, restores
from s3filters.store.asked import ARCHIVES, NEW_RESTORES, RELEASES, RESTORES, Note
from s3filters.store.errors import NoSuchBucket, NoSuchKey, StoreError
from s3filters.store.metadata import RESTORE, Record
from s3filters.store.restores import Restore
from s3filters.tiers.base import RELEASE, STAGE, File

# What is to be done about an object; of the first two others are told.
RESTORED, ENDED, ASK, FORGET, WAIT = "restored", "ended", "ask", "forget", "wait"
ASK_AGAIN_S = 6 * 3600.0  # what nobody has brought back after so long is asked for again
ORPHAN_S = 600.0  # what another node has noted and asked nobody for is taken over
STRAY_S = 86400.0  # so long what is noted may not be there yet: an upload may take that

log = logging.getLogger("s3filters.backends")


class Returning(Part):
    """Restores that were asked for."""

    def spool(self) -> tuple[str, str, bool]:
        """Return where events are kept, this node's name, and whether they have to be durable."""
        store = self.store
        folder = f"{store.root.path}/{paths.HIDDEN}/events"
        return folder, store.node, store.durability == "full"

    def look_after(self, watch: Watch) -> int:
        """Look at what may have changed; return at how many objects. Raise OSError."""
        try:
            try:
                return sum(self._look_at(watch, note) for note in self._to_look_at(watch))
            finally:
                if watch.changed:  # one sync for all: on ScoutFS it commits the whole mount
                    self.store.sync(self.store.root.fd)
                    watch.changed = False
        except BaseException:
            watch.memory.forget()
            raise

    def _look_at(self, watch: Watch, note: Note) -> int:
        """Look at one object; return 1, also when that fails: then the next look is at it, too."""
        try:
            self._look(watch, note)
        except (StoreError, OSError) as error:
            log.warning("%s/%s: %s", note.bucket, ascii(note.key)[1:-1], error)
            if note.folder == RESTORES:
                watch.memory.announce((note.bucket, note.key))
        return 1

    def _to_look_at(self, watch: Watch) -> Iterator[Note]:
        """Yield notes; raise OSError behind the last that can be read."""
        root, due = self.store.root, watch.memory.due()
        for name in due or ():
            note = self._note(watch, name)
            if note is not None:
                yield note
        failed: OSError | None = None
        for folder in notes.NEW if due is not None else notes.FOLDERS:
            try:
                yield from notes.all_of(root, folder, watch.handed)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def _note(self, watch: Watch, name: Name) -> Note | None:
        if Note(RESTORES, *name, 0.0).id in watch.handed:
            return None
        try:
            note = notes.one_of(self.store.root, *name)
        except OSError as error:
            log.warning("%s/%s: %s", name[0], ascii(name[1])[1:-1], error)
            watch.memory.announce(name)
            return None
        if note is None:
            watch.memory.put(name, None)
        return note

    def _look(self, watch: Watch, note: Note) -> None:
        """Look at an object, and again under its lock when there is something to do."""
        if not self._is_ours(note):
            return
        store, name = self.store, (note.bucket, note.key)
        try:
            record = store.head(*name)
            if note.folder in SIMPLE:
                self._look_simply(watch, note, record)
                return
            known = _known(note, record)
            if known is None or _next(note, record) != WAIT or note.folder != RESTORES:
                known = store.ask_restore(
                    *name, lambda *at: self._act(watch, note, *at), lasting=False
                )
        except (NoSuchKey, NoSuchBucket):
            if note.folder != ARCHIVES or _is_stray(note):
                self.forget(note)
            else:  # it may be on its way
                watch.set_aside(note)
            known = None
        if note.folder == RESTORES or known is not None:
            watch.memory.put(name, known)

    def _is_ours(self, note: Note) -> bool:
        """Whether it is this node's to ask the archiver."""
        if note.folder == RESTORES or note.node == self.store.node:
            return True
        return time.time() - note.moment_s > ORPHAN_S

    def _look_simply(self, watch: Watch, note: Note, record: Record) -> None:
        """Have an object archived or released, or forget that, where it needs not be."""
        verb = SIMPLE[note.folder]
        if WANTED[verb](record):
            watch.ask(verb, File(self.path_of(note.bucket, note.key), record.ino), note)
        elif _is_needless(note, record):
            self._forget_if(note, lambda record: _is_needless(note, record))
        else:
            watch.set_aside(note)

    def _forget_if(self, note: Note, is_so: Callable[[Record], bool]) -> bool:
        """Remove the note of an object of which something holds; return False if that failed.

        The key's lock is held, so that what is stored there meanwhile keeps its own.
        """

        def forget(fd: int, record: Record) -> None:
            if is_so(record):
                self.forget(note)

        return self._write_down(note.bucket, note.key, forget)

    def _act(self, watch: Watch, note: Note, fd: int, record: Record) -> Known | None:
        """Do what is to be done; return what is to be known of the object, None for nothing."""
        what = _next(note, record)
        request = restores.decode(record.restore)
        if what == FORGET or request is None:
            self.forget(note)
            return None
        if what == ASK:
            file = File(self.path_of(note.bucket, note.key), record.ino, request.tier)
            watch.ask(STAGE, file, note)
            return None if note.folder == NEW_RESTORES else _known(note, record)
        if what == ENDED:
            self._end(watch, note, fd, record, request)
            return None
        if what == RESTORED:
            request = cold.settled(request)
            subject = Subject(note.bucket, note.key, record, request)
            with telling.about(self, watch.events, COMPLETED, subject):
                restores.write(fd, request)
            watch.changed = True
            log.info("%s/%s: %s", note.bucket, ascii(note.key)[1:-1], what)
        if note.folder == NEW_RESTORES:
            notes.mark(self.store.root, note.bucket, note.key, note.tier)
        return Known(record.ino, _due(note, request))

    def _end(self, watch: Watch, note: Note, fd: int, record: Record, request: Restore) -> None:
        subject = Subject(note.bucket, note.key, record, request)
        if not is_offline(record) and watch.can(RELEASE):
            notes.note(self.store.root, RELEASES, note.bucket, note.key, "", self.store.node)
        with telling.about(self, watch.events, DELETE, subject):
            changing.put(fd, {RESTORE: None})
        watch.changed = True
        self.forget(note)
        log.info("%s/%s: %s", note.bucket, ascii(note.key)[1:-1], ENDED)

    # what a driver has done

    def asked_for(self, file: File, *, flagged: bool) -> bool:
        """Write down that the archiver was asked for an object; return False if that failed."""

        def write(fd: int, request: Restore | None) -> None:
            if request is not None and request.open and flagged and not request.flagged:
                restores.write(fd, replace(request, flagged=True))

        return self._mark(file, write)

    def stage_failed(self, file: File) -> bool:
        """Write down that an object could not be asked for, or was not brought back."""

        def write(fd: int, request: Restore | None) -> None:
            if request is not None and request.open and request.tier == file.tier:
                restores.write(fd, replace(request, failed=True))

        return self._mark(file, write)

    def _mark(self, file: File, write: Callable[[int, Restore | None], None]) -> bool:
        bucket, key = self.name_of(file.path)

        def work(fd: int, record: Record) -> None:
            if record.ino == file.ino:  # else another is there, which nobody was asked for
                write(fd, restores.decode(record.restore))
                notes.mark(self.store.root, bucket, key, file.tier)

        return self._write_down(bucket, key, work)

    def was_asked(self, folder: str, file: File) -> bool:
        """Remove the note of what was archived or released; return False if that failed."""
        note = Note(folder, *self.name_of(file.path), 0.0)
        return self._forget_if(note, lambda record: record.ino == file.ino)

    def _write_down(self, bucket: str, key: str, write: Callable[[int, Record], None]) -> bool:
        try:
            self.store.ask_restore(bucket, key, write, lasting=False)
        except (NoSuchKey, NoSuchBucket):
            pass  # it was deleted meanwhile
        except StoreError as error:
            log.warning("%s/%s: %s", bucket, ascii(key)[1:-1], error)
            return False
        return True

    def forget(self, note: Note) -> None:
        """Remove a note. Raise OSError."""
        notes.forget(self.store.root, note)

    # files and objects

    def path_of(self, bucket: str, key: str) -> str:
        """Return the absolute path of an object."""
        return f"{self.store.root.path}/{bucket}/{key}"

    def name_of(self, path: str) -> Name:
        """Return the bucket and the key of a path that ``path_of`` made."""
        bucket, _, key = path.removeprefix(f"{self.store.root.path}/").partition("/")
        return bucket, key

    def can_flag(self) -> bool:
        """Whether the archiver's flags can be set."""
        return self.store.capabilities.privileged

    @contextmanager
    def opened(self, file: File) -> Iterator[int]:
        """Open a file for a driver. Raise FileNotFoundError when another is there now, OSError."""
        try:
            with self.store.open(*self.name_of(file.path)) as opened:
                if opened.record.ino != file.ino:
                    raise FileNotFoundError(file.path)
                yield opened.fd
        except (NoSuchKey, NoSuchBucket) as error:
            raise FileNotFoundError(file.path) from error


def _known(note: Note, record: Record) -> Known | None:
    """Return what is to be known of an object that was asked back, None if it is not any more."""
    request = restores.decode(record.restore)
    return None if request is None else Known(record.ino, _due(note, request))


def _due(note: Note, request: Restore) -> float:
    """Return when there is something to do, though nothing changes (s since 1970)."""
    if not request.open:
        return request.end_s
    return inf if request.flagged or request.failed else note.moment_s + ASK_AGAIN_S


def _next(note: Note, record: Record) -> str:
    """Return what is to be done about an object that was asked back."""
    request = restores.decode(record.restore)
    now_s = time.time()
    if request is None:
        return FORGET
    if not request.open:
        return ENDED if request.end_s <= now_s else WAIT
    if not is_offline(record):
        return RESTORED
    if request.failed:
        return WAIT
    if note.folder == NEW_RESTORES:
        return ASK if note.tier == request.tier else FORGET
    return ASK if not request.flagged and _due(note, request) <= now_s else WAIT


def _is_stray(note: Note) -> bool:
    return time.time() - note.moment_s > STRAY_S


def _is_needless(note: Note, record: Record) -> bool:
    """Whether nothing is to be done about an object, nor will be for what may be on its way."""
    if note.folder == RELEASES:
        return not is_to_release(record)
    return is_offline(record) or (record.storage_class not in COLD_CLASSES and _is_stray(note))
