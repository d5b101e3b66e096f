"""The power goes out while files are given to others: whatever has a name belongs to its writer.

Each object says in its first bytes whose it is. The folder of each is made for it, by the same
writer; ``taken`` is replaced by all writers in turn, and some objects come in parts that another
sent.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from s3filters.store import Store
from s3filters.store.errors import Busy
from s3filters.store.metadata import Attributes
from s3filters.store.uploads import Upload
from tests.crash.lab import lab
from tests.crash.parted import describe
from tests.crash.writers import Endless

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

UIDS = (4001, 4002, 4003)
OTHER = 4999  # sends parts, and completes nothing
BETWEEN_CUTS_S = (0.02, 0.2)
PARTED = 5  # each so many'th object comes in parts
SIZES = (100, 20_000)
PAUSE_S = 0.02  # between two objects
KEPT = 200  # objects of each writer: the disk must hold them all
BUCKET = "bkt"


def body_of(uid: int, size: int) -> bytes:
    return f"{uid} ".encode() * (size // 5)


class Writer(Endless):
    """Puts objects without end; ``acknowledged`` are the last of those whose put has returned."""

    def __init__(self, store: Store, uid: int) -> None:
        super().__init__()
        self.acknowledged: list[str] = []
        self._forgotten: list[str] = []
        self._uid = uid
        self._mine = store.for_owner(uid, uid)
        self._others = store.for_owner(OTHER, OTHER)

    def run(self) -> None:
        """Put them."""
        count = 0
        while not self.ended.is_set():
            count += 1
            key = f"{self._uid}-{count}/key"
            body = body_of(self._uid, SIZES[count % len(SIZES)])
            if count % PARTED:
                self._put(key, body)
            else:
                self._put_in_parts(key, body)
            self.acknowledged.append(key)
            self._put("taken", body)
            self._make_room()
            time.sleep(PAUSE_S)

    def _make_room(self) -> None:
        """Delete what nobody has been promised for a while: the file system is small."""
        if len(self.acknowledged) > KEPT:
            self._forgotten.append(self.acknowledged.pop(0))
        if len(self._forgotten) > KEPT // 4:
            self._mine.delete(BUCKET, self._forgotten.pop(0))

    def _put(self, key: str, body: bytes) -> None:
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self._mine.put_small(BUCKET, key, body, Attributes(etag=etag))

    def _put_in_parts(self, key: str, body: bytes) -> None:
        upload = Upload(BUCKET, key, str(uuid.uuid4()), 1)
        self._mine.create_upload(upload)
        part = self._others.part(upload, 1, len(body))
        part.write(body)
        part.commit(hashlib.md5(body, usedforsecurity=False).hexdigest(), "", "")
        while True:
            try:
                self._mine.complete((BUCKET, key, upload.id), [1], describe)
                return
            except Busy:  # a cut forks, and what it forks has our locks until it is a command
                time.sleep(0.001)


def wrong(box: Path) -> Iterator[str]:
    """Say which object, or folder of one, belongs to somebody else than it should."""
    for path in [*box.glob("[0-9]*/key"), *box.glob("taken")]:
        uid = int(path.read_bytes()[:4])
        for one in {path, path.parent} - {box}:
            found = one.stat()
            if (found.st_uid, found.st_gid) != (uid, uid):
                yield f"{one.name} of {uid} belongs to {found.st_uid}:{found.st_gid}"


@pytest.mark.parametrize("placement", ["direct", "files"])
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_what_is_there_when_the_power_goes_out_belongs_to_its_writer(
    kind: str, placement: str, cuts: int
) -> None:
    found: list[str] = []
    with ExitStack() as ends:
        place = ends.enter_context(lab(kind))
        store = ends.enter_context(closing(Store(place.root, placement=placement)))
        store.create_bucket(BUCKET, "me")
        writers = [ends.enter_context(Writer(store, uid)) for uid in UIDS]
        for _ in range(cuts):
            time.sleep(random.uniform(*BETWEEN_CUTS_S))
            promised = [key for one in writers for key in list(one.acknowledged)]
            place.cut()
            with place.recovered() as root:
                found += wrong(root / BUCKET)
                found += [key for key in promised if not os.path.exists(root / BUCKET / key)]
    assert not found
    assert len(promised) > 5 * cuts, "too little was acknowledged to prove anything"
    print(f"\n{kind}, {placement}: {cuts} cuts, {len(promised)} objects: all of their writers")


def test_the_harness_catches_objects_of_others(tmp_path: Path) -> None:
    (tmp_path / "4001-1").mkdir()
    (tmp_path / "4001-1" / "key").write_bytes(body_of(4001, 100))
    assert len(list(wrong(tmp_path))) == 2
