"""The canonical forms, against their definition done the long way."""

import time
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.sign import canonical
from s3filters.sign.request import Request
from tests.unit.sign.signing import environ_of

# Every kind of character that matters to an encoding, percent signs with and without digits.
RAW = st.lists(st.sampled_from([
    "a", "Z", "0", "-", ".", "_", "~", "/", "%2f", "%2F", "%41", "%7e", "%7E", "%20", "%e4", "%C3",
    "%", "%zz", "%4", "+", "=", "*", "\xe4", "\x00", "'", "(", "!", "$", "@", ":", ";", ",",
])).map("".join)  # fmt: skip


def decoded(text):
    return unquote_to_bytes(text.encode("latin-1"))


@given(RAW)
def test_a_path_is_decoded_and_encoded_once(raw):
    assert canonical.canonical_uri(raw) == (quote(decoded(raw), safe="/-_.~") or "/")


@given(RAW)
def test_a_canonical_path_stays_as_it_is(raw):
    once = canonical.canonical_uri(raw)
    assert canonical.canonical_uri(once) == once


@given(st.lists(st.tuples(RAW, RAW)))
def test_a_query_is_decoded_encoded_and_sorted_by_name_then_value(words):
    raw = "&".join(f"{name.replace('=', '')}={value}" for name, value in words)
    pairs = sorted(
        (quote(decoded(name.replace("=", "").replace("+", " ")), safe="-_.~"),
         quote(decoded(value.replace("+", " ")), safe="-_.~"))
        for name, value in words
    )  # fmt: skip
    assert canonical.canonical_query_string(raw) == "&".join(map("=".join, pairs))


@pytest.mark.parametrize(
    ("raw", "is_canonically"),
    [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=1", "a=1&b=2"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("a=2&a=10&a=1", "a=1&a=10&a=2"),
        ("&&a=1&", "a=1"),
        ("a=b=c", "a=b%3Dc"),
        ("=", "="),
    ],
)
def test_queries_of_every_form(raw, is_canonically):
    assert canonical.canonical_query_string(raw) == is_canonically


def test_the_signature_itself_is_left_out_of_a_query():
    assert canonical.canonical_query_string("b=1&S=x&a=1&Sa=1", "S") == "Sa=1&a=1&b=1"
    assert canonical.canonical_query_string("S=x", "S") == ""
    assert canonical.canonical_query_string("%53=x&b", "S") == "b="


def test_ten_thousand_words_take_no_longer_than_they_should():
    start = time.perf_counter()
    canonical.canonical_query_string("&".join(f"%61{i}=%zz" for i in range(10_000)))
    canonical.canonical_uri("a%" * 50_000)
    canonical.canonical_uri("a" * 100_000 + "\x00")
    assert time.perf_counter() - start < 1


def test_header_lines_are_trimmed_joined_and_in_the_signed_order():
    headers = [("B", "x   y \t z"), ("a", "1"), ("A", "2"), ("Content-Type", "t"), ("x_y", "u")]
    request = Request(environ_of("GET", "/", headers))
    keys = canonical.header_keys("a;b;content-type;missing;x_y")
    assert canonical.canonical_headers(request, keys) == (
        "a:1,2\nb:x y z\ncontent-type:t\nmissing:\nx_y:u\n"
    )


LISTED = [("Host", "a:80"), ("X-Amz-Date", "20130524T000000Z"), ("x-amz-meta-%s", "%d")]


@pytest.mark.parametrize(
    "sent",
    [
        LISTED,
        LISTED[:1],
        [*LISTED, ("host", "b")],
        [("Host", "a  b "), *LISTED[1:]],
        [("Host", "a\tb"), *LISTED[1:]],
    ],
)
@pytest.mark.parametrize("listed", ["host", "host;x-amz-date;x-amz-meta-%s", "host;x_y"])
def test_a_known_list_makes_the_same_lines(listed, sent):
    request = Request(environ_of("GET", "/", sent))
    signed = canonical.SignedHeaders(listed)
    keys = canonical.header_keys(listed)
    for host in (None, "c"):
        assert signed.lines(request, host) == canonical.canonical_headers(request, keys, host)


def test_an_amz_header_that_is_not_in_the_list_is_told_however_often_it_is_asked():
    signed = canonical.SignedHeaders("host;x-amz-date")
    good = Request(environ_of("GET", "/", [("X-Amz-Date", "x"), ("Host", "h"), ("Range", "r")]))
    bad = Request(environ_of("GET", "/", [("X-AMZ-Date", "x"), ("x-Amz-Acl", "h")]))
    for _ in range(3):
        assert signed.left_out(good) == []
        assert signed.left_out(bad) == ["x-amz-acl"]
    foreign = dict(bad.environ)
    del foreign["headers_raw"]
    assert signed.left_out(Request(foreign)) == ["x-amz-acl"]


def test_another_host_can_be_tried():
    request = Request(environ_of("GET", "/", [("Host", "a:80"), ("Range", "x")]))
    keys = canonical.header_keys("host;range")
    assert canonical.canonical_headers(request, keys, "a") == "host:a\nrange:x\n"


def test_a_non_breaking_space_of_latin_1_is_no_blank():
    assert canonical.trimmed("a \xa0\x85  b ") == "a \xa0\x85 b"
