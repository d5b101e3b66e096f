"""catch_errors: every request has an id, and every failure an answer.

The outermost filter. It names the request (``x-amz-request-id``, ``x-amz-id-2``, every log line),
turns what nobody expected into S3's InternalError with the traceback in the log, writes the access
line, and sees that a body is as long as its Content-Length says: a client that counts on the length
would wait for missing bytes, or take surplus ones for the next answer, so the answer must break off
instead.

Ini options of ``[filter:catch_errors]``: none of its own; ``access_log`` of ``[DEFAULT]``, a file,
``-`` for standard output, or ``off`` (default).

Log records made while a request runs have an attribute ``request_id``; a format can name it.
"""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Any

from s3filters import options
from s3filters.pipeline import access
from s3filters.pipeline.base import App
from s3filters.s3.call import READABLE, REQUEST_ID
from s3filters.s3.errors import S3Error, host_id

log = logging.getLogger(__name__)

Environ = dict[str, Any]
Headers = list[tuple[str, str]]

# The request that this thread or green thread serves; each has a context of its own.
current_request: ContextVar[str] = ContextVar("current_request", default="-")


@dataclass(frozen=True, slots=True)
class Options:
    """Options of catch_errors."""

    access_log: str = options.option(
        "off",
        options.text,
        "Where a line for each request goes: a file, - for standard output, or off.",
        shared=True,
    )


# --- ids ---------------------------------------------------------------------------------------

_MASK = (1 << 64) - 1
_SPREAD = 0x9E3779B97F4A7C15  # odd, so that no two counts of 64 bits meet
_counter = count()


def _seed() -> None:
    """Start somewhere that no other process starts."""
    global _counter
    _counter = count(random.SystemRandom().getrandbits(64))


_seed()
os.register_at_fork(after_in_child=_seed)


def new_id() -> str:
    """Return an id that no other request has: 16 upper-case hexadecimal digits."""
    return f"{next(_counter) * _SPREAD & _MASK:016X}"


def tag_log_records() -> None:
    """Give every log record of this process ``request_id``; twice does no harm."""
    make = logging.getLogRecordFactory()
    if getattr(make, "tags_requests", False):
        return

    def tagged(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        record.request_id = current_request.get()
        return record

    tagged.tags_requests = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(tagged)


# --- the answer on its way out -----------------------------------------------------------------


class WrongLength(Exception):
    """A body is not as long as its Content-Length: the connection must not be used again."""


class Exchange:
    """One request and its answer."""

    __slots__ = ("_began", "_lines", "_start_response", "environ", "length", "status")

    def __init__(
        self, environ: Environ, start_response: Any, lines: access.LineFile | None
    ) -> None:
        self.environ = environ
        self.status = ""
        self.length: int | None = None  # as announced, of what will follow
        self._start_response = start_response
        self._lines = lines
        self._began = perf_counter()

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Any:
        """WSGI's start_response: add the ids, note status and length."""
        self.status = status
        self.length = None
        if status[:3] not in ("204", "304") and self.environ["REQUEST_METHOD"] != "HEAD":
            for name, value in headers:
                if name == "Content-Length" or name.lower() == "content-length":
                    self.length = int(value)
        request_id = self.environ[REQUEST_ID]
        named = [*headers, ("x-amz-request-id", request_id), ("x-amz-id-2", host_id(request_id))]
        if exc_info is None:
            return self._start_response(status, named)
        return self._start_response(status, named, exc_info)

    def fail(self, error: S3Error) -> Iterable[bytes]:
        """Answer with an error, whether or not another answer was begun (but not sent)."""
        exc_info = sys.exc_info() if self.status else None
        more = self._readable()

        def start(status: str, headers: Headers) -> Any:
            return self.start(status, [*headers, *more], exc_info)

        return error(self.environ, start)

    def _readable(self) -> Headers:
        """Return what lets a page of another origin read an error that was not made behind cors."""
        tell = self.environ.get(READABLE)
        if tell is None:
            return []
        try:
            found: Headers = tell(self.environ)
        except Exception:  # it may be what failed before
            log.exception("no page of another origin can read this answer")
            return []
        return found

    def check(self, size: int) -> None:
        """Raise WrongLength when a whole body of that size is not what was announced."""
        if self.length is not None and size != self.length:
            raise WrongLength(f"a body of {size} bytes was announced as {self.length}")

    def end(self, size: int) -> None:
        """Write the access line."""
        if self._lines is not None:
            seconds = perf_counter() - self._began
            self._lines.write(access.line(self.environ, self.status, size, seconds))


class FileBody:
    """A body that a server may send from its file; passed on as it is."""

    __slots__ = ("_body", "_exchange", "count", "fileno", "offset", "patient", "waits")

    def __init__(self, body: Any, exchange: Exchange) -> None:
        self._body = body
        self._exchange = exchange
        self.fileno: Callable[[], int] = body.fileno
        self.offset: int = body.offset
        self.count: int = body.count
        self.waits: Callable[[int, int], bool] | None = getattr(body, "waits", None)
        self.patient: bool = getattr(body, "patient", True)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the file; the server calls it when all is sent."""
        try:
            self._body.close()
        finally:
            self._exchange.end(self.count)


class PartsBody:
    """A body that comes in parts, counted."""

    __slots__ = ("_body", "_exchange", "_parts", "_size")

    def __init__(self, body: Iterable[bytes], exchange: Exchange) -> None:
        self._body = body
        self._parts = iter(body)
        self._exchange = exchange
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next part. Raise WrongLength when the body is too long, or ends too early."""
        length = self._exchange.length
        try:
            part = next(self._parts)
        except StopIteration:
            self._exchange.check(self._size)
            raise
        except Exception:
            log.exception("the answer broke off after %d bytes", self._size)
            raise
        self._size += len(part)
        if length is not None and self._size > length:
            raise WrongLength(f"a body announced as {length} bytes goes on")
        return part

    def close(self) -> None:
        """Close what is counted; the server calls it when all is sent, or nothing more can be."""
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._exchange.end(self._size)


class CatchErrors:
    """Names requests and catches what nobody else caught."""

    def __init__(self, app: App, lines: access.LineFile | None = None) -> None:
        self.app = app
        self._lines = lines

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Let the pipeline answer, or answer for it."""
        request_id = environ[REQUEST_ID] = new_id()
        current_request.set(request_id)
        exchange = Exchange(environ, start_response, self._lines)
        try:
            return self._watch(exchange, self.app(environ, exchange.start))
        except S3Error as error:
            return self._watch(exchange, exchange.fail(error))
        except Exception:
            log.exception("%s %s failed", environ["REQUEST_METHOD"], environ.get("PATH_INFO"))
            return self._watch(exchange, exchange.fail(S3Error("InternalError")))

    def _watch(self, exchange: Exchange, body: Any) -> Iterable[bytes]:
        """Return the body, checked where it is whole, else in something that counts it."""
        if type(body) is list:
            size = len(body[0]) if len(body) == 1 else sum(map(len, body))
            exchange.check(size)
            exchange.end(size)
            return body
        if hasattr(body, "fileno") and hasattr(body, "count"):
            try:
                exchange.check(body.count)
            except WrongLength:
                body.close()
                raise
            return FileBody(body, exchange)
        return PartsBody(body, exchange)


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], CatchErrors]:
    """PasteDeploy entry point ``egg:s3filters#catch_errors``."""
    settings = options.read(Options, "filter:catch_errors", global_conf, local_conf)
    tag_log_records()
    if settings.access_log == "off":
        return CatchErrors
    try:
        lines = access.LineFile(settings.access_log)
    except OSError as error:
        raise options.OptionError(f"[DEFAULT] access_log: {error}") from error
    return lambda app: CatchErrors(app, lines)
