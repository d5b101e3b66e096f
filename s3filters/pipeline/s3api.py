"""s3api: HTTP becomes a Call, in S3's words.

Reads a request once: bucket and key in path style or virtual-hosted style, the operation by the
routing table, its parameters, conditions, range, headers to store, and what its body must prove.
What S3 refuses for its form is refused here, before anybody looks at the store.

Ini options of ``[filter:s3api]``: none of its own; ``storage_domain`` of ``[DEFAULT]``.

Gates every operation, answers none: what nobody below answers is NotImplemented by name.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from s3filters import options
from s3filters.pipeline.base import App
from s3filters.s3 import (
    address,
    checksums,
    dates,
    fields,
    headers,
    parameters,
    proofs,
    ranges,
    refusals,
    rules,
    table,
)
from s3filters.s3.body import Body, source_of
from s3filters.s3.call import IDENTITY, KEY, REQUEST_ID, Call, CopySource
from s3filters.s3.conditions import Conditions
from s3filters.s3.errors import S3Error
from s3filters.s3.form import PostedFile
from s3filters.s3.operations import COPY_SOURCE
from s3filters.s3.row import BUCKET, DATA, FOREIGN, FORM, MUST, OBJECT, READ, SERVICE, WRITE, Row

log = logging.getLogger(__name__)

Environ = dict[str, Any]

_CONDITIONAL = frozenset({
    "HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH", "HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE",
})  # fmt: skip
_NO_QUERY: dict[str, str] = {}


def domains(value: str) -> tuple[str, ...]:
    """Host names, separated by commas."""
    names = [name.strip().strip(".").lower() for name in value.split(",")]
    return tuple(f".{name}" for name in names if name)


def domains_option() -> Any:
    """Declare the option of every filter that must know which bucket a request is for."""
    return options.option(
        (),
        domains,
        "Host names, separated by commas, that a bucket's name may stand before: with "
        "s3.example.org, a request to photos.s3.example.org is for the bucket photos.",
        shared=True,
    )


@dataclass(frozen=True, slots=True)
class Options:
    """Options of s3api."""

    storage_domain: tuple[str, ...] = domains_option()


class S3api:
    """Makes the Call of each request; without an app behind it, answers NotImplemented."""

    def __init__(self, app: App | None, settings: Options) -> None:
        self.app = app or _answered_by_nobody
        self._domains = settings.storage_domain

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Understand the request and pass it on, or answer why not."""
        try:
            environ[KEY] = self._understand(environ)
            return self.app(environ, start_response)
        except S3Error as error:
            return error(environ, start_response)

    def _understand(self, environ: Environ) -> Call:
        """Return the Call of a request. Raise S3Error when it is none, or none that S3 allows."""
        bucket, key = address.of_request(environ, self._domains)
        text = environ.get("QUERY_STRING")
        query = address.query(text) if text else _NO_QUERY
        level = SERVICE if bucket is None else BUCKET if key is None else OBJECT
        row, params = table.route(environ["REQUEST_METHOD"], level, query, environ)
        _check_names(row, bucket, key)
        call = Call(row.name, bucket or "", key or "", None, params)
        call.identity = environ.get(IDENTITY)
        call.request_id = environ.get(REQUEST_ID, "")
        call.remote = environ.get("REMOTE_ADDR", "")
        if query:
            _read_query(call, query)
        owner = environ.get("HTTP_X_AMZ_EXPECTED_BUCKET_OWNER")
        if owner is not None:
            params["ExpectedBucketOwner"] = owner
        if row.conditions and not _CONDITIONAL.isdisjoint(environ):
            call.conditions = _CONDITIONS[row.conditions](environ)
        if row.conditions == READ:
            _read_reading(call, environ)
        elif row.writes:
            _read_writing(call, row, environ)
        return call


def _answered_by_nobody(environ: Environ, start_response: Any) -> Iterable[bytes]:
    name = environ[KEY].operation
    return S3Error("NotImplemented", f"{name} is not implemented.")(environ, start_response)


def _check_names(row: Row, bucket: str | None, key: str | None) -> None:
    if bucket is not None:
        if row.name == "CreateBucket":
            rules.check_new_bucket(bucket)
        else:
            rules.check_bucket(bucket)
    if key is not None:
        rules.check_key(key, write=row.writes)


def _read_query(call: Call, query: dict[str, str]) -> None:
    if call.key and "versionId" in query:
        call.version_id = query["versionId"]
        if not call.version_id:
            message = "Version id cannot be the empty string"
            raise parameters.bad("versionId", "", message)
    if call.identity is None and any(name.startswith("Response") for name in call.params):
        message = "Request specific response headers cannot be used for anonymous GET requests."
        raise S3Error("InvalidRequest", message)


# --- reading -----------------------------------------------------------------------------------


def _read_reading(call: Call, environ: Environ) -> None:
    """The range. If-Range is honoured by sending the whole object, which is always right."""
    refusals.check_read(environ)
    asked = environ.get("HTTP_RANGE")
    if asked is None or "HTTP_IF_RANGE" in environ:
        return
    call.range = ranges.parse(asked)
    if call.range is not None and "PartNumber" in call.params:
        message = "Cannot specify both Range header and partNumber query parameter"
        raise S3Error("InvalidRequest", message)


def _read_conditions(environ: Environ, prefix: str = "HTTP_") -> Conditions:
    """Conditions of a read; a date that is none is ignored (RFC 9110, section 13.1.3)."""
    since = environ.get(f"{prefix}IF_MODIFIED_SINCE")
    unless = environ.get(f"{prefix}IF_UNMODIFIED_SINCE")
    return Conditions(
        environ.get(f"{prefix}IF_MATCH"),
        environ.get(f"{prefix}IF_NONE_MATCH"),
        dates.parse_http_date(since) if since else None,
        dates.parse_http_date(unless) if unless else None,
    )


# --- writing -----------------------------------------------------------------------------------


def _write_conditions(environ: Environ) -> Conditions:
    """Conditions of a change: If-Match or ``If-None-Match: *``; others are refused by name."""
    match, none_match = environ.get("HTTP_IF_MATCH"), environ.get("HTTP_IF_NONE_MATCH")
    for key in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE"):
        if key in environ:
            raise _no_condition(key[5:].title().replace("_", "-"))
    if none_match is not None:
        if match is not None or none_match.strip() != "*" or environ["REQUEST_METHOD"] == "DELETE":
            raise _no_condition("If-None-Match")
        none_match = "*"
    return Conditions(match, none_match)


def _no_condition(header: str) -> S3Error:
    return S3Error("NotImplemented", Header=header)


_CONDITIONS: dict[str, Callable[[Environ], Conditions]] = {
    READ: _read_conditions,
    WRITE: _write_conditions,
}


def _read_writing(call: Call, row: Row, environ: Environ) -> None:
    """What a change brings: headers to store, a source, a body and its proofs."""
    if row.body == FORM:
        _read_form(call, environ)
    refusals.check_write(environ)
    if row.header == COPY_SOURCE:
        call.copy_source = _copy_source(environ)
    if row.stores:
        call.headers = headers.read(environ)
        call.headers.checksum_algorithm = call.params.get("ChecksumAlgorithm")
    if row.body:
        call.body = _body(row, environ)
        _prove(call, row, call.body, environ)


def _read_form(call: Call, environ: Environ) -> None:
    """The form's fields, which ``sigauth`` may have put in the request's place already."""
    posted = environ["wsgi.input"]
    if not isinstance(posted, PostedFile):
        posted = fields.receive(environ, _content_length(environ))
    call.key = posted.form.fields["key"]
    rules.check_key(call.key, write=True)
    call.params.update(fields.success(environ, posted.form))


def _copy_source(environ: Environ) -> CopySource:
    bucket, key, version = address.of_copy_source(environ[COPY_SOURCE])
    rules.check_bucket(bucket)
    rules.check_key(key)
    return CopySource(bucket, key, version, _read_conditions(environ, f"{COPY_SOURCE}_"))


def _body(row: Row, environ: Environ) -> Body:
    """The body, which ``sigauth`` may have wrapped already.

    Raise MissingContentLength, or EntityTooLarge over 5 GiB.
    """
    body = environ["wsgi.input"]
    if not isinstance(body, Body):
        if "HTTP_X_AMZ_DECODED_CONTENT_LENGTH" in environ:
            message = "aws-chunked bodies need the sigauth filter, which takes them apart."
            raise S3Error("NotImplemented", message)
        body = Body(source_of(body), _content_length(environ))
    if row.body == DATA:
        if body.length is None:
            raise S3Error("MissingContentLength")
        if body.length > rules.PUT_BYTES:
            raise S3Error(
                "EntityTooLarge", ProposedSize=body.length, MaxSizeAllowed=rules.PUT_BYTES
            )
    elif body.length is None and row.body != FORM and "HTTP_TRANSFER_ENCODING" not in environ:
        body.length = 0
    return body


def _content_length(environ: Environ) -> int | None:
    text = environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise parameters.bad("Content-Length", text, "Content-Length is no number.")
    return int(text)


def _prove(call: Call, row: Row, body: Body, environ: Environ) -> None:
    if row.proof == FOREIGN:
        call.params["Location"] = address.url_of(environ)
        call.params["ObjectChecksum"] = proofs.of_object(environ)
        return
    algorithm, digest = proofs.expect(body, environ)
    if row.proof == MUST and algorithm is None and "HTTP_CONTENT_MD5" not in environ:
        message = "Missing required header for this request: Content-MD5 OR x-amz-checksum-*"
        raise S3Error("InvalidRequest", message)
    if row.body in (DATA, FORM):
        body.want("MD5")
        if call.headers is None:  # a part: which checksum it is stored with, its upload says
            call.headers = headers.ObjectHeaders()
        else:
            algorithm = algorithm or checksums.DEFAULT
            body.want(algorithm)
        call.headers.checksum_algorithm, call.headers.checksum = algorithm, digest


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], S3api]:
    """PasteDeploy entry point ``egg:s3filters#s3api``."""
    settings = options.read(Options, "filter:s3api", global_conf, local_conf)
    return lambda app: S3api(app, settings)
