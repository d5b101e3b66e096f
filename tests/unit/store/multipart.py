"""Words for tests of uploads: begin one, write its parts, complete it, look at what is on disk."""

import hashlib
import os
import time
import uuid

from s3filters.store import removing, uploads
from s3filters.store.metadata import Attributes
from s3filters.store.uploads import Upload
from tests.unit.store.conftest import BUCKET

KEY = "a/key"


def begin(box, key=KEY, **changes):
    upload = Upload(BUCKET, key, str(uuid.uuid4()), time.time_ns(), **changes)
    box.store.create_upload(upload)
    return upload


def md5(data):
    return hashlib.md5(data).hexdigest()


def draft(box, upload, number, data, size=None):
    part = box.store.part(upload, number, len(data) if size is None else size)
    part.write(data)
    return part


def put(box, upload, number, data):
    part = draft(box, upload, number, data)
    return part.commit(md5(data), "CRC64NVME", "AAAAAAAAAAA=")


def describe(upload, found):
    """The attributes of an object made of these parts; refuses when one is missing."""
    if None in found:
        raise LookupError("no such part")
    digest = hashlib.md5(b"".join(bytes.fromhex(part.etag) for part in found)).hexdigest()
    ends, end = [], 0
    for part in found:
        end += part.size
        ends.append(end)
    return Attributes(
        etag=f"{digest}-{len(found)}",
        headers=upload.headers,
        parts=tuple(ends),
        upload_id=upload.id,
    )


def complete(box, upload, numbers, **options):
    name = (upload.bucket, upload.key, upload.id)
    record = box.store.complete(name, numbers, describe, **options)
    removing.settle()
    return record


def numbers(box, upload):
    found, _ = box.store.parts(upload.bucket, upload.key, upload.id, 0, 10_000)
    return [part.number for part in found]


def folder(box, upload):
    """The directory of an upload."""
    return box.root / os.fsdecode(uploads.path_of(upload.bucket, upload.key, upload.id))


def left(box):
    """All that is below ``multipart``, without attributes."""
    removing.settle()
    top = box.path / ".sgwtmp" / "multipart"
    return sorted(str(path.relative_to(top)) for path in top.rglob("*")) if top.exists() else []
