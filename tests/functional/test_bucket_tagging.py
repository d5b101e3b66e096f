"""The tags of a bucket."""

import base64
import hashlib
import json
import os

import pytest

from tests.functional.asking import document, fields, refusal, told

TAGS = [{"Key": "team", "Value": "tape"}, {"Key": "Größe", "Value": "a <b> & c"}]
SIGN = [{"Key": "k", "Value": "a+b=c@d"}, {"Key": "empty", "Value": ""}]


def xml(*pairs):
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()


def put(ask, body, headers=None):
    """Send tags with the proof that S3 wants of them."""
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    return ask("PUT", "/box?tagging", body, {"Content-MD5": md5, **(headers or {})})


def test_boto3_sets_gets_and_deletes_tags(s3, box):
    put = s3.put_bucket_tagging(Bucket="box", Tagging={"TagSet": SIGN})
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert s3.get_bucket_tagging(Bucket="box")["TagSet"] == SIGN
    deleted = s3.delete_bucket_tagging(Bucket="box")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_tagging, Bucket="box") == (404, "NoSuchTagSet")
    s3.delete_bucket_tagging(Bucket="box")


def test_tags_are_stored_as_versitys_gateway_does(s3, box):
    s3.put_bucket_tagging(Bucket="box", Tagging={"TagSet": TAGS[:1]})
    assert os.getxattr(box, "user.X-Amz-Tagging") == b'{"team":"tape"}'


def test_new_tags_take_the_place_of_all_old_ones(ask, box):
    assert put(ask, xml(("a", "1"), ("b", "2"))).status == 204
    assert put(ask, xml(("b", "3"))).status == 204
    assert json.loads(os.getxattr(box, "user.X-Amz-Tagging")) == {"b": "3"}


def test_a_set_of_no_tags_takes_them_away(ask, box):
    assert put(ask, xml(("a", "1"))).status == 204
    assert put(ask, xml()).status == 204
    answer = ask("GET", "/box?tagging")
    assert told(answer) == (404, "NoSuchTagSet")
    assert fields(answer)["BucketName"] == "box"
    assert "user.X-Amz-Tagging" not in os.listxattr(box)


def test_fifty_of_the_longest_tags_are_kept(ask, box):
    pairs = [("Ж" * 125 + f"{number:03}", "Ж" * 256) for number in range(50)]
    assert put(ask, xml(*pairs)).status == 204
    root = document(ask("GET", "/box?tagging"))
    found = [(tag.findtext("Key"), tag.findtext("Value")) for tag in root.iter("Tag")]
    assert found == pairs


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingRequestBodyError"),
        (b"<", "MalformedXML"),
        (b"<Tagging/>", "MalformedXML"),
        (b"<Tags><TagSet/></Tags>", "MalformedXML"),
        (b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "MalformedXML"),
        (b" " * 70_000, "MalformedXML"),
        (xml(("a", "1"), ("a", "2")), "InvalidTag"),
        (xml(("", "1")), "InvalidTag"),
        (xml(("aws:x", "1")), "InvalidTag"),
        (xml(("a" * 129, "1")), "InvalidTag"),
        (xml(("a", "1" * 257)), "InvalidTag"),
        (xml(("a;b", "1")), "InvalidTag"),
        (xml(*((f"k{number}", "") for number in range(51))), "BadRequest"),
    ],
)
def test_what_are_no_tags_is_refused_by_name_and_the_old_ones_stay(ask, box, body, code):
    assert put(ask, xml(("old", "1"))).status == 204
    assert told(put(ask, body)) == (400, code)
    assert os.getxattr(box, "user.X-Amz-Tagging") == b'{"old":"1"}'


def test_tags_must_be_proven(ask, box):
    assert told(ask("PUT", "/box?tagging", xml(("a", "1")))) == (400, "InvalidRequest")
    wrong = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    assert told(put(ask, xml(("a", "1")), wrong)) == (400, "BadDigest")
    assert "user.X-Amz-Tagging" not in os.listxattr(box)


def test_tags_that_another_program_spoilt_are_none(ask, box):
    os.setxattr(box, "user.X-Amz-Tagging", b"[1, 2]")
    answer = ask("GET", "/box?tagging")
    assert answer.status == 200
    assert list(document(answer).iter("Tag")) == []


def test_tags_of_a_bucket_are_not_those_of_an_object(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=b"", Tagging="a=1")
    assert refusal(s3.get_bucket_tagging, Bucket="box") == (404, "NoSuchTagSet")
