"""What was asked back is looked after: when it comes, when its days end, when it is forgotten."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3filters.backends.fs.returning import ASK_AGAIN_S, Watch
from s3filters.events.message import Event
from s3filters.store.scoutfs import STAGING
from s3filters.tiers.base import CannotAsk, File
from tests.functional.asking import body_of
from tests.scoutfs import calls
from tests.scoutfs.cold import DATA, Cold, end_said

DAY = 86400


class Robot:
    """A driver that remembers what it was asked."""

    flagged = False
    archives = True

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.broken = False

    def _note(self, verb: str, file: File) -> None:
        if self.broken:
            raise CannotAsk("out of order")
        self.asked.append((verb, os.path.basename(file.path), file.tier))

    def stage(self, file: File) -> None:
        self._note("stage", file)

    def archive(self, file: File) -> None:
        self._note("archive", file)

    def release(self, file: File) -> None:
        self._note("release", file)


class Watched:
    """A bucket, its driver, and one look after another."""

    def __init__(self, cold: Cold) -> None:
        self.cold = cold
        self.robot = Robot()
        self.told: list[tuple[str, str, str]] = []
        app: Any = cold.app
        while not hasattr(app, "backend"):
            if type(app).__name__ == "Glacier":
                object.__setattr__(app._tiering, "driver", self.robot)
            app = app.app
        self.backend = app.backend
        self.watch = Watch(self.robot, time.time() - 1000, self)  # type: ignore[arg-type]

    @contextlib.contextmanager
    def about(self, event: Event) -> Iterator[None]:
        yield
        self.told.append((event.name, event.bucket, event.key))

    def look(self) -> int:
        count: int = self.backend.watch_restores(self.watch)
        return count

    @property
    def notes(self) -> list[Path]:
        return list((self.cold.box / ".sgwtmp" / "restores").iterdir())

    def ago(self, seconds: float) -> None:
        """Let all requests have been made so long ago."""
        for note in self.notes:
            os.utime(note, (time.time() - seconds,) * 2)


@pytest.fixture
def watched(folder: Path, tmp_path: Path) -> Watched:
    return Watched(Cold(folder, tmp_path))


@pytest.fixture
def cold(watched: Watched) -> Cold:
    return watched.cold


def test_the_whole_story_is_told(watched: Watched, cold: Cold) -> None:
    cold.offline("a/key")
    assert cold.restore("a/key", 2, Tier="Bulk") == 202
    assert watched.look() == 1
    assert watched.told == []
    cold.stage("a/key")
    watched.look()
    watched.look()
    assert watched.told == [("ObjectRestore:Completed", "box", "a/key")]
    assert end_said(cold.head("a/key")[1])
    cold.expire("a/key")
    watched.look()
    assert watched.told[1:] == [("ObjectRestore:Delete", "box", "a/key")]
    assert watched.robot.asked == [("stage", "key", "Bulk"), ("release", "key", "")]
    assert (watched.notes, cold.record("a/key")) == ([], None)
    assert watched.look() == 0


def test_who_is_waited_for_is_not_asked_again(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    for _ in range(3):
        watched.look()
    assert watched.robot.asked == [("stage", "key", "Standard")]


@pytest.mark.parametrize("ago", [2000, ASK_AGAIN_S + 1])
def test_what_a_process_took_with_it_is_asked_for_again(
    watched: Watched, cold: Cold, ago: float
) -> None:
    cold.offline("key")
    cold.restore("key", Tier="Expedited")
    watched.ago(ago)
    for _ in range(3):
        watched.look()
    assert watched.robot.asked == [("stage", "key", "Expedited")] * 2


def test_what_the_archiver_knows_is_not_asked_for_again(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    watched.robot.flagged = True
    cold.restore("key")
    cold.flag("key", add=STAGING)
    watched.ago(ASK_AGAIN_S + 1)
    watched.look()
    assert len(watched.robot.asked) == 1


def test_days_that_were_prolonged_are_not_over(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    watched.look()
    cold.expire("key", int(time.time()) + DAY)
    assert cold.restore("key", 9) == 200
    watched.look()
    assert len(watched.notes) == 1
    assert ("release", "key", "") not in watched.robot.asked
    assert body_of(cold.s3, "key") == DATA


@pytest.mark.parametrize("end", ["delete", "overwrite"])
def test_what_is_not_there_any_more_is_forgotten(watched: Watched, cold: Cold, end: str) -> None:
    cold.offline("key")
    cold.restore("key")
    if end == "delete":
        cold.s3.delete_object(Bucket="box", Key="key")
    else:
        cold.put("key", b"new")
    watched.look()
    assert (watched.notes, watched.told) == ([], [])
    assert len(watched.robot.asked) == 1


def test_a_driver_that_cannot_be_asked_is_asked_at_the_next_look(
    watched: Watched, cold: Cold, caplog: pytest.LogCaptureFixture
) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.put("other")
    watched.ago(2000)
    for state in (True, False):
        watched.robot.broken = state
        watched.look()
    assert "out of order" in caplog.text
    assert len(watched.robot.asked) == 2
    cold.stage("key")
    watched.look()
    cold.expire("key")
    for state in (True, False):
        watched.robot.broken = state
        watched.look()
    assert watched.robot.asked[2:] == [("release", "key", "")]


def test_a_note_without_a_key_is_removed(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    (watched.notes[0].parent / ("0" * 64)).write_bytes(b"")
    assert watched.look() == 1
    assert len(watched.notes) == 1


def test_a_bucket_goes_with_its_notes(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.s3.delete_object(Bucket="box", Key="key")
    cold.s3.delete_bucket(Bucket="box")
    assert not cold.box.exists()
    assert watched.look() == 0


def test_a_look_reads_no_data_and_commits_nothing(watched: Watched, cold: Cold) -> None:
    for number in range(5):
        cold.offline(f"key{number}")
        cold.restore(f"key{number}")
    watched.look()
    calls.reset_counts(cold.root.parents[1])
    watched.look()
    counted = calls.counts(cold.root.parents[1])
    assert counted["ioctl"] == 5
    assert not {"fsync", "write", "setxattr"} & set(counted), counted


def test_the_pipeline_looks_by_itself(
    make_cold: Callable[..., Cold],
) -> None:
    cold = make_cold(watch_interval="1")
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    app: Any = cold.app
    while not hasattr(app, "backend"):
        app = app.app
    limit = time.monotonic() + 20
    while "end_s" not in (cold.record("key") or {}):
        assert time.monotonic() < limit
        time.sleep(0.1)
    app._watched = None


@pytest.fixture
def make_cold(folder: Path, tmp_path: Path) -> Callable[..., Cold]:
    return lambda **options: Cold(folder, tmp_path, **options)
