"""Continuation tokens: a place in a listing as opaque text.

The place is the last key or common prefix that was answered. A tag before it tells tokens of ours
from anything else that a client may send.
"""

from __future__ import annotations

import base64
import binascii

_TAG = b"\x01s3f"


def encode(place: str) -> str:
    """Return the token of a place in a listing; the beginning is the empty token."""
    if not place:
        return ""
    return base64.urlsafe_b64encode(_TAG + place.encode()).decode().rstrip("=")


def decode(token: str) -> str | None:
    """Return the place of a token, None when it is none of ours."""
    if not token:
        return ""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return raw[len(_TAG) :].decode() if raw.startswith(_TAG) else None
    except (binascii.Error, ValueError):
        return None
