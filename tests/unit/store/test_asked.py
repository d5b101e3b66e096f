"""The notes of what was asked back: all can be found, and what is none does no harm."""

import fcntl
import os

import pytest

from s3filters.store import asked

KEY = "a/key with \n and \u00fc"


@pytest.fixture
def root(box):
    return box.store.root


@pytest.fixture
def notes(box):
    return box.path / ".sgwtmp" / asked.FOLDER


def names(root):
    return [(one.bucket, one.key) for one in asked.all_of(root)]


def test_what_is_noted_is_found_until_it_is_forgotten(root):
    asked.note(root, "box", KEY)
    asked.note(root, "box", "other")
    asked.note(root, "box", KEY)
    assert sorted(names(root)) == [("box", KEY), ("box", "other")]
    asked.forget(root, "box", KEY)
    asked.forget(root, "box", KEY)
    assert names(root) == [("box", "other")]
    assert names(root) == [("box", "other")]


def test_asking_again_moves_the_moment(root, notes):
    asked.note(root, "box", KEY)
    os.utime(next(notes.iterdir()), (1000, 1000))
    assert [one.moment_s for one in asked.all_of(root)] == [1000]
    asked.note(root, "box", KEY)
    assert next(asked.all_of(root)).moment_s > 1000


def test_where_nothing_was_asked_there_is_nothing(root, notes):
    assert names(root) == []
    asked.forget(root, "box", KEY)
    assert not notes.exists()


@pytest.mark.parametrize("text", [b"", b"another key", b"\xff\xfe"])
def test_a_note_that_a_death_left_is_removed(root, notes, text):
    asked.note(root, "box", KEY)
    next(notes.iterdir()).write_bytes(text)
    assert names(root) == []
    assert list(notes.iterdir()) == []


def test_two_do_not_go_through_them_at_once(root, notes):
    asked.note(root, "box", KEY)
    fd = os.open(notes, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert names(root) == []
    os.close(fd)
    assert names(root) == [("box", KEY)]


def test_a_bucket_that_is_not_there_cannot_be_noted(root):
    with pytest.raises(FileNotFoundError):
        asked.note(root, "nobucket", KEY)


def test_they_go_with_their_bucket(box, root):
    asked.note(root, "box", KEY)
    box.store.delete_bucket("box")
    assert not box.path.exists()
    assert names(root) == []
