import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.access import actions, policy
from s3filters.access.context import Context, TagsNotRead
from s3filters.access.policy import Verdict
from s3filters.access.principals import Requester, names_of
from s3filters.s3.call import Identity
from s3filters.s3.errors import S3Error

BOB = Requester("bob", name="bob")
ALL = "arn:aws:s3:::pail/*"


def statement(**elements):
    found = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": ALL}
    found |= elements
    return {name: value for name, value in found.items() if value is not None}


def document(*statements, **elements):
    return {"Version": "2012-10-17", "Statement": list(statements)} | elements


def parse(*statements, **elements):
    return policy.parse(json.dumps(document(*statements, **elements)).encode(), "pail")


def refused(data):
    with pytest.raises(S3Error) as caught:
        policy.parse(data if isinstance(data, bytes) else json.dumps(data).encode(), "pail")
    assert caught.value.code == "MalformedPolicy"
    return caught.value.message


def verdict(found, action="s3:GetObject", resource="pail/key", who=BOB, environ=None, **fields):
    return found.verdict(action, resource, names_of(who), Context(environ or {}, who, **fields))


def test_what_no_statement_speaks_of_is_left_open():
    found = parse(statement())
    assert verdict(found) is Verdict.ALLOW
    assert verdict(found, "s3:PutObject") is Verdict.SILENT
    assert verdict(found, "s3:ListBucket", "pail") is Verdict.SILENT


def test_a_deny_wins_wherever_it_stands():
    deny = statement(Effect="Deny", Resource="arn:aws:s3:::pail/secret*")
    for both in ((statement(), deny), (deny, statement())):
        assert verdict(parse(*both)) is Verdict.ALLOW
        assert verdict(parse(*both), resource="pail/secrets") is Verdict.DENY


@pytest.mark.parametrize(
    ("elements", "action", "resource", "applies"),
    [
        ({"Action": "s3:*"}, "s3:PutObject", "pail/a", True),
        ({"Action": "*"}, "s3:PutObject", "pail/a", True),
        ({"Action": "s3:getOBJECT"}, "s3:GetObject", "pail/a", True),
        ({"Action": "s3:Get?bject"}, "s3:GetObject", "pail/a", True),
        ({"Action": "s3:Get*"}, "s3:GetObjectAcl", "pail/a", True),
        ({"Action": "s3:Get*"}, "s3:PutObject", "pail/a", False),
        ({"Action": ["s3:PutObject", "s3:GetObject"]}, "s3:PutObject", "pail/a", True),
        ({"Action": None, "NotAction": "s3:Put*"}, "s3:GetObject", "pail/a", True),
        ({"Action": None, "NotAction": "s3:Put*"}, "s3:PutObject", "pail/a", False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::pail"}, "s3:ListBucket", "pail", True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::pail"}, "s3:GetObject", "pail/a", False),
        ({"Action": "s3:*"}, "s3:ListBucket", "pail", False),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::pail*"}, "s3:ListBucket", "pail", True),
        ({"Action": "s3:*", "Resource": "arn:aws:s3:::pail*"}, "s3:GetObject", "pail/a", True),
        ({"Resource": "arn:aws:s3:::pail/a/*"}, "s3:GetObject", "pail/a/b/c", True),
        ({"Resource": "arn:aws:s3:::pail/a/*"}, "s3:GetObject", "pail/b", False),
        ({"Resource": "arn:aws:s3:::pail/a?"}, "s3:GetObject", "pail/a", False),
        ({"Resource": ["arn:aws:s3:::pail/x", ALL]}, "s3:GetObject", "pail/y", True),
        ({"Resource": "arn:aws:s3:::pail/A"}, "s3:GetObject", "pail/a", False),
        ({"Resource": "arn:aws:s3:::pail/${aws:username}/*"}, "s3:GetObject", "pail/bob/x", True),
        ({"Resource": "arn:aws:s3:::pail/${aws:username}/*"}, "s3:GetObject", "pail/al/x", False),
        ({"Resource": None, "NotResource": "arn:aws:s3:::pail/a*"}, "s3:GetObject", "pail/b", True),
        (
            {"Resource": None, "NotResource": "arn:aws:s3:::pail/a*"},
            "s3:GetObject",
            "pail/a",
            False,
        ),
        ({"Principal": {"AWS": "bob"}}, "s3:GetObject", "pail/a", True),
        ({"Principal": {"AWS": ["al", "eve"]}}, "s3:GetObject", "pail/a", False),
        ({"Condition": {"Bool": {"aws:SecureTransport": "true"}}}, "s3:GetObject", "pail/a", False),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}}}, "s3:GetObject", "pail/a", True),
    ],
)
def test_a_statement_speaks_of_its_actions_and_resources(elements, action, resource, applies):
    found = parse(statement(**elements))
    assert verdict(found, action, resource) is (Verdict.ALLOW if applies else Verdict.SILENT)


def test_not_principal_denies_all_others():
    found = parse(statement(Effect="Deny", Principal=None, NotPrincipal={"AWS": "bob"}))
    assert verdict(found) is Verdict.SILENT
    assert verdict(found, who=Requester("eve")) is Verdict.DENY
    assert verdict(found, who=None) is Verdict.DENY


def test_whoever_has_not_signed_is_meant_by_the_star_alone():
    assert verdict(parse(statement()), who=None) is Verdict.ALLOW
    assert verdict(parse(statement(Principal={"AWS": "*"})), who=None) is Verdict.ALLOW
    assert verdict(parse(statement(Principal={"AWS": "bob"})), who=None) is Verdict.SILENT


def test_variables_are_text_in_the_old_language():
    old = parse(statement(Resource="arn:aws:s3:::pail/${aws:username}"), Version="2008-10-17")
    assert verdict(old, resource="pail/bob") is Verdict.SILENT
    assert verdict(old, resource="pail/${aws:username}") is Verdict.ALLOW
    older = {"Statement": statement(Resource="arn:aws:s3:::pail/${x}")}
    assert policy.parse(json.dumps(older).encode(), "pail").statements


def test_a_single_statement_needs_no_list():
    assert verdict(parse(Statement=statement(), Id="x")) is Verdict.ALLOW


ANY_ACTION = {"Action": "s3:*", "Resource": ["arn:aws:s3:::pail", ALL]}


@pytest.mark.parametrize(
    ("condition", "on_put", "on_get"),
    [
        ({"StringEquals": {"s3:x-amz-acl": "private"}}, True, False),
        ({"StringNotEquals": {"s3:x-amz-acl": "private"}}, False, True),
        ({"StringEqualsIfExists": {"s3:x-amz-acl": "private"}}, True, True),
        ({"Null": {"s3:x-amz-acl": "true"}}, False, True),
        ({"Null": {"s3:x-amz-acl": "false"}}, True, False),
    ],
)
def test_a_header_counts_only_for_actions_that_have_its_key(condition, on_put, on_get):
    found = parse(statement(**ANY_ACTION, Condition=condition))
    environ = {"HTTP_X_AMZ_ACL": "private"}  # which a client may send with anything
    for action, applies in (("s3:PutObject", on_put), ("s3:GetObject", on_get)):
        wanted = Verdict.ALLOW if applies else Verdict.SILENT
        assert verdict(found, action, environ=environ) is wanted


def test_the_query_is_a_variable_where_lists_are_made():
    listing = {"Action": "s3:ListBucket", "Resource": "arn:aws:s3:::pail"}
    condition = {"StringEquals": {"aws:username": "${s3:prefix}"}}
    found = parse(statement(**listing, Condition=condition))
    for prefix, wanted in (("bob", Verdict.ALLOW), ("al", Verdict.SILENT)):
        environ = {"QUERY_STRING": f"prefix={prefix}"}
        assert verdict(found, "s3:ListBucket", "pail", environ=environ) is wanted


def test_tags_that_nobody_has_read_are_asked_for_and_never_missed():
    deny = statement(
        Effect="Deny", Condition={"StringEquals": {"s3:ExistingObjectTag/class": "secret"}}
    )
    found = parse(statement(), deny)
    assert found.asks_object_tags("s3:GetObject")
    assert not found.asks_object_tags("s3:PutObject")
    with pytest.raises(TagsNotRead):
        verdict(found)
    assert verdict(found, object_tags={"class": "secret"}) is Verdict.DENY
    assert verdict(found, object_tags={}) is Verdict.ALLOW


def test_what_is_kept_of_who_asked_is_bounded_and_changes_no_verdict(monkeypatch):
    monkeypatch.setattr(policy, "_MOST_KNOWN", 3)
    found = parse(
        statement(Principal={"AWS": ["u3"]}),
        statement(Effect="Deny", Principal={"AWS": "u8"}),
    )
    for _ in range(2):
        for number in range(9):
            allowed = {3: Verdict.ALLOW, 8: Verdict.DENY}
            expected = allowed.get(number, Verdict.SILENT)
            assert verdict(found, who=Requester(f"u{number}")) is expected
            assert len(found._known) <= 3


HOME, AWAY = {"REMOTE_ADDR": "10.0.0.1"}, {"REMOTE_ADDR": "192.0.2.1"}
NEAR = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}


def test_a_connection_is_judged_by_itself_however_often_others_were_before():
    deny = statement(Effect="Deny", Condition={"Bool": {"aws:SecureTransport": "false"}})
    found = parse(statement(Condition=NEAR), deny)
    for _ in range(2):
        for place, scheme, wanted in (
            (HOME, "https", Verdict.ALLOW),
            (HOME, "http", Verdict.DENY),
            (AWAY, "https", Verdict.SILENT),
            (AWAY, "http", Verdict.DENY),
            ({}, "https", Verdict.SILENT),
        ):
            assert verdict(found, environ=place | {"wsgi.url_scheme": scheme}) is wanted


def test_what_a_connection_shares_with_its_request_is_asked_of_each_request():
    found = parse(statement(Condition={"StringLike": {"aws:SourceIp": "${aws:Referer}"}}))
    for _ in range(2):
        assert verdict(found, environ=HOME | {"HTTP_REFERER": "10.*"}) is Verdict.SILENT
        assert verdict(found, environ=HOME | {"HTTP_REFERER": "10.0.0.1"}) is Verdict.ALLOW
        assert verdict(found, environ=HOME | {"HTTP_REFERER": "192.0.2.1"}) is Verdict.SILENT


@pytest.mark.parametrize(
    ("elements", "settled"),
    [
        ([statement()], True),
        ([statement(Resource="arn:aws:s3:::pail*")], True),
        ([statement(Resource=["arn:aws:s3:::pail/a", ALL])], True),
        ([statement(Condition=NEAR)], True),
        ([statement(), statement(Resource="arn:aws:s3:::pail/a")], True),
        ([statement(Action="s3:PutObject")], True),
        ([statement(), statement(Effect="Deny", Resource=None, NotResource=ALL)], True),
        ([statement(), statement(Effect="Deny", Principal={"AWS": "eve"})], True),
        ([statement(Resource="arn:aws:s3:::pail/a*")], False),
        ([statement(Resource="arn:aws:s3:::pail/?*")], False),
        ([statement(Condition={"StringLike": {"aws:Referer": "*"}})], False),
        ([statement(Condition={"StringLike": {"aws:SourceIp": "${aws:Referer}"}})], False),
        ([statement(Condition={"DateLessThan": {"aws:CurrentTime": "2099-01-01"}})], False),
        ([statement(), statement(Effect="Deny", Resource="arn:aws:s3:::pail/a")], False),
        ([statement(), statement(Effect="Deny")], False),
    ],
)
def test_a_policy_is_settled_when_neither_key_nor_request_can_change_what_it_says(
    elements, settled
):
    found = parse(*elements)
    assert found.is_settled("s3:GetObject", names_of(BOB), Context(HOME, BOB)) is settled


def test_what_holds_for_all_objects_says_nothing_of_their_bucket():
    found = parse(statement(Action="s3:*", Resource="arn:aws:s3:::pail/*"))
    assert verdict(found, "s3:ListBucket", "pail") is Verdict.SILENT
    both = parse(statement(Action="s3:*", Resource="arn:aws:s3:::pail*"))
    assert verdict(both, "s3:ListBucket", "pail") is Verdict.ALLOW
    none = parse(statement(Action="s3:*", Resource=None, NotResource=ALL))
    assert verdict(none, "s3:ListBucket", "pail") is Verdict.ALLOW
    assert verdict(none) is Verdict.SILENT


def test_what_is_kept_of_connections_is_bounded(monkeypatch):
    monkeypatch.setattr(policy, "_MOST_KNOWN", 3)
    found = parse(statement(Condition=NEAR))
    for number in range(10):
        assert verdict(found, environ={"REMOTE_ADDR": f"10.0.0.{number}"}) is Verdict.ALLOW
        assert len(found._known) <= 3
    plain = parse(statement())
    for number in range(10):
        assert verdict(plain, environ={"REMOTE_ADDR": f"10.0.0.{number}"}) is Verdict.ALLOW
    assert len(plain._known) == 1


def knowing(*names):
    """Look up these accounts, and a key of each, AK and its name."""
    found = {name: Identity("", name, name.title()) for name in names}
    found |= {f"AK{name}": Identity(f"AK{name}", name, name.title()) for name in names}
    return found.get


def test_whom_a_policy_names_can_be_looked_up():
    found = parse(
        statement(Principal={"AWS": ["*", "bob", "arn:aws:iam::al:root"], "CanonicalUser": "eve"})
    )
    for knows in (None, knowing("bob", "al", "eve"), knowing("bob", "al")):
        found.check_named(knows, "eve")
    with pytest.raises(S3Error, match="Invalid principal in policy"):
        found.check_named(knowing("bob", "eve"), "eve")


NAMES = ["bob", "AKbob", "arn:aws:iam::bob:root", "arn:aws:iam::bob:user/Bob",
         "arn:aws:iam:::user/bob"]  # fmt: skip
NOBODYS = ["Bob", "arn:aws:iam::bob:user/bob", "arn:aws:iam::AKbob:root", "arn:aws:iam:::user/Bob",
           "arn:aws:iam::AKbob:user/Bob", "arn:aws:iam:::user/AKbob"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES + NOBODYS)
def test_a_name_is_taken_if_and_only_if_it_means_somebody(name):
    found = parse(statement(Principal={"AWS": name}))
    bob = Requester("bob", ("AKbob",), name="Bob")
    means = verdict(found, who=bob) is Verdict.ALLOW
    assert means is (name in NAMES)
    try:
        found.check_named(knowing("bob"), "eve")
    except S3Error as error:
        assert not means
        assert error.detail["Detail"] == name
    else:
        assert means


def test_a_canonical_user_is_no_key():
    found = parse(statement(Principal={"CanonicalUser": "AKbob"}))
    with pytest.raises(S3Error) as caught:
        found.check_named(knowing("bob"), "eve")
    assert caught.value.detail["Detail"] == "AKbob"


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        ({"Effect": None}, "Missing required field Effect"),
        ({"Effect": "allow"}, "Invalid effect"),
        ({"Effect": ["Allow"]}, "Invalid effect"),
        ({"Principal": None}, "Missing required field Principal"),
        ({"NotPrincipal": "*"}, "Statement has both Principal and NotPrincipal"),
        ({"Principal": None, "NotPrincipal": {"AWS": "x"}}, "Allow with NotPrincipal is not"),
        ({"Principal": {"Service": "x.amazonaws.com"}}, "Invalid principal in policy"),
        ({"Action": None}, "Missing required field Action"),
        ({"NotAction": "s3:GetObject"}, "Statement has both"),
        ({"Action": []}, "Policy has invalid action"),
        ({"Action": [5]}, "Policy has invalid action"),
        ({"Action": "s3:Frobnicate"}, "Policy has invalid action"),
        ({"Action": "s3:Frob*"}, "Policy has invalid action"),
        ({"Action": "ec2:*"}, "Policy has invalid action"),
        ({"Action": "GetObject"}, "Policy has invalid action"),
        ({"Action": "s3:ListBucket"}, "Action does not apply to any resource"),
        ({"Action": ["s3:GetObject", "s3:ListBucket"]}, "Action does not apply to any resource"),
        ({"Resource": "arn:aws:s3:::pail"}, "Action does not apply to any resource"),
        ({"Action": "s3:ListAllMyBuckets"}, "Action does not apply to any resource"),
        ({"Resource": None}, "Missing required field Resource"),
        ({"NotResource": ALL}, "Statement has both"),
        ({"Resource": []}, "Policy has invalid resource"),
        ({"Resource": "*"}, "Policy has invalid resource"),
        ({"Resource": "pail/*"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::other/*"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::pails/*"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::pail?x"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::*"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::pa*/x"}, "Policy has invalid resource"),
        ({"Resource": "arn:aws:s3:::pail/${aws:nobody}"}, "Policy has an invalid variable"),
        ({"Resource": [ALL, "arn:aws:s3:::other/*"]}, "Policy has invalid resource"),
        ({"Condition": []}, "Policy has an invalid condition"),
        ({"Condition": {"StringEquals": {"aws:Nothing": "x"}}}, "invalid condition key"),
        ({"Condition": {"StringSame": {"aws:Referer": "x"}}}, "Invalid Condition type"),
        ({"Condition": {"StringEquals": {"s3:prefix": "x"}}}, "Conditions do not apply to combi"),
        ({"Condition": {"Null": {"s3:x-amz-acl": "true"}}}, "Conditions do not apply to combi"),
        ({"Resource": "arn:aws:s3:::pail/${s3:prefix}"}, "Conditions do not apply to combi"),
        (
            {"Condition": {"StringEquals": {"aws:Referer": "${s3:prefix}"}}},
            "Conditions do not apply to combi",
        ),
        ({"Sid": 5}, "Policy has an invalid Sid"),
        ({"Colour": "red"}, "Unknown field Colour"),
        ({"principal": "*"}, "Unknown field principal"),
    ],
)
def test_a_statement_that_is_not_enforced_whole_is_refused(elements, message):
    assert message in refused(document(statement(**elements)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "first byte must be '{'"),
        (b" {}", "first byte must be '{'"),
        (b"[]", "first byte must be '{'"),
        (b"\xef\xbb\xbf{}", "first byte must be '{'"),
        (b"{", "invalid Json"),
        (b'{"Version": NaN}', "invalid Json"),
        (b'{"Id": "\xff"}', "invalid Json"),
        (b'{"Id": "\\ud800"}', "invalid Json"),
        (b'{"Id": "a", "Id": "b"}', "invalid Json"),
        (b'{"Statement": {"Effect": "Allow", "Effect": "Deny"}}', "invalid Json"),
        (b'{"a":' * 3000, "invalid Json"),
        (b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", "invalid Json"),
        (b'{"Id": ' + b"1" * 9000 + b"}", "invalid Json"),
        (b'{"Id": "' + b"x" * 20480 + b'"}', "exceeds the maximum allowed size"),
        (b"{}", "Missing required field Statement"),
        (b'{"Statement": []}', "Missing required field Statement"),
        (b'{"Statement": "x"}', "Missing required field Statement"),
        (b'{"Statement": [5]}', "Policy has an invalid statement"),
        (b'{"Version": "2012", "Statement": []}', "valid version string"),
        (b'{"Version": 5, "Statement": []}', "valid version string"),
        (b'{"Version": ["2012-10-17"], "Statement": []}', "valid version string"),
        (b'{"Id": 5, "Statement": []}', "invalid Id"),
        (b'{"Statements": []}', "Unknown field Statements"),
    ],
)
def test_a_document_that_is_none_is_refused(data, message):
    assert message in refused(data)


@pytest.mark.parametrize(
    ("elements", "word"),
    [
        ({"Action": ["s3:GetObject", "s3:GetObjekt"]}, "s3:GetObjekt"),
        ({"Action": ["s3:GetObject", "s3:ListBucket"]}, "s3:ListBucket"),
        ({"Resource": [ALL, "arn:aws:s3:::bucket/*"]}, "arn:aws:s3:::bucket/*"),
        ({"Resource": ALL + "${aws:user}"}, "${aws:user}"),
        ({"Resource": ALL + "${aws"}, "${aws"),
        ({"Principal": {"AWS": ["bob", "two words"]}}, "two words"),
        ({"Principal": {"CanonicalUser": "two words"}}, "two words"),
        ({"Principal": {"Service": "a.amazonaws.com"}}, "Service"),
        ({"Condition": {"Bool": {"aws:Mfa": "true"}}}, "aws:Mfa"),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "here"}}}, "aws:sourceip"),
        ({"Condition": {"StringEquals": {"s3:prefix": "a"}}}, "s3:prefix"),
    ],
)
def test_a_refusal_names_the_word_that_is_meant(elements, word):
    with pytest.raises(S3Error) as caught:
        parse(statement(**elements))
    assert caught.value.detail["Detail"] == word
    assert f"<Detail>{word}</Detail>".encode() in caught.value.document({})


def test_a_refusal_names_the_account_that_there_is_not():
    found = parse(statement(Principal={"AWS": ["bob", "bbo"]}))
    with pytest.raises(S3Error) as caught:
        found.check_named(knowing("bob"), "")
    assert caught.value.detail["Detail"] == "bbo"


def test_two_statements_cannot_have_one_name():
    assert "must be unique" in refused(document(statement(Sid="a"), statement(Sid="a")))
    assert parse(statement(Sid="a"), statement(Sid="b"), statement(), statement()).statements


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["*", "s3:*", ALL, "Allow", "bob", "${aws:userid}", "10.0.0.0/8"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["AWS", "StringLike", "aws:Referer", "Null", "IpAddress", "x"]), inner
        )
    ),
    max_leaves=6,
)


ELEMENTS = ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource"]
ELEMENTS += ["NotResource", "Condition", "x"]


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(ELEMENTS, JSON)))
def test_any_statement_is_understood_or_refused(elements):
    try:
        found = parse(statement() | elements)
    except S3Error as error:
        assert error.code == "MalformedPolicy"
    else:
        assert verdict(found, environ={"HTTP_REFERER": "x", "REMOTE_ADDR": "10.0.0.1"})


@given(st.binary(max_size=60))
def test_any_bytes_are_understood_or_refused(data):
    for start in (b"", b"{", b'{"Statement":'):
        with pytest.raises(S3Error, match="MalformedPolicy"):
            policy.parse(start + data, "pail")


def test_a_stored_policy_that_is_refused_is_broken_and_logged(caplog):
    with caplog.at_level(logging.ERROR):
        assert policy.load(b'{"Statement": 1}', "pail") is policy.BROKEN
        assert policy.load(json.dumps(document(statement(Action="a"))).encode(), "pail").public
    assert "policy of bucket pail cannot be enforced" in caplog.text
    assert caplog.text.endswith("Policy has invalid action: 'a'\n")
    assert policy.load(json.dumps(document(statement())).encode(), "pail").sound


def test_every_permission_of_the_routing_table_can_be_named():
    for action in actions.OF_OBJECTS:
        assert parse(statement(Action=action)).statements
    for action in actions.OF_BUCKETS:
        assert parse(statement(Action=action, Resource="arn:aws:s3:::pail")).statements
