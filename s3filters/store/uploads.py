"""Uploads in progress: their directories, and what was fixed when they began."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in progress; ``headers``, ``user`` and ``tags`` as in metadata.Attributes.

    ``algorithm`` and ``checksum_type`` are empty when none was declared. ``initiator`` is a
    canonical id, empty when it is not known.
    """

    bucket: str
    key: str
    id: str
    initiated_ns: int
    initiator: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    tags: Mapping[str, str] | None = None
    algorithm: str = ""
    checksum_type: str = ""
