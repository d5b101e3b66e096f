"""kill -9 of a gateway before every single step of a change of a bucket's setting.

Whatever dies when: the setting is the old one or the new one, whole, every other setting is what it
was, and the next change takes away what lies about.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from s3filters.store import Store
from tests.crash.mortals import Mortals
from tests.crash.parted import BUCKET

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

# An attribute is at most 64 KiB on any file system, so a large value is always in a file.
VALUES = {
    "none": None,
    "small": "old",
    "other": "new",
    "large": "old " * 20_000,
    "larger": "new! " * 20_000,
}
CHANGES = [
    pair
    for pair in itertools.permutations(VALUES, 2)
    if pair not in {("other", "small"), ("larger", "large"), ("other", "none"), ("larger", "none")}
]
BESIDE = {"cors": b"beside " * 20_000, "tagging": b"{}"}


@pytest.fixture(scope="module")
def mortals() -> Iterator[Mortals]:
    made = Mortals()
    yield made
    made.end()


def lay(root: Path, value: str | None) -> None:
    """Make a bucket with the setting, and with others in a file and beside it."""
    root.mkdir()
    with closing(Store(root, durability="none")) as store:
        store.create_bucket(BUCKET, "me")
        data = {"policy": value.encode()} if value else {}
        store.configure_bucket(BUCKET, lambda record: {**BESIDE, **data})


def policy_of(root: Path) -> str | None:
    """The setting, as whoever opens the root next sees it; the others must be whole."""
    with closing(Store(root, durability="none")) as store:
        settings = store.bucket(BUCKET).settings
    assert {name: settings[name] for name in BESIDE} == BESIDE
    found = settings.get("policy")
    return None if found is None else found.decode()


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_a_death_leaves_the_old_setting_or_the_new(
    tmp_path: Path, mortals: Mortals, before: str, after: str
) -> None:
    order = {"verb": "configure", "setting": "policy", "value": VALUES[after], "placement": "files"}
    lay(tmp_path / "0", VALUES[before])
    whole = mortals.do(0, tmp_path / "0", **order)
    assert whole["acknowledged"]
    assert policy_of(tmp_path / "0") == VALUES[after]
    steps = whole["steps"]
    assert len(steps) > 3

    outcomes = []
    for fatal, what in enumerate(steps, 1):
        root = tmp_path / str(fatal)
        lay(root, VALUES[before])
        said = mortals.do(fatal, root, **order)
        assert said["killed"]
        seen = policy_of(root)
        assert seen in (VALUES[before], VALUES[after]), f"killed before step {fatal}, {what}"
        assert seen == VALUES[after] or not said["acknowledged"]
        outcomes.append(seen == VALUES[after])
        tidied(root)
    assert outcomes == sorted(outcomes), "the new setting is seen at one step and not at a later"


def tidied(root: Path) -> None:
    """The next change leaves the files that count, and no others."""
    with closing(Store(root, durability="none")) as store:
        store.configure_bucket(BUCKET, lambda record: {"policy": b"third"})
        assert store.bucket(BUCKET).settings["policy"] == b"third"
    files = os.listdir(root / BUCKET / ".sgwtmp" / "settings")
    assert [name.partition(".")[0] for name in files] == ["cors"]
