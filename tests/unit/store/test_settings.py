"""Settings of a bucket: stored as Versity's gateway does, or in files, and never half changed."""

import errno
import os
import threading
import time

import pytest

from s3filters.store import buckets, errors, settings, xattrs
from s3filters.store.errors import (
    BucketAlreadyExists,
    BucketNotEmpty,
    MetadataTooLarge,
    NoSuchBucket,
)
from tests.unit.store.conftest import BUCKET

LARGE = bytes(range(33, 127)) * 220  # 20 KB: as large as a policy may be


@pytest.fixture
def tight(monkeypatch):
    """A file system that has 4,000 bytes for all attributes of an inode, as ext4."""
    real = os.setxattr

    def setxattr(fd, name, value, *rest):
        others = sum(len(each) + len(os.getxattr(fd, each)) for each in os.listxattr(fd))
        own = len(os.getxattr(fd, name)) + len(name) if name in os.listxattr(fd) else 0
        if others - own + len(name) + len(value) > 4000:
            raise OSError(errno.E2BIG, "no room")
        real(fd, name, value, *rest)

    monkeypatch.setattr(os, "setxattr", setxattr)


def put(box, **changes):
    changes = {name.replace("_", "-"): value for name, value in changes.items()}
    box.store.configure_bucket(BUCKET, lambda record: changes)


def get(box, name):
    return box.store.bucket(BUCKET).settings.get(name)


def files(box):
    folder = box.path / ".sgwtmp" / "settings"
    return sorted(os.listdir(folder)) if folder.exists() else []


def attribute(box, name):
    return os.getxattr(box.path, name) if name in os.listxattr(box.path) else None


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("acl", "user.acl"),
        ("ownership", "user.ownership"),
        ("policy", "user.policy"),
        ("cors", "user.cors"),
        ("tagging", "user.X-Amz-Tagging"),
        ("public-access-block", "user.s3filters.public-access-block"),
    ],
)
def test_a_setting_is_the_attribute_that_versitys_gateway_has_for_it(box, name, where):
    put(box, **{name: b"<value>"})
    assert os.getxattr(box.path, where) == b"<value>"
    assert get(box, name) == b"<value>"
    put(box, **{name: None})
    assert where not in os.listxattr(box.path)
    assert get(box, name) is None
    put(box, **{name: None})
    assert files(box) == []
    assert settings.ELSEWHERE not in os.listxattr(box.path)


def test_a_new_bucket_has_what_it_is_given_and_else_its_owners(box):
    given = {"ownership": b"ObjectWriter", "tagging": b'{"a":"b"}'}
    box.store.create_bucket("other", "you", given)
    record = box.store.bucket("other")
    assert record.settings["ownership"] == b"ObjectWriter"
    assert record.settings["tagging"] == b'{"a":"b"}'
    assert record.owner == "you"


@pytest.mark.usefixtures("tight")
def test_a_new_bucket_has_in_a_file_what_does_not_fit(box, no_open_files):
    acl = b'{"Owner":"you","Grantees":[' + b" " * 8000 + b"]}"
    box.store.create_bucket("other", "you", {"acl": acl})
    record = box.store.bucket("other")
    assert (record.owner, record.settings["acl"]) == ("you", acl)
    assert os.listdir(box.root / "other" / ".sgwtmp" / "settings") == ["acl.1"]
    assert sorted(os.listdir(box.root)) == [BUCKET, "other"]
    with pytest.raises(BucketAlreadyExists):
        box.store.create_bucket("other", "me", {"acl": acl})
    assert sorted(os.listdir(box.root)) == [BUCKET, "other"]


@pytest.mark.usefixtures("tight")
def test_a_new_bucket_that_got_no_name_goes_with_its_files(box, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(settings, "discard", lambda *_: None)  # as if we had died there
        with pytest.raises(BucketAlreadyExists):
            box.store.create_bucket(BUCKET, "me", {"acl": LARGE})
    assert len(os.listdir(box.root)) == 2
    box.store.sweep(0)
    assert os.listdir(box.root) == [BUCKET]


@pytest.mark.usefixtures("tight")
def test_what_does_not_fit_is_in_a_file_that_is_listed(box, no_open_files):
    put(box, policy=LARGE)
    assert get(box, "policy") == LARGE
    assert attribute(box, "user.policy") is None
    assert files(box) == ["policy.1"]
    assert os.getxattr(box.path, settings.ELSEWHERE).split() == [b"1", b"policy.1"]
    put(box, policy=LARGE + b"2", cors=LARGE + b"3")
    assert (get(box, "policy"), get(box, "cors")) == (LARGE + b"2", LARGE + b"3")
    assert files(box) == ["cors.3", "policy.2"]


@pytest.mark.usefixtures("tight")
def test_a_setting_moves_between_file_and_attribute(box):
    for value in (b"small", LARGE, b"small again", b"x" * 3000, LARGE):
        put(box, policy=value)
        assert get(box, "policy") == value
        is_small = len(value) < 3500
        assert attribute(box, "user.policy") == (value if is_small else None)
        assert len(files(box)) == (0 if is_small else 1)
    put(box, policy=None)
    assert get(box, "policy") is None
    assert files(box) == []


@pytest.mark.usefixtures("tight")
def test_a_setting_that_moves_while_it_is_read_is_not_missed(box, monkeypatch):
    put(box, policy=b"small")
    real, moved = os.getxattr, []

    def getxattr(fd, name, *rest):
        if name == "user.policy" and not moved:
            moved.append(name)
            put(box, policy=LARGE)
        return real(fd, name, *rest)

    with monkeypatch.context() as patched:
        patched.setattr(os, "getxattr", getxattr)
        fd = os.open(box.path, os.O_RDONLY)
        try:
            assert settings.read(fd)[1]["policy"] == LARGE
        finally:
            os.close(fd)
    assert moved


@pytest.mark.usefixtures("tight")
def test_the_list_has_room_however_full_the_directory_is(box):
    put(box, policy=b"p" * 3500)
    for number in range(3):
        put(box, cors=bytes([65 + number]) * 3000, tagging=b"t" * 2000, acl=b'{"Owner":"me"}')
    assert files(box) == ["cors.5", "tagging.6"]
    assert get(box, "policy") == b"p" * 3500
    assert get(box, "cors") == b"C" * 3000


@pytest.mark.usefixtures("tight")
def test_an_attribute_that_another_gateway_set_later_counts(box):
    put(box, policy=LARGE)
    os.setxattr(box.path, "user.policy", b"theirs")
    assert get(box, "policy") == b"theirs"
    put(box, policy=None)
    assert get(box, "policy") is None


def test_what_fits_nowhere_is_refused_and_changes_nothing(box, monkeypatch):
    put(box, policy=b"old")

    def refuse(*_):
        raise OSError(errno.E2BIG, "no room")

    with monkeypatch.context() as patched:
        patched.setattr(os, "setxattr", refuse)
        with pytest.raises(MetadataTooLarge):
            put(box, policy=LARGE)
    assert get(box, "policy") == b"old"
    put(box, policy=b"new")
    assert files(box) == []


@pytest.mark.usefixtures("tight")
def test_a_listed_file_that_is_gone_is_a_value_that_means_nothing(box):
    put(box, policy=LARGE, acl=LARGE)
    for name in files(box):
        (box.path / ".sgwtmp" / "settings" / name).unlink()
    os.utime(box.path)
    record = box.store.bucket(BUCKET)
    assert (record.settings["policy"], record.settings["acl"], record.owner) == (b"", b"", "")
    (box.path / ".sgwtmp" / "settings").rmdir()
    os.utime(box.path)
    assert get(box, "policy") == b""


def test_a_list_that_names_no_settings_leads_nowhere(box):
    (box.path / ".sgwtmp").mkdir()
    os.setxattr(box.path, settings.ELSEWHERE, b"../x.1 policy cors.x \xff policy.1/../../key")
    assert sorted(box.store.bucket(BUCKET).settings) == ["acl", "ownership"]


def test_the_change_is_decided_under_the_lock_by_what_is_there_now(box):
    put(box, tagging=b"1")
    seen = []

    def refuse(record):
        seen.append(record.settings["tagging"])
        raise errors.AccessDenied

    with pytest.raises(errors.AccessDenied):
        box.store.configure_bucket(BUCKET, refuse)
    assert (seen, get(box, "tagging")) == ([b"1"], b"1")


def test_changes_of_many_at_once_are_all_counted(box, make_box):
    put(box, tagging=b"0")
    stores = [box.store, make_box().store]

    def count(record):
        return {"tagging": b"%d" % (int(record.settings["tagging"]) + 1)}

    def change(store):
        for _ in range(20):
            store.configure_bucket(BUCKET, count)

    threads = [threading.Thread(target=change, args=(store,)) for store in stores * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert get(box, "tagging") == b"80"


@pytest.mark.parametrize("value", [b"small", LARGE])
@pytest.mark.usefixtures("tight")
def test_a_change_is_seen_by_another_process_at_its_next_look(box, make_box, value):
    other = make_box()
    time.sleep(0.1)  # so that both remember
    for store in (box.store, other.store):
        assert "policy" not in store.bucket(BUCKET).settings
    for number in range(5):
        put(box, policy=value + b"%d" % number)
        assert other.store.bucket(BUCKET).settings["policy"] == value + b"%d" % number
    put(box, policy=None)
    assert "policy" not in other.store.bucket(BUCKET).settings


@pytest.mark.usefixtures("tight")
def test_readers_never_see_half_a_change(box, make_box):
    values = [b"a" * 20_000, b"b" * 100, b"c" * 30_000, b"d" * 3000]
    put(box, policy=values[0])
    other, wrong, stop = make_box(), [], threading.Event()

    def look():
        while not stop.is_set():
            seen = other.store.bucket(BUCKET).settings.get("policy")
            if seen not in values:
                wrong.append(seen)

    reader = threading.Thread(target=look)
    reader.start()
    for _ in range(25):
        for value in values:
            put(box, policy=value)
    stop.set()
    reader.join()
    assert wrong == []


@pytest.mark.usefixtures("tight")
def test_all_is_on_the_disk_before_the_verb_returns_and_nothing_goes_before(make_box, monkeypatch):
    box = make_box(durability="full")
    put(box, policy=LARGE)
    done = []

    def name_of(fd):
        return os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))

    for verb in ("fsync", "setxattr", "removexattr", "unlink"):
        real = getattr(os, verb)

        def note(target, *rest, real=real, verb=verb, **more):
            named = name_of(target) if isinstance(target, int) else target
            done.append((verb, named))
            return real(target, *rest, **more)

        monkeypatch.setattr(os, verb, note)
    put(box, policy=LARGE + b"2")
    order = [step for step in done if step[0] != "removexattr"]
    assert order == [
        ("setxattr", "box"),  # it does not fit
        ("fsync", ".sgwtmp"),
        ("fsync", "policy.2"),
        ("fsync", "settings"),
        ("setxattr", "box"),  # the list
        ("fsync", "box"),
        ("unlink", "policy.1"),
    ]


def test_a_bucket_that_is_not_there_has_no_settings(box):
    with pytest.raises(NoSuchBucket):
        box.store.configure_bucket("other", lambda record: {"cors": b""})


def test_errors_of_changing_are_named(box, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(os, "removexattr", refuse)
    with pytest.raises(errors.InternalError):
        put(box, policy=None)


def test_settings_are_remembered_up_to_a_number_of_bytes(box, monkeypatch):
    monkeypatch.setattr(buckets, "_MOST_BYTES", 1000)
    for name in ("one", "two"):
        box.store.create_bucket(name, "me", {"cors": b"c" * 600})
    time.sleep(0.05)
    first = box.store.bucket("one")
    assert box.store.bucket("one") is first
    box.store.bucket("two")
    again = box.store.bucket("one")
    assert again == first
    assert again is not first


# Deleting the bucket -----------------------------------------------------------------------------


@pytest.mark.usefixtures("tight")
def test_files_go_with_the_bucket(box, no_open_files):
    put(box, policy=LARGE, cors=LARGE)
    box.store.delete_bucket(BUCKET)
    assert os.listdir(box.root) == []
    box.store.create_bucket(BUCKET, "me")
    assert sorted(box.store.bucket(BUCKET).settings) == ["acl", "ownership"]


def fill_with_object(box):
    box.put("key")


def fill_with_upload(box):
    (box.path / ".sgwtmp" / "multipart" / ("0" * 64) / "x").mkdir(parents=True)


def fill_with_unknown(box):
    (box.path / ".sgwtmp" / "settings" / "what is this").touch()


@pytest.mark.parametrize("fill", [fill_with_object, fill_with_upload, fill_with_unknown])
@pytest.mark.usefixtures("tight")
def test_a_bucket_that_stays_keeps_its_settings(box, fill, no_open_files):
    put(box, policy=LARGE)
    fill(box)
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket(BUCKET)
    os.utime(box.path)
    assert get(box, "policy") == LARGE


@pytest.mark.usefixtures("tight")
def test_a_put_that_is_in_time_keeps_the_settings_too(box, monkeypatch):
    put(box, policy=LARGE)
    real = buckets._remove

    def remove(*args):
        if not (box.path / "in-time").exists():
            box.put("in-time")
        return real(*args)

    monkeypatch.setattr(buckets, "_remove", remove)
    with pytest.raises(BucketNotEmpty):
        box.store.delete_bucket(BUCKET)
    os.utime(box.path)
    assert get(box, "policy") == LARGE


@pytest.mark.usefixtures("tight")
def test_an_error_while_a_bucket_is_deleted_loses_no_setting(box, monkeypatch):
    put(box, policy=LARGE, cors=LARGE)
    real = os.unlink

    def refuse(name, **more):
        if name == "policy.1":
            raise OSError(errno.EIO, "no")
        real(name, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        with pytest.raises(errors.InternalError):
            box.store.delete_bucket(BUCKET)
    os.utime(box.path)
    assert (get(box, "policy"), get(box, "cors")) == (LARGE, LARGE)


def test_on_this_file_system_a_large_value_is_stored_too(box):
    put(box, policy=LARGE)
    assert get(box, "policy") == LARGE
    with pytest.raises(MetadataTooLarge):
        fd = os.open(box.path, os.O_RDONLY)
        try:
            xattrs.write(fd, [("user.x", b"x" * 70_000)])
        finally:
            os.close(fd)
