import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import rules
from s3filters.s3.errors import S3Error


def code(check, *args, **kwargs):
    try:
        check(*args, **kwargs)
    except S3Error as error:
        return error.code
    return None


@pytest.mark.parametrize(
    "name", ["abc", "a-b", "1.2", "a" * 63, "my.bucket-1", "256.256.256", "0a0"]
)
def test_good_bucket_names(name):
    assert code(rules.check_new_bucket, name) is None
    assert code(rules.check_bucket, name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "ab",
        "a" * 64,
        "Abc",
        "a_b",
        "-ab",
        "ab-",
        ".ab",
        "ab.",
        "a..b",
        "1.2.3.4",
        "a/b",
        "a\0b",
        "ключ",
        "xn--abc",
        "sthree-abc",
        "abc-s3alias",
        "abc--ol-s3",
        "abc--x-s3",
        "abc\n",
        "..",
        ".sgwtmp",
    ],
)
def test_bad_bucket_names(name):
    assert code(rules.check_new_bucket, name) == "InvalidBucketName"


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("Abc", "NoSuchBucket"),
        ("a_b", "NoSuchBucket"),
        (".sgwtmp", "NoSuchBucket"),
        ("ab", "NoSuchBucket"),
        ("..", "InvalidBucketName"),
        (".", "InvalidBucketName"),
        ("a\0b", "InvalidBucketName"),
        ("", "InvalidBucketName"),
        ("ü" * 5, "InvalidBucketName"),
        ("xn--abc", None),
    ],
)
def test_a_bucket_that_cannot_be_is_not_there(name, error):
    assert code(rules.check_bucket, name) == error


@pytest.mark.parametrize(
    "key",
    [
        "a",
        "a/b",
        "a/",
        "a/b/",
        ".a",
        "a.",
        "..a",
        "a..",
        ".../a",
        "a/...",
        "a/.b",
        "a b",
        "a+b",
        "a%2Fb",
        "a\nb",
        "ключ",
        "é",
        "\x01",
        "a:b",
        "~",
        "-",
        "sgwtmp",
        ".sgwtmpx",
        ".sgwtmp\n",
        "a.sgwtmp",
        "x" * 1024,
    ],
)
def test_good_keys(key):
    assert code(rules.check_key, key) is None
    assert code(rules.check_key, key, write=True) is None


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "//",
        "a//b",
        "a//",
        ".",
        "..",
        "./a",
        "../a",
        "a/.",
        "a/..",
        "a/./b",
        "a/../b",
        "./",
        "../",
        "a/b/..",
        "\0",
        "a\0b",
    ],
)
def test_keys_that_would_alias_another_are_refused(key):
    with pytest.raises(S3Error) as caught:
        rules.check_key(key)
    assert caught.value.code == "InvalidArgument"
    assert caught.value.detail["ArgumentName"] == "key"
    assert caught.value.detail["ArgumentValue"] == key


def test_the_message_says_why():
    assert "//" in refusal_of("a//b").message
    assert ".." in refusal_of("a/../b").message
    assert "NUL" in refusal_of("a\0b").message


def refusal_of(key):
    with pytest.raises(S3Error) as caught:
        rules.check_key(key)
    return caught.value


@pytest.mark.parametrize(
    "key",
    [
        ".sgwtmp",
        ".sgwtmp/",
        ".sgwtmp/multipart/x",
        "a/.sgwtmp/b",
        "a/.sgwtmp",
        ".name.sgwtmp.1234567890",
        "a/.b.sgwtmp.1/c",
    ],
)
def test_names_that_storage_keeps_for_itself_are_not_there_and_cannot_be_written(key):
    assert code(rules.check_key, key) == "NoSuchKey"
    assert code(rules.check_key, key, write=True) == "AccessDenied"


def test_a_key_has_at_most_1024_bytes_of_utf8():
    assert code(rules.check_key, "é" * 512) is None
    error = refusal_of("é" * 512 + "x")
    assert (error.code, error.detail) == ("KeyTooLongError", {"Size": 1025, "MaxSizeAllowed": 1024})


@given(st.text(st.sampled_from("ab./\0"), max_size=8))
def test_a_key_is_good_exactly_when_it_is_its_own_normal_form(key):
    parts = key.split("/")
    names = parts[:-1] if len(parts) > 1 and parts[-1] == "" else parts
    good = all(name not in ("", ".", "..") for name in names) and "\0" not in key
    assert (code(rules.check_key, key) is None) == good
