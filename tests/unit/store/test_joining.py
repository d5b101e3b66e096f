"""Completing: whatever the sizes and the order, the object is the parts one behind the other."""

import errno
import itertools
import os
import threading
import uuid

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3filters.store import (
    boundaries,
    errors,
    joining,
    locks,
    metadata,
    place,
    placed,
    sweep,
    uploads,
)
from tests.unit.store.conftest import BUCKET, Box
from tests.unit.store.multipart import (
    KEY,
    begin,
    complete,
    describe,
    draft,
    folder,
    left,
    numbers,
    put,
)


class Refused(Exception):
    """What a check says."""


@pytest.fixture(params=["direct", "files"])
def box(request, make_box):
    return make_box(placement=request.param)


@pytest.fixture
def direct(make_box):
    return make_box(placement="direct")


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Parts of a few bytes may share a data file, as those of 5 MiB do."""
    monkeypatch.setattr(placed, "LEAST", 2)


def test_parts_become_one_object_and_nothing_else_stays(box, no_open_files):
    upload = begin(box, headers={"content-type": "text/plain"})
    pieces = {number: bytes([64 + number]) * 1000 for number in (1, 2, 3)}
    pieces[4] = b"last"
    for number in (2, 1, 4, 3):
        put(box, upload, number, pieces[number])
    record = complete(box, upload, [1, 2, 3, 4])
    assert box.get(KEY) == b"".join(pieces.values())
    assert record.etag.endswith("-4")
    read = box.head(KEY)
    assert (read.etag, read.parts, read.upload_id) == (record.etag, record.parts, upload.id)
    assert read.headers == {"content-type": "text/plain"}
    assert left(box) == []
    assert os.stat(box.path / KEY).st_nlink == 1


_sizes = st.lists(st.integers(0, 9), min_size=1, max_size=7)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    sizes=_sizes,
    equal=st.booleans(),
    placement=st.sampled_from(["direct", "files"]),
)
def test_any_sizes_in_any_order_with_replacements_and_gaps_are_joined(
    tmp_path, data, sizes, equal, placement
):
    if equal:
        sizes = [7] * (len(sizes) - 1) + [min(sizes[-1], 7)]
    box = Box(tmp_path / uuid.uuid4().hex, placement=placement)
    upload = begin(box)
    order = data.draw(st.permutations(range(1, len(sizes) + 1)))
    again = data.draw(st.lists(st.sampled_from(order), max_size=3))
    pieces = {}
    for turn, number in enumerate([*order, *again]):
        size = sizes[number - 1] if turn < len(order) else data.draw(st.integers(0, 9))
        pieces[number] = bytes([turn + 1]) * size
        put(box, upload, number, pieces[number])
    chosen = sorted(data.draw(st.sets(st.sampled_from(order), min_size=1)))
    complete(box, upload, chosen)
    assert box.get(KEY) == b"".join(pieces[number] for number in chosen)
    assert left(box) == []
    box.store.close()


def test_equal_parts_are_not_written_again(direct):
    upload = begin(direct)
    for number, piece in ((1, b"aaaa"), (2, b"bbbb"), (3, b"cc")):
        put(direct, upload, number, piece)
    inode = os.stat(folder(direct, upload) / "data.1").st_ino
    complete(direct, upload, [1, 2, 3])
    assert direct.head(KEY).ino == inode
    assert direct.get(KEY) == b"aaaabbbbcc"
    assert "filled" not in direct.steps
    assert "joined" not in direct.steps


def test_an_object_keeps_no_attribute_of_its_upload(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    put(direct, upload, 2, b"b")
    complete(direct, upload, [1, 2])
    assert "closed" in direct.steps
    assert set(os.listxattr(direct.path / KEY)) == {
        "user.etag",
        metadata.SEAL,
        boundaries.THEIRS,
    }


def test_an_object_is_as_old_as_its_completion_whenever_its_bytes_came(box):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    put(box, upload, 2, b"bbbb")
    box.put(KEY, b"between")
    for file in folder(box, upload).iterdir():
        os.utime(file, (1e9, 1e9))
    before = box.head(KEY).mtime_ns
    record = complete(box, upload, [1, 2])
    assert record.mtime_ns >= before
    assert box.head(KEY).mtime_ns == record.mtime_ns
    assert not box.head(KEY).touched


def test_a_replaced_part_is_all_that_is_copied(direct):
    upload = begin(direct)
    for number, piece in ((1, b"aaaa"), (2, b"bbbb"), (3, b"cccc"), (2, b"BBBB")):
        put(direct, upload, number, piece)
    complete(direct, upload, [1, 2, 3])
    assert direct.get(KEY) == b"aaaaBBBBcccc"
    assert direct.steps.count("filled") == 1


def test_a_last_part_that_came_first_is_all_that_is_copied(direct):
    upload = begin(direct)
    for number, piece in ((3, b"cc"), (1, b"aaaa"), (2, b"bbbb")):
        put(direct, upload, number, piece)
    complete(direct, upload, [1, 2, 3])
    assert direct.get(KEY) == b"aaaabbbbcc"
    assert direct.steps.count("filled") == 1


def test_a_part_that_is_not_in_the_list_survives_a_refusal(direct):
    upload = begin(direct)
    for number, piece in ((1, b"aaaa"), (2, b"bbbb"), (3, b"cccc")):
        put(direct, upload, number, piece)

    def refuse(current):
        raise Refused

    with pytest.raises(Refused):
        complete(direct, upload, [1, 3], check=refuse)
    complete(direct, upload, [1, 2, 3])
    assert direct.get(KEY) == b"aaaabbbbcccc"


def test_a_refusal_under_the_keys_lock_leaves_an_upload_that_can_be_completed(box):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    put(box, upload, 2, b"bb")
    asked = itertools.count()

    def refuse_late(current):
        if next(asked):
            raise Refused

    with pytest.raises(Refused):
        complete(box, upload, [1, 2], check=refuse_late)
    assert next(asked) == 2
    assert numbers(box, upload) == [1, 2]
    put(box, upload, 2, b"BB")
    complete(box, upload, [1, 2])
    assert box.get(KEY) == b"aaaaBB"
    assert left(box) == []


def test_attributes_of_a_commit_that_failed_do_not_stay(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")

    def with_metadata(upload, found):
        attributes = describe(upload, found)
        attributes.user = {"stale": "1"}
        return attributes

    def refuse_late(current):
        if "cut" in direct.steps:
            raise Refused

    name = (BUCKET, KEY, upload.id)
    with pytest.raises(Refused):
        direct.store.complete(name, [1], with_metadata, check=refuse_late)
    complete(direct, upload, [1])
    assert direct.head(KEY).user == {}


def test_only_if_absent_is_refused_before_anything_is_closed(direct):
    direct.put(KEY, b"old")
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    with pytest.raises(errors.AlreadyExists):
        complete(direct, upload, [1], only_if_absent=True)
    assert "closed" not in direct.steps
    assert direct.get(KEY) == b"old"


def test_an_object_is_replaced_whole(box):
    box.put(KEY, b"old")
    upload = begin(box)
    put(box, upload, 1, b"new")
    complete(box, upload, [1])
    assert box.get(KEY) == b"new"
    assert left(box) == []


def test_completing_again_when_the_upload_did_not_come_to_its_end_answers_as_before(
    box, monkeypatch
):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    put(box, upload, 2, b"bb")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "end", die)
        with pytest.raises(KeyboardInterrupt):
            complete(box, upload, [1, 2])
    first = box.head(KEY)
    again = complete(box, upload, [1, 2])
    assert (again.etag, again.ino) == (first.etag, first.ino)
    assert box.get(KEY) == b"aaaabb"
    assert left(box) == []


def test_an_object_that_is_there_is_acknowledged_though_its_upload_cannot_be_ended(
    box, monkeypatch, caplog
):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    real = os.rename

    def fail(source, *args, **options):
        if source == upload.id.encode():
            raise OSError(errno.ENOSPC, "the directory has no room for a longer name")
        real(source, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", fail)
        record = complete(box, upload, [1])
        assert complete(box, upload, [1]).etag == record.etag
    assert box.get(KEY) == b"aaaa"
    assert upload.id in caplog.text
    assert numbers(box, upload) == [1]
    sweep.sweep(box.store, 0)
    assert left(box) == []
    assert box.get(KEY) == b"aaaa"


def test_the_upload_that_made_an_object_is_known(box):
    upload, other = begin(box), begin(box)
    put(box, upload, 1, b"aaaa")
    assert box.store.made_by(BUCKET, KEY, upload.id) is None
    record = complete(box, upload, [1])
    assert box.store.made_by(BUCKET, KEY, upload.id).etag == record.etag
    assert box.store.made_by(BUCKET, KEY, other.id) is None


def test_an_upload_that_is_over_cannot_be_completed(box):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    complete(box, upload, [1])
    with pytest.raises(errors.NoSuchUpload):
        complete(box, upload, [1])


def test_one_completion_at_a_time(box):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    path = uploads.path_of(BUCKET, KEY, upload.id)
    with locks.hold_upload(box.store.root, path), pytest.raises(errors.Busy):
        complete(box, upload, [1])
    complete(box, upload, [1])


def test_a_part_on_its_way_does_not_touch_the_object(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    late = draft(direct, upload, 2, b"b", size=4)
    complete(direct, upload, [1])
    with pytest.raises(errors.NoSuchUpload):
        late.write(b"bbb")
    with pytest.raises(errors.NoSuchUpload):
        late.commit("0" * 32, "", "")
    assert direct.get(KEY) == b"aaaa"


def test_a_part_on_its_way_while_another_completes_is_to_be_sent_again(direct, monkeypatch):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    late = draft(direct, upload, 2, b"b", size=4)

    def fail(*_):
        raise OSError(errno.EIO, "the upload stays")

    monkeypatch.setattr(uploads, "end", fail)
    complete(direct, upload, [1])
    with pytest.raises(errors.SlowDown):
        late.write(b"bbb")
    late.discard()
    assert direct.get(KEY) == b"aaaa"


def test_a_part_written_while_completing_fails_never_reaches_the_data_file(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    put(direct, upload, 2, b"bbbb")

    def refuse_late(current):
        if "cut" in direct.steps:
            raise Refused

    with pytest.raises(Refused):
        complete(direct, upload, [1, 2], check=refuse_late)
    assert put(direct, upload, 3, b"cccc").data == ""
    complete(direct, upload, [1, 2, 3])
    assert direct.get(KEY) == b"aaaabbbbcccc"


def test_a_directory_at_the_key_refuses_and_leaves_the_upload(box):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    box.put(f"{KEY}/inner", b"x")
    with pytest.raises(errors.ExistingObjectIsDirectory):
        complete(box, upload, [1])
    assert numbers(box, upload) == [1]


def test_a_missing_part_refuses_and_leaves_the_upload(box):
    upload = begin(box)
    put(box, upload, 1, b"aaaa")
    with pytest.raises(LookupError):
        complete(box, upload, [1, 2])
    assert numbers(box, upload) == [1]


def test_of_many_uploads_of_one_key_one_is_first(box):
    rivals = [begin(box) for _ in range(8)]
    for number, upload in enumerate(rivals):
        put(box, upload, 1, bytes([65 + number]) * 10)
    winners, barrier = [], threading.Barrier(len(rivals))

    def race(number):
        barrier.wait()
        try:
            complete(box, rivals[number], [1], only_if_absent=True)
            winners.append(number)
        except errors.AlreadyExists:
            pass

    threads = [threading.Thread(target=race, args=(n,)) for n in range(len(rivals))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    assert box.get(KEY) == bytes([65 + winners[0]]) * 10


def test_where_the_object_is_on_another_file_system_parts_are_copied(direct, monkeypatch):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    real, inode = os.link, os.stat(folder(direct, upload) / "data.1").st_ino

    def link(source, target, **options):
        if target == b"key" and os.stat(source).st_ino == inode:
            raise OSError(18, "EXDEV")
        return real(source, target, **options)

    monkeypatch.setattr(os, "link", link)
    complete(direct, upload, [1])
    assert direct.get(KEY) == b"aaaa"
    assert "joined" in direct.steps
    assert left(direct) == []


@pytest.fixture(params=["new", "replaced"])
def half_done(request, direct, monkeypatch):
    """An upload of three parts whose gateway died when two of them were the object."""
    if request.param == "replaced":
        direct.put(KEY, b"old")
    upload = begin(direct)
    for number, piece in ((1, b"aaaa"), (2, b"bbbb")):
        put(direct, upload, number, piece)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(uploads, "end", die)
        with pytest.raises(KeyboardInterrupt):
            complete(direct, upload, [1, 2])
    return upload


def test_parts_that_became_an_object_are_still_those_of_the_upload(direct, half_done):
    direct.put(KEY, b"newer")
    put(direct, half_done, 3, b"cccc")
    complete(direct, half_done, [1, 2, 3])
    assert direct.get(KEY) == b"aaaabbbbcccc"
    assert left(direct) == []


def test_an_object_that_is_there_is_never_changed_in_place(direct, half_done):
    made = direct.head(KEY)
    with direct.store.open(BUCKET, KEY) as reader:
        put(direct, half_done, 2, b"BBBB")
        put(direct, half_done, 3, b"cc")
        assert (direct.get(KEY), direct.head(KEY).etag) == (b"aaaabbbb", made.etag)
        record = complete(direct, half_done, [1, 2, 3])
        assert b"".join(reader.blocks(100)) == b"aaaabbbb"
    assert record.ino != made.ino
    assert direct.get(KEY) == b"aaaaBBBBcc"


def test_a_refusal_of_another_list_leaves_the_object_as_it_was(direct, half_done):
    before = direct.head(KEY)
    put(direct, half_done, 3, b"cccc")
    asked = itertools.count()

    def refuse_late(current):
        if next(asked):
            raise Refused

    with pytest.raises(Refused):
        complete(direct, half_done, [1, 2, 3], check=refuse_late)
    after = direct.head(KEY)
    assert (after.etag, after.ino, after.parts) == (before.etag, before.ino, before.parts)
    assert direct.get(KEY) == b"aaaabbbb"


def test_an_upload_that_is_aborted_after_its_object_was_made_leaves_the_object(direct, half_done):
    direct.store.end_upload(BUCKET, KEY, half_done.id)
    assert left(direct) == []
    assert direct.get(KEY) == b"aaaabbbb"


def test_a_name_that_its_maker_may_not_have_synced_is_synced_before_it_is_acknowledged(
    make_box, monkeypatch
):
    box = make_box(durability="full")
    upload = begin(box)
    put(box, upload, 1, b"aaaa")

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(place.Draft, "_sync_name", die)
        with pytest.raises(KeyboardInterrupt):
            complete(box, upload, [1])
    synced, real = [], os.fsync

    def fsync(fd):
        synced.append(os.stat(fd).st_ino)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    complete(box, upload, [1])
    inodes = [os.stat(path).st_ino for path in (box.path / KEY, box.path, box.path / "a")]
    assert synced[:3] == inodes


def test_steps_that_are_traced_are_those_of_the_docstring(direct):
    upload = begin(direct)
    put(direct, upload, 1, b"aaaa")
    direct.steps.clear()
    complete(direct, upload, [1])
    wanted = ["closed", "cut", "linked", "upload ended"]
    assert [step for step in direct.steps if step in wanted] == wanted
    assert joining.__doc__
