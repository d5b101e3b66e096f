"""A request's body, read once, with the proofs that it must pass.

The reader and the hashing are apart on purpose: ``readinto`` is called where the socket is,
``update`` may run in another thread while the next bytes arrive, ``verify`` ends both. What a filter
knows about the body (the signed SHA-256, a Content-MD5, a checksum header) it adds with ``expect``;
whoever consumes the body calls the three in order and can believe what it read only after
``verify``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from s3filters.s3 import checksums
from s3filters.s3.errors import S3Error


class Source(Protocol):
    """Decoded bytes of a request: the server's input, or an aws-chunked decoder before it."""

    def readinto(self, view: memoryview) -> int:
        """Fill some of the view; 0 at the end. Raise S3Error when what came cannot be right."""


class _PlainInput:
    """``wsgi.input`` of servers that can only ``read``; never reads past the length given."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readinto(self, view: memoryview) -> int:
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)


def source_of(stream: Any) -> Source:
    """Return ``wsgi.input`` as a Source, whatever the server gives."""
    return stream if hasattr(stream, "readinto") else _PlainInput(stream)  # type: ignore[no-any-return]


class Body:
    """Bytes of a request and what they must prove.

    :param source: where decoded bytes come from
    :param length: decoded length in bytes as announced, or None when unknown
    """

    __slots__ = ("_expected", "_hashers", "_read", "_source", "length", "trailers")

    def __init__(self, source: Source, length: int | None) -> None:
        self._source = source
        self.length = length
        self._read = 0
        self._hashers: dict[str, checksums.Hasher] = {}
        self._expected: list[tuple[str, Callable[[], bytes | None], str]] = []
        self.trailers: dict[str, str] = {}  # lower-case name -> value, filled by the source at its end

    def want(self, algorithm: str) -> None:
        """Compute this algorithm (a name in ``checksums.ALGORITHMS``) while the body is read."""
        if algorithm not in self._hashers:
            self._hashers[algorithm] = checksums.hasher(algorithm)

    def expect(self, algorithm: str, digest: bytes | Callable[[], bytes | None], code: str) -> None:
        """Demand a digest, or fail ``verify`` with the error code.

        A callable is asked at the end of the body, for what a trailer says; None means that it never
        came, which fails too.
        """
        self.want(algorithm)
        ask = digest if callable(digest) else lambda: digest
        self._expected.append((algorithm, ask, code))

    def readinto(self, view: memoryview) -> int:
        """Fill some of the view with the next bytes, in the thread that owns the connection.

        Return how many, 0 at the end. Raise S3Error: IncompleteBody when it ends early,
        RequestTimeout when the client is too slow, or what the source finds wrong.
        """
        if self.length is not None:
            left = self.length - self._read
            if left < len(view):
                view = view[:left] if left else view[:0]
            if not left:
                # A decoder has a tail (last chunk, trailers) to check behind the last byte.
                drain = getattr(self._source, "finish", None)
                if drain is not None:
                    drain()
                return 0
        try:
            count = self._source.readinto(view)
        except TimeoutError as error:
            raise S3Error("RequestTimeout") from error
        except OSError as error:
            raise S3Error("IncompleteBody") from error
        self._read += count
        if not count and self.length is not None:
            raise S3Error("IncompleteBody")
        return count

    def update(self, view: memoryview | bytes) -> None:
        """Hash bytes that were read, in their order; may run in another thread."""
        for hasher in self._hashers.values():
            hasher.update(view)

    def verify(self) -> None:
        """After the last byte: raise S3Error with the code of the first proof that fails."""
        for algorithm, ask, code in self._expected:
            if ask() != self._hashers[algorithm].digest():
                raise S3Error(code)

    def digest(self, algorithm: str) -> bytes:
        """The digest of what was read; ``want`` or ``expect`` must have named the algorithm."""
        return self._hashers[algorithm].digest()

    def read(self, limit: int, code: str = "MaxMessageLengthExceeded") -> bytes:
        """Read a whole small document, verified. Raise S3Error(code) when it is over ``limit`` bytes."""
        if self.length is not None and self.length > limit:
            raise S3Error(code)
        buffer = bytearray(min(limit + 1, self.length if self.length is not None else limit + 1))
        view, filled = memoryview(buffer), 0
        while count := self.readinto(view[filled:]) if filled < len(buffer) or self.length is not None else 0:
            filled += count
        if filled > limit:
            raise S3Error(code)
        self.update(view[:filled])
        self.verify()
        return bytes(view[:filled])
