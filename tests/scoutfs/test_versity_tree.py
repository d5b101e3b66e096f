"""A tree that Versity's gateway wrote, on ScoutFS: some of it on tape, some flagged by others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3filters.store import Store, promises, scoutfs, tier
from s3filters.store.metadata import Record
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from s3filters.store.tier import Tier
from tests.scoutfs import calls
from tests.unit.store.conftest import Box
from tests.unit.store.multipart import begin, complete, put
from tests.unit.store.multipart import folder as folder_of
from tests.versity import unpack

BLOCK = 4096
BUCKET = "plain"


@pytest.fixture
def root(folder: Path) -> Path:
    """The storage root."""
    return unpack(folder)


@pytest.fixture
def store(root: Path) -> Iterator[Store]:
    made = Store(root)
    yield made
    made.close()


@pytest.fixture
def files(root: Path) -> list[Path]:
    """Files of the bucket that have bytes and are objects."""
    found = [
        path
        for path in sorted((root / BUCKET).rglob("*"))
        if path.is_file() and path.stat().st_size and ".sgwtmp" not in path.parts
    ]
    assert len(found) >= 4
    return found


def release(path: Path, blocks: int | None = None) -> None:
    """Make a file, or its first blocks, offline."""
    fd = os.open(path, os.O_RDWR)
    try:
        whole = -(-os.fstat(fd).st_size // BLOCK)
        count = whole if blocks is None else blocks
        calls.release(fd, 0, count * BLOCK, calls.stat_more(fd)[2])
    finally:
        os.close(fd)


def residence(path: Path) -> Tier:
    fd = os.open(path, os.O_RDONLY)
    try:
        return tier.look(fd).tier
    finally:
        os.close(fd)


def head(store: Store, root: Path, path: Path) -> Record:
    return store.head(BUCKET, str(path.relative_to(root / BUCKET)))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (None, Tier.OFFLINE),
        (b"0", Tier.OFFLINE),
        (b"1", Tier.STAGING),
        (b"2", Tier.STAGE_FAILED),
        (b"3", Tier.STAGE_FAILED),
        (b"4", Tier.OFFLINE),
        (b"5", Tier.STAGING),
        (b" 1\n", Tier.STAGING),
    ],
)
def test_flags_that_were_set_by_hand_say_why_data_are_offline(
    files: list[Path], flags: bytes | None, said: Tier
) -> None:
    release(files[0])
    if flags is not None:
        os.setxattr(files[0], scoutfs.SAM_FLAGS, flags)
    assert residence(files[0]) is said


@pytest.mark.parametrize("flags", [STAGING, STAGE_FAILED, NO_ARCHIVE, STAGING | STAGE_FAILED])
def test_flags_on_what_is_on_disk_say_nothing(files: list[Path], flags: int) -> None:
    os.setxattr(files[0], scoutfs.SAM_FLAGS, b"%d" % flags)
    assert residence(files[0]) is Tier.ONLINE


def test_a_file_of_which_one_block_is_on_tape_is_partly_offline(files: list[Path]) -> None:
    large = max(files, key=lambda path: path.stat().st_size)
    if large.stat().st_size <= BLOCK:
        with large.open("ab") as file:
            file.write(bytes(2 * BLOCK))
    release(large, blocks=1)
    assert residence(large) is Tier.PARTLY_OFFLINE


def test_its_objects_are_the_same_on_tape_as_on_disk(
    store: Store, root: Path, files: list[Path], double: Path
) -> None:
    before = [head(store, root, path) for path in files]
    for path in files:
        release(path)
    calls.reset_counts(double)
    after = [head(store, root, path) for path in files]
    for record in (*before, *after):
        record.ctime_ns = 0  # which the double takes from beneath
    assert after == before
    assert [record.etag for record in after] == [_etag(path) for path in files]
    assert calls.counts(double).get("bytes_read", 0) == 0


def test_a_record_says_that_the_data_are_on_tape(
    store: Store, root: Path, files: list[Path]
) -> None:
    release(files[0])
    state = head(store, root, files[0]).state
    assert state is not None
    assert tier.tier_of(state, 0) is Tier.OFFLINE


def _etag(path: Path) -> str:
    return os.getxattr(path, "user.etag").decode().strip('"')


# What ours writes there --------------------------------------------------------------------------


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    box = Box(folder / "ours")
    yield box
    box.store.close()


def attributes_of(path: Path) -> dict[str, bytes]:
    return {name: os.getxattr(path, name) for name in os.listxattr(path)}


def test_an_object_of_ours_has_what_versitys_gateway_reads(box: Box) -> None:
    box.put("a/b", b"bytes")
    found = attributes_of(box.path / "a/b")
    assert found["user.etag"].startswith(b'"')
    assert found["user.etag"].endswith(b'"')
    assert b'"CRC64NVME":"' in found["user.checksums"]
    assert found["user.content-type"] == b"text/plain"
    assert stat.S_IMODE((box.path / "a/b").stat().st_mode) & 0o600 == 0o600


def test_a_part_of_ours_has_what_versitys_gateway_needs_to_complete_it(box: Box) -> None:
    upload = begin(box)
    put(box, upload, 1, b"bytes")
    part = folder_of(box, upload) / "1"
    found = attributes_of(part)
    assert found["user.etag"].startswith(b'"')
    assert found["user.part-crc64nvme"] == b"AAAAAAAAAAA="
    assert os.getxattr(part, scoutfs.SAM_FLAGS) == b"4"
    assert part.read_bytes() == b"bytes"
    assert os.getxattr(part.parent.parent, "user.objname") == upload.key.encode()


def test_an_upload_that_versitys_gateway_could_have_begun_is_completed(box: Box) -> None:
    upload = begin(box)
    for number in (1, 2):
        put(box, upload, number, bytes([64 + number]) * BLOCK)
        part = folder_of(box, upload) / str(number)
        os.removexattr(part, "user.s3filters.part")
    for name in attributes_of(folder_of(box, upload)):
        if name.startswith("user.s3filters."):
            os.removexattr(folder_of(box, upload), name)
    complete(box, upload, [1, 2])
    found = attributes_of(box.path / upload.key)
    assert found["user.etag"].endswith(b'-2"')
    assert "user.mp-metadata" in found
    with pytest.raises(OSError, match="No data"):
        os.getxattr(box.path / upload.key, scoutfs.SAM_FLAGS)


def test_a_bucket_of_ours_has_an_owner_in_versitys_words(box: Box) -> None:
    found = attributes_of(box.path)
    assert found["user.acl"].startswith(b'{"Owner":"me"')
    assert found["user.ownership"] == b"BucketOwnerEnforced"
    assert promises.VERSIONING not in found
