"""Records that are remembered: as long as stat proves them, never longer."""

import os
import time
from dataclasses import replace

import pytest

from s3filters.store import recognizing
from s3filters.store.boundaries import OURS, Boundaries
from s3filters.store.known import COARSE_NS, TICK_NS, Known, is_proof


@pytest.fixture
def path(tmp_path):
    made = tmp_path / "file"
    made.write_bytes(b"hello")
    return made


def record_of(path):
    return recognizing.read(str(path), os.stat(path), path.name)


def later(record):
    return record.ctime_ns + COARSE_NS + 1


def test_a_record_is_known_while_nothing_changes(path):
    known, record = Known(10), record_of(path)
    assert known.get(os.stat(path)) is None
    known.keep(record, later(record))
    assert known.get(os.stat(path)) is record


@pytest.mark.parametrize(
    "change",
    [
        lambda path: path.write_bytes(b"other"),
        lambda path: os.setxattr(path, "user.etag", b'"new"'),
        lambda path: os.chmod(path, 0o600),
        lambda path: os.utime(path, ns=(1, 1)),
    ],
    ids=["bytes", "attribute", "mode", "mtime"],
)
def test_every_change_ends_it(path, change):
    known, record = Known(10), record_of(path)
    known.keep(record, later(record))
    time.sleep(0.02)
    change(path)
    assert known.get(os.stat(path)) is None


def test_an_edit_that_sets_mtime_back_is_seen_by_its_ctime(path):
    known, record = Known(10), record_of(path)
    known.keep(record, later(record))
    time.sleep(0.02)
    path.write_bytes(b"HELLO")
    os.utime(path, ns=(record.mtime_ns, record.mtime_ns))
    assert os.stat(path).st_mtime_ns == record.mtime_ns
    assert known.get(os.stat(path)) is None


def test_a_record_read_in_the_tick_of_its_change_is_not_kept(path):
    known, record = Known(10), record_of(path)
    known.keep(record, record.ctime_ns + TICK_NS)
    assert known.get(os.stat(path)) is None


def test_whole_seconds_need_a_longer_wait():
    second = 1_000_000_000
    assert is_proof(5 * second + 1, 5 * second + 2 + TICK_NS)
    assert not is_proof(5 * second, 5 * second + 2 + TICK_NS)
    assert is_proof(5 * second, 5 * second + COARSE_NS + 1)


def test_a_ctime_in_the_future_proves_nothing(path):
    known, record = Known(10), record_of(path)
    known.keep(record, record.ctime_ns - 1)
    assert known.get(os.stat(path)) is None


def test_what_is_used_stays_and_the_number_is_bounded(tmp_path):
    known, records = Known(8), []
    for number in range(30):
        path = tmp_path / str(number)
        path.touch()
        records.append(record_of(path))
        known.keep(records[-1], later(records[-1]))
        assert known.get(os.stat(tmp_path / "0")) is records[0]
    assert sum(known.get(os.stat(tmp_path / str(n))) is not None for n in range(30)) <= 8


def test_another_file_system_with_the_same_inode_number_is_another_file(path):
    known, record = Known(10), record_of(path)
    known.keep(record, later(record))
    record.dev += 1
    assert known.get(os.stat(path)) is None


@pytest.mark.parametrize(
    "large",
    [{"boundaries": Boundaries({OURS: bytes(5000)}, 5)}, {"user": {"k": "v" * 2000}}],
    ids=["parts", "user"],
)
def test_what_would_take_much_memory_is_not_kept(path, large):
    known, record = Known(10), replace(record_of(path), **large)
    known.keep(record, later(record))
    assert known.get(os.stat(path)) is None


def test_nothing_is_kept_where_nothing_may_be(path):
    known, record = Known(0), record_of(path)
    known.keep(record, later(record))
    assert known.get(os.stat(path)) is None
