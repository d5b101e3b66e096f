"""The four switches that keep a bucket private."""

import os

import pytest
from paste.deploy import loadapp

from tests.functional.asking import fields, refusal, told
from tests.functional.conftest import INI
from tests.functional.people import (
    EVERYONE,
    WRITER,
    block,
    configure,
    grant,
    only,
    policy,
)

ALL = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
ATTRIBUTE = "user.s3filters.public-access-block"
TARGET = "/box?publicAccessBlock"


def xml(*on):
    return block(**dict.fromkeys(on, True)).encode()


@pytest.mark.parametrize("on", [(), ALL[:1], ALL[1:3], ALL])
def test_boto3_gets_the_switches_that_it_set(s3, box, on):
    wanted = {name: name in on for name in ALL}
    put = s3.put_public_access_block(Bucket="box", PublicAccessBlockConfiguration=wanted)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 200
    got = s3.get_public_access_block(Bucket="box")
    assert got["PublicAccessBlockConfiguration"] == wanted
    deleted = s3.delete_public_access_block(Bucket="box")
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.get_public_access_block, Bucket="box") == (
        404,
        "NoSuchPublicAccessBlockConfiguration",
    )


def test_the_absence_of_switches_names_the_bucket(ask, box):
    assert fields(ask("GET", TARGET))["BucketName"] == "box"


def test_what_is_left_out_is_off_whatever_it_was_before(s3, box):
    s3.put_public_access_block(
        Bucket="box", PublicAccessBlockConfiguration=dict.fromkeys(ALL, True)
    )
    s3.put_public_access_block(
        Bucket="box", PublicAccessBlockConfiguration={"IgnorePublicAcls": True}
    )
    got = s3.get_public_access_block(Bucket="box")["PublicAccessBlockConfiguration"]
    assert got == {name: name == "IgnorePublicAcls" for name in ALL}


def test_public_acls_are_ignored_from_the_next_request_on(people, owned):
    configure(owned, owner="owner", acl=[grant("READ", EVERYONE)], ownership=WRITER)
    assert people(None, "GET", "/box").status == 200
    assert people("owner", "PUT", TARGET, xml("IgnorePublicAcls")).status == 200
    assert people(None, "GET", "/box").status == 403
    assert people("owner", "DELETE", TARGET).status == 204
    assert people(None, "GET", "/box").status == 200


def test_a_bucket_with_a_public_policy_is_restricted_from_the_next_request_on(people, owned):
    public = {"Action": "s3:GetObject"}, {"Principal": only("bob"), "Action": "s3:GetObject"}
    configure(owned, policy=policy(*public))
    assert people("bob", "GET", "/box/key").status == 200
    assert people("owner", "PUT", TARGET, xml("RestrictPublicBuckets")).status == 200
    assert people("bob", "GET", "/box/key").status == 403
    assert people("owner", "GET", "/box/key").status == 200


def test_what_is_public_already_stays_stored_when_it_is_blocked(people, owned):
    configure(owned, policy=policy({"Action": "s3:GetObject"}))
    assert people("owner", "PUT", TARGET, xml("BlockPublicPolicy")).status == 200
    assert people(None, "GET", "/box/key").status == 200
    assert people("owner", "GET", "/box?policy").status == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "MissingRequestBodyError"),
        (b"<", "MalformedXML"),
        (b"<Block/>", "MalformedXML"),
        (block(Everything=True).encode(), "MalformedXML"),
        (xml("BlockPublicAcls").replace(b"true", b"maybe"), "MalformedXML"),
        (b" " * 70_000, "MalformedXML"),
    ],
)
def test_what_are_no_switches_is_refused_and_the_old_ones_stay(people, owned, body, code):
    configure(owned, block=xml("BlockPublicAcls"))
    assert told(people("owner", "PUT", TARGET, body)) == (400, code)
    assert os.getxattr(owned, ATTRIBUTE) == xml("BlockPublicAcls")


def test_switches_that_cannot_be_read_are_all_on(people, owned):
    configure(owned, block="nonsense")
    assert people("owner", "GET", TARGET).body.count(b">true<") == 4


@pytest.fixture
def careful(people, settings, tmp_path):
    """The same people before a pipeline whose new buckets have all switches on."""
    path = tmp_path / "careful.ini"
    line = "block_public_access = false"
    path.write_text(INI.read_text().replace(f"#{line}", line.replace("false", "true")))
    return people.of(loadapp(f"config:{path}", global_conf=settings))


def test_a_new_bucket_has_all_switches_on_where_the_site_wants_that(careful, root):
    assert careful("owner", "PUT", "/box").status == 200
    assert os.getxattr(root / "box", ATTRIBUTE).count(b">true<") == 4
    assert careful("owner", "GET", TARGET).body.count(b">true<") == 4
    open_ = policy({"Action": "s3:GetObject"}).encode()
    assert told(careful("owner", "PUT", "/box?policy", open_)) == (403, "AccessDenied")
    assert careful("owner", "DELETE", TARGET).status == 204
    assert careful("owner", "PUT", "/box?policy", open_).status == 204


def test_a_new_bucket_that_has_them_cannot_be_asked_to_be_public(careful, root):
    headers = {"x-amz-acl": "public-read", "x-amz-object-ownership": WRITER}
    answer = careful("owner", "PUT", "/box", headers=headers)
    assert told(answer) == (400, "InvalidBucketAclWithBlockPublicAccessError")
    assert not (root / "box").exists()
    headers["x-amz-acl"] = "private"
    assert careful("owner", "PUT", "/box", headers=headers).status == 200
    assert os.getxattr(root / "box", ATTRIBUTE).count(b">true<") == 4


def test_a_bucket_that_is_there_gets_none_by_being_made_again(careful, people, root):
    assert people("owner", "PUT", "/box").status == 200
    assert careful("owner", "PUT", "/box").status == 200
    assert ATTRIBUTE not in os.listxattr(root / "box")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_they_are_for_the_owner(people, owned, method):
    body = xml(*ALL) if method == "PUT" else b""
    assert told(people("bob", method, TARGET, body)) == (403, "AccessDenied")
    assert ATTRIBUTE not in os.listxattr(owned)
