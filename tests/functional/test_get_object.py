"""GetObject: bytes, headers, what a signed request may override, and versions that are none."""

import hashlib

import pytest

from tests.functional.asking import LARGE, SMALL, body_of, fields, http_date, refusal


def test_an_answer_has_what_was_stored(s3, ask, box, data):
    s3.put_object(
        Bucket="box",
        Key="key",
        Body=data,
        ContentType="text/plain",
        CacheControl="max-age=3",
        ContentDisposition="attachment",
        ContentEncoding="gzip",
        ContentLanguage="de",
        Expires="Wed, 21 Oct 2015 07:28:00 GMT",
        WebsiteRedirectLocation="/other",
        Metadata={"who": "me"},
    )
    answer = ask("GET", "/box/key")
    assert answer.body == data
    told = dict(answer.headers)
    assert len(told.pop("x-amz-request-id")) == 16
    assert told.pop("x-amz-id-2")
    assert told == {
        "content-length": str(len(data)),
        "last-modified": http_date((box / "key").stat().st_mtime),
        "etag": f'"{hashlib.md5(data).hexdigest()}"',
        "accept-ranges": "bytes",
        "content-type": "text/plain",
        "cache-control": "max-age=3",
        "content-disposition": "attachment",
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": "Wed, 21 Oct 2015 07:28:00 GMT",
        "x-amz-website-redirect-location": "/other",
        "x-amz-meta-who": "me",
    }


def test_what_is_not_there_is_told_with_its_key(ask, box):
    answer = ask("GET", "/box/a%20b")
    assert (answer.status, fields(answer)["Key"]) == (404, "a b")
    assert answer.code == "NoSuchKey"


def test_a_bucket_that_is_not_there_is_told_with_its_name(ask, root):
    answer = ask("GET", "/none/key")
    assert (answer.status, answer.code) == (404, "NoSuchBucket")
    assert fields(answer)["BucketName"] == "none"


def test_a_directory_is_no_object(s3, box):
    s3.put_object(Bucket="box", Key="a/b", Body=b"")
    for key in ("a", "a/", "a/b/", "a/b/c"):
        assert refusal(s3.get_object, Bucket="box", Key=key) == (404, "NoSuchKey")


OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}


@pytest.mark.parametrize("word", OVERRIDES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_signed_request_may_override_a_header(s3, ask, box, method, word):
    s3.put_object(Bucket="box", Key="key", Body=SMALL, ContentType="text/plain")
    answer = ask(method, f"/box/key?{word}=so%20be%3D%22it%22")
    assert answer.status == 200
    assert answer.headers[OVERRIDES[word].lower()] == 'so be="it"'
    assert ask(method, f"/box/key?{word}=").headers["content-type"] == "text/plain"


def test_an_override_cannot_add_a_header(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    answer = ask("GET", "/box/key?response-content-type=a%0d%0aSet-Cookie:%20b")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert "set-cookie" not in answer.headers


def test_an_override_may_be_presigned_and_not_be_anonymous(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    target = ask.signer.presigned("GET", "/box/key?response-content-type=text%2Fx")
    assert ask("GET", target, sign=False).headers["content-type"] == "text/x"
    answer = ask("GET", "/box/key?response-content-type=text%2Fx", sign=False)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_nobody_reads_without_a_signature(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    answer = ask("GET", "/box/key", sign=False)
    assert (answer.status, answer.code) == (403, "AccessDenied")


@pytest.mark.parametrize("call", ["get_object", "head_object"])
def test_the_only_version_is_null(s3, box, data, call):
    s3.put_object(Bucket="box", Key="key", Body=data)
    verb = getattr(s3, call)
    assert verb(Bucket="box", Key="key", VersionId="null")["ContentLength"] == len(data)
    assert refusal(verb, Bucket="box", Key="key", VersionId="other")[0] == 404


def test_an_object_replaced_while_it_is_answered_stays_what_it_was(s3, app, box):
    s3.put_object(Bucket="box", Key="key", Body=LARGE)
    answer = s3.get_object(Bucket="box", Key="key")
    s3.put_object(Bucket="box", Key="key", Body=b"new")
    assert answer["Body"].read() == LARGE
    assert body_of(s3, "key") == b"new"


def test_a_part_number_of_a_plain_object_is_1(s3, ask, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data)
    answer = ask("GET", "/box/key?partNumber=1")
    assert (answer.status, answer.body) == (206, data)
    assert answer.headers["content-range"] == f"bytes 0-{len(data) - 1}/{len(data)}"
    answer = ask("GET", "/box/key?partNumber=2")
    assert (answer.status, answer.code) == (416, "InvalidPartNumber")
    answer = ask("GET", "/box/key?partNumber=0")
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    answer = ask("GET", "/box/key?partNumber=1", headers={"Range": "bytes=0-1"})
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_an_object_with_a_key_of_the_client_is_not_read(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    headers = {"x-amz-server-side-encryption-customer-algorithm": "AES256"}
    assert ask("GET", "/box/key", headers=headers).code == "InvalidRequest"
