"""Changing a small file that others read: one editor at a time, and no reader sees half of it.

Whoever changes the file holds its lock (``flock``), and puts a whole new file with mode 0600 in its
place; the name and the bytes are on stable storage afterwards. Readers take no lock.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager


def real(path: str) -> str:
    """Return the path of the file itself: a link to it stays a link."""
    return os.path.realpath(os.path.expanduser(path))


@contextmanager
def locked(path: str, *, make: bool) -> Iterator[bytes]:
    """Hold the lock of the file that has this name now; yield what it holds.

    :param path: a ``real`` one
    :param make: whether a file that is absent is made, empty; else FileNotFoundError is raised
    """
    made = make and not os.path.lexists(path)
    with _held(path, os.O_RDWR | (os.O_CREAT if make else 0), fcntl.LOCK_EX) as data:
        try:
            yield data
        except BaseException:
            if made and not os.path.getsize(path):  # nothing came of it, so nothing is left
                os.unlink(path)
            raise


@contextmanager
def kept(path: str) -> Iterator[bytes]:
    """Keep others from changing the file of this name meanwhile; yield what it holds.

    Raise FileNotFoundError when there is none.

    :param path: a ``real`` one
    """
    with _held(path, os.O_RDONLY, fcntl.LOCK_SH) as data:
        yield data


@contextmanager
def _held(path: str, flags: int, lock: int) -> Iterator[bytes]:
    while True:
        fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
        with open(fd, "rb") as file:
            fcntl.flock(fd, lock)
            # Whoever had the lock before has put another file in this one's place.
            if _is_named(fd, path):
                yield file.read()
                return


def _is_named(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def replace(path: str, data: bytes) -> None:
    """Put a new file in place of another, with its owner, and on stable storage."""
    old = os.stat(path)
    temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            if os.geteuid() == 0:  # else root's edit would take the file from the service
                os.fchown(fd, old.st_uid, old.st_gid)
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
