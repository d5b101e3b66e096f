"""GetObject, HeadObject and GetObjectAttributes: what is stored, said in S3's headers."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from s3filters.backends.fs import cold
from s3filters.backends.fs.parts import Part, ask, only_null_version
from s3filters.s3 import dates, xml
from s3filters.s3 import headers as object_headers
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store import extents
from s3filters.store.errors import NoSuchKey, WouldBlock
from s3filters.store.metadata import Record
from s3filters.store.objects import Opened

SMALL = 1 << 16  # bytes; a body up to this size is read at once and sent with its headers
BLOCK = 1 << 18  # bytes; what a server without sendfile reads at a time

_PARTED = re.compile(r".+-([1-9][0-9]{0,4})").fullmatch  # the ETag of an object made of parts
_NO_BOUNDARIES = "Where the parts of this object end is not stored. Read it whole, or by ranges."

# Request parameter -> stored name whose header it overrides in this answer.
OVERRIDES = {
    "ResponseContentType": "content-type",
    "ResponseCacheControl": "cache-control",
    "ResponseContentDisposition": "content-disposition",
    "ResponseContentEncoding": "content-encoding",
    "ResponseContentLanguage": "content-language",
    "ResponseExpires": "expires",
}


class FileRange:
    """``count`` bytes of an open file from ``offset``; a server may send them with sendfile.

    Iterating reads them in blocks; ``close`` closes the file. On ScoutFS bytes may go to tape while
    they are sent: ``waits(offset, count)`` tells it, and ``patient`` whether to wait for them then.
    """

    def __init__(self, opened: Opened, offset: int, count: int, *, patient: bool = True) -> None:
        self.opened = opened
        self.offset = offset
        self.count = count
        self.patient = patient
        on_tape = opened.record.state is not None
        self.waits = partial(extents.wait, opened.fd) if on_tape else None

    def fileno(self) -> int:
        """The open file's descriptor."""
        return self.opened.fd

    def __iter__(self) -> Iterator[bytes]:
        at, end = self.offset, self.offset + self.count
        while at < end:
            count = min(BLOCK, end - at)
            if self.waits is not None and not self.patient and self.waits(at, count):
                return  # the server sees the missing bytes
            block = os.pread(self.opened.fd, count, at)
            if not block:
                return  # the file was cut short behind our back
            yield block
            at += len(block)

    def close(self) -> None:
        """Close the file."""
        self.opened.close()


class Reading(Part):
    """Operations that read one object. Source: the AWS API pages named as the operations."""

    def head_object(self, call: Call) -> Reply:
        """Headers of an object, or of the asked range of it."""
        record = self._record(call)
        status, _, count, extra = self._select(call, record)
        headers = answer_headers(call, record, whole=count == record.size)
        headers += extra
        if call.tiering is not None:
            cold.tell(self, call, record, headers)
        headers.append(("Content-Length", str(count)))
        return Reply(status, headers, ())

    def get_object(self, call: Call) -> Reply:
        """An object, or the asked range of it."""
        opened: Opened | None = self._open(call)
        assert opened is not None
        try:
            record = opened.record
            ask(call.checks, record)
            status, offset, count, extra = self._select(call, record)
            headers = answer_headers(call, record, whole=count == record.size)
            headers += extra
            if call.tiering is not None:
                cold.check_read(self, call, opened, (offset, count))
                cold.tell(self, call, record, headers)
            if count > SMALL:
                headers.append(("Content-Length", str(count)))
                body = FileRange(opened, offset, count, patient=call.tiering is None)
                opened = None
                return Reply(status, headers, body)
            return Reply(status, headers, self._small(opened, offset, count))
        finally:
            if opened is not None:
                opened.close()

    def get_object_attributes(self, call: Call) -> Reply:
        """What ``x-amz-object-attributes`` asks for, and nothing else."""
        record = self._record(call)
        if call.conditions:
            call.conditions.check_read(record.etag, record.mtime_ns // 1_000_000_000)
        asked = call.params["ObjectAttributes"]
        body = {
            "ETag": record.etag if "ETag" in asked else None,
            "Checksum": _checksum_document(record) if "Checksum" in asked else None,
            "ObjectParts": _parts_document(call, record) if "ObjectParts" in asked else None,
            "StorageClass": cold.class_of(call, record) if "StorageClass" in asked else None,
            "ObjectSize": record.size if "ObjectSize" in asked else None,
        }
        headers = [
            ("Last-Modified", dates.http_date(record.mtime_ns // 1_000_000_000)),
            ("Content-Type", "application/xml"),
        ]
        return Reply(200, headers, xml.render("GetObjectAttributesResponse", body))

    def _small(self, opened: Opened, offset: int, count: int) -> bytes:
        """Read a little: at once when the page cache has it, else where waiting is allowed."""
        if not count:
            return b""
        fd, state = opened.fd, opened.record.state
        if self.store.local:
            buffer = bytearray(count)
            try:
                if os.preadv(fd, (buffer,), offset, os.RWF_NOWAIT) == count:
                    return bytes(buffer)
            except (BlockingIOError, OSError):
                pass  # not in the cache, or a file system without RWF_NOWAIT: the next line waits
        if state is None or not state.offline_blocks:
            data: bytes = self.offload.run(os.pread, fd, count, offset)
        else:  # nobody refused to read what is on tape
            data = self.offload.start_slow(os.pread, fd, count, offset).wait()
        if len(data) != count:
            raise S3Error("InternalError", "The object became shorter while it was read.")
        return data

    def _open(self, call: Call) -> Opened:
        return self._quickly(self.store.open, call)  # type: ignore[no-any-return]

    def _record(self, call: Call) -> Record:
        record: Record = self._quickly(self.store.head, call)
        ask(call.checks, record)
        return record

    @contextlib.contextmanager
    def saying_who_may_first(self, call: Call) -> Iterator[None]:
        """Tell what is wrong with a request only to who may do what it asks for."""
        try:
            yield
        except S3Error:
            if call.checks:
                with contextlib.suppress(NoSuchKey):
                    self._record(call)
            raise

    def _quickly(self, verb: Callable[..., Any], call: Call) -> Any:
        """Run a reading verb at once where all it needs is in memory, else where it may wait."""
        if call.version_id is not None:
            only_null_version(call)
        if call.params:
            self.expect_owner(call)
        if self.store.local:
            try:
                return verb(call.bucket, call.key, cached=True)
            except WouldBlock:
                pass
            except NoSuchKey:
                ask(call.checks, None)
                raise
        try:
            return self.offload.run(verb, call.bucket, call.key)
        except NoSuchKey:
            ask(call.checks, None)
            raise

    def _select(self, call: Call, record: Record) -> tuple[int, int, int, list[tuple[str, str]]]:
        """Return status, offset, count and further headers after conditions and range."""
        if call.conditions:
            call.conditions.check_read(record.etag, record.mtime_ns // 1_000_000_000)
        part = call.params.get("PartNumber")
        if part is not None:
            return _select_part(record, part)
        if call.range is None:
            return 200, 0, record.size, []
        resolved = call.range.resolve(record.size)
        if resolved is None:
            return 200, 0, record.size, []
        first, last = resolved
        return (
            206,
            first,
            last - first + 1,
            [("Content-Range", f"bytes {first}-{last}/{record.size}")],
        )


def parts_count(record: Record) -> int:
    """Return of how many parts an object was made, 0 when it was not uploaded in parts."""
    match = _PARTED(record.etag)
    return int(match[1]) if match else 0


def _select_part(record: Record, number: int) -> tuple[int, int, int, list[tuple[str, str]]]:
    """The bytes of one part. An object that was not uploaded in parts is its own part 1."""
    count = parts_count(record)
    extra = [("x-amz-mp-parts-count", str(count))] if count else []
    if number > max(count, 1):
        raise S3Error(
            "InvalidPartNumber", ActualPartCount=max(count, 1), PartNumberRequested=number
        )
    ends = (record.size,) if count < 2 else record.parts
    if len(ends) != max(count, 1):
        raise S3Error("NotImplemented", _NO_BOUNDARIES, headers=extra)
    first = ends[number - 2] if number > 1 else 0
    last = ends[number - 1] - 1
    if last >= first:
        extra.append(("Content-Range", f"bytes {first}-{last}/{record.size}"))
    return 206, first, last - first + 1, extra


def answer_headers(call: Call, record: Record, *, whole: bool) -> list[tuple[str, str]]:
    """Headers of an object's answer, without length and range.

    :param whole: all bytes are in it, so that the object's checksum is that of the body
    """
    stored: list[tuple[str, str]] | None = record.answered
    if stored is None:
        stored = record.answered = _stored_headers(record, record.headers)
    params = call.params
    if params:
        overridden = {name: params[word] for word, name in OVERRIDES.items() if params.get(word)}
        if overridden:
            stored = _stored_headers(record, record.headers | overridden)
    headers = stored.copy()
    if record.tags and call.shows_tags is not None and not call.shows_tags(record):
        headers.remove(_count_of_tags(record))
    if params and params.get("ChecksumMode") == "ENABLED" and record.checksums:
        value = _checksum_of(record, params.get("PartNumber"), whole)
        if value:
            headers.append((f"x-amz-checksum-{record.checksums.algorithm.lower()}", value))
            headers.append(("x-amz-checksum-type", record.checksums.type))
    return headers


def _checksum_of(record: Record, part: int | None, whole: bool) -> str:
    """Return the checksum to tell with these bytes, empty when there is none of them.

    S3 keeps the checksums of parts only where that of the object is made of them: COMPOSITE.
    """
    checksums = record.checksums
    if checksums is None:
        return ""
    if part is None or checksums.type != "COMPOSITE":
        return checksums.value if whole else ""
    known = _part_checksums(record)
    return known[part - 1] if part <= len(known) else ""


def _part_checksums(record: Record) -> tuple[str, ...]:
    """Return the checksum of each part, none when they are not all known."""
    known = record.part_checksums
    return known if len(known) == parts_count(record) else ()


def _checksum_document(record: Record) -> dict[str, Any] | None:
    """Return GetObjectAttributes' Checksum: here alone S3 leaves out how many parts there were."""
    checksums = record.checksums
    if checksums is None:
        return None
    value, _, _ = checksums.value.partition("-")
    return {f"Checksum{checksums.algorithm}": value, "ChecksumType": checksums.type}


def _parts_document(call: Call, record: Record) -> dict[str, Any] | None:
    """Return GetObjectAttributes' ObjectParts, None for what was not uploaded in parts.

    S3 lists the parts where they have checksums, and only counts them elsewhere. Where the
    checksums could not be stored the sizes are listed without them.
    """
    count, checksums, ends = parts_count(record), record.checksums, record.parts
    if not count:
        return None
    if checksums is None or checksums.type != "COMPOSITE" or len(ends) != count:
        return {"PartsCount": count}
    marker, limit = call.params["PartNumberMarker"], call.params["MaxParts"]
    known = _part_checksums(record)
    listed = []
    for number in range(marker + 1, min(marker + limit, count) + 1):
        part: dict[str, Any] = (
            {f"Checksum{checksums.algorithm}": known[number - 1]} if known else {}
        )
        start = ends[number - 2] if number > 1 else 0
        listed.append(part | {"PartNumber": number, "Size": ends[number - 1] - start})
    return {
        "IsTruncated": 0 < limit < count - marker,
        "MaxParts": limit,
        "NextPartNumberMarker": listed[-1]["PartNumber"] if listed else 0,
        "PartNumberMarker": marker,
        "Part": listed,
        "PartsCount": count,
    }


def _stored_headers(record: Record, standard: dict[str, str]) -> list[tuple[str, str]]:
    """What a record says in any answer, made once for as long as it is known.

    :param standard: its headers, or what the request has instead of them
    """
    headers = [
        ("Last-Modified", dates.http_date(record.mtime_ns // 1_000_000_000)),
        ("ETag", f'"{record.etag}"'),
        ("Accept-Ranges", "bytes"),
        *object_headers.answered(standard, record.user),
    ]
    storage_class = cold.warm(record.storage_class)
    if storage_class != "STANDARD":
        headers.append(("x-amz-storage-class", storage_class))
    if record.tags:
        headers.append(_count_of_tags(record))
    return headers


def _count_of_tags(record: Record) -> tuple[str, str]:
    return "x-amz-tagging-count", str(record.tags)
