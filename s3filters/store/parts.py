"""The parts of an upload: one small file each, which says where the bytes are and what they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part that was acknowledged; ``etag`` without quotes, ``checksum`` base64.

    ``algorithm`` is the upload's, or CRC64NVME where it declared none; both are empty when another
    gateway did not say.
    """

    number: int
    size: int
    mtime_ns: int
    etag: str
    algorithm: str
    checksum: str
