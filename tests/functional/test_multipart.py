"""The life of an upload: begun, given parts, completed or given up."""

import hashlib
import random
import re
import threading
import time

import pytest

from s3filters.backends.fs import slowly
from s3filters.store import Store, locks, uploads
from tests.functional.asking import Asker, body_of, document, fields, refusal
from tests.functional.parts import (
    FULL,
    LEAST,
    OTHER,
    PLACEMENTS,
    Uploader,
    etag_of,
    placing_app,
)

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(params=PLACEMENTS)
def app(request, settings, tmp_path):
    """The pipeline, with parts in files of their own, or where they will lie."""
    return placing_app(tmp_path, settings, request.param)


def test_parts_become_one_object_in_the_order_of_their_numbers(s3, box):
    upload = Uploader(s3)
    upload.put(2, OTHER)
    upload.put(10_000, b"end")
    upload.put(1, FULL)
    answer = upload.complete()
    assert answer["ETag"] == etag_of(FULL, OTHER, b"end")
    assert (answer["Bucket"], answer["Key"]) == ("box", "key")
    assert body_of(s3, "key") == FULL + OTHER + b"end"
    assert (box / "key").read_bytes() == FULL + OTHER + b"end"


def test_the_location_of_an_object_is_the_url_that_its_client_knows_it_by(s3, box):
    upload = Uploader(s3, "a b/ä+%")
    upload.put(1, b"x")
    assert upload.complete()["Location"] == "http://s3.test/box/a%20b/%C3%A4%2B%25"


def test_the_location_of_an_object_in_a_bucket_of_a_host_is_at_that_host(make_app):
    hosted = Asker(make_app(storage_domain="s3.test"), "box.s3.test")
    assert hosted("PUT", "/").status == 200
    body = hosted("POST", "/key?uploads").body
    upload_id = body.partition(b"<UploadId>")[2].partition(b"</UploadId>")[0].decode()
    part = hosted("PUT", f"/key?uploadId={upload_id}&partNumber=1", b"x")
    listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.headers['etag']}</ETag></Part>"
    answer = hosted(
        "POST",
        f"/key?uploadId={upload_id}",
        f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode(),
    )
    assert b"<Location>http://box.s3.test/key</Location>" in answer.body


def test_an_upload_of_one_small_part_is_an_object(s3, box):
    upload = Uploader(s3, "a/b c/ä")
    upload.put(7, b"x")
    assert upload.complete()["ETag"] == etag_of(b"x")
    assert body_of(s3, "a/b c/ä") == b"x"


def test_an_empty_object_may_be_made_of_an_empty_part(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"")
    upload.complete()
    assert body_of(s3, "key") == b""


def test_a_part_answers_its_etag(s3, box):
    upload = Uploader(s3)
    for number, data in enumerate((b"small", FULL), 1):
        assert upload.put(number, data)["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'


def test_the_id_is_a_canonical_uuid_and_no_two_are_equal(s3, box):
    ids = {Uploader(s3).id for _ in range(3)}
    assert len(ids) == 3
    form = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
    assert all(re.fullmatch(form, upload_id) for upload_id in ids)


def test_nothing_is_seen_of_an_object_before_it_is_complete(s3, box):
    upload = Uploader(s3, "deep/key")
    upload.put(1, b"part")
    assert refusal(s3.head_object, Bucket="box", Key="deep/key")[0] == 404
    assert s3.list_objects_v2(Bucket="box")["KeyCount"] == 0
    assert not (box / "deep").exists()


def test_the_object_that_was_there_stays_until_the_upload_is_complete(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"old")
    upload = Uploader(s3)
    upload.put(1, b"new")
    assert body_of(s3, "key") == b"old"
    upload.complete()
    assert body_of(s3, "key") == b"new"


def test_a_part_that_comes_again_replaces_the_first(s3, box):
    upload = Uploader(s3)
    upload.put(1, FULL)
    upload.put(2, b"first")
    upload.put(2, b"second")
    upload.put(1, OTHER)
    assert upload.stored() == [(1, LEAST), (2, 6)]
    upload.complete()
    assert body_of(s3, "key") == OTHER + b"second"


def test_parts_that_are_not_in_the_list_are_left_out(s3, box):
    upload = Uploader(s3)
    upload.put(1, FULL)
    upload.put(2, OTHER)
    upload.put(3, b"end")
    assert upload.complete([1, 3])["ETag"] == etag_of(FULL, b"end")
    assert body_of(s3, "key") == FULL + b"end"


@pytest.mark.parametrize("seed", range(4))
def test_parts_of_any_size_in_any_order_make_their_sum(s3, box, seed):
    chance = random.Random(seed)
    sizes = [LEAST + chance.choice((0, 1, 4095, 4096, 12345)) for _ in range(3)] + [17]
    data = {n: bytes([n]) * size for n, size in enumerate(sizes, 1)}
    upload = Uploader(s3)
    for number in chance.sample(sorted(data), len(data)):
        upload.put(number, data[number])
    upload.complete()
    assert body_of(s3, "key") == b"".join(data.values())


def test_what_is_said_at_the_beginning_is_kept_with_the_object(s3, box):
    upload = Uploader(
        s3,
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentDisposition="inline",
        ContentEncoding="gzip",
        ContentLanguage="de",
        Metadata={"colour": "green"},
        StorageClass="STANDARD_IA",
        Tagging="a=1&b=2",
    )
    upload.put(1, b"data")
    upload.complete()
    answer = s3.head_object(Bucket="box", Key="key")
    assert answer["ContentType"] == "text/plain"
    assert answer["CacheControl"] == "no-cache"
    assert answer["ContentDisposition"] == "inline"
    assert answer["ContentEncoding"] == "gzip"
    assert answer["ContentLanguage"] == "de"
    assert answer["StorageClass"] == "STANDARD_IA"
    assert answer["Metadata"] == {"colour": "green"}
    assert answer["TagCount"] == 2


def test_a_cold_class_is_refused_where_nothing_makes_it_true(s3, box):
    args = {"Bucket": "box", "Key": "key", "StorageClass": "GLACIER"}
    assert refusal(s3.create_multipart_upload, **args) == (400, "InvalidStorageClass")


def test_a_directory_object_cannot_come_in_parts(s3, box):
    found = refusal(s3.create_multipart_upload, Bucket="box", Key="folder/")
    assert found == (400, "DirectoryObjectContainsData")


def test_each_part_can_be_read_by_its_number(s3, box):
    upload = Uploader(s3)
    upload.put(3, FULL)
    upload.put(9, b"end")
    upload.complete()
    for number, data, first in ((1, FULL, 0), (2, b"end", LEAST)):
        answer = s3.get_object(Bucket="box", Key="key", PartNumber=number)
        assert answer["Body"].read() == data
        assert answer["PartsCount"] == 2
        total = LEAST + 3
        assert answer["ContentRange"] == f"bytes {first}-{first + len(data) - 1}/{total}"
        head = s3.head_object(Bucket="box", Key="key", PartNumber=number)
        assert (head["ContentLength"], head["PartsCount"]) == (len(data), 2)
    args = {"Bucket": "box", "Key": "key", "PartNumber": 3}
    assert refusal(s3.get_object, **args) == (416, "InvalidPartNumber")


def test_the_parts_are_counted_in_the_attributes(s3, box):
    upload = Uploader(s3)
    upload.put(1, FULL)
    upload.put(2, b"end")
    etag = upload.complete()["ETag"]
    answer = s3.get_object_attributes(
        Bucket="box", Key="key", ObjectAttributes=["ETag", "ObjectParts", "ObjectSize"]
    )
    assert answer["ETag"] == etag.strip('"')
    assert answer["ObjectParts"]["TotalPartsCount"] == 2
    assert answer["ObjectSize"] == LEAST + 3


# --- giving up -----------------------------------------------------------------------------------


def test_an_aborted_upload_is_gone(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"part")
    assert upload.abort()["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="box")
    gone = (404, "NoSuchUpload")
    assert refusal(upload.abort) == gone
    assert refusal(s3.list_parts, **upload.name) == gone
    assert refusal(upload.put, number=2, data=b"late") == gone
    assert refusal(upload.put, number=2, data=FULL) == gone
    assert refusal(upload.complete) == gone


def test_an_upload_is_aborted_only_when_it_began_when_the_client_believes(s3, box):
    upload = Uploader(s3)
    (found,) = s3.list_multipart_uploads(Bucket="box")["Uploads"]
    other = found["Initiated"].replace(year=2001)
    assert refusal(upload.abort, IfMatchInitiatedTime=other) == (412, "PreconditionFailed")
    upload.put(1, b"which moves the directory's time")
    upload.abort(IfMatchInitiatedTime=found["Initiated"])
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="box")


def test_a_bucket_with_an_upload_in_progress_is_not_empty_and_one_without_is(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"part")
    assert refusal(s3.delete_bucket, Bucket="box") == (409, "BucketNotEmpty")
    upload.abort()
    s3.delete_bucket(Bucket="box")


def test_uploads_of_one_key_know_nothing_of_each_other(s3, box):
    first, second, third = (Uploader(s3) for _ in range(3))
    for number, upload in enumerate((first, second, third)):
        upload.put(1, b"%d" % number)
    third.abort()
    second.complete()
    assert body_of(s3, "key") == b"1"
    assert first.stored() == [(1, 1)]
    first.complete()
    assert body_of(s3, "key") == b"0"


# --- names that lead elsewhere -------------------------------------------------------------------

WRONG_IDS = (
    "..",
    "../..",
    "%2e%2e%2f%2e%2e",
    ".",
    "x",
    NOBODY.upper().replace("0", "A", 1),
    NOBODY + "/..",
    NOBODY + "%00",
    NOBODY + ".x.inprogress",
    "",
)


@pytest.mark.parametrize("upload_id", WRONG_IDS)
@pytest.mark.parametrize(
    "question",
    [
        ("GET", "", b""),
        ("DELETE", "", b""),
        ("PUT", "partNumber=1&", b"data"),
        ("POST", "", b"<CompleteMultipartUpload/>"),
    ],
)
def test_an_id_that_is_none_leads_nowhere(s3, box, ask, upload_id, question):
    method, query, body = question
    Uploader(s3).put(1, b"part")
    before = sorted(box.rglob("*"))
    answer = ask(method, f"/box/key?{query}uploadId={upload_id}", body)
    assert answer.status in (400, 404)
    assert fields(answer)["Code"] in ("NoSuchUpload", "InvalidArgument")
    assert sorted(box.rglob("*")) == before


def test_an_upload_is_that_of_its_key_and_bucket_alone(s3, box):
    upload = Uploader(s3, "key")
    upload.put(1, b"part")
    s3.create_bucket(Bucket="other")
    for elsewhere in ({"Key": "kez"}, {"Bucket": "other"}):
        name = upload.name | elsewhere
        gone = (404, "NoSuchUpload")
        assert refusal(s3.list_parts, **name) == gone
        assert refusal(s3.upload_part, **name, PartNumber=1, Body=b"x") == gone
        assert refusal(s3.abort_multipart_upload, **name) == gone
        listed = upload.listed()
        assert refusal(s3.complete_multipart_upload, **name, MultipartUpload=listed) == gone
    assert upload.stored() == [(1, 4)]


def test_no_bucket_no_upload(s3, box):
    name = {"Bucket": "nobox", "Key": "key"}
    gone = (404, "NoSuchBucket")
    assert refusal(s3.create_multipart_upload, **name) == gone
    assert refusal(s3.list_multipart_uploads, Bucket="nobox") == gone
    assert refusal(s3.list_parts, **name, UploadId=NOBODY) == gone
    assert refusal(s3.upload_part, **name, UploadId=NOBODY, PartNumber=1, Body=b"x") == gone
    assert refusal(s3.abort_multipart_upload, **name, UploadId=NOBODY) == gone


def test_parts_cannot_be_reached_as_objects(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"part")
    (path,) = box.rglob("1")
    key = str(path.relative_to(box))
    assert refusal(s3.get_object, Bucket="box", Key=key) == (404, "NoSuchKey")
    assert refusal(s3.put_object, Bucket="box", Key=key, Body=b"x") == (403, "AccessDenied")
    prefix = key[: key.rindex("/") + 1]
    assert s3.list_objects_v2(Bucket="box", Prefix=prefix)["KeyCount"] == 0
    assert refusal(s3.create_multipart_upload, Bucket="box", Key=key) == (403, "AccessDenied")


@pytest.mark.parametrize("number", ["0", "10001", "-1", "x", "1.0", ""])
def test_a_number_that_no_part_has_is_refused(s3, box, ask, number):
    upload = Uploader(s3)
    answer = ask("PUT", f"/box/key?partNumber={number}&uploadId={upload.id}", b"data")
    assert (answer.status, fields(answer)["Code"]) == (400, "InvalidArgument")
    assert upload.stored() == []


# --- bodies that are not what they should be -----------------------------------------------------


@pytest.mark.parametrize("data", [b"small", FULL], ids=["small", "large"])
def test_a_part_that_fails_its_proof_leaves_the_one_before(s3, box, ask, data):
    upload = Uploader(s3)
    upload.put(1, b"before")
    wrong = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    answer = ask("PUT", f"/box/key?partNumber=1&uploadId={upload.id}", data, wrong)
    assert (answer.status, fields(answer)["Code"]) == (400, "BadDigest")
    assert upload.stored() == [(1, 6)]
    assert len([path for path in box.rglob("*") if path.is_file() and path.name == "1"]) == 1


@pytest.mark.parametrize("length", [100, LEAST])
def test_a_part_that_breaks_off_is_none(s3, box, ask, length):
    upload = Uploader(s3)
    target = f"/box/key?partNumber=1&uploadId={upload.id}"
    answer = ask("PUT", target, b"only this", length=length)
    assert (answer.status, fields(answer)["Code"]) == (400, "IncompleteBody")
    assert upload.stored() == []


def test_a_part_over_5_gib_is_refused_before_it_is_read(s3, box, ask):
    upload = Uploader(s3)
    target = f"/box/key?partNumber=1&uploadId={upload.id}"
    answer = ask("PUT", target, b"x", length=(5 << 30) + 1)
    assert (answer.status, fields(answer)["Code"]) == (400, "EntityTooLarge")


def test_the_answer_to_a_beginning_is_the_document_of_aws(s3, box, ask):
    answer = ask("POST", "/box/a/b?uploads")
    root = document(answer)
    assert root.tag == "InitiateMultipartUploadResult"
    assert [(child.tag, child.text) for child in root][:2] == [("Bucket", "box"), ("Key", "a/b")]
    assert [child.tag for child in root] == ["Bucket", "Key", "UploadId"]


def test_the_owner_that_is_expected_is_asked_for(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"x")
    wrong = {"ExpectedBucketOwner": "somebody"}
    for call in (
        lambda: s3.create_multipart_upload(Bucket="box", Key="key", **wrong),
        lambda: upload.put(1, b"y", **wrong),
        lambda: upload.complete(**wrong),
        lambda: upload.abort(**wrong),
        lambda: s3.list_parts(**upload.name, **wrong),
        lambda: s3.list_multipart_uploads(Bucket="box", **wrong),
    ):
        assert refusal(call) == (403, "AccessDenied")


def test_a_version_id_of_a_part_is_refused(s3, box, ask):
    upload = Uploader(s3)
    answer = ask("PUT", f"/box/key?partNumber=1&uploadId={upload.id}&versionId=null", b"x")
    assert (answer.status, fields(answer)["Code"]) == (400, "InvalidArgument")


# --- together with others ------------------------------------------------------------------------


def test_parts_of_one_upload_may_come_to_several_gateways(
    s3, box, one_client, settings, tmp_path, app
):
    _, apps = one_client
    upload = Uploader(s3)
    data = [FULL, OTHER, b"end"]
    for number, part in enumerate(data, 1):
        apps.append(placing_app(tmp_path, settings, PLACEMENTS[number % 2]))
        upload.put(number, part)
    apps.append(app)
    assert upload.complete()["ETag"] == etag_of(*data)
    apps.append(placing_app(tmp_path, settings, "files"))
    assert upload.complete()["ETag"] == etag_of(*data)
    assert body_of(s3, "key") == b"".join(data)


@pytest.fixture
def held(root):
    """Holds an upload as another gateway that is completing it."""
    store = Store(str(root))
    yield lambda upload: locks.hold_upload(
        store.root, uploads.path_of("box", upload.name["Key"], upload.id)
    )
    store.close()


@pytest.mark.parametrize("data", [b"small", FULL], ids=["small", "large"])
def test_what_an_upload_that_is_held_refuses_may_be_tried_again(s3, box, held, monkeypatch, data):
    monkeypatch.setattr(slowly, "PATIENCE_S", 0.1)
    upload = Uploader(s3)
    upload.put(1, b"before")
    with held(upload):
        busy = (503, "SlowDown")
        assert refusal(upload.put, number=1, data=data) == busy
        assert refusal(upload.abort) == busy
        assert upload.stored() == [(1, 6)]
    upload.put(1, data)
    upload.abort()


@pytest.mark.parametrize("verb", ["put", "abort", "complete"])
def test_an_upload_that_is_held_for_a_moment_is_waited_for(s3, box, held, verb):
    upload = Uploader(s3)
    upload.put(1, b"part")
    args = {"number": 2, "data": b"x"} if verb == "put" else {}
    lock = held(upload)
    lock.__enter__()
    release = threading.Timer(0.15, lock.__exit__)
    release.start()
    began = time.monotonic()
    getattr(upload, verb)(**args)
    assert time.monotonic() - began > 0.1
    release.join()
