"""What has ended is removed, and nothing beside it."""

import os

import pytest

from s3filters.store import removing
from s3filters.store.beneath import Root


def remove(folder, name="gone", **options):
    fd = os.open(folder, os.O_RDONLY)
    try:
        removing.tree(fd, name, **options)
    finally:
        os.close(fd)


def test_a_directory_goes_with_all_that_is_in_it(tmp_path):
    (tmp_path / "gone" / "inner").mkdir(parents=True)
    (tmp_path / "gone" / "1").write_bytes(b"x")
    (tmp_path / "gone" / "inner" / "2").write_bytes(b"x")
    (tmp_path / "stays").write_bytes(b"x")
    remove(tmp_path)
    assert os.listdir(tmp_path) == ["stays"]


def test_links_are_removed_and_not_followed(tmp_path):
    (tmp_path / "stays").mkdir()
    (tmp_path / "stays" / "file").write_bytes(b"x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / "link").symlink_to(tmp_path / "stays")
    remove(tmp_path)
    assert os.listdir(tmp_path / "stays") == ["file"]
    assert not (tmp_path / "gone").exists()


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "stays").mkdir()
    (tmp_path / "stays" / "file").write_bytes(b"x")
    (tmp_path / "gone").symlink_to(tmp_path / "stays")
    with pytest.raises(OSError, match=r"directory|links"):
        remove(tmp_path)
    assert os.listdir(tmp_path / "stays") == ["file"]


def test_what_is_not_there_is_fine(tmp_path):
    remove(tmp_path)


def test_it_goes_no_deeper_than_an_upload_can(tmp_path):
    (tmp_path / "gone" / "a" / "b" / "c").mkdir(parents=True)
    with pytest.raises(OSError):
        remove(tmp_path, depth=2)
    assert (tmp_path / "gone" / "a" / "b" / "c").exists()


def test_a_file_that_comes_while_its_folder_is_removed_goes_too(tmp_path, monkeypatch):
    (tmp_path / "box" / "key" / "gone").mkdir(parents=True)
    late = [tmp_path / "box" / "key" / "gone" / "late"]
    real = os.rmdir

    def rmdir(name, **how):
        if late:
            late.pop().touch()
        real(name, **how)

    monkeypatch.setattr(os, "rmdir", rmdir)
    root = Root(tmp_path)
    removing.later(root, os.open(tmp_path / "box" / "key", os.O_RDONLY), b"box/key", b"gone")
    removing.settle()
    assert os.listdir(tmp_path / "box") == []
