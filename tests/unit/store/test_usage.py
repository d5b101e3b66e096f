"""The disk that a directory holds is counted, and nothing outside it."""

import os

import pytest

from s3filters.store import usage


@pytest.fixture
def up(tmp_path):
    made = tmp_path / "up"
    (made / "in").mkdir(parents=True)
    for name in ("1", "2", "in/3"):
        (made / name).write_bytes(b"x" * 5000)
    return made


def count(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return usage.blocks(fd)
    finally:
        os.close(fd)


def test_blocks_are_those_on_disk_and_not_the_sizes(up, no_open_files):
    expected = sum(
        os.lstat(os.path.join(folder, name)).st_blocks * 512
        for folder, folders, names in os.walk(up)
        for name in folders + names
    )
    assert count(up) == expected >= 3 * 5000
    with (up / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    assert count(up) == expected


def test_what_links_lead_to_does_not_count(tmp_path, up):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"x" * 500_000)
    (up / "folder").symlink_to(tmp_path / "mine")
    (up / "file").symlink_to(tmp_path / "mine" / "file")
    assert count(up) < 500_000


def test_a_link_in_the_place_of_a_folder_is_not_entered(tmp_path, up, monkeypatch, no_open_files):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_bytes(b"x" * 500_000)
    real = os.open

    def swapped(name, *args, **options):
        if name == "in":
            os.rename(up / "in", up / "moved")
            (up / "in").symlink_to(tmp_path / "mine")
        return real(name, *args, **options)

    monkeypatch.setattr(os, "open", swapped)
    assert count(up) < 500_000


def test_what_lies_deeper_than_any_gateway_puts_it_does_not_count(up):
    deep = up / "/".join("d" * 20)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x" * 500_000)
    assert count(up) < 500_000
