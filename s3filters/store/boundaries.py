"""Where the parts of an object end, which upload made it, and the checksum of each part.

What is stored is the first of these that fits beside the file (ext4 has 4 KB for all attributes of
an inode, btrfs 16 KB and xfs 64 KB for one):

* ``user.mp-metadata``, which Versity's gateway reads too: JSON, gzipped,
  ``{"uploadId":"<id>","parts":[<bytes up to the end of part 1>,<of part 2>,...]}``
* ``user.s3filters.parts``: ``<id> <sizes>``, ASCII. ``<sizes>`` are those of the parts in their
  order, decimal, joined by commas; ``<count>*<size>`` stands for ``count`` parts of that size, one
  behind the other: ``386a110b-b0b4-4fef-bf2d-4e765e844d1b 9999*5242880,1234``. More than 256
  bytes of it are a zlib stream instead, which begins with ``x``.
* the same attribute as ``<id> <count>*``: how many there are, and not where they end.

So an object of any parts can be stored. ``user.s3filters.part-checksums`` comes last: one byte,
the size of a digest, and the digests of all parts behind each other. It is not there where it does
not fit. This one and ``user.mp-metadata``, for which there is something smaller, have to leave
1 KiB free when they are larger than that: tags may come later.

Other programs write attributes too: what makes no sense is as good as not being there.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from s3filters.store import gojson, xattrs
from s3filters.store.errors import MetadataTooLarge

THEIRS = "user.mp-metadata"
OURS = "user.s3filters.parts"
DIGESTS = "user.s3filters.part-checksums"
NAMES = (THEIRS, OURS, DIGESTS)

_PARTS = 10_000
_TEXT = 1 << 20  # bytes unpacked: 10,000 parts need about 150,000
_LONG = 256  # bytes of our text that are worth packing
_ROOM = 1024  # bytes to leave free beside what is larger than that
_LARGEST = 1 << 16  # bytes of any attribute (xattr(7))
_is_id = re.compile(r"[!-~]{0,256}").fullmatch
_is_run = re.compile(r"(?:([0-9]{1,5})\*)?([0-9]{1,16})").fullmatch


@dataclass(frozen=True, slots=True)
class Boundaries:
    """The attributes as they are stored, decoded when somebody asks: few who read an object do.

    ``size`` is that of the file; boundaries that do not fit it are none.
    """

    stored: Mapping[str, bytes]
    size: int

    @property
    def weight(self) -> int:
        """Bytes that are kept in memory."""
        return sum(map(len, self.stored.values()))

    def upload_id(self) -> str:
        """Return which upload made the object, empty when it is not known."""
        return self._decode()[0]

    def ends(self) -> tuple[int, ...]:
        """Return the cumulative sizes of the parts; none when they are not stored."""
        return self._decode()[1]

    def checksums(self) -> tuple[str, ...]:
        """Return the checksum of each part, base64; none when they are not stored."""
        value = self.stored.get(DIGESTS, b"")
        size = value[0] if value else 0
        if not size or len(value) % size != 1 % size or len(value) > 1 + size * _PARTS:
            return ()
        return tuple(
            base64.b64encode(value[at : at + size]).decode() for at in range(1, len(value), size)
        )

    def _decode(self) -> tuple[str, tuple[int, ...]]:
        theirs, ours = self.stored.get(THEIRS), self.stored.get(OURS)
        found = _decode_theirs(theirs, self.size) if theirs else None
        if found is None and ours:
            found = _decode_ours(ours, self.size)
        return found or ("", ())


def among(attributes: Mapping[str, bytes], size: int) -> Boundaries | None:
    """Return what a file's attributes say of its parts, None when they say nothing."""
    if THEIRS not in attributes and OURS not in attributes:
        return None
    return Boundaries({name: attributes[name] for name in NAMES if name in attributes}, size)


def write(fd: int, upload_id: str, ends: Sequence[int], checksums: Sequence[str]) -> Boundaries:
    """Store on an open file what fits of it, and return that.

    :param ends: cumulative sizes of the parts, at least one
    :param checksums: of each part, base64; none when they are not known

    Raise InsufficientStorage, OSError.
    """
    stored = {}
    for name, value in _forms(upload_id, ends):
        if _fits(fd, name, value, spare=_ROOM if name == THEIRS else 0):
            stored[name] = value
            break
    digests = _pack(checksums) if len(checksums) == len(ends) else b""
    if digests and _fits(fd, DIGESTS, digests, spare=_ROOM):
        stored[DIGESTS] = digests
    return Boundaries(stored, ends[-1])


def smallest(upload_id: str, spare: bytes = b"") -> tuple[str, bytes]:
    """Return name and value of the least that is stored of an object made of parts, and more."""
    return OURS, f"{upload_id} {_PARTS}*".encode() + spare


def _fits(fd: int, name: str, value: bytes, *, spare: int) -> bool:
    """Set an attribute; False when there is no room for it, or no ``spare`` bytes beside it."""
    if len(value) > _LARGEST:
        return False
    try:
        if len(value) > spare > 0:
            xattrs.write(fd, [(name, value + bytes(min(spare, _LARGEST - len(value))))])
        xattrs.write(fd, [(name, value)])
    except MetadataTooLarge:
        return False
    return True


# Forms -------------------------------------------------------------------------------------------


def _forms(upload_id: str, ends: Sequence[int]) -> Iterator[tuple[str, bytes]]:
    """Yield name and value, the best first."""
    document = gojson.encode({"uploadId": upload_id, "parts": list(ends)})
    yield THEIRS, gzip.compress(document, mtime=0)
    sizes = [end - start for start, end in pairwise((0, *ends))]
    runs = ((size, len(list(same))) for size, same in groupby(sizes))
    text = ",".join(f"{count}*{size}" if count > 1 else f"{size}" for size, count in runs)
    value = f"{upload_id} {text}".encode()
    yield OURS, value if len(value) <= _LONG else zlib.compress(value)
    yield OURS, f"{upload_id} {len(ends)}*".encode()


def _pack(checksums: Sequence[str]) -> bytes:
    """Return the digests with their size before them, nothing unless all have the same."""
    try:
        digests = [base64.b64decode(text, validate=True) for text in checksums]
    except binascii.Error:
        return b""
    sizes = {len(digest) for digest in digests}
    return b"".join([bytes(sizes), *digests]) if len(sizes) == 1 and 0 < max(sizes) < 256 else b""


def _decode_theirs(value: bytes, size: int) -> tuple[str, tuple[int, ...]] | None:
    unpacked = _unpack(value, 31) if value[:2] == b"\x1f\x8b" else value
    loaded = gojson.decode(unpacked) or {}
    ends, upload_id = loaded.get("parts"), loaded.get("uploadId")
    if not isinstance(ends, list) or not 0 < len(ends) <= _PARTS or ends[-1] != size:
        return None
    if not all(type(end) is int and end >= 0 for end in ends) or ends != sorted(ends):
        return None
    return upload_id if isinstance(upload_id, str) and _is_id(upload_id) else "", tuple(ends)


def _decode_ours(value: bytes, size: int) -> tuple[str, tuple[int, ...]] | None:
    text = (_unpack(value, 15) if value[:1] == b"x" else value).decode("latin-1")
    upload_id, space, runs = text.partition(" ")
    if not space or not _is_id(upload_id):
        return None
    if runs.endswith("*"):
        return (upload_id, ()) if runs[:-1].isdecimal() else None
    sizes: list[int] = []
    for run in runs.split(","):
        match = _is_run(run)
        count = int(match[1] or 1) if match else 0
        if match is None or len(sizes) + count > _PARTS:
            return None
        sizes += [int(match[2])] * count
    ends = tuple(accumulate(sizes))
    return (upload_id, ends) if ends and ends[-1] == size else None


def _unpack(value: bytes, wbits: int) -> bytes:
    """Return a packed value, empty when it is broken; no more than a bound of it."""
    try:
        return zlib.decompressobj(wbits=wbits).decompress(value, _TEXT)
    except zlib.error:
        return b""
