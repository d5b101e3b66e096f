"""Names of one directory: order, what is hidden, proof against changes, memory."""

import itertools
import os
import random
import socket
import stat
import subprocess
import sys
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import names
from s3filters.store.names import NameCache, Names


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


class Folder:
    def __init__(self, path):
        self.path = path
        self.cache = NameCache()

    def make(self, *wanted):
        for name in wanted:
            raw = os.path.join(os.fsencode(self.path), os.fsencode(name))
            if raw.endswith(b"/"):
                os.mkdir(raw)
            else:
                os.mknod(raw, 0o100644)

    def now(self, start="", cache=None):
        """The names as a page would see them."""
        fds = []

        def open_fd():
            if not fds:
                fds.append(os.open(self.path, os.O_RDONLY | os.O_DIRECTORY))
            return fds[0]

        try:
            return list((cache or self.cache).since(open_fd, start))
        finally:
            for fd in fds:
                os.close(fd)

    def known(self):
        return self.cache.known(os.stat(self.path))

    def settle(self, cache=None):
        """Wait until the directory's ctime is past, and read it once more so that it is kept."""
        os.stat(self.path)
        time.sleep(0.045)
        self.now(cache=cache)


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
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder.path)
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
    assert folder.now() == ["link"]


def test_a_file_system_that_does_not_tell_types_is_asked(folder, monkeypatch):
    folder.make("file", "dir/")
    os.mkfifo(folder.path / "fifo")
    os.symlink("file", folder.path / "link")
    records = names._RECORDS
    monkeypatch.setattr(names, "_RECORDS", lambda text: [("\0", name) for _, name in records(text)])
    assert folder.now() == ["dir/", "file", "link"]


@given(st.sets(st.text("ab/-.0é\U0001f600", min_size=1, max_size=4)), st.text("ab/-.é", max_size=3))
def test_since_is_the_tail_of_the_sorted_names(wanted, start):
    ordered = sorted(wanted)
    blocks = [ordered[0::3], ordered[1::3], ordered[2::3]]
    runs = [["\0".join(run[n : n + 2]).encode() for n in range(0, len(run), 2)] for run in blocks]
    assert list(Names(runs).since(start)) == [name for name in ordered if name >= start]


def test_every_name_is_a_place_to_begin(folder, monkeypatch):
    monkeypatch.setattr(names, "_BLOCK", 4)
    monkeypatch.setattr(names, "_RUN", 10)
    monkeypatch.setattr(names, "_PIECES", (256, 512))
    wanted = sorted(f"{n:03}" for n in range(100))
    folder.make(*wanted)
    for at, name in enumerate(wanted):
        assert folder.now(name) == wanted[at:]
        assert folder.now(name + "\0") == wanted[at + 1 :]


# Proof


def test_a_quiet_directory_is_read_once(folder, monkeypatch):
    folder.make("a", "b")
    folder.settle()
    monkeypatch.setattr(names, "_getdents", None)
    assert folder.now() == ["a", "b"]


def test_a_scan_as_young_as_the_last_change_is_not_kept(folder):
    folder.make("a")
    folder.now()
    assert folder.known() is None


def test_every_change_is_seen_at_once(folder):
    random.seed(7)
    there = set()
    for n in range(1000):
        if there and random.random() < 0.4:
            name = random.choice(sorted(there))
            os.unlink(folder.path / name)
            there.discard(name)
        else:
            folder.make(f"n{n}")
            there.add(f"n{n}")
        if n % 100 == 50:
            folder.settle()
        assert folder.now() == sorted(there)


def test_a_change_right_after_a_kept_scan_is_seen(folder):
    folder.make("a")
    for n in range(20):
        folder.settle()
        assert folder.known() is not None
        folder.make(f"b{n}")
        assert f"b{n}" in folder.now()
        os.rename(folder.path / f"b{n}", folder.path / f"c{n}")
        assert f"c{n}" in folder.now()
        assert f"b{n}" not in folder.now()


def test_changes_of_another_process_are_seen_at_once(folder):
    program = (
        "import os, sys\nfor line in sys.stdin:\n    os.mknod(line.strip()); print(flush=True)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], cwd=folder.path, text=True, stdin=-1, stdout=-1
    )
    with other:
        for n in range(1000):
            other.stdin.write(f"{n:04}\n")
            other.stdin.flush()
            other.stdout.readline()
            assert folder.now()[-1] == f"{n:04}"
            if n % 100 == 99:
                folder.settle()


def test_a_modification_time_set_back_hides_nothing(folder):
    folder.make("a")
    folder.settle()
    before = os.stat(folder.path)
    folder.make("b")
    os.utime(folder.path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(folder.path).st_mtime_ns == before.st_mtime_ns
    assert folder.now() == ["a", "b"]


def test_a_directory_made_again_under_the_same_inode_is_read_again(folder, tmp_path):
    inner = Folder(tmp_path / "inner")
    for n in range(20):
        os.mkdir(inner.path)
        inner.make(f"only{n}")
        assert inner.now() == [f"only{n}"]
        inner.settle()
        os.unlink(inner.path / f"only{n}")
        os.rmdir(inner.path)


@pytest.mark.parametrize(
    ("local", "age_ns", "fraction", "kept"),
    [
        (True, 10**9, 1, True),
        (True, 5_000_000, 1, False),  # within a tick of the kernel's clock
        (True, -(10**9), 1, False),  # the future: a clock was set back
        (True, 10**9, 0, False),  # a file system of whole seconds: a second is one tick
        (True, 3 * 10**9, 0, True),
        (False, 60 * 10**9, 1, False),  # the server's clock may be behind
        (False, 3600 * 10**9, 1, True),
    ],
)
def test_a_ctime_proves_only_when_later_changes_get_another(local, age_ns, fraction, kept):
    now = 1_800_000_000 * 10**9
    assert NameCache(local=local)._is_past(now - age_ns + fraction, now) is kept


# Memory


def test_the_least_recent_directories_go_when_the_budget_is_used_up(tmp_path):
    folders = [Folder(tmp_path / str(n)) for n in range(4)]
    cache = NameCache(budget=3000)
    for folder in folders:
        os.mkdir(folder.path)
        folder.make(*(f"{n:050}" for n in range(15)))
        folder.settle(cache)
    kept = [cache.known(os.stat(folder.path)) is not None for folder in folders]
    assert kept == [False, False, True, True]
    assert cache._bytes <= 3000


def test_a_directory_over_the_budget_is_read_window_by_window(folder, monkeypatch):
    monkeypatch.setattr(names, "_BLOCK", 8)
    monkeypatch.setattr(names, "_RUN", 32)
    monkeypatch.setattr(names, "_PIECES", (512, 1024))
    wanted = sorted(f"{random.random():.15f}" for _ in range(800))
    folder.make(*wanted)
    folder.settle()
    cache = NameCache(budget=4000)
    assert folder.now(cache=cache) == wanted
    for at in (1, 17, 400, 799):
        assert folder.now(wanted[at], cache) == wanted[at:]
    assert folder.now("zzz", cache) == []


def test_a_window_serves_the_pages_within_it_from_one_scan(folder, monkeypatch):
    monkeypatch.setattr(names, "_RUN", 64)
    monkeypatch.setattr(names, "_BLOCK", 8)
    monkeypatch.setattr(names, "_PIECES", (512, 1024))
    wanted = [f"{n:04}" for n in range(1000)]
    folder.make(*wanted)
    cache = NameCache(budget=3000)
    folder.settle(cache)
    scans = []
    pieces = names._pieces
    monkeypatch.setattr(names, "_pieces", lambda fd: scans.append(1) or pieces(fd))
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

    def pieces(fd):
        for at in range(0, count, 5000):
            yield "".join(record.format((n * 7919) % count) for n in range(at, at + 5000))

    monkeypatch.setattr(names, "_pieces", pieces)
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


def test_a_directory_that_went_away_says_so(tmp_path):
    (tmp_path / "gone").mkdir()
    fd = os.open(tmp_path / "gone", os.O_RDONLY)
    os.rmdir(tmp_path / "gone")
    try:
        with pytest.raises(FileNotFoundError):
            NameCache().read(fd)
    finally:
        os.close(fd)


def test_a_name_that_goes_away_while_it_is_asked_for_is_left_out(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    scan = names._Scan(fd, "", 1 << 20)
    assert list(scan._others([("\0", "gone\0")])) == []
    os.close(fd)
    assert ord(names._FILE) == stat.S_IFREG >> 12
