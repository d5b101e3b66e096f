"""A tree that Versity's gateway wrote, read and compared with what that gateway answered."""

import email.utils
import hashlib
import json
import os
import tarfile
from pathlib import Path

import pytest

from s3filters.store import Store
from s3filters.store.errors import BucketNotEmpty, NoSuchKey

DATA = Path(__file__).parents[2] / "data" / "versity-tree"
HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("versity")
    with tarfile.open(DATA / "tree.tar.xz") as archive:
        for member in archive:
            archive.extract(member, root, filter="data")
            for name, value in member.pax_headers.items():
                if name.startswith("SCHILY.xattr.user."):
                    attribute = name.removeprefix("SCHILY.xattr.")
                    os.setxattr(
                        root / member.name, attribute, value.encode("utf-8", "surrogateescape")
                    )
        for member in archive:
            stamp = round(float(member.mtime) * 1e9)
            os.utime(root / member.name, ns=(stamp, stamp))
    made = Store(root / "root", durability="none")
    yield made
    made.close()


def calls(name):
    answers = json.loads((DATA / "answers.json").read_text())["calls"]
    return [
        pytest.param(a, id=f"{at}-{a['args'].get('Bucket')}/{a['args'].get('Key', '')[:20]}")
        for at, a in enumerate(answers)
        if a["call"] == name and not {"Range", "PartNumber", "VersionId"} & set(a["args"])
    ]


def test_its_buckets_are_found_with_their_owner(store):
    assert [(b.name, b.owner) for b in store.buckets()] == [
        (name, "rootkey") for name in ("locked", "plain", "versioned")
    ]


@pytest.mark.parametrize("answer", calls("head_object"))
def test_every_object_has_the_record_that_its_gateway_reported(store, answer):
    bucket, key = answer["args"]["Bucket"], answer["args"]["Key"]
    if answer["status"] != 200:
        with pytest.raises(NoSuchKey):
            store.head(bucket, key)
        return
    record, headers, result = store.head(bucket, key), answer["headers"], answer["result"]
    assert f'"{record.etag}"' == result["ETag"]
    assert record.size == result["ContentLength"]
    modified = email.utils.formatdate(record.mtime_ns // 10**9, usegmt=True)
    assert modified == headers["last-modified"]
    assert record.user == result.get("Metadata", {})
    for name in HEADERS:
        if name in headers:
            assert record.headers[name] == headers[name]
    checksums = {
        "Checksum" + record.checksums.algorithm: record.checksums.value,
        "ChecksumType": record.checksums.type,
    }
    for name, value in result.items():
        if name.startswith("Checksum"):
            assert checksums[name] == value
    assert record.tags == result.get("TagCount", record.tags)
    assert not record.touched


@pytest.mark.parametrize("answer", calls("get_object"))
def test_every_body_is_the_one_that_its_gateway_sent(store, answer):
    bucket, key = answer["args"]["Bucket"], answer["args"]["Key"]
    if answer["status"] != 200:
        with pytest.raises(NoSuchKey):
            store.open(bucket, key)
        return
    digest = hashlib.sha256()
    with store.open(bucket, key) as opened:
        for block in opened.blocks(1 << 20):
            digest.update(block)
    assert digest.hexdigest() in json.dumps(answer)


def test_parts_of_its_multipart_objects_are_known(store):
    assert store.head("plain", "mp/two").parts == (5242880, 5242884)
    assert store.head("plain", "mp/meta-sha256").checksums.value.endswith("-2")


def test_its_unfinished_upload_is_unreachable_and_keeps_the_bucket(store):
    upload = "f1578ff0f75b3e2cacfaa96afba4a7dae33b0d610ed6b682e796947722cf969e"
    with pytest.raises(NoSuchKey):
        store.head("plain", f".sgwtmp/multipart/{upload}/386a110b-b0b4-4fef-bf2d-4e765e844d1b/1")
    with pytest.raises(BucketNotEmpty):
        store.delete_bucket("plain")


def test_what_it_deleted_and_keeps_for_its_versions_is_not_there(store):
    with pytest.raises(NoSuchKey):
        store.head("versioned", "doc")
