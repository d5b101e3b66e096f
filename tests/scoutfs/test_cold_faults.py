"""What is known to be wrong with cold objects elsewhere is right here: one test a fault.

The faults are those that reading and playing through Versity's gateway found.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3filters.store import scoutfs
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from tests.functional.asking import body_of, refusal
from tests.scoutfs import calls
from tests.scoutfs.cold import ALWAYS, DATA, Cold, end_said

AT_ONCE_S = 20  # for what would wait for a tape, and so for ever
NOT_ACTIVE = (403, "ObjectNotInActiveTierError")
EXT_CACHE = 8  # a bit of the archiver's that we have no word for


@pytest.fixture(params=["versity", "aws"])
def cold(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> Cold:
    """What is true with either header."""
    return Cold(folder, tmp_path, restore_header=request.param)


@contextmanager
def nobody_waits(cold: Cold) -> Iterator[Callable[..., Any]]:
    """Calls in a thread; raises what it raises. At the end nobody may wait for the tape."""
    with ThreadPoolExecutor(1) as pool:
        yield lambda verb, **words: pool.submit(refusal, verb, **words).result(AT_ONCE_S)
    fd = os.open(cold.root, os.O_RDONLY)
    try:
        assert calls.waiting(fd) == []
    finally:
        os.close(fd)


def restore(cold: Cold, days: str = "1", more: str = "") -> tuple[int, str]:
    body = f"<RestoreRequest><Days>{days}</Days>{more}</RestoreRequest>"
    answer = cold.ask("POST", "/box/key?restore", body.encode())
    cold.work()
    return answer.status, answer.code


def tier(name: str) -> str:
    return f"<GlacierJobParameters><Tier>{name}</Tier></GlacierJobParameters>"


# --- what touched the data ------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["key", "other"])
def test_a_copy_from_what_is_offline_does_not_hang(cold: Cold, target: str) -> None:
    cold.offline("key")
    words = {"Bucket": "box", "Key": target, "MetadataDirective": "REPLACE"}
    with nobody_waits(cold) as asked:
        refused = asked(cold.s3.copy_object, **words, CopySource="box/key")
    assert refused == NOT_ACTIVE


def test_a_part_copied_from_what_is_offline_does_not_hang(cold: Cold) -> None:
    cold.offline("key")
    upload = cold.s3.create_multipart_upload(Bucket="box", Key="new")["UploadId"]
    words = {"Bucket": "box", "Key": "new", "UploadId": upload, "PartNumber": 1}
    with nobody_waits(cold) as asked:
        refused = asked(cold.s3.upload_part_copy, **words, CopySource="box/key")
    assert refused == NOT_ACTIVE


def test_replacing_and_deleting_what_is_offline_does_not_stage_it(cold: Cold) -> None:
    for key in ("replaced", "deleted"):
        cold.offline(key)
    with ThreadPoolExecutor(2) as pool:
        pool.submit(cold.put, "replaced", b"new").result(AT_ONCE_S)
        pool.submit(cold.s3.delete_object, Bucket="box", Key="deleted").result(AT_ONCE_S)
    assert body_of(cold.s3, "replaced") == b"new"
    assert not (cold.box / "deleted").exists()


# --- what RestoreObject answered ------------------------------------------------------------------


def test_a_restore_is_not_always_200(cold: Cold) -> None:
    cold.offline("key")
    assert restore(cold) == (202, "")
    assert restore(cold) == (409, "RestoreAlreadyInProgress")
    cold.stage("key")
    assert restore(cold) == (200, "")


@pytest.mark.parametrize("days", ["0", "-1", "1.5", "soon", ""])
def test_days_that_are_none_are_refused(cold: Cold, days: str) -> None:
    cold.offline("key")
    assert restore(cold, days) == (400, "MalformedXML")
    assert (cold.flags("key"), cold.record("key")) == (0, None)


@pytest.mark.parametrize("name", ["Warp", "bulk", ""])
def test_a_tier_that_nobody_knows_is_refused(cold: Cold, name: str) -> None:
    cold.offline("key")
    assert restore(cold, more=tier(name)) == (400, "MalformedXML")
    assert (cold.flags("key"), cold.record("key")) == (0, None)


@pytest.mark.parametrize("name", ["Standard", "Bulk", "Expedited"])
def test_a_tier_that_is_one_is_written_down(cold: Cold, name: str) -> None:
    cold.offline("key")
    assert restore(cold, more=tier(name)) == (202, "")
    assert (cold.record("key") or {})["tier"] == name


@pytest.mark.parametrize("key", ["nothing", "key/below"])
def test_restoring_what_is_not_there_is_no_server_error(cold: Cold, key: str) -> None:
    cold.offline("key")
    words = {"Bucket": "box", "Key": key, "RestoreRequest": {"Days": 1}}
    assert refusal(cold.s3.restore_object, **words) == (404, "NoSuchKey")


# --- what was said of the object ------------------------------------------------------------------


def test_versions_and_attributes_do_not_say_standard(cold: Cold) -> None:
    cold.offline("key")
    (version,) = cold.s3.list_object_versions(Bucket="box")["Versions"]
    asked = {"Bucket": "box", "Key": "key", "ObjectAttributes": ["StorageClass"]}
    attributes = cold.s3.get_object_attributes(**asked)
    assert (version["StorageClass"], attributes["StorageClass"]) == ("GLACIER", "GLACIER")


def test_the_null_version_is_probed_as_the_object_is(cold: Cold) -> None:
    cold.offline("key")
    words = {"Bucket": "box", "Key": "key", "VersionId": "null"}
    assert cold.s3.head_object(**words)["StorageClass"] == "GLACIER"
    with nobody_waits(cold) as asked:
        assert asked(cold.s3.get_object, **words) == (403, "InvalidObjectState")


def test_what_was_restored_has_an_end_that_is_real(cold: Cold) -> None:
    cold.offline("key")
    restore(cold, "3")
    cold.stage("key")
    end = time.strptime(end_said(cold.head("key")[1]), "%a, %d %b %Y %H:%M:%S GMT")
    days = (time.mktime(end) - time.mktime(time.gmtime())) / 86400
    assert 3 <= days <= 4.1
    assert cold.head("key")[1] != ALWAYS


def test_a_stage_that_failed_is_shown_and_can_be_asked_for_again(cold: Cold) -> None:
    cold.offline("key")
    restore(cold)
    cold.flag("key", add=STAGE_FAILED)
    assert cold.head("key")[1] != 'ongoing-request="true"'
    assert restore(cold) == (202, "")
    assert cold.flags("key") & (STAGING | STAGE_FAILED) == STAGING


def test_flags_of_the_archiver_survive_a_restore(cold: Cold) -> None:
    cold.offline("key")
    cold.flag("key", add=NO_ARCHIVE | EXT_CACHE)
    restore(cold)
    assert cold.flags("key") == NO_ARCHIVE | EXT_CACHE | STAGING


@pytest.mark.parametrize("value", [b"-1", b"1.0", b'"1"', b"x"])
def test_flags_in_odd_words_are_no_server_error(cold: Cold, value: bytes) -> None:
    cold.offline("key")
    os.setxattr(cold.box / "key", scoutfs.SAM_FLAGS, value)
    assert cold.head("key")[0] == "GLACIER"
    (listed,) = cold.s3.list_objects_v2(Bucket="box")["Contents"]
    assert listed["StorageClass"] == "GLACIER"


def test_flags_with_blanks_around_them_are_a_number(cold: Cold) -> None:
    cold.offline("key")
    os.setxattr(cold.box / "key", scoutfs.SAM_FLAGS, b" 1\n")
    assert cold.head("key") == ("GLACIER", 'ongoing-request="true"')


def test_one_file_that_vanishes_or_breaks_does_not_fail_a_listing(cold: Cold) -> None:
    for key in ("a", "b", "c"):
        cold.offline(key)
    (cold.box / "b").unlink()
    (cold.box / "d").symlink_to("nowhere")
    listed = cold.s3.list_objects_v2(Bucket="box")["Contents"]
    assert [(one["Key"], one["StorageClass"]) for one in listed if one["Key"] in "abc"] == [
        ("a", "GLACIER"),
        ("c", "GLACIER"),
    ]


def test_conditions_come_before_the_state(cold: Cold) -> None:
    """As with AWS; the gateway answers InvalidObjectState whatever was asked."""
    etag = cold.s3.put_object(Bucket="box", Key="key", Body=DATA)["ETag"]
    cold.archive("key")
    words = {"Bucket": "box", "Key": "key"}
    assert refusal(cold.s3.get_object, **words, IfMatch='"other"')[0] == 412
    assert refusal(cold.s3.get_object, **words, IfNoneMatch=etag)[0] == 304
    assert refusal(cold.s3.get_object, **words, IfMatch=etag) == (403, "InvalidObjectState")
