"""Which bytes of a file are here, extent by extent, where some of them are on tape.

ScoutFS reports an extent that is offline as one whose place is not known (``scoutfs`` counts the
blocks, this finds them). Bytes that are still on their way to the disk look the same, so what is
said to be here is here, and not the other way round. Nothing is read.

Source: linux/fiemap.h; Documentation/filesystems/fiemap.rst of Linux.
"""

from __future__ import annotations

import fcntl
import struct

from s3filters.store import scoutfs

_FIEMAP = 0xC020660B  # FS_IOC_FIEMAP
_HEAD = struct.Struct("=QQIIII")  # start, length, flags, extents told, room for, reserved
_EXTENT = struct.Struct("=QQQ16xI12x")  # offset in the file, on the disk, length, flags
_LAST, _UNKNOWN = 0x1, 0x2
_ROOM = 64  # extents told by one call


def are_here(fd: int, offset: int, count: int) -> bool:
    """Whether all of these bytes of an open file can be read without waiting for a tape.

    False also where the file system cannot say.
    """
    end = offset + count
    while offset < end:
        told = bytearray(_HEAD.pack(offset, end - offset, 0, 0, _ROOM, 0) + bytes(56 * _ROOM))
        try:
            fcntl.ioctl(fd, _FIEMAP, told)
        except OSError:
            return False
        number = _HEAD.unpack_from(told)[3]
        for at in range(number):
            start, _, length, flags = _EXTENT.unpack_from(told, _HEAD.size + 56 * at)
            if flags & _UNKNOWN:
                return False
            if flags & _LAST:
                return True
            offset = start + length
        if number < _ROOM:
            return True  # the rest is a hole
    return True


def wait(fd: int, offset: int, count: int) -> bool:
    """Whether reading these bytes of an open file on ScoutFS would wait for a tape just now."""
    return bool(scoutfs.state(fd, 1).offline_blocks) and not are_here(fd, offset, count)
