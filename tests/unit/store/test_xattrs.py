"""Attributes of a file: what a file system has not, what goes meanwhile, and what does not fit."""

import errno
import os

import pytest

from s3filters.store.errors import InsufficientStorage, MetadataTooLarge
from tests.unit.store.conftest import attributes
from tests.unit.store.files import read, store


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "name.txt"
    made.write_bytes(b"hello")
    return made


def test_metadata_that_the_inode_cannot_hold_is_too_large_and_no_full_disk(path):
    with pytest.raises(MetadataTooLarge):
        store(path, attributes(headers={"content-type": "x" * 70_000}))


@pytest.mark.parametrize(
    ("number", "free", "expected"),
    [
        (errno.E2BIG, 0, MetadataTooLarge),
        (errno.ERANGE, 0, MetadataTooLarge),
        (errno.ENOSPC, 10_000, MetadataTooLarge),
        (errno.ENOSPC, 0, InsufficientStorage),
        (errno.EIO, 0, OSError),
    ],
)
def test_free_blocks_tell_a_full_disk_from_a_full_inode(path, monkeypatch, number, free, expected):
    def refuse(*_):
        raise OSError(number, "no")

    class Free:
        f_bavail = free
        f_favail = f_files = 100_000

    monkeypatch.setattr(os, "setxattr", refuse)
    monkeypatch.setattr(os, "fstatvfs", lambda fd: Free)
    with pytest.raises(expected):
        store(path, attributes())


def test_a_file_system_without_attributes_has_foreign_files(path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOTSUP, "no")

    monkeypatch.setattr(os, "listxattr", refuse)
    assert read(path).etag.endswith("-0")


def test_an_attribute_removed_while_it_is_read_is_not_there(path, monkeypatch):
    store(path, attributes())
    real = os.getxattr

    def gone(target, name, **options):
        if name == "user.metadata":
            raise OSError(errno.ENODATA, "gone")
        return real(target, name, **options)

    monkeypatch.setattr(os, "getxattr", gone)
    assert read(path).user == {}
