"""Attributes on their way to the disk: Versity's form exactly, and what does not fit."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import describing, metadata
from s3filters.store.metadata import Attributes, Checksums
from tests.unit.store.conftest import attributes
from tests.unit.store.files import raw, read, store

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "name.txt"
    made.write_bytes(b"hello")
    return made


def test_attributes_are_stored_in_versitys_form(path):
    store(path, attributes(user={"b<": "&", "a": "é"}, tags={"k": "v"}))
    found = os.stat(path)
    assert raw(path) == {
        "user.etag": b'"5d41402abc4b2a76b9719d911017c592"',
        "user.content-type": b"text/plain",
        "user.metadata": '{"a":"é","b\\u003c":"\\u0026"}'.encode(),
        "user.checksums": (
            b'{"Algorithm":"CRC64NVME","Type":"FULL_OBJECT","CRC32":null,"CRC32C":null,"SHA1":null,'
            b'"SHA256":null,"CRC64NVME":"M3eFcAZSQlc=","SHA512":null,"MD5":null,"XXHASH64":null,'
            b'"XXHASH3":null,"XXHASH128":null}'
        ),
        "user.X-Amz-Tagging": b'{"k":"v"}',
        "user.s3filters.seal": b"5 %d" % found.st_mtime_ns,
    }


def test_what_is_stored_is_read_again(path):
    given = attributes(
        etag="c388257bed0997141334085ff26dc81e-2",
        headers={name: f"value of {name}" for name in metadata.STANDARD_HEADERS},
        storage_class="STANDARD_IA",
        parts=(2, 5),
        tags={"a": "1", "b": "2"},
        upload_id="386a110b-b0b4-4fef-bf2d-4e765e844d1b",
    )
    kept = store(path, given)
    record = read(path)
    assert record == describing.record_of(given, os.stat(path), kept)
    assert (record.etag, record.size, record.parts, record.tags) == (given.etag, 5, (2, 5), 2)
    assert record.headers == given.headers
    assert record.checksums == given.checksums
    assert record.storage_class == "STANDARD_IA"
    assert not record.touched


def test_what_is_written_again_leaves_nothing_of_the_first_time(path):
    first = attributes(
        headers={"content-type": "text/plain", "cache-control": "no-store"},
        tags={"k": "v"},
        storage_class="STANDARD_IA",
        checksums=Checksums("CRC32", "COMPOSITE", "AAAAAA==-2"),
        parts=(2, 5),
        part_checksums=("AAAAAA==", "AAAAAQ=="),
        upload_id="first",
    )
    os.setxattr(path, "user.theirs", b"stays")
    store(path, first)
    second = attributes(user={}, checksums=None)
    assert store(path, second, again=True) is None
    assert raw(path).keys() == {
        "user.etag", "user.content-type", "user.s3filters.seal", "user.theirs",
    }  # fmt: skip
    assert read(path) == describing.record_of(second, os.stat(path))


def test_an_ordinary_put_sets_its_attributes_and_asks_for_nothing(path, monkeypatch):
    asked = []
    for name in ("listxattr", "removexattr", "fstatvfs", "getxattr"):
        monkeypatch.setattr(os, name, lambda *_, name=name: asked.append(name))
    assert store(path, attributes()) is None
    assert asked == []


@given(st.dictionaries(TEXT, TEXT, max_size=5), TEXT)
def test_any_text_survives(tmp_path_factory, user, kind):
    given = Attributes("abc", {"content-type": kind}, user, Checksums("SHA1", "COMPOSITE", "x-2"))
    path = tmp_path_factory.getbasetemp() / "any"
    path.unlink(missing_ok=True)
    path.touch()
    store(path, given)
    record = read(path)
    assert record.user == user
    assert record.headers["content-type"] == (kind or "binary/octet-stream")
    assert record.checksums == given.checksums
