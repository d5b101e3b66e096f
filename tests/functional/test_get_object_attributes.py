"""GetObjectAttributes: what is asked for, and nothing else."""

import base64
import hashlib
import json
import os

import pytest

from tests.functional.asking import document, fields, http_date, refusal

ALL = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"]


def asked(s3, key, *names):
    answer = s3.get_object_attributes(Bucket="box", Key=key, ObjectAttributes=list(names or ALL))
    return {name: answer[name] for name in ALL if name in answer}


def test_all_of_a_plain_object(s3, box, data):
    made = s3.put_object(Bucket="box", Key="key", Body=data, ChecksumAlgorithm="SHA256")
    assert asked(s3, "key") == {
        "ETag": hashlib.md5(data).hexdigest(),
        "Checksum": {"ChecksumSHA256": made["ChecksumSHA256"], "ChecksumType": "FULL_OBJECT"},
        "StorageClass": "STANDARD",
        "ObjectSize": len(data),
    }


@pytest.mark.parametrize("name", ALL)
def test_one_of_them_comes_alone(s3, box, name):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    assert asked(s3, "key", name).keys() <= {name}


def test_an_empty_object_has_size_zero(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"")
    s3.put_object(Bucket="box", Key="d/")
    for key in ("key", "d/"):
        assert asked(s3, key, "ObjectSize") == {"ObjectSize": 0}


def test_the_parts_of_an_object_in_parts_are_counted(s3, box):
    (box / "key").write_bytes(b"onetwothree")
    os.setxattr(box / "key", "user.etag", b'"0123456789abcdef0123456789abcdef-3"')
    parts = json.dumps({"uploadId": "u", "parts": [3, 6, 11]})
    os.setxattr(box / "key", "user.mp-metadata", parts.encode())
    assert asked(s3, "key", "ObjectParts") == {"ObjectParts": {"TotalPartsCount": 3}}


def in_parts(box, count, *, boundaries=True):
    """An object of an upload whose parts have a checksum each; its bytes and their SHA256."""
    parts = [bytes([number]) * (number + 1) for number in range(count)]
    digests = [hashlib.sha256(part).digest() for part in parts]
    path = box / "key"
    path.write_bytes(b"".join(parts))
    whole = base64.b64encode(hashlib.sha256(b"".join(digests)).digest()).decode()
    checksums = {"Algorithm": "SHA256", "Type": "COMPOSITE", "SHA256": f"{whole}-{count}"}
    sizes = ",".join(str(len(part)) for part in parts) if boundaries else f"{count}*"
    for name, value in {
        "etag": f'"0123456789abcdef0123456789abcdef-{count}"'.encode(),
        "checksums": json.dumps(checksums).encode(),
        "s3filters.parts": f"386a110b-b0b4-4fef-bf2d-4e765e844d1b {sizes}".encode(),
        "s3filters.part-checksums": b"\x20" + b"".join(digests),
    }.items():
        os.setxattr(path, f"user.{name}", value)
    return whole, [base64.b64encode(digest).decode() for digest in digests]


def test_parts_that_have_checksums_are_listed(s3, box):
    whole, digests = in_parts(box, 3)
    assert asked(s3, "key", "Checksum", "ObjectParts") == {
        "Checksum": {"ChecksumSHA256": whole, "ChecksumType": "COMPOSITE"},
        "ObjectParts": {
            "TotalPartsCount": 3,
            "PartNumberMarker": 0,
            "NextPartNumberMarker": 3,
            "MaxParts": 1000,
            "IsTruncated": False,
            "Parts": [
                {"PartNumber": number + 1, "Size": number + 1, "ChecksumSHA256": digest}
                for number, digest in enumerate(digests)
            ],
        },
    }


@pytest.mark.parametrize(
    ("marker", "limit", "numbers", "truncated"),
    [
        (0, 2, [1, 2], True),
        (2, 2, [3, 4], True),
        (4, 2, [5], False),
        (3, 2, [4, 5], False),
        (5, 2, [], False),
        (9, 9, [], False),
        (0, 0, [], False),
    ],
)
def test_parts_are_told_page_by_page(s3, box, marker, limit, numbers, truncated):
    in_parts(box, 5)
    args = {"Bucket": "box", "Key": "key", "ObjectAttributes": ["ObjectParts"]}
    told = s3.get_object_attributes(**args, PartNumberMarker=marker, MaxParts=limit)["ObjectParts"]
    assert [part["PartNumber"] for part in told.get("Parts", ())] == numbers
    assert (told["IsTruncated"], told["TotalPartsCount"]) == (truncated, 5)
    assert (told["PartNumberMarker"], told["MaxParts"]) == (marker, limit)
    assert told["NextPartNumberMarker"] == (numbers[-1] if numbers else 0)


def test_parts_whose_checksums_are_not_stored_are_listed_with_their_sizes(s3, box):
    in_parts(box, 2)
    os.removexattr(box / "key", "user.s3filters.part-checksums")
    assert asked(s3, "key", "ObjectParts")["ObjectParts"]["Parts"] == [
        {"PartNumber": 1, "Size": 1},
        {"PartNumber": 2, "Size": 2},
    ]


def test_parts_whose_boundaries_are_not_stored_are_counted(s3, box):
    in_parts(box, 3, boundaries=False)
    assert asked(s3, "key", "ObjectParts") == {"ObjectParts": {"TotalPartsCount": 3}}


def test_the_answer_has_a_date_and_the_root_that_aws_sends(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    headers = {"x-amz-object-attributes": "ETag,ObjectSize"}
    answer = ask("GET", "/box/key?attributes", headers=headers)
    assert answer.headers["last-modified"] == http_date((box / "key").stat().st_mtime)
    assert "etag" not in answer.headers
    root = document(answer)
    assert root.tag == "GetObjectAttributesResponse"
    assert [child.tag for child in root] == ["ETag", "ObjectSize"]


@pytest.mark.parametrize("headers", [{}, {"x-amz-object-attributes": ""}])
def test_something_must_be_asked_for(s3, ask, box, headers):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    answer = ask("GET", "/box/key?attributes", headers=headers)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_what_no_object_has_is_refused(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    headers = {"x-amz-object-attributes": "ETag,Colour"}
    answer = ask("GET", "/box/key?attributes", headers=headers)
    assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_what_is_not_there_is_told(s3, ask, box):
    args = {"Bucket": "box", "Key": "none", "ObjectAttributes": ALL}
    assert refusal(s3.get_object_attributes, **args) == (404, "NoSuchKey")
    told = refusal(s3.get_object_attributes, **args | {"Bucket": "none"})
    assert told == (404, "NoSuchBucket")
    s3.put_object(Bucket="box", Key="none", Body=b"x")
    told = refusal(s3.get_object_attributes, **args, VersionId="other")
    assert told == (404, "NoSuchVersion")
    headers = {"x-amz-object-attributes": "ETag"}
    answer = ask("GET", "/box/gone?attributes", headers=headers)
    assert fields(answer)["Key"] == "gone"


def test_conditions_are_those_of_get(s3, ask, box):
    etag = s3.put_object(Bucket="box", Key="key", Body=b"x")["ETag"]
    for header, value, status in (
        ("If-Match", etag, 200),
        ("If-Match", '"other"', 412),
        ("If-None-Match", etag, 304),
        ("If-None-Match", '"other"', 200),
    ):
        headers = {"x-amz-object-attributes": "ETag", header: value}
        assert ask("GET", "/box/key?attributes", headers=headers).status == status
