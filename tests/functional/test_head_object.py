"""HeadObject: the headers of GetObject, and never a body."""

import pytest

from tests.functional.asking import http_date, refusal


def test_its_headers_are_those_of_get(s3, ask, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data, Metadata={"a": "b"}, CacheControl="no-cache")
    ids = {"x-amz-request-id", "x-amz-id-2"}
    for headers in ({}, {"Range": "bytes=1-3"}, {"x-amz-checksum-mode": "ENABLED"}):
        head, get = (ask(method, "/box/key", headers=headers) for method in ("HEAD", "GET"))
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers.keys() == get.headers.keys()
        assert {n: v for n, v in head.headers.items() if n not in ids} == {
            n: v for n, v in get.headers.items() if n not in ids
        }


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/box/none", {}, 404),
        ("/none/key", {}, 404),
        ("/box/key", {"If-Match": '"other"'}, 412),
        ("/box/key", {"If-None-Match": "*"}, 304),
        ("/box/key", {"Range": "bytes=9-"}, 416),
        ("/box/key?versionId=other", {}, 404),
        ("/box/../key", {}, 400),
        ("/box/key", {"x-amz-expected-bucket-owner": "other"}, 403),
    ],
)
def test_an_error_has_no_body(s3, ask, box, target, headers, status):
    s3.put_object(Bucket="box", Key="key", Body=b"hello")
    answer = ask("HEAD", target, headers=headers)
    assert (answer.status, answer.body) == (status, b"")
    assert len(answer.headers["x-amz-request-id"]) == 16


def test_boto3_knows_an_error_by_its_status(s3, box):
    assert refusal(s3.head_object, Bucket="box", Key="none") == (404, "404")


def test_a_directory_object_has_length_zero(s3, box):
    s3.put_object(Bucket="box", Key="d/")
    assert s3.head_object(Bucket="box", Key="d/")["ContentLength"] == 0


def test_the_time_is_that_of_the_file(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=b"hello")
    when = http_date((box / "key").stat().st_mtime)
    assert ask("HEAD", "/box/key").headers["last-modified"] == when


def test_a_directory_objects_time_and_etag_stay_while_others_come(s3, box):
    s3.put_object(Bucket="box", Key="d/")
    before = s3.head_object(Bucket="box", Key="d/")
    s3.put_object(Bucket="box", Key="d/x", Body=b"x")
    after = s3.head_object(Bucket="box", Key="d/")
    assert after["ETag"] == before["ETag"]
