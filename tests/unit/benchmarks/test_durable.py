"""The bare loop makes the files that it counts, and leaves nothing."""

import os

import pytest

from benchmarks.durable import bare_loop, put


def test_a_bare_put_makes_a_file_with_its_attributes(tmp_path):
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        put(directory, "o", {"user.etag": b"abc"}, synced=True)
    finally:
        os.close(directory)
    assert (tmp_path / "o").stat().st_size == 4096
    assert os.getxattr(tmp_path / "o", "user.etag") == b"abc"


@pytest.mark.parametrize("threads", [1, 4])
def test_the_bare_loop_cleans_up(tmp_path, threads):
    run = bare_loop(tmp_path / "bare", threads, 20, {}, synced=False)
    assert run.rate > 0
    assert run.cpu > 0
    assert list(tmp_path.iterdir()) == []
