"""What a request points at: bucket and key, from its path, its host and its copy source.

Text that is not UTF-8 names nothing. The names themselves are judged elsewhere (``rules``).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_plus

from s3filters.s3.errors import S3Error
from s3filters.s3.memo import memo
from s3filters.s3.parameters import bad

_CACHED = 256  # characters; longer queries are mostly signatures, and never come again


def of_request(
    environ: Mapping[str, Any], domains: tuple[str, ...]
) -> tuple[str | None, str | None]:
    """Return (bucket, key) of a request in either style; None for what it does not name.

    :param domains: lower case, each with a leading dot

    Raise InvalidURI when its path is not UTF-8.
    """
    path = environ.get("PATH_INFO", "")
    if domains:
        bucket = bucket_of_host(environ.get("HTTP_HOST", ""), domains)
        if bucket is not None:
            return bucket, key_of_path(path)
    return of_path(path)


def of_path(path: str) -> tuple[str | None, str | None]:
    """Return (bucket, key) of a WSGI path in path style; None for what it does not name.

    Raise InvalidURI when it is not UTF-8.
    """
    path = _utf8(path)
    if path in ("", "/"):
        return None, None
    if path[0] != "/":
        raise S3Error("InvalidURI")
    bucket, _, key = path[1:].partition("/")
    return bucket, key or None


def key_of_path(path: str) -> str | None:
    """Return the key of a WSGI path where the host names the bucket. Raise InvalidURI."""
    return _utf8(path)[1:] or None


def _utf8(wire: str) -> str:
    if wire.isascii():
        return wire
    try:
        return wire.encode("latin-1").decode()
    except UnicodeError as error:
        raise S3Error("InvalidURI") from error


@memo(1024)
def bucket_of_host(host: str, domains: tuple[str, ...]) -> str | None:
    """Return the bucket before one of the domains in a Host header; None in path style.

    :param domains: lower case, each with a leading dot
    """
    name = host.rstrip("0123456789").removesuffix(":") if ":" in host else host
    name = name.lower().rstrip(".")
    for domain in domains:
        if name.endswith(domain):
            return name[: -len(domain)] or None
    return None


def url_of(environ: Mapping[str, Any]) -> str:
    """Return the absolute URL that a request went to, without its query: as its client has it."""
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return f"{environ.get('wsgi.url_scheme', 'http')}://{host}{quote(path.encode('latin-1'))}"


def query(text: str) -> dict[str, str]:
    """Return the decoded words of a query string; of a repeated word the first. Do not change it.

    Raise InvalidURI when it is not UTF-8.
    """
    return _cached_query(text) if len(text) <= _CACHED else _query(text)


def _query(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in _utf8(text).split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(_decoded(name), _decoded(value))
    return found


_cached_query = lru_cache(maxsize=1024)(_query)


def _decoded(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    try:
        return unquote_plus(text, errors="strict")
    except UnicodeError as error:
        raise S3Error("InvalidURI") from error


def of_copy_source(header: str) -> tuple[str, str, str | None]:
    """Return (bucket, key, version id) of ``x-amz-copy-source``: percent-encoded, ``/`` optional.

    A ``?`` of the key is sent as ``%3F``, so the version is split off before decoding. Raise
    InvalidArgument.
    """
    path, mark, version = header.partition("?versionId=")
    try:
        path = unquote_plus(_utf8(path), errors="strict")
    except (UnicodeError, S3Error) as error:
        raise _bad_source(header) from error
    bucket, _, key = path.removeprefix("/").partition("/")
    if not bucket or not key or (mark and not version):
        raise _bad_source(header)
    return bucket, key, version or None


def _bad_source(header: str) -> S3Error:
    message = "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
    return bad("x-amz-copy-source", header, message)
