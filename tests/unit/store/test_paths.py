"""Names: the mapping is the identity, or a refusal."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import paths
from s3filters.store.errors import InvalidArgument, KeyTooLongError, NoSuchBucket


@pytest.mark.parametrize(
    "key", ["a", "a/b", "a b", "é/雪", ".a", "a/.b", "a/..b", "...", "a..b/c."]
)
def test_a_key_is_its_path_byte_for_byte(key):
    assert paths.path_of("box", key) == b"box/" + key.encode()


def test_a_directory_key_loses_the_slash_at_its_end():
    assert paths.path_of("box", "a/b/") == b"box/a/b"


@pytest.mark.parametrize(
    "key",
    ["", "/", "/a", "a//b", "a//", ".", "..", "./a", "../a", "a/..", "a/../b", "a/./b", "a\0b"],
)
def test_a_key_that_would_alias_another_name_is_refused(key):
    with pytest.raises(InvalidArgument):
        paths.path_of("box", key)


@pytest.mark.parametrize(
    "key",
    [
        ".sgwtmp",
        ".sgwtmp/",
        ".sgwtmp/lock",
        "a/.sgwtmp/b",
        "a/.sgwtmp",
        ".a.sgwtmp.123",
        "a/.b c.sgwtmp.1/x",
        "..sgwtmp.1",
    ],
)
def test_names_of_the_store_itself_are_unreachable(key):
    with pytest.raises(InvalidArgument):
        paths.path_of("box", key)


@pytest.mark.parametrize("key", [".sgwtmp2", "sgwtmp", "x.sgwtmp.1", ".a.sgwtmp.", ".a.sgwtmp.1x"])
def test_names_that_only_look_like_the_stores_own_are_keys(key):
    assert paths.path_of("box", key) == b"box/" + key.encode()


def test_a_part_of_255_bytes_fits_and_one_of_256_does_not():
    longest = "é" * 127 + "x"
    assert paths.path_of("box", f"a/{longest}/{longest}").endswith(longest.encode())
    with pytest.raises(KeyTooLongError) as refused:
        paths.path_of("box", "a/" + "é" * 128)
    assert refused.value.detail == {"Size": 256, "MaxSizeAllowed": 255}


def test_a_key_that_is_not_unicode_text_is_refused():
    with pytest.raises(InvalidArgument):
        paths.path_of("box", "a\udc80")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "ab",
        "A" * 3,
        ".ab",
        "ab.",
        "-ab",
        "a/b",
        "..",
        "a..b",
        "a" * 64,
        "10.0.0.1",
        "abc\n",
    ],
)
def test_what_is_no_bucket_name_is_no_bucket(name):
    with pytest.raises(NoSuchBucket):
        paths.path_of(name, "key")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_path_leads_back_to_its_key_and_never_out_of_the_bucket(key):
    try:
        path = paths.path_of("box", key)
    except (InvalidArgument, KeyTooLongError):
        return
    assert path.decode() == "box/" + key.removesuffix("/")
    assert os.path.normpath(path) == path
    assert b".sgwtmp" not in path.split(b"/")
