"""What a name in an open directory is to a listing: an object, or a directory that holds one.

A file is an object, a symbolic link to a file is one where GET would follow it, a directory is one
(with a key that ends in ``/``) when it has an ETag. Anything else is none. A file whose attributes
may not be read is shown all the same, because it is there: with an ETag made from its stat.

What is remembered of an inode costs one stat; the rest is opened with O_PATH, so that nothing of it
can block or be recalled from a tape, and read from that one descriptor, so that size, time and
attributes are of the same file.

Whether a directory holds an object is asked for common prefixes. The first object found is the
answer and is remembered as the directory's witness: next time one look at it is enough.
That a tree holds none can only be said after all its directories were read; after ``_PROBES`` of
them the answer is "yes", unproven.
"""

from __future__ import annotations

import errno
import os
import stat

from s3filters.store import errors, recognizing, scan
from s3filters.store.beneath import LOOK
from s3filters.store.metadata import Record
from s3filters.store.tree import Tree

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
GONE = (
    FileNotFoundError,
    NotADirectoryError,
)  # renamed, deleted or replaced since its name was read
_FILE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_COLD = 64  # inodes that a page may read when it was to use what is in memory
_PROBES = 1000  # directories
_WITNESSES = 8192
_ETAG = "user.etag"  # what makes a directory an object, see metadata

# (device, inode) of a directory -> path and inode of a file beneath it that was an object. Only
# believed after a look.
_witnesses: dict[tuple[int, int], tuple[bytes, int]] = {}


class Looks:
    """Looks at names for one page of a bucket.

    :param cached: raise errors.WouldBlock when more than a few inodes are not in memory
    """

    def __init__(self, tree: Tree, bucket: str, *, cached: bool) -> None:
        self._tree = tree
        self._bucket = bucket
        self._known = tree.known.get
        self._cold = _COLD if cached else -1

    def record(self, fd: int, key: str) -> Record | None:
        """Return the record of a file or link; ``key`` ends in its name in the directory ``fd``."""
        raw = key[key.rfind("/") + 1 :].encode()
        try:
            found = os.stat(raw, dir_fd=fd, follow_symlinks=False)
        except GONE:
            return None
        record = self._known(found)
        if record is not None and not record.is_directory:
            return record
        if stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
            return self._read(fd, raw, found, key)
        return None

    def _read(self, fd: int, raw: bytes, found: os.stat_result, key: str) -> Record | None:
        self._wait()
        link = stat.S_ISLNK(found.st_mode)
        try:
            if link:
                file = self._tree.root.open(b"%b/%b" % (self._bucket.encode(), key.encode()), LOOK)
            else:
                file = os.open(raw, _FILE, dir_fd=fd)
        except OSError as error:
            if link or isinstance(error, GONE):
                return None  # the link leads nowhere, or where it may not
            raise
        try:
            found = os.fstat(file)
            if not stat.S_ISREG(found.st_mode):
                return None
            return self._tree.record(f"/proc/self/fd/{file}", found, raw.decode())
        except PermissionError:
            return _unreadable(found)
        finally:
            os.close(file)

    def _wait(self) -> None:
        if self._cold >= 0:
            self._cold -= 1
            if self._cold < 0:
                raise errors.WouldBlock

    def directory(self, fd: int, key: str) -> Record | None:
        """Return the record of a directory that is an object; ``key`` ends in ``/``."""
        try:
            os.getxattr(fd, _ETAG)
        except OSError as error:
            if error.errno in (errno.ENODATA, errno.ENOTSUP):
                return None
            raise
        return self._tree.record(fd, os.fstat(fd), key)

    def holds(self, fd: int, key: str) -> bool:
        """True when the directory ``key``, whose name ends it, is or holds an object."""
        raw = key[key.rfind("/", 0, -1) + 1 : -1].encode()
        try:
            found = os.stat(raw, dir_fd=fd, follow_symlinks=False)
        except GONE:
            return False
        if not stat.S_ISDIR(found.st_mode):
            return False
        if self._known(found) is not None:  # it is an object itself
            return True
        place = (found.st_dev, found.st_ino)
        if place in _witnesses and self._witnessed(fd, raw, *_witnesses[place]):
            return True
        self._wait()
        return self._search(fd, raw, key, place)

    def _witnessed(self, fd: int, directory: bytes, witness: bytes, ino: int) -> bool:
        try:
            found = os.stat(b"%b/%b" % (directory, witness), dir_fd=fd, follow_symlinks=False)
        except OSError:
            return False
        seen = self._known(found)
        return seen is not None and not seen.is_directory and seen.ino == ino

    def _search(self, fd: int, raw: bytes, key: str, place: tuple[int, int]) -> bool:
        """Read directories until there is an object; remember the first file that is one."""
        waiting = [([raw], key)]  # names from fd on, key
        for _ in range(_PROBES):
            if not waiting:
                return False
            path, base = waiting.pop()
            try:
                below = open_beneath(fd, path)
            except GONE:
                continue
            except PermissionError:
                return True  # who knows
            try:
                folders, seen = self._glance(below, base)
                if seen is not None:
                    _remember(place, base[len(key) :] + seen[0], seen[1])
                    return True
                if self.directory(below, base) is not None:
                    return True
            except PermissionError:
                return True  # who knows
            finally:
                os.close(below)
            waiting += [([*path, name[:-1].encode()], base + name) for name in folders]
        return True

    def _glance(self, fd: int, base: str) -> tuple[list[str], tuple[str, int] | None]:
        """Return the directories in a directory and, if there is one, an object: name and inode."""
        folders: list[str] = []
        for name in scan.peek(fd):
            if name[-1] == "/":
                if len(folders) < _PROBES:
                    folders.append(name)
                continue
            record = self.record(fd, base + name)
            if record is not None:
                return folders, (name, record.ino)
        return folders, None


def _remember(place: tuple[int, int], witness: str, ino: int) -> None:
    if len(_witnesses) >= _WITNESSES:
        _witnesses.clear()
    _witnesses[place] = (witness.encode(), ino)


def open_beneath(fd: int, components: list[bytes]) -> int:
    """Return a new descriptor of a directory beneath another, reached without following links.

    Raise OSError: one of ``GONE`` when there is no such directory.
    """
    below = os.open(b".", DIRECTORY, dir_fd=fd)
    for component in components:
        above = below
        try:
            below = os.open(component, DIRECTORY, dir_fd=above)
        finally:
            os.close(above)
    return below


def _unreadable(found: os.stat_result) -> Record:
    """Return what can be said of a file whose attributes may not be read."""
    return Record(
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ino=found.st_ino,
        dev=found.st_dev,
        ctime_ns=found.st_ctime_ns,
        etag=recognizing.derived_etag(found),
        headers={},
        user={},
        checksums=None,
    )
