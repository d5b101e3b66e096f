"""Signature Version 4, by Authorization header and by presigned URL.

AWS, "Authenticating Requests (AWS Signature Version 4)" of the S3 API reference. The order of the
checks is S3's: what is malformed, then the region, then the clock, then the key, and the signature
last. A signature is compared in constant time, and what it should have been is never logged.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import logging
import re
from functools import lru_cache
from typing import Any

from s3filters.s3.errors import S3Error
from s3filters.sign import claims, clock, hoist
from s3filters.sign.canonical import canonical_query_string, canonical_uri
from s3filters.sign.claims import ALGORITHM, Claim, Malformed
from s3filters.sign.credentials import Credential
from s3filters.sign.proof import Proof, Rules
from s3filters.sign.request import Request

log = logging.getLogger("s3filters.sign")

UNSIGNED = "UNSIGNED-PAYLOAD"
_default_port = re.compile(r"(.+):(?:80|443)", re.ASCII).fullmatch
_number = re.compile(r"-?\d{1,18}", re.ASCII).fullmatch
_WEEK = 604800
_SHOWN = 16384  # characters; a longer canonical request is not echoed


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str = "s3") -> bytes:
    """Return the key that signs for a day (YYYYMMDD), region and service."""
    key = ("AWS4" + secret).encode()
    for word in (date, region, service, "aws4_request"):
        key = hmac.digest(key, word.encode("latin-1"), "sha256")
    return key


def string_to_sign(timestamp: str, scope: str, canonical_request: str) -> str:
    """Return the string to sign of a canonical request (latin-1)."""
    digest = hashlib.sha256(canonical_request.encode("latin-1")).hexdigest()
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


@lru_cache(maxsize=1024)
def _padded(key: bytes) -> tuple[Any, Any]:
    """Return the two hashes of RFC 2104 after the key's pads: half of the work of an HMAC.

    :param key: of at most 64 bytes
    """
    block = key.ljust(64, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    return hashlib.sha256(inner), hashlib.sha256(outer)


def signature(key: bytes, text: str) -> str:
    """Return the signature (HMAC-SHA256) of a string to sign: 64 hex digits."""
    inner, outer = _padded(key)
    inner, outer = inner.copy(), outer.copy()
    inner.update(text.encode("latin-1"))
    outer.update(inner.digest())
    return outer.hexdigest()  # type: ignore[no-any-return]


def same(computed: str, provided: str) -> bool:
    """Compare two signatures in a time that does not tell where they differ."""
    return provided.isascii() and hmac.compare_digest(computed, provided)


def verify_header(request: Request, authorization: str, rules: Rules, now: float) -> Proof:
    """Verify a request that carries ``Authorization: AWS4-HMAC-SHA256 …``. Raise S3Error."""
    claim, provided = claims.of_header(authorization)
    if claim.region != rules.region:
        _check_region(request, claim, rules.region, claims.header_malformed)
    environ = request.environ
    payload = environ.get("HTTP_X_AMZ_CONTENT_SHA256")
    if payload is None:
        raise S3Error(
            "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"
        )
    text = environ.get("HTTP_X_AMZ_DATE") or environ.get("HTTP_DATE") or ""
    seconds = clock.any_date(text)
    if seconds is None:
        raise S3Error(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    timestamp = text if len(text) == 16 else clock.timestamp(seconds)
    _check_day(claim, timestamp, claims.header_malformed)
    clock.check_skew(text, seconds, now, rules.clock_skew)
    credential = _credential(claim, rules, environ.get("HTTP_X_AMZ_SECURITY_TOKEN"))
    proof = Proof(credential, payload, timestamp, claim.scope, provided)
    _check_signature(request, claim, proof)
    return proof


def verify_query(
    request: Request, parameters: dict[str, list[str]], rules: Rules, now: float
) -> Proof:
    """Verify a presigned URL with these decoded parameters. Raise S3Error."""
    claim, words = claims.of_query(parameters)
    if claim.region != rules.region:
        _check_region(request, claim, rules.region, claims.query_malformed)
    timestamp = words["X-Amz-Date"]
    seconds = clock.basic(timestamp)
    if seconds is None:
        raise _wrong_word("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    _check_day(claim, timestamp, claims.query_malformed)
    expires = _expires(words["X-Amz-Expires"], rules.max_presigned)
    clock.check_not_expired(seconds + expires, now, **{"X-Amz-Expires": str(expires)})
    if seconds > now + rules.clock_skew:
        raise S3Error("AccessDenied", "Request is not valid yet", ServerTime=clock.iso(now))
    token = parameters.get("X-Amz-Security-Token") or request.header("x-amz-security-token")
    credential = _credential(claim, rules, token)
    hoisted = hoist.headers(request, parameters)
    payload = hoisted.get("x-amz-content-sha256") or request.header("x-amz-content-sha256")
    provided = words["X-Amz-Signature"]
    proof = Proof(credential, payload or UNSIGNED, timestamp, claim.scope, provided, hoisted)
    _check_signature(request, claim, proof, leave_out="X-Amz-Signature")
    return proof


def _check_region(request: Request, claim: Claim, region: str, malformed: Malformed) -> None:
    """Raise the error of a wrong region unless it may be wrong here."""
    # GetBucketLocation is how clients learn the region; S3 answers it at us-east-1 for all of them.
    asks = request.method == "GET" and request.query in ("location", "location=")
    if not (asks and claim.region == "us-east-1"):
        words = f"the region '{claim.region}' is wrong; expecting '{region}'"
        raise malformed(words, Region=region)


def _check_day(claim: Claim, timestamp: str, malformed: Malformed) -> None:
    if claim.date != timestamp[:8]:
        raise malformed(
            f'Invalid credential date "{claim.date}". '
            f'This date is not the same as X-Amz-Date: "{timestamp[:8]}".'
        )


def _wrong_word(message: str) -> S3Error:
    return S3Error("AuthorizationQueryParametersError", message)


def _expires(text: str, longest: int) -> int:
    """Return X-Amz-Expires in seconds."""
    if not _number(text):
        raise _wrong_word("X-Amz-Expires should be a number")
    if text.startswith("-"):
        raise _wrong_word("X-Amz-Expires must be non-negative")
    seconds = int(text)
    if seconds > longest:
        week = "a week (in seconds)" if longest == _WEEK else f"{longest} seconds"
        raise _wrong_word(
            f"X-Amz-Expires must be less than {week}; "
            f"that is, the given X-Amz-Expires must be less than {longest} seconds"
        )
    return seconds


def _credential(claim: Claim, rules: Rules, token: object) -> Credential:
    credential = rules.credentials.find(claim.access_key)
    if credential is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key)
    if token:  # keys of this service are permanent; S3 refuses a session token with such a key
        raise S3Error("InvalidToken")
    return credential


def _check_signature(
    request: Request, claim: Claim, proof: Proof, leave_out: str | None = None
) -> None:
    """Raise SignatureDoesNotMatch, or what else is wrong with the headers.

    That is AccessDenied for an ``x-amz-*`` header that is not signed, MissingSecurityHeader for no
    Host, which must always be signed.
    """
    # S3 tolerates x-amz-content-sha256 here: its value is the last line of what is signed.
    unsigned = claim.signed.left_out(request)
    if unsigned and unsigned != ["x-amz-content-sha256"]:
        raise claims.not_signed([name for name in unsigned if name != "x-amz-content-sha256"])
    if not request.environ.get("HTTP_HOST"):
        raise S3Error("MissingSecurityHeader", MissingHeaderName="host")
    key = signing_key(proof.credential.secret_key, claim.date, claim.region)
    query = request.query and canonical_query_string(request.query, leave_out)
    target = f"{canonical_uri(request.path)}\n{query}"
    payload = proof.payload or UNSIGNED
    text, canonical_request = _to_sign(request, claim, proof, (target, None, payload))
    if same(signature(key, text), proof.signature):
        return
    for reading in _other_readings(request, claim, target, payload, leave_out):
        if same(signature(key, _to_sign(request, claim, proof, reading)[0]), proof.signature):
            return
    raise mismatch(claim.access_key, proof.signature, text, canonical_request)


Reading = tuple[str, str | None, str]  # path and query, another host than was sent, payload


def _to_sign(request: Request, claim: Claim, proof: Proof, reading: Reading) -> tuple[str, str]:
    """Return string to sign and canonical request of one reading."""
    target, host, payload = reading
    signed = claim.signed
    lines = signed.lines(request, host)
    canonical_request = f"{request.method}\n{target}\n{lines}\n{signed.text}\n{payload}"
    text = string_to_sign(proof.timestamp, proof.scope, canonical_request)
    if log.isEnabledFor(logging.DEBUG):
        log.debug("canonical request:\n%s\nstring to sign:\n%s", canonical_request, text)
    return text, canonical_request


def _other_readings(
    request: Request, claim: Claim, target: str, payload: str, leave_out: str | None
) -> list[Reading]:
    """Return the other ways in which a client may have signed what came.

    Old clients (curl before 8) sign a path and a query as they send them; a library or a proxy may
    take the scheme's own port from a Host or put it there; and a presigned URL may be used with an
    ``x-amz-content-sha256`` that its maker did not know of. All of them are signatures over what
    came, under another spelling.
    """
    targets = [target] if leave_out else [target, f"{request.path}\n{request.query}"]
    host = request.header("host") or ""
    match = _default_port(host)
    hosts = [None, match[1]] if match else [None, f"{host}:80", f"{host}:443"]
    payloads = [payload]
    if "x-amz-content-sha256" not in claim.signed.names and payload != UNSIGNED:
        payloads.append(UNSIGNED)
    return list(itertools.product(targets, hosts, payloads))[1:]


def mismatch(
    access_key: str, provided: str, text: str, canonical_request: str | None = None
) -> S3Error:
    """The error of a wrong signature, with what was signed here so that a client can compare.

    :param text: the string to sign
    """
    detail: dict[str, Any] = {"StringToSign": text, "SignatureProvided": provided}
    detail["StringToSignBytes"] = _hex(text)
    if canonical_request is not None and len(canonical_request) <= _SHOWN:
        detail["CanonicalRequest"] = canonical_request
        detail["CanonicalRequestBytes"] = _hex(canonical_request)
    return S3Error("SignatureDoesNotMatch", AWSAccessKeyId=access_key, **detail)


def _hex(text: str) -> str:
    return text.encode("latin-1").hex(" ")
