"""Faults to order, and counts of what was asked: the control interface, attributes of the root.

    setfattr -n user.double.fault -v "write ENOSPC 3 1" MOUNTPOINT     the fourth write fails
    setfattr -n user.double.fault -v "fsync EIO 0 2 0.5" MOUNTPOINT    two, each half a second late
    setfattr -n user.double.fault -v "" MOUNTPOINT                     no faults any more
    getfattr -n user.double.counts MOUNTPOINT                          JSON: operations, bytes
    setfattr -n user.double.counts -v "" MOUNTPOINT                    begin again at 0

An operation has FUSE's name in small letters. ``extent`` is one more: an extent that MOVE_BLOCKS
is about to move.
"""

from __future__ import annotations

import errno
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass

from tests.scoutfs.protocol import Op, error

CONTROL = b"user.double."
FAULT, COUNTS = CONTROL + b"fault", CONTROL + b"counts"
EXTENT = "extent"
_NAMES = {op.value: op.name.lower() for op in Op}
_WORDS = {*_NAMES.values(), EXTENT}


@dataclass
class _Fault:
    number: int
    skip: int
    count: int
    delay_s: float


class Faults:
    """What is to go wrong, and what was asked so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._by_word: dict[str, _Fault] = {}
        self._counts: Counter[str] = Counter()

    def take(self, op: int) -> None:
        """Count an operation. Raise what it is to fail with."""
        self.take_word(_NAMES.get(op, str(op)))

    def take_word(self, word: str) -> None:
        """Count one by its word. Raise what it is to fail with."""
        with self._lock:
            self._counts[word] += 1
            fault = self._by_word.get(word)
            if fault is None:
                return
            fault.skip -= 1
            fails = fault.skip < 0 < fault.count
            fault.count -= fails
        if fails:
            time.sleep(fault.delay_s)
            if fault.number:
                raise error(fault.number)

    def wrote(self, count: int) -> None:
        """Count bytes written."""
        with self._lock:
            self._counts["bytes_written"] += count

    def read(self, count: int) -> None:
        """Count bytes read."""
        with self._lock:
            self._counts["bytes_read"] += count

    def set(self, name: bytes, value: bytes) -> bool:
        """Take an order; False when the attribute is none of ours. Raise EINVAL."""
        if name == COUNTS:
            with self._lock:
                self._counts.clear()
        elif name == FAULT:
            self._order(value.decode().split())
        else:
            return False
        return True

    def get(self, name: bytes) -> bytes | None:
        """Return a report; None when the attribute is none of ours."""
        if name != COUNTS:
            return None
        with self._lock:
            return json.dumps(self._counts).encode()

    def _order(self, words: list[str]) -> None:
        if not words:
            with self._lock:
                self._by_word.clear()
            return
        try:
            word, name, skip, count, delay_s = (*words, "0")[:5]
            number = 0 if name == "0" else getattr(errno, name)
            fault = _Fault(number, int(skip), int(count), float(delay_s))
        except (ValueError, AttributeError) as failed:
            raise error(errno.EINVAL) from failed
        if word not in _WORDS:
            raise error(errno.EINVAL)
        with self._lock:
            self._by_word[word] = fault
