"""Records that were read before, for as long as fstat proves that nothing changed.

An inode's ctime moves with every change of its bytes or its attributes. So a record is as good as
new while dev, inode, size, mtime and ctime are what they were when it was read. One trap is left,
that of git's index ("racy git"): a change in the same tick of the file system's clock as the
reading leaves ctime as it was. So a record whose reading began sooner than ``TICK_NS`` after the
ctime is not kept.

Only for file systems of this machine: elsewhere another node's change may reach us late.
"""

from __future__ import annotations

import os

from s3filters.store.metadata import Record

TICK_NS = 30_000_000  # three ticks of the slowest clock, HZ=100
COARSE_NS = 2_000_000_000  # for file systems that keep whole seconds (ext4 with small inodes)
_PARTS = 4096  # bytes that say where parts end; 10,000 of them may need ten times as many
_TEXT = 512  # characters of user metadata, bytes of tags and grants


def is_proof(ctime_ns: int, began_ns: int) -> bool:
    """True when a change after ``began_ns`` must give an inode another ctime than this one."""
    tick_ns = TICK_NS if ctime_ns % 1_000_000_000 else COARSE_NS
    return began_ns - ctime_ns > tick_ns


class Known:
    """A bounded number of records; those not asked for lately go first.

    Two generations: what is used moves to the young one; when that has half of the limit it becomes
    the old one and the old one is dropped. So a hit costs two look-ups and no lock: each step is
    one operation on a dict, and the worst that a race does is to forget a record.
    """

    __slots__ = ("_half", "_old", "_young")

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._young: dict[int, Record] = {}
        self._old: dict[int, Record] = {}

    def get(self, found: os.stat_result) -> Record | None:
        """Return the record of an inode if its stat proves that it still holds."""
        ino = found.st_ino
        record = self._young.get(ino)
        if record is None:
            record = self._old.get(ino)
            if record is None:
                return None
            self._add(ino, record)
        if (
            record.ctime_ns == found.st_ctime_ns
            and record.mtime_ns == found.st_mtime_ns
            and record.dev == found.st_dev
            and (record.size == found.st_size or record.is_directory)
        ):
            return record
        return None

    def keep(self, record: Record, began_ns: int) -> None:
        """Keep a record, unless it is large or its ctime was too fresh to be proof later.

        :param began_ns: ``time.time_ns()`` before its attributes were read
        """
        if self._half and is_proof(record.ctime_ns, began_ns) and _is_small(record):
            self._add(record.ino, record)

    def _add(self, ino: int, record: Record) -> None:
        if len(self._young) >= self._half:
            self._old = self._young
            self._young = {}
        self._young[ino] = record


def _is_small(record: Record) -> bool:
    """True unless parts, or text, alone would take more memory than they save time."""
    text = sum(map(len, record.user.values())) if record.user else 0
    text += len(record.tagging) + len(record.acl)
    parts = record.boundaries.weight if record.boundaries else 0
    return parts <= _PARTS and text <= _TEXT
