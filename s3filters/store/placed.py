"""Direct placement: parts of equal size are written where they will lie in the object.

The first part's size says where the others go: part N to ``(N - 1) * size`` of ``data.1``, a file
of the upload's directory. Completing then is to cut that file to its length and to give it the
key's name: no byte is written again. A shorter part goes to its place too, for it may be the last.
A longer one shows that the first to come was the last part, or that sizes differ: it begins
``data.2``, and what then lies in ``data.1`` is copied when the upload is completed. All others,
and each part that replaces one that was acknowledged, are written to files of their own.

What makes this safe:

* A *slot*, the place of one part, is held while it is written: byte N of the data file is locked
  (open file description lock). A part that counts is never written over: its place is not given
  again, to nobody.
* The *gate* is byte 0. Each write holds it shared, and looks whether the data file has an ETag.
  Who completes holds it alone while it gives the file that ETag; from then on nobody else writes
  to it, in any process, whatever came of completing: the file is an object, or may be one soon.
* The bytes of a part that was not acknowledged are worth nothing. Who gives up gives their space
  back; what a death left stays until another part is written there or the upload ends.

Where it is used: on file systems of this machine that cannot share blocks (ext4), and on those
that can (xfs, btrfs) when nothing is synced, because sharing waits for the disk. Elsewhere, and
with ``placement = files``, each part has a file of its own, and completing shares or moves blocks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct

from s3filters.store import errors, filesystem, hidden, parents, paths
from s3filters.store.errors import MethodNotAllowed
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

NAMES = ("data.1", "data.2")
SIZE = "user.s3filters.part-size"
PREFIX = "put."  # of hidden names, as everywhere
MODE = 0o644
LEAST = 5 << 20  # bytes; a shorter part is the last one (AWS, "multipart upload limits")
MOST = 5 << 40  # bytes; nothing is placed behind the end of the largest object
STEP = 16 << 20  # bytes copied while the gate is held
_BLOCK = 1 << 20  # bytes; where the kernel cannot copy by itself
_CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.ETXTBSY)
_FLOCK = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid
_GATE = 0


def _lock(fd: int, kind: int, byte: int, how: int) -> None:
    fcntl.fcntl(fd, how, _FLOCK.pack(kind, os.SEEK_SET, byte, 1, 0))


# Files -------------------------------------------------------------------------------------------


def hidden_name() -> str:
    """Return a new name that is no part's."""
    return PREFIX + os.urandom(8).hex()


def new_file(directory: int, folder: int, tmpfile: bool) -> tuple[int, str]:
    """Make a file without a name, or with a hidden one in ``folder``; return it and that name.

    :param directory: an open directory, from which it inherits what files inherit

    Raise OSError.
    """
    if tmpfile:
        with contextlib.suppress(OSError):
            flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
            return os.open(".", flags, MODE, dir_fd=directory), ""
    name = hidden_name()
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, MODE, dir_fd=folder), name


def link(fd: int, directory: int, name: str) -> None:
    """Give a file without a name one. Raise FileExistsError, OSError."""
    os.link(f"/proc/self/fd/{fd}", name, dst_dir_fd=directory, follow_symlinks=True)


def copy(source: int, offset: int, target: int, at: int, count: int) -> None:
    """Copy ``count`` bytes between open files, in the kernel where it can; share them if possible.

    Raise InternalError when the source ends before, OSError.
    """
    end = offset + count
    while offset < end:
        done = _copy_some(source, offset, target, at, end - offset)
        if not done:
            raise errors.InternalError("The source became shorter while it was copied.")
        offset += done
        at += done


def _copy_some(source: int, offset: int, target: int, at: int, count: int) -> int:
    try:
        done = os.copy_file_range(source, target, count, offset_src=offset, offset_dst=at)
        if done:
            return done
    except OSError as error:
        if error.errno not in _CANNOT_COPY:
            raise
    return os.pwrite(target, os.pread(source, min(count, _BLOCK), offset), at)


# Slots -------------------------------------------------------------------------------------------


class Slot:
    """The place of one part in a data file, held until it is closed."""

    __slots__ = ("_size", "fd", "name", "offset")

    def __init__(self, fd: int, name: str, offset: int, size: int) -> None:
        self.fd = fd
        self.name = name
        self.offset = offset
        self._size = size

    def write(self, view: memoryview, at: int) -> None:
        """Write all of a buffer, ``at`` bytes behind the beginning of the part.

        Raise SlowDown when the upload is being completed, OSError.
        """
        with _Passage(self.fd):
            while view:
                count = os.pwrite(self.fd, view, self.offset + at)
                at += count
                view = view[count:]

    def copy_from(self, source: int, offset: int, count: int, at: int) -> None:
        """Copy bytes of an open file to ``at`` bytes behind the beginning of the part."""
        end = offset + count
        while offset < end:
            step = min(STEP, end - offset)
            with _Passage(self.fd):
                copy(source, offset, self.fd, self.offset + at, step)
            offset += step
            at += step

    def expect_open(self) -> None:
        """Raise SlowDown when the data file was closed since: the part may be cut off."""
        if is_closed(self.fd):
            raise errors.SlowDown("The upload is being completed.")

    def close(self) -> None:
        """Let go of the slot."""
        os.close(self.fd)

    def give_up(self) -> None:
        """Let go of the slot, in which nothing counts, and of the space that was taken there."""
        try:
            with contextlib.suppress(errors.SlowDown, OSError), _Passage(self.fd):
                filesystem.punch_hole(self.fd, self.offset, self._size)
        finally:
            self.close()


class _Passage:
    """Hold the gate of a data file, with others, for a ``with`` block. Raise SlowDown: closed."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def __enter__(self) -> None:
        _lock(self._fd, fcntl.F_RDLCK, _GATE, fcntl.F_OFD_SETLKW)
        if is_closed(self._fd):
            self.__exit__()
            raise errors.SlowDown("The upload is being completed.")

    def __exit__(self, *_: object) -> None:
        _lock(self._fd, fcntl.F_UNLCK, _GATE, fcntl.F_OFD_SETLK)


def is_closed(fd: int) -> bool:
    """True when a data file has an ETag: it is an object, or may be one soon."""
    try:
        os.getxattr(fd, "user.etag")
    except OSError as error:
        if error.errno == errno.ENODATA:
            return False
        raise
    return True


def close_gate(fd: int, etag: str) -> None:
    """From here on nobody else writes to the data file. Waits for writes that are going on."""
    _lock(fd, fcntl.F_WRLCK, _GATE, fcntl.F_OFD_SETLKW)
    try:
        os.setxattr(fd, "user.etag", b'"%b"' % etag.encode())
    finally:
        _lock(fd, fcntl.F_UNLCK, _GATE, fcntl.F_OFD_SETLK)


def forget(fd: int) -> None:
    """Take away what a closed data file says of places: an object has none."""
    try:
        os.removexattr(fd, SIZE)
    except OSError as error:
        if error.errno != errno.ENODATA:  # taken away before, when completing failed
            raise


def take(tree: Tree, upload: Upload, folder: int, number: int, size: int) -> Slot | None:
    """Return a slot for a part of ``size`` bytes, None when it is to have a file of its own.

    :param folder: descriptor of the upload's directory

    Raise OSError.
    """
    for name in NAMES:
        fd = _open(tree, upload, folder, name, number, size)
        if fd < 0:
            return None
        if is_closed(fd):
            os.close(fd)
            return None
        step = _step_of(fd)
        if size <= step:
            offset = (number - 1) * step
            if offset + size <= MOST and _reserve(fd, number):
                return Slot(fd, name, offset, size)
            os.close(fd)
            return None
        os.close(fd)
    return None


def _reserve(fd: int, number: int) -> bool:
    """Lock the slot of a part; False when somebody is writing there."""
    try:
        _lock(fd, fcntl.F_WRLCK, number, fcntl.F_OFD_SETLK)
    except (BlockingIOError, PermissionError):  # fcntl(2): EAGAIN or EACCES
        return False
    return True


def _step_of(fd: int) -> int:
    """Return the bytes between two parts of a data file, 0 when it is none."""
    try:
        raw = os.getxattr(fd, SIZE)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return 0
        raise
    return int(raw) if raw.isdigit() else 0


def _open(tree: Tree, upload: Upload, folder: int, name: str, number: int, size: int) -> int:
    """Open a data file, making it where the part's size may be that of others; -1: not here."""
    for _ in range(2):
        try:
            return hidden.open_file(folder, name)
        except MethodNotAllowed:
            return -1
        except FileNotFoundError:
            pass
        if not size or (number > 1 and size < LEAST):
            return -1
        make(tree, upload, folder, name, (SIZE, b"%d" % size))
    return -1


def make(
    tree: Tree, upload: Upload, folder: int, name: str, attribute: tuple[str, bytes] | None = None
) -> None:
    """Make a named file of the upload that may become its object, unless somebody was first.

    It is opened where the object will be, so that default ACL, setgid and project come from there.
    It belongs to who makes it, until who completes the upload gets it.
    Raise OSError.
    """
    above = paths.path_of(upload.bucket, upload.key).rpartition(b"/")[0]
    directory, _ = parents.open_deepest(tree.root, above)
    try:
        fd, hidden = new_file(directory, folder, tree.tmpfile)
    finally:
        os.close(directory)
    try:
        _name(tree, (fd, hidden), folder, name, attribute)
    except OSError as error:
        if error.errno != errno.EXDEV:  # another project's quota, or another mount
            raise
        os.close(fd)
        fd, hidden = new_file(folder, folder, tree.tmpfile)
        _name(tree, (fd, hidden), folder, name, attribute)
    finally:
        os.close(fd)


def _name(
    tree: Tree, made: tuple[int, str], folder: int, name: str, attribute: tuple[str, bytes] | None
) -> None:
    fd, hidden = made
    try:
        tree.mark_maker(fd)
        if attribute is not None:
            os.setxattr(fd, *attribute)
        with contextlib.suppress(FileExistsError):
            if hidden:
                os.link(hidden, name, src_dir_fd=folder, dst_dir_fd=folder)
            else:
                link(fd, folder, name)
    finally:
        if hidden:
            os.unlink(hidden, dir_fd=folder)
