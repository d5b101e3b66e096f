"""The bytes of a file as the body of an answer: from the page cache by sendfile, else by a thread.

A read that has to wait for a disk would stop every green thread of the worker. So each window is
looked at first (``preadv2`` with RWF_NOWAIT never waits for a disk): what is in memory goes out at
once, what is not goes out in a real thread, as everything does on file systems that cannot tell.

A body may have ``waits(offset, count)``: whether reading would wait for a tape, maybe for hours.
Such a read keeps a thread from everybody else, so these bodies have the slow ones. Unless the body
is ``patient``, the thread asks right before it reads, and the answer ends there.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from s3filters import offload
from s3filters.server.stream import Stream, TlsStream

WINDOW = 4 << 20  # bytes that are looked at, then sent
SAMPLE = 512 << 10  # bytes between two looks; a file is read ahead in pieces of this order
SMALL = 64 << 10  # bytes that are sent together with the header


class ShortFile(Exception):
    """The file ended before ``count`` bytes."""


class Released(Exception):
    """The file's bytes went to tape while it was sent."""


def resident(fd: int, offset: int, count: int) -> bool:
    """Whether reading these bytes would not wait, as far as samples tell."""
    byte = bytearray(1)
    try:
        for at in (*range(offset, offset + count - 1, SAMPLE), offset + count - 1):
            os.preadv(fd, (byte,), at, os.RWF_NOWAIT)
    except OSError:  # EAGAIN: not in memory; EOPNOTSUPP: this file system cannot tell
        return False
    return True


def read(body: Any, offset: int, room: memoryview) -> memoryview:
    """Bytes of the file, as many as the room holds. Raise ShortFile, Released.

    What is in memory is read into the room at once. What is not is read by a thread, into room of
    its own: the green threads that go on meanwhile may share this one.
    """
    fd = body.fileno()
    try:
        if os.preadv(fd, (room,), offset, os.RWF_NOWAIT) == len(room):
            return room
    except OSError:  # as in resident()
        pass
    whole: memoryview = _in_thread(body, _read_all, fd, offset, len(room))
    return whole


def _in_thread(body: Any, work: Callable[..., Any], fd: int, offset: int, count: int) -> Any:
    """Read, or send, bytes of the file where that may wait for a disk. Raise Released."""
    waits = getattr(body, "waits", None)
    if waits is None:
        return offload.run(work, fd, offset, count)
    if body.patient:
        return offload.start_slow(work, fd, offset, count).wait()
    done = offload.start_slow(_unless_it_waits, waits, work, fd, offset, count).wait()
    if done is None:
        raise Released
    return done


def _unless_it_waits(
    waits: Callable[[int, int], bool], work: Callable[..., Any], fd: int, offset: int, count: int
) -> Any:
    return None if waits(offset, count) else work(fd, offset, count)


def _read_all(fd: int, offset: int, count: int) -> memoryview:
    whole = view = memoryview(bytearray(count))
    while view:
        got = os.preadv(fd, (view,), offset)
        if not got:
            raise ShortFile
        view = view[got:]
        offset += got
    return whole


def send_file(stream: Stream, head: bytes, body: Any, buffer: memoryview, timeout: float) -> None:
    """Send a head and ``body.count`` bytes of a file.

    :param body: has ``fileno()``, ``offset`` and ``count``
    :param buffer: room of at least SMALL bytes that nobody else uses until the next wait
    """
    offset, count = body.offset, body.count
    if count <= SMALL:
        data = read(body, offset, buffer[:count])
        stream.send(b"".join((head, data)), timeout)
        return
    stream.send(head, timeout, socket.MSG_MORE)
    send = _send_copies if isinstance(stream, TlsStream) else _send_pages
    while count:
        window = min(count, WINDOW)
        send(stream, body, offset, window, timeout)
        offset += window
        count -= window


def _send_pages(stream: Stream, body: Any, offset: int, count: int, timeout: float) -> None:
    """Plain: the kernel moves pages; in a thread where it has to fetch them."""
    fd = body.fileno()
    inline = getattr(body, "waits", None) is None and resident(fd, offset, count)
    while count:
        stream.arm()
        try:
            if inline:
                sent = stream.send_some_of_file(fd, offset, count)
            else:
                sent = _in_thread(body, stream.send_some_of_file, fd, offset, count)
        except BlockingIOError:
            stream.wait_to_write(timeout)
            continue
        if not sent:
            raise ShortFile
        stream.spend(sent)
        offset += sent
        count -= sent


def _send_copies(stream: Stream, body: Any, offset: int, count: int, timeout: float) -> None:
    """TLS: the bytes are read to be encrypted."""
    view = memoryview(bytearray(min(count, 4 * SMALL)))
    while count:
        part = read(body, offset, view[:count])
        stream.send(part, timeout)
        offset += len(part)
        count -= len(part)
