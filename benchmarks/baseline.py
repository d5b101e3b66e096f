"""The programs that the server is compared with, each in a process of its own.

``python -m benchmarks.baseline hello PROCESSES`` is a bare WSGI app under stock ``eventlet.wsgi``
that answers every request with the same 4 KiB. ``... stream`` is a plain socket loop: a line
``GET n`` is answered with n bytes, after a line ``PUT n`` n bytes are read and answered with a
line. Both print the port they listen on (loopback) and end when their standard input ends, so they
cannot outlive the benchmark that started them.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

BLOCK = 1 << 20  # bytes per send and receive of the socket loop


def hello_app(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a constant 4 KiB."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4096")])
    return [b"x" * 4096]


def hello(processes: int) -> None:
    """Serve the bare app from so many processes on one socket."""
    import eventlet  # noqa: PLC0415  the other baseline must not pay for it
    import eventlet.wsgi  # noqa: PLC0415

    listener = eventlet.listen(("127.0.0.1", 0), backlog=1024)
    announce(listener)
    for _ in range(processes - 1):
        if os.fork() == 0:
            break
    else:
        end_with_parent()
    eventlet.wsgi.server(listener, hello_app, log_output=False)


def stream() -> None:
    """Serve the socket loop: one connection at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    announce(listener)
    end_with_parent()
    while True:
        client, _ = listener.accept()
        with client:
            answer(client)


def answer(client: socket.socket) -> None:
    """Do what the lines of one connection ask for."""
    block = memoryview(bytearray(BLOCK))
    with client.makefile("rb", buffering=0) as lines:
        while line := lines.readline():
            verb, count = line.split()
            left = int(count)
            if verb == b"GET":
                while left:
                    size = min(left, BLOCK)
                    client.sendall(block[:size])
                    left -= size
            else:
                while left:
                    size = client.recv_into(block, min(left, BLOCK))
                    if not size:
                        return
                    left -= size
                client.sendall(b"done\n")


def announce(listener: socket.socket) -> None:
    """Print the port."""
    print(listener.getsockname()[1], flush=True)


def end_with_parent() -> None:
    """End this process, and those that it forked, when standard input ends."""

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.killpg(0, 15) if os.getpgrp() == os.getpid() else os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def main(words: list[str]) -> None:
    """Run the baseline named on the command line."""
    if words[0] == "hello":
        hello(int(words[1]))
    else:
        stream()


if __name__ == "__main__":
    main(sys.argv[1:])
