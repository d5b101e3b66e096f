"""Headers that a presigned URL carries in its query.

SDKs put ``x-amz-*`` headers (metadata, ACL, checksums, copy source) into the URL that they sign,
and S3 reads them there as if they had been sent as headers. What was sent as a header stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from s3filters.s3.errors import S3Error
from s3filters.sign.request import Request, environ_key

_AUTH = {
    "x-amz-algorithm",
    "x-amz-credential",
    "x-amz-signature",
    "x-amz-date",
    "x-amz-signedheaders",
    "x-amz-expires",
    "x-amz-security-token",
}
_V2 = {"content-type", "content-md5"}  # botocore's Version 2 signer hoists these too
_sound_name = re.compile(r"[a-z0-9\-_.]{1,256}", re.ASCII).fullmatch
_sound_value = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*").fullmatch  # what a header line can hold


def headers(
    request: Request, parameters: dict[str, list[str]], *, v2: bool = False
) -> dict[str, str]:
    """Return the headers that the query carries and the request has not: lower-case name -> value.

    Raise InvalidArgument for what could never be a header.
    """
    found: dict[str, str] = {}
    for name, values in parameters.items():
        lower = name.lower()
        amz = lower.startswith("x-amz-") and lower not in _AUTH
        if (amz or (v2 and lower in _V2)) and not request.header(lower):
            value = ",".join(values).strip(" \t")
            if not _sound_name(lower) or not _sound_value(value):
                raise S3Error("InvalidArgument", ArgumentName=name, ArgumentValue=value)
            found[lower] = value
    return found


def into(environ: dict[str, Any], hoisted: Mapping[str, str]) -> None:
    """Show hoisted headers to everybody behind as if they had been sent."""
    for name, value in hoisted.items():
        key = environ_key(name)
        if key is not None:
            environ[key] = value
    if "headers_raw" in environ:
        environ["headers_raw"] = [*environ["headers_raw"], *hoisted.items()]
