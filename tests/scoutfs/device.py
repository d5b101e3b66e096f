"""The mount and its device: messages come in, answers and notifications go out."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading

from tests.scoutfs.protocol import IN_HEADER, MAX_WRITE, OUT_HEADER

_NOSUID_NODEV = 2 | 4
_DETACH = 2
_INVALIDATE_INODE = 2
_KIND = b"fuse.scoutfs"

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """Return what a function of libc returned; raise its OSError when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def unmount(path: str) -> None:
    """Unmount, at once or as soon as nobody uses it any more."""
    if libc.umount2(path.encode(), 0) < 0:
        check(libc.umount2(path.encode(), _DETACH))


class Device:
    """A mounted file system that nobody answers for yet. Raise OSError."""

    def __init__(self, path: str, device: str = "/dev/fuse") -> None:
        self.path = os.path.realpath(path)
        self._fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
        options = (
            f"fd={self._fd},rootmode={stat.S_IFDIR:o},user_id=0,group_id=0,"
            f"allow_other,default_permissions,max_read={MAX_WRITE}"
        )
        where = self.path.encode()
        check(libc.mount(b"scoutfs-double", where, _KIND, _NOSUID_NODEV, options.encode()))
        self.mount_id = mount_id(self.path)

    def receive(self, buffer: bytearray) -> int:
        """Wait for a message and return its length; 0 when we are unmounted."""
        while True:
            try:
                return os.readv(self._fd, [buffer])
            except OSError as failed:
                if failed.errno == errno.ENODEV:
                    return 0
                if failed.errno not in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    raise

    def reply(self, unique: int, data: bytes = b"", number: int = 0) -> None:
        """Answer a message, with data or with an errno."""
        header = OUT_HEADER.pack(OUT_HEADER.size + len(data), -number, unique)
        try:
            os.writev(self._fd, [header, data])
        except OSError as failed:
            # Nobody waits for this answer any more.
            if failed.errno not in (errno.ENOENT, errno.ENODEV):
                raise

    def invalidate(self, node: int) -> None:
        """Have the kernel ask again for the attributes of an inode."""
        self._invalidate(node, -1, 0)

    def invalidate_data(self, node: int, offset: int, length: int) -> None:
        """Have the kernel forget data. That can wait for readers, so no worker may do it."""
        helper = threading.Thread(target=self._invalidate, args=(node, offset, length), daemon=True)
        helper.start()
        helper.join(0.5)

    def _invalidate(self, node: int, offset: int, length: int) -> None:
        body = struct.pack("<Qqq", node, offset, length)
        header = OUT_HEADER.pack(OUT_HEADER.size + len(body), _INVALIDATE_INODE, 0)
        try:
            os.write(self._fd, header + body)
        except OSError as failed:  # the kernel does not know the inode, or we are unmounted
            if failed.errno not in (errno.ENOENT, errno.ENODEV, errno.ENOTCONN):
                raise


def buffer() -> bytearray:
    """Room for the largest message."""
    return bytearray(MAX_WRITE + 8192 + IN_HEADER.size)


def mount_id(path: str) -> int | None:
    """The number of the mount that is on top of others at a path, None when there is none."""
    found = None
    with open("/proc/self/mountinfo", encoding="utf-8") as lines:
        for line in lines:
            words = line.split()
            if words[4] == path:
                found = int(words[0])  # the last one is on top
    return found
