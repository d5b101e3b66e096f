"""Numbers and name rules that S3 fixes, each once. It asks nothing of storage.

Sources: AWS S3 User Guide, "Bucket naming rules", "Object key names", "Amazon S3 multipart upload
limits".
"""

from __future__ import annotations

import re

from s3filters.s3.errors import S3Error
from s3filters.s3.memo import memo

KIB, MIB, GIB, TIB = 1 << 10, 1 << 20, 1 << 30, 1 << 40

KEY_BYTES = 1024  # UTF-8
METADATA_BYTES = 2 * KIB  # names and values of user metadata
OBJECT_BYTES = 5 * TIB
PUT_BYTES = 5 * GIB  # one PUT, one part, the source of one copy
PAGE_KEYS = 1000  # of a listing, and of DeleteObjects
PAGE_BUCKETS = 10_000
PART_NUMBERS = 10_000
PART_BYTES = 5 * MIB  # at least, of each part but the last

# Documents of clients, in bytes, read no further than this
XML_BYTES = 64 * KIB
DELETE_XML_BYTES = 2 * MIB  # 1,000 keys of 1,024 bytes, with 200 characters of each escaped
COMPLETE_XML_BYTES = 4 * MIB  # 10,000 parts, each with a SHA-256, blanks and a prefix to each name

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_OLD_BUCKET = re.compile(r"[A-Za-z0-9._-]{1,255}", re.ASCII)
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+", re.ASCII)
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")

# Storage keeps these names for itself, wherever they stand in a key: work in progress, no objects.
_KEPT = re.compile(r"(?:^|/)\.(?:sgwtmp|[^/]*\.sgwtmp\.[0-9]+)(?:/|\Z)")


@memo(1024)
def is_bucket_name(name: str) -> bool:
    """True when CreateBucket takes the name."""
    return bool(
        _BUCKET.fullmatch(name)
        and ".." not in name
        and not _ADDRESS.fullmatch(name)
        and not name.startswith(_RESERVED_PREFIXES)
        and not name.endswith(_RESERVED_SUFFIXES)
    )


@memo(1024)
def may_be_bucket(name: str) -> bool:
    """True when a bucket of that name may exist: today's rules, without the prefixes kept since."""
    return bool(_BUCKET.fullmatch(name) and ".." not in name and not _ADDRESS.fullmatch(name))


def check_new_bucket(name: str) -> None:
    """Raise InvalidBucketName when no bucket of that name can be made."""
    if not is_bucket_name(name):
        raise S3Error("InvalidBucketName", BucketName=name)


def check_bucket(name: str) -> None:
    """Raise NoSuchBucket when no bucket can have that name, InvalidBucketName when none ever could.

    Today's names are narrower than those of the first years: a client may still hold an old one.
    """
    if not may_be_bucket(name):
        old = _OLD_BUCKET.fullmatch(name) and name.strip(".")
        raise S3Error("NoSuchBucket" if old else "InvalidBucketName", BucketName=name)


def check_key(key: str, *, write: bool = False) -> None:
    """Raise S3Error when the key is no key here.

    KeyTooLongError over 1,024 bytes; InvalidArgument for names that are one file under several
    spellings (``//``, ``/`` at the beginning, ``.`` and ``..``) or hold NUL; for names that storage
    keeps for itself NoSuchKey, or AccessDenied when ``write``.
    """
    if len(key) > KEY_BYTES // 4 or not key:
        _check_length(key)
    if "/" in key or key[0] == ".":
        _check_components(key)
    if "\0" in key:
        raise _no_key(key, "it holds a NUL character")
    if ".sgwtmp" in key and _KEPT.search(key):
        raise S3Error("AccessDenied" if write else "NoSuchKey", Key=key)


def _check_length(key: str) -> None:
    if not key:
        raise S3Error(
            "InvalidArgument", "The key must not be empty.", ArgumentName="key", ArgumentValue=""
        )
    size = len(key.encode("utf-8", "surrogatepass"))
    if size > KEY_BYTES:
        raise S3Error("KeyTooLongError", Size=size, MaxSizeAllowed=KEY_BYTES)


def _check_components(key: str) -> None:
    if key[0] == "/":
        raise _no_key(key, "it begins with /")
    if "//" in key:
        raise _no_key(key, "it holds // (an empty name between two slashes)")
    if (key[0] == "." or "/." in key) and not {".", ".."}.isdisjoint(key.split("/")):
        raise _no_key(key, "a name between its slashes is . or .. and means another place")


def _no_key(key: str, reason: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"This key cannot be stored as a file: {reason}.",
        ArgumentName="key",
        ArgumentValue=key,
    )
