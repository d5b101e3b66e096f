"""What others are told of restores: asked for, here, over. See ``s3filters.events``.

Each is told by who writes it down, under the key's lock: an event is kept before the change and
goes out behind it, so none is lost, and one is told twice only when a process dies in between.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import NamedTuple

from s3filters.backends.fs.parts import Part
from s3filters.events.events import Events
from s3filters.events.message import COMPLETED, DELETE, ITSELF, POST, Event
from s3filters.s3.call import Call
from s3filters.s3.headers import COLD_CLASSES
from s3filters.store.errors import SlowDown
from s3filters.store.metadata import Record
from s3filters.store.restores import Restore

ANONYMOUS = "Anonymous"

log = logging.getLogger("s3filters.backends")


class Subject(NamedTuple):
    """An object and its request, as it is when all is done; when that ends it, as it was."""

    bucket: str
    key: str
    record: Record
    request: Restore


@contextlib.contextmanager
def about(
    part: Part,
    events: Events | None,
    event: str,
    subject: Subject,
    call: Call | None = None,
) -> Iterator[None]:
    """Tell of what the ``with`` block does to a request, unless it raises.

    :param event: POST, COMPLETED or DELETE
    :param call: who asked for it, None for nobody

    Raise SlowDown, before anything is done, when the event cannot be kept.
    """
    if events is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        message = _message(part, event, subject, call)
        try:
            stack.enter_context(events.about(message))
        except OSError as error:
            log.warning("%s of %s cannot be kept: %s", event, subject.bucket, error)
            raise SlowDown("Who is to be told of restores cannot be just now.") from error
        yield


def _message(part: Part, event: str, subject: Subject, call: Call | None) -> Event:
    """Return the event; its cause is what no other of the same name and object has."""
    bucket, key, record, request = subject
    more = {POST: request.tier, COMPLETED: "", DELETE: str(request.end_s)}[event]
    who, address, request_id = ITSELF, ITSELF, ""
    if call is not None and call.request_id:  # else a command of whoever runs the service
        who = call.identity.id if call.identity is not None else ANONYMOUS
        address, request_id = call.remote, call.request_id
    recorded = record.storage_class
    return Event(
        name=event,
        moment_s=time.time(),
        region=part.region,
        bucket=bucket,
        owner=part.store.bucket(bucket).owner,
        key=key,
        size=record.size,
        etag=record.etag,
        cause=f"{request.requested_ns} {more}",
        request_id=request_id,
        principal=who,
        address=address,
        end_s=request.end_s,
        storage_class=recorded if recorded in COLD_CLASSES else "GLACIER",
    )
