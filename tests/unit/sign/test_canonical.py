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


def test_another_host_can_be_tried():
    request = Request(environ_of("GET", "/", [("Host", "a:80"), ("Range", "x")]))
    keys = canonical.header_keys("host;range")
    assert canonical.canonical_headers(request, keys, "a") == "host:a\nrange:x\n"


def test_a_non_breaking_space_of_latin_1_is_no_blank():
    assert canonical.trimmed("a \xa0\x85  b ") == "a \xa0\x85 b"
