"""Fields of a form stand where the headers of a PUT stand, and nothing else of the request does."""

import io

import pytest

from s3filters.s3 import fields
from s3filters.s3.errors import S3Error
from s3filters.s3.form import FilePart, Form, PostedFile
from tests import forms

DOMAINS = (".s3.test",)


def environ_of(said, **more):
    body = said if isinstance(said, bytes) else forms.form(said)
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/box",
        "QUERY_STRING": "",
        "HTTP_HOST": "127.0.0.1:9900",
        "CONTENT_TYPE": forms.TYPE,
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
    } | more


def received(said, **more):
    environ = environ_of(said, **more)
    posted = fields.receive(environ, len(environ["wsgi.input"].getvalue()))
    assert environ["wsgi.input"] is posted
    assert isinstance(posted, PostedFile)
    return environ, posted.form


def refused(said, **more):
    with pytest.raises(S3Error) as caught:
        received(said, **more)
    return caught.value


# --- which request it is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "is_one"),
    [
        ({}, True),
        ({"QUERY_STRING": "x-id=PostObject"}, True),
        ({"PATH_INFO": "/box/"}, True),
        ({"PATH_INFO": "/", "HTTP_HOST": "box.s3.test"}, True),
        ({"PATH_INFO": "/box/key"}, False),
        ({"PATH_INFO": "/"}, False),
        ({"QUERY_STRING": "delete"}, False),
        ({"CONTENT_TYPE": "application/xml"}, False),
        ({"HTTP_X_AMZ_REQUEST_ROUTE": "r"}, False),
    ],
    ids=str,
)
def test_a_form_is_posted_to_a_bucket(changed, is_one):
    assert fields.posts(environ_of({}, **changed), DOMAINS) is is_one


def test_words_that_make_no_operation_are_refused_as_routing_does():
    with pytest.raises(S3Error, match="MethodNotAllowed"):
        fields.posts(environ_of({}, QUERY_STRING="cors"), DOMAINS)


# --- fields as headers -------------------------------------------------------------------------


def test_fields_become_headers():
    said = {
        "key": "k",
        "Content-Type": " text/plain ",
        "Cache-Control": "no-cache",
        "Content-MD5": "x",
        "X-Amz-Meta-Colour": "grün",
        "x-amz-checksum-crc32": "y",
        "acl": "private",
        "colour": "no header",
        "x-ignore-this": "no header",
    }
    environ, _ = received(said)
    assert environ["CONTENT_TYPE"] == "text/plain"
    assert environ["HTTP_CACHE_CONTROL"] == "no-cache"
    assert environ["HTTP_CONTENT_MD5"] == "x"
    assert environ["HTTP_X_AMZ_META_COLOUR"] == "grün".encode().decode("latin-1")
    assert environ["HTTP_X_AMZ_CHECKSUM_CRC32"] == "y"
    assert environ["HTTP_X_AMZ_ACL"] == "private"
    assert not {"HTTP_KEY", "HTTP_COLOUR", "HTTP_X_IGNORE_THIS", "HTTP_ACL"} & environ.keys()


def test_what_signs_becomes_no_header():
    environ, posted = received(forms.signed_v4({"key": "k"}) | {"x-amz-security-token": "t"})
    shown = {key for key in environ if key.startswith("HTTP_X_AMZ_")}
    assert shown == {"HTTP_X_AMZ_DATE"}
    assert {"policy", "x-amz-signature", "x-amz-security-token"} <= posted.fields.keys()


def test_headers_of_the_request_that_speak_of_objects_are_taken_away():
    environ, _ = received(
        {"key": "k"},
        HTTP_X_AMZ_ACL="public-read",
        HTTP_X_AMZ_META_A="b",
        HTTP_X_AMZ_EXPECTED_BUCKET_OWNER="me",
        HTTP_CACHE_CONTROL="no-cache",
        HTTP_ORIGIN="https://app.example",
        headers_raw=[("X-Amz-Meta-A", "b"), ("Origin", "o"), ("cache-control", "no-cache")],
    )
    assert environ["HTTP_X_AMZ_EXPECTED_BUCKET_OWNER"] == "me"
    assert environ["HTTP_ORIGIN"] == "https://app.example"
    gone = {"HTTP_X_AMZ_ACL", "HTTP_X_AMZ_META_A", "HTTP_CACHE_CONTROL", "CONTENT_TYPE"}
    assert not gone & environ.keys()
    assert environ["headers_raw"] == [("Origin", "o")]


def test_metadata_whose_name_has_an_underscore_is_kept_where_it_can_be_told_apart():
    environ, _ = received({"key": "k", "x-amz-meta-a_b": "c"}, headers_raw=[])
    assert environ["headers_raw"] == [("x-amz-meta-a_b", "c")]
    assert "HTTP_X_AMZ_META_A_B" not in environ


def test_tags_become_a_header():
    document = "<Tagging><TagSet><Tag><Key>a b</Key><Value>ü=1</Value></Tag></TagSet></Tagging>"
    environ, _ = received({"key": "k", "tagging": document})
    assert environ["HTTP_X_AMZ_TAGGING"] == "a+b=%C3%BC%3D1"
    assert "HTTP_X_AMZ_TAGGING" not in received({"key": "k", "tagging": ""})[0]


@pytest.mark.parametrize(
    "field",
    [
        {"x-amz-meta-a": "\0"}, {"x-amz-meta-a": "a\r\nb"}, {"x-amz-meta-a": "\x7f"},
        {"content-type": "a\nb"}, {"x-amz-meta-a b": "c"}, {"x-amz-meta-ü": "c"},
        {"x-amz-meta-a:b": "c"}, {"x-amz-" + "a" * 300: "c"}, {"acl": "\x01"},
    ],
    ids=range(9),
)  # fmt: skip
def test_a_field_that_can_be_no_header_is_refused(field):
    assert refused({"key": "k", **field}).code == "InvalidArgument"


@pytest.mark.parametrize("value", ["a\tb", "", "grün", '"quoted"'])
def test_other_text_is_let_through(value):
    assert "HTTP_X_AMZ_META_A" in received({"key": "k", "x-amz-meta-a": value})[0]


def test_a_form_needs_a_key():
    error = refused({"acl": "private"})
    assert (error.code, error.detail["ArgumentName"]) == ("InvalidArgument", "key")


def test_a_request_without_a_form_is_refused():
    assert refused({"key": "k"}, CONTENT_TYPE="text/plain").code == "PreconditionFailed"


def test_the_name_of_the_file_takes_the_place_of_every_word_for_it():
    said = forms.form({"key": "${filename}/${filename}"}, b"x", "a/b.txt")
    assert received(said)[1].fields["key"] == "b.txt/b.txt"


# --- success -----------------------------------------------------------------------------------


def success(environ=(), **said):
    posted = Form({"key": "a/b c", **said}, "", FilePart(None, b""))
    return fields.success(environ_of({}, **dict(environ)), posted)


def test_by_default_success_is_told_by_a_status_alone():
    assert success() == {
        "Location": "http://127.0.0.1:9900/box/a/b%20c",
        "SuccessActionRedirect": None,
        "SuccessActionStatus": 204,
    }


@pytest.mark.parametrize(
    ("environ", "location"),
    [
        ({"PATH_INFO": "/box/"}, "http://127.0.0.1:9900/box/a/b%20c"),
        ({"PATH_INFO": "/", "HTTP_HOST": "box.s3.test"}, "http://box.s3.test/a/b%20c"),
        ({"wsgi.url_scheme": "https", "SCRIPT_NAME": "/s3"},
         "https://127.0.0.1:9900/s3/box/a/b%20c"),
        ({"HTTP_HOST": "", "SERVER_NAME": "here"}, "http://here/box/a/b%20c"),
    ],
)  # fmt: skip
def test_the_location_is_where_the_request_went(environ, location):
    assert success(environ)["Location"] == location


@pytest.mark.parametrize(
    ("text", "status"), [("200", 200), ("201", 201), ("204", 204), ("202", 204), ("", 204)]
)
def test_three_statuses_can_be_asked_for(text, status):
    assert success(success_action_status=text)["SuccessActionStatus"] == status


def test_the_newer_name_of_the_redirect_comes_first():
    both = {"success_action_redirect": "https://new.example", "redirect": "https://old.example"}
    assert success(**both)["SuccessActionRedirect"] == "https://new.example"
    assert success(redirect=both["redirect"])["SuccessActionRedirect"] == "https://old.example"


@pytest.mark.parametrize(
    "url", ["", "/done", "done", "ftp://a", "http:", "http://", "http://a\r\nb", "http://[", "//a"]
)
def test_what_is_no_url_is_not_gone_to(url):
    assert success(success_action_redirect=url)["SuccessActionRedirect"] is None


@pytest.mark.parametrize(
    ("url", "to"),
    [
        ("http://a", "http://a?bucket=b&key=k%20%26%2Fl&etag=%22e%22"),
        ("http://a/?x=1", "http://a/?x=1&bucket=b&key=k%20%26%2Fl&etag=%22e%22"),
        ("http://a/b#c", "http://a/b?bucket=b&key=k%20%26%2Fl&etag=%22e%22#c"),
    ],
)
def test_a_redirect_says_what_was_stored(url, to):
    assert fields.redirected(url, "b", "k &/l", '"e"') == to
