"""What a PUT stores beside the bytes, and the headers by which a GET gives it back.

Text inside is Unicode; on the wire a header is bytes, which WSGI shows as Latin-1. Bytes that are
UTF-8 are taken as UTF-8, others as Latin-1. User metadata that is not plain ASCII travels as RFC
2047 words in both directions (AWS, "Working with object metadata"), so a stored value can never
forge a header.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from s3filters.s3 import rules, tagging
from s3filters.s3.errors import S3Error

USER = "x-amz-meta-"
DEFAULT_TYPE = "binary/octet-stream"

# environ key -> name under which it is stored; the website location is the only x-amz- one
STANDARD = {
    "CONTENT_TYPE": "content-type",
    "HTTP_CACHE_CONTROL": "cache-control",
    "HTTP_CONTENT_DISPOSITION": "content-disposition",
    "HTTP_CONTENT_ENCODING": "content-encoding",
    "HTTP_CONTENT_LANGUAGE": "content-language",
    "HTTP_EXPIRES": "expires",
    "HTTP_X_AMZ_WEBSITE_REDIRECT_LOCATION": "website-redirect-location",
}
# stored name -> header of an answer
ANSWERED = {
    "content-type": "Content-Type",
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "expires": "Expires",
    "website-redirect-location": "x-amz-website-redirect-location",
}
# A promise that only a ``glacier`` filter can keep
COLD_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
STORAGE_CLASSES = COLD_CLASSES | {
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
}

_WORD = re.compile(r"=\?([\w-]+)\?([bBqQ])\?([!->@-~]*)\?=", re.ASCII)
_BETWEEN_WORDS = re.compile(r"(?<=\?=)[ \t]+(?==\?)")  # is no text (RFC 2047, section 6.2)
_CHARSETS = {"utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252"}
_PLAIN = re.compile(r"[\x20-\x7e]*")
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class ObjectHeaders:
    """What an object keeps beside its bytes.

    ``standard`` holds raw header text by lower-case name (the values of ``STANDARD``), ``user`` the
    user metadata by lower-case name without ``x-amz-meta-``. ``checksum_algorithm`` is the one that
    is stored, ``checksum`` its digest where the client gave one in a header (a trailer comes later:
    ask the body). ``tags`` are None when none were given.
    """

    standard: dict[str, str] = field(default_factory=dict)
    user: dict[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum: bytes | None = None
    tags: dict[str, str] | None = None


def read(environ: Mapping[str, Any]) -> ObjectHeaders:
    """Return what the headers of a request ask to store.

    Raise MetadataTooLarge when user metadata is over 2 KiB, InvalidStorageClass for a class that S3
    has not, InvalidTag and its kin for tags that cannot be.
    """
    standard = {name: text_of(environ[key]) for key, name in STANDARD.items() if environ.get(key)}
    if "content-encoding" in standard:
        _unframe(standard)
    if "content-type" not in standard:
        standard["content-type"] = DEFAULT_TYPE
    storage_class = environ.get("HTTP_X_AMZ_STORAGE_CLASS") or "STANDARD"
    if storage_class not in STORAGE_CLASSES:
        raise S3Error("InvalidStorageClass", StorageClassRequested=storage_class)
    found = ObjectHeaders(standard, _user(environ), storage_class)
    tags = environ.get("HTTP_X_AMZ_TAGGING")
    if tags:
        found.tags = tagging.from_header(text_of(tags))
    return found


def check_class(headers: ObjectHeaders, *, tiered: bool) -> None:
    """Raise InvalidStorageClass for a cold class where nothing makes it true (``call.tiered``)."""
    if headers.storage_class in COLD_CLASSES and not tiered:
        raise S3Error("InvalidStorageClass", StorageClassRequested=headers.storage_class)


def _unframe(standard: dict[str, str]) -> None:
    """Drop ``aws-chunked``, which describes the request and not the object."""
    words = [word.strip() for word in standard["content-encoding"].split(",")]
    kept = ",".join(word for word in words if word and word.lower() != "aws-chunked")
    if kept:
        standard["content-encoding"] = kept
    else:
        del standard["content-encoding"]


def _user(environ: Mapping[str, Any]) -> dict[str, str]:
    raw = environ.get("headers_raw")
    if raw is None:  # names with "_" are in the raw list only, so this is the second best
        raw = [
            (key[5:].replace("_", "-"), value)
            for key, value in environ.items()
            if key.startswith("HTTP_X_AMZ_META_")
        ]
    user: dict[str, str] = {}
    for name, value in raw:
        if name[:1] in "xX" and name[:11].lower() == USER:
            key = name[11:].lower()
            text = _from_words(text_of(value))
            user[key] = f"{user[key]},{text}" if key in user else text
    if user:
        size = sum(len(key.encode()) + len(text.encode()) for key, text in user.items())
        if size > rules.METADATA_BYTES:
            raise S3Error("MetadataTooLarge", Size=size, MaxSizeAllowed=rules.METADATA_BYTES)
    return user


def text_of(wire: str) -> str:
    """Return the text of a header value as WSGI gives it."""
    if wire.isascii():
        return wire
    try:
        return wire.encode("latin-1").decode()
    except UnicodeError:
        return wire


def wire_of(text: str) -> str:
    """Return a stored text as WSGI sends it: UTF-8 bytes as Latin-1, controls as blanks."""
    if text.isascii() and text.isprintable():
        return text
    return _CONTROL.sub(" ", text).encode("utf-8", "replace").decode("latin-1")


def _from_words(text: str) -> str:
    """Decode RFC 2047 words; what is none, or is broken, stays as it came."""
    if "=?" not in text:
        return text
    try:
        return _WORD.sub(_decoded, _BETWEEN_WORDS.sub("", text))
    except ValueError:
        return text


def _decoded(word: re.Match[str]) -> str:
    charset, encoding, encoded = word.groups()
    if charset.lower() not in _CHARSETS:
        raise ValueError
    if encoding in "bB":
        return base64.b64decode(encoded, validate=True).decode(charset)
    return binascii.a2b_qp(encoded, header=True).decode(charset)


def _to_words(text: str) -> str:
    """Encode as one RFC 2047 word, by Q where most of it is ASCII and else by B, as AWS does."""
    raw = text.encode("utf-8", "replace")
    plain = sum(character.isascii() for character in text)
    if plain * 2 > len(text):
        return f"=?UTF-8?Q?{_quoted(raw)}?="
    return f"=?UTF-8?B?{base64.b64encode(raw).decode()}?="


def _quoted(raw: bytes) -> str:
    """The Q encoding of RFC 2047, section 4.2: one line, blanks as ``_``."""
    return "".join(
        chr(byte) if chr(byte).isalnum() and byte < 128 else "_" if byte == 32 else f"={byte:02X}"
        for byte in raw
    )


def answered(standard: Mapping[str, str], user: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the headers of an answer that give back what was stored, safe to send.

    User metadata whose name no header can have (other programs wrote it) is counted, as AWS does.
    """
    out = [(ANSWERED[name], wire_of(text)) for name, text in standard.items() if name in ANSWERED]
    if user:
        sound = [user_header(name, text) for name, text in user.items() if _TOKEN.fullmatch(name)]
        out += sound
        if len(sound) < len(user):
            out.append(("x-amz-missing-meta", str(len(user) - len(sound))))
    return out


@lru_cache(maxsize=1024)
def user_header(name: str, text: str) -> tuple[str, str]:
    """Return one piece of user metadata as a header."""
    return USER + name, text if _PLAIN.fullmatch(text) else _to_words(text)
