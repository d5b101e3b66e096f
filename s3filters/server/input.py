"""``wsgi.input``: the bytes of one request's body and never one more.

``readinto`` gives 0 at the end of the body. It raises TimeoutError when the client is too slow,
ConnectionError when it goes away early, and MalformedBody (which is one) when chunks are not framed
as RFC 9112, section 7.1, has it. The first read answers ``Expect: 100-continue``: a client whose
request is refused before that never sends its body.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from time import monotonic
from typing import Any

from s3filters.server.stream import Stream

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LINE_LIMIT = 1024  # bytes of a chunk's size line
EXTENSIONS_LIMIT = 16 << 10  # bytes of all chunk extensions of a body
TRAILER_LIMIT = 8 << 10  # bytes of all trailer fields; they are checked and dropped
READ_SLICE = 64 << 10  # bytes that read() takes at a time
LINE_SLICE = 4 << 10  # bytes received while a line of the framing is looked for

_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})((?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?)")
_TRAILER = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")


class MalformedBody(ConnectionError):
    """A chunked body that cannot be taken apart safely; its connection must end."""


class Input:
    """The reading half that bodies of all framings share. Without a body it is at its end."""

    __slots__ = ("_at", "_expects", "_pending", "_stream", "_timeout", "failure", "left")

    def __init__(
        self, stream: Stream | None, pending: bytes, left: int, expects: bool, timeout: float
    ) -> None:
        self._stream: Any = stream
        self._pending = pending  # received already, the next request's bytes too
        self._at = 0  # where in them the reader is
        self._expects = expects
        self._timeout = timeout
        self.left = left  # bytes of the body, or of its current chunk, still to come
        self.failure: OSError | None = None

    def _fill(self, view: memoryview) -> int:
        """Take from what has come already, or wait for more. The view is not empty."""
        there = min(len(view), len(self._pending) - self._at)
        if there:
            view[:there] = self._pending[self._at : self._at + there]
            self._at += there
            self._expects = False  # it did not wait to be asked
            return there
        if self._expects:
            self._expects = False
            self._stream.send(CONTINUE, self._timeout)
        count: int = self._stream.receive(view, self._timeout)
        if not count:
            raise ConnectionResetError("the client went away in the middle of the body")
        return count

    def readinto(self, view: memoryview | bytearray) -> int:
        """Fill some of the view and return how many bytes; 0 at the end."""
        if not self.left or not len(view):
            return 0
        if not isinstance(view, memoryview):
            view = memoryview(view)
        try:
            count = self._fill(view[: self.left])
        except OSError as error:
            self.failure = error
            raise
        self.left -= count
        return count

    def read(self, size: int | None = -1) -> bytes:
        """``size`` bytes, fewer only at the end; everything when it is negative."""
        parts: list[bytes] = []
        wanted = size if size is not None and size >= 0 else None
        buffer = memoryview(bytearray(min(wanted, READ_SLICE) if wanted else READ_SLICE))
        while wanted is None or wanted > 0:
            count = self.readinto(buffer if wanted is None else buffer[:wanted])
            if not count:
                break
            parts.append(bytes(buffer[:count]))
            wanted = None if wanted is None else wanted - count
        return b"".join(parts)

    def readline(self, size: int | None = -1) -> bytes:
        """Up to a line feed, which is included, or up to ``size`` bytes."""
        line = bytearray()
        one = memoryview(bytearray(1))
        limit = size if size is not None and size >= 0 else None
        while (limit is None or len(line) < limit) and self.readinto(one):
            line += one
            if line.endswith(b"\n"):
                break
        return bytes(line)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        """All lines; ``hint`` is ignored, as PEP 3333 allows."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    @property
    def at_end(self) -> bool:
        """Whether the whole body was read."""
        return not self.left

    def can_drain(self, limit: int) -> bool:
        """Whether the rest is small and sure to come: reading it costs less than a connection."""
        return self.left <= limit and not self._expects and self.failure is None

    def forget_expectation(self) -> None:
        """The answer has begun: 100 Continue must not follow it."""
        self._expects = False

    def drain(self, buffer: memoryview, limit: int, until: float) -> bytes:
        """Read the rest and drop it; return what came behind it, the next request's bytes.

        Raise TimeoutError over ``limit`` bytes or past the time ``until``; OSError as a read.
        """
        while count := self.readinto(buffer):
            limit -= count
            if limit < 0 or monotonic() > until:
                raise TimeoutError("the rest of the body takes too long")
        return self._pending[self._at :]


class ChunkedInput(Input):
    """A body in chunks."""

    __slots__ = ("_ended", "_extensions", "_started")

    def __init__(self, stream: Stream, pending: bytes, expects: bool, timeout: float) -> None:
        super().__init__(stream, pending, 0, expects, timeout)
        self._extensions = 0
        self._started = False
        self._ended = False

    def readinto(self, view: memoryview | bytearray) -> int:
        """Fill some of the view and return how many bytes; 0 after the last chunk."""
        if self._ended or not len(view):
            return 0
        try:
            if not self.left and not self._next_chunk():
                return 0
        except OSError as error:
            self.failure = error
            raise
        return super().readinto(view)

    @property
    def at_end(self) -> bool:
        """Whether the last chunk and the trailer were read."""
        return self._ended

    def can_drain(self, limit: int) -> bool:
        """Nobody announced how much is left; who read to a chunk's end has most likely read all."""
        read = self._ended or (self._started and not self.left)
        return read and not self._expects and self.failure is None

    def _next_chunk(self) -> bool:
        """Read a size line, and before it the end of the chunk before; False at the body's end."""
        if self._started and self._line(0):
            raise MalformedBody("a chunk is longer than its size")
        self._started = True
        match = _SIZE_LINE.fullmatch(self._line(LINE_LIMIT))
        if match is None:
            raise MalformedBody("this is not a chunk size")
        self._extensions += len(match[2])
        if self._extensions > EXTENSIONS_LIMIT:
            raise MalformedBody("the chunk extensions are too large")
        self.left = int(match[1], 16)
        if not self.left:
            self._read_trailer()
            self._ended = True
        return not self._ended

    def _read_trailer(self) -> None:
        room = TRAILER_LIMIT
        while line := self._line(room):
            if not _TRAILER.fullmatch(line):
                raise MalformedBody("this is not a trailer field")
            room -= len(line)

    def _line(self, limit: int) -> bytes:
        """The next line without its CRLF, of at most ``limit`` bytes."""
        end = self._pending.find(b"\r\n", self._at)
        while end < 0:
            held = self._pending[self._at :]
            if len(held) > limit + 1:
                break
            self._pending, self._at = b"", 0
            buffer = memoryview(bytearray(LINE_SLICE))
            count = self._fill(buffer)
            self._pending = held + buffer[:count]
            end = self._pending.find(b"\r\n")
        if end < 0 or end - self._at > limit:
            raise MalformedBody("a line of the chunked body is too long")
        line = self._pending[self._at : end]
        self._at = end + 2
        return line


def input_of(stream: Stream, pending: bytes, length: int, expects: bool, timeout: float) -> Input:
    """The input for a body of ``length`` bytes, -1 for chunks."""
    if length < 0:
        return ChunkedInput(stream, pending, expects, timeout)
    return Input(stream, pending, length, expects, timeout)
