"""Faults of other gateways, by their numbers in the list that the design keeps: none is ours.

What dies here dies before a system call, see ``tests.crash``; these tests ask what a client hears.
Faults 4 and 5 are about blocks that are moved on ScoutFS: ``tests/scoutfs/test_assembly.py`` and
``test_completing.py`` have them.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from paste.deploy import loadapp

from s3filters.store import place, removing, uploads
from tests import daemon, wire
from tests.functional.asking import Asker, body_of, refusal
from tests.functional.parts import Uploader, etag_of

pytestmark = pytest.mark.timeout(60)

INI = Path(__file__).parents[2] / "etc" / "s3filters.ini"
GONE = (404, "NoSuchUpload")


@pytest.fixture
def app(tmp_path: Path) -> object:
    (tmp_path / "root").mkdir()
    settings = {
        "root": str(tmp_path / "root"),
        "credentials": str(daemon.credentials(tmp_path)),
        "durability": "full",
    }
    return loadapp(f"config:{INI}", global_conf=settings)


@pytest.fixture(scope="module")
def client() -> tuple[object, list[object]]:
    """A client, which takes longer to make than these tests to run, and the app that it asks."""
    apps = []

    def latest(environ, start_response):
        return apps[-1](environ, start_response)

    return wire.client(latest, daemon.ACCESS_KEY, daemon.SECRET_KEY), apps


@pytest.fixture
def s3(app: object, client: tuple[object, list[object]]) -> object:
    made, apps = client
    apps[:] = [app]
    return made


@pytest.fixture
def box(s3: object, tmp_path: Path) -> Iterator[Path]:
    s3.create_bucket(Bucket="box")
    yield tmp_path / "root" / "box"
    removing.settle()


class Death(BaseException):
    """Ends a verb where it is, as kill -9 does."""


def die(*_: object) -> None:
    raise Death


def listed(s3: object) -> list[str]:
    return [u["UploadId"] for u in s3.list_multipart_uploads(Bucket="box").get("Uploads", ())]


@pytest.mark.parametrize(
    ("where", "name", "made"),
    [(place.Draft, "_publish", False), (uploads, "end", True)],
    ids=["before the object", "after the object"],
)
def test_fault_1_a_complete_that_died_is_never_answered_without_its_object(
    s3, box, monkeypatch, where, name, made
):
    upload = Uploader(s3)
    upload.put(1, b"data")
    with monkeypatch.context() as patch:
        patch.setattr(where, name, die)
        with pytest.raises(Death):
            upload.complete()
    assert (box / "key").exists() is made
    assert listed(s3) == [upload.id]
    answer = upload.complete()
    assert answer["ETag"] == etag_of(b"data")
    assert body_of(s3, "key") == b"data"
    assert listed(s3) == []


def test_fault_1_an_upload_whose_complete_died_can_be_aborted(s3, box, monkeypatch):
    upload = Uploader(s3)
    upload.put(1, b"data")
    with monkeypatch.context() as patch:
        patch.setattr(place.Draft, "_publish", die)
        with pytest.raises(Death):
            upload.complete()
    upload.abort()
    removing.settle()
    assert [path.name for path in (box / ".sgwtmp").rglob("*") if path.is_file()] == ["lock"]


def test_fault_2_a_duplicate_complete_hears_of_success_only_when_there_is_one(s3, box, monkeypatch):
    upload = Uploader(s3)
    upload.put(1, b"data")
    begun, go_on, real = threading.Event(), threading.Event(), place.Draft._publish

    def fail_late(draft, *args):
        begun.set()
        assert go_on.wait(20)
        raise OSError(28, "ENOSPC")

    with ThreadPoolExecutor(2) as pool:
        monkeypatch.setattr(place.Draft, "_publish", fail_late)
        first = pool.submit(refusal, upload.complete)
        assert begun.wait(20)
        second = pool.submit(upload.complete)
        monkeypatch.setattr(place.Draft, "_publish", real)
        assert not second.done()
        assert refusal(s3.head_object, Bucket="box", Key="key")[0] == 404
        go_on.set()
        assert first.result(20) == (507, "InsufficientStorage")
        assert second.result(20)["ETag"] == etag_of(b"data")
    assert body_of(s3, "key") == b"data"


def test_fault_3_an_id_that_did_not_make_the_object_is_unknown_though_the_key_exists(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"data")
    foreign = Uploader(s3, "other")
    foreign.put(1, b"data")
    aborted = Uploader(s3)
    aborted.put(1, b"data")
    aborted.abort()
    name = {"Bucket": "box", "Key": "key"}
    for upload_id in (str(uuid.uuid4()), foreign.id, aborted.id):
        said = refusal(
            s3.complete_multipart_upload,
            **name,
            UploadId=upload_id,
            MultipartUpload=foreign.listed(),
        )
        assert said == GONE
    assert body_of(s3, "key") == b"data"


def test_fault_6_a_complete_is_answered_after_object_and_name_are_synced(s3, box, monkeypatch):
    upload = Uploader(s3)
    upload.put(1, b"data")
    synced, real = [], os.fsync

    def fsync(fd):
        real(fd)
        synced.append(os.stat(fd).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    upload.complete()
    file, folder = (os.stat(path).st_ino for path in (box / "key", box))
    assert synced.index(file) < synced.index(folder)


def test_fault_7_where_versioning_is_suspended_a_version_that_is_to_be_kept_is_not_replaced(
    s3, box
):
    s3.put_object(Bucket="box", Key="key", Body=b"a version")
    os.setxattr(box / "key", "user.version-id", b"01HZZZZZZZZZZZZZZZZZZZZZZZ")
    os.setxattr(box, "user.versioning", b"\x00")
    upload = Uploader(s3, "elsewhere")
    upload.put(1, b"new")
    upload.complete()
    refused = refusal(s3.create_multipart_upload, Bucket="box", Key="key")
    assert refused == (501, "NotImplemented")
    assert body_of(s3, "key") == b"a version"


def test_fault_7_a_version_that_came_while_parts_were_sent_is_kept_and_so_is_the_upload(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"new")
    s3.put_object(Bucket="box", Key="key", Body=b"a version")
    os.setxattr(box / "key", "user.version-id", b"01HZZZZZZZZZZZZZZZZZZZZZZZ")
    os.setxattr(box, "user.versioning", b"\x00")
    assert refusal(upload.complete) == (501, "NotImplemented")
    assert body_of(s3, "key") == b"a version"
    assert upload.stored() == [(1, 3)]
    os.removexattr(box / "key", "user.version-id")
    assert upload.complete()["ETag"] == etag_of(b"new")


def test_fault_12_a_bucket_is_not_deleted_over_an_upload_or_an_object_that_comes_meanwhile(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"data")
    assert refusal(s3.delete_bucket, Bucket="box") == (409, "BucketNotEmpty")
    upload.abort()
    for number in range(10):
        with ThreadPoolExecutor(3) as pool:
            deleted = pool.submit(_outcome, s3.delete_bucket, Bucket="box")
            put = pool.submit(_outcome, s3.put_object, Bucket="box", Key="key", Body=b"x")
            begun = pool.submit(_outcome, s3.create_multipart_upload, Bucket="box", Key="up")
        created = {"put": put.result() == "done", "begun": begun.result() == "done"}
        if deleted.result() == "done":
            assert not any(created.values()), number
            s3.create_bucket(Bucket="box")
            continue
        if created["put"]:
            assert body_of(s3, "key") == b"x"
            s3.delete_object(Bucket="box", Key="key")
        assert len(listed(s3)) == created["begun"]
        for found in s3.list_multipart_uploads(Bucket="box").get("Uploads", ()):
            name = {"Key": found["Key"], "UploadId": found["UploadId"]}
            s3.abort_multipart_upload(Bucket="box", **name)


def _outcome(call, **args):
    try:
        call(**args)
    except ClientError as error:
        return type(error).__name__
    return "done"


@pytest.mark.parametrize("ending", ["abort", "complete"])
def test_fault_13_a_part_that_comes_late_makes_no_directory(s3, box, ending):
    upload = Uploader(s3)
    upload.put(1, b"data")
    getattr(upload, ending)()
    removing.settle()
    for number, data in itertools.product((1, 2), (b"late", b"late" * 50_000)):
        assert refusal(upload.put, number=number, data=data) == GONE
    multipart = box / ".sgwtmp" / "multipart"
    assert list(multipart.iterdir()) == []
    assert listed(s3) == []


@pytest.mark.parametrize("upload_id", ["..", "../..", ".", "/etc", "x/../..", "%2e%2e"])
def test_fault_16_an_upload_id_that_is_a_path_leads_nowhere(s3, box, app, upload_id):
    outside = box.parent.parent / "outside"
    outside.mkdir()
    s3.put_object(Bucket="box", Key="key", Body=b"kept")
    ask = Asker(app)
    before = sorted(box.rglob("*"))
    for method, query, body in (
        ("PUT", "partNumber=1&", b"data"),
        ("GET", "", b""),
        ("DELETE", "", b""),
        (
            "POST",
            "",
            b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"
            + hashlib.md5(b"data").hexdigest().encode()
            + b"</ETag></Part></CompleteMultipartUpload>",
        ),
    ):
        answer = ask(method, f"/box/key?{query}uploadId={upload_id}", body)
        assert (answer.status, answer.code) == (404, "NoSuchUpload"), answer.body
    assert sorted(box.rglob("*")) == before
    assert outside.exists()


@pytest.mark.parametrize("key", ["../other/key", "a/../../other/key", "/../other/key"])
def test_fault_17_a_key_in_a_body_does_not_leave_its_bucket(s3, box, key):
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="other", Key="key", Body=b"kept")
    answer = s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": key}]})
    assert [entry["Key"] for entry in answer.get("Deleted", [])] in ([], [key])
    assert body_of(s3, "key", bucket="other") == b"kept"


def test_fault_18_parts_under_way_can_be_neither_read_nor_changed_nor_listed_as_objects(s3, box):
    upload = Uploader(s3)
    upload.put(1, b"data")
    for path in [path for path in (box / ".sgwtmp").rglob("*") if path.is_file()]:
        key = str(path.relative_to(box))
        name = {"Bucket": "box", "Key": key}
        assert refusal(s3.get_object, **name)[0] in (400, 403, 404)
        assert refusal(s3.put_object, **name, Body=b"x")[0] in (400, 403)
        assert refusal(s3.create_multipart_upload, **name)[0] in (400, 403)
        s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": key}]})
        for end in range(len(key)):
            found = s3.list_objects_v2(Bucket="box", Prefix=key[:end])
            assert found["KeyCount"] == 0
    upload.complete()
    assert body_of(s3, "key") == b"data"
