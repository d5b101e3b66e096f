"""Tags: pairs of key and value that a header or a document of a client names, checked.

Pure, and the same rules for both forms; who keeps the tags is not known here. Tags are a dict in
the client's order. Sources: AWS User Guide, "Categorizing your objects using tags"; API reference,
PutObject (``x-amz-tagging``) and PutObjectTagging.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote_plus

from s3filters.s3 import xml
from s3filters.s3.errors import S3Error

KEY_LENGTH, VALUE_LENGTH = 128, 256  # UTF-16 code units, as AWS counts

_SIGNS = frozenset("+-=._:/@")
_KINDS = frozenset("LZN")  # letters, separators and numbers of any script


class Kind(NamedTuple):
    """What is tagged: how many tags it may have, and AWS's words."""

    most: int
    too_many: str
    reserved: str


OBJECT = Kind(
    10,
    "Object tags cannot be greater than 10",
    "Your TagKey cannot be prefixed with aws:",
)
BUCKET = Kind(
    50,
    "Bucket tag count cannot be greater than 50",
    "System tags cannot be added/updated by requester",
)


def from_header(text: str) -> dict[str, str] | None:
    """Return the tags of ``x-amz-tagging``: ``key=value&...``, form-encoded; None when empty.

    Raise InvalidArgument when it is not UTF-8 or names a key twice, or none; and what ``check``
    raises.
    """
    try:
        pairs = [_decoded(pair) for pair in text.split("&") if pair]
    except UnicodeError as error:
        raise _bad_header(text) from error
    tags = dict(pairs)
    if len(tags) < len(pairs) or "" in tags:
        raise _bad_header(text)
    check(tags)
    return tags or None


def _decoded(pair: str) -> tuple[str, str]:
    key, _, value = pair.partition("=")
    return unquote_plus(key, errors="strict"), unquote_plus(value, errors="strict")


def _bad_header(text: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters "
        "without tag name duplicates.",
        ArgumentName="x-amz-tagging",
        ArgumentValue=text,
    )


def parse(data: bytes, kind: Kind = OBJECT) -> dict[str, str]:
    """Return the tags of a ``<Tagging>`` document, which may hold none.

    Raise MalformedXML, InvalidTag for a key that comes twice, and what ``check`` raises.
    """
    root = xml.parse(data, "Tagging")
    xml.only(root, ("TagSet",))
    if len(root) != 1:
        raise S3Error("MalformedXML")
    xml.only(root[0], ("Tag",))
    tags: dict[str, str] = {}
    for tag in root[0]:
        xml.only(tag, ("Key", "Value"))
        key, value = xml.text_of(tag, "Key"), xml.text_of(tag, "Value")
        if key is None or value is None:
            raise S3Error("MalformedXML")
        if key in tags:
            message = "Cannot provide multiple Tags with the same key"
            raise S3Error("InvalidTag", message, TagKey=key)
        tags[key] = value
    check(tags, kind)
    return tags


def render(tags: Mapping[str, str]) -> bytes:
    """Return the ``<Tagging>`` document of tags, in their order."""
    return xml.render(
        "Tagging",
        {"TagSet": {"Tag": [{"Key": key, "Value": value} for key, value in tags.items()]}},
    )


def check(tags: Mapping[str, str], kind: Kind = OBJECT) -> None:
    """Raise BadRequest for too many tags, InvalidTag for a key or value that no tag has."""
    if len(tags) > kind.most:
        raise S3Error("BadRequest", kind.too_many)
    for key, value in tags.items():
        if not key or not _fits(key, KEY_LENGTH):
            raise S3Error("InvalidTag", "The TagKey you have provided is invalid", TagKey=key)
        if not _fits(value, VALUE_LENGTH):
            message = "The TagValue you have provided is invalid"
            raise S3Error("InvalidTag", message, TagKey=key, TagValue=value)
        if key[:4].lower() == "aws:":
            raise S3Error("InvalidTag", kind.reserved, TagKey=key)


def _fits(text: str, most: int) -> bool:
    if text.isascii() and text.isalnum():
        return len(text) <= most
    units = sum(1 + (character > "\uffff") for character in text)
    return units <= most and all(
        character in _SIGNS or unicodedata.category(character)[0] in _KINDS for character in text
    )
