"""UploadPartCopy: bytes of objects become parts."""

import hashlib
import os

import pytest

from s3filters.store.objects import Opened
from tests.functional.asking import body_of, document, edit, fields, refusal
from tests.functional.parts import (
    FULL,
    LEAST,
    OTHER,
    PLACEMENTS,
    Uploader,
    etag_of,
    placing_app,
)
from tests.functional.test_multipart_checksums import digest, whole

SOURCE = FULL + OTHER + b"the end"


@pytest.fixture(params=PLACEMENTS)
def app(request, settings, tmp_path):
    """The pipeline, with parts in files of their own, or where they will lie."""
    return placing_app(tmp_path, settings, request.param)


@pytest.fixture
def source(s3, box):
    """An object with an MD5 for an ETag, and a CRC64NVME."""
    s3.put_object(Bucket="box", Key="source", Body=SOURCE, ChecksumAlgorithm="CRC64NVME")
    return "box/source"


def test_ranges_of_an_object_become_another(s3, source):
    upload = Uploader(s3)
    upload.copy(1, source, CopySourceRange=f"bytes={LEAST}-{2 * LEAST - 1}")
    upload.copy(2, source, CopySourceRange=f"bytes=1-{LEAST + 5}")
    upload.copy(3, source, CopySourceRange=f"bytes={2 * LEAST}-{len(SOURCE) - 1}")
    upload.put(4, b"!")
    with pytest.raises(s3.exceptions.ClientError, match="EntityTooSmall"):
        upload.complete()
    pieces = OTHER, SOURCE[1 : LEAST + 6], b"the end"
    assert upload.complete([1, 2, 3])["ETag"] == etag_of(*pieces)
    assert body_of(s3, "key") == b"".join(pieces)


def test_without_a_range_it_is_the_whole(s3, source):
    upload = Uploader(s3)
    answer = upload.copy(1, source)
    assert answer["ETag"] == f'"{hashlib.md5(SOURCE).hexdigest()}"'
    assert answer["ChecksumCRC64NVME"] == digest("CRC64NVME", SOURCE)
    answer = upload.complete()
    assert answer["ChecksumCRC64NVME"] == digest("CRC64NVME", SOURCE)
    assert body_of(s3, "key") == SOURCE


def test_the_answer_is_the_document_of_aws(s3, source, ask):
    upload = Uploader(s3)
    target = f"/box/key?partNumber=1&uploadId={upload.id}"
    root = document(ask("PUT", target, b"", {"x-amz-copy-source": "/box/source"}))
    assert root.tag == "CopyPartResult"
    assert [child.tag for child in root] == ["LastModified", "ETag", "ChecksumCRC64NVME"]


@pytest.mark.parametrize(("algorithm", "kind"), [("CRC32", "FULL_OBJECT"), ("SHA256", "COMPOSITE")])
@pytest.mark.parametrize("ranged", [True, False])
def test_parts_get_the_checksum_of_their_upload(s3, source, algorithm, kind, ranged):
    upload = Uploader(s3, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    args = {"CopySourceRange": f"bytes=0-{LEAST - 1}"} if ranged else {}
    piece = FULL if ranged else SOURCE
    answer = upload.copy(1, source, **args)
    assert answer[f"Checksum{algorithm}"] == digest(algorithm, piece)
    upload.put(2, b"x")
    expected = whole(algorithm, kind, (piece, b"x"))
    assert upload.complete()[f"Checksum{algorithm}"] == expected


def test_the_etag_of_a_part_is_an_md5_also_where_that_of_the_source_is_none(s3, box):
    first = Uploader(s3, "source")
    first.put(1, FULL)
    first.put(2, b"end")
    first.complete()
    upload = Uploader(s3)
    answer = upload.copy(1, "box/source")
    assert answer["ETag"] == f'"{hashlib.md5(FULL + b"end").hexdigest()}"'


def test_the_digests_of_a_file_that_somebody_put_there_are_computed(s3, box):
    (box / "file").write_bytes(b"by hand")
    upload = Uploader(s3)
    answer = upload.copy(1, "box/file")
    assert answer["ETag"] == f'"{hashlib.md5(b"by hand").hexdigest()}"'
    assert answer["ChecksumCRC64NVME"] == digest("CRC64NVME", b"by hand")


def test_the_digests_of_an_object_that_was_edited_are_computed(s3, source, box):
    edit(box / "source", b"by hand")
    answer = Uploader(s3).copy(1, source)
    assert answer["ETag"] == f'"{hashlib.md5(b"by hand").hexdigest()}"'


def test_an_empty_object_is_an_empty_part(s3, box):
    s3.put_object(Bucket="box", Key="empty", Body=b"")
    upload = Uploader(s3)
    upload.copy(1, "box/empty")
    assert upload.stored() == [(1, 0)]


def test_the_source_may_be_in_another_bucket_and_stays(s3, source):
    s3.create_bucket(Bucket="other")
    upload = Uploader(s3, bucket="other")
    upload.copy(1, source)
    upload.complete()
    assert body_of(s3, "key", bucket="other") == SOURCE
    assert body_of(s3, "source") == SOURCE


def test_an_object_may_be_a_part_of_itself(s3, source):
    upload = Uploader(s3, "source")
    upload.copy(1, source)
    upload.put(2, b" and more")
    upload.complete()
    assert body_of(s3, "source") == SOURCE + b" and more"


# --- ranges that are none ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    ["0-1", "bytes=0-", "bytes=-5", "bytes=5-2", "bytes=a-b", "bytes=0-1,3-4", "bytes 0-1"],
)
def test_a_range_of_another_form_is_refused(s3, source, ask, asked):
    upload = Uploader(s3)
    told = _refused(ask, upload, asked)
    assert told["Code"] == "InvalidArgument"
    assert told["Message"].startswith("The x-amz-copy-source-range value must be of the form")


@pytest.mark.parametrize("last", [len(SOURCE), len(SOURCE) + 5, 1 << 62])
@pytest.mark.parametrize("first", [0, len(SOURCE) - 1, len(SOURCE)])
def test_a_range_that_goes_over_the_end_is_refused(s3, source, ask, first, last):
    upload = Uploader(s3)
    told = _refused(ask, upload, f"bytes={first}-{last}")
    assert told["Code"] == "InvalidArgument"
    assert told["Message"] == (
        f"Range specified is not valid for source object of size: {len(SOURCE)}"
    )


def _refused(ask, upload, asked):
    headers = {"x-amz-copy-source": "/box/source", "x-amz-copy-source-range": asked}
    answer = ask("PUT", f"/box/key?partNumber=1&uploadId={upload.id}", b"", headers)
    assert answer.status == 400
    assert upload.stored() == []
    return fields(answer)


def test_more_than_5_gib_are_refused_and_a_range_of_them_is_not(s3, box):
    with (box / "huge").open("wb") as file:
        os.truncate(file.fileno(), (5 << 30) + 1)
    upload = Uploader(s3)
    assert refusal(upload.copy, number=1, source="box/huge") == (400, "InvalidRequest")
    upload.copy(1, "box/huge", CopySourceRange=f"bytes={5 << 30}-{5 << 30}")
    assert upload.stored() == [(1, 1)]


# --- conditions and sources ----------------------------------------------------------------------


def test_conditions_of_the_source_are_kept(s3, source):
    head = s3.head_object(Bucket="box", Key="source")
    etag, date = head["ETag"], head["LastModified"]
    upload = Uploader(s3)
    failed = (412, "PreconditionFailed")
    for args in (
        {"CopySourceIfMatch": '"other"'},
        {"CopySourceIfNoneMatch": etag},
        {"CopySourceIfModifiedSince": date},
        {"CopySourceIfUnmodifiedSince": date.replace(year=2001)},
    ):
        assert refusal(upload.copy, number=1, source=source, **args) == failed
    assert upload.stored() == []
    upload.copy(1, source, CopySourceIfMatch=etag)
    upload.copy(2, source, CopySourceIfNoneMatch='"other"')


def test_a_source_that_is_not_there_is_told(s3, source):
    upload = Uploader(s3)
    assert refusal(upload.copy, number=1, source="box/none") == (404, "NoSuchKey")
    assert refusal(upload.copy, number=1, source="nobox/key") == (404, "NoSuchBucket")
    version = {"Bucket": "box", "Key": "source", "VersionId": "other"}
    assert refusal(upload.copy, number=1, source=version) == (404, "NoSuchVersion")
    null = {"Bucket": "box", "Key": "source", "VersionId": "null"}
    upload.copy(1, null)


def test_no_upload_no_copy(s3, source):
    upload = Uploader(s3)
    upload.abort()
    assert refusal(upload.copy, number=1, source=source) == (404, "NoSuchUpload")


@pytest.mark.parametrize("key", ["../x", "a/../b", ".sgwtmp/lock"])
def test_a_source_that_leads_elsewhere_is_refused(s3, source, ask, key):
    upload = Uploader(s3)
    headers = {"x-amz-copy-source": f"/box/{key}"}
    answer = ask("PUT", f"/box/key?partNumber=1&uploadId={upload.id}", b"", headers)
    assert answer.status in (400, 403, 404)
    assert upload.stored() == []


def test_the_owner_of_the_source_is_asked_for(s3, source):
    upload = Uploader(s3)
    wrong = {"ExpectedSourceBucketOwner": "somebody"}
    assert refusal(upload.copy, number=1, source=source, **wrong) == (403, "AccessDenied")


def test_a_source_that_changes_while_it_is_copied_is_no_part(s3, source, monkeypatch):
    upload = Uploader(s3)
    monkeypatch.setattr(Opened, "is_unchanged", lambda self: False)
    assert refusal(upload.copy, number=1, source=source) == (409, "OperationAborted")
    assert upload.stored() == []
