"""What ScoutFS does, as far as the package or its double rely on it.

These run against the double, or, where S3FILTERS_SCOUTFS names a directory on a real node, against
that: then the same checks show that the double tells the truth.
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import threading
import time

import pytest

from s3filters.store import scoutfs
from s3filters.store.scoutfs import Position
from tests.scoutfs import calls
from tests.scoutfs.calls import stat_more
from tests.scoutfs.device import check, libc

BLOCK = 4096
DATA = bytes(range(256)) * 80 + b"tail" * 30  # five blocks and a bit
BLOCKS = 6
WAIT_S = 5
AT_EMPTY_PATH, AT_FDCWD = 0x1000, -100
RENAME_EXCHANGE, RENAME_WHITEOUT = 2, 4


def number_of(call, *args, **options):
    """The errno with which a call fails."""
    with pytest.raises(OSError) as failed:
        call(*args, **options)
    return failed.value.errno


@pytest.fixture
def at(folder, opened):
    """The folder as a descriptor."""
    return opened(folder, os.O_RDONLY)


@pytest.fixture
def file(folder, opened):
    """An open file with DATA in it."""
    fd = opened(folder / "file")
    os.write(fd, DATA)
    return fd


@pytest.fixture
def offline(file):
    """The same file, all of it offline; gives its descriptor and data version."""
    version = stat_more(file)[2]
    calls.release(file, 0, BLOCKS * BLOCK, version)
    return file, version


class Asking:
    """A call in a thread of its own, which may have to wait."""

    def __init__(self, call, *args):
        self.result = None
        self._thread = threading.Thread(target=self._run, args=(call, *args), daemon=True)
        self._thread.start()

    def _run(self, call, *args):
        try:
            self.result = call(*args)
        except OSError as error:
            self.result = error.errno

    @property
    def waits(self):
        self._thread.join(0.1)
        return self._thread.is_alive()

    def answer(self):
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "it waits on"
        return self.result


def wait_for(condition, limit_s=WAIT_S):
    limit = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < limit, "it never came to be"
        time.sleep(0.01)


# Files without a name ----------------------------------------------------------------------------


def nameless(folder, opened, flags=0):
    return opened(folder, os.O_TMPFILE | os.O_RDWR | flags)


def name(fd, directory, word):
    os.link(f"/proc/self/fd/{fd}", word, dst_dir_fd=directory, follow_symlinks=True)


def test_a_file_can_be_made_without_a_name(folder, opened):
    fd = nameless(folder, opened)
    assert os.fstat(fd).st_nlink == 0
    assert os.write(fd, DATA) == len(DATA)
    assert os.pread(fd, len(DATA), 0) == DATA


def test_attributes_can_be_set_before_there_is_a_name(folder, opened):
    fd = nameless(folder, opened)
    os.setxattr(fd, "user.etag", b"abc")
    assert os.getxattr(fd, "user.etag") == b"abc"


def test_a_nameless_file_gets_its_name_with_bytes_attributes_and_inode(folder, opened, at):
    fd = nameless(folder, opened)
    os.write(fd, DATA)
    os.setxattr(fd, "user.etag", b"abc")
    name(fd, at, "object")
    found = os.stat(folder / "object")
    assert (found.st_nlink, found.st_ino) == (1, os.fstat(fd).st_ino)
    assert (folder / "object").read_bytes() == DATA
    assert os.getxattr(folder / "object", "user.etag") == b"abc"


def test_a_descriptor_can_be_linked_by_itself(folder, opened, at):
    fd = nameless(folder, opened)
    name(fd, at, "object")
    check(libc.linkat(fd, b"", at, b"again", AT_EMPTY_PATH))
    assert os.stat(folder / "object").st_nlink == 2


def test_a_name_that_is_taken_is_not_linked_over(folder, opened, at):
    (folder / "object").write_bytes(b"old")
    assert number_of(name, nameless(folder, opened), at, "object") == errno.EEXIST
    assert (folder / "object").read_bytes() == b"old"


def test_a_nameless_file_opened_exclusively_never_gets_a_name(folder, opened, at):
    fd = nameless(folder, opened, os.O_EXCL)
    assert number_of(name, fd, at, "object") == errno.ENOENT


# Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [RENAME_EXCHANGE, RENAME_WHITEOUT])
def test_renames_that_scoutfs_does_not_have_are_refused(folder, at, flag):
    for word in ("one", "two"):
        (folder / word).touch()
    assert number_of(lambda: check(libc.renameat2(at, b"one", at, b"two", flag))) == errno.EINVAL


def test_a_rename_that_must_not_replace_does_not(folder, at):
    for word in ("one", "two"):
        (folder / word).touch()
    assert number_of(lambda: check(libc.renameat2(at, b"one", at, b"two", 1))) == errno.EEXIST
    check(libc.renameat2(at, b"one", at, b"three", 1))
    assert sorted(os.listdir(folder)) == ["three", "two"]


def test_a_rename_replaces(folder):
    (folder / "one").write_bytes(b"1")
    (folder / "two").write_bytes(b"2")
    os.rename(folder / "one", folder / "two")
    assert (folder / "two").read_bytes() == b"1"


def test_a_directory_of_hundreds_is_listed_whole(folder):
    words = {f"name-{number}" for number in range(300)}
    for word in words:
        (folder / word).touch()
    assert set(os.listdir(folder)) == words


def test_files_and_directories_can_be_synced(file, at):
    os.fsync(file)
    os.fdatasync(file)
    os.fsync(at)


@pytest.mark.parametrize("seconds", [-(10**9), 0, 10**10])
def test_times_before_1970_and_long_after_are_kept(folder, seconds):
    (folder / "file").touch()
    os.utime(folder / "file", ns=(seconds * 10**9 + 5, seconds * 10**9 + 7))
    os.rename(folder / "file", folder / "again")
    assert os.stat(folder / "again").st_mtime_ns == seconds * 10**9 + 7


# Extended attributes -----------------------------------------------------------------------------


def test_tagged_attributes_are_kept(file):
    os.setxattr(file, "scoutfs.hide.x", b"hidden")
    assert os.getxattr(file, "scoutfs.hide.x") == b"hidden"
    os.removexattr(file, "scoutfs.hide.x")
    assert number_of(os.getxattr, file, "scoutfs.hide.x") == errno.ENODATA


def test_hidden_attributes_are_not_listed_with_the_others(file):
    os.setxattr(file, "user.etag", b"abc")
    os.setxattr(file, "scoutfs.hide.x", b"hidden")
    assert os.listxattr(file) == ["user.etag"]
    assert calls.hidden_names(file) == ["scoutfs.hide.x"]


def test_tags_can_be_combined(file):
    os.setxattr(file, "scoutfs.hide.srch.tag", b"1")
    assert os.getxattr(file, "scoutfs.hide.srch.tag") == b"1"


def test_an_attribute_of_scoutfs_without_a_tag_is_refused(file):
    assert number_of(os.setxattr, file, "scoutfs.zzz", b"") == errno.EINVAL


def test_unknown_name_spaces_are_refused(file):
    assert number_of(os.setxattr, file, "foo.bar", b"") == errno.EOPNOTSUPP


def test_trusted_attributes_are_kept(file):
    os.setxattr(file, "trusted.t", b"1")
    assert os.getxattr(file, "trusted.t") == b"1"


def test_values_of_60000_bytes_fit_and_of_65536_do_not(file):
    large = os.urandom(60_000)
    os.setxattr(file, "user.large", large)
    assert os.getxattr(file, "user.large") == large
    assert number_of(os.setxattr, file, "user.large", bytes(65_536)) == errno.E2BIG


def test_attributes_can_be_made_or_replaced_only(file):
    os.setxattr(file, "user.etag", b"1", os.XATTR_CREATE)
    assert number_of(os.setxattr, file, "user.etag", b"2", os.XATTR_CREATE) == errno.EEXIST
    assert number_of(os.setxattr, file, "user.none", b"2", os.XATTR_REPLACE) == errno.ENODATA


def test_tagged_attributes_are_for_the_privileged_and_read_by_all(folder, file):
    os.setxattr(file, "scoutfs.hide.x", b"hidden")
    os.chmod(folder, 0o777)
    os.fchmod(file, 0o666)

    def try_both():
        if os.getxattr(file, "scoutfs.hide.x") != b"hidden":
            return 1
        try:
            os.setxattr(file, "scoutfs.hide.x", b"changed")
        except PermissionError:
            return 0
        return 2

    assert as_nobody(try_both) == 0


def as_nobody(call):
    """Run a call in a process without privileges and return its exit status."""
    pid = os.fork()
    if not pid:
        status = 99
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            status = call()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# What a file system is, and what a file ----------------------------------------------------------


def test_scoutfs_is_detected_by_asking(at):
    found = scoutfs.detect(at)
    assert (found.scoutfs, found.privileged) == (True, True)
    assert found.format_version >= 2
    assert found.missing == ()


def test_who_has_no_privileges_is_told(folder, at):
    os.chmod(folder, 0o777)
    assert as_nobody(lambda: int(scoutfs.detect(at).privileged)) == 0


def test_both_calls_tell_the_same_of_a_file(file):
    online, offline, version = stat_more(file)
    assert (online, offline) == (BLOCKS, 0)
    assert scoutfs.state(file) == (online, offline, version, 0, False)
    assert scoutfs.state(file, format_version=1) == (online, offline, version, 0, False)


def test_directories_and_empty_files_have_no_blocks(at, folder, opened):
    assert stat_more(at)[:2] == (0, 0)
    assert stat_more(opened(folder / "empty")) == (0, 0, 0)


def test_the_data_version_counts_changes_of_the_bytes_and_of_nothing_else(file):
    first = stat_more(file)[2]
    os.pwrite(file, b"x", 0)
    second = stat_more(file)[2]
    os.ftruncate(file, 10)
    third = stat_more(file)[2]
    os.setxattr(file, "user.etag", b"1")
    os.fchmod(file, 0o600)
    assert first < second < third == stat_more(file)[2]


def test_the_state_needs_no_right_but_to_open(folder, file, opened):
    fd = opened(folder / "file", os.O_RDONLY)
    os.chmod(folder, 0o755)
    assert as_nobody(lambda: int(scoutfs.state(fd).online_blocks != BLOCKS)) == 0


def test_unknown_ioctls_are_refused(file):
    assert number_of(libc_ioctl, file, 0x4018E8FF) == errno.ENOTTY


def libc_ioctl(fd, request):
    buffer = ctypes.create_string_buffer(24)
    return check(libc.ioctl(fd, ctypes.c_ulong(request), buffer))


# Projects and retention --------------------------------------------------------------------------


def test_a_project_is_inherited_from_the_directory_also_without_a_name(folder, opened, at):
    scoutfs.set_project(at, 42)
    assert scoutfs.state(at).project_id == 42
    assert scoutfs.state(opened(folder / "file")).project_id == 42
    assert scoutfs.state(nameless(folder, opened)).project_id == 42
    (folder / "below").mkdir()
    assert scoutfs.state(opened(folder / "below", os.O_RDONLY)).project_id == 42


def test_a_project_is_not_changed_by_a_rename(folder, opened, at, file):
    (folder / "below").mkdir()
    scoutfs.set_project(opened(folder / "below", os.O_RDONLY), 7)
    os.rename(folder / "file", folder / "below" / "file")
    assert scoutfs.state(file).project_id == 0


def test_a_project_is_for_the_privileged_to_set(folder, file):
    def refused():
        try:
            scoutfs.set_project(file, 1)
        except PermissionError:
            return 0
        return 1

    assert as_nobody(refused) == 0


def test_what_is_under_retention_is_not_changed_by_anybody(folder, opened, file):
    calls.set_attr_x(file, 0x100, bits=1)
    try:
        assert scoutfs.state(file).retained
        assert number_of(os.pwrite, file, b"x", 0) == errno.EPERM
        assert number_of(os.ftruncate, file, 0) == errno.EPERM
        assert number_of(os.setxattr, file, "user.etag", b"1") == errno.EPERM
        assert number_of(os.unlink, folder / "file") == errno.EPERM
        assert number_of(os.rename, folder / "file", folder / "other") == errno.EPERM
        (folder / "new").touch()
        assert number_of(os.rename, folder / "new", folder / "file") == errno.EPERM
        os.setxattr(file, "scoutfs.hide.sam_flags", b"1")  # the archiver's are free
        source = opened(folder / "source")
        os.write(source, DATA)
        assert number_of(calls.move, file, source, 0, BLOCK, 1 << 20) == errno.EPERM
        assert os.pread(file, len(DATA), 0) == DATA
    finally:
        calls.set_attr_x(file, 0x100, bits=0)
    os.pwrite(file, b"x", 0)


def test_an_unknown_bit_of_the_mask_is_refused(file):
    assert number_of(calls.set_attr_x, file, 0x400) == errno.EINVAL


def test_a_file_can_be_made_that_was_never_here(folder, opened):
    fd = opened(folder / "restored")
    calls.set_attr_x(fd, 0x84, data_version=9, size=len(DATA), flags=1)
    assert stat_more(fd) == (0, BLOCKS, 9)
    assert os.fstat(fd).st_size == len(DATA)
    assert calls.stage(fd, 9, 0, DATA) == len(DATA)
    assert (folder / "restored").read_bytes() == DATA


def test_a_file_that_was_written_cannot_be_made_one_that_was_never_here(file):
    assert number_of(calls.set_attr_x, file, 0x84, data_version=9, size=1, flags=1) == errno.EINVAL


# Release and stage -------------------------------------------------------------------------------


def test_release_needs_the_data_version(file):
    version = stat_more(file)[2]
    assert number_of(calls.release, file, 0, BLOCK, version + 7) == errno.ESTALE


def test_release_needs_whole_blocks(file):
    version = stat_more(file)[2]
    assert number_of(calls.release, file, 100, BLOCK, version) == errno.EINVAL
    assert number_of(calls.release, file, 0, 100, version) == errno.EINVAL


def test_release_needs_a_file_open_for_writing(folder, file, opened):
    fd = opened(folder / "file", os.O_RDONLY)
    assert number_of(calls.release, fd, 0, BLOCK, stat_more(fd)[2]) == errno.EINVAL


def test_a_released_file_is_offline_and_of_the_same_version(offline):
    fd, version = offline
    assert stat_more(fd) == (0, BLOCKS, version)


def test_a_released_file_keeps_its_size_its_times_and_its_count_of_blocks(file):
    before = os.fstat(file)
    calls.release(file, 0, BLOCKS * BLOCK, stat_more(file)[2])
    after = os.fstat(file)
    assert after.st_size == before.st_size
    assert after.st_mtime_ns == before.st_mtime_ns
    assert after.st_blocks >= BLOCKS * 8


def test_release_of_a_part_leaves_the_rest_readable(file):
    calls.release(file, BLOCK, BLOCK, stat_more(file)[2])
    assert stat_more(file)[:2] == (BLOCKS - 1, 1)
    assert os.pread(file, BLOCK, 0) == DATA[:BLOCK]
    assert os.pread(file, BLOCK, 2 * BLOCK) == DATA[2 * BLOCK : 3 * BLOCK]


def test_stage_needs_the_data_version(offline):
    fd, version = offline
    assert number_of(calls.stage, fd, version + 1, 0, DATA[:BLOCK]) == errno.ESTALE


@pytest.mark.parametrize(("offset", "length"), [(100, BLOCK), (0, 100), (5 * BLOCK, BLOCK)])
def test_stage_needs_whole_blocks_within_the_file(offline, offset, length):
    fd, version = offline
    assert number_of(calls.stage, fd, version, offset, bytes(length)) == errno.EINVAL


def test_staged_data_are_online_and_the_version_stays(offline):
    fd, version = offline
    assert calls.stage(fd, version, 0, DATA[:BLOCK]) == BLOCK
    assert stat_more(fd) == (1, BLOCKS - 1, version)
    assert calls.stage(fd, version, BLOCK, DATA[BLOCK:]) == len(DATA) - BLOCK  # to the very end
    assert stat_more(fd) == (BLOCKS, 0, version)
    assert os.pread(fd, len(DATA), 0) == DATA


# Who reads what is offline waits -----------------------------------------------------------------


def test_readers_wait_and_each_is_woken_by_its_own_block(at, offline):
    fd, version = offline
    first = Asking(os.pread, fd, BLOCK, 0)
    third = Asking(os.pread, fd, BLOCK, 2 * BLOCK)
    inode = os.fstat(fd).st_ino
    wait_for(lambda: calls.waiting(at) == [(inode, 0, 1), (inode, 2, 1)])
    calls.stage(fd, version, 0, DATA[:BLOCK])
    assert first.answer() == DATA[:BLOCK]
    assert third.waits
    calls.stage(fd, version, BLOCK, DATA[BLOCK:])
    assert third.answer() == DATA[2 * BLOCK : 3 * BLOCK]
    assert calls.waiting(at) == []


def test_who_writes_waits_for_the_whole_file_and_can_be_told_to_give_up(at, offline):
    fd, _ = offline
    writer = Asking(os.pwrite, fd, b"x", 0)
    inode = os.fstat(fd).st_ino
    wait_for(lambda: calls.waiting(at) == [(inode, 0, 2)])
    assert calls.fail_waiters(at, inode, errno.EIO) == 1
    assert writer.answer() == errno.EIO


def test_a_reader_that_is_killed_does_not_wait_on(at, offline, folder):
    pid = os.fork()
    if not pid:
        try:
            (folder / "file").read_bytes()
        finally:
            os._exit(0)
    wait_for(lambda: len(calls.waiting(at)) == 1)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    wait_for(lambda: calls.waiting(at) == [])


def test_many_readers_wait_without_stopping_anybody_else(at, offline, folder):
    fd, version = offline
    readers = [Asking(os.pread, fd, BLOCK, 0) for _ in range(32)]
    wait_for(lambda: len(calls.waiting(at)) == 1)
    (folder / "other").write_bytes(DATA)
    assert (folder / "other").read_bytes() == DATA
    calls.stage(fd, version, 0, DATA)
    assert {reader.answer() for reader in readers} == {DATA[:BLOCK]}


def test_emptying_an_offline_file_does_not_wait(folder, offline):
    fd, _ = offline
    os.truncate(folder / "file", 0)
    assert stat_more(fd)[:2] == (0, 0)


def test_a_new_size_waits_for_what_is_before_it(at, offline):
    fd, version = offline
    cutter = Asking(os.ftruncate, fd, BLOCK)
    wait_for(lambda: [purpose for _, _, purpose in calls.waiting(at)] == [4])
    calls.stage(fd, version, 0, DATA)
    assert cutter.answer() is None
    assert os.fstat(fd).st_size == BLOCK


def test_sendfile_waits_and_then_sends_the_right_bytes(offline, tmp_path, opened, at):
    fd, version = offline
    out = opened(tmp_path / "out")
    sender = Asking(os.sendfile, out, fd, 0, len(DATA))
    wait_for(lambda: len(calls.waiting(at)) == 1)
    assert sender.waits
    calls.stage(fd, version, 0, DATA)
    sent = sender.answer()
    assert (tmp_path / "out").read_bytes() == DATA[:sent] != b""


def test_a_file_can_be_opened_while_a_reader_waits_for_it(at, offline, folder):
    fd, version = offline
    reader = Asking(os.pread, fd, BLOCK, 0)
    wait_for(lambda: len(calls.waiting(at)) == 1)
    opening = Asking(lambda: os.close(os.open(folder / "file", os.O_RDONLY)))
    assert opening.answer() is None
    calls.stage(fd, version, 0, DATA)
    reader.answer()


# MOVE_BLOCKS -------------------------------------------------------------------------------------

PART = bytes(range(256)) * 1024  # 64 blocks
LAST_PART = PART[: 32 * BLOCK] + b"end" * 9


@pytest.fixture
def source(folder, opened):
    fd = opened(folder / "source")
    os.write(fd, PART)
    return fd


@pytest.fixture
def target(folder, opened):
    return opened(folder / "target")


def test_blocks_are_moved_out_of_one_file_into_another(source, target):
    versions = stat_more(source)[2], stat_more(target)[2]
    scoutfs.move_blocks(source, 0, len(PART), target, 0)
    assert os.pread(target, len(PART) + 1, 0) == PART
    assert stat_more(target)[:2] == (64, 0)
    assert stat_more(source)[:2] == (0, 0)
    assert os.fstat(source).st_size == len(PART)
    assert os.pread(source, len(PART), 0) == bytes(len(PART))
    assert versions[0] < stat_more(source)[2]
    assert versions[1] < stat_more(target)[2]


def test_the_end_of_a_source_need_not_be_a_whole_block(folder, opened, source, target):
    last = nameless(folder, opened)
    os.write(last, LAST_PART)
    scoutfs.move_blocks(source, 0, len(PART), target, 0)
    assert Asking(scoutfs.move_blocks, last, 0, len(LAST_PART), target, len(PART)).answer() is None
    assert os.fstat(target).st_size == len(PART) + len(LAST_PART)
    assert os.pread(target, 1 << 20, 0) == PART + LAST_PART


def test_a_source_open_for_reading_will_do(folder, opened, source, target):
    reading = opened(folder / "source", os.O_RDONLY)
    scoutfs.move_blocks(reading, 0, len(PART), target, 0)
    assert os.pread(target, len(PART), 0) == PART


def test_blocks_can_be_moved_into_a_file_that_has_its_size_already(source, target):
    os.ftruncate(target, 1 << 20)
    scoutfs.move_blocks(source, 0, len(PART), target, 4 * BLOCK)
    assert os.fstat(target).st_size == 1 << 20
    assert os.pread(target, len(PART), 4 * BLOCK) == PART


def test_the_same_move_again_moves_nothing_and_fails_nowhere(source, target):
    scoutfs.move_blocks(source, 0, len(PART), target, 0)
    scoutfs.move_blocks(source, 0, len(PART), target, 0)
    assert os.pread(target, len(PART) + 1, 0) == PART


def test_a_move_that_was_cut_short_is_finished_by_the_same_again(source, target):
    scoutfs.move_blocks(source, 0, 8 * BLOCK, target, 0)
    scoutfs.move_blocks(source, 0, len(PART), target, 0)
    assert os.pread(target, len(PART) + 1, 0) == PART


def test_a_file_is_not_moved_into_itself(target):
    assert number_of(calls.move, target, target, 0, BLOCK, 1 << 20) == errno.EINVAL


def test_a_source_that_is_not_open_is_refused(target):
    assert number_of(calls.move, target, 9999, 0, BLOCK, 0) == errno.EBADF


def test_blocks_of_another_file_system_are_refused(tmp_path, opened, target):
    other = opened(tmp_path / "other")
    os.write(other, PART)
    assert number_of(calls.move, target, other, 0, BLOCK, 0) == errno.EXDEV


def test_blocks_are_not_moved_over_others(source, target):
    os.write(target, DATA)
    assert number_of(calls.move, target, source, 0, BLOCK, 0) == errno.EINVAL
    assert os.pread(target, len(DATA), 0) == DATA


@pytest.mark.parametrize(("offset", "length", "at"), [(0, 100, 0), (100, BLOCK, 0), (0, BLOCK, 1)])
def test_parts_of_blocks_are_not_moved(source, target, offset, length, at):
    assert number_of(calls.move, target, source, offset, length, at) == errno.EINVAL


def test_nothing_is_moved_from_beyond_the_end(source, target):
    calls.move(target, source, 1 << 20, BLOCK, 0)
    calls.move(target, source, 0, 0, 0)
    assert os.fstat(target).st_size == 0


def test_blocks_of_a_directory_are_not_moved(folder, opened, source, target, at):
    (folder / "below").mkdir()  # or it would have no size, and what lies behind the end is nothing
    assert number_of(calls.move, target, at, 0, BLOCK, 0) == errno.EISDIR
    assert number_of(calls.move, at, source, 0, BLOCK, 0) == errno.EISDIR


@pytest.mark.parametrize(("offset", "at"), [(2**64 - BLOCK, 0), (0, 2**64 - BLOCK)])
def test_a_range_that_ends_behind_all_numbers_is_refused(source, target, offset, at):
    assert number_of(calls.move, target, source, offset, 2 * BLOCK, at) == errno.EOVERFLOW


@pytest.mark.parametrize("protected", ["source", "target"])
def test_who_may_not_write_to_both_files_moves_nothing(folder, source, target, protected):
    for name in ("source", "target"):
        os.chmod(folder / name, 0o644 if name == protected else 0o666)

    def refused():
        return int(number_of(scoutfs.move_blocks, source, 0, BLOCK, target, 0) != errno.EACCES)

    def allowed():
        scoutfs.move_blocks(source, 0, BLOCK, target, 0)
        return 0

    assert as_nobody(refused) == 0
    assert stat_more(source)[0] == len(PART) // BLOCK
    os.chmod(folder / protected, 0o666)
    assert as_nobody(allowed) == 0
    assert os.pread(target, BLOCK, 0) == PART[:BLOCK]


def test_blocks_are_not_moved_into_a_file_that_is_offline(source, target):
    os.write(target, DATA)
    calls.release(target, 0, BLOCKS * BLOCK, stat_more(target)[2])
    assert number_of(calls.move, target, source, 0, BLOCK, 1 << 20) == errno.ENODATA


def test_blocks_are_not_moved_out_of_a_file_that_is_offline(source, target):
    calls.release(source, 0, BLOCK, stat_more(source)[2])
    assert number_of(calls.move, target, source, BLOCK, BLOCK, 0) == errno.ENODATA


def test_offline_blocks_are_staged_by_a_move(source, target):
    os.write(target, PART)
    version = stat_more(target)[2]
    calls.release(target, 0, len(PART), version)
    calls.move(target, source, 0, len(PART), 0, data_version=version, flags=1)
    assert stat_more(target) == (64, 0, version)
    assert os.pread(target, len(PART), 0) == PART


def test_unknown_flags_of_a_move_are_refused(source, target):
    assert number_of(calls.move, target, source, 0, BLOCK, 0, flags=2) == errno.EINVAL


# Which inodes changed -----------------------------------------------------------------------------

COMMIT_LIMIT_S = 40  # another node's open transaction may hold ours back, for ten seconds or so


class Index:
    """What was changed since this was made, by an index of inodes of the file system of ``at``."""

    def __init__(self, at, index=scoutfs.META_SEQ):
        self.at, self.index = at, index
        self.before = scoutfs.committed_seq(at)

    def found(self):
        """What is committed: inode numbers to the sequences of their changes."""
        return {each.ino: each.seq for each in self.walked(1000)}

    def walked(self, most, by=None):
        """The same as positions, asked for in calls for so many."""
        found, first = [], Position(self.before + 1, 0, 0)
        while told := scoutfs.walk(by or self.at, self.index, first, most):
            found += told
            first = told[-1].next()
        return found

    def commit(self):
        """Have all that was changed here committed; return what is found then."""
        seq = self.before
        for entry in os.scandir(f"/proc/self/fd/{self.at}"):
            seq = max(seq, sequence_of(entry.path))
        os.fsync(self.at)
        wait_for(lambda: scoutfs.committed_seq(self.at) >= seq, COMMIT_LIMIT_S)
        return self.found()


def sequence_of(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return calls.sequences(fd)[0]
    finally:
        os.close(fd)


def make(folder, *names):
    """Make files; return their inode numbers."""
    for name in names:
        (folder / name).write_bytes(DATA)
    return {os.stat(folder / name).st_ino for name in names}


def release_all(path):
    calls.make_offline(path)


def stage_all(path):
    data = calls.make_offline(path)
    calls.bring_back(path, data)


CHANGES = {
    "bytes": lambda path: path.write_bytes(b"new"),
    "size": lambda path: os.truncate(path, 5),
    "release": release_all,
    "stage": stage_all,
    "attribute": lambda path: os.setxattr(path, "user.etag", b"1"),
    "hidden attribute": lambda path: os.setxattr(path, "scoutfs.hide.sam_flags", b"1"),
    "mode": lambda path: os.chmod(path, 0o600),
    "times": lambda path: os.utime(path, (1, 1)),
    "owner": lambda path: os.chown(path, 1, 1),
    "link": lambda path: os.link(path, path.with_name("link")),
    "rename": lambda path: os.rename(path, path.with_name("renamed")),
}


@pytest.mark.parametrize("how", CHANGES)
def test_whatever_changes_a_file_gives_it_a_sequence_above_all_that_was_committed(folder, at, how):
    (number,) = make(folder, "file")
    Index(at).commit()
    index = Index(at)
    CHANGES[how](folder / "file")
    assert number in index.commit()


@pytest.mark.parametrize("how", CHANGES)
def test_the_index_of_data_tells_of_changed_bytes_alone(folder, at, how):
    (number,) = make(folder, "file")
    Index(at).commit()
    index = Index(at, scoutfs.DATA_SEQ)
    CHANGES[how](folder / "file")
    assert (number in index.commit()) == (how in ("bytes", "size"))


def test_a_file_that_nothing_happened_to_is_not_told(folder, at):
    index = Index(at)
    numbers = make(folder, "one", "two")
    assert numbers <= set(index.commit())
    index = Index(at)
    (folder / "one").read_bytes()
    os.stat(folder / "one")
    make(folder, "three")
    assert not numbers & set(index.commit())


def test_a_new_file_is_told_and_so_is_its_directory(folder, at):
    Index(at).commit()
    index = Index(at)
    numbers = make(folder, "new")
    assert numbers | {os.fstat(at).st_ino} <= set(index.commit())


def test_a_file_without_a_name_is_told_as_well(folder, at, opened):
    index = Index(at)
    fd = nameless(folder, opened)
    os.fsync(fd)
    seq = calls.sequences(fd)[0]
    wait_for(lambda: scoutfs.committed_seq(at) >= seq, COMMIT_LIMIT_S)
    assert index.found()[os.fstat(fd).st_ino] == seq


def test_a_removed_file_is_in_no_index_but_its_directory_is(folder, at):
    both = Index(at)
    (number,) = make(folder, "file")
    assert number in both.commit()
    index = Index(at)
    (folder / "file").unlink()
    os.fsync(at)
    wait_for(lambda: os.fstat(at).st_ino in index.found(), COMMIT_LIMIT_S)
    wait_for(lambda: number not in both.found(), COMMIT_LIMIT_S)


def test_nothing_is_told_that_is_not_committed(folder, at):
    index = Index(at)
    make(folder, "file")
    index.commit()
    make(folder, "another")
    found = index.found()
    assert found
    assert max(found.values()) <= scoutfs.committed_seq(at)


def test_an_inode_is_in_an_index_once_with_the_sequence_that_it_has(folder, at):
    index = Index(at)
    (number,) = make(folder, "file")
    first = index.commit()[number]
    os.setxattr(folder / "file", "user.etag", b"1")
    second = index.commit()[number]
    assert first < second == sequence_of(folder / "file")
    assert [each.seq for each in index.walked(1000) if each.ino == number] == [second]


@pytest.mark.parametrize("most", [1, 2, 3, 1000])
def test_a_walk_in_many_calls_is_one_walk_and_in_order(folder, at, most):
    index = Index(at)
    numbers = make(folder, *"abcde")
    index.commit()
    numbers |= make(folder, *"fghij")
    index.commit()
    walked = index.walked(most)
    assert walked == sorted(set(walked))
    assert {each.minor for each in walked} == {0}
    assert numbers <= {each.ino for each in walked}
    assert len({each.seq for each in walked if each.ino in numbers}) >= 2


def test_there_is_nothing_behind_what_is_committed(at):
    assert scoutfs.walk(at, scoutfs.META_SEQ, Position(2**64 - 1, 0, 0), 10) == []
    behind = Position(scoutfs.committed_seq(at) + 1_000_000, 0, 0)
    assert scoutfs.walk(at, scoutfs.DATA_SEQ, behind, 10) == []


def test_there_are_two_indexes(file):
    assert number_of(scoutfs.walk, file, 2, Position(0, 0, 0), 10) == errno.EINVAL


def test_an_index_is_walked_by_any_file_and_without_privileges(folder, at, file):
    index = Index(at)
    numbers = make(folder, "other")
    index.commit()

    def lacks_some():
        return int(not numbers <= {each.ino for each in index.walked(1000, by=file)})

    assert as_nobody(lacks_some) == 0


def test_what_does_not_fit_into_memory_is_not_written(file):
    os.fsync(file)
    given = scoutfs.WALK_INODES.layout.pack(0, 0, 0, 2**64 - 1, 2**64 - 1, 2**32 - 1, 0, 10, 0)
    request = ctypes.c_ulong(scoutfs.WALK_INODES.request)
    assert number_of(lambda: check(libc.ioctl(file, request, given))) == errno.EFAULT


# What it does not have ---------------------------------------------------------------------------


def test_holes_cannot_be_punched(file):
    offset, length = ctypes.c_long(0), ctypes.c_long(BLOCK)
    assert number_of(lambda: check(libc.fallocate(file, 3, offset, length))) == errno.EOPNOTSUPP


def test_copy_file_range_copies(folder, opened, file):
    copy, done = opened(folder / "copy"), 0
    while done < len(DATA):
        done += os.copy_file_range(file, copy, len(DATA) - done, done, done)
    assert (folder / "copy").read_bytes() == DATA


def test_space_can_be_reserved(folder, opened):
    fd = opened(folder / "reserved")
    os.posix_fallocate(fd, 0, 1 << 20)
    assert os.fstat(fd).st_size == 1 << 20
