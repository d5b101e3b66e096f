"""Condition keys: what a request is asked about by the conditions and variables of a policy.

A row for each key that a request here can truly have, or truly lack; a key without a row cannot be
enforced, so policies that use it are refused. Keys are compared without regard to case, and the
names of tags behind a slash with it. Nothing is worked out before a condition asks.
Source: AWS IAM, "Global condition context keys"; "Condition keys for Amazon S3".
"""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from s3filters.access.principals import Requester
from s3filters.s3 import address, dates
from s3filters.s3.call import Call

Values = tuple[str, ...]
Connection = tuple[str | None, str | None]  # address of the peer, scheme


class TagsNotRead(Exception):
    """A condition asks for tags that nobody has read yet: read them and decide again."""


def _nothing() -> Call | None:
    return None


@dataclass(slots=True)
class Context:
    """A request, as conditions see it.

    :param environ: its WSGI environ; a form's fields are there as headers too
    :param called: gives the Call of the request, if there is one
    :param now: seconds since 1970
    :param object_tags: tags of the object as it is now, none where there is no object; None as long
        as nobody has read them
    :param version_id: of the object that the decision is about: the call's, or its source's
    """

    environ: Mapping[str, Any]
    requester: Requester | None = None
    called: Callable[[], Call | None] = _nothing
    now: float = 0.0
    object_tags: Mapping[str, str] | None = None
    version_id: str | None = None

    @property
    def call(self) -> Call | None:
        """The Call of the request."""
        return self.called()

    @property
    def connection(self) -> Connection:
        """What ``lasting`` keys are read from."""
        return connection(self.environ)


def connection(environ: Mapping[str, Any]) -> Connection:
    """Return all that the values of ``lasting`` keys depend on."""
    return environ.get("REMOTE_ADDR"), environ.get("wsgi.url_scheme")


Read = Callable[[Context], Values | None]


@dataclass(frozen=True, slots=True)
class Key:
    """A condition key: how a request's values are read (None: it has none), and what it may guard.

    ``actions`` are those that can have the key, None when all can; ``many``: may have many values;
    ``lasting``: all requests of a ``Context.connection`` have the same.
    """

    read: Read
    actions: frozenset[str] | None = None
    many: bool = False
    lasting: bool = False


def find(name: str) -> Key | None:
    """Return the row of a key, None when it is not known here."""
    folded = name.lower()
    family, slash, _ = folded.partition("/")
    if slash:
        make = _FAMILIES.get(family)
        tag = name[len(family) + 1 :]
        return make(tag) if make is not None and tag else None
    return KEYS.get(folded)


# --- reading -----------------------------------------------------------------------------------


def _header(name: str) -> Read:
    key = "HTTP_" + name.upper().replace("-", "_")

    def read(request: Context) -> Values | None:
        value = request.environ.get(key)
        return None if value is None else (value,)

    return read


def _query(word: str) -> Read:
    def read(request: Context) -> Values | None:
        if request.call is not None and request.call.key:  # lists nothing, whatever it says
            return None
        text = request.environ.get("QUERY_STRING")
        value = address.query(text).get(word) if text else None
        return None if value is None else (value,)

    return read


def _of_requester(field: str) -> Read:
    def read(request: Context) -> Values | None:
        return None if request.requester is None else (getattr(request.requester, field),)

    return read


def _always(value: str) -> Read:
    return lambda request: (value,)


_MAPPED = "::ffff:"


def _source_ip(request: Context) -> Values | None:
    """The peer's address; a socket of both families writes ``::ffff:`` before one of IPv4."""
    value: str = request.environ.get("REMOTE_ADDR") or ""
    if "." in value:
        value = value.removeprefix(_MAPPED)
    return (value,) if value else None


def _secure(request: Context) -> Values:
    return ("true" if request.environ.get("wsgi.url_scheme") == "https" else "false",)


def _current_time(request: Context) -> Values:
    return (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(request.now)),)


def _epoch_time(request: Context) -> Values:
    return (str(int(request.now)),)


def _principal_type(request: Context) -> Values:
    return ("Anonymous" if request.requester is None else "User",)


def _copy_source(request: Context) -> Values | None:
    source = request.call.copy_source if request.call is not None else None
    return None if source is None else (f"{source.bucket}/{source.key}",)


def _version(request: Context) -> Values | None:
    return None if request.version_id is None else (request.version_id,)


# --- the signature -----------------------------------------------------------------------------

_V4, _V2 = "AWS4-HMAC-SHA256", "AWS"
_AMZ_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)


def _words(request: Context) -> Mapping[str, str]:
    text = request.environ.get("QUERY_STRING")
    return address.query(text) if text else {}


def _signature_version(request: Context) -> Values | None:
    if request.requester is None:
        return None
    authorization = request.environ.get("HTTP_AUTHORIZATION")
    if authorization is not None:
        return (_V4 if authorization.startswith(_V4) else _V2,)
    words = _words(request)
    if "X-Amz-Signature" in words:
        return (_V4,)
    return (_V2,) if "Signature" in words else None


def _auth_type(request: Context) -> Values | None:
    if request.requester is None:
        return None
    if "HTTP_AUTHORIZATION" in request.environ:
        return ("REST-HEADER",)
    words = _words(request)
    return (
        ("REST-QUERY-STRING",) if "X-Amz-Signature" in words or "Signature" in words else ("POST",)
    )


def _signature_age(request: Context) -> Values | None:
    """Milliseconds since the request was signed; a V2 URL does not tell when that was."""
    if request.requester is None:
        return None
    words, environ = _words(request), request.environ
    if "X-Amz-Signature" in words:  # elsewhere nobody has signed the word
        signed = words.get("X-Amz-Date", "")
    else:
        signed = environ.get("HTTP_X_AMZ_DATE", "")
        if "HTTP_AUTHORIZATION" in environ:  # nor this header
            signed = signed or environ.get("HTTP_DATE", "")
    match = _AMZ_DATE.fullmatch(signed)
    if match is not None:
        year, month, day, hour, minute, second = map(int, match.groups())
        then: int | None = calendar.timegm((year, month, day, hour, minute, second))
    else:
        then = dates.parse_http_date(signed)
    return None if then is None else (str(max(0, int((request.now - then) * 1000))),)


# --- tags --------------------------------------------------------------------------------------


def _object_tag(tag: str) -> Key:
    def read(request: Context) -> Values | None:
        if request.object_tags is None:
            raise TagsNotRead
        value = request.object_tags.get(tag)
        return None if value is None else (value,)

    return Key(read, _TAGGED)


def _new_tags(request: Context) -> Mapping[str, str]:
    call = request.call
    if call is not None and call.operation in _TAGS_IN_BODY:
        if call.tags is None:
            raise TagsNotRead
        return call.tags
    header = request.environ.get("HTTP_X_AMZ_TAGGING")
    return dict(parse_qsl(header, keep_blank_values=True)) if header else {}


def _new_tag(tag: str) -> Key:
    def read(request: Context) -> Values | None:
        value = _new_tags(request).get(tag)
        return None if value is None else (value,)

    return Key(read, _TAGGING)


def _new_tag_keys(request: Context) -> Values | None:
    return tuple(_new_tags(request)) or None


# --- the table ---------------------------------------------------------------------------------


def _actions(words: str) -> frozenset[str]:
    return frozenset(f"s3:{word}" for word in words.split())


_LISTING = _actions("ListBucket ListBucketVersions ListBucketMultipartUploads")
_PUTTING = _actions("PutObject")
_ACLS = _actions("PutObject PutObjectAcl PutObjectVersionAcl PutBucketAcl CreateBucket")
_TAGGED = _actions("""
    DeleteObject DeleteObjectTagging DeleteObjectVersion DeleteObjectVersionTagging GetObject
    GetObjectAcl GetObjectAttributes GetObjectTagging GetObjectVersion GetObjectVersionAcl
    GetObjectVersionAttributes GetObjectVersionTagging PutObjectAcl PutObjectTagging
    PutObjectVersionAcl PutObjectVersionTagging RestoreObject
""")
_TAGGING = _actions("PutObject PutObjectTagging PutObjectVersionTagging")
_VERSIONED = frozenset(
    f"s3:{verb}ObjectVersion{what}"
    for verb in ("Get", "Put", "Delete")
    for what in ("", "Acl", "Tagging", "Attributes", "Torrent")
) | _actions("PutObjectRetention GetObjectRetention PutObjectLegalHold GetObjectLegalHold")
_CONDITIONAL = _actions("PutObject DeleteObject")
_TAGS_IN_BODY = frozenset({"PutObjectTagging"})

KEYS: dict[str, Key] = {
    "aws:currenttime": Key(_current_time),
    "aws:epochtime": Key(_epoch_time),
    "aws:principalaccount": Key(_of_requester("account")),
    "aws:principalarn": Key(_of_requester("arn")),
    "aws:principalisawsservice": Key(_always("false")),
    "aws:principaltype": Key(_principal_type),
    "aws:referer": Key(_header("referer")),
    "aws:securetransport": Key(_secure, lasting=True),
    "aws:sourceip": Key(_source_ip, lasting=True),
    "aws:useragent": Key(_header("user-agent")),
    "aws:userid": Key(_of_requester("id")),
    "aws:username": Key(_of_requester("name")),
    "aws:viaawsservice": Key(_always("false")),
    "s3:authtype": Key(_auth_type),
    "s3:signatureage": Key(_signature_age),
    "s3:signatureversion": Key(_signature_version),
    "s3:x-amz-content-sha256": Key(_header("x-amz-content-sha256")),
    "s3:delimiter": Key(_query("delimiter"), _LISTING),
    "s3:max-keys": Key(_query("max-keys"), _LISTING),
    "s3:prefix": Key(_query("prefix"), _LISTING),
    "s3:versionid": Key(_version, _VERSIONED),
    "s3:if-match": Key(_header("if-match"), _CONDITIONAL),
    "s3:if-none-match": Key(_header("if-none-match"), _CONDITIONAL),
    "s3:x-amz-copy-source": Key(_copy_source, _PUTTING),
    "s3:requestobjecttagkeys": Key(_new_tag_keys, _TAGGING, many=True),
}
KEYS |= {
    f"s3:{header}": Key(_header(header), actions)
    for actions, headers in (
        (
            _ACLS,
            "x-amz-acl x-amz-grant-full-control x-amz-grant-read x-amz-grant-read-acp "
            "x-amz-grant-write x-amz-grant-write-acp",
        ),
        (
            _PUTTING,
            "x-amz-metadata-directive x-amz-server-side-encryption "
            "x-amz-server-side-encryption-aws-kms-key-id "
            "x-amz-server-side-encryption-customer-algorithm x-amz-storage-class "
            "x-amz-website-redirect-location",
        ),
    )
    for header in headers.split()
}
_FAMILIES: dict[str, Callable[[str], Key]] = {
    "s3:existingobjecttag": _object_tag,
    "s3:requestobjecttag": _new_tag,
}
