"""Files that belong to their accounts, on ScoutFS: with projects, and joined by moving blocks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3filters.store import scoutfs
from s3filters.store.metadata import Record
from tests.unit.store.conftest import BUCKET, Box, attributes
from tests.unit.store.multipart import begin, describe, md5
from tests.unit.store.multipart import folder as folder_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files to others")

BLOCK = 4096
UID, GID = 4001, 5001


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    box = Box(folder / "root")
    yield box
    box.store.close()


def whose(path: Path) -> tuple[int, int, int]:
    """Return uid, gid and project."""
    found = os.stat(path)
    fd = os.open(path, os.O_RDONLY)
    try:
        return found.st_uid, found.st_gid, scoutfs.state(fd).project_id
    finally:
        os.close(fd)


@pytest.mark.parametrize("first", ["project", "owner"])
def test_files_have_owner_and_project(box: Box, first: str) -> None:
    if first == "project":
        store = box.store.for_project(7).for_owner(UID, GID)
    else:
        store = box.store.for_owner(UID, GID).for_project(7)
    store.put_small(BUCKET, "a/key", b"x", attributes())
    store.create_bucket("theirs", "me")
    assert whose(box.path / "a" / "key") == whose(box.root / "theirs") == (UID, GID, 7)
    assert whose(box.path / "a") == (UID, GID, 0)
    assert not box.head("a/key").touched


def test_an_object_of_moved_blocks_belongs_to_who_completes(box: Box) -> None:
    upload = begin(box)
    for number, uid in ((1, UID), (2, UID + 1)):
        part = box.store.for_owner(uid, GID).part(upload, number, BLOCK)
        part.write(b"x" * BLOCK)
        part.commit(md5(b"x" * BLOCK), "", "")
        assert whose(folder_of(box, upload) / str(number)) == (uid, GID, 0)
    store = box.store.for_owner(UID + 2, GID)
    store.complete((BUCKET, upload.key, upload.id), [1, 2], describe)
    assert whose(box.path / upload.key) == (UID + 2, GID, 0)
    assert not box.head(upload.key).touched


def test_a_completion_that_another_began_leaves_nothing_of_who_that_was(box: Box) -> None:
    """The file that gets the blocks is there already, and was given away."""
    upload = begin(box)
    part = box.store.for_owner(UID, GID).part(upload, 1, BLOCK)
    part.write(b"x" * BLOCK)
    part.commit(md5(b"x" * BLOCK), "", "")
    name = BUCKET, upload.key, upload.id
    asked = []

    def refuse_later(current: Record | None) -> None:
        asked.append(current)
        if len(asked) > 1:  # not when it is asked before the work
            raise LookupError

    with pytest.raises(LookupError):
        box.store.for_owner(UID, GID).complete(name, [1], describe, check=refuse_later)
    assert whose(folder_of(box, upload) / "assembly")[:2] == (UID, GID)
    box.store.for_owner(None, None).complete(name, [1], describe)
    assert whose(box.path / upload.key)[:2] == (os.geteuid(), os.getegid())
