"""Reading and deleting objects, and directories that are objects."""

import errno
import os
import socket
import time

import pytest

from s3filters.store import errors, objects, parents
from s3filters.store.errors import (
    AccessDenied,
    KeyTooLongError,
    NoSuchBucket,
    NoSuchKey,
    ObjectParentIsFile,
    WouldBlock,
)
from tests.unit.store.conftest import BUCKET, attributes

SETTLED = 0.05  # seconds after which what stat says of a file is proof


def put_directory(box, key, check=None, **changes):
    given = attributes(headers={"content-type": "application/x-directory"}, **changes)
    return box.store.put_directory(BUCKET, key, given, check)


# Reading -----------------------------------------------------------------------------------------


def test_a_missing_key_and_a_missing_bucket_are_told_apart(box, no_open_files):
    box.put("file")
    for key in ("none", "a/b", "file/below", "file/", ".sgwtmp/lock", ".sgwtmp", "a//b"):
        with pytest.raises(NoSuchKey) as missing:
            box.head(key)
        assert missing.value.detail == {"Key": key}
        with pytest.raises(NoSuchKey):
            box.store.open(BUCKET, key)
    for bucket in ("none", "..", "BOX"):
        with pytest.raises(NoSuchBucket):
            box.store.head(bucket, "key")


def test_a_file_in_the_root_and_a_dangling_link_are_no_buckets(box):
    (box.root / "file").touch()
    (box.root / "dangling").symlink_to("none")
    for bucket in ("file", "dangling"):
        with pytest.raises(NoSuchBucket):
            box.store.head(bucket, "key")
        with pytest.raises(NoSuchBucket):
            box.store.put_small(bucket, "key", b"", attributes())


def test_a_name_too_long_for_a_file_is_said_so(box):
    with pytest.raises(KeyTooLongError):
        box.head("x" * 256)


def test_files_of_other_programs_are_objects(box):
    (box.path / "sub").mkdir()
    (box.path / "sub" / "page.html").write_text("<p>")
    record = box.head("sub/page.html")
    assert (record.size, record.headers) == (3, {"content-type": "text/html"})
    assert box.get("sub/page.html") == b"<p>"


def test_what_is_neither_file_nor_directory_is_not_there(box, no_open_files):
    os.mkfifo(box.path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        os.symlink(box.path, box.root.parent / "s")  # the address may have 108 bytes
        listener.bind(str(box.root.parent / "s" / "socket"))
    for key in ("fifo", "socket"):
        with pytest.raises(NoSuchKey):
            box.head(key)
        with pytest.raises(NoSuchKey):
            box.store.open(BUCKET, key)
        assert not box.delete(key)
    assert box.files() == ["fifo", "socket"]


def test_links_are_followed_inside_the_root_alone(box, no_open_files):
    secret = box.root.parent / "secret"
    secret.write_text("secret")
    box.put("file", b"inside")
    (box.path / "link").symlink_to("file")
    (box.path / "absolute").symlink_to(box.path / "file")
    (box.path / "out").symlink_to(secret)
    (box.path / "up").symlink_to("../../secret")
    (box.path / "dangling").symlink_to("nothing")
    assert box.get("link") == box.get("absolute") == b"inside"
    assert box.head("link").etag == box.head("file").etag
    for key in ("out", "up"):
        with pytest.raises(AccessDenied):
            box.get(key)
        with pytest.raises(AccessDenied):
            box.head(key)
    with pytest.raises(NoSuchKey):
        box.head("dangling")


def test_links_are_followed_out_of_the_root_where_that_is_allowed(make_box):
    box = make_box(symlinks_outside=True)
    (box.root.parent / "secret.txt").write_text("secret")
    (box.path / "out").symlink_to("../../secret.txt")
    assert box.get("out") == b"secret"
    with pytest.raises(AccessDenied):
        (box.path / "folder").symlink_to("../..")
        box.put("folder/new")


def test_an_edit_behind_the_store_is_seen_at_once(box):
    box.put("key", b"hello")
    time.sleep(SETTLED)
    old = box.head("key")
    assert box.head("key", cached=True) is old
    with (box.path / "key").open("r+b") as file:
        file.write(b"J")
    new = box.head("key")
    assert (new.touched, new.checksums) == (True, None)
    assert new.etag != old.etag
    assert box.get("key") == b"Jello"


def test_an_object_that_became_shorter_while_read_is_an_error(box):
    box.put("key", b"hello")
    with box.store.open(BUCKET, "key") as opened:
        os.truncate(box.path / "key", 2)
        with pytest.raises(errors.InternalError):
            list(opened.blocks(1))


def test_an_object_that_cannot_be_read_is_an_error(box, monkeypatch, no_open_files):
    def refuse(*_):
        raise OSError(errno.EIO, "no")

    box.put("key", b"hello")
    monkeypatch.setattr(os, "pread", refuse)
    with pytest.raises(errors.InternalError), box.store.open(BUCKET, "key") as opened:
        list(opened.blocks(1))


def test_tags_are_read_from_the_open_object(box):
    box.put("plain")
    box.put("tagged", changes={"tags": {"a": "1"}})
    with box.store.open(BUCKET, "plain") as plain, box.store.open(BUCKET, "tagged") as tagged:
        assert (plain.tags(), tagged.tags()) == (None, {"a": "1"})


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.EIO, errors.InternalError),
        (errno.EMFILE, errors.SlowDown),
        (errno.EACCES, AccessDenied),
        (errno.ELOOP, NoSuchKey),
    ],
)
def test_errors_of_reading_are_named(box, monkeypatch, number, error):
    def refuse(*_):
        raise OSError(number, "no")

    monkeypatch.setattr(box.store.root, "open", refuse)
    with pytest.raises(error) as failed:
        box.head("key")
    assert str(box.root) not in str(failed.value)


def test_an_error_of_the_attributes_closes_the_file(box, monkeypatch, no_open_files):
    box.put("key")

    def refuse(*_, **__):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "listxattr", refuse)
    with pytest.raises(errors.InternalError):
        box.head("key")


# Reading what is in memory -----------------------------------------------------------------------


def test_what_was_just_read_is_read_without_waiting(box, no_open_files):
    box.put("key", b"hello")
    assert box.head("key", cached=True) == box.head("key")
    time.sleep(SETTLED)
    record = box.head("key", cached=True)
    assert box.head("key", cached=True) is record
    with box.store.open(BUCKET, "key", cached=True) as opened:
        assert opened.record is record
        assert os.pread(opened.fd, 10, 0) == b"hello"


def test_a_name_that_is_not_in_memory_would_block(box, monkeypatch):
    box.put("key")

    def busy(*_):
        raise BlockingIOError

    monkeypatch.setattr(box.store, "_open_cached", busy)
    for verb in (box.store.head, box.store.open):
        with pytest.raises(WouldBlock):
            verb(BUCKET, "key", cached=True)


def test_on_file_systems_of_other_machines_everything_waits(make_box):
    box = make_box(local=False)
    box.put("key")
    time.sleep(SETTLED)
    record = box.head("key")
    assert box.head("key") is not record
    with pytest.raises(WouldBlock):
        box.head("key", cached=True)


def test_a_hard_link_has_the_type_of_its_own_name(box):
    (box.path / "a.html").write_text("x")
    os.link(box.path / "a.html", box.path / "a.txt")
    time.sleep(SETTLED)
    for key, kind in (("a.html", "text/html"), ("a.txt", "text/plain")):
        assert box.head(key).headers == {"content-type": kind}


# Deleting ----------------------------------------------------------------------------------------


def test_a_deleted_object_is_gone_and_so_are_its_parents(box, no_open_files):
    box.put("a/b/c/key")
    box.put("a/other")
    assert box.delete("a/b/c/key")
    assert box.files() == ["a/", "a/other"]
    assert not box.delete("a/b/c/key")
    assert box.delete("a/other")
    assert box.files() == []


def test_a_folder_of_a_person_is_never_pruned(box):
    (box.path / "a" / "mine").mkdir(parents=True)
    box.put("a/mine/new/key")
    box.delete("a/mine/new/key")
    assert box.files() == ["a/", "a/mine/"]


def test_a_folder_with_hidden_work_in_it_is_not_pruned(box):
    box.put("a/key")
    (box.path / "a" / ".hidden").touch()
    box.delete("a/key")
    assert box.files() == ["a/", "a/.hidden"]


def test_deleting_what_is_not_there_is_no_error_and_makes_nothing(box, no_open_files):
    box.put("file")
    (box.path / "folder").mkdir()
    for key in ("none", "a/b/c", "file/x", ".sgwtmp/x", "a//b"):
        assert not box.delete(key)
    assert not (box.path / ".sgwtmp").exists()
    for key in ("file/", "folder", "folder/"):
        assert not box.delete(key)
    assert box.files() == ["file", "folder/"]
    with pytest.raises(NoSuchBucket):
        box.store.delete("none", "key")


def test_a_link_is_deleted_and_its_target_is_not(box, no_open_files):
    (box.root.parent / "secret").touch()
    (box.path / "folder").mkdir()
    box.put("file")
    for name, target in (("in", "file"), ("out", "../../secret"), ("dangling", "none")):
        (box.path / name).symlink_to(target)
        assert box.delete(name)
        assert not (box.path / name).is_symlink()
    assert box.get("file") == b"hello"
    assert (box.root.parent / "secret").exists()


def test_a_check_of_a_linked_name_sees_what_the_link_leads_to(box):
    box.put("file")
    seen = []
    for name, target in (("link", "file"), ("dangling", "none")):
        (box.path / name).symlink_to(target)
        box.delete(name, seen.append)
    assert [None if s is None else s.etag for s in seen] == [box.head("file").etag, None]


def test_a_check_sees_no_object_of_the_other_kind(box):
    box.put("file")
    put_directory(box, "folder/")
    seen = []
    assert not box.delete("file/", seen.append)
    assert not box.delete("folder", seen.append)
    assert seen == [None, None]


def test_nothing_is_deleted_through_a_link_that_leads_out(box, no_open_files):
    (box.root.parent / "file").touch()
    (box.path / "out").symlink_to("../..")
    with pytest.raises(AccessDenied):
        box.delete("out/file")
    assert (box.root.parent / "file").exists()


def test_a_check_is_asked_with_what_is_known(box):
    box.put("key")
    time.sleep(SETTLED)
    record = box.head("key")
    seen = []
    box.put("key", b"new", check=seen.append)
    assert seen[0] is record


def test_an_error_of_the_root_is_not_a_missing_bucket(box, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(errors.InternalError):
        box.head("none")


def test_a_missing_key_in_a_linked_bucket_is_a_missing_key(box):
    (box.root / "link").symlink_to(BUCKET)
    with pytest.raises(NoSuchKey):
        box.store.head("link", "none")


def test_a_link_to_a_folder_is_no_object(box):
    (box.path / "folder").mkdir()
    (box.path / "link").symlink_to("folder")
    assert not box.delete("link")
    assert not box.delete("link/")
    assert (box.path / "link").is_symlink()


def test_a_check_may_refuse_a_delete(box, no_open_files):
    box.put("key")
    seen = []

    def refuse(current):
        seen.append(current)
        raise ZeroDivisionError

    for key in ("key", "none", "a/b"):
        with pytest.raises(ZeroDivisionError):
            box.delete(key, refuse)
    assert [None if s is None else s.size for s in seen] == [5, None, None]
    assert box.get("key") == b"hello"


def test_a_file_that_versity_keeps_for_its_versions_is_not_deleted(box):
    (box.path / "key").write_bytes(b"data of an older version")
    os.setxattr(box.path / "key", "user.etag", b'"abc"')
    os.setxattr(box.path / "key", "user.delete-marker", b"")
    with pytest.raises(NoSuchKey):
        box.head("key")
    seen = []
    assert not box.delete("key", seen.append)
    assert seen == [None]
    assert (box.path / "key").exists()


def test_on_a_full_disk_objects_can_be_deleted(box, monkeypatch, no_open_files):
    box.put("a/key")

    def mkdir(*_, **__):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "mkdir", mkdir)
    assert box.delete("a/key")
    assert box.files() == []


@pytest.fixture
def synced(monkeypatch):
    """The paths that were synced."""
    paths = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (paths.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))
    )
    return paths


def test_a_deleted_name_is_synced(make_box, synced):
    box = make_box(durability="full")
    box.put("a/key")
    box.put("a/other")
    synced.clear()
    box.delete("a/key")
    assert synced == [str(box.path / "a")]


@pytest.mark.parametrize(
    ("key", "folder"), [("a/gone", "a"), ("a/b/gone", "a"), ("a/", "a"), ("gone", ""), ("c/", "")]
)
def test_that_a_key_is_not_there_is_synced(make_box, synced, key, folder):
    """Whoever deleted it may have died, or be about to sync."""
    box = make_box(durability="full")
    box.put("a/other")
    synced.clear()
    assert not box.delete(key)
    assert str(box.path / folder) in synced


def test_that_a_key_is_not_there_and_cannot_be_synced_is_an_error(make_box, monkeypatch):
    box = make_box(durability="full")

    def fsync(fd):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(errors.InternalError):
        box.delete("gone")


def test_where_no_key_can_be_nothing_is_synced(make_box, synced):
    box = make_box(durability="full")
    box.put("file")
    synced.clear()
    assert not box.delete("file/below")
    assert not box.delete("a//b")
    assert synced == []


@pytest.mark.parametrize("mine", [False, True])
def test_a_directory_object_that_stays_as_a_folder_is_synced(make_box, synced, mine):
    box = make_box(durability="full")
    if mine:
        (box.path / "a").mkdir()
    put_directory(box, "a/")
    box.put("a/key")
    synced.clear()
    assert box.delete("a/")
    assert str(box.path / "a") in synced


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.EIO, errors.InternalError), (errno.EROFS, errors.MethodNotAllowed)],
)
def test_errors_of_deleting_are_named(box, monkeypatch, number, error, no_open_files):
    box.put("key")

    def refuse(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(error):
        box.delete("key")


def test_a_name_that_another_program_deletes_first_was_not_there(box, monkeypatch):
    box.put("key")

    def gone(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(os, "unlink", gone)
    assert not box.delete("key")


# Directory objects -------------------------------------------------------------------------------


def test_a_directory_object_is_made_read_and_deleted(box, no_open_files):
    record = put_directory(box, "a/b/", user={"k": "v"})
    assert record.is_directory
    assert box.head("a/b/") == record
    with box.store.open(BUCKET, "a/b/") as opened:
        assert (opened.record.size, list(opened.blocks(10))) == (0, [])
    for key in ("a/b", "a/"):
        with pytest.raises(NoSuchKey):
            box.head(key)
    assert box.delete("a/b/")
    assert box.files() == []


def test_a_directory_object_keeps_its_folder_when_its_children_go(box):
    put_directory(box, "a/")
    box.put("a/b/key")
    box.delete("a/b/key")
    assert box.files() == ["a/"]
    assert box.head("a/").is_directory


def test_a_directory_object_with_children_becomes_a_folder(box, no_open_files):
    put_directory(box, "a/", tags={"k": "v"})
    box.put("a/key")
    os.setxattr(box.path / "a", "user.persons", b"1")
    assert box.delete("a/")
    with pytest.raises(NoSuchKey):
        box.head("a/")
    assert set(os.listxattr(box.path / "a")) == {"user.persons", parents.MADE}
    assert box.get("a/key") == b"hello"
    assert box.delete("a/key")
    assert box.files() == []


def test_a_folder_of_a_person_stays_when_the_object_goes(box):
    (box.path / "mine").mkdir()
    put_directory(box, "mine/")
    assert box.head("mine/").is_directory
    assert box.delete("mine/")
    assert box.files() == ["mine/"]
    assert os.listxattr(box.path / "mine") == []
    put_directory(box, "mine/")
    box.put("mine/key")
    box.delete("mine/")
    box.delete("mine/key")
    assert box.files() == ["mine/"]


def test_a_directory_object_of_versitys_is_removed_when_it_is_empty(box):
    (box.path / "theirs").mkdir()
    os.setxattr(box.path / "theirs", "user.etag", b'"d41d8cd98f00b204e9800998ecf8427e"')
    assert box.delete("theirs/")
    assert box.files() == []


def test_a_directory_object_that_is_put_again_has_the_new_attributes_alone(box):
    put_directory(box, "a/", user={"old": "1"}, storage_class="STANDARD_IA", tags={"k": "v"})
    record = put_directory(box, "a/", user={}, etag="2" * 32)
    assert (record.etag, record.user, record.storage_class, record.tags) == (
        "2" * 32,
        {},
        "STANDARD",
        0,
    )
    assert box.head("a/") == record


def test_a_directory_object_under_or_on_a_file_is_refused(box, no_open_files):
    box.put("file")
    for key in ("file/", "file/below/"):
        with pytest.raises(ObjectParentIsFile):
            put_directory(box, key)
    assert box.get("file") == b"hello"


def test_a_refused_directory_object_leaves_nothing(box, no_open_files):
    def refuse(current):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        put_directory(box, "a/b/", refuse)
    with pytest.raises(errors.MetadataTooLarge):
        put_directory(box, "a/b/", user={"k": "v" * 70_000})
    assert box.files() == []
    with pytest.raises(NoSuchBucket):
        box.store.put_directory("none", "a/", attributes())


def test_a_check_sees_the_directory_object_that_is_there(box):
    seen = []
    record = put_directory(box, "a/", seen.append)
    put_directory(box, "a/", seen.append)
    box.delete("a/", seen.append)
    assert [None if s is None else s.etag for s in seen] == [None, record.etag, record.etag]


def test_a_directory_object_is_synced_with_its_new_parents(make_box, monkeypatch):
    box = make_box(durability="full")
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))
    )
    put_directory(box, "a/b/")
    path = str(box.path)
    assert synced == [path, f"{path}/a", f"{path}/a/b"]


def test_a_folder_pruned_while_it_becomes_an_object_is_made_again(box, monkeypatch):
    real = parents.open_way
    raced = []

    def open_way(root, path, owner):
        way = real(root, path, owner)
        if not raced:
            raced.append(path)
            os.rmdir(box.path / "a")
        return way

    monkeypatch.setattr(parents, "open_way", open_way)
    put_directory(box, "a/")
    assert raced
    assert box.head("a/").is_directory


def test_a_folder_that_always_goes_ends_in_slow_down(box, monkeypatch):
    monkeypatch.setattr(objects, "_mark_directory", lambda *_: None)
    with pytest.raises(errors.SlowDown):
        put_directory(box, "a/")


def test_an_error_while_a_directory_becomes_an_object_is_named(box, monkeypatch):
    def refuse(fd, name, value):
        raise OSError(errno.EDQUOT, "no")

    monkeypatch.setattr(os, "setxattr", refuse)
    with pytest.raises(errors.QuotaExceeded):
        put_directory(box, "a/")
    assert box.files() == []
