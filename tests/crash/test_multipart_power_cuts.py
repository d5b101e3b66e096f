"""The power goes out at each step of completing an upload, and while many are under way.

With durability ``full`` every acknowledged part and object is there, whole, and an upload whose
complete was not acknowledged can be completed as if nothing had happened. The seeded bugs prove
that the tests see what they are there to see.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from s3filters.store import Store, parts, place, removing
from s3filters.store.errors import StoreError
from s3filters.store.metadata import Attributes
from tests.crash.lab import Lab, lab, run
from tests.crash.parted import BUCKET, SIZE, Parts, begin, body_of, left, md5, read_object

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

KINDS = ("ext4", "xfs", "btrfs")
OLD = b"the object that was there before"
Trace = Callable[[str], None]


@pytest.fixture(params=KINDS)
def power(request: pytest.FixtureRequest) -> Iterator[Power]:
    """A new file system each time: what xfs recovers in is all that its log has ever held."""
    with lab(request.param) as made:
        yield Power(made)


@dataclass
class Power:
    """Cuts of the power under a store, and what they cost."""

    place: Lab
    faults: list[str] = field(default_factory=list)
    cuts: int = 0

    @contextmanager
    def store(self, placement: str = "auto", durability: str = "full") -> Iterator[Store]:
        """A store with nothing in it, on the file system that loses its power."""
        root = self.place.root / os.urandom(4).hex()
        root.mkdir()
        store = Store(root, durability=durability, placement=placement)
        store.create_bucket(BUCKET, "me")
        sync(root)  # whoever mounts makes sure of the root itself
        with closing(store):
            yield store

    def cut(self, store: Store, look: Callable[[Store], Iterator[str]], when: str = "") -> None:
        """Cut the power, and note the faults that are found after the recovery."""
        self.place.cut()
        self.cuts += 1
        name = Path(store.root.path).name
        with (
            self.place.recovered() as root,
            closing(Store(root / name, durability="none")) as found,
        ):
            self.faults += [f"{when}: {fault}" for fault in look(found)]
            removing.settle()


@dataclass
class Promise:
    """What must hold of one upload, and what may."""

    parts: Parts
    before: bytes | None = None
    begun: bool = False  # complete was called
    done: bool = False  # and acknowledged

    def look(self, store: Store) -> Iterator[str]:
        """Yield what is broken of it; completes the upload, as a client that had no answer does."""
        found = read_object(store, self.parts.upload.key)
        is_new = self.parts.is_object(store)
        if not is_new and (found[0] if found else None) != self.before:
            yield "torn object"
        if is_new and not self.begun:
            yield "an object that nobody completed"
        if self.done and not is_new:
            yield "lost object"
            return
        if not is_new or self.parts.is_listed(store):
            faults = list(self.parts.faults(store))
            yield from faults
            if faults:
                return
        found_parts = self.parts.as_found(store)
        record = found_parts.complete(store)
        if record.etag != found_parts.etag or not found_parts.is_object(store):
            yield "a retry that lies"
        removing.settle()
        if list(store.uploads(BUCKET)) or left(store):
            yield f"left: {left(store)}"


def sync(root: Path) -> None:
    """Write all of the file system to its device."""
    run("sync", "--file-system", str(root))


def put_old(store: Store, key: str) -> None:
    """Store the object that is to be replaced."""
    with store.draft(BUCKET, key) as draft:
        draft.write(OLD)
        draft.commit(Attributes(etag=md5(OLD)))


def lay(store: Store, key: str) -> Parts:
    """An upload with three parts, one of them sent twice."""
    made = Parts(begin(store, key))
    for number, turn, size in ((1, 0, SIZE), (2, 0, SIZE), (3, 0, 5000), (2, 1, SIZE)):
        made.put(store, number, body_of(key, number, turn, size))
    return made


@pytest.mark.parametrize("replaces", [False, True], ids=["new key", "replaced key"])
@pytest.mark.parametrize("placement", ["direct", "files"])
def test_a_power_cut_at_any_step_of_complete_costs_no_part_and_no_object(
    power: Power, placement: str, replaces: bool
) -> None:
    with power.store(placement) as store:
        if replaces:
            put_old(store, "deep/er/key")
        promise = Promise(lay(store, "deep/er/key"), OLD if replaces else None)
        steps: list[str] = []

        def step(word: str) -> None:
            steps.append(word)
            power.cut(store, promise.look, f"after {word!r}")

        step("parts acknowledged")
        promise.begun = True
        store.trace = step
        record = promise.parts.complete(store)
        store.trace = None
        promise.done = True
        step("acknowledged")
        removing.settle()
        step("removed")
        assert record.etag == promise.parts.etag
    assert power.faults == []
    assert {"linked", "renamed"} & set(steps)
    assert ("cut" if placement == "direct" else "joined") in steps
    assert {"file synced", "synced", "upload ended"} < set(steps)


@pytest.mark.parametrize("placement", ["direct", "files"])
def test_a_power_cut_at_any_step_of_an_upload_part_costs_no_other_part(
    power: Power, placement: str
) -> None:
    with power.store(placement) as store:
        promise = Promise(lay(store, "key"))
        for number, turn in ((4, 0), (1, 7)):
            store.trace = lambda word: power.cut(store, promise.look, f"after {word!r}")
            promise.parts.put(store, number, body_of("key", number, turn))
            store.trace = None
            power.cut(store, promise.look, "acknowledged")
    assert power.faults == []
    assert power.cuts > 8


class Death(BaseException):
    """Ends a verb where it is, as kill -9 does."""


def die_at(word: str) -> Trace:
    """A trace that dies at a step."""

    def step(done: str) -> None:
        if done == word:
            raise Death

    return step


def retried(power: Power) -> None:
    """Die when the object has its name and nobody has synced it, complete again, lose the power."""
    with power.store("direct") as store:
        promise = Promise(lay(store, "deep/er/key"), begun=True)
        store.trace = die_at("linked")
        with pytest.raises(Death), no_cleaning():
            promise.parts.complete(store)
        store.trace = None
        promise.parts.complete(store)
        promise.done = True
        power.cut(store, promise.look, "completed again")


@contextmanager
def no_cleaning() -> Iterator[None]:
    """What a verb that fails takes away stays, as when it dies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place.parents, "prune", lambda *_: None)
        yield


def test_what_is_completed_again_after_a_death_is_durable(power: Power) -> None:
    retried(power)
    assert power.faults == []


def test_the_harness_catches_a_retry_that_acknowledges_what_another_did_not_sync(
    power: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "sync", lambda *_: None)
    retried(power)
    assert "lost object" in power.faults[0]


def sent_three_times(power: Power, durability: str) -> None:
    """The second turn of a part dies before it is durable; the third reaches the disk before it."""
    with power.store("direct", durability) as store:
        promise = Promise(Parts(begin(store, "key")))
        promise.parts.put(store, 1, body_of("key", 1, 0))
        sync(Path(store.root.path))
        store.trace = die_at("part renamed")
        with pytest.raises(Death):
            promise.parts.put(store, 1, body_of("key", 1, 1))
        store.trace = None
        draft = store.part(promise.parts.upload, 1, SIZE)
        promise.parts.sent[1].append(body_of("key", 1, 2))
        draft.write(body_of("key", 1, 2))
        for name in ("data.1", "1"):
            folder = Path(store.root.path, BUCKET, ".sgwtmp", "multipart")
            for path in folder.rglob(name):
                fd = os.open(path, os.O_RDWR)
                os.fdatasync(fd)
                os.close(fd)
        power.cut(store, promise.look, "third turn written")
        draft.discard()


@pytest.mark.parametrize("durability", ["full", "data"])
def test_a_part_that_counts_again_after_a_power_cut_has_its_own_bytes(
    power: Power, durability: str
) -> None:
    sent_three_times(power, durability)
    assert power.faults == []


def test_the_harness_catches_a_part_whose_place_is_written_over(
    power: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts.PartDraft, "_has_come", lambda _: False)
    for _ in range(3):
        sent_three_times(power, "data")
        if power.faults:
            break
    assert "torn part 1" in power.faults[0]


def test_the_harness_catches_parts_whose_bytes_are_not_synced(
    power: Power, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fdatasync", lambda _: None)
    with power.store("direct") as store:
        promise = Promise(lay(store, "key"))
        power.cut(store, promise.look, "acknowledged")
    assert "torn part" in power.faults[0]


# Random moments ----------------------------------------------------------------------------------

WRITERS = 3
BETWEEN_CUTS_S = (0.01, 0.1)
CUTS_OF = 4  # one here for so many of --cuts
SEEDED_CUTS = 20


@dataclass
class Life:
    """One upload of a writer; ``begun`` and ``done`` are those of its complete."""

    parts: Parts
    begun: bool = False
    done: bool = False

    def copy(self) -> Life:
        """What is promised now."""
        known = Parts(self.parts.upload, self.parts.sent, dict(self.parts.acknowledged))
        return Life(known, self.begun, self.done)


class Writer(threading.Thread):
    """Begins uploads, sends their parts and completes them, one after the other."""

    def __init__(self, store: Store, number: int) -> None:
        super().__init__()
        self.store, self.number = store, number
        self.lives: dict[str, list[Life]] = {f"w{number}/k{key}": [] for key in range(2)}
        self.ended = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        """Work until it is told to end."""
        dice = random.Random(self.number)
        try:
            for turn, key in zip(itertools.count(), itertools.cycle(self.lives)):
                if self.ended.is_set():
                    return
                self._live(key, turn, dice)
        except BaseException as error:  # noqa: BLE001  the test is told
            self.failure = error

    def _live(self, key: str, turn: int, dice: random.Random) -> None:
        life = Life(Parts(begin(self.store, key)))
        self.lives[key].append(life)
        sizes = [SIZE * dice.choice((1, 4))] * 2 + [dice.randrange(1, SIZE)]
        for number, size in enumerate(dice.choice((sizes, sizes[::-1])), 1):
            life.parts.put(self.store, number, body_of(f"{key} {turn}", number, 0, size))
        life.begun = True
        life.parts.complete(self.store)
        life.done = True

    def promises(self) -> dict[str, list[Life]]:
        """What must hold now."""
        return {key: [life.copy() for life in list(lives)] for key, lives in self.lives.items()}

    def look(self, promised: dict[str, list[Life]], store: Store) -> Iterator[str]:
        """Yield what is broken of what was promised before a cut; call it after the cut."""
        for key, before in promised.items():
            now = list(self.lives[key])
            least = max((n for n, life in enumerate(before) if life.done), default=-1)
            found = read_object(store, key)
            may_be = [life for life in now[max(least, 0) :] if life.begun]
            if found is None:
                if least >= 0:
                    yield "lost object"
            elif not any(life.parts.is_object(store) for life in may_be):
                yield "torn or lost object"
            # Of what was under way: the parts as long as nothing can have become of them.
            since = now[max(len(before) - 1, 0) :]
            if before and not any(life.parts.is_object(store) for life in since):
                yield from before[-1].parts.faults(store)


def lose_power_often(power: Power, durability: str, placement: str, cuts: int, writers: int) -> int:
    """Cut the power while writers are at it, until a fault shows; return the promises checked."""
    checked = 0
    with power.store(placement, durability) as store:
        busy = [Writer(store, number) for number in range(writers)]
        for writer in busy:
            writer.start()
        try:
            time.sleep(0.2)
            for _ in range(cuts):
                time.sleep(random.uniform(*BETWEEN_CUTS_S))
                promised = [(writer, writer.promises()) for writer in busy]
                power.cut(store, partial(look_at_all, promised))
                checked += sum(len(v[-1:]) for _, keys in promised for v in keys.values())
                if power.faults:
                    break
        finally:
            for writer in busy:
                writer.ended.set()
            for writer in busy:
                writer.join()
    assert [writer.failure for writer in busy if writer.failure] == []
    return checked


def look_at_all(
    promised: list[tuple[Writer, dict[str, list[Life]]]], found: Store
) -> Iterator[str]:
    """Yield the faults of all writers, and of completing what they left."""
    for writer, lives in promised:
        yield from writer.look(lives, found)
    for upload in list(found.uploads(BUCKET)):
        there = Parts(upload).as_found(found)
        if there.acknowledged:
            try:
                record = there.complete(found)
                if not there.is_object(found) or record.etag != there.etag:
                    yield "a retry that lies"
            except LookupError:
                pass
            except StoreError as error:
                yield f"what was acknowledged cannot be completed: {error}"
        else:
            found.end_upload(BUCKET, upload.key, upload.id)
    removing.settle()
    if left(found):
        yield f"left: {left(found)}"


@pytest.mark.parametrize("placement", ["direct", "files"])
def test_no_acknowledged_part_or_object_is_lost_or_torn_at_any_moment(
    power: Power, placement: str, cuts: int
) -> None:
    checked = lose_power_often(power, "full", placement, cuts // CUTS_OF, WRITERS)
    assert power.faults == []
    assert checked >= cuts // CUTS_OF


def test_the_harness_catches_parts_and_objects_that_are_acknowledged_too_early(
    power: Power,
) -> None:
    lose_power_often(power, "none", "direct", SEEDED_CUTS, 1)
    assert "lost" in " ".join(power.faults)


def test_parts_whose_bytes_alone_are_promised_are_never_torn(power: Power) -> None:
    """They may be lost for some seconds; btrfs keeps the name with the bytes as a rule."""
    lose_power_often(power, "data", "direct", SEEDED_CUTS, 1)
    assert "torn part" not in " ".join(power.faults)
