"""Two nodes on one ScoutFS, between which there are no locks: two stores whose locks do nothing."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3filters.store import Store, claims, errors, joining, locks, removing
from s3filters.store.errors import Busy
from tests.unit.store.conftest import BUCKET, Box, attributes
from tests.unit.store.multipart import KEY, begin, describe, put
from tests.unit.store.multipart import folder as folder_of

BLOCK = 4096
PIECES = [bytes([64 + number]) * 4 * BLOCK for number in range(1, 5)]
ALL = [1, 2, 3, 4]


@pytest.fixture
def nodes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Box]]:
    """The same tree on two nodes."""

    @contextlib.contextmanager
    def nothing(*_: object, **__: object) -> Iterator[None]:
        yield

    monkeypatch.setattr(locks, "hold", nothing)
    monkeypatch.setattr(locks, "hold_upload", nothing)
    boxes = [Box(folder / "root") for _ in range(2)]
    for number, box in enumerate(boxes):
        box.store.node = f"{number:016x}"
    yield boxes
    removing.settle()
    for box in boxes:
        box.store.close()


def laid(box: Box) -> tuple[str, str, str]:
    upload = begin(box)
    for number, piece in enumerate(PIECES, 1):
        put(box, upload, number, piece)
    return upload.bucket, upload.key, upload.id


def at(box: Box, word: str, act: Callable[[], None]) -> None:
    """Do something when a verb of this node comes to a step, the first time."""

    def trace(done: str) -> None:
        if done == word:
            box.store.trace = None
            act()

    box.store.trace = trace


def test_the_node_is_told_from_others(folder: Path) -> None:
    box = Box(folder / "root")
    assert len(box.store.node) == 16
    box.store.close()


@pytest.mark.parametrize("other", [ALL, [2, 3]], ids=["same list", "another list"])
def test_while_one_node_completes_another_is_told_to_come_again(
    nodes: list[Box], other: list[int]
) -> None:
    name = laid(nodes[0])
    told = []

    def meanwhile() -> None:
        with pytest.raises(Busy) as caught:
            nodes[1].store.complete(name, other, describe)
        told.append(caught.value)

    at(nodes[0], "moved", meanwhile)
    nodes[0].store.complete(name, ALL, describe)
    assert told
    assert nodes[1].get(KEY) == b"".join(PIECES)


@pytest.mark.parametrize("turn", range(4))
def test_of_two_that_complete_at_once_none_takes_the_others_blocks(
    nodes: list[Box], turn: int
) -> None:
    name = laid(nodes[0])
    ready = threading.Barrier(2)

    def complete(box: Box, numbers: list[int]) -> str:
        ready.wait()
        for _ in range(1000):
            with contextlib.suppress(Busy):
                return box.store.complete(name, numbers, describe).etag
            threading.Event().wait(0.001 * (1 + int(box.store.node, 16)))
        raise AssertionError("nobody ever gets through")

    def attempt(box: Box, numbers: list[int]) -> str:
        try:
            return complete(box, numbers)
        except errors.NoSuchUpload:
            return ""

    with ThreadPoolExecutor(2) as pool:
        lists = [ALL, ALL if turn % 2 else [1, 3]]
        told = list(pool.map(attempt, nodes, lists))
    wholes = [b"".join(PIECES[number - 1] for number in numbers) for numbers in lists]
    record = nodes[0].head(KEY)
    assert nodes[0].get(KEY) == wholes[told.index(record.etag)]


def test_a_node_that_died_holds_nobody_up_for_long(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = laid(nodes[0])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(joining, "_end", die)
        patch.setattr(claims.hold, "_let_go", die)
        with pytest.raises(KeyboardInterrupt):
            nodes[0].store.complete(name, ALL, describe)
    with pytest.raises(Busy):
        nodes[1].store.complete(name, ALL, describe)
    monkeypatch.setattr(claims, "STALE_S", 0)
    nodes[1].store.complete(name, ALL, describe)
    assert nodes[1].get(KEY) == b"".join(PIECES)


def test_the_node_that_died_goes_on_at_once(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = laid(nodes[0])

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(claims.hold, "_let_go", die)
        at(nodes[0], "moved", die)
        with pytest.raises(KeyboardInterrupt):
            nodes[0].store.complete(name, ALL, describe)
    nodes[0].store.complete(name, ALL, describe)
    assert nodes[0].get(KEY) == b"".join(PIECES)


def test_a_refused_completion_leaves_no_claim(nodes: list[Box]) -> None:
    upload = begin(nodes[0])
    name = upload.bucket, upload.key, upload.id
    with pytest.raises(LookupError):
        nodes[0].store.complete(name, [1], describe)
    assert os.listdir(folder_of(nodes[0], upload)) == []


def test_a_part_that_another_node_replaces_meanwhile_is_not_taken_for_the_old_one(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(nodes[0])
    for number, piece in enumerate(PIECES, 1):
        put(nodes[0], upload, number, piece)
    name = upload.bucket, upload.key, upload.id
    real = joining.assembly._fill

    def replaced(*given: object) -> int:
        monkeypatch.undo()
        put(nodes[1], upload, 2, b"new" + PIECES[1][3:])
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(joining.assembly, "_fill", replaced)
    with pytest.raises(errors.InternalError, match="replaced"):
        nodes[0].store.complete(name, ALL, describe)
    nodes[0].store.complete(name, ALL, describe)
    assert nodes[0].get(KEY)[4 * BLOCK :].startswith(b"new")


def test_of_many_that_create_a_name_on_two_nodes_one_wins(nodes: list[Box]) -> None:
    def create(number: int) -> bool:
        store: Store = nodes[number % 2].store
        try:
            store.put_small(BUCKET, "key", b"%d" % number, attributes(), only_if_absent=True)
        except errors.AlreadyExists:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert sum(won) == 1
    assert nodes[0].get("key") == b"%d" % won.index(True)


# Temporary folders -------------------------------------------------------------------------------


def test_each_node_has_a_folder_of_its_own_for_what_is_on_its_way(nodes: list[Box]) -> None:
    seen = set()

    def look() -> None:
        hidden = nodes[0].path / ".sgwtmp"
        seen.update(str(path.parent.name) for path in hidden.rglob("put.*"))

    nodes[0].put("key", b"old")
    for box in nodes:
        at(box, "hidden", look)
        box.put("key", b"new")
    assert seen == {f"node.{number:016x}" for number in range(2)}
    assert nodes[0].get("key") == b"new"


def test_what_a_node_left_there_is_swept_by_any(nodes: list[Box]) -> None:
    nodes[0].put("key", b"old")
    nodes[0].put("key", b"new")
    folder = nodes[0].path / ".sgwtmp" / f"node.{0:016x}"
    (folder / "put.0123456789abcdef").write_bytes(b"left")
    nodes[1].store.sweep(3600)
    assert (folder / "put.0123456789abcdef").exists()
    nodes[1].store.sweep(0)
    assert not folder.exists()
    nodes[0].put("key", b"newer")
    assert nodes[1].get("key") == b"newer"


def test_a_bucket_with_folders_of_nodes_can_be_deleted(nodes: list[Box]) -> None:
    for box in nodes:
        box.put("key")
        box.put("key")
    nodes[0].delete("key")
    nodes[1].store.delete_bucket(BUCKET)
    assert not nodes[0].path.exists()


def test_a_bucket_in_which_a_node_replaces_an_object_is_not_empty(nodes: list[Box]) -> None:
    nodes[0].put("key")

    def meanwhile() -> None:
        nodes[1].delete("key")
        with pytest.raises(errors.BucketNotEmpty):
            nodes[1].store.delete_bucket(BUCKET)

    at(nodes[0], "hidden", meanwhile)
    nodes[0].put("key", b"new")
    assert nodes[1].get("key") == b"new"
