"""Changes of objects as ScoutFS tells them: what was done to them, by whomever, and nothing else.

On the double alone: of several nodes each holds back what the others committed for a while.
"""

from __future__ import annotations

import itertools
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3filters.store.changes import Changes
from tests.scoutfs import calls
from tests.scoutfs.cold import Cold

MANY = 1000


@pytest.fixture(scope="module")
def scoutfs_root(double):
    return double


class Feed:
    """Files ``0`` to ``7`` of a folder, and who follows their changes with calls for ``call``."""

    def __init__(self, folder, fd, call=4096):
        self.folder = folder
        self.names = [str(number) for number in range(8)]
        for name in self.names:
            (folder / name).write_bytes(bytes(9000))
        calls.commit(folder)
        self.numbers = {os.stat(folder / name).st_ino: name for name in self.names}
        self.changes = Changes(fd, call=call)
        self.changes.begin()

    def since(self, most=MANY):
        """Commit; return the names of the files of ours that are told."""
        calls.commit(self.folder)
        return self.told(most)

    def told(self, most=MANY):
        told = self.changes.since(most)
        return told and {self.numbers[each] for each in told if each in self.numbers}


@pytest.fixture
def fd(folder, opened):
    return opened(folder, os.O_RDONLY)


@pytest.fixture
def feed(folder, fd):
    return Feed(folder, fd)


def release(path):
    calls.make_offline(path)


def stage(path):
    calls.bring_back(path, bytes(9000))


WAYS = {
    "release": release,
    "attribute": lambda path: os.setxattr(path, "user.etag", b"1"),
    "archiver's flag": lambda path: os.setxattr(path, "scoutfs.hide.sam_flags", b"2"),
    "bytes": lambda path: path.write_bytes(bytes(9000)),
    "mode": lambda path: path.chmod(0o600),
    "another name": lambda path: os.link(path, path.with_name("more")),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_file_that_was_changed_is_told_once_it_is_committed_and_others_are_not(feed, way):
    WAYS[way](feed.folder / "3")
    assert not feed.told()
    assert feed.since() == {"3"}
    assert not feed.since()


def test_a_file_that_was_staged_is_told(feed):
    release(feed.folder / "5")
    assert feed.since() == {"5"}
    stage(feed.folder / "5")
    assert feed.since() == {"5"}


def test_a_new_file_is_told_and_one_that_replaces_another_too(feed):
    (feed.folder / "new").write_bytes(b"1")
    calls.commit(feed.folder)
    told = feed.changes.since(MANY)
    assert os.stat(feed.folder / "new").st_ino in told
    os.rename(feed.folder / "new", feed.folder / "0")
    calls.commit(feed.folder)
    assert os.stat(feed.folder / "0").st_ino in feed.changes.since(MANY)


def test_reading_changes_nothing(feed):
    for name in feed.names:
        (feed.folder / name).read_bytes()
        os.listxattr(feed.folder / name)
    assert not feed.since()


def test_more_than_the_most_are_not_told_and_the_next_ones_are(feed):
    for name in feed.names:
        os.setxattr(feed.folder / name, "user.etag", b"1")
    assert feed.since(most=7) is None
    assert not feed.since()
    os.setxattr(feed.folder / "6", "user.etag", b"2")
    assert feed.since(most=7) == {"6"}


@pytest.mark.parametrize("call", [1, 2, 3, 8])
def test_nothing_is_lost_at_the_borders_of_calls(folder, fd, call):
    feed = Feed(folder, fd, call=call)
    for name in feed.names[:5]:  # of one transaction
        os.setxattr(folder / name, "user.etag", b"1")
    calls.commit(folder)
    for name in feed.names[3:]:
        os.setxattr(folder / name, "user.etag", b"2")
    assert feed.since() == set(feed.names)
    assert not feed.since()


_STEPS = st.lists(st.integers(0, 7) | st.sampled_from(["commit", "look"]), max_size=30)
_values = itertools.count()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(steps=_STEPS, call=st.integers(1, 5))
def test_in_any_order_of_changes_commits_and_looks_each_change_is_seen(folder, fd, steps, call):
    feed = Feed(folder, fd, call=call)
    written = dict.fromkeys(feed.names, b"")
    seen = dict(written)

    def look():
        for name in feed.told() or ():
            seen[name] = os.getxattr(folder / name, "user.etag")

    for step in steps:
        if step == "commit":
            calls.commit(folder)
        elif step == "look":
            look()
        else:
            written[str(step)] = b"%d" % next(_values)
            os.setxattr(folder / str(step), "user.etag", written[str(step)])
    calls.commit(folder)
    look()
    changed = {name for name in feed.names if written[name]}
    assert {name: seen[name] for name in changed} == {name: written[name] for name in changed}


def test_an_object_that_comes_back_from_tape_is_told_and_those_that_stay_there_are_not(
    folder, fd, tmp_path
):
    cold = Cold(folder, tmp_path)
    keys = [f"key{number}" for number in range(5)]
    for key in keys:
        cold.offline(key)
        cold.restore(key)
    calls.commit(folder)
    changes = Changes(fd)
    changes.begin()
    cold.stage("key2")
    calls.commit(folder)
    told = changes.since(MANY)
    assert [key for key in keys if os.stat(cold.box / key).st_ino in told] == ["key2"]
