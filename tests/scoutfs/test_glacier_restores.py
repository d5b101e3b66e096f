"""RestoreObject: who is asked, what is answered, what is written down, and when it is over."""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from s3filters.store import restores, scoutfs
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from s3filters.tiers import asking
from s3filters.tiers.base import File
from tests.functional.asking import body_of, refusal
from tests.scoutfs import calls
from tests.scoutfs.cold import ALWAYS, DATA, RESTORE, Cold, end_said

DAY = 86400
IN_PROGRESS = (409, "RestoreAlreadyInProgress")
NOT_ARCHIVED = (403, "InvalidObjectState")


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Cold]:
    return lambda **options: Cold(folder, tmp_path, **options)


@pytest.fixture(params=["versity", "aws"])
def cold(request: pytest.FixtureRequest, make: Callable[..., Cold]) -> Cold:
    """What is true with either header."""
    return make(restore_header=request.param)


@pytest.fixture
def aws(make: Callable[..., Cold]) -> Cold:
    return make(restore_header="aws")


def refused(cold: Cold, key: str, days: int = 1, **job: Any) -> tuple[int, str]:
    request: dict[str, Any] = {"Days": days}
    if job:
        request["GlacierJobParameters"] = job
    return refusal(cold.s3.restore_object, Bucket="box", Key=key, RestoreRequest=request)


def midnight(days: int) -> str:
    """Return the end of a copy that is restored now."""
    end = (int(time.time()) // DAY + days + 1) * DAY
    return time.strftime("%a, %d %b %Y 00:00:00 GMT", time.gmtime(end))


# --- the story -----------------------------------------------------------------------------------


def test_an_object_comes_back_and_goes_again(cold: Cold) -> None:
    cold.offline("key")
    assert cold.restore("key", 3, Tier="Bulk") == 202
    assert cold.flags("key") == STAGING
    assert cold.head("key") == ("GLACIER", 'ongoing-request="true"')
    assert refusal(cold.s3.get_object, Bucket="box", Key="key") == NOT_ARCHIVED
    cold.stage("key")
    said, restored = cold.head("key")
    assert said in ("STANDARD", None)
    assert end_said(restored) == midnight(3)
    assert body_of(cold.s3, "key") == DATA
    record = cold.record("key")
    assert record is not None
    assert (record["days"], record["tier"]) == (3, "Bulk")
    cold.expire("key")
    cold.archive("key")
    assert cold.head("key")[0] == "GLACIER"
    assert refusal(cold.s3.get_object, Bucket="box", Key="key") == NOT_ARCHIVED
    assert cold.restore("key") == 202


def test_the_second_request_waits_for_the_first(cold: Cold) -> None:
    cold.offline("key")
    assert cold.restore("key") == 202
    before = cold.record("key")
    assert refused(cold, "key") == IN_PROGRESS
    assert refused(cold, "key", 30) == IN_PROGRESS
    assert cold.record("key") == before


def test_a_faster_tier_is_taken_and_changes_nothing_else(cold: Cold) -> None:
    cold.offline("key")
    assert cold.restore("key", 3, Tier="Bulk") == 202
    assert refused(cold, "key", 9, Tier="Bulk") == IN_PROGRESS
    assert cold.restore("key", 9, Tier="Standard") == 202
    assert cold.restore("key", 9, Tier="Expedited") == 202
    assert refused(cold, "key", 9, Tier="Standard") == IN_PROGRESS
    record = cold.record("key")
    assert record is not None
    assert (record["days"], record["tier"]) == (3, "Expedited")


def test_staging_that_somebody_else_asked_for_is_in_progress_too(cold: Cold) -> None:
    cold.offline("key")
    cold.flag("key", add=STAGING)
    assert refused(cold, "key", Tier="Expedited") == IN_PROGRESS
    assert cold.record("key") is None


def test_an_object_that_is_back_can_be_kept_for_longer_or_shorter(cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key", 3)
    cold.stage("key")
    for days in (30, 1):
        assert cold.restore("key", days) == 200
        assert end_said(cold.head("key")[1]) == midnight(days)
    assert cold.flags("key") == 0


def test_days_are_counted_from_when_the_data_are_back(cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key", 2)
    long_ago = {**(cold.record("key") or {}), "requested_ns": time.time_ns() - 10 * DAY * 10**9}
    os.setxattr(cold.box / "key", RESTORE, json.dumps(long_ago).encode())
    cold.stage("key")
    assert end_said(cold.head("key")[1]) == midnight(2)


def test_the_end_is_written_down_when_the_data_are_first_seen(cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key", 2)
    assert (cold.record("key") or {}).get("end_s") is None
    cold.stage("key")
    cold.head("key")
    assert (cold.record("key") or {})["end_s"] % DAY == 0
    tomorrow = (int(time.time()) // DAY + 1) * DAY
    cold.expire("key", tomorrow)
    assert end_said(cold.head("key")[1]) == midnight(0)


def test_what_cannot_be_written_down_is_said_all_the_same(
    cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.offline("key")
    cold.restore("key", 2)
    cold.stage("key")

    def fail(*_: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(restores, "write", fail)
    assert end_said(cold.head("key")[1]) == midnight(2)
    assert body_of(cold.s3, "key") == DATA


def test_a_failure_can_be_repeated(cold: Cold) -> None:
    cold.offline("key")
    cold.restore("key")
    cold.flag("key", add=STAGE_FAILED)
    assert cold.head("key")[1] != 'ongoing-request="true"'
    assert cold.restore("key") == 202
    assert cold.flags("key") == STAGING


def test_other_flags_of_the_archiver_stay(cold: Cold) -> None:
    cold.offline("key")
    cold.flag("key", add=NO_ARCHIVE | 1 << 40)
    cold.restore("key")
    assert cold.flags("key") == STAGING | NO_ARCHIVE | 1 << 40


def test_what_was_never_archived(make: Callable[..., Cold], tmp_path: Path) -> None:
    versity, aws = make(), make(restore_header="aws")
    versity.put("key")
    versity.s3.put_object(Bucket="box", Key="folder/")
    for key in ("key", "folder/"):
        assert versity.restore(key) == 200
        assert refused(aws, key) == NOT_ARCHIVED
        assert versity.head(key)[1] == ALWAYS
    assert versity.record("key") is None
    assert versity.flags("key") == 0


def test_what_is_not_there_cannot_be_restored(cold: Cold) -> None:
    assert refused(cold, "nothing") == (404, "NoSuchKey")
    assert refused(cold, "no/such/folder") == (404, "NoSuchKey")
    request = {"Bucket": "nobucket", "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refusal(cold.s3.restore_object, **request) == (404, "NoSuchBucket")
    cold.offline("key")
    request = {"Bucket": "box", "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refusal(cold.s3.restore_object, **request, VersionId="x" * 32)[0] == 404
    assert cold.record("key") is None


@pytest.mark.parametrize(
    "document",
    [
        "",
        "<RestoreRequest/>",
        "<RestoreRequest><Days>0</Days></RestoreRequest>",
        "<RestoreRequest><Days>-1</Days></RestoreRequest>",
        "<RestoreRequest><Days>1</Days><GlacierJobParameters><Tier>Warp</Tier>"
        "</GlacierJobParameters></RestoreRequest>",
    ],
)
def test_a_request_that_cannot_be_meant_does_nothing(cold: Cold, document: str) -> None:
    cold.offline("key")
    answer = cold.ask("POST", "/box/key?restore", document.encode())
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert (cold.flags("key"), cold.record("key")) == (0, None)


def test_queries_of_archived_objects_are_not_implemented(cold: Cold) -> None:
    cold.offline("key")
    document = b"<RestoreRequest><Type>SELECT</Type></RestoreRequest>"
    answer = cold.ask("POST", "/box/key?restore", document)
    assert (answer.status, answer.code) == (501, "NotImplemented")


def test_the_etag_and_the_bytes_are_those_of_before(cold: Cold) -> None:
    cold.put("key")
    before = cold.s3.head_object(Bucket="box", Key="key")
    cold.archive("key")
    cold.restore("key")
    cold.stage("key")
    after = cold.s3.head_object(Bucket="box", Key="key")
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])


def test_an_overwritten_object_was_never_asked_for(aws: Cold) -> None:
    aws.offline("key")
    aws.restore("key")
    aws.put("key", b"new")
    assert aws.head("key") == (None, None)
    assert refused(aws, "key") == NOT_ARCHIVED


# --- together with the archiver ------------------------------------------------------------------


def test_of_many_requests_at_once_one_begins(cold: Cold) -> None:
    cold.offline("key")
    document = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(cold.ask, "POST", "/box/key?restore", document) for _ in range(16)]
        statuses = sorted(one.result(30).status for one in asked)
    cold.work()
    assert statuses == [202] + [409] * 15
    assert cold.flags("key") == STAGING


def test_what_the_archiver_changes_meanwhile_is_not_lost(
    cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.offline("key")
    change = scoutfs.change_sam_flags

    def archiver_first(fd: int, **bits: int) -> int:
        os.setxattr(fd, scoutfs.SAM_FLAGS, b"%d" % NO_ARCHIVE)
        return change(fd, **bits)

    monkeypatch.setattr(scoutfs, "change_sam_flags", archiver_first)
    assert cold.restore("key") == 202
    monkeypatch.undo()
    assert cold.flags("key") == NO_ARCHIVE | STAGING


def test_who_cannot_set_flags_says_so_and_writes_nothing_down(
    cold: Cold, monkeypatch: pytest.MonkeyPatch
) -> None:
    cold.offline("key")
    monkeypatch.setattr(cold.tiering.driver, "_privileged", False)
    assert refused(cold, "key") == (501, "NotImplemented")
    assert cold.record("key") is None
    monkeypatch.undo()
    assert cold.restore("key") == 202


def test_a_flag_that_cannot_be_set_is_tried_again(
    cold: Cold, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cold.offline("key")
    change, errors = scoutfs.change_sam_flags, [OSError(5, "no"), OSError(11, "not now")]

    def fail(fd: int, **bits: int) -> int:
        if errors:
            raise errors.pop()
        return change(fd, **bits)

    monkeypatch.setattr(asking, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(scoutfs, "change_sam_flags", fail)
    assert cold.restore("key") == 202
    assert cold.flags("key") == STAGING
    assert "cannot be flagged: not now" in caplog.text


def test_what_was_replaced_before_its_turn_is_not_flagged(cold: Cold) -> None:
    cold.offline("key")
    before = File(cold.backend.path_of("box", "key"), (cold.box / "key").stat().st_ino)
    cold.offline("key")
    assert cold.tiering.driver is not None
    assert list(cold.tiering.driver.stage([before])) == []
    assert cold.flags("key") == 0


def test_until_the_flag_is_set_a_request_is_in_progress_all_the_same(cold: Cold) -> None:
    cold.offline("key")
    document = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    assert cold.ask("POST", "/box/key?restore", document).status == 202
    assert cold.flags("key") == 0
    assert cold.head("key") == ("GLACIER", 'ongoing-request="true"')
    assert refused(cold, "key") == IN_PROGRESS
    cold.work()
    assert cold.flags("key") == STAGING
    assert (cold.record("key") or {})["flagged"] is True


def test_without_a_driver_nobody_can_be_asked(make: Callable[..., Cold]) -> None:
    cold = make(driver="none")
    cold.offline("key")
    assert refused(cold, "key") == (501, "NotImplemented")
    assert cold.record("key") is None


def test_nobody_waits_for_the_tape(cold: Cold) -> None:
    for number in range(3):
        cold.offline(f"key{number}")
        cold.restore(f"key{number}")
    fd = os.open(cold.root, os.O_RDONLY)
    assert calls.waiting(fd) == []
    os.close(fd)


def test_what_somebody_else_wrote_into_our_attribute_means_nothing(cold: Cold) -> None:
    cold.offline("key")
    for value in (b"", b"x", b"[]", b'{"requested_ns":"1","days":1}', b'{"days":-1}'):
        os.setxattr(cold.box / "key", "user.s3filters.restore", value)
        assert cold.head("key")[0] == "GLACIER"
    assert cold.restore("key") == 202
