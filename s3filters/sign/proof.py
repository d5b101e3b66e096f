"""What is asked of a signature, and what a verified one has proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3filters.sign.credentials import Credential, Credentials


@dataclass(frozen=True, slots=True)
class Rules:
    """What this service accepts. Times are in seconds."""

    credentials: Credentials
    region: str = "us-east-1"
    clock_skew: float = 900
    max_presigned: int = 604800
    domains: tuple[str, ...] = ()  # where buckets are sub-domains: lower case, leading dot
    allow_v2: bool = True


@dataclass(slots=True)
class Proof:
    """A signature that was right.

    ``payload`` is what was signed of the body: the value of ``x-amz-content-sha256``, or None where
    nothing was. ``timestamp``, ``scope`` and ``signature`` begin the chain of chunk signatures;
    they are empty for Signature Version 2. ``hoisted`` are the headers that a presigned URL carries
    in its query (lower-case name -> value).
    """

    credential: Credential
    payload: str | None = None
    timestamp: str = ""
    scope: str = ""
    signature: str = ""
    hoisted: Mapping[str, str] | None = None
