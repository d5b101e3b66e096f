"""What S3 says of multipart uploads: the list of parts, their checks, and what the object becomes.

Pure: it reads the client's list, compares it with what is stored, and computes ETag and checksum of
the object from those of its parts. No byte of a part is read again. Sources: AWS API reference,
CreateMultipartUpload, UploadPart, CompleteMultipartUpload; User Guide, "Checking object integrity".

An upload that declared no checksum is treated as CRC64NVME, FULL_OBJECT (``in_effect``). ETags are
without quotes, checksums base64, algorithms in AWS's spelling (``CRC64NVME``).
"""

from __future__ import annotations

import binascii
import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, Protocol
from xml.parsers import expat

from awscrt.checksums import (  # type: ignore[import-untyped]
    combine_crc32,
    combine_crc32c,
    combine_crc64nvme,
)

from s3filters.s3 import checksums, rules
from s3filters.s3.errors import S3Error

OPERATIONS = frozenset({
    "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload",
    "AbortMultipartUpload", "ListParts", "ListMultipartUploads",
})  # fmt: skip

COMPOSITE, FULL_OBJECT = "COMPOSITE", "FULL_OBJECT"

_COMBINE: dict[str, Callable[[int, int, int], int]] = {
    "CRC32": combine_crc32,
    "CRC32C": combine_crc32c,
    "CRC64NVME": combine_crc64nvme,
}
# The types that an algorithm can have, the one for uploads that name none first
_TYPES: dict[str, tuple[str, ...]] = {
    "CRC32": (COMPOSITE, FULL_OBJECT),
    "CRC32C": (COMPOSITE, FULL_OBJECT),
    "CRC64NVME": (FULL_OBJECT,),
    "SHA1": (COMPOSITE,),
    "SHA256": (COMPOSITE,),
}


class CompletedPart(NamedTuple):
    """One part of a client's list; ``checksum`` is (algorithm, base64) where it gave one."""

    number: int
    etag: str
    checksum: tuple[str, str] | None = None


class StoredPart(Protocol):
    """A part as it is stored; ``algorithm`` and ``checksum`` are empty where nobody knows them."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def etag(self) -> str:
        """Without quotes."""

    @property
    def algorithm(self) -> str:
        """That of the upload."""

    @property
    def checksum(self) -> str:
        """Base64."""


# --- the document of CompleteMultipartUpload ---------------------------------------------------

_ROOT, _PART, _NUMBER, _ETAG = "CompleteMultipartUpload", "Part", "PartNumber", "ETag"
_ALGORITHM_OF = {f"Checksum{name}": name for name in checksums.OBJECT_ALGORITHMS}
_FIELDS = frozenset({_NUMBER, _ETAG, *_ALGORITHM_OF})
_LONGEST = 1024  # characters of a field, blanks included
_Fields = dict[str, str]


class _Names(dict[str, str]):
    """Local names by the names that expat gives: ``namespace name``."""

    def __missing__(self, tag: str) -> str:
        name = self[tag] = tag.rpartition(" ")[2]
        return name


def parse_parts(body: bytes) -> list[CompletedPart]:
    """Return the parts of a CompleteMultipartUpload document; the caller bounds its size.

    Raise MalformedXML, also for no part, more than 10,000, a number that no part has, and anything
    that is not understood; InvalidRequest for two checksums of one part; InvalidPartOrder when the
    numbers do not ascend.
    """
    reader = _Reader()
    try:
        _parser(reader).Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise S3Error("MalformedXML") from error.with_traceback(None)
    if not reader.parts:
        raise S3Error("MalformedXML")
    completed = [_completed(fields) for fields in reader.parts]
    _check_order(completed)
    return completed


class _Reader:
    """Gathers the fields of each part; to build a tree first costs several times more.

    ``depth`` is 1 in the root, 2 in a part, 3 in a field of it, and never more.
    """

    __slots__ = ("_depth", "_fields", "_names", "_text", "parts")

    def __init__(self) -> None:
        self.parts: list[_Fields] = []
        self._depth = 0
        self._names = _Names()
        self._fields: _Fields = {}
        self._text = ""

    def start(self, tag: str, _attributes: object) -> None:
        depth = self._depth = self._depth + 1
        if depth == 3:
            self._text = ""
        elif depth == 2 and self._names[tag] == _PART and len(self.parts) < rules.PART_NUMBERS:
            self._fields = {}
        elif depth != 1 or self._names[tag] != _ROOT:
            raise S3Error("MalformedXML")

    def end(self, tag: str) -> None:
        depth = self._depth
        if depth == 3:
            name = self._names[tag]
            if name not in _FIELDS or name in self._fields:
                raise S3Error("MalformedXML")
            self._fields[name] = self._text
        elif depth == 2:
            self.parts.append(self._fields)
        self._depth = depth - 1

    def data(self, text: str) -> None:
        if self._depth == 3:  # else blanks between elements
            self._text += text
            if len(self._text) > _LONGEST:
                raise S3Error("MalformedXML")


def _parser(reader: _Reader) -> expat.XMLParserType:
    parser = expat.ParserCreate(None, " ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.StartDoctypeDeclHandler = _no_document_type  # so no entities but the five of XML
    return parser


def _no_document_type(*_: object) -> None:
    raise S3Error("MalformedXML")


def _completed(fields: _Fields) -> CompletedPart:
    number, etag = _number(fields.pop(_NUMBER, "")), fields.pop(_ETAG, None)
    if etag is None:
        raise S3Error("MalformedXML")
    etag = etag.strip()
    if etag[:1] == '"':
        etag = etag[1:].removesuffix('"')
    if not fields:
        return CompletedPart(number, etag)
    if len(fields) > 1:
        raise S3Error(
            "InvalidRequest",
            "Expecting a single checksum for each part. Multiple checksum Types are not allowed.",
            PartNumber=number,
        )
    ((name, text),) = fields.items()
    return CompletedPart(number, etag, (_ALGORITHM_OF[name], text.strip()))


def _number(text: str) -> int:
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 9:
        number = int(text)
        if 1 <= number <= rules.PART_NUMBERS:
            return number
    raise S3Error("MalformedXML")


def _check_order(parts: list[CompletedPart]) -> None:
    before = 0
    for part in parts:
        if part.number <= before:
            raise S3Error("InvalidPartOrder", PartNumber=part.number)
        before = part.number


# --- what an upload declares -------------------------------------------------------------------


def check_declaration(algorithm: str | None, kind: str | None) -> tuple[str, str]:
    """Return checksum algorithm and type of a new upload, both empty when it declares none.

    Raise InvalidRequest for a type without an algorithm, or one that the algorithm cannot have.
    """
    if not algorithm:
        if kind:
            raise S3Error(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the "
                "x-amz-checksum-algorithm header.",
            )
        return "", ""
    kinds = _TYPES[algorithm]
    kind = kind or kinds[0]
    if kind not in kinds:
        raise S3Error(
            "InvalidRequest",
            f"The {kind} checksum type cannot be used with the {algorithm.lower()} checksum "
            "algorithm.",
        )
    return algorithm, kind


def in_effect(algorithm: str, kind: str) -> tuple[str, str]:
    """Return what holds for an upload that declared these, or nothing: algorithm and type.

    What is not computed here (another gateway took the declaration) counts as nothing.
    """
    if algorithm not in _TYPES:
        return checksums.DEFAULT, FULL_OBJECT
    kinds = _TYPES[algorithm]
    return algorithm, kind if kind in kinds else kinds[0]


def check_part_checksum(declared: str, given: str | None, kind: str = "") -> None:
    """Check the algorithm of a part's checksum, None without one, against that of its upload.

    An upload that declared none takes any: SDKs send CRC32 with each part unasked, also where their
    user began the upload without a word of checksums. Raise InvalidRequest when it is another. A
    part of a COMPOSITE upload must bring one: pass the upload's type as ``kind`` to have that
    checked too.
    """
    if declared and given != declared and (given is not None or kind == COMPOSITE):
        raise _other_algorithm(declared, given)


def _other_algorithm(declared: str, given: str | None) -> S3Error:
    expected, actual = (declared or "null").lower(), (given or "null").lower()
    return S3Error(
        "InvalidRequest",
        f"Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum "
        f"Type: {actual}",
    )


# --- what the object becomes -------------------------------------------------------------------


def etag_of(etags: Iterable[str]) -> str:
    """Return the ETag of an object made of parts with these ETags: ``<MD5, hex>-<parts>``.

    An ETag of a part that is no MD5 (other gateways can be told to write such) counts by its text.
    """
    each = list(etags)
    joined = "".join(each)
    try:
        raw = bytes.fromhex(joined)
    except ValueError:
        raw = joined.encode()
    return f"{hashlib.md5(raw, usedforsecurity=False).hexdigest()}-{len(each)}"


def object_checksum(algorithm: str, kind: str, parts: Iterable[tuple[int, str]]) -> str:
    """Return the checksum of an object whose parts have these (sizes, checksums).

    FULL_OBJECT: that of all bytes, combined from the CRCs. COMPOSITE: that of the parts' digests,
    ``-`` and their count. "" when the checksum of a part is not known.
    """
    each = list(parts)
    try:
        digests = [binascii.a2b_base64(text) for _, text in each]
    except ValueError:
        return ""
    size = checksums.ALGORITHMS[algorithm].size
    if any(len(digest) != size for digest in digests):
        return ""
    if kind == FULL_OBJECT:
        combine, value = _COMBINE[algorithm], 0
        for (length, _), digest in zip(each, digests, strict=True):
            value = combine(value, int.from_bytes(digest, "big"), length)
        return checksums.b64(value.to_bytes(size, "big"))
    hasher = checksums.hasher(algorithm)
    hasher.update(b"".join(digests))
    return f"{checksums.b64(hasher.digest())}-{len(each)}"


# --- the checks of CompleteMultipartUpload -----------------------------------------------------


def check_parts(
    upload_id: str,
    declared: tuple[str, str],
    asked: Sequence[CompletedPart],
    stored: Sequence[StoredPart | None],
) -> None:
    """Check the client's list against what is stored for each of its numbers (None: no such part).

    :param declared: algorithm and type of the upload, empty when it declared none: then a part may
        have come with any checksum, and those of other algorithms than the stored are not compared

    Raise InvalidPart for a part that is not there, or has another ETag or checksum; InvalidRequest
    for a part of a COMPOSITE upload without a checksum; EntityTooSmall for a part under 5 MiB that
    is not the last; EntityTooLarge over 5 TiB.
    """
    algorithm, kind = declared
    must = bool(algorithm) and in_effect(algorithm, kind)[1] == COMPOSITE
    total = 0
    for part, found in zip(asked, stored, strict=True):
        if found is None or found.etag != part.etag:
            raise _invalid_part(upload_id, part)
        checksum = part.checksum
        if checksum is None:
            if must:
                raise _missing_checksum(algorithm, part)
        elif checksum != (found.algorithm, found.checksum) and (
            algorithm or checksum[0] == found.algorithm
        ):
            raise _invalid_part(upload_id, part)
        total += found.size
    for part, found in islice(zip(asked, stored, strict=True), len(asked) - 1):
        if found is not None and found.size < rules.PART_BYTES:
            raise S3Error(
                "EntityTooSmall",
                ProposedSize=found.size,
                MinSizeAllowed=rules.PART_BYTES,
                PartNumber=part.number,
                ETag=part.etag,
            )
    if total > rules.OBJECT_BYTES:
        raise S3Error("EntityTooLarge", ProposedSize=total, MaxSizeAllowed=rules.OBJECT_BYTES)


def _invalid_part(upload_id: str, part: CompletedPart) -> S3Error:
    return S3Error("InvalidPart", UploadId=upload_id, PartNumber=part.number, ETag=part.etag)


def _missing_checksum(algorithm: str, part: CompletedPart) -> S3Error:
    return S3Error(
        "InvalidRequest",
        f"The upload was created using a {algorithm.lower()} checksum. The complete request must "
        f"include the checksum for each part. It was missing for part {part.number} in the "
        "request.",
    )


def check_object(
    declared: tuple[str, str], size: int, checksum: str, params: Mapping[str, Any]
) -> None:
    """Check what the client says of the whole object against what it becomes.

    :param declared: algorithm and type of the upload, empty when it declared none
    :param checksum: as ``object_checksum`` gives it
    :param params: of CompleteMultipartUpload: ``MpuObjectSize``, ``ChecksumType`` and
        ``ObjectChecksum`` (algorithm, base64), each None when not given

    Raise InvalidRequest for another size, type or algorithm, BadDigest for another checksum.
    """
    algorithm, kind = in_effect(*declared)
    said = params.get("ChecksumType")
    if said is not None and said != kind:
        raise S3Error(
            "InvalidRequest",
            f"The upload was created using the {kind} checksum mode. The complete request must use "
            "the same checksum mode.",
        )
    said = params.get("MpuObjectSize")
    if said is not None and said != size:
        raise S3Error(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {said} does not match what was "
            f"computed: {size}",
        )
    said = params.get("ObjectChecksum")
    if said is not None:
        if said[0] != algorithm:
            raise _other_algorithm(declared[0], said[0])
        # The count behind a COMPOSITE checksum may be left out.
        if said[1] not in (checksum, checksum.partition("-")[0]) or not checksum:
            message = f"The {algorithm} you specified did not match the calculated checksum."
            raise S3Error("BadDigest", message)
