import pytest

from s3filters.s3 import documents, rules
from s3filters.s3.documents import Target
from s3filters.s3.errors import S3Error


def refused(parse, data):
    with pytest.raises(S3Error) as caught:
        parse(data)
    return caught.value.code


def test_a_deletion_names_keys_versions_and_conditions():
    found = documents.parse_delete(
        b'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        b"<Object><Key>a &amp; b</Key></Object>"
        b"<Object><Key> c/ </Key><VersionId>null</VersionId><ETag>&quot;e&quot;</ETag></Object>"
        b"<Quiet>true</Quiet></Delete>"
    )
    assert found.objects == [Target("a & b"), Target(" c/ ", "null", '"e"')]
    assert found.quiet
    assert not documents.parse_delete(b"<Delete><Object><Key>a</Key></Object></Delete>").quiet


def test_a_deletion_has_up_to_1000_keys():
    entry = b"<Object><Key>k</Key></Object>"
    assert len(documents.parse_delete(b"<Delete>" + entry * 1000 + b"</Delete>").objects) == 1000
    for count in (0, 1001):
        assert (
            refused(documents.parse_delete, b"<Delete>" + entry * count + b"</Delete>")
            == "MalformedXML"
        )


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (b"<Object/>", "MalformedXML"),
        (b"<Object><Key/></Object>", "MalformedXML"),
        (b"<Object><Key>a</Key><Key>b</Key></Object>", "MalformedXML"),
        (b"<Object><Key>a</Key><Colour>red</Colour></Object>", "MalformedXML"),
        (b"<Thing/>", "MalformedXML"),
        (b"<Object><Key>a</Key><Size>5</Size></Object>", "NotImplemented"),
    ],
)
def test_an_entry_that_is_not_understood_whole_is_refused(entry, code):
    assert refused(documents.parse_delete, b"<Delete>" + entry + b"</Delete>") == code


def test_the_largest_deletion_fits_its_limit():
    entry = b"<Object><Key>" + "é".encode() * 512 + b"</Key></Object>"
    assert len(b"<Delete>" + entry * 1000 + b"</Delete>") < rules.DELETE_XML_BYTES


def test_a_new_bucket_may_say_where():
    parse = documents.parse_create_bucket
    head, tail = b"<CreateBucketConfiguration>", b"</CreateBucketConfiguration>"
    assert parse(b"") is None
    assert parse(head + tail) is None
    assert (
        parse(head + b"<LocationConstraint> eu-west-1 </LocationConstraint>" + tail) == "eu-west-1"
    )
    assert refused(parse, head + b"<Tags><Tag/></Tags>" + tail) == "NotImplemented"
    assert refused(parse, head + b"<Colour/>" + tail) == "MalformedXML"
    assert refused(parse, b"<Delete/>") == "MalformedXML"
