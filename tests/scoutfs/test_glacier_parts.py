"""Objects and uploads in parts of which some are on tape."""

from __future__ import annotations

import logging
import os
import struct
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from s3filters.store import extents
from tests.functional.asking import refusal
from tests.functional.parts import FULL, LEAST, OTHER, Uploader
from tests.scoutfs import calls
from tests.scoutfs.cold import Cold

END = b"the last part"
KEY = {"Bucket": "box", "Key": "key"}
LAST, UNKNOWN, DELALLOC = 1, 2, 4  # linux/fiemap.h


@pytest.fixture
def cold(folder: Path, tmp_path: Path) -> Cold:
    return Cold(folder, tmp_path, online_ranges="true")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int, int]]:
    """What FIEMAP tells of any file, as FUSE has no such call: first byte, bytes, flags."""
    extents_told: list[tuple[int, int, int]] = []

    def ioctl(fd: int, request: int, buffer: bytearray) -> None:
        assert request == 0xC020660B
        start, length = struct.unpack_from("=QQ", buffer)
        found = [
            each for each in extents_told if each[0] < start + length and sum(each[:2]) > start
        ]
        struct.pack_into("=I", buffer, 20, len(found))
        for number, (at, size, flags) in enumerate(found):
            struct.pack_into("=QQQ16xI", buffer, 32 + 56 * number, at, 1 << 30, size, flags)

    monkeypatch.setattr(extents, "fcntl", SimpleNamespace(ioctl=ioctl))
    return extents_told


def test_a_part_whose_own_blocks_are_here_is_served_while_another_is_on_tape(
    cold: Cold, told: list[tuple[int, int, int]]
) -> None:
    upload = Uploader(cold.s3)
    for number, data in enumerate((FULL, OTHER, END), 1):
        upload.put(number, data)
    etag = upload.complete()["ETag"]
    release(cold.box / "key", LEAST, LEAST)
    told += [(0, LEAST, 0), (LEAST, LEAST, UNKNOWN | DELALLOC), (2 * LEAST, 4096, LAST)]
    for number, data in ((1, FULL), (3, END)):
        got = cold.s3.get_object(**KEY, PartNumber=number)
        assert got["Body"].read() == data
        assert (got["PartsCount"], got["ETag"], got["StorageClass"]) == (3, etag, "GLACIER")
        assert got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert refusal(cold.s3.get_object, **KEY, PartNumber=2) == (403, "InvalidObjectState")
    assert refusal(cold.s3.get_object, **KEY) == (403, "InvalidObjectState")


def test_a_head_of_a_part_tells_of_it_wherever_its_blocks_are(cold: Cold) -> None:
    upload = Uploader(cold.s3)
    upload.put(1, FULL)
    upload.put(2, END)
    upload.complete()
    release(cold.box / "key", 0, LEAST)
    for number, size in ((1, LEAST), (2, len(END))):
        said = cold.s3.head_object(**KEY, PartNumber=number)
        found = (said["ContentLength"], said["PartsCount"], said["StorageClass"])
        assert found == (size, 2, "GLACIER")


def test_where_nobody_can_say_which_blocks_are_here_no_part_is_served(cold: Cold) -> None:
    """The double cannot: FUSE has no FIEMAP. A node can, so there this says nothing."""
    upload = Uploader(cold.s3)
    upload.put(1, FULL)
    upload.put(2, END)
    upload.complete()
    release(cold.box / "key", 0, LEAST)
    fd = os.open(cold.box / "key", os.O_RDONLY)
    try:
        if extents.are_here(fd, LEAST, 1):
            pytest.skip("there is FIEMAP here")
    finally:
        os.close(fd)
    assert refusal(cold.s3.get_object, **KEY, PartNumber=2) == (403, "InvalidObjectState")


def test_an_upload_with_a_part_on_tape_is_completed_when_it_has_come_back(
    cold: Cold, caplog: pytest.LogCaptureFixture
) -> None:
    upload = Uploader(cold.s3)
    for number, data in enumerate((FULL, OTHER, END), 1):
        upload.put(number, data)
    path = next(cold.box.glob(f".sgwtmp/multipart/*/{upload.id}/2"))
    data = calls.make_offline(path)
    with caplog.at_level(logging.WARNING, logger="s3filters"):
        refused = error_of(upload)
    assert refused["Code"] == "InvalidObjectState"
    assert refused["Message"].startswith("Part 2 is on tape")
    assert caplog.messages == []
    assert [part["Size"] for part in cold.s3.list_parts(**upload.name)["Parts"]] == [
        *(LEAST, LEAST, len(END))
    ]
    assert refusal(cold.s3.head_object, **KEY)[0] == 404
    calls.bring_back(path, data)
    upload.complete()
    assert cold.s3.get_object(**KEY)["Body"].read() == FULL + OTHER + END


def error_of(upload: Uploader) -> dict[str, Any]:
    """Return what completing is refused with."""
    with pytest.raises(upload.s3.exceptions.ClientError) as failed:
        upload.complete()
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    found: dict[str, Any] = failed.value.response["Error"]
    return found


def release(path: Path, offset: int, length: int) -> None:
    """Take some blocks of a file away."""
    fd = os.open(path, os.O_RDWR)
    try:
        calls.release(fd, offset, length, calls.stat_more(fd)[2])
    finally:
        os.close(fd)
