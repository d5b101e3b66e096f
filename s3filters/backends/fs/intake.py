"""The way of a large body to its file: receiving, hashing and writing at the same time.

The connection is read in its own thread; hashing and writing run where blocking work runs, each in
the order of the pieces. One piece is being hashed and one is ready for it while a third is
received, so the hash, which is the slowest of the three, never waits for a piece to arrive. Where
more upload at once than there are cores to hash, nobody has a piece ready: another's is.
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from s3filters.s3.body import Body
from s3filters.store.place import Draft

# So many uploads at once have so many buffers of so many bytes. A hand-over is dear, and the dearer
# the more of them there are at once, so pieces are large; where very many upload, memory is dearer.
TIERS = ((4, 3, 2 << 20), (10, 2, 1 << 20), (sys.maxsize, 2, 128 << 10))
KEPT = 12 << 20  # bytes that are kept while nobody needs them


class Buffers:
    """Memory for uploads, used again: fresh memory costs a page fault for every 4 KiB of it."""

    def __init__(self) -> None:
        self._free: defaultdict[int, list[memoryview]] = defaultdict(list)  # by size
        self._kept = 0  # bytes in them
        self._uploads = 0

    def take(self) -> list[memoryview]:
        """Return the buffers of one upload, two at least, all of one size."""
        self._uploads += 1
        count, size = next(tier[1:] for tier in TIERS if self._uploads <= tier[0])
        free = self._free[size]
        taken = [free.pop() for _ in range(min(count, len(free)))]
        self._kept -= size * len(taken)
        return taken + [memoryview(bytearray(size)) for _ in range(count - len(taken))]

    def give(self, taken: list[memoryview]) -> None:
        """Take the buffers back; nobody uses them any more."""
        self._uploads -= 1
        size = len(taken[0])
        if self._kept + size * len(taken) <= KEPT:
            self._free[size] += taken
            self._kept += size * len(taken)


class _InOrder:
    """Calls a function with pieces in their order, although each call may have its own thread."""

    def __init__(self, function: Callable[[memoryview], None], offload: Any) -> None:
        self._function = function
        self._offload = offload
        self._pieces: deque[memoryview] = deque()
        self._turn = threading.Lock()
        self._handles: deque[Any] = deque()

    def start(self, piece: memoryview) -> None:
        """Begin with a piece, as soon as those before it are done."""
        self._pieces.append(piece)
        self._handles.append(self._offload.start(self._next))

    def _next(self) -> None:
        with self._turn:
            self._function(self._pieces.popleft())

    def settle(self, most: int) -> None:
        """Wait until at most so many pieces are not done; raise what a call raised."""
        while len(self._handles) > most:
            self._handles.popleft().wait()

    def abandon(self) -> None:
        """Wait until all is at rest; what went wrong does not matter any more."""
        while self._handles:
            with suppress(Exception):
                self._handles.popleft().wait()


def absorb(draft: Draft, body: Body, buffers: Buffers, offload: Any) -> None:
    """Read the whole body into the draft and hash it. All is at rest when this returns or raises.

    Raise what the body raises while it is read, and what the draft raises.
    """
    taken = buffers.take()
    hashing = _InOrder(body.update, offload)
    writing = _InOrder(draft.write, offload)
    waiting = len(taken) - 2  # one piece is at work, and one buffer is being filled
    turn = 0
    try:
        while piece := _fill(body, taken[turn % len(taken)]):
            hashing.settle(waiting)
            writing.settle(waiting)
            hashing.start(piece)
            writing.start(piece)
            turn += 1
        hashing.settle(0)
        writing.settle(0)
    finally:
        hashing.abandon()
        writing.abandon()
        buffers.give(taken)


def _fill(body: Body, buffer: memoryview) -> memoryview:
    """Fill the buffer from the body; what comes back is shorter only at the end of the body."""
    filled = 0
    while filled < len(buffer):
        count = body.readinto(buffer[filled:])
        if not count:
            break
        filled += count
    return buffer[:filled]
