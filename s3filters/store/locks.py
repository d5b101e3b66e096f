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

from s3filters.store import hidden
from s3filters.store.beneath import LOCK, Root
from s3filters.store.errors import SlowDown

FILES = 1024
PREFIX = "lock."
_ATTEMPTS = 100  # each is a lock file deleted under us; one bucket deletion can do that once


def path_for(path: bytes) -> bytes:
    """Return the path of the lock file for ``path`` (``bucket/…``), both under the root."""
    number = zlib.crc32(path) % FILES
    return b"%b/%b/lock.%03x" % (path[: path.index(b"/")], hidden.NAME, number)


class hold:
    """Hold the lock of a path under the root for a ``with`` block, waiting for it if need be.

    Entering raises OSError: ENOENT when the bucket is deleted.
    """

    __slots__ = ("_fd", "_path", "_root")

    def __init__(self, root: Root, path: bytes) -> None:
        self._root = root
        self._path = path_for(path)

    def __enter__(self) -> None:
        self._fd = _take(self._root, self._path)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _take(root: Root, path: bytes) -> int:
    for _ in range(_ATTEMPTS):
        fd = _open(root, path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise SlowDown


def _open(root: Root, path: bytes) -> int:
    while True:
        try:
            return root.open(path, LOCK)
        except FileNotFoundError:
            hidden.make(root, path[: path.index(b"/")])
        except NotADirectoryError as error:
            raise hidden.not_a_directory() from error


def is_free(fd: int) -> bool:
    """True when nobody holds a lock on an open file; then we hold it until the file is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
