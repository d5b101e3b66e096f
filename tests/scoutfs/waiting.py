"""Who waits for offline data. No answer is sent until the data are here, and no thread is held."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass

from tests.scoutfs.blocks import SHIFT
from tests.scoutfs.device import Device
from tests.scoutfs.inodes import Inode
from tests.scoutfs.protocol import Request

# What a waiter wanted to do: bits of DATA_WAITING.
READ, WRITE, CHANGE_SIZE = 1, 2, 4

Handler = Callable[[Request], bytes | None]


@dataclass(frozen=True, slots=True)
class Waiter:
    """A request that could not go on, and how to try it again."""

    request: Request
    inode: Inode
    block: int
    purpose: int
    again: Handler


class Waiting:
    """All waiters of this mount."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._lock = threading.Lock()
        self._waiters: list[Waiter] = []

    def add(self, request: Request, inode: Inode, block: int, purpose: int, again: Handler) -> None:
        """Have a request wait for a block."""
        waiter = Waiter(request.kept(), inode, block, purpose, again)
        with self._lock:
            self._waiters.append(waiter)

    def wake(self, inode: Inode) -> None:
        """Try all requests again that wait for data of an inode; some may wait on."""
        for waiter in self._take(lambda each: each.inode is inode):
            try:
                answer = waiter.again(waiter.request)
            except OSError as failed:
                self._device.reply(waiter.request.unique, number=failed.errno or errno.EIO)
            else:
                if answer is not None:
                    self._device.reply(waiter.request.unique, answer)

    def interrupt(self, unique: int) -> None:
        """A signal came for a waiter."""
        for waiter in self._take(lambda each: each.request.unique == unique):
            self._device.reply(waiter.request.unique, number=errno.EINTR)

    def fail(self, number: int, offset: int, length: int, purposes: int, error: int) -> int:
        """Answer with an errno all that wait for a range of an inode; return how many there were.

        :param number: the inode's
        :param offset: bytes, as ``length``
        """
        first, last = offset >> SHIFT, (offset + length - 1) >> SHIFT
        failed = self._take(
            lambda each: (
                each.inode.number == number
                and first <= each.block <= last
                and bool(each.purpose & purposes)
            )
        )
        for waiter in failed:
            self._device.reply(waiter.request.unique, number=error)
        return len(failed)

    def end(self) -> None:
        """Fail everybody: the file system goes away."""
        for waiter in self._take(lambda each: True):
            self._device.reply(waiter.request.unique, number=errno.EIO)

    def wanted(self) -> dict[tuple[int, int], int]:
        """What is waited for: (inode number, block) -> purposes."""
        found: dict[tuple[int, int], int] = {}
        with self._lock:
            for waiter in self._waiters:
                place = (waiter.inode.number, waiter.block)
                found[place] = found.get(place, 0) | waiter.purpose
        return found

    def _take(self, chosen: Callable[[Waiter], bool]) -> list[Waiter]:
        with self._lock:
            taken = [waiter for waiter in self._waiters if chosen(waiter)]
            self._waiters = [waiter for waiter in self._waiters if not chosen(waiter)]
        return taken
