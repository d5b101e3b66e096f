"""An upload that begins could become an object: what that would be refused with is said at once."""

import uuid

import pytest

from s3filters.store import errors, uploads, xattrs
from s3filters.store.uploads import Upload
from tests.unit.store.conftest import BUCKET
from tests.unit.store.multipart import KEY, begin, complete, left, put


def test_what_no_object_can_be_named_is_refused_before_the_first_part(box):
    box.put("file", b"x")
    box.put("folder/inner", b"x")
    for key, refusal in (
        ("file/key", errors.ObjectParentIsFile),
        ("folder", errors.ExistingObjectIsDirectory),
        ("x" * 256, errors.KeyTooLongError),
    ):
        with pytest.raises(refusal):
            begin(box, key=key)
    assert left(box) == []


@pytest.mark.parametrize("placement", ["direct", "files"])
def test_metadata_that_is_taken_leaves_room_to_store_which_upload_made_the_object(
    make_box, placement
):
    box = make_box(placement=placement)
    for count in range(3200, 4100, 8):  # ext4 has about 4,000 bytes, others more
        key = f"key.{count}"
        try:
            upload = begin(box, key=key, headers={"content-disposition": "x" * count})
        except errors.MetadataTooLarge:
            continue
        put(box, upload, 1, b"a")
        record = complete(box, upload, [1])
        assert box.store.made_by(BUCKET, key, upload.id).etag == record.etag
        box.delete(key)


def test_metadata_beside_which_the_upload_id_would_not_fit_is_refused_at_the_beginning(
    box, monkeypatch
):
    def put_few(_, wanted):
        if sum(len(name) + len(value) for name, value in wanted) > 3000:
            raise errors.MetadataTooLarge

    monkeypatch.setattr(xattrs, "write", put_few)
    begin(box, user={"name": "x" * 2000})
    with pytest.raises(errors.MetadataTooLarge):
        begin(box, user={"name": "x" * 2700})


def test_an_id_is_made_by_the_caller_and_must_be_one(box):
    with pytest.raises(ValueError, match="UUID"):
        box.store.create_upload(Upload(BUCKET, KEY, "..", 1))
    assert uploads.is_id(str(uuid.uuid4()))
