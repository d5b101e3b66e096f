"""Cold storage classes: who takes an object to tape, and when it is shown as being there."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3filters.backends.fs import handing
from s3filters.store import asked, scoutfs
from s3filters.tiers import asking
from s3filters.tiers.base import File
from tests import daemon
from tests.functional.asking import body_of, refusal
from tests.scoutfs import calls
from tests.scoutfs import site as archiver
from tests.scoutfs.cold import ALWAYS, DATA, INI, USE, Cold, end_said
from tests.scoutfs.mounted import REPOSITORY
from tests.scoutfs.robot import Robot

LIMIT_S = 20
COLD_CLASSES = ("GLACIER", "DEEP_ARCHIVE")
PART = b"p" * (5 << 20)
RECORDED = "user.s3filters.storage-class"


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "tape"
    path.mkdir()
    return path


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Cold]:
    return lambda **options: Cold(folder, tmp_path, **options)


@pytest.fixture
def site(make: Callable[..., Cold], tape: Path) -> Callable[..., Cold]:
    """Makes a bucket whose archiver are programs of the site."""

    def start(**options: str) -> Cold:
        run = f"env -C {REPOSITORY} {sys.executable} -m tests.scoutfs.site"
        given = {f"{verb}_command": f"{run} {verb} {tape}" for verb in ("archive", "stage")}
        more = {"driver": "command", "command_retries": "0", "watch_interval": "1"}
        return make(watching=True, **{**more, **given, **options})

    return start


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def offline(path: Path) -> bool:
    fd = os.open(path, os.O_RDONLY)
    try:
        return calls.stat_more(fd)[1] > 0
    finally:
        os.close(fd)


# --- asked for -----------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["none", "scoutam", "command"])
@pytest.mark.parametrize("name", COLD_CLASSES)
def test_a_class_that_nobody_can_bring_about_is_refused(
    make: Callable[..., Cold], driver: str, name: str
) -> None:
    cold = make(driver=driver)
    refused = (400, "InvalidStorageClass")
    put = {"Bucket": "box", "Key": "key", "StorageClass": name}
    assert refusal(cold.s3.put_object, **put, Body=DATA) == refused
    assert refusal(cold.s3.create_multipart_upload, **put) == refused
    cold.put("source")
    assert refusal(cold.s3.copy_object, **put, CopySource="box/source") == refused
    assert not (cold.box / "key").exists()


def upload(cold: Cold, key: str, **more: Any) -> None:
    begun = cold.s3.create_multipart_upload(Bucket="box", Key=key, **more)["UploadId"]
    where = {"Bucket": "box", "Key": key, "UploadId": begun}
    parts = [
        {"PartNumber": n, "ETag": cold.s3.upload_part(**where, PartNumber=n, Body=data)["ETag"]}
        for n, data in enumerate((PART, DATA), 1)
    ]
    cold.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})


def ways(cold: Cold, key: str, way: str, name: str) -> bytes:
    """Store an object in a class; return its bytes."""
    if way == "put":
        cold.put(key, StorageClass=name)
    elif way == "upload":
        upload(cold, key, StorageClass=name)
        return PART + DATA
    else:
        source = key if way == "itself" else "source"
        cold.put(source)
        cold.s3.copy_object(Bucket="box", Key=key, CopySource=f"box/{source}", StorageClass=name)
    return DATA


@pytest.mark.parametrize("name", COLD_CLASSES)
@pytest.mark.parametrize("way", ["put", "upload", "copy", "itself"])
def test_a_cold_object_goes_to_tape_and_comes_back(
    site: Callable[..., Cold], way: str, name: str
) -> None:
    cold = site()
    data = ways(cold, "key", way, name)
    path = cold.box / "key"
    assert os.getxattr(path, RECORDED) == name.encode()
    until(lambda: offline(path))
    assert cold.head("key") == (name, 'ongoing-request="false"')
    assert refusal(cold.s3.get_object, Bucket="box", Key="key") == (403, "InvalidObjectState")
    assert cold.restore("key", 4) == 202
    until(lambda: not offline(path))
    assert cold.head("key")[0] == "STANDARD"
    assert end_said(cold.head("key")[1])
    assert body_of(cold.s3, "key") == data


def test_what_is_shown_follows_the_blocks(site: Callable[..., Cold], tape: Path) -> None:
    (tape / "broken").touch()  # the tape robot is out of order
    cold = site()
    cold.put("key", StorageClass="GLACIER")
    assert cold.head("key") == ("STANDARD", ALWAYS)
    listed = cold.s3.list_objects_v2(Bucket="box")["Contents"]
    assert [entry["StorageClass"] for entry in listed] == ["STANDARD"]
    assert body_of(cold.s3, "key") == DATA


@pytest.mark.parametrize("header", ["versity", "aws"])
def test_as_with_aws_it_can_be_cold_at_once(
    site: Callable[..., Cold], tape: Path, header: str
) -> None:
    (tape / "broken").touch()
    cold = site(cold_at_once="true", restore_header=header)
    cold.put("key", StorageClass="DEEP_ARCHIVE")
    cold.put("warm", StorageClass="STANDARD_IA")
    assert cold.head("key")[0] == "DEEP_ARCHIVE"
    assert cold.head("warm")[0] == "STANDARD_IA"
    listed = cold.s3.list_objects_v2(Bucket="box")["Contents"]
    assert [entry["StorageClass"] for entry in listed] == ["DEEP_ARCHIVE", "STANDARD_IA"]
    assert refusal(cold.s3.get_object, Bucket="box", Key="key") == (403, "InvalidObjectState")
    copy = {"Bucket": "box", "Key": "new", "CopySource": "box/key"}
    assert refusal(cold.s3.copy_object, **copy) == (403, "ObjectNotInActiveTierError")
    assert cold.restore("key", 2) == 202
    assert end_said(cold.head("key")[1])
    assert cold.head("key")[0] == "DEEP_ARCHIVE"
    assert body_of(cold.s3, "key") == DATA
    cold.expire("key")
    assert refusal(cold.s3.get_object, Bucket="box", Key="key") == (403, "InvalidObjectState")


# --- programs of the site ------------------------------------------------------------------------


def test_a_request_that_waits_for_a_program_is_in_progress(
    site: Callable[..., Cold], tape: Path
) -> None:
    cold = site(command_retries="1")
    cold.put("key", StorageClass="GLACIER")
    until(lambda: offline(cold.box / "key"))
    (tape / "broken").touch()
    assert cold.restore("key") == 202
    assert cold.head("key") == ("GLACIER", 'ongoing-request="true"')
    request = {"Bucket": "box", "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refusal(cold.s3.restore_object, **request) == (409, "RestoreAlreadyInProgress")
    assert cold.flags("key") == 0  # those are the archiver's, and there is none


def test_the_program_that_stages_takes_the_flags_away_as_the_archiver_does(
    make: Callable[..., Cold], tape: Path
) -> None:
    cold = make()
    cold.put("key")
    archiver.archive(cold.box / "key", tape)
    cold.flag("key", add=scoutfs.STAGING | scoutfs.STAGE_FAILED | scoutfs.NO_ARCHIVE)
    archiver.stage(cold.box / "key", tape)
    assert cold.flags("key") == scoutfs.NO_ARCHIVE


def test_what_a_program_cannot_do_is_no_longer_in_progress(
    site: Callable[..., Cold], tape: Path
) -> None:
    cold = site()
    cold.put("key", StorageClass="GLACIER")
    until(lambda: offline(cold.box / "key"))
    (tape / "broken").touch()
    assert cold.restore("key") == 202
    until(lambda: bool((cold.record("key") or {}).get("failed")))
    assert cold.head("key") == ("GLACIER", 'ongoing-request="false"')
    (tape / "broken").unlink()
    assert cold.restore("key") == 202
    until(lambda: not offline(cold.box / "key"))
    assert body_of(cold.s3, "key") == DATA


# --- notes ---------------------------------------------------------------------------------------


@pytest.fixture
def noted(make: Callable[..., Cold]) -> tuple[Cold, Robot]:
    cold, robot = make(archive_command="true"), Robot()
    cold.watched_by(robot)
    return cold, robot


def notes(cold: Cold) -> list[str]:
    found = cold.box / ".sgwtmp" / asked.ARCHIVES
    return os.listdir(found) if found.exists() else []


@pytest.mark.parametrize("way", ["put", "upload", "copy", "itself"])
def test_what_is_to_be_archived_is_noted_until_the_archiver_was_asked(
    noted: tuple[Cold, Robot], way: str
) -> None:
    cold, robot = noted
    ways(cold, "key", way, "GLACIER")
    assert len(notes(cold)) == 1
    cold.work()
    assert (robot.names, notes(cold)) == ([("archive", "key")], [])


def test_an_object_that_was_replaced_at_once_is_not_archived(noted: tuple[Cold, Robot]) -> None:
    cold, robot = noted
    cold.put("key", StorageClass="GLACIER")
    cold.put("key")
    cold.s3.put_object(Bucket="box", Key="folder/", StorageClass="GLACIER")
    cold.work()
    assert robot.names == []
    for name in notes(cold):  # an upload might still be on its way
        os.utime(cold.box / ".sgwtmp" / asked.ARCHIVES / name, (1, 1))
    assert cold.work() == 0  # nor is it looked at again and again
    cold.watched_by(robot)
    cold.work()
    assert (robot.names, notes(cold)) == ([], [])


def test_what_is_replaced_while_the_archiver_cannot_be_asked_is_not_archived(
    noted: tuple[Cold, Robot],
) -> None:
    cold, _ = noted
    path = cold.put("key", StorageClass="GLACIER")
    file = File(cold.backend.path_of("box", "key"), path.stat().st_ino)
    watch = cold.watched_by(Robot())
    assert watch.is_wanted("archive", file)
    cold.put("key", StorageClass="GLACIER")
    assert not watch.is_wanted("archive", file)
    watch.done("archive", file)  # the note is that of the new object
    assert len(notes(cold)) == 1


@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_what_was_noted_is_done_by_the_next_daemon(
    folder: Path, tmp_path: Path, tape: Path, verb: str
) -> None:
    cold = Cold(folder, tmp_path)
    site = f"env -C {REPOSITORY} {sys.executable} -m tests.scoutfs.site"
    commands = "".join(f"\n{one}_command = {site} {one} {tape}" for one in ("archive", "stage"))
    ini = tmp_path / "site.ini"
    ini.write_text(INI.read_text().replace(USE, f"{USE}\ndriver = command{commands}"))
    (tape / "broken").touch()
    path = cold.box / "key"
    if verb == "restore":
        cold.put("key")
        (tape / str(path.stat().st_ino)).write_bytes(calls.make_offline(path))
    with daemon.running(cold.root, workers=2, extra=("--conf", str(ini))) as first:
        with first.connect() as connection:
            if verb == "restore":
                days = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
                assert connection.ask("POST", "/box/key?restore=", days).status == 202
            else:
                headers = {"x-amz-storage-class": "GLACIER"}
                assert connection.ask("PUT", "/box/key", DATA, headers).status == 200
        os.killpg(os.getpgid(first.process.pid), signal.SIGKILL)
    (tape / "broken").unlink()
    with daemon.running(
        cold.root, workers=2, extra=("--conf", str(ini))
    ):  # nobody asks it anything
        until(lambda: offline(path) == (verb == "archive"))


def test_what_was_given_up_is_tried_again_an_hour_later(
    noted: tuple[Cold, Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    cold, robot = noted
    monkeypatch.setattr(asking, "FIRST_RETRY_S", 0.001)
    monkeypatch.setattr(Robot, "archive", lambda self, files: [file.path for file in files])
    cold.put("key", StorageClass="GLACIER")
    cold.work()
    monkeypatch.undo()
    cold.work()
    assert (robot.names, len(notes(cold))) == ([], 1)
    now = time.monotonic()
    monkeypatch.setattr(handing.time, "monotonic", lambda: now + handing.TRY_AGAIN_S + 1)
    cold.work()
    monkeypatch.undo()
    cold.work()
    assert (robot.names, notes(cold)) == ([("archive", "key")], [])


def test_what_was_refused_is_not_noted(noted: tuple[Cold, Robot]) -> None:
    cold, _ = noted
    cold.put("key")
    put = {"Bucket": "box", "Key": "key", "Body": DATA, "StorageClass": "GLACIER"}
    assert refusal(cold.s3.put_object, **put, IfMatch='"other"') == (412, "PreconditionFailed")
    assert notes(cold) == []


def test_what_is_on_tape_already_is_forgotten(noted: tuple[Cold, Robot]) -> None:
    cold, robot = noted
    cold.put("key", StorageClass="GLACIER")
    cold.archive("key")
    cold.work()
    assert (robot.names, notes(cold)) == ([], [])


def test_a_note_that_cannot_be_made_again_costs_no_object(
    noted: tuple[Cold, Robot], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cold, _ = noted
    note, errors = asked.note, [OSError(28, "full"), None]

    def fail(*where: Any) -> None:
        error = errors.pop()
        if error is not None:
            raise error
        note(*where)

    monkeypatch.setattr(asked, "note", fail)
    cold.put("key", StorageClass="GLACIER")
    assert body_of(cold.s3, "key") == DATA
    assert "box/key cannot be archived" in caplog.text


def test_a_note_that_cannot_be_made_at_all_refuses_the_object(
    noted: tuple[Cold, Robot], monkeypatch: pytest.MonkeyPatch
) -> None:
    cold, _ = noted

    def fail(*_: Any) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(asked, "note", fail)
    put = {"Bucket": "box", "Key": "key", "Body": DATA, "StorageClass": "GLACIER"}
    assert refusal(cold.s3.put_object, **put)[0] == 507
    assert not (cold.box / "key").exists()
