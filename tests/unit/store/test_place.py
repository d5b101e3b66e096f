"""How a name appears: the order of its steps, what readers see, and what every failure leaves."""

import errno
import os
import stat
import threading
import time
from dataclasses import replace

import pytest

from s3filters.store import errors, parents, pending
from s3filters.store.errors import (
    AlreadyExists,
    ExistingObjectIsDirectory,
    InternalError,
    InvalidArgument,
    KeyTooLongError,
    MethodNotAllowed,
    NoSuchBucket,
    ObjectParentIsFile,
    SlowDown,
)
from tests.unit.store.conftest import BUCKET, attributes


def draft_of(box, key, data=b"hello"):
    draft = box.store.draft(BUCKET, key)
    draft.write(data)
    return draft


@pytest.fixture(params=["O_TMPFILE", "named"])
def any_box(request, make_box):
    """A store that makes files without a name, and one that cannot."""
    box = make_box()
    box.store.tmpfile = request.param == "O_TMPFILE"
    return box


# What is stored ----------------------------------------------------------------------------------


def test_what_was_put_is_read(any_box, no_open_files):
    record = any_box.put("a/b/c.txt", b"hello")
    assert any_box.get("a/b/c.txt") == b"hello"
    assert replace(any_box.head("a/b/c.txt"), ctime_ns=record.ctime_ns) == record
    assert any_box.files() == ["a/", "a/b/", "a/b/c.txt"]
    assert any_box.on_their_way() == []


def test_a_draft_gathers_what_is_written(any_box, no_open_files):
    with any_box.store.draft(BUCKET, "key") as draft:
        for part in (b"one", bytearray(b"two"), memoryview(b"three"), b""):
            draft.write(part)
        assert draft.size == 11
        assert any_box.files() == []
        draft.commit(attributes())
    assert any_box.get("key") == b"onetwothree"


def test_a_discarded_draft_leaves_nothing(any_box, no_open_files):
    draft = draft_of(any_box, "a/b")
    draft.discard()
    draft.discard()
    assert any_box.files() == []
    assert any_box.on_their_way() == []


def test_a_draft_that_is_left_by_an_error_is_discarded(any_box, no_open_files):
    with pytest.raises(ZeroDivisionError), any_box.store.draft(BUCKET, "key"):
        raise ZeroDivisionError
    assert any_box.on_their_way() == []


def test_an_object_is_replaced_whole(any_box, no_open_files):
    any_box.put("key", b"first", changes={"user": {"gone": "1"}, "storage_class": "STANDARD_IA"})
    reader = any_box.store.open(BUCKET, "key")
    any_box.put("key", b"second!", changes={"etag": "2" * 32, "user": {}})
    record = any_box.head("key")
    assert any_box.get("key") == b"second!"
    assert (record.etag, record.user, record.storage_class) == ("2" * 32, {}, "STANDARD")
    assert b"".join(reader.blocks(2)) == b"first"
    reader.close()
    assert any_box.on_their_way() == []


def test_files_are_readable_for_all_and_follow_the_umask(any_box):
    old = os.umask(0o027)
    try:
        any_box.put("a/b")
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(any_box.path / "a/b").st_mode) == 0o640
    assert stat.S_IMODE(os.stat(any_box.path / "a").st_mode) == 0o750


def test_a_new_file_inherits_the_group_of_the_folder_where_it_will_be(box):
    (box.path / "team").mkdir()
    try:
        os.chown(box.path / "team", -1, 12345)
    except PermissionError:
        pytest.skip("only root may give a folder to a group")
    os.chmod(box.path / "team", 0o2755)
    box.put("team/new/file")
    assert os.stat(box.path / "team/new/file").st_gid == 12345
    assert os.stat(box.path / "team/new").st_gid == 12345


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "." + "y" * 254])
def test_the_longest_names_can_be_put_replaced_and_deleted(any_box, name):
    key = f"{name}/{name}"
    any_box.put(key, b"1")
    any_box.put(key, b"2")
    assert any_box.get(key) == b"2"
    assert any_box.delete(key)
    assert any_box.files() == []


def test_a_name_that_the_file_system_finds_too_long_is_refused(box, monkeypatch):
    fail(monkeypatch, "link", errno.ENAMETOOLONG)
    with pytest.raises(KeyTooLongError):
        box.put("a/name")
    assert box.files() == []


# Order -------------------------------------------------------------------------------------------

CALLS = ("mkdir", "write", "setxattr", "fsync", "fdatasync", "link", "rename")


@pytest.fixture
def calls(monkeypatch):
    """The system calls of a put, in order, repetitions once: fsync says of what."""
    made = []

    def watch(name):
        real = getattr(os, name)

        def call(*args, **options):
            word = name
            if name == "fsync":
                kind = os.fstat(args[0]).st_mode
                word = "fsync " + ("directory" if stat.S_ISDIR(kind) else "file")
            if name == "setxattr" and args[1] == parents.MADE:
                word = "mark"
            if not made or made[-1] != word:
                made.append(word)
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    for name in CALLS:
        watch(name)
    return made


def test_full_durability_is_data_attributes_fsync_link_fsync_of_the_folder(make_box, calls):
    box = make_box(durability="full")
    box.put("first")
    calls.clear()
    box.put("key")
    assert calls == ["write", "setxattr", "fsync file", "link", "fsync directory"]


def test_replacing_links_to_a_hidden_name_and_renames(make_box, calls):
    box = make_box(durability="full")
    box.put("key")
    box.put("key")
    calls.clear()
    box.put("key")
    wanted = ["write", "setxattr", "fsync file", "link", "rename", "fsync directory"]
    assert calls == wanted


def test_new_parents_are_made_after_the_file_is_durable_and_are_synced_themselves(
    make_box, monkeypatch
):
    box = make_box(durability="full")
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), real(fd))
    )
    box.put("a/b/key")
    path = str(box.path)
    assert "deleted" in synced[0]
    assert synced[1:] == [path, f"{path}/a", f"{path}/a/b"]
    synced.clear()
    box.put("a/b/other")
    assert synced[1:] == [f"{path}/a/b"]


def test_data_durability_syncs_the_bytes_before_the_name(make_box, calls):
    box = make_box(durability="data")
    calls.clear()
    box.put("key")
    assert calls == ["write", "setxattr", "fdatasync", "link"]


def test_no_durability_syncs_nothing(make_box, calls):
    box = make_box(durability="none")
    box.put("a/key")
    box.put("a/key")
    box.delete("a/key")
    assert not {c for c in calls if "sync" in c}


def test_each_step_has_a_word_for_crash_tests(make_box):
    box = make_box(durability="full")
    box.steps.clear()
    box.put("key")
    assert box.steps == [
        "opened",
        "written",
        "attributes",
        "file synced",
        "parents",
        "linked",
        "synced",
    ]
    box.steps.clear()
    box.put("key")
    assert box.steps[5:] == ["hidden", "renamed", "synced"]


class Died(BaseException):
    """The process is gone: nothing after this is meant to run."""


@pytest.mark.parametrize(
    "word",
    [
        "opened",
        "written",
        "attributes",
        "file synced",
        "parents",
        "linked",
        "hidden",
        "renamed",
        "synced",
    ],
)
@pytest.mark.parametrize("existing", [b"old", None], ids=["replacing", "creating"])
def test_dying_at_any_step_leaves_the_old_object_or_the_new_one(make_box, word, existing):
    box = make_box(durability="full" if word == "synced" else "none")
    if existing:
        box.put("a/key", existing)
    pid = os.fork()
    if not pid:
        box.store.trace = lambda step: os._exit(7) if step == word else None
        box.put("a/key", b"new bytes")
        os._exit(0)
    died = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    happens = {"linked": not existing, "hidden": bool(existing), "renamed": bool(existing)}
    assert died == happens.get(word, True)
    done = not died or word in ("linked", "renamed", "synced")
    if done:
        assert box.get("a/key") == b"new bytes"
    elif existing:
        assert box.get("a/key") == existing
    else:
        with pytest.raises(errors.NoSuchKey):
            box.get("a/key")
    box.put("a/key", b"later")
    assert box.get("a/key") == b"later"
    box.store.sweep(0)
    assert box.on_their_way() == []


# Conditions --------------------------------------------------------------------------------------


def test_only_if_absent_creates_and_does_not_replace(any_box, no_open_files):
    any_box.put("a/key", b"first", only_if_absent=True)
    with pytest.raises(AlreadyExists):
        any_box.put("a/key", b"second", only_if_absent=True)
    assert any_box.get("a/key") == b"first"
    assert any_box.on_their_way() == []


def test_a_check_sees_what_is_there_and_may_refuse(any_box, no_open_files):
    seen = []
    any_box.put("key", b"one", check=seen.append)
    record = any_box.head("key")
    any_box.put("key", b"two", check=seen.append)
    assert seen == [None, record]

    def refuse(current):
        raise ZeroDivisionError

    for key in ("key", "new/key"):
        with pytest.raises(ZeroDivisionError):
            any_box.put(key, b"three", check=refuse)
    assert any_box.get("key") == b"two"
    assert any_box.files() == ["key"]
    assert any_box.on_their_way() == []


def test_a_file_that_versity_deleted_counts_as_absent(box):
    (box.path / "key").write_bytes(b"kept for its versions")
    os.setxattr(box.path / "key", "user.etag", b'"abc"')
    os.setxattr(box.path / "key", "user.delete-marker", b"")
    box.put("key", b"new", only_if_absent=True)
    assert box.get("key") == b"new"


def test_a_creator_that_slips_in_under_a_check_is_seen_by_the_next_check(box, monkeypatch):
    """Creating takes no lock: under the lock a free name may still be taken by link(2)."""
    real = os.link
    slipped = []

    def link(source, name, **options):
        if not slipped:
            slipped.append(name)
            (box.path / "key").write_bytes(b"slipped in")
        return real(source, name, **options)

    monkeypatch.setattr(os, "link", link)
    seen = []
    box.put("key", b"new", check=seen.append)
    assert [None if s is None else s.size for s in seen] == [None, 10]
    assert box.get("key") == b"new"


def test_of_many_creators_one_wins_and_its_bytes_are_there(any_box):
    outcomes = race(
        12,
        lambda n: any_box.put(
            "a/b/key", b"%d" % n, only_if_absent=True, changes={"etag": f"{n:032x}"}
        ),
    )
    winners = [n for n, outcome in outcomes.items() if not isinstance(outcome, Exception)]
    assert len(winners) == 1
    assert any_box.get("a/b/key") == b"%d" % winners[0]
    assert any_box.head("a/b/key").etag == f"{winners[0]:032x}"
    assert {type(o) for o in outcomes.values() if isinstance(o, Exception)} == {AlreadyExists}
    assert any_box.on_their_way() == []


class Differs(Exception):
    """What a check raises here."""


def test_of_many_that_replace_one_version_one_wins(box):
    box.put("key", b"0", changes={"etag": "start"})

    def if_match(current):
        if current is None or current.etag != "start":
            raise Differs

    outcomes = race(
        12, lambda n: box.put("key", b"%d" % n, check=if_match, changes={"etag": f"{n}"})
    )
    winners = [n for n, outcome in outcomes.items() if not isinstance(outcome, Exception)]
    assert len(winners) == 1
    assert box.get("key") == b"%d" % winners[0]


def test_a_delete_and_conditional_puts_agree_on_an_order(box):
    def if_there(current):
        if current is None:
            raise Differs

    for _ in range(20):
        box.put("key", b"old")

        def act(n):
            return box.delete("key") if n == 0 else box.put("key", b"new", check=if_there)

        outcomes = race(4, act)
        lost = [o for o in outcomes.values() if isinstance(o, Differs)]
        # Whoever came after the delete was refused; if nobody was, the delete came last.
        exists = "key" in box.files()
        assert not exists
        assert all(isinstance(o, Differs) or o for o in outcomes.values())
        assert len(lost) <= 3


def race(number, act):
    """Call ``act(n)`` for each n at the same time; return what each returned or raised."""
    outcomes = {}
    start = threading.Barrier(number)

    def run(n):
        start.wait()
        try:
            outcomes[n] = act(n)
        except Exception as error:  # noqa: BLE001  the test looks at it
            outcomes[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_processes_exclude_each_other_too(box):
    box.put("counter", b"", changes={"etag": "0"})
    pids = [fork(lambda: count_up(box, 15)) for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids] == [0] * 4
    assert box.head("counter").etag == "60"


def fork(act):
    pid = os.fork()
    if not pid:
        try:
            act()
        except BaseException:  # noqa: BLE001  the parent sees the status
            os._exit(1)
        os._exit(0)
    return pid


def count_up(box, times):
    """Compare and swap until it went through so often."""
    while times:
        now = int(box.head("counter").etag)

        def if_match(current, now=now):
            if current.etag != str(now):
                raise Differs

        try:
            box.put("counter", b"", check=if_match, changes={"etag": str(now + 1)})
        except Differs:
            continue
        times -= 1


def test_puts_and_deletes_of_one_folder_do_not_trip_over_its_pruning(any_box):
    stop = time.monotonic() + 0.6
    failures = []

    def work(n):
        key = f"a/b/c{n}"
        while time.monotonic() < stop:
            any_box.put(key, b"x")
            if any_box.get(key) != b"x":
                failures.append(key)
            assert any_box.delete(key)

    outcomes = race(4, work)
    assert outcomes == dict.fromkeys(range(4))
    assert failures == []
    assert any_box.files() == []


# Conflicts ---------------------------------------------------------------------------------------


def test_a_key_under_a_file_is_refused_before_the_body(box, no_open_files):
    box.put("a")
    for key in ("a/b", "a/b/c"):
        with pytest.raises(ObjectParentIsFile):
            box.store.draft(BUCKET, key)
        with pytest.raises(ObjectParentIsFile):
            box.put(key)
    assert box.get("a") == b"hello"


def test_a_key_that_is_a_folder_is_refused_before_the_body(box, no_open_files):
    box.put("a/b")
    with pytest.raises(ExistingObjectIsDirectory):
        box.store.draft(BUCKET, "a")
    with pytest.raises(ExistingObjectIsDirectory):
        box.put("a")
    assert box.get("a/b") == b"hello"


@pytest.mark.parametrize(
    ("first", "second", "error"),
    [("a", "a/b", ObjectParentIsFile), ("a/b", "a", ExistingObjectIsDirectory)],
)
def test_a_conflict_that_arises_during_the_upload_is_refused_at_its_end(
    any_box, no_open_files, first, second, error
):
    draft = draft_of(any_box, second)
    any_box.put(first, b"first")
    with pytest.raises(error):
        draft.commit(attributes())
    assert any_box.get(first) == b"first"
    assert any_box.on_their_way() == []


def test_an_empty_folder_of_ours_does_not_block_a_key(box, no_open_files):
    for at, put in enumerate((box.put, lambda key: draft_of(box, key).commit(attributes()))):
        folder = box.path / f"folder{at}"
        folder.mkdir()
        os.setxattr(folder, parents.MADE, b"1")
        put(f"folder{at}")
        assert folder.is_file()


def test_an_empty_folder_of_a_person_blocks_a_key(box):
    (box.path / "folder").mkdir()
    with pytest.raises(ExistingObjectIsDirectory):
        box.put("folder")
    with pytest.raises(ExistingObjectIsDirectory):
        box.store.draft(BUCKET, "folder")


def test_a_fifo_is_not_replaced(box, no_open_files):
    os.mkfifo(box.path / "fifo")
    with pytest.raises(MethodNotAllowed):
        box.put("fifo")
    with pytest.raises(MethodNotAllowed):
        box.store.draft(BUCKET, "fifo")
    assert stat.S_ISFIFO(os.stat(box.path / "fifo").st_mode)
    assert box.on_their_way() == []


def test_a_link_is_replaced_and_its_target_is_not(box, no_open_files):
    box.put("target", b"target")
    for name, target in (("link", "target"), ("dangling", "none"), ("out", "../../outside")):
        (box.path / name).symlink_to(target)
        box.put(name, b"new")
        assert not (box.path / name).is_symlink()
        assert box.get(name) == b"new"
    assert box.get("target") == b"target"
    assert not (box.root.parent / "outside").exists()


def test_a_link_to_a_folder_is_not_replaced(box, no_open_files):
    box.put("real/key", b"through")
    (box.path / "link").symlink_to("real")
    with pytest.raises(errors.ExistingObjectIsDirectory):
        box.put("link")
    with pytest.raises(errors.ExistingObjectIsDirectory):
        box.store.draft(BUCKET, "link")
    assert box.get("link/key") == b"through"


def test_a_link_to_an_object_counts_as_that_object(box):
    box.put("target", b"target")
    (box.path / "link").symlink_to("target")
    with pytest.raises(AlreadyExists):
        box.put("link", only_if_absent=True)


def test_keys_go_through_linked_folders_inside_the_root_alone(box, no_open_files):
    (box.root.parent / "outside").mkdir()
    (box.path / "real").mkdir()
    (box.path / "inside").symlink_to("real")
    (box.path / "out").symlink_to(box.root.parent / "outside")
    (box.path / "dangling").symlink_to("nowhere")
    box.put("inside/key", b"through")
    assert box.get("real/key") == b"through"
    with pytest.raises(errors.AccessDenied):
        box.put("out/key")
    with pytest.raises(ObjectParentIsFile):
        box.put("dangling/key")
    assert os.listdir(box.root.parent / "outside") == []


def test_nothing_goes_where_no_key_can_be(box, no_open_files):
    for key in (".sgwtmp/x", "a/../../b", "a//b", "/etc/passwd", "a\0b"):
        with pytest.raises(InvalidArgument):
            box.put(key)
        with pytest.raises(InvalidArgument):
            box.store.draft(BUCKET, key)


def test_a_bucket_that_is_missing_is_said_so(any_box, no_open_files):
    for bucket in ("none", "NO/../box", ".."):
        with pytest.raises(NoSuchBucket):
            any_box.store.put_small(bucket, "a/key", b"", attributes())


@pytest.mark.parametrize("key", ["key", "a/key"])
def test_a_bucket_that_goes_during_the_upload_is_missing_at_its_end(box, no_open_files, key):
    draft = draft_of(box, key)
    box.store.delete_bucket(BUCKET)
    with pytest.raises(NoSuchBucket):
        draft.commit(attributes())
    assert os.listdir(box.root) == []


def test_something_else_named_as_our_folder_is_an_error_and_stays(box, no_open_files):
    box.put("key")
    (box.path / ".sgwtmp").write_text("a person's")
    for verb in (lambda: box.put("key", b"new"), lambda: box.delete("key")):
        with pytest.raises(MethodNotAllowed, match="something else was put in its place"):
            verb()
    assert (box.path / ".sgwtmp").read_text() == "a person's"
    assert box.get("key") == b"hello"


# Failures ----------------------------------------------------------------------------------------


def fail(monkeypatch, name, number, unless=lambda *args: False):
    real = getattr(os, name)

    def call(*args, **options):
        if unless(*args):
            return real(*args, **options)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, name, call)


ERRORS = {
    errno.ENOSPC: errors.InsufficientStorage,
    errno.EDQUOT: errors.QuotaExceeded,
    errno.EROFS: errors.MethodNotAllowed,
    errno.EIO: errors.InternalError,
    errno.EMFILE: errors.SlowDown,
    errno.ENFILE: errors.SlowDown,
    errno.EACCES: errors.AccessDenied,
    errno.EFBIG: errors.EntityTooLarge,
}


@pytest.mark.parametrize("number", ERRORS, ids=errno.errorcode.get)
@pytest.mark.parametrize("call", ["write", "fsync", "link", "mkdir", "rename", "open"])
@pytest.mark.parametrize("existing", [True, False], ids=["replacing", "creating"])
def test_every_failure_is_named_and_leaves_nothing(make_box, monkeypatch, number, call, existing):
    box = make_box(durability="full" if call == "fsync" else "none")
    box.put("there")
    box.put("there")
    if existing:
        box.put("a/key", b"old")
        box.put("a/key", b"old")
    before = box.files(), len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        fail(patch, call, number)
        if (call == "mkdir" and existing) or (call == "rename" and not existing):
            box.put("a/key", b"new")
            return
        with pytest.raises(ERRORS[number]):
            box.put("a/key", b"new")
    assert (box.files(), len(os.listdir("/proc/self/fd"))) == before
    assert box.on_their_way() == []
    if existing:
        assert box.get("a/key") == b"old"
    box.put("a/key", b"new")
    assert box.get("a/key") == b"new"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
def test_a_name_whose_folder_could_not_be_synced_is_taken_back(make_box, monkeypatch, number):
    box = make_box(durability="full")
    with monkeypatch.context() as patch:
        fail(patch, "fsync", number, unless=lambda fd: not stat.S_ISDIR(os.fstat(fd).st_mode))
        with pytest.raises(ERRORS[number]):
            box.put("a/key", b"new")
    assert box.files() == []


def test_a_name_that_another_took_over_is_not_taken_back(make_box, monkeypatch):
    box = make_box(durability="full")
    other = attributes(etag="other")

    def late(fd):
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            patch.undo()
            box.store.put_small(BUCKET, "key", b"other", other)
            raise OSError(errno.EIO, "late")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", late)
        with pytest.raises(InternalError):
            box.put("key", b"mine")
    assert box.head("key").etag == "other"


def test_a_mark_that_cannot_be_set_leaves_no_folder_behind(box, monkeypatch):
    fail(monkeypatch, "setxattr", errno.ENOSPC, unless=lambda *a: a[1] != parents.MADE)
    with pytest.raises(errors.InsufficientStorage):
        box.put("a/b/key")
    assert box.files() == []


def test_short_writes_are_continued(box, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    box.put("key", b"0123456789")
    assert box.get("key") == b"0123456789"


def test_metadata_that_does_not_fit_leaves_nothing(any_box, no_open_files):
    with pytest.raises(errors.MetadataTooLarge):
        any_box.put("a/key", changes={"user": {"k": "v" * 70_000}})
    assert any_box.files() == []
    assert any_box.on_their_way() == []


def test_a_parent_that_always_goes_ends_in_slow_down(box, monkeypatch, no_open_files):
    fail(monkeypatch, "link", errno.ENOENT)
    with pytest.raises(SlowDown):
        box.put("a/key")
    assert box.files() == []


def test_a_folder_removed_before_the_file_was_made_in_it_is_made_again(box, monkeypatch):
    """ext4 answers O_TMPFILE in a removed directory with EPERM."""
    real = os.open
    raced = []

    def open_file(path, flags, *args, **options):
        if path == "." and not raced:
            raced.append(path)
            os.rmdir(box.path / "a")
        return real(path, flags, *args, **options)

    (box.path / "a").mkdir()
    monkeypatch.setattr(os, "open", open_file)
    box.put("a/key")
    assert raced
    assert box.get("a/key") == b"hello"


def test_a_folder_that_may_not_be_written_is_said_so(box, monkeypatch, no_open_files):
    fail(monkeypatch, "open", errno.EPERM, unless=lambda path, *_: path != ".")
    with pytest.raises(errors.AccessDenied):
        box.put("key")


def test_where_a_mounted_folder_has_no_nameless_files_they_get_a_hidden_name(box, monkeypatch):
    real = os.open

    def without(path, flags, *args, **options):
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.ENOTSUP, "no O_TMPFILE")
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", without)
    with box.store.draft(BUCKET, "a/key") as draft:
        assert len(box.on_their_way()) == 1
        draft.commit(attributes())
    assert box.get("a/key") == b""
    assert box.on_their_way() == []


def test_a_mounted_folder_is_written_without_crossing_the_mount(box, monkeypatch):
    """link(2) and rename(2) do not reach ``.sgwtmp`` from another file system."""
    box.put("mount/key", b"old")
    real = os.link
    names = []

    def link(source, name, **options):
        names.append(name)
        if isinstance(name, str) and name.startswith(pending.PREFIX):
            raise OSError(errno.EXDEV, "another file system")
        return real(source, name, **options)

    monkeypatch.setattr(os, "link", link)
    box.put("mount/key", b"new")
    assert box.get("mount/key") == b"new"
    assert box.files() == ["mount/", "mount/key"]
    assert names[-1].startswith(".x.sgwtmp.")


def test_a_failed_rename_on_a_mounted_folder_leaves_nothing(box, monkeypatch):
    box.put("key", b"old")
    real = os.link

    def link(source, name, **options):
        if isinstance(name, str) and name.startswith(pending.PREFIX):
            raise OSError(errno.EXDEV, "another file system")
        return real(source, name, **options)

    monkeypatch.setattr(os, "link", link)
    fail(monkeypatch, "rename", errno.EIO)
    with pytest.raises(InternalError):
        box.put("key", b"new")
    assert box.files() == ["key"]
    assert box.get("key") == b"old"


# Copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [None, errno.EXDEV, errno.ENOSYS, errno.EINVAL])
def test_bytes_are_copied_with_the_kernel_or_without(box, monkeypatch, number, no_open_files):
    data = os.urandom((1 << 20) + 7)
    box.put("source", data)
    if number is not None:
        fail(monkeypatch, "copy_file_range", number)
    with box.store.open(BUCKET, "source") as source, box.store.draft(BUCKET, "copy") as draft:
        draft.write(b"head")
        draft.copy_from(source.fd, 5, 100)
        draft.copy_from(source.fd, 0, len(data))
        draft.commit(attributes())
    assert box.get("copy") == b"head" + data[5:105] + data


def test_a_source_that_ends_early_is_an_error(box, no_open_files):
    box.put("source", b"short")
    source, draft = box.store.open(BUCKET, "source"), box.store.draft(BUCKET, "copy")
    with source, draft, pytest.raises(InternalError):
        draft.copy_from(source.fd, 0, 10)
    assert box.files() == ["source"]


def test_an_error_while_copying_is_named(box, monkeypatch):
    box.put("source", b"short")
    fail(monkeypatch, "copy_file_range", errno.ENOSPC)
    source, draft = box.store.open(BUCKET, "source"), box.store.draft(BUCKET, "copy")
    with source, draft, pytest.raises(errors.InsufficientStorage):
        draft.copy_from(source.fd, 0, 5)
