"""What crashes leave is swept: old, nobody's, and ours; nothing else."""

import fcntl
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from s3filters.store import locks, removing, sweep, uploads
from s3filters.store.leading import Leading
from s3filters.store.uploads import Upload
from tests.unit.store import multipart as multipart_words
from tests.unit.store.conftest import BUCKET, attributes

OURS = "put.0123456789abcdef"
VERSITYS = "a" * 64 + ".123456789"
UPLOAD = "386a110b-b0b4-4fef-bf2d-4e765e844d1b"
CLAIMED = f"{UPLOAD}.c388257bed0997141334085ff26dc81e-2.inprogress"


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


def test_two_sweeps_of_a_bucket_do_not_run_at_once(box, hidden):
    fd = os.open(hidden, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    assert box.store.sweep(0) == 0
    os.close(fd)
    assert box.store.sweep(0) == 2


def test_what_crashes_left_is_swept_though_somebody_leads(box, hidden):
    leading = Leading(box.store.root)
    assert leading
    try:
        assert box.store.sweep(0) == 2
    finally:
        leading.close()


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


def test_folders_of_nodes_are_looked_into_and_none_in_them(box, hidden):
    """Somebody may have put so many in one another that nobody can go down to the last."""
    (hidden / "node.x" / "node.x").mkdir(parents=True)
    for folder in ("node.x", "node.x/node.x"):
        (hidden / folder / OURS).touch()
    assert box.store.sweep(0) == 3
    assert os.listdir(hidden / "node.x" / "node.x") == [OURS]


def test_a_file_or_a_bucket_that_may_not_be_opened_keeps_nobody_from_the_rest(
    box, hidden, monkeypatch, caplog
):
    for number in range(3):
        (hidden / f"put.{number:016x}").touch()
    box.store.create_bucket("another", "me")
    (box.root / "another" / ".sgwtmp" / "multipart").mkdir(parents=True, exist_ok=True)
    real = os.open

    def refuse(name, *args, **options):
        if name in ("put.0000000000000001", "multipart"):
            raise PermissionError(13, "no")
        return real(name, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    box.store.sweep(0)
    assert [n for n in os.listdir(hidden) if n.startswith("put.")] == ["put.0000000000000001"]
    assert "another could not be swept" in caplog.text
    assert f"{BUCKET} could not be swept" in caplog.text


def test_a_link_out_of_the_root_is_no_bucket_to_sweep(box, hidden, tmp_path_factory, caplog):
    outside = tmp_path_factory.mktemp("outside")
    (outside / ".sgwtmp").mkdir()
    (outside / ".sgwtmp" / OURS).touch()
    for name in ("aaa", "zzz"):
        (box.root / name).symlink_to(outside)
    assert box.store.sweep(0) == 2
    assert os.listdir(outside / ".sgwtmp") == [OURS]
    assert not caplog.text


@pytest.mark.parametrize("openat2", [True, False])
def test_nothing_is_swept_behind_a_link_in_the_place_of_sgwtmp(box, openat2):
    box.store.root.can_openat2 &= openat2
    folder = box.path / "folder"
    (folder / "node.x").mkdir(parents=True)
    (folder / OURS).touch()
    box.store.create_bucket("another", "me")
    shutil.rmtree(box.root / "another" / ".sgwtmp", ignore_errors=True)
    (box.root / "another" / ".sgwtmp").symlink_to(f"../{BUCKET}/folder")
    assert box.store.sweep(0) == 0
    assert sorted(os.listdir(folder)) == ["node.x", OURS]


# Uploads -----------------------------------------------------------------------------------------


@pytest.fixture
def multipart(box):
    made = box.path / ".sgwtmp" / "multipart"
    made.mkdir(parents=True)
    return made


def left(multipart):
    return sorted(str(path.relative_to(multipart)) for path in multipart.rglob("*"))


def test_what_ended_or_never_began_is_swept_with_all_that_is_in_it(box, multipart, no_open_files):
    key = "0" * 64
    for name in (f"{UPLOAD}.ended.inprogress", f"{UPLOAD}.new.inprogress"):
        (multipart / key / name / "deeper").mkdir(parents=True)
        (multipart / key / name / "1").write_bytes(b"x")
        (multipart / key / name / "deeper" / "2").write_bytes(b"x")
    (multipart / key / UPLOAD).mkdir()
    (multipart / key / UPLOAD / "1").touch()
    assert box.store.sweep(0) == 2
    assert left(multipart) == [key, f"{key}/{UPLOAD}", f"{key}/{UPLOAD}/1"]


def test_what_ended_or_began_lately_is_left_to_its_gateway(box, multipart):
    for end in ("ended", "new"):
        (multipart / ("0" * 64) / f"{UPLOAD}.{end}.inprogress").mkdir(parents=True)
    (multipart / ("1" * 64)).mkdir()
    before = left(multipart)
    assert box.store.sweep(60) == 0
    assert left(multipart) == before


def test_what_ended_goes_with_its_bucket_also_while_another_removes_it(box, multipart, monkeypatch):
    (multipart / ("0" * 64) / f"{UPLOAD}.ended.inprogress").mkdir(parents=True)
    now_ns = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now_ns - 10**9)  # it changed after we began
    fd = os.open(multipart.parent, os.O_RDONLY)
    try:
        assert sweep.sweep_uploads(fd, 60, ended_age_s=0) == 1
    finally:
        os.close(fd)
    assert left(multipart) == ["0" * 64]


def test_directories_of_keys_without_uploads_go(box, multipart):
    (multipart / ("0" * 64)).mkdir()
    (multipart / ("1" * 64) / f"{UPLOAD}.ended.inprogress").mkdir(parents=True)
    (multipart / ("2" * 64) / CLAIMED).mkdir(parents=True)
    box.store.sweep(0)
    assert left(multipart) == ["2" * 64, "2" * 64 + "/" + CLAIMED]


def test_parts_on_their_way_are_swept_unless_somebody_writes_them(box, multipart):
    (multipart / ("0" * 64) / UPLOAD).mkdir(parents=True)
    (multipart / ("0" * 64) / VERSITYS).touch()
    (multipart / ("0" * 64) / OURS).touch()
    with (multipart / ("0" * 64) / OURS).open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert box.store.sweep(0) == 1
    assert sorted(os.listdir(multipart / ("0" * 64))) == [UPLOAD, OURS]


def test_links_in_the_directory_of_uploads_lead_nowhere(box, multipart, tmp_path):
    mine = tmp_path / "mine"
    (mine / f"{UPLOAD}.ended.inprogress").mkdir(parents=True)
    (mine / f"{UPLOAD}.ended.inprogress" / "file").touch()
    (multipart / ("0" * 64)).symlink_to(mine)
    (multipart / ("1" * 64)).mkdir()
    (multipart / ("1" * 64) / "x.ended.inprogress").symlink_to(mine)
    ended = multipart / ("1" * 64) / "y.ended.inprogress"
    ended.mkdir()
    (ended / "1").symlink_to(mine / f"{UPLOAD}.ended.inprogress" / "file")
    (ended / "2").symlink_to(mine)
    assert box.store.sweep(0) == 1
    assert not ended.exists()
    assert (mine / f"{UPLOAD}.ended.inprogress" / "file").exists()


def test_a_directory_that_may_not_be_read_keeps_nobody_from_the_rest(box, multipart, monkeypatch):
    for key in "012":
        (multipart / (key * 64) / f"{UPLOAD}.ended.inprogress").mkdir(parents=True)
    real = os.open

    def refuse(name, *args, **options):
        if name == "1" * 64:
            raise PermissionError(13, "no")
        return real(name, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert box.store.sweep(0) == 2
    assert left(multipart) == ["1" * 64, "1" * 64 + f"/{UPLOAD}.ended.inprogress"]


def test_an_upload_that_gets_its_name_this_moment_is_not_touched(box, multipart, monkeypatch):
    new = multipart / ("0" * 64) / f"{UPLOAD}.new.inprogress"
    new.mkdir(parents=True)
    real = os.rename

    def rename(name, *args, **options):
        if name == new.name:
            real(new, new.with_name(UPLOAD))
        real(name, *args, **options)

    monkeypatch.setattr(os, "rename", rename)
    assert box.store.sweep(0) == 0
    assert left(multipart) == ["0" * 64, "0" * 64 + "/" + UPLOAD]


def begin(box, key="key"):
    box.store.create_upload(Upload(BUCKET, key, UPLOAD, time.time_ns()))
    (folder,) = (box.path / ".sgwtmp" / "multipart").iterdir()
    return folder


def finish(box, key="key", upload_id=UPLOAD):
    """Store an object as completing the upload does."""
    box.put(key, b"12", changes={"parts": (2,), "upload_id": upload_id, "etag": "0" * 32 + "-1"})


def test_an_upload_whose_object_is_there_is_ended(box, no_open_files):
    folder = begin(box)
    finish(box)
    assert box.store.sweep(60) == 0
    assert box.store.sweep(0) == 1
    removing.settle()
    assert not (folder / UPLOAD).exists()
    assert box.get("key") == b"12"


def test_an_object_is_on_the_disk_before_its_upload_is_ended(make_box, monkeypatch):
    box = make_box(durability="full")
    folder = begin(box, "a/key")
    finish(box, "a/key")
    done = []
    real_sync, real_rename = os.fsync, os.rename

    def sync(fd):
        done.append(os.readlink(f"/proc/self/fd/{fd}"))
        real_sync(fd)

    def rename(name, other, **options):
        done.append(os.fsdecode(name))
        real_rename(name, other, **options)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "rename", rename)
    assert box.store.sweep(0) == 1
    removing.settle()
    assert not (folder / UPLOAD).exists()
    synced = done[: done.index(UPLOAD)]
    assert {str(box.path / "a" / "key"), str(box.path / "a"), str(box.path)} <= set(synced)


def test_an_upload_whose_object_another_made_is_in_progress(box):
    folder = begin(box)
    finish(box, upload_id="486a110b-b0b4-4fef-bf2d-4e765e844d1b")
    assert box.store.sweep(0) == 0
    assert (folder / UPLOAD).exists()


def test_an_upload_that_is_being_completed_is_left_alone(box):
    folder = begin(box)
    finish(box)
    path = uploads.path_of(BUCKET, "key", UPLOAD)
    with locks.hold_upload(box.store.root, path):
        assert box.store.sweep(0) == 0
    assert (folder / UPLOAD).exists()


def test_an_upload_that_another_gateway_left_claimed_is_in_progress_again(box, monkeypatch):
    folder = begin(box)
    os.rename(folder / UPLOAD, folder / CLAIMED)
    assert box.store.sweep(0) == 0
    assert os.listdir(folder) == [CLAIMED]  # it may be at it still
    monkeypatch.setattr(uploads, "ABANDONED_S", 0)
    assert box.store.sweep(0) == 0
    assert [each.id for each in box.store.uploads(BUCKET)] == [UPLOAD]


def test_an_upload_that_another_gateway_completed_and_left_is_ended(box, monkeypatch):
    folder = begin(box)
    finish(box)
    os.rename(folder / UPLOAD, folder / CLAIMED)
    monkeypatch.setattr(uploads, "ABANDONED_S", 0)
    assert box.store.sweep(0) == 1
    removing.settle()
    assert left(folder.parent) in ([], [folder.name])


def test_an_upload_of_a_key_that_is_not_what_it_says_is_not_touched(box, multipart):
    (multipart / ("0" * 64) / CLAIMED).mkdir(parents=True)
    os.setxattr(multipart / ("0" * 64), "user.objname", b"other")
    (multipart / ("1" * 64) / "not-an-id.inprogress").mkdir(parents=True)
    before = left(multipart)
    assert box.store.sweep(0) == 0
    assert left(multipart) == before


def upload_until(box, key, until):
    """Complete and abort one upload after the other, of one key."""
    for number in range(1000):
        if time.monotonic() > until:
            return
        upload = multipart_words.begin(box, key)
        for part in (1, 2):
            multipart_words.put(box, upload, part, b"%d" % number)
        if number % 2:
            box.store.end_upload(BUCKET, key, upload.id)
        else:
            box.store.complete((BUCKET, key, upload.id), [1, 2], multipart_words.describe)
            assert box.get(key) == b"%d%d" % (number, number)
            box.delete(key)  # replacing it takes a hidden name, which has to be young to be safe


def sweep_until(box, until):
    while time.monotonic() < until:
        box.store.sweep(0)


def test_sweeps_do_not_hinder_uploads_that_begin_and_end_meanwhile(box):
    until = time.monotonic() + 0.7
    with ThreadPoolExecutor(4) as pool:
        running = [pool.submit(upload_until, box, key, until) for key in ("a", "b/c")]
        running += [pool.submit(sweep_until, box, until) for _ in range(2)]
        for each in running:
            each.result()
    removing.settle()
    box.store.sweep(0)
    assert left(box.path / ".sgwtmp" / "multipart") == []
