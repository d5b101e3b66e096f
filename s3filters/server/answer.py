"""The answer to one request: what the app says, framed so that its end is certain.

Head and small body leave in one send. The app's Content-Length is a promise that is kept to the
byte: a body that is longer is cut there and one that is shorter ends the connection (``Broken``).
Without one the server counts a list, sends an iterable in chunks, and to HTTP/1.0 until the close.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from s3filters.server import files
from s3filters.server.head import Environ
from s3filters.server.input import Input
from s3filters.server.reply import BadReply, Head, Headers
from s3filters.server.stream import Stream

if TYPE_CHECKING:
    from s3filters.server.service import Service

DRAIN_LIMIT = 64 << 10  # bytes of an unread body that are dropped to keep the connection
JOINED = 256 << 10  # bytes of body that are copied to go out together with the head


class Broken(Exception):
    """The answer cannot be finished; the client must see that it is cut."""


class Answer:
    """What goes out for one request.

    ``begun`` once something was sent; ``gone`` when the client could not be sent to; ``persistent``
    whether the connection goes on afterwards, final as soon as the answer has begun.
    """

    __slots__ = (
        "_chunked", "_head", "_input", "_is_head", "_left", "_modern", "_service", "_stream",
        "_timeout", "begun", "gone", "persistent",
    )  # fmt: skip

    def __init__(
        self, service: Service, stream: Stream, environ: Environ, body: Input, persistent: bool
    ) -> None:
        self._service = service
        self._stream = stream
        self._input = body
        self._timeout = service.options.write_timeout
        self._is_head = environ["REQUEST_METHOD"] == "HEAD"
        self._modern = environ["SERVER_PROTOCOL"] == "HTTP/1.1"
        self._head: Head | None = None
        self._left: int | None = None  # bytes still owed; None: as many as come
        self._chunked = False
        self.begun = False
        self.gone = False
        self.persistent = persistent

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's ``start_response``."""
        if exc_info is not None:
            try:
                if self.begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise BadReply("start_response was called twice")
        self._head = Head(status, headers)
        return self._write

    def send(self, result: Iterable[bytes]) -> None:
        """Send all that the app returned. Raise Broken, BadReply, OSError, what the app raises."""
        if type(result) is list or type(result) is tuple:
            self._send_whole(b"".join(result))
        elif hasattr(result, "fileno") and hasattr(result, "offset") and hasattr(result, "count"):
            self._send_file(result)
        else:
            self._send_parts(result)

    def _send_whole(self, body: bytes) -> None:
        if self.begun:  # by the write() of start_response
            self._send_part(body)
            self._finish()
            return
        lead = self._lead(len(body))
        if not self._sends_body():
            self._transmit(lead)
        elif len(body) != self._left:
            self._transmit(lead + body[: self._left])
            raise Broken(f"the app gave {len(body)} bytes and had announced another number")
        elif len(body) <= JOINED:
            self._transmit(lead + body)
        else:
            self._transmit(lead, socket.MSG_MORE)
            self._transmit(body)

    def _send_file(self, body: Any) -> None:
        lead = self._lead(body.count)
        if not self._sends_body():
            self._transmit(lead)
            return
        if body.count != self._left:
            raise BadReply(f"{body.count} bytes of a file are not the length announced")
        self.begun = True
        try:
            files.send_file(self._stream, lead, body, self._service.view, self._timeout)
        except files.ShortFile as error:
            raise Broken("the file is shorter than it was") from error
        except files.Released as error:
            raise Broken("the file went to tape while it was sent") from error
        except (ConnectionError, TimeoutError):
            self.gone = True
            raise

    def _send_parts(self, result: Iterable[bytes]) -> None:
        for part in result:
            if not self.begun and not self._sends_body():
                break
            if part:
                self._send_part(part)
        if not self.begun:
            self._transmit(self._lead(0))
        self._finish()

    def _send_part(self, part: bytes) -> None:
        lead = b"" if self.begun else self._lead(None)
        if not self._sends_body():
            part = b""
        elif self._chunked:
            part = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
        elif self._left is not None:
            surplus = len(part) - self._left
            self._left = max(-surplus, 0)
            if surplus > 0:
                self._transmit(lead + part[:-surplus])
                raise Broken("the app gave more bytes than it had announced")
        if not lead:
            self._transmit(part)
        elif len(part) <= JOINED:
            self._transmit(b"".join((lead, part)))
        else:
            self._transmit(lead, socket.MSG_MORE)
            self._transmit(part)

    def _finish(self) -> None:
        if self._chunked:
            self._transmit(b"0\r\n\r\n")
        elif self._left and self._sends_body():
            raise Broken(f"the app gave {self._left} bytes less than it had announced")

    def _write(self, data: bytes) -> None:
        """The ``write`` of PEP 3333, for old apps."""
        if data:
            self._send_part(data)

    def _sends_body(self) -> bool:
        return not (self._is_head or (self._head is not None and self._head.bodiless))

    def _lead(self, known: int | None) -> bytes:
        """The head as bytes; settles framing and the connection's fate.

        :param known: length of the body where it can be told without the app's word
        """
        head = self._head
        if head is None:
            raise BadReply("start_response was never called")
        more = ""
        self._left = head.length
        if head.length is None and self._sends_body():
            if known is not None:
                self._left = known
                more = f"Content-Length: {known}\r\n"
            elif self._modern:
                self._chunked = True
                more = "Transfer-Encoding: chunked\r\n"
            else:
                self.persistent = False
        if head.closes or self._service.draining or not self._input.can_drain(DRAIN_LIMIT):
            self.persistent = False
            self._input.forget_expectation()
        if not self.persistent:
            more += "Connection: close\r\n"
        elif not self._modern:
            more += "Connection: keep-alive\r\n"
        return head.render(more)

    def _transmit(self, data: bytes, flags: int = 0) -> None:
        self.begun = True
        try:
            self._stream.send(data, self._timeout, flags)
        except OSError:
            self.gone = True
            raise
