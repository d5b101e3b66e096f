"""Large files are freed by another thread than the one that takes their names."""

import os
import threading

import pytest

from s3filters.store import freeing


@pytest.fixture
def folder(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield tmp_path, fd
    os.close(fd)


def closers(monkeypatch):
    seen = []
    close = os.close
    monkeypatch.setattr(
        os, "close", lambda fd: (seen.append(threading.current_thread().name), close(fd))
    )
    return seen


@pytest.mark.parametrize(("size", "elsewhere"), [(freeing.LARGE, False), (freeing.LARGE + 1, True)])
def test_only_what_is_large_is_freed_elsewhere(folder, monkeypatch, size, elsewhere):
    path, fd = folder
    with (path / "old").open("wb") as file:
        file.truncate(size)
    seen = closers(monkeypatch)
    with freeing.later(fd, b"old"):
        os.unlink("old", dir_fd=fd)
    freeing._thread.submit(int).result(5)  # whatever was handed over is done by now
    assert [name.startswith("freeing") for name in seen] == [True] * elsewhere
    assert not (path / "old").exists()


def test_a_name_that_is_not_there_is_the_verbs_own_trouble(folder):
    with pytest.raises(FileNotFoundError), freeing.later(folder[1], b"none"):
        os.unlink("none", dir_fd=folder[1])


def test_a_link_to_a_large_file_is_no_large_file(folder):
    path, fd = folder
    with (path / "large").open("wb") as file:
        file.truncate(freeing.LARGE * 2)
    (path / "link").symlink_to("large")
    with freeing.later(fd, b"link"):
        os.unlink("link", dir_fd=fd)
    assert (path / "large").stat().st_size == freeing.LARGE * 2
