"""Parts become one file on ScoutFS: nothing is written, and nothing is lost whatever fails when."""

from __future__ import annotations

import errno
import logging
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3filters.store import assembly, errors, scoutfs
from tests.scoutfs import calls
from tests.scoutfs.uploading import BLOCK, MIB, Upload, filled

WHOLE = (3 * MIB, 2 * MIB, 5 * BLOCK, MIB + 77)  # what clients send: whole blocks but for the last


@pytest.fixture
def upload(folder):
    return filled(folder, WHOLE)


@pytest.fixture
def faults(double):
    """Orders to the double, which end with the test."""
    yield lambda words: calls.order_fault(double, words)
    calls.order_fault(double, "")


ALL = [1, 2, 3, 4]


# Cost --------------------------------------------------------------------------------------------


def test_not_a_byte_is_written_or_read(double, upload):
    calls.reset_counts(double)
    assert upload.join(ALL) == 0
    told = calls.counts(double)
    assert told.get("bytes_written", 0) == told.get("bytes_read", 0) == 0
    assert told["extent"] >= 4
    assert upload.joined == upload.wanted(ALL)


def test_parts_keep_their_sizes_and_hold_nothing_any_more(upload):
    upload.join(ALL)
    assert [os.stat(upload.path / str(number)).st_size for number in ALL] == list(WHOLE)
    assert [upload.online(number) for number in ALL] == [0, 0, 0, 0]


def test_a_part_by_itself_of_any_size_is_moved(folder):
    for number, size in enumerate((0, 1, BLOCK, BLOCK + 1), 1):
        upload = Upload(folder)
        upload.put(number, bytes([number]) * size)
        assert upload.join([number]) == 0
        assert upload.joined == upload.wanted([number])
        os.unlink(folder / "joined")
        os.removexattr(folder, f"{assembly.PLAN}.0")


def test_five_hundred_parts_are_opened_twice_and_moved_once(double, folder):
    upload = filled(folder, (BLOCK,) * 500)
    numbers = list(range(1, 501))
    calls.reset_counts(double)
    assert upload.join(numbers) == 0
    assert upload.open == 1000
    assert calls.counts(double)["extent"] == 500
    assert upload.joined == upload.wanted(numbers)


def test_the_plan_of_ten_thousand_parts_fits_into_attributes(folder, opened):
    dice = random.Random(1)
    directory = opened(folder, os.O_RDONLY)
    inodes = [dice.randrange(1 << 40) for _ in range(10_000)]
    sizes = [dice.randrange(5 * MIB, 5 << 30) for _ in range(10_000)]
    parts = tuple(
        assembly.Part(b"%d" % number, size, inode)
        for number, (size, inode) in enumerate(zip(sizes, inodes, strict=True), 1)
    )
    plan = assembly.Plan(1 << 50, parts)
    assembly._write_plan(directory, plan)
    assert assembly._read_plan(directory) == plan


# Parts that do not fit ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "copied"),
    [
        ((MIB + 1, MIB), 1 + MIB),  # the end of the first, and all that follows
        ((MIB + 100, BLOCK - 100, MIB), 100 + BLOCK - 100),  # the third begins at a block again
        ((1, 1, 1), 3),
        ((MIB, MIB + 5), 0),
        ((MIB, 0, MIB), 0),
        ((10, 0), 0),
    ],
)
def test_what_does_not_fill_blocks_is_copied_and_the_rest_is_moved(folder, sizes, copied):
    upload = filled(folder, sizes)
    numbers = list(upload.data)
    assert upload.join(numbers) == copied
    assert upload.joined == upload.wanted(numbers)


def test_copying_is_said_in_the_log(folder, caplog):
    caplog.set_level(logging.INFO)
    filled(folder, (BLOCK, MIB + 1, MIB)).join([1, 2, 3])
    assert [record.getMessage() for record in caplog.records] == [
        f"{MIB + 1} of {BLOCK + 2 * MIB + 1} bytes were copied, not moved, from part 2 on: "
        "only parts whose sizes are multiples of 4096 bytes can be moved"
    ]


def test_moving_is_not_worth_a_word(upload, caplog):
    caplog.set_level(logging.INFO)
    upload.join(ALL)
    assert not caplog.records


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EXDEV, errno.EACCES])
def test_a_part_that_may_not_be_moved_is_copied(upload, faults, number):
    faults(f"extent {errno.errorcode[number]} 1 1")
    assert upload.join(ALL) == WHOLE[0] - MIB  # what of the first part had not been moved yet
    assert upload.joined == upload.wanted(ALL)


# What fails --------------------------------------------------------------------------------------


@pytest.mark.parametrize("moved", range(7))
def test_a_move_that_fails_anywhere_is_finished_by_the_next_try(upload, faults, double, moved):
    faults(f"extent EIO {moved} 1")
    with pytest.raises(OSError) as failed:
        upload.join(ALL)
    assert failed.value.errno == errno.EIO
    calls.reset_counts(double)
    assert upload.join(ALL) == 0
    assert calls.counts(double).get("bytes_written", 0) == 0
    assert upload.joined == upload.wanted(ALL)


@pytest.mark.parametrize("moved", range(7))
@pytest.mark.parametrize("other", [[1, 3], [2, 4], [4], [1, 2, 3], [2]], ids=str)
def test_after_a_failure_another_list_gets_what_it_asks_for(upload, faults, moved, other):
    faults(f"extent EIO {moved} 1")
    with pytest.raises(OSError):
        upload.join(ALL)
    upload.join(other)
    assert upload.joined == upload.wanted(other)
    assert upload.join(ALL) == 0  # and nobody's part was lost by it
    assert upload.joined == upload.wanted(ALL)


def test_a_part_that_is_uploaded_again_after_a_failure_is_the_one_that_counts(upload, faults):
    faults("extent EIO 4 1")  # within the second part
    with pytest.raises(OSError):
        upload.join(ALL)
    upload.put(1, random.Random(99).randbytes(WHOLE[0]))
    upload.put(2, bytes(MIB), holes=True)  # no block at all, as if it had been moved
    upload.join(ALL)
    assert upload.joined == upload.wanted(ALL)


def test_what_fails_while_blocks_are_moved_back_is_finished_too(upload, faults):
    faults("extent EIO 6 1")
    with pytest.raises(OSError):
        upload.join(ALL)
    for moved_back in range(4):
        faults(f"extent EIO {moved_back} 1")
        with pytest.raises(OSError):
            upload.join([4, *range(1, 3)])
    upload.join([1, 2, 4])
    assert upload.joined == upload.wanted([1, 2, 4])


def test_a_full_disk_or_quota_is_told_as_such(upload, faults):
    for word in ("ENOSPC", "EDQUOT"):
        faults(f"extent {word} 2 1")
        with pytest.raises(OSError) as failed:
            upload.join(ALL)
        assert failed.value.errno == getattr(errno, word)


def test_an_offline_part_is_refused_before_anything_moves(upload):
    data = calls.make_offline(upload.path / "3")
    with pytest.raises(errors.InvalidObjectState, match="Part 3 is on tape"):
        upload.join(ALL)
    assert [upload.online(number) for number in (1, 2)] == [3 * 256, 2 * 256]
    calls.bring_back(upload.path / "3", data)
    assert upload.join(ALL) == 0
    assert upload.joined == upload.wanted(ALL)


def test_a_target_that_went_offline_meanwhile_is_not_waited_for(upload, faults):
    faults("extent EIO 4 1")
    with pytest.raises(OSError):
        upload.join(ALL)
    data = calls.make_offline(upload.path / "joined")
    with pytest.raises(errors.InvalidObjectState):
        upload.join(ALL)
    calls.bring_back(upload.path / "joined", data)
    upload.join(ALL)
    assert upload.joined == upload.wanted(ALL)


def test_a_part_of_another_size_is_refused_before_anything_moves(upload):
    os.truncate(upload.path / "3", 10)
    with pytest.raises(errors.InternalError, match="Part 3 is not of the size"):
        upload.join(ALL)
    assert upload.online(1) == 3 * 256


def test_a_missing_part_is_an_error_before_anything_moves(upload):
    os.unlink(upload.path / "3")
    with pytest.raises(FileNotFoundError):
        upload.join(ALL)
    assert upload.online(1) == 3 * 256


def test_parts_whose_blocks_went_into_a_file_that_is_gone_are_not_taken_for_zeros(upload, faults):
    faults("extent EIO 4 1")
    with pytest.raises(OSError):
        upload.join(ALL)
    os.unlink(upload.path / "joined")
    with pytest.raises(errors.InternalError, match="data of part 1 are gone"):
        upload.join(ALL)


def test_a_plan_that_was_not_written_whole_moved_nothing(upload):
    for torn in (b"", b"torn", b"x\x9c"):
        os.setxattr(upload.path, f"{assembly.PLAN}.0", torn)
        upload.join(ALL)
        assert upload.joined == upload.wanted(ALL)
        upload.put(1, upload.data[1])
        for number in ALL[1:]:
            upload.put(number, upload.data[number])


def test_no_descriptor_is_left_open(upload, faults):
    before = len(os.listdir("/proc/self/fd"))
    faults("extent EIO 3 1")
    with pytest.raises(OSError):
        upload.join(ALL)
    upload.join([2, 4])
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_joined_file_is_its_own(upload, folder):
    """The plan is on the directory: what becomes the object carries nothing of it."""
    upload.join(ALL)
    assert os.listxattr(folder / "joined") == []
    fd = os.open(folder / "joined", os.O_RDONLY)
    assert scoutfs.sam_flags(fd) == 0
    os.close(fd)


# Anything in any order ---------------------------------------------------------------------------

blocks = st.lists(st.booleans(), max_size=5)
tails = st.sampled_from([0, 0, 0, 1, 100, BLOCK - 1])
lists = st.lists(st.integers(1, 5), min_size=1, max_size=5, unique=True).map(sorted)
words = st.sampled_from(["extent EIO", "setxattr EIO", "setattr EIO", "write ENOSPC", "ioctl EIO"])
puts = st.tuples(st.just("put"), st.integers(1, 5), blocks, tails)
joins = st.tuples(st.just("join"), lists, words, st.integers(0, 12))


def content(seed: int, kinds: list[bool], tail: int) -> bytes:
    dice = random.Random(seed)
    data = b"".join(dice.randbytes(BLOCK) if kind else bytes(BLOCK) for kind in kinds)
    return data + dice.randbytes(tail)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(puts, min_size=5, max_size=5), st.lists(puts | joins, max_size=8), lists)
def test_whatever_failed_before_a_list_gives_the_bytes_of_its_parts(double, first, then, last):
    path = Path(tempfile.mkdtemp(dir=double))
    upload = Upload(path)
    try:
        for seed, (_, _, kinds, tail) in enumerate(first):
            upload.put(seed + 1, content(seed, kinds, tail), holes=True)
        for seed, step in enumerate(then, 100):
            if step[0] == "put":
                upload.put(step[1], content(seed, *step[2:]), holes=True)
            else:
                try_in_vain(double, upload, *step[1:])
        upload.join(last)
        assert upload.joined == upload.wanted(last)
    finally:
        calls.order_fault(double, "")
        shutil.rmtree(path)


def try_in_vain(double, upload, numbers, word, skip):
    calls.order_fault(double, f"{word} {skip} 1")
    try:
        upload.join(numbers)
    except OSError:
        pass
    else:
        calls.order_fault(double, "")
        assert upload.joined == upload.wanted(numbers)
    calls.order_fault(double, "")
