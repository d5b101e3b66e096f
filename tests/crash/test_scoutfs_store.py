"""The power goes out on ScoutFS: one commit an object, shared, and what was acknowledged is there.

The store leaves out syncs there that it needs elsewhere, because commits are of the whole mount and
keep the order of changes. The double stands in for ScoutFS; its snapshots are its commits.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from s3filters.store import Store, place, removing, settings
from s3filters.store.commits import Visit
from s3filters.store.metadata import TAGGING, Attributes
from tests.crash.parted import BUCKET, body_of, left, read_object
from tests.crash.scoutlab import ScoutLab, scoutlab
from tests.crash.test_multipart_power_cuts import OLD, Power, Promise, lay, md5, put_old, sync
from tests.crash.test_power_cuts import SEEDED_CUTS, cut_power

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

AT_ONCE = 32


@pytest.fixture
def power() -> Iterator[Power]:
    """Cuts under a double that commits only when it is asked."""
    with scoutlab(every_s="0") as made:
        yield Power(made)  # type: ignore[arg-type]  # it is a lab in all that is used


def test_no_acknowledged_object_is_lost_or_torn(cuts: int) -> None:
    with scoutlab() as made:
        toll = cut_power(made, "full", cuts)  # type: ignore[arg-type]
    assert not toll.faults
    assert not toll.strays
    assert toll.checked > 2 * cuts, "too little was acknowledged to prove anything"
    print(f"\nscoutfs: {cuts} cuts, {toll.checked} promises checked: 0 lost, 0 torn")


def test_a_daemon_that_syncs_nothing_is_caught() -> None:
    with scoutlab(every_s="1") as made:
        toll = cut_power(made, "none", SEEDED_CUTS)  # type: ignore[arg-type]
    assert toll.faults


# What it costs -----------------------------------------------------------------------------------


def put_at_once(store: Store, keys: list[str]) -> None:
    """Put objects, all at the same time."""
    ready = threading.Barrier(len(keys))

    def put(key: str) -> None:
        ready.wait()
        store.put_small(BUCKET, key, key.encode(), Attributes(etag=md5(key.encode())))

    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(put, keys))


@pytest.mark.parametrize("where", ["key-{}", "folder-{}/key"], ids=["one folder", "a folder each"])
def test_puts_at_once_share_commits(power: Power, where: str) -> None:
    with power.store() as store:
        before = commits(power)
        put_at_once(store, [where.format(number) for number in range(AT_ONCE)])
        made = commits(power) - before
    print(f"\n{AT_ONCE} puts at once: {made} commits")
    assert made <= AT_ONCE


def test_a_new_object_costs_one_commit_and_one_that_is_replaced_two(power: Power) -> None:
    with power.store() as store:
        put_old(store, "some/where/warm")
        told = []
        for key in ("a", "some/where/new", "else/where/new", "a"):
            before = commits(power)
            put_old(store, key)
            told.append(commits(power) - before)
    assert told == [1, 1, 1, 2]


def test_a_part_costs_one_commit_and_completing_one(power: Power) -> None:
    with power.store() as store:
        made = lay(store, "key")
        before = commits(power)
        made.put(store, 4, body_of("key", 4))
        part = commits(power) - before
        made.complete(store)
        whole = commits(power) - before - part
    assert (part, whole) == (1, 1)


def commits(power: Power) -> int:
    """How many there were so far."""
    made: Any = power.place
    assert isinstance(made, ScoutLab)
    return made.commits()


# At each step ------------------------------------------------------------------------------------


class Moved(Promise):
    """The promise of an upload whose parts' blocks may be in the object already: it is kept when
    completing it, or completing it again, gives all that was acknowledged."""

    def look(self, store: Store) -> Iterator[str]:
        """Yield what is broken of it."""
        found = read_object(store, self.parts.upload.key)
        is_new = self.parts.is_object(store)
        if not is_new and (found[0] if found else None) != self.before:
            yield "torn object"
        if self.done and not is_new:
            yield "lost object"
        record = self.parts.complete(store)
        if record.etag != self.parts.etag or not self.parts.is_object(store):
            yield "lost part"
        removing.settle()
        if list(store.uploads(BUCKET)) or left(store):
            yield f"left: {left(store)}"


@pytest.mark.parametrize("committed", [False, True], ids=["lost", "committed"])
@pytest.mark.parametrize("replaces", [False, True], ids=["new key", "replaced key"])
def test_a_cut_at_any_step_of_complete_costs_no_part_and_no_object(
    power: Power, replaces: bool, committed: bool
) -> None:
    with power.store() as store:
        if replaces:
            put_old(store, "deep/er/key")
        promise = Moved(lay(store, "deep/er/key"), OLD if replaces else None)
        steps: list[str] = []

        def step(word: str) -> None:
            steps.append(word)
            if committed:
                sync(Path(store.root.path))
            power.cut(store, promise.look, f"after {word!r}")

        step("parts acknowledged")
        promise.begun = True
        store.trace = step
        promise.parts.complete(store)
        store.trace = None
        promise.done = True
        step("acknowledged")
        removing.settle()
        step("removed")
    assert power.faults == []
    assert {"moved", "synced", "upload ended"} < set(steps)


@pytest.mark.parametrize("committed", [False, True], ids=["lost", "committed"])
def test_a_cut_at_any_step_of_an_upload_part_costs_no_other_part(
    power: Power, committed: bool
) -> None:
    with power.store() as store:
        promise = Promise(lay(store, "key"))

        def step(word: str) -> None:
            if committed:
                sync(Path(store.root.path))
            power.cut(store, promise.look, f"after {word!r}")

        for number, turn in ((4, 0), (1, 7)):
            store.trace = step
            promise.parts.put(store, number, body_of("key", number, turn))
            store.trace = None
            power.cut(store, promise.look, "acknowledged")
    assert power.faults == []
    assert power.cuts > 8


@pytest.mark.parametrize("committed", [False, True], ids=["lost", "committed"])
@pytest.mark.parametrize("replaces", [False, True], ids=["new key", "replaced key"])
def test_a_cut_at_any_step_of_a_put_leaves_the_old_object_or_the_new_one(
    power: Power, replaces: bool, committed: bool
) -> None:
    new = b"new" * 5000
    allowed = {OLD if replaces else None, new}

    def look(found: Store) -> Iterator[str]:
        seen = content(found, "deep/er/key")
        if seen not in allowed:
            yield f"torn or lost: {seen!r:.60}"

    def step(word: str) -> None:
        if committed:
            sync(Path(store.root.path))
        power.cut(store, look, f"after {word!r}")

    with power.store() as store:
        if replaces:
            put_old(store, "deep/er/key")
        store.trace = step
        store.put_small(BUCKET, "deep/er/key", new, Attributes(etag=md5(new)))
        store.trace = None
        allowed = {new}
        power.cut(store, look, "acknowledged")
    assert power.faults == []


def changing(changes: dict[str, bytes | None]) -> Any:
    """What a verb that changes attributes asks for the changes."""
    return lambda record: changes


LARGE = 60_000  # bytes of a setting that is a file


@pytest.mark.parametrize("committed", [False, True], ids=["lost", "committed"])
def test_a_cut_at_any_step_of_a_change_of_settings_leaves_the_old_ones_or_the_new(
    power: Power, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    allowed: set[bytes | None] = {None}

    def look(found: Store) -> Iterator[str]:
        seen = found.bucket(BUCKET).settings.get("policy")
        if seen not in allowed:
            yield f"neither old nor new: {seen!r:.60}"

    def cut(when: str) -> None:
        if committed:
            sync(Path(store.root.path))
        power.cut(store, look, when)

    def stepwise(name: str) -> None:
        real = getattr(settings, name)

        def act(*given: Any, **more: Any) -> Any:
            done = real(*given, **more)
            cut(f"after {name}")
            return done

        monkeypatch.setattr(settings, name, act)

    with power.store() as store:
        for name in ("_make_folders", "_write_file", "_write_list", "_remove_attribute", "_tidy"):
            stepwise(name)
        old: bytes | None = None
        for new in (b"a", b"b" * LARGE, b"c" * LARGE, b"d", None, b"e" * LARGE, None):
            allowed = {old, new}
            store.configure_bucket(BUCKET, changing({"policy": new}))
            allowed = {new}
            power.cut(store, look, "acknowledged")
            old = new
    assert power.faults == []
    assert power.cuts > 20


@pytest.mark.parametrize("committed", [False, True], ids=["lost", "committed"])
def test_a_cut_at_any_step_of_a_change_of_tags_leaves_the_old_ones_or_the_new(
    power: Power, committed: bool
) -> None:
    allowed = {b""}

    def look(found: Store) -> Iterator[str]:
        seen = found.head(BUCKET, "key").tagging
        if seen not in allowed:
            yield f"neither old nor new: {seen!r}"
        if content(found, "key") != OLD:
            yield "torn object"

    def step(word: str) -> None:
        if committed:
            sync(Path(store.root.path))
        power.cut(store, look, f"after {word!r}")

    with power.store() as store:
        put_old(store, "key")
        store.trace = step
        for new in (b'{"a":"1"}', b'{"a":"2"}', b""):
            allowed.add(new)
            store.change_attributes(BUCKET, "key", changing({TAGGING: new or None}))
            allowed = {new}
            step("acknowledged")
    assert power.faults == []
    assert power.cuts == 6


def test_the_harness_catches_a_change_that_is_not_synced(
    power: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(found: Store) -> Iterator[str]:
        if not found.head(BUCKET, "key").tagging:
            yield "lost"

    with power.store() as store:
        put_old(store, "key")
        monkeypatch.setattr(Visit, "sync", lambda *_: None)
        store.change_attributes(BUCKET, "key", changing({TAGGING: b'{"a":"1"}'}))
        power.cut(store, look, "acknowledged")
    assert power.faults == ["acknowledged: lost"]


def content(store: Store, key: str) -> bytes | None:
    """The bytes of an object that is whole; None where there is none."""
    if not os.path.exists(Path(store.root.path, BUCKET, key)):
        return None
    with store.open(BUCKET, key) as opened:
        data = b"".join(opened.blocks(1 << 16))
        return data if opened.record.etag == md5(data) else b"torn"


def test_the_harness_catches_a_name_that_is_not_synced(
    power: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place.Draft, "_sync_name", lambda *_: None)

    def look(found: Store) -> Iterator[str]:
        if content(found, "key") != OLD:
            yield "lost"

    with power.store() as store:
        put_old(store, "key")
        power.cut(store, look, "acknowledged")
    assert power.faults == ["acknowledged: lost"]
