"""Whatever happens to an object in whatever order, answers never contradict its blocks."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3filters.events.message import COMPLETED, Event
from s3filters.store import scoutfs
from s3filters.store.scoutfs import STAGE_FAILED, STAGING
from tests.scoutfs import calls
from tests.scoutfs.cold import DATA, Cold

KEY = "a/key"
ARCHIVER = ("archive", "stage", "fail", "tidy")
CLIENT = ("put", "delete", "restore", "restore faster", "look")
# Steps that come one after the other more often than by chance.
ASKED = ["archive", "restore"]
BACK = [*ASKED, "stage", "look"]
OVER = [*BACK, "expire"]
SINGLE = [[step] for step in (*ARCHIVER, *CLIENT, "expire", "watch")]
STEPS = st.lists(st.sampled_from([*SINGLE, ASKED, BACK, OVER]), max_size=12).map(
    lambda parts: [step for part in parts for step in part]
)


@dataclass
class Model:
    """One object: what its bytes are, where they are, and what was asked."""

    there: bool = False
    number: int = 0
    offline: bool = False
    flags: int = 0
    tier: str = ""  # of a request that is not over
    open: bool = False

    @property
    def data(self) -> bytes:
        return DATA + b"%d" % self.number

    @property
    def staging(self) -> bool:
        return self.offline and self.flags == STAGING

    # What the archiver does

    def archive(self) -> None:
        self.offline = True

    def stage(self) -> None:
        self.offline, self.flags = False, 0

    def fail(self) -> None:
        self.flags |= STAGE_FAILED

    def tidy(self) -> None:
        self.flags = 0

    # What clients do: the status that they get

    def put(self) -> int:
        self.__init__(True, self.number + 1)  # type: ignore[misc]
        return 200

    def delete(self) -> int:
        self.there = False
        return 204

    def restore(self, tier: str) -> int:
        if not self.there:
            return 404
        if not self.offline:
            if not self.tier:
                return 403
            self.open = False
            return 200
        if self.staging and not (self.open and self.tier == "Bulk" and tier == "Standard"):
            return 409
        if not self.staging or self.open:
            self.tier, self.open, self.flags = tier, True, STAGING
        return 202

    def seen(self) -> None:
        """Somebody has looked: days begin when the data are seen to be here."""
        if self.there and not self.offline and self.tier:
            self.open = False

    def expire(self) -> None:
        if not self.open:
            self.tier = ""


class Heard:
    """What was told of each request, in its order."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.of: dict[str, str] = {}
        self.last = ""

    @contextmanager
    def about(self, event: Event) -> Iterator[None]:
        yield
        if event.name == COMPLETED:
            fd = os.open(self._file, os.O_RDONLY)
            try:
                assert not scoutfs.state(fd).offline_blocks
            finally:
                os.close(fd)
        self.last = event.cause.partition(" ")[0]
        self.of[self.last] = self.of.get(self.last, "") + event.name[len("ObjectRestore:")]

    def check(self) -> None:
        for told in self.of.values():  # asked for, with another tier again, here once, over once
            assert re.fullmatch("P+(CD?)?", told), told


class Play:
    """The pipeline and its archiver beside the model."""

    def __init__(self, cold: Cold) -> None:
        self.cold = cold
        self.model = Model()
        self.heard = Heard(cold.box / KEY)
        cold.watched_by(cold.tiering.driver, self.heard)

    def step(self, name: str) -> None:
        getattr(self, "do_" + name.replace(" ", "_"), self.do_archiver(name))()

    def do_archiver(self, name: str) -> Any:
        def act() -> None:
            cold, model = self.cold, self.model
            if not model.there or (name == "archive" and model.offline):
                return
            if name == "archive":
                cold.archive(KEY)
            elif name == "stage":
                if not model.offline:
                    return
                cold.stage(KEY)
            elif name == "fail":
                cold.flag(KEY, add=STAGE_FAILED)
            else:
                cold.flag(KEY, remove=STAGING | STAGE_FAILED)
            getattr(model, name)()

        return act

    def do_put(self) -> None:
        self.model.put()
        self.cold.put(KEY, self.model.data)

    def do_delete(self) -> None:
        self.cold.s3.delete_object(Bucket="box", Key=KEY)
        self.model.delete()

    def do_restore(self, tier: str = "Bulk") -> None:
        parameters = f"<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"
        document = f"<RestoreRequest><Days>2</Days>{parameters}</RestoreRequest>".encode()
        answer = self.cold.ask("POST", f"/box/{KEY}?restore", document)
        assert answer.status == self.model.restore(tier), answer.body
        self.cold.work()

    def do_restore_faster(self) -> None:
        self.do_restore("Standard")

    def do_look(self) -> None:
        self.cold.ask("HEAD", f"/box/{KEY}")
        self.model.seen()

    def do_watch(self) -> None:
        calls.commit(self.cold.root)
        self.cold.work()
        self.model.seen()

    def do_expire(self) -> None:
        record = self.cold.record(KEY) if self.model.there else None
        if record is not None and record.get("end_s"):
            self.cold.expire(KEY)
            self.model.expire()

    def check(self) -> None:
        """Compare what a listing and GET say, which write nothing down while it is on tape."""
        cold, model = self.cold, self.model
        self.heard.check()
        shown = cold.ask("GET", "/box?list-type=2").body.decode()
        got = cold.ask("GET", f"/box/{KEY}")
        if not model.there:
            assert (KEY in shown, got.status) == (False, 404)
            return
        assert f"<StorageClass>{'GLACIER' if model.offline else 'STANDARD'}<" in shown
        if model.offline:
            assert (got.status, got.code) == (403, "InvalidObjectState")
            told = cold.ask("HEAD", f"/box/{KEY}").headers.get("x-amz-restore")
            assert told == ('ongoing-request="true"' if model.staging else None)
            return
        assert (got.status, got.body) == (200, model.data)
        model.seen()
        told = got.headers.get("x-amz-restore")
        assert (told is not None) == bool(model.tier)
        assert told is None or told.startswith('ongoing-request="false", expiry-date="')
        self.heard.check()
        if told is not None:
            assert self.heard.of[self.heard.last].endswith("C")


@pytest.fixture
def play(folder: Path, tmp_path: Path) -> Iterator[Play]:
    yield Play(Cold(folder, tmp_path, restore_header="aws"))


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, how_often=st.integers(1, 3))
def test_answers_follow_the_blocks(play: Play, steps: list[str], how_often: int) -> None:
    with suppress(FileNotFoundError):
        (play.cold.box / KEY).unlink()
    play.model = Model()
    play.step("put")
    for number, step in enumerate(steps):
        play.step(step)
        if number % how_often == 0:
            play.check()
    play.check()
