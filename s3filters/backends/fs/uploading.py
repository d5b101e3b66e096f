"""UploadPart and UploadPartCopy: the bytes of one part, with their ETag and checksum.

Every part is stored with the checksum of its upload's algorithm, CRC64NVME where the upload
declared none: from these the object's is made, and no byte is read again. Source: AWS API
reference, pages named as the operations.
"""

from __future__ import annotations

import re

from s3filters.backends.fs import cold, slowly
from s3filters.backends.fs.intake import Buffers, absorb
from s3filters.backends.fs.parts import Part, ask, no_version
from s3filters.backends.fs.slowly import patiently
from s3filters.s3 import checksums as algorithms
from s3filters.s3 import dates, multipart, rules, xml
from s3filters.s3 import parameters as p
from s3filters.s3.body import Body
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store.metadata import Record
from s3filters.store.objects import Opened
from s3filters.store.parts import PartDraft, PartRecord
from s3filters.store.uploads import Upload

SMALL = 1 << 16  # bytes; a part up to this size is stored by one verb
BLOCK = 1 << 20  # bytes; read at a time where digests must be computed

_is_md5 = re.compile(r"[0-9a-f]{32}").fullmatch


class Uploading(Part):
    """Operations that store a part."""

    _buffers: Buffers

    def upload_part(self, call: Call) -> Reply:
        """Store a part, in place of one that has its number.

        Raise what the body's proofs raise, NoSuchUpload, InvalidRequest for a checksum of another
        algorithm than the upload's, SlowDown; the part that was there is still there then.
        """
        no_version(call)
        self.expect_owner(call)
        body = call.body
        assert body is not None and body.length is not None
        if body.length <= SMALL:
            part = self._put_small_part(call, body)
        else:
            part = self._put_part_stream(call, body, body.length)
        return Reply(200, [("ETag", f'"{part.etag}"'), *_checksum_header(part)])

    def _put_small_part(self, call: Call, body: Body) -> PartRecord:
        data = body.read(SMALL)

        def put() -> PartRecord:
            upload, draft = self._begin_part(call, len(data))
            try:
                if data:
                    draft.write(data)
                algorithm = _algorithm_of(upload)
                hasher = algorithms.hasher(algorithm)
                hasher.update(data)
                value = algorithms.b64(hasher.digest())
                return draft.commit(body.digest("MD5").hex(), algorithm, value)
            finally:
                draft.discard()

        return patiently(self.offload, put)

    def _put_part_stream(self, call: Call, body: Body, size: int) -> PartRecord:
        upload, draft = self.offload.run(self._begin_part, call, size)
        try:
            algorithm = _algorithm_of(upload)
            body.want(algorithm)
            absorb(draft, body, self._buffers, self.offload)
            body.verify()
            return self._commit_part(draft, body.digest("MD5"), algorithm, body.digest(algorithm))
        except BaseException:
            self.offload.run(draft.discard)
            raise

    def _begin_part(self, call: Call, size: int) -> tuple[Upload, PartDraft]:
        """Find the upload and a place for a part of it, as one blocking verb."""
        params = call.params
        upload = self.store.upload(call.bucket, call.key, params["UploadId"])
        if call.copy_source is None:
            given = call.headers.checksum_algorithm if call.headers is not None else None
            multipart.check_part_checksum(upload.algorithm, given, upload.checksum_type)
        number = params["PartNumber"]
        return upload, self.store_of(call).part(upload, number, size)

    def _commit_part(
        self, draft: PartDraft, md5: bytes, algorithm: str, digest: bytes
    ) -> PartRecord:
        value = algorithms.b64(digest)
        return patiently(self.offload, draft.commit, md5.hex(), algorithm, value)

    def upload_part_copy(self, call: Call) -> Reply:
        """Store bytes of an object as a part; the kernel shares or copies them.

        Raise NoSuchKey and PreconditionFailed for the source, InvalidArgument for a range that is
        not in it, InvalidRequest over 5 GiB, and what UploadPart raises for the target.
        """
        source = call.copy_source
        assert source is not None
        no_version(call)
        self.expect_owner(call)
        if source.version_id not in (None, "null"):
            ask(call.source_checks, None)
            raise S3Error("NoSuchVersion", Key=source.key, VersionId=source.version_id)
        return slowly.answer(self.offload, call, lambda: _copied(self._copy_part(call)))

    def _copy_part(self, call: Call) -> PartRecord:
        """The whole copy, as one blocking verb."""
        source = call.copy_source
        assert source is not None
        opened = self.open_source(call)
        try:
            record = opened.record
            ask(call.source_checks, record)
            source.conditions.check_source(record.etag, record.mtime_ns // 1_000_000_000)
            cold.check_source(call, record)
            first, count = _selected(call, record.size)
            upload, draft = self._begin_part(call, count)
            try:
                if count:
                    draft.copy_from(opened.fd, first, count)
                algorithm = _algorithm_of(upload)
                etag, value = _digests(opened, first, count, algorithm)
                if not opened.is_unchanged():
                    raise S3Error("OperationAborted", "The source changed while it was copied.")
                return patiently(self.offload, draft.commit, etag, algorithm, value)
            except BaseException:
                draft.discard()
                raise
        finally:
            opened.close()


def _algorithm_of(upload: Upload) -> str:
    """The algorithm whose checksum each part of the upload is stored with."""
    return multipart.in_effect(upload.algorithm, upload.checksum_type)[0]


def _checksum_header(part: PartRecord) -> list[tuple[str, str]]:
    return [(algorithms.ALGORITHMS[part.algorithm].header, part.checksum)]


def _copied(part: PartRecord) -> bytes:
    document = {
        "LastModified": dates.iso_date(part.mtime_ns),
        "ETag": f'"{part.etag}"',
        f"Checksum{part.algorithm}": part.checksum,
    }
    return xml.render("CopyPartResult", document)


def _selected(call: Call, size: int) -> tuple[int, int]:
    """Return offset and count of the bytes of a source of that size. Raise as UploadPartCopy."""
    asked = call.params["CopySourceRange"]
    first, count = 0, size
    if asked is not None:
        if asked.last >= size:
            message = f"Range specified is not valid for source object of size: {size}"
            raise p.bad("x-amz-copy-source-range", asked.text, message)
        first, count = asked.first, asked.last - asked.first + 1
    if count > rules.PUT_BYTES:
        raise S3Error(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy "
            f"source: {rules.PUT_BYTES}",
        )
    return first, count


def _digests(opened: Opened, first: int, count: int, algorithm: str) -> tuple[str, str]:
    """Return ETag and checksum of bytes of the source: known ones, or computed."""
    known = _known_digests(opened.record, algorithm) if count == opened.record.size else None
    if known is not None:
        return known
    md5, hasher = algorithms.hasher("MD5"), algorithms.hasher(algorithm)
    for block in opened.blocks(BLOCK, first, count):
        md5.update(block)
        hasher.update(block)
    return md5.digest().hex(), algorithms.b64(hasher.digest())


def _known_digests(record: Record, algorithm: str) -> tuple[str, str] | None:
    """Return MD5 and checksum of all bytes where the object is stored with both."""
    known = record.checksums
    if known is None or (known.algorithm, known.type) != (algorithm, "FULL_OBJECT"):
        return None
    return (record.etag, known.value) if _is_md5(record.etag) else None
