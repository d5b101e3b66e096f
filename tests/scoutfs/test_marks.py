"""What ScoutFS and its archiver are told of new files: projects, and parts that need no copies."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3filters.store import errors, scoutfs
from s3filters.store.scoutfs import NO_ARCHIVE, Capabilities
from s3filters.store.store import Store
from s3filters.store.tree import Tree
from tests.scoutfs import calls
from tests.unit.store.conftest import BUCKET, Box, attributes
from tests.unit.store.multipart import KEY, begin, complete, describe, draft, md5, put
from tests.unit.store.multipart import folder as folder_of

BLOCK = 4096


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    box = Box(folder / "root")
    yield box
    box.store.close()


def flags(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        return scoutfs.sam_flags(fd)
    finally:
        os.close(fd)


def project(path: Path) -> int:
    fd = os.open(path, os.O_RDONLY)
    try:
        return scoutfs.state(fd).project_id
    finally:
        os.close(fd)


# Parts -------------------------------------------------------------------------------------------


def test_a_part_gets_no_copies_from_before_its_first_byte_on(box: Box, double: Path) -> None:
    upload = begin(box)
    part = draft(box, upload, 1, b"bytes")
    assert scoutfs.sam_flags(part._fd) == NO_ARCHIVE
    part.commit(md5(b"bytes"), "", "")
    assert flags(folder_of(box, upload) / "1") == NO_ARCHIVE


@pytest.mark.parametrize("sizes", [(BLOCK, BLOCK), (BLOCK + 1, BLOCK)], ids=["moved", "copied"])
def test_the_object_that_parts_become_gets_copies(box: Box, sizes: tuple[int, int]) -> None:
    upload = begin(box)
    for number, size in enumerate(sizes, 1):
        put(box, upload, number, bytes([number]) * size)
    seen: list[int] = []

    def look(word: str) -> None:
        path = folder_of(box, upload) / "assembly"
        if path.exists():
            seen.append(flags(path))

    box.store.trace = look
    complete(box, upload, [1, 2])
    assert flags(box.path / KEY) == 0
    assert set(seen) == {0}


def test_a_part_of_another_part_that_replaces_it_gets_none_either(box: Box) -> None:
    upload = begin(box)
    for data in (b"one", b"two"):
        put(box, upload, 1, data)
    assert flags(folder_of(box, upload) / "1") == NO_ARCHIVE


@pytest.mark.parametrize("off", ["option", "capability"])
def test_parts_are_not_marked_where_that_is_not_wanted_or_not_allowed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, off: str
) -> None:
    if off == "capability":
        monkeypatch.setattr(Tree, "capabilities", Capabilities(2, False, ()))
    box = Box(folder / "root", noarchive_parts=off != "option")
    upload = begin(box)
    put(box, upload, 1, b"bytes")
    assert flags(folder_of(box, upload) / "1") == 0
    box.store.close()


# Projects ----------------------------------------------------------------------------------------


def test_what_an_account_makes_has_its_project(box: Box) -> None:
    store = box.store.for_project(7)
    store.create_bucket("seven", "me")
    store.put_small(BUCKET, "small", b"x", attributes())
    with store.draft(BUCKET, "large") as made:
        made.write(b"x")
        made.commit(attributes())
    upload = begin(box)
    for number in (1, 2):
        part = store.part(upload, number, BLOCK)
        part.write(b"x" * BLOCK)
        part.commit(md5(b"x" * BLOCK), "", "")
        assert project(folder_of(box, upload) / str(number)) == 7
    store.complete((upload.bucket, upload.key, upload.id), [1, 2], describe)
    assert project(box.root / "seven") == 7
    assert [project(box.path / key) for key in ("small", "large", KEY)] == [7, 7, 7]


def test_the_project_is_there_before_the_first_byte(box: Box) -> None:
    """Else the bytes would count for the project of the folder."""
    with box.store.for_project(7).draft(BUCKET, "key") as made:
        assert scoutfs.state(made.fd).project_id == 7
        made.commit(attributes())


def test_what_others_make_has_the_project_of_its_folder(box: Box) -> None:
    box.store.for_project(7).create_bucket("seven", "me")
    box.store.put_small("seven", "a/b", b"x", attributes())
    assert project(box.root / "seven" / "a" / "b") == 7
    box.put("elsewhere")
    assert project(box.path / "elsewhere") == 0


def test_an_object_that_another_replaces_is_of_the_others_project(box: Box) -> None:
    box.store.for_project(7).put_small(BUCKET, "key", b"x", attributes())
    box.store.for_project(8).put_small(BUCKET, "key", b"y", attributes())
    assert project(box.path / "key") == 8


@pytest.mark.parametrize(
    "found", [Capabilities(1, True, ()), Capabilities(2, False, ()), scoutfs.NOT_HERE], ids=str
)
def test_there_are_no_projects_where_they_cannot_be_set(
    box: Box, monkeypatch: pytest.MonkeyPatch, found: Capabilities
) -> None:
    monkeypatch.setattr(Tree, "capabilities", found)
    assert box.store.for_project(7) is box.store


def test_a_project_changes_nothing_of_how_an_object_is_sealed(box: Box) -> None:
    box.store.for_project(7).put_small(BUCKET, "key", b"x", attributes())
    assert not box.head("key").touched


def test_a_store_of_a_project_remembers_what_the_store_does(box: Box) -> None:
    store = box.store.for_project(7)
    assert isinstance(store, Store)
    assert store.known is box.store.known
    assert store.root is box.store.root


# Quotas ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["write", "tmpfile", "mkdir"])
def test_a_quota_that_is_used_up_is_told_as_such(box: Box, double: Path, operation: str) -> None:
    calls.order_fault(double, f"{operation} EDQUOT 0 9")
    try:
        with pytest.raises(errors.QuotaExceeded) as caught:
            box.put("folder/key", b"x")
    finally:
        calls.order_fault(double, "")
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EDQUOT
    assert box.files() == []
    assert box.on_their_way() == []


def test_a_part_over_the_quota_is_told_as_such(box: Box, double: Path) -> None:
    upload = begin(box)
    calls.order_fault(double, "write EDQUOT 0 9")
    try:
        with pytest.raises(errors.QuotaExceeded):
            put(box, upload, 1, b"x")
    finally:
        calls.order_fault(double, "")
    assert os.listdir(folder_of(box, upload)) == []
