"""Folders on the way: made when they miss, pruned when they are ours, made again when pruned."""

import errno
import os

import pytest

from s3filters.store import parents, place
from s3filters.store.beneath import Root
from s3filters.store.errors import ObjectParentIsFile, SlowDown


@pytest.fixture
def root(tmp_path):
    (tmp_path / "box").mkdir()
    made = Root(tmp_path)
    yield made
    os.close(made.fd)


def test_folders_that_were_made_are_marked_and_those_that_were_there_are_not(
    root, tmp_path, no_open_files
):
    (tmp_path / "box/a").mkdir()
    parents.open_way(root, b"box/a/b/c").close()
    marked = [
        name
        for name in ("a", "a/b", "a/b/c")
        if parents.MADE in os.listxattr(tmp_path / "box" / name)
    ]
    assert marked == ["a/b", "a/b/c"]


def test_pruning_ends_at_what_is_not_ours_empty_or_plain(root, tmp_path, no_open_files):
    parents.open_way(root, b"box/a/b/c").close()
    os.setxattr(tmp_path / "box/a", "user.etag", b'"object"')
    parents.prune(root, b"box/a/b/c")
    assert os.listdir(tmp_path / "box/a") == []
    parents.open_way(root, b"box/a/b/c").close()
    (tmp_path / "box/a/b/file").touch()
    parents.prune(root, b"box/a/b/c")
    assert os.listdir(tmp_path / "box/a/b") == ["file"]


def test_pruning_never_touches_the_bucket(root, tmp_path):
    os.setxattr(tmp_path / "box", parents.MADE, b"1")
    parents.open_way(root, b"box/a").close()
    parents.prune(root, b"box/a")
    parents.prune(root, b"box")
    assert os.listdir(tmp_path) == ["box"]


def test_pruning_what_is_gone_or_unreachable_is_no_error(root, tmp_path, monkeypatch):
    assert parents.prune_one(root, b"box/none/none")
    (tmp_path / "box/file").touch()
    assert not parents.prune_one(root, b"box/file/x")
    assert not parents.prune_one(root, b"box/file")
    assert parents.prune_one(root, b"none/x")
    (tmp_path / "box/.sgwtmp/x").mkdir(parents=True)

    def refuse(*_, **__):
        raise OSError(errno.EIO, "no")

    parents.open_way(root, b"box/a").close()
    monkeypatch.setattr(os, "rmdir", refuse)
    assert not parents.prune_one(root, b"box/a")


def test_a_folder_made_by_another_at_the_same_time_is_used(root, tmp_path, monkeypatch):
    real = os.mkdir

    def mkdir(name, mode, **options):
        real(name, mode, **options)
        raise FileExistsError

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", mkdir)
        way = parents.open_way(root, b"box/a/b")
    assert os.path.samestat(os.fstat(way.fd), os.stat(tmp_path / "box/a/b"))
    assert way.above == []
    way.close()


def test_a_folder_pruned_while_those_below_are_made_is_made_again(root, tmp_path, monkeypatch):
    real = os.mkdir
    removed = []

    def mkdir(name, mode, **options):
        if name == b"b" and not removed:
            removed.append(name)
            os.rmdir(tmp_path / "box/a")
        real(name, mode, **options)

    monkeypatch.setattr(os, "mkdir", mkdir)
    parents.open_way(root, b"box/a/b").close()
    assert removed
    assert (tmp_path / "box/a/b").is_dir()


def test_folders_that_always_go_end_in_slow_down(root, monkeypatch, no_open_files):
    def mkdir(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(SlowDown):
        parents.open_way(root, b"box/a/b")


def test_a_file_on_the_way_is_said_so(root, tmp_path, no_open_files):
    (tmp_path / "box/file").touch()
    (tmp_path / "box/loop").symlink_to("loop")
    for path in (b"box/file", b"box/file/a", b"box/loop/a"):
        with pytest.raises(ObjectParentIsFile):
            parents.open_way(root, path)


def test_a_file_that_appears_on_the_way_is_said_so_and_nothing_is_left(
    root, tmp_path, monkeypatch, no_open_files
):
    real = os.mkdir

    def mkdir(name, mode, **options):
        if name == b"b":
            (tmp_path / "box/a/b").touch()
        real(name, mode, **options)

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(ObjectParentIsFile):
        parents.open_way(root, b"box/a/b/c")
    assert (tmp_path / "box/a/b").is_file()


def test_a_missing_bucket_is_not_made(root, tmp_path):
    with pytest.raises(FileNotFoundError):
        parents.open_way(root, b"none/a")
    assert os.listdir(tmp_path) == ["box"]


def test_the_first_attempts_follow_at_once_and_later_ones_wait(monkeypatch):
    waited = []
    monkeypatch.setattr(parents.time, "sleep", waited.append)
    count = sum(1 for _ in parents.attempts())
    assert count == 64
    assert len(waited) == 60
    assert waited == sorted(waited)
    assert 0.1 < sum(waited) < 0.5


def test_a_parent_that_is_being_removed_for_a_while_does_not_fail_a_put(box, monkeypatch):
    """rmdir(2) of another has begun and not returned: the directory is found and is dead."""
    real, failures = place.Draft._open_nameless, []

    def dead(draft, directory):
        if len(failures) < 20:
            failures.append(directory)
            raise FileNotFoundError
        return real(draft, directory)

    monkeypatch.setattr(place.Draft, "_open_nameless", dead)
    box.put("a/b")
    assert box.get("a/b") == b"hello"
