"""The ACL of an object: with every way to make one; read, replaced, and where none may be set."""

import json
import os
import threading
from pathlib import Path

import pytest
from paste.deploy import loadapp

from tests import versity, wire
from tests.daemon import ACCESS_KEY
from tests.functional import people as words
from tests.functional.acls import ALL_USERS, OWN, granted, group, user, xml
from tests.functional.asking import document, fields, on_disk, refusal, told
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

ATTRIBUTE = "user.s3filters.acl"
BOBS = ("CanonicalUser", "bob", "FULL_CONTROL")
READ_BY_ALL = ("Group", ALL_USERS, "READ")
KEYS = ["key", "folder/key", "folder/"]
WITHOUT = "[pipeline:main]\npipeline = catch_errors sigauth s3api s3multi fs\n"


@pytest.fixture
def owned(granting):
    """The folder of the bucket ``box`` of ``owner``, where ACLs count and bob may write."""
    configure(granting, owner="owner", acl=[grant("WRITE", "bob")])
    return granting


def stored(path):
    """The owner and the grants on the disk, None for no ACL."""
    if ATTRIBUTE not in os.listxattr(path):
        return None
    acl = json.loads(os.getxattr(path, ATTRIBUTE))
    return acl["Owner"], acl["Grantees"]


def put(people, who="owner", key="key", **headers):
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    body = b"" if key.endswith("/") else b"hello"
    answer = people(who, "PUT", f"/box/{key}", body, names, length=len(body))
    assert told(answer) == (200, "")


def acl_of(people, key="key", who="boss"):
    return granted(people(who, "GET", f"/box/{key}?acl"))


# --- what is set and answered --------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_an_object_that_its_bucket_owner_put_is_his_and_nothing_is_stored(people, owned, key):
    put(people, key=key)
    assert acl_of(people, key) == acl_of(people, key, "owner") == ("owner", [OWN])
    assert stored(owned / key) is None


@pytest.mark.parametrize("key", KEYS)
def test_an_object_of_another_is_his_who_wrote_it(people, owned, key):
    put(people, "bob", key)
    assert acl_of(people, key) == acl_of(people, key, "bob") == ("bob", [BOBS])
    assert told(people("owner", "GET", f"/box/{key}?acl")) == (403, "AccessDenied")
    assert stored(owned / key) == ("bob", [grant("FULL_CONTROL", "bob")])


CANNED = {
    "private": [],
    "public-read": [grant("READ", EVERYONE)],
    "public-read-write": [grant("READ", EVERYONE), grant("WRITE", EVERYONE)],
    "authenticated-read": [grant("READ", SIGNED)],
    "bucket-owner-read": [grant("READ", "owner")],
    "bucket-owner-full-control": [grant("FULL_CONTROL", "owner")],
}


@pytest.mark.parametrize("canned", CANNED)
@pytest.mark.parametrize("key", ["key", "folder/"])
def test_a_canned_acl_is_set_by_the_one_who_wrote_it(people, owned, key, canned):
    put(people, "bob", key, x_amz_grant_read="id=eve")
    for _ in range(2):
        answer = people("bob", "PUT", f"/box/{key}?acl", b"", {"x-amz-acl": canned})
        assert (answer.status, answer.body) == (200, b"")
    whole = [grant("FULL_CONTROL", "bob"), *CANNED[canned]]
    assert stored(owned / key) == ("bob", whole)
    owner, found = acl_of(people, key)
    assert owner == "bob"
    assert [permission for _, _, permission in found] == [one["Permission"] for one in whole]


def test_grants_in_headers_stand_alone(people, owned):
    put(people)
    headers = {
        "x-amz-grant-read": f'id="bob", uri="{ALL_USERS}"',
        "x-amz-grant-full-control": "id=eve",
    }
    assert people("owner", "PUT", "/box/key?acl", b"", headers).status == 200
    owner, found = acl_of(people)
    assert owner == "owner"
    assert sorted(found) == [
        ("CanonicalUser", "bob", "READ"),
        ("CanonicalUser", "eve", "FULL_CONTROL"),
        READ_BY_ALL,
    ]


def test_a_document_is_answered_as_it_was_sent(people, owned):
    put(people)
    grants = [
        (user("bob"), "READ_ACP"),
        (group(ALL_USERS), "READ"),
        (user("owner"), "FULL_CONTROL"),
    ]
    assert people("owner", "PUT", "/box/key?acl", xml(*grants)).status == 200
    assert acl_of(people) == ("owner", [("CanonicalUser", "bob", "READ_ACP"), READ_BY_ALL, OWN])


def test_boto3_sets_what_it_got(s3, root):
    s3.create_bucket(Bucket="box", ObjectOwnership=PREFERRED)
    s3.put_object(Bucket="box", Key="key", ACL="public-read")
    got = s3.get_object_acl(Bucket="box", Key="key")
    assert got["Owner"] == {"ID": ACCESS_KEY}
    assert [one["Permission"] for one in got["Grants"]] == ["FULL_CONTROL", "READ"]
    chosen = {"Owner": got["Owner"], "Grants": got["Grants"][1:]}
    s3.put_object_acl(Bucket="box", Key="key", AccessControlPolicy=chosen)
    assert s3.get_object_acl(Bucket="box", Key="key")["Grants"] == got["Grants"][1:]
    s3.put_object_acl(Bucket="box", Key="key", ACL="private")
    assert s3.get_object_acl(Bucket="box", Key="key")["Grants"] == got["Grants"][:1]


@pytest.mark.parametrize("key", KEYS)
def test_nothing_but_the_acl_changes(people, owned, key):
    put(people, key=key, x_amz_meta_a="b", x_amz_tagging="a=1")
    before, at = on_disk(owned), (owned / key).stat()
    shown = people("owner", "HEAD", f"/box/{key}").headers
    people("owner", "PUT", f"/box/{key}?acl", b"", {"x-amz-acl": "public-read"})
    now = (owned / key).stat()
    assert (now.st_mtime_ns, now.st_ino, now.st_size) == (at.st_mtime_ns, at.st_ino, at.st_size)
    assert people(None, "HEAD", f"/box/{key}").status == 200
    again = people("owner", "HEAD", f"/box/{key}").headers
    for name in ("etag", "last-modified", "x-amz-meta-a", "x-amz-tagging-count", "content-length"):
        assert again[name] == shown[name]
    os.removexattr(owned / key, ATTRIBUTE)
    assert on_disk(owned) == before


def test_tags_and_acl_do_not_know_of_each_other(people, owned):
    put(people, "bob", x_amz_acl="public-read", x_amz_tagging="a=1")
    tags = b"<Tagging><TagSet><Tag><Key>b</Key><Value>2</Value></Tag></TagSet></Tagging>"
    assert people("bob", "PUT", "/box/key?tagging", tags).status == 200
    assert acl_of(people) == ("bob", [BOBS, READ_BY_ALL])
    assert people("bob", "PUT", "/box/key?acl", b"", {"x-amz-acl": "private"}).status == 200
    assert os.getxattr(owned / "key", "user.X-Amz-Tagging") == b'{"b":"2"}'
    assert people("bob", "DELETE", "/box/key?tagging").status == 204
    assert acl_of(people) == ("bob", [BOBS])


def test_a_file_of_another_program_is_the_bucket_owners_and_can_have_an_acl(people, owned):
    (owned / "mine").write_bytes(b"hello")
    assert acl_of(people, "mine", "owner") == ("owner", [OWN])
    people("owner", "PUT", "/box/mine?acl", b"", {"x-amz-acl": "public-read"})
    assert people(None, "GET", "/box/mine").body == b"hello"


def test_the_version_null_is_the_object_and_no_other_is(people, owned):
    put(people)
    body = {"x-amz-acl": "public-read"}
    assert people("owner", "PUT", "/box/key?acl&versionId=null", b"", body).status == 200
    assert granted(people("owner", "GET", "/box/key?acl&versionId=null"))[1] == [OWN, READ_BY_ALL]
    absent = (404, "NoSuchVersion")
    assert told(people("owner", "GET", "/box/key?acl&versionId=x")) == absent
    assert told(people("owner", "PUT", "/box/key?acl&versionId=x", b"", body)) == absent


# --- what it does --------------------------------------------------------------------------------


def test_grants_count_from_the_next_request_on(people, owned):
    put(people)
    assert people("eve", "GET", "/box/key").status == 403
    people("owner", "PUT", "/box/key?acl", b"", {"x-amz-grant-read": "id=eve"})
    assert people("eve", "GET", "/box/key").body == b"hello"
    assert people("eve", "GET", "/box/key?acl").status == 403
    people("owner", "PUT", "/box/key?acl", b"", {"x-amz-grant-read-acp": "id=eve"})
    assert people("eve", "GET", "/box/key").status == 403
    assert people("eve", "GET", "/box/key?acl").status == 200
    people("owner", "PUT", "/box/key?acl", b"", {"x-amz-acl": "private"})
    assert people("eve", "GET", "/box/key?acl").status == 403


def test_an_owner_may_always_set_the_acl_and_others_when_they_are_granted_it(people, owned):
    put(people)
    people("owner", "PUT", "/box/key?acl", b"", {"x-amz-grant-write-acp": "id=bob"})
    assert people("owner", "GET", "/box/key").status == 403
    private = {"x-amz-acl": "private"}
    for who in ("eve", "maker", None):
        assert told(people(who, "PUT", "/box/key?acl", b"", private)) == (403, "AccessDenied")
    assert people("bob", "PUT", "/box/key?acl", xml((user("eve"), "READ"))).status == 200
    assert stored(owned / "key") == ("owner", [grant("READ", "eve")])
    assert people("owner", "PUT", "/box/key?acl", b"", private).status == 200
    assert acl_of(people) == ("owner", [OWN])


def test_the_owner_stays_whoever_sets_the_acl(people, owned):
    put(people, "bob", x_amz_grant_write_acp="id=eve")
    assert people("eve", "PUT", "/box/key?acl", b"", {"x-amz-acl": "private"}).status == 200
    assert acl_of(people) == ("bob", [BOBS])
    answer = people("bob", "PUT", "/box/key?acl", xml((user("eve"), "READ"), owner="eve"))
    assert told(answer) == (403, "AccessDenied")
    assert people("boss", "PUT", "/box/key?acl", b"", {"x-amz-acl": "public-read"}).status == 200
    assert acl_of(people) == ("bob", [BOBS, READ_BY_ALL])


def test_a_policy_allows_each_action_by_itself(people, root):
    people("owner", "PUT", "/box")
    put(people)
    rule = {"Principal": only("bob")}
    configure(root / "box", policy=policy(rule | {"Action": "s3:GetObjectAcl"}))
    assert acl_of(people, who="bob") == ("owner", [OWN])
    private = {"x-amz-acl": "private"}
    assert people("bob", "PUT", "/box/key?acl", b"", private).status == 403
    canned = {"StringEquals": {"s3:x-amz-acl": "private"}}
    asked = rule | {"Action": "s3:PutObjectAcl", "Condition": canned}
    configure(root / "box", policy=policy(asked), ownership=PREFERRED)
    assert people("bob", "PUT", "/box/key?acl", b"", private).status == 200
    public = {"x-amz-acl": "public-read"}
    assert people("bob", "PUT", "/box/key?acl", b"", public).status == 403
    assert people("bob", "GET", "/box/key?acl").status == 403


def test_who_may_not_know_is_not_told_that_there_is_none(people, owned):
    private = {"x-amz-acl": "private"}
    (owned / "folder").mkdir()
    for key in ("missing", "folder", "folder/", "folder/key"):
        assert told(people("eve", "GET", f"/box/{key}?acl")) == (403, "AccessDenied")
        assert told(people("eve", "PUT", f"/box/{key}?acl", b"", private)) == (403, "AccessDenied")
        assert told(people("owner", "GET", f"/box/{key}?acl")) == (404, "NoSuchKey")
        assert told(people("owner", "PUT", f"/box/{key}?acl", b"", private)) == (404, "NoSuchKey")
    assert told(people("owner", "GET", "/none/key?acl")) == (404, "NoSuchBucket")
    assert sorted(on_disk(owned)) == ["folder"]


def test_an_expected_owner_is_honoured(people, owned):
    put(people)
    for who, status in (("owner", 200), ("eve", 403)):
        headers = {"x-amz-expected-bucket-owner": who}
        assert people("owner", "GET", "/box/key?acl", b"", headers).status == status
        headers["x-amz-acl"] = "private"
        assert people("owner", "PUT", "/box/key?acl", b"", headers).status == status


# --- what is refused -----------------------------------------------------------------------------


def test_where_ownership_is_enforced_no_acl_can_be_set(people, owned):
    put(people)
    configure(owned, ownership=ENFORCED)
    for body, headers in (
        (b"", {"x-amz-acl": "public-read"}),
        (b"", {"x-amz-grant-read": "id=bob"}),
        (xml((user("bob"), "READ")), {}),
        (xml((user("owner"), "READ")), {}),
    ):
        answer = people("owner", "PUT", "/box/key?acl", body, headers)
        assert told(answer) == (400, "AccessControlListNotSupported")
    assert stored(owned / "key") is None


def test_where_ownership_is_enforced_what_was_shown_can_be_sent_back(people, owned):
    put(people)
    configure(owned, ownership=ENFORCED)
    before = on_disk(owned)
    shown = people("owner", "GET", "/box/key?acl").body
    for body, headers in ((shown, {}), (b"", {"x-amz-acl": "bucket-owner-full-control"})):
        assert told(people("owner", "PUT", "/box/key?acl", body, headers))[0] == 200
    assert on_disk(owned) == before
    assert stored(owned / "key") is None


def test_where_ownership_is_enforced_grants_that_would_come_back_are_not_passed_over(people, owned):
    put(people, "bob", x_amz_acl="public-read")
    configure(owned, ownership=ENFORCED)
    headers = {"x-amz-acl": "bucket-owner-full-control"}
    answer = people("owner", "PUT", "/box/key?acl", b"", headers)
    assert told(answer) == (400, "AccessControlListNotSupported")


def test_where_ownership_is_enforced_stored_grants_are_not_shown_and_come_back(people, owned):
    put(people, "bob", x_amz_acl="public-read")
    configure(owned, ownership=ENFORCED)
    assert acl_of(people, who="owner") == ("owner", [OWN])
    assert people(None, "GET", "/box/key").status == people("bob", "GET", "/box/key").status == 403
    configure(owned, ownership=WRITER)
    assert acl_of(people) == ("bob", [BOBS, READ_BY_ALL])
    assert people(None, "GET", "/box/key").status == 200


def test_a_folder_that_nobody_owns_grants_nobody_anything(people, root):
    (root / "folder").mkdir()
    (root / "folder" / "key").touch()
    assert granted(people("boss", "GET", "/folder/key?acl")) in (("", []), (None, []))
    answer = people("boss", "PUT", "/folder/key?acl", b"", {"x-amz-acl": "private"})
    assert told(answer) == (400, "AccessControlListNotSupported")


@pytest.mark.parametrize("by", ["bucket", "gateway"])
def test_public_grants_are_refused_where_they_are_blocked(people, owned, make_app, by, settings):
    put(people)
    if by == "bucket":
        configure(owned, block=block(BlockPublicAcls=True))
    else:
        ini = Path(settings["root"]).parent / "blocking.ini"
        ini.write_text(
            INI.read_text().replace("#block_public_acls = false", "block_public_acls = true")
        )
        people = People(loadapp(f"config:{ini}", global_conf=settings))
    public = xml((group(ALL_USERS), "READ"))
    everyone = {"x-amz-grant-read": f"uri={ALL_USERS}"}
    answers = [
        people("owner", "PUT", "/box/key?acl", b"", {"x-amz-acl": "public-read"}),
        people("owner", "PUT", "/box/key?acl", b"", everyone),
        people("owner", "PUT", "/box/key?acl", public),
        people("owner", "PUT", "/box/new", b"x", everyone),
        people("owner", "POST", "/box/new?uploads", b"", {"x-amz-acl": "public-read"}),
    ]
    assert [told(answer) for answer in answers] == [(403, "AccessDenied")] * 5
    assert people("owner", "PUT", "/box/key?acl", xml((user("bob"), "READ"))).status == 200
    assert not (owned / "new").exists()


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        (b"", {}, "MissingSecurityHeader"),
        (xml(), {"x-amz-acl": "private"}, "UnexpectedContent"),
        (xml(), {"x-amz-grant-read": "id=bob"}, "UnexpectedContent"),
        (b"", {"x-amz-acl": "public"}, "InvalidArgument"),
        (b"", {"x-amz-acl": "log-delivery-write"}, "InvalidArgument"),
        (b"", {"x-amz-acl": "private", "x-amz-grant-read": "id=bob"}, "InvalidRequest"),
        (b"", {"x-amz-grant-read": "bob"}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": 'id=""'}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": "uri=http://example.org/all"}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": "emailAddress=a@b.c"}, "UnresolvableGrantByEmailAddress"),
        (
            xml(("xsi:type='AmazonCustomerByEmail'><EmailAddress>a@b.c</EmailAddress>", "READ")),
            {},
            "UnresolvableGrantByEmailAddress",
        ),
        (b"<", {}, "MalformedACLError"),
        (b"<Acl/>", {}, "MalformedACLError"),
        (b"x" * 70_000, {}, "MalformedACLError"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + xml(), {}, "MalformedACLError"),
        (xml((user("bob"), "EVERYTHING")), {}, "MalformedACLError"),
        (xml(("xsi:type='Role'><ID>x</ID>", "READ")), {}, "MalformedACLError"),
        (xml(*[(user(f"u{n}"), "READ") for n in range(101)], owner="bob"), {}, "MalformedACLError"),
        (xml((group("http://example.org"), "READ")), {}, "InvalidArgument"),
        (xml((user(""), "READ")), {}, "InvalidArgument"),
        (xml((user("nobody"), "READ"), owner="bob"), {}, "InvalidArgument"),
        (b"", {"x-amz-grant-read": "id=nobody"}, "InvalidArgument"),
    ],
)
def test_what_is_no_acl_is_refused_by_name_and_the_old_one_stays(
    people, owned, body, headers, code
):
    put(people, "bob", x_amz_acl="public-read")
    before = on_disk(owned)
    assert told(people("bob", "PUT", "/box/key?acl", body, headers)) == (400, code)
    assert on_disk(owned) == before


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"junk", {}), (b"", {}), (b"", {"x-amz-acl": "all"}), (b"", {"x-amz-grant-read": "bob"})],
)
def test_a_stranger_is_not_told_what_is_wrong_with_his_acl(people, owned, body, headers):
    put(people)
    answer = people("eve", "PUT", "/box/key?acl", body, headers)
    assert told(answer) == (403, "AccessDenied")


def test_whom_nobody_knows_is_told_by_name_and_a_key_may_stand_for_its_account(people, owned):
    put(people)
    answer = people("owner", "PUT", "/box/key?acl", b"", {"x-amz-grant-read": "id=nobody"})
    told_of = fields(answer)
    assert told_of["Message"] == "Invalid id"
    assert (told_of["ArgumentName"], told_of["ArgumentValue"]) == ("CanonicalUser/ID", "nobody")
    headers = {"x-amz-grant-read": f"id={words.key_of('eve')}"}
    assert people("owner", "PUT", "/box/key?acl", b"", headers).status == 200
    assert people("eve", "GET", "/box/key").status == 200


def test_an_owner_who_has_no_account_any_more_may_be_named(people, owned):
    configure(owned, owner="gone", acl=[grant("WRITE", "bob")])
    put(people, "bob", x_amz_acl="bucket-owner-full-control")
    assert acl_of(people) == ("bob", [BOBS, ("CanonicalUser", "gone", "FULL_CONTROL")])
    assert (
        people("bob", "PUT", "/box/key?acl", b"", {"x-amz-acl": "bucket-owner-read"}).status == 200
    )


def test_a_request_for_no_acl_is_told_which_header_is_missing(people, owned):
    put(people)
    assert fields(people("owner", "PUT", "/box/key?acl"))["MissingHeaderName"] == "x-amz-acl"


def test_many_grants_are_stored_or_refused_and_never_halved(owned, settings, make_app):
    """How many fit beside a file is the file system's; what does not is refused by name."""
    names = [f"{number:064x}" for number in range(100)]
    words.write(Path(settings["credentials"]), names)
    people = People(make_app())
    put(people)
    for count in (20, 100):
        grants = [(user(name), "READ") for name in names[:count]]
        answer = people("owner", "PUT", "/box/key?acl", xml(*grants))
        if answer.status == 200:
            assert len(acl_of(people)[1]) == count
        else:
            assert told(answer) == (400, "MetadataTooLarge")
            assert len(acl_of(people)[1]) == 20


# --- with a new object ---------------------------------------------------------------------------


def make_by_put(people, key, headers):
    return people("bob", "PUT", f"/box/{key}", b"hello", headers)


def make_by_stream(people, key, headers):
    return people("bob", "PUT", f"/box/{key}", b"x" * 300_000, headers)


def make_directory(people, key, headers):
    return people("bob", "PUT", f"/box/{key}/", b"", headers, length=0)


def make_by_copy(people, key, headers):
    source = {"x-amz-copy-source": "/box/from"}
    put(people, "bob", "from", x_amz_acl="authenticated-read")
    return people("bob", "PUT", f"/box/{key}", b"", headers | source)


def make_in_parts(people, key, headers):
    begun = people("bob", "POST", f"/box/{key}?uploads", b"", headers)
    if begun.status != 200:
        return begun
    target = f"/box/{key}?uploadId={document(begun).findtext('UploadId')}"
    etag = people("bob", "PUT", f"{target}&partNumber=1", b"hello").headers["etag"]
    body = (
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
        f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    )
    return people("boss", "POST", target, body.encode())


MAKERS = {
    "put": make_by_put,
    "stream": make_by_stream,
    "directory": make_directory,
    "copy": make_by_copy,
    "parts": make_in_parts,
}


@pytest.fixture(params=MAKERS)
def make(request):
    """Ways to make an object ``key``, as bob."""
    return MAKERS[request.param]


def key_made(make):
    return "key/" if make is make_directory else "key"


@pytest.mark.parametrize("canned", CANNED)
def test_an_object_is_made_with_an_acl(people, owned, make, canned):
    assert told(make(people, "key", {"x-amz-acl": canned})) == (200, "")
    whole = [grant("FULL_CONTROL", "bob"), *CANNED[canned]]
    assert stored(owned / "key") == ("bob", whole)
    public = people(None, "GET", f"/box/{key_made(make)}").status
    assert public == (200 if canned.startswith("public") else 403)


def test_an_object_is_made_with_grants(people, owned, make):
    headers = {"x-amz-grant-read": "id=eve", "x-amz-grant-write-acp": f'uri="{ALL_USERS}"'}
    assert told(make(people, "key", headers)) == (200, "")
    assert acl_of(people, key_made(make)) == (
        "bob",
        [("CanonicalUser", "eve", "READ"), ("Group", ALL_USERS, "WRITE_ACP")],
    )
    assert people("eve", "GET", f"/box/{key_made(make)}").status == 200


def test_an_object_is_made_without_the_acl_of_what_it_replaces_or_copies(people, owned, make):
    key = key_made(make)
    put(people, "owner", key, x_amz_acl="public-read")
    assert told(make(people, "key", {})) == (200, "")
    assert acl_of(people, key) == ("bob", [BOBS])


def test_with_the_bucket_owner_preferred_it_is_his_when_it_says_so(people, owned, make):
    configure(owned, ownership=PREFERRED)
    key = key_made(make)
    assert told(make(people, "key", {"x-amz-acl": "bucket-owner-full-control"})) == (200, "")
    assert acl_of(people, key) == ("owner", [OWN])
    assert people("bob", "GET", f"/box/{key}").status == 403
    assert told(make(people, "key", {})) == (200, "")
    assert acl_of(people, key) == ("bob", [BOBS])


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"x-amz-acl": "all"}, "InvalidArgument"),
        ({"x-amz-acl": "private", "x-amz-grant-read": "id=eve"}, "InvalidRequest"),
        ({"x-amz-grant-read": "emailAddress=a@b.c"}, "UnresolvableGrantByEmailAddress"),
        ({"x-amz-grant-read": "eve"}, "InvalidArgument"),
        ({"x-amz-grant-read": "id=eve, id=nobody"}, "InvalidArgument"),
    ],
)
def test_an_object_is_not_made_with_what_is_no_acl(people, owned, make, headers, code):
    assert told(make(people, "key", headers)) == (400, code)
    assert not (owned / "key").exists()


ENFORCED_OUTCOMES = {
    "bucket-owner-full-control": (200, ""),
    "private": (200, ""),
    "public-read": (400, "AccessControlListNotSupported"),
}


@pytest.mark.parametrize("canned", ENFORCED_OUTCOMES)
def test_where_ownership_is_enforced_only_what_is_so_anyway_may_be_asked(
    people, owned, make, canned
):
    rule = {"Principal": only("bob"), "Action": ["s3:PutObject*", "s3:GetObject"]}
    configure(owned, ownership=ENFORCED, policy=policy(rule))
    if make is make_by_copy:
        people("owner", "PUT", "/box/from", b"hello")
        answer = people(
            "bob", "PUT", "/box/key", b"", {"x-amz-copy-source": "/box/from", "x-amz-acl": canned}
        )
    else:
        answer = make(people, "key", {"x-amz-acl": canned})
    assert told(answer) == ENFORCED_OUTCOMES[canned]
    assert (owned / "key").exists() is (answer.status == 200)
    if answer.status == 200:
        assert stored(owned / "key") is None
        assert acl_of(people, key_made(make)) == ("owner", [OWN])


@pytest.mark.parametrize("acl", [None, "public-read", "all"])
def test_a_form_brings_an_acl(people, owned, acl):
    configure(owned, owner="owner", acl=[grant("WRITE", EVERYONE), grant("READ_ACP", EVERYONE)])
    configure(owned, policy=policy({"Action": "s3:PutObject*"}))
    pairs = {"key": "posted"} | ({} if acl is None else {"acl": acl})
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in pairs.items()
    ]
    lines.append(
        '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nhello\r\n--b--\r\n'
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = people(None, "POST", "/box", "".join(lines).encode(), headers)
    if acl == "all":
        assert told(answer) == (400, "InvalidArgument")
        assert not (owned / "posted").exists()
        return
    assert told(answer) == (204, "")
    owner, grants = stored(owned / "posted")
    assert owner == grants[0]["Access"] == "65a011a29cdf8ec533ec3d1ccaae921c"
    assert grants[1:] == ([] if acl is None else [grant("READ", EVERYONE)])
    assert people(None, "GET", "/box/posted").status == (403 if acl is None else 200)


def test_an_acl_belongs_to_an_object_and_not_to_its_key(people, owned):
    put(people, "bob", x_amz_acl="public-read")
    put(people, "owner")
    assert acl_of(people) == ("owner", [OWN])
    assert people(None, "GET", "/box/key").status == 403


def test_an_acl_that_races_an_overwrite_never_gives_the_new_object_to_others(people, owned):
    """Only what is bob's is ever public: he publishes what he finds at the key."""
    changes, writes, looks = [], [], []
    public = {"x-amz-acl": "public-read"}

    def publish(who):
        changes.extend(people(who, "PUT", "/box/key?acl", b"", public) for _ in range(30))

    def write(who):
        writes.extend(people(who, "PUT", "/box/key", who.encode()) for _ in range(30))

    def look(who):
        looks.extend(people(who, "GET", "/box/key") for _ in range(60))

    write("bob")
    runs = [(publish, "bob"), (publish, "bob"), (write, "owner"), (write, "bob"), (look, None)]
    threads = [threading.Thread(target=run, args=[who]) for run, who in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status for answer in changes} <= {200, 403}
    assert {answer.status for answer in writes} == {200}
    assert {answer.body for answer in looks if answer.status == 200} <= {b"bob"}
    owner, found = acl_of(people)
    assert people("boss", "GET", "/box/key").body.decode() == owner
    assert READ_BY_ALL not in found or owner == "bob"


# --- without the filter --------------------------------------------------------------------------


@pytest.fixture
def unguarded(settings):
    """The pipeline without ``acl``."""
    ini = Path(settings["root"]).parent / "unguarded.ini"
    sections = INI.read_text().partition("[pipeline:main]")
    rest = sections[2].partition("[filter:catch_errors]")
    ini.write_text(sections[0] + WITHOUT + rest[1] + rest[2])
    return People(loadapp(f"config:{ini}", global_conf=settings))


REQUESTS = {
    "put": ("PUT", "/box/new", b"hello"),
    "begin": ("POST", "/box/new?uploads", b""),
    "set": ("PUT", "/box/key?acl", b""),
}


@pytest.mark.parametrize("header", ["x-amz-acl", "x-amz-grant-read", "x-amz-grant-full-control"])
@pytest.mark.parametrize("request_", REQUESTS)
def test_without_acl_grants_are_refused_by_name(unguarded, root, request_, header):
    unguarded("plain", "PUT", "/box")
    unguarded("plain", "PUT", "/box/key", b"hello")
    value = "public-read" if header == "x-amz-acl" else "id=eve"
    method, target, body = REQUESTS[request_]
    answer = unguarded("plain", method, target, body, {header: value})
    assert told(answer) == (501, "NotImplemented")
    assert header in fields(answer)["Message"]
    assert sorted(on_disk(root / "box")) == ["key"]
    assert stored(root / "box" / "key") is None


def test_without_acl_a_document_is_refused_too(unguarded, root):
    unguarded("plain", "PUT", "/box")
    unguarded("plain", "PUT", "/box/key", b"hello")
    answer = unguarded("plain", "PUT", "/box/key?acl", xml((group(ALL_USERS), "READ")))
    assert told(answer) == (501, "NotImplemented")
    assert stored(root / "box" / "key") is None
    assert unguarded("plain", "GET", "/box/key?acl").status == 200
    assert unguarded("plain", "PUT", "/box/key", b"1", {"x-amz-acl": "private"}).status == 200


# --- a tree of Versity's gateway -----------------------------------------------------------------


@pytest.mark.parametrize("bucket", ["plain", "versioned", "locked"])
def test_objects_in_a_tree_of_versitys_gateway_are_their_bucket_owners(tmp_path, bucket):
    """It keeps no ACLs of objects."""
    root = versity.unpack(tmp_path)
    credentials = tmp_path / "credentials.jsonl"
    credentials.touch(0o600)
    key = {"access_key": versity.ACCESS_KEY, "secret_key": versity.SECRET_KEY}
    credentials.write_text(json.dumps(key | {"created_at": 0, "enabled": True}))
    conf = {"root": str(root), "credentials": str(credentials), "durability": "none"}
    s3 = wire.client(loadapp(f"config:{INI}", global_conf=conf), *key.values())
    own = {
        "Grantee": {"ID": versity.ACCESS_KEY, "Type": "CanonicalUser"},
        "Permission": "FULL_CONTROL",
    }
    for found in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        got = s3.get_object_acl(Bucket=bucket, Key=found["Key"])
        assert (got["Owner"], got["Grants"]) == ({"ID": versity.ACCESS_KEY}, [own])


def test_boto3_publishes_an_object(people, s3, root):
    s3.create_bucket(Bucket="box", ObjectOwnership=WRITER)
    s3.put_object(Bucket="box", Key="key", Body=b"hello")
    assert people(None, "GET", "/box/key").status == 403
    s3.put_object_acl(Bucket="box", Key="key", GrantRead=f"uri={ALL_USERS}", GrantReadACP="id=bob")
    assert people(None, "GET", "/box/key").body == b"hello"
    assert refusal(s3.put_object_acl, Bucket="box", Key="none", ACL="private") == (404, "NoSuchKey")
