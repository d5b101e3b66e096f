"""What the fields of a form mean for PostObject: its key, its headers, and how success is told.

A form's fields take the place of the request's own headers, which say how the form was sent and
which no policy document covers: behind this, metadata, ACL, tags and checksums of a form stand
where those of a PUT do. Source: AWS API reference, "POST Object".
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from s3filters.s3 import address, form, headers, table, tagging
from s3filters.s3.errors import S3Error
from s3filters.s3.form import Form, PostedFile
from s3filters.s3.row import BUCKET

# Fields that sign, or hold what is signed; all others are the policy document's business
SIGNING = frozenset({
    "awsaccesskeyid", "policy", "signature", "x-amz-algorithm", "x-amz-credential",
    "x-amz-security-token", "x-amz-signature",
})  # fmt: skip

_FILENAME = "${filename}"
_AMZ = "x-amz-"
_OWNER = "x-amz-expected-bucket-owner"  # the one header beside a form that can only forbid
_REPLACED = {key for key in headers.STANDARD if not key.startswith("HTTP_X_AMZ_")}
_REPLACED |= {"HTTP_CONTENT_MD5"}
_KEYS = {key.removeprefix("HTTP_").lower().replace("_", "-"): key for key in _REPLACED}
_sound_name = re.compile(r"[a-z0-9\-_.]{1,256}", re.ASCII).fullmatch
_sound_value = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch  # what a header line can hold
_sound_url = re.compile(r"[!-~]+", re.ASCII).fullmatch


def posts(environ: dict[str, Any], domains: tuple[str, ...]) -> bool:
    """True when the request is a PostObject with a form. Raise what routing raises."""
    if not form.announced(environ):
        return False
    bucket, key = address.of_request(environ, domains)
    if bucket is None or key is not None:
        return False
    query = address.query(environ.get("QUERY_STRING", ""))
    return table.route("POST", BUCKET, query, environ)[0].name == "PostObject"


def receive(environ: dict[str, Any], length: int | None) -> PostedFile:
    """Read a form up to its file, and put it in the request's place.

    The fields are shown as headers in the environ, and ``wsgi.input`` is what is returned.

    :param length: of the request's body in bytes, None when it does not say

    Raise PreconditionFailed when the request has no form, InvalidArgument when it has no key or a
    field that can be no header, what ``form.read`` raises, and what tags raise that cannot be.
    """
    if not form.announced(environ):
        condition = "Bucket POST must be of the enclosure-type multipart/form-data"
        raise S3Error("PreconditionFailed", Condition=condition)
    received = form.read(environ, length)
    if "key" not in received.fields:
        raise missing("key")
    received.fields["key"] = received.fields["key"].replace(_FILENAME, received.filename)
    _show(environ, _as_headers(received.fields))
    environ["wsgi.input"] = posted = PostedFile(received)
    return posted


def missing(name: str) -> S3Error:
    """The error of a form without a field that it must have."""
    return S3Error(
        "InvalidArgument",
        f"Bucket POST must contain a field named '{name}'.  "
        "If it is specified, please check the order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )


def _as_headers(fields: dict[str, str]) -> dict[str, str]:
    """Return the headers that fields stand for: lower-case name -> value as WSGI has it."""
    found = {
        name: value
        for name, value in fields.items()
        if name in _KEYS or (name.startswith(_AMZ) and name not in SIGNING)
    }
    if "acl" in fields:
        found["x-amz-acl"] = fields["acl"]
    if fields.get("tagging"):
        found["x-amz-tagging"] = urlencode(tagging.parse(fields["tagging"].encode()))
    for name, value in found.items():
        if not _sound_name(name) or not _sound_value(value):
            raise S3Error("InvalidArgument", ArgumentName=name, ArgumentValue=value)
    return {name: value.strip(" \t").encode().decode("latin-1") for name, value in found.items()}


def _show(environ: dict[str, Any], shown: dict[str, str]) -> None:
    """Take away the request's own headers of these kinds, and set those of the form."""
    gone = [key for key in environ if key in _REPLACED or key.startswith("HTTP_X_AMZ_")]
    for key in gone:
        if key != _environ_key(_OWNER):
            del environ[key]
    for name, value in shown.items():
        if "_" not in name:  # such a name is in the raw list alone
            environ[_environ_key(name)] = value
    if "headers_raw" in environ:
        kept = [pair for pair in environ["headers_raw"] if not _is_replaced(pair[0].lower())]
        environ["headers_raw"] = [*kept, *shown.items()]


def _environ_key(name: str) -> str:
    return _KEYS.get(name) or "HTTP_" + name.upper().replace("-", "_")


def _is_replaced(name: str) -> bool:
    return name in _KEYS or (name.startswith(_AMZ) and name != _OWNER)


# --- success -----------------------------------------------------------------------------------


def success(environ: dict[str, Any], posted: Form) -> dict[str, Any]:
    """Return the parameters that say how success is told.

    ``Location`` is the URL of the object; ``SuccessActionRedirect`` an absolute URL, or None: what
    is none is as if it were not there; ``SuccessActionStatus`` is 200, 201 or 204, the default.
    """
    fields = posted.fields
    redirect = fields.get("success_action_redirect") or fields.get("redirect", "")
    status = fields.get("success_action_status")
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "").rstrip("/")
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return {
        "Location": f"{environ.get('wsgi.url_scheme', 'http')}://{host}"
        f"{quote(path.encode('latin-1'))}/{quote(fields['key'])}",
        "SuccessActionRedirect": redirect if _is_url(redirect) else None,
        "SuccessActionStatus": int(status) if status in ("200", "201", "204") else 204,
    }


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(_sound_url(text) and parts.scheme in ("http", "https") and parts.netloc)


def redirected(url: str, bucket: str, key: str, etag: str) -> str:
    """Return where a client is sent that stored an object.

    :param url: absolute
    :param etag: with its quotes
    """
    parts = urlsplit(url)
    added = urlencode({"bucket": bucket, "key": key, "etag": etag}, quote_via=quote)
    query = f"{parts.query}&{added}" if parts.query else added
    return urlunsplit(parts._replace(query=query))
