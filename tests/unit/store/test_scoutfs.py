"""ScoutFS's calls as they go to the kernel, and what is said where there is no ScoutFS.

What they do is told by the contract checks in tests/scoutfs, on the double or on a real node.
"""

import ctypes
import errno
import fcntl
import os
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import scoutfs
from s3filters.store.scoutfs import Position, State


@pytest.fixture
def fd(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("ioctl", "request_number", "size"),
    [
        (scoutfs.WALK_INODES, 0x4048E801, 72),
        (scoutfs.STAT_MORE, 0x8038E805, 56),
        (scoutfs.STATFS_MORE, 0x8030E80A, 48),
        (scoutfs.MOVE_BLOCKS, 0x4030E80D, 48),
        (scoutfs.GET_ATTR_X, 0x4068E812, 104),
        (scoutfs.SET_ATTR_X, 0x4068E813, 104),
    ],
)
def test_numbers_and_sizes_are_those_that_a_compiler_makes_of_the_kernels_header(
    ioctl, request_number, size
):
    assert (ioctl.request, ioctl.layout.size) == (request_number, size)


def test_another_file_system_is_told_from_scoutfs_in_a_sentence(fd):
    found = scoutfs.detect(fd)
    assert (found.scoutfs, found.format_version, found.privileged) == (False, 0, False)
    assert found.missing[0].startswith("This is not ScoutFS")


@pytest.mark.parametrize(
    ("call", "number"),
    [
        (scoutfs.state, errno.ENOTTY),
        (lambda fd: scoutfs.state(fd, 1), errno.ENOTTY),
        (lambda fd: scoutfs.set_project(fd, 7), errno.ENOTTY),
        (lambda fd: scoutfs.move_blocks(fd, 0, 4096, fd, 0), errno.ENOTTY),
        (scoutfs.committed_seq, errno.ENOTTY),
        (lambda fd: scoutfs.walk(fd, scoutfs.META_SEQ, Position(0, 0, 0), 1), errno.ENOTTY),
        (scoutfs.sam_flags, errno.ENOTSUP),
        (lambda fd: scoutfs.change_sam_flags(fd, add=1), errno.ENOTSUP),
    ],
    ids=[
        *("state", "state of format 1", "project", "move", "committed", "walk"),
        *("flags", "change of flags"),
    ],
)
def test_elsewhere_every_call_says_so(fd, call, number):
    with pytest.raises(OSError) as failed:
        call(fd)
    assert failed.value.errno == number


def test_a_file_that_is_not_open_is_an_error_and_no_answer():
    with pytest.raises(OSError) as failed:
        scoutfs.detect(1 << 20)
    assert failed.value.errno == errno.EBADF


class Kernel:
    """A ScoutFS for one file: answers ioctls and keeps the archiver's attribute."""

    def __init__(self, monkeypatch, **errors):
        self.errors = errors
        self.asked = []
        self.flags = None
        self.entries = []  # of the index that is walked: seq, ino, minor
        self.meddle = []  # values that the archiver writes after each of our readings
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)
        monkeypatch.setattr(os, "getxattr", self.getxattr)
        monkeypatch.setattr(os, "setxattr", self.setxattr)
        monkeypatch.setattr(os, "removexattr", self.removexattr)

    def ioctl(self, fd, request, argument):
        name = next(
            name
            for name, value in vars(scoutfs).items()
            if isinstance(value, scoutfs.Ioctl) and value.request == request
        )
        self.asked.append((name, bytes(argument)))
        if name in self.errors:
            raise OSError(self.errors[name], "no")
        if name == "STATFS_MORE":
            argument[:] = scoutfs.STATFS_MORE.layout.pack(0xABCDEF0123456789, 0x123456, 1, 2, 3, 4)
        elif name == "STAT_MORE":
            argument[:] = scoutfs.STAT_MORE.layout.pack(1, 2, 3, 40, 50, 6, 7)
        elif name == "WALK_INODES":
            address = scoutfs.WALK_INODES.layout.unpack(argument)[6]
            packed = b"".join(struct.pack("<QQI4x", *entry) for entry in self.entries)
            ctypes.memmove(address, packed, len(packed))
            return len(self.entries)
        elif name == "GET_ATTR_X":
            argument[16:] = scoutfs.GET_ATTR_X.layout.pack(0, 0, 9, 9, 3, 40, 50, *[9] * 5, 3, 77)[
                16:
            ]
        return 0

    def getxattr(self, fd, name):
        assert name == scoutfs.SAM_FLAGS
        value = self.flags
        if self.meddle:
            self.flags = self.meddle.pop(0)
        if value is None:
            raise OSError(errno.ENODATA, "none")
        return value

    def setxattr(self, fd, name, value, flags):
        if "setxattr" in self.errors:
            raise OSError(self.errors["setxattr"], "no")
        if flags == os.XATTR_CREATE and self.flags is not None:
            raise OSError(errno.EEXIST, "taken")
        if flags == os.XATTR_REPLACE and self.flags is None:
            raise OSError(errno.ENODATA, "none")
        self.flags = value

    def removexattr(self, fd, name):
        raise OSError(self.errors.get("removexattr", errno.ENODATA), "no")


def test_one_call_tells_where_the_data_are_the_project_and_retention(monkeypatch):
    kernel = Kernel(monkeypatch)
    assert scoutfs.state(3) == State(40, 50, 3, 77, True)
    assert [name for name, _ in kernel.asked] == ["GET_ATTR_X"]
    mask = scoutfs.GET_ATTR_X.layout.unpack(kernel.asked[0][1])[0]
    assert mask == 0x4 | 0x8 | 0x10 | 0x100 | 0x200


def test_with_format_version_1_the_older_call_is_used_at_once(monkeypatch):
    kernel = Kernel(monkeypatch)
    assert scoutfs.state(3, format_version=1) == State(40, 50, 3, 0, False)
    assert [name for name, _ in kernel.asked] == ["STAT_MORE"]


def test_blocks_are_moved_by_a_call_on_the_target(monkeypatch):
    kernel = Kernel(monkeypatch)
    scoutfs.move_blocks(3, 4096, 8192, 4, 1 << 40)
    fields = scoutfs.MOVE_BLOCKS.layout.unpack(kernel.asked[0][1])
    assert fields == (3, 4096, 8192, 1 << 40, 0, 0)


def test_an_index_is_walked_from_a_position_to_the_very_end(monkeypatch):
    kernel = Kernel(monkeypatch)
    kernel.entries = [(7, 1, 0), (7, 2**64 - 1, 2**32 - 1), (2**64 - 1, 5, 0)]
    found = scoutfs.walk(3, scoutfs.DATA_SEQ, Position(7, 2, 1), 3)
    assert found == [
        Position(7, 0, 1),
        Position(7, 2**32 - 1, 2**64 - 1),
        Position(2**64 - 1, 0, 5),
    ]
    *fields, address, room, index = scoutfs.WALK_INODES.layout.unpack(kernel.asked[0][1])
    assert fields == [7, 1, 2, 2**64 - 1, 2**64 - 1, 2**32 - 1]
    assert (address > 0, room, index) == (True, 3, 1)


def test_a_walk_may_find_less_than_there_is_room_for(monkeypatch):
    kernel = Kernel(monkeypatch)
    assert scoutfs.walk(3, scoutfs.META_SEQ, Position(1, 0, 0), 100) == []
    kernel.entries = [(9, 4, 0)]
    assert scoutfs.walk(3, scoutfs.META_SEQ, Position(1, 0, 0), 100) == [Position(9, 0, 4)]


def test_what_is_committed_is_one_of_the_numbers_of_the_file_system(monkeypatch):
    Kernel(monkeypatch)
    assert scoutfs.committed_seq(3) == 1


POSITIONS = st.builds(
    Position,
    st.integers(0, 2**64 - 2) | st.just(2**64 - 2),
    st.integers(0, 2**32 - 1) | st.just(2**32 - 1),
    st.integers(0, 2**64 - 1) | st.just(2**64 - 1),
)


@given(POSITIONS)
def test_nothing_lies_between_a_position_and_the_next(position):
    seq, minor, ino = position.next()
    base = 2**32, 2**64
    assert (seq * base[0] + minor) * base[1] + ino == 1 + (
        (position.seq * base[0] + position.minor) * base[1] + position.ino
    )
    assert (minor < base[0], ino < base[1]) == (True, True)


def test_a_project_is_all_that_setting_one_sets(monkeypatch):
    kernel = Kernel(monkeypatch)
    scoutfs.set_project(3, 1 << 40)
    fields = scoutfs.SET_ATTR_X.layout.unpack(kernel.asked[0][1])
    assert fields == (0x200, *[0] * 12, 1 << 40)


def test_a_node_with_everything_lacks_nothing(monkeypatch):
    Kernel(monkeypatch)
    assert scoutfs.detect(3) == scoutfs.Capabilities(2, True, ())


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOTTY])
def test_format_version_1_is_told_from_2_by_what_it_cannot_do(monkeypatch, number):
    Kernel(monkeypatch, GET_ATTR_X=number)
    found = scoutfs.detect(3)
    assert (found.format_version, found.privileged) == (1, True)
    assert [words for words in found.missing if "format version 1" in words]


def test_the_format_version_is_read_from_the_mounts_folder(monkeypatch, tmp_path):
    Kernel(monkeypatch)
    folder = tmp_path / "f.abcdef.r.000000"
    folder.mkdir()
    (folder / "format_version").write_text("3\n")
    monkeypatch.setattr(scoutfs, "_FORMAT", f"{tmp_path}/f.{{}}.r.{{}}/format_version")
    assert scoutfs.detect(3).format_version == 3


def test_a_process_that_may_not_set_the_archivers_flags_is_told_why(monkeypatch):
    Kernel(monkeypatch, removexattr=errno.EPERM)
    found = scoutfs.detect(3)
    assert found.scoutfs
    assert not found.privileged
    assert "CAP_SYS_ADMIN" in found.missing[0]


@pytest.mark.parametrize(
    ("stored", "number"),
    [(None, 0), (b"0", 0), (b"4", 4), (b" 5\n", 5), (b"18446744073709551615", 2**64 - 1)],
)
def test_the_archivers_flags_are_a_decimal_number(monkeypatch, stored, number):
    Kernel(monkeypatch).flags = stored
    assert scoutfs.sam_flags(3) == number


@pytest.mark.parametrize("stored", [b"", b"-1", b"1.0", b"0x4", b'"4"', b"1_0", b"\xb2"])
def test_flags_that_are_no_number_are_not_guessed(monkeypatch, stored):
    Kernel(monkeypatch).flags = stored
    with pytest.raises(OSError, match="no number") as failed:
        scoutfs.sam_flags(3)
    assert failed.value.errno == errno.EBADMSG


@pytest.mark.parametrize(
    ("stored", "change", "after"),
    [
        (None, {"add": 4}, b"4"),
        (b"4", {"add": 1}, b"5"),
        (b"7", {"add": 8, "remove": 6}, b"9"),
        (b"4", {"remove": 4}, b"0"),
        (b"5", {"add": 1}, b"5"),
        (None, {"remove": 1}, None),
    ],
)
def test_flags_are_changed_one_by_one(monkeypatch, stored, change, after):
    kernel = Kernel(monkeypatch)
    kernel.flags = stored
    assert scoutfs.change_sam_flags(3, **change) == int(after or 0)
    assert kernel.flags == after


def test_a_flag_that_the_archiver_set_first_is_kept(monkeypatch):
    kernel = Kernel(monkeypatch)
    kernel.meddle = [b"8"]  # written between our reading "none" and our writing
    assert scoutfs.change_sam_flags(3, add=1) == 9
    assert kernel.flags == b"9"


def test_a_change_of_ours_that_the_archiver_wrote_over_is_made_again(monkeypatch):
    kernel = Kernel(monkeypatch)
    kernel.flags = b"4"
    real = kernel.setxattr
    written = []

    def setxattr(fd, name, value, flags):
        real(fd, name, value, flags)
        written.append(value)
        if len(written) == 1:
            kernel.flags = b"4"  # as if the archiver had read before we wrote

    monkeypatch.setattr(os, "setxattr", setxattr)
    assert scoutfs.change_sam_flags(3, add=1) == 5
    assert written == [b"5", b"5"]


def test_without_the_privilege_a_change_of_flags_is_refused(monkeypatch):
    Kernel(monkeypatch, setxattr=errno.EPERM)
    with pytest.raises(PermissionError):
        scoutfs.change_sam_flags(3, add=1)


def test_flags_that_never_rest_are_given_up(monkeypatch):
    kernel = Kernel(monkeypatch)
    monkeypatch.setattr(os, "setxattr", lambda *_: None)  # written over each time
    with pytest.raises(BlockingIOError):
        scoutfs.change_sam_flags(3, add=1)
    assert kernel.flags is None
