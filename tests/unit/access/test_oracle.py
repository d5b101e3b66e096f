"""Identity, grants, policy, ownership and block together, against an oracle of AWS's rules."""

import json
from itertools import product
from types import SimpleNamespace

from hypothesis import example, given
from hypothesis import strategies as st

from s3filters.access import decision, grants, policy
from s3filters.access.asking import Asking
from s3filters.access.block import Block
from s3filters.access.context import Context
from s3filters.access.decision import BucketFacts, Denial, ObjectFacts, decide
from s3filters.access.grants import Acl, Grant
from s3filters.access.principals import Requester
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from tests import oracle
from tests.oracle import EMPTY, GRANTS, ON_BUCKET, ON_OBJECT, WORLDS, Statement

ROLES = {"boss": "admin", "owner": "userplus", "maker": "userplus"}
PEOPLE = {
    name: Requester(name, (f"AK{name}",), ROLES.get(name, "user")) if name else None
    for name in oracle.PEOPLE
}
GROUPS = {"everyone": grants.EVERYONE, "signed": grants.SIGNED}
KEYS = st.sampled_from(["key", "some/key"])
PUBLIC = Statement("Allow", ("*",), ("*",), "all")


def compiled(statements):
    found = [one.document("pail") for one in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": found})
    return policy.parse(text.encode(), "pail")


def acl_of(owner, found):
    kinds = [(grants.GROUP if who in GROUPS else grants.USER, who, what) for who, what in found]
    return Acl(owner, tuple(Grant(kind, GROUPS.get(who, who), what) for kind, who, what in kinds))


def facts_of(world):
    statements, setting, on_bucket, (object_owner, on_object), ignore, restrict, _ = world
    bucket = BucketFacts(
        "pail",
        "owner",
        setting,
        acl_of("owner", on_bucket),
        compiled(statements) if statements else None,
        Block(ignore_acls=ignore, restrict_buckets=restrict),
    )
    return bucket, ObjectFacts(object_owner, acl_of(object_owner, on_object))


@given(WORLDS, KEYS)
@example(EMPTY, "key")
@example(([PUBLIC], *EMPTY[1:5], True, False), "key")
@example(([Statement("Deny", ("bob",), ("*",), "some", "Principal")], *EMPTY[1:]), "some/key")
@example(([Statement("Allow", ("bob",), ("*",), "some", "Resource")], *EMPTY[1:]), "key")
def test_everybody_may_what_aws_lets_him(world, key):
    facts, target = facts_of(world)
    environ = {"wsgi.url_scheme": "https" if world[-1] else "http"}
    for (name, who), action in product(PEOPLE.items(), ON_BUCKET + ON_OBJECT):
        path = key if action in ON_OBJECT else ""
        found = decide(who, action, facts, path, target, Context(environ, who))
        assert (found is None) is oracle.allows(name, action, path, world), (name, action, found)
        if path and not decision.needs_target(action, facts):
            assert decide(who, action, facts, path, None, Context(environ, who)) is found
        if found is not None and found is not Denial.NOT_OWNER:
            assert found.error().code == "AccessDenied"


@given(WORLDS, KEYS)
def test_whoever_may_list_learns_of_a_missing_key_and_nobody_whom_the_policy_denies_it(world, key):
    facts, _ = facts_of(world)
    environ = {"wsgi.url_scheme": "https" if world[-1] else "http"}
    for name, who in PEOPLE.items():
        found = decide(who, "s3:GetObject", facts, key, decision.MISSING, Context(environ, who))
        about = [one for one in world[0] if one.speaks(name, "s3:GetObject", key, world[-1])]
        denied = any(one.effect == "Deny" for one in about)
        may_list = oracle.allows(name, "s3:ListBucket", "", world)
        assert (found is None) is (may_list and not denied)


OBJECTS = st.tuples(st.sampled_from(["owner", "eve"]), GRANTS)


@given(WORLDS, st.lists(st.tuples(KEYS, OBJECTS, st.booleans()), min_size=2, max_size=3))
def test_what_a_bucket_remembers_of_earlier_requests_changes_no_decision(world, requests):
    facts, _ = facts_of(world)
    for key, target, secure in requests * 2:
        now = (*world[:3], target, *world[4:-1], secure)
        there = SimpleNamespace(acl=grants.encode(acl_of(*target)))
        call = Call("GetObject", "pail", key)
        environ = {"wsgi.url_scheme": "https" if secure else "http"}
        for (name, who), action in product(PEOPLE.items(), ON_OBJECT):
            try:
                Asking(who, facts, call, environ, lambda record: {}).of_object(key, (action,))(
                    there
                )
                may = True
            except S3Error:
                may = False
            assert may is oracle.allows(name, action, key, now), (name, action)


@given(WORLDS, KEYS)
def test_whoever_may_do_everything_is_denied_nothing(world, key):
    facts, target = facts_of(world)
    for who in PEOPLE.values():
        if decision.may_everything(who, facts):
            for action in ON_BUCKET + ON_OBJECT:
                assert decide(who, action, facts, key, target) is None
                assert decide(who, action, facts, key, decision.MISSING) is None


def test_the_owner_and_administrators_may_do_everything_where_nothing_is_set():
    plain = BucketFacts("pail", "owner", oracle.ENFORCED)
    may = {name for name, who in PEOPLE.items() if decision.may_everything(who, plain)}
    assert may == {"owner", "boss"}
