"""Uploads that describe themselves: words for the tests that kill gateways and cut the power.

A body says of which upload, part and turn it is, so bytes of another are told at once. ``Parts`` is
what a client knows: the parts that were acknowledged, and what may be there besides. ``faults`` of
a tree are the promises that it breaks.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from s3filters.store import Store
from s3filters.store.errors import Busy, NoSuchBucket, NoSuchKey, NoSuchUpload
from s3filters.store.metadata import Attributes, Record
from s3filters.store.parts import PartRecord
from s3filters.store.uploads import Upload, folder_of

T = TypeVar("T")

BUCKET = "crash"
SIZE = 8192  # bytes of a part, and blocks of any file system


def body_of(name: str, number: int, turn: int = 0, size: int = SIZE) -> bytes:
    """Bytes that only this part of this upload has, at this turn."""
    word = f"{name} part {number} turn {turn};".encode()
    return (word * (size // len(word) + 1))[:size]


def md5(data: bytes) -> str:
    """The ETag of a part."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def etag_of(parts: Sequence[str]) -> str:
    """The ETag of an object made of parts with these."""
    whole = hashlib.md5(b"".join(map(bytes.fromhex, parts)), usedforsecurity=False)
    return f"{whole.hexdigest()}-{len(parts)}"


def describe(upload: Upload, found: list[PartRecord | None]) -> Attributes:
    """The attributes of an object made of these parts. Raise LookupError when one is not there."""
    parts = [part for part in found if part is not None]
    if len(parts) < len(found):
        raise LookupError("no such part")
    ends = [sum(part.size for part in parts[: n + 1]) for n in range(len(parts))]
    etag = etag_of([part.etag for part in parts])
    return Attributes(etag=etag, parts=tuple(ends), upload_id=upload.id)


def begin(store: Store, key: str) -> Upload:
    """Begin an upload."""
    upload = Upload(BUCKET, key, str(uuid.uuid4()), time.time_ns())
    store.create_upload(upload)
    return upload


def patiently(verb: Callable[[], T]) -> T:
    """Do a verb again while the upload is busy.

    A lock lasts until a process that was just forked, and has it too, is another program.
    """
    while True:
        with suppress(Busy):
            return verb()
        time.sleep(0.001)


def put_part(store: Store, upload: Upload, number: int, data: bytes) -> PartRecord:
    """Store a part."""
    draft = store.part(upload, number, len(data))
    try:
        for at in range(0, len(data), SIZE // 2):
            draft.write(data[at : at + SIZE // 2])
        return patiently(lambda: draft.commit(md5(data), "", ""))
    finally:
        draft.discard()


def complete(store: Store, upload: Upload, numbers: Sequence[int], etag: str) -> Record:
    """Complete as the backend does, which knows an upload that its own object ended."""
    name = (upload.bucket, upload.key, upload.id)
    try:
        return patiently(lambda: store.complete(name, numbers, describe))
    except NoSuchUpload:
        made = store.made_by(upload.bucket, upload.key, upload.id)
        if made is None or made.etag != etag:
            raise
        return made


def read_object(store: Store, key: str) -> tuple[bytes, Record] | None:
    """An object's bytes and record; None when there is none."""
    try:
        with store.open(BUCKET, key) as opened:
            return os.pread(opened.fd, opened.record.size + 1, 0), opened.record
    except (NoSuchBucket, NoSuchKey):
        return None


def read_part(store: Store, upload: Upload, part: PartRecord) -> bytes:
    """A part's bytes, from where its record says; none when that is nowhere."""
    folder = f"{store.root.path}/{folder_of(upload.bucket, upload.key).decode()}/{upload.id}"
    with suppress(FileNotFoundError), open(f"{folder}/{part.data or part.number}", "rb") as file:
        file.seek(part.offset)
        return file.read(part.size)
    return b""


@dataclass
class Parts:
    """What a client of one upload knows: all that it sent, and what was acknowledged of that."""

    upload: Upload
    sent: dict[int, list[bytes]] = field(default_factory=dict)
    acknowledged: dict[int, bytes] = field(default_factory=dict)

    def put(self, store: Store, number: int, data: bytes) -> None:
        """Send a part and note that it was acknowledged."""
        self.sent.setdefault(number, []).append(data)
        put_part(store, self.upload, number, data)
        self.acknowledged[number] = data

    @property
    def whole(self) -> bytes:
        """The bytes of the object that all acknowledged parts make."""
        return b"".join(data for _, data in sorted(self.acknowledged.items()))

    @property
    def etag(self) -> str:
        """Its ETag."""
        return etag_of([md5(data) for _, data in sorted(self.acknowledged.items())])

    def complete(self, store: Store) -> Record:
        """Complete with all acknowledged parts."""
        return complete(store, self.upload, sorted(self.acknowledged), self.etag)

    def is_object(self, store: Store) -> bool:
        """True when the key's object is what the acknowledged parts make, whole."""
        found = read_object(store, self.upload.key)
        return found is not None and (found[0], found[1].etag) == (self.whole, self.etag)

    def is_listed(self, store: Store) -> bool:
        """True when the upload is in progress."""
        with suppress(NoSuchUpload, NoSuchBucket):
            store.upload(BUCKET, self.upload.key, self.upload.id)
            return True
        return False

    def listed(self, store: Store) -> dict[int, PartRecord]:
        """The parts that are there, none when the upload is not."""
        with suppress(NoSuchUpload, NoSuchBucket):
            found, _ = store.parts(BUCKET, self.upload.key, self.upload.id, 0, 10_000)
            return {part.number: part for part in found}
        return {}

    def as_found(self, store: Store) -> Parts:
        """The same upload, as a client knows it that has asked what is there."""
        listed = self.listed(store)
        if not listed:
            return self
        there = {number: read_part(store, self.upload, part) for number, part in listed.items()}
        return Parts(self.upload, self.sent, there)

    def faults(self, store: Store) -> Iterator[str]:
        """Yield ``lost`` and ``torn`` for the parts of an upload that has to be in progress."""
        found = self.listed(store)
        for number in sorted({*self.acknowledged, *found}):
            may_be = self.sent.get(number, [])
            if number in self.acknowledged:
                may_be = may_be[may_be.index(self.acknowledged[number]) :]
            if number not in found:
                yield f"lost part {number}"
                continue
            data = read_part(store, self.upload, found[number])
            if md5(data) != found[number].etag:
                yield f"torn part {number}"
            elif data not in may_be:
                yield f"lost part {number}"


def left(store: Store) -> list[str]:
    """What a sweep leaves in ``.sgwtmp`` but the lock."""
    store.sweep(0)
    hidden = os.path.join(store.root.path, BUCKET, ".sgwtmp")
    names = [os.path.join(at, n) for at, folders, files in os.walk(hidden) for n in folders + files]
    return sorted({os.path.relpath(name, hidden) for name in names} - {"lock", "multipart"})
