"""What crashes leave is swept: old, nobody's, and ours; nothing else."""

import fcntl
import os

import pytest

from s3filters.store import sweep
from tests.unit.store.conftest import BUCKET, attributes

OURS = "put.0123456789abcdef"
VERSITYS = "a" * 64 + ".123456789"


@pytest.fixture
def hidden(box):
    made = box.path / ".sgwtmp"
    made.mkdir()
    for name in (OURS, VERSITYS, "lock", "something"):
        (made / name).touch()
    (made / "multipart").mkdir()
    return made


def test_files_on_their_way_are_swept_and_nothing_else(box, hidden, no_open_files):
    assert box.store.sweep(0) == 2
    assert sorted(os.listdir(hidden)) == ["lock", "multipart", "something"]
    assert box.store.sweep(0) == 0


def test_what_is_young_stays(box, hidden):
    assert box.store.sweep(60) == 0
    assert len(os.listdir(hidden)) == 5


def test_what_somebody_is_writing_stays_however_old(box, hidden):
    with (hidden / OURS).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert box.store.sweep(0) == 1
        assert OURS in os.listdir(hidden)
    assert box.store.sweep(0) == 1


def test_a_draft_without_o_tmpfile_survives_a_sweep(box):
    box.store.tmpfile = False
    with box.store.draft(BUCKET, "key") as draft:
        draft.write(b"x")
        assert box.store.sweep(0) == 0
        draft.commit(attributes())
    assert box.get("key") == b"x"


def test_buckets_that_got_no_name_are_swept(box):
    (box.root / ".new.sgwtmp.123").mkdir()
    (box.root / ".full.sgwtmp.123").mkdir()
    (box.root / ".full.sgwtmp.123" / "file").touch()
    (box.root / ".mine").mkdir()
    assert box.store.sweep(0) == 1
    assert sorted(os.listdir(box.root)) == [".full.sgwtmp.123", ".mine", BUCKET]


def test_two_sweeps_do_not_run_at_once(box, hidden):
    root = os.open(box.root, os.O_RDONLY)
    fcntl.flock(root, fcntl.LOCK_EX)
    assert box.store.sweep(0) == 0
    os.close(root)
    assert box.store.sweep(0) == 2


def test_a_file_system_without_locks_on_directories_is_swept(box, hidden, monkeypatch):
    real = fcntl.flock

    def flock(fd, how):
        if os.path.isdir(f"/proc/self/fd/{fd}"):
            raise OSError("no")
        real(fd, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    assert box.store.sweep(0) == 2


def test_odd_things_with_our_names_stay(box, hidden):
    for at, make in enumerate((os.mkdir, os.mkfifo)):
        make(hidden / f"put.{at:016x}")
    os.symlink("something", hidden / "put.ffffffffffffffff")
    (box.root / "file").touch()
    (box.root / "other").mkdir()
    assert box.store.sweep(0) == 2
    assert len([n for n in os.listdir(hidden) if n.startswith("put.")]) == 3


def test_a_name_that_goes_meanwhile_is_no_error(box, hidden, monkeypatch):
    monkeypatch.setattr(sweep, "_old_names", lambda *_: [OURS, "put.1111111111111111"])
    assert box.store.sweep(0) == 1
