"""Waiting: for work that takes longer than a client waits in silence, and for a busy upload.

Some operations may take minutes, and a connection on which nothing moves is cut by somebody. So
after ``QUICK_S`` seconds the answer begins: 200, the XML declaration, then a blank now and then
until the document follows. Whatever fails from there on is an ``<Error>`` in that document, as AWS
has it: API reference, CompleteMultipartUpload ("white space characters to keep the connection from
timing out"), CopyObject and UploadPartCopy ("a 200 OK response can contain either a success or an
error"). What is done, or refused, before is answered as anything else.

The work is not ended when its client goes away: the log says what became of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, TypeVar

from s3filters.backends.base import translate
from s3filters.s3 import xml
from s3filters.s3.call import REQUEST_ID, Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store.errors import Busy, SlowDown, StoreError

T = TypeVar("T")

QUICK_S = 2.0  # an answer that is there by then has a status of its own
BLANK_S = 5.0  # between the signs of life of one that is not
RETRY_S = 0.05  # between two tries at what another has just now
PATIENCE_S = 5.0

_TYPE = ("Content-Type", "application/xml")
_DECLARATION = xml.DECLARATION.encode()

log = logging.getLogger("s3filters.backends")


def patiently(offload: Any, verb: Callable[..., T], *args: Any) -> T:
    """Run a verb, again and again for ``PATIENCE_S`` while it raises Busy. Raise SlowDown then."""
    limit = monotonic() + PATIENCE_S
    while True:
        try:
            return offload.run(verb, *args)  # type: ignore[no-any-return]
        except Busy as error:
            if monotonic() > limit:
                raise SlowDown from error
        offload.sleep(RETRY_S)


def answer(offload: Any, call: Call, work: Callable[[], bytes]) -> Reply:
    """Answer with the document that ``work`` returns, however long it takes.

    :param work: called where blocking work runs, and called again as long as it raises Busy

    Raise what the work raises within ``QUICK_S``.
    """
    job = _Job(offload, work)
    document = job.poll(QUICK_S)
    if document is not None:
        return Reply(200, [_TYPE], document)
    return Reply(200, [_TYPE], _Late(call, job))


class _Job:
    """Work that was begun, and begun again when it was busy."""

    def __init__(self, offload: Any, work: Callable[[], bytes]) -> None:
        self._offload = offload
        self._work = work
        self._handle: Any = offload.start_slow(work)

    def poll(self, timeout_s: float) -> bytes | None:
        """Wait about so long; return the document once it is there, or raise what went wrong."""
        limit = monotonic() + timeout_s
        while (left := limit - monotonic()) > 0 and self._handle.done(left):
            try:
                return self.wait()
            except Busy:
                self._offload.sleep(RETRY_S)
                self._handle = self._offload.start_slow(self._work)
        return None

    def wait(self) -> bytes:
        """Wait for this try; once. Raise Busy too."""
        document: bytes = self._handle.wait()
        return document


class _Late:
    """The body of an answer that is begun before it is known."""

    def __init__(self, call: Call, job: _Job) -> None:
        self._call = call
        self._job: _Job | None = job
        self._begun = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if not self._begun:
            self._begun = True
            return _DECLARATION
        if self._job is None:
            raise StopIteration
        document = self._poll(self._job)
        if document is None:
            return b" "
        self._job = None
        return document.removeprefix(_DECLARATION)

    def _poll(self, job: _Job) -> bytes | None:
        call = self._call
        try:
            return job.poll(BLANK_S)
        except StoreError as error:
            found = translate(error)
            cause: BaseException = error
        except S3Error as error:
            found = cause = error
        except Exception as error:  # noqa: BLE001  whatever it is, the answer must come to an end
            found, cause = S3Error("InternalError"), error
        unexpected = cause if found.code == "InternalError" else None
        log.error(
            "%s failed after its answer had begun: %s", _name(call), cause, exc_info=unexpected
        )
        return found.document(_environ(call))

    def close(self) -> None:
        """See the work to its end when the client does not; the server calls it at the end."""
        job, self._job = self._job, None
        if job is None:
            return
        try:
            job.wait()
        except Busy:
            outcome = "was not begun, because others were at it"
        except Exception as error:  # noqa: BLE001  nobody is left to tell but the log
            outcome = f"failed: {error}"
        else:
            outcome = "is done"
        log.warning("the client of %s went away; it %s", _name(self._call), outcome)


def _name(call: Call) -> str:
    return f"{call.operation} of {call.bucket}/{call.key}"


def _environ(call: Call) -> dict[str, Any]:
    """As much of a request as an error document tells of it."""
    path = f"/{call.bucket}/{call.key}".encode("utf-8", "surrogatepass")
    return {REQUEST_ID: call.request_id, "PATH_INFO": path.decode("latin-1")}
