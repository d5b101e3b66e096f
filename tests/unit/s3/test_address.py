from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import address
from s3filters.s3.errors import S3Error

DOMAINS = (".s3.example.org", ".localhost")


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("", (None, None)),
        ("/", (None, None)),
        ("/b", ("b", None)),
        ("/b/", ("b", None)),
        ("/b/k", ("b", "k")),
        ("/b/k/", ("b", "k/")),
        ("/b//k", ("b", "/k")),
        ("//k", ("", "k")),
        ("/b/a b+c%", ("b", "a b+c%")),
        ("/b/\xc3\xa9", ("b", "é")),
    ],
)
def test_a_path_names_bucket_and_key(path, named):
    assert address.of_path(path) == named


@pytest.mark.parametrize("path", ["/b/\xe9", "/b/\xc3", "/\xff/k", "/b/\xed\xa0\x80", "*"])
def test_a_path_that_is_not_utf8_names_nothing(path):
    with pytest.raises(S3Error) as caught:
        address.of_path(path)
    assert caught.value.code == "InvalidURI"


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_every_key_comes_through_a_path(key):
    assert address.of_path("/b/" + key.encode().decode("latin-1")) == ("b", key)
    assert address.key_of_path("/" + key.encode().decode("latin-1")) == key


@pytest.mark.parametrize(
    ("host", "bucket"),
    [
        ("photos.s3.example.org", "photos"),
        ("photos.s3.example.org:9900", "photos"),
        ("a.b.localhost", "a.b"),
        ("Photos.S3.Example.ORG.", "photos"),
        ("s3.example.org", None),
        ("localhost:80", None),
        ("[::1]:80", None),
        (".s3.example.org", None),
        ("", None),
        ("photoss3.example.org", None),
        ("127.0.0.1:9900", None),
    ],
)
def test_a_host_below_a_domain_names_the_bucket(host, bucket):
    assert address.bucket_of_host(host, DOMAINS) == bucket


def test_a_query_is_decoded_and_its_first_word_counts():
    assert address.query("a=1&b&c=%2B+%C3%A9&a=2&&=x&d=e=f") == {
        "a": "1",
        "b": "",
        "c": "+ é",
        "": "x",
        "d": "e=f",
    }
    assert address.query("a=" + "x" * 5000)["a"] == "x" * 5000
    assert address.query("a=\xc3\xa9") == {"a": "é"}


@pytest.mark.parametrize("text", ["a=%FF", "%FF=a", "a=\xff"])
def test_a_query_that_is_not_utf8_is_refused(text):
    with pytest.raises(S3Error):
        address.query(text)


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("b/k", ("b", "k", None)),
        ("/b/k", ("b", "k", None)),
        ("b/a%2Fb%20c", ("b", "a/b c", None)),
        ("%2Fb%2Fk", ("b", "k", None)),
        ("b/k?versionId=v1", ("b", "k", "v1")),
        ("b/a+b", ("b", "a b", None)),
        ("b/a%2Bb", ("b", "a+b", None)),
        ("b/a%3FversionId=x", ("b", "a?versionId=x", None)),
        ("b/a?b", ("b", "a?b", None)),
        ("b/\xc3\xa9", ("b", "é", None)),
        ("b//k", ("b", "/k", None)),
    ],
)
def test_a_copy_source_names_bucket_key_and_version(header, named):
    assert address.of_copy_source(header) == named


@pytest.mark.parametrize("header", ["", "/", "b", "b/", "/b", "b/%FF", "b/\xff", "b/k?versionId="])
def test_a_copy_source_without_a_key_is_refused(header):
    with pytest.raises(S3Error) as caught:
        address.of_copy_source(header)
    assert caught.value.detail["ArgumentName"] == "x-amz-copy-source"


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_every_key_comes_through_a_copy_source(key):
    if not key.startswith("/"):
        assert address.of_copy_source("b/" + quote(key, safe="")) == ("b", key, None)
