"""Where parts go, and that nobody writes where a part counts or where an object may be."""

import os
import threading

import pytest

from s3filters.store import errors, filesystem, parts, placed
from tests.unit.store.conftest import BUCKET
from tests.unit.store.multipart import begin, draft, folder, md5, put


@pytest.fixture
def direct(make_box):
    return make_box(placement="direct")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(placed, "LEAST", 3)


def places(box, upload, *sizes):
    """Put parts 1, 2, ... of these sizes; return where each went."""
    return [
        (part.data, part.offset)
        for number, size in enumerate(sizes, 1)
        for part in [put(box, upload, number, bytes(size))]
    ]


def test_parts_of_equal_size_lie_one_behind_the_other(direct):
    assert places(direct, begin(direct), 4, 4, 4) == [
        ("data.1", 0),
        ("data.1", 4),
        ("data.1", 8),
    ]


def test_a_shorter_part_lies_where_the_last_one_would(direct):
    assert places(direct, begin(direct), 4, 4, 1)[-1] == ("data.1", 8)


def test_a_longer_part_begins_a_second_file_and_a_still_longer_one_gets_its_own(direct):
    assert places(direct, begin(direct), 4, 6, 6, 8) == [
        ("data.1", 0),
        ("data.2", 6),
        ("data.2", 12),
        ("", 0),
    ]


def test_a_part_too_short_for_any_but_the_last_does_not_say_where_others_go(direct):
    upload = begin(direct)
    assert put(direct, upload, 5, b"xy").data == ""
    assert put(direct, upload, 1, b"xxxx").data == "data.1"


def test_a_lone_small_part_is_placed(direct):
    assert put(direct, begin(direct), 1, b"x").data == "data.1"


def test_an_empty_part_has_a_file_of_its_own(direct):
    assert put(direct, begin(direct), 1, b"").data == ""


def test_nothing_is_placed_behind_the_end_of_the_largest_object(direct, monkeypatch):
    monkeypatch.setattr(placed, "MOST", 12)
    assert places(direct, begin(direct), 4, 4, 4, 4)[2:] == [("data.1", 8), ("", 0)]


def test_the_place_of_a_part_that_counts_is_not_given_again(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"xxxx")
    assert put(direct, upload, 1, b"yyyy").data == ""
    # The first one counts again when the power goes before the second one's name is on the disk.
    assert put(direct, upload, 1, b"zzzz").data == ""
    assert (folder(direct, upload) / "data.1").read_bytes() == b"xxxx"


def test_a_place_that_is_being_written_is_not_given_to_another(direct):
    upload = begin(direct)
    one = draft(direct, upload, 1, b"xxxx")
    assert put(direct, upload, 1, b"yyyy").data == ""
    one.discard()


def test_a_place_is_free_again_when_its_writer_gives_up(direct):
    upload = begin(direct)
    draft(direct, upload, 1, b"xx", size=4).discard()
    assert put(direct, upload, 1, b"yyyy").data == "data.1"


def test_a_closed_data_file_takes_nothing(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"xxxx")
    late = draft(direct, upload, 2, b"yy", size=4)
    fd = os.open(folder(direct, upload) / "data.1", os.O_RDWR)
    placed.close_gate(fd, "0" * 32)
    with pytest.raises(errors.SlowDown):
        late.write(b"yy")
    with pytest.raises(errors.SlowDown):
        late.commit(md5(b"yyyy"), "", "")
    assert put(direct, upload, 3, b"zzzz").data == ""
    os.close(fd)


def test_the_gate_waits_for_a_write_that_is_going_on(direct):
    upload = begin(direct)
    part = draft(direct, upload, 1, b"", size=4)
    fd = os.open(folder(direct, upload) / "data.1", os.O_RDWR)
    closed = threading.Event()

    def close():
        placed.close_gate(fd, "0" * 32)
        closed.set()

    with placed._Passage(part._slot.fd):
        thread = threading.Thread(target=close)
        thread.start()
        assert not closed.wait(0.05)
    assert closed.wait(5)
    thread.join()
    part.discard()
    os.close(fd)


def test_a_data_file_inherits_from_where_the_object_will_be(direct, monkeypatch):
    direct.put("folder/other", b"")
    os.chmod(direct.path / "folder", 0o2755)
    os.chown(direct.path / "folder", -1, 12345)
    upload = begin(direct, key="folder/key")
    put(direct, upload, 1, b"x")
    assert os.stat(folder(direct, upload) / "data.1").st_gid == 12345


def test_where_a_data_file_cannot_be_linked_it_is_made_in_the_upload(direct, monkeypatch):
    real, calls = os.link, []

    def link(source, target, **options):
        calls.append(target)
        if len(calls) == 1:
            raise OSError(18, "EXDEV")
        return real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    assert put(direct, begin(direct), 1, b"xxxx").data == "data.1"


def test_placement_follows_what_the_file_system_can(make_box, monkeypatch):
    monkeypatch.setattr(filesystem, "can_clone", lambda fd: True)
    assert make_box(durability="none").store.places_directly
    assert not make_box(durability="full").store.places_directly
    monkeypatch.setattr(filesystem, "can_clone", lambda fd: False)
    assert make_box(durability="full").store.places_directly
    assert not make_box(durability="none", placement="files").store.places_directly
    assert not make_box(durability="none", local=False).store.places_directly


def test_direct_placement_on_a_network_file_system_is_refused(make_box):
    with pytest.raises(filesystem.Unsuitable, match="direct"):
        make_box(placement="direct", local=False)


def test_an_unknown_placement_is_refused(make_box):
    with pytest.raises(ValueError, match="placement"):
        make_box(placement="anywhere")


def test_copying_shares_or_copies_the_bytes_asked_for(tmp_path):
    (tmp_path / "source").write_bytes(b"0123456789")
    (tmp_path / "target").write_bytes(b"")
    with open(tmp_path / "source", "rb") as source, open(tmp_path / "target", "r+b") as target:
        placed.copy(source.fileno(), 2, target.fileno(), 3, 5)
        with pytest.raises(errors.InternalError):
            placed.copy(source.fileno(), 8, target.fileno(), 0, 5)
    assert (tmp_path / "target").read_bytes()[3:] == b"23456"
    assert BUCKET


def test_a_part_that_is_given_up_gives_its_space_back(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"x" * 65536)
    data = folder(direct, upload) / "data.1"
    before = os.stat(data).st_blocks
    late = draft(direct, upload, 2, b"y" * 65536)
    assert os.stat(data).st_blocks > before
    late.discard()
    assert os.stat(data).st_blocks <= before
    assert data.read_bytes()[:65536] == b"x" * 65536


def test_a_part_that_is_given_up_takes_nothing_from_what_may_be_an_object(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"xxxx")
    late = draft(direct, upload, 2, b"yyyy")
    fd = os.open(folder(direct, upload) / "data.1", os.O_RDWR)
    placed.close_gate(fd, "0" * 32)
    late.discard()
    assert os.pread(fd, 9, 0) == b"xxxxyyyy"
    os.close(fd)


def test_a_part_that_has_its_name_keeps_its_bytes_whatever_fails_then(direct, monkeypatch):
    upload = begin(direct)
    part = draft(direct, upload, 1, b"xxxx")

    def fail(word):
        if word == "part synced":
            raise OSError(5, "EIO")

    with monkeypatch.context() as patch:
        patch.setattr(direct.store, "trace", fail)
        with pytest.raises(errors.InternalError):
            part.commit(md5(b"xxxx"), "", "")
    assert (folder(direct, upload) / "data.1").read_bytes() == b"xxxx"


def test_a_part_that_cannot_be_looked_for_is_not_written_over(direct, monkeypatch):
    upload = begin(direct)
    put(direct, upload, 1, b"xxxx")

    def fail(*_):
        raise OSError(5, "EIO")

    with monkeypatch.context() as patch:
        patch.setattr(parts, "read", fail)
        with pytest.raises(errors.InternalError):
            direct.store.part(upload, 1, 4)
    assert (folder(direct, upload) / "data.1").read_bytes() == b"xxxx"
    assert put(direct, upload, 2, b"yyyy").data == "data.1"
