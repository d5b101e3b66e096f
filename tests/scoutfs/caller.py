"""The process that made a system call: its memory, its open files, its privileges.

ScoutFS's structs hold pointers and file descriptors of the caller's. FUSE gives them to us as
numbers, with the caller's thread id. The kernel lets root look them up as long as both are in one
pid namespace.
"""

from __future__ import annotations

import ctypes
import errno
import os

from tests.scoutfs.device import libc
from tests.scoutfs.protocol import error

_DAC_OVERRIDE, _SYS_ADMIN = 1, 21  # linux/capability.h


class _Range(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


for _function in (libc.process_vm_readv, libc.process_vm_writev):
    _function.restype = ctypes.c_ssize_t


def read_memory(pid: int, address: int, length: int) -> memoryview:
    """Return bytes of the caller's. Raise EFAULT."""
    buffer = ctypes.create_string_buffer(max(length, 1))
    _transfer(libc.process_vm_readv, pid, address, buffer, length)
    return memoryview(buffer)[:length]


def write_memory(pid: int, address: int, data: bytes) -> None:
    """Write to the caller's memory. Raise EFAULT."""
    if data:
        buffer = ctypes.create_string_buffer(data, len(data))
        _transfer(libc.process_vm_writev, pid, address, buffer, len(data))


def open_file(pid: int, fd: int) -> tuple[int, int]:
    """Return mount id and inode number of a descriptor of the caller's. Raise EBADF."""
    try:
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as lines:
            told = dict(line.split(":", 1) for line in lines if ":" in line)
    except OSError as failed:
        raise error(errno.EBADF) from failed
    return int(told["mnt_id"]), int(told["ino"])


def is_privileged(pid: int) -> bool:
    """Whether the caller has CAP_SYS_ADMIN."""
    return _may(_status(pid), _SYS_ADMIN)


def may_write(pid: int, found: os.stat_result) -> bool:
    """Whether the caller has the permission to write to a file."""
    status = _status(pid)
    if _may(status, _DAC_OVERRIDE):
        return True
    if int(status["Uid"].split()[3]) == found.st_uid:  # the one for file systems, and so is Gid's
        return bool(found.st_mode & 0o200)
    groups = {status["Gid"].split()[3], *status["Groups"].split()}
    return bool(found.st_mode & (0o020 if str(found.st_gid) in groups else 0o002))


def _status(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        return dict(line.split(":", 1) for line in lines)


def _may(status: dict[str, str], capability: int) -> bool:
    return bool(int(status["CapEff"], 16) >> capability & 1)


def _transfer(
    function: ctypes._NamedFuncPointer, pid: int, address: int, buffer: ctypes.Array, length: int
) -> None:
    ours = _Range(ctypes.addressof(buffer), length)
    theirs = _Range(address, length)
    if function(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) != length:
        raise error(errno.EFAULT)
