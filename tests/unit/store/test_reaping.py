"""Uploads that are old and not in use are ended; all others stay, whatever is in the way."""

import os
import time

from s3filters.store import errors, reaping, uploads
from tests.unit.store.conftest import BUCKET
from tests.unit.store.multipart import begin, folder, put


def test_old_uploads_are_reaped_and_young_ones_stay(box):
    old = begin(box)
    _backdate(box, old, 100)
    young = begin(box)
    assert [upload.id for upload in box.store.reap_uploads(50)] == [old.id]
    assert [upload.id for upload in box.store.uploads(BUCKET)] == [young.id]


def test_an_old_upload_that_just_got_a_part_stays(box):
    old = begin(box)
    _backdate(box, old, 100)
    put(box, old, 1, b"hello")
    assert box.store.reap_uploads(50) == []


def _backdate(box, upload, seconds):
    path = folder(box, upload)
    then_ns = time.time_ns() - seconds * 1_000_000_000
    os.setxattr(path, "user.s3filters.initiated", b"%d" % then_ns)
    os.utime(path, ns=(then_ns, then_ns))


def test_an_upload_that_cannot_be_ended_keeps_no_others_from_it(box, monkeypatch):
    ids = {begin(box, key).id for key in ("a", "b", "c")}
    monkeypatch.setattr(reaping, "IDLE_S", 0)
    time.sleep(0.02)
    real = uploads.abort

    def abort(tree, bucket, key, upload_id):
        if key == "b":
            raise errors.AccessDenied
        real(tree, bucket, key, upload_id)

    monkeypatch.setattr(uploads, "abort", abort)
    assert len(box.store.reap_uploads(0)) == 2
    assert len(ids.intersection(each.id for each in box.store.uploads(BUCKET))) == 1


def test_a_bucket_that_cannot_be_looked_through_keeps_no_other_from_it(box, monkeypatch, caplog):
    for name in ("aaa", "zzz"):
        box.store.create_bucket(name, "me")
    begin(box)
    monkeypatch.setattr(reaping, "IDLE_S", 0)
    time.sleep(0.02)
    real = uploads.all_of

    def all_of(tree, bucket):
        if bucket != BUCKET:
            raise errors.AccessDenied
        return real(tree, bucket)

    monkeypatch.setattr(uploads, "all_of", all_of)
    assert len(box.store.reap_uploads(0)) == 1
    assert caplog.text.count("could not be looked through") == 2


def test_a_link_out_of_the_root_is_no_bucket_to_look_through(box, tmp_path_factory, caplog):
    for name in ("aaa", "zzz"):
        (box.root / name).symlink_to(tmp_path_factory.mktemp("outside"))
    old = begin(box)
    _backdate(box, old, 100)
    assert [upload.id for upload in box.store.reap_uploads(50)] == [old.id]
    assert not caplog.text
