"""GET and HEAD with ``partNumber``: the bytes, the count and the checksum of one part."""

import json
import os

import pytest

from tests.functional.asking import refusal
from tests.functional.parts import FULL, Uploader
from tests.functional.test_multipart_checksums import digest

LAST = b"the last part"
CHECKED = {"Bucket": "box", "Key": "key", "ChecksumMode": "ENABLED"}


def upload(s3, algorithm, kind, *parts):
    made = Uploader(s3, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    for number, part in enumerate(parts, 1):
        made.put(number, part)
    return made.complete()


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA1", "CRC32", "CRC32C"])
def test_a_part_of_a_composite_object_has_the_checksum_of_its_bytes(s3, box, algorithm):
    upload(s3, algorithm, "COMPOSITE", FULL, LAST)
    for number, part in enumerate((FULL, LAST), 1):
        answer = s3.get_object(**CHECKED, PartNumber=number)
        # botocore computes the checksum while the body is read, and raises when it is another.
        assert answer["Body"].read() == part
        head = s3.head_object(**CHECKED, PartNumber=number)
        for told in (answer, head):
            assert told[f"Checksum{algorithm}"] == digest(algorithm, part)
            assert (told["ChecksumType"], told["PartsCount"]) == ("COMPOSITE", 2)
            assert told["ContentLength"] == len(part)
            assert told["ResponseMetadata"]["HTTPStatusCode"] == 206
    plain = s3.head_object(Bucket="box", Key="key", PartNumber=1)
    assert f"Checksum{algorithm}" not in plain


def test_the_only_part_of_a_composite_object_has_its_own_checksum(s3, box):
    upload(s3, "SHA256", "COMPOSITE", LAST)
    answer = s3.get_object(**CHECKED, PartNumber=1)
    assert answer["ChecksumSHA256"] == digest("SHA256", LAST)
    assert answer["Body"].read() == LAST
    assert s3.head_object(**CHECKED)["ChecksumSHA256"].endswith("-1")


def test_a_part_of_an_object_with_one_checksum_for_all_has_none(s3, box):
    upload(s3, "CRC32", "FULL_OBJECT", FULL, LAST)
    for number, part in enumerate((FULL, LAST), 1):
        answer = s3.get_object(**CHECKED, PartNumber=number)
        assert answer["Body"].read() == part
        assert "ChecksumCRC32" not in answer
        assert "ChecksumType" not in answer


def test_the_only_part_of_an_object_has_the_checksum_of_all(s3, box):
    upload(s3, "CRC32", "FULL_OBJECT", LAST)
    answer = s3.head_object(**CHECKED, PartNumber=1)
    assert (answer["ChecksumCRC32"], answer["PartsCount"]) == (digest("CRC32", LAST), 1)


def test_a_range_that_is_no_part_has_no_checksum(s3, box):
    upload(s3, "SHA256", "COMPOSITE", FULL, LAST)
    answer = s3.get_object(**CHECKED, Range=f"bytes={len(FULL)}-")
    assert answer["Body"].read() == LAST
    assert "ChecksumSHA256" not in answer


def test_a_part_whose_checksum_is_not_stored_has_none(s3, box):
    upload(s3, "SHA256", "COMPOSITE", LAST)
    os.removexattr(box / "key", "user.s3filters.part-checksums")
    answer = s3.get_object(**CHECKED, PartNumber=1)
    assert answer["Body"].read() == LAST
    assert "ChecksumSHA256" not in answer


def test_a_copy_keeps_the_checksums_of_its_parts(s3, box):
    upload(s3, "SHA256", "COMPOSITE", FULL, LAST)
    s3.copy_object(Bucket="box", Key="copy", CopySource="box/key")
    answer = s3.get_object(**CHECKED | {"Key": "copy"}, PartNumber=2)
    assert answer["ChecksumSHA256"] == digest("SHA256", LAST)
    assert answer["Body"].read() == LAST


def without_boundaries(box, count):
    """An object of parts that say nowhere where they end."""
    (box / "key").write_bytes(b"onetwothree")
    etag = f'"0123456789abcdef0123456789abcdef-{count}"'
    os.setxattr(box / "key", "user.etag", etag.encode())
    value = f"386a110b-b0b4-4fef-bf2d-4e765e844d1b {count}*"
    os.setxattr(box / "key", "user.s3filters.parts", value.encode())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_parts_whose_boundaries_are_not_stored_cannot_be_asked_for(ask, s3, box, method):
    without_boundaries(box, 3)
    for number, status in ((1, 501), (3, 501), (4, 416)):
        answer = ask(method, f"/box/key?partNumber={number}")
        assert answer.status == status
        assert answer.headers.get("x-amz-mp-parts-count") == ("3" if status == 501 else None)
    assert ask(method, "/box/key").status == 200


def test_what_is_missing_is_said_clearly(s3, box):
    without_boundaries(box, 3)
    args = {"Bucket": "box", "Key": "key"}
    assert refusal(s3.get_object, **args, PartNumber=1) == (501, "NotImplemented")
    assert refusal(s3.get_object, **args, PartNumber=4) == (416, "InvalidPartNumber")


def test_a_single_part_needs_no_boundaries(s3, box):
    without_boundaries(box, 1)
    answer = s3.get_object(Bucket="box", Key="key", PartNumber=1)
    assert (answer["Body"].read(), answer["PartsCount"]) == (b"onetwothree", 1)


def test_parts_of_versitys_are_found(s3, box):
    (box / "key").write_bytes(b"onetwothree")
    os.setxattr(box / "key", "user.etag", b'"0123456789abcdef0123456789abcdef-3"')
    parts = json.dumps({"uploadId": "u", "parts": [3, 6, 11]})
    os.setxattr(box / "key", "user.mp-metadata", parts.encode())
    bodies = [
        s3.get_object(Bucket="box", Key="key", PartNumber=number)["Body"].read()
        for number in (1, 2, 3)
    ]
    assert bodies == [b"one", b"two", b"three"]


def test_boundaries_that_are_not_as_many_as_the_etag_says_are_none(ask, s3, box):
    (box / "key").write_bytes(b"onetwothree")
    os.setxattr(box / "key", "user.etag", b'"0123456789abcdef0123456789abcdef-4"')
    parts = json.dumps({"uploadId": "u", "parts": [3, 6, 11]})
    os.setxattr(box / "key", "user.mp-metadata", parts.encode())
    assert ask("GET", "/box/key?partNumber=1").status == 501


@pytest.mark.parametrize("etag", ["abc-0", "abc-x", "-3", "abc-99999999", "abc"])
def test_an_etag_that_counts_no_parts_is_that_of_one(ask, s3, box, etag):
    (box / "key").write_bytes(b"data")
    os.setxattr(box / "key", "user.etag", f'"{etag}"'.encode())
    answer = ask("GET", "/box/key?partNumber=1")
    assert (answer.status, answer.body) == (206, b"data")
    assert "x-amz-mp-parts-count" not in answer.headers
    assert ask("GET", "/box/key?partNumber=2").status == 416
