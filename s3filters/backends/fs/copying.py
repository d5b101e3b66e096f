"""CopyObject: bytes are shared by reflink where the file system can, else the kernel copies."""

from __future__ import annotations

from s3filters.backends.fs import cold, slowly
from s3filters.backends.fs.parts import Part, ask, no_version, of_directory, write_check
from s3filters.s3 import checksums as algorithms
from s3filters.s3 import dates, rules, xml
from s3filters.s3 import headers as object_headers
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store import recognizing
from s3filters.store.metadata import Attributes, Checksums, Record
from s3filters.store.objects import Opened

BLOCK = 1 << 20  # bytes; read at a time where a digest must be computed


class Copying(Part):
    """CopyObject. Source: AWS API reference, CopyObject."""

    def copy_object(self, call: Call) -> Reply:
        """Copy an object, with its metadata or with what the request gives.

        Raise NoSuchKey and PreconditionFailed for the source, InvalidRequest for a copy onto itself
        that changes nothing, and what PutObject raises for the target.
        """
        source = call.copy_source
        assert source is not None and call.headers is not None
        object_headers.check_class(call.headers, tiered=call.tiered)
        self.expect_owner(call)
        if source.version_id not in (None, "null"):
            ask(call.source_checks, None)
            raise S3Error("NoSuchVersion", Key=source.key, VersionId=source.version_id)
        no_version(call)
        only_if_absent = call.conditions is not None and call.conditions.if_none_match is not None
        return slowly.answer(self.offload, call, lambda: self._copied(call, only_if_absent))

    def _copied(self, call: Call, only_if_absent: bool) -> bytes:
        record = self._copy(call, only_if_absent)
        if cold.is_to_archive(call, record):
            cold.archive(self, call)
        return _copied(record)

    def _copy(self, call: Call, only_if_absent: bool) -> Record:
        """The whole copy, as one blocking verb."""
        source = call.copy_source
        assert source is not None
        opened = self.open_source(call)
        try:
            record = opened.record
            ask(call.source_checks, record)  # which may leave more to check of the target
            check = write_check(call)
            source.conditions.check_source(record.etag, record.mtime_ns // 1_000_000_000)
            if record.size > rules.PUT_BYTES:
                raise S3Error(
                    "InvalidRequest",
                    "The specified copy source is larger than the maximum allowable size for a "
                    f"copy source: {rules.PUT_BYTES}",
                )
            cold.check_source(call, record)
            _refuse_idle_self_copy(call, record)
            attributes = _attributes(call, opened)
            store = self.store_of(call)
            if call.key.endswith("/"):
                if record.size:
                    raise S3Error("DirectoryObjectContainsData")
                attributes.headers = of_directory(attributes.headers)
                return store.put_directory(call.bucket, call.key, attributes, check)
            check = cold.noting(self, call, lambda: attributes.storage_class, check)
            draft = store.draft(call.bucket, call.key)
            try:
                if record.size:
                    draft.copy_from(opened.fd, 0, record.size)
                if not opened.is_unchanged():
                    raise S3Error("OperationAborted", "The source changed while it was copied.")
                return draft.commit(attributes, only_if_absent=only_if_absent, check=check)
            except BaseException:
                draft.discard()
                raise
        finally:
            opened.close()


def _copied(record: Record) -> bytes:
    checksum = record.checksums
    document = {"LastModified": dates.iso_date(record.mtime_ns), "ETag": f'"{record.etag}"'}
    if checksum is not None:
        document["ChecksumType"] = checksum.type
        document[f"Checksum{checksum.algorithm}"] = checksum.value
    return xml.render("CopyObjectResult", document)


def _refuse_idle_self_copy(call: Call, record: Record) -> None:
    """A copy of an object onto itself must change something (AWS: CopyObject, InvalidRequest)."""
    source, headers = call.copy_source, call.headers
    assert source is not None and headers is not None
    if (source.bucket, source.key) != (call.bucket, call.key):
        return
    if (
        call.params.get("MetadataDirective") == "REPLACE"
        or headers.storage_class != record.storage_class
    ):
        return
    if "website-redirect-location" in headers.standard:
        return
    wanted = headers.checksum_algorithm
    if wanted is not None and not _has_checksum(record, wanted):
        return
    raise S3Error(
        "InvalidRequest",
        "This copy request is illegal because it is trying to copy an object to itself without "
        "changing the object's metadata, storage class, website redirect location or encryption "
        "attributes.",
    )


def _has_checksum(record: Record, algorithm: str) -> bool:
    """True when the object is stored with that checksum of all its bytes."""
    known = record.checksums
    return known is not None and (known.algorithm, known.type) == (algorithm, "FULL_OBJECT")


def _attributes(call: Call, opened: Opened) -> Attributes:
    """What the copy stores beside the bytes."""
    record, given = opened.record, call.headers
    assert given is not None
    replace = call.params.get("MetadataDirective") == "REPLACE"
    replaces_tags = call.params.get("TaggingDirective") == "REPLACE"
    keep = _keeps_digests(record, given.checksum_algorithm)
    etag, checksums = (
        (record.etag, record.checksums) if keep else _digests(opened, given.checksum_algorithm)
    )
    standard = given.standard if replace else dict(record.headers)
    if not replace:
        # The redirect location is never copied: it is given anew or absent (AWS: CopyObject).
        standard.pop("website-redirect-location", None)
        if "website-redirect-location" in given.standard:
            standard["website-redirect-location"] = given.standard["website-redirect-location"]
    return Attributes(
        etag=etag,
        headers=standard,
        user=given.user if replace else record.user,
        checksums=checksums,
        storage_class=given.storage_class,
        parts=record.parts if keep else (),
        part_checksums=record.part_checksums if keep else (),
        tags=given.tags if replaces_tags else recognizing.tags_in(record.tagging),
        acl=call.acl,
    )


def _keeps_digests(record: Record, algorithm: str | None) -> bool:
    """True when the copy may have ETag, checksum and parts of the source, and nothing is read."""
    if record.checksums is None:
        return False
    return algorithm is None or _has_checksum(record, algorithm)


def _digests(opened: Opened, algorithm: str | None) -> tuple[str, Checksums]:
    """Compute ETag and checksum of the copy from the bytes of the source."""
    wanted = algorithm or algorithms.DEFAULT
    hasher, md5 = algorithms.hasher(wanted), algorithms.hasher("MD5")
    for block in opened.blocks(BLOCK):
        hasher.update(block)
        md5.update(block)
    value = algorithms.b64(hasher.digest())
    return md5.digest().hex(), Checksums(wanted, "FULL_OBJECT", value)
