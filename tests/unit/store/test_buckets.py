"""Buckets: appearing whole, listed in order, and gone only when nothing of worth is in them."""

import errno
import fcntl
import os
import threading
import time
from pathlib import Path

import pytest

from s3filters.store import buckets, errors, filesystem, locks, parents, sweep
from s3filters.store.errors import BucketAlreadyExists, BucketNotEmpty, NoSuchBucket
from tests.unit.store.conftest import BUCKET, attributes

UPLOAD = "386a110b-b0b4-4fef-bf2d-4e765e844d1b"


def test_a_bucket_is_made_as_versitys_gateway_makes_it(box):
    path = box.root / "new"
    before = time.time_ns()
    box.store.create_bucket("new", "me")
    assert os.getxattr(path, "user.acl") == (
        b'{"Owner":"me","Grantees":[{"Permission":"FULL_CONTROL","Access":"me","Type":"CanonicalUser"}]}'
    )
    assert os.getxattr(path, "user.ownership") == b"BucketOwnerEnforced"
    record = box.store.bucket("new")
    assert (record.name, record.owner) == ("new", "me")
    assert before <= record.created_ns <= time.time_ns()
    assert sorted(os.listdir(box.root)) == [BUCKET, "new"]


def test_its_date_does_not_move_with_its_objects(box):
    created = box.store.bucket(BUCKET).created_ns
    time.sleep(0.02)
    box.put("key")
    assert box.store.bucket(BUCKET).created_ns == created


def test_a_folder_of_a_person_is_a_bucket_of_nobody(box):
    (box.root / "mine").mkdir()
    record = box.store.bucket("mine")
    assert (record.owner, record.created_ns) == ("", os.stat(box.root / "mine").st_mtime_ns)


@pytest.mark.parametrize("acl", [b"", b"{", b"[]", b'{"Owner":1}'])
def test_a_broken_acl_names_no_owner(box, acl):
    os.setxattr(box.path, "user.acl", acl)
    assert box.store.bucket(BUCKET).owner == ""


def test_buckets_are_listed_in_order_and_nothing_else_is(box):
    for name in ("b.2", "b-1", "UPPER", "xx", ".hidden", "10.0.0.1"):
        (box.root / name).mkdir()
    (box.root / "file").touch()
    (box.root / "link").symlink_to(BUCKET)
    assert [b.name for b in box.store.buckets()] == ["b-1", "b.2", BUCKET]


@pytest.mark.parametrize("call", ["stat", "getxattr", "scandir"])
def test_errors_of_reading_are_named(box, monkeypatch, call, no_open_files):
    def refuse(*_, **__):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(errors.InternalError):
        box.store.buckets()
    if call != "scandir":
        with pytest.raises(errors.InternalError):
            box.store.bucket(BUCKET)


def test_a_bucket_deleted_while_they_are_listed_is_left_out(box, monkeypatch):
    (box.root / "other").mkdir()
    real = buckets.Buckets.get

    def get(self, name):
        if name == "other":
            raise NoSuchBucket
        return real(self, name)

    monkeypatch.setattr(buckets.Buckets, "get", get)
    assert [b.name for b in box.store.buckets()] == [BUCKET]


def test_what_is_no_bucket_is_said_so(box):
    (box.root / "file").touch()
    for name in ("none", "file", "..", "", "UPPER"):
        with pytest.raises(NoSuchBucket):
            box.store.bucket(name)
        with pytest.raises(NoSuchBucket):
            box.store.delete_bucket(name)


def test_a_linked_bucket_inside_the_root_is_used_and_not_deleted(box, tmp_path):
    (box.root / "link").symlink_to(BUCKET)
    box.store.put_small("link", "key", b"x", attributes())
    assert box.get("key") == b"x"
    assert box.store.bucket("link").owner == "me"
    with pytest.raises(errors.MethodNotAllowed):
        box.store.delete_bucket("link")
    (tmp_path / "outside").mkdir()
    (box.root / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(errors.AccessDenied):
        box.store.bucket("out")


def test_a_change_of_owner_behind_the_store_is_seen(box):
    time.sleep(0.05)
    first = box.store.bucket(BUCKET)
    assert box.store.bucket(BUCKET) is first
    os.setxattr(box.path, "user.acl", b'{"Owner":"you"}')
    assert box.store.bucket(BUCKET).owner == "you"


def test_what_is_remembered_of_buckets_is_bounded_and_forgotten(box, monkeypatch):
    tree = box.store
    known = buckets.Buckets(tree)
    monkeypatch.setattr(buckets, "_MOST_KNOWN", 2)
    monkeypatch.setattr(buckets, "is_proof", lambda *_: True)
    for name in ("one", "two", "three"):
        tree.create_bucket(name, "me")
        known.get(name)
        assert len(known._known) <= 2
    tree.delete_bucket("three")
    with pytest.raises(errors.NoSuchBucket):
        known.get("three")
    assert "three" not in known._known


def test_a_bucket_is_made_once(box):
    with pytest.raises(BucketAlreadyExists):
        box.store.create_bucket(BUCKET, "you")
    (box.root / "file").touch()
    with pytest.raises(BucketAlreadyExists):
        box.store.create_bucket("file", "you")
    assert box.store.bucket(BUCKET).owner == "me"
    assert sorted(os.listdir(box.root)) == [BUCKET, "file"]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_of_many_that_make_one_bucket_one_does(box, monkeypatch, can_exchange):
    if not can_exchange:  # NFS has no RENAME_NOREPLACE

        def refuse(*_):
            raise OSError(errno.EINVAL, "no")

        monkeypatch.setattr(filesystem, "rename_if_absent", refuse)
    made = []

    def make(n):
        try:
            box.store.create_bucket("new", f"owner{n}")
            made.append(n)
        except BucketAlreadyExists:
            pass

    threads = [threading.Thread(target=make, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert box.store.bucket("new").owner == f"owner{made[0]}"
    assert sorted(os.listdir(box.root)) == [BUCKET, "new"]


def test_a_bucket_that_cannot_be_described_does_not_appear(box, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EDQUOT, "no")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(errors.QuotaExceeded):
        box.store.create_bucket("new", "me")
    assert os.listdir(box.root) == [BUCKET]


def test_an_unusual_error_of_renaming_is_named(box, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(filesystem, "rename_if_absent", refuse)
    with pytest.raises(errors.InternalError):
        box.store.create_bucket("new", "me")


def test_a_new_bucket_is_synced(make_box, monkeypatch):
    box = make_box(durability="full")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    box.store.create_bucket("new", "me")
    assert synced[-1] == str(box.root)
    assert len(synced) == 2
    synced.clear()
    with pytest.raises(errors.BucketAlreadyExists):  # whoever made it may not have synced it yet
        box.store.create_bucket("new", "me")
    assert synced[-1] == str(box.root)
    synced.clear()
    box.store.delete_bucket("new")
    assert synced[-1] == str(box.root)


# Deleting ----------------------------------------------------------------------------------------


def test_folders_that_are_deeper_than_any_key_keep_the_bucket(box):
    """Whoever owns a folder can mark those in it as ours, in one another without end."""
    at = box.path
    for _ in range(140):
        at /= "12345678"
    at.mkdir(parents=True)
    while at != box.path:
        os.setxattr(at, parents.MADE, b"1")
        at = at.parent
    with pytest.raises(errors.BucketNotEmpty):
        box.store.delete_bucket(BUCKET)
    assert len(os.listdir(box.path)) == 1


def test_an_empty_bucket_is_deleted_with_locks_and_folders_of_ours(box, no_open_files):
    for key in ("a/b/key", "key"):
        box.put(key)
        box.put(key)
        box.delete(key)
    (box.path / "left" / "over").mkdir(parents=True)
    for folder in ("left", "left/over"):
        os.setxattr(box.path / folder, parents.MADE, b"1")
    ended = box.path / ".sgwtmp" / "multipart" / ("0" * 64) / f"{UPLOAD}.ended.inprogress"
    ended.mkdir(parents=True)
    (ended / "1").write_bytes(b"part")
    box.store.delete_bucket(BUCKET)
    assert os.listdir(box.root) == []
    with pytest.raises(NoSuchBucket):
        box.put("key")


def test_what_a_crash_left_beside_an_object_does_not_keep_the_bucket(box, monkeypatch):
    left = box.path / "left"
    left.mkdir()
    os.setxattr(left, parents.MADE, b"1")
    for path in (box.path / ".x.sgwtmp.123", left / ".key.sgwtmp.1732216308000000000"):
        path.write_bytes(b"a")
    assert box.store.sweep(0) == 0  # it does not walk the tree
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket(BUCKET)  # so young may be somebody's
    monkeypatch.setattr(buckets, "BUSY_S", 0)
    box.store.delete_bucket(BUCKET)
    assert os.listdir(box.root) == []


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere"), Path.touch])
@pytest.mark.parametrize("name", [".x.sgwtmp.12x", "x.sgwtmp.123", ".x.sgwtmp.123"])
def test_what_only_looks_like_it_or_is_in_use_keeps_the_bucket(box, monkeypatch, make, name):
    make(box.path / name)
    monkeypatch.setattr(buckets, "BUSY_S", 0)
    with open(box.path / name if make is Path.touch else os.devnull) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BucketNotEmpty):
            box.store.delete_bucket(BUCKET)
    assert os.listdir(box.path) == [name]


def fill_with_object(box):
    box.put("a/key")


def fill_with_directory_object(box):
    box.store.put_directory(BUCKET, "a/", attributes())


def fill_with_foreign_folder(box):
    (box.path / "mine").mkdir()


def fill_with_foreign_folder_in_ours(box):
    (box.path / "ours" / "mine").mkdir(parents=True)
    os.setxattr(box.path / "ours", parents.MADE, b"1")


def fill_with_link(box):
    (box.path / "link").symlink_to("nowhere")


def fill_with_upload(box):
    (box.path / ".sgwtmp" / "multipart" / ("0" * 64) / UPLOAD).mkdir(parents=True)


def fill_with_claimed_upload(box):
    claimed = f"{UPLOAD}.c388257bed0997141334085ff26dc81e-2.inprogress"
    (box.path / ".sgwtmp" / "multipart" / ("0" * 64) / claimed).mkdir(parents=True)


def fill_with_upload_that_begins(box):
    new = f"{UPLOAD}.new.inprogress"
    (box.path / ".sgwtmp" / "multipart" / ("0" * 64) / new).mkdir(parents=True)


def fill_with_work(box):
    (box.path / ".sgwtmp").mkdir()
    (box.path / ".sgwtmp" / "put.0123456789abcdef").touch()


def fill_with_unknown(box):
    (box.path / ".sgwtmp").mkdir()
    (box.path / ".sgwtmp" / "what is this").touch()


def fill_with_marked_file(box):
    (box.path / "file").touch()
    os.setxattr(box.path / "file", parents.MADE, b"1")


@pytest.mark.parametrize(
    "fill",
    [
        fill_with_object,
        fill_with_directory_object,
        fill_with_foreign_folder,
        fill_with_foreign_folder_in_ours,
        fill_with_link,
        fill_with_upload,
        fill_with_claimed_upload,
        fill_with_upload_that_begins,
        fill_with_work,
        fill_with_unknown,
        fill_with_marked_file,
    ],
)
def test_a_bucket_with_something_of_worth_is_not_deleted(box, fill, no_open_files):
    fill(box)
    before = box.files(), sorted(os.walk(box.path / ".sgwtmp"))
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket(BUCKET)
    assert (box.files(), sorted(os.walk(box.path / ".sgwtmp"))) == before


def test_a_check_sees_the_bucket_as_it_is_and_can_keep_it(box, no_open_files):
    box.store.configure_bucket(BUCKET, lambda record: {"policy": b"{}"})
    seen = []

    def refuse(record):
        seen.append((record.name, record.settings.get("policy")))
        raise errors.AccessDenied

    with pytest.raises(errors.AccessDenied):
        box.store.delete_bucket(BUCKET, refuse)
    assert seen == [(BUCKET, b"{}")]
    assert box.store.bucket(BUCKET).settings["policy"] == b"{}"
    box.store.delete_bucket(BUCKET, lambda record: None)
    assert os.listdir(box.root) == []
    with pytest.raises(NoSuchBucket):
        box.store.delete_bucket(BUCKET, refuse)


def test_a_bucket_that_changes_while_it_is_deleted_is_checked_again(box, monkeypatch):
    """Whoever waited for the lock goes on when its file is gone, and before the bucket is."""
    real = buckets._remove

    def remove(*args):
        if box.store.bucket(BUCKET).settings.get("policy") is None:
            box.store.configure_bucket(BUCKET, lambda record: {"policy": b"{}"})
        return real(*args)

    def check(record):
        if "policy" in record.settings:
            raise errors.AccessDenied

    monkeypatch.setattr(buckets, "_remove", remove)
    with pytest.raises(errors.AccessDenied):
        box.store.delete_bucket(BUCKET, check)
    assert box.store.bucket(BUCKET).settings["policy"] == b"{}"


def test_a_bucket_that_is_made_again_while_it_is_deleted_is_not_the_one(box, monkeypatch):
    real = buckets._sweep

    def sweep_and_make_again(*args):
        real(*args)
        (box.root / BUCKET).rmdir()
        box.store.create_bucket(BUCKET, "another")

    monkeypatch.setattr(buckets, "_sweep", sweep_and_make_again)
    with pytest.raises(NoSuchBucket):
        box.store.delete_bucket(BUCKET, lambda record: None)
    assert box.store.bucket(BUCKET).owner == "another"


def test_a_bucket_in_which_a_key_is_locked_is_not_deleted(box):
    with (
        locks.hold(box.store.root, f"{BUCKET}/key".encode()),
        pytest.raises(BucketNotEmpty),
    ):
        box.store.delete_bucket(BUCKET, lambda record: None)
    box.store.delete_bucket(BUCKET, lambda record: None)


def test_what_another_removes_meanwhile_is_no_error(box, monkeypatch):
    folder = box.path / ".sgwtmp" / "multipart" / ("0" * 64)
    folder.mkdir(parents=True)
    real = sweep.sweep_uploads

    def sweep_uploads(*args, **options):
        found = real(*args, **options)
        folder.rmdir()
        return found

    monkeypatch.setattr(sweep, "sweep_uploads", sweep_uploads)
    box.store.delete_bucket(BUCKET)
    assert os.listdir(box.root) == []


def test_a_put_that_is_in_time_keeps_the_bucket_and_its_object(box, monkeypatch):
    real = buckets._clear
    raced = []

    def clear(*args):
        taken = real(*args)
        if not raced:
            raced.append(args)
            box.put("in/time")
        return taken

    monkeypatch.setattr(buckets, "_clear", clear)
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket(BUCKET)
    assert box.get("in/time") == b"hello"


def test_a_lock_taken_again_and_again_ends_in_not_empty(box, monkeypatch):
    real = buckets._clear

    def clear(*args):
        taken = real(*args)
        (box.path / ".sgwtmp").mkdir()
        return taken

    monkeypatch.setattr(buckets, "_clear", clear)
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket(BUCKET)


def test_puts_and_the_deletion_of_their_bucket_never_lose_an_acknowledged_object(box):
    stop = time.monotonic() + 0.5
    broken = []

    def put_and_get():
        box.put("a/key", b"x")
        box.put("a/key", b"x")
        if box.get("a/key") != b"x":
            broken.append("content")
        box.delete("a/key")

    def delete_and_make():
        box.store.delete_bucket(BUCKET)
        box.store.create_bucket(BUCKET, "me")

    def repeat(act, *expected):
        while time.monotonic() < stop:
            try:
                act()
            except expected:
                continue
            except Exception as error:  # noqa: BLE001  the test looks at it
                broken.append(error)

    threads = [
        threading.Thread(target=repeat, args=(put_and_get, NoSuchBucket)),
        threading.Thread(target=repeat, args=(delete_and_make, NoSuchBucket, BucketNotEmpty)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert broken == []


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS])
def test_errors_of_deleting_are_named(box, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises((errors.InternalError, errors.MethodNotAllowed)):
        box.store.delete_bucket(BUCKET)
