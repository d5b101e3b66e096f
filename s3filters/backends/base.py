"""What a backend is: one method per S3 operation, named as the operation in snake case.

A method takes a Call and returns a Reply (or raises S3Error). An operation without a method is
answered NotImplemented, so a backend's class body is the list of what it can do.
"""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import Any, Protocol

from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.multipart import OPERATIONS as MULTIPART
from s3filters.s3.reply import Reply
from s3filters.store.errors import (
    AccessDenied,
    AlreadyExists,
    InternalError,
    NoSuchKey,
    StoreError,
)

log = logging.getLogger("s3filters.backends")

_TELLING = (AccessDenied, NoSuchKey)  # a link that leads out, or nowhere


class Backend(Protocol):
    """Anything with methods such as ``get_object(call) -> Reply``."""


@lru_cache(maxsize=256)
def method_name(operation: str) -> str:
    """Return the method of an operation: ``ListObjectsV2`` -> ``list_objects_v2``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def translate(error: StoreError) -> S3Error:
    """Return the S3 error of a store error: classes there are named as the codes here."""
    if isinstance(error, AlreadyExists):
        return S3Error("PreconditionFailed", Condition="If-None-Match")
    return S3Error(type(error).__name__, error.message, **error.detail)


def answer(backend: Any, call: Call) -> Reply:
    """Let the backend answer the call. Raise NotImplemented where it has no such method.

    The multipart operations need the ``s3multi`` filter, which says so in the call.
    """
    if call.operation in MULTIPART and not call.multipart:
        raise _missing(call, f"{call.operation} is not implemented.")
    method = getattr(backend, method_name(call.operation), None)
    if method is None:
        raise _missing(call, f"{call.operation} is not implemented by this backend.")
    try:
        return method(call)  # type: ignore[no-any-return]
    except StoreError as error:
        if isinstance(error, InternalError):
            log.error("%s failed", call.operation, exc_info=error)
        raise refused(call, error) from error


def refused(call: Call, error: StoreError) -> S3Error:
    """Return the S3 error of a store error in a call.

    Raise what whoever may not know is told instead, where the error says what is at the key.
    """
    if call.key and isinstance(error, _TELLING):
        for check in call.checks:
            check(None)
    return translate(error)


def _missing(call: Call, message: str) -> S3Error:
    """Return NotImplemented. Raise what whoever may not know of the object is told instead."""
    if call.key:
        for check in call.checks:
            check(None)
    return S3Error("NotImplemented", message)
