"""A request's body, read once, with the proofs that it must pass.

The reader and the hashing are apart on purpose: ``readinto`` is called where the socket is,
``update`` may run in another thread while the next bytes arrive, ``verify`` ends both. What a
filter knows about the body (the signed SHA-256, a Content-MD5, a checksum header) it adds with
``expect``; whoever consumes the body calls the three in order and can believe what it read only
after ``verify``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from s3filters.s3 import checksums
from s3filters.s3.errors import S3Error


class Source(Protocol):
    """Decoded bytes of a request: the server's input, or an aws-chunked decoder before it.

    It may have ``finish()``, which is called once the announced bytes were read, to check what
    follows them (last chunk, trailers), and may raise what ``readinto`` raises.
    """

    def readinto(self, view: memoryview, /) -> int:
        """Fill some of the view; 0 at the end. Raise S3Error when what came cannot be right."""


class _PlainInput:
    """``wsgi.input`` of servers that can only ``read``; never reads past the view given."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def readinto(self, view: memoryview, /) -> int:
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)


def source_of(stream: Any) -> Source:
    """Return ``wsgi.input`` as a Source, whatever the server gives."""
    source: Source = stream if hasattr(stream, "readinto") else _PlainInput(stream)
    return source


Digest = bytes | Callable[[], bytes | None]


class Body:
    """Bytes of a request and what they must prove.

    :param source: where decoded bytes come from
    :param length: decoded length in bytes as announced, or None when unknown

    ``trailers`` (lower-case name -> value) are filled by the source at its end.
    """

    __slots__ = ("_expected", "_finish", "_hashers", "_read", "_source", "length", "trailers")

    def __init__(self, source: Source, length: int | None) -> None:
        self._source = source
        self._finish: Callable[[], Any] | None = getattr(source, "finish", None)
        self.length = length
        self._read = 0
        self._hashers: dict[str, checksums.Hasher] = {}
        self._expected: list[tuple[str, Digest, str, str | None]] = []
        self.trailers: dict[str, str] = {}

    def want(self, algorithm: str) -> None:
        """Compute this algorithm (a name in ``checksums.ALGORITHMS``) while the body is read."""
        if algorithm not in self._hashers:
            self._hashers[algorithm] = checksums.hasher(algorithm)

    def expect(self, algorithm: str, digest: Digest, code: str, message: str | None = None) -> None:
        """Demand a digest, or fail ``verify`` with the error code (and words).

        A callable is asked at the end of the body, for what a trailer says; None means that it
        never came, which fails as MalformedTrailerError.
        """
        self.want(algorithm)
        self._expected.append((algorithm, digest, code, message))

    def readinto(self, view: memoryview) -> int:
        """Fill some of the view with the next bytes, in the thread that owns the connection.

        Return how many, 0 at the end. Raise S3Error: IncompleteBody when it ends early,
        RequestTimeout when the client is too slow, or what the source finds wrong.
        """
        try:
            if self.length is None:
                count = self._source.readinto(view)
            else:
                left = self.length - self._read
                if not left:
                    self._end()
                    return 0
                count = self._source.readinto(view if left >= len(view) else view[:left])
        except TimeoutError as error:
            raise S3Error("RequestTimeout") from error
        except OSError as error:
            raise S3Error("IncompleteBody") from error
        self._read += count
        if not count and len(view):
            if self.length is not None:
                raise S3Error(
                    "IncompleteBody",
                    NumberBytesExpected=self.length,
                    NumberBytesProvided=self._read,
                )
            self._end()
        return count

    def _end(self) -> None:
        """Let the source check its tail, once."""
        if self._finish is not None:
            finish, self._finish = self._finish, None
            finish()

    def update(self, view: memoryview | bytes) -> None:
        """Hash bytes that were read, in their order; may run in another thread."""
        for hasher in self._hashers.values():
            hasher.update(view)

    def verify(self) -> None:
        """After the last byte: raise S3Error with the code of the first proof that fails."""
        for algorithm, expected, code, message in self._expected:
            digest = expected() if callable(expected) else expected
            if digest is None:
                raise S3Error("MalformedTrailerError")
            computed = self._hashers[algorithm].digest()
            if digest != computed:
                raise S3Error(code, message, **_both(code, algorithm, digest, computed))

    def digest(self, algorithm: str) -> bytes:
        """The digest of what was read; ``want`` or ``expect`` must have named the algorithm."""
        return self._hashers[algorithm].digest()

    def read(self, limit: int, code: str = "MaxMessageLengthExceeded") -> bytes:
        """Read a whole small body, verified. Raise S3Error(code) when over ``limit`` bytes."""
        if self.length is not None and self.length > limit:
            raise S3Error(code)
        room = limit + 1 if self.length is None else self.length
        view, filled = memoryview(bytearray(room)), 0
        while filled < room:
            count = self.readinto(view[filled:])
            if not count:
                break
            filled += count
        if filled > limit:
            raise S3Error(code)
        if self.length is not None:
            self.readinto(view[filled:])  # nothing is left but the source's tail
        data = view[:filled]
        self.update(data)
        self.verify()
        return bytes(data)


def _both(code: str, algorithm: str, given: bytes, computed: bytes) -> dict[str, Any]:
    """The two digests as S3 tells them, under the names of the error."""
    if code == "XAmzContentSHA256Mismatch":
        return {
            "ClientComputedContentSHA256": given.hex(),
            "S3ComputedContentSHA256": computed.hex(),
        }
    if algorithm == "MD5":
        both = checksums.b64(given), checksums.b64(computed)
        return {"ExpectedDigest": both[0], "CalculatedDigest": both[1]}
    return {}
