"""The three listings: their documents to the byte, their parameters, what runs where."""

import os
import time
from xml.etree import ElementTree

import pytest

from s3filters import offload
from s3filters.backends.fs import FsBackend
from s3filters.s3 import tokens, xml
from s3filters.s3.call import Call, Identity
from s3filters.s3.errors import S3Error
from s3filters.store import Store
from s3filters.store.errors import NoSuchBucket
from s3filters.store.metadata import Attributes, Checksums

TIME_NS = 1_795_249_449_350_267_000  # 2026-11-21T08:24:09.350267Z
DEFAULTS = {
    "ListObjects": {"Marker": ""},
    "ListObjectsV2": {"ContinuationToken": None, "StartAfter": "", "FetchOwner": False},
    "ListObjectVersions": {"KeyMarker": "", "VersionIdMarker": None},
}
METHODS = {
    "ListObjects": "list_objects",
    "ListObjectsV2": "list_objects_v2",
    "ListObjectVersions": "list_object_versions",
}
BEGIN = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<{} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
)


class Box:
    """A bucket called ``box`` that belongs to ``me``, asked by ``you``."""

    def __init__(self, root):
        self.root = root
        self.store = Store(root, durability="none")
        self.store.create_bucket("box", "me")
        self.backend = FsBackend(self.store, offload, "us-east-1")

    def put(self, *keys, **attributes):
        for key in keys:
            self.store.put_small("box", key, b"12345", Attributes("0cc1", **attributes))
            os.utime(self.root / "box" / key, ns=(TIME_NS, TIME_NS))

    def ask(self, operation, **params):
        common = {"Prefix": "", "Delimiter": None, "EncodingType": None, "MaxKeys": 1000}
        params = {**common, **DEFAULTS[operation], **params}
        call = Call(operation, "box", params=params, identity=Identity("you", "you"))
        return getattr(self.backend, METHODS[operation])(call)

    def text(self, operation, **params):
        return self.ask(operation, **params).body.decode()

    def tree(self, operation="ListObjectsV2", **params):
        return xml.parse(self.ask(operation, **params).body, self.root_of(operation))

    @staticmethod
    def root_of(operation):
        return "ListVersionsResult" if operation == "ListObjectVersions" else "ListBucketResult"

    def keys(self, operation="ListObjectsV2", **params):
        return [key.text for key in self.tree(operation, **params).iterfind("*/Key")]


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def test_an_empty_bucket_in_each_version(box):
    assert box.text("ListObjects") == (
        BEGIN.format("ListBucketResult") + "<Name>box</Name><Prefix></Prefix><Marker></Marker>"
        "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"
    )
    assert box.text("ListObjectsV2") == (
        BEGIN.format("ListBucketResult") + "<Name>box</Name><Prefix></Prefix><KeyCount>0</KeyCount>"
        "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>"
    )
    assert box.text("ListObjectVersions") == (
        BEGIN.format("ListVersionsResult") + "<Name>box</Name><Prefix></Prefix>"
        "<KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker>"
        "<MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListVersionsResult>"
    )


def test_list_objects_to_the_byte(box):
    box.put("a&b", "d/x", "e", checksums=Checksums("CRC64NVME", "FULL_OBJECT", "AAAAAAAAAAA="))
    etag = box.store.head("box", "a&b").etag
    assert box.text("ListObjects", Delimiter="/", MaxKeys=2) == (
        BEGIN.format("ListBucketResult") + "<Name>box</Name><Prefix></Prefix><Marker></Marker>"
        "<NextMarker>d/</NextMarker><MaxKeys>2</MaxKeys><Delimiter>/</Delimiter>"
        "<IsTruncated>true</IsTruncated>"
        "<Contents><Key>a&amp;b</Key><LastModified>2026-11-21T08:24:09.000Z</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>5</Size>"
        "<Owner><ID>me</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>"
        "<CommonPrefixes><Prefix>d/</Prefix></CommonPrefixes></ListBucketResult>"
    )


def test_list_objects_v2_to_the_byte(box):
    box.store.put_small(
        "box",
        "a b",
        b"",
        Attributes(
            "d41d-2",
            checksums=Checksums("SHA256", "COMPOSITE", "x-2"),
            storage_class="STANDARD_IA",
        ),
    )
    date = box.tree().findtext("Contents/LastModified")
    after = tokens.encode("a")
    assert box.text("ListObjectsV2", EncodingType="url", ContinuationToken="a", Prefix="a") == (
        BEGIN.format("ListBucketResult") + "<Name>box</Name><Prefix>a</Prefix>"
        f"<ContinuationToken>{after}</ContinuationToken><KeyCount>1</KeyCount>"
        "<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>"
        f"<Contents><Key>a+b</Key><LastModified>{date}</LastModified>"
        "<ETag>&quot;d41d-2&quot;</ETag><ChecksumAlgorithm>SHA256</ChecksumAlgorithm>"
        "<ChecksumType>COMPOSITE</ChecksumType><Size>0</Size>"
        "<StorageClass>STANDARD_IA</StorageClass></Contents></ListBucketResult>"
    )


def test_list_object_versions_to_the_byte(box):
    box.put("a", "b")
    etag = box.store.head("box", "a").etag
    assert box.text("ListObjectVersions", MaxKeys=1) == (
        BEGIN.format("ListVersionsResult") + "<Name>box</Name><Prefix></Prefix>"
        "<KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker>"
        "<NextKeyMarker>a</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker>"
        "<MaxKeys>1</MaxKeys><IsTruncated>true</IsTruncated>"
        "<Version><Key>a</Key><VersionId>null</VersionId><IsLatest>true</IsLatest>"
        "<LastModified>2026-11-21T08:24:09.000Z</LastModified>"
        f"<ETag>&quot;{etag}&quot;</ETag><Size>5</Size>"
        "<Owner><ID>me</ID></Owner><StorageClass>STANDARD</StorageClass></Version>"
        "</ListVersionsResult>"
    )


def test_the_answer_is_xml_and_names_the_region(box):
    headers = dict(box.ask("ListObjectsV2").headerlist)
    assert headers["Content-Type"] == "application/xml"
    assert headers["x-amz-bucket-region"] == "us-east-1"


@pytest.mark.parametrize("operation", METHODS)
def test_a_missing_bucket_is_told(box, operation):
    box.store.delete_bucket("box")
    for limit in (0, 1):
        with pytest.raises(NoSuchBucket):
            box.ask(operation, MaxKeys=limit)


@pytest.mark.parametrize("operation", METHODS)
def test_max_keys_0_is_an_empty_page_with_nothing_behind(box, operation):
    box.put("a")
    tree = box.tree(operation, MaxKeys=0)
    assert tree.findtext("IsTruncated") == "false"
    assert tree.findtext("MaxKeys") == "0"
    assert tree.find("*/Key") is None


@pytest.mark.parametrize("operation", METHODS)
def test_another_owner_than_the_expected_is_refused(box, operation):
    assert box.ask(operation, ExpectedBucketOwner="me").status_int == 200
    with pytest.raises(S3Error, match="AccessDenied"):
        box.ask(operation, ExpectedBucketOwner="somebody")


# Where a page begins and goes on


@pytest.mark.parametrize("delimiter", [None, "/"])
def test_pages_follow_each_other_by_marker(box, delimiter):
    box.put("a", "b/1", "b/2", "c", "d/1", "e")
    seen, marker, truncated = [], "", True
    while truncated:
        tree = box.tree("ListObjects", Marker=marker, Delimiter=delimiter, MaxKeys=2)
        truncated = tree.findtext("IsTruncated") == "true"
        page = [e.text for e in tree.iterfind("*/Key")]
        page += [e.text for e in tree.iterfind("*/Prefix")]
        seen += sorted(page)
        marker = tree.findtext("NextMarker")
        assert (marker is not None) is (truncated and delimiter is not None)
        marker = marker or seen[-1]
    assert seen == (
        ["a", "b/", "c", "d/", "e"] if delimiter else ["a", "b/1", "b/2", "c", "d/1", "e"]
    )


def test_pages_follow_each_other_by_token(box):
    box.put("a", "b/1", "b/2", "c", "é/1")
    seen, token, counted = [], None, 0
    while token is None or token:
        place = None if token is None else tokens.decode(token)
        tree = box.tree(ContinuationToken=place, Delimiter="/", MaxKeys=1, StartAfter="a-")
        assert tree.findtext("ContinuationToken") == token
        seen += [e.text for e in [*tree.iterfind("*/Key"), *tree.iterfind("*/Prefix")]]
        counted += int(tree.findtext("KeyCount"))
        token = tree.findtext("NextContinuationToken", "")
    assert seen == ["b/", "c", "é/"]
    assert counted == 3


def test_a_token_stands_above_start_after(box):
    box.put("a", "b", "c")
    assert box.keys(ContinuationToken="a", StartAfter="b") == ["b", "c"]
    assert box.keys(StartAfter="b") == ["c"]
    assert box.tree(StartAfter="b").findtext("StartAfter") == "b"


def test_versions_go_on_behind_the_key_marker_whatever_the_version(box):
    box.put("a", "b/1", "c")
    assert box.keys("ListObjectVersions", KeyMarker="a") == ["b/1", "c"]
    assert box.keys("ListObjectVersions", KeyMarker="a", VersionIdMarker="null") == ["b/1", "c"]
    tree = box.tree(
        "ListObjectVersions", KeyMarker="a", VersionIdMarker="null", Delimiter="/", MaxKeys=1
    )
    assert tree.findtext("VersionIdMarker") == "null"
    assert tree.findtext("NextKeyMarker") == "b/"
    assert tree.find("NextVersionIdMarker") is None


# Names in XML


def test_names_are_escaped_or_percent_encoded(box):
    odd = "<&>\"' +%25é*~\x01\N{GRINNING FACE}"
    box.put(odd)
    plain = box.text("ListObjectsV2", Prefix="<&", StartAfter="\r")
    assert "<Prefix>&lt;&amp;</Prefix><StartAfter>&#xd;</StartAfter>" in plain
    assert "<Key>&lt;&amp;&gt;&quot;' +%25é*~&#x1;\N{GRINNING FACE}</Key>" in plain
    quoted = box.text("ListObjectsV2", Prefix="<&", EncodingType="url")
    assert "<Prefix>%3C%26</Prefix>" in quoted
    assert "<Key>%3C%26%3E%22%27+%2B%2525%C3%A9*~%01%F0%9F%98%80</Key>" in quoted
    ElementTree.fromstring(quoted)


def test_every_place_of_a_name_is_percent_encoded(box):
    box.put("x y/a b", "x y/c d+/1", "x y/d d+/1")
    v1 = box.text(
        "ListObjects", Prefix="x y/", Delimiter="+/", Marker="x y/a", MaxKeys=2, EncodingType="url"
    )
    assert "<Prefix>x+y/</Prefix><Marker>x+y/a</Marker><NextMarker>x+y/c+d%2B/</NextMarker>" in v1
    assert "<Delimiter>%2B/</Delimiter><EncodingType>url</EncodingType>" in v1
    assert "<CommonPrefixes><Prefix>x+y/c+d%2B/</Prefix></CommonPrefixes>" in v1
    versions = box.text("ListObjectVersions", KeyMarker="x y/", MaxKeys=1, EncodingType="url")
    assert "<KeyMarker>x+y/</KeyMarker>" in versions
    assert "<NextKeyMarker>x+y/a+b</NextKeyMarker>" in versions


def test_text_that_is_no_unicode_does_no_harm(box):
    box.put("a")
    assert "<Prefix>&#xd800;</Prefix>" in box.text("ListObjectsV2", Prefix="\ud800")
    assert "<Key>a</Key>" in box.text("ListObjectsV2", Delimiter="\udfff")
    assert "%ED%A0%80" in box.text("ListObjectsV2", Prefix="\ud800", EncodingType="url")
    assert "<Key>" not in box.text("ListObjects", Marker="\ud800")


def test_what_others_wrote_into_attributes_cannot_break_the_document(box):
    box.put("a")
    os.setxattr(tmp := box.root / "box" / "a", "user.etag", b'"</ETag>&"')
    os.setxattr(tmp, "user.checksums", b'{"Algorithm":"<x>","Type":"&","<x>":"v"}')
    os.removexattr(tmp, "user.s3filters.seal")
    tree = box.tree()
    assert tree.findtext("Contents/ETag") == '"</ETag>&"'
    assert tree.find("Contents/ChecksumAlgorithm") is None  # of no algorithm that there is


# Owner


def test_the_owner_is_the_buckets(box):
    box.put("a")
    assert box.tree("ListObjects").findtext("Contents/Owner/ID") == "me"
    assert box.tree("ListObjectVersions").findtext("Version/Owner/ID") == "me"
    assert box.tree(FetchOwner=True).findtext("Contents/Owner/ID") == "me"
    assert box.tree().find("Contents/Owner") is None


def test_a_bucket_that_nobody_owns_shows_the_one_who_asks(box):
    box.put("a")
    os.removexattr(box.root / "box", "user.acl")
    assert box.tree("ListObjects").findtext("Contents/Owner/ID") == "you"


# Where it runs


class Counting:
    def __init__(self):
        self.verbs = []

    def run(self, function, *args):
        self.verbs.append(function.__name__)
        return function(*args)


def test_a_page_is_one_verb_and_none_when_it_is_in_memory(box):
    box.put("a", "d/b")
    time.sleep(0.05)
    box.backend.offload = counting = Counting()
    for _ in range(3):
        assert box.keys() == ["a", "d/b"]
    assert counting.verbs == ["page"]


def test_elsewhere_every_page_is_handed_over(tmp_path):
    box = Box(tmp_path)
    box.backend.store = box.store = Store(tmp_path, durability="none", local=False)
    box.put("a")
    box.backend.offload = counting = Counting()
    for _ in range(2):
        assert box.keys("ListObjects") == ["a"]
    assert counting.verbs == ["page", "bucket"] * 2
