"""Locks by key: they exclude, they survive the deletion of their files, they leave no file open."""

import errno
import fcntl
import os
import signal
import threading

import pytest

from s3filters.store import errors, hidden, locks
from s3filters.store.beneath import Root
from s3filters.store.errors import Busy


@pytest.fixture
def root(tmp_path):
    (tmp_path / "box").mkdir()
    made = Root(tmp_path)
    yield made
    os.close(made.fd)


def is_held(root, path):
    """True when another process cannot lock the path within a tenth of a second."""
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which kills it
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with locks.hold(root, path):
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def test_a_lock_excludes_others_of_the_same_key_alone(root, tmp_path, no_open_files):
    with locks.hold(root, b"box/key"):
        assert not is_held(root, b"box/other")
        assert is_held(root, b"box/key")
    assert not is_held(root, b"box/key")
    assert os.listdir(tmp_path / "box/.sgwtmp") == ["lock"]


def test_a_lock_is_let_go_by_an_error(root, tmp_path):
    with pytest.raises(ZeroDivisionError), locks.hold(root, b"box/key"):
        raise ZeroDivisionError
    with locks.hold(root, b"box/key"):
        pass


def test_who_waited_for_a_file_that_was_deleted_takes_the_new_one(root, tmp_path, monkeypatch):
    path = tmp_path / "box/.sgwtmp/lock"
    holder = locks.hold(root, b"box/key")
    holder.__enter__()
    entered = threading.Event()
    waiting = threading.Event()
    real = fcntl.fcntl

    def lock(fd, *how):
        waiting.set()
        real(fd, *how)

    monkeypatch.setattr(fcntl, "fcntl", lock)

    def wait():
        with locks.hold(root, b"box/key"):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert waiting.wait(5)
    assert not entered.is_set()
    path.unlink()
    holder.__exit__()
    thread.join(5)
    assert entered.is_set()
    assert path.exists()


def test_a_file_that_always_goes_ends_in_slow_down(root, tmp_path, monkeypatch, no_open_files):
    real = fcntl.fcntl

    def lock(fd, *how):
        (tmp_path / "box/.sgwtmp/lock").unlink()
        real(fd, *how)

    monkeypatch.setattr(fcntl, "fcntl", lock)
    with pytest.raises(errors.SlowDown), locks.hold(root, b"box/key"):
        pass


def test_without_locks_there_is_an_error_and_no_silent_second_winner(
    root, monkeypatch, no_open_files
):
    def refuse(*_):
        raise OSError("no locks here")

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="no locks"), locks.hold(root, b"box/key"):
        pass


@pytest.fixture
def full_disk(monkeypatch):
    """A disk on which neither the hidden folder nor the lock file can be made."""

    def mkdir(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", mkdir)
        yield patch


def test_on_a_full_disk_the_buckets_folder_is_the_lock(root, tmp_path, full_disk, no_open_files):
    with locks.hold(root, b"box/key"):
        assert is_held(root, b"box/key")
        assert is_held(root, b"box/other")
        # Also when there is room again: the file is not made while somebody does without it.
        full_disk.undo()
        assert is_held(root, b"box/key")
        assert "lock" not in os.listdir(tmp_path / "box")
    assert not is_held(root, b"box/key")
    assert os.listdir(tmp_path / "box/.sgwtmp") == ["lock"]


def test_where_folders_have_no_locks_a_full_disk_is_an_error(root, full_disk, no_open_files):
    def refuse(*_):
        raise OSError(errno.EBADF, "NFS")

    full_disk.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="full"), locks.hold(root, b"box/key"):
        pass


def test_other_errors_of_making_the_file_are_errors(root, monkeypatch, no_open_files):
    def mkdir(*_, **__):
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(os, "mkdir", mkdir)
    with pytest.raises(OSError, match="read-only"), locks.hold(root, b"box/key"):
        pass


def test_the_file_is_removed_when_no_key_is_locked(root, tmp_path, no_open_files):
    directory = hidden.open_in(root, b"box")
    locks.remove(directory)
    with locks.hold(root, b"box/key"):
        locks.remove(directory)
        assert os.listdir(tmp_path / "box/.sgwtmp") == ["lock"]
    locks.remove(directory)
    assert os.listdir(tmp_path / "box/.sgwtmp") == []
    os.close(directory)


def test_the_hidden_folder_removed_by_a_bucket_deletion_in_vain_is_made_again(
    root, tmp_path, monkeypatch, no_open_files
):
    real, times = hidden.make, [3]

    def make(*given):
        real(*given)
        times[0] -= 1
        if times[0] >= 0:
            (tmp_path / "box/.sgwtmp").rmdir()

    monkeypatch.setattr(hidden, "make", make)
    with locks.hold(root, b"box/key"):
        assert is_held(root, b"box/key")


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
    with pytest.raises(errors.MethodNotAllowed):
        hidden.open_in(root, b"box")
    with pytest.raises(errors.MethodNotAllowed), locks.hold(root, b"box/key"):
        pass


def test_who_is_impatient_waits_for_no_key(make_box):
    box = make_box()
    box.put("key")
    with locks.hold(box.store.root, b"box/key"), locks.impatiently():
        with pytest.raises(Busy):
            box.put("key")
        with pytest.raises(Busy):
            box.delete("key")
        box.put("another/key")
        box.delete("another/key")
    box.delete("key")


def test_who_has_the_bucket_itself_locked_holds_nobody_for_ever(root, tmp_path, monkeypatch):
    """Whoever may read a folder may lock it; it is needed where the lock file is not there yet."""
    monkeypatch.setattr(locks, "PATIENCE_S", 0.05)
    box = os.open(tmp_path / "box", os.O_RDONLY)
    fcntl.flock(box, fcntl.LOCK_EX)
    with pytest.raises(errors.SlowDown), locks.hold(root, b"box/key"):
        pass
    with pytest.raises(Busy), locks.impatiently(), locks.hold(root, b"box/key"):
        pass
    with pytest.raises(Busy), locks.hold_upload(root, b"box/key"):
        pass
    os.close(box)
    with locks.hold(root, b"box/key"):
        pass
