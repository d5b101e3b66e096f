"""What others are told of restores: each once, when it is true, and never lost."""

from __future__ import annotations

import http.server
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest
from botocore.exceptions import ClientError

from s3filters.commands import main
from s3filters.events.spool import LEFT_S, Prepared
from s3filters.store import restores
from tests import daemon
from tests.scoutfs import calls
from tests.scoutfs.cold import DATA, INI, USE, Cold
from tests.scoutfs.robot import Robot

DAY = 86400
DAYS = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
POST, COMPLETED, DELETE = "ObjectRestore:Post", "ObjectRestore:Completed", "ObjectRestore:Delete"


class Told:
    """A bucket on tape, and the file that events are written to."""

    def __init__(self, where: Path, tmp: Path, **options: str) -> None:
        self.file = tmp / "events.jsonl"
        self.cold = Cold(where, tmp, events_file=str(self.file), **options)
        self.robot = Robot()
        self.events = self.cold.tiering.events
        assert self.events is not None
        self.cold.watched_by(self.robot, self.events)

    def look(self) -> None:
        calls.commit(self.cold.root)
        self.cold.work()

    def said(self) -> list[dict[str, Any]]:
        """Return the records that were delivered by now."""
        limit = time.monotonic() + 10
        for delivery in self.events.deliveries:
            while delivery.look() or delivery.spool.waiting():
                assert time.monotonic() < limit
        lines = self.file.read_text().splitlines() if self.file.exists() else []
        return [record for line in lines for record in json.loads(line)["Records"]]

    def names(self) -> list[tuple[str, str]]:
        return [(one["eventName"], unquote_plus(one["s3"]["object"]["key"])) for one in self.said()]


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Told]:
    return lambda **options: Told(folder, tmp_path, **options)


@pytest.fixture
def told(make: Callable[..., Told]) -> Told:
    return make()


@pytest.fixture
def cold(told: Told) -> Cold:
    return told.cold


def test_the_whole_story_is_told_once(told: Told, cold: Cold) -> None:
    cold.offline("a key/ä")
    assert cold.restore("a key/ä", 2) == 202
    assert told.names() == [(POST, "a key/ä")]
    told.look()
    assert len(told.said()) == 1
    cold.stage("a key/ä")
    for _ in range(2):
        told.look()
        cold.head("a key/ä")
    assert told.names()[1:] == [(COMPLETED, "a key/ä")]
    cold.expire("a key/ä")
    for _ in range(2):
        told.look()
    assert told.names()[2:] == [(DELETE, "a key/ä")]


def test_what_is_said_is_true(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key", 2)
    cold.stage("key")
    told.look()
    asked, back = told.said()
    etag = cold.s3.head_object(Bucket="box", Key="key")["ETag"].strip('"')
    for one in (asked, back):
        assert one["s3"]["object"] == {"key": "key", "size": len(DATA), "eTag": etag}
        assert one["s3"]["bucket"]["name"] == "box"
        assert one["s3"]["bucket"]["ownerIdentity"]["principalId"] == daemon.ACCESS_KEY
        assert one["awsRegion"] == "us-east-1"
    assert asked["userIdentity"]["principalId"] == daemon.ACCESS_KEY
    assert back["userIdentity"]["principalId"] == "s3.amazonaws.com"
    restored = back["glacierEventData"]["restoreEventData"]
    end = time.strftime("%Y-%m-%dT00:00:00.000Z", time.gmtime(time.time() + 3 * DAY))
    assert restored["lifecycleRestorationExpiryTime"] == end
    assert restored["lifecycleRestoreStorageClass"] == "GLACIER"
    assert "glacierEventData" not in asked


def test_the_request_is_named_that_asked(told: Told, cold: Cold) -> None:
    cold.offline("key")
    said = cold.s3.restore_object(Bucket="box", Key="key", RestoreRequest={"Days": 1})
    (asked,) = told.said()
    request_id = said["ResponseMetadata"]["RequestId"]
    assert asked["responseElements"]["x-amz-request-id"] == request_id


@pytest.mark.parametrize("sees", ["head", "get", "restore"])
def test_who_sees_it_back_first_tells_it(told: Told, cold: Cold, sees: str) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    if sees == "head":
        cold.head("key")
    elif sees == "get":
        assert cold.s3.get_object(Bucket="box", Key="key")["Body"].read() == DATA
    else:
        assert cold.restore("key", 9) == 200
    told.look()
    assert told.names() == [(POST, "key"), (COMPLETED, "key")]


def test_a_faster_tier_is_asked_for_and_told(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key", Tier="Bulk")
    cold.restore("key", Tier="Expedited")
    assert told.names() == [(POST, "key")] * 2


def test_what_is_refused_is_not_told(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    with pytest.raises(ClientError, match="RestoreAlreadyInProgress"):
        cold.restore("key")
    cold.put("warm")
    assert cold.restore("warm") == 200
    assert told.names() == [(POST, "key")]


def test_what_the_archiver_refuses_was_not_asked_for(told: Told, cold: Cold) -> None:
    cold.offline("key")
    told.robot.why = "broken"
    with pytest.raises(ClientError):
        cold.restore("key")
    assert told.said() == []
    told.robot.why = ""
    assert cold.restore("key") == 202
    assert told.names() == [(POST, "key")]


def test_days_that_are_prolonged_are_not_told(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    told.look()
    assert cold.restore("key", 9) == 200
    told.look()
    assert told.names() == [(POST, "key"), (COMPLETED, "key")]


def test_an_end_that_nobody_saw_is_told_before_what_follows(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    told.look()
    cold.archive("key")
    cold.expire("key")
    assert cold.restore("key") == 202
    assert sorted(told.names()[2:]) == [(DELETE, "key"), (POST, "key")]
    cold.stage("key")
    told.look()
    assert told.names()[4:] == [(COMPLETED, "key")]


@pytest.mark.parametrize("end", ["delete", "overwrite"])
def test_what_is_not_there_any_more_does_not_come_back(told: Told, cold: Cold, end: str) -> None:
    cold.offline("key")
    cold.restore("key")
    if end == "delete":
        cold.s3.delete_object(Bucket="box", Key="key")
    else:
        cold.put("key", b"new")
    told.look()
    assert told.names() == [(POST, "key")]


def test_events_outlive_their_bucket(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.s3.delete_object(Bucket="box", Key="key")
    cold.s3.delete_bucket(Bucket="box")
    assert told.names() == [(POST, "key")]


def test_no_listing_shows_what_waits(told: Told, cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    assert (cold.root / ".sgwtmp" / "events" / "file").is_dir()
    assert [one["Name"] for one in cold.s3.list_buckets()["Buckets"]] == ["box"]
    assert cold.backend.store.sweep(0) == 0
    assert told.names() == [(POST, "key")]


def test_two_daemons_tell_it_once(told: Told, cold: Cold, make: Callable[..., Told]) -> None:
    other = make()
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    looks = [threading.Thread(target=one.look) for one in (told, other) for _ in range(4)]
    for look in looks:
        look.start()
    for look in looks:
        look.join()
    other.said()
    assert told.names() == [(POST, "key"), (COMPLETED, "key")]


def test_a_death_behind_what_is_told_of_tells_it_later(
    told: Told, cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    assert len(told.said()) == 1
    with monkeypatch.context() as patched:
        patched.setattr(Prepared, "happened", lambda _self: None)  # nobody came so far
        told.look()
    assert "end_s" in (cold.record("key") or {})
    assert len(told.said()) == 1
    (left,) = (cold.root / ".sgwtmp" / "events" / "file").glob("*/new.*")
    os.utime(left, (time.time() - LEFT_S - 1,) * 2)
    assert told.names() == [(POST, "key"), (COMPLETED, "key")]


def test_a_death_before_it_tells_it_when_it_is_done_again(
    told: Told, cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    with monkeypatch.context() as patched:
        patched.setattr(restores, "write", lambda *_: (_ for _ in ()).throw(OSError("dead")))
        patched.setattr(Prepared, "did_not", lambda _self: None)
        told.look()
    told.look()
    assert told.names() == [(POST, "key"), (COMPLETED, "key")]


def test_when_too_many_wait_nothing_is_lost(make: Callable[..., Told]) -> None:
    told = make(events_waiting="1")
    (delivery,) = told.events.deliveries
    cold = told.cold
    cold.offline("a")
    cold.offline("b")
    cold.restore("a")
    with pytest.raises(ClientError, match="SlowDown"):
        cold.restore("b")
    assert cold.record("b") is None
    cold.stage("a")
    told.look()
    cold.head("a")
    assert "end_s" not in (cold.record("a") or {})  # it waits to be told
    assert told.names() == [(POST, "a")]
    delivery.spool._counted = float("-inf")
    told.look()
    assert told.names()[1:] == [(COMPLETED, "a")]


def test_where_nothing_can_be_kept_the_log_says_why(
    make: Callable[..., Told], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    told = make(events_folder=str(tmp_path / "taken"))
    told.cold.offline("key")
    with pytest.raises(ClientError, match="SlowDown") as caught:
        told.cold.restore("key")
    assert "ObjectRestore:Post of box cannot be kept: [Errno 20]" in caplog.text
    assert str(tmp_path) not in str(caught.value)
    assert told.cold.record("key") is None


def test_where_events_are_kept_can_be_said(make: Callable[..., Told], tmp_path: Path) -> None:
    told = make(events_folder=str(tmp_path / "state"))
    told.cold.offline("key")
    told.cold.restore("key")
    assert len(os.listdir(tmp_path / "state" / "file")) == 1
    assert not (told.cold.root / ".sgwtmp" / "events").exists()
    assert told.names() == [(POST, "key")]


@pytest.fixture
def posted() -> Iterator[tuple[str, list[bytes], list[int]]]:
    """A URL, what is posted to it, and what it answers next."""
    got: list[bytes] = []
    answers: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/", got, answers
        server.shutdown()
        thread.join()


def test_the_pipeline_tells_by_itself(
    posted: tuple[str, list[bytes], list[int]], folder: Path, tmp_path: Path
) -> None:
    url, got, answers = posted
    answers[:] = [503]
    cold = Cold(folder, tmp_path, watching=True, watch_interval="1", events_url=url)
    cold.offline("key")
    cold.restore("key")
    cold.stage("key")
    calls.commit(cold.root)
    limit = time.monotonic() + 30
    while len(got) < 3:
        assert time.monotonic() < limit, got
        time.sleep(0.05)
    names = [json.loads(body)["Records"][0]["eventName"] for body in got]
    assert names == [POST, POST, COMPLETED]


def test_what_was_not_delivered_survives_the_death_of_all_workers(
    posted: tuple[str, list[bytes], list[int]], folder: Path, tmp_path: Path
) -> None:
    url, got, answers = posted
    answers[:] = [503] * 1000
    cold = Cold(folder, tmp_path)
    keys = [f"key{number}" for number in range(4)]
    for key in keys:
        cold.offline(key)
    ini = tmp_path / "told.ini"
    ini.write_text(INI.read_text().replace(USE, f"{USE}\nevents_url = {url}"))
    extra = ("--conf", str(ini))
    with daemon.running(cold.root, workers=2, durability="full", extra=extra) as first:
        with first.connect() as connection:
            for key in keys:
                assert connection.ask("POST", f"/box/{key}?restore=", DAYS).status == 202
        waits = r"\[(\d+)\] - s3filters.events: events_url: events wait: answered 503"
        limit = time.monotonic() + 30
        while len(warned := re.findall(waits, first.words())) < 3:
            assert time.monotonic() < limit, first.words()
            time.sleep(0.05)
        assert len(set(warned)) == 1  # of the workers
        os.killpg(os.getpgid(first.process.pid), signal.SIGKILL)
    answers.clear()
    got.clear()
    with daemon.running(cold.root, workers=2, durability="full", extra=extra) as second:
        with second.connect() as connection:
            connection.ask("GET", "/")
        limit = time.monotonic() + 30
        while len(got) < len(keys):
            assert time.monotonic() < limit, second.words()
            time.sleep(0.05)
    records = [json.loads(body)["Records"][0] for body in got]
    assert sorted(one["s3"]["object"]["key"] for one in records) == keys  # and each once
    assert {one["requestParameters"]["sourceIPAddress"] for one in records} == {"127.0.0.1"}


def test_a_service_that_could_not_tell_or_ask_does_not_start(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, why in (
        ("events_file = /nope/events", "there is no folder /nope"),
        ("stage_command = /nope/stage -v", "there is no program /nope/stage"),
    ):
        ini = tmp_path / "wrong.ini"
        ini.write_text(INI.read_text().replace(USE, f"{USE}\n{line}"))
        keys = str(daemon.credentials(tmp_path))
        flags = ("--root", str(folder), "--credentials", keys)
        assert main.main(["serve", "--conf", str(ini), *flags]) == 2
        said = f"{ini}: [filter:glacier] {line}: {why}"
        assert said in capsys.readouterr().err.splitlines()[-1]


def test_a_command_leaves_it_to_the_daemons_to_tell(told: Told, tmp_path: Path) -> None:
    told.cold.offline("key")
    ini = tmp_path / "command.ini"
    text = (tmp_path / "cold.ini").read_text()
    ini.write_text(text.replace("[DEFAULT]", f"[DEFAULT]\nroot = {told.cold.root}", 1))
    words = ["restore", "s3://box/", "--days", "1", "--conf", str(ini)]
    assert main.main([*words, "--no-progress"]) == 0
    assert not told.file.exists()
    (asked,) = told.said()
    assert asked["eventName"] == POST
    assert asked["userIdentity"]["principalId"] == "s3.amazonaws.com"
