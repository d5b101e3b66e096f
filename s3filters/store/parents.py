"""Directories on the way to an object: made when a put needs them, pruned when it is deleted.

A directory made here carries ``user.s3filters.made``, and only such a one is ever pruned: a
directory that a person, or another gateway, made stays. One that has an ETag is an object by
itself and stays too. rmdir(2) is the proof that nothing is in it; a put that was about to use it
sees ENOENT and makes it again.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from s3filters.store import hidden, locks
from s3filters.store.beneath import DIRECTORY, Root
from s3filters.store.errors import AccessDenied, Busy, ObjectParentIsFile, SlowDown, StoreError
from s3filters.store.owners import Owner

MADE = "user.s3filters.made"
_ATTEMPTS = 64  # of which the first few follow at once, and the last waits 6 ms for its turn
_AT_ONCE = 3
_PAUSE_S = 1e-4


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


def attempts() -> Iterator[None]:
    """Yield as often as it is worth to try again what pruning has spoilt, at growing intervals.

    A directory that rmdir(2) is removing can be opened, and not be used, until that call returns;
    whoever made it may have to wait for a processor before it does.
    """
    for number in range(_ATTEMPTS):
        if number > _AT_ONCE:
            time.sleep(number * _PAUSE_S)
        yield


def open_way(root: Root, path: bytes, owner: Owner | None = None) -> Way:
    """Open the directory ``path`` (``bucket/…``), making what is missing below the bucket.

    :param owner: to whom new directories belong, None for the user of the process

    Raise ObjectParentIsFile when something on the way is no directory, AccessDenied when the owner
    cannot be given one, OSError: ENOENT when the bucket is not there.
    """
    for _ in attempts():
        fd, missing = open_deepest(root, path)
        if not missing:
            return Way(fd)
        try:
            return _make(root, path, fd, missing, owner)
        except FileNotFoundError:
            continue  # pruned by another between two of our steps
    raise SlowDown


def _make(root: Root, path: bytes, fd: int, missing: list[bytes], owner: Owner | None) -> Way:
    way = Way(fd)
    try:
        for name in missing:
            _enter(way, name, owner)
    except BaseException as error:
        way.close()
        prune(root, path)
        if isinstance(error, OSError) and error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise ObjectParentIsFile from error
        raise
    return way


def _enter(way: Way, name: bytes, owner: Owner | None) -> None:
    """Go one directory down, making it if it is not there."""
    above = way.fd
    try:
        os.mkdir(name, hidden.MODE, dir_fd=above)
    except FileExistsError:
        way.fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
        os.close(above)
        return
    fd = -1
    try:
        fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
        if owner is not None:
            _expect_new(fd)
            owner.take(fd)
        os.setxattr(fd, MADE, b"1")
    except BaseException:
        if fd >= 0:
            os.close(fd)
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=above)
        raise
    way.fd = fd
    way.above.append(above)


def _expect_new(fd: int) -> None:
    """Make sure that an open directory is the one that was just made, before it is given away.

    Who owns the directory above can put another in its place between the two: one that belongs to
    somebody else. Raise FileNotFoundError for one that a put made, AccessDenied, OSError.
    """
    if MADE in os.listxattr(fd):
        raise FileNotFoundError
    if os.fstat(fd).st_uid != os.geteuid():
        raise AccessDenied("A folder that was just made belongs to somebody else.")


def open_deepest(root: Root, path: bytes) -> tuple[int, list[bytes]]:
    """Open the deepest directory of a path that exists; return it and the names that are missing.

    Raise ObjectParentIsFile, OSError: ENOENT when the bucket is not there.
    """
    missing: list[bytes] = []
    while True:
        try:
            return root.open(path, DIRECTORY), missing[::-1]
        except FileNotFoundError:
            path, slash, last = path.rpartition(b"/")
            if not slash:
                raise
            missing.append(last)
        except OSError as error:
            if error.errno not in (errno.ENOTDIR, errno.ELOOP):
                raise
            # Says ENOENT (or ENOTDIR) when it is the bucket that is none.
            os.close(root.open(path.partition(b"/")[0], DIRECTORY))
            raise ObjectParentIsFile from error


def prune(root: Root, path: bytes) -> None:
    """Remove the directory ``path`` and those above it, as long as they are empty and ours."""
    while b"/" in path and prune_one(root, path):
        path = path[: path.rindex(b"/")]


def prune_one(root: Root, path: bytes) -> bool:
    """Remove one directory if it is empty and ours; return whether it is gone.

    It is removed under its lock, so it does not become an object between the look and the act.
    """
    above, _, name = path.rpartition(b"/")
    try:
        fd = root.open(above, DIRECTORY)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        with locks.hold(root, path):
            return remove(fd, name)
    except FileNotFoundError:
        return True
    except (OSError, StoreError, Busy):
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
