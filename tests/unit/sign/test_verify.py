"""Which signature a request has, and that no request is more than an S3 error."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.errors import S3Error
from s3filters.sign.payload import body_of
from s3filters.sign.request import Request
from s3filters.sign.verify import verify
from tests.unit.sign.signing import KEY, environ_of, rules, signed

KINDS = ("v4", "v4 query", "v2", "v2 query")


def check(environ):
    return verify(Request(environ), rules(), time.time())


def refusal(environ):
    with pytest.raises(S3Error) as caught:
        check(environ)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_signature_is_verified(kind):
    assert check(signed(kind)).credential.identity.access_key == KEY


@pytest.mark.parametrize("target", ["/", "/b/k?prefix=Signature", "/b?Expires=1", "/b?%53=1"])
def test_a_request_that_is_not_signed_is_anonymous(target):
    assert check(environ_of("GET", target, [("Host", "h")])) is None


def test_a_query_may_say_signature_without_being_one():
    assert check(signed("v4", target="/b?prefix=Signature&marker=X-Amz-Date"))


@pytest.mark.parametrize("header", ["v4", "v2"])
@pytest.mark.parametrize("query", ["v4 query", "v2 query"])
def test_both_kinds_of_authentication_at_once_are_refused(header, query):
    environ = signed(query)
    authorization = environ["HTTP_AUTHORIZATION"] = signed(header)["HTTP_AUTHORIZATION"]
    error = refusal(environ)
    assert error.code == "InvalidArgument"
    assert error.message.startswith("Only one auth mechanism allowed")
    assert error.detail == {"ArgumentName": "Authorization", "ArgumentValue": authorization}


@pytest.mark.parametrize(
    "word", ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "AWSAccessKeyId"]
)
def test_half_a_presigned_url_is_not_anonymous(word):
    error = refusal(environ_of("GET", f"/b/k?{word}=x", [("Host", "h")]))
    assert error.code in ("AuthorizationQueryParametersError", "AccessDenied")
    encoded = f"/b/k?%{ord(word[0]):x}{word[1:]}=x"
    assert refusal(environ_of("GET", encoded, [("Host", "h")])).code == error.code


@pytest.mark.parametrize(
    "value", ["", "Basic eDp5", "Bearer x", "AWS4-ECDSA-P256-SHA256 x", "aws x:y", "\xe4"]
)
def test_another_scheme_is_refused(value):
    error = refusal(environ_of("GET", "/", [("Host", "h"), ("Authorization", value)]))
    assert (error.code, error.message) == ("InvalidArgument", "Unsupported Authorization Type")


def test_two_authorization_headers_are_refused():
    environ = signed("v4")
    environ["HTTP_AUTHORIZATION"] += "," + environ["HTTP_AUTHORIZATION"]
    assert refusal(environ).code == "AuthorizationHeaderMalformed"


LATIN_1 = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30
)
WORDS = st.sampled_from([
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires",
    "X-Amz-SignedHeaders", "AWSAccessKeyId", "Signature", "Expires", "x-amz-meta-a", "acl",
])  # fmt: skip
VALUES = LATIN_1 | st.sampled_from([
    "AWS4-HMAC-SHA256", f"{KEY}%2F20130524%2Fus-east-1%2Fs3%2Faws4_request", "20130524T000000Z",
    "host", "60", "9" * 17, "%", "%zz", "%0d%0a", "+", "=",
])  # fmt: skip
NAMES = st.sampled_from([
    "Authorization", "x-amz-date", "Date", "x-amz-content-sha256", "Host", "Content-Length",
    "x-amz-decoded-content-length", "Content-Encoding", "x-amz-trailer",
])  # fmt: skip


@given(
    path=LATIN_1,
    words=st.lists(st.tuples(WORDS, VALUES), max_size=8),
    headers=st.lists(st.tuples(NAMES, VALUES), max_size=5),
)
def test_no_request_is_more_than_an_s3_error(path, words, headers):
    query = "&".join(f"{name}={value}" for name, value in words)
    environ = environ_of("PUT", "/" + path.replace("?", "") + "?" + query, headers)
    with contextlib.suppress(S3Error):
        body_of(environ, check(environ))


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
def test_no_change_of_a_signed_request_is_more_than_an_s3_error(kind, data):
    environ = signed(kind)
    name = data.draw(st.sampled_from(sorted(k for k, v in environ.items() if isinstance(v, str))))
    text = environ[name]
    # How long a signed text is depends on the time, and what is drawn must not.
    at, size = data.draw(st.integers(0, 999)) % (len(text) + 1), data.draw(st.integers(0, 5))
    environ[name] = text[:at] + data.draw(VALUES) + text[at + size :]
    with contextlib.suppress(S3Error):
        check(environ)


def test_ten_thousand_words_of_a_query_are_an_s3_error():
    query = "&".join(f"X-Amz-Signature={i}%zz" for i in range(10_000))
    assert refusal(environ_of("GET", f"/b/k?{query}", [("Host", "h")])).code.startswith(
        "Authorization"
    )
