"""One writer at a time per key, across threads, worker processes and daemons of one machine.

Whoever replaces or deletes a name, or decides by what is there, holds the key's lock while it
looks and acts. Whoever only creates a name takes none: link(2) refuses a name that is taken. So
under the lock a name that exists stays what it is (other programs aside), and a name that does not
can still appear, which link then says.

A lock is one byte of the file ``<bucket>/.sgwtmp/lock``, the one that a hash of the path says
(fcntl(2), "Open file description locks"), so two keys may share one. Uploads have bytes of their
own behind those of the keys. Who holds an upload's may take one key's, and nobody else ever holds
two, so no two wait for each other; a check that runs under a lock must not call a verb that takes
one. Nobody waits for an upload's lock, which can be held for as long as it takes to join its parts:
``hold_upload`` raises Busy. The kernel lets go of a lock when the process dies. A file that was
deleted (with its bucket) while we waited for it locks nobody out: the holder notices and takes the
new one.

On a full disk the file cannot be made, and yet deleting must go on. Then the flock(2) of the
bucket's directory is the lock, for all keys. Whoever makes the file holds that too, so it cannot
appear while somebody relies on it being absent.

Reach: the machine's own file systems, and NFSv4 and other network file systems that carry locks to
the server. On ScoutFS locks stay on the node: there exactly one of many ``only_if_absent`` wins
across nodes (link is coherent), and If-Match has names of its own for it (``comparing``). A file
system without any locks fails every verb that needs them: no silent second winner.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import random
import struct
import threading
import time
import zlib
from collections.abc import Iterator

from s3filters.store import hidden
from s3filters.store.beneath import DIRECTORY, LOCK, NEW_LOCK, Root
from s3filters.store.errors import Busy, MethodNotAllowed, SlowDown

NAME = "lock"
PATIENCE_S = 5.0
_PAUSE_S = 0.005
_ATTEMPTS = 100  # each is a lock file deleted under us; one bucket deletion can do that once
_FLOCK = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid
_ALL = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)  # length 0: to the end, wherever that is
_FULL = (errno.ENOSPC, errno.EDQUOT)
_UPLOADS = 1 << 32  # keys have the bytes below, one for each CRC-32


def path_for(path: bytes) -> bytes:
    """Return the path of the lock file for ``path`` (``bucket/…``), both under the root."""
    return b"%b/%b/lock" % (path[: path.index(b"/")], hidden.NAME)


_mood = threading.local()


@contextlib.contextmanager
def impatiently() -> Iterator[None]:
    """In this block this thread waits for no key's lock: taking one raises Busy instead.

    For a verb that runs in an event loop. Nothing in the block may let other green threads run.
    """
    _mood.impatient = True
    try:
        yield
    finally:
        _mood.impatient = False


class hold:
    """Hold the lock of a path under the root for a ``with`` block, waiting for it if need be.

    Entering raises OSError: ENOENT when the bucket is deleted; MethodNotAllowed when the lock file
    is something else; Busy, see ``impatiently``.
    """

    __slots__ = ("_fd", "_path", "_root")

    def __init__(self, root: Root, path: bytes) -> None:
        self._root = root
        self._path = path

    def __enter__(self) -> hold:
        if not getattr(_mood, "impatient", False):
            self._fd = _take(self._root, self._path)
            return self
        try:
            self._fd = _take(self._root, self._path, how=fcntl.F_OFD_SETLK)
        except (BlockingIOError, PermissionError) as error:  # fcntl(2): EAGAIN or EACCES
            raise Busy from error
        return self

    def fileno(self) -> int:
        """The descriptor that has the lock."""
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


class hold_upload:
    """Hold the lock of an upload's directory (a path under the root) for a ``with`` block.

    :param alone: no key is locked in the block. Without it a full disk, on which the lock file
        cannot be made, is an error: there the lock would be that of all keys.

    Entering raises Busy when another has it, OSError as ``hold`` does.
    """

    __slots__ = ("_alone", "_fd", "_path", "_root")

    def __init__(self, root: Root, path: bytes, *, alone: bool = True) -> None:
        self._root = root
        self._path = path
        self._alone = alone

    def __enter__(self) -> None:
        if not self._alone:
            make(self._root, self._path)
        try:
            self._fd = _take(self._root, self._path, _UPLOADS, fcntl.F_OFD_SETLK)
        except (BlockingIOError, PermissionError) as error:  # fcntl(2): EAGAIN or EACCES
            raise Busy from error

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def make(root: Root, path: bytes) -> None:
    """Make the lock file of a path's bucket if it is not there. Raise MethodNotAllowed, OSError."""
    file = path_for(path)
    hidden.make(root, path[: path.index(b"/")])
    try:
        try:
            os.close(root.open_ours(file, LOCK))
        except FileNotFoundError:
            os.close(root.open_ours(file, NEW_LOCK))
    except OSError as error:
        if error.errno in hidden.TAKEN:
            raise _taken(error) from error
        raise


def _taken(error: OSError) -> MethodNotAllowed:
    """Return the error for a lock file that is none, or is in what is no folder."""
    return hidden.taken("" if error.errno == errno.ENOTDIR else NAME)


def _take(root: Root, path: bytes, base: int = 0, how: int = fcntl.F_OFD_SETLKW) -> int:
    file = path_for(path)
    request = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, base + zlib.crc32(path), 1, 0)
    for _ in range(_ATTEMPTS):
        try:
            fd = root.open_ours(file, LOCK)
        except FileNotFoundError:
            whole = _make(root, file, waits=how == fcntl.F_OFD_SETLKW)
            if whole >= 0:
                return whole
            continue
        except OSError as error:
            if error.errno in hidden.TAKEN:
                raise _taken(error) from error
            raise
        try:
            fcntl.fcntl(fd, how, request)
            if os.fstat(fd).st_nlink:
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
    raise SlowDown


def _make(root: Root, file: bytes, *, waits: bool) -> int:
    """Try to make the lock file; return -1, or on a full disk the bucket's directory, locked.

    :param waits: for who has that directory; else BlockingIOError
    """
    bucket = file[: file.index(b"/")]
    directory = root.open(bucket, DIRECTORY)
    locked = False
    try:
        locked = _lock_directory(directory, waits)
        hidden.make(root, bucket)
        os.close(root.open_ours(file, NEW_LOCK))
    except FileNotFoundError:
        return -1  # its directory was removed by who deletes the bucket: look whether that is gone
    except OSError as error:
        if locked and error.errno in _FULL and os.fstat(directory).st_nlink:
            whole, directory = directory, -1
            return whole
        raise
    finally:
        if directory >= 0:
            os.close(directory)
    return -1


def _lock_directory(directory: int, waits: bool) -> bool:
    """Lock an open directory; False where that is impossible (NFS).

    Whoever may read it can have it locked, for as long as he likes. Raise BlockingIOError, or
    SlowDown when it was waited for long enough.
    """
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not waits:
                raise
        except OSError:
            return False
        else:
            return True
        if time.monotonic() > until:
            raise SlowDown
        time.sleep(random.uniform(0, _PAUSE_S))


def is_free(fd: int) -> bool:
    """True when nobody holds a lock on an open file; then we hold it until the file is closed."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def remove(directory: int, held: hold | None = None) -> None:
    """Remove the lock file from an open ``.sgwtmp`` if no key is locked.

    :param held: a lock of the same bucket that we hold ourselves
    """
    try:
        fd = os.open(NAME, LOCK.flags, dir_fd=directory)
    except FileNotFoundError:
        return
    try:
        fcntl.fcntl(fd if held is None else held, fcntl.F_OFD_SETLK, _ALL)
        os.unlink(NAME, dir_fd=directory)
    except (BlockingIOError, PermissionError):
        return  # fcntl(2): EAGAIN or EACCES when another has it
    finally:
        os.close(fd)
