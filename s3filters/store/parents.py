"""Directories on the way to an object: made when a put needs them, pruned when it is deleted.

A directory made here carries ``user.s3filters.made``, and only such a one is ever pruned: a
directory that a person, or another gateway, made stays. One that has an ETag is an object by
itself and stays too. rmdir(2) is the proof that nothing is in it; a put that was about to use it
sees ENOENT and makes it again.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field

from s3filters.store import locks
from s3filters.store.beneath import DIRECTORY, Root
from s3filters.store.errors import InternalError, ObjectParentIsFile, SlowDown, StoreError
from s3filters.store.paths import HIDDEN

MADE = "user.s3filters.made"
MODE = 0o755
_ATTEMPTS = 64  # parents pruned by others while we make them


@dataclass(slots=True)
class Way:
    """An open directory, and the directories that had to be made to get there.

    ``above`` holds descriptors of the directories that got a new one, outermost first.
    """

    fd: int
    above: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close every descriptor."""
        os.close(self.fd)
        for fd in self.above:
            os.close(fd)

    def sync(self) -> None:
        """Make the new directories' own names durable, outermost first, and what is in the last."""
        for fd in self.above:
            os.fsync(fd)
        os.fsync(self.fd)


def open_way(root: Root, path: bytes) -> Way:
    """Open the directory ``path`` (``bucket/…``), making what is missing below the bucket.

    Raise ObjectParentIsFile when something on the way is no directory, OSError: ENOENT when the
    bucket is not there.
    """
    for _ in range(_ATTEMPTS):
        fd, missing = open_deepest(root, path)
        if not missing:
            return Way(fd)
        try:
            return _make(root, path, fd, missing)
        except FileNotFoundError:
            continue  # pruned by another between two of our steps
    raise SlowDown


def _make(root: Root, path: bytes, fd: int, missing: list[bytes]) -> Way:
    way = Way(fd)
    try:
        for name in missing:
            _enter(way, name)
    except BaseException as error:
        way.close()
        prune(root, path)
        if isinstance(error, OSError) and error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise ObjectParentIsFile from error
        raise
    return way


def _enter(way: Way, name: bytes) -> None:
    """Go one directory down, making it if it is not there."""
    above = way.fd
    try:
        os.mkdir(name, MODE, dir_fd=above)
    except FileExistsError:
        way.fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
        os.close(above)
        return
    way.fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
    way.above.append(above)
    os.setxattr(way.fd, MADE, b"1")


def open_deepest(root: Root, path: bytes) -> tuple[int, list[bytes]]:
    """Open the deepest directory of a path that exists; return it and the names that are missing.

    Raise ObjectParentIsFile, OSError: ENOENT when the bucket is not there.
    """
    missing: list[bytes] = []
    while True:
        try:
            return root.open(path, DIRECTORY), missing[::-1]
        except NotADirectoryError as error:
            raise ObjectParentIsFile from error
        except FileNotFoundError:
            path, slash, last = path.rpartition(b"/")
            if not slash:
                raise
            missing.append(last)


def open_hidden(root: Root, bucket: bytes) -> int:
    """Open ``<bucket>/.sgwtmp``, made at its first use. Raise OSError: ENOENT without bucket."""
    path = b"%b/%b" % (bucket, HIDDEN.encode())
    while True:
        try:
            return root.open(path, DIRECTORY)
        except FileNotFoundError:
            above = root.open(bucket, DIRECTORY)
            try:
                os.mkdir(HIDDEN, MODE, dir_fd=above)
            except FileExistsError:
                pass  # another writer was first: look again
            finally:
                os.close(above)
        except NotADirectoryError as error:
            raise InternalError(f"Something that is no directory is named {HIDDEN}.") from error


def prune(root: Root, path: bytes) -> bool:
    """Remove the directory ``path`` and those above it, as long as they are empty and ours.

    Each is removed under its lock, so none becomes an object between the look and the act. Return
    whether ``path`` itself is gone (also when it was before).
    """
    gone = 0
    bucket = path[: path.find(b"/")]
    while b"/" in path:
        above, _, name = path.rpartition(b"/")
        if not _prune_one(root, bucket, above, name):
            break
        path = above
        gone += 1
    return gone > 0


def _prune_one(root: Root, bucket: bytes, above: bytes, name: bytes) -> bool:
    try:
        fd = root.open(above, DIRECTORY)
    except OSError:
        return True
    try:
        if not is_ours(fd, name):
            return False
        hidden = open_hidden(root, bucket)
        try:
            with locks.hold(hidden, b"%b/%b" % (above, name)):
                return remove(fd, name)
        finally:
            os.close(hidden)
    except FileNotFoundError:
        return True
    except (OSError, StoreError):
        return False  # it stays; the next put there uses it
    finally:
        os.close(fd)


def remove(above: int, name: bytes) -> bool:
    """Remove a directory if it is ours, no object and empty; True when it is gone."""
    try:
        if not is_ours(above, name):
            return False
        os.rmdir(name, dir_fd=above)
    except OSError:
        return False  # not empty, or gone already: either way it is not for us
    return True


def is_ours(above: int, name: bytes) -> bool:
    """True for a directory that a put made and that is no object by itself. Raise OSError."""
    target = b"/proc/self/fd/%d/%b" % (above, name)
    present = os.listxattr(target, follow_symlinks=False)
    return MADE in present and "user.etag" not in present
