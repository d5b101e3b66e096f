"""RestoreObject and cold classes where nothing is ever on tape: elsewhere than on ScoutFS."""

import os

import pytest

from tests.functional.asking import SMALL, body_of, refusal

DOCUMENT = b"<RestoreRequest><Days>1</Days></RestoreRequest>"


@pytest.fixture
def aws(make_app, monkeypatch):
    """The pipeline's app with ``restore_header = aws``."""
    app = make_app()
    glacier = app
    while type(glacier).__name__ != "Glacier":
        glacier = glacier.app
    object.__setattr__(glacier._tiering, "as_aws", True)
    return app


def restore(s3, key, **more):
    return s3.restore_object(Bucket="box", Key=key, RestoreRequest={"Days": 1}, **more)


def test_what_was_never_archived_is_there_as_with_versitys_gateway(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    before = os.listxattr(box / "key")
    assert restore(s3, "key")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert restore(s3, "key", VersionId="null")["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert os.listxattr(box / "key") == before
    assert not (box / ".sgwtmp" / "restores").exists()


def test_with_aws_what_was_never_archived_cannot_be_restored(aws, s3, one_client, box):
    _, apps = one_client
    apps[:] = [aws]
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    request = {"Bucket": "box", "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refusal(s3.restore_object, **request) == (403, "InvalidObjectState")


@pytest.mark.parametrize(
    ("target", "body", "refused"),
    [
        ("/box/none?restore", DOCUMENT, (404, "NoSuchKey")),
        ("/none/key?restore", DOCUMENT, (404, "NoSuchBucket")),
        ("/box/key?restore&versionId=v", DOCUMENT, (404, "NoSuchVersion")),
        ("/box/key?restore", b"", (400, "MalformedXML")),
        ("/box/key?restore", b"<Restore/>", (400, "MalformedXML")),
        ("/box/key?restore", DOCUMENT.replace(b"1", b"0"), (400, "MalformedXML")),
        ("/box/key?restore", b"x" * 70_000, (400, "MaxMessageLengthExceeded")),
    ],
)
def test_what_cannot_be_asked_is_told(ask, s3, box, target, body, refused):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    answer = ask("POST", target, body)
    assert (answer.status, answer.code) == refused, answer.body


@pytest.mark.parametrize("name", ["GLACIER", "DEEP_ARCHIVE"])
def test_cold_classes_are_refused(s3, box, name):
    put = {"Bucket": "box", "Key": "key", "StorageClass": name}
    refused = (400, "InvalidStorageClass")
    assert refusal(s3.put_object, **put, Body=SMALL) == refused
    assert refusal(s3.create_multipart_upload, **put) == refused
    s3.put_object(Bucket="box", Key="source", Body=SMALL)
    assert refusal(s3.copy_object, **put, CopySource="box/source") == refused


def test_a_class_that_was_recorded_on_a_node_with_tape_is_not_shown(s3, box):
    """The tree was copied from there: all its data are here."""
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    os.setxattr(box / "key", "user.s3filters.storage-class", b"GLACIER")
    assert "StorageClass" not in s3.head_object(Bucket="box", Key="key")
    (listed,) = s3.list_objects_v2(Bucket="box")["Contents"]
    assert listed["StorageClass"] == "STANDARD"
    assert body_of(s3, "key") == SMALL


def test_restore_status_may_be_asked_for(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    told = s3.list_objects_v2(Bucket="box", OptionalObjectAttributes=["RestoreStatus"])
    assert "RestoreStatus" not in told["Contents"][0]
