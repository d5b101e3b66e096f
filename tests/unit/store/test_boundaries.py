"""Where parts end: as much of it as fits beside the file, and nothing that others made up."""

import base64
import errno
import gzip
import json
import os
import random
import zlib
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import boundaries, xattrs
from s3filters.store.boundaries import DIGESTS, OURS, THEIRS, Boundaries
from s3filters.store.errors import InsufficientStorage, MetadataTooLarge
from tests.unit.store.conftest import attributes
from tests.unit.store.files import raw, read, store

ID = "386a110b-b0b4-4fef-bf2d-4e765e844d1b"
SHA256 = tuple(base64.b64encode(bytes([number]) * 32).decode() for number in range(200))


@pytest.fixture
def room(monkeypatch):
    """Makes a file system of one file with so many bytes for all attributes; returns them."""

    def make(size, full=False):
        held = {}

        def put(_, wanted):
            for name, value in wanted:
                if full:
                    raise InsufficientStorage
                others = sum(len(n) + len(v) for n, v in held.items() if n != name)
                if others + len(name) + len(value) > size:
                    raise MetadataTooLarge
                held[name] = value

        monkeypatch.setattr(xattrs, "write", put)
        return held

    return make


def different(count):
    numbers = random.Random(count)
    return tuple(accumulate(numbers.randrange(5 << 20, 5 << 30) for _ in range(count)))


def equal(count):
    return tuple((number + 1) * (5 << 20) for number in range(count))


def decoded(kept):
    return kept.upload_id(), kept.ends(), kept.checksums()


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "name.txt"
    made.write_bytes(b"hello")
    return made


def test_multipart_metadata_is_gzip_of_versitys_json(path):
    store(path, attributes(parts=(2, 5), upload_id="u"))
    assert json.loads(gzip.decompress(raw(path)["user.mp-metadata"])) == {
        "uploadId": "u",
        "parts": [2, 5],
    }


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
@pytest.mark.parametrize(
    ("parts", "read_as"),
    [([2, 5], (2, 5)), ([2, 6], ()), ([], ()), ([5, 2, 5], ()), (["5"], ()), (None, ())],
)
def test_parts_are_believed_when_they_fit_the_file(path, pack, parts, read_as):
    os.setxattr(path, "user.etag", b'"x-2"')
    os.setxattr(path, "user.mp-metadata", pack(json.dumps({"parts": parts}).encode()))
    assert read(path).parts == read_as


def test_a_packed_bomb_is_not_unpacked(path):
    os.setxattr(path, "user.etag", b'"abc-1"')
    os.setxattr(path, "user.mp-metadata", gzip.compress(b" " * (2 << 20)))
    assert read(path).parts == ()


@pytest.mark.parametrize(
    ("ends", "size", "form"),
    [
        (equal(2), 4000, THEIRS),
        (equal(700), 8000, THEIRS),
        (equal(700), 4000, OURS),
        (equal(10_000), 4000, OURS),
        (different(700), 4000, OURS),
        (different(10_000), 1 << 20, OURS),
    ],
)
def test_boundaries_are_stored_in_the_best_form_that_fits(room, ends, size, form):
    held = room(size)
    kept = boundaries.write(-1, ID, ends, ())
    assert decoded(kept) == (ID, ends, ())
    assert kept.stored == held
    assert held.keys() == {form}


def test_what_is_beside_them_leaves_less_room(room):
    held = room(4000)
    held["user.metadata"] = bytes(3000)
    kept = boundaries.write(-1, ID, equal(300), ())
    assert kept.stored.keys() == {OURS}
    assert kept.ends() == equal(300)


def test_of_boundaries_that_fit_in_no_form_the_number_is_kept(room):
    held = room(4000)
    kept = boundaries.write(-1, ID, different(10_000), ())
    assert held == {OURS: f"{ID} 10000*".encode()}
    assert decoded(kept) == (ID, (), ())


def test_an_object_whose_attributes_leave_no_room_at_all_is_stored_without(room):
    held = room(4000)
    held["user.metadata"] = bytes(3970)
    kept = boundaries.write(-1, ID, (5,), ("AAAAAA==",))
    assert decoded(kept) == ("", (), ())
    assert held.keys() == {"user.metadata"}


def test_tags_still_fit_beside_boundaries(room):
    for ends in (equal(500), equal(700), equal(900)):
        held = room(4000)
        boundaries.write(-1, ID, ends, SHA256[:1] * len(ends))
        assert sum(len(name) + len(value) for name, value in held.items()) <= 3000


def test_a_full_disk_is_no_full_inode(room):
    room(4000, full=True)
    with pytest.raises(InsufficientStorage):
        boundaries.write(-1, ID, (5,), ())


def test_our_form_is_runs_of_equal_sizes(room):
    room(4000)["user.metadata"] = bytes(3890)
    ends = (5, 10, 11, 11, 16)
    kept = boundaries.write(-1, ID, ends, ())
    assert kept.stored == {OURS: f"{ID} 2*5,1,0,5".encode()}
    assert kept.ends() == ends


@given(
    st.lists(st.integers(0, 5 << 40), min_size=1, max_size=60),
    st.booleans(),
)
def test_every_form_is_read_as_it_was_written(sizes, repeated):
    ends = tuple(accumulate(sizes * 3 if repeated else sizes))
    for name, value in boundaries._forms(ID, ends):
        read = Boundaries({name: value}, ends[-1])
        assert read.upload_id() == ID
        counted = name == OURS and value.endswith(b"*")
        assert read.ends() == (() if counted else ends)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"5",
        f"{ID} ".encode(),
        f"{ID} 4".encode(),
        f"{ID} 6".encode(),
        f"{ID} 2,-1,4".encode(),
        f"{ID} 5,".encode(),
        f"{ID} 2*2,1 ".encode(),
        f"{ID} 0*5".encode(),
        f"{ID} 99999*0,5".encode(),
        f"{ID} 9999*0,9999*0,5".encode(),
        f"{ID} {'9' * 5000}".encode(),
        f"{ID} x*".encode(),
        f"{ID} *".encode(),
        f"{ID} \xb2*".encode("latin-1"),
        f"{ID}\n 5".encode(),
        b"x",
        b"x\x9cbroken",
        zlib.compress(b"%b " % ID.encode() + b"1," * (1 << 20)),
        zlib.compress(b" " * (64 << 20)),
        b"\x00\xff\x80",
    ],
)
def test_what_others_wrote_into_our_form_breaks_nothing(value):
    assert decoded(Boundaries({OURS: value}, 5)) == ("", (), ())


def test_when_theirs_makes_no_sense_ours_counts():
    both = {THEIRS: b"{", OURS: f"{ID} 5".encode()}
    assert Boundaries(both, 5).ends() == (5,)


@pytest.mark.parametrize("upload_id", [5, None, "a\nb", "x" * 300])
def test_an_upload_id_that_is_none_is_not_shown(upload_id):
    document = json.dumps({"uploadId": upload_id, "parts": [5]}).encode()
    assert decoded(Boundaries({THEIRS: document}, 5)) == ("", (5,), ())


def test_more_parts_than_there_can_be_are_none():
    document = json.dumps({"uploadId": ID, "parts": [5] * 10_001}).encode()
    assert decoded(Boundaries({THEIRS: document}, 5)) == ("", (), ())


# The checksums of parts ---------------------------------------------------------------------------


def test_the_checksums_of_parts_are_kept_as_digests(path):
    store(path, attributes(parts=(2, 5), part_checksums=("AAAAAA==", "AAAAAQ=="), upload_id=ID))
    assert raw(path)[DIGESTS] == b"\x04" + bytes(7) + b"\x01"
    assert read(path).part_checksums == ("AAAAAA==", "AAAAAQ==")


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (30, 30), (60, 60), (110, 0), (200, 0)])
def test_checksums_that_do_not_fit_are_dropped_and_the_boundaries_stay(room, count, kept):
    room(4000)
    found = boundaries.write(-1, ID, equal(count), SHA256[:count])
    assert found.ends() == equal(count)
    assert found.checksums() == SHA256[:kept]


@pytest.mark.parametrize(
    "checksums", [("AAAAAA==",), ("AAAAAA==", ""), ("AAAAAA==", "AAA="), ("%", "%"), ("", "")]
)
def test_checksums_of_some_parts_or_of_two_kinds_are_not_kept(room, checksums):
    held = room(4000)
    assert boundaries.write(-1, ID, (2, 5), checksums).checksums() == ()
    assert held.keys() == {THEIRS}


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00abc", b"\x04", b"\x04abc", b"\x04abcde"])
def test_digests_of_others_that_make_no_sense_are_none(value):
    assert Boundaries({OURS: f"{ID} 5".encode(), DIGESTS: value}, 5).checksums() == ()


def test_a_disk_that_fails_is_told(path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "setxattr", refuse)
    with path.open() as file, pytest.raises(OSError, match="no"):
        boundaries.write(file.fileno(), ID, (5,), ())


def test_the_number_of_parts_never_makes_an_object_too_large(path):
    """On the file system of the test, whatever that holds."""
    ends = tuple(end >> 12 for end in different(10_000))
    os.truncate(path, ends[-1])
    kept = store(path, attributes(parts=ends, upload_id=ID, part_checksums=("AAAAAA==",) * 10_000))
    record = read(path)
    assert record.boundaries == kept
    assert record.upload_id == ID
    assert record.parts in (ends, ())
