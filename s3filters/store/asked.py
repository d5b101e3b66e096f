"""Notes of what is to be asked of the archiver, and of what was asked: a small file for each.

``<bucket>/.sgwtmp/restores/<sha256 of the key>`` is an object that was asked back; it holds the
key, and its mtime is when the archiver was last asked. ``restores.new``, ``archives.new`` and
``releases.new`` hold what the archiver was not asked for yet; there the tier stands behind the
hash, and the node of who noted it behind the key, so that each node sees to its own.

A note is made before what it tells of is written down and removed behind its end, so there may be
one too many, never one too few: who goes through them looks at the objects.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Container, Iterator
from typing import NamedTuple

from s3filters.store import hidden, paths
from s3filters.store.beneath import DIRECTORY, Root

RESTORES = "restores"
NEW_RESTORES, ARCHIVES, RELEASES = NEW = "restores.new", "archives.new", "releases.new"
FOLDERS = (RESTORES, *NEW)
_DEAD_S = 60.0
_is_note = re.compile(r"[0-9a-f]{64}(\.[A-Za-z]+)?").fullmatch
_LONGEST = 4096  # bytes of a file that are read; a key has at most 1,024


Id = tuple[str, str, str]


class Note(NamedTuple):
    """An object, and what is noted of it.

    ``folder`` is one of the four. ``moment_s`` (s since 1970) is when the archiver was asked, of
    what is new when it was noted. ``tier`` and ``node`` are of what is new, else empty.
    """

    folder: str
    bucket: str
    key: str
    moment_s: float
    tier: str = ""
    node: str = ""

    @property
    def id(self) -> Id:
        """Its folder, its bucket and its name there."""
        return self.folder, self.bucket, _name(self.key, self.tier)


def note(root: Root, folder: str, bucket: str, key: str, tier: str = "", node: str = "") -> None:
    """Note an object in one of the folders for what is new. Raise MethodNotAllowed, OSError."""
    above = hidden.open_in(root, bucket.encode())
    try:
        inner = hidden.open_folder(above, folder)
    finally:
        os.close(above)
    try:
        fd = hidden.open_file(inner, _name(key, tier), os.O_WRONLY | os.O_CREAT)
        try:
            os.pwrite(fd, f"{key}\0{node}".encode(), 0)
        finally:
            os.close(fd)
    finally:
        os.close(inner)


def mark(root: Root, bucket: str, key: str, tier: str) -> None:
    """Note that the archiver was asked for an object now. Raise MethodNotAllowed, OSError."""
    above = hidden.open_in(root, bucket.encode())
    try:
        inner = hidden.open_folder(above, RESTORES)
    finally:
        os.close(above)
    try:
        _move(root, bucket, _name(key, tier), inner, _name(key))
        with contextlib.suppress(FileNotFoundError):
            os.utime(_name(key), dir_fd=inner, follow_symlinks=False)
    finally:
        os.close(inner)


def _move(root: Root, bucket: str, new: str, inner: int, asked: str) -> None:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        outer = _open(root, bucket, NEW_RESTORES)
        try:
            os.rename(new, asked, src_dir_fd=outer, dst_dir_fd=inner)
        finally:
            os.close(outer)


def forget(root: Root, note: Note) -> None:
    """Remove a note, if it is there. Raise OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        above = _open(root, note.bucket, note.folder)
        try:
            os.unlink(_name(note.key, note.tier), dir_fd=above)
        finally:
            os.close(above)


def all_of(root: Root, folder: str, without: Container[Id] = ()) -> Iterator[Note]:
    """Yield what is noted in one of the folders of every bucket.

    Raise OSError, behind the last that can be read. A note without a key, which a death left, is
    removed.

    :param without: notes that are not even opened
    """
    top = os.open(".", DIRECTORY.flags, dir_fd=root.fd)
    try:
        with os.scandir(top) as entries:
            buckets = [entry.name for entry in entries if paths.is_bucket(entry.name)]
    finally:
        os.close(top)
    failed: OSError | None = None
    for bucket in buckets:
        try:
            above = _open(root, bucket, folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            if error.errno != errno.EXDEV:  # a link that leads out of the root is no bucket
                failed = error
            continue
        try:
            yield from _in(above, folder, bucket, without)
        except OSError as error:
            failed = error
        finally:
            os.close(above)
    if failed is not None:
        raise failed


def one_of(root: Root, bucket: str, key: str) -> Note | None:
    """Return the note of an object that was asked back, if there is one. Raise OSError."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        above = _open(root, bucket, RESTORES)
        try:
            return _read(above, RESTORES, bucket, _name(key))
        finally:
            os.close(above)
    return None


def _in(above: int, folder: str, bucket: str, without: Container[Id]) -> Iterator[Note]:
    with os.scandir(above) as entries:
        names = [entry.name for entry in entries]
    failed: OSError | None = None
    for name in names:
        if (folder, bucket, name) in without or not _is_note(name):
            continue
        try:
            found = _read(above, folder, bucket, name)
        except FileNotFoundError:
            continue
        except OSError as error:
            failed = error
            continue
        if found is not None:
            yield found
    if failed is not None:
        raise failed


def _read(above: int, folder: str, bucket: str, name: str) -> Note | None:
    """Return a note by its name, None for what is none. Raise OSError."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=above)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link, or a socket
            return None
        raise
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return None
        text = os.pread(fd, _LONGEST, 0).decode("utf-8", "replace")
    finally:
        os.close(fd)
    key, _, node = text.partition("\0")
    tier = name.partition(".")[2]
    if _name(key, tier) != name:
        if time.time() - found.st_mtime > _DEAD_S:  # else somebody is just writing it
            os.unlink(name, dir_fd=above)
        return None
    return Note(folder, bucket, key, found.st_mtime, tier, node)


def remove(above: int) -> None:
    """Remove all notes from an open ``.sgwtmp``: there are no objects any more. Raise OSError.

    What else somebody put there stays.
    """
    for folder in FOLDERS:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            fd = os.open(folder, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
            try:
                _remove_from(fd)
            finally:
                os.close(fd)
            with contextlib.suppress(OSError):
                os.rmdir(folder, dir_fd=above)


def _remove_from(folder: int) -> None:
    with os.scandir(folder) as entries:
        notes = [e.name for e in entries if _is_note(e.name) and e.is_file(follow_symlinks=False)]
    for name in notes:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def _open(root: Root, bucket: str, folder: str) -> int:
    return root.open_ours(f"{bucket}/{paths.HIDDEN}/{folder}".encode(), DIRECTORY)


def _name(key: str, tier: str = "") -> str:
    hashed = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{hashed}.{tier}" if tier else hashed
