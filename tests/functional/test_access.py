"""Who may do what, asked through the whole pipeline by accounts of every role."""

import base64
import hashlib
import os
from pathlib import Path

import pytest
from paste.deploy import loadapp

from tests.functional.asking import document, fields, on_disk, told
from tests.functional.conftest import INI
from tests.functional.people import (
    ENFORCED,
    EVERYONE,
    PREFERRED,
    SIGNED,
    WRITER,
    People,
    block,
    configure,
    grant,
    only,
    policy,
)

DENIED = (403, "AccessDenied")


@pytest.fixture
def box(owned):
    return owned


# --- roles ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("who", "outcome"),
    [
        ("plain", (200, "")),
        ("boss", (200, "")),
        ("maker", (200, "")),
        ("bob", DENIED),
        (None, DENIED),
    ],
)
def test_buckets_are_made_by_accounts_of_more_than_the_least_role(people, root, who, outcome):
    assert told(people(who, "PUT", "/new")) == outcome
    assert (root / "new").exists() is (outcome[0] == 200)


def test_a_bucket_belongs_to_the_account_that_made_it(people, box):
    assert told(people("owner", "GET", "/box/key")) == (200, "")
    assert told(people("maker", "GET", "/box/key")) == DENIED
    assert told(people("maker", "DELETE", "/box")) == DENIED
    assert told(people("maker", "PUT", "/box")) == (409, "BucketAlreadyExists")


def test_an_account_sees_its_own_buckets_in_the_list_and_an_administrator_all(people, box):
    people("maker", "PUT", "/other")

    def listed(who):
        return [name.text for name in document(people(who, "GET", "/")).iter("Name")]

    assert listed("owner") == ["box"]
    assert listed("maker") == ["other"]
    assert listed("bob") == []
    assert listed("boss") == listed("plain") == ["box", "other"]
    assert told(people(None, "GET", "/")) == DENIED


def test_administrators_may_do_everything_in_the_buckets_of_others(people, box):
    for who in ("boss", "plain"):
        assert people(who, "PUT", f"/box/by-{who}", b"1").status == 200
        assert people(who, "GET", "/box/key").body == b"hello"
        assert people(who, "GET", "/box").status == 200
        assert people(who, "DELETE", f"/box/by-{who}").status == 204


def test_a_site_with_plain_keys_alone_works_as_it_did(settings, make_app, root):
    assert not (Path(settings["credentials"]).parent / "accounts.json").exists()
    ask = People(make_app())
    assert ask("plain", "PUT", "/box").status == 200
    os.mkdir(root / "foreign")
    (root / "foreign" / "file").write_bytes(b"of another program")
    configure(root / "box", owner="somebody")
    for target in ("/box/a/b", "/foreign/new"):
        assert ask("plain", "PUT", target, b"1").status == 200
        assert ask("plain", "GET", target).body == b"1"
        assert ask("plain", "DELETE", target).status == 204
    assert ask("plain", "GET", "/foreign/file").body == b"of another program"
    assert [name.text for name in document(ask("plain", "GET", "/")).iter("Name")] == [
        "box",
        "foreign",
    ]
    assert told(ask(None, "GET", "/foreign/file")) == DENIED
    assert ask("plain", "DELETE", "/box").status == 204


def test_a_directory_of_another_program_is_the_administrators(people, root):
    os.mkdir(root / "foreign")
    (root / "foreign" / "file").write_bytes(b"1")
    for who in ("owner", "bob", None):
        assert told(people(who, "GET", "/foreign/file")) == DENIED
    assert people("boss", "GET", "/foreign/file").status == 200


# --- what is not there ---------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["boss", "owner", "bob", None])
def test_a_bucket_that_is_not_there_is_no_secret(people, box, who):
    assert told(people(who, "GET", "/nowhere/key")) == (404, "NoSuchBucket")
    assert told(people(who, "PUT", "/nowhere/key", b"1")) == (404, "NoSuchBucket")
    assert people(who, "HEAD", "/nowhere").status == 404


READ_ONE = {"Principal": only("bob"), "Action": "s3:GetObject"}
LIST = {"Principal": only("bob"), "Action": "s3:ListBucket", "Resource": ""}


def test_a_missing_key_is_denied_to_whoever_may_not_list(people, box):
    configure(box, policy=policy(READ_ONE))
    assert told(people("bob", "GET", "/box/missing")) == DENIED
    assert told(people("bob", "GET", "/box/key")) == (200, "")
    configure(box, policy=policy(READ_ONE, LIST))
    assert told(people("bob", "GET", "/box/missing")) == (404, "NoSuchKey")
    assert told(people("owner", "GET", "/box/missing")) == (404, "NoSuchKey")


@pytest.mark.parametrize("setting", [ENFORCED, WRITER])
def test_head_tells_no_more_than_get(people, box, setting):
    configure(box, ownership=setting)
    for key in ("key", "missing"):
        answer = people("bob", "HEAD", f"/box/{key}")
        assert (answer.status, answer.body) == (403, b"")
    configure(box, policy=policy(READ_ONE))
    assert people("bob", "HEAD", "/box/missing").status == 403
    configure(box, policy=policy(READ_ONE, LIST))
    assert people("bob", "HEAD", "/box/missing").status == 404


def test_a_version_that_is_not_there_is_denied_to_a_stranger(people, box):
    configure(box, ownership=WRITER)
    assert told(people("bob", "GET", "/box/key?versionId=some")) == DENIED
    assert told(people("owner", "GET", "/box/key?versionId=some")) == (404, "NoSuchVersion")


def test_the_missing_source_of_a_copy_is_denied_to_whoever_may_not_list(people, box):
    people("maker", "PUT", "/mine")
    copy = {"x-amz-copy-source": "/box/missing"}
    configure(box, policy=policy({**READ_ONE, "Principal": only("maker")}))
    assert told(people("maker", "PUT", "/mine/new", headers=copy)) == DENIED
    configure(box, policy=policy({"Principal": only("maker"), "Resource": ["", "/*"]}))
    assert told(people("maker", "PUT", "/mine/new", headers=copy)) == (404, "NoSuchKey")


@pytest.mark.parametrize("target", ["/mine/new", "/mine/new?partNumber=1&uploadId=%s"])
def test_the_missing_version_of_a_source_is_denied_to_a_stranger(people, box, target):
    configure(box, ownership=WRITER)
    people("maker", "PUT", "/mine")
    if "%s" in target:
        begun = people("maker", "POST", "/mine/new?uploads")
        target %= document(begun).findtext("UploadId")
    copy = {"x-amz-copy-source": "/box/key?versionId=some"}
    assert told(people("maker", "PUT", target, headers=copy)) == DENIED
    assert told(people("boss", "PUT", target, headers=copy)) == (404, "NoSuchVersion")


# --- policies ------------------------------------------------------------------------------------


def test_a_policy_gives_an_account_what_it_says_and_no_more(people, box):
    configure(box, policy=policy({**READ_ONE, "Resource": "/k*"}))
    people("owner", "PUT", "/box/other", b"1")
    assert people("bob", "GET", "/box/key").body == b"hello"
    assert told(people("bob", "GET", "/box/other")) == DENIED
    assert told(people("bob", "PUT", "/box/key", b"1")) == DENIED
    assert told(people("bob", "DELETE", "/box/key")) == DENIED
    assert told(people("bob", "GET", "/box")) == DENIED
    assert told(people("eve", "GET", "/box/key")) == DENIED
    assert told(people(None, "GET", "/box/key")) == DENIED


def test_a_policy_names_an_account_by_its_key_its_id_or_its_arn(people, box):
    for name in ("bob", "AKBOB", "arn:aws:iam::bob:user/Bob", "arn:aws:iam::bob:root"):
        configure(box, policy=policy({**READ_ONE, "Principal": {"AWS": name}}))
        assert people("bob", "GET", "/box/key").status == 200, name
        assert told(people("eve", "GET", "/box/key")) == DENIED


def test_a_changed_policy_counts_from_the_next_request_on(people, box):
    for _ in range(5):
        configure(box, policy=policy(READ_ONE))
        assert people("bob", "GET", "/box/key").status == 200
        configure(box, policy=None)
        assert told(people("bob", "GET", "/box/key")) == DENIED


def test_an_explicit_deny_is_for_everyone_administrators_too(people, box):
    deny = {"Effect": "Deny", "Action": "s3:GetObject"}
    configure(box, policy=policy(deny, {"Action": "s3:*"}))
    for who in ("plain", "boss", "owner", "bob", None):
        assert told(people(who, "GET", "/box/key")) == DENIED
    assert people("bob", "PUT", "/box/key", b"1").status == 200


def test_a_policy_that_is_not_understood_leaves_owner_and_administrators(people, box):
    configure(box, policy=b'{"Version": "2012-10-17"}')
    for who in ("boss", "owner"):
        assert people(who, "GET", "/box/key").status == 200
    for who in ("bob", None):
        assert told(people(who, "GET", "/box/key")) == DENIED


def test_the_prefix_of_a_listing_is_a_condition(people, box):
    allow = {**LIST, "Condition": {"StringLike": {"s3:prefix": ["bob/*", "bob/"]}}}
    configure(box, policy=policy(allow))
    assert people("bob", "GET", "/box?list-type=2&prefix=bob%2F").status == 200
    assert told(people("bob", "GET", "/box?list-type=2&prefix=k")) == DENIED
    assert told(people("bob", "GET", "/box?list-type=2")) == DENIED


def test_where_a_request_comes_from_is_a_condition(people, box):
    near = {**READ_ONE, "Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}
    configure(box, policy=policy(near))
    assert people("bob", "GET", "/box/key", environ={"REMOTE_ADDR": "192.0.2.7"}).status == 200
    far = people("bob", "GET", "/box/key", environ={"REMOTE_ADDR": "198.51.100.1"})
    assert told(far) == DENIED


def test_deleting_many_is_decided_for_each_key(people, box):
    people("owner", "PUT", "/box/mine", b"1")
    configure(box, policy=policy({"Action": "s3:DeleteObject", "Resource": "/m*"}))
    keys = "".join(f"<Object><Key>{key}</Key></Object>" for key in ("key", "mine", "m-missing"))
    body = f"<Delete>{keys}</Delete>".encode()
    answer = people("bob", "POST", "/box?delete", body, _md5(body))
    assert answer.status == 200
    found = document(answer)
    assert [one.findtext("Key") for one in found.iter("Deleted")] == ["mine", "m-missing"]
    assert [(one.findtext("Key"), one.findtext("Code")) for one in found.iter("Error")] == [
        ("key", "AccessDenied")
    ]
    assert (box / "key").exists() and not (box / "mine").exists()


def test_a_deny_of_a_version_is_for_copies_and_delete_objects_too(people, box):
    version = {"StringEquals": {"s3:VersionId": "null"}}
    deny = {"Effect": "Deny", "Action": "s3:*Version", "Resource": "/*", "Condition": version}
    copy = {"x-amz-copy-source": "/box/key?versionId=null"}
    body = b"<Delete><Object><Key>key</Key><VersionId>null</VersionId></Object></Delete>"
    configure(box, policy=policy({"Action": "s3:*", "Resource": "/*"}, deny))
    assert told(people("owner", "GET", "/box/key?versionId=null")) == DENIED
    assert told(people("owner", "PUT", "/box/new", headers=copy)) == DENIED
    found = document(people("owner", "POST", "/box?delete", body, _md5(body)))
    assert [one.findtext("Code") for one in found.iter("Error")] == ["AccessDenied"]
    configure(box, policy=policy({"Action": "s3:*", "Resource": "/*"}))
    assert people("owner", "PUT", "/box/new", headers=copy).status == 200


def _md5(body):
    return {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}


# --- tags ----------------------------------------------------------------------------------------


TAGGED = {**READ_ONE, "Condition": {"StringEquals": {"s3:ExistingObjectTag/open": "yes"}}}


def test_a_policy_may_ask_for_the_tags_that_an_object_has(people, box):
    configure(box, policy=policy(TAGGED))
    people("owner", "PUT", "/box/open", b"1", {"x-amz-tagging": "open=yes"})
    people("owner", "PUT", "/box/shut", b"1", {"x-amz-tagging": "open=no"})
    assert people("bob", "GET", "/box/open").body == b"1"
    for key in ("shut", "key", "missing"):
        assert told(people("bob", "GET", f"/box/{key}")) == DENIED
        assert people("bob", "HEAD", f"/box/{key}").status == 403


def test_what_may_be_deleted_may_depend_on_its_tags(people, box):
    condition = {"StringEquals": {"s3:ExistingObjectTag/keep": "yes"}}
    deny = {"Effect": "Deny", "Action": "s3:DeleteObject", "Condition": condition}
    configure(box, policy=policy(deny))
    people("owner", "PUT", "/box/kept", b"1", {"x-amz-tagging": "keep=yes"})
    assert told(people("boss", "DELETE", "/box/kept")) == DENIED
    body = b"<Delete><Object><Key>kept</Key></Object><Object><Key>key</Key></Object></Delete>"
    found = document(people("owner", "POST", "/box?delete", body, _md5(body)))
    assert [one.findtext("Key") for one in found.iter("Error")] == ["kept"]
    assert (box / "kept").exists() and not (box / "key").exists()


def test_tags_of_the_request_are_a_condition_of_writing(people, box):
    writes = {"Principal": only("bob"), "Action": ["s3:PutObject", "s3:PutObjectTagging"]}
    condition = {"StringEquals": {"s3:RequestObjectTag/team": "blue"}}
    configure(box, policy=policy({**writes, "Condition": condition}))
    assert people("bob", "PUT", "/box/a", b"1", {"x-amz-tagging": "team=blue"}).status == 200
    assert told(people("bob", "PUT", "/box/b", b"1", {"x-amz-tagging": "team=red"})) == DENIED
    assert told(people("bob", "PUT", "/box/b", b"1")) == DENIED
    configure(box, policy=policy({"Principal": only("bob"), "Action": "s3:PutObject"}))
    assert told(people("bob", "PUT", "/box/b", b"1", {"x-amz-tagging": "team=blue"})) == DENIED


def test_the_tags_of_a_copy_need_a_permission_on_either_side(people, box):
    people("owner", "PUT", "/box/tagged", b"1", {"x-amz-tagging": "a=b"})
    people("maker", "PUT", "/mine")
    copy = {"x-amz-copy-source": "/box/tagged"}
    maker = {"Principal": only("maker")}
    configure(box, policy=policy({**maker, "Action": "s3:GetObject"}))
    assert told(people("maker", "PUT", "/mine/new", headers=copy)) == DENIED
    anew = {**copy, "x-amz-tagging-directive": "REPLACE"}
    assert people("maker", "PUT", "/mine/new", headers=anew).status == 200
    configure(box, policy=policy({**maker, "Action": ["s3:GetObject", "s3:GetObjectTagging"]}))
    assert people("maker", "PUT", "/mine/new", headers=copy).status == 200
    source = {"x-amz-copy-source": "/box/key"}  # has no tags
    configure(box, policy=policy({**maker, "Action": "s3:GetObject"}))
    assert people("maker", "PUT", "/mine/new", headers=source).status == 200


def test_the_tags_of_a_version_that_is_copied_are_another_permission(people, box):
    people("owner", "PUT", "/box/tagged", b"1", {"x-amz-tagging": "a=b"})
    people("maker", "PUT", "/mine")
    copy = {"x-amz-copy-source": "/box/tagged?versionId=null"}
    maker = {"Principal": only("maker")}
    for name, outcome in (("GetObjectTagging", DENIED), ("GetObjectVersionTagging", (200, ""))):
        actions = ["s3:GetObject", "s3:GetObjectVersion", f"s3:{name}"]
        configure(box, policy=policy({**maker, "Action": actions}))
        assert told(people("maker", "PUT", "/mine/new", headers=copy)) == outcome


# --- ACLs and ownership --------------------------------------------------------------------------


@pytest.fixture
def shared(box):
    """The bucket with ACLs: bob may write, everyone who signs may list."""
    grants = [grant("WRITE", "bob"), grant("READ", SIGNED)]
    configure(box, owner="owner", acl=grants, ownership=WRITER)
    return box


def test_the_acl_of_a_bucket_gives_listing_and_writing(people, shared):
    assert people("bob", "PUT", "/box/bobs", b"1").status == 200
    assert people("eve", "GET", "/box").status == 200
    assert told(people("eve", "PUT", "/box/eves", b"1")) == DENIED
    assert told(people(None, "GET", "/box")) == DENIED
    assert told(people("bob", "GET", "/box?acl")) == DENIED
    assert people("bob", "DELETE", "/box/key").status == 204


def test_what_a_writer_wrote_is_his_and_the_bucket_owner_may_only_delete_it(people, shared):
    people("bob", "PUT", "/box/bobs", b"1")
    assert people("bob", "GET", "/box/bobs").body == b"1"
    assert told(people("owner", "GET", "/box/bobs")) == DENIED
    assert told(people("eve", "GET", "/box/bobs")) == DENIED
    assert people("boss", "GET", "/box/bobs").status == 200
    assert people("owner", "DELETE", "/box/bobs").status == 204
    assert told(people("bob", "GET", "/box/key")) == DENIED


def test_a_policy_of_the_bucket_owner_says_nothing_of_objects_that_are_anothers(people, shared):
    people("bob", "PUT", "/box/bobs", b"1")
    configure(shared, policy=policy({"Principal": only("eve"), "Action": "s3:GetObject"}))
    assert told(people("eve", "GET", "/box/bobs")) == DENIED
    assert people("eve", "GET", "/box/key").status == 200
    configure(shared, ownership=ENFORCED)
    assert people("eve", "GET", "/box/bobs").status == 200


@pytest.mark.parametrize("who", ["owner", "bob"])
@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        ({"x-amz-acl": "bucket-owner-full-control"}, True),
        ({"x-amz-acl": "private"}, True),  # of others AWS refuses it: see docs/access.rst
        ({"x-amz-grant-full-control": 'id="owner"'}, True),
        ({"x-amz-acl": "authenticated-read"}, False),
        ({"x-amz-grant-full-control": 'id="bob"'}, False),
        ({"x-amz-grant-full-control": 'id="owner", id="bob"'}, False),
    ],
)
def test_where_no_acl_counts_one_is_taken_that_gives_nobody_else_anything(
    people, box, who, headers, taken
):
    allow = {"Principal": only("bob"), "Action": "s3:PutObject"}
    configure(box, owner="owner", ownership=ENFORCED, policy=policy(allow))
    outcome = (200, "") if taken else (400, "AccessControlListNotSupported")
    assert told(people(who, "PUT", "/box/new", b"1", headers)) == outcome
    assert (box / "new").exists() is taken
    if taken:
        assert people("owner", "GET", "/box/new").status == 200
        assert told(people("bob", "GET", "/box/new")) == DENIED


@pytest.mark.parametrize(
    ("headers", "readers"),
    [
        ({"x-amz-acl": "private"}, {"bob"}),
        ({"x-amz-acl": "public-read"}, {"bob", "owner", "eve", None}),
        ({"x-amz-acl": "authenticated-read"}, {"bob", "owner", "eve"}),
        ({"x-amz-acl": "bucket-owner-read"}, {"bob", "owner"}),
        ({"x-amz-acl": "bucket-owner-full-control"}, {"bob", "owner"}),
        ({"x-amz-grant-read": 'id="eve"'}, {"eve"}),
        ({"x-amz-grant-full-control": 'id="owner", id="bob"'}, {"bob", "owner"}),
    ],
)
@pytest.mark.parametrize("way", ["put", "copy", "parts"])
def test_the_acl_of_an_object_says_who_reads_it(people, shared, headers, readers, way):
    if way == "put":
        assert people("bob", "PUT", "/box/new", b"1", headers).status == 200
    elif way == "copy":
        people("bob", "PUT", "/box/source", b"1")
        copy = {**headers, "x-amz-copy-source": "/box/source"}
        assert people("bob", "PUT", "/box/new", headers=copy).status == 200
    else:
        _in_parts(people, "bob", "/box/new", headers)
    for who in ("bob", "owner", "eve", None):
        answer = people(who, "GET", "/box/new")
        assert told(answer) == ((200, "") if who in readers else DENIED), who


def _in_parts(people, who, target, headers=None):
    done = people(who, "POST", *_all_but_completed(people, who, target, headers))
    assert document(done).tag == "CompleteMultipartUploadResult"


def _all_but_completed(people, who, target, headers=None):
    """Begin an upload and put its part; return the target and body that complete it."""
    begun = people(who, "POST", f"{target}?uploads", headers=headers)
    assert begun.status == 200
    upload = document(begun).findtext("UploadId")
    part = people(who, "PUT", f"{target}?partNumber=1&uploadId={upload}", b"1")
    tag = part.headers["etag"]
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
    )
    return f"{target}?uploadId={upload}", body.encode()


def test_the_bucket_owner_owns_what_is_given_to_him_where_he_prefers(people, shared):
    configure(shared, ownership=PREFERRED)
    full = {"x-amz-acl": "bucket-owner-full-control"}
    people("bob", "PUT", "/box/given", b"1", full)
    people("bob", "PUT", "/box/kept", b"1")
    configure(shared, policy=policy({"Principal": only("eve"), "Action": "s3:GetObject"}))
    assert people("eve", "GET", "/box/given").status == 200
    assert told(people("eve", "GET", "/box/kept")) == DENIED
    assert told(people("bob", "GET", "/box/given")) == DENIED


@pytest.mark.parametrize("ownership", [WRITER, PREFERRED])
@pytest.mark.parametrize("by", ["acl", "policy"])
def test_nobody_may_give_the_bucket_owner_full_control_of_what_he_puts(people, box, ownership, by):
    """AWS's policies for uploads that nobody signs require it."""
    full = {"x-amz-acl": "bucket-owner-full-control"}
    put = {"Principal": "*", "Action": "s3:PutObject"}
    if by == "acl":
        configure(box, owner="owner", acl=[grant("WRITE", EVERYONE)], ownership=ownership)
    else:
        condition = {"StringEquals": {"s3:x-amz-acl": full["x-amz-acl"]}}
        rules = policy({**put, "Condition": condition})
        configure(box, owner="owner", ownership=ownership, policy=rules)
    assert people(None, "PUT", "/box/new", b"1", full).status == 200
    assert people("owner", "GET", "/box/new").body == b"1"
    for who in ("bob", None):
        assert told(people(who, "GET", "/box/new")) == DENIED
    for more in ({"x-amz-acl": "public-read"}, {"x-amz-grant-read": 'id="bob"'}):
        assert told(people(None, "PUT", "/box/open", b"1", more)) == DENIED
    deny = {"Principal": "*", "Effect": "Deny", "Action": "s3:PutObjectAcl"}
    configure(box, policy=policy(put, deny))
    assert told(people(None, "PUT", "/box/new", b"1", full)) == DENIED


def test_where_the_owner_is_enforced_acls_neither_count_nor_are_taken(people, box):
    configure(box, owner="owner", acl=[grant("FULL_CONTROL", EVERYONE)], ownership=ENFORCED)
    for who in ("bob", None):
        assert told(people(who, "GET", "/box")) == DENIED
        assert told(people(who, "PUT", "/box/x", b"1")) == DENIED
    refused = people("owner", "PUT", "/box/x", b"1", {"x-amz-acl": "public-read"})
    assert told(refused) == (400, "AccessControlListNotSupported")
    full = {"x-amz-acl": "bucket-owner-full-control"}
    assert people("owner", "PUT", "/box/x", b"1", full).status == 200


def test_files_of_other_programs_are_the_bucket_owners(people, shared):
    (shared / "file").write_bytes(b"1")
    assert people("owner", "GET", "/box/file").status == 200
    assert told(people("bob", "GET", "/box/file")) == DENIED


def test_an_unreadable_acl_of_an_object_grants_nothing(people, shared):
    people("bob", "PUT", "/box/new", b"1", {"x-amz-acl": "public-read"})
    os.setxattr(shared / "new", "user.s3filters.acl", b"{")
    for who in ("bob", "eve", None):
        assert told(people(who, "GET", "/box/new")) == DENIED
    assert people("boss", "GET", "/box/new").status == 200


def test_a_new_bucket_has_the_acl_and_ownership_that_it_was_asked_to_have(people, root):
    both = {"x-amz-acl": "public-read", "x-amz-object-ownership": WRITER}
    assert people("maker", "PUT", "/open", headers=both).status == 200
    assert people(None, "GET", "/open").status == 200
    assert people("maker", "PUT", "/open/key", b"1", {"x-amz-acl": "public-read"}).status == 200
    assert people(None, "GET", "/open/key").body == b"1"
    acl_alone = people("maker", "PUT", "/new", headers={"x-amz-acl": "public-read"})
    assert told(acl_alone) == (400, "InvalidBucketAclWithObjectOwnership")
    wrong = people("maker", "PUT", "/new", headers={"x-amz-object-ownership": "Nobody"})
    assert told(wrong) == (400, "InvalidArgument")
    assert not (root / "new").exists()


# --- the public ----------------------------------------------------------------------------------


PUBLIC = {"Action": "s3:GetObject"}


def test_everyone_may_do_what_a_public_policy_gives(people, box):
    configure(box, policy=policy(PUBLIC))
    assert people(None, "GET", "/box/key").body == b"hello"
    assert told(people(None, "PUT", "/box/key", b"1")) == DENIED
    assert told(people(None, "GET", "/box/missing")) == DENIED


def test_a_restricted_bucket_with_a_public_policy_is_its_owners(people, box):
    configure(box, policy=policy(PUBLIC), block=block(RestrictPublicBuckets=True))
    for who in ("bob", None):
        assert told(people(who, "GET", "/box/key")) == DENIED
    for who in ("owner", "boss"):
        assert people(who, "GET", "/box/key").status == 200


def test_public_grants_may_be_ignored_and_refused(people, shared):
    people("owner", "PUT", "/box/open", b"1", {"x-amz-acl": "public-read"})
    assert people(None, "GET", "/box/open").status == 200
    configure(shared, block=block(IgnorePublicAcls=True))
    assert told(people(None, "GET", "/box/open")) == DENIED
    assert told(people("eve", "GET", "/box")) == DENIED
    configure(shared, block=block(BlockPublicAcls=True))
    assert people(None, "GET", "/box/open").status == 200
    public = people("owner", "PUT", "/box/more", b"1", {"x-amz-acl": "public-read"})
    assert told(public) == DENIED
    assert not (shared / "more").exists()


def test_the_gateway_has_the_four_switches_for_every_bucket(people, make_app, settings, shared):
    people("owner", "PUT", "/box/open", b"1", {"x-amz-acl": "public-read"})
    configure(shared, policy=policy(PUBLIC))
    strict = _with_options(
        make_app, settings, "ignore_public_acls = true", "restrict_public_buckets = true"
    )
    assert people(None, "GET", "/box/open").status == 200
    assert told(people.of(strict)(None, "GET", "/box/open")) == DENIED


def test_requests_that_are_not_signed_may_be_refused_altogether(people, make_app, settings, box):
    configure(box, policy=policy(PUBLIC))
    strict = people.of(_with_options(make_app, settings, "anonymous = false"))
    assert people(None, "GET", "/box/key").status == 200
    assert told(strict(None, "GET", "/box/key")) == DENIED
    assert told(strict(None, "GET", "/nowhere/key")) == DENIED
    assert strict("bob", "GET", "/box/key").status == 200


def _with_options(make_app, settings, *lines):
    """The default pipeline with options of the acl filter."""
    text = INI.read_text().replace("use = egg:s3filters#acl\n", "use = egg:s3filters#acl\n%s\n")
    path = Path(settings["root"]).parent / "strict.ini"
    path.write_text(text.replace("%s", "\n".join(lines)))
    return loadapp(f"config:{path}", global_conf=settings)


# --- uploads in parts ----------------------------------------------------------------------------


def test_an_upload_is_ended_by_whoever_began_it_and_by_the_bucket_owner(people, shared):
    for who, ends in (("bob", True), ("owner", True), ("boss", True), ("eve", False)):
        begun = people("bob", "POST", "/box/new?uploads")
        target = f"/box/new?uploadId={document(begun).findtext('UploadId')}"
        assert told(people(who, "GET", target)) == ((200, "") if ends else DENIED)
        assert told(people(who, "DELETE", target)) == ((204, "") if ends else DENIED)


def test_that_an_upload_has_ended_is_told_to_whoever_could_have_begun_it(people, shared):
    target = "/box/new?uploadId=11111111-1111-4111-8111-111111111111"
    for who, outcome in (("bob", (404, "NoSuchUpload")), ("eve", DENIED), (None, DENIED)):
        assert told(people(who, "GET", target)) == outcome
        assert told(people(who, "DELETE", target)) == outcome


def test_parts_are_put_by_whoever_may_write(people, shared):
    begun = people("bob", "POST", "/box/new?uploads")
    target = f"/box/new?partNumber=1&uploadId={document(begun).findtext('UploadId')}"
    before = on_disk(shared)
    for who in ("eve", None):
        assert told(people(who, "PUT", target, b"1")) == DENIED
        copy = {"x-amz-copy-source": "/box/key"}
        assert told(people(who, "PUT", target, headers=copy)) == DENIED
    source = {"x-amz-copy-source": "/box/key"}  # the owner's
    assert told(people("bob", "PUT", target, headers=source)) == DENIED
    assert on_disk(shared) == before
    assert people("bob", "PUT", target, b"1").status == 200


def test_whoever_may_write_completes_what_another_began_and_it_is_still_the_others(people, shared):
    """AWS asks for s3:PutObject, and no longer for the initiator."""
    completion = _all_but_completed(people, "bob", "/box/new")
    before = on_disk(shared)
    for who in ("eve", None):
        assert told(people(who, "POST", *completion)) == DENIED
    assert on_disk(shared) == before
    grants = [grant("WRITE", "bob"), grant("WRITE", "eve")]
    configure(shared, owner="owner", acl=grants, ownership=WRITER)
    done = people("eve", "POST", *completion)
    assert document(done).tag == "CompleteMultipartUploadResult"
    assert people("bob", "GET", "/box/new").body == b"1"
    assert told(people("eve", "GET", "/box/new")) == DENIED


# --- what a refusal looks like -------------------------------------------------------------------


def test_a_refusal_gives_no_reason_away(people, box):
    answer = people("bob", "GET", "/box/key")
    told_fields = fields(answer)
    assert told_fields["Code"] == "AccessDenied"
    assert told_fields["Message"] == "Access Denied"
    assert "policy" not in answer.body.decode().lower()


def test_a_body_that_is_refused_leaves_nothing(people, box):
    before = on_disk(box)
    for size in (1, 300_000):
        assert told(people("bob", "PUT", "/box/new", b"x" * size)) == DENIED
        assert told(people("bob", "PUT", "/box/key", b"x" * size)) == DENIED
    assert on_disk(box) == before
