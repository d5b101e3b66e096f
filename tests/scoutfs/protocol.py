"""FUSE's messages: operation numbers, and the structs of include/uapi/linux/fuse.h (7.31 on)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, replace
from enum import IntEnum

IN_HEADER = struct.Struct("<IIQQIIIHH")  # length, opcode, unique, node, uid, gid, pid, extra, pad
OUT_HEADER = struct.Struct("<IiQ")  # length, -errno, unique
ATTRIBUTES = struct.Struct("<3Q3q10I")
ENTRY = struct.Struct("<4Q2I")  # node, generation, entry valid s, attributes valid s, and the ns
ATTRIBUTES_VALID = struct.Struct("<QII")
OPENED = struct.Struct("<QII")  # handle, flags, pad
INIT_IN = struct.Struct("<4I")  # major, minor, readahead, flags
INIT_OUT = struct.Struct("<4I2H2I2HI7I")
SETATTR = struct.Struct("<II3Q3q8I")
READ_OR_WRITE = struct.Struct("<QQI")  # handle, offset, size
WRITE_IN_SIZE = 40
DIRENT = struct.Struct("<QQII")
STATFS = struct.Struct("<5Q10I")
IOCTL_IN = struct.Struct("<QIIQII")  # handle, flags, command, argument, size in, size out
IOCTL_OUT = struct.Struct("<iIII")
COUNT = struct.Struct("<II")

MAX_WRITE = 1 << 20
MINOR = 38
ROOT = 1  # the root's node

# Flags of INIT.
ASYNC_READ, ATOMIC_O_TRUNC, BIG_WRITES = 1 << 0, 1 << 3, 1 << 5
IOCTL_DIR, ASYNC_DIO, PARALLEL_DIROPS, MAX_PAGES = 1 << 11, 1 << 15, 1 << 18, 1 << 22
WANTED = (
    ASYNC_READ | ATOMIC_O_TRUNC | BIG_WRITES | IOCTL_DIR | ASYNC_DIO | PARALLEL_DIROPS | MAX_PAGES
)
# How files are opened: no page cache, in which reading ahead would wait for offline neighbours,
# and in which a second open hangs while a read does.
OPEN_FLAGS = 1 << 0 | 1 << 1 | 1 << 6  # direct, keep, writes side by side
# Which fields of SETATTR count.
SET_MODE, SET_UID, SET_GID, SET_SIZE = 1 << 0, 1 << 1, 1 << 2, 1 << 3
SET_ATIME, SET_MTIME, SET_ATIME_NOW, SET_MTIME_NOW = 1 << 4, 1 << 5, 1 << 7, 1 << 8


class Op(IntEnum):
    """Operations that are answered; ENOSYS is said to all others."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    IOCTL = 39
    BATCH_FORGET = 42
    FALLOCATE = 43
    RENAME2 = 45
    LSEEK = 46
    SYNCFS = 50
    TMPFILE = 51


@dataclass(frozen=True, slots=True)
class Request:
    """One message from the kernel; ``pid`` is the caller's thread id."""

    op: int
    unique: int
    node: int
    uid: int
    gid: int
    pid: int
    body: memoryview | bytes

    def kept(self) -> Request:
        """The same with a body of its own, for an answer that comes later."""
        return replace(self, body=bytes(self.body))

    def name(self, at: int = 0) -> bytes:
        """The zero-terminated name that begins at an offset of the body."""
        text = bytes(self.body[at:])
        return text[: text.index(0)]


def parse(message: memoryview) -> Request:
    """Return a message as a request."""
    _, op, unique, node, uid, gid, pid, _, _ = IN_HEADER.unpack_from(message)
    return Request(op, unique, node, uid, gid, pid, message[IN_HEADER.size :])


def error(number: int) -> OSError:
    """The exception that answers with an error number."""
    return OSError(number, os.strerror(number))
