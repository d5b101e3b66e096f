"""One leads, whoever else would like to."""

import errno
import fcntl
import os

import pytest

from s3filters.store.beneath import Root
from s3filters.store.leading import Leading


def test_one_leads_as_long_as_it_lives(tmp_path):
    root = Root(str(tmp_path))
    first, second = Leading(root), Leading(Root(str(tmp_path)))
    assert first
    assert first
    assert not second
    first.close()
    assert second
    second.close()
    second.close()


def test_nothing_lies_on_the_disk(tmp_path):
    leading = Leading(Root(str(tmp_path)))
    assert leading
    assert list(tmp_path.iterdir()) == []
    leading.close()


def test_an_error_leaves_nothing_open(tmp_path, monkeypatch):
    def fail(fd, how):
        raise OSError(errno.ENOLCK, "no locks")

    leading = Leading(Root(str(tmp_path)))
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as broken:
        broken.setattr(fcntl, "flock", fail)
        with pytest.raises(OSError, match="no locks"):
            bool(leading)
    assert os.listdir("/proc/self/fd") == before
    assert leading
    leading.close()
