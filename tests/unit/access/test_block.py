import itertools
import json

import pytest

from s3filters.access import block, grants, policy
from s3filters.access.block import OFF, ON, Block
from s3filters.s3.errors import S3Error

ALL_SWITCHES = [Block(*switches) for switches in itertools.product((False, True), repeat=4)]


@pytest.mark.parametrize("one", ALL_SWITCHES)
def test_switches_are_read_as_they_are_answered(one):
    assert block.parse(block.render(one)) == one
    assert block.load(block.render(one)) == one
    assert one | OFF == one
    assert one | ON == ON


def test_the_stricter_of_bucket_and_gateway_counts():
    assert Block(block_acls=True) | Block(restrict_buckets=True) == Block(True, False, False, True)


def document(inside):
    name = "PublicAccessBlockConfiguration"
    return f"<{name}>{inside}</{name}>".encode()


def test_what_a_document_leaves_out_is_off():
    assert block.parse(document("")) == OFF
    assert block.parse(document("<IgnorePublicAcls>TRUE</IgnorePublicAcls>")) == Block(
        ignore_acls=True
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<X/>",
        document("<IgnorePublicAcls>maybe</IgnorePublicAcls>"),
        document("<IgnorePublicAcls>true</IgnorePublicAcls>" * 2),
        document("<X/>"),
    ],
)
def test_a_document_that_is_none_is_refused_and_stored_closes_everything(data):
    with pytest.raises(S3Error, match="MalformedXML"):
        block.parse(data)
    assert block.load(data) == ON


def allow(**elements):
    found = {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/*"}
    return found | elements


def compiled(*statements):
    text = json.dumps({"Version": "2012-10-17", "Statement": statements})
    return policy.parse(text.encode(), "b")


# Amazon S3, 'The meaning of "public"'
@pytest.mark.parametrize(
    ("condition", "public"),
    [
        ({}, True),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, False),
        ({"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}}, False),
        ({"IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "0.0.0.0/1"]}}, True),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
        ({"IpAddress": {"aws:SourceIp": "::/0"}}, True),
        ({"IpAddress": {"aws:SourceIp": "2001::/16"}}, True),
        ({"IpAddress": {"aws:SourceIp": "::ffff:0:0/96"}}, True),
        ({"IpAddress": {"aws:SourceIp": "::ffff:192.0.2.0/120"}}, False),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"IpAddress": {"aws:SourceIp": "fc00::/8"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"IpAddressIfExists": {"aws:SourceIp": "192.0.2.0/24"}}, True),
        ({"ForAllValues:StringEquals": {"aws:userid": "bob"}}, True),
        ({"StringEquals": {"aws:userid": "bob"}}, False),
        ({"StringEqualsIfExists": {"aws:userid": "bob"}}, True),
        ({"StringNotEquals": {"aws:userid": "bob"}}, True),
        ({"StringLike": {"aws:userid": "b*"}}, True),
        ({"StringLike": {"aws:userid": ["bob", "*"]}}, True),
        ({"StringEquals": {"aws:userid": "${aws:userid}"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1:user/bob"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1:user/*"}}, True),
        ({"StringEquals": {"aws:Referer": "http://example.org/"}}, True),
        ({"Bool": {"aws:SecureTransport": "true"}}, True),
        ({"Null": {"aws:userid": "false"}}, True),
    ],
)
def test_a_policy_is_public_unless_fixed_values_hold_it(condition, public):
    assert compiled(allow(Condition=condition)).public is public


def test_a_policy_is_public_by_any_of_its_statements():
    bob = allow(Principal={"AWS": "bob"})
    assert not compiled(bob).public
    assert not compiled(bob, allow(Effect="Deny")).public
    assert compiled(bob, allow()).public
    assert compiled(allow(Principal={"AWS": ["bob", "*"]})).public


def test_public_acls_and_policies_are_not_stored_where_they_are_blocked():
    public, private = grants.canned("authenticated-read", "o"), grants.private("o")
    Block(block_policy=True).check_acl(public)
    Block(block_acls=True).check_acl(private)
    with pytest.raises(S3Error, match="AccessDenied"):
        Block(block_acls=True).check_acl(public)
    Block(block_acls=True).check_policy(compiled(allow()))
    Block(block_policy=True).check_policy(compiled(allow(Principal={"AWS": "bob"})))
    with pytest.raises(S3Error, match="AccessDenied"):
        Block(block_policy=True).check_policy(compiled(allow()))


def test_the_status_of_a_policy_is_answered():
    assert b"<PolicyStatus " in block.render_status(compiled(allow()))
    assert b"<IsPublic>true</IsPublic>" in block.render_status(compiled(allow()))
