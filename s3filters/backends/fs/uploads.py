"""Uploads in progress: begun, listed and given up; the parts are another module's (``uploading``).

Source: AWS API reference, CreateMultipartUpload, AbortMultipartUpload, ListParts,
ListMultipartUploads.
"""

from __future__ import annotations

import time
import uuid
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from s3filters.backends.fs.listings import quote
from s3filters.backends.fs.parts import Part, ask, no_version
from s3filters.backends.fs.slowly import patiently
from s3filters.s3 import dates, xml
from s3filters.s3 import headers as object_headers
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store.errors import NoSuchKey, NoSuchUpload
from s3filters.store.parts import PartRecord
from s3filters.store.uploads import Upload

_XML = ("Content-Type", "application/xml")


class Uploads(Part):
    """Operations on uploads in progress."""

    def create_multipart_upload(self, call: Call) -> Reply:
        """Begin an upload; what the object will be beside its bytes is fixed here.

        Raise what PutObject raises for its headers, and the store's errors.
        """
        no_version(call)
        self.expect_owner(call)
        given = call.headers
        assert given is not None
        object_headers.check_class(given, tiered=call.tiered)
        algorithm, kind = call.params["ChecksumAlgorithm"], call.params["ChecksumType"]
        upload = Upload(
            bucket=call.bucket,
            key=call.key,
            id=str(uuid.uuid4()),
            initiated_ns=time.time_ns(),
            initiator=call.identity.id if call.identity is not None else "",
            headers=given.standard,
            user=given.user,
            storage_class=given.storage_class,
            tags=given.tags,
            acl=call.acl,
            algorithm=algorithm,
            checksum_type=kind,
        )
        self.offload.run(self._begin_upload, call, upload)
        headers = [_XML]
        if algorithm:
            headers.append(("x-amz-checksum-algorithm", algorithm))
            headers.append(("x-amz-checksum-type", kind))
        document = {"Bucket": upload.bucket, "Key": upload.key, "UploadId": upload.id}
        return Reply(200, headers, xml.render("InitiateMultipartUploadResult", document))

    def _begin_upload(self, call: Call, upload: Upload) -> None:
        """Ask about the object that is there now, and begin, as one blocking verb."""
        if call.checks:
            current = None
            with suppress(NoSuchKey):
                current = self.store.head(call.bucket, call.key)
            ask(call.checks, current)
        self.store_of(call).create_upload(upload)

    def abort_multipart_upload(self, call: Call) -> Reply:
        """Give an upload up. Raise NoSuchUpload, PreconditionFailed, SlowDown."""
        self.expect_owner(call)
        upload_id = call.params["UploadId"]
        initiated = call.params.get("IfMatchInitiatedTime")
        if initiated is not None or call.checks:
            upload = self.offload.run(self._upload_of, call)
            if initiated not in (None, upload.initiated_ns // 1_000_000_000):
                raise S3Error("PreconditionFailed", Condition="x-amz-if-match-initiated-time")
        patiently(self.offload, self.store.end_upload, call.bucket, call.key, upload_id)
        return Reply(204)

    def list_parts(self, call: Call) -> Reply:
        """A page of an upload's parts behind ``part-number-marker``. Raise NoSuchUpload."""
        self.expect_owner(call)
        upload, owner, parts, truncated = self.offload.run(self._parts_of, call)
        params = call.params
        document = {
            "Bucket": call.bucket,
            "Key": call.key,
            "UploadId": upload.id,
            "PartNumberMarker": params["PartNumberMarker"],
            "NextPartNumberMarker": parts[-1].number if parts else 0,
            "MaxParts": params["MaxParts"],
            "IsTruncated": truncated,
            "Part": [_part_element(part) for part in parts],
            "Initiator": _person(upload.initiator),
            "Owner": _person(owner),
            "StorageClass": upload.storage_class,
            "ChecksumAlgorithm": upload.algorithm or None,
            "ChecksumType": upload.checksum_type or None,
        }
        return Reply(200, [_XML], xml.render("ListPartsResult", document))

    def _parts_of(self, call: Call) -> tuple[Upload, str, list[PartRecord], bool]:
        """All that ListParts answers, as one blocking verb."""
        params, store = call.params, self.store
        upload = self._upload_of(call)
        parts: list[PartRecord] = []
        truncated = False
        if params["MaxParts"]:
            parts, truncated = store.parts(
                call.bucket, call.key, upload.id, params["PartNumberMarker"], params["MaxParts"]
            )
        return upload, self._holder_of(call), parts, truncated

    def _upload_of(self, call: Call) -> Upload:
        """The upload that a call names, in a blocking verb. Raise NoSuchUpload, AccessDenied."""
        try:
            upload = self.store.upload(call.bucket, call.key, call.params["UploadId"])
        except NoSuchUpload:
            ask(call.checks, None)
            raise
        ask(call.checks, upload)
        return upload

    def list_multipart_uploads(self, call: Call) -> Reply:
        """A page of a bucket's uploads: by key, those of one key in the order of their beginning.

        ``upload-id-marker`` means something only with ``key-marker``: then the page begins behind
        that upload of that key.
        """
        self.expect_owner(call)
        page, owner = self.offload.run(self._uploads_page, call)
        params = call.params
        name: Callable[[str], str] = quote if params["EncodingType"] == "url" else _as_it_is
        document = {
            "Bucket": call.bucket,
            "KeyMarker": name(params["KeyMarker"]),
            "UploadIdMarker": params["UploadIdMarker"],
            **page.markers(name),
            "Prefix": name(params["Prefix"]),
            "Delimiter": name(params["Delimiter"]) if params["Delimiter"] else None,
            "EncodingType": params["EncodingType"],
            "MaxUploads": params["MaxUploads"],
            "IsTruncated": page.truncated,
            "Upload": [
                _upload_element(upload, name, owner) for upload in page.shown() if upload.id
            ],
            "CommonPrefixes": [
                {"Prefix": name(upload.key)} for upload in page.shown() if not upload.id
            ],
        }
        return Reply(200, [_XML], xml.render("ListMultipartUploadsResult", document))

    def _uploads_page(self, call: Call) -> tuple[_Page, str]:
        """The page and the bucket's owner, as one blocking verb."""
        params = call.params
        page = _Page(
            params["Prefix"],
            params["Delimiter"] or "",
            params["MaxUploads"],
            params["KeyMarker"],
            self._marker(call),
        )
        page.gather(self.store.uploads(call.bucket, page.wants))
        return page, self._holder_of(call)

    def _marker(self, call: Call) -> tuple[int, str] | None:
        """When the upload began behind which to go on, and its id; None without such a marker."""
        key, upload_id = call.params["KeyMarker"], call.params["UploadIdMarker"]
        if not (key and upload_id):
            return None
        try:
            return self.store.upload(call.bucket, key, upload_id).initiated_ns, upload_id
        except NoSuchUpload:  # it ended since the page before
            return _GONE, upload_id

    def _holder_of(self, call: Call) -> str:
        """The id of the bucket's owner, in a blocking verb; of who asks where it has none."""
        owner: str = (call.bucket_record or self.store.bucket(call.bucket)).owner
        return owner or (call.identity.id if call.identity is not None else "")


_GONE = -1


def _as_it_is(name: str) -> str:
    return name


def _person(canonical_id: str) -> dict[str, str] | None:
    return {"ID": canonical_id} if canonical_id else None


def _part_element(part: PartRecord) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": dates.iso_date(part.mtime_ns),
        "ETag": f'"{part.etag}"',
        "Size": part.size,
        f"Checksum{part.algorithm}": part.checksum or None,
    }


def _upload_element(upload: Upload, name: Callable[[str], str], owner: str) -> dict[str, Any]:
    return {
        "Key": name(upload.key),
        "UploadId": upload.id,
        "Initiator": _person(upload.initiator),
        "Owner": _person(owner),
        "StorageClass": upload.storage_class,
        "Initiated": dates.iso_date(upload.initiated_ns),
        "ChecksumAlgorithm": upload.algorithm or None,
        "ChecksumType": upload.checksum_type or None,
    }


_Place = tuple[str, int, str]  # key, when it began, id: what uploads are sorted by


@dataclass(slots=True)
class _Page:
    """The first uploads and common prefixes behind a place, gathered in whatever order they come.

    It never holds more than one entry over its limit. A common prefix stands in it as an upload
    without an id: it sorts before anything else of that name.
    """

    prefix: str
    delimiter: str
    limit: int
    after: str  # behind all uploads of this key,
    behind: tuple[int, str] | None  # or behind this one of them
    _places: list[_Place] = field(default_factory=list)  # ascending
    _found: list[Upload] = field(default_factory=list)  # of the same indices

    def gather(self, uploads: Iterable[Upload]) -> None:
        """Look at all uploads once; of keys that are not wanted none need be there."""
        for upload in uploads:
            if upload.key.startswith(self.prefix):
                self._add(self._grouped(upload))

    def wants(self, key: str) -> bool:
        """Whether an upload of the key would change the page, as far as it has come."""
        if not key.startswith(self.prefix):
            return False
        name = self._common(key)
        if name:
            return self._has_room((name, 0, "")) and name > self.after
        if key < self.after or (key == self.after and self.behind is None):
            return False
        return self._has_room((key, 0, ""))

    def _common(self, key: str) -> str:
        """The common prefix that stands for the key, or none."""
        at = key.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return "" if at < 0 else key[: at + len(self.delimiter)]

    def _grouped(self, upload: Upload) -> Upload:
        """The upload, or the common prefix that stands for it."""
        name = self._common(upload.key)
        return Upload(upload.bucket, name, "", 0) if name else upload

    def _has_room(self, place: _Place) -> bool:
        """Whether the place is not taken, and not behind the last one of a page that is full."""
        if not self.limit:
            return False
        at = bisect_left(self._places, place)
        return at <= self.limit and (at == len(self._places) or self._places[at] != place)

    def _add(self, upload: Upload) -> None:
        place = upload.key, upload.initiated_ns, upload.id
        if not self._has_room(place) or not self._is_behind(upload):
            return
        at = bisect_left(self._places, place)
        self._places.insert(at, place)
        self._found.insert(at, upload)
        del self._places[self.limit + 1 :], self._found[self.limit + 1 :]

    def _is_behind(self, upload: Upload) -> bool:
        if upload.key != self.after or self.behind is None or not upload.id:
            return upload.key > self.after
        initiated_ns, upload_id = self.behind
        if initiated_ns == _GONE:
            return upload.id > upload_id
        return (upload.initiated_ns, upload.id) > self.behind

    @property
    def truncated(self) -> bool:
        """Whether there are more than are shown."""
        return len(self._found) > self.limit

    def shown(self) -> list[Upload]:
        """The page, ascending; common prefixes have no id."""
        return self._found[: self.limit]

    def markers(self, name: Callable[[str], str]) -> dict[str, str]:
        """Where the next page begins, if there is one."""
        if not self.truncated:
            return {}
        last = self.shown()[-1]
        return {"NextKeyMarker": name(last.key), "NextUploadIdMarker": last.id}
