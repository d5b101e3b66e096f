"""The answer to a request: a ``webob.Response`` that is cheap to make.

It knows nothing of operations; it keeps the case of header names, never guesses a header, and sends
no body where HTTP allows none (RFC 9110, sections 6.4.1 and 9.3.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import webob

STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}


class Reply(webob.Response):  # type: ignore[misc]
    """A status, headers in their order and case, and a body as an iterable of bytes.

    ``body`` is bytes, or an iterable with an optional ``close``; with an iterable the caller gives
    ``Content-Length`` itself. A body iterable that also has ``fileno()``, ``offset`` and ``count``
    (bytes of that file, from ``offset``, ``count`` long) may be sent by a server with sendfile.
    """

    def __init__(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] = b"",
    ) -> None:
        self._status = STATUS_LINES[status]
        self._headers = None
        self._headerlist = list(headers)
        self.request = None
        self.environ = None
        if isinstance(body, bytes):
            self._app_iter: Iterable[bytes] = [body]
            if status not in (204, 304):
                self._headerlist.append(("Content-Length", str(len(body))))
        else:
            self._app_iter = body

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI app. A HEAD request gets the headers alone."""
        start_response(self._status, self._headerlist)
        if environ["REQUEST_METHOD"] == "HEAD":
            close = getattr(self._app_iter, "close", None)
            if close is not None:
                close()
            return []
        return self._app_iter
