"""Signature Version 2 against AWS's published figures, botocore's signers, and everything wrong."""

import hmac
import logging
import time

import pytest
from botocore.utils import percent_encode, percent_encode_sequence
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.errors import S3Error
from s3filters.sign import v2
from s3filters.sign.request import Request
from s3filters.sign.verify import verify
from tests.unit.sign.signing import IN_2007, KEY, SECRET, published, rules, signed

PUBLISHED = (
    "v2-get-object",
    "v2-put-object",
    "v2-list-objects",
    "v2-get-acl",
    "v2-delete-object",
    "v2-put-metadata",
    "v2-list-buckets",
    "v2-unicode-key",
    "v2-presigned-get",
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def check(environ, now=None, **changes):
    return verify(Request(environ), rules(**changes), time.time() if now is None else now)


def refusal(environ, now=None, **changes):
    with pytest.raises(S3Error) as caught:
        check(environ, now, **changes)
    return caught.value


@pytest.mark.parametrize("name", PUBLISHED)
def test_aws_published_example_is_verified_through_the_published_stages(name, caplog):
    environ, (text,) = published(name)
    with caplog.at_level(logging.DEBUG, "s3filters.sign"):
        assert check(environ, IN_2007, clock_skew=2 * 86400).credential.access_key == KEY
    assert caplog.records[0].args == (text,)


@pytest.mark.parametrize("kind", ["v2", "v2 query"])
@given(
    key=TEXT,
    words=st.dictionaries(st.sampled_from(["acl", "prefix", "uploadId", "response-expires"]), TEXT),
    metadata=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
)
def test_whatever_botocore_signs_is_verified(kind, key, words, metadata):
    target = "/bucket/" + percent_encode(key, safe="/~")
    if words:
        target += "?" + percent_encode_sequence(words)
    headers = {"x-amz-meta-a": metadata, "Content-Type": "text/plain", "x-amz-acl": "private"}
    assert check(signed(kind, "PUT", target, headers))


@pytest.mark.parametrize("word", sorted(v2.SUB_RESOURCES))
def test_a_sub_resource_is_part_of_what_is_signed(word):
    environ = signed("v2") | {"QUERY_STRING": word}
    assert refusal(environ).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("kind", ["v2", "v2 query"])
@pytest.mark.parametrize(
    "word",
    ["response%2Dcontent-type=text/html", "%76ersions", "%64elete", "upload%49d=1", "%61cl="],
)
def test_an_encoded_sub_resource_cannot_be_added_to_what_was_signed(kind, word):
    environ = signed(kind)
    query = environ.get("QUERY_STRING", "")
    environ["QUERY_STRING"] = f"{query}&{word}" if query else word
    assert refusal(environ).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("kind", ["v2", "v2 query"])
def test_an_encoded_name_is_signed_as_the_sub_resource_that_it_is(kind):
    environ = signed(kind, "GET", "/bucket/key?response-content-type=text%2Fhtml&versionId=1")
    query = environ["QUERY_STRING"]
    environ["QUERY_STRING"] = query.replace("response-", "r%65sponse%2D").replace("nId", "n%49d")
    assert environ["QUERY_STRING"] != query
    assert check(environ)


def test_words_that_name_no_sub_resource_are_not_signed():
    assert check(signed("v2") | {"QUERY_STRING": "prefix=a&list-type=2&attributes"})


def test_the_list_of_sub_resources_has_all_that_botocore_signs():
    from botocore.auth import HmacV1Auth  # noqa: PLC0415

    assert set(HmacV1Auth.QSAOfInterest) <= v2.SUB_RESOURCES


def test_headers_that_the_url_carries_stand_for_headers():
    environ = signed("v2 query", "PUT", headers={"x-amz-meta-a": "1", "Content-Type": "text/plain"})
    carried = ("x-amz-meta-a", "Content-Type")
    environ["headers_raw"] = [h for h in environ["headers_raw"] if h[0] not in carried]
    del environ["HTTP_X_AMZ_META_A"], environ["CONTENT_TYPE"]
    assert check(environ).hoisted == {"x-amz-meta-a": "1", "content-type": "text/plain"}


def test_an_x_amz_date_takes_the_place_of_the_date():
    date = "Tue, 27 Mar 2007 19:36:42 +0000"
    environ, (text,) = published("v2-get-object")
    text = text.replace(f"{date}\n", f"\nx-amz-date:{date}\n")
    environ["HTTP_X_AMZ_DATE"] = date
    environ["headers_raw"].append(("x-amz-date", date))
    environ["HTTP_AUTHORIZATION"] = f"AWS {KEY}:{v2.signature(SECRET, text)}"
    assert check(environ, IN_2007)


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["v2", "v2 query"])
def test_it_can_be_turned_off(kind):
    error = refusal(signed(kind), allow_v2=False)
    assert error.code == "InvalidRequest"
    assert "Please use AWS4-HMAC-SHA256" in error.message


def test_an_unknown_key_is_invalid_access_key_id():
    environ, _ = published("v2-get-object")
    environ["HTTP_AUTHORIZATION"] = "AWS nobody:x="
    error = refusal(environ, IN_2007)
    assert (error.code, error.detail) == ("InvalidAccessKeyId", {"AWSAccessKeyId": "nobody"})


def test_a_session_token_with_a_permanent_key_is_refused():
    assert refusal(signed("v2", headers={"x-amz-security-token": "t"})).code == "InvalidToken"


def test_a_wrong_signature_tells_what_was_signed_here():
    environ, (text,) = published("v2-get-object")
    environ["HTTP_AUTHORIZATION"] = f"AWS {KEY}:x="
    error = refusal(environ, IN_2007)
    assert error.code == "SignatureDoesNotMatch"
    assert error.detail == {
        "AWSAccessKeyId": KEY,
        "StringToSign": text,
        "SignatureProvided": "x=",
        "StringToSignBytes": text.encode().hex(" "),
    }


def test_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    check(published("v2-get-object")[0], IN_2007)
    assert compared == [("bWq2s1WEIj+Ydj0vQ697zp+IXMU=",) * 2]


@pytest.mark.parametrize("authorization", ["AWS", "AWS ", "AWS x", "AWS :x", f"AWS {KEY}:"])
def test_an_authorization_of_another_form_is_refused(authorization):
    environ, _ = published("v2-get-object")
    environ["HTTP_AUTHORIZATION"] = authorization
    error = refusal(environ, IN_2007)
    assert error.code == "InvalidArgument"
    assert error.detail == {"ArgumentName": "Authorization", "ArgumentValue": authorization}


@pytest.mark.parametrize("date", ["", "yesterday", "Tue, 99 Mar 2007 19:36:42 +0000"])
def test_a_request_without_a_date_is_refused(date):
    environ, _ = published("v2-get-object")
    environ["HTTP_DATE"] = date
    assert refusal(environ, IN_2007).code == "AccessDenied"


def test_a_clock_more_than_fifteen_minutes_off_is_refused():
    environ, _ = published("v2-get-object")
    assert check(environ, IN_2007 + 900)
    assert refusal(environ, IN_2007 + 901).code == "RequestTimeTooSkewed"


def test_a_presigned_url_is_refused_once_it_has_expired():
    environ, _ = published("v2-presigned-get")
    assert check(environ, 1175139620)
    error = refusal(environ, 1175139621)
    assert (error.code, error.message) == ("AccessDenied", "Request has expired")
    assert error.detail == {"Expires": "2007-03-29T03:40:20Z", "ServerTime": "2007-03-29T03:40:21Z"}


@pytest.mark.parametrize("name", ["AWSAccessKeyId", "Signature", "Expires"])
@pytest.mark.parametrize("change", ["missing", "twice"])
def test_a_presigned_url_needs_each_of_its_words_once(name, change):
    environ, _ = published("v2-presigned-get")
    query = environ["QUERY_STRING"]
    environ["QUERY_STRING"] = (
        query.replace(name, "x") if change == "missing" else f"{query}&{name}=1"
    )
    error = refusal(environ, IN_2007)
    assert error.code == "AccessDenied"
    assert "requires the Signature, Expires and AWSAccessKeyId" in error.message


@pytest.mark.parametrize("expires", ["soon", "-1", "1" * 30])
def test_a_presigned_end_must_be_a_number_of_seconds(expires):
    environ, _ = published("v2-presigned-get")
    environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("1175139620", expires)
    error = refusal(environ, IN_2007)
    assert error.code == "AccessDenied"
    assert error.message == f"Invalid date (should be seconds since epoch): {expires}"
