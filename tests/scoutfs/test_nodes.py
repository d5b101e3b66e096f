"""Two nodes on one ScoutFS, between which there are no locks: two stores whose locks do nothing."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from s3filters.store import Store, claims, comparing, errors, joining, locks, removing, walk
from s3filters.store.errors import Busy
from s3filters.store.metadata import Record
from tests.scoutfs.cold import Cold
from tests.unit.store.conftest import BUCKET, Box, attributes
from tests.unit.store.multipart import KEY, begin, describe, md5, numbers, put
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


@pytest.mark.parametrize("word", ["moved", "hidden", "linked", "synced"])
def test_while_one_node_completes_no_other_gives_the_upload_up(nodes: list[Box], word: str) -> None:
    nodes[0].store.durability = "full"
    if word == "hidden":
        nodes[0].put(KEY, b"old")
    name = laid(nodes[0])
    told = []

    def meanwhile() -> None:
        with pytest.raises(Busy) as caught:
            nodes[1].store.end_upload(*name)
        told.append(caught.value)

    at(nodes[0], word, meanwhile)
    nodes[0].store.complete(name, ALL, describe)
    assert told
    assert nodes[1].get(KEY) == b"".join(PIECES)
    with pytest.raises(errors.NoSuchUpload):
        nodes[1].store.end_upload(*name)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_an_upload_can_be_given_up_on_a_full_disk(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    name = laid(nodes[0])

    def fail(*_: object, **__: object) -> None:
        raise OSError(number, "full")

    monkeypatch.setattr(os, "symlink", fail)
    with pytest.raises((errors.InsufficientStorage, errors.QuotaExceeded)):
        nodes[0].store.complete(name, ALL, describe)
    nodes[0].store.end_upload(*name)
    assert list(nodes[1].store.uploads(BUCKET)) == []


def test_what_one_node_gives_up_no_other_completes(nodes: list[Box]) -> None:
    name = laid(nodes[0])
    told = []

    def meanwhile() -> None:
        for verb in (
            lambda: nodes[1].store.complete(name, ALL, describe),
            lambda: nodes[1].store.end_upload(*name),
        ):
            with pytest.raises(errors.NoSuchUpload) as caught:
                verb()
            told.append(caught.value)

    at(nodes[0], "upload ended", meanwhile)
    nodes[0].store.end_upload(*name)
    assert len(told) == 2
    with pytest.raises(errors.NoSuchKey):
        nodes[1].get(KEY)


@pytest.mark.parametrize("turn", range(6))
def test_of_completing_and_giving_up_at_once_one_is_done(nodes: list[Box], turn: int) -> None:
    name = laid(nodes[0])
    ready = threading.Barrier(2)

    def attempt(verb: Callable[[], object]) -> bool:
        ready.wait()
        for _ in range(1000):
            with contextlib.suppress(Busy):
                try:
                    verb()
                except errors.NoSuchUpload:
                    return False
                return True
            threading.Event().wait(random.uniform(0, 0.005))
        raise AssertionError("nobody ever gets through")

    verbs = [
        lambda: nodes[turn % 2].store.complete(name, ALL, describe),
        lambda: nodes[1 - turn % 2].store.end_upload(*name),
    ]
    with ThreadPoolExecutor(2) as pool:
        completed, ended = pool.map(attempt, verbs)
    assert completed is not ended
    assert nodes[0].files() == (["a/", "a/key"] if completed else [])


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


@pytest.mark.parametrize("when", ["_look", "_fill", "_place"])
@pytest.mark.parametrize("size", ["same size", "another size"])
def test_a_part_that_another_node_replaces_meanwhile_is_not_taken_for_the_old_one(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch, when: str, size: str
) -> None:
    upload = begin(nodes[0])
    for number, piece in enumerate(PIECES, 1):
        put(nodes[0], upload, number, piece)
    name = upload.bucket, upload.key, upload.id
    new = b"new" + PIECES[1][3:] + (b"" if size == "same size" else b"longer")
    real = getattr(joining.assembly, when)

    def replaced(*given: object) -> object:
        monkeypatch.undo()
        put(nodes[1], upload, 2, new)
        return real(*given)

    monkeypatch.setattr(joining.assembly, when, replaced)
    with pytest.raises(Busy):
        nodes[0].store.complete(name, ALL, describe)
    record = nodes[0].store.complete(name, ALL, describe)
    made = [PIECES[0], new, *PIECES[2:]]
    assert nodes[0].get(KEY) == b"".join(made)
    digest = md5(b"".join(bytes.fromhex(md5(piece)) for piece in made))
    assert record.etag == f"{digest}-{len(made)}"


@pytest.mark.parametrize("word", ["moved", "written", "synced"])
def test_a_part_that_comes_when_its_blocks_are_taken_changes_nothing(
    nodes: list[Box], word: str
) -> None:
    nodes[0].store.durability = "full"
    upload = begin(nodes[0])
    for number, piece in enumerate(PIECES, 1):
        put(nodes[0], upload, number, piece)
    at(nodes[0], word, lambda: put(nodes[1], upload, 2, b"late"))  # type: ignore[arg-type]
    record = nodes[0].store.complete((upload.bucket, upload.key, upload.id), ALL, describe)
    assert nodes[0].get(KEY) == b"".join(PIECES)
    assert record.etag == nodes[1].head(KEY).etag


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


# Conditions --------------------------------------------------------------------------------------


class Stale(Exception):
    """The object is not what was compared with."""


def matching(etag: str) -> Callable[[Record | None], None]:
    """A check as If-Match makes one."""

    def check(current: Record | None) -> None:
        if current is None or current.etag != etag:
            raise Stale
        comparing.exactly()

    return check


def swap(box: Box, old: str, new: bytes) -> Record:
    """Replace the object whose ETag is ``old``."""
    given = attributes(etag=md5(new))
    return box.store.put_small(BUCKET, "key", new, given, check=matching(old))


def claims_in(box: Box) -> list[str]:
    return [name for name in os.listdir(box.path / ".sgwtmp") if name.startswith("if.")]


def test_no_change_that_is_conditional_on_another_is_lost(nodes: list[Box]) -> None:
    nodes[0].put("key", b"0", changes={"etag": md5(b"0")})
    each, stale = 12, []

    def count(box: Box) -> None:
        done = 0
        while done < each:
            before = int(box.get("key"))
            try:
                swap(box, md5(b"%d" % before), b"%d" % (before + 1))
                done += 1
            except Stale:
                stale.append(before)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(count, nodes))
    assert int(nodes[0].get("key")) == 2 * each
    assert claims_in(nodes[0]) == []


@pytest.mark.parametrize("step", ["file synced", "replacement synced"])
@pytest.mark.parametrize("other", ["swap", "delete"])
def test_who_compares_sees_what_another_node_did_meanwhile(
    nodes: list[Box], step: str, other: str
) -> None:
    nodes[0].store.durability = "full"
    nodes[0].put("key", b"old", changes={"etag": md5(b"old")})

    def meanwhile() -> None:
        if other == "swap":
            swap(nodes[1], md5(b"old"), b"theirs")
        else:
            nodes[1].delete("key", matching(md5(b"old")))

    at(nodes[0], step, meanwhile)
    with pytest.raises(Stale):
        swap(nodes[0], md5(b"old"), b"ours")
    assert nodes[0].files() == ([] if other == "delete" else ["key"])


@pytest.mark.parametrize("verb", ["swap", "delete", "complete"])
def test_while_one_node_compares_and_acts_another_is_refused(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr(comparing, "PATIENCE_S", 0.05)
    nodes[0].put("key", b"old", changes={"etag": md5(b"old")})
    upload = begin(nodes[0], "key")
    put(nodes[0], upload, 1, b"part")
    name = upload.bucket, upload.key, upload.id
    refused = []

    def meanwhile() -> None:
        with pytest.raises(errors.ConditionalRequestConflict) as caught:
            if verb == "swap":
                swap(nodes[1], md5(b"old"), b"theirs")
            elif verb == "delete":
                nodes[1].delete("key", matching(md5(b"old")))
            else:
                nodes[1].store.complete(name, [1], describe, check=matching(md5(b"old")))
        refused.append(caught.value)

    at(nodes[0], "hidden", meanwhile)
    swap(nodes[0], md5(b"old"), b"ours")
    assert refused
    assert nodes[1].get("key") == b"ours"
    assert claims_in(nodes[0]) == []
    assert numbers(nodes[0], upload) == [1]


def test_a_node_that_died_while_it_compared_holds_nobody_up_for_long(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparing, "PATIENCE_S", 0.05)
    nodes[0].put("key", b"old", changes={"etag": md5(b"old")})

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(comparing.Comparison, "_let_go", die)
        at(nodes[0], "hidden", die)
        with pytest.raises(KeyboardInterrupt):
            swap(nodes[0], md5(b"old"), b"ours")
    assert len(claims_in(nodes[0])) == 1
    with pytest.raises(errors.ConditionalRequestConflict):
        swap(nodes[1], md5(b"old"), b"theirs")
    swap(nodes[0], md5(b"old"), b"same node")  # goes on at once
    with monkeypatch.context() as patch:
        patch.setattr(comparing.Comparison, "_let_go", lambda *_: None)
        swap(nodes[0], md5(b"same node"), b"left a name")
    monkeypatch.setattr(comparing, "STALE_S", 0)
    swap(nodes[1], md5(b"left a name"), b"theirs")
    assert nodes[0].get("key") == b"theirs"
    assert claims_in(nodes[0]) == []


def test_who_took_too_long_to_compare_changes_nothing(
    nodes: list[Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes[0].put("key", b"old", changes={"etag": md5(b"old")})
    real = comparing.Comparison.confirm

    def sleepy(comparison: comparing.Comparison) -> None:
        monkeypatch.undo()
        monkeypatch.setattr(comparing, "STALE_S", 0)
        for path in (nodes[0].path / ".sgwtmp").glob("if.*"):
            path.unlink()  # as another node does by then
        real(comparison)

    monkeypatch.setattr(comparing.Comparison, "confirm", sleepy)
    with pytest.raises(errors.ConditionalRequestConflict):
        swap(nodes[0], md5(b"old"), b"ours")
    assert nodes[0].get("key") == b"old"


@pytest.mark.parametrize("verb", ["put", "copy", "complete", "delete"])
def test_if_match_compares_for_all_nodes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    cold = Cold(folder, tmp_path)
    etag = cold.s3.put_object(Bucket="box", Key="key", Body=b"old")["ETag"]
    name = {"Bucket": "box", "Key": "key"}
    begun = cold.s3.create_multipart_upload(**name)["UploadId"]
    part = cold.s3.upload_part(**name, UploadId=begun, PartNumber=1, Body=b"part")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": part}]}
    verbs = {
        "put": lambda etag: cold.s3.put_object(**name, Body=b"new", IfMatch=etag),
        "copy": lambda etag: cold.s3.copy_object(
            **name, CopySource="box/key", MetadataDirective="REPLACE", IfMatch=etag
        ),
        "complete": lambda etag: cold.s3.complete_multipart_upload(
            **name, UploadId=begun, MultipartUpload=parts, IfMatch=etag
        ),
        "delete": lambda etag: cold.s3.delete_object(**name, IfMatch=etag),
    }
    claimed = []
    real = comparing.Comparison.claim

    def claim(comparison: comparing.Comparison) -> None:
        real(comparison)
        claimed.extend((cold.box / ".sgwtmp").glob("if.*"))

    monkeypatch.setattr(comparing.Comparison, "claim", claim)
    with pytest.raises(ClientError, match="PreconditionFailed"):
        verbs[verb](f'"{md5(b"another")}"')
    assert claimed == []
    verbs[verb](etag)
    (path,) = claimed
    assert not path.exists()


def test_a_change_without_a_condition_makes_no_claim(nodes: list[Box]) -> None:
    nodes[0].put("key", b"old")
    seen = []
    at(nodes[0], "hidden", lambda: seen.append(claims_in(nodes[0])))
    nodes[0].put("key", b"new", check=lambda current: None)
    assert seen == [[]]


def test_what_is_left_of_comparing_is_swept_and_keeps_no_bucket(nodes: list[Box]) -> None:
    nodes[0].put("key")
    left = nodes[0].path / ".sgwtmp" / f"if.{'0' * 32}.{'1' * 16}"
    left.parent.mkdir(exist_ok=True)
    left.touch()
    nodes[1].store.sweep(3600)
    assert left.exists()
    nodes[1].store.sweep(0)
    assert not left.exists()


def test_a_key_that_is_there_all_the_while_is_listed_once_whatever_another_node_does(
    nodes: list[Box],
) -> None:
    stays = [f"key-{number:03d}" for number in range(0, 300, 2)]
    for key in stays:
        nodes[0].put(key)
    done = threading.Event()

    def change() -> None:
        while not done.is_set():
            for number in range(300):
                key = f"key-{number:03d}"
                if number % 2:
                    nodes[1].put(key)
                    nodes[1].delete(key)
                else:
                    nodes[1].put(key, b"again")

    def listed() -> list[str]:
        page = walk.page(nodes[0].store, BUCKET, "", "", "", 1000)
        return [entry.key for entry in page.entries]

    with ThreadPoolExecutor(1) as pool:
        changing = pool.submit(change)
        try:
            for _ in range(10):
                found = listed()
                assert found == sorted(set(found))
                assert set(stays) <= set(found)
        finally:
            done.set()
        changing.result()


@pytest.mark.parametrize("last", ["put", "delete"])
def test_of_a_put_and_a_delete_on_two_nodes_the_last_one_counts(
    nodes: list[Box], last: str
) -> None:
    nodes[0].put("key", b"old")
    if last == "put":
        at(nodes[0], "removed", lambda: nodes[1].put("key", b"new") and None)
        nodes[0].delete("key")
        assert nodes[1].get("key") == b"new"
    else:
        at(nodes[0], "hidden", lambda: nodes[1].delete("key") and None)
        nodes[0].put("key", b"new")
        assert nodes[1].get("key") == b"new"
        nodes[1].delete("key")
        assert nodes[0].files() == []


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
