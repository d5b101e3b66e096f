"""Every answer that tells where an object's data are tells the same, and never reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from s3filters.backends.fs import reading
from s3filters.store import Store, extents
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from tests.functional.asking import body_of, document, fields, refusal
from tests.scoutfs import calls
from tests.scoutfs.cold import ALWAYS, DATA, Cold

BLOCK = 4096


@pytest.fixture
def make(folder: Path, tmp_path: Path) -> Callable[..., Cold]:
    return lambda **options: Cold(folder, tmp_path, **options)


@pytest.fixture
def cold(make: Callable[..., Cold]) -> Cold:
    return make()


@pytest.fixture
def aws(make: Callable[..., Cold]) -> Cold:
    return make(restore_header="aws")


def release_first(cold: Cold, key: str) -> None:
    """Release the first block of an object alone."""
    fd = os.open(cold.box / key, os.O_RDWR)
    calls.release(fd, 0, BLOCK, calls.stat_more(fd)[2])
    os.close(fd)


TABLE = [  # what is done to an object, the class, x-amz-restore as Versity has it, as AWS has it
    ("online", 0, "STANDARD", ALWAYS, None),
    ("online", STAGING, "STANDARD", ALWAYS, None),
    ("offline", 0, "GLACIER", 'ongoing-request="false"', None),
    ("offline", NO_ARCHIVE, "GLACIER", 'ongoing-request="false"', None),
    ("offline", STAGING, "GLACIER", 'ongoing-request="true"', 'ongoing-request="true"'),
    ("offline", STAGING | STAGE_FAILED, "GLACIER", 'ongoing-request="false"', None),
    ("partly", 0, "GLACIER", 'ongoing-request="false"', None),
    ("partly", STAGING, "GLACIER", 'ongoing-request="true"', 'ongoing-request="true"'),
]


def made(cold: Cold, blocks: str, flags: int) -> None:
    cold.put("key")
    if blocks == "offline":
        cold.archive("key")
    elif blocks == "partly":
        release_first(cold, "key")
    cold.flag("key", add=flags)


@pytest.mark.parametrize(("blocks", "flags", "said", "versity", "_aws"), TABLE)
def test_head_says_what_the_table_of_versitys_gateway_says(
    cold: Cold, blocks: str, flags: int, said: str, versity: str, _aws: str | None
) -> None:
    made(cold, blocks, flags)
    assert cold.head("key") == (said, versity)


@pytest.mark.parametrize(("blocks", "flags", "said", "_versity", "as_aws"), TABLE)
def test_head_says_what_aws_says_if_it_is_told_to(
    aws: Cold, blocks: str, flags: int, said: str, _versity: str, as_aws: str | None
) -> None:
    made(aws, blocks, flags)
    assert aws.head("key") == (None if said == "STANDARD" else said, as_aws)


@pytest.mark.parametrize("flags", [0, STAGING, STAGE_FAILED])
@pytest.mark.parametrize("blocks", ["offline", "partly"])
def test_what_is_not_all_here_is_refused_and_not_read(cold: Cold, blocks: str, flags: int) -> None:
    made(cold, blocks, flags)
    answer = cold.ask("GET", "/box/key")
    assert answer.status == 403
    said = fields(answer)
    assert (said["Code"], said["StorageClass"]) == ("InvalidObjectState", "GLACIER")
    assert cold.ask("GET", "/box/key", headers={"Range": "bytes=0-0"}).status == 403
    assert refusal(cold.s3.get_object, Bucket="box", Key="key", PartNumber=1)[0] == 403


def test_a_range_that_is_here_is_served_if_that_is_wanted(
    make: Callable[..., Cold], monkeypatch: pytest.MonkeyPatch
) -> None:
    """FUSE has no FIEMAP, so the double's place is taken by what the test released."""
    monkeypatch.setattr(extents, "are_here", lambda fd, offset, count: offset >= BLOCK)
    cold = make(online_ranges="true")
    cold.put("part")
    release_first(cold, "part")
    assert body_of(cold.s3, "part", Range=f"bytes={BLOCK}-") == DATA[BLOCK:]
    for refused in (f"bytes={BLOCK - 1}-", "bytes=0-0", f"bytes=-{len(DATA)}"):
        assert cold.ask("GET", "/box/part", headers={"Range": refused}).status == 403
    assert cold.ask("GET", "/box/part").status == 403
    cold.offline("tape")  # of which nothing is here, so nobody need ask
    assert cold.ask("GET", "/box/tape", headers={"Range": f"bytes={BLOCK}-"}).status == 403
    assert make().ask("GET", "/box/part", headers={"Range": f"bytes={BLOCK}-"}).status == 403


def test_a_client_that_has_the_object_is_told_so_without_the_tape(cold: Cold) -> None:
    cold.offline("key")
    etag = cold.s3.head_object(Bucket="box", Key="key")["ETag"]
    assert refusal(cold.s3.get_object, Bucket="box", Key="key", IfNoneMatch=etag)[0] == 304
    assert refusal(cold.s3.get_object, Bucket="box", Key="key", IfMatch='"x"')[0] == 412


def test_what_came_back_is_served_with_the_etag_that_it_had(cold: Cold) -> None:
    cold.put("key")
    before = cold.s3.head_object(Bucket="box", Key="key")
    cold.archive("key")
    assert cold.s3.head_object(Bucket="box", Key="key")["ETag"] == before["ETag"]
    cold.stage("key")
    got = cold.s3.get_object(Bucket="box", Key="key")
    assert (got["ETag"], got["Body"].read()) == (before["ETag"], DATA)
    assert got["Restore"] == ALWAYS


def classes(cold: Cold) -> Iterator[dict[str, str]]:
    """Return the classes that each kind of listing shows, by key."""
    for operation, entries in (
        (cold.s3.list_objects, "Contents"),
        (cold.s3.list_objects_v2, "Contents"),
        (cold.s3.list_object_versions, "Versions"),
    ):
        yield {entry["Key"]: entry["StorageClass"] for entry in operation(Bucket="box")[entries]}


def test_all_listings_show_the_class_of_the_blocks(cold: Cold) -> None:
    cold.put("a/online")
    cold.offline("a/tape")
    cold.s3.put_object(Bucket="box", Key="b/")
    cold.put("part")
    release_first(cold, "part")
    wanted = {"a/online": "STANDARD", "a/tape": "GLACIER", "b/": "STANDARD", "part": "GLACIER"}
    assert list(classes(cold)) == [wanted] * 3


def test_attributes_show_it_too(cold: Cold) -> None:
    cold.put("online")
    cold.offline("tape")
    for key, said in (("online", "STANDARD"), ("tape", "GLACIER")):
        asked = {"Bucket": "box", "Key": key, "ObjectAttributes": ["StorageClass", "ObjectSize"]}
        found = cold.s3.get_object_attributes(**asked)
        assert (found["StorageClass"], found["ObjectSize"]) == (said, len(DATA))


def test_nothing_is_copied_from_tape(cold: Cold) -> None:
    cold.offline("tape")
    source = {"Bucket": "box", "Key": "tape"}
    refused = (403, "ObjectNotInActiveTierError")
    assert refusal(cold.s3.copy_object, Bucket="box", Key="new", CopySource=source) == refused
    own = {"Bucket": "box", "Key": "tape", "CopySource": source, "StorageClass": "STANDARD_IA"}
    assert refusal(cold.s3.copy_object, **own) == refused
    upload = cold.s3.create_multipart_upload(Bucket="box", Key="new")["UploadId"]
    part = {"Bucket": "box", "Key": "new", "UploadId": upload, "PartNumber": 1}
    assert refusal(cold.s3.upload_part_copy, **part, CopySource=source) == refused
    assert not (cold.box / "new").exists()
    cold.stage("tape")
    cold.s3.copy_object(Bucket="box", Key="new", CopySource=source)
    assert body_of(cold.s3, "new") == DATA


def test_an_object_on_tape_can_be_replaced_and_deleted(cold: Cold) -> None:
    for key in ("a", "b"):
        cold.offline(key)
    cold.put("a", b"new")
    assert body_of(cold.s3, "a") == b"new"
    assert cold.head("a") == ("STANDARD", ALWAYS)
    cold.s3.delete_object(Bucket="box", Key="b")
    assert not (cold.box / "b").exists()


def test_flags_that_are_no_number_break_no_listing(cold: Cold) -> None:
    cold.offline("key")
    os.setxattr(cold.box / "key", "scoutfs.hide.sam_flags", b"what")
    assert cold.head("key") == ("GLACIER", 'ongoing-request="false"')
    assert next(classes(cold)) == {"key": "GLACIER"}


def test_empty_objects_and_directories_are_never_on_tape(cold: Cold) -> None:
    cold.put("empty", b"")
    cold.s3.put_object(Bucket="box", Key="folder/")
    assert cold.head("empty") == ("STANDARD", ALWAYS)
    assert cold.head("folder/") == ("STANDARD", ALWAYS)


def test_one_question_is_asked_for_each_object(cold: Cold) -> None:
    for number in range(20):
        cold.put(f"key{number:02}")
    for key in ("key03", "key07"):
        cold.archive(key)
    cold.s3.list_objects_v2(Bucket="box")
    calls.reset_counts(cold.root.parents[1])
    cold.s3.list_objects_v2(Bucket="box")
    counted = calls.counts(cold.root.parents[1])
    assert counted["ioctl"] == 20, counted
    assert not counted.get("read"), counted
    calls.reset_counts(cold.root.parents[1])
    cold.s3.head_object(Bucket="box", Key="key03")
    counted = calls.counts(cold.root.parents[1])
    assert counted["ioctl"] == 1, counted


def test_refusals_hold_nobody_up(cold: Cold) -> None:
    """Had any of them read a byte, its thread would wait for the tape."""
    cold.offline("tape")
    cold.put("online")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(cold.ask, "GET", "/box/tape") for _ in range(32)]
        assert {one.result(20).status for one in asked} == {403}
    fd = os.open(cold.root, os.O_RDONLY)
    assert calls.waiting(fd) == []
    os.close(fd)
    assert body_of(cold.s3, "online") == DATA


def test_an_answer_that_is_read_in_blocks_ends_where_the_tape_begins(cold: Cold) -> None:
    """For servers that do not send files by themselves."""
    path = cold.put("key", bytes(2 * reading.BLOCK))
    with closing(Store(cold.root)) as store, store.open("box", "key") as opened:
        answer = reading.FileRange(opened, 0, 2 * reading.BLOCK, patient=False)
        blocks = iter(answer)
        assert len(next(blocks)) == reading.BLOCK
        data = calls.make_offline(path)
        assert list(blocks) == []
        calls.bring_back(path, data)
        assert sum(map(len, answer)) == len(data)


def test_without_the_filter_everything_is_standard(
    make: Callable[..., Cold], monkeypatch: pytest.MonkeyPatch
) -> None:
    cold = make()
    cold.offline("key")
    without = make()
    pipeline = without.app
    while type(pipeline).__name__ != "Glacier":
        above, pipeline = pipeline, pipeline.app
    monkeypatch.setattr(above, "app", pipeline.app)
    if hasattr(above, "_below"):
        above._below.clear()
    assert without.head("key")[1] is None
    assert next(classes(without)) == {"key": "STANDARD"}
    restore = {"Bucket": "box", "Key": "key", "RestoreRequest": {"Days": 1}}
    assert refusal(without.s3.restore_object, **restore)[0] == 501


def test_restore_status_is_listed_for_those_who_ask(cold: Cold) -> None:
    for key in ("asked", "back", "tape"):
        cold.offline(key)
    cold.put("online")
    for key in ("asked", "back"):
        assert cold.restore(key, 2) == 202
    cold.stage("back")
    end = cold.head("back")[1]
    assert end is not None
    told = {"OptionalObjectAttributes": ["RestoreStatus"]}
    for listing, entries in (
        (cold.s3.list_objects, "Contents"),
        (cold.s3.list_objects_v2, "Contents"),
        (cold.s3.list_object_versions, "Versions"),
    ):
        page = listing(Bucket="box", **told)[entries]
        found = {entry["Key"]: entry.get("RestoreStatus") for entry in page}
        assert found["asked"] == {"IsRestoreInProgress": True}
        assert found["back"]["IsRestoreInProgress"] is False
        assert found["back"]["RestoreExpiryDate"].strftime("%d %b %Y %H:%M:%S GMT") in end
        assert (found["tape"], found["online"]) == (None, None)
    plain = cold.ask("GET", "/box?list-type=2")
    assert document(plain).find(".//RestoreStatus") is None
