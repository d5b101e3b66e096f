"""The head of an answer, as the app gave it: header names keep their case and order.

The server adds only what HTTP wants of it: Date, Server, Connection and the framing of the body. A
header that would break out of its line never leaves (``BadReply``), nor do the hop-by-hop ones, the
server's own: RFC 9110, section 7.6.1.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from time import time
from xml.sax.saxutils import escape

Headers = list[tuple[str, str]]

PLAIN, LENGTH, DATE, SERVER, CONNECTION, HOP = range(6)
NAMES_KEPT = 2048  # header names whose kind is remembered
SERVER_LINE = "Server: s3filters\r\n"

_KINDS = {
    "content-length": LENGTH,
    "date": DATE,
    "server": SERVER,
    "connection": CONNECTION,
    "transfer-encoding": HOP,
    "keep-alive": HOP,
    "proxy-connection": HOP,
    "upgrade": HOP,
    "trailer": HOP,
    "te": HOP,
}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_STATUS = re.compile(r"[2-5]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?")


class BadReply(Exception):
    """An answer of the app that cannot be sent as it is."""


_kinds: dict[str, int] = {}


def _kind_of(name: str) -> int:
    if not _TOKEN.fullmatch(name):
        raise BadReply(f"{name!r} is not a header name")
    kind = _KINDS.get(name.lower(), PLAIN)
    if len(_kinds) >= NAMES_KEPT:
        _kinds.clear()
    _kinds[name] = kind
    return kind


_second = 0
_date = ""


def date_line() -> str:
    """The Date header of now, with its CRLF; made once a second."""
    global _second, _date
    now = int(time())
    if now != _second:
        _second, _date = now, f"Date: {formatdate(now, usegmt=True)}\r\n"
    return _date


_status_lines: dict[str, tuple[int, str]] = {}


def _status_line(status: str) -> tuple[int, str]:
    """Return code and line, CRLF included, of a status such as "200 OK"."""
    if not _STATUS.fullmatch(status):
        raise BadReply(f"{status!r} is not a status")
    if len(_status_lines) >= NAMES_KEPT:
        _status_lines.clear()
    blank = "" if len(status) > 3 else " "  # it stays without a reason: RFC 9112, section 4
    pair = int(status[:3]), f"HTTP/1.1 {status}{blank}\r\n"
    _status_lines[status] = pair
    return pair


class Head:
    """What an app said by start_response.

    ``length`` is the Content-Length, None without; ``closes`` whether the app wants the connection
    closed; ``bodiless`` whether the status allows no body.
    """

    __slots__ = ("_dated", "_served", "_text", "bodiless", "closes", "length", "status")

    def __init__(self, status: str, headers: Headers) -> None:
        self.status, text = _status_lines.get(status) or _status_line(status)
        self.bodiless = self.status in (204, 304)
        self.length: int | None = None
        self.closes = self._dated = self._served = False
        lines = 1
        find = _kinds.get
        for name, value in headers:
            kind = find(name)
            if kind is None:
                kind = _kind_of(name)
            if not kind or self._takes(kind, value):
                text += f"{name}: {value}\r\n"
                lines += 1
        if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
            raise BadReply("a header has a line break inside")
        if not self._dated:
            text += date_line()
        if not self._served:
            text += SERVER_LINE
        self._text = text

    def _takes(self, kind: int, value: str) -> bool:
        """Heed a header that means something to the server; False when it is not to be sent."""
        if kind == LENGTH:
            if self.length is not None or not (value.isascii() and value.isdigit()):
                raise BadReply(f"Content-Length {value!r} is not one number")
            self.length = int(value)
            return self.status != 204  # RFC 9110, section 8.6
        self._dated |= kind == DATE
        self._served |= kind == SERVER
        self.closes |= kind == CONNECTION and "close" in value.lower()
        return kind < CONNECTION

    def render(self, more: str) -> bytes:
        """The head with its empty line; ``more`` are header lines of the server, CRLF included."""
        try:
            return f"{self._text}{more}\r\n".encode("latin-1")
        except UnicodeEncodeError as error:
            raise BadReply("a header is not latin-1") from error


# The server answers these itself, before there is a request for the pipeline to see; S3 clients
# read the code. The names are AWS's, BadRequest where AWS says no more than that.
_CODES = {
    408: "RequestTimeout",
    413: "EntityTooLarge",
    431: "RequestHeaderSectionTooLarge",
    500: "InternalError",
    501: "NotImplemented",
}


def refusal(status: int, reason: str, phrase: str, request_id: str) -> bytes:
    """A whole answer of the server itself, without body for ""; the connection ends with it."""
    body = b""
    if reason:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{_CODES.get(status, 'BadRequest')}</Code>"
            f"<Message>{escape(reason)}</Message><RequestId>{request_id}</RequestId></Error>"
        ).encode("ascii", "xmlcharrefreplace")
    return (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/xml\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"x-amz-request-id: {request_id}\r\nx-amz-id-2: {request_id}\r\n"
        f"{date_line()}{SERVER_LINE}Connection: close\r\n\r\n"
    ).encode("latin-1") + body
