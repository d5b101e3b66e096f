"""CompleteMultipartUpload: the parts of an upload become one object. No byte is read for it.

Source: AWS API reference, CompleteMultipartUpload. It may be asked again, by a client that did not
get the answer: as long as the object is the one that this upload made, the same list of parts gets
the same answer, whatever the conditions say.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from s3filters.backends.fs import cold, slowly
from s3filters.backends.fs.parts import Part, no_version, write_check
from s3filters.s3 import multipart, xml
from s3filters.s3.call import Call
from s3filters.s3.multipart import CompletedPart
from s3filters.s3.reply import Reply
from s3filters.store.errors import NoSuchUpload
from s3filters.store.metadata import Attributes, Checksums, Record
from s3filters.store.parts import PartRecord
from s3filters.store.uploads import Upload


class Completing(Part):
    """CompleteMultipartUpload."""

    def complete_multipart_upload(self, call: Call) -> Reply:
        """Make the object. ``call.params["Parts"]`` are the client's parts, ascending.

        Raise NoSuchUpload, InvalidPart, EntityTooSmall, EntityTooLarge, BadDigest, InvalidRequest
        for what is said of the whole and does not hold, PreconditionFailed, and the store's errors.
        """
        no_version(call)
        self.expect_owner(call)
        return slowly.answer(self.offload, call, lambda: self._completion(call))

    def _completion(self, call: Call) -> bytes:
        record = self._complete(call)
        if cold.is_to_archive(call, record):
            cold.archive(self, call)
        return _completed(call, record)

    def _complete(self, call: Call) -> Record:
        """The whole completion, as one blocking verb. Raise Busy while another is at the upload."""
        asked: list[CompletedPart] = call.params["Parts"]
        upload_id: str = call.params["UploadId"]

        storage_class = "STANDARD"

        def describe(upload: Upload, found: list[PartRecord | None]) -> Attributes:
            nonlocal storage_class
            storage_class = upload.storage_class
            return _describe(call, upload, asked, found)

        try:
            return self.store_of(call).complete(
                (call.bucket, call.key, upload_id),
                [part.number for part in asked],
                describe,
                only_if_absent=call.conditions is not None
                and call.conditions.if_none_match is not None,
                check=cold.noting(self, call, lambda: storage_class, write_check(call)),
            )
        except NoSuchUpload:
            made = self.store.made_by(call.bucket, call.key, upload_id)
            if made is None or made.etag != multipart.etag_of(part.etag for part in asked):
                raise
            return made


def _describe(
    call: Call,
    upload: Upload,
    asked: Sequence[CompletedPart],
    found: Sequence[PartRecord | None],
) -> Attributes:
    """Return what the object is beside its bytes. Raise S3Error when the parts do not hold."""
    declared = upload.algorithm, upload.checksum_type
    multipart.check_parts(upload.id, declared, asked, found)
    parts = [part for part in found if part is not None]
    algorithm, kind = multipart.in_effect(*declared)
    value = multipart.object_checksum(
        algorithm,
        kind,
        [(part.size, part.checksum if part.algorithm == algorithm else "") for part in parts],
    )
    ends = tuple(accumulate(part.size for part in parts))
    multipart.check_object(declared, ends[-1], value, call.params)
    is_composite = kind == multipart.COMPOSITE
    return Attributes(
        etag=multipart.etag_of(part.etag for part in parts),
        headers=upload.headers,
        user=upload.user,
        checksums=Checksums(algorithm, kind, value) if value else None,
        storage_class=upload.storage_class,
        parts=ends,
        tags=upload.tags,
        acl=upload.acl,
        upload_id=upload.id,
        part_checksums=tuple(part.checksum for part in parts) if is_composite else (),
    )


def _completed(call: Call, record: Record) -> bytes:
    checksums = record.checksums
    document = {
        "Location": call.params["Location"],
        "Bucket": call.bucket,
        "Key": call.key,
        "ETag": f'"{record.etag}"',
    }
    if checksums is not None:
        document[f"Checksum{checksums.algorithm}"] = checksums.value
        document["ChecksumType"] = checksums.type
    return xml.render("CompleteMultipartUploadResult", document)
