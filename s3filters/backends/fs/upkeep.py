"""Uploads in progress as who runs the service sees them: what each holds, and its end.

No operation of S3: it has no account that may see all buckets, and no word for disk blocks.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from s3filters.backends.base import translate
from s3filters.s3.errors import S3Error
from s3filters.store import Store, errors, reaping, removing, uploads, usage
from s3filters.store.errors import Busy, NoSuchUpload, StoreError

PATIENCE_S = 5.0  # for an upload that is being completed just now
_PAUSE_S = 0.05
_PAGE = 1000  # parts in memory
IDLE_S = reaping.IDLE_S


@dataclass(frozen=True, slots=True)
class Held:
    """An upload in progress; ``size`` is what its parts add up to, ``disk`` the bytes of blocks.

    ``used_ns`` is when it got its last part, or began.
    """

    bucket: str
    key: str
    id: str
    initiated_ns: int
    parts: int
    size: int
    disk: int
    used_ns: int


def held(
    store: Store, bucket: str = "", prefix: str = "", before_ns: int | None = None
) -> Iterator[Held]:
    """Yield uploads one by one, in no order within a bucket.

    :param bucket: of this bucket alone; empty for all
    :param prefix: that the key begins with
    :param before_ns: that were begun before, in ns since the epoch

    Raise S3Error.
    """
    with _translated():
        for name in [bucket] if bucket else [record.name for record in store.buckets()]:
            for upload in store.uploads(name):
                old = before_ns is None or upload.initiated_ns < before_ns
                if old and upload.key.startswith(prefix):
                    with contextlib.suppress(NoSuchUpload):  # it ended since it was listed
                        yield _look(store, upload)


def one(store: Store, bucket: str, key: str, upload_id: str) -> Held:
    """Return one upload. Raise S3Error."""
    with _translated():
        return _look(store, store.upload(bucket, key, upload_id))


def end(store: Store, upload: Held) -> None:
    """End an upload and remove what it held. Raise S3Error: SlowDown when it is being completed."""
    until = time.monotonic() + PATIENCE_S
    with _translated():
        while True:
            try:
                store.end_upload(upload.bucket, upload.key, upload.id)
                break
            except Busy as error:
                if time.monotonic() > until:
                    raise S3Error("SlowDown", "It is being completed just now.") from error
                time.sleep(_PAUSE_S)
    removing.settle()


def reap(store: Store, age_s: float) -> list[uploads.Upload]:
    """End uploads that are older and not in use, see the store's verb; return them.

    Raise S3Error.
    """
    with _translated():
        return store.reap_uploads(age_s)


def _look(store: Store, upload: uploads.Upload) -> Held:
    fd = uploads.open_directory(store, upload.bucket, upload.key, upload.id)
    try:
        disk = usage.blocks(fd)
        used_ns = os.fstat(fd).st_mtime_ns
    except OSError as error:
        raise errors.from_os(error, f"{upload.bucket}/{upload.key}") from error
    finally:
        os.close(fd)
    count, size, after, more = 0, 0, 0, True
    while more:
        found, more = store.parts(upload.bucket, upload.key, upload.id, after, _PAGE)
        count += len(found)
        size += sum(part.size for part in found)
        after = found[-1].number if found else after + _PAGE
    name = upload.bucket, upload.key, upload.id
    return Held(*name, upload.initiated_ns, count, size, disk, used_ns)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except StoreError as error:
        raise translate(error) from error
