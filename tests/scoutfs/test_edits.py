"""On ScoutFS the data version says whether an object was edited behind the gateway, and no time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3filters.store import errors, scoutfs
from s3filters.store.metadata import SEAL
from tests.scoutfs import calls
from tests.unit.store.conftest import Box
from tests.unit.store.conftest import attributes as given
from tests.unit.store.multipart import begin, complete, put

BLOCK = 4096
KEY = "a/key"
ETAG = given().etag


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    box = Box(folder / "root")
    yield box
    box.store.close()


@pytest.fixture
def path(box: Box) -> Path:
    """Where an object of two blocks lies."""
    box.put(KEY, b"x" * 2 * BLOCK)
    assert isinstance(box.path, Path)
    return box.path / KEY


def turn_back(path: Path, change: Callable[[], object]) -> None:
    """Change a file, and give it the times that it had."""
    found = path.stat()
    change()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def released(path: Path) -> tuple[int, int]:
    """Release a file; return an open descriptor of it, and its data version."""
    fd = os.open(path, os.O_RDWR)
    version = calls.stat_more(fd)[2]
    calls.release(fd, 0, 2 * BLOCK, version)
    return fd, version


def test_an_edit_is_noticed_though_the_mtime_was_set_back(box: Box, path: Path) -> None:
    def edit() -> None:
        with path.open("r+b") as file:
            file.write(b"other")

    turn_back(path, edit)
    record = box.head(KEY)
    assert record.touched
    assert record.etag != ETAG
    assert record.checksums is None
    before = record.etag
    turn_back(path, edit)
    assert box.head(KEY).etag != before


def test_a_new_mtime_alone_changes_no_etag(box: Box, path: Path) -> None:
    os.utime(path, (1, 1))
    record = box.head(KEY)
    assert (record.etag, record.touched) == (ETAG, False)
    assert record.checksums is not None


def test_release_and_staging_change_no_etag(box: Box, path: Path) -> None:
    fd, version = released(path)
    try:
        offline = box.head(KEY)
        calls.stage(fd, version, 0, b"x" * 2 * BLOCK)
        online = box.head(KEY)
    finally:
        os.close(fd)
    assert offline.etag == online.etag == ETAG
    assert not offline.touched
    assert not online.touched
    assert offline.checksums == online.checksums == given().checksums


def test_a_record_says_where_the_data_were(box: Box, path: Path) -> None:
    state = box.head(KEY).state
    assert state is not None
    assert (state.online_blocks, state.offline_blocks) == (2, 0)
    fd, _ = released(path)
    os.close(fd)
    state = box.head(KEY).state
    assert state is not None
    assert (state.online_blocks, state.offline_blocks) == (0, 2)


def test_a_record_of_an_object_costs_one_ioctl(box: Box, path: Path, double: Path) -> None:
    box.head(KEY)
    calls.reset_counts(double)
    box.head(KEY)
    assert calls.counts(double)["ioctl"] == 1


def test_a_copy_with_its_attributes_and_mtime_is_the_same_object(box: Box, path: Path) -> None:
    """Its data version is another: how often a program wrote says nothing of what it wrote."""
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    with copy.open("r+b") as file:
        file.write(b"x")
    shutil.copystat(path, copy)
    assert box.head("a/copy").etag == ETAG
    copy.write_bytes(b"y" * 2 * BLOCK)
    assert box.head("a/copy").touched


def test_an_object_of_moved_parts_is_sealed_after_the_move(box: Box) -> None:
    upload = begin(box, KEY)
    for number in (1, 2):
        put(box, upload, number, bytes([64 + number]) * BLOCK)
    record = complete(box, upload, [1, 2])
    found = box.head(KEY)
    assert found.etag == record.etag
    assert not found.touched


def test_an_edit_after_tags_were_changed_is_noticed_too(box: Box, path: Path) -> None:
    box.store.change_attributes("box", KEY, lambda record: {"user.X-Amz-Tagging": b'{"a":"b"}'})
    assert not box.head(KEY).touched
    turn_back(path, lambda: os.truncate(path, 3 * BLOCK))
    assert box.head(KEY).touched


def test_a_seal_from_another_file_system_is_believed_as_there(box: Box, path: Path) -> None:
    found = path.stat()
    os.setxattr(path, SEAL, b"%d %d" % (found.st_size, found.st_mtime_ns))
    assert not box.head(KEY).touched
    os.utime(path, (1, 1))
    assert box.head(KEY).touched


def test_an_empty_object_has_a_seal_too(box: Box) -> None:
    box.put(KEY, b"")
    assert not box.head(KEY).touched
    turn_back(box.path / KEY, lambda: os.truncate(box.path / KEY, 1))
    assert box.head(KEY).touched


def test_a_file_of_somebody_else_changes_its_etag_with_its_bytes_only(box: Box) -> None:
    path = box.path / "foreign"
    path.write_bytes(b"1" * BLOCK)
    before = box.head("foreign").etag
    os.utime(path, (1, 1))
    assert box.head("foreign").etag == before
    turn_back(path, lambda: path.write_bytes(b"2" * BLOCK))
    assert box.head("foreign").etag != before


def test_conditions_see_the_edit(box: Box, path: Path) -> None:
    def expect(record: object) -> None:
        if getattr(record, "etag", None) != ETAG:
            raise errors.AccessDenied

    box.put(KEY, b"x" * 2 * BLOCK, check=expect)
    turn_back(path, lambda: path.write_bytes(b"y" * 2 * BLOCK))
    with pytest.raises(errors.AccessDenied):
        box.put(KEY, b"new", check=expect)


def test_the_seal_keeps_what_one_call_tells(box: Box, path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        version = scoutfs.state(fd).data_version
    finally:
        os.close(fd)
    found = path.stat()
    words = os.getxattr(path, SEAL).split()
    assert list(map(int, words)) == [found.st_size, found.st_mtime_ns, version, found.st_ino]
