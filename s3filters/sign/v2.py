"""Signature Version 2, by Authorization header and by presigned URL.

AWS, "Signing and authenticating REST requests" (S3 user guide). It signs the path as it was sent,
the ``x-amz-*`` headers, and those words of the query that name a sub-resource or override a header
of the answer; nothing of the body. S3cmd, old SDKs and many appliances still speak it.
"""

from __future__ import annotations

import base64
import hmac
import logging
import re
from collections.abc import Mapping

from s3filters.s3.address import bucket_of_host
from s3filters.s3.errors import S3Error
from s3filters.sign import clock, hoist
from s3filters.sign.proof import Proof, Rules
from s3filters.sign.request import Request, decoded
from s3filters.sign.v4 import mismatch, same

log = logging.getLogger("s3filters.sign")

# What signers sign of a query: AWS's page, the lists of its SDKs, and the words that came later and
# change what a request does. A word that SDKs leave out and that only reads (attributes) stays out.
SUB_RESOURCES = frozenset({
    "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "encryption",
    "intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging",
    "metrics", "notification", "object-lock", "ownershipControls", "partNumber", "policy",
    "policyStatus", "publicAccessBlock", "replication", "requestPayment",
    "response-cache-control", "response-content-disposition", "response-content-encoding",
    "response-content-language", "response-content-type", "response-expires", "restore",
    "retention", "select", "select-type", "storageClass", "tagging", "torrent", "uploadId",
    "uploads", "versionId", "versioning", "versions", "website",
})  # fmt: skip
_epoch = re.compile(r"\d{1,18}", re.ASCII).fullmatch


def signature(secret: str, text: str) -> str:
    """Return the signature of a string to sign (latin-1): base64."""
    digest = hmac.digest(secret.encode(), text.encode("latin-1"), "sha1")
    return base64.b64encode(digest).decode()


def canonicalized_resource(path: str, query: str, bucket: str | None) -> str:
    """Return the signed path and sub-resources.

    :param path: as it was sent
    :param bucket: the one that the Host names, None where the path does
    """
    resource = f"/{bucket}{path}" if bucket is not None else path
    # Decoded before it is looked up, as the routing does: %61cl is the sub-resource acl.
    words = [[decoded(text) for text in part.split("=", 1)] for part in query.split("&")]
    signed = [word for word in words if word[0] in SUB_RESOURCES]
    signed.sort(key=lambda word: word[0])
    return resource + ("?" if signed else "") + "&".join(map("=".join, signed))


def verify_header(request: Request, authorization: str, rules: Rules, now: float) -> Proof:
    """Verify a request that carries ``Authorization: AWS key:signature``. Raise S3Error."""
    check_allowed(rules)
    access_key, _, provided = authorization[len("AWS") :].strip(" ").rpartition(":")
    if not access_key or not provided:
        raise S3Error(
            "InvalidArgument",
            "AWS authorization header is invalid. Expected AwsAccessKeyId:signature",
            ArgumentName="Authorization",
            ArgumentValue=authorization,
        )
    amz_date = request.header("x-amz-date")
    date = request.header("date") or ""
    seconds = clock.any_date(amz_date or date)
    if seconds is None:
        raise S3Error(
            "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"
        )
    clock.check_skew(amz_date or date, seconds, now, rules.clock_skew)
    return _verified(request, access_key, provided, "" if amz_date else date, rules)


def verify_query(
    request: Request, parameters: dict[str, list[str]], rules: Rules, now: float
) -> Proof:
    """Verify a presigned URL with these decoded parameters. Raise S3Error."""
    check_allowed(rules)
    words = [parameters.get(name, []) for name in ("AWSAccessKeyId", "Signature", "Expires")]
    if any(len(values) != 1 for values in words):
        raise S3Error(
            "AccessDenied",
            "Query-string authentication requires the Signature, Expires and "
            "AWSAccessKeyId parameters",
        )
    (access_key,), (provided,), (expires,) = words
    if not _epoch(expires):
        message = f"Invalid date (should be seconds since epoch): {expires}"
        raise S3Error("AccessDenied", message)
    clock.check_not_expired(int(expires), now)
    hoisted = hoist.headers(request, parameters, v2=True)
    return _verified(request, access_key, provided, expires, rules, hoisted)


def check_allowed(rules: Rules) -> None:
    """Raise InvalidRequest where Version 2 is not accepted."""
    if not rules.allow_v2:
        raise S3Error(
            "InvalidRequest",
            "The authorization mechanism you have provided is not supported. "
            "Please use AWS4-HMAC-SHA256.",
        )


def _verified(
    request: Request,
    access_key: str,
    provided: str,
    date: str,
    rules: Rules,
    hoisted: Mapping[str, str] | None = None,
) -> Proof:
    """Return the proof of a right signature.

    :param date: as it was signed: Date, Expires, or nothing beside an ``x-amz-date``
    """
    credential = rules.credentials.find(access_key)
    if credential is None:
        raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=access_key)
    if request.header("x-amz-security-token"):
        raise S3Error("InvalidToken")
    text = string_to_sign(request, date, rules.domains, hoisted or {})
    if log.isEnabledFor(logging.DEBUG):
        log.debug("string to sign:\n%s", text)
    if not same(signature(credential.secret_key, text), provided):
        raise mismatch(access_key, provided, text)
    return Proof(credential, hoisted=hoisted)


def string_to_sign(
    request: Request, date: str, domains: tuple[str, ...], hoisted: Mapping[str, str]
) -> str:
    """Return the string to sign of a request (latin-1)."""
    headers = dict(hoisted)
    for name, value in request.headers():
        before = f"{headers[name]}," if name in headers else ""
        headers[name] = before + value.strip()
    amz = "".join(f"{n}:{headers[n]}\n" for n in sorted(headers) if n.startswith("x-amz-"))
    bucket = bucket_of_host(headers.get("host", ""), domains)
    resource = canonicalized_resource(request.path, request.query, bucket)
    md5, kind = headers.get("content-md5", ""), headers.get("content-type", "")
    return f"{request.method}\n{md5}\n{kind}\n{date}\n{amz}{resource}"
