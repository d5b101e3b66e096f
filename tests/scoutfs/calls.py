"""The ioctls of an archiver, and orders to the double: what tests do and the package never does."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import struct
from pathlib import Path

from tests.scoutfs import ioctls
from tests.scoutfs.device import check, libc

STAT = struct.Struct("<6QI4x")


def stat_more(fd: int) -> tuple[int, int, int]:
    """Return online blocks, offline blocks and data version."""
    told = bytearray(STAT.size)
    fcntl.ioctl(fd, ioctls.STAT_MORE, told)
    _, _, data_version, online, offline, *_ = STAT.unpack(told)
    return online, offline, data_version


def sequences(fd: int) -> tuple[int, int]:
    """Return the numbers of the transactions that changed an inode, and its bytes, last."""
    told = bytearray(STAT.size)
    fcntl.ioctl(fd, ioctls.STAT_MORE, told)
    meta_seq, data_seq, *_ = STAT.unpack(told)
    return meta_seq, data_seq


def fsid(fd: int) -> int:
    """Return the number of a file system, the same on all of its nodes."""
    told = bytearray(struct.calcsize("<6Q"))
    fcntl.ioctl(fd, ioctls.STATFS_MORE, told)
    found: int = struct.unpack_from("<Q", told)[0]
    return found


def commit(path: Path) -> None:
    """Have all that was changed on this node so far on the disk; ``path`` is any directory there.

    Indexes and ``committed_seq`` tell of it from then on, unless another node holds them back.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def release(fd: int, offset: int, length: int, data_version: int) -> None:
    """Make blocks offline; their data are gone."""
    fcntl.ioctl(fd, ioctls.RELEASE, struct.pack("<3Q", offset, length, data_version))


def stage(fd: int, data_version: int, offset: int, data: bytes) -> int:
    """Bring data back; return how many bytes."""
    buffer = ctypes.create_string_buffer(data, len(data))
    address = ctypes.addressof(buffer)
    given = struct.pack("<QQQiI", data_version, address, offset, len(data), 0)
    return check(libc.ioctl(fd, ctypes.c_ulong(ioctls.STAGE), given))


def waiting(fd: int, room: int = 1000) -> list[tuple[int, int, int]]:
    """Return who waits on this mount: inode number, block, purposes."""
    buffer = ctypes.create_string_buffer(24 * room)
    given = struct.pack("<4QH6x", 0, 0, 0, ctypes.addressof(buffer), room)
    count = check(libc.ioctl(fd, ctypes.c_ulong(ioctls.DATA_WAITING), given))
    return [struct.unpack_from("<QQB", buffer, 24 * number) for number in range(count)]


def fail_waiters(fd: int, inode: int, error: int) -> int:
    """Fail all that wait for a file; return how many."""
    given = struct.pack("<5Qq", inode, 0, 0, 1 << 40, 7, -error)
    return check(libc.ioctl(fd, ctypes.c_ulong(ioctls.DATA_WAIT_ERR), given))


def hidden_names(fd: int) -> list[str]:
    """Return the names of attributes that listxattr(2) does not tell."""
    buffer = ctypes.create_string_buffer(4096)
    given = bytearray(struct.pack("<QQII", 0, ctypes.addressof(buffer), 4096, 0))
    length = fcntl.ioctl(fd, ioctls.LISTXATTR_HIDDEN, given)
    return [os.fsdecode(name) for name in buffer.raw[:length].split(b"\0")[:-1]]


def move(target: int, source: int, offset: int, length: int, at: int, **more: int) -> None:
    """MOVE_BLOCKS with every field: ``data_version`` and ``flags`` (1: stage) are 0 else."""
    versions = (more.get("data_version", 0), more.get("flags", 0))
    given = struct.pack("<6Q", source, offset, length, at, *versions)
    fcntl.ioctl(target, ioctls.MOVE_BLOCKS, given)


def set_attr_x(fd: int, mask: int, **fields: int) -> None:
    """SET_ATTR_X: ``flags``, ``data_version``, ``size``, ``bits``, ``project``."""
    given = struct.pack(
        "<8Q2I4Q",
        *(mask, fields.get("flags", 0), 0, 0, fields.get("data_version", 0), *[0] * 6),
        *(fields.get("size", 0), fields.get("bits", 0), fields.get("project", 0)),
    )
    fcntl.ioctl(fd, ioctls.SET_ATTR_X, given)


def make_offline(path: Path) -> bytes:
    """Take a file's data away, as an archiver that has a copy; return the copy."""
    data = path.read_bytes()
    fd = os.open(path, os.O_RDWR)
    try:
        release(fd, 0, -(-len(data) // 4096) * 4096, stat_more(fd)[2])
    finally:
        os.close(fd)
    return data


def bring_back(path: Path, data: bytes) -> None:
    """Stage all of a file."""
    fd = os.open(path, os.O_RDWR)
    try:
        stage(fd, stat_more(fd)[2], 0, data)
    finally:
        os.close(fd)


def order_fault(root: Path, words: str) -> None:
    """Have the double fail at something; see ``faults``. An empty order ends all of them."""
    os.setxattr(root, "user.double.fault", words.encode())


def counts(root: Path) -> dict[str, int]:
    """What the double was asked since ``reset_counts``, by operation, and bytes."""
    told: dict[str, int] = json.loads(os.getxattr(root, "user.double.counts"))
    return told


def reset_counts(root: Path) -> None:
    """Count from 0 again."""
    os.setxattr(root, "user.double.counts", b"")
