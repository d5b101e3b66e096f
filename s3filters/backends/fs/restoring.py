"""RestoreObject: the archiver is asked to bring an object's data back for some days.

Source: AWS API reference, RestoreObject; User Guide, "Restoring an archived object".
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace

from s3filters.backends.fs import cold, telling
from s3filters.backends.fs.cold import Shown
from s3filters.backends.fs.parts import Part, ask, only_null_version
from s3filters.backends.fs.telling import Subject
from s3filters.events.message import COMPLETED, DELETE, POST
from s3filters.s3 import restore as words
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.s3.restore import RestoreRequest
from s3filters.store import asked as notes
from s3filters.store import changing, restores, scoutfs
from s3filters.store.errors import NoSuchKey
from s3filters.store.metadata import RESTORE, Record
from s3filters.store.restores import Restore
from s3filters.tiers.base import STAGE, CannotAsk, Driver

log = logging.getLogger("s3filters.backends")


class Restoring(Part):
    """RestoreObject."""

    def restore_object(self, call: Call) -> Reply:
        """Have an object restored: 202 when that begins now, 200 when its days are counted anew.

        Raise RestoreAlreadyInProgress, InvalidObjectState for what is not archived (or 200, see
        the option ``restore_header``), NotImplemented where nobody can be asked.
        """
        if call.tiering is None:
            raise S3Error("NotImplemented", "RestoreObject is not implemented without glacier.")
        only_null_version(call)
        self.expect_owner(call)
        try:
            status: int = self.offload.run(self._asked, call)
        except NoSuchKey:
            ask(call.checks, None)
            raise
        except CannotAsk as error:
            raise S3Error("NotImplemented", str(error)) from error
        if status == 202:
            self.store.bell.ring()
        return Reply(status)

    def _asked(self, call: Call) -> int:
        """The whole request, as one blocking verb; writes nothing where nothing is to change."""
        store, tiering = self.store, call.tiering
        if not tiering.as_aws:
            record = store.head(call.bucket, call.key)
            shown = cold.look(tiering, record, time.time())
            if shown.readable and shown.restore is None:
                ask(call.checks, record)
                return 200
        return store.ask_restore(call.bucket, call.key, lambda *at: self._restore(call, *at))

    def _restore(self, call: Call, fd: int, record: Record) -> int:
        """Decide about one object, which stays what it is meanwhile; return the status."""
        ask(call.checks, record)
        tiering, wanted = call.tiering, call.params["Restore"]
        now_s = time.time()
        shown = cold.look(tiering, record, now_s)
        if shown.readable:
            return self._again(call, fd, record, shown, now_s)
        if shown.ongoing:
            asked = _upgraded(shown, wanted)
        else:
            asked = Restore(int(now_s * 1e9), wanted.days, wanted.tier, wanted.description)
        self._end_past(call, fd, record)
        subject = Subject(call.bucket, call.key, record, asked)
        with telling.about(self, tiering.events, POST, subject, call):
            self._begin(call, fd, record, shown, asked)
        return 202

    def _again(self, call: Call, fd: int, record: Record, shown: Shown, now_s: float) -> int:
        """Count the days of a restored object from now on."""
        if shown.restore is None:
            if call.tiering.as_aws:
                message = "Restore is not allowed for the object's current storage class"
                raise S3Error("InvalidObjectState", message, StorageClass=shown.storage_class)
            return 200
        days = call.params["Restore"].days
        later = replace(shown.restore, days=days, end_s=words.end_of(now_s, days))
        events = call.tiering.events if shown.restore.open else None  # else they know it is back
        subject = Subject(call.bucket, call.key, record, later)
        with telling.about(self, events, COMPLETED, subject):
            restores.write(fd, later)
        return 200

    def _begin(self, call: Call, fd: int, record: Record, shown: Shown, asked: Restore) -> None:
        """Write a request down; who looks after them asks the archiver. Raise CannotAsk."""
        driver = call.tiering.driver
        if shown.offline:  # else archived by name alone, and back as soon as it is asked for
            _check_driver(driver)
        if self.store.capabilities.scoutfs:  # also then: it may be taken to tape just now
            place = (self.store.root, notes.NEW_RESTORES, call.bucket, call.key)
            notes.note(*place, asked.tier, self.store.node)
        if record.sam_flags & scoutfs.STAGE_FAILED and driver is not None and driver.flagged:
            with suppress(OSError):  # it is that of the request before; the driver tries it, too
                scoutfs.change_sam_flags(fd, remove=scoutfs.STAGE_FAILED)
        restores.write(fd, asked)

    def _end_past(self, call: Call, fd: int, record: Record) -> None:
        """Tell that an earlier restore is over, when nobody has seen that yet."""
        past = restores.decode(record.restore)
        if past is not None and not past.open:
            subject = Subject(call.bucket, call.key, record, past)
            with telling.about(self, call.tiering.events, DELETE, subject):
                changing.put(fd, {RESTORE: None})


def _check_driver(driver: Driver | None) -> None:
    """Raise CannotAsk when nobody can have data brought back."""
    if driver is None:
        raise CannotAsk("No archiver is configured that could be asked.")
    why = driver.cannot(STAGE)
    if why:
        raise CannotAsk(why)


def _upgraded(shown: Shown, wanted: RestoreRequest) -> Restore:
    """Return an ongoing request with a faster tier: nothing else of it can be changed."""
    asked = shown.restore
    if asked is None or not asked.open or not words.is_faster(wanted.tier, asked.tier):
        raise S3Error("RestoreAlreadyInProgress")
    return replace(asked, tier=wanted.tier)
