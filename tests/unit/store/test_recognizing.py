"""What a file is: what others left out or broke, and files edited behind us."""

import os

import pytest

from tests.unit.store.conftest import attributes
from tests.unit.store.files import raw, read, store


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "name.txt"
    made.write_bytes(b"hello")
    return made


@pytest.mark.parametrize("value", [b"", b"\x1f\x8bbroken", b"[1]", b"{", b"[" * 100_000])
def test_broken_attributes_of_others_do_not_break_the_object(path, value):
    os.setxattr(path, "user.etag", b'"abc"')
    for name in ("mp-metadata", "checksums", "metadata", "X-Amz-Tagging"):
        os.setxattr(path, f"user.{name}", value[:500])
    record = read(path)
    assert (record.etag, record.parts, record.checksums) == ("abc", (), None)
    assert (record.user, record.tags) == ({}, 0)


def test_a_foreign_file_has_an_etag_that_is_no_md5_and_changes_with_it(path):
    first = read(path)
    assert first.etag.endswith("-0")
    assert len(first.etag) == 34
    assert read(path).etag == first.etag
    assert (first.checksums, first.user, first.storage_class) == (None, {}, "STANDARD")
    assert not first.touched
    os.utime(path, ns=(0, 1))
    second = read(path)
    path.write_bytes(b"other length")
    assert len({first.etag, second.etag, read(path).etag}) == 3


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.html", "text/html"),
        ("A.PNG", "image/png"),
        ("a.b.json", "application/json"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.bz2", "application/octet-stream"),
        ("noextension", "binary/octet-stream"),
        ("a.unknownsuffix", "binary/octet-stream"),
    ],
)
def test_the_type_of_a_foreign_file_is_guessed_from_its_name(path, name, kind):
    assert read(path, name).headers == {"content-type": kind}


def test_an_object_without_a_type_is_what_s3_calls_it_whatever_its_name(path):
    os.setxattr(path, "user.etag", b'"abc"')
    assert read(path).headers == {"content-type": "binary/octet-stream"}


def test_an_edited_object_shows_neither_its_old_etag_nor_its_old_checksum(path):
    store(path, attributes(parts=(2, 5)))
    before = read(path)
    with path.open("r+b") as file:
        file.write(b"J")
    after = read(path)
    assert after.touched
    assert after.etag not in (before.etag, "")
    assert after.etag.endswith("-0")
    assert (after.checksums, after.parts) == (None, ())
    assert after.headers == before.headers
    assert after.user == before.user


def test_a_file_of_the_same_mtime_and_another_size_was_edited(path):
    store(path, attributes())
    stamp = os.stat(path).st_mtime_ns
    path.write_bytes(b"longer than before")
    os.utime(path, ns=(stamp, stamp))
    assert read(path).touched


def test_a_renamed_or_chmodded_object_was_not_edited(path):
    store(path, attributes())
    os.chmod(path, 0o600)
    moved = path.rename(path.with_name("moved"))
    assert not read(moved).touched


def test_an_object_of_versitys_without_a_seal_is_believed(path):
    os.setxattr(path, "user.etag", b'"5d41402abc4b2a76b9719d911017c592"')
    path.write_bytes(b"x")
    assert read(path).etag == "5d41402abc4b2a76b9719d911017c592"


def test_legacy_metadata_is_read_and_left_as_it_is(path):
    os.setxattr(path, "user.etag", b'"abc"')
    os.setxattr(path, "user.X-Amz-Meta.Key", "wért".encode())
    before = raw(path)
    assert read(path).user == {"key": "wért"}
    assert raw(path) == before
    os.setxattr(path, "user.metadata", b'{"new":"1"}')
    assert read(path).user == {"new": "1"}


def test_a_directory_is_an_object_when_it_has_an_etag(tmp_path):
    assert read(tmp_path) is None
    store(tmp_path, attributes())
    record = read(tmp_path)
    assert (record.is_directory, record.size, record.touched) == (True, 0, False)
    (tmp_path / "child").touch()
    assert not read(tmp_path).touched


def test_a_deleted_version_and_a_fifo_are_no_objects(tmp_path, path):
    os.setxattr(path, "user.etag", b'"abc"')
    os.setxattr(path, "user.delete-marker", b"")
    assert read(path) is None
    os.mkfifo(tmp_path / "fifo")
    assert read(tmp_path / "fifo") is None


def test_records_share_what_they_have_in_common(tmp_path):
    records = []
    for name in "ab":
        path = tmp_path / name
        path.touch()
        store(path, attributes())
        records.append(read(path))
    assert records[0].headers is records[1].headers
