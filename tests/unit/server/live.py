"""A server in a thread of the test: real hub, sockets and connections, but no processes."""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from greenlet import getcurrent

from s3filters import offload
from s3filters.server.acceptor import Acceptor, Board
from s3filters.server.green import start_hub
from s3filters.server.listeners import Listener, tls_context
from s3filters.server.offload import Pool
from s3filters.server.options import Options
from s3filters.server.service import Service

WAIT_S = 5.0


class Live:
    """``address`` to connect to, ``service`` to look into; both valid inside ``serving``."""

    def __init__(self, app, options):
        self.listener = Listener(options.listen[0], options, 1)
        self.address = self.listener.sockets[0].getsockname()
        self._app = app
        self._options = options
        self._orders = []
        self._bell = os.eventfd(0, os.EFD_NONBLOCK)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self._thread.start()
        assert self._ready.wait(WAIT_S)

    def stop(self):
        def leave():
            self.acceptor.stop()
            self.service.drain(0.0)
            for connection in list(self.service.connections):
                connection.stream.expire(TimeoutError("the test is over"))
            self._main.switch()

        self.in_hub(leave)
        self._thread.join(WAIT_S)
        self.listener.close(remove=True)
        os.close(self._bell)
        assert not self._thread.is_alive()

    def in_hub(self, function):
        """Have the function called where the green threads are; returns at once."""
        self._orders.append(function)
        os.eventfd_write(self._bell, 1)

    def _run(self):
        self._main = getcurrent()
        hub = start_hub()
        pool = Pool(hub, 2)
        offload.install(pool)
        self.service = Service(self._app, self._options, hub, tls_context(self._options))
        board = Board(1)
        board.write(0, 0)
        self.acceptor = Acceptor(self.service, self.listener.sockets[0], board, 0, ())
        self.service.on_forget = self.acceptor.resume
        hub.watch(self._bell, self._on_bell, select.EPOLLIN)
        self._ready.set()
        hub.switch()
        pool.stop()
        offload.install(offload.Direct())

    def _on_bell(self, events):
        os.eventfd_read(self._bell)
        while self._orders:
            self._orders.pop(0)()

    def connect(self, family=socket.AF_INET):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.settimeout(WAIT_S)
        sock.connect(self.address)
        return sock


@contextmanager
def serving(app, listen="127.0.0.1:0", **options) -> Iterator[Live]:
    live = Live(app, replace(Options(), listen=(listen,), **options))
    live.start()
    try:
        yield live
    finally:
        live.stop()


class Client:
    """One connection, read answer by answer."""

    def __init__(self, live, family=socket.AF_INET, tls: ssl.SSLContext | None = None):
        self.sock = live.connect(family)
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data)

    def get(self, path="/", *fields):
        lines = "".join(f"{field}\r\n" for field in fields)
        self.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode("latin-1"))
        return self.answer()

    def more(self):
        data = self.sock.recv(65536)
        self.held += data
        return bool(data)

    def head(self):
        """Return status, fields (names as sent) of the next answer; None when there is none."""
        while b"\r\n\r\n" not in self.held:
            if not self.more():
                assert not self.held, self.held
                return None
        block, _, self.held = self.held.partition(b"\r\n\r\n")
        lines = block.decode("latin-1").split("\r\n")
        match = re.fullmatch(r"HTTP/1\.1 (\d{3}) .*", lines[0])
        assert match, lines[0]
        return int(match[1]), [tuple(line.split(": ", 1)) for line in lines[1:]]

    def exactly(self, count):
        while len(self.held) < count:
            assert self.more(), "the answer is too short"
        data, self.held = self.held[:count], self.held[count:]
        return data

    def line(self):
        while b"\r\n" not in self.held:
            assert self.more(), "the answer is too short"
        data, _, self.held = self.held.partition(b"\r\n")
        return data

    def chunks(self):
        data = b""
        while size := int(self.line(), 16):
            data += self.exactly(size)
            assert self.line() == b""
        assert self.line() == b""
        return data

    def answer(self, *, bodiless=False):
        """Return status, fields by lower-case name, body; None when the connection has ended."""
        head = self.head()
        if head is None:
            return None
        status, fields = head
        named = {name.lower(): value for name, value in fields}
        if bodiless or status in (100, 204, 304):
            body = b""
        elif "content-length" in named:
            body = self.exactly(int(named["content-length"]))
        elif "transfer-encoding" in named:
            body = self.chunks()
        else:
            while self.more():
                pass
            body, self.held = self.held, b""
        return status, named, body

    def ended(self):
        """Whether the server has closed and nothing more came."""
        return not self.held and not self.more()
