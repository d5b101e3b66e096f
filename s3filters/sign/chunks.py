"""aws-chunked: a body in chunks with a signature each, trailers behind them, decoded as it is read.

AWS, "Signature calculations for the Authorization header: transferring payload in multiple chunks"
and "… including trailing headers". A chunk is ``size;chunk-signature=…`` CRLF bytes CRLF, with the
size in hex; the last one has size 0; behind it trailers may stand. The decoder reads the connection
in pieces as large as the caller's buffer and closes up the gaps in place, so a byte is copied at
most once. The last bytes are handed out only when everything behind them has been checked.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from s3filters.s3.body import Source
from s3filters.s3.errors import S3Error
from s3filters.sign.v4 import mismatch, same, signature

if TYPE_CHECKING:
    from hashlib import _Hash

TRAILER_SIGNATURE = "x-amz-trailer-signature"
_EMPTY = hashlib.sha256().hexdigest()
_LINE = 512  # bytes of a chunk's first line, at most
_TAIL = 16384  # bytes behind the last chunk, at most
_SMALL = 8192  # a smaller buffer is not worth reading the connection into
_AHEAD = 65536  # bytes read beyond the chunk: chunks may be tiny, and nobody else runs meanwhile
_signed_size = re.compile(rb"([0-9a-fA-F]{1,16});chunk-signature=([0-9a-f]{64})\r\n").fullmatch
_plain_size = re.compile(rb"([0-9a-fA-F]{1,16})()(?:;[!-~ ]*)?\r\n").fullmatch
_trailer = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):([\t -~]*)").fullmatch
_NOTHING = memoryview(b"")


class Chain:
    """The chunk signatures: each signs its chunk and the signature before, the first the request's.

    :param access_key: for the error of a wrong one
    """

    def __init__(self, access_key: str, key: bytes, timestamp: str, scope: str, seed: str) -> None:
        self._access_key = access_key
        self._key = key
        self._where = f"{timestamp}\n{scope}\n"
        self._previous = seed

    def check_chunk(self, digest: str, provided: str) -> None:
        """Verify the next chunk (hex SHA-256 of its bytes). Raise SignatureDoesNotMatch."""
        self._check("AWS4-HMAC-SHA256-PAYLOAD", f"{_EMPTY}\n{digest}", provided)

    def check_trailers(self, trailers: dict[str, str], provided: str) -> None:
        """Verify the trailers, behind the last chunk. Raise SignatureDoesNotMatch."""
        lines = "".join(f"{name}:{trailers[name]}\n" for name in sorted(trailers))
        digest = hashlib.sha256(lines.encode("latin-1")).hexdigest()
        self._check("AWS4-HMAC-SHA256-TRAILER", digest, provided)

    def _check(self, kind: str, digests: str, provided: str) -> None:
        text = f"{kind}\n{self._where}{self._previous}\n{digests}"
        computed = signature(self._key, text)
        if not same(computed, provided):
            raise mismatch(self._access_key, provided, text)
        self._previous = computed


class Decoder:
    """An aws-chunked body, decoded: a Source.

    :param source: the encoded bytes
    :param length: decoded bytes as announced; another number is IncompleteBody
    :param encoded: bytes that the source has, None when it knows its end itself
    :param chain: verifies the chunks, None when they are not signed
    :param announced: names of the trailers that come, in lower case; None where none may
    """

    __slots__ = (
        "_announced", "_chain", "_chunk", "_encoded", "_finished", "_hash", "_last", "_length",
        "_line", "_made", "_on_line", "_owed", "_pending", "_provided", "_source", "_tail",
        "trailers",
    )  # fmt: skip

    def __init__(
        self,
        source: Source,
        length: int,
        *,
        encoded: int | None = None,
        chain: Chain | None = None,
        announced: frozenset[str] | None = None,
    ) -> None:
        self.trailers: dict[str, str] = {}  # lower-case name -> value, once everything was read
        self._source = source
        self._length = length
        self._encoded = encoded  # bytes left in the source
        self._chain = chain
        self._announced = announced
        self._made = 0  # decoded bytes so far
        self._owed = length  # decoded bytes in chunks that have not begun
        self._chunk = 0  # bytes left in this chunk
        self._hash: _Hash | None = None  # of this chunk
        self._provided = ""  # its signature
        self._on_line: Callable[[bytes], None] = self._begin_chunk
        self._line = b""  # the beginning of a line whose end has not come
        self._last = False  # the chunk of size 0 has been seen
        self._tail = b""  # what stands behind it
        self._pending = _NOTHING  # read, but not decoded
        self._finished = False

    def readinto(self, view: memoryview) -> int:
        """Fill some of the view with decoded bytes; 0 at the end.

        Raise IncompleteBody, SignatureDoesNotMatch or MalformedTrailerError, RequestTimeout.
        """
        made = 0
        while not made and len(view) and self._made < self._length:
            if not self._pending and len(view) >= _SMALL:
                count = self._receive(view[: self._chunk + _AHEAD])
                if not count:
                    raise S3Error("IncompleteBody")
                made = self._decode(view[:count], view, in_place=True)[1]
            else:
                raw = self._pending or self._read_ahead()
                used, made = self._decode(raw, view)
                self._pending = raw[used:]
        if self._made == self._length:
            self.finish()
        return made

    def finish(self) -> None:
        """Check the last chunk and what stands behind it; called once the last byte was decoded."""
        if self._finished:
            return
        if self._made != self._length:
            raise S3Error("IncompleteBody")
        while not self._last:
            raw = self._pending or self._read_ahead()
            self._pending = raw[self._decode(raw, _NOTHING)[0] :]
        self._keep(self._pending)
        while more := self._read_some():
            self._keep(more)
        self._finished = True
        self._check_trailers()

    def _read_some(self) -> memoryview:
        """Return some encoded bytes in a buffer of their own, none at the end of the source."""
        buffer = memoryview(bytearray(_SMALL))
        return buffer[: self._receive(buffer)]

    def _read_ahead(self) -> memoryview:
        more = self._read_some()
        if not more:
            raise S3Error("IncompleteBody")
        return more

    def _receive(self, view: memoryview) -> int:
        """Fill some of the view with encoded bytes; 0 at the end of the source."""
        if self._encoded is not None and self._encoded < len(view):
            view = view[: self._encoded]
        try:
            count = self._source.readinto(view) if len(view) else 0
        except TimeoutError as error:
            raise S3Error("RequestTimeout") from error
        except OSError as error:
            raise S3Error("IncompleteBody") from error
        if self._encoded is not None:
            if self._encoded and not count:
                raise S3Error("IncompleteBody")
            self._encoded -= count
        return count

    def _decode(self, raw: memoryview, out: memoryview, in_place: bool = False) -> tuple[int, int]:
        """Decode raw into out; return how many bytes of each were used.

        All of raw is, unless out is full.

        :param in_place: raw is the beginning of out; what is decoded is never longer than what was
            read for it, so nothing is overwritten before it was moved
        """
        at = made = 0
        while at < len(raw):
            if self._last:
                self._keep(raw[at:])
                at = len(raw)
            elif not self._chunk:
                at += self._take_line(raw[at : at + _LINE])
            else:
                count = min(self._chunk, len(raw) - at, len(out) - made)
                if not count:
                    break
                piece = raw[at : at + count]
                if self._hash is not None:
                    self._hash.update(piece)
                if not in_place or made != at:
                    out[made : made + count] = piece
                at += count
                made += count
                self._chunk -= count
        self._made += made
        return at, made

    def _take_line(self, window: memoryview) -> int:
        """Take a framing line, or as much of one as has come; return how many bytes that was."""
        text = window.tobytes()
        end = text.find(b"\n") + 1
        self._line += text[:end] if end else text
        if len(self._line) > _LINE:
            raise _malformed("a chunk's first line is too long")
        if not end:
            return len(text)
        line, self._line = self._line, b""
        self._on_line(line)
        return end

    def _begin_chunk(self, line: bytes) -> None:
        match = (_plain_size if self._chain is None else _signed_size)(line)
        if match is None:
            raise _malformed("a chunk does not begin with its size")
        size = int(match[1], 16)
        if size > self._owed or (not size and self._owed):
            raise S3Error("IncompleteBody")  # more, or less, than was announced
        self._owed -= size
        self._provided = match[2].decode()
        self._hash = None if self._chain is None else hashlib.sha256()
        self._chunk = size
        self._on_line = self._end_chunk
        if not size:
            self._last = True
            self._check_chunk()

    def _end_chunk(self, line: bytes) -> None:
        if line != b"\r\n":
            raise _malformed("a chunk does not end where its size says")
        self._check_chunk()
        self._on_line = self._begin_chunk

    def _check_chunk(self) -> None:
        if self._chain is not None and self._hash is not None:
            self._chain.check_chunk(self._hash.hexdigest(), self._provided)

    def _keep(self, more: memoryview) -> None:
        self._tail += more
        if len(self._tail) > _TAIL:
            raise S3Error("MalformedTrailerError")

    def _check_trailers(self) -> None:
        trailers = _parsed(self._tail)
        if self._announced is None:
            if trailers:
                raise _malformed("bytes follow the last chunk")
            return
        if self._chain is not None:
            provided = trailers.pop(TRAILER_SIGNATURE, None)
            if provided is None:
                raise S3Error("MalformedTrailerError")
            self._chain.check_trailers(trailers, provided)
        if trailers.keys() != self._announced:
            raise S3Error("MalformedTrailerError")
        self.trailers.update(trailers)


def _parsed(tail: bytes) -> dict[str, str]:
    """Return the trailers: lower-case name -> value.

    MinIO's client ends a trailer with LF CR LF before the signature, so empty lines mean nothing.
    """
    trailers: dict[str, str] = {}
    *lines, rest = tail.split(b"\n")
    if rest.strip(b"\r"):
        raise S3Error("IncompleteBody")
    for line in lines:
        text = line.removesuffix(b"\r")
        if not text:
            continue
        match = _trailer(text)
        name = match[1].decode().lower() if match else ""
        if match is None or name in trailers:
            raise S3Error("MalformedTrailerError")
        trailers[name] = match[2].decode().strip(" \t")
    return trailers


def _malformed(why: str) -> S3Error:
    return S3Error("IncompleteBody", f"The request body is not well-formed aws-chunked: {why}.")
