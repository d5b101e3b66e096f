"""PutObject: what is stored, what is refused, and that a failed one leaves nothing behind."""

import base64
import hashlib
import json
import os

import pytest

from tests import daemon, wire
from tests.functional.asking import LARGE, SMALL, Asker, body_of, fields, on_disk, refusal

GIB5 = 5 << 30


class Silent:
    """A body that is not to be read."""

    def readinto(self, view):
        raise AssertionError("the body was read")

    read = readinto


def md5(data):
    return hashlib.md5(data).hexdigest()


def test_what_was_put_is_what_is_read(s3, box, data):
    answer = s3.put_object(Bucket="box", Key="a/b/key", Body=data)
    assert answer["ETag"] == f'"{md5(data)}"'
    assert body_of(s3, "a/b/key") == data
    assert (box / "a/b/key").read_bytes() == data


@pytest.mark.parametrize("size", [0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 20])
def test_every_size_is_stored_whole(s3, box, size):
    data = os.urandom(size)
    answer = s3.put_object(Bucket="box", Key="key", Body=data)
    assert answer["ETag"] == f'"{md5(data)}"'
    assert body_of(s3, "key") == data


@pytest.mark.parametrize("durability", ["full", "data"])
def test_every_durability_stores_the_same(make_app, durability, data):
    s3 = wire.client(make_app(durability=durability), daemon.ACCESS_KEY, daemon.SECRET_KEY)
    s3.create_bucket(Bucket="box")
    for _ in range(2):
        s3.put_object(Bucket="box", Key="a/key", Body=data)
        s3.copy_object(Bucket="box", Key="b/key", CopySource="box/a/key")
        assert body_of(s3, "b/key") == data
    s3.delete_object(Bucket="box", Key="a/key")
    assert refusal(s3.head_object, Bucket="box", Key="a/key")[0] == 404


def test_the_last_put_wins_with_all_it_brings(s3, box, data):
    s3.put_object(Bucket="box", Key="key", Body=b"old", Metadata={"old": "1"}, ContentType="a/b")
    s3.put_object(Bucket="box", Key="key", Body=data)
    answer = s3.get_object(Bucket="box", Key="key")
    assert answer["Body"].read() == data
    assert (answer["Metadata"], answer["ContentType"]) == ({}, "binary/octet-stream")


def test_a_file_has_the_attributes_that_versitys_gateway_reads(ask, box):
    ask("PUT", "/box/key", SMALL, {"x-amz-meta-Name": "Value", "Content-Type": "text/plain"})
    read = {name: os.getxattr(box / "key", name) for name in os.listxattr(box / "key")}
    checksums = json.loads(read.pop("user.checksums"))
    assert {name: value for name, value in checksums.items() if value is not None} == {
        "Algorithm": "CRC64NVME",
        "Type": "FULL_OBJECT",
        "CRC64NVME": "M3eFcAZSQlc=",
    }
    seal = read.pop("user.s3filters.seal")
    assert seal == b"%d %d" % (5, (box / "key").stat().st_mtime_ns)
    assert read == {
        "user.etag": b'"5d41402abc4b2a76b9719d911017c592"',
        "user.content-type": b"text/plain",
        "user.metadata": b'{"name":"Value"}',
    }


def test_a_bucket_that_is_not_there_is_told(s3, root, data):
    assert refusal(s3.put_object, Bucket="none", Key="key", Body=data) == (404, "NoSuchBucket")
    assert on_disk(root) == {}


# --- a failed upload ---------------------------------------------------------------------------

WRONG_MD5 = base64.b64encode(bytes(16)).decode()
WRONG = {  # what is asked for -> the error
    "Content-MD5": ({"Content-MD5": WRONG_MD5}, "BadDigest"),
    "Content-MD5 that is none": ({"Content-MD5": "AAAA"}, "InvalidDigest"),
    "CRC32": ({"x-amz-checksum-crc32": "AAAAAA=="}, "BadDigest"),
    "SHA256": ({"x-amz-checksum-sha256": "A" * 43 + "="}, "BadDigest"),
    "checksum that is none": ({"x-amz-checksum-crc32": "nothing"}, "InvalidRequest"),
    "class": ({"x-amz-storage-class": "COLD"}, "InvalidStorageClass"),
    "metadata": ({"x-amz-meta-a": "x" * 2048}, "MetadataTooLarge"),
    "tags": ({"x-amz-tagging": "a=b&a=c"}, "InvalidArgument"),
    "grant": ({"x-amz-grant-read": "id=somebody"}, "AccessControlListNotSupported"),
    "encryption": ({"x-amz-server-side-encryption": "aws:kms"}, "NotImplemented"),
    "public": ({"x-amz-acl": "public-read"}, "AccessControlListNotSupported"),
    "lock": ({"x-amz-object-lock-legal-hold": "ON"}, "NotImplemented"),
    "append": ({"x-amz-write-offset-bytes": "5"}, "NotImplemented"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("key", ["new/key", "old"])
def test_a_refused_upload_leaves_all_as_it_was(s3, ask, box, data, name, key):
    s3.put_object(Bucket="box", Key="old", Body=b"old", Metadata={"a": "b"})
    before = on_disk(box)
    headers, code = WRONG[name]
    answer = ask("PUT", f"/box/{key}", data, headers)
    assert answer.code == code
    assert on_disk(box) == before


@pytest.mark.parametrize("key", ["new/key", "old"])
def test_a_body_that_ends_early_leaves_all_as_it_was(s3, ask, box, data, key):
    s3.put_object(Bucket="box", Key="old", Body=b"old")
    before = on_disk(box)
    answer = ask("PUT", f"/box/{key}", data, length=len(data) + 1)
    assert (answer.status, answer.code) == (400, "IncompleteBody")
    assert on_disk(box) == before


class Failing:
    """A connection that breaks, or stalls, after some bytes."""

    def __init__(self, data, error):
        self.data, self.error = data, error

    def readinto(self, view):
        if not self.data:
            raise self.error
        size = min(len(view), len(self.data))
        view[:size], self.data = self.data[:size], self.data[size:]
        return size


@pytest.mark.parametrize(
    "broken",
    [(TimeoutError(), "RequestTimeout"), (ConnectionResetError(), "IncompleteBody")],
)
@pytest.mark.parametrize("key", ["new/key", "old"])
def test_a_client_that_goes_away_leaves_all_as_it_was(s3, ask, box, data, key, broken):
    error, code = broken
    s3.put_object(Bucket="box", Key="old", Body=b"old")
    before = on_disk(box)
    source = {"wsgi.input": Failing(data[:-1], error)}
    answer = ask("PUT", f"/box/{key}", data, environ=source)
    assert (answer.status, answer.code) == (400, code)
    assert on_disk(box) == before


def test_a_body_that_was_signed_and_changed_leaves_nothing(ask, box, data):
    answer = ask("PUT", "/box/key", data, payload=hashlib.sha256(b"other").hexdigest())
    assert (answer.status, answer.code) == (400, "XAmzContentSHA256Mismatch")
    assert on_disk(box) == {}


@pytest.mark.parametrize("durability", ["full", "none"])
@pytest.mark.parametrize(
    "refused",
    [
        (28, "InsufficientStorage", 507),
        (122, "QuotaExceeded", 403),
        (30, "MethodNotAllowed", 405),
        (5, "InternalError", 500),
        (24, "SlowDown", 503),
        (27, "EntityTooLarge", 400),
    ],
)
def test_what_the_disk_says_becomes_its_s3_error(
    make_app, root, monkeypatch, data, refused, durability
):
    number, code, status = refused
    ask = Asker(make_app(durability=durability))
    ask("PUT", "/box")

    def fail(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "write", fail)
    answer = ask("PUT", "/box/a/key", data)
    monkeypatch.undo()
    assert (answer.status, answer.code) == (status, code)
    assert str(root) not in answer.body.decode()
    assert on_disk(root / "box") == {}


# --- limits ------------------------------------------------------------------------------------


def test_over_5_gib_is_refused_before_the_body_is_read(ask, box):
    unread = {"wsgi.input": Silent()}
    answer = ask("PUT", "/box/key", b"x", length=GIB5 + 1, environ=unread)
    assert (answer.status, answer.code) == (400, "EntityTooLarge")
    told = fields(answer)
    assert (told["ProposedSize"], told["MaxSizeAllowed"]) == (str(GIB5 + 1), str(GIB5))


def test_over_5_gib_in_chunks_is_refused_before_the_body_is_read(ask, box):
    answer = ask(
        "PUT",
        "/box/key",
        b"x",
        {"x-amz-decoded-content-length": str(GIB5 + 1), "Content-Encoding": "aws-chunked"},
        payload="STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        environ={"wsgi.input": Silent()},
    )
    assert (answer.status, answer.code) == (400, "EntityTooLarge")


def test_5_gib_is_not_too_large(ask, box):
    class Broken:
        def readinto(self, view):
            raise ConnectionResetError

    answer = ask("PUT", "/box/key", b"x", length=GIB5, environ={"wsgi.input": Broken()})
    assert answer.code == "IncompleteBody"


def test_a_length_must_be_given(ask, box):
    answer = ask("PUT", "/box/key", environ={"HTTP_TRANSFER_ENCODING": "chunked"})
    assert (answer.status, answer.code) == (411, "MissingContentLength")
    assert on_disk(box) == {}


def test_no_length_and_no_body_is_no_put(ask, box):
    assert ask("PUT", "/box/key").code == "MissingContentLength"
    assert ask("PUT", "/box/key", length=0).status == 200
    assert (box / "key").read_bytes() == b""


@pytest.mark.parametrize("query", ["versionId=null", "versionId=abc", "partNumber=1"])
def test_what_is_put_has_no_version_and_no_part_number(ask, box, query):
    answer = ask("PUT", f"/box/key?{query}", SMALL)
    assert (answer.status, answer.code) == (400, "InvalidArgument")
    assert on_disk(box) == {}


# --- directory objects -------------------------------------------------------------------------


def test_a_key_that_ends_in_a_slash_is_a_directory_object(s3, box):
    s3.put_object(Bucket="box", Key="a/d/", Metadata={"who": "me"})
    assert (box / "a/d").is_dir()
    answer = s3.get_object(Bucket="box", Key="a/d/")
    assert answer["Body"].read() == b""
    assert answer["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
    assert answer["Metadata"] == {"who": "me"}
    assert answer["ContentType"] == "application/x-directory"
    assert refusal(s3.head_object, Bucket="box", Key="a/d")[0] == 404
    assert refusal(s3.head_object, Bucket="box", Key="a/")[0] == 404


def test_a_directory_object_keeps_the_type_that_it_was_given(s3, box):
    s3.put_object(Bucket="box", Key="d/", ContentType="text/x-folder", CacheControl="no-cache")
    answer = s3.head_object(Bucket="box", Key="d/")
    assert (answer["ContentType"], answer["CacheControl"]) == ("text/x-folder", "no-cache")


def test_a_directory_object_holds_no_data(ask, box, data):
    answer = ask("PUT", "/box/d/", data)
    assert (answer.status, answer.code) == (400, "DirectoryObjectContainsData")
    assert on_disk(box) == {}


def test_a_directory_object_with_a_wrong_digest_is_none(ask, box):
    for headers in ({"Content-MD5": WRONG_MD5}, {"x-amz-checksum-crc32": "AAAAAQ=="}):
        assert ask("PUT", "/box/d/", b"", headers, length=0).code == "BadDigest"
    assert on_disk(box) == {}


def test_a_directory_object_put_again_has_the_new_metadata_alone(s3, box):
    s3.put_object(Bucket="box", Key="d/", Metadata={"old": "1"}, ContentLanguage="de")
    s3.put_object(Bucket="box", Key="d/x", Body=b"x")
    s3.put_object(Bucket="box", Key="d/", Metadata={"new": "2"})
    answer = s3.head_object(Bucket="box", Key="d/")
    assert answer["Metadata"] == {"new": "2"}
    assert "ContentLanguage" not in answer
    assert body_of(s3, "d/x") == b"x"


def test_a_folder_that_was_there_becomes_a_directory_object_and_stays_a_folder(s3, box):
    (box / "d").mkdir()
    s3.put_object(Bucket="box", Key="d/")
    s3.head_object(Bucket="box", Key="d/")
    s3.delete_object(Bucket="box", Key="d/")
    assert refusal(s3.head_object, Bucket="box", Key="d/")[0] == 404
    assert (box / "d").is_dir()


# --- files and directories of one name ---------------------------------------------------------


def test_below_an_object_there_is_nothing(s3, box, data):
    s3.put_object(Bucket="box", Key="a", Body=b"a")
    before = on_disk(box)
    for key in ("a/b", "a/b/c", "a/", "a/b/"):
        body = b"" if key.endswith("/") else data
        told = refusal(s3.put_object, Bucket="box", Key=key, Body=body)
        assert told == (409, "ObjectParentIsFile")
    assert on_disk(box) == before


def test_a_directory_is_not_replaced_by_an_object(s3, box, data):
    s3.put_object(Bucket="box", Key="a/b", Body=b"b")
    before = on_disk(box)
    told = refusal(s3.put_object, Bucket="box", Key="a", Body=data)
    assert told == (409, "ExistingObjectIsDirectory")
    assert on_disk(box) == before


@pytest.mark.parametrize("make", ["folder", "directory object"])
def test_an_empty_directory_of_somebody_is_not_replaced(s3, box, data, make):
    if make == "folder":
        (box / "a").mkdir()
    else:
        s3.put_object(Bucket="box", Key="a/")
    told = refusal(s3.put_object, Bucket="box", Key="a", Body=data)
    assert told == (409, "ExistingObjectIsDirectory")
    assert (box / "a").is_dir()


def test_a_parent_without_objects_makes_room(s3, box, data):
    s3.put_object(Bucket="box", Key="a/b/c", Body=b"c")
    s3.delete_object(Bucket="box", Key="a/b/c")
    s3.put_object(Bucket="box", Key="a", Body=data)
    assert body_of(s3, "a") == data


def test_a_failed_put_removes_the_parents_that_it_made_and_no_other(s3, ask, box, monkeypatch):
    (box / "mine").mkdir()
    before = on_disk(box)

    def fail(*_, **__):
        raise OSError(5, "no")

    monkeypatch.setattr(os, "link", fail)
    assert ask("PUT", "/box/mine/a/b/c", SMALL).code == "InternalError"
    assert ask("PUT", "/box/mine/a/b/c", LARGE).code == "InternalError"
    assert on_disk(box) == before
