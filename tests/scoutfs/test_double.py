"""The double as a tool: it comes, keeps what it is told to keep, fails to order, and goes."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from s3filters.store import scoutfs
from tests.scoutfs import calls, device, names, protocol
from tests.scoutfs.inodes import Inodes
from tests.scoutfs.mounted import mounted, need

LIMIT_S = 10
scandir = os.scandir


@pytest.fixture(autouse=True)
def possible():
    need()


def is_mounted(path: Path) -> bool:
    return device.mount_id(str(path.resolve())) is not None


@pytest.fixture
def where(tmp_path):
    return tmp_path / "mount"


# Coming and going --------------------------------------------------------------------------------


def test_it_leaves_nothing_behind(where):
    with mounted(where):
        (where / "file").write_bytes(b"1")
        assert is_mounted(where)
    assert not is_mounted(where)
    assert os.listdir(where) == []


@pytest.mark.parametrize("word", ["SIGINT", "SIGTERM"])
def test_a_signal_unmounts_it(where, word):
    with mounted(where) as process:
        process.send_signal(getattr(signal, word))
        assert process.wait(LIMIT_S) == 0
        assert not is_mounted(where)


def test_it_ends_with_whom_it_was_started_by(where):
    with mounted(where) as process:
        process.stdin.close()
        assert process.wait(LIMIT_S) == 0
        assert not is_mounted(where)


def test_it_ends_when_its_time_is_over(where):
    with mounted(where, "--seconds", "0.2") as process:
        assert process.wait(LIMIT_S) == 0
        assert not is_mounted(where)


def test_it_ends_when_somebody_unmounts_it(where):
    with mounted(where) as process:
        subprocess.run(["umount", str(where)], check=True)
        assert process.wait(LIMIT_S) == 0


def test_it_goes_while_a_file_is_open_and_a_reader_waits(where):
    with mounted(where) as process:
        (where / "file").write_bytes(bytes(8192))
        calls.make_offline(where / "file")
        failed = []

        def read():
            try:
                (where / "file").read_bytes()
            except OSError as error:
                failed.append(error.errno)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        time.sleep(0.1)
        assert not failed
        process.terminate()
        assert process.wait(LIMIT_S) == 0
        reader.join(LIMIT_S)
        assert failed in ([errno.EIO], [errno.ECONNABORTED])  # answered yet, or cut off


def test_what_a_killed_one_leaves_is_unmounted(where):
    with mounted(where) as process:
        process.kill()
        process.wait(LIMIT_S)
        with pytest.raises(OSError, match="not connected"):
            os.listdir(where)
    assert os.listdir(where) == []


def test_files_in_a_folder_outlive_it_with_all_that_scoutfs_knows(where, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    backing = ("--folder", str(folder))
    with mounted(where, *backing):
        (where / "file").write_bytes(bytes(8192))
        fd = os.open(where / "file", os.O_RDWR)
        scoutfs.set_project(fd, 7)
        calls.release(fd, 0, 4096, calls.stat_more(fd)[2])
        before = scoutfs.state(fd)
        os.close(fd)
    with mounted(where, *backing):
        fd = os.open(where / "file", os.O_RDWR)
        assert scoutfs.state(fd) == before == (1, 1, before.data_version, 7, False)
        os.close(fd)


def test_format_version_1_has_no_projects(where):
    with mounted(where, "--format-version", "1"):
        fd = os.open(where, os.O_RDONLY)
        found = scoutfs.detect(fd)
        assert (found.format_version, found.privileged) == (1, True)
        assert scoutfs.state(fd, found.format_version) == (0, 0, 0, 0, False)
        with pytest.raises(OSError) as failed:
            scoutfs.set_project(fd, 7)
        assert failed.value.errno == errno.EOPNOTSUPP
        os.close(fd)


def numbers_of(where):
    """The last committed sequence, and the one of a file."""
    fd = os.open(where / "file", os.O_RDONLY)
    try:
        return scoutfs.committed_seq(fd), calls.sequences(fd)[0]
    finally:
        os.close(fd)


def test_changes_are_committed_after_a_while_without_anybody_asking(where):
    with mounted(where, "--commit-every", "0.1"):
        (where / "file").write_bytes(b"1")
        limit = time.monotonic() + LIMIT_S
        committed, seq = numbers_of(where)
        while committed < seq:
            assert time.monotonic() < limit
            time.sleep(0.05)
            committed, _ = numbers_of(where)


@pytest.mark.parametrize("options", [(), ("--commit-every", "0")])
def test_changes_are_not_committed_at_once(where, options):
    with mounted(where, *options):
        (where / "file").write_bytes(b"1")
        committed, seq = numbers_of(where)
        assert committed < seq
        calls.commit(where)
        committed, after = numbers_of(where)
        assert after == seq <= committed


def test_a_sync_of_nothing_begins_no_transaction(where):
    with mounted(where):
        (where / "file").write_bytes(b"1")
        calls.commit(where)
        before = numbers_of(where)
        calls.commit(where)
        assert numbers_of(where) == before


def test_an_inode_that_the_kernel_forgets_is_not_thereby_changed(tmp_path):
    (tmp_path / "file").write_bytes(b"1")
    inodes = Inodes(os.open(tmp_path, os.O_PATH | os.O_DIRECTORY))
    seen = []
    for _ in range(2):
        inode, _ = inodes.known(os.open(tmp_path / "file", os.O_PATH))
        if not seen:
            inode.meta_changed()
        seen.append(inode.sequences)
        inodes.forget(inode.number, 1)
        inodes.sequences.commit()
    assert seen[0] == seen[1]
    assert seen[0][0] > seen[0][1]  # its bytes were not changed


class Vanishing:
    """``os.scandir``, while another removes each name just before it is looked at."""

    def __init__(self, path):
        self._entries = scandir(path)

    def __enter__(self):
        for entry in self._entries:
            os.unlink(entry.path)
            yield entry
            break
        yield from self._entries

    def __exit__(self, *_):
        self._entries.close()


def test_a_directory_is_told_although_a_name_in_it_is_removed_meanwhile(tmp_path, monkeypatch):
    for word in ("one", "two"):
        (tmp_path / word).touch()
    monkeypatch.setattr(os, "scandir", Vanishing)
    pinned = os.open(tmp_path, os.O_PATH)
    found = names.entries_of(Inodes(pinned)[protocol.ROOT])
    os.close(pinned)
    assert len(found) == 1


# Orders ------------------------------------------------------------------------------------------


@pytest.fixture
def orders(double):
    yield lambda words: calls.order_fault(double, words)
    calls.order_fault(double, "")


def test_a_fault_skips_fails_and_is_over(folder, orders):
    orders("mkdir ENOSPC 1 2")
    (folder / "one").mkdir()
    for _ in range(2):
        with pytest.raises(OSError) as failed:
            (folder / "two").mkdir()
        assert failed.value.errno == errno.ENOSPC
    (folder / "two").mkdir()


def test_faults_can_be_slow_and_slowness_need_not_fail(folder, orders):
    orders("mkdir 0 0 1 0.2")
    began = time.monotonic()
    (folder / "one").mkdir()
    assert time.monotonic() - began >= 0.2


def test_faults_are_taken_back(folder, orders):
    orders("fsync EIO 0 1000")
    orders("")
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


@pytest.mark.parametrize("words", ["write", "write EWHAT 0 1", "sing EIO 0 1", "write EIO x 1"])
def test_an_order_that_makes_no_sense_is_refused(double, orders, words):
    with pytest.raises(OSError, match="Invalid argument"):
        orders(words)


def test_operations_and_bytes_are_counted(double, folder):
    calls.reset_counts(double)
    (folder / "file").write_bytes(bytes(5000))
    (folder / "file").read_bytes()
    told = calls.counts(double)
    assert (told["bytes_written"], told["bytes_read"], told["create"]) == (5000, 5000, 1)
    calls.reset_counts(double)
    assert calls.counts(double) == {}


def test_the_control_interface_is_nowhere_but_in_the_root(double, folder):
    assert os.listxattr(double) == []
    with pytest.raises(OSError, match="No data"):
        os.getxattr(folder, "user.double.counts")


def test_an_open_directory_that_is_read_again_shows_what_came_since(where):
    with mounted(where):
        fd = os.open(where, os.O_RDONLY)
        assert os.listdir(fd) == []
        (where / "new").touch()
        assert os.listdir(fd) == ["new"]
        os.close(fd)
