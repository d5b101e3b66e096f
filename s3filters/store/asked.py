"""Which objects were asked back from tape: a small file for each, so that all can be found.

``<bucket>/.sgwtmp/restores/<sha256 of the key>`` holds the key. It is made before the request is
written beside the object and removed behind its end, so there may be one too many, never one too
few: who goes through them looks at the objects. Its mtime is when somebody was last asked.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterator
from typing import NamedTuple

from s3filters.store import hidden, paths, removing
from s3filters.store.beneath import DIRECTORY, Root

FOLDER = "restores"
_MODE = 0o755
_LONGEST = 4096  # bytes of a file that are read; a key has at most 1,024


class Asked(NamedTuple):
    """An object that was asked back, and when somebody was last asked for it (s since 1970)."""

    bucket: str
    key: str
    moment_s: float


def note(root: Root, bucket: str, key: str) -> None:
    """Note an object, or that it was asked for again. Raise OSError."""
    above = hidden.open_in(root, bucket.encode())
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(FOLDER, _MODE, dir_fd=above)
        path = f"{FOLDER}/{_name(key)}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644, dir_fd=above)
        try:
            os.pwrite(fd, key.encode(), 0)
        finally:
            os.close(fd)
    finally:
        os.close(above)


def leave(root: Root, bucket: str, key: str) -> None:
    """Mark a noted object as one that nobody was asked for yet. Raise OSError."""
    with contextlib.suppress(FileNotFoundError):
        folder = _open(root, bucket)
        try:
            os.utime(_name(key), (0, 0), dir_fd=folder)
        finally:
            os.close(folder)


def forget(root: Root, bucket: str, key: str) -> None:
    """Remove the note of an object, if there is one. Raise OSError."""
    with contextlib.suppress(FileNotFoundError):
        folder = _open(root, bucket)
        try:
            os.unlink(_name(key), dir_fd=folder)
        finally:
            os.close(folder)


def all_of(root: Root) -> Iterator[Asked]:
    """Yield what is noted in all buckets; those that another goes through just now are left out.

    A note without a key, which a death left, is removed. Raise OSError.
    """
    top = os.open(".", DIRECTORY.flags, dir_fd=root.fd)
    try:
        with os.scandir(top) as entries:
            buckets = [entry.name for entry in entries if paths.is_bucket(entry.name)]
    finally:
        os.close(top)
    for bucket in buckets:
        try:
            folder = _open(root, bucket)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield from _in(folder, bucket)
        except BlockingIOError:
            continue
        finally:
            os.close(folder)


def _in(folder: int, bucket: str) -> Iterator[Asked]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries]
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            try:
                key = os.pread(fd, _LONGEST, 0).decode("utf-8", "replace")
                moment_s = os.fstat(fd).st_mtime
            finally:
                os.close(fd)
            if _name(key) == name:
                yield Asked(bucket, key, moment_s)
            else:
                os.unlink(name, dir_fd=folder)


def remove(above: int) -> None:
    """Remove all notes from an open ``.sgwtmp``: there are no objects any more. Raise OSError."""
    removing.tree(above, FOLDER)


def _open(root: Root, bucket: str) -> int:
    return root.open(f"{bucket}/{paths.HIDDEN}/{FOLDER}".encode(), DIRECTORY)


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
