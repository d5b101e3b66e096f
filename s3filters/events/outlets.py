"""The ways out for events: lines of a file, and HTTP.

Both take a message as it is and return when it is safe with whoever gets it. Where to is said by
who configures the service alone.
"""

from __future__ import annotations

import fcntl
import http.client
import os
from typing import Protocol
from urllib.parse import urlsplit

_READ = 64 << 10  # bytes of an answer that are read before its connection is closed
_AGAIN = (408, 425, 429)  # statuses below 500 that say nothing against the message itself


class Refused(Exception):
    """The receiver does not want this message; it may want another."""


class Outlet(Protocol):
    """Takes messages, one at a time."""

    def send(self, message: bytes, id_: str) -> None:
        """Return when it was taken. Raise Refused, OSError when nothing can be sent just now."""

    def rest(self) -> None:
        """Nothing comes for a while."""


class Lines:
    """A file to which each message is added as a line. It may be moved away at any time."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = path

    def send(self, message: bytes, id_: str) -> None:
        """Add a line, and sync. What was written of a line that failed is taken away again."""
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            size = os.fstat(fd).st_size
            torn = size and os.pread(fd, 1, size - 1) != b"\n"  # a death in the middle of a line
            line = (b"\n" if torn else b"") + message + b"\n"
            try:
                if os.write(fd, line) != len(line):
                    raise OSError(f"{os.fspath(self._path)} takes no whole line")
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)

    def rest(self) -> None:
        """Nothing is kept open."""


class Webhook:
    """A URL that gets each message with POST; 2xx means that it was taken.

    :param url: http or https, its certificate is checked. Raise ValueError for any other.
    :param timeout_s: how long it may say nothing

    Redirections are not followed and no proxy is asked. A connection is used again.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._connection: http.client.HTTPConnection | None = None
        self._url = check_url(url)
        parts = urlsplit(url)
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def send(self, message: bytes, id_: str) -> None:
        """Post it. Raise Refused for a 3xx or 4xx that is about the message, OSError."""
        fresh = self._connection is None
        try:
            status = self._post(message, id_)
        except (OSError, http.client.HTTPException) as error:
            self.rest()
            if fresh or isinstance(error, TimeoutError):
                raise _unreachable(error) from error
            try:  # the other side closed what was idle
                status = self._post(message, id_)
            except (OSError, http.client.HTTPException) as again:
                self.rest()
                raise _unreachable(again) from again
        if 200 <= status < 300:
            return
        if status >= 500 or status in _AGAIN:
            raise OSError(f"answered {status}")
        raise Refused(f"answered {status}")

    def _post(self, message: bytes, id_: str) -> int:
        if self._connection is None:
            parts = urlsplit(self._url)
            connect = (
                http.client.HTTPSConnection
                if parts.scheme == "https"
                else http.client.HTTPConnection
            )
            self._connection = connect(parts.hostname or "", parts.port, timeout=self._timeout_s)
        headers = {"Content-Type": "application/json", "X-S3filters-Event": id_}
        self._connection.request("POST", self._target, message, headers)
        answer = self._connection.getresponse()
        answer.read(_READ)
        if not answer.isclosed():
            self.rest()
        return answer.status

    def rest(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def check_url(value: str) -> str:
    """Return a URL that events can be sent to, or nothing for nothing. Raise ValueError."""
    url = value.strip()
    if not url:
        return ""
    parts = urlsplit(url)
    parts.port  # noqa: B018  raises ValueError
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise ValueError("say a URL that begins with http:// or https://")
    if parts.username is not None or parts.fragment:
        raise ValueError("a user, password or fragment in the URL cannot be used")
    return url


def _unreachable(error: Exception) -> OSError:
    return OSError(f"{type(error).__name__}: {error}")  # never the URL: it may hold a secret
