"""Names of one directory: order, what is left out, windows, memory."""

import itertools
import os
import random
import stat
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import scan
from s3filters.store.names import NameCache
from s3filters.store.scan import Names
from tests.unit.store.folder import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_an_empty_directory_has_no_names(folder):
    assert folder.now() == []


def test_directories_sort_with_a_slash_behind_them(folder):
    folder.make("a-b", "a/", "a.b", "a0", "A", "é", "z", "\N{GRINNING FACE}", "\uffee")
    assert folder.now() == ["A", "a-b", "a.b", "a/", "a0", "z", "é", "\uffee", "\N{GRINNING FACE}"]


@pytest.mark.parametrize("length", [*range(1, 25), 253, 254, 255])
def test_names_of_every_length_survive_the_alignment_of_records(folder, length):
    folder.make("x" * length, "y" * (length - 1) + "/" if length > 1 else "y")
    assert folder.now()[0] == "x" * length
    assert len(folder.now()) == 2


def test_odd_names_are_names(folder):
    odd = [" ", "\n", "\x01", "a\nb", "a b", "%2F", "+", "..a", "...", "-", "\x7f", "\\", '"', "&<"]
    folder.make(*odd)
    assert folder.now() == sorted(odd)


def test_names_that_are_not_utf8_are_left_out(folder):
    folder.make(b"\xff", b"a\xc3", b"\xed\xa0\x80", "ü", "a")
    assert folder.now() == ["a", "ü"]


def test_names_that_the_store_keeps_are_left_out(folder):
    folder.make(".sgwtmp/", ".x.sgwtmp.123", ".x.sgwtmp.12/", "..sgwtmp.1", ".a\nb.sgwtmp.1")
    folder.make(".sgwtmp2", "x.sgwtmp.1", ".x.sgwtmp.", ".x.sgwtmp.1a")
    assert folder.now() == [".sgwtmp2", ".x.sgwtmp.", ".x.sgwtmp.1a", "x.sgwtmp.1"]


def test_what_is_no_file_directory_or_link_is_left_out(folder):
    os.mkfifo(folder.path / "fifo")
    os.symlink("nowhere", folder.path / "link")
    os.mknod(folder.path / "socket", stat.S_IFSOCK | 0o600)
    assert folder.now() == ["link"]


def test_a_file_system_that_does_not_tell_types_is_asked(folder, monkeypatch):
    folder.make("file", "dir/")
    os.mkfifo(folder.path / "fifo")
    os.symlink("file", folder.path / "link")
    records = scan._RECORDS
    monkeypatch.setattr(scan, "_RECORDS", lambda text: [("\0", name) for _, name in records(text)])
    assert folder.now() == ["dir/", "file", "link"]


@given(st.sets(st.text("ab/-.0é\U0001f600", min_size=1, max_size=4)), st.text("ab/-.é", max_size=3))
def test_since_is_the_tail_of_the_sorted_names(wanted, start):
    ordered = sorted(wanted)
    blocks = [ordered[0::3], ordered[1::3], ordered[2::3]]
    runs = [["\0".join(run[n : n + 2]).encode() for n in range(0, len(run), 2)] for run in blocks]
    assert list(Names(runs).since(start)) == [name for name in ordered if name >= start]


def test_every_name_is_a_place_to_begin(folder, monkeypatch):
    monkeypatch.setattr(scan, "_BLOCK", 4)
    monkeypatch.setattr(scan, "_RUN", 10)
    monkeypatch.setattr(scan, "_PIECES", (256, 512))
    wanted = sorted(f"{n:03}" for n in range(100))
    folder.make(*wanted)
    for at, name in enumerate(wanted):
        assert folder.now(name) == wanted[at:]
        assert folder.now(name + "\0") == wanted[at + 1 :]


def test_a_directory_over_the_budget_is_read_window_by_window(folder, monkeypatch):
    monkeypatch.setattr(scan, "_BLOCK", 8)
    monkeypatch.setattr(scan, "_RUN", 32)
    monkeypatch.setattr(scan, "_PIECES", (512, 1024))
    wanted = sorted(f"{random.random():.15f}" for _ in range(800))
    folder.make(*wanted)
    folder.settle()
    cache = NameCache(budget=4000)
    assert folder.now(cache=cache) == wanted
    for at in (1, 17, 400, 799):
        assert folder.now(wanted[at], cache) == wanted[at:]
    assert folder.now("zzz", cache) == []


def test_a_window_serves_the_pages_within_it_from_one_scan(folder, monkeypatch):
    monkeypatch.setattr(scan, "_RUN", 64)
    monkeypatch.setattr(scan, "_BLOCK", 8)
    monkeypatch.setattr(scan, "_PIECES", (512, 1024))
    wanted = [f"{n:04}" for n in range(1000)]
    folder.make(*wanted)
    cache = NameCache(budget=3000)
    folder.settle(cache)
    scans = []
    pieces = scan._pieces
    monkeypatch.setattr(scan, "_pieces", lambda *asked: scans.append(1) or pieces(*asked))
    at, pages = "", 0
    fd = os.open(folder.path, os.O_RDONLY)
    while page := list(itertools.islice(cache.since(lambda: fd, at), 20)):
        at, pages = page[-1] + "\0", pages + 1
    os.close(fd)
    assert pages == 50
    assert len(scans) < pages / 3


def test_200_000_names_cost_their_bytes_and_little_more(tmp_path, monkeypatch):
    count, width = 200_000, 20
    record = "\0" * 18 + "\x08{:0" + str(width) + "}\0"  # 19 + 20 + 1 is a multiple of 8
    shuffled = [record.format((n * 7919) % count) for n in range(count)]
    pieces = ["".join(shuffled[at : at + 5000]) for at in range(0, count, 5000)]
    del shuffled
    monkeypatch.setattr(scan, "_pieces", lambda *_: iter(pieces))
    fd = os.open(tmp_path, os.O_RDONLY)
    tracemalloc.start()
    try:
        found = NameCache().read(fd)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        os.close(fd)
    assert held < count * (width + 2)
    assert peak < held + (12 << 20)
    assert sum(1 for _ in found.since("")) == count


def test_a_name_that_goes_away_while_it_is_asked_for_is_left_out(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    reading = scan.Scan(fd, "", 1 << 20)
    assert list(reading._others([("\0", "gone\0")])) == []
    os.close(fd)
    assert ord(scan._FILE) == stat.S_IFREG >> 12


@pytest.mark.parametrize("seed", range(4))
def test_names_of_mixed_lengths_survive_a_buffer_that_held_other_names(folder, monkeypatch, seed):
    # The kernel leaves the padding behind a name as the buffer was: old names must not show there.
    monkeypatch.setattr(scan, "_PIECES", (1 << 10, 2 << 10))
    draw = random.Random(seed)
    wanted = sorted({"n" * draw.randrange(1, 40) + str(draw.randrange(500)) for _ in range(1500)})
    folder.make(*wanted)
    assert folder.now() == wanted
    glanced = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY)
    assert sorted(scan.peek(glanced)) == wanted
    os.close(glanced)
