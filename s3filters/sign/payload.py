"""A request's body as its signature describes it: plain, hashed whole, or aws-chunked.

``x-amz-content-sha256`` says which. Clients that sign nothing of the body (presigned, Version 2,
anonymous) send aws-chunked bodies too, when they put a checksum behind the bytes; those say so in
``Content-Encoding`` alone.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from s3filters.s3.body import Body, source_of
from s3filters.s3.errors import S3Error
from s3filters.sign import v4
from s3filters.sign.chunks import Chain, Decoder
from s3filters.sign.proof import Proof

EMPTY = hashlib.sha256().hexdigest()
STREAMING = {  # value -> are the chunks signed, may trailers follow
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
}
_digits = re.compile(r"\d{1,18}", re.ASCII).fullmatch
_sha256 = re.compile(r"[0-9a-fA-F]{64}", re.ASCII).fullmatch


def body_of(environ: dict[str, Any], proof: Proof | None) -> Any:
    """Return the body of a request, which proves when it is read what was signed of it.

    A request that has none, and signed so, keeps its input as it came. Raise InvalidArgument for
    an ``x-amz-content-sha256`` that says nothing, MissingContentLength for a chunked body that does
    not say its length.
    """
    if (
        proof is not None
        and proof.payload == EMPTY
        and "CONTENT_LENGTH" not in environ
        and "HTTP_TRANSFER_ENCODING" not in environ
    ):
        return environ["wsgi.input"]
    if proof is not None and proof.payload is not None:
        payload: str | None = proof.payload
    else:  # nothing was signed of the body, but how it was sent may be said all the same
        said = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
        payload = said if said in STREAMING else None
    if payload is None or payload == v4.UNSIGNED:
        if "HTTP_X_AMZ_DECODED_CONTENT_LENGTH" in environ and _is_aws_chunked(environ):
            return _chunked(environ, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", None)
        return _plain(environ, None)
    if payload in STREAMING:
        return _chunked(environ, payload, proof)
    if not _sha256(payload):
        raise _unknown(payload)
    return _plain(environ, payload)


def _is_aws_chunked(environ: dict[str, Any]) -> bool:
    return "aws-chunked" in environ.get("HTTP_CONTENT_ENCODING", "").lower()


def content_length(environ: dict[str, Any]) -> int | None:
    """Return the length of the request's body as sent, None when the request does not say."""
    text = environ.get("CONTENT_LENGTH")
    if not text:
        return None
    if not _digits(text):
        raise S3Error("InvalidRequest", "Content-Length is not a number.")
    return int(text)


def _plain(environ: dict[str, Any], payload: str | None) -> Body:
    """Return the body as it comes, with what its bytes must hash to (hex) or None."""
    length = content_length(environ)
    body = Body(source_of(environ["wsgi.input"]), length)
    if payload is None or (payload == EMPTY and _is_empty(environ, length)):
        return body
    if length == 0:  # nobody will read it, so nobody would notice
        raise S3Error(
            "XAmzContentSHA256Mismatch",
            ClientComputedContentSHA256=payload,
            S3ComputedContentSHA256=EMPTY,
        )
    body.expect("SHA256", bytes.fromhex(payload), "XAmzContentSHA256Mismatch")
    return body


def _is_empty(environ: dict[str, Any], length: int | None) -> bool:
    return length == 0 or (length is None and "HTTP_TRANSFER_ENCODING" not in environ)


def _chunked(environ: dict[str, Any], payload: str, proof: Proof | None) -> Body:
    signed, with_trailers = STREAMING[payload]
    length = environ.get("HTTP_X_AMZ_DECODED_CONTENT_LENGTH")
    if not length:
        raise S3Error("MissingContentLength")
    if not _digits(length):
        raise S3Error(
            "InvalidArgument",
            ArgumentName="x-amz-decoded-content-length",
            ArgumentValue=length,
        )
    trailer = environ.get("HTTP_X_AMZ_TRAILER", "").lower()
    announced = frozenset(name.strip() for name in trailer.split(",")) - {""}
    decoder = Decoder(
        source_of(environ["wsgi.input"]),
        int(length),
        encoded=content_length(environ),
        chain=_chain(proof) if signed else None,
        announced=announced if with_trailers else None,
    )
    body = Body(decoder, int(length))
    body.trailers = decoder.trailers
    return body


def _chain(proof: Proof | None) -> Chain:
    if proof is None or not proof.scope:
        raise S3Error("InvalidRequest", "Chunks can be signed with Signature Version 4 alone")
    date, region = proof.scope.split("/")[:2]
    key = v4.signing_key(proof.credential.secret_key, date, region)
    return Chain(proof.credential.access_key, key, proof.timestamp, proof.scope, proof.signature)


def _unknown(payload: str) -> S3Error:
    return S3Error(
        "InvalidArgument",
        f"x-amz-content-sha256 must be UNSIGNED-PAYLOAD, {', '.join(STREAMING)} "
        "or a valid sha256 value.",
        ArgumentName="x-amz-content-sha256",
        ArgumentValue=payload,
    )
