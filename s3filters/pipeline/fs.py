"""The app at the end: S3 objects are plain files under ``root``.

Ini options of ``[app:fs]`` are the fields of Options below. Answers every operation that
``backends.fs`` has a method for, all others with NotImplemented by name.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from s3filters import offload, options
from s3filters.backends import base
from s3filters.backends.fs import FsBackend, handing, upkeep
from s3filters.pipeline.base import say_once
from s3filters.s3 import refusals
from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error

log = logging.getLogger("s3filters.pipeline")

DAY_S = 86400
FIRST_SWEEP_S = 60.0  # after a worker's first request: those of a start have the disk to themselves
FOLLOW_S = 5.0  # how often it is looked whether another process has ended that did it
LEAST_PAUSE_S = 1.0  # between two looks at what was asked of the archiver
LAST_WORD_S = 10.0
MOST_WORK = 20  # times as long as a look takes is the pause behind it, or as long as the interval


@dataclass(frozen=True, slots=True)
class Options:
    """Options of the file system app."""

    root: str = options.option(
        "./data", options.text, "Folder whose sub-folders are the buckets.", shared=True
    )
    region: str = options.option(
        "us-east-1", options.text, "Region that the service says it is in.", shared=True
    )
    durability: str = options.option(
        "full",
        options.choice("full", "data", "none"),
        "What a 200 means: full = data, metadata and name are on stable storage; data = the "
        "bytes are, the name follows within seconds; none = the kernel writes both when it likes.",
        shared=True,
    )
    symlinks_outside: bool = options.option(
        False, options.boolean, "Let GET follow symbolic links that lead out of root."
    )
    sweep_age: int = options.option(
        86400,
        options.whole(60),
        "Age in seconds at which a file that a crashed upload left in .sgwtmp is removed.",
    )
    placement: str = options.option(
        "auto",
        options.choice("auto", "files", "direct"),
        "Where the parts of a multipart upload are written: auto = the best that the file system "
        "offers; files = every part in a file of its own, so that Versity's gateway can finish the "
        "upload; direct = parts of equal size where they will lie in the object, which needs a "
        "file system of this machine.",
    )
    abort_incomplete_days: int = options.option(
        30,
        options.whole(0, 36500),
        "Days from its beginning after which a multipart upload that was not completed is aborted; "
        "0 = never. One that got a part within the last day stays.",
    )
    noarchive_parts: bool = options.option(
        True,
        options.boolean,
        "On ScoutFS, tell the archiver to make no copies of the parts of an upload in progress; "
        "needs CAP_SYS_ADMIN.",
    )
    projects: bool = options.option(
        False,
        options.boolean,
        "On ScoutFS, give the buckets, objects and parts that an account makes the account's "
        "project id; needs CAP_SYS_ADMIN and format version 2.",
    )
    chown_uid: bool = options.option(
        False,
        options.boolean,
        "Let the buckets, folders, objects and parts that an account makes belong to the account's "
        "uid; needs CAP_CHOWN and CAP_DAC_OVERRIDE, which root has.",
    )
    chown_gid: bool = options.option(
        False,
        options.boolean,
        "The same for the account's gid; needs CAP_CHOWN, or that the process is in these groups.",
    )
    listing_memory: int = options.option(
        32, options.whole(1), "MiB of names of listed folders that a worker remembers."
    )


class FsApp:
    """Answers a Call from files, and looks from time to time after what was left among them.

    :param sweep_age: in seconds, see Options
    :param upload_age: in seconds; uploads are aborted when they are older, None for never
    """

    def __init__(self, backend: FsBackend, sweep_age: int, upload_age: int | None = None) -> None:
        self.backend = backend
        self._sweep_age = sweep_age
        self._upload_age = upload_age
        self._begun = False
        self._over = threading.Event()
        self._watcher: threading.Thread | None = None
        self._watched: tuple[Any, Any, float, Any] | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer the Call that ``s3api`` made; without one there is nothing here."""
        if not self._begun:
            self.begin()
        call: Call | None = environ.get(KEY)
        try:
            if call is None:
                raise S3Error("MethodNotAllowed")
            if not call.guarded:
                refusals.check_grants(environ)
            reply: Any = base.answer(self.backend, call)
        except S3Error as error:
            reply = error.bare()
        return reply(environ, start_response)  # type: ignore[no-any-return]

    def spool(self) -> tuple[str, str, bool]:
        """Return what ``glacier`` keeps events by: folder, node, and whether 200s are durable."""
        return self.backend.spool()

    def has_tiers(self) -> bool:
        """Whether objects may be on tape, for ``glacier``: on ScoutFS."""
        return self.backend.store.capabilities.scoutfs

    def can_flag(self) -> bool:
        """Whether the archiver's flags can be set, for ``glacier``."""
        return self.backend.can_flag()

    def opened(self, file: Any) -> AbstractContextManager[int]:
        """Open a file for a driver, for ``glacier``. Raise OSError."""
        return self.backend.opened(file)

    def watch_restores(
        self, driver: Any, settings: Any, interval_s: float, events: Any = None
    ) -> None:
        """Look after what is asked of the archiver, for ``glacier``, from ``begin`` on."""
        self._watched = driver, settings, interval_s, events

    def bucket_facts(self, bucket: str) -> Any:
        """Return the record of a bucket, for ``acl``. Raise NoSuchBucket."""
        return self.backend.bucket_record(bucket)

    def object_tags(self, record: Any) -> Mapping[str, str]:
        """Return the tags of an object by its record, for ``acl``."""
        return self.backend.object_tags(record)

    def begin(self) -> None:
        """Begin what threads do: here, and not before, as they do not survive a worker's fork.

        A server may call it; the first request does.
        """
        if self._begun:
            return
        self._begun = True
        threading.Thread(target=self._look_after, name="sweep", daemon=True).start()
        if self._watched is not None:
            self._watcher = threading.Thread(target=self._watch, name="restores", daemon=True)
            self._watcher.start()
            if self._watched[3] is not None:
                self._watched[3].start()

    def _watch(self) -> None:
        """Look from time to time, if no other process does, until nobody asks for it any more."""
        if self._watched is None:
            return
        driver, settings, interval_s, events = self._watched
        watch = handing.Watch(self.backend, driver, settings, events)
        while not self._over.is_set():
            pause_s = interval_s
            try:
                if watch.leads:
                    self._lead(watch, interval_s)
                    continue
                pause_s = min(interval_s, FOLLOW_S)
            except OSError as error:
                log.warning("could not look after what was asked of the archiver: %s", error)
            except Exception:  # whatever it is, the next look may do better
                log.exception("could not look after what was asked of the archiver")
            self._over.wait(pause_s)
        watch.close()

    def _lead(self, watch: Any, interval_s: float) -> None:
        """Look, and wait until the next look is due. Raise OSError."""
        began = time.monotonic()
        watch.wait(0)  # who is noted behind this rings again
        watch.look()
        took_s = time.monotonic() - began
        pause_s = min(MOST_WORK * took_s, max(interval_s, took_s))  # whoever rings, however often
        self._over.wait(max(LEAST_PAUSE_S, pause_s))
        watch.wait(max(0.0, interval_s - took_s - pause_s))

    def end(self) -> None:
        """Look after nothing any more, so that another process can; return when that is so."""
        self._over.set()
        self.backend.store.bell.ring()
        if self._watched is not None and self._watched[3] is not None:
            self._watched[3].end()
        if self._watcher is not None:
            self._watcher.join(LAST_WORD_S)

    def _look_after(self) -> None:
        time.sleep(FIRST_SWEEP_S)
        while True:
            self.sweep()
            if self._upload_age is not None:
                self.reap(self._upload_age)
            time.sleep(max(60, self._sweep_age / 24))

    def sweep(self) -> None:
        """Remove what crashes left behind; what is in the way of that is logged."""
        try:
            count = self.backend.store.sweep(self._sweep_age)
            if count:
                log.info("removed %d files and uploads that crashes had left", count)
        except OSError as error:
            log.warning("could not remove what crashes left: %s", error)

    def reap(self, age: int) -> None:
        """Abort uploads that were begun more than ``age`` seconds ago and are not used."""
        try:
            for upload in upkeep.reap(self.backend.store, age):
                begun = time.strftime("%Y-%m-%d", time.gmtime(upload.initiated_ns / 1e9))
                log.info(
                    "aborted upload %s of %s/%s: it was begun on %s and not completed",
                    *(upload.id, upload.bucket, ascii(upload.key)[1:-1], begun),
                )
        except (OSError, S3Error) as error:
            log.warning("could not abort uploads that were not completed: %s", error)


def app_factory(global_conf: dict[str, str], **local_conf: str) -> FsApp:
    """PasteDeploy entry point ``egg:s3filters#fs``."""
    settings = options.read(Options, "app:fs", global_conf, local_conf)
    backend = FsBackend.at(
        settings.root,
        offload,
        settings.region,
        durability=settings.durability,
        symlinks_outside=settings.symlinks_outside,
        placement=settings.placement,
        noarchive_parts=settings.noarchive_parts,
        projects=settings.projects,
        chown_uid=settings.chown_uid,
        chown_gid=settings.chown_gid,
    )
    say_once(backend.store.where(needed=settings.projects))
    backend.store.names.budget = settings.listing_memory << 20
    days = settings.abort_incomplete_days
    return FsApp(backend, settings.sweep_age, days * DAY_S if days else None)
