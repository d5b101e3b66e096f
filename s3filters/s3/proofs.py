"""What headers say that a body must prove: Content-MD5, a checksum header or one in the trailer.

It adds expectations to the Body and reads nothing of it. Source: AWS, "Checking object integrity".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from s3filters.s3 import checksums
from s3filters.s3.body import Body
from s3filters.s3.checksums import ALGORITHMS, OBJECT_ALGORITHMS
from s3filters.s3.errors import S3Error

# environ key -> algorithm
_HEADERS = {
    "HTTP_" + ALGORITHMS[name].header.upper().replace("-", "_"): name for name in OBJECT_ALGORITHMS
}
# What newer clients may send; ignoring one would skip the check that the client relies on
_UNKNOWN = {
    f"HTTP_X_AMZ_CHECKSUM_{name}" for name in ("MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128")
}
_ALL = _HEADERS.keys() | _UNKNOWN
_BY_NAME = {ALGORITHMS[name].header: name for name in OBJECT_ALGORITHMS}
_SINGLE = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."


def expect(body: Body, environ: Mapping[str, Any]) -> tuple[str | None, bytes | None]:
    """Make the body prove what the headers say.

    Return the algorithm of its checksum, None without one, and the digest where it is known.
    Raise InvalidDigest for a Content-MD5 that is none, InvalidRequest for checksum headers that
    contradict each other or are none, NotImplemented for algorithms that are not computed here.
    """
    md5 = environ.get("HTTP_CONTENT_MD5")
    if md5 is not None:
        digest = checksums.from_b64(md5, 16)
        if digest is None:
            raise S3Error("InvalidDigest")
        body.expect(
            "MD5",
            digest,
            "BadDigest",
            "The Content-MD5 you specified did not match what we received.",
        )
    algorithm, digest = None, None
    if not environ.keys().isdisjoint(_ALL):
        algorithm, digest = _from_header(environ)
        body.expect(algorithm, digest, "BadDigest", _mismatch(algorithm))
    trailer = environ.get("HTTP_X_AMZ_TRAILER")
    if trailer is not None:
        if algorithm is not None:
            raise S3Error("InvalidRequest", _SINGLE)
        algorithm = _announced(trailer)
        body.expect(algorithm, _trailer(body, algorithm), "BadDigest", _mismatch(algorithm))
    named = environ.get("HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM")
    if named is not None:
        _check_named(named, algorithm, md5)
    return algorithm, digest


def of_object(environ: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return (algorithm, base64) of a checksum header that speaks of an object made of parts.

    The text may end in ``-`` and the count of the parts; None without such a header. Raise
    InvalidRequest and NotImplemented as ``expect``. Source: AWS API, CompleteMultipartUpload.
    """
    if environ.keys().isdisjoint(_ALL):
        return None
    key, algorithm = _only_header(environ)
    text = environ[key]
    digest, dash, count = text.partition("-")
    _digest(key, algorithm, digest)
    if dash and not (count.isascii() and count.isdigit()):
        raise _invalid(key)
    return algorithm, text


def _from_header(environ: Mapping[str, Any]) -> tuple[str, bytes]:
    key, algorithm = _only_header(environ)
    return algorithm, _digest(key, algorithm, environ[key])


def _only_header(environ: Mapping[str, Any]) -> tuple[str, str]:
    """The environ key of the checksum header, and its algorithm."""
    found = [key for key in _ALL if key in environ]
    if len(found) > 1:
        raise S3Error("InvalidRequest", _SINGLE)
    algorithm = _HEADERS.get(found[0])
    if algorithm is None:
        name = _name(found[0])
        raise S3Error("NotImplemented", f"The checksum of {name} is not implemented.", Header=name)
    return found[0], algorithm


def _digest(key: str, algorithm: str, text: str) -> bytes:
    digest = checksums.from_b64(text, ALGORITHMS[algorithm].size)
    if digest is None:
        raise _invalid(key)
    return digest


def _invalid(key: str) -> S3Error:
    return S3Error("InvalidRequest", f"Value for {_name(key)} header is invalid.")


def _name(key: str) -> str:
    return key[5:].lower().replace("_", "-")


def _announced(trailer: str) -> str:
    algorithm = _BY_NAME.get(trailer.strip().lower())
    if algorithm is None:
        raise S3Error(
            "InvalidRequest", "The value specified in the x-amz-trailer header is not supported"
        )
    return algorithm


def _trailer(body: Body, algorithm: str) -> Callable[[], bytes | None]:
    """What to ask at the end of the body: the digest of the trailer, None when it never came."""
    header, size, _ = ALGORITHMS[algorithm]

    def digest() -> bytes | None:
        text = body.trailers.get(header)
        if text is None:
            return None
        given = checksums.from_b64(text, size)
        if given is None:
            raise S3Error("InvalidRequest", f"Value for {header} trailing header is invalid.")
        return given

    return digest


def _check_named(named: str, algorithm: str | None, md5: str | None) -> None:
    """``x-amz-sdk-checksum-algorithm`` names what is sent; alone, or another, it is a mistake."""
    if named.upper() not in ALGORITHMS or (algorithm is not None and named.upper() != algorithm):
        raise S3Error("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
    if algorithm is None and not (named.upper() == "MD5" and md5):
        raise S3Error(
            "InvalidRequest",
            "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or "
            "x-amz-trailer headers were found.",
        )


def _mismatch(algorithm: str) -> str:
    return f"The {algorithm} you specified did not match the calculated checksum."
