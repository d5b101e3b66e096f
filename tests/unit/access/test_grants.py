import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.access import grants
from s3filters.access.grants import Acl, Grant
from s3filters.access.principals import Requester
from s3filters.s3.errors import S3Error

BOB = Requester("bob-id", ("AKB",))
XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'


def user(permission, id_="owner"):
    return Grant("CanonicalUser", id_, permission)


def group(permission, uri=grants.EVERYONE):
    return Grant("Group", uri, permission)


def refused(function, *args):
    with pytest.raises(S3Error) as caught:
        function(*args)
    return caught.value


# --- what grants allow ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("grant", "permission", "bob", "anonymous", "behind_a_block"),
    [
        (user("READ", "bob-id"), "READ", True, False, True),
        (user("READ", "AKB"), "READ", True, False, True),
        (user("READ", "bob-id"), "WRITE", False, False, False),
        (user("FULL_CONTROL", "bob-id"), "WRITE_ACP", True, False, True),
        (user("READ", "eve"), "READ", False, False, False),
        (group("READ"), "READ", True, True, False),
        (group("READ"), "READ_ACP", False, False, False),
        (group("READ", grants.SIGNED), "READ", True, False, False),
        (group("WRITE", grants.LOG_DELIVERY), "WRITE", False, False, False),
    ],
)
def test_a_grant_is_for_its_grantee(grant, permission, bob, anonymous, behind_a_block):
    acl = Acl("owner", (user("FULL_CONTROL"), grant))
    assert acl.allows(permission, BOB) is bob
    assert acl.allows(permission, None) is anonymous
    assert acl.allows(permission, BOB, ignore_public=True) is behind_a_block
    assert not acl.allows(permission, None, ignore_public=True)


def test_an_acl_is_public_when_it_grants_anything_to_everyone():
    assert Acl("o", (group("READ_ACP"),)).public
    assert Acl("o", (group("READ", grants.SIGNED),)).public
    assert not Acl("o", (group("WRITE", grants.LOG_DELIVERY), user("READ", grants.EVERYONE))).public


# --- canned ACLs and headers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("private", []),
        ("public-read", [group("READ")]),
        ("public-read-write", [group("READ"), group("WRITE")]),
        ("authenticated-read", [group("READ", grants.SIGNED)]),
        ("bucket-owner-read", [user("READ", "landlord")]),
        ("bucket-owner-full-control", [user("FULL_CONTROL", "landlord")]),
    ],
)
def test_a_canned_acl_of_an_object_adds_to_its_owners_full_control(name, more):
    found = grants.canned(name, "owner", "landlord")
    assert found == Acl("owner", (user("FULL_CONTROL"), *more))


def test_canned_acls_for_the_buckets_owner_say_nothing_new_to_him():
    for name in ("bucket-owner-read", "bucket-owner-full-control"):
        assert grants.canned(name, "owner", "owner") == grants.private("owner")
        assert grants.canned(name, "owner") == grants.private("owner")


def test_logs_are_delivered_to_buckets():
    found = grants.canned("log-delivery-write", "owner").grants[1:]
    assert found == (group("WRITE", grants.LOG_DELIVERY), group("READ_ACP", grants.LOG_DELIVERY))
    assert refused(grants.canned, "log-delivery-write", "o", "b").code == "InvalidArgument"


def test_other_canned_acls_are_refused():
    assert refused(grants.canned, "aws-exec-read", "o").code == "NotImplemented"
    assert refused(grants.canned, "public", "o").code == "InvalidArgument"


def test_headers_grant_what_they_say_and_nothing_to_the_owner():
    found = grants.of_headers(
        {
            "HTTP_X_AMZ_GRANT_READ": f'id="bob-id", uri="{grants.EVERYONE}"',
            "HTTP_X_AMZ_GRANT_FULL_CONTROL": "ID=eve",
            "HTTP_X_AMZ_GRANT_WRITE_ACP": 'id = "bob-id" , id=bob-id',
        },
        "owner",
    )
    assert set(found.grants) == {
        user("READ", "bob-id"),
        group("READ"),
        user("FULL_CONTROL", "eve"),
        user("WRITE_ACP", "bob-id"),
    }
    assert len(found.grants) == 4


def test_headers_without_acl_give_none():
    assert grants.of_headers({"HTTP_X_AMZ_DATE": "x"}, "owner") is None
    assert grants.of_headers({"HTTP_X_AMZ_ACL": "", "HTTP_X_AMZ_GRANT_READ": ""}, "owner") is None


@pytest.mark.parametrize(
    ("environ", "code"),
    [
        ({"HTTP_X_AMZ_ACL": "private", "HTTP_X_AMZ_GRANT_READ": "id=x"}, "InvalidRequest"),
        ({"HTTP_X_AMZ_ACL": "nothing"}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": "bob"}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": 'id="x'}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": "id=x id=y"}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": 'id=""'}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": "name=x"}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": "uri=http://x/"}, "InvalidArgument"),
        ({"HTTP_X_AMZ_GRANT_READ": "emailAddress=a@b.c"}, "UnresolvableGrantByEmailAddress"),
        (
            {"HTTP_X_AMZ_GRANT_READ": ",".join(f"id=u{n}" for n in range(101))},
            "InvalidArgument",
        ),
    ],
)
def test_headers_that_grant_nothing_that_there_is_are_refused(environ, code):
    assert refused(grants.of_headers, environ, "owner").code == code


@given(st.text(max_size=30))
def test_any_header_is_understood_or_refused(text):
    try:
        found = grants.of_headers({"HTTP_X_AMZ_GRANT_READ": text}, "owner")
    except S3Error as error:
        assert error.code in ("InvalidArgument", "UnresolvableGrantByEmailAddress")
    else:
        assert found is None or found.owner == "owner"


# --- XML -----------------------------------------------------------------------------------------


def document(*entries, owner="<Owner><ID>owner</ID></Owner>"):
    body = f"{owner}<AccessControlList>{''.join(entries)}</AccessControlList>"
    return f"<AccessControlPolicy>{body}</AccessControlPolicy>".encode()


def entry(inside="<ID>bob-id</ID>", kind="CanonicalUser", permission="READ"):
    grantee = f'<Grantee {XSI} xsi:type="{kind}">{inside}</Grantee>'
    return f"<Grant>{grantee}<Permission>{permission}</Permission></Grant>"


def test_a_document_is_answered_as_aws_does():
    acl = Acl("owner", (user("FULL_CONTROL"), group("READ")))
    text = grants.render(acl, {"owner": "Me & you"}.get).decode()
    assert text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<Owner><ID>owner</ID><DisplayName>Me &amp; you</DisplayName></Owner><AccessControlList>"
        f'<Grant><Grantee {XSI} xsi:type="CanonicalUser"><ID>owner</ID>'
        "<DisplayName>Me &amp; you</DisplayName></Grantee>"
        "<Permission>FULL_CONTROL</Permission></Grant>"
        f'<Grant><Grantee {XSI} xsi:type="Group">'
        "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>"
        "<Permission>READ</Permission></Grant>"
        "</AccessControlList></AccessControlPolicy>"
    )


ACLS = st.builds(
    Acl,
    st.text("abc-019", min_size=1, max_size=5),
    st.lists(
        st.builds(
            user, st.sampled_from(grants.PERMISSIONS), st.text("ab/&<é", min_size=1, max_size=5)
        )
        | st.builds(
            group, st.sampled_from(grants.PERMISSIONS), st.sampled_from(sorted(grants._STORED))
        ),
        unique=True,
        max_size=5,
    ).map(tuple),
)


@given(ACLS)
def test_what_is_answered_can_be_put_and_what_is_stored_can_be_read(acl):
    assert grants.parse(grants.render(acl), acl.owner) == acl
    assert grants.decode(grants.encode(acl)) == acl


def test_a_document_without_grants_takes_all_away():
    assert grants.parse(document(), "owner") == Acl("owner")
    assert grants.parse(document(entry(), entry()), "owner").grants == (user("READ", "bob-id"),)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "MalformedACLError"),
        (b"<AccessControlPolicy/>", "MalformedACLError"),
        (b"<AccessControlPolicy>" * 5000, "MalformedACLError"),
        (b"<!DOCTYPE x []><AccessControlPolicy/>", "MalformedACLError"),
        (b"<Other/>", "MalformedACLError"),
        (document(owner=""), "MalformedACLError"),
        (document().replace(b"AccessControlList", b"List"), "MalformedACLError"),
        (document().replace(b"<AccessControlList></AccessControlList>", b""), "MalformedACLError"),
        (document(owner="<Owner/>"), "MalformedACLError"),
        (document(owner="<Owner><ID/></Owner>"), "MalformedACLError"),
        (document(owner="<Owner><ID>owner</ID></Owner>" * 2), "MalformedACLError"),
        (document(owner="<Owner><ID>eve</ID></Owner>"), "AccessDenied"),
        (document("<Grant/>"), "MalformedACLError"),
        (document("<Grunt/>"), "MalformedACLError"),
        (document(entry(permission="ALL")), "MalformedACLError"),
        (document(entry(kind="Robot")), "MalformedACLError"),
        (document(entry(inside="")), "MalformedACLError"),
        (document(entry(inside="<ID/>")), "InvalidArgument"),
        (document(entry(inside="<ID>a</ID><ID>b</ID>")), "MalformedACLError"),
        (document(entry(inside="<URI>a</URI>")), "MalformedACLError"),
        (document(entry(kind="Group", inside="<URI>http://x/</URI>")), "InvalidArgument"),
        (
            document(entry("<EmailAddress>a@b</EmailAddress>", "AmazonCustomerByEmail")),
            "UnresolvableGrantByEmailAddress",
        ),
        (document(*(entry(f"<ID>u{n}</ID>") for n in range(101))), "MalformedACLError"),
        (b"<AccessControlPolicy>\xff</AccessControlPolicy>", "MalformedACLError"),
    ],
)
def test_a_document_that_is_not_understood_whole_is_refused(data, code):
    assert refused(grants.parse, data, "owner").code == code


def test_a_grantee_has_a_type():
    data = document(entry()).replace(b'xsi:type="CanonicalUser"', b"")
    assert refused(grants.parse, data, "owner").code == "MalformedACLError"


# --- the attribute -------------------------------------------------------------------------------


def test_the_attribute_is_what_versitys_gateway_writes():
    stored = (
        b'{"Owner":"rootkey","Grantees":[{"Permission":"FULL_CONTROL","Access":"rootkey",'
        b'"Type":"CanonicalUser"},{"Permission":"READ","Access":"all-users","Type":"Group"}]}'
    )
    acl = Acl("rootkey", (user("FULL_CONTROL", "rootkey"), group("READ")))
    assert grants.decode(stored) == acl
    assert grants.encode(acl) == stored


def test_a_group_that_versity_does_not_know_is_nobody_to_it():
    (one,) = json.loads(grants.encode(Acl("o", (group("READ", grants.SIGNED),))))["Grantees"]
    assert one == {"Permission": "READ", "Access": "authenticated-users", "Type": "Group"}


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", Acl("")),
        (b"nonsense", Acl("")),
        (b"[" * 9000, Acl("")),
        (b"[]", Acl("")),
        (b"{}", Acl("")),
        (b'{"Owner":5}', Acl("")),
        (b'{"Owner":"o","Grantees":5}', Acl("")),
        (b'{"Owner":"o","Grantees":null}', Acl("o")),
        (
            b'{"owner":"o","GRANTEES":[{"access":"b","permission":"READ"}]}',
            Acl("o", (user("READ", "b"),)),
        ),
        (b'{"Owner":"o","Grantees":[5,{},{"Access":"b","Permission":"ALL"}]}', Acl("o")),
        (b'{"Owner":"o","Grantees":[{"Access":"b","Permission":["READ"]}]}', Acl("o")),
        (
            b'{"Owner":"o","Grantees":[{"Access":"b","Permission":"READ","Type":"Group"}]}',
            Acl("o"),
        ),
        (
            b'{"Owner":"o","Grantees":[{"Access":"b","Permission":"READ","Type":["x"]}]}',
            Acl("o"),
        ),
    ],
)
def test_what_is_not_understood_of_an_attribute_grants_nothing(data, wanted):
    assert grants.decode(data) == wanted


# --- who is known --------------------------------------------------------------------------------


def test_a_grant_is_for_somebody_who_is_known():
    acl = Acl("owner", (user("READ", "bob"), user("READ", "owner"), group("READ")))
    grants.check_grantees(acl, {"bob"}.__contains__)
    grants.check_grantees(acl, None)
    grants.check_grantees(None, {"bob"}.__contains__)
    grants.check_grantees(acl, set().__contains__, "bob")
    error = refused(grants.check_grantees, acl, {"alice"}.__contains__)
    assert (error.code, error.message) == ("InvalidArgument", "Invalid id")
    assert error.detail == {"ArgumentName": "CanonicalUser/ID", "ArgumentValue": "bob"}
