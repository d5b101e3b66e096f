"""A request before a bucket: what is decided at once, and what waits for the object."""

import contextlib
import gc
import json
import logging
import weakref
from types import SimpleNamespace

import pytest

from s3filters.access import admission, decision, grants, policy
from s3filters.access.asking import Asking, refusal
from s3filters.access.context import TagsNotRead
from s3filters.access.decision import BucketFacts, Denial
from s3filters.access.ownership import ENFORCED, WRITER
from s3filters.access.principals import Requester
from s3filters.s3.call import KEY, Call
from s3filters.s3.errors import S3Error

OWNER, BOB = Requester("owner"), Requester("bob")
READ = ("s3:GetObject",)


def compiled(*statements):
    usual = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
    whole = [{**usual, "Resource": "arn:aws:s3:::pail/*", **one} for one in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": whole})
    return policy.parse(text.encode(), "pail")


CALL = Call("GetObject", "pail", "key")


def asking(who=BOB, *, tags_in=lambda record: record.tags, call=CALL, **fields):
    bucket = BucketFacts("pail", **{"owner": "owner", "ownership": ENFORCED} | fields)
    return Asking(who, bucket, call, {}, tags_in)


def record(owner="", tags=None):
    acl = grants.encode(grants.private(owner)) if owner else b""
    return SimpleNamespace(acl=acl, tags=tags or {})


def test_what_the_buckets_facts_refuse_is_refused_before_anybody_looks():
    with pytest.raises(S3Error, match="AccessDenied"):
        asking().of_object("key", READ)


def test_what_they_allow_needs_no_object_but_to_hide_that_there_is_none():
    check = asking(policy=compiled({})).of_object("key", READ)
    assert not check.later
    check(record("eve"))  # whatever is there
    with pytest.raises(S3Error, match="AccessDenied"):
        check(None)
    listing = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::pail"}
    asking(policy=compiled({}, listing)).of_object("key", READ)(None)


def test_what_was_granted_before_is_granted_to_nobody_else_and_from_nowhere_else(monkeypatch):
    monkeypatch.setattr(decision, "_MOST_GRANTED", 3)
    near = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    only_bob = {"Principal": {"AWS": "bob"}, "Condition": near}
    bucket = BucketFacts("pail", "owner", ENFORCED, policy=compiled(only_bob))

    def may(who, action, address, key="key"):
        environ = {"REMOTE_ADDR": address, "wsgi.url_scheme": "http"}
        try:
            Asking(who, bucket, CALL, environ, dict).of_object(key, (action,))
        except S3Error:
            return False
        return True

    for number in range(4):
        assert may(BOB, "s3:GetObject", f"10.0.0.{number}", key=str(number))
        assert bucket.granted
        assert not may(BOB, "s3:GetObject", f"192.0.2.{number}")
        assert not may(BOB, "s3:PutObject", f"10.0.0.{number}")
        assert not may(Requester("eve"), "s3:GetObject", f"10.0.0.{number}")
        assert not may(None, "s3:GetObject", f"10.0.0.{number}")
        assert len(bucket.granted) <= 3


def test_what_an_acl_grants_is_kept_for_some_acls_that_are_short(monkeypatch):
    monkeypatch.setattr(decision, "_MOST_GRANTED", 3)
    bucket = BucketFacts("pail", "owner", WRITER)
    for number in range(5):
        bob = grants.Grant(grants.USER, "bob", "READ")
        more = (grants.Grant(grants.USER, "x" * 100, "READ"),) * (number if number < 4 else 9)
        acl = grants.encode(grants.Acl(f"owner{number}", (bob, *more)))
        check = Asking(BOB, bucket, CALL, {}, dict).of_object("key", READ)
        check(SimpleNamespace(acl=acl, tags={}))
        assert ((BOB, "s3:GetObject", acl) in bucket.granted) is (len(acl) <= 512)
        assert 1 <= len(bucket.granted) <= 3
    assert len(acl) > 512


def test_where_acls_count_the_object_decides():
    check = asking(ownership=WRITER).of_object("key", READ)
    assert check.later
    check(record("bob"))
    for other in (record("owner"), record("eve"), record(), None):
        with pytest.raises(S3Error, match="AccessDenied"):
            check(other)


def test_tags_are_read_only_where_a_policy_is_asked():
    def unread(record):
        raise AssertionError

    asking(ownership=WRITER, tags_in=unread).of_object("key", READ)(record("bob"))
    rule = compiled({"Condition": {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}})
    check = asking(policy=rule).of_object("key", READ)
    assert check.later
    check(record(tags={"open": "yes"}))
    for tags in ({}, {"open": "no"}, {"Open": "yes"}):
        with pytest.raises(S3Error, match="AccessDenied"):
            check(record(tags=tags))


def test_each_of_several_actions_must_be_allowed():
    both = ("s3:GetObject", "s3:GetObjectAttributes")
    with pytest.raises(S3Error, match="AccessDenied"):
        asking(policy=compiled({})).of_object("key", both)
    asking(policy=compiled({"Action": both})).of_object("key", both)


def test_tags_of_a_body_decide_when_they_are_read():
    rule = compiled(
        {
            "Action": "s3:PutObjectTagging",
            "Condition": {"StringEquals": {"s3:RequestObjectTag/team": "blue"}},
        }
    )
    call = Call("PutObjectTagging", "pail", "key")
    found = asking(policy=rule, call=call)
    with pytest.raises(TagsNotRead):
        found.demand("s3:PutObjectTagging", "key")
    check = found.of_object("key", ("s3:PutObjectTagging",))
    assert check.later
    call.tags = {"team": "blue"}
    check(record())
    call.tags = {"team": "red"}
    with pytest.raises(S3Error, match="AccessDenied"):
        check(record())


def test_the_same_request_can_stand_before_another_bucket():
    here = asking(OWNER)
    there = here.of_bucket(BucketFacts("sink", "eve", ENFORCED))
    here.demand("s3:GetObject", "key")
    with pytest.raises(S3Error, match="AccessDenied"):
        there.demand("s3:GetObject", "key")
    assert (there.call, there.environ) == (here.call, here.environ)


@pytest.mark.parametrize(("who", "name"), [(BOB, "bob"), (None, "anonymous")])
def test_the_reason_is_for_the_log_alone(caplog, who, name):
    with caplog.at_level(logging.DEBUG, "s3filters.access"):
        error = refusal(Denial.BY_POLICY, who, "s3:GetObject", "pail", "a\nkey")
    assert error.code == "AccessDenied"
    assert "policy" not in error.message
    assert f"{name} may not s3:GetObject 'pail/a\\nkey': {Denial.BY_POLICY.value}" in caplog.text
    assert not caplog.text.count("\nkey")


@pytest.mark.parametrize("fields", [{"ownership": WRITER}, {"policy": compiled({})}])
def test_a_request_that_is_over_is_no_ring_for_the_garbage_collector(fields):
    gc.disable()
    try:
        for operation in ("GetObject", "ListParts", "PutObject"):
            call = Call(operation, "pail", "key")
            environ = {KEY: call, "HTTP_X_AMZ_TAGGING": "a=b"}
            made = Asking(OWNER, BucketFacts("pail", "owner", **fields), call, environ, dict)
            with contextlib.suppress(S3Error):
                admission.admit(made)
            gone = weakref.ref(call)
            if operation != "PutObject":  # acl does so
                call.checks, call.shows_tags = [], None
            del call, made, environ
            assert gone() is None
    finally:
        gc.enable()
