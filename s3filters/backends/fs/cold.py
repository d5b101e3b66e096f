"""What answers tell of an object whose data may be on tape, and what is refused then.

The blocks decide (``record.state``), and what was asked through us says the rest. Nothing here
reads data or asks the file system anything: the record knows. All of it happens only where the
``glacier`` filter put a Tiering into the call.

Sources: the table of Versity's gateway (its documentation of glacier mode); AWS API reference,
HeadObject (``x-amz-restore``), GetObject (InvalidObjectState), CopyObject
(ObjectNotInActiveTierError).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from s3filters.backends.fs import telling
from s3filters.backends.fs.parts import Check, Part
from s3filters.events.events import Events
from s3filters.events.message import COMPLETED
from s3filters.s3 import restore as words
from s3filters.s3 import xml
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.headers import COLD_CLASSES
from s3filters.store import asked as notes
from s3filters.store import extents, restores, tier
from s3filters.store.errors import StoreError
from s3filters.store.metadata import Record
from s3filters.store.objects import Opened
from s3filters.store.restores import Restore
from s3filters.store.tier import Tier
from s3filters.tiers.base import Driver

CLASS = "x-amz-storage-class"

log = logging.getLogger("s3filters.backends")


@dataclass(frozen=True, slots=True)
class Tiering:
    """How S3's archive semantics are played, see the options of ``[filter:glacier]``.

    ``as_aws``: the header is AWS's, else as Versity's gateway has it. ``at_once``: an object that
    was put with a cold class is one before its data are on tape. ``ranges``: bytes that are here
    are served, though others of the object are not. ``events`` are where restores are told of.
    """

    driver: Driver | None = None
    as_aws: bool = False
    at_once: bool = False
    ranges: bool = False
    events: Events | None = None


class Shown(NamedTuple):
    """What is said of an object.

    ``offline``: some of its blocks are. ``restore`` is what was asked of it and is not over;
    ``end_s`` when its data go again, 0 where that is not known. Seconds are since 1970.
    """

    storage_class: str
    readable: bool
    offline: bool = False
    ongoing: bool = False
    restore: Restore | None = None
    end_s: int = 0


def look(tiering: Tiering, record: Record, now_s: float) -> Shown:
    """Return what is to be said of an object."""
    recorded = record.storage_class
    restore = restores.decode(record.restore) if record.restore else None
    if restore is not None and not restore.open and restore.end_s <= now_s:
        restore = None
    if record.state is not None and record.state.offline_blocks:
        said = recorded if recorded in COLD_CLASSES else "GLACIER"
        return Shown(said, False, True, _is_ongoing(record, restore), restore)
    at_once = tiering.at_once and recorded in COLD_CLASSES
    said = recorded if at_once else warm(recorded)
    if restore is None:
        return Shown(said, not at_once)
    end_s = restore.end_s or words.end_of(now_s, restore.days)
    return Shown(said, True, restore=restore, end_s=end_s)


def _is_ongoing(record: Record, restore: Restore | None) -> bool:
    """Whether somebody brings the data of an offline object back."""
    assert record.state is not None
    known = tier.tier_of(record.state, record.sam_flags)
    if known in (Tier.STAGING, Tier.STAGE_FAILED):
        return known is Tier.STAGING
    return restore is not None and restore.open and not (restore.flagged or restore.failed)


def warm(storage_class: str) -> str:
    """Return what a recorded class is called while all data are here."""
    return "STANDARD" if storage_class in COLD_CLASSES else storage_class


def restore_header(tiering: Tiering, shown: Shown) -> str:
    """Return ``x-amz-restore``, empty where there is none."""
    if shown.ongoing:
        return words.ONGOING
    if shown.end_s:
        return words.until(shown.end_s)
    if tiering.as_aws:
        return ""
    return words.ALWAYS if shown.readable else words.NOT_ASKED


def tell(part: Part, call: Call, record: Record, headers: list[tuple[str, str]]) -> None:
    """Add to the headers of an object's answer; its days begin when it is first seen back."""
    tiering: Tiering = call.tiering
    shown = look(tiering, record, time.time())
    if shown.readable and shown.restore is not None and shown.restore.open:
        with suppress(StoreError):  # then the next who looks writes it down
            part.offload.run(_settle, part, tiering, call.bucket, call.key)
    said = shown.storage_class
    headers[:] = [pair for pair in headers if pair[0] != CLASS]
    if said != "STANDARD" or not tiering.as_aws:  # S3 has no header for its own usual class
        headers.append((CLASS, said))
    text = restore_header(tiering, shown)
    if text:
        headers.append(("x-amz-restore", text))


def _settle(part: Part, tiering: Tiering, bucket: str, key: str) -> None:
    """Write down that an object is back, and tell of it, in a blocking verb."""

    def tell(record: Record, restore: Restore) -> AbstractContextManager[None]:
        subject = telling.Subject(bucket, key, record, restore)
        return telling.about(part, tiering.events, COMPLETED, subject)

    part.store.settle_restore(bucket, key, settled, tell)


def settled(restore: Restore) -> Restore:
    """Return a request whose data have come back now."""
    return replace(restore, end_s=words.end_of(time.time(), restore.days), failed=False)


def check_read(part: Part, call: Call, opened: Opened, asked: tuple[int, int]) -> None:
    """Raise InvalidObjectState when bytes of an object cannot be read without waiting.

    :param asked: offset and count of those that are wanted
    """
    tiering: Tiering = call.tiering
    record = opened.record
    shown = look(tiering, record, time.time())
    if shown.readable:
        return
    if tiering.ranges and record.state is not None and record.state.online_blocks:
        at_once = tiering.at_once and record.storage_class in COLD_CLASSES
        if not at_once and part.offload.run(extents.are_here, opened.fd, *asked):
            return
    raise S3Error("InvalidObjectState", StorageClass=shown.storage_class)


def check_source(call: Call, record: Record) -> None:
    """Raise ObjectNotInActiveTierError when the source of a copy cannot be read."""
    if call.tiering is not None and not look(call.tiering, record, time.time()).readable:
        raise S3Error("ObjectNotInActiveTierError")


def is_to_archive(call: Call, record: Record) -> bool:
    """Whether an object that was stored is to be taken to tape."""
    return call.tiered and record.storage_class in COLD_CLASSES and not record.is_directory


def noting(
    part: Part, call: Call, storage_class: Callable[[], str], check: Check | None
) -> Check | None:
    """Return a check that notes an object of a cold class as well, just before it is there.

    So the note is as durable as the object: what makes that durable commits the whole mount.

    :param storage_class: what the object is stored with, once it is known
    """
    if not call.tiered:
        return check

    def check_and_note(current: Record | None) -> None:
        if check is not None:
            check(current)
        if storage_class() in COLD_CLASSES:
            _note(part, call)

    return check_and_note


def archive(part: Part, call: Call) -> None:
    """Have an object taken to tape that was stored, in a blocking verb.

    It is noted again, should somebody have looked before it was there. The object is stored,
    whatever becomes of that: what fails is logged, and its class stays recorded beside it.
    """
    try:
        _note(part, call)
    except OSError as error:
        log.warning("%s/%s cannot be archived: %s", call.bucket, ascii(call.key)[1:-1], error)
    part.store.bell.ring()


def _note(part: Part, call: Call) -> None:
    notes.note(part.store.root, notes.ARCHIVES, call.bucket, call.key, "", part.store.node)


def class_of(call: Call, record: Record) -> str:
    """Return the storage class to show."""
    if call.tiering is None:
        return warm(record.storage_class)
    return look(call.tiering, record, time.time()).storage_class


def listed(call: Call) -> Callable[[Record], str]:
    """Return what makes the last elements of an entry of a listing: its class and restore."""
    tiering: Tiering | None = call.tiering
    if tiering is None:
        return lambda record: _warm_element(record.storage_class)
    asked = (call.params.get("OptionalObjectAttributes") or "").split(",")
    with_status = "RestoreStatus" in (name.strip() for name in asked)
    now_s = time.time()

    def elements(record: Record) -> str:
        shown = look(tiering, record, now_s)
        said = _class_element(shown.storage_class)
        if with_status and (shown.ongoing or shown.end_s):
            said += words.status_element(ongoing=shown.ongoing, end_s=shown.end_s)
        return said

    return elements


@lru_cache(maxsize=64)
def _warm_element(recorded: str) -> str:
    return _class_element(warm(recorded))


@lru_cache(maxsize=64)
def _class_element(storage_class: str) -> str:
    return f"<StorageClass>{xml.escape(storage_class)}</StorageClass>"
