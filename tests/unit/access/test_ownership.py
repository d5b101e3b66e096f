import pytest

from s3filters.access import grants, ownership
from s3filters.access.ownership import ENFORCED, PREFERRED, WRITER
from s3filters.access.principals import ANONYMOUS, Requester
from s3filters.s3.errors import S3Error

BOB = Requester("bob")


def document(inside):
    return f"<OwnershipControls>{inside}</OwnershipControls>".encode()


@pytest.mark.parametrize("setting", ownership.SETTINGS)
def test_a_setting_is_read_as_it_is_answered(setting):
    assert ownership.parse(ownership.render(setting)) == setting
    assert ownership.load(setting.encode()) == setting
    assert ownership.of_header({ownership.HEADER: setting}) == setting


@pytest.mark.parametrize(
    "inside",
    [
        "",
        "<Rule/>",
        "<Rule><ObjectOwnership/></Rule>",
        "<Rule><ObjectOwnership>Mine</ObjectOwnership></Rule>",
        "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership><X/></Rule>",
        "<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>" * 2,
        "<X/>",
    ],
)
def test_a_document_without_one_setting_is_refused(inside):
    with pytest.raises(S3Error, match="MalformedXML"):
        ownership.parse(document(inside))


def test_new_buckets_are_without_acls_unless_they_say_so():
    assert ownership.of_header({}) == ENFORCED
    with pytest.raises(S3Error, match="InvalidArgument"):
        ownership.of_header({ownership.HEADER: "Mine"})


def test_an_attribute_that_is_nonsense_is_the_strictest():
    assert ownership.load(b"") == ""
    assert ownership.load(b"\xff") == ENFORCED


@pytest.mark.parametrize(
    ("acl", "counts"),
    [
        (None, True),
        (grants.canned("bucket-owner-full-control", "bob", "owner"), True),
        (grants.canned("private", "owner", "owner"), True),
        (grants.canned("private", "bob", "owner"), False),
        (grants.canned("bucket-owner-read", "bob", "owner"), False),
        (grants.canned("public-read", "owner", "owner"), False),
        (grants.of_headers({"HTTP_X_AMZ_GRANT_FULL_CONTROL": "id=owner"}, "bob", "owner"), True),
        (grants.of_headers({"HTTP_X_AMZ_GRANT_READ": "id=owner"}, "bob", "owner"), False),
        (
            grants.of_headers({"HTTP_X_AMZ_GRANT_FULL_CONTROL": "id=owner,id=eve"}, "bob", "owner"),
            False,
        ),
    ],
)
def test_without_acls_only_the_owners_full_control_may_be_asked_for(acl, counts):
    ownership.check_acl(WRITER, acl, "owner")
    ownership.check_acl(PREFERRED, acl, "owner")
    if counts:
        ownership.check_acl(ENFORCED, acl, "owner")
    else:
        with pytest.raises(S3Error, match="AccessControlListNotSupported"):
            ownership.check_acl(ENFORCED, acl, "owner")


def test_acls_are_not_switched_off_while_the_bucket_grants_to_others():
    public = grants.canned("public-read", "owner")
    ownership.check_setting(WRITER, public, "owner")
    ownership.check_setting(ENFORCED, grants.private("owner"), "owner")
    ownership.check_setting(ENFORCED, None, "owner")
    with pytest.raises(S3Error, match="InvalidBucketAclWithObjectOwnership"):
        ownership.check_setting(ENFORCED, public, "owner")


@pytest.mark.parametrize(
    ("setting", "canned", "owner"),
    [
        (ENFORCED, None, "landlord"),
        (PREFERRED, None, "bob"),
        (PREFERRED, "private", "bob"),
        (PREFERRED, "bucket-owner-full-control", "landlord"),
        (WRITER, "bucket-owner-full-control", "bob"),
        ("", None, "bob"),
    ],
)
def test_a_new_object_has_its_owner(setting, canned, owner):
    assert ownership.owner_of_new(setting, "landlord", BOB, canned) == owner
    anonymous = ownership.owner_of_new(setting, "landlord", None, canned)
    assert anonymous == (owner if owner == "landlord" else ANONYMOUS)


def test_without_acls_the_answer_is_the_owners_full_control():
    public = grants.canned("public-read", "bob")
    assert ownership.shown(ENFORCED, public, "landlord", "bob") == grants.private("landlord")
    assert ownership.shown(WRITER, public, "landlord", "bob") == public
    assert ownership.shown(WRITER, None, "landlord", "bob") == grants.private("bob")
