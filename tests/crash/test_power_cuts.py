"""The power goes out under the running daemon: what it acknowledged is there, whole.

``pytest tests/crash --cuts 500`` for a long night; a fault that shows once in a hundred cuts needs
hundreds. The seeded bugs prove that the harness sees what it is there to see.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from s3filters.store import Store
from s3filters.store.errors import NoSuchBucket, NoSuchKey
from tests.crash.lab import Lab, lab
from tests.crash.ledger import BUCKET, KEYS, WRITERS, Seen, Writers, faults, over_http
from tests.daemon import running

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

FIRST_CUT_S = 0.5  # until the writers have something to lose
BETWEEN_CUTS_S = (0.02, 0.25)
SEEDED_CUTS = 3
RARE_CUTS = 60


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_no_acknowledged_object_is_lost_or_torn_when_the_power_goes_out(
    kind: str, cuts: int
) -> None:
    with lab(kind) as place:
        toll = cut_power(place, "full", cuts)
        assert not toll.faults
        assert not toll.strays, "names that nobody stored can be seen"
        assert toll.checked > 10 * cuts, "too little was acknowledged to prove anything"
        print(f"\n{kind}: {cuts} cuts, {toll.checked} promises checked: 0 lost, 0 torn")
        with place.recovered() as root, running(root) as daemon, daemon.connect() as connection:
            look = over_http(connection)
            assert sum(look(key) is not None for key in KEYS) > len(KEYS) / 4


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_harness_catches_a_daemon_that_acknowledges_before_anything_is_written(
    kind: str,
) -> None:
    with lab(kind) as place:
        toll = cut_power(place, "none", SEEDED_CUTS)
    assert toll.faults


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_harness_catches_a_name_that_is_not_synced_though_its_bytes_are(kind: str) -> None:
    """Which is what ``durability = data`` is: it may lose the newest, and never tears.

    One writer, because the syncs of others would make its names durable by chance.
    """
    with lab(kind) as place:
        toll = cut_power(place, "data", RARE_CUTS, writers=1)
    assert {fault for fault, _key in toll.faults} == {"lost"}
    assert not toll.strays


@dataclass
class Toll:
    """What cuts cost: (fault, key) of promises broken, promises checked, visible strays."""

    faults: list[tuple[str, str]] = field(default_factory=list)
    checked: int = 0
    strays: set[str] = field(default_factory=set)


def cut_power(place: Lab, durability: str, cuts: int, writers: int = WRITERS) -> Toll:
    """Cut the power under a daemon that writers keep busy; a seeded bug ends it when it is seen."""
    toll = Toll()
    with (
        running(place.root, workers=2, durability=durability) as daemon,
        Writers(daemon, writers) as busy,
    ):
        time.sleep(FIRST_CUT_S)
        for _cut in range(cuts):
            time.sleep(random.uniform(*BETWEEN_CUTS_S))
            promised = dict(busy.ledger.acknowledged)  # before the cut: what must survive it
            place.cut()
            with place.recovered() as root, closing(Store(root, durability="none")) as store:
                toll.faults += faults(busy.ledger, promised, on_disk(store))
                toll.strays |= visible(root) - set(KEYS)
            toll.checked += len(promised)
            if durability != "full" and toll.faults:
                break
    assert not busy.refused, busy.refused[0]
    return toll


def on_disk(store: Store) -> Callable[[str], Seen | None]:
    """A look at a key by the store, as a daemon that starts after the cut has it."""

    def look(key: str) -> Seen | None:
        try:
            opened = store.open(BUCKET, key)
        except (NoSuchBucket, NoSuchKey):
            return None
        try:
            record = opened.record
            body = os.pread(opened.fd, record.size + 1, 0)
        finally:
            opened.close()
        return Seen(record.user.get("version"), record.user.get("sha256"), record.etag, body)

    return look


def visible(root: Path) -> set[str]:
    """Names of all files that an S3 client could see."""
    bucket = root / BUCKET
    paths = (path.relative_to(bucket) for path in bucket.rglob("*") if path.is_file())
    return {str(path) for path in paths if path.parts[0] != ".sgwtmp"}
