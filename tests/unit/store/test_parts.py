"""A part counts when it is whole, until another that is whole takes its place."""

import os

import pytest

from s3filters.store import errors, locks, parts, placed, uploads
from tests.unit.store.conftest import BUCKET
from tests.unit.store.multipart import KEY, begin, draft, folder, left, md5, numbers, put


@pytest.fixture(params=["direct", "files", "named"])
def box(request, make_box):
    """The two placements, and a file system without O_TMPFILE."""
    box = make_box(placement="direct" if request.param == "named" else request.param)
    box.store.tmpfile = box.store.tmpfile and request.param != "named"
    return box


@pytest.fixture
def direct(make_box):
    return make_box(placement="direct")


def listed(box, upload, after=0, limit=1000):
    return box.store.parts(BUCKET, KEY, upload.id, after, limit)


def bytes_of(box, upload, part):
    """The bytes of a part, wherever they are."""
    with open(folder(box, upload) / (part.data or str(part.number)), "rb") as file:
        file.seek(part.offset)
        return file.read(part.size)


def test_a_part_is_listed_with_what_it_is(box, no_open_files):
    upload = begin(box)
    written = put(box, upload, 7, b"hello")
    found, truncated = listed(box, upload)
    assert (found, truncated) == ([written], False)
    assert (written.size, written.etag) == (5, md5(b"hello"))
    assert bytes_of(box, upload, written) == b"hello"


def test_a_part_gathers_what_is_written_and_copied(box, tmp_path):
    (tmp_path / "source").write_bytes(b"0123456789")
    upload = begin(box)
    part = box.store.part(upload, 1, 9)
    part.write(b"abc")
    with open(tmp_path / "source", "rb") as source:
        part.copy_from(source.fileno(), 2, 4)
    part.write(memoryview(b"yz"))
    record = part.commit("0" * 32, "", "")
    assert bytes_of(box, upload, record) == b"abc2345yz"


def test_parts_are_listed_by_number_a_page_at_a_time(box):
    upload = begin(box)
    for number in (10, 9, 100, 1):
        put(box, upload, number, b"x")
    found, truncated = listed(box, upload, after=1, limit=2)
    assert ([part.number for part in found], truncated) == ([9, 10], True)
    found, truncated = listed(box, upload, after=10, limit=2)
    assert ([part.number for part in found], truncated) == ([100], False)


def test_a_part_that_is_not_committed_does_not_exist(box, no_open_files):
    upload = begin(box)
    part = draft(box, upload, 1, b"hello")
    assert numbers(box, upload) == []
    part.discard()
    assert numbers(box, upload) == []
    assert [name for name in os.listdir(folder(box, upload)) if name != "data.1"] == []


def test_a_part_that_comes_again_replaces_the_first(box):
    upload = begin(box)
    put(box, upload, 1, b"first")
    second = put(box, upload, 1, b"second")
    assert listed(box, upload)[0] == [second]
    assert bytes_of(box, upload, second) == b"second"


def test_a_part_that_comes_again_and_fails_leaves_the_first(box):
    upload = begin(box)
    first = put(box, upload, 1, b"first")
    draft(box, upload, 1, b"other").discard()
    assert listed(box, upload)[0] == [first]
    assert bytes_of(box, upload, first) == b"first"


def test_two_writers_of_one_part_do_not_mix(box):
    upload = begin(box)
    one, two = (box.store.part(upload, 1, 6) for _ in range(2))
    for _ in range(3):
        one.write(b"11")
        two.write(b"22")
    one.commit(md5(b"1" * 6), "", "")
    last = two.commit(md5(b"2" * 6), "", "")
    assert listed(box, upload)[0] == [last]
    assert bytes_of(box, upload, last) == b"222222"


def test_a_part_of_an_upload_that_has_ended_is_refused_and_makes_nothing(box, no_open_files):
    upload = begin(box)
    part = draft(box, upload, 1, b"hello")
    box.store.end_upload(BUCKET, KEY, upload.id)
    with pytest.raises(errors.NoSuchUpload):
        part.commit(md5(b"hello"), "", "")
    with pytest.raises(errors.NoSuchUpload):
        box.store.part(upload, 2, 5)
    assert left(box) == []


def test_a_part_waits_for_nobody_and_can_be_committed_later(box, no_open_files):
    upload = begin(box)
    part = draft(box, upload, 1, b"hello")
    held = locks.hold_upload(box.store.root, uploads.path_of(BUCKET, KEY, upload.id))
    with held, pytest.raises(errors.Busy):
        part.commit(md5(b"hello"), "", "")
    part.commit(md5(b"hello"), "", "")
    assert numbers(box, upload) == [1]


def test_other_names_in_the_directory_are_no_parts(box):
    upload = begin(box)
    for name in ("0", "01", "10001", "1e3", "-1", "put.0123456789abcdef", "x", "\u0661", "999999"):
        (folder(box, upload) / name).write_bytes(b"")
    assert numbers(box, upload) == []


def test_a_part_of_versitys_gateway_is_read(box):
    upload = begin(box)
    path = folder(box, upload) / "3"
    path.write_bytes(b"hello")
    os.setxattr(path, "user.etag", b'"5d41402abc4b2a76b9719d911017c592"')
    os.setxattr(path, "user.part-crc64nvme", b"M3eFcAZSQlc=")
    ((part,), _) = listed(box, upload)
    assert (part.number, part.size, part.etag) == (3, 5, "5d41402abc4b2a76b9719d911017c592")
    assert (part.algorithm, part.checksum) == ("CRC64NVME", "M3eFcAZSQlc=")


MD5 = "0" * 32


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        f"{MD5} -5 1 - - - 0".encode(),
        f"{MD5} {10**30} 1 - - - 0".encode(),
        f"{MD5} 5 {10**30} - - - 0".encode(),
        f"{MD5} 5 1 - - ../../../secret 0".encode(),
        f"{MD5} 5 1 - - data.3 0".encode(),
        b"a\x01b 5 1 - - - 0",
        b"a b 5 1 - - - 0",
    ],
)
def test_what_others_wrote_into_our_attribute_of_a_part_counts_for_nothing(box, value):
    upload = begin(box)
    put(box, upload, 1, b"hello")
    file = folder(box, upload) / "1"
    os.setxattr(file, parts.PART, value)
    os.setxattr(file, "user.etag", b'"abc"')
    ((part,), _) = listed(box, upload)
    assert (part.etag, part.size, part.data, part.offset) == ("abc", 5, "", 0)
    put(box, upload, 1, b"again")
    assert listed(box, upload)[0][0].etag == md5(b"again")


def test_what_is_no_file_with_an_etag_is_no_part(box, no_open_files):
    upload = begin(box)
    here = folder(box, upload)
    (here / "1").symlink_to(box.root)
    (here / "2").mkdir()
    os.mkfifo(here / "3")
    (here / "4").write_bytes(b"nobody acknowledged this")
    (here / "5").write_bytes(b"x")
    os.setxattr(here / "5", "user.etag", b'"\n"')
    assert listed(box, upload) == ([], False)
    for number in (1, 2, 3):
        with pytest.raises(errors.MethodNotAllowed, match=f"{number} in .sgwtmp"):
            put(box, upload, number, b"data")
    for number in (4, 5):
        put(box, upload, number, b"data")
    assert numbers(box, upload) == [4, 5]


def test_a_part_file_can_be_read_by_versitys_gateway(make_box):
    box = make_box(placement="files")
    upload = begin(box)
    box_part = draft(box, upload, 1, b"hello")
    box_part.commit(md5(b"hello"), "CRC64NVME", "M3eFcAZSQlc=")
    path = folder(box, upload) / "1"
    assert path.read_bytes() == b"hello"
    assert os.getxattr(path, "user.etag") == b'"5d41402abc4b2a76b9719d911017c592"'
    assert os.getxattr(path, "user.part-crc64nvme") == b"M3eFcAZSQlc="


def test_a_part_of_a_declared_algorithm_says_it_as_versitys_gateway_does(make_box):
    box = make_box(placement="files")
    upload = begin(box, algorithm="CRC32", checksum_type="COMPOSITE")
    draft(box, upload, 1, b"hello").commit(md5(b"hello"), "CRC32", "NhCmhg==")
    raw = os.getxattr(folder(box, upload) / "1", "user.checksums")
    assert raw.startswith(b'{"Algorithm":"CRC32","Type":"","CRC32":"NhCmhg==",')


def test_a_placed_part_can_be_listed_and_never_joined_by_versitys_gateway(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"hello")
    path = folder(direct, upload) / "1"
    assert path.stat().st_size == 5
    assert os.getxattr(path, "user.etag") == b'W/"5d41402abc4b2a76b9719d911017c592"'
    assert "user.part-crc64nvme" not in os.listxattr(path)


@pytest.mark.parametrize("durability", ["full", "data"])
@pytest.mark.parametrize("placement", ["files", "direct"])
def test_what_a_part_consists_of_is_synced_before_its_name(
    make_box, monkeypatch, durability, placement
):
    box = make_box(durability=durability, placement=placement)
    upload = begin(box)
    calls = []
    for name in ("fsync", "fdatasync", "link"):
        real = getattr(os, name)

        def record(*args, _name=name, _real=real, **options):
            calls.append(_name)
            return _real(*args, **options)

        monkeypatch.setattr(os, name, record)
    part = draft(box, upload, 1, b"hello")
    calls.clear()
    part.commit(md5(b"hello"), "", "")
    at = calls.index("link")
    assert (
        calls[:at]
        == {
            ("full", "files"): ["fsync"],
            ("full", "direct"): ["fdatasync", "fsync"],
            ("data", "files"): ["fdatasync"],
            ("data", "direct"): ["fdatasync", "fdatasync"],
        }[durability, placement]
    )
    assert calls[at + 1 :] == (["fsync"] if durability == "full" else [])


def test_the_layer_below_knows_as_many_parts_as_s3(direct):
    assert parts.MOST == 10_000
    assert placed.NAMES


@pytest.mark.parametrize("made_by", ["us", "another gateway", "a word that makes no sense"])
def test_an_open_file_is_told_from_the_part_that_replaced_it(make_box, made_by):
    box = make_box(placement="files")
    upload = begin(box)
    put(box, upload, 1, b"data")
    here = folder(box, upload)
    if made_by == "another gateway":
        os.removexattr(here / "1", parts.PART)
    elif made_by == "a word that makes no sense":
        os.setxattr(here / "1", parts.PART, b"word")
    (record,), _ = listed(box, upload)
    old = os.open(here / "1", os.O_RDONLY)
    put(box, upload, 1, b"else")
    new = os.open(here / "1", os.O_RDONLY)
    try:
        assert parts.is_same(old, record)
        assert not parts.is_same(new, record)
    finally:
        os.close(old)
        os.close(new)
