from email.header import decode_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import headers
from s3filters.s3.errors import S3Error


def wire(text):
    """A header value of UTF-8 bytes, as WSGI shows it."""
    return text.encode().decode("latin-1")


def stored(*pairs, **environ):
    return headers.read({"headers_raw": list(pairs), **environ})


def test_standard_headers_are_kept_as_they_came():
    found = stored(
        CONTENT_TYPE="text/html; charset=utf-8",
        HTTP_CACHE_CONTROL="no-cache",
        HTTP_CONTENT_DISPOSITION=wire('attachment; filename="é.txt"'),
        HTTP_CONTENT_ENCODING="gzip",
        HTTP_CONTENT_LANGUAGE="de",
        HTTP_EXPIRES="never",
        HTTP_X_AMZ_WEBSITE_REDIRECT_LOCATION="/other",
        HTTP_ACCEPT="*/*",
    )
    assert found.standard == {
        "content-type": "text/html; charset=utf-8",
        "cache-control": "no-cache",
        "content-disposition": 'attachment; filename="é.txt"',
        "content-encoding": "gzip",
        "content-language": "de",
        "expires": "never",
        "website-redirect-location": "/other",
    }
    assert dict(headers.answered(found.standard, {}))["Content-Disposition"] == wire(
        'attachment; filename="é.txt"'
    )


def test_an_object_without_a_type_has_the_one_of_s3():
    assert stored().standard == {"content-type": "binary/octet-stream"}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("aws-chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip, aws-chunked", "gzip"),
        ("AWS-CHUNKED", None),
        ("gzip,br", "gzip,br"),
        (",", None),
    ],
)
def test_aws_chunked_describes_the_request_and_is_not_stored(sent, kept):
    assert stored(HTTP_CONTENT_ENCODING=sent).standard.get("content-encoding") == kept


def test_names_of_user_metadata_are_lower_case_and_keep_underscores():
    found = stored(("X-Amz-Meta-FooBar", "1"), ("x-amz-meta-foo_bar", "2"), ("x-amz-metb", "3"))
    assert found.user == {"foobar": "1", "foo_bar": "2"}


def test_a_repeated_name_is_joined():
    assert stored(("x-amz-meta-a", "1"), ("X-AMZ-META-A", "2")).user == {"a": "1,2"}


def test_without_raw_headers_the_environ_has_to_do():
    assert headers.read({"HTTP_X_AMZ_META_FOO_BAR": "1"}).user == {"foo-bar": "1"}


def test_user_metadata_may_be_2_kib_of_utf8():
    assert stored(("x-amz-meta-ab", "x" * 2046)).user
    for name, value in (("ab", "x" * 2047), ("ab", wire("é" * 1024)), ("ab", "")):
        if value:
            with pytest.raises(S3Error) as caught:
                stored((f"x-amz-meta-{name}", value))
            assert caught.value.code == "MetadataTooLarge"
            assert caught.value.detail["MaxSizeAllowed"] == 2048


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("plain", "plain"),
        (wire("grüße"), "grüße"),
        ("gr\xfc\xdfe", "grüße"),
        ("=?UTF-8?B?Z3LDvMOfZQ==?=", "grüße"),
        ("=?utf-8?q?gr=C3=BC=C3=9Fe_x?=", "grüße x"),
        ("=?iso-8859-1?q?gr=FC=DFe?=", "grüße"),
        ("a =?UTF-8?B?w7w=?= b", "a ü b"),
        ("=?utf-8?q?a?= =?utf-8?q?b?= c", "ab c"),
        ("=?nonsense", "=?nonsense"),
        ("=?klingon?q?x?=", "=?klingon?q?x?="),
        ("=?utf-8?b?!?=", "=?utf-8?b?!?="),
        ("=?utf-8?q?=FF?=", "=?utf-8?q?=FF?="),
    ],
)
def test_text_is_read_as_utf8_latin1_or_rfc_2047(sent, kept):
    assert stored(("x-amz-meta-a", sent)).user == {"a": kept}


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("plain text", "plain text"),
        ("", ""),
        # the example of AWS, "Working with object metadata": ÄMÄZÕÑ S3 in UTF-8, read as Latin-1
        (wire("ÄMÄZÕÑ S3"), "=?UTF-8?B?w4PChE3Dg8KEWsODwpXDg8KRIFMz?="),
        ("Hello Wörld", "=?UTF-8?Q?Hello_W=C3=B6rld?="),
        ("ключ", "=?UTF-8?B?0LrQu9GO0Yc=?="),
    ],
)
def test_text_that_is_not_ascii_is_sent_as_rfc_2047(text, sent):
    assert headers.user_header("a", text) == ("x-amz-meta-a", sent)


@given(st.text(st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_user_metadata_comes_back_and_is_a_sound_header(text):
    _, value = headers.user_header("a", text)
    assert value.isascii() and value.isprintable()
    if value == text:
        return
    ((word, charset),) = decode_header(value)
    assert word.decode(charset) == text


@given(st.text(max_size=40))
def test_what_another_program_stored_cannot_forge_a_header(text):
    for _, value in headers.answered({"content-type": text}, {"a": text}):
        value.encode("latin-1")
        assert not set(value) & set("\r\n\0")


def test_names_that_no_header_can_have_are_counted():
    got = headers.answered({"unknown": "x"}, {"good": "1", "b ad": "2", "wörse": "3", "": "4"})
    assert got == [("x-amz-meta-good", "1"), ("x-amz-missing-meta", "3")]


@pytest.mark.parametrize(
    "name", ["STANDARD", "STANDARD_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]
)
def test_storage_classes_are_kept(name):
    assert stored(HTTP_X_AMZ_STORAGE_CLASS=name).storage_class == name


def test_an_unknown_storage_class_is_refused():
    with pytest.raises(S3Error) as caught:
        stored(HTTP_X_AMZ_STORAGE_CLASS="LUKEWARM")
    assert caught.value.code == "InvalidStorageClass"


def test_a_cold_class_needs_something_that_makes_it_true():
    cold, warm = stored(HTTP_X_AMZ_STORAGE_CLASS="GLACIER"), stored()
    headers.check_class(warm, tiered=False)
    headers.check_class(cold, tiered=True)
    with pytest.raises(S3Error) as caught:
        headers.check_class(cold, tiered=False)
    assert caught.value.code == "InvalidStorageClass"
