"""Object ownership as a bucket's setting: what is taken, and what stands against it."""

import os

import pytest

from tests.functional.asking import document, fields, refusal, told
from tests.functional.people import (
    ENFORCED,
    EVERYONE,
    PREFERRED,
    WRITER,
    configure,
    grant,
)


@pytest.fixture
def owned(people, root):
    """The folder of the bucket ``box`` of ``owner``."""
    assert people("owner", "PUT", "/box").status == 200
    return root / "box"


def xml(setting):
    rule = f"<Rule><ObjectOwnership>{setting}</ObjectOwnership></Rule>"
    return f"<OwnershipControls>{rule}</OwnershipControls>".encode()


def rules(setting):
    return {"Rules": [{"ObjectOwnership": setting}]}


@pytest.mark.parametrize("setting", [ENFORCED, PREFERRED, WRITER])
def test_a_setting_is_stored_as_versitys_gateway_does_and_answered(s3, box, setting):
    put = s3.put_bucket_ownership_controls(Bucket="box", OwnershipControls=rules(setting))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert os.getxattr(box, "user.ownership") == setting.encode()
    got = s3.get_bucket_ownership_controls(Bucket="box")
    assert got["OwnershipControls"] == rules(setting)


def test_a_new_bucket_has_the_strictest(s3, box):
    got = s3.get_bucket_ownership_controls(Bucket="box")
    assert got["OwnershipControls"] == rules(ENFORCED)


def test_without_the_setting_acls_count(s3, box):
    deleted = s3.delete_bucket_ownership_controls(Bucket="box")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_bucket_ownership_controls, Bucket="box") == (
        404,
        "OwnershipControlsNotFoundError",
    )
    s3.put_bucket_acl(Bucket="box", ACL="public-read")
    s3.delete_bucket_ownership_controls(Bucket="box")


def test_the_absence_of_the_setting_names_the_bucket(people, root):
    (root / "folder").mkdir()
    answer = people("boss", "GET", "/folder?ownershipControls")
    assert told(answer) == (404, "OwnershipControlsNotFoundError")
    assert fields(answer)["BucketName"] == "folder"


@pytest.mark.parametrize("to", ["bob", EVERYONE])
def test_it_is_not_enforced_on_a_bucket_that_grants_anything_to_others(people, owned, to):
    configure(owned, owner="owner", acl=[grant("READ", to)], ownership=WRITER)
    answer = people("owner", "PUT", "/box?ownershipControls", xml(ENFORCED))
    assert told(answer) == (400, "InvalidBucketAclWithObjectOwnership")
    assert os.getxattr(owned, "user.ownership") == WRITER.encode()
    assert people("owner", "PUT", "/box?ownershipControls", xml(PREFERRED)).status == 200
    assert people("owner", "PUT", "/box?acl", b"", {"x-amz-acl": "private"}).status == 200
    assert people("owner", "PUT", "/box?ownershipControls", xml(ENFORCED)).status == 200


def test_the_setting_decides_whose_a_new_object_is(people, owned):
    configure(owned, owner="owner", acl=[grant("WRITE", "bob")], ownership=WRITER)
    for setting in (PREFERRED, WRITER):
        assert people("owner", "PUT", "/box?ownershipControls", xml(setting)).status == 200
        assert people("bob", "PUT", "/box/key", b"x").status == 200
        assert people("owner", "GET", "/box/key").status == 403
    header = {"x-amz-acl": "bucket-owner-full-control"}
    assert people("owner", "PUT", "/box?ownershipControls", xml(PREFERRED)).status == 200
    assert people("bob", "PUT", "/box/key", b"x", header).status == 200
    assert people("owner", "GET", "/box/key").status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingRequestBodyError"),
        (b"<", "MalformedXML"),
        (b"<OwnershipControls/>", "MalformedXML"),
        (b"<OwnershipControls><Rule/></OwnershipControls>", "MalformedXML"),
        (xml(""), "MalformedXML"),
        (xml("Everyone"), "MalformedXML"),
        (xml(WRITER).replace(b"</Rule>", b"</Rule><Rule/>"), "MalformedXML"),
        (b"<!DOCTYPE a>" + xml(WRITER), "MalformedXML"),
        (b" " * 70_000, "MalformedXML"),
    ],
)
def test_what_is_no_setting_is_refused_and_the_old_one_stays(people, owned, body, code):
    answer = people("owner", "PUT", "/box?ownershipControls", body)
    assert told(answer) == (400, code)
    assert os.getxattr(owned, "user.ownership") == ENFORCED.encode()


def test_a_setting_of_another_program_that_is_none_is_taken_for_the_strictest(people, owned):
    configure(owned, ownership="Nonsense")
    answer = people("owner", "GET", "/box?ownershipControls")
    assert document(answer).findtext("Rule/ObjectOwnership") == ENFORCED


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_it_is_for_the_owner(people, owned, method):
    body = xml(WRITER) if method == "PUT" else b""
    assert told(people("bob", method, "/box?ownershipControls", body)) == (403, "AccessDenied")
    assert os.getxattr(owned, "user.ownership") == ENFORCED.encode()
