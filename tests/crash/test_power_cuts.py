"""The power goes out under the running daemon: what it acknowledged is there, whole.

``pytest tests/crash --cuts 500`` for a long night; a fault that shows once in a hundred cuts needs
hundreds. The seeded bug at the end proves that the harness sees what it is there to see.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from s3filters.store import Store
from s3filters.store.errors import NoSuchBucket, NoSuchKey
from tests.crash.lab import Lab, lab
from tests.crash.ledger import BUCKET, KEYS, Seen, Writers, faults, over_http
from tests.daemon import running

pytestmark = [pytest.mark.crash, pytest.mark.timeout(900)]

FIRST_CUT_S = 0.5  # until the writers have something to lose
BETWEEN_CUTS_S = (0.02, 0.25)
SEEDED_CUTS = 5


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_no_acknowledged_object_is_lost_or_torn_when_the_power_goes_out(
    kind: str, cuts: int
) -> None:
    with lab(kind) as place:
        found, checked, strays = cut_power(place, "full", cuts)
        assert not found
        assert not strays, "names that nobody stored can be seen"
        assert checked > 10 * cuts, f"only {checked} objects were acknowledged before a cut"
        with place.recovered() as root, running(root) as daemon:
            look = over_http(daemon)
            assert sum(look(key) is not None for key in KEYS) > len(KEYS) / 4


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_harness_catches_a_daemon_that_acknowledges_too_early(kind: str) -> None:
    with lab(kind) as place:
        found, _checked, _strays = cut_power(place, "none", SEEDED_CUTS)
    assert found


def cut_power(
    place: Lab, durability: str, cuts: int
) -> tuple[list[tuple[str, str]], int, set[str]]:
    """Return (fault, key) of every promise broken, promises checked, and visible strays."""
    found: list[tuple[str, str]] = []
    strays: set[str] = set()
    checked = 0
    with (
        running(place.root, workers=2, durability=durability) as daemon,
        Writers(daemon) as writers,
    ):
        time.sleep(FIRST_CUT_S)
        for _cut in range(cuts):
            time.sleep(random.uniform(*BETWEEN_CUTS_S))
            promised = dict(writers.ledger.acknowledged)  # before the cut: what must survive it
            place.cut()
            with place.recovered() as root:
                found += faults(writers.ledger, promised, on_disk(root))
                strays |= visible(root) - set(KEYS)
            checked += len(promised)
    assert not writers.refused
    return found, checked, strays


def on_disk(root: Path) -> Callable[[str], Seen | None]:
    """A look at a key by the store, as a daemon that starts after the cut has it."""
    store = Store(root, durability="none")

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
