"""One writer at a time per key, across threads, worker processes and daemons of one machine.

Whoever replaces or deletes a name, or decides by what is there, holds the key's lock while it
looks and acts. Whoever only creates a name takes none: link(2) refuses a name that is taken. So
under the lock a name that exists stays what it is (other programs aside), and a name that does
not can still appear, which link then says.

A lock is flock(2) on one of 1,024 files ``<bucket>/.sgwtmp/lock.<n>``, chosen by a hash of the
path, so two keys may share one; nobody ever holds two, so there is no order to keep. The kernel
lets go of it when the process dies. A file that was deleted while we waited for it (with its
bucket) locks nobody out: the holder notices and takes the new one.

Reach: the machine's own file systems, and NFSv4 and other network file systems that carry flock
to the server. On ScoutFS flock stays on the node: there exactly one of many ``only_if_absent``
wins across nodes (link is coherent), while If-Match is exact among the gateways of one node. A
file system without any flock fails every verb that needs it: no silent second winner.
"""

from __future__ import annotations

import fcntl
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from s3filters.store.errors import SlowDown

FILES = 1024
PREFIX = "lock."
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_ATTEMPTS = 100  # each is a lock file deleted under us; one bucket deletion can do that once


def name_for(path: bytes) -> str:
    """Return the name of the lock file for a path under the root."""
    return f"{PREFIX}{zlib.crc32(path) % FILES:03x}"


@contextmanager
def hold(hidden: int, path: bytes) -> Iterator[None]:
    """Hold the lock of a path, waiting for it if need be.

    :param hidden: descriptor of the bucket's ``.sgwtmp``

    Raise OSError: ENOENT when the bucket is deleted.
    """
    fd = _take(hidden, name_for(path))
    try:
        yield
    finally:
        os.close(fd)


def _take(hidden: int, name: str) -> int:
    for _ in range(_ATTEMPTS):
        fd = os.open(name, _FLAGS, 0o600, dir_fd=hidden)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise SlowDown


def is_free(fd: int) -> bool:
    """True when nobody holds a lock on an open file; then we hold it until the file is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
