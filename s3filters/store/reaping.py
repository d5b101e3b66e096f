"""Uploads that nobody will complete: those that were begun long ago and are not used any more.

Whoever uploads may go away without a word, and parts are as large as objects. An upload is *old* by
when it was begun and *in use* by when it got its last part; only one that is old and not in use is
ended, by the same verb with which a client aborts it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time

from s3filters.store import errors, paths, uploads
from s3filters.store.beneath import DIRECTORY
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

log = logging.getLogger("s3filters.store")

IDLE_S = 86400.0  # an upload that got a part since then is in use, however old it is


def reap(tree: Tree, age_s: float) -> list[Upload]:
    """End uploads that began longer ago than ``age_s`` seconds and return them.

    One that got a part within the last day (or within ``age_s``, when that is less) stays.
    Raise OSError.
    """
    now_ns = time.time_ns()
    reaped = []
    for bucket in _buckets(tree):
        for upload in _older(tree, bucket, now_ns - int(age_s * 1e9)):
            # Ended or in use meanwhile; or it cannot be ended, and then the others still can.
            with contextlib.suppress(errors.StoreError, errors.Busy):
                if not _used_since(tree, upload, now_ns - int(min(age_s, IDLE_S) * 1e9)):
                    uploads.abort(tree, bucket, upload.key, upload.id)
                    reaped.append(upload)
    return reaped


def _buckets(tree: Tree) -> list[str]:
    root = os.open(".", DIRECTORY.flags, dir_fd=tree.root.fd)  # scans of one descriptor mix
    try:
        with os.scandir(root) as entries:
            return [entry.name for entry in entries if paths.is_bucket(entry.name)]
    finally:
        os.close(root)


def _older(tree: Tree, bucket: str, limit_ns: int) -> list[Upload]:
    try:
        return [each for each in uploads.all_of(tree, bucket) if each.initiated_ns < limit_ns]
    except errors.NoSuchBucket:
        pass  # deleted meanwhile
    except errors.StoreError as error:  # of one bucket, which keeps nobody from the others
        # A link that leads out of the root is no bucket.
        if getattr(error.__cause__, "errno", 0) != errno.EXDEV:
            log.warning("uploads of bucket %s could not be looked through: %s", bucket, error)
    return []


def _used_since(tree: Tree, upload: Upload, limit_ns: int) -> bool:
    fd = uploads.open_directory(tree, upload.bucket, upload.key, upload.id)
    try:
        return os.fstat(fd).st_mtime_ns >= limit_ns
    finally:
        os.close(fd)
