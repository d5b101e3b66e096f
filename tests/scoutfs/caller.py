"""The process that made a system call: its memory, its open files, its privileges.

ScoutFS's structs hold pointers and file descriptors of the caller's. FUSE gives them to us as
numbers, with the caller's thread id. The kernel lets root look them up as long as both are in one
pid namespace.
"""

from __future__ import annotations

import ctypes
import errno

from tests.scoutfs.device import libc
from tests.scoutfs.protocol import error

_SYS_ADMIN = 21  # linux/capability.h


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
    with open(f"/proc/{pid}/status", encoding="utf-8") as lines:
        capabilities = next(line.split()[1] for line in lines if line.startswith("CapEff"))
    return bool(int(capabilities, 16) >> _SYS_ADMIN & 1)


def _transfer(
    function: ctypes._NamedFuncPointer, pid: int, address: int, buffer: ctypes.Array, length: int
) -> None:
    ours = _Range(ctypes.addressof(buffer), length)
    theirs = _Range(address, length)
    if function(pid, ctypes.byref(ours), 1, ctypes.byref(theirs), 1, 0) != length:
        raise error(errno.EFAULT)
