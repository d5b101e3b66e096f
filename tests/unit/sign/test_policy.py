"""The policy document of a form: what it is, what it is not, and what it lets through."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.errors import S3Error
from s3filters.sign import policy

NOW = datetime(2026, 11, 21, tzinfo=UTC).timestamp()
LATER = "2026-11-21T00:10:00Z"
BUCKET = {"bucket": "box"}


def encoded(document):
    text = document if isinstance(document, (str, bytes)) else json.dumps(document)
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def of(*conditions, expiration=LATER):
    return policy.parse(encoded({"expiration": expiration, "conditions": list(conditions)}))


def refusal(call, *args):
    with pytest.raises(S3Error) as caught:
        call(*args)
    return caught.value


def check(document, now=NOW, **fields):
    return document.check({name.replace("_", "-"): text for name, text in fields.items()}, now)


# --- what a document is ------------------------------------------------------------------------


MALFORMED = {
    "no base64": "{}",
    "padding": encoded({"expiration": LATER, "conditions": []}) + "=",
    "no text": encoded(b"\xff\xfe"),
    "no JSON": encoded("{"),
    "a list": encoded([]),
    "nothing": encoded({}),
    "deep": encoded("[" * 9000),
    "a long number": encoded('{"expiration": ' + "9" * 9000 + ', "conditions": []}'),
    "no expiration": encoded({"conditions": []}),
    "EXPIRATION": encoded({"EXPIRATION": LATER, "conditions": []}),
    "no conditions": encoded({"expiration": LATER}),
    "CONDITIONS": encoded({"expiration": LATER, "CONDITIONS": []}),
    "conditions are no list": encoded({"expiration": LATER, "conditions": BUCKET}),
}


@pytest.mark.parametrize("text", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_document_is_refused(text):
    error = refusal(policy.parse, text)
    assert (error.code, error.status) == ("InvalidPolicyDocument", 400)
    assert error.message.startswith("Invalid Policy: ")


@pytest.mark.parametrize(
    "expiration",
    ["", "2026-11-21", "2026-11-21T00:10:00", "2026-11-21 00:10:00Z", "2026-04-31T00:00:00Z",
     "Sat, 21 Nov 2026 00:10:00 GMT", "2026-11-21T00:10:00+01:00", 1795219800, None, []],
)  # fmt: skip
def test_what_is_no_moment_is_refused(expiration):
    assert refusal(lambda: of(expiration=expiration)).code == "InvalidPolicyDocument"


@pytest.mark.parametrize(
    "condition",
    [
        {}, {"bucket": "box", "acl": "private"}, {"bucket": 1}, {"bucket": None}, [], "bucket", 1,
        ["eq", "$key"], ["eq", "key", "k"], ["eq", "", "k"], ["eq", "$key", 1], ["eq", "$key", []],
        ["ends-with", "$key", "k"], [["eq"], "$key", "k"], ["eq", "$key", "k", "l"],
        ["content-length-range", 1], ["content-length-range"], ["content-length-range", 1, 2, 3],
        ["content-length-range", -1, 2], ["content-length-range", "a", "b"],
        ["content-length-range", 1.5, 2], ["content-length-range", True, 2],
        ["content-length-range", 1, "9" * 19], ["content-length-range", None, None],
    ],
    ids=json.dumps,
)  # fmt: skip
def test_what_is_no_condition_is_refused(condition):
    assert refusal(of, condition).code == "InvalidPolicyDocument"


def test_a_document_may_be_broken_into_lines():
    text = encoded({"expiration": LATER, "conditions": [BUCKET]})
    assert policy.parse(f"{text[:20]}\r\n{text[20:]}\n") == policy.parse(text)


@pytest.mark.parametrize("text", [LATER, "2026-11-21T00:10:00.000Z", "2026-11-21T00:10:00.5Z"])
def test_a_moment_may_have_a_fraction(text):
    assert of(expiration=text).expires == NOW + 600


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_document_fails(data):
    try:
        policy.parse(encoded(data))
    except S3Error as error:
        assert error.code == "InvalidPolicyDocument"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_no_condition_fails(condition):
    try:
        of(condition)
    except S3Error as error:
        assert error.code == "InvalidPolicyDocument"


# --- what it lets through ----------------------------------------------------------------------


def test_a_document_ends_at_its_moment():
    document = of(BUCKET)
    assert check(document, NOW + 599.9, bucket="box")
    for now in (NOW + 600, NOW + 9999):
        error = refusal(lambda now=now: check(document, now, bucket="box"))
        assert error.code == "AccessDenied"
        assert error.message == "Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ({"key": "a"}, "a", True),
        ({"KEY": "a"}, "a", True),
        ({"key": "a"}, "A", False),
        ({"key": "a"}, "ab", False),
        ({"key": ""}, "", True),
        (["eq", "$key", "a"], "a", True),
        (["EQ", "$KEY", "a"], "a", True),
        (["eq", "$key", "a"], "ba", False),
        (["starts-with", "$key", "in/"], "in/a", True),
        (["StArTs-WiTh", "$KeY", "in/"], "in/a", True),
        (["starts-with", "$key", "in/"], "in", False),
        (["starts-with", "$key", "in/"], "In/a", False),
        (["starts-with", "$key", ""], "anything", True),
        (["starts-with", "$key", ""], "", True),
        (["starts-with", "$key", "a,b"], "a,b,c", True),
        (["starts-with", "$key", "a"], "a,b", True),
    ],
    ids=str,
)
def test_a_condition_holds_or_not(condition, value, holds):
    document = of(BUCKET, condition)
    if holds:
        check(document, bucket="box", key=value)
        return
    error = refusal(lambda: check(document, bucket="box", key=value))
    assert error.code == "AccessDenied"
    assert error.message.startswith("Invalid according to Policy: Policy Condition failed: [")


@pytest.mark.parametrize(
    ("allowed", "value", "holds"),
    [
        ("image/", "image/png", True),
        ("image/", "image/png,image/gif", True),
        ("image/", "image/png, image/gif", True),
        ("image/", "image/png,text/html", False),
        ("image/png,text", "image/png,text/html", True),
        ("", "a,b", True),
    ],
)
def test_each_of_several_content_types_must_begin_as_allowed(allowed, value, holds):
    document = of(["starts-with", "$Content-Type", allowed])
    if holds:
        check(document, content_type=value)
    else:
        assert refusal(lambda: check(document, content_type=value)).code == "AccessDenied"


def test_a_field_that_is_not_there_keeps_no_condition():
    document = of(BUCKET, ["starts-with", "$key", ""])
    assert refusal(lambda: check(document, bucket="box")).code == "AccessDenied"


@pytest.mark.parametrize("name", ["acl", "x-amz-meta-a", "x-amz-date", "submit", "bucket"])
def test_a_field_that_no_condition_names_is_refused_by_its_name(name):
    document = of({"key": "k"})
    error = refusal(lambda: check(document, key="k", **{name: "v"}))
    assert error.code == "AccessDenied"
    assert error.message == f"Invalid according to Policy: Extra input fields: {name}"


@pytest.mark.parametrize(
    "name",
    ["x-ignore-a", "x-ignore-", "policy", "signature", "awsaccesskeyid", "x-amz-signature", "file"],
)
def test_some_fields_need_no_condition(name):
    check(of({"key": "k"}), key="k", **{name: "v"})


def test_a_field_may_have_several_conditions_which_must_all_hold():
    document = of(["starts-with", "$key", "a"], ["starts-with", "$key", "ab"])
    check(document, key="abc")
    assert refusal(lambda: check(document, key="ac")).code == "AccessDenied"


@pytest.mark.parametrize(
    ("given_", "limits"),
    [
        ([[1, 9]], (1, 9)),
        ([["1", "9"]], (1, 9)),
        ([[1, 9], [3, 20]], (3, 9)),
        ([[9, 1]], (9, 1)),
        ([[0, 0]], (0, 0)),
    ],
    ids=str,
)
def test_the_size_of_the_file_is_what_every_range_allows(given_, limits):
    ranges = [["Content-Length-Range", *pair] for pair in given_]
    assert check(of(BUCKET, *ranges), bucket="box") == limits


@pytest.mark.parametrize(
    ("text", "value"),
    [(r"\$foo", "$foo"), (r"\\$foo", r"\$foo"), (r"a\vb", "a\vb"), ("\\u00fc", "ü"), ("ü", "ü")],
)
def test_escapes_that_json_has_not_are_read(text, value):
    document = f'{{"expiration": "{LATER}", "conditions": [{{"key": "{text}"}}]}}'
    check(policy.parse(encoded(document)), key=value)
