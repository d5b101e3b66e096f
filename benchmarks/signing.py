"""Signature V4 in an Authorization header, made beforehand.

Only as much as a benchmark needs: paths and queries come already encoded and sorted, headers are
``host``, ``x-amz-content-sha256``, ``x-amz-date`` and what is given. A signed request is valid for
15 minutes. Source: AWS, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

EMPTY = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an S3 service listens (plain HTTP), and a key pair that may do everything there."""

    host: str
    port: int
    access_key: str
    secret_key: str
    region: str = "us-east-1"

    @property
    def netloc(self) -> str:
        """The Host header."""
        return f"{self.host}:{self.port}"


@lru_cache(maxsize=8)
def signing_key(secret_key: str, day: str, region: str) -> bytes:
    """Return the key that signs S3 requests of one day (YYYYMMDD, UTC) in one region."""
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def authorization(
    endpoint: Endpoint, method: str, path: str, query: str, signed: Mapping[str, str]
) -> str:
    """Return the Authorization header; ``signed`` holds every header to sign, lower-case names."""
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = "\n".join((method, path, query, lines, names, signed["x-amz-content-sha256"]))
    stamp = signed["x-amz-date"]
    scope = f"{stamp[:8]}/{endpoint.region}/s3/aws4_request"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}"
    key = signing_key(endpoint.secret_key, stamp[:8], endpoint.region)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    return (
        f"AWS4-HMAC-SHA256 Credential={endpoint.access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def request(
    endpoint: Endpoint,
    method: str,
    path: str,
    *,
    query: str = "",
    length: int | None = None,
    sha256: str = EMPTY,
    now: float | None = None,
) -> bytes:
    """Return the head of a signed request, blank line included; ``length`` is of the body to come.

    ``sha256`` is the body's in hex, or UNSIGNED; ``now`` is in seconds since the epoch.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() if now is None else now))
    signed = {"host": endpoint.netloc, "x-amz-content-sha256": sha256, "x-amz-date": stamp}
    lines = [
        f"{method} {path}{'?' if query else ''}{query} HTTP/1.1",
        f"Host: {endpoint.netloc}",
        f"X-Amz-Content-SHA256: {sha256}",
        f"X-Amz-Date: {stamp}",
        f"Authorization: {authorization(endpoint, method, path, query, signed)}",
    ]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
