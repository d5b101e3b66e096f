"""Names and inodes: looked up, made, renamed, removed, and their plain attributes."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.scoutfs import protocol, waiting
from tests.scoutfs.blocks import LAST, SIZE, count_of
from tests.scoutfs.device import check, libc
from tests.scoutfs.inodes import Inode
from tests.scoutfs.protocol import ROOT, Op, Request, error

if TYPE_CHECKING:
    from tests.scoutfs.server import Double

_NOREPLACE = 1
_VALID_S = 1

libc.renameat2.argtypes = (
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.c_uint,
)


class Names:
    """Answers about names and inodes."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self._inodes = double.inodes
        self.operations = {
            Op.LOOKUP: self.lookup,
            Op.FORGET: self.forget,
            Op.BATCH_FORGET: self.forget_many,
            Op.GETATTR: self.get,
            Op.SETATTR: self.change,
            Op.READLINK: self.read_link,
            Op.SYMLINK: self.make_link,
            Op.MKNOD: self.make_node,
            Op.MKDIR: self.make_directory,
            Op.UNLINK: self.unlink,
            Op.RMDIR: self.remove_directory,
            Op.RENAME: self.rename,
            Op.RENAME2: self.rename_with_flags,
            Op.LINK: self.link,
            Op.STATFS: self.statfs,
        }

    # What others need too ------------------------------------------------------------------------

    def entry(self, fd: int, parent: Inode | None = None, request: Request | None = None) -> bytes:
        """Return the answer that tells of an inode. The descriptor (O_PATH) becomes ours.

        :param parent: of a new inode, whose project it inherits
        :param request: which made it, and whose user and group it belongs to
        """
        inode, found = self._inodes.known(fd)
        if parent is not None and request is not None:
            inherited = os.stat(parent.path).st_mode & stat.S_ISGID  # the group is right already
            os.chown(inode.path, request.uid, -1 if inherited else request.gid)
            inode.project = parent.project
            inode.data_version = 0
            inode.is_new()
            inode.save()
            found = os.stat(inode.path)
        node = self._inodes.node_of(inode.number)
        return protocol.ENTRY.pack(node, 0, _VALID_S, _VALID_S, 0, 0) + self.attributes(
            inode, found
        )

    def attributes(self, inode: Inode, found: os.stat_result | None = None) -> bytes:
        """Return FUSE's struct of attributes. Offline blocks count as blocks, as on ScoutFS."""
        found = found or os.stat(inode.path)
        times = [
            divmod(t, 10**9) for t in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)
        ]
        return protocol.ATTRIBUTES.pack(
            self._inodes.node_of(found.st_ino),
            found.st_size,
            found.st_blocks + len(inode.offline) * (SIZE // 512),
            *(seconds for seconds, _ in times),
            *(nanoseconds for _, nanoseconds in times),
            *(found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_rdev, SIZE, 0),
        )

    # Answers -------------------------------------------------------------------------------------

    def lookup(self, request: Request) -> bytes:
        return self.entry(self._open(request.node, request.name()))

    def forget(self, request: Request) -> None:
        self._inodes.forget(request.node, *struct.unpack_from("<Q", request.body))

    def forget_many(self, request: Request) -> None:
        for number in range(struct.unpack_from("<I", request.body)[0]):
            self._inodes.forget(*struct.unpack_from("<QQ", request.body, 8 + 16 * number))

    def get(self, request: Request) -> bytes:
        return self._told(self._inodes[request.node])

    def change(self, request: Request) -> bytes | None:
        fields = protocol.SETATTR.unpack_from(request.body)
        valid, size, mode, uid, gid = fields[0], fields[3], fields[11], fields[13], fields[14]
        inode = self._inodes[request.node]
        expect_changeable(inode)
        if valid & protocol.SET_SIZE and not self._resize(inode, size, request):
            return None
        if valid & protocol.SET_MODE:
            os.chmod(inode.path, mode & 0o7777)
        if valid & (protocol.SET_UID | protocol.SET_GID):
            new = (uid if valid & protocol.SET_UID else -1, gid if valid & protocol.SET_GID else -1)
            os.chown(inode.path, *new)
        if valid & (protocol.SET_ATIME | protocol.SET_MTIME):
            _set_times(inode, valid, fields)
        inode.meta_changed()
        return self._told(inode)

    def _resize(self, inode: Inode, size: int, request: Request) -> bool:
        """Change a file's size; False when the request has to wait for offline blocks before it."""
        with inode.lock:
            current = inode.size
            if size == current:
                return True
            block = inode.offline.first_of(0, size)
            if block is not None:
                self._double.waiting.add(request, inode, block, waiting.CHANGE_SIZE, self.change)
                return False
            os.truncate(inode.path, size)
            inode.offline.remove(count_of(size), LAST)
            inode.data_changed()
            inode.save()
        return True

    def read_link(self, request: Request) -> bytes:
        return os.fsencode(os.readlink(b"", dir_fd=self._inodes[request.node].fd))

    def make_link(self, request: Request) -> bytes:
        name = request.name()
        directory = self._inodes[request.node]
        os.symlink(request.name(len(name) + 1), name, dir_fd=directory.fd)
        os.chown(name, request.uid, request.gid, dir_fd=directory.fd, follow_symlinks=False)
        told = self.entry(self._open(request.node, name))
        self._inodes[protocol.ENTRY.unpack_from(told)[0]].is_new()
        directory.meta_changed()
        return told

    def make_node(self, request: Request) -> bytes:
        mode, device = struct.unpack_from("<II", request.body)
        name = request.name(16)
        os.mknod(name, mode, device, dir_fd=self._inodes[request.node].fd)
        return self._made(request, name)

    def make_directory(self, request: Request) -> bytes:
        name = request.name(8)
        mode = struct.unpack_from("<I", request.body)[0]
        os.mkdir(name, mode, dir_fd=self._inodes[request.node].fd)
        return self._made(request, name)

    def unlink(self, request: Request) -> bytes:
        name = request.name()
        removed = self._removable(request.node, name)
        os.unlink(name, dir_fd=self._inodes[request.node].fd)
        self._changed(request.node, removed)
        return b""

    def remove_directory(self, request: Request) -> bytes:
        os.rmdir(request.name(), dir_fd=self._inodes[request.node].fd)
        self._changed(request.node)
        return b""

    def rename(self, request: Request) -> bytes:
        return self._rename(request, 8, struct.unpack_from("<Q", request.body)[0], 0)

    def rename_with_flags(self, request: Request) -> bytes:
        return self._rename(request, 16, *struct.unpack_from("<QI", request.body))

    def _rename(self, request: Request, at: int, to: int, flags: int) -> bytes:
        if flags & ~_NOREPLACE:
            raise error(errno.EINVAL)
        old = request.name(at)
        new = request.name(at + len(old) + 1)
        changed = [self._removable(request.node, old)]
        if not flags:
            changed.append(self._removable(to, new))
        check(libc.renameat2(self._inodes[request.node].fd, old, self._inodes[to].fd, new, flags))
        self._changed(request.node, to, *changed)
        return b""

    def link(self, request: Request) -> bytes:
        inode = self._inodes[struct.unpack_from("<Q", request.body)[0]]
        name = request.name(8)
        directory = self._inodes[request.node].fd
        os.link(inode.path, name, dst_dir_fd=directory, follow_symlinks=True)
        self._changed(request.node, inode.number)
        return self.entry(self._open(request.node, name))

    def statfs(self, request: Request) -> bytes:
        found = os.statvfs(self._inodes[ROOT].path)
        scale = max(found.f_frsize // SIZE, 1)
        blocks = (found.f_blocks * scale, found.f_bfree * scale, found.f_bavail * scale)
        inodes = (found.f_files, found.f_ffree)
        return protocol.STATFS.pack(*blocks, *inodes, SIZE, 255, SIZE, *[0] * 7)

    def _open(self, node: int, name: bytes) -> int:
        return os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._inodes[node].fd)

    def _made(self, request: Request, name: bytes) -> bytes:
        parent = self._inodes[request.node]
        made = self.entry(self._open(request.node, name), parent, request)
        parent.meta_changed()
        return made

    def _changed(self, *nodes: int | None) -> None:
        """Count a change of names in some directories, and of how many names some inodes have."""
        for node in nodes:
            if node is not None:
                self._inodes.sequences.changed(node)

    def _told(self, inode: Inode) -> bytes:
        return protocol.ATTRIBUTES_VALID.pack(_VALID_S, 0, 0) + self.attributes(inode)

    def _removable(self, node: int, name: bytes) -> int | None:
        """Return whose name it is, None when nobody's. Raise EPERM for a file under retention."""
        try:
            fd = self._open(node, name)
        except FileNotFoundError:
            return None
        inode, _ = self._inodes.known(fd)
        try:
            expect_changeable(inode)
        finally:
            self._inodes.forget(inode.number, 1)
        return inode.number


def expect_changeable(inode: Inode) -> None:
    """Raise EPERM for a file under retention."""
    if inode.retained:
        raise error(errno.EPERM)


def _set_times(inode: Inode, valid: int, fields: tuple[int, ...]) -> None:
    found, now = os.stat(inode.path), time.time_ns()

    def chosen(bit: int, now_bit: int, seconds: int, nanoseconds: int, old: int) -> int:
        if not valid & bit:
            return old
        return now if valid & now_bit else seconds * 10**9 + nanoseconds

    access = (fields[5], fields[8], found.st_atime_ns)
    change = (fields[6], fields[9], found.st_mtime_ns)
    times = (
        chosen(protocol.SET_ATIME, protocol.SET_ATIME_NOW, *access),
        chosen(protocol.SET_MTIME, protocol.SET_MTIME_NOW, *change),
    )
    os.utime(inode.path, ns=times)


def entries_of(inode: Inode) -> list[tuple[bytes, int, int]]:
    """Return name, d_type and inode number of all that is in a directory now."""
    found = []
    with os.scandir(inode.path) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # removed while we look
                kind = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) >> 12
                found.append((os.fsencode(entry.name), kind, entry.inode()))
    return found
