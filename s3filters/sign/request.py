"""What a client really sent, as a signature sees it: raw path, raw query, raw header values.

The WSGI environ shows a request decoded and folded; a signature is over the bytes before that. Our
server keeps them (``RAW_PATH_INFO``, ``headers_raw``); other servers keep some of them, and what is
missing is rebuilt from the environ, which is right for every path that was encoded in the usual
way. All text here is latin-1: one character is one byte of the wire.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

_ORIGIN = re.compile(r"\A[a-z][a-z0-9+.\-]*://[^/?]*", re.IGNORECASE)  # of an absolute-form target
_CGI = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def environ_key(name: str) -> str | None:
    """Return the environ key of a header in lower case; None where only ``headers_raw`` has it."""
    if "_" in name:
        return None
    return _CGI.get(name) or "HTTP_" + name.upper().replace("-", "_")


class Request:
    """A request before anything was decoded."""

    __slots__ = ("environ", "method", "query")

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.query: str = environ.get("QUERY_STRING", "")

    @property
    def path(self) -> str:
        """The path as it was sent, without the query."""
        raw = self.environ.get("RAW_PATH_INFO")
        return raw if raw is not None else _rebuilt_path(self.environ)

    def header(self, name: str) -> str | None:
        """The value of a header (name in lower case), repeated ones joined by commas, or None."""
        key = environ_key(name)
        if key is not None:
            return self.environ.get(key)
        values = [value for other, value in self.headers() if other == name]
        return ",".join(values) if values else None

    def headers(self) -> Iterator[tuple[str, str]]:
        """Every header: its name in lower case, and its value."""
        raw = self.environ.get("headers_raw")
        if raw is not None:
            for name, value in raw:
                yield name.lower(), value
            return
        for key, value in self.environ.items():
            if key.startswith("HTTP_"):
                yield key[5:].replace("_", "-").lower(), value
        for name, key in _CGI.items():
            if self.environ.get(key):
                yield name, self.environ[key]

    def amz_headers(self) -> list[str]:
        """Names, in lower case, of the headers that begin with ``x-amz-``."""
        raw = self.environ.get("headers_raw")
        if raw is None:
            return [name for name, _ in self.headers() if name.startswith("x-amz-")]
        return [name.lower() for name, _ in raw if name[:6].lower() == "x-amz-"]

    def parameters(self) -> dict[str, list[str]]:
        """The query, decoded: name -> values in their order."""
        found: dict[str, list[str]] = {}
        for part in self.query.split("&"):
            name, _, value = part.partition("=")
            if part:
                found.setdefault(decoded(name), []).append(decoded(value))
        return found


def decoded(text: str) -> str:
    """Return a word of a query without its percent signs; ``+`` is a blank there."""
    if "%" not in text and "+" not in text:
        return text
    return unquote_to_bytes(text.replace("+", " ").encode("latin-1")).decode("latin-1")


def _rebuilt_path(environ: dict[str, Any]) -> str:
    """The path for servers without ``RAW_PATH_INFO``: gunicorn's RAW_URI, or encoded once more."""
    target: str | None = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if target is not None:
        return _ORIGIN.sub("", target, count=1).partition("?")[0]
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return quote_from_bytes(path.encode("latin-1"), safe="/-_.~")
