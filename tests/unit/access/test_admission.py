"""Which questions an operation puts, and what is left in its call."""

import json
from types import SimpleNamespace

import pytest

from s3filters.access import admission, grants, policy
from s3filters.access.asking import Asking
from s3filters.access.block import Block
from s3filters.access.decision import BucketFacts
from s3filters.access.ownership import ENFORCED, PREFERRED, WRITER
from s3filters.access.principals import ANONYMOUS, Requester
from s3filters.s3.call import Call, CopySource
from s3filters.s3.conditions import Conditions
from s3filters.s3.errors import S3Error

OWNER, BOB = Requester("owner"), Requester("bob")
OPEN = grants.canned("public-read-write", "owner")
STORING = ["PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"]
FULL = {"HTTP_X_AMZ_ACL": "bucket-owner-full-control"}


def compiled(*statements):
    usual = {"Effect": "Allow", "Principal": "*", "Resource": "arn:aws:s3:::pail/*"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [usual | one for one in statements]})
    return policy.parse(text.encode(), "pail")


def asking(call, who=BOB, environ=None, **fields):
    bucket = BucketFacts("pail", **{"owner": "owner", "ownership": WRITER} | fields)
    return Asking(who, bucket, call, environ or {}, lambda record: record.tags)


def admit(operation, *args, **fields):
    call = Call(operation, "pail", "key")  # whoever asks has it in hand
    admission.admit(asking(call, *args, **fields))
    return call


def refused(*args, **fields):
    with pytest.raises(S3Error) as caught:
        admit(*args, **fields)
    return caught.value.code


def record(owner="owner", tags=None):
    acl = grants.encode(grants.private(owner))
    return SimpleNamespace(acl=acl, tags=tags or {}, initiator=owner)


# --- what is there -------------------------------------------------------------------------------


def test_an_operation_on_a_bucket_leaves_nothing_to_ask():
    assert not admit("ListObjectsV2", acl=OPEN).checks
    assert refused("ListObjectsV2") == "AccessDenied"


@pytest.mark.parametrize("operation", ["GetObject", "HeadObject", "GetObjectTagging"])
def test_who_reads_an_object_is_asked_when_there_is_none_too(operation):
    (check,) = admit(operation, OWNER, ownership=ENFORCED).checks
    check(None)
    (check,) = admit(operation, BOB).checks
    for current in (record(), None):
        with pytest.raises(S3Error, match="AccessDenied"):
            check(current)
    check(record("bob"))


def test_what_the_bucket_decides_costs_the_backend_no_look_up():
    assert not admit("DeleteObject", acl=OPEN).checks
    assert not admit("CompleteMultipartUpload", acl=OPEN).checks


def test_the_acl_to_set_is_read_from_the_headers_by_whoever_knows_the_owner():
    headers = {"HTTP_X_AMZ_ACL": "public-read"}
    for operation in ("PutBucketAcl", "PutObjectAcl"):
        made = admit(operation, OWNER, headers)
        assert made.grants("owner", None) == grants.canned("public-read", "owner")
    assert admit("GetObject", OWNER, headers).grants is None


# --- what is new ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation", ["PutObject", "PostObject", "CopyObject", "CreateMultipartUpload"]
)
@pytest.mark.parametrize(
    ("setting", "who", "headers", "owner"),
    [
        (ENFORCED, OWNER, {}, None),
        (WRITER, OWNER, {}, None),
        (PREFERRED, OWNER, {}, None),
        (WRITER, BOB, {}, "bob"),
        (WRITER, BOB, FULL, "bob"),
        (PREFERRED, BOB, {}, "bob"),
        (PREFERRED, BOB, FULL, "owner"),
        (WRITER, None, {}, ANONYMOUS),
    ],
)
def test_whose_a_new_object_is_stands_in_its_acl(operation, setting, who, headers, owner):
    if who is None and operation == "CreateMultipartUpload":
        assert refused(operation, who, acl=OPEN) == "AccessDenied"
        return
    acl = (
        None
        if setting == ENFORCED
        else grants.Acl("owner", (*OPEN.grants, *grants.private("owner").grants))
    )
    made = admit(operation, who, headers, ownership=setting, acl=acl)
    assert (json.loads(made.acl)["Owner"] if made.acl else None) == owner


def test_a_public_acl_is_not_stored_where_that_is_blocked():
    headers = {"HTTP_X_AMZ_ACL": "public-read"}
    assert admit("PutObject", BOB, headers, acl=OPEN).acl
    assert (
        refused("PutObject", BOB, headers, acl=OPEN, block=Block(block_acls=True)) == "AccessDenied"
    )
    code = refused("PutObject", OWNER, headers, ownership=ENFORCED)
    assert code == "AccessControlListNotSupported"


def test_a_stranger_is_denied_before_his_headers_are_read():
    assert refused("PutObject", BOB, {"HTTP_X_AMZ_ACL": "nonsense"}) == "AccessDenied"
    assert (
        refused("PutObject", OWNER, {"HTTP_X_AMZ_ACL": "nonsense"}, acl=OPEN) == "InvalidArgument"
    )


def test_headers_beside_the_object_need_permissions_of_their_own():
    puts = compiled({"Action": "s3:PutObject"})
    tagging = {"HTTP_X_AMZ_TAGGING": "a=b"}
    enforced = {"ownership": ENFORCED}
    admit("PutObject", BOB, **enforced, policy=puts)
    assert refused("PutObject", BOB, tagging, **enforced, policy=puts) == "AccessDenied"
    admit("PutObject", BOB, FULL, **enforced, policy=puts)  # where no ACL counts, it is none
    denies = compiled({"Action": "s3:PutObject"}, {"Effect": "Deny", "Action": "s3:PutObjectAcl"})
    assert refused("PutObject", BOB, FULL, **enforced, policy=denies) == "AccessDenied"
    more = compiled({"Action": ["s3:PutObject", "s3:PutObjectTagging"]})
    assert not admit("PutObject", BOB, tagging, **enforced, policy=more).checks
    admit("PutObject", BOB, tagging, policy=puts)  # it will be his own


def test_tags_on_an_object_that_has_others_wait_for_it():
    condition = {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}
    rules = compiled(
        {"Action": "s3:PutObject"}, {"Action": "s3:PutObjectTagging", "Condition": condition}
    )
    headers = {"HTTP_X_AMZ_TAGGING": "a=b"}
    call = admit("PutObject", BOB, headers, ownership=ENFORCED, policy=rules)
    (check,) = call.checks
    check(record(tags={"open": "yes"}))
    for current in (record(), None):
        with pytest.raises(S3Error, match="AccessDenied"):
            check(current)


# --- uploads -------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["AbortMultipartUpload", "ListParts"])
@pytest.mark.parametrize("setting", [ENFORCED, WRITER])
def test_an_upload_is_its_initiators_and_the_bucket_owners(operation, setting):
    assert not admit(operation, OWNER, ownership=setting).checks
    (check,) = admit(operation, BOB, ownership=setting).checks
    check(record("bob"))
    for upload in (record("eve"), record(""), None):
        with pytest.raises(S3Error, match="AccessDenied"):
            check(upload)


def test_a_policy_that_denies_ending_an_upload_denies_its_initiator():
    deny = compiled({"Effect": "Deny", "Action": "s3:AbortMultipartUpload"})
    call = admit("AbortMultipartUpload", BOB, policy=deny)
    (check,) = call.checks
    with pytest.raises(S3Error, match="AccessDenied"):
        check(record("bob"))


def test_that_an_upload_has_ended_is_told_to_whoever_may_write():
    (check,) = admit("ListParts", BOB, acl=OPEN).checks
    check(None)


# --- many keys, and copies -----------------------------------------------------------------------


def test_many_keys_are_decided_together_without_a_policy_and_apart_with_one():
    assert admit("DeleteObjects", OWNER, ownership=ENFORCED).permit is None
    call = admit("DeleteObjects", acl=OPEN)
    assert not call.permit("a1", None)
    with pytest.raises(S3Error, match="AccessDenied"):
        call.permit("a1", "null")
    assert refused("DeleteObjects") == "AccessDenied"
    rules = compiled({"Action": "s3:DeleteObject", "Resource": "arn:aws:s3:::pail/a*"})
    call = admit("DeleteObjects", policy=rules)
    permit = call.permit
    assert not permit("a1", None)
    for key, version in (("b1", None), ("a1", "null")):
        with pytest.raises(S3Error, match="AccessDenied"):
            permit(key, version)
    condition = {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}
    rules = compiled({"Action": "s3:DeleteObject", "Condition": condition})
    call = admit("DeleteObjects", policy=rules)
    (check,) = call.permit("a1", None)
    check(record(tags={"open": "yes"}))
    with pytest.raises(S3Error, match="AccessDenied"):
        check(record())


def test_a_copy_takes_its_tags_along_where_they_may_be_read_and_written():
    source = CopySource("pail", "from", None, Conditions())
    call = Call(
        "CopyObject", "pail", "key", params={"TaggingDirective": "COPY"}, copy_source=source
    )
    names = ["s3:PutObject", "s3:GetObject", "s3:GetObjectTagging", "s3:PutObjectTagging"]
    for missing in ("", "s3:GetObjectTagging", "s3:PutObjectTagging"):
        rules = compiled({"Action": [name for name in names if name != missing]})
        here = asking(call, ownership=ENFORCED, policy=rules)
        admission.admit_source(here, here.facts)
        reading, tagging = call.source_checks
        reading(record())
        tagging(record())  # none to take along
        if missing:
            with pytest.raises(S3Error, match="AccessDenied"):
                tagging(record(tags={"a": "b"}))
        else:
            tagging(record(tags={"a": "b"}))
    call.params["TaggingDirective"] = "REPLACE"
    admission.admit_source(here, here.facts)
    assert len(call.source_checks) == 1


def test_a_version_of_a_source_is_another_permission():
    source = CopySource("pail", "from", "null", Conditions())
    call = Call("CopyObject", "pail", "key", copy_source=source)
    here = asking(call, ownership=ENFORCED, policy=compiled({"Action": "s3:GetObject"}))
    with pytest.raises(S3Error, match="AccessDenied"):
        admission.admit_source(here, here.facts)


def of_version(version, action="s3:GetObjectVersion", effect="Allow"):
    condition = {"StringEquals": {"s3:VersionId": version}}
    return {"Effect": effect, "Action": action, "Condition": condition}


@pytest.mark.parametrize("bucket", ["pail", "other"])
def test_the_version_of_a_copys_source_is_what_a_condition_asks_of_it(bucket):
    for asked, of_target, right in (("v1", None, True), ("v1", "v2", True), ("v2", "v1", False)):
        source = CopySource(bucket, "from", asked, Conditions())
        call = Call("CopyObject", "pail", "key", version_id=of_target, copy_source=source)
        here = asking(call, ownership=ENFORCED, policy=compiled(of_version("v1")))
        if right:
            admission.admit_source(here, here.facts)
        else:
            with pytest.raises(S3Error, match="AccessDenied"):
                admission.admit_source(here, here.facts)


def test_the_version_of_each_key_of_delete_objects_is_what_a_condition_asks_of_it():
    deny = of_version("v1", "s3:DeleteObjectVersion", "Deny")
    rules = compiled({"Action": "s3:DeleteObject*"}, deny)
    call = Call("DeleteObjects", "pail")
    admission.admit(asking(call, ownership=ENFORCED, policy=rules))
    for key, version in (("a", None), ("a", "v2")):
        assert not call.permit(key, version)
    with pytest.raises(S3Error, match="AccessDenied"):
        call.permit("a", "v1")
