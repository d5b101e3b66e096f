"""Where each part has its place, before any block moves. The rest is in tests/scoutfs."""

import errno
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import assembly
from s3filters.store.assembly import Part, Plan
from s3filters.store.scoutfs import BLOCK

SIZES = st.lists(st.integers(0, 1 << 33) | st.integers(0, 9).map(lambda n: n * BLOCK), max_size=20)


def plan_of(sizes):
    return Plan(1, tuple(Part(b"%d" % n, size, n) for n, size in enumerate(sizes, 1)))


@given(SIZES)
def test_parts_lie_one_behind_the_other_and_whole_blocks_of_them_are_moved(sizes):
    plan, end = plan_of(sizes), 0
    for place in plan.places():
        assert place.offset == end
        end += place.part.size
        assert 0 <= place.movable <= place.part.size
        assert place.movable % BLOCK == 0 or end == plan.size
        assert place.offset % BLOCK == 0 or not place.movable
    assert plan.size == end


@given(SIZES)
def test_no_block_of_the_target_belongs_to_two_moves(sizes):
    end = 0
    for _, offset, movable in plan_of(sizes).places():
        if movable:
            assert offset >= end
            end = -(-(offset + movable) // BLOCK) * BLOCK


@given(SIZES, st.integers(1, 1 << 63))
def test_a_plan_is_read_as_it_was_written(tmp_path_factory, sizes, inode):
    folder = os.open(tmp_path_factory.getbasetemp(), os.O_RDONLY)
    plan = Plan(inode, plan_of(sizes).parts)
    assembly._write_plan(folder, plan)
    assert assembly._read_plan(folder) == plan
    os.close(folder)


def test_elsewhere_than_on_scoutfs_nothing_is_touched(tmp_path):
    (tmp_path / "1").write_bytes(b"one")
    target = os.open(tmp_path / "joined", os.O_RDWR | os.O_CREAT)
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError) as failed:
        assembly.move_parts(
            target, [(b"1", 3)], lambda name: os.open(tmp_path / os.fsdecode(name), 0), folder
        )
    assert failed.value.errno == errno.ENOTTY
    assert os.fstat(target).st_size == 0
    assert os.listxattr(folder) == []
    os.close(target)
    os.close(folder)
