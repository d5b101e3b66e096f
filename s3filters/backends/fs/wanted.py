"""Whether the archiver is to be asked for an object, still, as its record has it just then."""

from __future__ import annotations

import time
from collections.abc import Callable

from s3filters.s3.headers import COLD_CLASSES
from s3filters.store import restores
from s3filters.store.asked import ARCHIVES, NEW_RESTORES, RELEASES
from s3filters.store.metadata import Record
from s3filters.tiers.base import ARCHIVE, RELEASE, STAGE


def is_offline(record: Record) -> bool:
    """Whether some of the data are on tape alone."""
    return record.state is not None and record.state.offline_blocks > 0


def _is_kept(record: Record) -> bool:
    """Whether somebody asked for the data, and may read them still."""
    request = restores.decode(record.restore)
    return request is not None and (request.open or request.end_s > time.time())


def is_to_archive(record: Record) -> bool:
    """Whether an object is to go to tape: it is of a cold class, here, and nobody asked for it."""
    cold = record.storage_class in COLD_CLASSES
    return cold and not is_offline(record) and not _is_kept(record)


def is_to_release(record: Record) -> bool:
    """Whether the data are to go again: they are here, and nobody asked for them."""
    return not record.restore and not is_offline(record)


# The folder of notes for each verb, and the verbs of the two whose notes are forgotten once asked.
FOLDER = {STAGE: NEW_RESTORES, ARCHIVE: ARCHIVES, RELEASE: RELEASES}
SIMPLE = {ARCHIVES: ARCHIVE, RELEASES: RELEASE}
WANTED: dict[str, Callable[[Record], bool]] = {
    STAGE: is_offline,
    ARCHIVE: is_to_archive,
    RELEASE: is_to_release,
}
