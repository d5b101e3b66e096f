"""One HTTP/1.1 connection in one green thread: requests in their order, each answered once.

The connection decides how long it lives. It ends, after an answer that says so, when the client or
the app wants that, when the worker drains, and whenever the next byte could be misread: after a
refused request, a body that was not read to its end, an answer that broke off. RFC 9112, section 9.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from random import getrandbits
from time import monotonic
from typing import TYPE_CHECKING

from s3filters.server.answer import DRAIN_LIMIT, Answer, Broken
from s3filters.server.head import Environ, Refused, body_length
from s3filters.server.input import Input, MalformedBody, input_of
from s3filters.server.reply import BadReply, refusal
from s3filters.server.stream import Stream, TlsStream

if TYPE_CHECKING:
    from s3filters.server.service import Service

CR = 13
DRAIN_SECONDS = 5.0  # for the rest of a body that nobody read
LINGER_SECONDS = 10.0  # how long what a refused client still sends is taken, so that it can read
LINGER_SILENCE = 2.0

log = logging.getLogger("s3filters.server")


class Connection:
    """A client. ``run`` is its green thread; ``idle`` while it waits for a request's first byte."""

    __slots__ = ("_environ", "_input", "_pending", "_persistent", "_service", "idle", "stream")

    def __init__(self, service: Service, stream: Stream, environ: Environ) -> None:
        self.stream = stream
        self.idle = False
        self._service = service
        self._environ = environ  # what all requests of this connection share
        self._pending = b""  # received, not parsed
        self._persistent = True
        self._input: Input = service.no_body

    def run(self) -> None:
        """Serve until the connection ends. Nothing is raised: the hub is the caller."""
        try:
            if isinstance(self.stream, TlsStream):
                self.stream.handshake(self._service.options.header_timeout)
            while self._serve_one():
                pass
        except OSError:  # the client went away, or is too slow
            pass
        except BaseException:
            log.exception("a connection failed")
        finally:
            self.stream.close()
            self._service.forget(self)

    def _serve_one(self) -> bool:
        """Serve a request; False when it was the last."""
        try:
            head = self._read_head()
            if not head:
                return False
            environ = self._parse(head)
        except Refused as error:
            self._refuse(error.status, error.reason)
            return False
        if not self._call(environ):
            return False
        return self._next_request()

    # Reading

    def _read_head(self) -> bytes:
        """The next head, its empty line included; b"" when the client has ended. Raise Refused."""
        if not self._pending:
            service = self._service
            count = self._await_request(service.view)
            end = service.buffer.find(b"\r\n\r\n", 0, count) + 4
            if end > 4 and service.buffer[0] != CR:
                if count > end:
                    self._pending = bytes(service.view[end:count])
                return bytes(service.view[:end])
            if not count:
                return b""
            self._pending = bytes(service.view[:count])
        return self._read_long_head()

    def _await_request(self, view: memoryview) -> int:
        """Bytes received of the next request; 0 when there is none."""
        self.idle = True
        try:
            return self.stream.receive(view, self._service.idle_timeout)
        finally:
            self.idle = False

    def _read_long_head(self) -> bytes:
        """A head of which some is pending; it has a time limit as a whole."""
        service = self._service
        limit = monotonic() + service.options.header_timeout
        part = bytearray(self._pending)
        while True:
            while part.startswith(b"\r\n"):  # RFC 9112, section 2.2
                del part[:2]
            end = part.find(b"\r\n\r\n") + 4
            if end > 4:
                self._pending = bytes(part[end:])
                return bytes(part[:end])
            service.parser.check_part(part)
            try:
                count = self.stream.receive(service.view, limit - monotonic())
            except TimeoutError as error:
                raise Refused(408, "The header took too long") from error
            if not count:
                return b""
            part += service.view[:count]

    def _parse(self, head: bytes) -> Environ:
        """The environ of a request, ``wsgi.input`` included. Raise Refused."""
        environ = self._environ.copy()
        self._service.parser.parse(head, environ)
        modern = environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        wishes = environ.get("HTTP_CONNECTION")
        if wishes is None:
            self._persistent = modern
        else:
            words = {word.strip() for word in wishes.lower().split(",")}
            self._persistent = "close" not in words and (modern or "keep-alive" in words)
        length = body_length(environ)
        if length or "HTTP_EXPECT" in environ:
            self._add_body(environ, length, modern)
        else:
            self._input = environ["wsgi.input"] = self._service.no_body
        return environ

    def _add_body(self, environ: Environ, length: int, modern: bool) -> None:
        expects = environ.get("HTTP_EXPECT", "").lower() if modern else ""
        if expects not in ("", "100-continue"):
            raise Refused(417, "Only 100-continue can be expected")
        pending, self._pending = self._pending, b""
        timeout = self._service.options.read_timeout
        self._input = input_of(self.stream, pending, length, bool(expects and length), timeout)
        environ["wsgi.input"] = self._input

    # Answering

    def _call(self, environ: Environ) -> bool:
        """Let the app answer; False when the connection has ended with it. Raise OSError."""
        answer = Answer(self._service, self.stream, environ, self._input, self._persistent)
        result: Iterable[bytes] = ()
        try:
            result = self._service.app(environ, answer.start)
            answer.send(result)
        except BaseException as error:  # noqa: BLE001  whatever the app did, the client hears of it
            self._fail(environ, answer, error)
            return False
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
            if self._input.failure is not None:
                # It is kept, so what it keeps must go: all frames of the request, buffers and all.
                self._input.failure.__traceback__ = self._input.failure.__context__ = None
        self._persistent = answer.persistent
        return True

    def _fail(self, environ: Environ, answer: Answer, error: BaseException) -> None:
        """The answer did not come out well: blame somebody, and say what can still be said."""
        if answer.gone:
            return
        blameless = error is self._input.failure
        if not blameless:
            trace = None if isinstance(error, Broken | BadReply) else error
            where = f"{environ['REQUEST_METHOD']} {environ['RAW_PATH_INFO']}"
            log.error("%s failed: %s", where, error, exc_info=trace)
        if answer.begun:
            self.stream.abort()
        elif not blameless:
            self._refuse(500, "" if environ["REQUEST_METHOD"] == "HEAD" else "The server failed")
        elif isinstance(error, MalformedBody):
            self._refuse(400, str(error))
        elif isinstance(error, TimeoutError):
            self._refuse(408, "The body took too long")

    def _refuse(self, status: int, reason: str) -> None:
        request_id = f"{getrandbits(64):016X}"
        client = self._environ["REMOTE_ADDR"] or "a client"
        log.info("%s gets %d: %s (request %s)", client, status, reason, request_id)
        answer = refusal(status, reason, HTTPStatus(status).phrase, request_id)
        self.stream.send(answer, self._service.options.write_timeout)
        self._linger()

    def _next_request(self) -> bool:
        """Get to the end of this request; False when the connection ends with it."""
        body = self._input
        if self._persistent:
            if body is not self._service.no_body:
                try:
                    until = monotonic() + DRAIN_SECONDS
                    self._pending = body.drain(self._service.view, DRAIN_LIMIT, until)
                except TimeoutError:
                    self._persistent = False
            if self._persistent:
                return True
        if not body.at_end or self._pending:
            self._linger()
        elif isinstance(self.stream, TlsStream):
            self.stream.end_sending()
        return False

    def _linger(self) -> None:
        """Take what the client still sends, for a while.

        Unread bytes would turn our close into a reset, and the reset would throw away the answer
        that the client has not read yet.
        """
        self.stream.end_sending()
        hurry = 0.1 if self._service.stopping else 1.0
        limit = monotonic() + LINGER_SECONDS * hurry
        with suppress(OSError):
            while (left := limit - monotonic()) > 0:
                if not self.stream.receive(self._service.view, min(left, LINGER_SILENCE * hurry)):
                    break
