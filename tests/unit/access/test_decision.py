"""The decision, case by case; test_oracle.py asks about everything at once."""

import json

import pytest

from s3filters.access import actions, decision, grants, policy
from s3filters.access.block import Block
from s3filters.access.context import Context, TagsNotRead
from s3filters.access.decision import MISSING, BucketFacts, Denial, ObjectFacts, decide
from s3filters.access.grants import Acl, Grant
from s3filters.access.ownership import ENFORCED, PREFERRED, WRITER
from s3filters.access.principals import Requester

OWNER, BOB, EVE = Requester("owner"), Requester("bob", ("AKB",)), Requester("eve")
ADMIN, MAKER = Requester("boss", role="admin"), Requester("maker", role="userplus")
PEOPLE = {"owner": OWNER, "bob": BOB, "eve": EVE, "boss": ADMIN, "": None}
OBJECTS, BUCKETS = sorted(actions.OF_OBJECTS), sorted(actions.OF_BUCKETS)


def compiled(*statements):
    usual = {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "arn:aws:s3:::pail/*"}
    whole = [usual | one for one in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": whole})
    return policy.parse(text.encode(), "pail")


def bucket(**facts):
    return BucketFacts("pail", **{"owner": "owner", "ownership": ENFORCED} | facts)


def asked(who, action, facts, target=None, **fields):
    key = "key" if action in actions.OF_OBJECTS else ""
    return decide(who, f"{action}", facts, key, target, Context({}, who, **fields))


# --- who may without any grant -------------------------------------------------------------------


@pytest.mark.parametrize("setting", [ENFORCED, WRITER])
@pytest.mark.parametrize("action", sorted(actions.KNOWN))
def test_a_stranger_may_do_nothing(action, setting):
    facts = bucket(ownership=setting)
    for who in (BOB, MAKER, None):
        for target in (None, MISSING, ObjectFacts(), ObjectFacts("eve", grants.private("eve"))):
            assert asked(who, action, facts, target) is Denial.NOT_GRANTED
            assert asked(who, action, bucket(owner="", ownership=setting), target)


@pytest.mark.parametrize("setting", [ENFORCED, WRITER])
@pytest.mark.parametrize("action", sorted(actions.KNOWN))
def test_owner_and_administrator_may_do_everything_with_what_is_the_owners(action, setting):
    facts = bucket(ownership=setting, acl=grants.private("owner"))
    for target in (ObjectFacts("owner", grants.private("owner")), ObjectFacts(), MISSING):
        assert asked(OWNER, action, facts, target) is None
        assert asked(ADMIN, action, facts, target) is None
        assert asked(ADMIN, action, bucket(owner="", ownership=setting), target) is None


def test_a_key_of_the_owners_account_is_the_owner():
    assert asked(BOB, "s3:GetObject", bucket(owner="AKB")) is None


def test_buckets_are_listed_by_accounts_and_created_by_more_than_users():
    ask = decision.decide_service
    assert ask(None, actions.LIST_BUCKETS) is Denial.ANONYMOUS
    assert ask(None, actions.CREATE_BUCKET) is Denial.ANONYMOUS
    assert ask(BOB, actions.LIST_BUCKETS) is None
    assert ask(BOB, actions.CREATE_BUCKET) is Denial.ROLE
    assert ask(MAKER, actions.CREATE_BUCKET) is None
    assert ask(ADMIN, actions.CREATE_BUCKET) is None


# --- policies ------------------------------------------------------------------------------------


def test_what_the_policy_allows_is_allowed():
    facts = bucket(policy=compiled({"Action": "s3:GetObject", "Principal": {"AWS": "bob"}}))
    assert asked(BOB, "s3:GetObject", facts) is None
    assert asked(BOB, "s3:PutObject", facts) is Denial.NOT_GRANTED
    assert asked(EVE, "s3:GetObject", facts) is Denial.NOT_GRANTED
    assert asked(None, "s3:GetObject", facts) is Denial.NOT_GRANTED


def test_an_explicit_deny_is_for_owner_and_administrator_too():
    facts = bucket(policy=compiled({"Effect": "Deny"}))
    for who in (OWNER, ADMIN, BOB, None):
        assert asked(who, "s3:GetObject", facts) is Denial.BY_POLICY


def test_nobody_is_locked_out_of_his_own_policy():
    deny = {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::pail"}
    facts = bucket(policy=compiled(deny))
    for action in BUCKETS:
        wanted = None if action in actions.OF_POLICY else Denial.BY_POLICY
        assert asked(OWNER, action, facts) is wanted
        assert asked(ADMIN, action, facts) is wanted
        assert asked(BOB, action, facts) is Denial.BY_POLICY


def test_the_policy_itself_is_for_the_owners_account_whatever_it_allows():
    allow = {"Action": "s3:*", "Resource": "arn:aws:s3:::pail"}
    facts = bucket(policy=compiled(allow))
    for action in actions.OF_POLICY:
        assert asked(BOB, action, facts) is Denial.NOT_OWNER
        assert asked(BOB, action, facts).error().code == "MethodNotAllowed"
        assert asked(OWNER, action, facts) is None


def test_the_policy_gives_only_objects_that_are_the_bucket_owners():
    facts = bucket(ownership=WRITER, policy=compiled({"Principal": {"AWS": "bob"}}))
    eves = ObjectFacts("eve", grants.private("eve"))
    assert asked(BOB, "s3:GetObject", facts, eves) is Denial.NOT_GRANTED
    assert asked(BOB, "s3:GetObject", facts, ObjectFacts("owner")) is None
    assert asked(BOB, "s3:GetObject", facts, ObjectFacts()) is None
    assert asked(BOB, "s3:DeleteObject", facts, eves) is None
    assert asked(BOB, "s3:PutObject", facts, eves) is None


def test_a_policy_that_is_not_understood_closes_the_bucket_to_all_but_its_owner():
    facts = bucket(
        ownership=WRITER, policy=policy.BROKEN, acl=grants.canned("public-read-write", "owner")
    )
    for action in OBJECTS + BUCKETS:
        target = ObjectFacts("eve", grants.canned("public-read", "eve"))
        for who in (BOB, EVE, None):
            assert asked(who, action, facts, target) is Denial.BROKEN_POLICY
        assert asked(ADMIN, action, facts, target) is None
    assert asked(OWNER, "s3:ListBucket", facts) is None


def test_a_restricted_bucket_is_its_owners_when_its_policy_is_public():
    bob = {"Principal": {"AWS": "bob"}}
    block = Block(restrict_buckets=True)
    public = bucket(policy=compiled(bob, {"Action": "s3:GetObjectAcl"}), block=block)
    assert asked(BOB, "s3:GetObject", public) is Denial.RESTRICTED
    assert asked(OWNER, "s3:GetObject", public) is None
    assert asked(ADMIN, "s3:GetObject", public) is None
    assert asked(BOB, "s3:GetObject", bucket(policy=compiled(bob), block=block)) is None


def test_tags_decide_when_they_are_read():
    condition = {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}
    facts = bucket(policy=compiled({"Action": "s3:GetObject", "Condition": condition}))
    assert decision.needs_target("s3:GetObject", facts)
    with pytest.raises(TagsNotRead):
        asked(None, "s3:GetObject", facts)
    assert asked(None, "s3:GetObject", facts, object_tags={"open": "yes"}) is None
    assert asked(None, "s3:GetObject", facts, object_tags={}) is Denial.NOT_GRANTED


def test_a_policy_is_not_decided_without_the_request():
    with pytest.raises(TypeError):
        decide(OWNER, "s3:GetObject", bucket(policy=compiled({})), "key")


# --- ACLs ----------------------------------------------------------------------------------------


def test_acls_count_for_nothing_where_ownership_is_enforced():
    facts = bucket(acl=grants.canned("public-read-write", "owner"))
    target = ObjectFacts("eve", grants.canned("public-read", "eve"))
    assert asked(BOB, "s3:ListBucket", facts) is Denial.NOT_GRANTED
    assert asked(BOB, "s3:GetObject", facts, target) is Denial.NOT_GRANTED
    assert asked(EVE, "s3:GetObject", facts, target) is Denial.NOT_GRANTED
    assert asked(OWNER, "s3:GetObject", facts, target) is None


# AWS, "Mapping of ACL permissions and access policy permissions"
@pytest.mark.parametrize("permission", grants.PERMISSIONS)
def test_a_permission_on_a_bucket_allows_what_aws_maps_it_to(permission):
    mapped = {
        "READ": {"ListBucket", "ListBucketVersions", "ListBucketMultipartUploads"},
        "WRITE": {"PutObject", "DeleteObject"},
        "READ_ACP": {"GetBucketAcl"},
        "WRITE_ACP": {"PutBucketAcl"},
    }
    mapped["FULL_CONTROL"] = set().union(*mapped.values())
    acl = Acl("owner", (Grant(grants.USER, "bob", permission),))
    facts = bucket(ownership=PREFERRED, acl=acl)
    target = ObjectFacts("eve", grants.private("eve"))
    allowed = {action for action in OBJECTS + BUCKETS if not asked(BOB, action, facts, target)}
    assert allowed == {f"s3:{name}" for name in mapped[permission]}


@pytest.mark.parametrize("permission", grants.PERMISSIONS)
def test_a_permission_on_an_object_allows_what_aws_maps_it_to(permission):
    mapped = {
        "READ": {"GetObject", "GetObjectVersion", "GetObjectTorrent", "GetObjectVersionTorrent"},
        "WRITE": set(),
        "READ_ACP": {"GetObjectAcl", "GetObjectVersionAcl"},
        "WRITE_ACP": {"PutObjectAcl", "PutObjectVersionAcl"},
    }
    mapped["FULL_CONTROL"] = set().union(*mapped.values())
    acl = Acl("eve", (Grant(grants.USER, "bob", permission),))
    facts = bucket(ownership="", acl=grants.private("owner"))
    allowed = {
        action
        for action in OBJECTS + BUCKETS
        if not asked(BOB, action, facts, ObjectFacts("eve", acl))
    }
    assert allowed == {f"s3:{name}" for name in mapped[permission]}


def test_owners_keep_reading_and_writing_acls_that_grant_them_nothing():
    facts = bucket(ownership=WRITER, acl=Acl("owner"))
    assert asked(OWNER, "s3:ListBucket", facts) is Denial.NOT_GRANTED
    assert asked(OWNER, "s3:PutObject", facts) is Denial.NOT_GRANTED
    assert asked(OWNER, "s3:PutBucketTagging", facts) is None
    for action in ("s3:GetBucketAcl", "s3:PutBucketAcl"):
        assert asked(OWNER, action, facts) is None
    eves = ObjectFacts("eve", Acl("eve"))
    assert asked(EVE, "s3:GetObject", facts, eves) is Denial.NOT_GRANTED
    for action in ("s3:GetObjectAcl", "s3:PutObjectAcl", "s3:PutObjectTagging"):
        assert asked(EVE, action, facts, eves) is None


def test_the_buckets_owner_deletes_but_does_not_read_what_is_another_s():
    facts = bucket(ownership=WRITER, acl=grants.private("owner"))
    eves = ObjectFacts("eve", grants.private("eve"))
    assert asked(OWNER, "s3:GetObject", facts, eves) is Denial.NOT_GRANTED
    assert asked(OWNER, "s3:PutObjectAcl", facts, eves) is Denial.NOT_GRANTED
    assert asked(OWNER, "s3:DeleteObject", facts, eves) is None
    assert asked(OWNER, "s3:RestoreObject", facts, eves) is None


def test_grants_to_the_public_are_ignored_behind_the_block():
    acl = grants.canned("public-read", "owner")
    facts = bucket(ownership=WRITER, acl=acl)
    assert asked(None, "s3:ListBucket", facts) is None
    assert asked(None, "s3:GetObject", facts, ObjectFacts("owner", acl)) is None
    blocked = bucket(ownership=WRITER, acl=acl, block=Block(ignore_acls=True))
    assert asked(None, "s3:ListBucket", blocked) is Denial.NOT_GRANTED
    assert asked(BOB, "s3:GetObject", blocked, ObjectFacts("owner", acl)) is Denial.NOT_GRANTED


def test_who_may_list_learns_that_an_object_is_missing():
    listed = bucket(ownership=WRITER, acl=grants.canned("public-read", "owner"))
    hidden = bucket(ownership=WRITER, acl=grants.private("owner"))
    assert asked(BOB, "s3:GetObject", listed, MISSING) is None
    assert asked(BOB, "s3:GetObject", hidden, MISSING) is Denial.NOT_GRANTED
    assert asked(BOB, "s3:GetObject", listed, None) is Denial.NOT_GRANTED  # nobody has looked
    assert asked(BOB, "s3:DeleteObject", listed, MISSING) is Denial.NOT_GRANTED
    whole = "arn:aws:s3:::pail"
    reader = bucket(policy=compiled({"Action": "s3:GetObject"}))
    lister = bucket(policy=compiled({"Action": "s3:ListBucket", "Resource": whole}))
    assert asked(BOB, "s3:GetObject", reader) is None
    assert asked(BOB, "s3:GetObject", reader, MISSING) is Denial.NOT_GRANTED
    assert asked(BOB, "s3:GetObject", lister) is Denial.NOT_GRANTED
    assert asked(BOB, "s3:GetObject", lister, MISSING) is None
    deny = {"Action": "s3:GetObject", "Effect": "Deny"}
    denied = bucket(policy=compiled(deny, {"Action": "s3:ListBucket", "Resource": whole}))
    assert asked(BOB, "s3:GetObject", denied, MISSING) is Denial.BY_POLICY


def test_an_administrator_s_own_bucket_is_no_less_his():
    facts = bucket(owner="boss", ownership=WRITER, acl=Acl("boss"))
    assert asked(ADMIN, "s3:ListBucket", facts) is None
    assert asked(ADMIN, "s3:GetObject", facts, ObjectFacts("eve", Acl("eve"))) is None


def test_an_upload_is_its_initiators_too():
    for setting in (ENFORCED, WRITER):
        facts = bucket(ownership=setting)
        for action in ("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"):
            assert decision.needs_target(action, facts)
            assert asked(EVE, action, facts, ObjectFacts("eve")) is None
            assert asked(OWNER, action, facts, ObjectFacts("eve")) is None
            assert asked(BOB, action, facts, ObjectFacts("eve")) is Denial.NOT_GRANTED
            assert asked(BOB, action, facts, ObjectFacts("")) is Denial.NOT_GRANTED
