"""A bell among the processes of a machine that serve one folder: one listens, anybody rings.

A datagram socket with an abstract name, so nothing lies on the disk and nothing is left behind a
death. That it rang is all that is said, and a ring may get lost: who listens looks from time to
time anyway. Anybody on the machine can ring, so listeners must bear it.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket

_RINGS = 10_000  # heard at once: whoever rings all the time keeps nobody listening for ever


class Bell:
    """The bell of an open folder."""

    def __init__(self, folder: int) -> None:
        found = os.fstat(folder)
        self._name = f"\0s3filters.{found.st_dev:x}.{found.st_ino:x}"
        self._socket: socket.socket | None = None

    def ring(self) -> None:
        """Wake who listens, if anybody does; never wait."""
        with contextlib.suppress(OSError), _new() as ours:
            ours.sendto(b"", self._name)

    def wait(self, seconds: float) -> bool:
        """Wait until it rings, so long at most; return whether it did.

        The first call begins to listen, which one process can at a time; others only wait.
        """
        ours = self._socket = self._socket or self._listen()
        poll = select.poll()  # and not select(2), which knows descriptors below 1,024 only
        if ours is not None:
            poll.register(ours, select.POLLIN)
        rang = bool(poll.poll(max(0.0, seconds) * 1000))
        if rang and ours is not None:
            with contextlib.suppress(BlockingIOError):
                for _ in range(_RINGS):
                    ours.recv(1)
        return rang

    def _listen(self) -> socket.socket | None:
        ours = _new()
        try:
            ours.bind(self._name)
        except OSError:  # another does
            ours.close()
            return None
        return ours

    def close(self) -> None:
        """Listen no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _new() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
