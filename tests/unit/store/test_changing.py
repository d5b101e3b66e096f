"""Tags and grants of an object that is there: changed in place, whole, and nothing else."""

import errno
import os
import threading
import time

import pytest

from s3filters.store import errors, metadata
from s3filters.store.errors import MetadataTooLarge, MethodNotAllowed, NoSuchBucket, NoSuchKey
from tests.unit.store.conftest import BUCKET, attributes


def change(box, key, **values):
    names = {"tagging": metadata.TAGGING, "acl": metadata.ACL}
    changes = {names[name]: value for name, value in values.items()}
    return box.store.change_attributes(BUCKET, key, lambda record: changes)


@pytest.fixture(params=["key", "a/b", "folder/"])
def key(request, box):
    """Keys of objects that are there, files and a directory."""
    if request.param.endswith("/"):
        box.store.put_directory(BUCKET, request.param, attributes())
    else:
        box.put(request.param)
    return request.param


def test_only_what_is_to_change_does(box, key, no_open_files):
    before, stat = box.head(key), os.stat(box.path / key)
    time.sleep(0.02)
    made = change(box, key, tagging=b'{"a":"1","b":"2"}', acl=b'{"Owner":"you"}')
    after = os.stat(box.path / key)
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (
        stat.st_ino,
        stat.st_size,
        stat.st_mtime_ns,
    )
    assert after.st_ctime_ns > stat.st_ctime_ns
    assert box.head(key) == made
    assert (made.etag, made.checksums, made.user, made.touched) == (
        before.etag,
        before.checksums,
        before.user,
        False,
    )
    assert (made.tags, made.tagging, made.acl) == (2, b'{"a":"1","b":"2"}', b'{"Owner":"you"}')
    assert os.getxattr(box.path / key, "user.X-Amz-Tagging") == b'{"a":"1","b":"2"}'
    assert os.getxattr(box.path / key, "user.s3filters.acl") == b'{"Owner":"you"}'


def test_what_goes_may_be_gone_already(box, key):
    change(box, key, tagging=b'{"a":"1"}')
    for _ in range(2):
        record = change(box, key, tagging=None, acl=None)
        assert (record.tags, record.tagging, record.acl) == (0, b"", b"")


def test_a_change_is_decided_by_the_record_of_that_moment(box):
    box.put("key")
    box.head("key")

    def count(record):
        return {metadata.TAGGING: b'{"n":"%d"}' % (int(record.tagging[6:-2] or b"0") + 1)}

    threads = [
        threading.Thread(
            target=lambda: [box.store.change_attributes(BUCKET, "key", count) for _ in range(25)]
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert box.head("key").tagging == b'{"n":"100"}'


def test_who_refuses_changes_nothing(box):
    box.put("key")
    change(box, "key", tagging=b'{"a":"1"}')

    def refuse(record):
        raise errors.AccessDenied

    with pytest.raises(errors.AccessDenied):
        box.store.change_attributes(BUCKET, "key", refuse)
    assert box.head("key").tagging == b'{"a":"1"}'


def test_another_process_sees_it_at_its_next_look(box, make_box):
    box.put("key")
    other = make_box()
    time.sleep(0.1)
    assert other.head("key").tags == other.head("key").tags == 0
    for number in range(3):
        change(box, "key", tagging=b'{"a":"%d"}' % number)
        assert other.head("key").tagging == b'{"a":"%d"}' % number


def test_no_writer_of_the_object_comes_between(box):
    """A put that replaces the object waits, so no tag is set on what is gone."""
    box.put("key")
    done = []

    def decide(record):
        thread = threading.Thread(target=lambda: done.append(box.put("key", b"new")))
        thread.start()
        time.sleep(0.05)
        assert done == []
        waiting.append(thread)
        return {metadata.TAGGING: b'{"a":"1"}'}

    waiting = []
    assert box.store.change_attributes(BUCKET, "key", decide).size == 5
    waiting[0].join()
    assert (box.get("key"), box.head("key").tags) == (b"new", 0)


def test_a_file_of_another_program_can_have_tags(box):
    (box.path / "mine").write_bytes(b"hello")
    before = box.head("mine")
    assert change(box, "mine", tagging=b'{"a":"1"}').etag == before.etag


def test_nothing_is_changed_through_a_link(box, no_open_files):
    box.put("key")
    box.put("folder/key")
    (box.path / "link").symlink_to("key")
    (box.path / "way").symlink_to("folder")
    asked = []
    with pytest.raises(MethodNotAllowed):
        box.store.change_attributes(BUCKET, "link", lambda record: asked.append(record) or {})
    assert len(asked) == 1
    with pytest.raises(MethodNotAllowed):
        change(box, "link", tagging=b'{"a":"1"}')
    assert box.head("key").tags == 0
    assert change(box, "way/key", tagging=b'{"a":"1"}').tags == 1
    assert box.head("folder/key").tags == 1


@pytest.mark.parametrize("key", ["missing", "a/missing", "key/below", "folder", "other/", "a//b"])
def test_what_is_not_there_has_no_attributes(box, key, no_open_files):
    (box.path / "key").touch()
    (box.path / "folder").mkdir()
    (box.path / "other").mkdir()
    with pytest.raises(NoSuchKey):
        change(box, key, tagging=b"{}")
    assert not (box.path / ".sgwtmp").exists()
    with pytest.raises(NoSuchBucket):
        box.store.change_attributes("missing", key, lambda record: {})


def test_an_object_that_goes_while_the_lock_is_waited_for(box, monkeypatch):
    box.put("key")
    real = box.store.look

    def look(*args):
        real(*args)
        (box.path / "key").unlink()

    monkeypatch.setattr(box.store, "look", look)
    with pytest.raises(NoSuchKey):
        change(box, "key", tagging=b"{}")


@pytest.mark.parametrize("durability", ["full", "none"])
def test_it_is_on_the_disk_when_the_verb_returns(make_box, monkeypatch, durability):
    box = make_box(durability=durability)
    box.put("key")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    change(box, "key", tagging=b"{}")
    assert synced == ([str(box.path / "key")] if durability == "full" else [])


def test_errors_are_named_and_leave_no_file_open(box, monkeypatch, no_open_files):
    box.put("key")
    with pytest.raises(MetadataTooLarge):
        change(box, "key", acl=b"x" * 70_000)

    def refuse(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "removexattr", refuse)
    with pytest.raises(errors.InternalError):
        change(box, "key", acl=None)


def test_grants_and_tags_come_with_a_put_and_go_with_the_next(box):
    made = box.put("key", changes={"acl": b'{"Owner":"you"}', "tags": {"b": "é", "a": "<"}})
    assert made == box.head("key")
    assert (made.acl, made.tags) == (b'{"Owner":"you"}', 2)
    assert made.tagging == '{"a":"\\u003c","b":"é"}'.encode()
    box.put("key")
    assert (box.head("key").acl, box.head("key").tagging) == (b"", b"")


def test_grants_of_a_directory_object_go_when_it_is_replaced(box):
    box.store.put_directory(BUCKET, "d/", attributes(acl=b'{"Owner":"you"}'))
    assert box.head("d/").acl == b'{"Owner":"you"}'
    box.store.put_directory(BUCKET, "d/", attributes())
    assert box.head("d/").acl == b""


def test_a_record_with_much_of_them_is_not_kept_in_memory(box):
    for size, is_kept in ((100, True), (1000, False)):
        box.put("key", changes={"acl": b"x" * size})
        time.sleep(0.1)
        assert (box.head("key") is box.head("key")) is is_kept
