"""Browser forms as bytes, with policy documents and signatures of our own.

Nothing of the package is imported here, so a fault there cannot hide itself.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.raw import ACCESS_KEY, AMZ_DATE, SECRET_KEY, Signer

BOUNDARY = "----browser0123456789"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
LATER_S = 86_400  # forms that are made when tests are collected are sent much later
DATE = "%Y-%m-%dT%H:%M:%SZ"


def part(name: str, value: bytes | str, head: str = "", boundary: str = BOUNDARY) -> bytes:
    """Return one part with the boundary before it; ``head`` follows the name of the field."""
    data = value.encode() if isinstance(value, str) else value
    begin = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{head}\r\n\r\n'
    return begin.encode() + data + b"\r\n"


def file_part(data: bytes, filename: str = "letter.txt", boundary: str = BOUNDARY) -> bytes:
    """Return the part of the file."""
    head = f'; filename="{filename}"\r\nContent-Type: application/x-of-the-part'
    return part("file", data, head, boundary)


def end(boundary: str = BOUNDARY) -> bytes:
    """Return what ends a form."""
    return f"--{boundary}--\r\n".encode()


def form(
    fields: Mapping[str, str] | Sequence[tuple[str, str]],
    data: bytes | None = b"hello",
    filename: str = "letter.txt",
    after: bytes = b"",
) -> bytes:
    """Return a whole form.

    :param data: of the file, None for no file
    :param after: parts that follow it
    """
    pairs = fields.items() if isinstance(fields, Mapping) else fields
    whole = b"".join(part(name, value) for name, value in pairs)
    if data is not None:
        whole += file_part(data, filename)
    return whole + after + end()


def document(conditions: Sequence[Any], expires_s: float = LATER_S, **more: Any) -> str:
    """Return a policy document, base64, that expires in ``expires_s`` seconds from now."""
    expiration = time.strftime(DATE, time.gmtime(time.time() + expires_s))
    said = {"expiration": expiration, "conditions": list(conditions), **more}
    return base64.b64encode(json.dumps(said).encode()).decode()


def exactly(fields: Mapping[str, str]) -> list[Any]:
    """Return conditions that name every field as it is."""
    return [{name: value} for name, value in fields.items()]


def signed_v4(
    fields: Mapping[str, str],
    conditions: Sequence[Any] | None = None,
    *,
    bucket: str = "box",
    expires_s: float = LATER_S,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
) -> dict[str, str]:
    """Return the fields of a form that is signed with Version 4.

    :param conditions: those for the fields; None names each as it is
    """
    now = time.strftime(AMZ_DATE, time.gmtime())
    signing = {
        "x-amz-algorithm": "AWS4-HMAC-SHA256",
        "x-amz-credential": f"{access_key}/{now[:8]}/us-east-1/s3/aws4_request",
        "x-amz-date": now,
    }
    wanted = exactly(fields) if conditions is None else list(conditions)
    policy = document([{"bucket": bucket}, *exactly(signing), *wanted], expires_s)
    key = Signer("", access_key, secret_key).key(now[:8])
    signature = hmac.new(key, policy.encode(), hashlib.sha256).hexdigest()
    return {**fields, **signing, "policy": policy, "x-amz-signature": signature}


def signed_v2(
    fields: Mapping[str, str],
    conditions: Sequence[Any] | None = None,
    *,
    bucket: str = "box",
    expires_s: float = LATER_S,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
) -> dict[str, str]:
    """Return the fields of a form that is signed with Version 2; parameters as there."""
    wanted = exactly(fields) if conditions is None else list(conditions)
    policy = document([{"bucket": bucket}, *wanted], expires_s)
    digest = hmac.new(secret_key.encode(), policy.encode(), hashlib.sha1).digest()
    return {
        **fields,
        "AWSAccessKeyId": access_key,
        "policy": policy,
        "signature": base64.b64encode(digest).decode(),
    }
