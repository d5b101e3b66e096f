"""An upload begins and ends whole, is found by its id alone, and no id leads anywhere else."""

import hashlib
import os
import threading
import time

import pytest

from s3filters.store import errors, locks, removing, uploads
from s3filters.store.uploads import Upload
from tests.unit.store.conftest import BUCKET
from tests.unit.store.multipart import KEY, begin, folder, left, put

OTHER_ID = "11111111-2222-3333-4444-555555555555"


def get(box, upload):
    return box.store.upload(BUCKET, upload.key, upload.id)


def test_what_was_fixed_at_the_beginning_is_read_again(box, no_open_files):
    upload = begin(
        box,
        initiator="me",
        headers={"content-type": "text/plain", "cache-control": "no-cache"},
        user={"name": "väl"},
        storage_class="STANDARD_IA",
        tags={"k": "v"},
        algorithm="SHA256",
        checksum_type="COMPOSITE",
    )
    assert get(box, upload) == upload


def test_the_layout_is_that_of_versitys_gateway(box):
    upload = begin(box, key="a/b/c/myobject", algorithm="CRC32", checksum_type="FULL_OBJECT")
    digest = "b87e99653e21d1d5f272e9d34cc7c86f132052e3e763b9ed79a41e1fc97c7597"
    path = box.path / ".sgwtmp" / "multipart" / digest
    assert os.getxattr(path, "user.objname") == b"a/b/c/myobject"
    raw = os.getxattr(path / upload.id, "user.checksums")
    assert raw.startswith(b'{"Algorithm":"CRC32","Type":"FULL_OBJECT","CRC32":null,')


def test_an_upload_takes_no_name_from_its_key(box):
    begin(box)
    assert box.files() == []


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "..",
        "../..",
        OTHER_ID.upper().replace("1", "A"),
        f"{OTHER_ID}/",
        f"{OTHER_ID}/..",
        OTHER_ID.replace("-", ""),
        f"{OTHER_ID}\n",
        f"{OTHER_ID}{uploads.ENDED}",
        "11111111-2222-3333-4444-55555555555\u0663",
    ],
)
def test_what_is_no_canonical_uuid_is_no_upload(box, wrong):
    begin(box)
    for verb in (box.store.upload, box.store.end_upload):
        with pytest.raises(errors.NoSuchUpload):
            verb(BUCKET, KEY, wrong)


def test_an_id_belongs_to_one_key(box):
    upload = begin(box)
    with pytest.raises(errors.NoSuchUpload):
        box.store.upload(BUCKET, "another", upload.id)


def test_an_unknown_bucket_is_said_to_be_that(box):
    with pytest.raises(errors.NoSuchBucket):
        box.store.upload("nowhere", KEY, OTHER_ID)
    with pytest.raises(errors.NoSuchBucket):
        box.store.create_upload(Upload("nowhere", KEY, OTHER_ID, 1))
    with pytest.raises(errors.NoSuchBucket):
        list(box.store.uploads("nowhere"))


def test_all_uploads_of_a_bucket_are_listed_once(box, no_open_files):
    wanted = {begin(box, key=key).id: key for key in ("a", "a", "b/c", "ü")}
    found = {upload.id: upload.key for upload in box.store.uploads(BUCKET)}
    assert found == wanted


def test_a_listing_shows_what_the_listing_of_s3_needs(box):
    upload = begin(box, initiator="me", algorithm="CRC32C", checksum_type="COMPOSITE")
    (found,) = box.store.uploads(BUCKET)
    assert found == upload


def test_a_bucket_without_uploads_has_an_empty_list(box):
    assert list(box.store.uploads(BUCKET)) == []


def test_directories_that_are_not_what_they_say_are_not_listed(box):
    upload = begin(box)
    top = folder(box, upload).parent
    os.setxattr(top, "user.objname", b"another")
    assert list(box.store.uploads(BUCKET)) == []
    os.removexattr(top, "user.objname")
    assert list(box.store.uploads(BUCKET)) == []


def test_what_others_wrote_that_no_document_can_hold_is_not_shown(box):
    upload = begin(box, initiator="me", storage_class="STANDARD_IA")
    for name in (uploads.INITIATOR, uploads.INITIATED, "user.s3filters.storage-class"):
        os.setxattr(folder(box, upload), name, b"\x01" * 40)
    (found,) = box.store.uploads(BUCKET)
    assert (found.initiator, found.storage_class) == ("", "STANDARD")
    assert abs(found.initiated_ns - time.time_ns()) < 60e9
    assert get(box, upload) == found


def test_an_aborted_upload_leaves_nothing(box, no_open_files):
    upload = begin(box)
    put(box, upload, 1, b"hello")
    box.store.end_upload(BUCKET, KEY, upload.id)
    assert list(box.store.uploads(BUCKET)) == []
    assert left(box) == []
    with pytest.raises(errors.NoSuchUpload):
        box.store.end_upload(BUCKET, KEY, upload.id)


def test_aborting_one_upload_leaves_the_others_of_its_key(box):
    first, second = begin(box), begin(box)
    box.store.end_upload(BUCKET, KEY, first.id)
    removing.settle()
    assert [upload.id for upload in box.store.uploads(BUCKET)] == [second.id]


def test_an_upload_that_is_held_is_not_aborted(box):
    upload = begin(box)
    held = locks.hold_upload(box.store.root, uploads.path_of(BUCKET, KEY, upload.id))
    with held, pytest.raises(errors.Busy):
        box.store.end_upload(BUCKET, KEY, upload.id)
    box.store.end_upload(BUCKET, KEY, upload.id)


def test_uploads_of_one_key_begin_and_end_at_the_same_time(box):
    failures = []

    def live(number):
        try:
            for _ in range(20):
                upload = begin(box)
                put(box, upload, 1, b"x")
                box.store.end_upload(BUCKET, KEY, upload.id)
        except errors.StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=live, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert left(box) == []


def test_an_upload_that_died_while_it_was_made_is_not_seen(box, monkeypatch):
    def die(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", die)
    with pytest.raises(KeyboardInterrupt):
        begin(box)
    assert list(box.store.uploads(BUCKET)) == []


def test_what_versitys_gateway_was_completing_when_it_died_is_an_upload_again(box, monkeypatch):
    upload = begin(box)
    put(box, upload, 1, b"hello")
    path = folder(box, upload)
    path.rename(f"{path}.{hashlib.md5(b'').hexdigest()}-1.inprogress")
    with pytest.raises(errors.SlowDown):
        get(box, upload)
    monkeypatch.setattr(uploads, "ABANDONED_S", -1.0)
    assert get(box, upload) == upload
    assert os.listdir(path)


def test_an_upload_that_has_ended_is_not_taken_for_an_abandoned_one(box, monkeypatch):
    monkeypatch.setattr(uploads, "ABANDONED_S", -1.0)
    monkeypatch.setattr(removing, "later", lambda root, folder, path, name: os.close(folder))
    upload = begin(box)
    box.store.end_upload(BUCKET, KEY, upload.id)
    with pytest.raises(errors.NoSuchUpload):
        get(box, upload)


def test_a_bucket_with_an_upload_is_not_empty(box):
    upload = begin(box)
    with pytest.raises(errors.BucketNotEmpty):
        box.store.delete_bucket(BUCKET)
    box.store.end_upload(BUCKET, KEY, upload.id)
    removing.settle()
    box.store.delete_bucket(BUCKET)


def test_uploads_that_may_not_be_read_hide_no_others(box, monkeypatch):
    hidden, shown = begin(box, "hidden"), begin(box, "shown")
    folder = uploads.folder_of(BUCKET, "hidden").decode().rpartition("/")[2]
    real = os.open

    def refuse(name, *args, **options):
        if name == folder:
            raise PermissionError(13, "no")
        return real(name, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert [each.id for each in box.store.uploads(BUCKET)] == [shown.id]
    assert hidden.id != shown.id
