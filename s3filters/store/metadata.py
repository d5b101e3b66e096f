"""What is known of an object beside its bytes, and the names of the attributes that hold it.

Names and encodings are those of Versity's gateway, so either program serves what the other wrote:
``user.etag`` (with its quotes), the standard headers raw, ``user.metadata`` and
``user.checksums`` as JSON, ``user.X-Amz-Tagging``; the parts of an object in ``boundaries``. Ours,
never theirs with another meaning: ``user.s3filters.storage-class`` when it is not STANDARD,
``user.s3filters.acl`` in the form of a bucket's ``user.acl``, and ``user.s3filters.seal``, ``<size>
<mtime in ns>`` of the file when its ETag was written. A file whose size or mtime is another now was
edited behind the gateway: its ETag and checksums are not shown any more.

On ScoutFS the seal has two words more, ``<data_version> <inode>``, and there the data version
decides, which the file system itself counts: an edit is noticed though somebody set the mtime back,
and a new mtime alone, staging and release change nothing. A copy of the file has another inode, and
elsewhere nobody counts: then the mtime decides as ever.

``recognizing`` makes a record of a file, ``describing`` writes attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3filters.store import boundaries
from s3filters.store.boundaries import Boundaries
from s3filters.store.scoutfs import State

STANDARD_HEADERS = (
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "expires",
    "website-redirect-location",
)
DEFAULT_TYPE = "binary/octet-stream"  # S3's own, and what Versity's gateway writes
SEAL = "user.s3filters.seal"
STORAGE_CLASS = "user.s3filters.storage-class"
ACL = "user.s3filters.acl"
RESTORE = "user.s3filters.restore"
TAGGING = "user.X-Amz-Tagging"
HEADER_OF = {"user." + name: name for name in STANDARD_HEADERS}  # attribute: header
# What may be written besides the ETag.
NAMES = (
    *HEADER_OF,
    SEAL,
    STORAGE_CLASS,
    ACL,
    "user.checksums",
    "user.metadata",
    TAGGING,
    *boundaries.NAMES,
)
# The order of Versity's structure; ``null`` stands for each algorithm that was not used.
ALGORITHMS = (
    "CRC32",
    "CRC32C",
    "SHA1",
    "SHA256",
    "CRC64NVME",
    "SHA512",
    "MD5",
    "XXHASH64",
    "XXHASH3",
    "XXHASH128",
)


@dataclass(slots=True)
class Checksums:
    """A checksum: ``type`` is FULL_OBJECT or COMPOSITE, ``value`` base64 (``-N`` behind it)."""

    algorithm: str
    type: str
    value: str


@dataclass(slots=True)
class Record:
    """One object, without its bytes. Read only: records are shared between requests.

    ``etag`` is hex or hex-N without quotes; ``headers`` and ``user`` map lower-case names to text;
    ``boundaries`` is None unless it was made of parts; ``tags`` is how many there are, and
    ``tagging`` what is stored of them. ``acl`` is stored as it is, empty for none.
    ``touched``: edited behind the gateway, so etag is derived and there are no checksums.
    ``state`` says where a file's data were, on ScoutFS, when it was read: nobody has to ask again.
    ``sam_flags`` are the archiver's of a file with offline blocks, 0 of any other; ``restore`` is
    what was asked of it, stored as it is (see ``restores``).
    ``answered`` is for whoever reads objects to keep what follows from all the rest.
    """

    size: int
    mtime_ns: int
    ino: int
    dev: int
    ctime_ns: int
    etag: str
    headers: dict[str, str]
    user: dict[str, str]
    checksums: Checksums | None
    storage_class: str = "STANDARD"
    boundaries: Boundaries | None = None
    tags: int = 0
    is_directory: bool = False
    touched: bool = False
    acl: bytes = b""
    tagging: bytes = b""
    state: State | None = field(default=None, compare=False)
    sam_flags: int = field(default=0, compare=False)
    restore: bytes = b""
    answered: Any = field(default=None, init=False, compare=False, repr=False)  # kept by readers

    @property
    def parts(self) -> tuple[int, ...]:
        """Cumulative sizes of the parts, decoded anew each time; none when they are not stored."""
        return self.boundaries.ends() if self.boundaries else ()

    @property
    def part_checksums(self) -> tuple[str, ...]:
        """The checksum of each part, base64; none when they are not stored."""
        return self.boundaries.checksums() if self.boundaries else ()

    @property
    def upload_id(self) -> str:
        """Which upload made the object, empty when it is not known."""
        return self.boundaries.upload_id() if self.boundaries else ""


@dataclass(slots=True)
class Attributes:
    """What to store beside the bytes: a Record's fields as the one who puts the object has them.

    ``parts`` are cumulative sizes; ``part_checksums``, base64, none or one for each part.
    """

    etag: str
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    checksums: Checksums | None = None
    storage_class: str = "STANDARD"
    parts: tuple[int, ...] = ()
    tags: Mapping[str, str] | None = None
    upload_id: str = ""
    part_checksums: tuple[str, ...] = ()
    acl: bytes = b""
