"""Headers that a presigned URL carries."""

import pytest

from s3filters.s3.errors import S3Error
from s3filters.sign import hoist
from s3filters.sign.request import Request
from tests.unit.sign.signing import environ_of


def headers(target, sent=(), v2=False):
    request = Request(environ_of("PUT", target, list(sent)))
    return hoist.headers(request, request.parameters(), v2=v2)


def test_amz_words_of_a_query_are_headers_and_those_of_authentication_are_not():
    target = (
        "/b/k?X-Amz-Acl=private&x-amz-meta-a=%C3%A4+b&X-Amz-Date=1&x-id=PutObject&content-md5=x"
    )
    assert headers(target) == {"x-amz-acl": "private", "x-amz-meta-a": "\xc3\xa4 b"}
    assert headers(target, v2=True)["content-md5"] == "x"


def test_a_header_that_was_sent_stands():
    assert headers("/?x-amz-acl=private", [("x-amz-acl", "public-read")]) == {}


def test_repeated_words_are_joined_as_repeated_headers_are():
    assert headers("/?x-amz-meta-a=1&x-amz-meta-a=2") == {"x-amz-meta-a": "1,2"}


@pytest.mark.parametrize(
    "word", ["x-amz-meta-a=1%0d%0aX:1", "x-amz-meta-a=%00", "x-amz-%0a=1", "x-amz-=%7f"]
)
def test_what_could_never_be_a_header_is_refused(word):
    with pytest.raises(S3Error) as caught:
        headers(f"/?{word}")
    assert caught.value.code == "InvalidArgument"


def test_hoisted_headers_are_shown_as_if_they_had_been_sent():
    environ = environ_of("PUT", "/", [("Host", "h")])
    before = environ["headers_raw"]
    hoist.into(environ, {"x-amz-meta-a": "1", "x-amz-meta_u": "2", "content-type": "t"})
    assert environ["HTTP_X_AMZ_META_A"] == "1"
    assert environ["CONTENT_TYPE"] == "t"
    assert "HTTP_X_AMZ_META_U" not in environ
    assert environ["headers_raw"][1:] == [
        ("x-amz-meta-a", "1"),
        ("x-amz-meta_u", "2"),
        ("content-type", "t"),
    ]
    assert len(before) == 1
    del environ["headers_raw"]
    hoist.into(environ, {"x-amz-acl": "private"})
    assert environ["HTTP_X_AMZ_ACL"] == "private"
