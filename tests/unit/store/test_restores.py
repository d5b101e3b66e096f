"""What was asked of an object on tape: written under its lock, and closed when it is back."""

import errno
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.store import restores, scoutfs
from s3filters.store.metadata import RESTORE
from s3filters.store.restores import Restore
from s3filters.store.scoutfs import State

ASKED = Restore(5, 3, "Bulk", "for Ann")
REQUESTS = st.builds(
    Restore,
    requested_ns=st.integers(1, 1 << 62),
    days=st.integers(1, 1 << 31),
    tier=st.sampled_from(["Bulk", "Standard", "Expedited"]),
    description=st.text(max_size=50),
    flagged=st.booleans(),
    failed=st.booleans(),
    end_s=st.integers(0, 1 << 40),
)


@given(REQUESTS)
def test_what_is_written_is_read(request):
    assert restores.decode(request.encode()) == request


@given(st.binary(max_size=200))
def test_what_makes_no_sense_says_nothing(value):
    assert restores.decode(value) is None or value.startswith(b"{")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"{}",
        b'{"requested_ns":5}',
        b'{"requested_ns":5,"days":0}',
        b'{"requested_ns":0,"days":1}',
        b'{"requested_ns":5,"days":true}',
        b'{"requested_ns":5,"days":1,"tier":"a/../b"}',
        b'{"requested_ns":5,"days":1,"tier":"Bulk\\u0000"}',
        b'{"requested_ns":5,"days":1,"tier":"$(id)"}',
        b'{"requested_ns":5,"days":1.0}',
        b'{"requested_ns":5,"days":1,"tier":7}',
        b'{"requested_ns":5,"days":1,"end_s":"tomorrow"}',
    ],
)
def test_what_lacks_something_or_is_of_another_kind_says_nothing(value):
    assert restores.decode(value) is None


def test_a_field_that_a_later_version_adds_does_no_harm():
    assert restores.decode(ASKED.encode()[:-1] + b',"colour":"red"}') == ASKED


def written(box):
    return restores.decode(os.getxattr(box.path / "key", RESTORE))


def ask(box, work):
    return restores.ask(box.store, "box", "key", work)


def test_a_request_is_written_down(box):
    box.put("key", b"data")
    for request in (replace(ASKED, days=1), ASKED):
        ask(box, lambda fd, record, one=request: restores.write(fd, one))
        assert written(box) == request
    assert box.store.head("box", "key").restore == ASKED.encode()


def test_the_object_stays_what_it_is(box):
    box.put("key", b"data")
    before = box.store.head("box", "key")
    ask(box, lambda fd, record: restores.write(fd, ASKED))
    after = box.store.head("box", "key")
    assert (after.etag, after.mtime_ns, after.size) == (before.etag, before.mtime_ns, before.size)
    assert box.get("key") == b"data"


def test_another_object_under_the_key_was_not_asked_for(box):
    box.put("key", b"data")
    ask(box, lambda fd, record: restores.write(fd, ASKED))
    box.put("key", b"data")
    assert box.store.head("box", "key").restore == b""


@pytest.fixture
def blocks(monkeypatch):
    """How many blocks of every file are offline."""
    offline = [0]
    monkeypatch.setattr(scoutfs, "state", lambda fd, version: State(1, offline[0], 1, 0, False))
    return offline


def settle(box):
    return restores.settle(box.store, "box", "key", lambda found: replace(found, end_s=9))


def test_a_request_is_closed_once_all_blocks_are_there(box, blocks):
    box.put("key", b"data")
    ask(box, lambda fd, record: restores.write(fd, ASKED))
    blocks[0] = 1
    assert settle(box) == ASKED
    blocks[0] = 0
    assert settle(box) == written(box) == replace(ASKED, end_s=9)
    assert restores.settle(box.store, "box", "key", pytest.fail) == replace(ASKED, end_s=9)


def test_where_nothing_was_asked_nothing_is_closed(box, blocks):
    box.put("key", b"data")
    assert settle(box) is None
    with pytest.raises(OSError) as caught:
        os.getxattr(box.path / "key", RESTORE)
    assert caught.value.errno == errno.ENODATA
