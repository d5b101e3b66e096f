"""A tree of Versity's gateway, some of it on tape: answers are those that it documents.

What we write in turn has its layout, so that it can serve it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paste.deploy import loadapp

from s3filters.store import scoutfs
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from tests import versity, wire
from tests.functional.asking import refusal
from tests.scoutfs import calls
from tests.scoutfs.cold import ALWAYS, INI, RESTORE

ONGOING, NOT_ASKED = 'ongoing-request="true"', 'ongoing-request="false"'
LISTINGS = (
    ("list_objects", "Contents"),
    ("list_objects_v2", "Contents"),
    ("list_object_versions", "Versions"),
)
LIMIT_S = 20
FLAGS = (0, STAGING, NO_ARCHIVE, STAGING | STAGE_FAILED)  # by hand, one file after the other


class Tree:
    """The tree behind the pipeline."""

    def __init__(self, folder: Path, tmp: Path) -> None:
        self.root = versity.unpack(folder)
        credentials = tmp / "credentials.jsonl"
        pair = {"access_key": versity.ACCESS_KEY, "secret_key": versity.SECRET_KEY}
        credentials.write_text(json.dumps({**pair, "created_at": 0, "enabled": True}))
        settings = {"root": str(self.root), "credentials": str(credentials)}
        app = loadapp(f"config:{INI}", global_conf=settings)
        self.s3: Any = wire.client(app, versity.ACCESS_KEY, versity.SECRET_KEY)

    def objects(self) -> Iterator[tuple[str, str, Path]]:
        """Yield bucket, key and file of every object that has bytes."""
        for bucket in sorted(os.listdir(self.root)):
            for entry in self.s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
                if entry["Size"]:
                    yield bucket, entry["Key"], self.root / bucket / entry["Key"]


@pytest.fixture
def tree(folder: Path, tmp_path: Path) -> Tree:
    return Tree(folder, tmp_path)


def flag(path: Path, flags: int) -> None:
    fd = os.open(path, os.O_RDONLY)
    scoutfs.change_sam_flags(fd, add=flags)
    os.close(fd)


def test_every_object_tells_where_it_is_and_keeps_its_etag(tree: Tree) -> None:
    objects = list(tree.objects())
    assert len(objects) > 10
    for number, (bucket, key, path) in enumerate(objects):
        where = {"Bucket": bucket, "Key": key}
        before = tree.s3.head_object(**where)
        assert (before["StorageClass"], before["Restore"]) == ("STANDARD", ALWAYS)
        if number % 3 == 2:
            continue
        flags = FLAGS[number % len(FLAGS)]
        calls.make_offline(path)
        flag(path, flags)
        after = tree.s3.head_object(**where)
        wanted = ONGOING if flags == STAGING else NOT_ASKED
        assert (after["StorageClass"], after["Restore"]) == ("GLACIER", wanted)
        for name in ("ETag", "LastModified", "ContentLength", "Metadata"):
            assert after[name] == before[name]
        assert refusal(tree.s3.get_object, **where) == (403, "InvalidObjectState")


def test_listings_attributes_and_copies_tell_the_same_of_each(tree: Tree) -> None:
    objects = list(tree.objects())
    taken = {where[:2] for where in objects[::2]}
    for bucket, key, path in objects:
        if (bucket, key) in taken:
            calls.make_offline(path)
    told: list[dict[tuple[str, str], str]] = [{}, {}, {}]
    for bucket in {where[0] for where in objects}:
        for found, operation, entries in zip(told, *zip(*LISTINGS, strict=True), strict=True):
            page = getattr(tree.s3, operation)(Bucket=bucket)[entries]
            found |= {(bucket, one["Key"]): one["StorageClass"] for one in page if one["Size"]}
    wanted = {(b, k): "GLACIER" if (b, k) in taken else "STANDARD" for b, k, _ in objects}
    assert told == [wanted] * 3
    for (bucket, key), said in wanted.items():
        where = {"Bucket": bucket, "Key": key}
        attributes = tree.s3.get_object_attributes(**where, ObjectAttributes=["StorageClass"])
        assert attributes["StorageClass"] == said
        if said == "GLACIER":
            copy = {"Bucket": bucket, "Key": "copied", "CopySource": where}
            assert refusal(tree.s3.copy_object, **copy) == (403, "ObjectNotInActiveTierError")


def flags_of(path: Path) -> bytes | None:
    """Return the archiver's attribute as it is stored."""
    try:
        return os.getxattr(path, scoutfs.SAM_FLAGS)
    except OSError:
        return None


def test_a_restore_leaves_its_attributes_and_sets_its_flag(tree: Tree) -> None:
    bucket, key, path = next(tree.objects())
    names = set(os.listxattr(path))
    values = {name: os.getxattr(path, name) for name in names}
    data = calls.make_offline(path)
    where = {"Bucket": bucket, "Key": key}
    tree.s3.restore_object(**where, RestoreRequest={"Days": 1})
    limit = time.monotonic() + LIMIT_S
    while flags_of(path) != b"%d" % STAGING:  # decimal text, as it reads it
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert set(os.listxattr(path)) == names | {RESTORE}
    assert {name: os.getxattr(path, name) for name in names} == values
    calls.bring_back(path, data)
    assert tree.s3.get_object(**where)["Body"].read() == data
