"""What a client sent, behind our server and behind others."""

import pytest

from s3filters.sign.request import Request, environ_key
from tests.unit.sign.signing import environ_of

HEADERS = [("Host", "h"), ("x-amz-meta-A", "1"), ("X-Amz-Meta-a", "2"), ("x-amz-meta_u", "3")]


def test_our_server_keeps_the_path_as_it_was_sent():
    assert Request(environ_of("GET", "/a%2fb/%C3?x", [])).path == "/a%2fb/%C3"


@pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
@pytest.mark.parametrize("target", ["/a%2fb?x=/?", "http://host:1/a%2fb?x", "HTTP://h/a%2fb"])
def test_gunicorn_and_others_keep_the_target(key, target):
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/a/b", key: target}
    assert Request(environ).path == "/a%2fb"


def test_behind_other_servers_a_path_is_encoded_in_the_usual_way():
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/m", "PATH_INFO": "/a b/\xc3\xa4~"}
    assert Request(environ).path == "/m/a%20b/%C3%A4~"


def test_repeated_headers_are_joined():
    request = Request(environ_of("GET", "/", HEADERS))
    assert request.header("x-amz-meta-a") == "1,2"
    assert request.header("x-amz-meta_u") == "3"
    assert request.header("x-amz-meta_v") is None
    assert request.header("range") is None


def test_amz_headers_are_told_by_name():
    environ = environ_of("GET", "/", HEADERS)
    assert Request(environ).amz_headers() == ["x-amz-meta-a", "x-amz-meta-a", "x-amz-meta_u"]
    del environ["headers_raw"]
    assert Request(environ).amz_headers() == ["x-amz-meta-a"]


def test_all_headers_are_told_behind_any_server():
    environ = environ_of(
        "PUT", "/", [("Host", "h"), ("Content-Type", "t"), ("Content-Length", "1")]
    )
    there = list(Request(environ).headers())
    del environ["headers_raw"]
    assert sorted(Request(environ).headers()) == sorted(there)


def test_a_query_is_decoded_with_every_value_of_a_name():
    request = Request(environ_of("GET", "/?a=1&a=%32&b+c&&%E4=%zz+", []))
    assert request.parameters() == {"a": ["1", "2"], "b c": [""], "\xe4": ["%zz "]}


def test_content_headers_have_keys_of_their_own():
    assert environ_key("content-type") == "CONTENT_TYPE"
    assert environ_key("x-amz-date") == "HTTP_X_AMZ_DATE"
    assert environ_key("x_y") is None
