"""What the connections of one worker share: the app, the limits, the buffer, and their number.

The receive buffer is one for all: green threads take turns, and what one has received it takes out
before it waits again.
"""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Iterable
from time import monotonic
from typing import Any

from s3filters.server.connection import Connection
from s3filters.server.green import Hub
from s3filters.server.head import Environ, HeadParser
from s3filters.server.input import Input
from s3filters.server.options import Options
from s3filters.server.stream import Stream, TlsStream

App = Callable[[Environ, Any], Iterable[bytes]]

BUFFER = 128 << 10


class Service:
    """The app at work behind any number of connections."""

    def __init__(
        self, app: App, options: Options, hub: Hub, tls: ssl.SSLContext | None = None
    ) -> None:
        self.app = app
        self.options = options
        self.hub = hub
        self.parser = HeadParser(options)
        self.buffer = bytearray(BUFFER)
        self.view = memoryview(self.buffer)
        self.no_body = Input(None, b"", 0, False, 0.0)  # never read from
        self.connections: set[Connection] = set()
        self.idle_timeout = options.idle_timeout
        self.draining = False  # each answer is its connection's last
        self.stopping = False  # and nobody is waited for who has nothing in flight
        self.on_forget: Callable[[], None] = lambda: None
        self._tls = tls
        waits = (options.idle_timeout, options.header_timeout, options.read_timeout)
        self._tick = max(0.02, min(1.0, *(t / 4 for t in (*waits, options.write_timeout))))
        hub.later(self._tick, self._sweep)

    def admit(self, sock: socket.socket, peer: Any) -> None:
        """Serve a connection that was accepted. Called in the hub."""
        environ = self._environ_of(sock, peer)
        tls = self._tls
        stream = Stream(self.hub, sock) if tls is None else TlsStream(self.hub, sock, tls)
        connection = Connection(self, stream, environ)
        self.connections.add(connection)
        self.hub.spawn(connection.run)

    def _environ_of(self, sock: socket.socket, peer: Any) -> Environ:
        """What the environs of all requests of a connection have in common."""
        local = sock.getsockname()
        on_path = sock.family == socket.AF_UNIX
        return {
            "SCRIPT_NAME": "",
            "SERVER_NAME": "localhost" if on_path else local[0],
            "SERVER_PORT": "80" if on_path else str(local[1]),
            "REMOTE_ADDR": "" if on_path else peer[0],
            "REMOTE_PORT": "" if on_path else str(peer[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http" if self._tls is None else "https",
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
        }

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        self.on_forget()

    def drain(self, linger: float) -> None:
        """Make each answer its connection's last; idle connections end after ``linger`` seconds."""
        self.draining = True
        self.idle_timeout = linger
        self.stopping |= not linger
        self.hurry_idle()

    def hurry_idle(self) -> None:
        """Let no idle connection wait longer than one that becomes idle now."""
        latest = monotonic() + self.idle_timeout
        for connection in list(self.connections):
            if connection.idle:
                self._expire_by(connection, latest)

    def _expire_by(self, connection: Connection, latest: float) -> None:
        stream = connection.stream
        if latest <= monotonic():
            if stream.quiet():  # a request that has arrived already is served
                stream.expire(TimeoutError("idle"))
        elif stream.deadline > latest:
            stream.deadline = latest

    def close_idlest(self, least: float) -> bool:
        """End the connection that idles longest, ``least`` seconds at least; False without one."""
        found, earliest = None, monotonic() + self.idle_timeout - least
        for connection in self.connections:
            if connection.idle and connection.stream.deadline < earliest:
                found, earliest = connection, connection.stream.deadline
        if found is None or not found.stream.quiet():
            return False
        found.stream.expire(TimeoutError("idle"))
        return True

    def _sweep(self) -> None:
        """End the waits that have lasted too long."""
        self.hub.later(self._tick, self._sweep)
        now = monotonic()
        for connection in [c for c in self.connections if c.stream.deadline < now]:
            stream = connection.stream
            if connection.idle and not stream.quiet():
                continue  # a request has come in this moment
            if stream.deadline < now:
                stream.expire(TimeoutError("the peer is too slow"))
