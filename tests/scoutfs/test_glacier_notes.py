"""What is noted for the archiver is neither lost nor asked for again and again, whatever fails."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3filters.backends.fs import handing, returning
from s3filters.store import asked, scoutfs
from s3filters.store.scoutfs import STAGE_FAILED, STAGING
from s3filters.tiers.base import File
from tests.functional.asking import refusal
from tests.scoutfs.cold import Cold, end_said
from tests.scoutfs.robot import Robot


@pytest.fixture
def robot() -> Robot:
    return Robot()


@pytest.fixture
def make(folder: Path, tmp_path: Path, robot: Robot) -> Callable[..., Cold]:
    def make(**options: str) -> Cold:
        cold = Cold(folder, tmp_path, driver="command", archive_command="true", **options)
        cold.watched_by(robot)
        return cold

    return make


@pytest.fixture
def cold(make: Callable[..., Cold]) -> Cold:
    return make()


def notes(cold: Cold, folder: str) -> list[Path]:
    found = cold.box / ".sgwtmp" / folder
    return list(found.iterdir()) if found.is_dir() else []


def days(cold: Cold, key: str, count: int = 1) -> None:
    """Ask for an object, and let nobody look."""
    body = f"<RestoreRequest><Days>{count}</Days></RestoreRequest>".encode()
    assert cold.ask("POST", f"/box/{key}?restore", body).status == 202


# --- what cannot be written down ------------------------------------------------------------------


def test_staging_that_cannot_be_written_down_is_not_asked_for_at_each_look(
    cold: Cold, robot: Robot
) -> None:
    cold.offline("key")
    days(cold, "key")
    (cold.box / ".sgwtmp" / "restores").touch()  # somebody put it there
    for _ in range(4):
        cold.work()
    assert robot.names == [("stage", "key")]
    (cold.box / ".sgwtmp" / "restores").unlink()
    later(cold)
    for _ in range(4):
        cold.work()
    assert robot.names == [("stage", "key")] * 2
    assert len(notes(cold, "restores")) == 1


@pytest.mark.parametrize("again", [False, True])
def test_an_archived_object_whose_note_stays_is_not_archived_at_each_look(
    cold: Cold, robot: Robot, monkeypatch: pytest.MonkeyPatch, again: bool
) -> None:
    cold.put("key", StorageClass="GLACIER")
    with monkeypatch.context() as broken:
        broken.setattr(asked.os, "unlink", failing(errno.EIO))
        for _ in range(4):
            cold.work()
        assert robot.names == [("archive", "key")]
    if again:
        cold.put("key", StorageClass="GLACIER")
    later(cold)
    cold.work()
    assert robot.names == [("archive", "key")] * 2
    assert notes(cold, "archives.new") == []


def later(cold: Cold) -> None:
    """Let a minute pass."""
    assert cold._watch is not None
    for id_, until in cold._watch.handed.items():
        assert until < time.monotonic() + handing.WRITE_AGAIN_S + 1
        cold._watch.handed[id_] = 0.0


def failing(number: int) -> Callable[..., Any]:
    def fail(*args: Any, **more: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return fail


# --- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("first", [False, True])
def test_notes_of_one_bucket_that_cannot_be_read_keep_nobody_else_from_theirs(
    cold: Cold, robot: Robot, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    others = ["a-bad-one", "z-bad-one"]
    for name in others:
        cold.s3.create_bucket(Bucket=name)
    cold.offline("key")
    cold.put("other", StorageClass="GLACIER")
    days(cold, "key")
    if not first:
        cold.work()
        robot.asked.clear()
        cold.put("other", StorageClass="GLACIER")
        cold.offline("key")
        days(cold, "key")
    whole = asked._open
    broken = {name: failing(errno.EIO) for name in others}
    monkeypatch.setattr(asked, "_open", lambda root, box, at: broken.get(box, whole)(root, box, at))
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            cold.work()
        until(lambda: not cold._watch or not cold._watch.handed)
    assert sorted(robot.names) == [("archive", "other"), ("stage", "key")]


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


# --- what changes meanwhile -----------------------------------------------------------------------


def test_what_is_stored_while_an_older_object_is_archived_is_archived_itself(
    cold: Cold, robot: Robot
) -> None:
    cold.put("key", StorageClass="GLACIER")

    def replace(verb: str, file: File) -> None:
        if len(robot.asked) == 1:
            cold.put("key", StorageClass="GLACIER")

    robot.meanwhile = replace
    cold.work()
    cold.work()
    assert robot.names == [("archive", "key")] * 2
    assert notes(cold, "archives.new") == []


def test_what_is_asked_back_while_an_older_object_is_staged_is_asked_for_itself(
    cold: Cold, robot: Robot
) -> None:
    cold.offline("key")
    days(cold, "key")

    def replace(verb: str, file: File) -> None:
        if len(robot.asked) == 1:
            cold.offline("key")
            days(cold, "key", 5)

    robot.flagged = True
    robot.meanwhile = replace
    cold.work()
    cold.work()
    assert robot.names == [("stage", "key")] * 2
    assert (cold.record("key") or {}) | {"days": 5, "flagged": True} == cold.record("key")


def test_a_note_is_not_forgotten_while_the_object_that_it_is_of_is_stored(
    cold: Cold, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon looks in between, and dies before it can note the object again."""
    cold.put("key", StorageClass="GLACIER")
    cold.work()
    cold.archive("key")
    robot.asked.clear()
    cold.put("key", StorageClass="GLACIER")
    with monkeypatch.context() as race:
        store, whole = cold.backend.store, cold.backend.store.head
        seen = [Offline(whole("box", "key"))]
        race.setattr(type(store), "head", lambda self, *at: seen.pop() if seen else whole(*at))
        assert cold._watch is not None
        cold._watch.look()
    cold.work()
    assert robot.names == [("archive", "key")]


class Offline:
    """A record of what was there a moment ago, and on tape."""

    def __init__(self, record: Any) -> None:
        self._record = record
        self.ino = record.ino + 1

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._record, name)
        return value._replace(offline_blocks=1) if name == "state" else value


# --- restored, and to be archived -----------------------------------------------------------------


def test_what_somebody_may_read_is_archived_when_its_days_are_over(
    make: Callable[..., Cold], robot: Robot
) -> None:
    cold = make(cold_at_once="true")
    cold.put("key", StorageClass="GLACIER")
    days(cold, "key", 3)
    cold.work()
    for note in notes(cold, "archives.new"):
        os.utime(note, (time.time() - returning.STRAY_S - 1,) * 2)
    cold.work()
    assert end_said(cold.head("key")[1])
    assert robot.names == []
    assert len(notes(cold, "archives.new")) == 1
    cold.expire("key")
    cold.watched_by(robot)
    cold.work()
    until(lambda: ("archive", "key") in robot.names)


# --- what failed before ---------------------------------------------------------------------------


def test_what_failed_and_is_asked_for_again_is_in_progress_at_once(
    cold: Cold, robot: Robot
) -> None:
    robot.flagged = True
    cold.offline("key")
    cold.flag("key", add=STAGING | STAGE_FAILED)
    days(cold, "key")
    assert cold.head("key") == ("GLACIER", 'ongoing-request="true"')
    request = {"Bucket": "box", "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refusal(cold.s3.restore_object, **request) == (409, "RestoreAlreadyInProgress")
    assert not cold.flags("key") & STAGE_FAILED


def test_a_failure_that_cannot_be_cleared_refuses_no_request(
    cold: Cold, robot: Robot, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot.flagged = True
    cold.offline("key")
    cold.flag("key", add=STAGE_FAILED)
    monkeypatch.setattr(scoutfs, "change_sam_flags", failing(errno.EPERM))
    days(cold, "key")
    cold.work()
    assert robot.names == [("stage", "key")]
