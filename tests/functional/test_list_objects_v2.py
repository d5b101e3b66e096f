"""ListObjectsV2 through the whole pipeline, as boto3 sees it."""

import os
import random
import time
from pathlib import Path

import botocore.exceptions
import pytest

ODD = [
    "a b",
    "a+b",
    "a%2Fb",
    "a&b<c>",
    'q"q',
    "ü/ñ",
    "雪/\N{GRINNING FACE}",
    "tab\there",
    "x\x01y",
    "~*'()",
]


@pytest.fixture
def bucket(s3):
    s3.create_bucket(Bucket="box")

    def put(*keys):
        for key in keys:
            s3.put_object(Bucket="box", Key=key, Body=key.encode())

    return put


def pages(s3, **asked):
    return list(s3.get_paginator("list_objects_v2").paginate(Bucket="box", **asked))


def keys(s3, **asked):
    return [entry["Key"] for page in pages(s3, **asked) for entry in page.get("Contents", ())]


def test_odd_keys_come_back_as_they_were_stored_in_byte_order(s3, bucket):
    bucket(*ODD)
    assert keys(s3) == sorted(ODD)
    for size in (1, 3):
        assert keys(s3, PaginationConfig={"PageSize": size}) == sorted(ODD)
    for key in ODD:
        assert keys(s3, Prefix=key) == [key]
        assert keys(s3, StartAfter=key) == [other for other in sorted(ODD) if other > key]


def test_an_entry_says_what_head_object_says(s3, bucket):
    bucket("some/object")
    (entry,) = s3.list_objects_v2(Bucket="box")["Contents"]
    head = s3.head_object(Bucket="box", Key="some/object", ChecksumMode="ENABLED")
    assert entry["ETag"] == head["ETag"]
    assert entry["Size"] == head["ContentLength"] == 11
    assert entry["LastModified"] == head["LastModified"]
    assert entry["StorageClass"] == "STANDARD"
    (algorithm,) = entry["ChecksumAlgorithm"]
    assert f"Checksum{algorithm}" in head
    assert entry["ChecksumType"] == head["ChecksumType"]


def test_key_count_counts_keys_and_prefixes(s3, bucket):
    bucket("a", "b/1", "b/2", "c/1")
    answer = s3.list_objects_v2(Bucket="box", Delimiter="/")
    assert answer["KeyCount"] == 3
    assert [p["Prefix"] for p in answer["CommonPrefixes"]] == ["b/", "c/"]
    answer = s3.list_objects_v2(Bucket="box", Delimiter="/", MaxKeys=2)
    assert (answer["KeyCount"], answer["IsTruncated"], answer["MaxKeys"]) == (2, True, 2)


def test_more_than_1000_keys_are_1000_a_page(s3, bucket, settings):
    folder = Path(settings["root"]) / "box"
    names = [f"{n:04}" for n in range(2045)]
    random.shuffle(names)
    for name in names:
        (folder / name).touch()
    found = pages(s3)
    assert [page["KeyCount"] for page in found] == [1000, 1000, 45]
    assert [e["Key"] for page in found for e in page["Contents"]] == sorted(names)
    assert s3.list_objects_v2(Bucket="box", MaxKeys=5000)["MaxKeys"] == 1000


def test_every_change_through_s3_or_behind_it_is_in_the_next_listing(s3, bucket, settings):
    folder = Path(settings["root"]) / "box" / "d"
    bucket("d/0")
    time.sleep(0.05)
    for n in range(1, 40):
        bucket(f"d/{n:03}")
        assert f"d/{n:03}" in keys(s3)
        (folder / f"x{n:03}").write_bytes(b"behind")
        assert f"d/x{n:03}" in keys(s3)
        s3.delete_object(Bucket="box", Key=f"d/{n:03}")
        os.rename(folder / f"x{n:03}", folder / f"y{n:03}")
        found = keys(s3)
        assert f"d/{n:03}" not in found
        assert f"d/x{n:03}" not in found
        assert f"d/y{n:03}" in found


def test_an_object_edited_behind_the_gateway_shows_its_new_size_and_etag(s3, bucket, settings):
    bucket("a")
    time.sleep(0.05)
    (before,) = s3.list_objects_v2(Bucket="box")["Contents"]
    (Path(settings["root"]) / "box" / "a").write_bytes(b"longer than before")
    (after,) = s3.list_objects_v2(Bucket="box")["Contents"]
    assert after["Size"] == 18
    assert after["ETag"] != before["ETag"]
    assert "ChecksumAlgorithm" not in after


def test_uploads_in_progress_are_not_listed(s3, bucket, settings):
    hidden = Path(settings["root"]) / "box" / ".sgwtmp" / "multipart" / "x"
    hidden.mkdir(parents=True)
    (hidden / "1").touch()
    bucket("a")
    assert keys(s3) == ["a"]
    assert keys(s3, Prefix=".sgwtmp/") == []


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"Bucket": "missing"}, 404, "NoSuchBucket"),
        ({"Bucket": "box", "MaxKeys": -1}, 400, "InvalidArgument"),
        ({"Bucket": "box", "ContinuationToken": "nonsense"}, 400, "InvalidArgument"),
        ({"Bucket": "box", "ExpectedBucketOwner": "111122223333"}, 403, "AccessDenied"),
    ],
)
def test_what_cannot_be_listed_is_refused(s3, bucket, asked, status, code):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        s3.list_objects_v2(**asked)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Code"] == code
