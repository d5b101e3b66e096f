"""The head of an answer, as the app gave it: header names keep their case and order.

The server adds only what HTTP wants of it: Date, Server, Connection and the framing of the body. A
header that would break out of its line never leaves (``BadReply``), nor do the hop-by-hop ones, the
server's own: RFC 9110, section 7.6.1.
"""

from __future__ import annotations

import re
from email.utils import formatdate
from time import time

Headers = list[tuple[str, str]]

PLAIN, LENGTH, DATE, SERVER, CONNECTION, HOP = range(6)
NAMES_KEPT = 2048  # header names whose kind is remembered
SERVER_NAME = "s3filters"

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


class Head:
    """What an app said by start_response, and how its body is framed.

    ``length`` is the Content-Length, None without; ``closes`` whether the app wants the connection
    closed; ``bodiless`` whether the status allows no body.
    """

    __slots__ = ("_lines", "bodiless", "closes", "length", "status")

    def __init__(self, status: str, headers: Headers) -> None:
        if not _STATUS.fullmatch(status):
            raise BadReply(f"{status!r} is not a status")
        self.status = int(status[:3])
        self.bodiless = self.status in (204, 304)
        self.length: int | None = None
        self.closes = False
        lines = [f"HTTP/1.1 {status}\r\n" if len(status) > 3 else f"HTTP/1.1 {status} \r\n"]
        dated = served = False
        find = _kinds.get
        for name, value in headers:
            kind = find(name)
            if kind is None:
                kind = _kind_of(name)
            if kind:
                if kind >= CONNECTION:
                    self.closes |= kind == CONNECTION and "close" in value.lower()
                    continue
                if kind == LENGTH:
                    self._set_length(value)
                    if self.status == 204:
                        continue
                dated |= kind == DATE
                served |= kind == SERVER
            lines.append(f"{name}: {value}\r\n")
        if not dated:
            lines.append(date_line())
        if not served:
            lines.append(f"Server: {SERVER_NAME}\r\n")
        self._lines = lines

    def _set_length(self, value: str) -> None:
        if self.length is not None or not (value.isascii() and value.isdigit()):
            raise BadReply(f"Content-Length {value!r} is not one number")
        self.length = int(value)

    def render(self, *more: str) -> bytes:
        """The head with its empty line; ``more`` are header lines of the server, CRLF included."""
        lines = self._lines
        text = "".join(lines)
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise BadReply("a header has a line break inside")
        try:
            return f"{text}{''.join(more)}\r\n".encode("latin-1")
        except UnicodeEncodeError as error:
            raise BadReply("a header is not latin-1") from error


def refusal(status: int, reason: str, phrase: str) -> bytes:
    """A whole answer of the server itself; the connection ends with it."""
    body = f"{reason}\n".encode("latin-1", "replace")
    return (
        f"HTTP/1.1 {status} {phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n{date_line()}Server: {SERVER_NAME}\r\n"
        "Connection: close\r\n\r\n"
    ).encode("latin-1") + body
