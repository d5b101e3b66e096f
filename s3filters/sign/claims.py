"""What a Signature Version 4 says of itself: key, scope and signed headers, by header or by query.

A claim is text that was understood; nothing is proved yet. The words of the errors are those that
S3 answers, since clients and their users look for them. Of an Authorization header everything
before the signature stays the same from one request to the next, so it is understood once.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from s3filters.s3.errors import S3Error
from s3filters.sign.canonical import SignedHeaders

ALGORITHM = "AWS4-HMAC-SHA256"
QUERY_WORDS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_FORM = '"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request"'
_TERMINAL = "aws4_request"
_CACHED = 1024  # characters; a longer header is understood each time rather than kept
_day = re.compile(r"\d{8}", re.ASCII).fullmatch
_names = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*").fullmatch

Malformed = Callable[..., S3Error]  # (words, **detail): the error of the place where it stands


@dataclass(frozen=True, slots=True)
class Claim:
    """Who says to have signed, for which day, region and service, and which headers."""

    access_key: str
    date: str  # YYYYMMDD
    region: str
    scope: str  # as signed: date/region/s3/aws4_request
    signed: SignedHeaders


def header_malformed(words: str, **detail: Any) -> S3Error:
    """The error of an Authorization header."""
    return S3Error(
        "AuthorizationHeaderMalformed", f"The authorization header is malformed; {words}", **detail
    )


def query_malformed(words: str, **detail: Any) -> S3Error:
    """The error of an X-Amz-Credential in a query."""
    message = f"Error parsing the X-Amz-Credential parameter; {words}"
    return S3Error("AuthorizationQueryParametersError", message, **detail)


def of_form(credential: str) -> Claim:
    """Return the claim of a form's ``x-amz-credential``, which signs no headers but the policy.

    Raise AuthorizationQueryParametersError.
    """
    return _claim(credential, "host", query_malformed)


def _claim(credential: str, signed_headers: str, malformed: Malformed) -> Claim:
    words = credential.rsplit("/", 4)
    if len(words) != 5 or not words[0]:
        raise malformed(f"the Credential is mal-formed; expecting {_FORM}.")
    access_key, date, region, service, terminal = words
    if not _day(date):
        raise malformed(
            f'incorrect date format "{date}". '
            'This date in the credential must be in the format "yyyyMMdd".'
        )
    if service != "s3":
        raise malformed(f'incorrect service "{service}". This endpoint belongs to "s3".')
    if terminal != _TERMINAL:
        raise malformed(f'incorrect terminal "{terminal}". This endpoint uses "{_TERMINAL}".')
    if not _names(signed_headers):
        raise malformed("the list of signed headers is mal-formed.")
    signed = _signed_headers(signed_headers.lower())
    if "host" not in signed.names:
        raise not_signed(["host"])
    return Claim(access_key, date, region, f"{date}/{region}/s3/{_TERMINAL}", signed)


@lru_cache(maxsize=512)
def _signed_headers(text: str) -> SignedHeaders:
    return SignedHeaders(text)


def not_signed(names: list[str]) -> S3Error:
    """The error of headers that must be signed and are not."""
    return S3Error(
        "AccessDenied",
        "There were headers present in the request which were not signed",
        HeadersNotSigned=", ".join(names),
    )


def _understood(components: str) -> tuple[Claim, str]:
    """Return claim and signature of what follows the algorithm in an Authorization header."""
    found: dict[str, str] = {}
    for component in components.split(","):
        name, _, value = component.strip(" \t").partition("=")
        if name not in ("Credential", "SignedHeaders", "Signature") or name in found:
            raise header_malformed(f'the authorization component "{component}" is malformed.')
        found[name] = value
    if len(found) != 3:
        raise header_malformed(
            "the authorization header requires three components: "
            "Credential, SignedHeaders, and Signature."
        )
    claim = _claim(found["Credential"], found["SignedHeaders"], header_malformed)
    return claim, found["Signature"]


@lru_cache(maxsize=512)
def _known(before_signature: str) -> Claim:
    return _understood(before_signature)[0]


def of_header(authorization: str) -> tuple[Claim, str]:
    """Return the claim of an Authorization header and the signature it gives.

    Raise AuthorizationHeaderMalformed, or AccessDenied when the host is not signed.
    """
    components = authorization[len(ALGORITHM) :]
    before, word, signature = components.rpartition("Signature=")
    if len(signature) == 64 and len(before) <= _CACHED and signature.isalnum():
        return _known(before + word), signature
    return _understood(components)


def of_query(parameters: dict[str, list[str]]) -> tuple[Claim, dict[str, str]]:
    """Return the claim of a presigned URL, and its six words by name.

    Raise AuthorizationQueryParametersError, or AccessDenied when the host is not signed.
    """
    words = {name: parameters.get(name, []) for name in QUERY_WORDS}
    if any(len(values) != 1 for values in words.values()):
        *most, last = QUERY_WORDS
        raise S3Error(
            "AuthorizationQueryParametersError",
            "Query-string authentication version 4 requires the "
            f"{', '.join(most)}, and {last} parameters.",
        )
    found = {name: values[0] for name, values in words.items()}
    if found["X-Amz-Algorithm"] != ALGORITHM:
        message = f'X-Amz-Algorithm only supports "{ALGORITHM}"'
        raise S3Error("AuthorizationQueryParametersError", message)
    claim = _claim(found["X-Amz-Credential"], found["X-Amz-SignedHeaders"], query_malformed)
    return claim, found
