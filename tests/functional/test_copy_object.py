"""CopyObject: bytes, metadata and checksums of a source; what is computed, and what is refused."""

import base64
import gzip
import hashlib
import json
import os
import zlib

import pytest
from awscrt.checksums import crc64nvme

from tests.daemon import ACCESS_KEY
from tests.functional.asking import LARGE, SMALL, body_of, document, edit, fields, on_disk, refusal

PART = 5 << 20


@pytest.fixture
def made(s3, box, data):
    """``box/from/key`` with all that an object has."""
    return s3.put_object(
        Bucket="box",
        Key="from/key",
        Body=data,
        ContentType="text/plain",
        CacheControl="no-cache",
        ContentDisposition="inline",
        ContentEncoding="x",
        ContentLanguage="de",
        Expires="Wed, 21 Oct 2015 07:28:00 GMT",
        WebsiteRedirectLocation="/elsewhere",
        Metadata={"who": "me"},
        StorageClass="STANDARD_IA",
        ChecksumAlgorithm="SHA256",
    )


KEPT = {
    "ContentType": "text/plain",
    "CacheControl": "no-cache",
    "ContentDisposition": "inline",
    "ContentEncoding": "x",
    "ContentLanguage": "de",
    "Metadata": {"who": "me"},
}


def head(s3, key, **args):
    return s3.head_object(Bucket="box", Key=key, ChecksumMode="ENABLED", **args)


@pytest.fixture
def no_reading(monkeypatch):
    """Fail a test in which the bytes of an object are read to copy them."""

    def fail(*_):
        raise AssertionError("the source was read")

    monkeypatch.setattr("s3filters.store.objects.Opened.blocks", fail)


# --- what a copy has ---------------------------------------------------------------------------


def test_a_copy_has_the_bytes_and_the_metadata_of_its_source(s3, made, data, no_reading):
    answer = s3.copy_object(Bucket="box", Key="to/key", CopySource="box/from/key")
    assert answer["CopyObjectResult"]["ETag"] == made["ETag"]
    assert answer["CopyObjectResult"]["ChecksumSHA256"] == made["ChecksumSHA256"]
    assert answer["CopyObjectResult"]["ChecksumType"] == "FULL_OBJECT"
    assert body_of(s3, "to/key") == data
    told = head(s3, "to/key")
    assert {name: told.get(name) for name in KEPT} == KEPT
    assert told["ChecksumSHA256"] == made["ChecksumSHA256"]
    assert told["LastModified"] == answer["CopyObjectResult"]["LastModified"].replace(microsecond=0)


def test_class_and_redirect_are_those_of_the_request_alone(s3, made):
    s3.copy_object(Bucket="box", Key="to", CopySource="box/from/key")
    told = head(s3, "to")
    assert "StorageClass" not in told
    assert "WebsiteRedirectLocation" not in told
    s3.copy_object(
        Bucket="box",
        Key="to",
        CopySource="box/from/key",
        StorageClass="GLACIER_IR",
        WebsiteRedirectLocation="/there",
    )
    told = head(s3, "to")
    assert (told["StorageClass"], told["WebsiteRedirectLocation"]) == ("GLACIER_IR", "/there")


def test_with_copy_the_requests_metadata_is_ignored(s3, made):
    s3.copy_object(
        Bucket="box",
        Key="to",
        CopySource="box/from/key",
        MetadataDirective="COPY",
        ContentType="text/new",
        Metadata={"new": "1"},
    )
    told = head(s3, "to")
    assert {name: told.get(name) for name in KEPT} == KEPT


def test_with_replace_the_requests_metadata_is_all(s3, made, data, no_reading):
    s3.copy_object(
        Bucket="box",
        Key="to",
        CopySource="box/from/key",
        MetadataDirective="REPLACE",
        Metadata={"new": "1"},
        CacheControl="max-age=1",
    )
    told = head(s3, "to")
    assert (told["Metadata"], told["CacheControl"]) == ({"new": "1"}, "max-age=1")
    assert told["ContentType"] == "binary/octet-stream"
    assert not {"ContentLanguage", "ContentDisposition", "ContentEncoding"} & told.keys()
    assert told["ChecksumSHA256"] == made["ChecksumSHA256"]
    assert body_of(s3, "to") == data


def test_an_unknown_directive_is_refused(ask, made):
    for header in ("x-amz-metadata-directive", "x-amz-tagging-directive"):
        answer = ask(
            "PUT", "/box/to", headers={"x-amz-copy-source": "box/from/key", header: "MOVE"}
        )
        assert (answer.status, answer.code) == (400, "InvalidArgument")


def test_tags_go_with_the_copy_unless_they_are_replaced(s3, ask, box, made):
    os.setxattr(box / "from/key", "user.X-Amz-Tagging", b'{"a":"1","b":"2"}')
    source = {"x-amz-copy-source": "box/from/key"}
    ask("PUT", "/box/kept", headers=source)
    assert json.loads(os.getxattr(box / "kept", "user.X-Amz-Tagging")) == {"a": "1", "b": "2"}
    assert ask("HEAD", "/box/kept").headers["x-amz-tagging-count"] == "2"
    ask("PUT", "/box/gone", headers=source | {"x-amz-tagging-directive": "REPLACE"})
    assert "user.X-Amz-Tagging" not in os.listxattr(box / "gone")


def test_another_algorithm_is_computed(s3, made, data):
    answer = s3.copy_object(
        Bucket="box", Key="to", CopySource="box/from/key", ChecksumAlgorithm="CRC32"
    )["CopyObjectResult"]
    crc = base64.b64encode(zlib.crc32(data).to_bytes(4)).decode()
    assert (answer["ChecksumCRC32"], answer["ETag"]) == (crc, made["ETag"])
    assert head(s3, "to")["ChecksumCRC32"] == crc
    assert "ChecksumSHA256" not in head(s3, "to")


def test_an_unknown_algorithm_is_refused(ask, made):
    headers = {"x-amz-copy-source": "box/from/key", "x-amz-checksum-algorithm": "CRC7"}
    answer = ask("PUT", "/box/to", headers=headers)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_copies_between_buckets(s3, root, made, data):
    s3.create_bucket(Bucket="other")
    s3.copy_object(Bucket="other", Key="a/b", CopySource={"Bucket": "box", "Key": "from/key"})
    assert body_of(s3, "a/b", bucket="other") == data
    assert (root / "other/a/b").stat().st_ino != (root / "box/from/key").stat().st_ino


def test_what_happens_to_the_source_does_not_happen_to_the_copy(s3, box, made, data):
    s3.copy_object(Bucket="box", Key="to", CopySource="box/from/key")
    edit(box / "from/key", b"edited")
    assert body_of(s3, "to") == data
    s3.delete_object(Bucket="box", Key="from/key")
    assert body_of(s3, "to") == data


@pytest.mark.parametrize(
    "source",
    ["box/a b+c%25%3F", "/box/a%20b%2Bc%25?", "box/a%20b%2Bc%25%3F?versionId=null", "%2Fbox%2Fa"],
)
def test_a_source_is_percent_encoded(s3, ask, box, source):
    s3.put_object(Bucket="box", Key="a b+c%?", Body=b"1")
    s3.put_object(Bucket="box", Key="a b c%?", Body=b"2")
    s3.put_object(Bucket="box", Key="a", Body=b"3")
    answer = ask("PUT", "/box/to", headers={"x-amz-copy-source": source})
    assert answer.status == 200
    expected = {"box/a b+c%25%3F": b"2", "%2Fbox%2Fa": b"3"}.get(source, b"1")
    assert body_of(s3, "to") == expected


def test_the_root_of_the_answer_is_what_sdks_parse(ask, made):
    answer = ask("PUT", "/box/to", headers={"x-amz-copy-source": "box/from/key"})
    assert answer.headers["content-type"] == "application/xml"
    assert document(answer).tag == "CopyObjectResult"


# --- sources that others wrote -----------------------------------------------------------------


def crc64(data):
    return base64.b64encode(crc64nvme(data).to_bytes(8)).decode()


@pytest.mark.parametrize("edited", [False, True])
def test_a_copy_of_what_another_program_wrote_has_computed_digests(s3, box, data, edited):
    if edited:
        s3.put_object(Bucket="box", Key="page.html", Body=bytes(len(data)), ContentType="text/html")
        edit(box / "page.html", data)
    else:
        (box / "page.html").write_bytes(data)
    s3.copy_object(Bucket="box", Key="to", CopySource="box/page.html")
    told = head(s3, "to")
    assert told["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert told["ChecksumCRC64NVME"] == crc64(data)
    assert told["ContentType"] == "text/html"


def test_a_touched_object_is_sealed_anew_by_a_copy_onto_itself(s3, box, data):
    s3.put_object(Bucket="box", Key="key", Body=bytes(len(data)), Metadata={"a": "b"})
    edit(box / "key", data)
    assert head(s3, "key")["ETag"].endswith('-0"')
    s3.copy_object(
        Bucket="box",
        Key="key",
        CopySource="box/key",
        MetadataDirective="REPLACE",
        Metadata={"a": "c"},
    )
    told = head(s3, "key")
    assert told["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    assert (told["Metadata"], told["ChecksumCRC64NVME"]) == ({"a": "c"}, crc64(data))


def parted(box, *, kind, value, algorithm):
    """An object of two parts, as Versity's gateway leaves it."""
    path = box / "parted"
    path.write_bytes(bytes(PART) + b"tail")
    checksums = {"Algorithm": algorithm, "Type": kind, algorithm: value}
    attributes = {
        "etag": b'"0123456789abcdef0123456789abcdef-2"',
        "content-type": b"text/plain",
        "checksums": json.dumps(checksums).encode(),
        "mp-metadata": gzip.compress(b'{"uploadId":"u","parts":[%d,%d]}' % (PART, PART + 4)),
    }
    for name, raw in attributes.items():
        os.setxattr(path, f"user.{name}", raw)


SHA_OF_PARTS = "H+qPeAdFMjCXqOWS/Ns36zb4tBgMODHJeMzTltWM9ps=-2"


@pytest.mark.parametrize(
    ("kind", "value", "algorithm"),
    [("FULL_OBJECT", crc64(bytes(PART) + b"tail"), "CRC64NVME"),
     ("COMPOSITE", SHA_OF_PARTS, "SHA256")],
)  # fmt: skip
def test_a_copy_of_an_object_in_parts_is_like_it_and_nothing_is_read(
    s3, box, no_reading, kind, value, algorithm
):
    parted(box, kind=kind, value=value, algorithm=algorithm)
    answer = s3.copy_object(Bucket="box", Key="to", CopySource="box/parted")["CopyObjectResult"]
    assert (answer["ETag"], answer["ChecksumType"]) == (
        '"0123456789abcdef0123456789abcdef-2"',
        kind,
    )
    told = head(s3, "to")
    assert (told[f"Checksum{algorithm}"], told["ChecksumType"]) == (value, kind)
    part = s3.get_object(Bucket="box", Key="to", PartNumber=2)
    assert (part["PartsCount"], part["Body"].read()) == (2, b"tail")


def test_a_composite_checksum_becomes_one_of_the_whole_when_it_is_asked_for(s3, box):
    parted(box, kind="COMPOSITE", value=SHA_OF_PARTS, algorithm="SHA256")
    for key in ("to", "parted"):
        s3.copy_object(Bucket="box", Key=key, CopySource="box/parted", ChecksumAlgorithm="SHA256")
        told = head(s3, key)
        digest = hashlib.sha256(bytes(PART) + b"tail").digest()
        assert told["ChecksumSHA256"] == base64.b64encode(digest).decode()
        assert told["ChecksumType"] == "FULL_OBJECT"
        assert told["ETag"] == f'"{hashlib.md5(bytes(PART) + b"tail").hexdigest()}"'


def test_a_source_that_changes_while_it_is_copied_gives_no_copy(s3, ask, box, monkeypatch):
    s3.put_object(Bucket="box", Key="key", Body=LARGE)
    before = on_disk(box)
    copy = os.copy_file_range

    def edited(*args, **options):
        done = copy(*args, **options)
        edit(box / "key", LARGE)
        return done

    monkeypatch.setattr(os, "copy_file_range", edited)
    answer = ask("PUT", "/box/to", headers={"x-amz-copy-source": "box/key"})
    assert (answer.status, answer.code) == (409, "OperationAborted")
    assert on_disk(box) == before


# --- directory objects -------------------------------------------------------------------------


def test_a_directory_object_is_copied_to_one(s3, box):
    s3.put_object(Bucket="box", Key="d/", Metadata={"a": "b"}, ContentType="text/folder")
    s3.put_object(Bucket="box", Key="d/inner", Body=b"x")
    s3.copy_object(Bucket="box", Key="e/", CopySource="box/d/")
    told = head(s3, "e/")
    assert (told["Metadata"], told["ContentType"]) == ({"a": "b"}, "text/folder")
    assert os.listdir(box / "e") == []


def test_an_empty_object_is_copied_to_a_directory_object_and_back(s3, box):
    s3.put_object(Bucket="box", Key="empty", Body=b"", Metadata={"a": "b"})
    s3.copy_object(Bucket="box", Key="d/", CopySource="box/empty")
    assert head(s3, "d/")["ContentType"] == "application/x-directory"
    s3.copy_object(Bucket="box", Key="back", CopySource="box/d/")
    assert head(s3, "back")["Metadata"] == {"a": "b"}
    assert (box / "back").read_bytes() == b""


def test_data_is_not_copied_to_a_directory_object(s3, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data)
    before = on_disk(box)
    told = refusal(s3.copy_object, Bucket="box", Key="d/", CopySource="box/key")
    assert told == (400, "DirectoryObjectContainsData")
    assert on_disk(box) == before


def test_a_copy_does_not_replace_a_directory_or_lie_below_a_file(s3, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data)
    s3.put_object(Bucket="box", Key="d/x", Body=b"x")
    before = on_disk(box)
    told = refusal(s3.copy_object, Bucket="box", Key="d", CopySource="box/key")
    assert told == (409, "ExistingObjectIsDirectory")
    told = refusal(s3.copy_object, Bucket="box", Key="key/below", CopySource="box/key")
    assert told == (409, "ObjectParentIsFile")
    assert on_disk(box) == before


# --- onto itself -------------------------------------------------------------------------------


def test_a_copy_onto_itself_must_change_something(s3, ask, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data, ChecksumAlgorithm="CRC32")
    before = on_disk(box)
    told = refusal(s3.copy_object, Bucket="box", Key="key", CopySource="box/key")
    assert told == (400, "InvalidRequest")
    told = refusal(
        s3.copy_object, Bucket="box", Key="key", CopySource="box/key", ChecksumAlgorithm="CRC32"
    )
    assert told == (400, "InvalidRequest")
    source = {"x-amz-copy-source": "/box/key?versionId=null"}
    assert ask("PUT", "/box/key", headers=source).code == "InvalidRequest"
    assert on_disk(box) == before


@pytest.mark.parametrize(
    "change",
    [
        {"MetadataDirective": "REPLACE", "Metadata": {"new": "1"}},
        {"StorageClass": "STANDARD_IA"},
        {"WebsiteRedirectLocation": "/there"},
        {"ChecksumAlgorithm": "SHA1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_copy_onto_itself_that_changes_something_keeps_the_bytes(s3, box, data, change):
    old = s3.put_object(
        Bucket="box", Key="a/key", Body=data, Metadata={"old": "1"}, ChecksumAlgorithm="CRC32"
    )
    s3.copy_object(Bucket="box", Key="a/key", CopySource="box/a/key", **change)
    told = head(s3, "a/key")
    assert body_of(s3, "a/key") == data
    assert told["ETag"] == old["ETag"]
    assert told["Metadata"] == change.get("Metadata", {"old": "1"})
    assert told.get("StorageClass") == change.get("StorageClass")
    assert told.get("WebsiteRedirectLocation") == change.get("WebsiteRedirectLocation")
    assert ("ChecksumSHA1" in told) is ("ChecksumAlgorithm" in change)


def test_a_directory_object_is_copied_onto_itself_with_new_metadata(s3, box):
    s3.put_object(Bucket="box", Key="d/", Metadata={"old": "1"})
    told = refusal(s3.copy_object, Bucket="box", Key="d/", CopySource="box/d/")
    assert told == (400, "InvalidRequest")
    s3.copy_object(
        Bucket="box",
        Key="d/",
        CopySource="box/d/",
        MetadataDirective="REPLACE",
        Metadata={"new": "1"},
    )
    assert head(s3, "d/")["Metadata"] == {"new": "1"}


# --- what cannot be copied ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("box/none", 404, "NoSuchKey"),
        ("none/key", 404, "NoSuchBucket"),
        ("box/d", 404, "NoSuchKey"),
        ("box/key/", 404, "NoSuchKey"),
        ("box/key?versionId=other", 404, "NoSuchVersion"),
        ("box", 400, "InvalidArgument"),
        ("/box/", 400, "InvalidArgument"),
        ("box/key?versionId=", 400, "InvalidArgument"),
        ("box/%FF", 400, "InvalidArgument"),
        ("box/../other/key", 400, "InvalidArgument"),
        ("../root/key", 400, "InvalidBucketName"),
        ("box/a//b", 400, "InvalidArgument"),
        ("box/.sgwtmp/lock", 404, "NoSuchKey"),
        ("BOX!/key", 400, "InvalidBucketName"),
    ],
)
def test_a_source_that_is_none_is_refused(s3, ask, box, source, status, code):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    s3.put_object(Bucket="box", Key="key", Body=SMALL)  # so that there is a lock
    s3.put_object(Bucket="box", Key="d/x", Body=SMALL)
    before = on_disk(box)
    answer = ask("PUT", "/box/to", headers={"x-amz-copy-source": source})
    assert (answer.status, answer.code) == (status, code)
    assert on_disk(box) == before


def test_a_source_that_is_not_there_is_told_by_its_own_key(ask, box):
    answer = ask("PUT", "/box/to", headers={"x-amz-copy-source": "box/none"})
    assert fields(answer)["Key"] == "none"


def test_a_target_that_cannot_be_is_refused(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    before = on_disk(box)
    source = {"x-amz-copy-source": "box/key"}
    assert ask("PUT", "/none/to", headers=source).code == "NoSuchBucket"
    assert ask("PUT", "/box/to?versionId=null", headers=source).code == "InvalidArgument"
    assert ask("PUT", "/box/to?partNumber=1", headers=source).code == "InvalidArgument"
    assert ask("PUT", "/box/.sgwtmp/to", headers=source).code == "AccessDenied"
    cold = {"x-amz-storage-class": "DEEP_ARCHIVE"}
    assert ask("PUT", "/box/to", headers=source | cold).code == "InvalidStorageClass"
    public = {"x-amz-acl": "public-read"}
    assert ask("PUT", "/box/to", headers=source | public).code == "AccessControlListNotSupported"
    assert on_disk(box) == before


def test_a_source_of_more_than_5_gib_is_refused(s3, box):
    with (box / "large").open("wb") as file:
        file.truncate((5 << 30) + 1)
    told = refusal(s3.copy_object, Bucket="box", Key="to", CopySource="box/large")
    assert told == (400, "InvalidRequest")
    assert not (box / "to").exists()


def test_both_buckets_may_be_asked_for_their_owner(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    args = {"Bucket": "box", "Key": "to", "CopySource": "box/key"}
    told = refusal(s3.copy_object, **args, ExpectedSourceBucketOwner="other")
    assert told == (403, "AccessDenied")
    told = refusal(s3.copy_object, **args, ExpectedBucketOwner="other")
    assert told == (403, "AccessDenied")
    s3.copy_object(**args, ExpectedBucketOwner=ACCESS_KEY, ExpectedSourceBucketOwner=ACCESS_KEY)


def test_a_copy_whose_file_cannot_be_made_leaves_nothing(s3, ask, box, monkeypatch):
    s3.put_object(Bucket="box", Key="key", Body=LARGE)
    before = on_disk(box)

    def fail(*_, **__):
        raise OSError(28, "no")

    monkeypatch.setattr(os, "copy_file_range", fail)
    answer = ask("PUT", "/box/a/b", headers={"x-amz-copy-source": "box/key"})
    assert (answer.status, answer.code) == (507, "InsufficientStorage")
    assert on_disk(box) == before


def test_where_the_kernel_cannot_copy_the_bytes_are_written(s3, box, monkeypatch):
    def fail(*_, **__):
        raise OSError(18, "no")

    s3.put_object(Bucket="box", Key="key", Body=LARGE)
    monkeypatch.setattr(os, "copy_file_range", fail)
    s3.copy_object(Bucket="box", Key="to", CopySource="box/key")
    assert body_of(s3, "to") == LARGE
