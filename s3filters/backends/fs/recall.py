"""Objects whose data may be on tape, as who runs the service sees them, and asks them back.

No operation of S3: whoever may read and write the folder may do it, without an account. What is
asked for is noted, as a daemon notes it. A daemon of the machine sees to the notes; where none
does, whoever asks does it himself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from s3filters.backends import base
from s3filters.backends.base import translate
from s3filters.backends.fs import FsBackend, cold
from s3filters.backends.fs.cold import Shown, Tiering
from s3filters.backends.fs.handing import Watch
from s3filters.s3.call import Call
from s3filters.s3.restore import RestoreRequest
from s3filters.store import tier, walk
from s3filters.store.errors import StoreError
from s3filters.store.metadata import Record
from s3filters.store.tier import Tier
from s3filters.tiers.base import Driver, File

ONLINE, RESTORED, STAGING, OFFLINE, PARTLY, FAILED = (
    "online",
    "restored",
    "staging",
    "offline",
    "partly",
    "failed",
)
_PAGE = 1000
PATIENCE_S = 60.0
_TICK_S = 0.02  # between two looks at the queues, whose threads call nobody


class Seen(NamedTuple):
    """An object: ``state`` is one of the words above, ``end_s`` when a restored one goes again.

    ``hint``: the archiver brings back best what is asked for in the order of these.
    """

    key: str
    size: int
    hint: Any
    state: str
    storage_class: str
    end_s: int


def seen(backend: FsBackend, tiering: Tiering, bucket: str, prefix: str = "") -> Iterator[Seen]:
    """Yield the objects of a bucket in the order of their keys. Raise S3Error."""
    driver = tiering.driver or Driver()
    after, more = "", True
    while more:
        try:
            page = walk.page(backend.store, bucket, prefix, "", after, _PAGE)
        except StoreError as error:
            raise translate(error) from error
        now_s = time.time()
        for entry in page.entries:
            record = entry.record
            shown = cold.look(tiering, record, now_s)
            state = _state(record, shown)
            hint = driver.order(File(backend.path_of(bucket, entry.key), record.ino))
            yield Seen(entry.key, record.size, hint, state, shown.storage_class, shown.end_s)
        after, more = page.last, page.truncated


def _state(record: Record, shown: Shown) -> str:
    if shown.readable:
        return ONLINE if shown.restore is None else RESTORED
    if shown.ongoing:
        return STAGING
    if record.state is None or not shown.offline:  # archived by name alone
        return OFFLINE
    given_up = shown.restore is not None and shown.restore.failed
    if given_up or tier.tier_of(record.state, record.sam_flags) is Tier.STAGE_FAILED:
        return FAILED
    return PARTLY if record.state.online_blocks else OFFLINE


def ask(backend: FsBackend, tiering: Tiering, bucket: str, key: str, wanted: RestoreRequest) -> int:
    """Have an object restored; return the status as RestoreObject has it. Raise S3Error."""
    call = Call("RestoreObject", bucket, key, params={"Restore": wanted}, tiering=tiering)
    status: int = base.answer(backend, call).status_code
    return status


def settle(watch: Watch) -> None:
    """Have the archiver asked for what is noted, where no daemon does. Raise OSError.

    What it does not do is tried again for ``PATIENCE_S``; then it stays noted.
    """
    if not watch.leads:
        return
    until = time.monotonic() + PATIENCE_S
    watch.look()
    while watch.is_busy and time.monotonic() < until:
        time.sleep(_TICK_S)
