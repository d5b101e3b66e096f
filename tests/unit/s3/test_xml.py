import gc

import pytest
from defusedxml.ElementTree import DefusedXMLParser
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import xml
from s3filters.s3.errors import S3Error

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def test_a_listing_is_rendered_byte_for_byte():
    tree = {
        "Name": "bucket",
        "Prefix": "",
        "MaxKeys": 1000,
        "IsTruncated": False,
        "NextMarker": None,
        "Contents": [
            {"Key": 'a&<b>"', "Size": 5, "Owner": {"ID": "me"}},
            {"Key": "ключ", "Size": 0},
        ],
        "CommonPrefixes": [],
    }
    assert xml.render("ListBucketResult", tree).decode() == (
        f"{HEAD}<ListBucketResult {XMLNS}><Name>bucket</Name><Prefix></Prefix>"
        "<MaxKeys>1000</MaxKeys>"
        "<IsTruncated>false</IsTruncated>"
        "<Contents><Key>a&amp;&lt;b&gt;&quot;</Key><Size>5</Size><Owner><ID>me</ID></Owner></Contents>"
        "<Contents><Key>ключ</Key><Size>0</Size></Contents></ListBucketResult>"
    )


def test_a_root_may_hold_text_or_nothing():
    assert xml.render("LocationConstraint", "eu-west-1").decode() == (
        f"{HEAD}<LocationConstraint {XMLNS}>eu-west-1</LocationConstraint>"
    )
    assert xml.render("VersioningConfiguration", {}) == xml.render("VersioningConfiguration", None)


def test_a_list_of_texts_repeats_its_element_in_place():
    assert xml.render("A", {"B": ["1", "2", None], "C": True}, namespace=None).decode() == (
        f"{HEAD}<A><B>1</B><B>2</B><C>true</C></A>"
    )


def test_control_characters_become_references_as_aws_writes_them():
    assert xml.escape("a\0b\x1fc\rd\te\nf\ud800") == "a&#x0;b&#x1f;c&#xd;d\te\nf&#xd800;"


def test_a_document_is_parsed_with_and_without_its_namespace():
    for attribute in ("", " " + XMLNS, ' xmlns:x="urn:x"'):
        root = xml.parse(f"<Delete{attribute}><Quiet>true</Quiet></Delete>".encode(), "Delete")
        assert xml.text_of(root, "Quiet") == "true"
        assert xml.text_of(root, "Nothing") is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<Delete>",
        b"<Other/>",
        b"<Delete/><Delete/>",
        b"\xff\xfe<",
        b"<Delete>\x00</Delete>",
        b"<Delete>&#0;</Delete>",
        b'<?xml version="1.0" encoding="klingon"?><Delete/>',
        b"<!DOCTYPE Delete><Delete/>",
        b'<!DOCTYPE D [<!ENTITY a "b">]><Delete>&a;</Delete>',
        b'<!DOCTYPE D SYSTEM "file:///etc/passwd"><Delete/>',
        b"<Delete>&unknown;</Delete>",
        b"<Delete>" + b"<a>" * 20 + b"</a>" * 20 + b"</Delete>",
        b"<a>" * 200_000,
    ],
)
def test_what_is_no_document_is_malformed(data):
    with pytest.raises(S3Error) as caught:
        xml.parse(data, "Delete")
    assert caught.value.code == "MalformedXML"


def test_an_element_twice_or_with_elements_inside_is_no_text():
    root = xml.parse(b"<A><B>1</B><B>2</B><C><D/></C></A>", "A")
    for name in ("B", "C"):
        with pytest.raises(S3Error):
            xml.text_of(root, name)


def test_an_element_that_is_not_expected_is_malformed():
    root = xml.parse(b"<A><B/></A>", "A")
    xml.only(root, ("B", "C"))
    with pytest.raises(S3Error):
        xml.only(root, ("C",))


@given(
    st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufffe\uffff"))
)
def test_text_comes_back_as_it_went(text):
    root = xml.parse(xml.render("A", {"B": text}), "A")
    assert xml.text_of(root, "B") == text


@pytest.mark.parametrize(
    "data", [b"<a>", b"<a></b>", b"\0", b"<b/>", b"<!DOCTYPE a><a/>", b"<a>" * 20, b"<a/>"]
)
def test_no_parser_waits_for_the_collector(data):
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            try:
                xml.parse(data, "a")
            except S3Error as error:
                error.bare()
        left = [one for one in gc.get_objects() if type(one) is DefusedXMLParser]
    finally:
        gc.enable()
    assert left == []
