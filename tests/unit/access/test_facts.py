"""What is known of buckets and objects, from what lies on disk."""

from types import SimpleNamespace

import pytest

from s3filters.access import facts
from s3filters.access.block import OFF, Block
from s3filters.access.ownership import ENFORCED, WRITER

XML = '<PublicAccessBlockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s</PublicAccessBlockConfiguration>'
POLICY = b"""{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::pail/*"}}"""


def of(owner="owner", **settings):
    raw = {name.replace("_", "-"): value for name, value in settings.items()}
    return facts.of_bucket(SimpleNamespace(name="pail", owner=owner, settings=raw))


def test_a_bucket_that_says_nothing_has_the_acls_of_old():
    found = of()
    assert (found.name, found.owner, found.ownership) == ("pail", "owner", "")
    assert found.policy is None
    assert found.block == OFF


def test_a_bucket_of_nobody_has_no_acls():
    assert of("").ownership == ENFORCED
    assert of("", ownership=b"ObjectWriter").ownership == WRITER


def test_what_cannot_be_read_lets_nobody_in():
    assert of(ownership=b"Nonsense").ownership == ENFORCED
    assert not of(policy=b"nonsense").policy.sound
    assert not of(policy=b"").policy.sound
    assert of(public_access_block=b"nonsense").block == Block(True, True, True, True)
    assert of(acl=b"nonsense").acl.grants == ()


def test_the_switches_of_bucket_and_gateway_count_together():
    own = (XML % "<IgnorePublicAcls>true</IgnorePublicAcls>").encode()
    record = SimpleNamespace(name="pail", owner="o", settings={"public-access-block": own})
    found = facts.of_bucket(record, Block(block_policy=True)).block
    assert found == Block(ignore_acls=True, block_policy=True)


@pytest.mark.parametrize("name", ["policy", "acl"])
def test_what_was_taken_apart_is_not_taken_apart_anew(name):
    raw = {"policy": POLICY, "acl": b'{"Owner":"owner","Grantees":[]}'}[name]
    assert getattr(of(**{name: raw}), name) is getattr(of(**{name: raw}), name)


def test_an_object_without_an_acl_is_the_buckets():
    assert facts.of_object(b"") == facts.ObjectFacts()
    found = facts.of_object(b'{"Owner":"eve","Grantees":[]}')
    assert (found.owner, found.acl.grants) == ("eve", ())
