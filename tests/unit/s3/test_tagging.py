from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import tagging
from s3filters.s3.errors import S3Error
from s3filters.s3.headers import read


def refused(function, *args):
    with pytest.raises(S3Error) as caught:
        function(*args)
    return caught.value


def document(*pairs):
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()


TEXT = st.text(st.characters(categories=["L", "N", "Zs"]) | st.sampled_from("+-=._:/@"))
TAGS = st.dictionaries(
    TEXT.filter(lambda key: 0 < len(key) <= 64 and key[:4].lower() != "aws:"),
    TEXT.filter(lambda value: len(value) <= 128),
    max_size=10,
)


@given(TAGS)
def test_tags_come_back_from_both_forms_as_they_were(tags):
    assert tagging.parse(tagging.render(tags)) == tags
    assert tagging.from_header(urlencode(tags)) == (tags or None)
    assert tagging.from_header(urlencode(tags, quote_via=quote)) == (tags or None)


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", None),
        ("&", None),
        ("a=b", {"a": "b"}),
        ("z=1&a=2", {"z": "1", "a": "2"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=b=c&&", {"a": "b=c"}),
        ("a+b=%2B%3D", {"a b": "+="}),
        ("%C3%A9=%E4%B8%AD", {"é": "中"}),
        ("x:aws:y=1", {"x:aws:y": "1"}),
    ],
)
def test_a_header_is_a_form(header, tags):
    found = tagging.from_header(header)
    assert found == tags
    assert found is None or list(found) == list(tags)


@pytest.mark.parametrize("header", ["a=1&a=2", "a=1&a=1", "=b", "a=%ff", "%ff=a"])
def test_a_header_that_is_no_form_of_different_names_is_refused(header):
    error = refused(tagging.from_header, header)
    assert error.code == "InvalidArgument"
    assert error.detail == {"ArgumentName": "x-amz-tagging", "ArgumentValue": header}


@pytest.mark.parametrize(
    "key", ["k" * 129, "\U00010428" * 65, "a,b", "a!", "a\tb", "a*", "%zz", "😀", "a\u0345"]
)
def test_a_key_that_no_tag_has_is_refused(key):
    for error in (
        refused(tagging.from_header, f"{quote(key)}=v"),
        refused(tagging.parse, document((key, "v"))),
    ):
        assert (error.code, error.message) == (
            "InvalidTag",
            "The TagKey you have provided is invalid",
        )
        assert error.detail == {"TagKey": key}


@pytest.mark.parametrize("value", ["v" * 257, "\U00010428" * 129, "a;b", "a?"])
def test_a_value_that_no_tag_has_is_refused(value):
    error = refused(tagging.parse, document(("k", value)))
    assert (error.code, error.detail) == ("InvalidTag", {"TagKey": "k", "TagValue": value})


def test_the_longest_key_and_value_are_taken():
    tags = {"k" * 128: "v" * 256, "é" * 128: "é" * 256, "\U00010428" * 64: "\U00010428" * 128}
    assert tagging.parse(tagging.render(tags)) == tags


@pytest.mark.parametrize("key", ["aws:a", "AWS:a", "Aws:"])
def test_names_of_aws_are_refused(key):
    error = refused(tagging.from_header, f"{key}=1")
    assert (error.code, error.message) == ("InvalidTag", "Your TagKey cannot be prefixed with aws:")
    error = refused(tagging.parse, document((key, "1")), tagging.BUCKET)
    assert error.message == "System tags cannot be added/updated by requester"


@pytest.mark.parametrize(("kind", "most"), [(tagging.OBJECT, 10), (tagging.BUCKET, 50)])
def test_an_object_has_at_most_10_tags_and_a_bucket_50(kind, most):
    tags = {str(number): "" for number in range(most)}
    assert tagging.parse(tagging.render(tags), kind) == tags
    error = refused(tagging.parse, tagging.render(tags | {"more": ""}), kind)
    assert (error.code, error.status) == ("BadRequest", 400)
    assert refused(tagging.from_header, "&".join(map(str, range(11)))).code == "BadRequest"


def test_a_document_names_a_key_once():
    error = refused(tagging.parse, document(("a", "1"), ("a", "1")))
    assert (error.code, error.message) == (
        "InvalidTag",
        "Cannot provide multiple Tags with the same key",
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<Tagging/>",
        b"<Tagging><TagSet/><TagSet/></Tagging>",
        b"<Tagging><Tag/></Tagging>",
        b"<Tagging><TagSet><Key/></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Value>a</Value></Tag></TagSet></Tagging>",
        b"<Tagging><TagSet><Tag><Key>a</Key><Value/><Colour/></Tag></TagSet></Tagging>",
        b"<TagSet/>",
    ],
)
def test_a_document_that_is_not_understood_whole_is_refused(data):
    assert refused(tagging.parse, data).code == "MalformedXML"


def test_the_header_of_a_put_is_read():
    assert read({"HTTP_X_AMZ_TAGGING": "a=%C3%A9"}).tags == {"a": "é"}
    assert read({"HTTP_X_AMZ_TAGGING": ""}).tags is None
    assert read({}).tags is None
