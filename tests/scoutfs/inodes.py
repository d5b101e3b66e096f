"""Inodes: a file of the folder beneath, and what ScoutFS knows more about it.

What ScoutFS knows is kept in an attribute of the file beneath, so that it outlives the mount. Data
that are offline are really gone from beneath: only what stages them brings them back.
"""

from __future__ import annotations

import ctypes
import json
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.scoutfs.blocks import LAST, SHIFT, BlockSet, Range, count_of
from tests.scoutfs.device import check, libc
from tests.scoutfs.protocol import ROOT
from tests.scoutfs.sequences import Sequences

KEPT = "trusted.scoutfs-double"
_PUNCH_HOLE_KEEP_SIZE = 3

libc.fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)


class Inode:
    """One inode; an O_PATH descriptor pins the one beneath, so its number is not used again."""

    def __init__(
        self, fd: int, found: os.stat_result, sequences: Sequences, number: int | None = None
    ) -> None:
        self.fd = fd
        self.number = number or found.st_ino
        self.mode = found.st_mode
        self.path = f"/proc/self/fd/{fd}"
        self.lookups = 0
        self.lock = threading.RLock()
        self.offline = BlockSet()
        self.data_version = 1 if found.st_size and stat.S_ISREG(found.st_mode) else 0
        self.created_ns = found.st_ctime_ns
        self.project = 0
        self.retained = False
        self.unsaved = False
        self._online: int | None = None
        self._sequences = sequences
        sequences.came_upon(self.number)
        with suppress(OSError):
            self._load(json.loads(os.getxattr(self.path, KEPT)))

    def _load(self, kept: dict[str, object]) -> None:
        self.offline = BlockSet(tuple(pair) for pair in kept.pop("offline"))
        for name, value in kept.items():
            setattr(self, name, value)

    def save(self) -> None:
        """Keep what ScoutFS knows; symbolic links can keep nothing."""
        kept = {
            "offline": self.offline.ranges,
            "data_version": self.data_version,
            "created_ns": self.created_ns,
            "project": self.project,
            "retained": self.retained,
        }
        self.unsaved = False
        with suppress(PermissionError):
            os.setxattr(self.path, KEPT, json.dumps(kept).encode())

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def size(self) -> int:
        """Bytes."""
        return os.stat(self.path).st_size

    @property
    def sequences(self) -> tuple[int, int]:
        """The transactions that changed it, and its bytes, last."""
        return self._sequences.of(self.number)

    @property
    def online(self) -> int:
        """How many blocks are here; counted again after a change, for that takes long."""
        if self._online is None:
            ranges = self.extents(0, LAST) if self.is_file else []
            self._online = sum(end - begin for begin, end in ranges)
        return self._online

    @contextmanager
    def beneath(self) -> Iterator[int]:
        """Open the file beneath for the double's own work."""
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            yield fd
        finally:
            os.close(fd)

    def extents(self, begin: int, end: int) -> list[Range]:
        """Ranges of blocks that hold data, within a range."""
        at, found = begin << SHIFT, []
        until = min(end, count_of(self.size)) << SHIFT
        with self.beneath() as fd:
            while at < until:
                try:
                    data = os.lseek(fd, at, os.SEEK_DATA)
                except OSError:  # ENXIO: none behind
                    break
                at = os.lseek(fd, data, os.SEEK_HOLE)
                low, high = max(data >> SHIFT, begin), min(count_of(at), end)
                if low < high:
                    found.append((low, high))
        return found

    def punch(self, begin: int, end: int) -> None:
        """Make a hole of blocks."""
        at, length = begin << SHIFT, (end - begin) << SHIFT
        with self.beneath() as fd:
            check(libc.fallocate(fd, _PUNCH_HOLE_KEEP_SIZE, at, length))

    def first_offline(self) -> int | None:
        """The first block that is offline."""
        return self.offline.first_of(0, self.size)

    def data_changed(self) -> None:
        """Count a change of the bytes."""
        self.data_version += 1
        self.unsaved = True
        self._online = None
        self._sequences.changed(self.number, data=True)

    def meta_changed(self) -> None:
        """Count a change of anything else, such as where the bytes are.

        Like a change of the bytes it is counted when it was done: whoever finds it in an index
        then finds it in the file.
        """
        self._online = None
        self._sequences.changed(self.number)

    def is_new(self) -> None:
        """Count that it was made."""
        self._sequences.changed(self.number, data=True)


class Inodes:
    """All inodes that the kernel knows at the moment, by node."""

    def __init__(self, root: int, sequences: Sequences | None = None) -> None:
        found = os.fstat(root)
        self.sequences = sequences or Sequences()
        self.device, self.root_number = found.st_dev, found.st_ino
        self._lock = threading.Lock()
        self._root = Inode(root, found, self.sequences, ROOT)
        self._by_node = {ROOT: self._root}

    def __getitem__(self, node: int) -> Inode:
        return self._by_node[node]

    def __contains__(self, node: int) -> bool:
        return node in self._by_node

    def node_of(self, number: int) -> int:
        """The node of an inode number beneath."""
        return ROOT if number == self.root_number else number

    def known(self, fd: int) -> tuple[Inode, os.stat_result]:
        """Return an inode, counting one more look-up. The descriptor (O_PATH) becomes ours."""
        found = os.fstat(fd)
        node = self.node_of(found.st_ino)
        with self._lock:
            inode = self._by_node.get(node)
            if inode is None:
                inode = self._by_node[node] = Inode(fd, found, self.sequences)
            else:
                os.close(fd)
            inode.lookups += 1
        return inode, found

    def hold(self, inode: Inode) -> None:
        """Count one more use of an inode, until it is forgotten."""
        with self._lock:
            inode.lookups += 1

    def save(self) -> None:
        """Keep what was counted and not kept yet."""
        with self._lock:
            unsaved = [inode for inode in self._by_node.values() if inode.unsaved]
        for inode in unsaved:
            inode.save()

    def forget(self, node: int, lookups: int) -> None:
        """The kernel forgets look-ups; with the last of them we forget the inode."""
        with self._lock:
            inode = self._by_node.get(node)
            if inode is None or inode is self._root:
                return
            inode.lookups -= lookups
            if inode.lookups <= 0:
                del self._by_node[node]
                inode.save()
                if not os.fstat(inode.fd).st_nlink:
                    self.sequences.removed(inode.number)
                os.close(inode.fd)
