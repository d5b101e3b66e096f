"""What is asked of a file system before a store is put on it."""

import errno
import os

import pytest

from s3filters.store import Store, filesystem
from s3filters.store.filesystem import Unsuitable


def test_this_file_system_is_known_for_what_it_is(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    found = filesystem.inspect(fd, str(tmp_path))
    os.close(fd)
    assert found.tmpfile
    assert found.local == (found.name in filesystem.LOCAL.values())
    assert os.listdir(tmp_path) == []


def test_proc_is_not_one_for_objects():
    fd = os.open("/proc", os.O_RDONLY)
    assert filesystem.kind_of(fd) == 0x9FA0
    assert filesystem.kind_of(fd) not in filesystem.LOCAL
    os.close(fd)
    with pytest.raises(Unsuitable, match=r"/proc is on a file system without user extended attr"):
        Store("/proc")


def test_a_file_system_where_attributes_can_be_read_but_not_set_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOTSUP, "no")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(Unsuitable, match="without user extended attributes"):
        Store(tmp_path)


def test_a_mistake_of_the_kernel_call_is_an_error():
    with pytest.raises(OSError) as failed:
        filesystem.kind_of(-1)
    assert failed.value.errno == errno.EBADF


def test_other_errors_of_the_probe_are_not_taken_for_an_answer(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "getxattr", refuse)
    with pytest.raises(OSError, match="no"):
        Store(tmp_path)


def test_an_attribute_with_the_probes_name_does_no_harm(tmp_path):
    os.setxattr(tmp_path, "user.s3filters.probe", b"")
    Store(tmp_path).close()


def test_without_o_tmpfile_the_store_works_all_the_same(tmp_path, monkeypatch):
    real = os.open

    def without(path, flags, *args, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.ENOTSUP, "no")
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", without)
    store = Store(tmp_path)
    assert not store.tmpfile
    store.close()


def test_without_proc_nameless_files_would_get_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "isdir", lambda path: False)
    with pytest.raises(Unsuitable, match="/proc is not mounted"):
        Store(tmp_path)


def test_a_missing_root_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        Store(tmp_path / "none")


def test_an_unknown_durability_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="full, data, none"):
        Store(tmp_path, durability="some")


def test_rename_if_absent_never_replaces(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(FileExistsError):
        filesystem.rename_if_absent(fd, "a", "b")
    filesystem.rename_if_absent(fd, "a", "c")
    os.close(fd)
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]


def test_a_hole_is_punched_or_said_to_be_impossible(tmp_path):
    (tmp_path / "file").write_bytes(b"x" * 16384)
    with open(tmp_path / "file", "r+b") as file:
        filesystem.punch_hole(file.fileno(), 4096, 4096)
    assert (tmp_path / "file").read_bytes() == b"x" * 4096 + bytes(4096) + b"x" * 8192
    with open(tmp_path / "file", "rb") as file, pytest.raises(OSError, match="descriptor"):
        filesystem.punch_hole(file.fileno(), 0, 1)
