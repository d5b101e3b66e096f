"""An upload on ScoutFS is completed by moving its parts' blocks, by the store's own verb."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3filters.store import errors, joining, uploads
from s3filters.store.uploads import Upload
from tests.scoutfs import calls
from tests.unit.store.conftest import Box
from tests.unit.store.multipart import KEY, begin, complete, left, numbers, put
from tests.unit.store.multipart import folder as folder_of

BLOCK = 4096


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    box = Box(folder / "root")
    yield box
    box.store.close()


def begin_two(box: Box) -> Upload:
    """An upload with two parts, a block of A and a block of B."""
    upload = begin(box)
    for number in (1, 2):
        put(box, upload, number, bytes([64 + number]) * BLOCK)
    return upload


def be_refused_after_the_move(box: Box, upload: Upload) -> None:
    def refuse_late(current: object) -> None:
        if "moved" in box.steps:
            raise errors.AccessDenied

    with pytest.raises(errors.AccessDenied):
        complete(box, upload, [1, 2], check=refuse_late)


def test_the_store_knows_that_it_is_on_scoutfs(box: Box) -> None:
    assert box.store.moves_blocks
    assert not box.store.places_directly


def test_parts_are_moved_into_one_object(box: Box) -> None:
    upload = begin(box)
    pieces = [b"a" * 4 * BLOCK, b"b" * 4 * BLOCK, b"c" * 100]
    for number, piece in enumerate(pieces, 1):
        put(box, upload, number, piece)
    complete(box, upload, [1, 2, 3])
    assert box.get(KEY) == b"".join(pieces)
    assert "moved" in box.steps
    assert "joined" not in box.steps
    assert left(box) == []


def test_no_byte_is_written_or_read_to_complete_aligned_parts(box: Box, double: Path) -> None:
    upload = begin(box)
    for number, size in ((1, 64 * BLOCK), (2, 64 * BLOCK), (3, 64 * BLOCK), (4, 777)):
        put(box, upload, number, bytes([64 + number]) * size)
    calls.reset_counts(double)
    complete(box, upload, [1, 2, 3, 4])
    told = calls.counts(double)
    assert told.get("bytes_written", 0) == told.get("bytes_read", 0) == 0
    assert told["extent"] >= 4


def test_what_has_to_be_copied_is_said_in_the_log(
    box: Box, double: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upload = begin(box)
    pieces = [b"a" * 4 * BLOCK, b"b" * (4 * BLOCK + 1), b"c" * 2 * BLOCK]
    for number, piece in enumerate(pieces, 1):
        put(box, upload, number, piece)
    calls.reset_counts(double)
    with caplog.at_level("INFO", "s3filters.store"):
        complete(box, upload, [1, 2, 3])
    assert box.get(KEY) == b"".join(pieces)
    assert calls.counts(double)["bytes_written"] == 1 + 2 * BLOCK
    assert f"{1 + 2 * BLOCK} of {10 * BLOCK + 1} bytes were copied" in caplog.text
    assert "from part 2 on" in caplog.text


def test_a_refusal_after_the_move_leaves_an_upload_that_can_be_completed(box: Box) -> None:
    upload = begin_two(box)
    be_refused_after_the_move(box, upload)
    assert numbers(box, upload) == [1, 2]
    complete(box, upload, [2])
    assert box.get(KEY) == b"B" * BLOCK


def test_parts_of_any_size_are_joined(box: Box) -> None:
    upload = begin(box)
    pieces = [b"a" * (BLOCK + 1), b"b" * 3 * BLOCK, b"", b"c" * 5]
    for number, piece in enumerate(pieces, 1):
        put(box, upload, number, piece)
    complete(box, upload, [1, 2, 3, 4])
    assert box.get(KEY) == b"".join(pieces)


def test_another_list_does_not_take_the_blocks_of_an_object(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin_two(box)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "end", die)
        with pytest.raises(KeyboardInterrupt):
            complete(box, upload, [1, 2])
    with pytest.raises(errors.NoSuchUpload):
        complete(box, upload, [2])
    assert box.get(KEY) == b"A" * BLOCK + b"B" * BLOCK
    complete(box, upload, [1, 2])
    assert left(box) == []


def test_a_hidden_name_that_a_death_left_costs_the_upload_nothing(box: Box) -> None:
    """Between the two steps of replacing an object the file of the upload has one name more."""
    box.put(KEY, b"old")
    upload = begin_two(box)
    be_refused_after_the_move(box, upload)
    hidden = box.path / ".sgwtmp" / "put.0123456789abcdef"
    os.link(folder_of(box, upload) / joining.ASSEMBLY, hidden)
    complete(box, upload, [1, 2])
    assert box.get(KEY) == b"A" * BLOCK + b"B" * BLOCK
    box.store.sweep(0)
    assert not hidden.exists()
    assert left(box) == []
