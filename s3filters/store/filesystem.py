"""What the file system under the root can do, found out by asking it.

``inspect`` says whether it is one of this machine's own (then look-ups that need no disk may run
in the event loop, and what fstat proves may be remembered), and refuses one on which the store
cannot keep its promises: without user extended attributes there is no metadata.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from dataclasses import dataclass

# f_type of file systems whose inodes no other machine changes (linux/magic.h). ZFS is left out:
# whether its ctime moves with an attribute depends on how it stores attributes.
LOCAL = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0x01021994: "tmpfs",
    0xF2F52010: "f2fs",
    0xCA451A4E: "bcachefs",
    0x794C7630: "overlayfs",
}
# Others that are told from each other only to be called by name.
SHARED = {
    0x554F4353: "ScoutFS",
    0x2FC12FC1: "zfs",
    0x6969: "nfs",
    0xFF534D42: "cifs",
    0x00C36400: "ceph",
    0x65735546: "fuse",
}
_PROBE = "user.s3filters.probe"
_RENAME_NOREPLACE = 1  # linux/fs.h
_FICLONE = 0x40049409  # linux/fs.h
_KEEP_SIZE, _PUNCH_HOLE = 1, 2  # linux/falloc.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.renameat2.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)


_libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Unsuitable(Exception):
    """The folder cannot hold objects; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """``name`` is one of LOCAL's or SHARED's, or a number in hex.

    ``tmpfile`` says whether O_TMPFILE works.
    """

    name: str
    local: bool
    tmpfile: bool


def inspect(fd: int, path: str) -> FileSystem:
    """Return what the file system of an open directory is.

    Raise Unsuitable when it lacks what the store needs. Leaves nothing behind.
    """
    number = kind_of(fd)
    _need_attributes(fd, path)
    tmpfile = _has_tmpfile(fd)
    if tmpfile and not os.path.isdir("/proc/self/fd"):
        raise Unsuitable("/proc is not mounted; without it no file can get its name atomically")
    name = LOCAL.get(number) or SHARED.get(number) or f"{number:#x}"
    return FileSystem(name, number in LOCAL, tmpfile)


def kind_of(fd: int) -> int:
    """Return f_type of statfs(2): which file system an open file lies on."""
    # struct statfs begins with f_type, a long; 256 bytes hold it on every architecture.
    buffer = (ctypes.c_long * 32)()
    if _libc.fstatfs(fd, buffer) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(buffer[0]) & 0xFFFFFFFF


def rename_if_absent(directory: int, name: str, new_name: str) -> None:
    """Rename within a directory; raise FileExistsError when the new name is taken.

    Raise OSError with EINVAL where the file system cannot (renameat2(2), RENAME_NOREPLACE).
    """
    done = _libc.renameat2(
        directory, name.encode(), directory, new_name.encode(), _RENAME_NOREPLACE
    )
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def punch_hole(fd: int, offset: int, count: int) -> None:
    """Give back the space of a range of an open file, which then reads as zeros.

    Raise OSError, with EOPNOTSUPP where the file system cannot (fallocate(2)).
    """
    if _libc.fallocate(fd, _PUNCH_HOLE | _KEEP_SIZE, offset, count) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _need_attributes(fd: int, path: str) -> None:
    """Raise Unsuitable unless ``user.`` attributes are possible here. A read-only one may serve."""
    try:
        os.getxattr(fd, _PROBE)
    except OSError as error:
        if error.errno == errno.ENODATA and _may_keep_attributes(fd):
            return
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            raise Unsuitable(
                f"{path} is on a file system without user extended attributes, where objects "
                "cannot keep their ETag and metadata; choose a root on ext4, xfs, btrfs or ScoutFS"
            ) from error
        raise


def _may_keep_attributes(fd: int) -> bool:
    """False where one can be looked for but never set, as in sysfs. Changes nothing."""
    try:
        os.setxattr(fd, _PROBE, b"", os.XATTR_REPLACE)  # there is none to replace
    except OSError as error:
        return error.errno != errno.ENOTSUP
    return True


def can_clone(fd: int) -> bool:
    """True when files under an open directory can share blocks (FICLONE, ioctl_ficlone(2))."""
    made: list[int] = []
    try:
        for _ in range(2):
            made.append(os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=fd))
        os.write(made[0], bytes(4096))
        fcntl.ioctl(made[1], _FICLONE, made[0])
    except OSError:
        return False
    finally:
        for one in made:
            os.close(one)
    return True


def _has_tmpfile(fd: int) -> bool:
    """True when a file without a name can be made here (O_TMPFILE, open(2))."""
    try:
        os.close(os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=fd))
    except OSError:
        return False
    return True
