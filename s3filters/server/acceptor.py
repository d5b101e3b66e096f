"""Takes connections off a listening socket: as many as the worker may have, and its fair share.

The kernel wakes one of the workers that share a socket (EPOLLEXCLUSIVE), most often the same one,
which would then serve everybody. So the workers write their number of connections on a ``Board`` in
shared memory, and one that is woken while another has fewer rings that one instead. Measured with 8
connections to 4 workers: the busiest has 1.0 times its fair share; a socket each (SO_REUSEPORT),
1.75 times on average and up to 3.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
import select
import socket
from collections.abc import Sequence

from s3filters.server.green import Hub
from s3filters.server.service import Service

BATCH = 32  # connections taken before the others get a turn
ANSWER_SECONDS = 0.01  # how long a worker that was rung may take, before the ringer takes one
EXHAUSTED_SECONDS = 0.25  # without descriptors or memory: until the next try
IDLE_SECONDS = 1.0  # a connection idle for so long gives way to a new one when the worker is full
ABSENT = -1  # on the board: takes no connections

_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

log = logging.getLogger("s3filters.server")


class Board:
    """Connections of each worker, seen by all. Made by the master before it forks."""

    def __init__(self, slots: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, 4 * slots)).cast("i")
        self._bells = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(slots)]
        for slot in range(slots):
            self._counts[slot] = ABSENT

    def write(self, slot: int, count: int) -> None:
        """Say how many connections a worker has, ABSENT when it takes none."""
        self._counts[slot] = count

    def lighter(self, slot: int, peers: Sequence[int]) -> int | None:
        """The peer with the fewest connections, when those are fewer than the slot's own."""
        counts = self._counts
        best, least = None, counts[slot]
        for peer in peers:
            if ABSENT < counts[peer] < least:
                best, least = peer, counts[peer]
        return best

    def ring(self, slot: int) -> None:
        """Ask another worker to accept."""
        os.eventfd_write(self._bells[slot], 1)

    def bell(self, slot: int) -> int:
        """The descriptor that becomes readable when the slot is rung."""
        return self._bells[slot]


class Acceptor:
    """Accepts from one listening socket for one worker.

    :param slot: the worker's place on the board
    :param peers: places of the workers that accept from the same socket, its own may be among them
    """

    def __init__(
        self,
        service: Service,
        listener: socket.socket,
        board: Board,
        slot: int,
        peers: Sequence[int],
    ) -> None:
        self._service = service
        self._hub: Hub = service.hub
        self._listener = listener
        self._board = board
        self._slot = slot
        self._peers = peers
        self._watching = False
        self._stopped = False
        self._warned = False
        self._rang = False
        self.resume()

    def resume(self) -> None:
        """Accept, if not doing so already."""
        if not self._watching and not self._stopped:
            self._watching = True
            self._hub.watch(
                self._listener.fileno(),
                lambda events: self.accept(),
                select.EPOLLIN | select.EPOLLEXCLUSIVE,
            )

    def take_waiting(self) -> None:
        """Take all that are in the queue now: they have been promised an answer."""
        limit = 0 if self._stopped else self._service.options.connections
        while len(self._service.connections) < limit and self._accept_one():
            pass

    def stop(self) -> None:
        """Accept nothing any more."""
        self._stopped = True
        self._unwatch()

    def _unwatch(self) -> None:
        if self._watching:
            self._watching = False
            self._hub.unwatch(self._listener.fileno())

    def accept(self) -> None:
        """Take what has come, as long as no peer has fewer connections."""
        service = self._service
        for _ in range(BATCH):
            if not self._watching:
                return
            if len(service.connections) >= service.options.connections:
                self._make_room()
                return
            other = self._board.lighter(self._slot, self._peers)
            if other is not None:
                self._hand_over(other)
                return
            if not self._accept_one():
                return
        self._hub.later(0, self.accept)

    def _accept_one(self) -> bool:
        """Take one connection; False when there is none, or no room for one."""
        try:
            sock, peer = self._listener.accept()
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno in _EXHAUSTED:
                self._starve(error)
                return False
            return True  # that connection ended before it was accepted: accept(2), "Error handling"
        sock.setblocking(False)
        self._warned = False
        self._service.admit(sock, peer)
        self._board.write(self._slot, len(self._service.connections))
        return True

    def _hand_over(self, other: int) -> None:
        self._board.ring(other)
        if not self._rang:
            self._rang = True
            self._hub.later(ANSWER_SECONDS, self._check)

    def _check(self) -> None:
        """Whoever was rung had time to accept. What is there still shall not wait for it."""
        self._rang = False
        if self._watching and self._accept_one():
            self.accept()

    def _make_room(self) -> None:
        """The worker is full: end a connection that only idles, or leave it to the others."""
        if self._service.close_idlest(IDLE_SECONDS):
            self._hub.later(0, self.accept)
        else:
            self._board.write(self._slot, ABSENT)
            self._rest(IDLE_SECONDS)

    def _starve(self, error: OSError) -> None:
        """Out of descriptors or memory: trying again at once would only burn the processor."""
        if not self._warned:
            self._warned = True
            log.error("cannot accept connections: %s", error.strerror)
        self._rest(EXHAUSTED_SECONDS)

    def _rest(self, seconds: float) -> None:
        self._unwatch()
        self._hub.later(seconds, self.resume)
