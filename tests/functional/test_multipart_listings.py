"""ListParts and ListMultipartUploads."""

import random

import pytest

from tests.functional.asking import document, fields, refusal
from tests.functional.parts import Uploader
from tests.raw import ACCESS_KEY

# --- ListParts -----------------------------------------------------------------------------------


@pytest.fixture
def upload(s3, box):
    """An upload of 5 parts with numbers that text sorts otherwise."""
    made = Uploader(s3)
    for number in (100, 2, 1, 30, 10_000):
        made.put(number, b"x" * number)
    return made


def test_parts_are_listed_by_their_numbers(s3, upload):
    answer = s3.list_parts(**upload.name)
    assert upload.stored() == [(n, n) for n in (1, 2, 30, 100, 10_000)]
    assert [part["ETag"] for part in answer["Parts"]] == [
        upload.parts[n]["ETag"] for n in sorted(upload.parts)
    ]
    assert answer["IsTruncated"] is False
    assert (answer["PartNumberMarker"], answer["NextPartNumberMarker"]) == (0, 10_000)
    assert answer["MaxParts"] == 1000
    assert answer["Initiator"]["ID"] == answer["Owner"]["ID"] == ACCESS_KEY
    assert answer["StorageClass"] == "STANDARD"
    assert (answer["Bucket"], answer["Key"], answer["UploadId"]) == tuple(upload.name.values())


def test_parts_are_listed_in_pages(s3, upload):
    pages = list(s3.get_paginator("list_parts").paginate(**upload.name, MaxParts=2))
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [
        [1, 2], [30, 100], [10_000],
    ]  # fmt: skip
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    assert [page["NextPartNumberMarker"] for page in pages] == [2, 100, 10_000]


def test_the_marker_may_be_any_number(s3, upload):
    def behind(marker):
        answer = s3.list_parts(**upload.name, PartNumberMarker=marker)
        return [part["PartNumber"] for part in answer.get("Parts", ())]

    assert behind(29) == [30, 100, 10_000]
    assert behind(30) == [100, 10_000]
    assert behind(10_000) == behind(1 << 30) == []


def test_an_upload_without_parts_has_an_empty_list(s3, box):
    answer = s3.list_parts(**Uploader(s3).name)
    assert "Parts" not in answer
    assert (answer["IsTruncated"], answer["NextPartNumberMarker"]) == (False, 0)


def test_no_parts_may_be_asked_for(s3, upload):
    answer = s3.list_parts(**upload.name, MaxParts=0)
    assert "Parts" not in answer
    assert (answer["IsTruncated"], answer["MaxParts"]) == (False, 0)


def test_checksums_are_listed(s3, box):
    upload = Uploader(s3, ChecksumAlgorithm="SHA256", StorageClass="STANDARD_IA", ContentType="a/b")
    checksum = upload.put(1, b"x")["ChecksumSHA256"]
    answer = s3.list_parts(**upload.name)
    assert (answer["ChecksumAlgorithm"], answer["ChecksumType"]) == ("SHA256", "COMPOSITE")
    assert answer["Parts"][0]["ChecksumSHA256"] == checksum
    assert answer["StorageClass"] == "STANDARD_IA"
    (listed,) = s3.list_multipart_uploads(Bucket="box")["Uploads"]
    assert (listed["ChecksumAlgorithm"], listed["ChecksumType"]) == ("SHA256", "COMPOSITE")
    assert listed["StorageClass"] == "STANDARD_IA"


def test_the_document_of_list_parts_is_that_of_aws(s3, box, ask):
    upload = Uploader(s3, ChecksumAlgorithm="CRC32")
    upload.put(1, b"x")
    root = document(ask("GET", f"/box/key?uploadId={upload.id}"))
    assert root.tag == "ListPartsResult"
    assert [child.tag for child in root] == [
        "Bucket", "Key", "UploadId", "PartNumberMarker", "NextPartNumberMarker", "MaxParts",
        "IsTruncated", "Part", "Initiator", "Owner", "StorageClass", "ChecksumAlgorithm",
        "ChecksumType",
    ]  # fmt: skip
    assert [child.tag for child in root.find("Part")] == [
        "PartNumber", "LastModified", "ETag", "Size", "ChecksumCRC32",
    ]  # fmt: skip


@pytest.mark.parametrize("query", ["max-parts=-1", "max-parts=x", "part-number-marker=-1"])
def test_a_page_that_cannot_be_is_refused(upload, ask, query):
    answer = ask("GET", f"/box/key?{query}&uploadId={upload.id}")
    assert (answer.status, fields(answer)["Code"]) == (400, "InvalidArgument")


# --- ListMultipartUploads ------------------------------------------------------------------------

KEYS = ("a", "a", "a", "a/b", "a/c", "b", "c/1", "c/2", "c/2", "d", "ä", "日本")


@pytest.fixture
def uploads(s3, box):
    """Uploads of several keys, begun in an order of no meaning: (key, id) as they are listed."""
    shuffled = list(KEYS)
    random.Random(7).shuffle(shuffled)
    begun = [(key, Uploader(s3, key).id) for key in shuffled]
    return sorted(begun, key=lambda pair: pair[0])


def listed(s3, **args):
    answer = s3.list_multipart_uploads(Bucket="box", **args)
    return [(entry["Key"], entry["UploadId"]) for entry in answer.get("Uploads", ())]


def prefixes(s3, **args):
    answer = s3.list_multipart_uploads(Bucket="box", **args)
    return [entry["Prefix"] for entry in answer.get("CommonPrefixes", ())]


def test_uploads_are_listed_by_key_and_then_in_the_order_of_their_beginning(s3, uploads):
    assert listed(s3) == uploads


def test_an_entry_says_who_began_it_and_when(s3, box):
    upload = Uploader(s3)
    answer = s3.list_multipart_uploads(Bucket="box")
    (entry,) = answer["Uploads"]
    assert entry["Initiator"]["ID"] == entry["Owner"]["ID"] == ACCESS_KEY
    assert (entry["Key"], entry["UploadId"], entry["StorageClass"]) == (
        "key",
        upload.id,
        "STANDARD",
    )
    first = entry["Initiated"]
    upload.put(1, b"x")
    assert s3.list_multipart_uploads(Bucket="box")["Uploads"][0]["Initiated"] == first


@pytest.mark.parametrize("limit", [1, 2, 5, 12, 1000])
def test_uploads_are_listed_in_pages_that_hold_each_once(s3, uploads, limit):
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket="box", PaginationConfig={"PageSize": limit}
    )
    found = []
    for page in pages:
        entries = page["Uploads"]
        found += [(entry["Key"], entry["UploadId"]) for entry in entries]
        assert page["IsTruncated"] == (len(found) < len(uploads))
        assert ("NextKeyMarker" in page) == page["IsTruncated"]
        if page["IsTruncated"]:
            assert len(entries) == limit
            last = entries[-1]
            assert page["NextKeyMarker"] == last["Key"]
            assert page["NextUploadIdMarker"] == last["UploadId"]
    assert found == uploads


@pytest.mark.parametrize("limit", [1, 2, 3, 1000])
def test_pages_with_common_prefixes_hold_each_once(s3, uploads, limit):
    pages = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket="box", Delimiter="/", PaginationConfig={"PageSize": limit}
    )
    keys, groups = [], []
    for page in pages:
        keys += [entry["Key"] for entry in page.get("Uploads", ())]
        groups += [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
        assert len(page.get("Uploads", ())) + len(page.get("CommonPrefixes", ())) <= limit
    assert keys == [key for key in sorted(KEYS) if "/" not in key]
    assert groups == ["a/", "c/"]


def test_prefix_and_delimiter_choose(s3, uploads):
    assert [key for key, _ in listed(s3, Prefix="a")] == ["a", "a", "a", "a/b", "a/c"]
    assert [key for key, _ in listed(s3, Prefix="c/")] == ["c/1", "c/2", "c/2"]
    assert listed(s3, Prefix="zz") == []
    assert prefixes(s3, Prefix="c", Delimiter="/") == ["c/"]
    assert prefixes(s3, Prefix="c/", Delimiter="/") == []
    assert prefixes(s3, Delimiter="本") == ["日本"]


def test_markers_choose_where_to_begin(s3, uploads):
    keys = [key for key, _ in uploads]
    assert listed(s3, KeyMarker="a") == uploads[3:]
    assert listed(s3, KeyMarker="a/bb") == uploads[keys.index("a/c") :]
    (_, first), (_, second) = uploads[:2]
    assert listed(s3, KeyMarker="a", UploadIdMarker=first) == uploads[1:]
    assert listed(s3, KeyMarker="a", UploadIdMarker=second) == uploads[2:]
    assert listed(s3, KeyMarker="", UploadIdMarker=second) == uploads


def test_a_marker_whose_upload_has_ended_goes_on_behind_its_id(s3, uploads):
    mine = sorted(upload_id for key, upload_id in uploads if key == "a")
    s3.abort_multipart_upload(Bucket="box", Key="a", UploadId=mine[1])
    rest = listed(s3, KeyMarker="a", UploadIdMarker=mine[1])
    assert rest == [("a", mine[2]), *uploads[3:]]


def test_a_marker_that_is_no_id_is_refused(s3, uploads):
    args = {"Bucket": "box", "KeyMarker": "a", "UploadIdMarker": "../.."}
    assert refusal(s3.list_multipart_uploads, **args) == (400, "InvalidArgument")


def test_names_are_encoded_when_the_client_asks(s3, box, ask):
    for key in ("a b/ä", "a b/+"):
        Uploader(s3, key)
    root = document(ask("GET", "/box?uploads&encoding-type=url&prefix=a%20b%2F&max-uploads=1"))
    assert root.findtext("Upload/Key") == "a+b/%2B"
    assert root.findtext("NextKeyMarker") == "a+b/%2B"
    assert root.findtext("Prefix") == "a+b/"
    assert root.findtext("EncodingType") == "url"
    root = document(ask("GET", "/box?uploads&encoding-type=url&delimiter=%2F&key-marker=%20%C3%A4"))
    assert root.findtext("CommonPrefixes/Prefix") == "a+b/"
    assert root.findtext("KeyMarker") == "+%C3%A4"


def test_the_document_of_list_multipart_uploads_is_that_of_aws(s3, box, ask):
    Uploader(s3, "a/b")
    Uploader(s3, "c")
    Uploader(s3, "d")
    root = document(ask("GET", "/box?uploads&delimiter=%2F&max-uploads=2"))
    assert root.tag == "ListMultipartUploadsResult"
    assert [child.tag for child in root] == [
        "Bucket", "KeyMarker", "UploadIdMarker", "NextKeyMarker", "NextUploadIdMarker", "Prefix",
        "Delimiter", "MaxUploads", "IsTruncated", "Upload", "CommonPrefixes",
    ]  # fmt: skip
    assert root.findtext("Bucket") == "box"


def test_none_may_be_asked_for(s3, uploads):
    answer = s3.list_multipart_uploads(Bucket="box", MaxUploads=0)
    assert "Uploads" not in answer
    assert answer["IsTruncated"] is False


def test_what_lies_among_the_uploads_and_is_none_is_not_listed(s3, uploads, box):
    multipart = box / ".sgwtmp" / "multipart"
    folder = next(multipart.iterdir())
    (multipart / "file").touch()
    (multipart / "folder").mkdir()
    (multipart / ("0" * 64)).mkdir()
    (folder / "other").mkdir()
    (folder / "11111111-1111-4111-8111-111111111111.x-2.inprogress").mkdir()
    assert listed(s3) == uploads
