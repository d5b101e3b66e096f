"""Checksums that S3 knows: names, headers, sizes and how each is computed; nothing of requests.

Names are AWS's (``CRC64NVME``). A digest is bytes; CRCs are big-endian, as S3 encodes them. CRC32C
and CRC64NVME come from AWS's own runtime, which uses the processor's instructions.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from awscrt.checksums import crc32c, crc64nvme  # type: ignore[import-untyped]

Buffer = bytes | bytearray | memoryview


class Hasher(Protocol):
    """A digest being computed."""

    def update(self, data: Buffer, /) -> None:
        """Add bytes."""

    def digest(self) -> bytes:
        """Return the digest of what was added so far; may be asked again."""


class _Crc:
    """A CRC as a Hasher."""

    __slots__ = ("_compute", "_size", "_value")

    def __init__(self, compute: Callable[..., int], size: int) -> None:
        self._compute = compute
        self._size = size
        self._value = 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._compute(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


class Algorithm(NamedTuple):
    """A row of ``ALGORITHMS``; ``header`` is lower case, ``size`` the digest's in bytes."""

    header: str
    size: int
    factory: Callable[[], Hasher]


# Not for security: some systems refuse MD5 and SHA-1 otherwise.
ALGORITHMS: dict[str, Algorithm] = {
    "MD5": Algorithm("content-md5", 16, partial(hashlib.md5, usedforsecurity=False)),
    "CRC32": Algorithm("x-amz-checksum-crc32", 4, partial(_Crc, zlib.crc32, 4)),
    "CRC32C": Algorithm("x-amz-checksum-crc32c", 4, partial(_Crc, crc32c, 4)),
    "CRC64NVME": Algorithm("x-amz-checksum-crc64nvme", 8, partial(_Crc, crc64nvme, 8)),
    "SHA1": Algorithm("x-amz-checksum-sha1", 20, partial(hashlib.sha1, usedforsecurity=False)),
    "SHA256": Algorithm("x-amz-checksum-sha256", 32, hashlib.sha256),
}
OBJECT_ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")  # stored with an object
DEFAULT = "CRC64NVME"  # computed when the client sends none, as AWS does


def hasher(name: str) -> Hasher:
    """Return a new Hasher of an algorithm of the table."""
    return ALGORITHMS[name].factory()


def b64(digest: bytes) -> str:
    """Return a digest as headers carry it."""
    return binascii.b2a_base64(digest, newline=False).decode()


def from_b64(text: str, size: int) -> bytes | None:
    """Return the digest of a header's text, None when it is no base64 of that many bytes."""
    try:
        digest = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return digest if len(digest) == size else None
