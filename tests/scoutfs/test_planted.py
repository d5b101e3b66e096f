"""What was put where the gateway has names of its own that only ScoutFS needs: see test_planted."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from s3filters.store import claims, comparing, errors, removing
from s3filters.store.metadata import Record
from tests.unit.store.conftest import BUCKET, Box, attributes
from tests.unit.store.multipart import KEY, begin, describe, put
from tests.unit.store.multipart import folder as folder_of

pytestmark = pytest.mark.timeout(60)

DATA = b"precious"
PART = b"x" * 4096


@pytest.fixture
def box(folder: Path) -> Iterator[Box]:
    made = Box(folder / "root")
    yield made
    removing.settle()
    made.store.close()


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "file").write_bytes(DATA)


def a_link(path: Path) -> None:
    target = path.parent / "elsewhere"
    target.write_bytes(DATA)
    path.symlink_to(target)


def a_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def a_file(path: Path) -> None:
    path.write_bytes(DATA)


THINGS = [a_folder, a_link, a_socket, os.mkfifo]


@pytest.mark.parametrize("plant", THINGS)
def test_the_file_that_parts_become(box: Box, plant: Callable[[Path], None]) -> None:
    upload = begin(box)
    put(box, upload, 1, PART)
    name = upload.bucket, upload.key, upload.id
    path = folder_of(box, upload) / "assembly"
    plant(path)
    before = path.lstat()
    with pytest.raises(errors.MethodNotAllowed, match="assembly"):
        box.store.complete(name, [1], describe)
    assert path.lstat() == before
    os.rename(path, box.root / "away")
    box.store.complete(name, [1], describe)
    assert box.get(KEY) == PART


@pytest.mark.parametrize("plant", [a_file, *THINGS])
def test_the_claim_of_this_node(box: Box, plant: Callable[[Path], None]) -> None:
    upload = begin(box)
    put(box, upload, 1, PART)
    plant(folder_of(box, upload) / f"claim.{box.store.node}")
    box.store.complete((upload.bucket, upload.key, upload.id), [1], describe)
    assert box.get(KEY) == PART


def test_the_claim_of_another_node_that_is_a_folder(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = begin(box)
    put(box, upload, 1, PART)
    name = upload.bucket, upload.key, upload.id
    path = folder_of(box, upload) / "claim.another"
    a_folder(path)
    for verb in (
        lambda: box.store.complete(name, [1], describe),
        lambda: box.store.end_upload(*name),
    ):
        with pytest.raises(errors.Busy):
            verb()
        with monkeypatch.context() as patch:
            patch.setattr(claims, "STALE_S", 0)
            with pytest.raises(errors.MethodNotAllowed):
                verb()
    assert (path / "file").read_bytes() == DATA


@pytest.mark.parametrize("plant", [a_file, a_link, a_socket, os.mkfifo])
def test_the_folder_of_this_node(box: Box, plant: Callable[[Path], None]) -> None:
    box.put("key", b"old")
    path = box.path / ".sgwtmp" / f"node.{box.store.node}"
    path.parent.mkdir(exist_ok=True)
    plant(path)
    before = path.lstat()
    with pytest.raises(errors.MethodNotAllowed, match="node"):
        box.put("key", b"new")
    box.put("another", b"new")
    box.store.sweep(0)
    assert path.lstat() == before
    assert box.get("key") == b"old"


@pytest.mark.parametrize("node", ["this node", "another"])
def test_the_name_of_who_compares(box: Box, monkeypatch: pytest.MonkeyPatch, node: str) -> None:
    box.put("key", b"old")
    seen = []
    real = comparing.Comparison.claim

    def claim(comparison: comparing.Comparison) -> None:
        real(comparison)
        seen.extend((box.path / ".sgwtmp").glob("if.*"))

    def check(_: Record | None) -> None:
        comparing.exactly()

    def change() -> None:
        box.store.put_small(BUCKET, "key", b"new", attributes(), check=check)

    monkeypatch.setattr(comparing.Comparison, "claim", claim)
    change()
    path = seen[0] if node == "this node" else seen[0].with_suffix(".00")
    a_folder(path)
    if node == "another":
        monkeypatch.setattr(comparing, "PATIENCE_S", 0.05)
        with pytest.raises(errors.ConditionalRequestConflict):
            change()
        monkeypatch.setattr(comparing, "STALE_S", 0)
        with pytest.raises(errors.MethodNotAllowed):
            change()
    else:
        change()
    assert (path / "file").read_bytes() == DATA
