"""A connected socket in a green thread: tried first, waited for only when the kernel says so.

One green thread owns a stream. Each wait has a deadline, which one sweep of all streams enforces
(``expire``), so a wait costs no timer. After ``BURST`` bytes without a wait the others get a turn:
a peer as fast as we are would otherwise keep the hub for itself.
"""

from __future__ import annotations

import math
import os
import select
import socket
import ssl
import struct
from contextlib import suppress
from time import monotonic
from typing import Any

from greenlet import getcurrent, greenlet

from s3filters.server.green import HUNG_UP, READABLE, WRITABLE, Hub

BURST = 4 << 20
TLS_SLICE = 256 << 10  # bytes encrypted at a time; some 100 us of the hub

_EDGES = select.EPOLLIN | select.EPOLLRDHUP


class Stream:
    """A plain TCP or unix connection."""

    __slots__ = (
        "_burst", "_fd", "_hub", "_hung_up", "_readable", "_waiter", "_wants", "_watched",
        "_watches_write", "_writable", "deadline", "sock",
    )  # fmt: skip

    def __init__(self, hub: Hub, sock: socket.socket) -> None:
        self.sock: Any = sock
        self._fd = sock.fileno()
        self._hub = hub
        self._readable = True
        self._writable = True
        self._hung_up = False
        self._watched = False
        self._watches_write = False
        self._waiter: greenlet | None = None
        self._wants = 0
        self._burst = 0
        self.deadline = math.inf

    def receive(self, view: memoryview, timeout: float) -> int:
        """Fill some of the view; 0 when the peer has ended. Raise TimeoutError or OSError.

        Nobody else runs between the filling and the return: the view may be one that all share.
        """
        if self._burst > BURST:
            self._take_turns()
        while True:
            if self._readable:
                try:
                    count: int = self.sock.recv_into(view)
                except BlockingIOError:
                    self._readable = False
                else:
                    # Less than asked for: nothing is left; the next byte makes a new edge.
                    self._readable = count == len(view) or self._hung_up or not count
                    self._burst += count
                    return count
            self._wait(READABLE, timeout)

    def send(self, data: bytes | memoryview, timeout: float, flags: int = 0) -> None:
        """Send all of it. Raise TimeoutError when the peer takes nothing for so many seconds."""
        try:
            sent = self.sock.send(data, flags)
        except BlockingIOError:
            sent = 0
        self._spend(sent)
        if sent == len(data):
            return
        view = memoryview(data)[sent:]
        while view:
            self.arm()
            try:
                sent = self.sock.send(view, flags)
            except BlockingIOError:
                self.wait_to_write(timeout)
            else:
                self._spend(sent)
                view = view[sent:]

    def send_some_of_file(self, fd: int, offset: int, count: int) -> int:
        """Hand bytes of a file to the kernel and return how many; 0 at the file's end.

        Raise BlockingIOError when the peer must take some first. Waits for the disk where the pages
        are not in memory, so it may be called from another thread.
        """
        return os.sendfile(self._fd, fd, offset, count)

    def arm(self) -> None:
        """Before a try to write: only an edge that comes later ends the wait after it."""
        self._writable = False

    def wait_to_write(self, timeout: float) -> None:
        """Wait until the peer has taken something since ``arm``. Raise TimeoutError."""
        if not self._watches_write:
            self._watches_write = True
            if self._watched:
                self._hub.change(self._fd, _EDGES | select.EPOLLOUT)
        while not self._writable:
            self._wait(WRITABLE, timeout)

    def _wait(self, wants: int, timeout: float) -> None:
        if not self._watched:
            self._watched = True
            edges = _EDGES | select.EPOLLOUT if self._watches_write else _EDGES
            self._hub.watch(self._fd, self._on_edge, edges)
        self._burst = 0
        self._wants = wants
        self._waiter = getcurrent()
        self.deadline = monotonic() + timeout
        try:
            self._hub.greenlet.switch()
        finally:
            self._waiter = None
            self.deadline = math.inf

    def _on_edge(self, events: int) -> None:
        if events & READABLE:
            self._readable = True
            if events & HUNG_UP:
                self._hung_up = True
        if events & WRITABLE:
            self._writable = True
        if self._waiter is not None and events & self._wants:
            self._waiter.switch()

    def _spend(self, count: int) -> None:
        self._burst += count
        if self._burst > BURST:
            self._take_turns()

    def _take_turns(self) -> None:
        self._burst = 0
        self._hub.pause()

    def spend(self, count: int) -> None:
        """Count bytes that went another way towards this stream's turn."""
        self._spend(count)

    def expire(self, reason: BaseException) -> None:
        """Raise the error in the green thread that waits here, if one does. Called in the hub."""
        if self._waiter is not None:
            self._waiter.throw(reason)

    def quiet(self) -> bool:
        """Whether nothing has come that was not read yet."""
        try:
            return not self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            return True

    def end_sending(self) -> None:
        """Tell the peer that nothing more comes; it may still send."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Make the close a reset, so that nobody takes a cut answer for a whole one."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def close(self) -> None:
        """Let go of the socket."""
        if self._watched:
            self._hub.unwatch(self._fd)
            self._watched = False
        self.sock.close()


class TlsStream(Stream):
    """A TLS connection. A record may hold more than was asked for: a read is always tried first."""

    __slots__ = ("_context",)

    def __init__(self, hub: Hub, sock: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(hub, sock)
        self._context = context

    def handshake(self, timeout: float) -> None:
        """Agree on keys, before all else. Raise OSError (ssl.SSLError among them)."""
        limit = monotonic() + timeout
        self.sock = self._context.wrap_socket(
            self.sock, server_side=True, do_handshake_on_connect=False
        )
        self._retry(self.sock.do_handshake, (), limit)

    def receive(self, view: memoryview, timeout: float) -> int:
        """As a plain stream."""
        if self._burst > BURST:
            self._take_turns()
        count: int = self._retry(self.sock.recv_into, (view,), monotonic() + timeout)
        self._burst += count
        return count

    def send(self, data: bytes | memoryview, timeout: float, flags: int = 0) -> None:
        """As a plain stream; ``flags`` mean nothing here."""
        view = memoryview(data)
        while view:
            sent: int = self._retry(self.sock.send, (view[:TLS_SLICE],), monotonic() + timeout)
            self._spend(sent)
            view = view[sent:]

    def _retry(self, call: Any, args: tuple[Any, ...], limit: float) -> Any:
        while True:
            self._readable = self._writable = False
            try:
                return call(*args)
            except ssl.SSLWantReadError:
                while not self._readable:
                    self._wait(READABLE, limit - monotonic())
            except ssl.SSLWantWriteError:
                self.wait_to_write(limit - monotonic())

    def quiet(self) -> bool:
        """Whether nothing has come that was not read yet."""
        return not self.sock.pending() and self._plain_quiet()

    def _plain_quiet(self) -> bool:
        plain = socket.socket(fileno=os.dup(self._fd))
        with plain:
            try:
                return not plain.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            except OSError:
                return True

    def end_sending(self) -> None:
        """Send close_notify, then as a plain stream."""
        with suppress(OSError, ValueError):
            self.sock.unwrap()
        super().end_sending()
