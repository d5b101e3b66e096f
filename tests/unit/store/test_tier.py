"""Where the data of an object are: every combination of blocks and flags."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import scoutfs, tier
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING, State
from s3filters.store.tier import Tier

BLOCKS = st.integers(0, 1 << 40)
FLAGS = st.integers(0, 2**64 - 1)


def blocks(online, offline):
    return State(online, offline, 1, 0, False)


@pytest.mark.parametrize(
    ("online", "offline", "flags", "said"),
    [
        (0, 0, 0, Tier.ONLINE),  # an empty file, or a directory
        (9, 0, 0, Tier.ONLINE),
        (9, 0, STAGING, Tier.ONLINE),  # staged; the archiver has not tidied up yet
        (9, 0, STAGE_FAILED, Tier.ONLINE),
        (0, 9, 0, Tier.OFFLINE),
        (0, 9, NO_ARCHIVE, Tier.OFFLINE),
        (8, 1, 0, Tier.PARTLY_OFFLINE),
        (0, 9, STAGING, Tier.STAGING),
        (8, 1, STAGING, Tier.STAGING),
        (0, 9, STAGE_FAILED, Tier.STAGE_FAILED),
        (8, 1, STAGE_FAILED | STAGING, Tier.STAGE_FAILED),
    ],
)
def test_blocks_decide_and_flags_say_why(online, offline, flags, said):
    assert tier.tier_of(blocks(online, offline), flags) is said


@given(BLOCKS, BLOCKS, FLAGS)
def test_an_object_is_readable_if_and_only_if_no_block_is_offline(online, offline, flags):
    assert tier.tier_of(blocks(online, offline), flags).readable == (offline == 0)


@pytest.mark.parametrize(("offline", "asked"), [(0, 0), (3, 1)])
def test_flags_are_looked_up_only_for_what_is_offline(monkeypatch, offline, asked):
    calls = []
    monkeypatch.setattr(scoutfs, "state", lambda fd, version: blocks(5, offline))
    monkeypatch.setattr(scoutfs, "sam_flags", lambda fd: calls.append(fd) or STAGING)
    found = tier.look(3)
    assert found.tier is (Tier.STAGING if offline else Tier.ONLINE)
    assert found.flags == (STAGING if offline else 0)
    assert len(calls) == asked


def test_elsewhere_than_on_scoutfs_nothing_is_said(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        tier.look(fd)
    os.close(fd)
