"""``x-amz-tagging``: tags that come with the object."""

import json
import os

import pytest

from tests.functional.asking import body_of, on_disk, refusal


def tags_of(path):
    return json.loads(os.getxattr(path, "user.X-Amz-Tagging"))


@pytest.mark.parametrize("key", ["key", "folder/key"])
def test_tags_of_a_put_are_stored_as_versitys_gateway_does(s3, box, data, key):
    s3.put_object(Bucket="box", Key=key, Body=data, Tagging="b=2&a=%C3%A9&c=")
    assert tags_of(box / key) == {"a": "é", "b": "2", "c": ""}
    assert s3.get_object(Bucket="box", Key=key)["TagCount"] == 3
    headers = s3.head_object(Bucket="box", Key=key)["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amz-tagging-count"] == "3"


def test_a_directory_object_has_tags(s3, ask, box):
    s3.put_object(Bucket="box", Key="folder/", Tagging="a=b")
    assert ask("HEAD", "/box/folder/").headers["x-amz-tagging-count"] == "1"


def test_an_object_without_tags_has_no_count(s3, ask, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data, Tagging="a=b")
    ask("PUT", "/box/key", data, {"x-amz-tagging": ""})
    assert "user.X-Amz-Tagging" not in os.listxattr(box / "key")
    assert "x-amz-tagging-count" not in ask("HEAD", "/box/key").headers


def test_a_copy_has_the_tags_of_its_source_or_those_that_are_given(s3, box, data):
    s3.put_object(Bucket="box", Key="from", Body=data, Tagging="a=1&b=2")
    source = {"Bucket": "box", "CopySource": "box/from"}
    s3.copy_object(**source, Key="kept", Tagging="c=3")
    s3.copy_object(**source, Key="given", Tagging="c=3", TaggingDirective="REPLACE")
    s3.copy_object(**source, Key="none", TaggingDirective="REPLACE")
    assert tags_of(box / "kept") == {"a": "1", "b": "2"}
    assert tags_of(box / "given") == {"c": "3"}
    assert "user.X-Amz-Tagging" not in os.listxattr(box / "none")
    assert body_of(s3, "given") == data


WRONG = {
    "x=1&x=2": "InvalidArgument",
    "aws:x=1": "InvalidTag",
    "x=%21": "InvalidTag",
    "&".join(f"k{number}=" for number in range(11)): "BadRequest",
}


@pytest.mark.parametrize("tagging", WRONG)
def test_wrong_tags_leave_all_as_it_was(s3, box, data, tagging):
    s3.put_object(Bucket="box", Key="old", Body=b"old", Tagging="a=b")
    before = on_disk(box)
    for key in ("old", "new"):
        got = refusal(s3.put_object, Bucket="box", Key=key, Body=data, Tagging=tagging)
        assert got == (400, WRONG[tagging])
        copy = {"Bucket": "box", "Key": key, "CopySource": "box/old", "Tagging": tagging}
        assert refusal(s3.copy_object, **copy, TaggingDirective="REPLACE") == got
    assert on_disk(box) == before
