"""CORS rules of a bucket: which pages of other origins may do what, from a browser.

A document becomes rules, checked as S3 checks them; the first rule that fits a request speaks for
it. Sources: AWS API reference, PutBucketCors and CORSRule; User Guide, "Elements of a CORS
configuration".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from xml.etree.ElementTree import Element

from s3filters.s3 import xml
from s3filters.s3.errors import S3Error

log = logging.getLogger(__name__)

MOST = 100  # rules
METHODS = ("GET", "PUT", "HEAD", "POST", "DELETE")
_ELEMENTS = (
    "ID",
    "AllowedHeader",
    "AllowedMethod",
    "AllowedOrigin",
    "ExposeHeader",
    "MaxAgeSeconds",
)
_ID = 255  # characters
_is_seconds = re.compile(r"[0-9]{1,9}").fullmatch
_is_token = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch  # RFC 9110, section 5.6.2


class _Words:
    """Words, in each of which one ``*`` may stand for any text."""

    __slots__ = ("_open", "_whole")

    def __init__(self, words: Iterable[str]) -> None:
        parts = [word.partition("*") for word in words]
        self._whole = frozenset(word for word, star, _ in parts if not star)
        self._open = tuple((begin, end) for begin, star, end in parts if star)

    def __contains__(self, text: str) -> bool:
        return text in self._whole or any(
            len(text) >= len(begin) + len(end) and text.startswith(begin) and text.endswith(end)
            for begin, end in self._open
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``max_age`` is in seconds, None when it does not say; headers are as written."""

    origins: tuple[str, ...]
    methods: tuple[str, ...]
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    max_age: int | None = None
    id: str = ""
    _origins: _Words = field(init=False, repr=False, compare=False)
    _headers: _Words = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Take apart once what requests are compared with."""
        object.__setattr__(self, "_origins", _Words(self.origins))
        object.__setattr__(self, "_headers", _Words(map(str.lower, self.headers)))

    @property
    def everywhere(self) -> bool:
        """True when it is for any origin at all."""
        return "*" in self.origins

    def fits(self, origin: str, method: str, headers: Sequence[str] = ()) -> bool:
        """True when a page of the origin may use the method with these headers of its own."""
        return (
            method in self.methods
            and origin in self._origins
            and all(name.lower() in self._headers for name in headers)
        )


def find(
    rules: Iterable[Rule], origin: str, method: str, headers: Sequence[str] = ()
) -> Rule | None:
    """Return the first rule that fits, None when a browser is to be told nothing."""
    return next((rule for rule in rules if rule.fits(origin, method, headers)), None)


# --- documents ---------------------------------------------------------------------------------


def parse(data: bytes) -> tuple[Rule, ...]:
    """Return the rules of a CORSConfiguration.

    Raise MalformedXML, InvalidRequest for methods and wildcards that S3 does not know.
    """
    root = xml.parse(data, "CORSConfiguration")
    xml.only(root, ("CORSRule",))
    if len(root) > MOST:
        message = f"The number of CORS rules should not exceed allowed limit of {MOST} rules."
        raise S3Error("InvalidRequest", message)
    if not len(root):
        raise S3Error("MalformedXML")
    return tuple(_rule(element) for element in root)


@lru_cache(maxsize=64)
def load(data: bytes) -> tuple[Rule, ...]:
    """Return the rules that are stored; none when they cannot be read, so no page may do a thing.

    The same bytes are parsed once.
    """
    try:
        return parse(data)
    except S3Error:
        log.error("stored CORS rules cannot be read, so no other origin is let in")
        return ()


def render(rules: Iterable[Rule]) -> bytes:
    """Return the answer of GetBucketCors."""
    return xml.render(
        "CORSConfiguration",
        {
            "CORSRule": [
                {
                    "ID": rule.id or None,
                    "AllowedMethod": rule.methods,
                    "AllowedOrigin": rule.origins,
                    "AllowedHeader": rule.headers,
                    "ExposeHeader": rule.exposed,
                    "MaxAgeSeconds": rule.max_age,
                }
                for rule in rules
            ]
        },
    )


def _rule(element: Element) -> Rule:
    xml.only(element, _ELEMENTS)
    origins, methods = _texts(element, "AllowedOrigin"), _texts(element, "AllowedMethod")
    headers, exposed = _texts(element, "AllowedHeader"), _texts(element, "ExposeHeader")
    name, age = xml.text_of(element, "ID") or "", xml.text_of(element, "MaxAgeSeconds")
    if not origins or not methods or len(name) > _ID or (age and not _is_seconds(age.strip())):
        raise S3Error("MalformedXML")
    _check_methods(methods)
    _check_wildcards("AllowedOrigin", origins)
    _check_wildcards("AllowedHeader", headers)
    _check_exposed(exposed)
    return Rule(origins, methods, headers, exposed, int(age) if age else None, name)


def _texts(element: Element, name: str) -> tuple[str, ...]:
    found = element.findall(name)
    texts = tuple((child.text or "").strip() for child in found)
    if any(len(child) for child in found) or not all(text.isprintable() for text in texts):
        raise S3Error("MalformedXML")
    if not all(texts):
        raise S3Error("MalformedXML")
    return texts


def _check_methods(methods: Iterable[str]) -> None:
    for method in methods:
        if method not in METHODS:
            message = (
                f"Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )
            raise S3Error("InvalidRequest", message)


def _check_wildcards(element: str, texts: Iterable[str]) -> None:
    for text in texts:
        if text.count("*") > 1:
            message = f'{element} "{text}" can not have more than one wildcard.'
            raise S3Error("InvalidRequest", message)


def _check_exposed(headers: Iterable[str]) -> None:
    for name in headers:
        if "*" in name:
            message = (
                f'ExposeHeader "{name}" contains wildcard. We currently do not support wildcard '
                "for ExposeHeader."
            )
            raise S3Error("InvalidRequest", message)
        if not _is_token(name):
            raise S3Error("InvalidRequest", f'ExposeHeader "{name}" contains invalid character.')
