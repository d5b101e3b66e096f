"""Uploads that Versity's gateway began are finished by us, and what it finished is served."""

import gzip
import hashlib
import json
import os
from pathlib import Path

import pytest

from tests import versity, wire
from tests.functional.asking import refusal
from tests.functional.parts import LEAST, PLACEMENTS, Uploader, placing_app

ANSWERS = json.loads((versity.DATA / "answers.json").read_text())
OPEN = ANSWERS["open_upload"]
NAME = {"Bucket": "plain", "Key": "mp/unfinished", "UploadId": OPEN}
MULTIPART = sorted({
    call["args"]["Key"]
    for call in ANSWERS["calls"]
    if call["call"] == "head_object" and "-" in str(call["result"].get("ETag"))
})  # fmt: skip


@pytest.fixture
def root(tmp_path):
    return versity.unpack(tmp_path)


@pytest.fixture(params=PLACEMENTS)
def s3(root, tmp_path, request):
    credentials = tmp_path / "credentials.jsonl"
    key = {"access_key": versity.ACCESS_KEY, "secret_key": versity.SECRET_KEY}
    credentials.write_text(json.dumps(key | {"created_at": 0, "enabled": True}))
    credentials.chmod(0o600)
    settings = {"root": str(root), "credentials": str(credentials), "durability": "none"}
    app = placing_app(tmp_path, settings, request.param)
    return wire.client(app, versity.ACCESS_KEY, versity.SECRET_KEY)


def bytes_of(root, number):
    """The bytes of a part of the unfinished upload."""
    (path,) = Path(root, "plain", ".sgwtmp", "multipart").glob(f"*/{OPEN}/{number}")
    return path.read_bytes()


def listed(s3):
    return {"Parts": [
        {"PartNumber": part["PartNumber"], "ETag": part["ETag"]}
        for part in s3.list_parts(**NAME)["Parts"]
    ]}  # fmt: skip


def test_the_unfinished_upload_is_completed(s3, root):
    data = bytes_of(root, 1) + bytes_of(root, 2)
    answer = s3.complete_multipart_upload(**NAME, MultipartUpload=listed(s3))
    assert answer["ETag"].endswith('-2"')
    assert answer["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket="plain", Key="mp/unfinished", ChecksumMode="ENABLED")
    assert got["Body"].read() == data
    assert got["ChecksumCRC64NVME"] == answer["ChecksumCRC64NVME"]
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="plain")
    part = s3.get_object(Bucket="plain", Key="mp/unfinished", PartNumber=2)
    assert part["Body"].read() == data[LEAST:]
    again = s3.get_object_attributes(
        Bucket="plain", Key="mp/unfinished", ObjectAttributes=["ObjectParts"]
    )
    assert again["ObjectParts"]["TotalPartsCount"] == 2


def test_the_unfinished_upload_takes_more_parts(s3, root):
    first = bytes_of(root, 1)
    s3.upload_part(**NAME, PartNumber=2, Body=b"y" * LEAST)
    s3.upload_part(**NAME, PartNumber=3, Body=b"z")
    s3.complete_multipart_upload(**NAME, MultipartUpload=listed(s3))
    body = s3.get_object(Bucket="plain", Key="mp/unfinished")["Body"].read()
    assert body == first + b"y" * LEAST + b"z"


def test_parts_and_what_becomes_of_them_have_the_etags_that_its_gateway_gives(s3, root):
    upload = Uploader(s3, "a/b/c/myobject", "plain")
    first = upload.put(1, b"A" * LEAST)
    last = upload.put(2, b"B" * 10)
    assert first["ETag"] == '"b8fc857a25e7958868c2f003d5e0952d"'
    assert last["ETag"] == '"38b18761d3d0c217371967a98d545c2e"'
    digest = "b87e99653e21d1d5f272e9d34cc7c86f132052e3e763b9ed79a41e1fc97c7597"
    part = Path(root, "plain", ".sgwtmp", "multipart", digest, upload.id, "2")
    # A part in the data file of its upload has a weak one: its gateway must not take it for bytes.
    assert os.getxattr(part, "user.etag").decode().removeprefix("W/") == last["ETag"]
    joined = '"c388257bed0997141334085ff26dc81e-2"'
    assert upload.complete()["ETag"] == joined
    path = Path(root, "plain", "a", "b", "c", "myobject")
    assert os.getxattr(path, "user.etag").decode() == joined
    written = json.loads(gzip.decompress(os.getxattr(path, "user.mp-metadata")))
    assert written == {"uploadId": upload.id, "parts": [LEAST, LEAST + 10]}


def test_the_unfinished_upload_is_aborted(s3, root):
    s3.abort_multipart_upload(**NAME)
    assert refusal(s3.list_parts, **NAME) == (404, "NoSuchUpload")
    assert not list(Path(root, "plain", ".sgwtmp", "multipart").glob(f"*/{OPEN}"))


def test_what_was_said_when_it_began_is_kept(s3, root):
    (folder,) = Path(root, "plain", ".sgwtmp", "multipart").glob(f"*/{OPEN}")
    os.setxattr(folder, "user.content-type", b"text/plain")
    os.setxattr(folder, "user.metadata", b'{"colour":"red"}')
    s3.complete_multipart_upload(**NAME, MultipartUpload=listed(s3))
    head = s3.head_object(Bucket="plain", Key="mp/unfinished")
    assert (head["ContentType"], head["Metadata"]) == ("text/plain", {"colour": "red"})


def test_there_are_finished_objects_to_look_at():
    assert len(MULTIPART) >= 3


@pytest.mark.parametrize("key", MULTIPART)
def test_each_part_of_a_finished_object_is_answered_by_its_number(s3, root, key):
    whole = Path(root, "plain", key).read_bytes()
    count = s3.head_object(Bucket="plain", Key=key, PartNumber=1)["PartsCount"]
    parts = [
        s3.get_object(Bucket="plain", Key=key, PartNumber=number)["Body"].read()
        for number in range(1, count + 1)
    ]
    assert b"".join(parts) == whole
    digests = b"".join(hashlib.md5(part).digest() for part in parts)
    etag = s3.head_object(Bucket="plain", Key=key)["ETag"]
    assert etag == f'"{hashlib.md5(digests).hexdigest()}-{count}"'
    over = {"Bucket": "plain", "Key": key, "PartNumber": count + 1}
    assert refusal(s3.get_object, **over) == (416, "InvalidPartNumber")


def test_what_its_gateway_was_completing_when_it_died_is_no_object(s3, root):
    """Fault 1 of the peer: it answers 200 to the client's next try, although nothing is there."""
    (folder,) = Path(root, "plain", ".sgwtmp", "multipart").glob(f"*/{OPEN}")
    parts = listed(s3)
    folder.rename(folder.with_name(f"{OPEN}.0123456789abcdef0123456789abcdef-2.inprogress"))
    args = {**NAME, "MultipartUpload": parts}
    assert refusal(s3.complete_multipart_upload, **args) == (503, "SlowDown")
    assert refusal(s3.head_object, Bucket="plain", Key="mp/unfinished")[0] == 404


def test_an_unknown_upload_of_a_finished_object_is_told(s3):
    """Fault 3 of the peer: it answers 200, with an ETag made of the client's list."""
    args = {"Bucket": "plain", "Key": MULTIPART[0], "MultipartUpload": listed(s3)}
    for upload_id in (OPEN, "11111111-1111-4111-8111-111111111111"):
        found = refusal(s3.complete_multipart_upload, UploadId=upload_id, **args)
        assert found == (404, "NoSuchUpload")


def test_a_part_whose_checksum_nobody_knows_is_no_obstacle(s3, root):
    (part,) = Path(root, "plain", ".sgwtmp", "multipart").glob(f"*/{OPEN}/1")
    os.removexattr(part, "user.part-crc64nvme")
    answer = s3.complete_multipart_upload(**NAME, MultipartUpload=listed(s3))
    assert not [name for name in answer if name.startswith("Checksum")]
    head = s3.head_object(Bucket="plain", Key="mp/unfinished", ChecksumMode="ENABLED")
    assert not [name for name in head if name.startswith("Checksum")]
