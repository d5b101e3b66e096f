"""What is durable on ScoutFS, and what a failing disk leaves: counts and faults on the double."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3filters.store import errors
from s3filters.store.metadata import TAGGING
from tests.scoutfs import calls
from tests.unit.store.conftest import BUCKET, Box
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


def at_once(act: Callable[[int], object]) -> None:
    """Do something ``AT_ONCE`` times, at the same time."""
    ready = threading.Barrier(AT_ONCE)

    def one(number: int) -> None:
        ready.wait()
        act(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, range(AT_ONCE)))


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
    at_once(lambda number: box.delete(f"key-{number}"))
    assert syncs(double) <= AT_ONCE // 2


def test_changes_of_many_objects_at_once_share_their_syncs(box: Box, double: Path) -> None:
    for number in range(AT_ONCE):
        box.put(f"key-{number}")
    calls.reset_counts(double)
    at_once(
        lambda number: box.store.change_attributes(
            BUCKET, f"key-{number}", lambda record: {TAGGING: b'{"number":"%d"}' % number}
        )
    )
    assert syncs(double) <= AT_ONCE // 2
    assert {box.head(f"key-{number}").tags for number in range(AT_ONCE)} == {1}


@pytest.mark.parametrize("size", [10, 100_000], ids=["attribute", "file"])
def test_changes_of_settings_at_once_share_their_syncs(box: Box, double: Path, size: int) -> None:
    for number in range(AT_ONCE):
        box.store.create_bucket(f"bucket-{number}", "me")
    calls.reset_counts(double)
    at_once(
        lambda number: box.store.configure_bucket(
            f"bucket-{number}", lambda record: {"policy": b"x" * size}
        )
    )
    assert syncs(double) <= AT_ONCE // 2
    assert box.store.bucket("bucket-7").settings["policy"] == b"x" * size


def test_uploads_that_are_given_up_at_once_share_their_syncs(box: Box, double: Path) -> None:
    uploads = [begin(box, f"key-{number}") for number in range(AT_ONCE)]
    calls.reset_counts(double)
    at_once(lambda number: box.store.end_upload(BUCKET, f"key-{number}", uploads[number].id))
    assert syncs(double) <= AT_ONCE // 2


def test_a_change_is_synced_once_however_many_steps_it_has(box: Box, double: Path) -> None:
    box.put("key")
    told = []
    for act in (
        lambda: box.store.change_attributes(BUCKET, "key", lambda record: {TAGGING: b"{}"}),
        lambda: box.store.configure_bucket(BUCKET, lambda record: {"cors": b"x" * 100_000}),
        lambda: box.store.configure_bucket(BUCKET, lambda record: {"cors": b"x" * 100_001}),
        lambda: box.store.configure_bucket(BUCKET, lambda record: {"cors": None, "policy": b"x"}),
        lambda: box.store.create_bucket("other", "me", {"cors": b"x" * 100_000}),
    ):
        calls.reset_counts(double)
        act()
        told.append(syncs(double))
    assert told == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("what", ["tags", "settings"])
def test_a_change_that_cannot_be_committed_is_an_error(box: Box, faults: Path, what: str) -> None:
    box.put("key")
    calls.order_fault(faults, "fsync EIO 0 1" if what == "tags" else "fsyncdir EIO 0 1")
    with pytest.raises(errors.InternalError):
        if what == "tags":
            box.store.change_attributes(BUCKET, "key", lambda record: {TAGGING: b"{}"})
        else:
            box.store.configure_bucket(BUCKET, lambda record: {"policy": b"x"})


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
