"""A request's head, from bytes to a WSGI environ, or refused.

llhttp (by httptools) parses; here is what it leaves to its user: which of the forms it takes are
taken at all. Two readers that frame one request differently are how requests are smuggled, so
whatever could be read in two ways is refused and the connection closed: RFC 9112, sections 2.2, 3
and 6.3. A field name with an underscore never becomes ``HTTP_*``, where it would alias the name
with a hyphen.
"""

from __future__ import annotations

import re
from typing import Any, NoReturn
from urllib.parse import unquote_to_bytes

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from s3filters.server.options import Options

Environ = dict[str, Any]

NAMES_KEPT = 2048  # field names whose translation is remembered
NAME_KEPT = 64  # bytes of such a name; strangers choose them
LENGTH_DIGITS = 18  # of a Content-Length; more bytes than any disk has

_VERSIONS = {b" HTTP/1.1": "HTTP/1.1", b" HTTP/1.0": "HTTP/1.0"}
_OTHER_VERSION = re.compile(rb" HTTP/\d\.\d\Z")
_BARE_LF = re.compile(rb"(?<!\r)\n")


class Refused(Exception):
    """A request that is answered by the server itself and ends its connection."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class HeadParser:
    """Parses whole heads; one serves all connections of a worker, one head at a time."""

    def __init__(self, options: Options) -> None:
        self._line_limit = options.request_line_limit
        self._size_limit = options.header_limit
        self._count_limit = options.header_count
        self._fields: list[tuple[bytes, bytes]] = []
        self._target = b""
        add = self._fields.append
        self.on_header = lambda name, value: add((name, value))

    def on_url(self, target: bytes) -> None:
        """Called by httptools, with pieces of the target."""
        self._target += target

    def check_part(self, part: bytes | bytearray) -> None:
        """Refuse what can no longer become a good head; ``part`` has no empty line yet."""
        line = part.find(b"\r\n")
        if (line if line >= 0 else len(part)) > self._line_limit:
            raise Refused(414, "The request line is too long")
        if len(part) > self._size_limit:
            raise Refused(431, "The header is too large")
        if _BARE_LF.search(part):
            raise Refused(400, "A line ends without CR")

    def parse(self, head: bytes, environ: Environ) -> None:
        """Add to ``environ`` what a head says, its last CRLF CRLF included. Raise Refused."""
        line_end = head.find(b"\r\n")
        if line_end > self._line_limit:
            raise Refused(414, "The request line is too long")
        if len(head) > self._size_limit:
            raise Refused(431, "The header is too large")
        version = _VERSIONS.get(head[line_end - 9 : line_end])
        if version is None:
            _refuse_version(head[:line_end])
        method, target = self._run_parser(head)
        if len(method) + len(target) + 10 != line_end:
            raise Refused(400, "The request line has more than one blank between its words")
        if len(self._fields) > self._count_limit:
            raise Refused(431, "The header has too many fields")
        environ["REQUEST_METHOD"] = method.decode("latin-1")
        environ["SERVER_PROTOCOL"] = version
        add_fields(environ, self._fields)
        _check_host(environ, version == "HTTP/1.1")
        _add_target(environ, target.decode("latin-1"))

    def _run_parser(self, head: bytes) -> tuple[bytes, bytes]:
        self._fields.clear()
        self._target = b""
        parser = HttpRequestParser(self)
        try:
            parser.feed_data(head)
        except HttpParserUpgrade:
            pass  # an upgrade is an offer, which we do not take: RFC 9110, section 7.8
        except HttpParserInvalidMethodError as error:
            raise Refused(501, "This method is not known here") from error
        except HttpParserCallbackError:
            raise
        except HttpParserError as error:
            raise Refused(400, str(error)) from error
        method: bytes = parser.get_method()
        if method == b"CONNECT":
            raise Refused(501, "This is not a proxy")
        return method, self._target


def _refuse_version(line: bytes) -> NoReturn:
    if _OTHER_VERSION.search(line):
        raise Refused(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here")
    raise Refused(400, "This is not a request line")


_names: dict[bytes, tuple[str, str]] = {}


def _translate(name: bytes) -> tuple[str, str]:
    """Return a field name as text, and its key in an environ ("" for none)."""
    text = name.decode("latin-1")
    if "_" in text:
        key = ""
    else:
        key = text.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
    if len(name) <= NAME_KEPT:
        if len(_names) >= NAMES_KEPT:
            _names.clear()
        _names[name] = text, key
    return text, key


def add_fields(environ: Environ, fields: list[tuple[bytes, bytes]]) -> None:
    """Add ``headers_raw`` and the ``HTTP_*`` keys; repeated fields are joined with a comma."""
    raw = []
    find = _names.get
    for name, value in fields:
        text, key = find(name) or _translate(name)
        worth = value.decode("latin-1").strip(" \t")
        raw.append((text, worth))
        if key in environ:
            environ[key] += f",{worth}"
        elif key:
            environ[key] = worth
    environ["headers_raw"] = raw


def _check_host(environ: Environ, needed: bool) -> None:
    """RFC 9112, section 3.2: none or two of them is a bad request."""
    host = environ.get("HTTP_HOST")
    if host is None:
        if needed:
            raise Refused(400, "There is no Host field")
    elif "," in host or "/" in host or "@" in host or " " in host:
        raise Refused(400, "The Host field is not one host")


def _add_target(environ: Environ, target: str) -> None:
    if not target.startswith("/"):
        target = _origin_form(target, environ)
    path, _, query = target.partition("?")
    if "#" in target:
        raise Refused(400, "The request target has a fragment")
    environ["RAW_PATH_INFO"] = path
    environ["PATH_INFO"] = unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    environ["QUERY_STRING"] = query


def _origin_form(target: str, environ: Environ) -> str:
    """Path and query of an absolute target, which names another host at its peril."""
    scheme, mark, rest = target.partition("://")
    host, slash, path = rest.partition("/")
    if not mark or scheme.lower() not in ("http", "https") or host != environ.get("HTTP_HOST"):
        raise Refused(400, "The request target is not a path")
    return f"/{path}" if slash else "/"


def body_length(environ: Environ) -> int:
    """Bytes of the body to come, -1 when it is chunked. Raise Refused when that cannot be told."""
    coding = environ.get("HTTP_TRANSFER_ENCODING")
    length = environ.get("CONTENT_LENGTH")
    if coding is not None:
        if length is not None:
            raise Refused(400, "Content-Length and Transfer-Encoding are both there")
        if environ["SERVER_PROTOCOL"] == "HTTP/1.0":
            raise Refused(400, "HTTP/1.0 has no Transfer-Encoding")
        if coding.lower() != "chunked":
            raise Refused(501, "Only the transfer coding chunked is known here")
        return -1
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, "Content-Length is not a number")
    if len(length) > LENGTH_DIGITS:
        raise Refused(413, "Content-Length is too large")
    return int(length)
