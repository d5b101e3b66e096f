"""ListObjects, ListObjectsV2 and ListObjectVersions: a page of the store, said in S3's XML.

The three differ in their words for where to begin and where to go on; the page between is the same.
There is no versioning: each object is its only version, ``null``, and the latest.

A page of a thousand keys is a thousand times the same few lines, so they are formatted as text
here instead of built as a tree for ``s3.xml``. Elements stand in the order in which AWS sends them.

A page whose directories are in memory and unchanged is made at once: it costs the event loop a few
milliseconds, but a real thread would fight for the interpreter at each of its thousand stats. Any
other page is one verb, made where waiting is allowed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote_plus

from s3filters.backends.fs import cold
from s3filters.backends.fs.parts import Part
from s3filters.s3 import dates, tokens, xml
from s3filters.s3.call import Call
from s3filters.s3.reply import Reply
from s3filters.store import walk
from s3filters.store.errors import WouldBlock
from s3filters.store.metadata import Checksums
from s3filters.store.walk import Page

NULL_VERSION = "null"
_TO_QUOTE = re.compile("[^A-Za-z0-9_./*-]")


class Listings(Part):
    """Operations that list a bucket. Source: AWS API reference, pages named as the operations."""

    def list_objects(self, call: Call) -> Reply:
        """A page behind ``marker``. NextMarker is there only with a delimiter, as AWS has it."""
        self.expect_owner(call)
        params = call.params
        page = self._page(call, params["Marker"])
        document = _Document("ListBucketResult", call, page)
        document.name("Marker", params["Marker"])
        if page.truncated and params["Delimiter"]:
            document.name("NextMarker", page.last)
        document.asked()
        document.entries("Contents", self._owner(call))
        return self._reply(document)

    def list_objects_v2(self, call: Call) -> Reply:
        """A page behind ``continuation-token``, or behind ``start-after`` when there is none."""
        self.expect_owner(call)
        params = call.params
        token, start = params["ContinuationToken"], params["StartAfter"]
        page = self._page(call, start if token is None else token)
        document = _Document("ListBucketResult", call, page)
        if token is not None:
            document.text("ContinuationToken", tokens.encode(token))
        if page.truncated:
            document.text("NextContinuationToken", tokens.encode(page.last))
        if start:
            document.name("StartAfter", start)
        document.text("KeyCount", str(len(page.entries) + len(page.prefixes)))
        document.asked()
        document.entries("Contents", self._owner(call) if params["FetchOwner"] else "")
        return self._reply(document)

    def list_object_versions(self, call: Call) -> Reply:
        """A page behind ``key-marker``: its one version is behind no ``version-id-marker``."""
        self.expect_owner(call)
        params = call.params
        page = self._page(call, params["KeyMarker"])
        document = _Document("ListVersionsResult", call, page)
        document.name("KeyMarker", params["KeyMarker"])
        document.text("VersionIdMarker", params["VersionIdMarker"] or "")
        if page.truncated:
            document.name("NextKeyMarker", page.last)
            if page.entries and page.entries[-1].key == page.last:
                document.text("NextVersionIdMarker", NULL_VERSION)
        document.asked()
        version = f"<VersionId>{NULL_VERSION}</VersionId><IsLatest>true</IsLatest>"
        document.entries("Version", self._owner(call), version)
        return self._reply(document)

    def _page(self, call: Call, after: str) -> Page:
        params = call.params
        asked = (params["Prefix"], params["Delimiter"] or "", after, params["MaxKeys"])
        store, bucket = self.store, call.bucket or ""
        if store.local:
            try:
                return walk.page_in_memory(store, bucket, *asked)
            except WouldBlock:
                pass
        found: Page = self.offload.run(walk.page, store, bucket, *asked)
        return found

    def _owner(self, call: Call) -> str:
        """The element for the bucket's owner, whose every object is."""
        # The walk has just opened the bucket: where that is local, looking at it cannot wait.
        look, bucket = self.store.bucket, call.bucket or ""
        record = call.bucket_record
        if record is None:
            record = look(bucket) if self.store.local else self.offload.run(look, bucket)
        owner = record.owner
        if not owner and call.identity is not None:
            owner = call.identity.id
        return f"<Owner><ID>{xml.escape(owner)}</ID></Owner>" if owner else ""

    def _reply(self, document: _Document) -> Reply:
        headers = [("x-amz-bucket-region", self.region), ("Content-Type", "application/xml")]
        return Reply(200, headers, document.render())


class _Document:
    """The XML of a page, written from its beginning to its end.

    Names are percent-encoded when the client asked for that, and escaped as XML needs it.
    """

    def __init__(self, root: str, call: Call, page: Page) -> None:
        self._root = root
        self._params = call.params
        self._tier = cold.listed(call)
        self._page = page
        self._quoted = call.params["EncodingType"] == "url"
        self._name = quote if self._quoted else xml.escape
        self._out = [xml.DECLARATION, f'<{root} xmlns="{xml.NAMESPACE}">']
        self.text("Name", call.bucket or "")
        self.name("Prefix", call.params["Prefix"])

    def text(self, element: str, text: str) -> None:
        """Add an element."""
        self._out.append(f"<{element}>{xml.escape(text)}</{element}>")

    def name(self, element: str, name: str) -> None:
        """Add an element that holds a key or a part of one."""
        self._out.append(f"<{element}>{self._name(name)}</{element}>")

    def asked(self) -> None:
        """Add what was asked for, and whether there is more of it."""
        self.text("MaxKeys", str(self._params["MaxKeys"]))
        if self._params["Delimiter"]:
            self.name("Delimiter", self._params["Delimiter"])
        if self._quoted:
            self.text("EncodingType", "url")
        self.text("IsTruncated", "true" if self._page.truncated else "false")

    def entries(self, element: str, owner: str, version: str = "") -> None:
        """Add the objects; ``owner`` and ``version`` are elements, or nothing."""
        name, date, escape, tier = self._name, dates.iso_date, xml.escape, self._tier
        self._out += [
            f"<{element}><Key>{name(entry.key)}</Key>{version}"
            f"<LastModified>{date(record.mtime_ns)}</LastModified>"
            f"<ETag>&quot;{escape(record.etag)}&quot;</ETag>{_checksum(record.checksums)}"
            f"<Size>{record.size}</Size>{owner}{tier(record)}</{element}>"
            for entry in self._page.entries
            if (record := entry.record)
        ]

    def render(self) -> bytes:
        """Add the common prefixes and return the whole document."""
        for prefix in self._page.prefixes:
            self._out.append("<CommonPrefixes>")
            self.name("Prefix", prefix)
            self._out.append("</CommonPrefixes>")
        self._out.append(f"</{self._root}>")
        return "".join(self._out).encode()


def quote(name: str) -> str:
    """Return a name in AWS's ``encoding-type=url``: as in a form, but with its slashes."""
    if _TO_QUOTE.search(name) is None:
        return name
    return quote_plus(name, safe="/*", errors="surrogatepass")


def _checksum(checksums: Checksums | None) -> str:
    return _checksum_elements(checksums.algorithm, checksums.type) if checksums else ""


@lru_cache(maxsize=64)
def _checksum_elements(algorithm: str, kind: str) -> str:
    return (
        f"<ChecksumAlgorithm>{xml.escape(algorithm)}</ChecksumAlgorithm>"
        f"<ChecksumType>{xml.escape(kind)}</ChecksumType>"
    )
