"""Typed parameters of operations: what a query word or a header may say, and what it becomes.

A parser takes the text and gives the value; when the text is no good it raises S3Error with the
code and the words that AWS has for it. Which operation takes which parameter is the routing table's
business.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from s3filters.s3 import checksums, dates, ranges, rules, tokens
from s3filters.s3.errors import S3Error

INT = (1 << 31) - 1
_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")


class Param(NamedTuple):
    """One parameter: its word in the query or header, botocore's name, its parser and default.

    A default of ``ABSENT`` leaves the name out. ``blank`` says whether an empty text is parsed too,
    or means the default.
    """

    word: str
    name: str
    parse: Callable[[str, str], Any]
    default: Any = None
    blank: bool = True


ABSENT: Any = object()


def bad(word: str, value: str, message: str) -> S3Error:
    """Return AWS's error for an argument that is out of bounds."""
    return S3Error("InvalidArgument", message, ArgumentName=word, ArgumentValue=value)


def text(word: str, value: str) -> str:
    """Any text but NUL, which no name holds."""
    if "\0" in value:
        raise bad(word, value, f"{word} holds a NUL character.")
    return value


def text_or_none(word: str, value: str) -> str | None:
    """Text, None when empty."""
    return text(word, value) or None


def header_text(word: str, value: str) -> str:
    """Text that may stand in a header of the answer."""
    if not value.isprintable():
        raise bad(word, value, f"{word} holds characters that no header may hold.")
    return value


def whole(low: int, high: int, *, cap: int | None = None) -> Callable[[str, str], int]:
    """A whole number from ``low`` to ``high``; above ``cap`` it becomes the cap."""

    def parse(word: str, value: str) -> int:
        number = int(value) if _NUMBER.fullmatch(value) else INT + 1
        if number > INT:
            raise bad(word, value, f"Provided {word} not an integer or within integer range")
        if not low <= number <= high:
            raise bad(word, value, f"Argument {word} must be an integer between {low} and {high}")
        return number if cap is None else min(number, cap)

    return parse


page = whole(0, INT, cap=rules.PAGE_KEYS)


def part_number(word: str, value: str) -> int:
    """The number of a part, 1 to 10,000."""
    if not (value.isascii() and value.isdigit()) or not 1 <= int(value[:9]) <= rules.PART_NUMBERS:
        message = "Part number must be an integer between 1 and 10000, inclusive"
        raise bad(word, value, message)
    return int(value)


def never(word: str, value: str) -> None:
    """The number of a part without an upload: as a plain PUT it would replace the whole object."""
    raise bad(word, value, f"This operation does not accept {word} without uploadId")


def word_of(*words: str, message: str) -> Callable[[str, str], str]:
    """One of the words."""

    def parse(word: str, value: str) -> str:
        if value not in words:
            raise bad(word, value, message)
        return value

    return parse


def checksum_mode(word: str, value: str) -> str:
    """ENABLED, in any case: the AWS SDK for C++ writes it in lower case."""
    if value.upper() != "ENABLED":
        raise bad(word, value, "Unsupported checksum mode")
    return "ENABLED"


def encoding(word: str, value: str) -> str | None:
    """``url``, or nothing."""
    if value not in ("url", ""):
        raise bad(word, value, "Invalid Encoding Method specified in Request")
    return value or None


def flag(word: str, value: str) -> bool:
    """True for ``true`` in any case."""
    return value.lower() == "true"


def token(word: str, value: str) -> str:
    """A continuation token; becomes the place in the listing that it stands for."""
    place = tokens.decode(value)
    if place is None or "\0" in place:
        raise bad(word, value, "The continuation token provided is incorrect")
    return place


def attributes(word: str, value: str) -> frozenset[str]:
    """The attributes that GetObjectAttributes is asked for."""
    known = {"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}
    asked = frozenset(name.strip() for name in value.split(","))
    if not asked <= known:
        raise bad(word, value, "Invalid attribute name specified.")
    return asked


def algorithm(word: str, value: str) -> str:
    """A checksum algorithm that objects can be stored with, upper case."""
    name = value.upper()
    if name not in checksums.OBJECT_ALGORITHMS:
        known = ", ".join(checksums.OBJECT_ALGORITHMS)
        raise S3Error(
            "InvalidRequest",
            f"Checksum algorithm provided in {word} is unsupported. "
            f"Please try again with any of the valid types: [{known}]",
        )
    return name


def checksum_type(word: str, value: str) -> str:
    """COMPOSITE or FULL_OBJECT, in any case."""
    name = value.upper()
    if name not in ("COMPOSITE", "FULL_OBJECT"):
        raise S3Error("InvalidRequest", f"Value for {word} header is invalid.")
    return name


def object_size(word: str, value: str) -> int:
    """A number of bytes; whether an object may have so many is not asked here."""
    if not (value.isascii() and value.isdigit()) or len(value) > 18:
        raise S3Error("InvalidRequest", f"Value for {word} header is invalid.")
    return int(value)


def moment(word: str, value: str) -> int:
    """An HTTP date; becomes whole seconds since 1970."""
    seconds = dates.parse_http_date(value)
    if seconds is None:
        raise bad(word, value, f"{word} is no date.")
    return seconds


def source_range(word: str, value: str) -> ranges.Range:
    """``bytes=first-last``, both given."""
    parsed = ranges.parse(value)
    if parsed is None or parsed.first is None or parsed.last is None:
        message = (
            f"The {word} value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy"
        )
        raise bad(word, value, message)
    return parsed
