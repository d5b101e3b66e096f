"""Heads that come in pieces, and what a worker remembers of them."""

import pytest

from s3filters.server import head
from s3filters.server.head import HeadParser, Refused
from s3filters.server.options import Options


@pytest.fixture
def parser():
    return HeadParser(Options())


@pytest.mark.parametrize(
    ("part", "status"),
    [
        (b"GET /" + b"k" * 17000, 414),
        (b"GET /" + b"k" * 17000 + b" HTTP/1.1\r\nHost: a", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 33000, 431),
        (b"GET / HTTP/1.1\nHost: a", 400),
    ],
    ids=["line", "line and more", "header", "bare LF"],
)
def test_a_part_that_can_become_no_good_head_is_refused_at_once(parser, part, status):
    with pytest.raises(Refused) as refused:
        parser.check_part(part)
    assert refused.value.status == status


def test_a_part_that_can_become_a_good_head_is_waited_for(parser):
    whole = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    for cut in range(len(whole)):
        parser.check_part(whole[:cut])


def test_an_environ_has_what_was_sent_and_what_pep_3333_wants(parser):
    environ = {}
    parser.parse(
        b"PUT /b/%E2%98%83%2F?x=%20 HTTP/1.1\r\nHost: a:80\r\nContent-Type: t\r\n"
        b"Content-Length: 3\r\nx-AMZ-Meta-A:  one \r\nX-Amz-Meta-a: two\r\nx_y: 1\r\n\r\n",
        environ,
    )
    assert environ == {
        "REQUEST_METHOD": "PUT",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "RAW_PATH_INFO": "/b/%E2%98%83%2F",
        "PATH_INFO": "/b/\xe2\x98\x83/",
        "QUERY_STRING": "x=%20",
        "HTTP_HOST": "a:80",
        "CONTENT_TYPE": "t",
        "CONTENT_LENGTH": "3",
        "HTTP_X_AMZ_META_A": "one,two",
        "headers_raw": [
            ("Host", "a:80"),
            ("Content-Type", "t"),
            ("Content-Length", "3"),
            ("x-AMZ-Meta-A", "one"),
            ("X-Amz-Meta-a", "two"),
            ("x_y", "1"),
        ],
    }


def test_one_request_leaves_nothing_for_the_next(parser):
    with pytest.raises(Refused):
        parser.parse(b"GET /a HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", {})
    environ = {}
    parser.parse(b"GET /b HTTP/1.1\r\nHost: b\r\n\r\n", environ)
    assert environ["headers_raw"] == [("Host", "b")]
    assert environ["PATH_INFO"] == "/b"


def test_strangers_cannot_fill_the_memory_with_names():
    for number in range(3 * head.NAMES_KEPT):
        head.add_fields({}, [(b"x-%d" % number, b""), (b"y-%d-" % number + b"y" * 1000, b"")])
    assert len(head._names) <= head.NAMES_KEPT
    assert max(map(len, head._names)) <= head.NAME_KEPT
