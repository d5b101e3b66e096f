"""kill -9 of a gateway before every single step of the verbs of an upload.

Whatever dies when: every acknowledged part is there with its bytes, or the object is there, whole,
and says which upload made it. The upload can be completed and aborted, completing again answers as
before, and what a sweep leaves is nothing.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from s3filters.store import Store, removing
from s3filters.store.errors import NoSuchUpload
from s3filters.store.metadata import Attributes
from tests.crash.mortals import Mortals
from tests.crash.parted import BUCKET, SIZE, Parts, begin, body_of, left, read_object

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

KEY = "deep/er/key"
NAME = "mine"
OLD = b"the object that was there before"
ENDINGS = ("complete", "abort")


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    made = Mortals()
    yield made
    made.end()


@dataclass
class Scene:
    """An upload of three parts on a root of its own, one of them sent twice."""

    root: Path
    store: Store
    parts: Parts
    before: bytes | None

    @property
    def order(self) -> dict[str, Any]:
        """What every verb has to know of the upload."""
        upload = self.parts.upload
        return {"key": upload.key, "id": upload.id, "name": NAME}

    def object(self) -> bytes | None:
        """The bytes of the key's object."""
        found = read_object(self.store, KEY)
        return found and found[0]


@dataclass(frozen=True)
class Setting:
    """Where the parts lie, and whether an object is there before."""

    placement: str
    replaces: bool

    def lay(self, root: Path) -> Scene:
        """Make the scene, anew in each folder."""
        root.mkdir()
        store = Store(root, durability="none", placement=self.placement)
        store.create_bucket(BUCKET, "me")
        if self.replaces:
            with store.draft(BUCKET, KEY) as draft:
                draft.write(OLD)
                draft.commit(Attributes(etag=hashlib.md5(OLD).hexdigest()))
        parts = Parts(begin(store, KEY))
        for number, turn, size in ((1, 0, SIZE), (2, 0, SIZE), (3, 0, 100), (2, 1, SIZE)):
            parts.put(store, number, body_of(NAME, number, turn, size))
        return Scene(root, store, parts, OLD if self.replaces else None)


SETTINGS = {
    f"{placement}, {'replaced' if replaces else 'new'} key": Setting(placement, replaces)
    for placement, replaces in itertools.product(("direct", "files"), (False, True))
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where that has attributes: a process that dies needs no disk."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as made:
        try:
            os.setxattr(made, "user.probe", b"")
        except OSError:
            yield tmp_path
        else:
            yield Path(made)


few_settings = pytest.mark.parametrize(
    "setting", ["direct, new key", "files, replaced key"], indirect=True
)


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Setting:
    return SETTINGS[request.param]


def deaths(
    mortals: Mortals, setting: Setting, folder: Path, **order: Any
) -> Iterator[tuple[str, Scene, bool]]:
    """Yield what was to come (a step, an ending), the scene after, and if it was acknowledged.

    The first two, which nothing kills, say how many steps there are.
    """
    many = 1
    for fatal in itertools.count():
        if fatal > many:
            break
        for ending in ENDINGS:
            scene = setting.lay(folder / f"{fatal}-{ending}")
            words = {"placement": setting.placement, **scene.order, **order}
            said = mortals.do(fatal, scene.root, **words)
            assert said["killed"] or said["acknowledged"]
            if not fatal:
                many = len(said["steps"])
            with closing(scene.store):
                yield f"{ending}, killed before step {fatal}", scene, said["acknowledged"]
    assert many > 10


def finish(scene: Scene, ending: str) -> None:
    """End the upload as a client does that had no answer, and look what it leaves."""
    store, parts = scene.store, scene.parts
    if "complete" in ending:
        first, again = parts.complete(store), parts.complete(store)
        assert first.etag == again.etag == parts.etag
        assert parts.is_object(store)
    elif parts.is_listed(store):
        before = scene.object()
        store.end_upload(BUCKET, KEY, parts.upload.id)
        assert scene.object() == before
    removing.settle()
    assert not parts.is_listed(store)
    assert list(store.uploads(BUCKET)) == []
    assert left(store) == []


def test_a_death_in_complete_leaves_the_parts_or_the_object_and_a_retry_answers_as_before(
    mortals: Mortals, setting: Setting, folder: Path
) -> None:
    outcomes: dict[str, list[bool]] = {ending: [] for ending in ENDINGS}
    for what, scene, acknowledged in deaths(
        mortals, setting, folder, verb="complete", numbers=[1, 2, 3]
    ):
        done = scene.parts.is_object(scene.store)
        assert done or scene.object() == scene.before, what
        assert done or not acknowledged, what
        if not done or scene.parts.is_listed(scene.store):
            assert list(scene.parts.faults(scene.store)) == [], what
        if "step 0" not in what:
            outcomes[what.partition(",")[0]].append(done)
        finish(scene, what)
    for seen in outcomes.values():
        assert seen == sorted(seen), "the object is seen before one step and not before a later one"


def test_a_part_that_comes_after_a_death_in_complete_never_changes_the_object(
    mortals: Mortals, setting: Setting, folder: Path
) -> None:
    for what, scene, _ in deaths(mortals, setting, folder, verb="complete", numbers=[1, 2, 3]):
        before, parts = scene.object(), scene.parts
        for number, turn in ((2, 2), (4, 0), (1, 1)):
            with suppress(NoSuchUpload):
                parts.put(scene.store, number, body_of(NAME, number, turn))
            assert scene.object() == before, what
        if parts.is_listed(scene.store):
            # Of all that was acknowledged an object can be made, whatever was one before.
            finish(scene, what)


@few_settings
@pytest.mark.parametrize("number", [2, 4])
def test_a_death_in_an_upload_part_leaves_the_part_before_or_the_new_one(
    mortals: Mortals, setting: Setting, folder: Path, number: int
) -> None:
    new = body_of(NAME, number, 5)
    for what, scene, acknowledged in deaths(
        mortals, setting, folder, verb="put", number=number, turn=5
    ):
        parts = scene.parts
        assert scene.object() == scene.before, what
        parts.sent.setdefault(number, []).append(new)
        if acknowledged:
            parts.acknowledged[number] = new
        assert list(parts.faults(scene.store)) == [], what
        parts.put(scene.store, number, new)
        finish(scene, what)


@few_settings
def test_a_death_in_an_abort_leaves_an_upload_or_none(
    mortals: Mortals, setting: Setting, folder: Path
) -> None:
    for what, scene, acknowledged in deaths(mortals, setting, folder, verb="abort"):
        assert scene.object() == scene.before, what
        if scene.parts.is_listed(scene.store):
            assert not acknowledged, what
            assert list(scene.parts.faults(scene.store)) == [], what
            finish(scene, what)
        else:
            with pytest.raises(NoSuchUpload):
                scene.parts.complete(scene.store)
            assert left(scene.store) == [], what


@few_settings
def test_a_death_in_the_beginning_of_an_upload_leaves_one_or_none(
    mortals: Mortals, setting: Setting, folder: Path
) -> None:
    other = "6f1c43a4-4f0b-4d43-9f52-43a59fdd3d70"
    for what, scene, acknowledged in deaths(mortals, setting, folder, verb="create", id=other):
        listed = {upload.id for upload in scene.store.uploads(BUCKET)}
        assert listed - {other} == {scene.parts.upload.id}, what
        assert other in listed or not acknowledged, what
        if other in listed:
            scene.store.end_upload(BUCKET, KEY, other)
        finish(scene, what)
