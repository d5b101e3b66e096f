"""Whatever happens to an object in whatever order, answers never contradict its blocks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from s3filters.events.message import COMPLETED, Event
from s3filters.store import scoutfs
from s3filters.store.scoutfs import STAGE_FAILED, STAGING
from s3filters.tiers.base import Driver, File
from tests.functional.asking import Answer, document
from tests.scoutfs import calls
from tests.scoutfs.cold import ALWAYS, DATA, Cold, end_said

KEY, COPY, UPLOAD = "a/key", "b/copy", "b/upload"
BLOCK = 4096
BLOCKS = 3
NOT_ASKED, ONGOING = 'ongoing-request="false"', 'ongoing-request="true"'

ARCHIVER = ("archive", "release", "release first", "stage", "fail", "tidy")
CLIENT = ("put", "put cold", "delete", "restore", "restore faster", "look")
SINGLE = [[step] for step in (*ARCHIVER, *CLIENT, "expire", "watch")]
# Steps that come one after the other more often than by chance.
ON_TAPE = ["archive", "release"]
PARTLY = ["archive", "release first"]
ASKED = [*ON_TAPE, "restore"]
BEGUN = [*ASKED, "watch"]
BACK = [*BEGUN, "stage", "look"]
OVER = [*BACK, "expire"]
CHAINS = [ON_TAPE, PARTLY, ASKED, [*PARTLY, "restore", "watch"], BEGUN, BACK, OVER]
STEPS = st.lists(st.sampled_from([*SINGLE, *CHAINS]), max_size=10).map(
    lambda parts: [step for part in parts for step in part]
)


class Kind(NamedTuple):
    """How the pipeline is set up. ``flags``: the archiver is asked by them, else by a program."""

    header: str
    flags: bool = True
    at_once: bool = False

    @property
    def archives(self) -> bool:
        """Whether a cold class can be asked for."""
        return not self.flags


KINDS = {
    "flags, as AWS": Kind("aws"),
    "flags, as Versity": Kind("versity"),
    "programs, as AWS": Kind("aws", flags=False),
    "programs, as Versity": Kind("versity", flags=False),
    "programs, cold at once, as AWS": Kind("aws", flags=False, at_once=True),
    "programs, cold at once, as Versity": Kind("versity", flags=False, at_once=True),
}


@dataclass
class Request:
    """What was asked through us and is not over."""

    tier: str
    begun: bool = False  # its days
    flagged: bool = False
    failed: bool = False


@dataclass
class Model:
    """One object: what its bytes are, where they are, and what was asked."""

    kind: Kind
    there: bool = False
    number: int = 0
    cold: bool = False  # the class that it was put with
    copied: bool = False  # to tape
    offline: int = 0  # blocks, the first ones
    flags: int = 0
    request: Request | None = None
    noted: set[str] = field(default_factory=set)  # tiers that nobody was asked for yet
    broken: bool = False  # the site's program
    asked_for: list[str] = field(default_factory=list)  # the tiers that it was asked for

    @property
    def data(self) -> bytes:
        return DATA + b"%d" % self.number

    @property
    def readable(self) -> bool:
        if self.offline:
            return False
        return not (self.kind.at_once and self.cold) or self.request is not None

    @property
    def shown(self) -> str:
        if self.cold and (self.offline or self.kind.at_once):
            return "DEEP_ARCHIVE"
        return "GLACIER" if self.offline else "STANDARD"

    @property
    def ongoing(self) -> bool:
        """Whether somebody brings the data back: by the flags, else because we asked for them."""
        if not self.offline or self.flags & STAGE_FAILED:
            return False
        if self.flags & STAGING:
            return True
        asked = self.request
        return asked is not None and not (asked.begun or asked.flagged or asked.failed)

    @property
    def header(self) -> str | None:
        """x-amz-restore; empty for one with a date."""
        if self.ongoing:
            return ONGOING
        if self.readable and self.request:
            return ""
        if self.kind.header == "aws":
            return None
        return ALWAYS if self.readable else NOT_ASKED

    # What the archiver does

    def archive(self) -> bool:
        able = not self.offline and not self.copied
        self.copied |= able
        return able

    def release(self, blocks: int = BLOCKS) -> bool:
        able = self.copied and self.offline < blocks
        self.offline = blocks if able else self.offline
        return able

    def release_first(self) -> bool:
        return self.release(1)

    def stage(self) -> bool:
        able = self.offline > 0
        if able:
            self.offline, self.flags = 0, 0
        return able

    def fail(self) -> bool:
        """A flag says so, or a program will from now on."""
        if self.kind.flags:
            self.flags |= STAGE_FAILED
        self.broken = True
        return True

    def tidy(self) -> bool:
        self.flags, self.broken = 0, False
        return True

    # What clients do: the status that they get

    def put(self, *, cold: bool = False) -> int:
        if cold and not self.kind.archives:
            return 400
        kept = {"broken": self.broken, "asked_for": self.asked_for}
        self.__init__(self.kind, True, self.number + 1, cold, **kept)  # type: ignore[misc]
        return 200

    def delete(self) -> None:
        self.there = False

    def restore(self, tier: str) -> int:
        if not self.there:
            return 404
        asked = self.request
        if self.readable:
            if asked is None:
                return 403 if self.kind.header == "aws" else 200
            asked.begun = True
            return 200
        if self.ongoing:
            if asked is None or asked.begun or (asked.tier, tier) != ("Bulk", "Standard"):
                return 409
            asked.tier = tier
        else:
            self.request = Request(tier)
            self.flags &= ~STAGE_FAILED if self.kind.flags else -1
        self.noted.add(tier)
        return 202

    def seen(self) -> None:
        """Somebody has looked: days begin when the data are seen to be here."""
        if self.there and self.readable and self.request:
            self.request.begun = True

    def watched(self) -> None:
        asked = self.request
        if asked is None or not self.there:
            return
        if not self.offline:
            asked.begun = True
        elif not asked.begun and not asked.failed and asked.tier in self.noted:
            self.asked_for.append(asked.tier)
            if self.kind.flags:
                asked.flagged, self.flags = True, self.flags & ~STAGE_FAILED | STAGING
            elif self.broken:
                asked.failed = True
        self.noted.clear()

    def expire(self) -> None:
        self.request = None


class Site(Driver):
    """A site's archiver, which is asked here and does its work when the play says so."""

    def __init__(self) -> None:
        self.broken = False
        self.asked_for: list[str] = []

    def stage(self, files: Sequence[File]) -> Collection[str]:
        """Refuse while it is out of order."""
        self.asked_for += [file.tier for file in files]
        return [file.path for file in files] if self.broken else ()

    def archive(self, files: Sequence[File]) -> Collection[str]:
        """Promise it."""
        return ()


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
            assert not blocks_of(self._file)
        self.last = event.cause.partition(" ")[0]
        self.of[self.last] = self.of.get(self.last, "") + event.name[len("ObjectRestore:")]

    def check(self) -> None:
        for told in self.of.values():  # asked for, with another tier again, here once, over once
            assert re.fullmatch("P+(CD?)?", told), told


def blocks_of(path: Path) -> int:
    """Return how many blocks of a file are offline."""
    fd = os.open(path, os.O_RDONLY)
    try:
        return scoutfs.state(fd).offline_blocks
    finally:
        os.close(fd)


class Play:
    """The pipeline and its archiver beside the model."""

    def __init__(self, cold: Cold, kind: Kind) -> None:
        self.cold = cold
        self.model = Model(kind)
        self.heard = Heard(cold.box / KEY)
        self.site = Site()
        driver = cold.tiering.driver if kind.flags else self.site
        self.watch = cold.watched_by(driver, self.heard, retries=0)
        begun = cold.s3.create_multipart_upload(Bucket="box", Key=UPLOAD)
        self.upload = f"/box/{UPLOAD}?partNumber=1&uploadId={begun['UploadId']}"

    def step(self, name: str) -> None:
        if name not in ARCHIVER:
            getattr(self, "do_" + name.replace(" ", "_"))()
            return
        word = name.replace(" ", "_")
        if self.model.there and getattr(self.model, word)():
            getattr(self, "do_" + word, lambda: None)()
        self.site.broken = self.model.broken

    # What the archiver does

    def do_release(self, blocks: int = BLOCKS) -> None:
        with self._opened() as fd:
            calls.release(fd, 0, blocks * BLOCK, calls.stat_more(fd)[2])

    def do_release_first(self) -> None:
        self.do_release(1)

    def do_stage(self) -> None:
        with self._opened() as fd:
            size = min(calls.stat_more(fd)[1] * BLOCK, len(self.model.data))
            calls.stage(fd, calls.stat_more(fd)[2], 0, self.model.data[:size])
        self.do_tidy()

    def do_fail(self) -> None:
        if self.model.kind.flags:
            self.cold.flag(KEY, add=STAGE_FAILED)

    def do_tidy(self) -> None:
        self.cold.flag(KEY, remove=STAGING | STAGE_FAILED)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        fd = os.open(self.cold.box / KEY, os.O_RDWR)
        try:
            yield fd
        finally:
            os.close(fd)

    # What clients do

    def do_put(self, *, cold: bool = False) -> None:
        status, headers = self.model.put(cold=cold), {}
        if cold:
            headers["x-amz-storage-class"] = "DEEP_ARCHIVE"
        body = DATA + b"%d" % (self.model.number if status == 200 else 0)
        assert self.cold.ask("PUT", f"/box/{KEY}", body, headers).status == status

    def do_put_cold(self) -> None:
        self.do_put(cold=True)

    def do_delete(self) -> None:
        assert self.cold.ask("DELETE", f"/box/{KEY}").status == 204
        self.model.delete()

    def do_restore(self, tier: str = "Bulk") -> None:
        parameters = f"<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"
        asked = f"<RestoreRequest><Days>2</Days>{parameters}</RestoreRequest>".encode()
        answer = self.cold.ask("POST", f"/box/{KEY}?restore", asked)
        assert answer.status == self.model.restore(tier), answer.body

    def do_restore_faster(self) -> None:
        self.do_restore("Standard")

    def do_look(self) -> None:
        self.cold.ask("HEAD", f"/box/{KEY}")
        self.model.seen()

    # What time and the daemon do

    def do_watch(self) -> None:
        calls.commit(self.cold.root)
        self.cold.work()
        self.model.watched()
        if not self.model.kind.flags:
            assert self.site.asked_for == self.model.asked_for

    def do_expire(self) -> None:
        record = self.cold.record(KEY) if self.model.there else None
        if record is not None and record.get("end_s"):
            self.cold.expire(KEY)
            self.model.expire()

    # What answers say

    def check(self) -> None:
        """Compare all answers with the model: those that write nothing down come first."""
        self.heard.check()
        if not self.model.there:
            self._check_that_nothing_is_there()
            return
        assert blocks_of(self.cold.box / KEY) == self.model.offline
        self._check_listings()
        self._check_attributes()
        self._check_copies()
        self._check_reads()
        self.heard.check()
        if self.model.request and self.model.readable:
            assert self.heard.of[self.heard.last].endswith("C")

    def _check_that_nothing_is_there(self) -> None:
        assert KEY not in self.cold.ask("GET", "/box?list-type=2").body.decode()
        assert self.cold.ask("GET", f"/box/{KEY}").status == 404

    def _check_listings(self) -> None:
        want = {"x-amz-optional-object-attributes": "RestoreStatus"}
        query = f"prefix={KEY}"
        for kind in ("list-type=2&", "", "versions&"):
            answer = self.cold.ask("GET", f"/box?{kind}{query}", headers=want)
            text = answer.body.decode()
            assert classes(answer) == [self.model.shown], text
            status = re.findall("<RestoreStatus>.*</RestoreStatus>", text)
            assert len(status) == (self.model.header in ("", ONGOING)), text
            if status:
                ongoing = str(self.model.ongoing).lower()
                assert f"<IsRestoreInProgress>{ongoing}<" in status[0]
                assert ("<RestoreExpiryDate>" in status[0]) is not self.model.ongoing

    def _check_attributes(self) -> None:
        want = {"x-amz-object-attributes": "StorageClass,ObjectSize"}
        answer = self.cold.ask("GET", f"/box/{KEY}?attributes", headers=want)
        assert (answer.status, classes(answer)) == (200, [self.model.shown])
        assert document(answer).findtext("ObjectSize") == str(len(self.model.data))

    def _check_copies(self) -> None:
        source = {"x-amz-copy-source": f"/box/{KEY}"}
        copied = self.cold.ask("PUT", f"/box/{COPY}", headers=source)
        part = self.cold.ask("PUT", self.upload, headers=source)
        if not self.model.readable:
            refused = (403, "ObjectNotInActiveTierError")
            assert (copied.status, copied.code) == (part.status, part.code) == refused
            return
        assert (copied.status, part.status) == (200, 200)
        assert (self.cold.box / COPY).read_bytes() == self.model.data
        assert hashlib.md5(self.model.data).hexdigest() in part.body.decode()

    def _check_reads(self) -> None:
        """HEAD and GET, the first of which may begin the days of what has come back."""
        cold, model = self.cold, self.model
        for method in ("HEAD", "GET"):
            answer = cold.ask(method, f"/box/{KEY}")
            if method == "GET" and not model.readable:
                assert (answer.status, answer.code) == (403, "InvalidObjectState")
                assert classes(answer) == [model.shown]
                continue
            assert answer.status == 200
            assert method == "HEAD" or answer.body == model.data
            usual = None if model.kind.header == "aws" else "STANDARD"
            shown = usual if model.shown == "STANDARD" else model.shown
            assert answer.headers.get("x-amz-storage-class") == shown
            told = answer.headers.get("x-amz-restore")
            assert told == model.header or (model.header == "" and told and end_said(told))
            model.seen()


def classes(answer: Answer) -> list[str | None]:
    """Return the storage classes in a document."""
    return [found.text for found in document(answer).iter() if found.tag.endswith("StorageClass")]


@pytest.fixture
def play(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Iterator[Play]:
    kind: Kind = request.param
    options = {"restore_header": kind.header}
    if not kind.flags:
        options |= {"driver": "command", "archive_command": "true", "stage_command": "true"}
    if kind.at_once:
        options["cold_at_once"] = "true"
    play = Play(Cold(folder, tmp_path, **options), kind)
    with closing(play.watch):
        yield play


@pytest.mark.parametrize("play", KINDS.values(), ids=KINDS, indirect=True)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS, how_often=st.integers(1, 4))
@example(steps=["put cold", "restore", *ON_TAPE, "watch"], how_often=4)
def test_answers_follow_the_blocks(play: Play, steps: list[str], how_often: int) -> None:
    with suppress(FileNotFoundError):
        (play.cold.box / KEY).unlink()
    play.model = Model(play.model.kind)
    play.site.broken = False
    play.site.asked_for.clear()
    play.step("put")
    for number, step in enumerate(steps):
        play.step(step)
        if number % how_often == 0:
            play.check()
    play.check()
