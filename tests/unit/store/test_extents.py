"""Which bytes are here: by what a file system tells of a file's extents."""

import fcntl
import os
import struct
from types import SimpleNamespace

import pytest

from s3filters.store import extents

BLOCK = 4096
LAST, UNKNOWN, DELALLOC, UNWRITTEN = 1, 2, 4, 0x800
OFFLINE = UNKNOWN | DELALLOC


@pytest.fixture
def told(monkeypatch):
    """A file's extents (first block, blocks, flags) as a kernel tells them, and the calls."""
    given = []
    asked = []

    def ioctl(fd, request, buffer):
        assert request == 0xC020660B
        start, length, _, _, room, _ = struct.unpack_from("=QQIIII", buffer)
        asked.append((start, length))
        found = [
            (first * BLOCK, blocks * BLOCK, flags)
            for first, blocks, flags in given
            if first * BLOCK < start + length and (first + blocks) * BLOCK > start
        ][:room]
        struct.pack_into("=I", buffer, 20, len(found))
        for number, (logical, size, flags) in enumerate(found):
            struct.pack_into("=QQQ", buffer, 32 + 56 * number, logical, 1 << 30, size)
            struct.pack_into("=I", buffer, 32 + 56 * number + 40, flags)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    return SimpleNamespace(extents=given, asked=asked)


@pytest.mark.parametrize(
    ("first", "count", "here"),
    [
        (0, 1, True),
        (0, 2 * BLOCK, True),
        (0, 2 * BLOCK + 1, False),
        (2 * BLOCK - 1, 2, False),
        (2 * BLOCK, BLOCK, False),
        (3 * BLOCK, 3 * BLOCK, True),  # a hole, then zeros that were never written
        (2 * BLOCK + 5, 0, True),
    ],
)
def test_a_range_is_here_when_none_of_its_extents_is_offline(told, first, count, here):
    told.extents += [(0, 2, 0), (2, 1, OFFLINE), (5, 1, UNWRITTEN | LAST)]
    assert extents.are_here(7, first, count) is here


def test_many_extents_are_asked_for_piece_by_piece(told):
    told.extents += [(2 * number, 1, 0) for number in range(150)]
    assert extents.are_here(7, 0, 300 * BLOCK)
    assert len(told.asked) == 3
    told.extents[140] = (280, 1, OFFLINE)
    assert not extents.are_here(7, 0, 300 * BLOCK)
    assert extents.are_here(7, 0, 280 * BLOCK)


def test_what_a_file_system_cannot_say_is_not_here():
    reader, writer = os.pipe()
    assert not extents.are_here(reader, 0, 1)
    os.close(reader)
    os.close(writer)


def test_a_real_file_on_disk_is_here(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5 * BLOCK)
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    try:
        fcntl.ioctl(fd, 0xC020660B, bytearray(struct.pack("=QQ16x", 0, BLOCK)))
    except OSError:
        pytest.skip("the file system of the temporary folder has no FIEMAP")
    else:
        assert extents.are_here(fd, 0, 5 * BLOCK)
        assert extents.are_here(fd, BLOCK + 1, 10)
    finally:
        os.close(fd)
