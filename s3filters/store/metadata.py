"""What is known of an object beside its bytes, and the extended attributes that hold it.

Names and encodings are those of Versity's gateway, so either program serves what the other wrote:
``user.etag`` (with its quotes), the standard headers raw, ``user.metadata`` and
``user.checksums`` as JSON, ``user.mp-metadata`` as gzipped JSON, ``user.X-Amz-Tagging``. Ours,
never theirs with another meaning: ``user.s3filters.storage-class`` when it is not STANDARD, and
``user.s3filters.seal``, ``<size> <mtime in ns>`` of the file when its ETag was written. A file
whose size or mtime is another now was edited behind the gateway: its ETag and checksums are not
shown any more.

A file that somebody else put there has none of this. Its ETag is made from inode, size and mtime,
so it changes when the file does, and ends in ``-0`` so that no client takes it for an MD5.
"""

from __future__ import annotations

import errno
import gzip
import hashlib
import json
import mimetypes
import os
import re
import stat
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from s3filters.store.errors import InsufficientStorage, MetadataTooLarge

STANDARD_HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "website-redirect-location",
)
DEFAULT_TYPE = "binary/octet-stream"  # S3's own, and what Versity's gateway writes
SEAL = "user.s3filters.seal"
STORAGE_CLASS = "user.s3filters.storage-class"
_HEADER_OF = {"user." + name: name for name in STANDARD_HEADERS}
_LEGACY = "user.X-Amz-Meta."
# What ``encode`` may write besides the ETag.
NAMES = (
    *_HEADER_OF,
    SEAL,
    STORAGE_CLASS,
    "user.checksums",
    "user.metadata",
    "user.mp-metadata",
    "user.X-Amz-Tagging",
)
# The order of Versity's structure; ``null`` stands for each algorithm that was not used.
_ALGORITHMS = (
    "CRC32",
    "CRC32C",
    "SHA1",
    "SHA256",
    "CRC64NVME",
    "SHA512",
    "MD5",
    "XXHASH64",
    "XXHASH3",
    "XXHASH128",
)
_KINDS = ("FULL_OBJECT", "COMPOSITE")
# What may stand in a header: other programs write attributes too.
_WORD = re.compile(rb'"?([!#-~]{1,256})"?').fullmatch
_BASE64 = re.compile(r"[0-9A-Za-z+/=-]+").fullmatch
_MAX_PARTS_JSON = 1 << 20  # bytes of mp-metadata unpacked: 10,000 parts need about 150,000
_ROOMY = 64  # free blocks that say: it is not the disk that is full, it is the inode


@dataclass(slots=True)
class Checksums:
    """A checksum: ``type`` is FULL_OBJECT or COMPOSITE, ``value`` base64 (``-N`` behind it)."""

    algorithm: str
    type: str
    value: str


@dataclass(slots=True)
class Record:
    """One object, without its bytes. Read only: records are shared between requests.

    ``etag`` is hex or hex-N without quotes; ``headers`` and ``user`` map lower-case names to text;
    ``parts`` holds the cumulative sizes of a multipart object, ``part_checksums`` the checksum of
    each, base64, ``upload_id`` which upload made it; ``tags`` is how many there are.
    ``touched``: edited behind the gateway, so etag is derived and there are no checksums.
    ``answered`` is for whoever reads objects to keep what follows from all the rest.
    """

    size: int
    mtime_ns: int
    ino: int
    dev: int
    ctime_ns: int
    etag: str
    headers: dict[str, str]
    user: dict[str, str]
    checksums: Checksums | None
    storage_class: str = "STANDARD"
    parts: tuple[int, ...] = ()
    tags: int = 0
    is_directory: bool = False
    touched: bool = False
    upload_id: str = ""
    part_checksums: tuple[str, ...] = ()
    answered: Any = field(default=None, init=False, compare=False, repr=False)  # kept by readers


@dataclass(slots=True)
class Attributes:
    """What to store beside the bytes: a Record's fields as the one who puts the object has them."""

    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    checksums: Checksums | None = None
    storage_class: str = "STANDARD"
    parts: tuple[int, ...] = ()
    tags: Mapping[str, str] | None = None
    upload_id: str = ""
    part_checksums: tuple[str, ...] = ()


# Reading -----------------------------------------------------------------------------------------


def read(target: int | str, found: os.stat_result, name: str) -> Record | None:
    """Return the record of a file or directory, None where it is no object.

    :param target: descriptor, or path that is not followed when it is a link (``/proc/self/fd/N``
        leads to its file, also from a descriptor that was opened with O_PATH)
    :param found: its stat, taken before
    :param name: last component of the key, from which a foreign file's type is guessed

    No object is a directory without an ETag, a delete marker of Versity's, and what is neither
    file nor directory. Raise OSError.
    """
    is_directory = stat.S_ISDIR(found.st_mode)
    if not is_directory and not stat.S_ISREG(found.st_mode):
        return None
    raw = _attributes(target) if isinstance(target, int) else _attributes_at(target)
    if "user.delete-marker" in raw or (is_directory and "user.etag" not in raw):
        return None
    etag = _word(raw.get("user.etag"))
    size = 0 if is_directory else found.st_size
    seal = raw.get(SEAL)
    touched = seal is not None and not is_directory and seal != b"%d %d" % (size, found.st_mtime_ns)
    checksums = None
    parts: tuple[int, ...] = ()
    upload_id = ""
    if not etag or touched:
        etag = derived_etag(found)
    else:
        checksums = _checksums(raw.get("user.checksums"))
        upload_id, parts = _parts(raw.get("user.mp-metadata"), size)
    foreign = "user.etag" not in raw
    return Record(
        size=size,
        mtime_ns=found.st_mtime_ns,
        ino=found.st_ino,
        dev=found.st_dev,
        ctime_ns=found.st_ctime_ns,
        etag=etag,
        headers=_headers(raw, guess_type(name) if foreign else DEFAULT_TYPE),
        user=_user(raw),
        checksums=checksums,
        storage_class=_word(raw.get(STORAGE_CLASS)) or "STANDARD",
        parts=parts,
        tags=len(tags_in(raw.get("user.X-Amz-Tagging"))),
        is_directory=is_directory,
        touched=touched,
        upload_id=upload_id,
    )


def derived_etag(found: os.stat_result) -> str:
    """Return the ETag of a file that has none: it changes when the file does."""
    text = b"%d %d %d" % (found.st_ino, found.st_size, found.st_mtime_ns)
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + "-0"


@lru_cache(maxsize=256)
def _type_of_suffix(suffix: str) -> str:
    guessed, encoding = mimetypes.guess_type("x" + suffix)
    if encoding is not None:
        return {"gzip": "application/gzip"}.get(encoding, "application/octet-stream")
    return guessed or DEFAULT_TYPE


def guess_type(name: str) -> str:
    """Return the MIME type that the end of a name suggests."""
    dot = name.rfind(".")
    return _type_of_suffix(name[dot:].lower()) if dot >= 0 else DEFAULT_TYPE


def _attributes_at(path: str) -> dict[str, bytes]:
    """Return the attributes of what is known to be a file or directory.

    It is opened for that: five attributes by path cost five walks along the path.
    """
    follow = 0 if path.startswith("/proc/self/fd/") and path.count("/") == 4 else os.O_NOFOLLOW
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | follow)
    try:
        return _attributes(fd)
    finally:
        os.close(fd)


def _attributes(fd: int) -> dict[str, bytes]:
    """Return the extended attributes that may matter: those in ``user.``."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}
        raise
    raw = {}
    for name in names:
        if name.startswith("user."):
            try:
                raw[name] = os.getxattr(fd, name)
            except OSError as error:
                if error.errno != errno.ENODATA:  # removed since it was listed
                    raise
    return raw


_NO_USER: dict[str, str] = {}


def _headers(raw: Mapping[str, bytes], default_type: str) -> dict[str, str]:
    """Return the stored standard headers; one dictionary serves all records that have the same."""
    found = tuple(
        (name, raw[attribute]) for attribute, name in _HEADER_OF.items() if attribute in raw
    )
    return _shared_headers(found, default_type)


@lru_cache(maxsize=512)
def _shared_headers(found: tuple[tuple[str, bytes], ...], default_type: str) -> dict[str, str]:
    headers = {name: value.decode("utf-8", "replace") for name, value in found}
    headers.setdefault("content-type", default_type)
    return headers


def _user(raw: Mapping[str, bytes]) -> dict[str, str]:
    """Return user metadata: Versity's JSON, or its older form of one attribute per name."""
    if "user.metadata" in raw:
        loaded = _json(raw["user.metadata"])
        return {str(k): str(v) for k, v in loaded.items()} if loaded else _NO_USER
    legacy = {
        name[len(_LEGACY) :].lower(): value.decode("utf-8", "replace")
        for name, value in raw.items()
        if name.startswith(_LEGACY)
    }
    return legacy or _NO_USER


def _word(value: bytes | None) -> str:
    """Return an attribute of one printable word without its quotes, empty for anything else."""
    match = _WORD(value) if value else None
    return match[1].decode() if match else ""


def _checksums(value: bytes | None) -> Checksums | None:
    loaded = _json(value) if value else None
    if not loaded:
        return None
    algorithm, kind = loaded.get("Algorithm"), loaded.get("Type") or "FULL_OBJECT"
    if algorithm not in _ALGORITHMS or kind not in _KINDS:
        return None
    stored = loaded.get(algorithm)
    if not isinstance(stored, str) or not _BASE64(stored):
        return None
    # Of equal texts the one that all records share.
    return Checksums(_ALGORITHMS[_ALGORITHMS.index(algorithm)], _KINDS[_KINDS.index(kind)], stored)


def _parts(value: bytes | None, size: int) -> tuple[str, tuple[int, ...]]:
    """Return upload id and cumulative part sizes, nothing when they do not fit the file."""
    if not value:
        return "", ()
    if value[:2] == b"\x1f\x8b":
        try:
            value = zlib.decompressobj(wbits=31).decompress(value, _MAX_PARTS_JSON)
        except zlib.error:
            return "", ()
    stored = _json(value) or {}
    loaded, upload_id = stored.get("parts"), stored.get("uploadId")
    if not isinstance(loaded, list) or not loaded or loaded[-1] != size:
        return "", ()
    if not all(type(n) is int and n >= 0 for n in loaded) or loaded != sorted(loaded):
        return "", ()
    return upload_id if isinstance(upload_id, str) else "", tuple(loaded)


def tags_in(value: bytes | None) -> dict[str, str]:
    """Return the tags of a ``user.X-Amz-Tagging`` attribute."""
    return (_json(value) or {}) if value else {}


def _json(value: bytes) -> dict[str, Any] | None:
    """Return a JSON object; None for anything else, which is as good as not being there."""
    try:
        loaded = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None


# Writing -----------------------------------------------------------------------------------------


def write(
    fd: int, attributes: Attributes, seal: os.stat_result | None, *, again: bool = False
) -> None:
    """Store the attributes on an open file that nobody can see yet.

    :param again: it may have others from before, which go
    :param seal: the file's stat after its last byte was written; None for a directory, whose
        mtime changes with every file in it

    Raise MetadataTooLarge, InsufficientStorage, OSError.
    """
    wanted = encode(attributes, seal)
    if again:
        stale = set(NAMES).intersection(os.listxattr(fd)) - {name for name, _ in wanted}
        for name in stale:
            os.removexattr(fd, name)
    for name, value in wanted:
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            raise_too_large(fd, error)
            raise


def raise_too_large(fd: int, error: OSError) -> None:
    """Raise MetadataTooLarge or InsufficientStorage when a failed setxattr means that.

    ext4 says ENOSPC for an attribute that does not fit beside the inode: only the file system's
    free blocks tell the two apart.
    """
    if error.errno in (errno.E2BIG, errno.ERANGE):
        raise MetadataTooLarge from error
    if error.errno == errno.ENOSPC:
        free = os.fstatvfs(fd)
        if free.f_bavail > _ROOMY and (free.f_favail or not free.f_files):
            raise MetadataTooLarge(
                "The metadata does not fit beside the file on this file system."
            ) from error
        raise InsufficientStorage from error


def encode(attributes: Attributes, seal: os.stat_result | None) -> list[tuple[str, bytes]]:
    """Return extended attributes in the order in which they are set."""
    raw = [("user.etag", b'"%b"' % attributes.etag.encode())]
    if seal is not None:
        raw.append((SEAL, b"%d %d" % (seal.st_size, seal.st_mtime_ns)))
    for name, text in attributes.headers.items():
        if text:
            raw.append(("user." + name, text.encode()))
    if attributes.checksums is not None:
        raw.append(("user.checksums", _checksums_json(attributes.checksums)))
    if attributes.user:
        raw.append(("user.metadata", go_json(dict(sorted(attributes.user.items())))))
    if attributes.tags:
        raw.append(("user.X-Amz-Tagging", go_json(dict(sorted(attributes.tags.items())))))
    if attributes.storage_class != "STANDARD":
        raw.append((STORAGE_CLASS, attributes.storage_class.encode()))
    if attributes.parts:
        parts = go_json({"uploadId": attributes.upload_id, "parts": list(attributes.parts)})
        raw.append(("user.mp-metadata", gzip.compress(parts, mtime=0)))
    return raw


def record_of(attributes: Attributes, found: os.stat_result) -> Record:
    """Return the record that reading the file would give now that the attributes are written."""
    headers = attributes.headers
    if not isinstance(headers, dict) or "content-type" not in headers or "" in headers.values():
        headers = {name: text for name, text in headers.items() if text}
        headers.setdefault("content-type", DEFAULT_TYPE)
    is_directory = stat.S_ISDIR(found.st_mode)
    return Record(
        size=0 if is_directory else found.st_size,
        mtime_ns=found.st_mtime_ns,
        ino=found.st_ino,
        dev=found.st_dev,
        ctime_ns=found.st_ctime_ns,
        etag=attributes.etag,
        headers=headers,
        user=dict(attributes.user) if attributes.user else _NO_USER,
        checksums=attributes.checksums,
        storage_class=attributes.storage_class,
        parts=attributes.parts,
        tags=len(attributes.tags or ()),
        is_directory=is_directory,
        upload_id=attributes.upload_id,
        part_checksums=attributes.part_checksums,
    )


def go_json(value: Mapping[str, Any]) -> bytes:
    """Return JSON as Go's encoder writes it, which is what Versity's attributes look like."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode()


@lru_cache(maxsize=64)
def _checksums_template(algorithm: str, kind: str) -> bytes:
    values = ",".join(
        f'"{name}":"%b"' if name == algorithm else f'"{name}":null' for name in _ALGORITHMS
    )
    return f'{{"Algorithm":"{algorithm}","Type":"{kind}",{values}}}'.encode()


def _checksums_json(checksums: Checksums) -> bytes:
    return _checksums_template(checksums.algorithm, checksums.type) % checksums.value.encode()
