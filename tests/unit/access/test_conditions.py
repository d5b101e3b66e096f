import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.access import conditions
from s3filters.access.context import Context
from s3filters.access.principals import Requester
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error

BOB = Requester("bob-id", account="111122223333", name="bob")


def holds(element, environ=None, *, variables=True, **fields):
    request = Context(environ or {}, BOB, **fields)
    return all(one.holds(request) for one in conditions.parse(element, variables=variables))


REFERER = "aws:Referer"  # a key with one value, which a test can set and leave out


def about(operator, wanted, value):
    """Ask an operator about the one value of a key; None for a key that the request lacks."""
    return holds({operator: {REFERER: wanted}}, {} if value is None else {"HTTP_REFERER": value})


# What AWS's tables say: operator, values of the policy, value of the request, result
@pytest.mark.parametrize(
    ("operator", "wanted", "value", "result"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", ["b", "a"], "a", True),
        ("StringEquals", "a*", "ab", False),
        ("StringEquals", "a*", "a*", True),
        ("StringEquals", True, "true", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringNotEquals", ["a", "b"], "c", True),
        ("StringEqualsIgnoreCase", "aB", "Ab", True),
        ("StringNotEqualsIgnoreCase", "aB", "Ab", False),
        ("StringLike", "a*c?", "abbcd", True),
        ("StringLike", "a*c?", "abbc", False),
        ("StringLike", "a*", "A", False),
        ("StringNotLike", ["a*", "b*"], "bx", False),
        ("StringNotLike", ["a*", "b*"], "c", True),
        ("StringEquals", "${aws:username}", "bob", True),
        ("StringLike", "x/${aws:username}/*", "x/bob/y", True),
        ("NumericEquals", 10, "10.0", True),
        ("NumericEquals", "10", "0010", True),
        ("NumericNotEquals", 10, "11", True),
        ("NumericNotEquals", [10, 11], "11", False),
        ("NumericLessThan", 10, "9", True),
        ("NumericLessThan", 10, "10", False),
        ("NumericLessThanEquals", 10, "10", True),
        ("NumericGreaterThan", 10, "100", True),
        ("NumericGreaterThan", [10, 1000], "100", True),
        ("NumericGreaterThanEquals", 10, "9.99", False),
        ("NumericEquals", 10, "ten", False),
        ("NumericLessThan", 10, "nan", False),
        ("NumericLessThan", 10, "-1e5", False),
        ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", True),
        ("DateEquals", "1767225600", "2026-01-01", True),
        ("DateNotEquals", "2026-01-01", "2026-01-02", True),
        ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59Z", True),
        ("DateLessThanEquals", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", True),
        ("DateGreaterThan", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", True),
        ("DateGreaterThanEquals", "2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z", False),
        ("DateGreaterThan", "2026-01-01", "tomorrow", False),
        ("Bool", "true", "TRUE", True),
        ("Bool", True, "true", True),
        ("Bool", False, "true", False),
        ("Bool", False, "no", False),
        ("BinaryEquals", "QUJD", "ABC", True),
        ("BinaryEquals", "QUJD", "QUJD", False),
        ("IpAddress", "192.0.2.0/24", "192.0.2.77", True),
        ("IpAddress", "192.0.2.77", "192.0.2.77", True),
        ("IpAddress", "192.0.2.0/24", "192.0.3.1", False),
        ("IpAddress", ["10.0.0.0/8", "2001:db8::/32"], "2001:DB8:1::1", True),
        ("IpAddress", "192.0.2.0/24", "::ffff:192.0.2.5", True),
        ("IpAddress", "::ffff:192.0.2.0/120", "192.0.2.5", True),
        ("IpAddress", "::ffff:192.0.2.0/120", "::ffff:192.0.2.5", True),
        ("IpAddress", "::FFFF:c000:205", "192.0.2.5", True),
        ("IpAddress", "::ffff:0:0/96", "192.0.2.5", True),
        ("NotIpAddress", "::ffff:192.0.2.0/120", "192.0.2.5", False),
        ("IpAddress", "::ffff:192.0.2.0/120", "192.0.3.5", False),
        ("IpAddress", "::/0", "192.0.2.5", False),
        ("IpAddress", "fe80::/10", "fe80::1%eth0", True),
        ("IpAddress", "0.0.0.0/0", "2001:db8::1", False),
        ("IpAddress", "0.0.0.0/0", "a name", False),
        ("NotIpAddress", ["192.0.2.0/24", "10.0.0.0/8"], "10.1.1.1", False),
        ("NotIpAddress", ["192.0.2.0/24", "10.0.0.0/8"], "11.1.1.1", True),
        ("ArnEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/x", True),
        ("ArnLike", "arn:aws:iam::*:user/b?b", "arn:aws:iam::1:user/bob", True),
        ("ArnLike", "arn:aws:*:user/x", "arn:aws:iam::1:user/x", None),
        ("ArnLike", "arn:*:iam::1:user/x", "arn:aws:iam:eu:1:user/x", False),
        ("ArnLike", "arn:aws:iam::1:user/x", "user/x", False),
        ("ArnNotEquals", "arn:aws:iam::1:user/*", "arn:aws:iam::1:user/x", False),
        ("ArnNotLike", "arn:aws:iam::1:user/*", "arn:aws:iam::2:user/x", True),
    ],
)
def test_an_operator_compares_as_aws_says(operator, wanted, value, result):
    if result is None:
        with pytest.raises(S3Error, match="Invalid value for Condition type"):
            about(operator, wanted, value)
    else:
        assert about(operator, wanted, value) is result


SAMPLES = {
    "String": "a",
    "Numeric": "1",
    "Date": "2026-01-01",
    "Bool": "true",
    "Binary": "QUJD",
    "Ip": "10.0.0.0/8",
    "NotIp": "10.0.0.0/8",
    "Arn": "arn:aws:iam::1:root",
}


def sample(operator):
    return next(value for start, value in SAMPLES.items() if operator.startswith(start))


@pytest.mark.parametrize("operator", sorted(conditions._OPERATORS))
def test_a_missing_key_makes_false_what_is_asked_for_and_true_what_is_not(operator):
    assert about(operator, sample(operator), None) is ("Not" in operator)
    assert about(f"{operator}IfExists", sample(operator), None) is True
    assert about(f"ForAnyValue:{operator}", sample(operator), None) is False
    assert about(f"ForAllValues:{operator}", sample(operator), None) is True
    assert about(f"ForAnyValue:{operator}IfExists", sample(operator), None) is True


@pytest.mark.parametrize("operator", sorted(conditions._OPERATORS))
def test_if_exists_changes_nothing_for_a_key_that_is_there(operator):
    for value in ("a", "1", "10.1.2.3", "arn:aws:iam::1:root", "true"):
        asked = about(operator, sample(operator), value)
        assert about(f"{operator}IfExists", sample(operator), value) is asked


@pytest.mark.parametrize(
    ("asked", "there", "missing"),
    [
        ("true", False, True),
        ("false", True, False),
        (True, False, True),
        (["true", "false"], True, True),
    ],
)
def test_null_asks_whether_a_key_is_there(asked, there, missing):
    assert about("Null", asked, "x") is there
    assert about("Null", asked, None) is missing


TAG_KEYS = "s3:RequestObjectTagKeys"


# AWS, "Set operators for multivalued context keys": keys of the policy env and team
@pytest.mark.parametrize(
    ("operator", "tags", "result"),
    [
        ("ForAllValues:StringEquals", "env=1&team=2", True),
        ("ForAllValues:StringEquals", "env=1", True),
        ("ForAllValues:StringEquals", "env=1&other=2", False),
        ("ForAllValues:StringEquals", None, True),
        ("ForAnyValue:StringEquals", "env=1&other=2", True),
        ("ForAnyValue:StringEquals", "other=2", False),
        ("ForAnyValue:StringEquals", None, False),
        ("ForAllValues:StringNotEquals", "other=1&more=2", True),
        ("ForAllValues:StringNotEquals", "other=1&env=2", False),
        ("ForAllValues:StringNotEquals", None, True),
        ("ForAnyValue:StringNotEquals", "other=1&env=2", True),
        ("ForAnyValue:StringNotEquals", "team=1&env=2", False),
        ("ForAnyValue:StringNotEquals", None, False),
        ("ForAllValues:StringLike", "env=1", True),
        ("ForAnyValue:StringEqualsIgnoreCase", "ENV=1", True),
    ],
)
def test_set_operators_ask_of_all_values_or_of_one(operator, tags, result):
    environ = {} if tags is None else {"HTTP_X_AMZ_TAGGING": tags}
    assert holds({operator: {TAG_KEYS: ["env", "team"]}}, environ) is result


@given(
    st.sampled_from(["", "ForAllValues:", "ForAnyValue:"]),
    st.sampled_from(["StringEquals", "StringNotEquals"]),
    st.booleans(),
    st.sets(st.sampled_from("abc"), min_size=1),
    st.lists(st.sampled_from("abc"), unique=True),
)
def test_sets_of_values_are_asked_as_sets(quantifier, operator, if_exists, wanted, given_):
    name = f"{quantifier}{operator}{'IfExists' if if_exists else ''}"
    if not quantifier:
        given_ = given_[:1]
        value = given_[0] if given_ else None
        asked = about(name, sorted(wanted), value)
    else:
        call = Call("PutObjectTagging", tags=dict.fromkeys(given_, ""))
        asked = holds({name: {TAG_KEYS: sorted(wanted)}}, called=lambda: call)
    hits = {one for one in given_ if (one in wanted) == (operator == "StringEquals")}
    if not given_:
        expected = if_exists or (
            {"ForAllValues:": True, "ForAnyValue:": False}.get(
                quantifier, operator == "StringNotEquals"
            )
        )
    else:
        expected = bool(hits) if quantifier == "ForAnyValue:" else hits == set(given_)
    assert asked is expected


def test_an_empty_text_is_no_value_to_all_values():
    assert about("ForAllValues:StringEquals", "a", "") is True
    assert about("ForAnyValue:StringEquals", "a", "") is False
    assert about("StringEquals", "", "") is True


def test_operators_and_keys_must_all_hold():
    element = {
        "StringEquals": {"aws:username": "bob", "aws:userid": "bob-id"},
        "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
    }
    assert holds(element, {"REMOTE_ADDR": "10.1.1.1"})
    assert not holds(element, {"REMOTE_ADDR": "11.1.1.1"})
    element["StringEquals"]["aws:userid"] = "x"
    assert not holds(element, {"REMOTE_ADDR": "10.1.1.1"})
    assert holds({})


def test_the_source_of_a_copy_may_begin_with_a_slash_in_the_policy():
    (one,) = conditions.parse(
        {"StringLike": {"s3:x-amz-copy-source": "/from/public/*"}}, variables=True
    )
    assert one.test("from/public/x", Context({}))


@pytest.mark.parametrize(
    "element",
    [
        None,
        [],
        "x",
        {"StringEquals": None},
        {"StringEquals": {}},
        {"StringEquals": {"aws:Referer": []}},
        {"StringEquals": {"aws:Referer": None}},
        {"StringEquals": {"aws:Referer": [["a"]]}},
        {"StringEquals": {"aws:Referer": {"a": "b"}}},
        {"StringEquals": {"aws:SourceVpc": "vpc-1"}},
        {"StringEquals": {"s3:TlsVersion": "1.3"}},
        {"stringequals": {"aws:Referer": "a"}},
        {"StringMatches": {"aws:Referer": "a"}},
        {"StringEqualsIfExistsIfExists": {"aws:Referer": "a"}},
        {"ForSomeValues:StringEquals": {"aws:Referer": "a"}},
        {":StringEquals": {"aws:Referer": "a"}},
        {"ForAllValues:ForAnyValue:StringEquals": {"aws:Referer": "a"}},
        {"NullIfExists": {"aws:Referer": "true"}},
        {"ForAnyValue:Null": {"aws:Referer": "true"}},
        {"Null": {"aws:Referer": "maybe"}},
        {"Bool": {"aws:SecureTransport": "maybe"}},
        {"NumericEquals": {"s3:max-keys": "ten"}},
        {"NumericEquals": {"s3:max-keys": True}},
        {"NumericEquals": {"s3:max-keys": float("inf")}},
        {"NumericEquals": {"s3:max-keys": "1" * 40}},
        {"DateEquals": {"aws:CurrentTime": "today"}},
        {"DateEquals": {"aws:CurrentTime": "2026-13-01"}},
        {"DateEquals": {"aws:CurrentTime": "2026-01-01T25:00:00Z"}},
        {"IpAddress": {"aws:SourceIp": "10.0.0.0/33"}},
        {"IpAddress": {"aws:SourceIp": "10.0.0"}},
        {"IpAddress": {"aws:SourceIp": "*"}},
        {"IpAddress": {"aws:SourceIp": "::ffff:192.0.2.0/24"}},
        {"IpAddress": {"aws:SourceIp": "::ffff:192.0.2.0/95"}},
        {"BinaryEquals": {"aws:Referer": "%%"}},
        {"ArnLike": {"aws:PrincipalArn": "bob"}},
        {"StringEquals": {TAG_KEYS: "a"}},
        {"StringLike": {"aws:Referer": "${aws:unknown}"}},
    ],
)
def test_a_condition_that_is_not_enforced_is_refused(element):
    with pytest.raises(S3Error) as caught:
        conditions.parse(element, variables=True)
    assert caught.value.code == "MalformedPolicy"


@given(
    st.sampled_from(sorted(conditions._OPERATORS)),
    st.text(max_size=40) | st.sampled_from(["1" * 30 + "." + "9" * 30, "9999-12-31", "0000-01-01"]),
)
def test_any_value_of_a_request_is_compared_or_matches_nothing(operator, value):
    assert about(operator, sample(operator), value) in (True, False)


@given(st.sampled_from(sorted(conditions._OPERATORS)), st.text(max_size=40))
def test_any_value_of_a_policy_is_compared_or_refused(operator, value):
    try:
        about(operator, value, "x")
    except S3Error as error:
        assert error.code == "MalformedPolicy"
