"""The way of a large body to its file."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from s3filters.backends.fs import intake
from s3filters.backends.fs.intake import KEPT, TIERS, Buffers, absorb
from s3filters.s3.body import Body

SIZES = [size for _, _, size in TIERS]


class Handle:
    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def wait(self) -> Any:
        return self._future.result()


class Threads:
    """Work in real threads; as many as it takes to have every piece under way at once."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    def start(self, function: Any, *args: Any) -> Handle:
        return Handle(self._pool.submit(function, *args))


class Source:
    """A client that sends as much as it likes at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)

    def readinto(self, view: memoryview, /) -> int:
        count = min(len(view), len(self._data), 77_777)
        view[:count] = self._data[:count]
        self._data = self._data[count:]
        return count


class File:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: memoryview) -> None:
        self.data += data


class Full(File):
    def write(self, data: memoryview) -> None:
        if self.data:
            raise OSError("full")
        super().write(data)


@pytest.fixture(params=range(len(TIERS)), ids=[f"{size >> 10} KiB" for size in SIZES])
def buffers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Buffers:
    """Buffers of which the next upload gets those of one tier."""
    count = TIERS[request.param][1]
    monkeypatch.setattr(intake, "TIERS", ((1 << 30, count, 10_000),))
    return Buffers()


def test_a_body_reaches_the_file_and_the_hash_whole_and_in_order(buffers: Buffers) -> None:
    data, file = os.urandom(1_234_567), File()
    body = Body(Source(data), len(data))
    body.want("MD5")
    with ThreadPoolExecutor(4) as pool:
        absorb(file, body, buffers, Threads(pool))  # type: ignore[arg-type]
    assert file.data == data
    assert body.digest("MD5") == hashlib.md5(data, usedforsecurity=False).digest()


def test_what_the_file_says_reaches_the_caller_when_nobody_uses_the_buffers(
    buffers: Buffers,
) -> None:
    data = os.urandom(200_000)
    with ThreadPoolExecutor(4) as pool:
        with pytest.raises(OSError, match="full"):
            absorb(Full(), Body(Source(data), len(data)), buffers, Threads(pool))  # type: ignore[arg-type]
        for view in buffers.take():
            view[:] = bytes(len(view))  # they are back, and whole


def test_the_more_upload_at_once_the_smaller_their_buffers_are() -> None:
    buffers = Buffers()
    taken = [buffers.take() for _ in range(20)]
    sizes = [len(views[0]) for views in taken]
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) == set(SIZES)
    assert all(len(set(map(len, views))) == 1 for views in taken)


def test_sixteen_uploads_of_a_worker_need_no_more_than_40_mib() -> None:
    buffers = Buffers()
    assert sum(len(view) for _ in range(16) for view in buffers.take()) <= 40 << 20


def test_buffers_are_used_again() -> None:
    buffers = Buffers()
    first = buffers.take()
    buffers.give(first)
    assert {id(view.obj) for view in buffers.take()} == {id(view.obj) for view in first}


def test_what_is_kept_for_later_is_bounded_and_whatever_is_kept_can_be_had() -> None:
    buffers = Buffers()
    for _ in range(3):
        taken = [buffers.take() for _ in range(20)]
        known = {id(view.obj) for views in taken for view in views}
        assert len(known) == sum(map(len, taken))  # no two have the same
        for views in taken:
            buffers.give(views)
        assert sum(len(view) for views in buffers._free.values() for view in views) <= KEPT
