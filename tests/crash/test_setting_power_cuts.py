"""The power goes out while settings of a bucket change: what was acknowledged is there, whole.

Each setting has a writer of its own, which counts; a value is the count again and again, as often
as takes it into an attribute or into a file, and sometimes it is taken away.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from s3filters.store import Store
from tests.crash.lab import lab
from tests.crash.writers import Endless

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

NAMES = ("policy", "cors", "tagging", "public-access-block")
SIZES = (1, 20, 1000, 20_000)  # words; the last two are in files
GONE = 7  # each so many'th change takes the setting away
BETWEEN_CUTS_S = (0.02, 0.2)
SEEDED_CUTS = 40
BUCKET = "bkt"


def value_of(name: str, count: int) -> bytes | None:
    """What a setting is after so many changes."""
    if count % GONE == 0:
        return None
    return f"{name}-{count} ".encode() * SIZES[count % len(SIZES)]


class Writer(Endless):
    """Changes one setting without end; ``acknowledged`` is the last change that returned."""

    def __init__(self, store: Store, name: str) -> None:
        super().__init__()
        self.acknowledged = 0
        self.name = name
        self._store = store

    def run(self) -> None:
        """Change it."""
        while not self.ended.is_set():
            value = value_of(self.name, self.acknowledged + 1)
            changes = {self.name: value}
            self._store.configure_bucket(BUCKET, lambda record, changes=changes: changes)
            self.acknowledged += 1


def seen(root: Path) -> dict[str, bytes]:
    """The settings as a gateway that starts after the cut reads them."""
    with closing(Store(root, durability="none")) as store:
        return dict(store.bucket(BUCKET).settings)


def broken(writers: list[Writer], promised: dict[str, int], found: dict[str, bytes]) -> list[str]:
    """What is neither the last acknowledged value of a setting nor a later one."""
    return [
        f"{one.name}: {found.get(one.name, b'')[:30]!r} after {promised[one.name]}"
        for one in writers
        if found.get(one.name)
        not in [value_of(one.name, n) for n in range(promised[one.name], one.acknowledged + 2)]
    ]


def cut_power(kind: str, durability: str, cuts: int) -> tuple[list[str], int]:
    """Return what was broken, and how many changes were promised."""
    found: list[str] = []
    with lab(kind) as place, closing(Store(place.root, durability=durability)) as store:
        with closing(Store(place.root, durability="full")) as safe:
            safe.create_bucket(BUCKET, "me")
        with ExitStack() as ends:
            writers = [ends.enter_context(Writer(store, name)) for name in NAMES]
            for _ in range(cuts):
                time.sleep(random.uniform(*BETWEEN_CUTS_S))
                promised = {one.name: one.acknowledged for one in writers}
                place.cut()
                with place.recovered() as root:
                    found += broken(writers, promised, seen(root))
        return found, sum(one.acknowledged for one in writers)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_no_acknowledged_setting_is_lost_or_torn_when_the_power_goes_out(
    kind: str, cuts: int
) -> None:
    found, changes = cut_power(kind, "full", cuts)
    assert not found
    assert changes > 10 * cuts, "too little was acknowledged to prove anything"
    print(f"\n{kind}: {cuts} cuts, {changes} changes: 0 lost, 0 torn")


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_harness_catches_settings_that_are_acknowledged_before_they_are_written(
    kind: str,
) -> None:
    found, _changes = cut_power(kind, "none", SEEDED_CUTS)
    assert found
