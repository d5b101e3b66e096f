"""The ``user.checksums`` of uploads and parts: which checksum there is to be, and a part's own.

The structure is that of an object's; an upload has no value yet, a part has no type (Versity's
gateway writes them so).
"""

from __future__ import annotations

import json
import re

from s3filters.store import gojson

# The order of Versity's structure.
_ALGORITHMS = (
    "CRC32", "CRC32C", "SHA1", "SHA256", "CRC64NVME", "SHA512", "MD5", "XXHASH64", "XXHASH3",
    "XXHASH128",
)  # fmt: skip
_TYPES = ("FULL_OBJECT", "COMPOSITE", "")
is_base64 = re.compile(r"[0-9A-Za-z+/=]{1,128}").fullmatch


def encode(algorithm: str, kind: str, value: str | None = None) -> bytes:
    """Return the attribute's JSON; ``kind`` is FULL_OBJECT, COMPOSITE or empty."""
    values = {name: value if name == algorithm else None for name in _ALGORITHMS}
    return gojson.encode({"Algorithm": algorithm, "Type": kind, **values})


def decode(raw: bytes | None) -> tuple[str, str, str]:
    """Return algorithm, type and value; all that is missing or makes no sense is empty."""
    try:
        loaded = json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return "", "", ""
    if not isinstance(loaded, dict) or loaded.get("Algorithm") not in _ALGORITHMS:
        return "", "", ""
    algorithm, kind = str(loaded["Algorithm"]), loaded.get("Type") or ""
    value = loaded.get(algorithm)
    return (
        algorithm,
        kind if kind in _TYPES else "",
        value if isinstance(value, str) and is_base64(value) else "",
    )
