"""Kept names are those of now: every change is seen, and nothing is read that is known."""

import contextlib
import itertools
import os
import random
import struct
import subprocess
import sys
import threading
import time

import pytest

from s3filters.store import names, scan, watch
from s3filters.store.names import NameCache
from tests.unit.store.folder import Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def test_a_quiet_directory_is_read_once(folder, monkeypatch):
    folder.make("a", "b")
    folder.settle()
    monkeypatch.setattr(scan, "_getdents", None)
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
    for n in range(8):
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
    for n in range(6):
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


def test_a_directory_that_went_away_has_no_names(tmp_path):
    (tmp_path / "gone").mkdir()
    fd = os.open(tmp_path / "gone", os.O_RDONLY)
    os.rmdir(tmp_path / "gone")
    assert list(NameCache().since(lambda: fd)) == []
    os.close(fd)


# Proof by hearing


@pytest.fixture
def watched(folder, monkeypatch):
    """A directory that is watched: it counts as large, and has changed once."""
    monkeypatch.setattr(names, "_WORTH_WATCHING", 0)
    folder.make("a", "b", "c/")
    folder.now()
    folder.now()
    assert folder.cache._watcher._watched
    yield folder
    folder.cache.close()


def there(folder):
    """What the directory holds, asked in another way."""
    return sorted(
        e.name + "/" if e.is_dir(follow_symlinks=False) else e.name for e in os.scandir(folder.path)
    )


CHANGES = {
    "create": lambda at: open(at / "new", "w").close(),
    "make a node": lambda at: os.mknod(at / "new", 0o100644),
    "make a directory": lambda at: os.mkdir(at / "new"),
    "link": lambda at: os.link(at / "a", at / "new"),
    "link symbolically": lambda at: os.symlink("c", at / "new"),
    "rename": lambda at: os.rename(at / "a", at / "new"),
    "rename over another": lambda at: os.rename(at / "a", at / "b"),
    "rename a directory": lambda at: os.rename(at / "c", at / "new"),
    "rename out": lambda at: os.rename(at / "a", at / "c" / "a"),
    "rename out of the bucket": lambda at: os.rename(at / "a", at.parent / "a"),
    "unlink": lambda at: os.unlink(at / "a"),
    "remove a directory": lambda at: os.rmdir(at / "c"),
    "a name that is not UTF-8": lambda at: os.mknod(os.fsencode(at) + b"/\xff", 0o100644),
    "a name of the store": lambda at: os.mknod(at / ".a.sgwtmp.1", 0o100644),
    "a file becomes a directory": lambda at: (os.unlink(at / "a"), os.mkdir(at / "a")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_watched_directory_is_not_read_again_and_yet_current(tmp_path, monkeypatch, change):
    monkeypatch.setattr(names, "_WORTH_WATCHING", 0)
    (tmp_path / "in").mkdir()
    folder = Folder(tmp_path / "in")
    folder.make("a", "b", "c/")
    folder.now()
    folder.now()
    monkeypatch.setattr(scan, "_getdents", None)
    change(folder.path)
    expected = [n for n in there(folder) if n.isascii() and not n.startswith(".a.sgwtmp")]
    assert folder.now() == expected
    folder.cache.close()


def test_an_unnamed_file_that_is_given_a_name_is_heard_of(watched, monkeypatch):
    monkeypatch.setattr(scan, "_getdents", None)
    fd = os.open(watched.path, os.O_TMPFILE | os.O_WRONLY, 0o600)
    at = os.open(watched.path, os.O_RDONLY)
    os.link(f"/proc/self/fd/{fd}", "named", dst_dir_fd=at, follow_symlinks=True)
    os.close(fd)
    os.close(at)
    assert watched.now() == ["a", "b", "c/", "named"]


def test_any_change_to_a_watched_directory_is_seen_at_once(watched):
    random.seed(3)
    pool = [watched.path / f"{n:02}" for n in range(30)]
    verbs = [os.mknod, os.unlink, os.mkdir, os.rmdir, os.rename, os.link]
    for _ in range(1500):
        verb = random.choice(verbs)
        with contextlib.suppress(OSError):
            verb(*random.sample(pool, 2 if verb in (os.rename, os.link) else 1))
        if random.random() < 0.1:
            os.chmod(watched.path, 0o755)  # moves its ctime and reports nothing
        assert watched.now() == there(watched)


def test_another_process_changes_a_watched_directory(watched):
    program = (
        "import os, sys\n"
        "for line in sys.stdin:\n"
        "    n = line.strip(); os.mknod(n); os.rename(n, 'x' + n); print(flush=True)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program], cwd=watched.path, text=True, stdin=-1, stdout=-1
    )
    with other:
        for n in range(1000):
            other.stdin.write(f"{n:04}\n")
            other.stdin.flush()
            other.stdout.readline()
            found = watched.now()
            assert found[-1] == f"x{n:04}"
            assert len(found) == 4 + n


def test_pages_while_others_write_miss_nothing_that_was_done_before(watched, monkeypatch):
    """A name made before a page began is in it, a name deleted before is not."""
    monkeypatch.setattr(names, "_MOST_CHANGES", 200)  # so it is read again and again, too
    made, removed, stop = [], [], threading.Event()

    def write():
        for n in itertools.count():
            if stop.is_set():
                return
            os.mknod(watched.path / f"n{n}", 0o100644)
            made.append(f"n{n}")
            if n % 3 == 0:
                removing.add(f"n{n}")
                os.unlink(watched.path / f"n{n}")
                removed.append(f"n{n}")

    removing = set()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(100):
            had, lost = len(made), len(removed)
            found = set(watched.now())
            assert found.isdisjoint(removed[:lost])
            assert set(made[:had]) - removing <= found
    finally:
        stop.set()
        writer.join()


def test_more_changes_than_are_kept_mean_reading_again(watched, monkeypatch):
    monkeypatch.setattr(names, "_MOST_CHANGES", 10)
    for n in range(40):
        watched.make(f"n{n:02}")
        assert watched.now() == there(watched)


def test_a_queue_that_overflowed_is_not_believed(watched, monkeypatch):
    watched.make("lost")
    queues = [struct.pack("=iIII", -1, 0x4000, 0, 0)]  # IN_Q_OVERFLOW, all that is left of it
    with monkeypatch.context() as instead:
        instead.setattr(watch, "_read", lambda fd: queues.pop() if queues else b"")
        assert watched.now() == there(watched)
    for name in ("later", "last"):
        watched.make(name)
        assert watched.now() == there(watched)


def test_a_change_that_nobody_reported_is_found_by_its_time(watched):
    watched.now()
    watched.now()
    watched.cache._watcher._watched.clear()  # the kernel's reports reach nobody now
    watched.make("unheard")
    assert watched.now() == ["a", "b", "c/", "unheard"]


def test_a_child_process_does_not_read_its_parents_queue(watched):
    watched.make("d")
    child = os.fork()
    if not child:
        os._exit(watched.now() != there(watched))
    assert os.waitpid(child, 0)[1] == 0
    assert watched.now() == there(watched)


def test_watches_end_with_what_they_watch(watched, monkeypatch):
    assert len(watched.cache._watcher._watched) == 1
    watched.cache.close()
    assert not watched.cache._watcher._watched
    assert watched.now() == there(watched)


def test_without_watches_directories_are_read(folder, monkeypatch):
    monkeypatch.setattr(names, "_WORTH_WATCHING", 0)
    monkeypatch.setattr(watch, "_MOST", 0)
    for n in range(10):
        folder.make(f"n{n}")
        assert folder.now() == there(folder)


def test_a_quiet_directory_is_not_watched(folder, monkeypatch):
    monkeypatch.setattr(names, "_WORTH_WATCHING", 0)
    folder.make("a")
    time.sleep(0.045)
    folder.now()
    folder.now()
    assert not folder.cache._watcher._watched


def test_directories_elsewhere_are_not_watched(folder, monkeypatch):
    monkeypatch.setattr(names, "_WORTH_WATCHING", 0)
    folder.cache = NameCache(local=False)
    for n in range(3):
        folder.make(f"n{n}")
        assert folder.now() == there(folder)
    assert not folder.cache._watcher._watched


# Names that move ---------------------------------------------------------------------------------


@pytest.fixture
def moving(folder, monkeypatch):
    """A directory in which k50 is replaced, and then missed, in as many readings as it is told."""
    monkeypatch.setattr(scan, "_PIECES", (256, 256))
    folder.make(*(f"k{n:02}" for n in range(60)))
    time.sleep(0.045)
    wanted, left = scan.Scan.wanted, [0]

    def miss(self, records):
        found = wanted(self, records)
        if "k50" in found and left[0]:
            left[0] -= 1
            folder.make("new")
            os.rename(folder.path / "new", folder.path / "k50")
            found = [name for name in found if name not in ("k50", "new")]
        return found

    monkeypatch.setattr(scan.Scan, "wanted", miss)
    return lambda times: left.__setitem__(0, times)


def test_a_name_that_moves_in_every_reading_is_not_missed(folder, moving):
    moving(99)
    assert folder.now() == [f"k{n:02}" for n in range(60)]


def test_a_name_that_moves_is_not_missed_where_no_watch_is_to_be_had(folder, moving, monkeypatch):
    monkeypatch.setattr(watch.Watcher, "begin", lambda self, fd: None)
    moving(2)
    assert folder.now() == [f"k{n:02}" for n in range(60)]


def test_a_name_that_moves_on_a_network_file_system_is_not_missed(folder, moving):
    moving(1)
    assert folder.now(cache=NameCache(local=False)) == [f"k{n:02}" for n in range(60)]


def test_a_directory_that_one_call_reads_is_read_once(folder, moving, monkeypatch):
    monkeypatch.setattr(scan, "_PIECES", (32 << 10, 256 << 10))
    moving(1)
    assert "k50" not in folder.now()


def test_the_oldest_watch_makes_room_for_a_directory_that_changes_while_it_is_read(
    folder, moving, tmp_path_factory, monkeypatch
):
    monkeypatch.setattr(watch, "_MOST", 1)
    monkeypatch.setattr(names, "_WORTH_WATCHING", 0)
    moving(99)
    folder.now()
    other = Folder(tmp_path_factory.mktemp("other"))
    other.make(*(f"o{n:02}" for n in range(60)))
    assert other.now(cache=folder.cache) == [f"o{n:02}" for n in range(60)]
    assert folder.now() == [f"k{n:02}" for n in range(60)]
