"""The way of a large body to its file: receiving, hashing and writing at the same time.

The connection is read in its own thread; hashing and writing run where blocking work runs, each in
the order of the pieces. One piece is being hashed and one is ready for it while a third is
received, so the hash, which is the slowest of the three, never waits for a piece to arrive.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from s3filters.s3.body import Body
from s3filters.store.place import Draft

LARGE = 2 << 20  # bytes of a buffer; a hand-over is dear, so pieces are large
SMALL = 1 << 17  # where many upload at once, memory is dearer
FEW = 4  # uploads at once that have large buffers
BUFFERS = 3


class Buffers:
    """Memory for uploads, used again: fresh memory costs a page fault for every 4 KiB of it."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []
        self._uploads = 0

    def take(self) -> list[memoryview]:
        """Return the buffers of one upload."""
        self._uploads += 1
        if self._uploads > FEW:
            return [memoryview(bytearray(SMALL)) for _ in range(BUFFERS)]
        taken = []
        for _ in range(BUFFERS):
            try:
                taken.append(self._free.pop())
            except IndexError:
                taken.append(memoryview(bytearray(LARGE)))
        return taken

    def give(self, taken: list[memoryview]) -> None:
        """Take the buffers back; nobody uses them any more."""
        self._uploads -= 1
        if len(taken[0]) == LARGE and len(self._free) < FEW * BUFFERS // 2:
            self._free += taken


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
    turn = 0
    try:
        while piece := _fill(body, taken[turn % BUFFERS]):
            hashing.settle(1)
            writing.settle(1)
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
