"""What was asked back is looked after: when it comes, when its days end, when it is forgotten."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3filters.backends.fs import returning, watching
from s3filters.backends.fs.returning import ASK_AGAIN_S
from s3filters.events.message import Event
from s3filters.store import asked
from s3filters.store.scoutfs import STAGE_FAILED, STAGING
from s3filters.tiers import asking
from s3filters.tiers.base import File
from tests.functional.asking import body_of
from tests.scoutfs import calls
from tests.scoutfs.cold import DATA, Cold, end_said
from tests.scoutfs.robot import Robot

DAY = 86400


class Watched:
    """A bucket, its driver, and one look after another."""

    def __init__(self, cold: Cold) -> None:
        self.cold = cold
        self.robot = Robot()
        self.told: list[tuple[str, str, str]] = []
        self.watch = cold.watched_by(self.robot, self)

    @contextlib.contextmanager
    def about(self, event: Event) -> Iterator[None]:
        yield
        self.told.append((event.name, event.bucket, event.key))

    def look(self) -> int:
        """Let what happened until now be on the disk, and look."""
        calls.commit(self.cold.root)
        return self.cold.work()

    @property
    def notes(self) -> list[Path]:
        hidden = self.cold.box / ".sgwtmp"
        folders = [hidden / name for name in asked.FOLDERS]
        return [note for folder in folders if folder.exists() for note in folder.iterdir()]

    def ago(self, seconds: float) -> None:
        """Let all have been asked for so long ago, and the process be a new one."""
        for note in self.notes:
            os.utime(note, (time.time() - seconds,) * 2)
        self.watch = self.cold.watched_by(self.robot, self)


@pytest.fixture
def watched(folder: Path, tmp_path: Path) -> Watched:
    return Watched(Cold(folder, tmp_path))


@pytest.fixture
def cold(watched: Watched) -> Cold:
    return watched.cold


def test_the_whole_story_is_told(watched: Watched, cold: Cold) -> None:
    cold.offline("a/key")
    assert cold.restore("a/key", 2, Tier="Bulk") == 202
    assert watched.told == [("ObjectRestore:Post", "box", "a/key")]
    watched.look()
    assert len(watched.told) == 1
    cold.stage("a/key")
    watched.look()
    watched.look()
    assert watched.told[1:] == [("ObjectRestore:Completed", "box", "a/key")]
    assert end_said(cold.head("a/key")[1])
    cold.expire("a/key")
    watched.look()
    assert watched.told[2:] == [("ObjectRestore:Delete", "box", "a/key")]
    until(lambda: watched.robot.asked[1:] == [("release", "key", "")])
    assert watched.robot.asked[0] == ("stage", "key", "Bulk")
    assert (watched.notes, cold.record("a/key")) == ([], None)
    assert watched.look() == 0


def test_who_is_waited_for_is_not_asked_again(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    for _ in range(3):
        watched.look()
    assert watched.robot.asked == [("stage", "key", "Standard")]


def document(tier: str = "Standard") -> bytes:
    parameters = f"<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"
    return f"<RestoreRequest><Days>1</Days>{parameters}</RestoreRequest>".encode()


def test_what_was_asked_for_at_once_is_one_batch_in_the_order_of_inodes(
    watched: Watched, cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[File]] = []
    monkeypatch.setattr(Robot, "stage", lambda self, files: batches.append(files) or ())
    watched.watch = cold.watched_by(watched.robot, watched, wait_s=0.5)
    names = ["c", "a", "b", "d"]
    for name in names:
        cold.offline(name)
    for name in reversed(names):
        assert cold.ask("POST", f"/box/{name}?restore", document()).status == 202
        assert cold.head(name) == ("GLACIER", 'ongoing-request="true"')
    assert batches == []
    watched.look()
    (batch,) = batches
    assert [os.path.basename(file.path) for file in batch] == names
    assert [file.ino for file in batch] == [(cold.box / name).stat().st_ino for name in names]


def test_each_tier_is_asked_for_by_itself_and_the_fastest_counts(
    watched: Watched, cold: Cold
) -> None:
    tiers = {"a": "Bulk", "b": "Expedited", "c": "Standard", "d": "Bulk"}
    for name, tier in tiers.items():
        cold.offline(name)
        cold.ask("POST", f"/box/{name}?restore", document(tier))
    cold.ask("POST", "/box/d?restore", document("Expedited"))
    watched.look()
    assert sorted(watched.robot.asked) == [
        ("stage", "a", "Bulk"),
        ("stage", "b", "Expedited"),
        ("stage", "c", "Standard"),
        ("stage", "d", "Expedited"),
    ]
    assert len(watched.notes) == 4


def test_what_the_death_of_a_process_left_is_asked_for(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.ask("POST", "/box/key?restore", document("Expedited"))
    watched.ago(0)
    watched.look()
    watched.look()
    assert watched.robot.asked == [("stage", "key", "Expedited")]


def test_what_nobody_brought_back_for_long_is_asked_for_again(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key", Tier="Expedited")
    watched.ago(ASK_AGAIN_S + 1)
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


def test_another_node_sees_to_what_it_noted_itself(
    watched: Watched, cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.offline("key")
    with monkeypatch.context() as other:
        other.setattr(type(cold.backend.store), "node", "f" * 16)
        cold.ask("POST", "/box/key?restore", document())
    watched.look()
    assert watched.robot.asked == []
    watched.ago(returning.ORPHAN_S + 1)  # and has not for long
    watched.look()
    assert watched.robot.asked == [("stage", "key", "Standard")]


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
    watched.ago(0)  # at the latest when all are looked at
    watched.look()
    assert (watched.notes, len(watched.told)) == ([], 1)
    assert len(watched.robot.asked) == 1


def test_a_driver_that_fails_is_asked_again_and_given_up_in_the_end(
    watched: Watched, cold: Cold, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(asking, "FIRST_RETRY_S", 0.01)
    watched.robot.broken = True
    for name in ("key", "other"):
        cold.offline(name)
        cold.restore(name)
    assert "stage of" in caplog.text
    assert "failed 6 times" in caplog.text
    for name in ("key", "other"):
        assert cold.head(name) == ("GLACIER", 'ongoing-request="false"')
    watched.robot.broken = False
    watched.look()
    assert watched.robot.asked == []
    assert cold.restore("key") == 202
    assert watched.robot.asked == [("stage", "key", "Standard")]
    assert cold.head("key")[1] == 'ongoing-request="true"'


# --- releasing -----------------------------------------------------------------------------------


def over(watched: Watched, cold: Cold) -> None:
    """Let a restore of ``key`` be over."""
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    watched.look()
    cold.expire("key")
    calls.commit(cold.root)


def test_what_is_to_be_released_is_noted_until_the_archiver_was_asked(
    watched: Watched, cold: Cold
) -> None:
    over(watched, cold)
    watched.robot.broken = True
    watched.watch.look()
    assert cold.record("key") is None
    assert [note.parent.name for note in watched.notes] == [asked.RELEASES]
    watched.ago(0)  # a death of the process
    watched.robot.broken = False
    watched.look()
    assert watched.robot.asked[1:] == [("release", "key", "")]
    assert watched.notes == []


def test_what_was_archived_and_restored_again_since_is_not_released(
    watched: Watched, cold: Cold
) -> None:
    over(watched, cold)
    watched.robot.broken = True
    watched.watch.look()
    watched.ago(0)
    watched.robot.broken = False
    cold.archive("key")
    cold.ask("POST", "/box/key?restore", document())
    cold.stage("key")
    watched.look()
    assert ("release", "key", "") not in watched.robot.asked
    assert cold.head("key")[1] is not None
    assert body_of(cold.s3, "key") == DATA


def test_another_object_at_the_key_is_not_released(watched: Watched, cold: Cold) -> None:
    over(watched, cold)
    watched.robot.broken = True
    watched.watch.look()
    watched.robot.broken = False
    file = File(cold.backend.path_of("box", "key"), (cold.box / "key").stat().st_ino)
    assert watched.watch.is_wanted("release", file)
    cold.put("key", b"new")
    assert not watched.watch.is_wanted("release", file)


def test_without_anybody_to_release_nothing_is_noted(
    watched: Watched, cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    over(watched, cold)
    monkeypatch.setattr(Robot, "cannot", lambda self, verb: "no" if verb == "release" else "")
    watched.look()
    assert (watched.notes, cold.record("key")) == ([], None)
    assert watched.told[-1] == ("ObjectRestore:Delete", "box", "key")


def test_a_note_without_a_key_is_removed(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    dead = watched.notes[0].parent / ("0" * 64)
    dead.write_bytes(b"")
    watched.ago(100)
    assert watched.look() == 1
    assert len(watched.notes) == 1


def test_a_bucket_goes_with_its_notes(watched: Watched, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.s3.delete_object(Bucket="box", Key="key")
    cold.s3.delete_bucket(Bucket="box")
    assert not cold.box.exists()
    assert watched.look() == 0


# --- what a look costs ---------------------------------------------------------------------------


def counted(watched: Watched) -> dict[str, int]:
    mount = watched.cold.root.parents[1]
    calls.reset_counts(mount)
    watched.cold.work()
    return dict(calls.counts(mount))


def several(cold: Cold, count: int = 5) -> None:
    for number in range(count):
        cold.offline(f"key{number}")
        cold.restore(f"key{number}")


def test_a_look_at_all_reads_no_data_and_commits_nothing(watched: Watched, cold: Cold) -> None:
    several(cold)
    watched.ago(0)
    found = counted(watched)
    assert found["ioctl"] == 5 + 2  # the mark, and the index: ``work`` looks once more
    assert not {"fsync", "write", "setxattr"} & set(found), found


def test_a_look_at_what_did_not_change_looks_at_no_object(watched: Watched, cold: Cold) -> None:
    several(cold)
    watched.look()
    assert counted(watched)["ioctl"] == 2  # the index, twice


def test_of_many_that_are_waited_for_the_one_that_came_is_looked_at(
    watched: Watched, cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    several(cold)
    watched.look()
    cold.stage("key3")
    calls.commit(cold.root)
    seen: list[str] = []
    look = type(cold.backend)._look

    def looked(part: Any, watch: Any, note: Any) -> None:
        seen.append(note.key)
        look(part, watch, note)

    monkeypatch.setattr(type(cold.backend), "_look", looked)
    cold.work()
    assert set(seen) == {"key3"}
    assert watched.told[-1] == ("ObjectRestore:Completed", "box", "key3")


@pytest.mark.parametrize("why", ["no index", "too many changes"])
def test_where_the_index_is_of_no_use_each_is_looked_at(
    watched: Watched, cold: Cold, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    several(cold)
    watched.look()
    if why == "no index":
        watched.watch.memory._changes.known = False
    else:
        monkeypatch.setattr(watching, "INDEX_AT_LEAST", 0)
        monkeypatch.setattr(watching, "INDEX_PER_OBJECT", 0)
    cold.stage("key3")
    watched.look()
    assert watched.told[-1] == ("ObjectRestore:Completed", "box", "key3")


def test_a_failure_of_the_archiver_that_is_seen_by_nobody_else_is_shown(
    watched: Watched, cold: Cold
) -> None:
    watched.robot.flagged = True
    cold.offline("key")
    cold.restore("key")
    cold.flag("key", add=STAGING)
    watched.look()
    cold.flag("key", add=STAGE_FAILED, remove=STAGING)
    watched.look()
    assert cold.head("key") == ("GLACIER", 'ongoing-request="false"')
    assert cold.restore("key") == 202
    assert len(watched.robot.asked) == 2


def test_the_pipeline_looks_by_itself(make_cold: Callable[..., Cold]) -> None:
    cold = make_cold(watching=True, watch_interval="1")
    cold.offline("key")
    cold.restore("key")
    until(lambda: cold.flags("key") == STAGING)  # long before the interval is over
    cold.stage("key")
    calls.commit(cold.root)
    until(lambda: "end_s" in (cold.record("key") or {}))


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.02)


@pytest.fixture
def make_cold(folder: Path, tmp_path: Path) -> Callable[..., Cold]:
    return lambda **options: Cold(folder, tmp_path, **options)
