"""ScoutFS's ioctls, with the kernel's numbers, structs, checks and order of checks.

The numbers are written out, not taken from the package: the two are to agree because both agree
with kmod/src/ioctl.h. Not here: quotas, the indexes of attributes, paths of inodes, allocation.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.scoutfs import attributes, caller, faults, names, protocol, sequences
from tests.scoutfs.blocks import MASK, SHIFT, count_of
from tests.scoutfs.inodes import Inode
from tests.scoutfs.protocol import ROOT, Op, Request, error

if TYPE_CHECKING:
    from tests.scoutfs.server import Double

WALK_INODES = 0x4048E801
RELEASE, STAGE, STAT_MORE = 0x4018E803, 0x4020E804, 0x8038E805
DATA_WAITING, SETATTR_MORE, LISTXATTR_HIDDEN = 0x4028E806, 0x4030E807, 0xC018E808
STATFS_MORE, DATA_WAIT_ERR, MOVE_BLOCKS = 0x8030E80A, 0x4030E80B, 0x4030E80D
GET_ATTR_X, SET_ATTR_X = 0x4068E812, 0x4068E813

_FICLONERANGE = 0x4020940D
_EXTENT_BLOCKS = 256  # extents are at most 1 MiB, as on a fragmented disk: moves can end between
_ATTR_X = struct.Struct("<8Q2I4Q")
# Bit of x_mask -> index of its field; RETENTION's is ``bits``.
_FIELDS = {
    0x1: 2,
    0x2: 3,
    0x4: 4,
    0x8: 5,
    0x10: 6,
    0x20: 7,
    0x40: 10,
    0x80: 11,
    0x100: 12,
    0x200: 13,
}
_DATA_VERSION, _SIZE, _RETENTION, _PROJECT = 0x4, 0x80, 0x100, 0x200
_ALL = 0x3FF
_SIZE_OFFLINE = 0x1
_GARBAGE = 0xA5A5A5A5  # in fields that nobody asked for, as the kernel has it
_WALK, _WALKED = struct.Struct("<QQI4xQQI4xQIB11x"), struct.Struct("<QQI4x")
FSID, _RID = 0x5C07F5D0B1E00001, 1


@dataclass(frozen=True, slots=True)
class Asked:
    """One ioctl: on what, by whom, with which struct. ``address`` is the struct's at the caller."""

    inode: Inode
    node: int
    writable: bool
    pid: int
    given: bytes
    address: int


Answer = int | tuple[int, bytes]


class Ioctls:
    """Answers to ioctls."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self.operations = {Op.IOCTL: self.answer}
        self._calls: dict[int, Callable[[Asked], Answer]] = {
            WALK_INODES: self.walk_inodes,
            RELEASE: self.release,
            STAGE: self.stage,
            STAT_MORE: self.stat_more,
            DATA_WAITING: self.data_waiting,
            SETATTR_MORE: self.setattr_more,
            LISTXATTR_HIDDEN: self.listxattr_hidden,
            STATFS_MORE: self.statfs_more,
            DATA_WAIT_ERR: self.data_wait_err,
            MOVE_BLOCKS: self.move_blocks,
            GET_ATTR_X: self.get_attr_x,
            SET_ATTR_X: self.set_attr_x,
        }

    def answer(self, request: Request) -> bytes:
        """Run an ioctl. Raise ENOTTY for one that is not ours."""
        handle, _, command, address, size, _ = protocol.IOCTL_IN.unpack_from(request.body)
        call = self._calls.get(command)
        if call is None:
            raise error(errno.ENOTTY)
        begin = protocol.IOCTL_IN.size
        asked = Asked(
            self._double.inodes[request.node],
            request.node,
            self._double.files[handle].writable,
            request.pid,
            bytes(request.body[begin : begin + size]),
            address,
        )
        told = call(asked)
        result, data = told if isinstance(told, tuple) else (told, b"")
        return protocol.IOCTL_OUT.pack(result, 0, 0, 0) + data

    # What a file is ------------------------------------------------------------------------------

    def stat_more(self, asked: Asked) -> Answer:
        inode = asked.inode
        with inode.lock:
            seconds, nanoseconds = divmod(inode.created_ns, 10**9)
            numbers = (*inode.sequences, inode.data_version)
            blocks = (inode.online, len(inode.offline))
            return 0, struct.pack("<6QI4x", *numbers, *blocks, seconds, nanoseconds)

    def statfs_more(self, asked: Asked) -> Answer:
        found = os.statvfs(self._double.inodes[ROOT].path)
        committed = self._double.inodes.sequences.committed()
        return 0, struct.pack("<6Q", FSID, _RID, committed, found.f_files, found.f_blocks, 0)

    def walk_inodes(self, asked: Asked) -> Answer:
        *ends, address, room, index = _WALK.unpack(asked.given)
        if index not in (sequences.META, sequences.DATA):
            raise error(errno.EINVAL)
        seq, inode, minor, last_seq, last_inode, _ = ends
        first = (seq, inode) if not minor else (seq + 1, 0)  # all that are there have 0
        # The kernel writes an entry before it looks whether there is room for one.
        most = max(room, 1)
        found = self._double.inodes.sequences.walk(index, first, (last_seq, last_inode), most)
        entries = [_WALKED.pack(seq, inode, 0) for seq, inode in found]
        caller.write_memory(asked.pid, address, b"".join(entries))
        return len(entries)

    def get_attr_x(self, asked: Asked) -> Answer:
        inode = asked.inode
        mask, flags = struct.unpack_from("<2Q", asked.given)
        if not mask:
            return 0
        self._check_mask(mask, flags)
        with inode.lock:
            found = os.stat(inode.path)
            ctime = divmod(found.st_ctime_ns, 10**9)
            created = divmod(inode.created_ns, 10**9)
            told = (
                *(*inode.sequences, inode.data_version),
                *(inode.online, len(inode.offline), *ctime, created[1], created[0]),
                *(found.st_size, int(inode.retained), inode.project),
            )
        fields = [mask, flags, *told]
        wanted = {_FIELDS[bit] for bit in _FIELDS if mask & bit}
        for index in range(2, len(fields)):
            if index not in wanted and index not in (8, 9):
                fields[index] = _GARBAGE
        packed = _ATTR_X.pack(*fields)
        offsets = [*range(0, 64, 8), 64, 68, *range(72, 104, 8)]
        end = ([*offsets, 104])[max(wanted) + 1]
        caller.write_memory(asked.pid, asked.address, packed[:end])
        return 0

    def set_attr_x(self, asked: Asked) -> Answer:
        inode = asked.inode
        if not caller.is_privileged(asked.pid):
            raise error(errno.EPERM)
        mask, flags, *fields = _ATTR_X.unpack(asked.given)
        data_version, size, bits, project = fields[2], fields[9], fields[10], fields[11]
        if not mask:
            return 0
        self._check_mask(mask, flags)
        if mask & _RETENTION and not inode.is_file:
            raise error(errno.EINVAL)
        if inode.retained and not (mask & _RETENTION and not bits & 1):
            raise error(errno.EPERM)
        with inode.lock:
            if mask & (_SIZE | _DATA_VERSION):
                wanted = (
                    data_version if mask & _DATA_VERSION else None,
                    size if mask & _SIZE else 0,
                )
                _become(inode, *wanted, offline=bool(flags & _SIZE_OFFLINE))
            if mask & _PROJECT:
                inode.project = project
            if mask & _RETENTION:
                inode.retained = bool(bits & 1)
            inode.meta_changed()
            inode.save()
        self._double.device.invalidate(asked.node)
        return 0

    def _check_mask(self, mask: int, flags: int) -> None:
        if mask & ~_ALL or flags & ~_SIZE_OFFLINE:
            raise error(errno.EINVAL)
        if self._double.format_version < 2 and mask & (_RETENTION | _PROJECT):
            raise error(errno.EOPNOTSUPP)

    def setattr_more(self, asked: Asked) -> Answer:
        data_version, size, flags, *_ = struct.unpack("<4QIIQ", asked.given)
        if not asked.writable:
            raise error(errno.EBADF)
        if flags & ~1:
            raise error(errno.EINVAL)
        if not caller.is_privileged(asked.pid):
            raise error(errno.EPERM)
        with asked.inode.lock:
            _become(asked.inode, data_version or None, size, offline=bool(flags & 1))
            asked.inode.meta_changed()
            asked.inode.save()
        self._double.device.invalidate(asked.node)
        return 0

    def listxattr_hidden(self, asked: Asked) -> Answer:
        position, address, size, hash_position = struct.unpack("<QQII", asked.given)
        found = b"" if position else attributes.visible(asked.inode, hidden=True)
        if len(found) > size:
            raise error(errno.ERANGE)
        caller.write_memory(asked.pid, address, found)
        return len(found), struct.pack("<QQII", 1, address, size, hash_position)

    # What comes and goes -------------------------------------------------------------------------

    def release(self, asked: Asked) -> Answer:
        inode = asked.inode
        offset, length, data_version = struct.unpack("<3Q", asked.given)
        if not length:
            return 0
        if offset + length > 1 << 64 or offset & MASK or length & MASK:
            raise error(errno.EINVAL)
        if not inode.is_file or not asked.writable:
            raise error(errno.EINVAL)
        with inode.lock:
            if data_version != inode.data_version:
                raise error(errno.ESTALE)
            with _times_kept(inode):
                for begin, end in inode.extents(offset >> SHIFT, (offset + length) >> SHIFT):
                    inode.punch(begin, end)
                    inode.offline.add(begin, end)
            inode.meta_changed()
            inode.save()
        self._double.device.invalidate(asked.node)
        self._double.device.invalidate_data(asked.node, offset, length)
        return 0

    def stage(self, asked: Asked) -> Answer:
        inode = asked.inode
        data_version, address, offset, length, _ = struct.unpack("<QQQiI", asked.given)
        size, end = inode.size, offset + length
        if length < 0 or offset & MASK:
            raise error(errno.EINVAL)
        if not length:
            return 0
        if not inode.is_file or end > size or (end & MASK and end != size) or not asked.writable:
            raise error(errno.EINVAL)
        data = caller.read_memory(asked.pid, address, length)
        with inode.lock:
            if data_version != inode.data_version:
                raise error(errno.ESTALE)
            with _times_kept(inode), inode.beneath() as fd:
                count = os.pwrite(fd, data, offset)
            inode.offline.remove(offset >> SHIFT, count_of(end))
            inode.meta_changed()
            inode.save()
        self._double.device.invalidate(asked.node)
        self._double.waiting.wake(inode)
        return count

    def data_waiting(self, asked: Asked) -> Answer:
        flags, after_inode, after_block, address, count = struct.unpack_from("<4QH", asked.given)
        if flags:
            raise error(errno.EINVAL)
        wanted = self._double.waiting.wanted()
        places = sorted(each for each in wanted if each > (after_inode, after_block))[:count]
        entries = [struct.pack("<QQB7x", *place, wanted[place]) for place in places]
        caller.write_memory(asked.pid, address, b"".join(entries))
        return len(entries)

    def data_wait_err(self, asked: Asked) -> Answer:
        number, _, offset, count, purposes, code = struct.unpack("<5Qq", asked.given)
        if not caller.is_privileged(asked.pid):
            raise error(errno.EPERM)
        if not count:
            return 0
        if purposes & ~7 or not -4095 <= code <= -1:
            raise error(errno.EINVAL)
        return self._double.waiting.fail(number, offset, count, purposes, -code)

    # Blocks that move ----------------------------------------------------------------------------

    def move_blocks(self, asked: Asked) -> Answer:
        move = _Move(*struct.unpack("<6Q", asked.given))
        if not move.length:
            return 0
        if max(move.offset, move.at) + move.length > 1 << 64:
            raise error(errno.EOVERFLOW)
        target = asked.inode
        source, node = self._source_of(asked, move.fd)
        if source is target or move.flags & ~1:
            raise error(errno.EINVAL)
        if not move.stages:
            names.expect_changeable(target)
        try:
            with _both(source, target):
                self._move_between(move, source, target, asked.pid)
        finally:
            self._double.device.invalidate_data(asked.node, move.at, move.length)
            self._double.device.invalidate_data(node, move.offset, move.length)
        self._double.waiting.wake(target)
        return 0

    def _move_between(self, move: _Move, source: Inode, target: Inode, pid: int) -> None:
        length = move.check(source, target, pid)
        if not length:
            return
        try:
            self._move_extents(move, source, target, length)
        finally:
            source.data_changed()
            source.save()
            if move.stages:
                target.meta_changed()
            else:
                target.data_changed()
            target.save()

    def _source_of(self, asked: Asked, fd: int) -> tuple[Inode, int]:
        mount, number = caller.open_file(asked.pid, fd)
        if mount != self._double.device.mount_id or number not in self._double.inodes:
            raise error(errno.EXDEV)
        return self._double.inodes[number], number

    def _move_extents(self, move: _Move, source: Inode, target: Inode, length: int) -> None:
        size = source.size
        begin, shift = move.offset >> SHIFT, (move.at - move.offset) >> SHIFT
        for low, high in _pieces(source.extents(begin, count_of(move.offset + length))):
            self._double.faults.take_word(faults.EXTENT)
            to_low, to_high = low + shift, high + shift
            if target.extents(to_low, to_high) and not move.stages:
                raise error(errno.EINVAL)
            if move.stages and not target.offline.covers(to_low, to_high):
                raise error(errno.EINVAL)
            count = min(high << SHIFT, size) - (low << SHIFT)
            _transfer(source, low << SHIFT, count, target, to_low << SHIFT)
            source.punch(low, high)
            target.offline.remove(to_low, to_high)


@dataclass(frozen=True, slots=True)
class _Move:
    """The struct of MOVE_BLOCKS; all but the flags in bytes."""

    fd: int
    offset: int
    length: int
    at: int
    data_version: int
    flags: int

    @property
    def stages(self) -> bool:
        """Whether the target's offline blocks are to become these."""
        return bool(self.flags & 1)

    def check(self, source: Inode, target: Inode, pid: int) -> int:
        """Return how many bytes move. Raise EINVAL, ESTALE, EISDIR, EACCES, ENODATA."""
        size = source.size
        ends_with_source = self.offset + self.length == size
        if self.offset & MASK or self.at & MASK or (self.length & MASK and not ends_with_source):
            raise error(errno.EINVAL)
        if self.stages and self.data_version != target.data_version:
            raise error(errno.ESTALE)
        if self.offset >= size:
            return 0
        if not (source.is_file and target.is_file):
            raise error(errno.EISDIR)
        if not all(caller.may_write(pid, os.stat(each.path)) for each in (source, target)):
            raise error(errno.EACCES)
        if source.offline or (target.offline and not self.stages):
            raise error(errno.ENODATA)
        return min(self.length, size - self.offset)


def _become(inode: Inode, data_version: int | None, size: int, *, offline: bool) -> None:
    """Give a file that was never written a version and a size. Raise EINVAL."""
    if not inode.is_file or inode.data_version or data_version == 0 or (size and not data_version):
        raise error(errno.EINVAL)
    if offline and not size:
        raise error(errno.EINVAL)
    if size:
        os.truncate(inode.path, size)
    inode.data_version = data_version or 0
    if offline:
        inode.offline.add(0, count_of(size))


def _transfer(source: Inode, offset: int, count: int, target: Inode, at: int) -> None:
    """Give data beneath to another file: shared blocks where that works, else a copy."""
    with source.beneath() as given, target.beneath() as taken:
        try:
            fcntl.ioctl(taken, _FICLONERANGE, struct.pack("<qQQQ", given, offset, count, at))
        except OSError:
            while count:
                done = os.copy_file_range(given, taken, count, offset, at)
                offset, at, count = offset + done, at + done, count - done


def _pieces(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for begin, end in ranges:
        for low in range(begin, end, _EXTENT_BLOCKS):
            yield low, min(low + _EXTENT_BLOCKS, end)


@contextlib.contextmanager
def _times_kept(inode: Inode) -> Iterator[None]:
    """Change the file beneath without a trace in its times."""
    found = os.stat(inode.path)
    yield
    os.utime(inode.path, ns=(found.st_atime_ns, found.st_mtime_ns))


@contextlib.contextmanager
def _both(one: Inode, other: Inode) -> Iterator[None]:
    """Hold the locks of two inodes, always in the same order."""
    first, second = sorted((one, other), key=lambda inode: inode.number)
    with first.lock, second.lock:
        yield
