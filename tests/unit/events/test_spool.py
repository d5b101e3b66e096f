"""Events on their way: kept before they happen, bounded, found again."""

import errno
import os
import shutil
import time

import pytest

from s3filters.events.spool import LEFT_S, Spool


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "events" / "file" / "here"


@pytest.fixture
def spool(folder):
    return Spool(folder, 3)


def happen(spool, id_, message=b"{}"):
    spool.prepare(id_, message).happened()


def ids(spool):
    return [path.name.removesuffix(".json") for path in spool.waiting()]


def test_no_folder_is_made_before_there_is_an_event(spool, folder):
    assert spool.waiting() == []
    assert not spool.lead()
    assert not folder.exists()


def test_what_happened_waits(spool):
    happen(spool, "a", b"message")
    (path,) = spool.waiting()
    assert path.read_bytes() == b"message"


def test_those_that_waited_longest_are_first(spool):
    for number, id_ in enumerate("cab"):
        happen(spool, id_)
        os.utime(spool.folder / f"{id_}.json", (1000 + number,) * 2)
    assert ids(spool) == ["c", "a", "b"]


def test_what_is_only_about_to_happen_is_not_told(spool, folder):
    prepared = spool.prepare("a", b"")
    assert len(os.listdir(folder)) == 1
    assert spool.waiting() == []
    prepared.did_not()
    assert os.listdir(folder) == []


def test_what_a_death_left_about_to_happen_is_told_in_the_end(spool, folder):
    spool.prepare("a", b"left")
    (name,) = os.listdir(folder)
    os.utime(folder / name, (time.time() - LEFT_S - 1,) * 2)
    (path,) = Spool(folder, 3).waiting()
    assert path.read_bytes() == b"left"


def test_an_event_told_twice_before_it_was_delivered_waits_once(spool):
    for _ in range(3):
        happen(spool, "a")
    assert ids(spool) == ["a"]


def test_no_more_are_taken_than_may_wait(spool, folder):
    for id_ in "abc":
        happen(spool, id_)
    with pytest.raises(OSError, match="3 events wait") as caught:
        spool.prepare("d", b"")
    assert caught.value.errno == errno.EAGAIN
    assert sorted(os.listdir(folder)) == ["a.json", "b.json", "c.json"]


def test_the_lock_is_no_event(spool, folder):
    happen(spool, "a")
    assert spool.lead()
    other = Spool(folder, 2)
    happen(other, "b")
    assert ids(other) == ["a", "b"]


def test_another_process_counts_those_that_wait_too(spool, folder):
    for id_ in "abc":
        happen(spool, id_)
    with pytest.raises(OSError, match="wait"):
        Spool(folder, 3).prepare("d", b"")


def test_there_is_room_again_when_some_were_taken(spool, folder, monkeypatch):
    monkeypatch.setattr("s3filters.events.spool._COUNT_S", 0.0)
    for id_ in "abc":
        happen(spool, id_)
    (folder / "a.json").unlink()
    happen(spool, "d")


def test_a_message_is_synced_before_what_it_tells_of_is_done(spool, folder, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.fstat(fd).st_ino), real(fd)))
    spool.prepare("a", b"message")
    (name,) = os.listdir(folder)
    assert synced[-2:] == [(folder / name).stat().st_ino, folder.stat().st_ino]
    assert folder.parent.stat().st_ino in synced


def test_nothing_is_synced_where_nothing_is_durable(folder, monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda _fd: pytest.fail("synced"))
    happen(Spool(folder, 3, durable=False), "a")


def test_one_delivers_at_a_time(spool, folder):
    happen(spool, "a")
    other = Spool(folder, 3)
    assert (spool.lead(), other.lead(), spool.lead()) == (True, False, True)
    spool.leave()
    assert (other.lead(), spool.lead()) == (True, False)
    other.leave()


def test_who_has_the_lock_of_a_folder_that_was_removed_has_none(spool, folder):
    happen(spool, "a")
    assert spool.lead()
    shutil.rmtree(folder)
    assert not spool.lead()
    happen(spool, "b")
    other = Spool(folder, 3)
    assert other.lead()
    assert not spool.lead()
    other.leave()
    assert spool.lead()
    (folder / "lock").unlink()
    assert spool.lead()
    assert not other.lead()


def test_whoever_leads_leaves_no_descriptor(spool, folder):
    before = len(os.listdir("/proc/self/fd"))
    happen(spool, "a")
    other = Spool(folder, 3)
    for _ in range(3):
        assert spool.lead()
        assert not other.lead()
    spool.leave()
    spool.leave()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_spool_is_left_when_nobody_was_at_it_for_long(spool, folder):
    long_ago = (time.time() - LEFT_S - 1,) * 2
    assert not spool.is_left()
    happen(spool, "a")
    assert not spool.is_left()
    os.utime(folder / "a.json", long_ago)
    assert spool.is_left()
    assert spool.lead()
    assert not spool.is_left()
    os.utime(folder / "lock", long_ago)
    assert spool.is_left()


def test_not_all_that_wait_are_held_in_memory(spool, monkeypatch):
    monkeypatch.setattr("s3filters.events.spool.BATCH", 2)
    for number, id_ in enumerate("abc"):
        happen(spool, id_)
        os.utime(spool.folder / f"{id_}.json", (1000 - number,) * 2)
    assert ids(spool) == ["c", "b"]


def test_strangers_cannot_read_what_waits(spool, folder):
    happen(spool, "a")
    assert folder.stat().st_mode & 0o777 == 0o700


def test_what_happens_wakes_who_waits(spool):
    happen(spool, "a")
    begun = time.monotonic()
    spool.pause(10)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_is_no_event_and_stays(spool, folder, tmp_path, kind):
    (tmp_path / "file").write_bytes(b"precious")
    happen(spool, "real")
    for name in ("a.json", "new.b.host.1.0"):
        if kind == "link":
            (folder / name).symlink_to(tmp_path / "file")
        else:
            {"fifo": os.mkfifo, "folder": os.mkdir}[kind](folder / name)
        os.utime(folder / name, (1, 1), follow_symlinks=False)
    assert ids(spool) == ["real"]
    assert len(os.listdir(folder)) == 3


def test_a_file_where_the_folder_belongs_is_an_error_to_who_needs_it(spool, folder):
    folder.parent.mkdir(parents=True)
    folder.write_bytes(b"precious")
    assert spool.waiting() == []
    assert not spool.is_left()
    with pytest.raises(OSError, match="Not a directory"):
        spool.prepare("a", b"message")
    assert folder.read_bytes() == b"precious"


def test_a_lock_that_leads_elsewhere_is_not_followed(spool, folder, tmp_path):
    happen(spool, "a")
    (folder / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        spool.lead()
    assert not (tmp_path / "elsewhere").exists()
