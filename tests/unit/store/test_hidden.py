"""The folder of what no S3 name reaches is made at its first use, and nothing else is it."""

import os

import pytest

from s3filters.store import hidden
from s3filters.store.beneath import Root
from s3filters.store.errors import MethodNotAllowed

NODE = "0123456789abcdef"


@pytest.fixture
def root(tmp_path):
    (tmp_path / "box").mkdir()
    root = Root(tmp_path)
    yield root
    os.close(root.fd)


def test_folders_of_nodes_are_made_at_their_first_use(root, tmp_path):
    for _ in range(2):
        os.close(hidden.open_own(root, b"box", NODE))
    assert os.listdir(tmp_path / "box/.sgwtmp") == [f"node.{NODE}"]


@pytest.mark.parametrize("path", [".sgwtmp", f".sgwtmp/node.{NODE}"])
@pytest.mark.parametrize("kind", ["file", "fifo", "link to nothing", "link to a file"])
def test_what_is_no_folder_is_refused_and_stays(root, tmp_path, path, kind, no_open_files):
    place = tmp_path / "box" / path
    place.parent.mkdir(exist_ok=True)
    if kind == "file":
        place.write_bytes(b"precious")
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        (tmp_path / "file").write_bytes(b"precious")
        place.symlink_to("nothing" if kind == "link to nothing" else tmp_path / "file")
    before = place.lstat()
    with pytest.raises(MethodNotAllowed, match=place.name):
        hidden.open_own(root, b"box", NODE)
    assert place.lstat() == before


def test_without_a_bucket_there_is_none(root, tmp_path):
    with pytest.raises(FileNotFoundError):
        hidden.open_in(root, b"other")
    assert os.listdir(tmp_path) == ["box"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "link"])
def test_a_file_of_ours_that_is_none_is_neither_opened_nor_made(tmp_path, kind, no_open_files):
    (tmp_path / "file").write_bytes(b"precious")
    made = {"folder": os.mkdir, "fifo": os.mkfifo, "link": lambda path: os.symlink("file", path)}
    made[kind](tmp_path / "ours")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT):
            with pytest.raises(MethodNotAllowed):
                hidden.open_file(fd, "ours", flags)
        os.close(hidden.open_file(fd, "new", os.O_WRONLY | os.O_CREAT))
    finally:
        os.close(fd)
    assert sorted(os.listdir(tmp_path)) == ["file", "new", "ours"]
    assert (tmp_path / "file").read_bytes() == b"precious"
