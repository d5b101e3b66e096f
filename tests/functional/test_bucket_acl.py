"""The ACL of a bucket: canned, in headers, as a document; and where none may be set."""

import json
import os
from pathlib import Path

import pytest

from tests.daemon import ACCESS_KEY
from tests.functional import people as words
from tests.functional.acls import ALL_USERS, OWN, granted, group, user, xml
from tests.functional.asking import fields, refusal, told
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
)

LOGS = {"Type": "Group", "Access": "log-delivery"}


@pytest.fixture
def owned(granting):
    return granting


def stored(folder):
    """What is on the disk, without the owner's full control."""
    acl = json.loads(os.getxattr(folder, "user.acl"))
    own = {"Permission": "FULL_CONTROL", "Access": acl["Owner"], "Type": "CanonicalUser"}
    return [one for one in acl["Grantees"] if one != own]


# --- what is set and answered --------------------------------------------------------------------


def test_a_new_bucket_grants_its_owner_everything_and_nobody_else(people, root):
    people("owner", "PUT", "/box")
    assert granted(people("owner", "GET", "/box?acl")) == ("owner", [OWN])


@pytest.mark.parametrize(
    ("canned", "expected"),
    [
        ("private", []),
        ("public-read", [grant("READ", EVERYONE)]),
        ("public-read-write", [grant("READ", EVERYONE), grant("WRITE", EVERYONE)]),
        ("authenticated-read", [grant("READ", SIGNED)]),
        ("log-delivery-write", [grant("WRITE", LOGS), grant("READ_ACP", LOGS)]),
        ("bucket-owner-full-control", []),
    ],
)
def test_a_canned_acl_is_stored_as_versitys_gateway_stores_grants(people, owned, canned, expected):
    configure(owned, owner="owner", acl=[grant("WRITE", "eve")])
    assert people("owner", "PUT", "/box?acl", b"", {"x-amz-acl": canned}).status == 200
    assert stored(owned) == expected
    owner, found = granted(people("owner", "GET", "/box?acl"))
    assert owner == "owner"
    assert [permission for _, _, permission in found[1:]] == [x["Permission"] for x in expected]


def test_grants_in_headers_stand_alone(people, owned):
    headers = {
        "x-amz-grant-read": f'id="bob", uri="{ALL_USERS}"',
        "x-amz-grant-write-acp": "id=eve",
    }
    assert people("owner", "PUT", "/box?acl", b"", headers).status == 200
    owner, found = granted(people("owner", "GET", "/box?acl"))
    assert owner == "owner"
    assert sorted(found) == [
        ("CanonicalUser", "bob", "READ"),
        ("CanonicalUser", "eve", "WRITE_ACP"),
        ("Group", ALL_USERS, "READ"),
    ]


def test_a_document_is_answered_as_it_was_sent(people, owned):
    grants = [(user("bob"), "WRITE"), (group(ALL_USERS), "READ"), (user("owner"), "FULL_CONTROL")]
    assert people("owner", "PUT", "/box?acl", xml(*grants)).status == 200
    assert granted(people("owner", "GET", "/box?acl")) == (
        "owner",
        [("CanonicalUser", "bob", "WRITE"), ("Group", ALL_USERS, "READ"), OWN],
    )
    assert stored(owned) == [grant("WRITE", "bob"), grant("READ", EVERYONE)]


def test_boto3_sets_what_it_got(s3, root):
    s3.create_bucket(Bucket="box", ObjectOwnership=PREFERRED)
    s3.put_bucket_acl(Bucket="box", ACL="public-read")
    got = s3.get_bucket_acl(Bucket="box")
    assert got["Owner"] == {"ID": ACCESS_KEY}
    assert [one["Permission"] for one in got["Grants"]] == ["FULL_CONTROL", "READ"]
    policy = {"Owner": got["Owner"], "Grants": got["Grants"][:1]}
    s3.put_bucket_acl(Bucket="box", AccessControlPolicy=policy)
    assert s3.get_bucket_acl(Bucket="box")["Grants"] == got["Grants"][:1]


def test_a_hundred_grants_are_stored_where_no_attribute_holds_them(owned, settings, make_app):
    names = [f"{number:064x}" for number in range(100)]
    words.write(Path(settings["credentials"]), names)
    people = People(make_app())
    grants = [(user(name), "READ") for name in names]
    assert people("owner", "PUT", "/box?acl", xml(*grants)).status == 200
    assert len(granted(people("owner", "GET", "/box?acl"))[1]) == 100
    assert told(people("owner", "PUT", "/box?acl", xml(*grants, (user("x"), "READ")))) == (
        400,
        "MalformedACLError",
    )
    assert people("owner", "GET", "/").body.count(b"<Name>box</Name>") == 1
    ids = ", ".join(f"id={name}" for name in names)
    headers = {"x-amz-object-ownership": WRITER, "x-amz-grant-read": ids}
    assert people("owner", "PUT", "/new", b"", headers).status == 200
    assert len(granted(people("owner", "GET", "/new?acl"))[1]) == 100
    assert people("owner", "DELETE", "/new").status == 204


# --- what they do --------------------------------------------------------------------------------


def test_grants_count_from_the_next_request_on(people, owned):
    people("owner", "PUT", "/box/key", b"x")
    assert people("bob", "GET", "/box").status == 403
    people("owner", "PUT", "/box?acl", b"", {"x-amz-grant-read": "id=bob"})
    assert people("bob", "GET", "/box").status == 200
    assert people("bob", "PUT", "/box/other", b"x").status == 403
    assert people("bob", "GET", "/box?acl").status == 403


def test_an_owner_may_always_set_the_acl_and_others_when_they_are_granted_it(people, owned):
    people("owner", "PUT", "/box?acl", b"", {"x-amz-grant-write-acp": "id=bob"})
    assert people("eve", "PUT", "/box?acl", b"", {"x-amz-acl": "private"}).status == 403
    body = xml((user("eve"), "READ"))
    assert people("bob", "PUT", "/box?acl", body).status == 200
    assert stored(owned) == [grant("READ", "eve")]
    assert people("owner", "PUT", "/box?acl", b"", {"x-amz-acl": "private"}).status == 200
    assert granted(people("owner", "GET", "/box?acl")) == ("owner", [OWN])


def test_the_owner_stays_whoever_sets_the_acl(people, owned):
    people("owner", "PUT", "/box?acl", b"", {"x-amz-grant-write-acp": "id=bob"})
    assert people("bob", "PUT", "/box?acl", b"", {"x-amz-acl": "private"}).status == 200
    assert granted(people("owner", "GET", "/box?acl")) == ("owner", [OWN])
    answer = people("owner", "PUT", "/box?acl", xml((user("bob"), "READ"), owner="bob"))
    assert told(answer) == (403, "AccessDenied")


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("canned", ["private", "public-read"])
def test_where_ownership_is_enforced_no_acl_can_be_set(people, owned, canned):
    configure(owned, ownership=ENFORCED)
    for body, headers in ((b"", {"x-amz-acl": canned}), (xml((user("bob"), "READ")), {})):
        answer = people("owner", "PUT", "/box?acl", body, headers)
        assert told(answer) == (400, "AccessControlListNotSupported")
    assert stored(owned) == []


def test_where_ownership_is_enforced_stored_grants_are_not_shown(people, owned):
    configure(owned, owner="owner", acl=[grant("READ", EVERYONE)], ownership=ENFORCED)
    assert granted(people("owner", "GET", "/box?acl")) == ("owner", [OWN])


def test_a_folder_that_nobody_owns_grants_nobody_anything(people, root):
    (root / "folder").mkdir()
    assert granted(people("boss", "GET", "/folder?acl")) in (("", []), (None, []))
    answer = people("boss", "PUT", "/folder?acl", b"", {"x-amz-acl": "private"})
    assert told(answer) == (400, "AccessControlListNotSupported")


def test_public_grants_are_refused_where_they_are_blocked(people, owned):
    configure(owned, block=block(BlockPublicAcls=True))
    public = xml((group(ALL_USERS), "READ"))
    answers = [
        people("owner", "PUT", "/box?acl", b"", {"x-amz-acl": "public-read"}),
        people("owner", "PUT", "/box?acl", b"", {"x-amz-grant-read": f"uri={ALL_USERS}"}),
        people("owner", "PUT", "/box?acl", public),
    ]
    assert [told(answer) for answer in answers] == [(403, "AccessDenied")] * 3
    assert people("owner", "PUT", "/box?acl", xml((user("bob"), "READ"))).status == 200


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"", {}, "MissingSecurityHeader"),
        (xml(), {"x-amz-acl": "private"}, "UnexpectedContent"),
        (b"", {"x-amz-acl": "public"}, "InvalidArgument"),
        (b"", {"x-amz-acl": "private", "x-amz-grant-read": "id=bob"}, "InvalidRequest"),
        (b"", {"x-amz-grant-read": "bob"}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": "uri=http://example.org/all"}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": "emailAddress=a@b.c"}, "UnresolvableGrantByEmailAddress"),
        (b"<", {}, "MalformedACLError"),
        (b"<Acl/>", {}, "MalformedACLError"),
        (b"x" * 70_000, {}, "MalformedACLError"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + xml(), {}, "MalformedACLError"),
        (xml((user("bob"), "EVERYTHING")), {}, "MalformedACLError"),
        (xml(("xsi:type='Role'><ID>x</ID>", "READ")), {}, "MalformedACLError"),
        (xml((group("http://example.org"), "READ")), {}, "InvalidArgument"),
        (xml((user(""), "READ")), {}, "InvalidArgument"),
        (xml((user("nobody"), "READ")), {}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": "id=nobody"}, "InvalidArgument"),
    ],
)
def test_what_is_no_acl_is_refused_by_name_and_the_old_one_stays(
    people, owned, body, headers, code
):
    configure(owned, owner="owner", acl=[grant("READ", "eve")])
    answer = people("owner", "PUT", "/box?acl", body, headers)
    assert answer.code == code
    assert answer.status == 400
    assert stored(owned) == [grant("READ", "eve")]


def test_a_request_for_no_acl_is_told_which_header_is_missing(people, owned):
    answer = people("owner", "PUT", "/box?acl")
    assert fields(answer)["MissingHeaderName"] == "x-amz-acl"


# --- with a new bucket ---------------------------------------------------------------------------


@pytest.mark.parametrize("canned", ["public-read", "authenticated-read", "private"])
def test_a_bucket_is_made_with_an_acl(people, root, canned):
    headers = {"x-amz-acl": canned, "x-amz-object-ownership": PREFERRED}
    assert people("owner", "PUT", "/new", b"", headers).status == 200
    assert os.getxattr(root / "new", "user.ownership") == PREFERRED.encode()
    assert (len(stored(root / "new")) == 1) is (canned != "private")


def test_a_bucket_is_made_with_grants(people, root):
    headers = {"x-amz-grant-full-control": "id=owner, id=bob", "x-amz-object-ownership": WRITER}
    assert people("owner", "PUT", "/new", b"", headers).status == 200
    assert stored(root / "new") == [grant("FULL_CONTROL", "bob")]
    assert people("bob", "GET", "/new").status == 200
    assert people("bob", "GET", "/new?acl").status == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-acl": "public-read"}, "InvalidBucketAclWithObjectOwnership"),
        ({"x-amz-grant-read": "id=bob"}, "InvalidBucketAclWithObjectOwnership"),
        ({"x-amz-acl": "all", "x-amz-object-ownership": WRITER}, "InvalidArgument"),
        ({"x-amz-grant-read": "id=no", "x-amz-object-ownership": WRITER}, "InvalidArgument"),
        ({"x-amz-object-ownership": "Everyone"}, "InvalidArgument"),
    ],
)
def test_a_bucket_is_not_made_with_what_contradicts_itself(people, root, headers, code):
    assert told(people("owner", "PUT", "/new", b"", headers)) == (400, code)
    assert not (root / "new").exists()


def test_boto3_makes_a_public_bucket(s3, root):
    s3.create_bucket(Bucket="new", ACL="public-read", ObjectOwnership=WRITER)
    assert stored(root / "new") == [grant("READ", EVERYONE)]
    assert refusal(s3.create_bucket, Bucket="other", ACL="public-read") == (
        400,
        "InvalidBucketAclWithObjectOwnership",
    )
