"""Open files and directories: read, written, synced. What is offline makes its reader wait."""

from __future__ import annotations

import errno
import itertools
import os
import struct
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tests.scoutfs import names, protocol, waiting
from tests.scoutfs.device import check, libc
from tests.scoutfs.inodes import Inode
from tests.scoutfs.protocol import Op, Request, error

if TYPE_CHECKING:
    from tests.scoutfs.server import Double

# Left out when a file beneath is opened: what the kernel above us has seen to.
_ABOVE = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_APPEND | os.O_DIRECT
_KEEP_SIZE = 1
Entry = tuple[bytes, int, int]  # name, kind, inode number


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A handle: a descriptor beneath, how it may be used, and the entries of a directory."""

    fd: int
    inode: Inode
    writable: bool
    entries: tuple[Entry, ...] = ()


class Files:
    """Answers about open files."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self._inodes = double.inodes
        self._open: dict[int, OpenFile] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self.operations = {
            Op.OPEN: self.open,
            Op.CREATE: self.create,
            Op.TMPFILE: self.create_nameless,
            Op.RELEASE: self.release,
            Op.RELEASEDIR: self.release,
            Op.FLUSH: self.flush,
            Op.FSYNC: self.sync,
            Op.FSYNCDIR: self.sync,
            Op.SYNCFS: self.sync_all,
            Op.READ: self.read,
            Op.WRITE: self.write,
            Op.FALLOCATE: self.allocate,
            Op.LSEEK: self.seek,
            Op.OPENDIR: self.open_directory,
            Op.READDIR: self.read_directory,
        }

    def __getitem__(self, handle: int) -> OpenFile:
        return self._open[handle]

    def _keep(self, opened: OpenFile) -> bytes:
        self._inodes.hold(opened.inode)  # the kernel may forget it before it closes the file
        with self._lock:
            handle = next(self._numbers)
            self._open[handle] = opened
        return protocol.OPENED.pack(handle, 0 if opened.entries else protocol.OPEN_FLAGS, 0)

    def open(self, request: Request) -> bytes:
        flags = struct.unpack_from("<I", request.body)[0]
        inode = self._inodes[request.node]
        writable = flags & os.O_ACCMODE != os.O_RDONLY
        if flags & os.O_TRUNC:
            names.expect_changeable(inode)
        fd = os.open(inode.path, _beneath(flags) if writable else flags & ~_ABOVE)
        if flags & os.O_TRUNC:
            with inode.lock:
                inode.offline = type(inode.offline)()
                inode.data_changed()
                inode.save()
        return self._keep(OpenFile(fd, inode, writable))

    def create(self, request: Request) -> bytes:
        made = self._create(request, os.O_CREAT | os.O_NOFOLLOW, os.fsdecode(request.name(16)))
        self._inodes[request.node].meta_changed()
        return made

    def create_nameless(self, request: Request) -> bytes:
        return self._create(request, os.O_TMPFILE, ".")

    def _create(self, request: Request, how: int, name: str) -> bytes:
        flags, mode = struct.unpack_from("<II", request.body)
        parent = self._inodes[request.node]
        exclusive = flags & os.O_EXCL
        fd = os.open(name, _beneath(flags) | exclusive | how, mode & 0o7777, dir_fd=parent.fd)
        pinned = os.open(f"/proc/self/fd/{fd}", os.O_PATH)
        entry = self._double.names.entry(pinned, parent, request)
        inode = self._inodes[protocol.ENTRY.unpack_from(entry)[0]]
        return entry + self._keep(OpenFile(fd, inode, flags & os.O_ACCMODE != os.O_RDONLY))

    def release(self, request: Request) -> bytes:
        with self._lock:
            opened = self._open.pop(struct.unpack_from("<Q", request.body)[0])
        if opened.writable:
            opened.inode.save()
        os.close(opened.fd)
        self._inodes.forget(opened.inode.number, 1)
        return b""

    def flush(self, request: Request) -> bytes:
        return b""

    def sync(self, request: Request) -> bytes:
        handle, flags = struct.unpack_from("<QI", request.body)
        opened = self._open[handle]
        opened.inode.save()
        (os.fdatasync if flags & 1 else os.fsync)(opened.fd)
        self._inodes.sequences.commit()
        return b""

    def sync_all(self, request: Request) -> bytes:
        os.sync()
        self._inodes.sequences.commit()
        return b""

    def read(self, request: Request) -> bytes | None:
        handle, offset, size = protocol.READ_OR_WRITE.unpack_from(request.body)
        opened = self._open[handle]
        inode = opened.inode
        with inode.lock:
            if inode.offline:
                block = inode.offline.first_of(offset, min(size, inode.size - offset))
                if block is not None:
                    self._double.waiting.add(request, inode, block, waiting.READ, self.read)
                    return None
                return self._read(opened.fd, size, offset)
        return self._read(opened.fd, size, offset)

    def _read(self, fd: int, size: int, offset: int) -> bytes:
        data = os.pread(fd, size, offset)
        self._double.faults.read(len(data))
        return data

    def write(self, request: Request) -> bytes | None:
        handle, offset, size = protocol.READ_OR_WRITE.unpack_from(request.body)
        opened = self._open[handle]
        inode = opened.inode
        names.expect_changeable(inode)
        block = inode.first_offline() if inode.offline else None
        if block is not None:  # the whole file has to be online, wherever the write is
            self._double.waiting.add(request, inode, block, waiting.WRITE, self.write)
            return None
        begin = protocol.WRITE_IN_SIZE
        count = os.pwrite(opened.fd, request.body[begin : begin + size], offset)
        with inode.lock:
            inode.data_changed()
        self._double.faults.wrote(count)
        return protocol.COUNT.pack(count, 0)

    def allocate(self, request: Request) -> bytes:
        handle, offset, length, mode = struct.unpack_from("<QQQI", request.body)
        if mode & ~_KEEP_SIZE:
            raise error(errno.EOPNOTSUPP)
        opened = self._open[handle]
        check(libc.fallocate(opened.fd, mode, offset, length))
        with opened.inode.lock:
            opened.inode.meta_changed() if mode else opened.inode.data_changed()
        self._double.device.invalidate(request.node)
        return b""

    def seek(self, request: Request) -> bytes:
        handle, offset, whence = protocol.READ_OR_WRITE.unpack_from(request.body)
        opened = self._open[handle]
        if not opened.inode.offline:
            return struct.pack("<Q", os.lseek(opened.fd, offset, whence))
        # What is offline counts as data; nobody needs more of this than that.
        size = opened.inode.size
        if offset >= size:
            raise error(errno.ENXIO)
        return struct.pack("<Q", offset if whence == os.SEEK_DATA else size)

    def open_directory(self, request: Request) -> bytes:
        inode = self._inodes[request.node]
        fd = os.open(inode.path, os.O_RDONLY)
        return self._keep(OpenFile(fd, inode, False, _listed(inode)))

    def read_directory(self, request: Request) -> bytes:
        handle, at, size = protocol.READ_OR_WRITE.unpack_from(request.body)
        opened = self._open[handle]
        if not at:  # the beginning, perhaps again: rewinddir(3) shows what is there now
            opened = replace(opened, entries=_listed(opened.inode))
            self._open[handle] = opened
        answer = bytearray()
        for name, kind, number in opened.entries[at:]:
            at += 1
            entry = protocol.DIRENT.pack(number, at, len(name), kind) + name
            entry += bytes(-len(entry) % 8)
            if len(answer) + len(entry) > size:
                break
            answer += entry
        return bytes(answer)


def _listed(inode: Inode) -> tuple[Entry, ...]:
    own: list[Entry] = [(b".", 4, protocol.ROOT), (b"..", 4, protocol.ROOT)]
    return tuple(own + names.entries_of(inode))


def _beneath(flags: int) -> int:
    """Flags for a file beneath that is written: reading is needed too, for parts of blocks."""
    return flags & ~_ABOVE & ~os.O_ACCMODE | os.O_RDWR
