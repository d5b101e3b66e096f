"""Locks by key: they exclude, they survive the deletion of their files, they leave no file open."""

import fcntl
import os
import threading

import pytest

from s3filters.store import errors, hidden, locks
from s3filters.store.beneath import Root


@pytest.fixture
def root(tmp_path):
    (tmp_path / "box").mkdir()
    made = Root(tmp_path)
    yield made
    os.close(made.fd)


def lock_file(tmp_path, path=b"box/key"):
    return tmp_path / locks.path_for(path).decode()


def test_a_lock_excludes_another_opening_of_its_file(root, tmp_path, no_open_files):
    with locks.hold(root, b"box/key"):
        fd = os.open(lock_file(tmp_path), os.O_RDWR)
        assert not locks.is_free(fd)
        os.close(fd)
    fd = os.open(lock_file(tmp_path), os.O_RDWR)
    assert locks.is_free(fd)
    os.close(fd)


def test_a_key_and_its_directory_share_a_lock_in_the_hidden_folder():
    assert locks.path_for(b"box/a/b").startswith(b"box/.sgwtmp/lock.")
    assert len({locks.path_for(b"box/%d" % n) for n in range(20_000)}) == locks.FILES


def test_a_lock_is_let_go_by_an_error(root, tmp_path):
    with pytest.raises(ZeroDivisionError), locks.hold(root, b"box/key"):
        raise ZeroDivisionError
    with locks.hold(root, b"box/key"):
        pass


def test_who_waited_for_a_file_that_was_deleted_takes_the_new_one(root, tmp_path, monkeypatch):
    path = lock_file(tmp_path)
    with locks.hold(root, b"box/key"):
        pass
    holder = os.open(path, os.O_RDWR)
    fcntl.flock(holder, fcntl.LOCK_EX)
    entered = threading.Event()
    waiting = threading.Event()
    real = fcntl.flock

    def flock(fd, how):
        waiting.set()
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)

    def wait():
        with locks.hold(root, b"box/key"):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(5)
    assert not entered.is_set()
    path.unlink()
    os.close(holder)
    thread.join(5)
    assert entered.is_set()
    assert path.exists()


def test_a_file_that_always_goes_ends_in_slow_down(root, tmp_path, monkeypatch, no_open_files):
    real = fcntl.flock

    def flock(fd, how):
        lock_file(tmp_path).unlink()
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(errors.SlowDown), locks.hold(root, b"box/key"):
        pass


def test_without_locks_there_is_an_error_and_no_silent_second_winner(
    root, monkeypatch, no_open_files
):
    def refuse(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="no locks"), locks.hold(root, b"box/key"):
        pass


def test_without_the_bucket_there_is_no_lock(root, no_open_files):
    with pytest.raises(FileNotFoundError), locks.hold(root, b"none/key"):
        pass


def test_the_hidden_folder_is_made_once_by_many(root, tmp_path):
    hidden.make(root, b"box")
    hidden.make(root, b"box")
    os.close(hidden.open_in(root, b"box"))
    assert os.listdir(tmp_path / "box") == [".sgwtmp"]


def test_something_else_under_its_name_is_an_error(root, tmp_path):
    (tmp_path / "box" / ".sgwtmp").touch()
    with pytest.raises(errors.InternalError):
        hidden.open_in(root, b"box")
    with pytest.raises(errors.InternalError), locks.hold(root, b"box/key"):
        pass
