"""Errors: S3's document, its fields, ids on every answer, and every operation by its name."""

import os
import re

import pytest

from s3filters.s3.errors import CODES
from s3filters.s3.operations import ROWS
from tests.functional.asking import LARGE, Asker, document, fields, on_disk

BUILT = {
    "ListBuckets", "CreateBucket", "HeadBucket", "DeleteBucket", "GetBucketLocation",
    "GetBucketVersioning", "PutObject", "GetObject", "HeadObject", "CopyObject", "DeleteObject",
    "DeleteObjects", "ListObjects", "ListObjectsV2", "ListObjectVersions", "GetObjectAttributes",
    "CreateMultipartUpload", "UploadPart", "UploadPartCopy", "CompleteMultipartUpload",
    "RestoreObject",
    "AbortMultipartUpload", "ListParts", "ListMultipartUploads", "PostObject",
    "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy", "GetBucketPolicyStatus",
    "GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging",
    "GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls",
    "GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock",
    "GetBucketAcl", "PutBucketAcl", "GetBucketCors", "PutBucketCors", "DeleteBucketCors",
    "GetObjectAcl", "PutObjectAcl", "GetObjectTagging", "PutObjectTagging",
    "DeleteObjectTagging", "OptionsBucket", "OptionsObject",
}  # fmt: skip
PATHS = {"service": "/", "bucket": "/box", "object": "/box/key"}
DOCUMENT = ["Code", "Message"]
TAIL = ["Resource", "RequestId", "HostId"]


def test_the_document_is_aws(ask, box):
    answer = ask("GET", "/box/none")
    assert answer.headers["content-type"] == "application/xml"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey')
    told = fields(answer)
    assert list(told) == [*DOCUMENT, "Key", *TAIL]
    assert told["Message"] == "The specified key does not exist."
    assert told["Resource"] == "/box/none"
    assert told["RequestId"] == answer.headers["x-amz-request-id"]
    assert told["HostId"] == answer.headers["x-amz-id-2"]


CASES = {  # code -> method, target, headers, fields besides those of every document
    "NoSuchBucket": ("GET", "/none/key", {}, {"BucketName": "none"}),
    "NoSuchKey": ("GET", "/box/none", {}, {"Key": "none"}),
    "NoSuchVersion": ("GET", "/box/key?versionId=v", {}, {"Key": "key", "VersionId": "v"}),
    "InvalidBucketName": ("PUT", "/Bad_Name", {}, {"BucketName": "Bad_Name"}),
    "BucketNotEmpty": ("DELETE", "/box", {}, {"BucketName": "box"}),
    "InvalidRange": (
        "GET",
        "/box/key",
        {"Range": "bytes=9-"},
        {"RangeRequested": "bytes=9-", "ActualObjectSize": "5"},
    ),
    "PreconditionFailed": ("GET", "/box/key", {"If-Match": "x"}, {"Condition": "If-Match"}),
    "InvalidArgument": (
        "GET",
        "/box?max-keys=x",
        {},
        {"ArgumentName": "max-keys", "ArgumentValue": "x"},
    ),
    "MethodNotAllowed": ("POST", "/box/key", {}, {"Method": "POST", "ResourceType": "OBJECT"}),
    "NotImplemented": ("PUT", "/box/key", {"If-None-Match": "x"}, {"Header": "If-None-Match"}),
    "KeyTooLongError": (
        "GET",
        "/box/" + "k" * 1025,
        {},
        {"Size": "1025", "MaxSizeAllowed": "1024"},
    ),
    "InvalidStorageClass": (
        "PUT",
        "/box/key",
        {"x-amz-storage-class": "x"},
        {"StorageClassRequested": "x"},
    ),
    "AccessDenied": ("GET", "/box/key", {"x-amz-expected-bucket-owner": "x"}, {}),
    "InvalidURI": ("GET", "/box/%ff", {}, {}),
}


@pytest.mark.parametrize("code", CASES)
def test_an_error_tells_what_aws_tells(ask, box, code):
    ask("PUT", "/box/key", b"hello")
    method, target, headers, more = CASES[code]
    answer = ask(method, target, b"x" if method == "PUT" else b"", headers)
    assert (answer.code, answer.status) == (code, CODES[code][0])
    told = fields(answer)
    assert list(told) == [*DOCUMENT, *more, *TAIL]
    assert {name: told[name] for name in more} == more
    assert told["Message"]


def test_a_wrong_digest_tells_both(ask, box):
    answer = ask("PUT", "/box/key", b"hello", {"Content-MD5": "A" * 22 + "=="})
    told = fields(answer)
    assert told["ExpectedDigest"] == "A" * 22 + "=="
    assert told["CalculatedDigest"] == "XUFAKrxLKna5cZ2REBfFkg=="


def test_a_wrong_signature_tells_what_was_signed(ask, box):
    ask.signer = type(ask.signer)(ask.host, secret_key="other")
    answer = ask("GET", "/box")
    told = fields(answer)
    assert (answer.status, told["Code"]) == (403, "SignatureDoesNotMatch")
    assert told["StringToSign"].startswith("AWS4-HMAC-SHA256\n")
    assert told["CanonicalRequest"].startswith("GET\n/box\n")


# --- ids ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"), ("GET", "/box"), ("HEAD", "/box"), ("PUT", "/box/new"), ("GET", "/box/key"),
        ("HEAD", "/box/key"), ("DELETE", "/box/key"), ("GET", "/none"), ("HEAD", "/none/key"),
        ("POST", "/"), ("BREW", "/box"), ("GET", "/box?acl"), ("GET", "/healthz"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sign", [True, False])
def test_every_answer_has_its_ids(ask, box, method, target, sign):
    ask("PUT", "/box/key", b"hello")
    seen = set()
    for _ in range(2):
        answer = ask(method, target, b"x" if method == "PUT" else b"", sign=sign)
        assert re.fullmatch(r"[0-9A-F]{16}", answer.headers["x-amz-request-id"])
        assert answer.headers["x-amz-id-2"]
        seen.add(answer.headers["x-amz-request-id"])
    assert len(seen) == 2


def test_a_304_and_a_204_have_ids_and_no_body(ask, box):
    ask("PUT", "/box/key", b"hello")
    for answer in (
        ask("GET", "/box/key", headers={"If-None-Match": "*"}),
        ask("DELETE", "/box/key"),
    ):
        assert answer.body == b""
        assert "content-type" not in answer.headers
        assert answer.headers["x-amz-request-id"]


def test_what_nobody_expected_is_an_internal_error_with_an_id(ask, box, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("secret path")

    monkeypatch.setattr("s3filters.store.store.Store.head", fail)
    ask("PUT", "/box/key", b"hello")
    answer = ask("GET", "/box/key?attributes", headers={"x-amz-object-attributes": "ETag"})
    assert (answer.status, answer.code) == (500, "InternalError")
    assert b"secret" not in answer.body
    assert "secret path" in caplog.text


# --- operations --------------------------------------------------------------------------------


def test_every_row_is_asked_below():
    assert {row.name for row in ROWS} >= BUILT
    assert len({row.name for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.name not in BUILT], ids=lambda row: row.name
)
def test_an_operation_that_is_not_built_is_refused_by_its_name(ask, box, row):
    ask("PUT", "/box/key", b"hello")
    before = on_disk(box)
    words = {"uploadId": "u", "partNumber": "1"}
    query = "&".join(word if "=" in word else f"{word}={words.get(word, '')}" for word in row.words)
    headers = {}
    if row.header is not None:
        name = row.header.removeprefix("HTTP_").replace("_", "-").lower()
        headers[name] = "box/key"
    target = PATHS[row.level] + (f"?{query}" if query else "")
    body = b"<x/>" if row.body else b""
    answer = ask(row.method, target, body, headers)
    if row.method == "HEAD":
        assert answer.status == 501
    else:
        assert (answer.status, answer.code) == (501, "NotImplemented"), answer.body
        assert row.name in document(answer).findtext("Message")
    assert on_disk(box) == before


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("DELETE", "/box?uploads"), ("DELETE", "/box?versions"), ("PUT", "/box?location"),
        ("DELETE", "/box/key?attributes"), ("PUT", "/box/key?uploads"), ("POST", "/box/key?acl"),
        ("DELETE", "/box?delete"), ("PUT", "/"), ("DELETE", "/"), ("POST", "/box/key"),
        ("PATCH", "/box/key"), ("BREW", "/box"), ("DELETE", "/box?list-type=2"),
    ],
)  # fmt: skip
def test_a_method_that_no_operation_has_changes_nothing(ask, box, method, target):
    ask("PUT", "/box/key", b"hello")
    before = on_disk(box)
    answer = ask(method, target, b"x" if method in ("PUT", "POST") else b"")
    assert answer.status in (400, 405, 501)
    assert answer.code in ("MethodNotAllowed", "InvalidArgument", "NotImplemented")
    assert on_disk(box) == before


def test_an_anonymous_request_is_refused_and_changes_nothing(ask, box):
    ask("PUT", "/box/key", b"hello")
    before = on_disk(box)
    for method, target in (
        ("GET", "/"), ("GET", "/box"), ("PUT", "/box/key"), ("DELETE", "/box/key"),
        ("DELETE", "/box"), ("PUT", "/other"), ("GET", "/box/key"),
    ):  # fmt: skip
        answer = ask(method, target, b"x" if method == "PUT" else b"", sign=False)
        assert (answer.status, answer.code) == (403, "AccessDenied")
    assert on_disk(box) == before


def test_a_refused_request_does_not_send_its_body(app, ask, box):
    class Silent:
        def readinto(self, view):
            raise AssertionError("the body was read")

    silent = {"wsgi.input": Silent()}
    wrong = Asker(app)
    wrong.signer = type(ask.signer)(ask.host, secret_key="other")
    assert wrong("PUT", "/box/key", b"x", environ=silent).code == "SignatureDoesNotMatch"
    assert ask("PUT", "/box/key", b"x", environ=silent, sign=False).code == "AccessDenied"
    large = {"length": 1 << 20, "environ": silent}
    assert ask("PUT", "/none/key", b"x", **large).code == "NoSuchBucket"
    owner = {"x-amz-expected-bucket-owner": "other"}
    assert ask("PUT", "/box/key", b"x", owner, environ=silent).code == "AccessDenied"
    (box / "d").mkdir()
    assert ask("PUT", "/box/d", b"x", **large).code == "ExistingObjectIsDirectory"
    assert ask("PUT", "/box/d/", b"x", **large).code == "DirectoryObjectContainsData"
    cold = {"x-amz-storage-class": "GLACIER"}
    assert ask("PUT", "/box/key", b"x", cold, environ=silent).code == "InvalidStorageClass"


# --- what is left behind -----------------------------------------------------------------------


def test_no_answer_leaves_a_file_open(ask, box):
    def descriptors():
        return len(os.listdir("/proc/self/fd"))

    def everything():
        ask("PUT", "/box/a/key", LARGE)
        ask("PUT", "/box/a/key", LARGE, {"Content-MD5": "A" * 22 + "=="})
        ask("PUT", "/box/a/key", b"x", {"If-None-Match": "*"})
        ask("PUT", "/box/a", LARGE)
        ask("PUT", "/box/d/", length=0)
        for headers in ({}, {"Range": "bytes=1-2"}, {"Range": "bytes=99999999-"},
                        {"If-Match": "x"}, {"If-None-Match": "*"}):  # fmt: skip
            for method in ("GET", "HEAD"):
                ask(method, "/box/a/key", headers=headers)
        for source in ("box/a/key", "box/d/", "box/none", "box/a"):
            for key in ("copy", "a", "d/", "a/key/x"):
                ask("PUT", f"/box/{key}", headers={"x-amz-copy-source": source})
        for key in ("a/key", "d/", "copy", "none", "a"):
            ask("DELETE", f"/box/{key}", headers={"If-Match": "x"})
            ask("DELETE", f"/box/{key}")
        for query in ("", "list-type=2", "versions", "location", "acl", "list-type=2&delimiter=/"):
            ask("GET", f"/box?{query}")

    everything()
    before = descriptors()
    for _ in range(3):
        everything()
    assert descriptors() <= before
