"""ScoutFS's own calls: numbers, structs, and one short function for each; no policy.

Each function takes an open file or directory, of any mode, asks the kernel once and returns plain
data. What it means that a file is offline is ``tier``'s to say, when blocks are moved
``assembly``'s. Elsewhere than on ScoutFS every call fails with ENOTTY, and the archiver's
attribute with ENOTSUP; ``detect`` finds that out once for a root.

RELEASE is left out on purpose: it destroys data of which no archive copy exists, and the kernel
does not ask whether there is one.

Source: kmod/src/ioctl.h of ScoutFS. A struct lies in memory as the kernel has it, without padding
of the compiler's; blocks are of 4096 bytes; all numbers are little-endian as on x86-64.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from dataclasses import dataclass
from typing import NamedTuple

BLOCK = 4096
SAM_FLAGS = "scoutfs.hide.sam_flags"

# Indexes of all inodes by the transaction that changed them last: anything of them, their bytes.
META_SEQ, DATA_SEQ = 0, 1

# Bits of the archiver's attribute.
STAGING = 1  # somebody asked for the data
STAGE_FAILED = 2  # no copy could be staged
NO_ARCHIVE = 4  # no copies are to be made

# x_mask of the attr_x calls.
_DATA_VERSION, _ONLINE, _OFFLINE, _RETENTION, _PROJECT = 0x4, 0x8, 0x10, 0x100, 0x200
_RETAINED = 0x1  # in bits

_WRITE, _READ = 1, 2  # directions of linux/ioctl.h
_MAGIC = 0xE8
_FOREIGN = (errno.ENOTTY, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)  # said by other file systems
_FORMAT = "/sys/fs/scoutfs/f.{}.r.{}/format_version"
_ATTEMPTS = 16


class Ioctl(NamedTuple):
    """A request number and the struct that goes with it, both ways."""

    request: int
    layout: struct.Struct


def _ioctl(direction: int, number: int, layout: str) -> Ioctl:
    fields = struct.Struct(f"={layout}")
    return Ioctl(direction << 30 | fields.size << 16 | _MAGIC << 8 | number, fields)


# first: seq, ino, minor; last: the same; address of the entries, how many there is room for, index
WALK_INODES = _ioctl(_WRITE, 1, "2QI4x2QI4xQIB11x")
# meta_seq, data_seq, data_version, online_blocks, offline_blocks, crtime: s and ns
STAT_MORE = _ioctl(_READ, 5, "6QI4x")
# fsid, rid, committed_seq, blocks: all of metadata, all of data, reserved
STATFS_MORE = _ioctl(_READ, 10, "6Q")
# from_fd, from_off, len, to_off, data_version, flags; it is issued on the target
MOVE_BLOCKS = _ioctl(_WRITE, 13, "6Q")
# x_mask, x_flags, meta_seq, data_seq, data_version, online_blocks, offline_blocks, ctime: s, ns;
# crtime: ns, s; size, bits, project_id. The direction says write, and yet GET fills the struct.
GET_ATTR_X = _ioctl(_WRITE, 18, "8Q2I4Q")
SET_ATTR_X = _ioctl(_WRITE, 19, "8Q2I4Q")


_ENTRY = struct.Struct("=2QI4x")  # of WALK_INODES: seq, ino, minor
_LAST = (2**64 - 1, 2**64 - 1, 2**32 - 1)  # seq, ino, minor


class Position(NamedTuple):
    """An inode in an index, in whose order positions compare. ``minor`` is always 0."""

    seq: int
    minor: int
    ino: int

    def next(self) -> Position:
        """Return the position right behind this one, where no inode need be."""
        if self.ino < 2**64 - 1:
            return self._replace(ino=self.ino + 1)
        if self.minor < 2**32 - 1:
            return Position(self.seq, self.minor + 1, 0)
        return Position(self.seq + 1, 0, 0)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a file system offers. ``format_version`` is 0 where it is not ScoutFS.

    ``privileged``: we have CAP_SYS_ADMIN. ``missing`` says in sentences for the log what does not
    work, and why.
    """

    format_version: int
    privileged: bool
    missing: tuple[str, ...]

    @property
    def scoutfs(self) -> bool:
        """True on ScoutFS."""
        return self.format_version > 0


NOT_HERE = Capabilities(
    0,
    False,
    ("This is not ScoutFS: no object is ever offline, no block is moved, no file has a project.",),
)


class State(NamedTuple):
    """Where a file's data are, as one call tells it. Blocks of 4096 bytes.

    ``data_version`` grows with every change of the bytes, not when they are staged or released.
    ``project_id`` is 0 and ``retained`` False where format version 1 knows neither.
    """

    online_blocks: int
    offline_blocks: int
    data_version: int
    project_id: int
    retained: bool


def detect(fd: int) -> Capabilities:
    """Ask the file system of an open directory what it is. Changes nothing. Raise OSError."""
    try:
        fsid, rid, *_ = _call(fd, STATFS_MORE)
    except OSError as error:
        if error.errno not in _FOREIGN:
            raise
        return NOT_HERE
    version = _format_version(fd, fsid, rid)
    privileged = _is_privileged(fd)
    missing = []
    if version < 2:
        missing.append(
            "ScoutFS has format version 1 here: project ids and retention need version 2."
        )
    if not privileged:
        missing.append(
            "The process has no CAP_SYS_ADMIN: neither project ids nor the archiver's flags can be "
            "set, so nothing can be staged on demand."
        )
    return Capabilities(version, privileged, tuple(missing))


def node(fd: int) -> str:
    """Return the number of this mount, which no other node's has; by any open file. OSError."""
    return f"{_call(fd, STATFS_MORE)[1]:016x}"


def state(fd: int, format_version: int = 2) -> State:
    """Return where a file's data are, by one call; reads none of them.

    :param format_version: what ``detect`` found

    Raise OSError with ENOTTY elsewhere than on ScoutFS.
    """
    if format_version < 2:
        _, _, data_version, online, offline, *_ = _call(fd, STAT_MORE)
        return State(online, offline, data_version, 0, False)
    told = bytearray(_QUESTION)
    fcntl.ioctl(fd, GET_ATTR_X.request, told)
    # What was not asked for comes back as garbage.
    _, _, _, _, data_version, online, offline, *_, bits, project = GET_ATTR_X.layout.unpack(told)
    return State(online, offline, data_version, project, bool(bits & _RETAINED))


def state_if_any(fd: int, format_version: int) -> State | None:
    """Do the same in a tree on ScoutFS; None where another file system is mounted in it."""
    try:
        return state(fd, format_version)
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
        return None


def move_blocks(source: int, offset: int, length: int, target: int, at: int) -> None:
    """Move blocks out of one file into a hole of another, where they lie from ``at``.

    Offsets are multiples of BLOCK, and so is ``length`` unless the range ends where the source
    does. The source keeps its size and reads as zeros there. Extents move in transactions of a
    few, each whole, so an error or a crash can leave the first of them moved; the same call again
    moves the rest, since a hole in the source is passed over.

    Raise OSError: EINVAL (not aligned, or something lies in the target's range already), ENODATA
    (a block of either file is offline), EXDEV, EACCES, EPERM (target under retention), ENOTTY.
    """
    fields = MOVE_BLOCKS.layout.pack(source, offset, length, at, 0, 0)
    fcntl.ioctl(target, MOVE_BLOCKS.request, fields)


def set_project(fd: int, project_id: int) -> None:
    """Set the project of a file or directory; 0 is none.

    Raise OSError: EPERM without CAP_SYS_ADMIN or under retention, EOPNOTSUPP with format version 1.
    """
    values = (_PROJECT, *[0] * 12, project_id)
    fcntl.ioctl(fd, SET_ATTR_X.request, SET_ATTR_X.layout.pack(*values))


def sam_flags(fd: int) -> int:
    """Return the archiver's flags of a file, 0 where it has none.

    Raise OSError: ENOTSUP elsewhere than on ScoutFS, EBADMSG when the attribute is no number.
    """
    return _stored_flags(fd) or 0


def mark_new(fd: int, flags: int) -> None:
    """Give flags to a file that nobody else knows of yet. Raise OSError as ``change_sam_flags``."""
    os.setxattr(fd, SAM_FLAGS, b"%d" % flags)


def change_sam_flags(fd: int, *, add: int = 0, remove: int = 0) -> int:
    """Set and clear flags of a file; return them as they are now.

    The archiver writes the same attribute, and there is no call that compares and sets. So the
    flags are read again after writing, until they hold what was asked for; what the archiver
    changes between our reading and our writing, some microseconds, is lost all the same.

    Raise OSError as ``sam_flags``, EPERM without CAP_SYS_ADMIN, EAGAIN when others change them all
    the time.
    """
    for _ in range(_ATTEMPTS):
        was = _stored_flags(fd)
        wanted = ((was or 0) | add) & ~remove
        if wanted == (was or 0):
            return wanted
        how = os.XATTR_CREATE if was is None else os.XATTR_REPLACE
        try:
            os.setxattr(fd, SAM_FLAGS, b"%d" % wanted, how)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENODATA):
                raise
    raise OSError(errno.EAGAIN, "the archiver's flags change all the time")


def committed_seq(fd: int) -> int:
    """Return the last sequence number up to which all changes of all nodes are on the disk.

    What is changed after this call gets a higher one. It reads the disk and asks the leader over
    the network, so it is nothing for each request. Raise OSError, ENOTTY elsewhere than on ScoutFS.
    """
    return _call(fd, STATFS_MORE)[2]


def walk(fd: int, index: int, first: Position, most: int) -> list[Position]:
    """Return the inodes at ``first`` and behind it, in order, as far as changes are committed.

    Each inode of the file system is in an index once. ``fd`` is any open file of it. Where fewer
    than ``most`` come, there are no more for now; who wants the next ones begins at the last one's
    ``next()``. It asks the leader over the network.

    :param index: META_SEQ or DATA_SEQ
    :param most: 1 or more

    Raise OSError: ENOTTY elsewhere than on ScoutFS, EINVAL (no such index), what the network gave.
    """
    room = bytearray(most * _ENTRY.size)
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    fields = (first.seq, first.ino, first.minor, *_LAST, address, most, index)
    given = bytearray(WALK_INODES.layout.pack(*fields))
    count = fcntl.ioctl(fd, WALK_INODES.request, given)
    found = _ENTRY.iter_unpack(memoryview(room)[: count * _ENTRY.size])
    return [Position(seq, minor, ino) for seq, ino, minor in found]


_QUESTION = GET_ATTR_X.layout.pack(
    _DATA_VERSION | _ONLINE | _OFFLINE | _RETENTION | _PROJECT, *[0] * 13
)


def _call(fd: int, ioctl: Ioctl, *fields: int) -> tuple[int, ...]:
    told = bytearray(ioctl.layout.pack(*fields) if fields else ioctl.layout.size)
    fcntl.ioctl(fd, ioctl.request, told)
    return ioctl.layout.unpack(told)


def _format_version(fd: int, fsid: int, rid: int) -> int:
    """Return what the mount's folder in sysfs says, or, where that is not there, what works."""
    path = _FORMAT.format(f"{fsid:016x}"[:6], f"{rid:016x}"[:6])
    try:
        with open(path, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        pass
    try:
        _call(fd, GET_ATTR_X, _PROJECT, *[0] * 13)
    except OSError as error:
        if error.errno not in (*_FOREIGN, errno.EOPNOTSUPP):
            raise
        return 1
    return 2


def _is_privileged(fd: int) -> bool:
    """Try to take away a tagged attribute that nobody has: the kernel asks who we are first."""
    try:
        os.removexattr(fd, "scoutfs.hide.s3filters-probe")
    except OSError as error:
        return error.errno not in (errno.EPERM, errno.EACCES)
    return True


def _stored_flags(fd: int) -> int | None:
    try:
        text = os.getxattr(fd, SAM_FLAGS).strip()
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise
    if not text.isdigit():
        raise OSError(errno.EBADMSG, f"{SAM_FLAGS} is {text[:40]!r}, which is no number")
    return int(text)
