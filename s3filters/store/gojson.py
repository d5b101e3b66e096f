"""JSON as Versity's gateway, a Go program, writes it into attributes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def encode(value: Mapping[str, Any]) -> bytes:
    """Return JSON as Go's encoder writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    try:
        return text.encode()
    except UnicodeEncodeError:  # halves of surrogate pairs, which Go's decoder replaces as well
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def decode(value: bytes) -> dict[str, Any] | None:
    """Return a JSON object; None for anything else, which is as good as not being there."""
    try:
        loaded = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return loaded if isinstance(loaded, dict) else None
