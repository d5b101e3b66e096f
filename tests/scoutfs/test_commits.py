"""What is durable on ScoutFS, and what a failing disk leaves: counts and faults on the double."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3filters.store import errors
from tests.scoutfs import calls
from tests.unit.store.conftest import Box
from tests.unit.store.multipart import begin, complete, draft, md5, numbers, put

AT_ONCE = 32


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    box = Box(folder / "root", durability="full")
    yield box
    box.store.close()


@pytest.fixture
def faults(double: Path) -> Iterator[Path]:
    yield double
    calls.order_fault(double, "")


def syncs(double: Path) -> int:
    told = calls.counts(double)
    return told.get("fsync", 0) + told.get("fsyncdir", 0)


@pytest.mark.parametrize("where", ["key-{}", "{}/key"], ids=["one folder", "a folder each"])
def test_many_puts_at_once_share_their_syncs(box: Box, double: Path, where: str) -> None:
    box.put("first")
    calls.reset_counts(double)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: box.put(where.format(number)), range(AT_ONCE)))
    assert syncs(double) <= AT_ONCE // 2


def test_many_deletions_at_once_share_their_syncs(box: Box, double: Path) -> None:
    for number in range(AT_ONCE):
        box.put(f"key-{number}")
    calls.reset_counts(double)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda number: box.delete(f"key-{number}"), range(AT_ONCE)))
    assert syncs(double) < AT_ONCE


def test_a_new_object_is_synced_once_and_one_that_is_replaced_twice(box: Box, double: Path) -> None:
    told = []
    for key in ("a/b/c", "a/b/c"):
        calls.reset_counts(double)
        box.put(key)
        told.append(syncs(double))
    assert told == [1, 2]


def test_a_part_is_synced_once(box: Box, double: Path) -> None:
    upload = begin(box)
    calls.reset_counts(double)
    put(box, upload, 1, b"part")
    assert syncs(double) == 1


def test_a_new_object_that_cannot_be_committed_is_not_there(box: Box, faults: Path) -> None:
    calls.order_fault(faults, "fsync EIO 0 1")
    with pytest.raises(errors.InternalError):
        box.put("key")
    with pytest.raises(errors.NoSuchKey):
        box.get("key")


def test_an_object_stays_when_what_replaces_it_cannot_be_committed(box: Box, faults: Path) -> None:
    box.put("key", b"old")
    calls.order_fault(faults, "fsync EIO 0 1")
    with pytest.raises(errors.InternalError):
        box.put("key", b"new")
    assert box.get("key") == b"old"


def test_a_part_that_cannot_be_committed_is_not_there(box: Box, faults: Path) -> None:
    upload = begin(box)
    put(box, upload, 1, b"one")
    for number in (2, 1):
        part = draft(box, upload, number, b"other")
        calls.order_fault(faults, "fsync EIO 0 1")
        with pytest.raises(errors.InternalError):
            part.commit(md5(b"other"), "", "")
    calls.order_fault(faults, "")
    assert numbers(box, upload) == [1]
    complete(box, upload, [1])
    assert box.get("a/key") == b"one"


def test_an_error_fails_all_that_shared_the_commit_and_no_more(box: Box, faults: Path) -> None:
    calls.order_fault(faults, "fsync EIO 0 1 0.05")

    def try_put(number: int) -> bool:
        try:
            box.put(f"key-{number}")
        except errors.InternalError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(try_put, range(8)))
    assert not all(stored)
    assert [os.path.exists(box.path / f"key-{n}") for n in range(8)] == stored


def test_an_object_on_another_file_system_in_the_tree_is_synced_with_its_folder(
    box: Box, double: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(box.store, "_device", -1)  # as if all of it were elsewhere
    calls.reset_counts(double)
    box.put("a/b/c")
    told = calls.counts(double)
    assert told["fsync"] == 1
    assert told["fsyncdir"] == 3
