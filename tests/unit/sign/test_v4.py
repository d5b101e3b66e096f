"""Signature Version 4 against AWS's published figures, botocore's signers, and everything wrong."""

import hmac
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.errors import S3Error
from s3filters.sign import v4
from s3filters.sign.request import Request
from s3filters.sign.verify import verify
from tests.unit.sign.signing import IN_2013, KEY, SECRET, published, rules, signed

PUBLISHED = (
    "get-object",
    "put-object",
    "get-bucket-lifecycle",
    "list-objects",
    "presigned-get",
    "put-chunked",
    "put-trailer",
)
# What botocore leaves as it is in a path, and what it encodes.
PATHS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
# Parameters that stand for headers can hold only what headers can.
WORDS = PATHS.filter(lambda word: word and not word.lower().startswith("x-amz-"))


def check(environ, now=None, **changes):
    return verify(Request(environ), rules(**changes), time.time() if now is None else now)


def refusal(environ, now=None, **changes):
    with pytest.raises(S3Error) as caught:
        check(environ, now, **changes)
    return caught.value


@pytest.mark.parametrize("name", PUBLISHED)
def test_aws_published_example_is_verified_through_the_published_stages(name, caplog):
    environ, (canonical_request, text) = published(name)
    with caplog.at_level(logging.DEBUG, "s3filters.sign"):
        proof = check(environ, IN_2013)
    assert proof.credential.access_key == KEY
    assert caplog.records[0].args == (canonical_request, text)


def test_a_presigned_example_is_good_until_its_end_and_no_longer():
    environ, _ = published("presigned-get")
    assert check(environ, IN_2013 + 86400)
    error = refusal(environ, IN_2013 + 86401)
    assert (error.code, error.message) == ("AccessDenied", "Request has expired")
    assert error.detail == {
        "X-Amz-Expires": "86400",
        "Expires": "2013-05-25T00:00:00Z",
        "ServerTime": "2013-05-25T00:00:01Z",
    }


# --- as botocore signs -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["v4", "v4 query"])
@given(key=PATHS, words=st.dictionaries(WORDS, PATHS, max_size=4), data=st.data())
def test_whatever_botocore_signs_is_verified(kind, key, words, data):
    from botocore.utils import percent_encode, percent_encode_sequence  # noqa: PLC0415

    target = "/bucket/" + percent_encode(key, safe="/~")
    if words:
        target += "?" + percent_encode_sequence(words)
    text = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
    values = data.draw(st.lists(text, min_size=1, max_size=4))
    headers = {"x-amz-meta-a": "   ".join(values)}
    assert check(signed(kind, target=target, headers=headers))


@pytest.mark.parametrize(
    ("sent", "as_signed"),
    [
        ("/bucket/a~b", "/bucket/a%7Eb"),
        ("/bucket/a%7eb", "/bucket/a~b"),
        ("/bucket/%2a+b", "/bucket/%2A%2Bb"),
        ("/bucket/a%2fb", "/bucket/a/b"),
        ("/bucket/caf\xc3\xa9", "/bucket/caf%C3%A9"),
        ("/bucket?prefix=a%2fb&list-type=2", "/bucket?list-type=2&prefix=a%2Fb"),
        ("/bucket?prefix=a+b", "/bucket?prefix=a%20b"),
        ("/bucket?prefix=a/b&delimiter=/", "/bucket?delimiter=%2F&prefix=a%2Fb"),
        ("/bucket?acl", "/bucket?acl="),
    ],
)
def test_clients_may_send_another_encoding_than_they_signed(sent, as_signed):
    environ = signed("v4", target=as_signed.replace("%7E", "~"))
    environ["RAW_PATH_INFO"], _, environ["QUERY_STRING"] = sent.partition("?")
    assert check(environ)


@pytest.mark.parametrize("target", ["/bucket/a+b%7Ec", "/bucket/a%2fb", "/bucket?a=/&acl=&b=+"])
def test_old_clients_sign_path_and_query_as_they_send_them(target):
    environ = signed("v4", target=target)  # botocore too signs the URL that it is given
    assert check(environ)


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        ("http://s3.test", "s3.test:80"),
        ("https://s3.test", "s3.test:443"),
        ("http://s3.test:80", "s3.test:80"),
    ],
)
def test_a_proxy_may_add_the_default_port_to_the_host(endpoint, sent):
    environ = signed("v4", endpoint=endpoint)
    environ["HTTP_HOST"] = sent
    assert check(environ)


def test_a_library_may_take_the_default_port_from_a_host_that_was_signed_with_it():
    environ = signed("v4", headers={"Host": "s3.test:80"}, endpoint="http://s3.test")
    environ["HTTP_HOST"] = "s3.test"
    assert check(environ)


def test_another_port_than_the_default_is_part_of_the_host():
    environ = signed("v4", endpoint="http://s3.test:8080")
    environ["HTTP_HOST"] = "s3.test"
    assert refusal(environ).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("date", ["20130524T000000Z", "Fri, 24 May 2013 00:00:00 GMT"])
def test_the_date_header_serves_where_no_x_amz_date_is_sent(date):
    environ, _ = published("get-object")
    del environ["HTTP_X_AMZ_DATE"]
    environ["headers_raw"] = [h for h in environ["headers_raw"] if h[0] != "x-amz-date"]
    environ["HTTP_DATE"] = date
    text = refusal(environ, IN_2013).detail["StringToSign"]
    right = v4.signature(v4.signing_key(SECRET, "20130524", "us-east-1"), text)
    environ["HTTP_AUTHORIZATION"] = environ["HTTP_AUTHORIZATION"][:-64] + right
    assert text.splitlines()[1] == "20130524T000000Z"
    assert check(environ, IN_2013)


def test_a_presigned_url_may_be_used_with_a_content_hash_that_was_not_signed():
    environ = signed("v4 query")
    environ["HTTP_X_AMZ_CONTENT_SHA256"] = "0" * 64
    environ["headers_raw"].append(("x-amz-content-sha256", "0" * 64))
    assert check(environ).payload == "0" * 64


def test_metadata_names_with_underscores_are_verified():
    assert check(signed("v4", headers={"x-amz-meta-foo_bar": "1", "x-amz-meta-foo-bar": "2"}))


def test_signing_keys_are_kept():
    v4.signing_key.cache_clear()
    for _ in range(3):
        check(signed("v4"))
    assert v4.signing_key.cache_info().misses == 1


# --- refused -----------------------------------------------------------------------------------


def test_an_unknown_key_is_invalid_access_key_id():
    environ = signed("v4")
    environ["HTTP_AUTHORIZATION"] = environ["HTTP_AUTHORIZATION"].replace(KEY, "AKIANOBODY")
    error = refusal(environ)
    assert (error.code, error.detail) == ("InvalidAccessKeyId", {"AWSAccessKeyId": "AKIANOBODY"})


def test_a_wrong_signature_tells_what_was_signed_here():
    environ, (canonical_request, text) = published("get-object")
    provided = "0" * 64
    environ["HTTP_AUTHORIZATION"] = environ["HTTP_AUTHORIZATION"][:-64] + provided
    error = refusal(environ, IN_2013)
    assert error.code == "SignatureDoesNotMatch"
    assert error.detail == {
        "AWSAccessKeyId": KEY,
        "StringToSign": text,
        "SignatureProvided": provided,
        "StringToSignBytes": text.encode().hex(" "),
        "CanonicalRequest": canonical_request,
        "CanonicalRequestBytes": canonical_request.encode().hex(" "),
    }


@pytest.mark.parametrize("provided", ["", "0", "\xe9" * 64, "A" * 64, "0" * 63])
def test_a_signature_of_any_form_is_only_wrong(provided):
    environ, _ = published("get-object")
    environ["HTTP_AUTHORIZATION"] = environ["HTTP_AUTHORIZATION"][:-64] + provided
    assert refusal(environ, IN_2013).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    "change", ["REQUEST_METHOD", "RAW_PATH_INFO", "QUERY_STRING", "HTTP_RANGE"]
)
def test_nothing_that_was_signed_may_change(change):
    environ, _ = published("get-object")
    environ[change] = "x"
    assert refusal(environ, IN_2013).code == "SignatureDoesNotMatch"


def test_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
    environ, _ = published("get-object")
    check(environ, IN_2013)
    assert compared == [(environ["HTTP_AUTHORIZATION"][-64:],) * 2]


@pytest.mark.parametrize("seconds", [-901, 901])
def test_a_clock_more_than_fifteen_minutes_off_is_refused(seconds):
    environ, _ = published("get-object")
    assert check(environ, IN_2013 + seconds // 901 * 900)
    error = refusal(environ, IN_2013 + seconds)
    assert error.code == "RequestTimeTooSkewed"
    assert error.detail["RequestTime"] == "20130524T000000Z"
    assert error.detail["MaxAllowedSkewMilliseconds"] == 900000
    assert error.detail["ServerTime"].startswith("2013-05-2")


def test_a_presigned_url_of_the_future_is_not_valid_yet():
    environ, _ = published("presigned-get")
    assert check(environ, IN_2013 - 900)
    error = refusal(environ, IN_2013 - 901)
    assert (error.code, error.message) == ("AccessDenied", "Request is not valid yet")


@pytest.mark.parametrize(
    "value", [None, "", "yesterday", "20130524T000000", "20131324T000000Z", "x" * 99]
)
def test_a_request_without_a_date_is_refused(value):
    environ, _ = published("get-object")
    environ["HTTP_X_AMZ_DATE"] = value
    if value is None:
        del environ["HTTP_X_AMZ_DATE"]
    error = refusal(environ, IN_2013)
    assert error.code == "AccessDenied"
    assert "valid Date or x-amz-date" in error.message


def test_a_request_without_a_content_hash_is_refused():
    environ, _ = published("get-object")
    del environ["HTTP_X_AMZ_CONTENT_SHA256"]
    error = refusal(environ, IN_2013)
    assert error.code == "InvalidRequest"
    assert error.message == "Missing required header for this request: x-amz-content-sha256"


@pytest.mark.parametrize("kind", ["v4", "v4 query"])
def test_another_region_is_refused_with_the_right_one(kind):
    code = "AuthorizationHeaderMalformed" if kind == "v4" else "AuthorizationQueryParametersError"
    error = refusal(signed(kind), region="eu-north-1")
    assert (error.code, error.detail) == (code, {"Region": "eu-north-1"})
    assert "the region 'us-east-1' is wrong; expecting 'eu-north-1'" in error.message


def test_the_region_of_a_bucket_may_be_asked_for_at_us_east_1():
    for target in ("/bucket?location", "/bucket?location="):
        assert check(signed("v4", target=target), region="eu-north-1")
    for method, target in (("PUT", "/bucket?location"), ("GET", "/bucket?location&acl")):
        error = refusal(signed("v4", method, target), region="eu-north-1")
        assert error.code == "AuthorizationHeaderMalformed"


@pytest.mark.parametrize("kind", ["v4", "v4 query"])
def test_a_session_token_with_a_permanent_key_is_refused(kind):
    environ = signed(kind, headers={"x-amz-security-token": "token"})
    assert refusal(environ).code == "InvalidToken"


def test_a_scope_of_another_day_is_refused():
    environ, _ = published("get-object")
    environ["HTTP_X_AMZ_DATE"] = "20130523T235959Z"
    error = refusal(environ, IN_2013)
    assert error.code == "AuthorizationHeaderMalformed"
    assert 'Invalid credential date "20130524"' in error.message


@pytest.mark.parametrize("kind", ["v4", "v4 query"])
def test_an_amz_header_that_is_not_signed_is_refused_by_name(kind):
    environ = signed(kind)
    environ["headers_raw"] += [("X-Amz-Acl", "public-read"), ("x-amz-meta_x", "1")]
    environ["HTTP_X_AMZ_ACL"] = "public-read"
    error = refusal(environ)
    assert error.code == "AccessDenied"
    assert error.message == "There were headers present in the request which were not signed"
    assert error.detail == {"HeadersNotSigned": "x-amz-acl, x-amz-meta_x"}


def test_an_amz_header_that_is_not_signed_is_refused_behind_any_server():
    environ = signed("v4") | {"HTTP_X_AMZ_ACL": "public-read"}
    del environ["headers_raw"]
    assert refusal(environ).detail == {"HeadersNotSigned": "x-amz-acl"}


def test_headers_beside_amz_ones_need_no_signature():
    environ = signed("v4")
    environ["headers_raw"] += [("X-Amzn-Trace-Id", "1"), ("User-Agent", "x"), ("Range", "bytes=0-")]
    assert check(environ)


@pytest.mark.parametrize("kind", ["v4", "v4 query"])
def test_the_host_must_be_signed(kind):
    environ = signed(kind)
    environ["HTTP_AUTHORIZATION"] = environ.get("HTTP_AUTHORIZATION", "").replace("=host;", "=")
    environ["QUERY_STRING"] = environ["QUERY_STRING"].replace(
        "SignedHeaders=host", "SignedHeaders=range"
    )
    if kind == "v4 query":
        del environ["HTTP_AUTHORIZATION"]
    assert refusal(environ).detail == {"HeadersNotSigned": "host"}


@pytest.mark.parametrize("kind", ["v4", "v4 query"])
def test_a_request_without_a_host_is_refused(kind):
    environ = signed(kind)
    del environ["HTTP_HOST"]
    error = refusal(environ)
    assert (error.code, error.detail) == ("MissingSecurityHeader", {"MissingHeaderName": "host"})


@pytest.mark.parametrize(
    ("expires", "message"),
    [
        ("604801", "must be less than a week (in seconds)"),
        ("-1", "must be non-negative"),
        ("soon", "should be a number"),
        ("", "should be a number"),
        ("\u0661", "should be a number"),
        ("1" * 30, "should be a number"),
    ],
)
def test_a_presigned_time_must_be_a_number_up_to_a_week(expires, message):
    environ = signed("v4 query")
    query = environ["QUERY_STRING"]
    environ["QUERY_STRING"] = query.replace(
        "X-Amz-Expires=60", f"X-Amz-Expires={expires.encode().decode('latin-1')}"
    )
    error = refusal(environ)
    assert error.code == "AuthorizationQueryParametersError"
    assert f"X-Amz-Expires {message}" in error.message


def test_the_longest_presigned_time_can_be_made_shorter():
    environ = signed("v4 query")
    assert check(environ, max_presigned=60)
    assert "less than 59 seconds" in refusal(environ, max_presigned=59).message


def test_a_presigned_date_must_be_iso_8601():
    environ = signed("v4 query")
    environ["QUERY_STRING"] = environ["QUERY_STRING"].replace("X-Amz-Date=20", "X-Amz-Date=30x")
    assert "yyyyMMdd'T'HHmmss'Z'" in refusal(environ).message


def test_a_canonical_request_of_megabytes_is_not_echoed():
    environ = signed("v4") | {"QUERY_STRING": "&".join(f"a{i}=%zz+" for i in range(10_000))}
    error = refusal(environ)
    assert error.code == "SignatureDoesNotMatch"
    assert "CanonicalRequest" not in error.detail


def test_debug_logging_shows_neither_secret_nor_expected_signature(caplog):
    environ, _ = published("get-object")
    right = environ["HTTP_AUTHORIZATION"][-64:]
    environ["HTTP_AUTHORIZATION"] = environ["HTTP_AUTHORIZATION"][:-64] + "0" * 64
    with caplog.at_level(logging.DEBUG):
        error = refusal(environ, IN_2013)
    told = caplog.text + repr(error.detail) + str(error)
    assert "GET\n/test.txt" in caplog.text
    assert right not in told
    assert SECRET not in told
    assert SECRET not in repr(rules().credentials.find(KEY))
