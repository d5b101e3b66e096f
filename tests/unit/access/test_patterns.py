import fnmatch
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.access.context import Context
from s3filters.access.patterns import Patterns, is_fixed
from s3filters.access.principals import Requester
from s3filters.s3.errors import S3Error

ALICE = Context({"QUERY_STRING": "prefix=a*b"}, Requester("id-a", name="alice"))


def oracle(pattern, text):
    """Match by trying everything."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(oracle(pattern[1:], text[i:]) for i in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and oracle(pattern[1:], text[1:])


@given(st.lists(st.text("ab*?", max_size=7), max_size=3), st.text("ab\n", max_size=9))
def test_wildcards_match_as_by_trying_everything(patterns, text):
    wanted = any(oracle(pattern, text) for pattern in patterns)
    assert Patterns(patterns).match(text) is wanted


@given(st.text(max_size=20))
def test_a_text_without_wildcards_matches_itself_alone(text):
    if is_fixed(text) and "${" not in text:
        assert Patterns((text,)).match(text)
        assert not Patterns((text,)).match(text + "x")


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("home/${aws:username}/*", "home/alice/x", True),
        ("home/${aws:username}/*", "home/bob/x", False),
        ("home/${ aws:UserName }/*", "home/alice/x", True),
        ("${aws:userid}", "id-a", True),
        ("${s3:prefix}", "a*b", True),
        ("${s3:prefix}", "axb", False),  # a value's star is a letter
        ("x${*}", "x*", True),
        ("x${*}", "xy", False),
        ("x${?}${$}", "x?$", True),
        ("x-${aws:referer, 'none'}", "x-none", True),
        ("x-${aws:referer}", "x-", False),
        ("x-${s3:x-amz-acl}*", "x-anything", False),
    ],
)
def test_variables_take_the_value_of_the_request(pattern, text, matches):
    assert Patterns((pattern,)).match(text, ALICE) is matches


@given(st.text("ab*?V", max_size=7), st.text("ab", max_size=2), st.text("ab\n", max_size=9))
def test_what_a_variable_stands_for_matches_as_if_it_were_written(pattern, value, text):
    request = Context({"HTTP_REFERER": value})
    made = Patterns(("${aws:referer}" + pattern.replace("V", "${aws:referer}"),))
    assert made.match(text, request) is oracle(value + pattern.replace("V", value), text)


def test_values_that_clients_choose_are_neither_compiled_nor_kept():
    made = Patterns(["*" + "${aws:referer}*" * 40 + "b" + "?" * 40 for _ in range(5)])
    made.match("a" * 8000, Context({"HTTP_REFERER": "a"}))
    tracemalloc.start()
    began = time.process_time()
    for number in range(10):
        assert not made.match("a" * 8000, Context({"HTTP_REFERER": str(number) * 2000}))
    took_s, (kept, _) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (kept < 1 << 20, took_s < 2) == (True, True)


def test_variables_are_text_where_they_are_off():
    assert Patterns(("${aws:username}",), variables=False).match("${aws:username}")
    assert Patterns(("a${*}",), variables=False).match("a${zz}")


@pytest.mark.parametrize(
    "text",
    ["${aws:nothing}", "${}", "${aws:username", "${s3:requestobjecttagkeys}", "${a,b}", "${${*}}"],
)
def test_an_unknown_variable_is_refused(text):
    with pytest.raises(S3Error, match="MalformedPolicy"):
        Patterns((text,))


def test_case_is_folded_everywhere_where_asked():
    folded = Patterns(("AbC", "Ab*", "x${aws:userid}"), fold=True)
    assert folded.match("aBc", ALICE)
    assert folded.match("aBzz", ALICE)
    assert folded.match("XID-A", ALICE)
    assert not folded.match("b", ALICE)


def test_many_stars_cost_little():
    stars = Patterns(("*a" * 200 + "b",))
    began = time.perf_counter()
    assert not stars.match("a" * 1024)
    assert time.perf_counter() - began < 0.5
    assert fnmatch.fnmatchcase("a" * 300 + "b", "*a" * 200 + "b")
    assert stars.match("a" * 300 + "b")
