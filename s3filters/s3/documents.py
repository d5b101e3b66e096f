"""XML documents that clients send, checked and as plain values.

Reading and bounding the body is the caller's: it does so behind the gates, so that nothing is read
of a request that is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from s3filters.s3 import rules, xml
from s3filters.s3.errors import S3Error


@dataclass(frozen=True, slots=True)
class Target:
    """One entry of a DeleteObjects document; the key is not checked yet (``rules.check_key``).

    ``etag`` is a condition in the form of If-Match, or None.
    """

    key: str
    version_id: str | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Deletion:
    """A DeleteObjects document."""

    objects: list[Target]
    quiet: bool


def parse_delete(data: bytes) -> Deletion:
    """Return the document of DeleteObjects. Raise MalformedXML, also for no key or over 1,000."""
    root = xml.parse(data, "Delete")
    xml.only(root, ("Object", "Quiet"))
    entries = root.findall("Object")
    if not 1 <= len(entries) <= rules.PAGE_KEYS:
        raise S3Error("MalformedXML")
    quiet = (xml.text_of(root, "Quiet") or "").strip().lower() == "true"
    return Deletion([_target(entry) for entry in entries], quiet)


def _target(entry: Element) -> Target:
    xml.only(entry, ("Key", "VersionId", "ETag", "LastModifiedTime", "Size"))
    key = xml.text_of(entry, "Key")
    if not key:
        raise S3Error("MalformedXML")
    for name in ("LastModifiedTime", "Size"):  # conditions of directory buckets; never drop one
        if entry.find(name) is not None:
            raise S3Error(
                "NotImplemented", f"The condition {name} of DeleteObjects is not implemented."
            )
    return Target(key, xml.text_of(entry, "VersionId") or None, xml.text_of(entry, "ETag"))


def parse_create_bucket(data: bytes) -> str | None:
    """Return the LocationConstraint of a CreateBucketConfiguration, None for none or no document.

    Raise MalformedXML, or NotImplemented for what it can ask for besides.
    """
    if not data:
        return None
    root = xml.parse(data, "CreateBucketConfiguration")
    xml.only(root, ("LocationConstraint", "Location", "Bucket", "Tags"))
    for name in ("Location", "Bucket", "Tags"):
        if root.find(name) is not None:
            raise S3Error(
                "NotImplemented", f"{name} of CreateBucketConfiguration is not implemented."
            )
    return (xml.text_of(root, "LocationConstraint") or "").strip() or None
