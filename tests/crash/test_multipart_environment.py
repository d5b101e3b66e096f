"""A file system that refuses while an upload is under way: full, out of quota, read-only, broken.

Each fault gives the S3 error that names it, costs no part that was acknowledged, and when its cause
is over the upload can be completed and aborted.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.lab import folder, image, mounted, need, run
from tests.daemon import running
from tests.raw import Answer, Connection

pytestmark = [pytest.mark.crash, pytest.mark.timeout(60)]

XFS_IOC_GOINGDOWN = 0x8004587D  # xfs_fs.h
NO_LOG_FLUSH = 2
PART = bytes(range(256)) * (5 << 12)  # 5 MiB
LAST = b"the last part"
BIG = bytes(24 << 20)
INI = Path(__file__).parents[2] / "etc" / "s3filters.ini"


class Upload:
    """An upload of two parts, by a client that knows what was acknowledged."""

    def __init__(self, connection: Connection, key: str = "key") -> None:
        self.connection = connection
        self.target = f"/bkt/{key}"
        begun = connection.ask("POST", f"{self.target}?uploads=")
        assert begun.status == 200, begun.body
        upload_id = begun.body.partition(b"<UploadId>")[2].partition(b"<")[0].decode()
        self.query = f"{self.target}?uploadId={upload_id}"
        assert self.put(1, PART).status == 200
        assert self.put(2, LAST).status == 200

    def put(self, number: int, body: bytes) -> Answer:
        return self.connection.ask("PUT", f"{self.query}&partNumber={number}", body)

    def complete(self) -> Answer:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{hashlib.md5(body).hexdigest()}</ETag>"
            "</Part>"
            for number, body in ((1, PART), (2, LAST))
        )
        text = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        return self.connection.ask("POST", self.query, text.encode())

    def abort(self) -> Answer:
        return self.connection.ask("DELETE", self.query)

    def is_whole(self) -> bool:
        return self.connection.ask("GET", self.target).body == PART + LAST

    def numbers(self) -> list[int]:
        listed = self.connection.ask("GET", self.query).body.split(b"<PartNumber>")[1:]
        return [int(part.partition(b"<")[0]) for part in listed]


@contextmanager
def serving(root: Path, placement: str = "auto") -> Iterator[Connection]:
    """A connection to a daemon over a folder with one bucket."""
    with folder() as beside:
        ini = beside / "gateway.ini"
        ini.write_text(
            INI.read_text().replace("[app:fs]\n", f"[app:fs]\nplacement = {placement}\n")
        )
        with (
            running(root, durability="full", extra=("--conf", str(ini))) as daemon,
            daemon.connect() as connection,
        ):
            assert connection.ask("PUT", "/bkt").status in (200, 409)
            yield connection
            assert "s3filters.pipeline.catch_errors" not in daemon.words()


def fill(root: Path) -> Path:
    """Take all the space that there is, in steps that become smaller; return the file."""
    filler = root / "filler"
    with filler.open("wb", buffering=0) as out:
        for step in (1 << 20, 1 << 12):
            try:
                while out.write(bytes(step)):
                    os.fsync(out.fileno())
            except OSError:
                continue
    return filler


@pytest.mark.parametrize("placement", ["direct", "files"])
@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_full_file_system_costs_no_part_and_the_upload_is_completed_when_there_is_room(
    kind: str, placement: str
) -> None:
    need("mkfs.ext4", "losetup")
    with folder() as base:
        root = (
            mounted(base / "root", "-t", "tmpfs", "-o", "size=24m", "lab")
            if kind == "tmpfs"
            else image(base / "image", "ext4", base / "root", "28M")
        )
        with root as where, serving(where, placement) as connection:
            upload = Upload(connection)
            failed = upload.put(3, BIG)
            assert (failed.status, failed.code) == (507, "InsufficientStorage"), failed.body
            again = upload.put(2, BIG)
            assert (again.status, again.code) == (507, "InsufficientStorage"), again.body
            # Others have room again: a part that failed holds none.
            other = connection.ask("PUT", "/bkt/other", PART)
            assert other.status == 200, other.body
            assert connection.ask("DELETE", "/bkt/other").status == 204
            filler = fill(where)
            answer = upload.complete()
            if answer.status != 200:
                assert (answer.status, answer.code) == (507, "InsufficientStorage"), answer.body
                assert upload.numbers() == [1, 2]
            filler.unlink()
            run("sync", "--file-system", str(where))
            assert upload.complete().status == 200
            assert upload.is_whole()


def test_a_quota_costs_no_part_and_the_upload_is_completed_when_it_is_raised() -> None:
    need("mkfs.btrfs", "btrfs", "losetup")
    with folder() as base, image(base / "image", "btrfs", base / "top", "256M") as top:
        run("btrfs", "quota", "enable", str(top))
        run("btrfs", "subvolume", "create", str(top / "root"))
        run("btrfs", "qgroup", "limit", "16M", str(top / "root"))
        with serving(top / "root") as connection:
            upload = Upload(connection)
            failed = upload.put(2, BIG)
            assert (failed.status, failed.code) == (403, "QuotaExceeded"), failed.body
            assert upload.numbers() == [1, 2]
            run("sync", "--file-system", str(top))
            run("btrfs", "qgroup", "limit", "64M", str(top / "root"))
            assert upload.complete().status == 200
            assert upload.is_whole()


@pytest.mark.parametrize("placement", ["direct", "files"])
def test_a_read_only_file_system_costs_no_part(placement: str) -> None:
    need("mkfs.ext4", "losetup")
    with (
        folder() as base,
        image(base / "image", "ext4", base / "root", "28M") as where,
        serving(where, placement) as connection,
    ):
        uploads = [Upload(connection, "one"), Upload(connection, "two")]
        run("mount", "-o", "remount,ro", str(where))
        for upload in uploads:
            for answer in (upload.put(2, b"other"), upload.complete(), upload.abort()):
                assert (answer.status, answer.code) == (405, "MethodNotAllowed"), answer.body
            assert upload.numbers() == [1, 2]
        run("mount", "-o", "remount,rw", str(where))
        assert uploads[0].complete().status == 200
        assert uploads[0].is_whole()
        assert uploads[1].abort().status == 204
        assert uploads[1].complete().code == "NoSuchUpload"


@pytest.mark.parametrize("placement", ["direct", "files"])
def test_a_broken_file_system_costs_no_part_when_it_is_mounted_again(placement: str) -> None:
    need("mkfs.xfs", "losetup")
    with folder() as base:
        with (
            image(base / "image", "xfs", base / "root", "320M") as where,
            serving(where, placement) as connection,
        ):
            upload = Upload(connection)
            broken = os.open(where, os.O_RDONLY)
            fcntl.ioctl(broken, XFS_IOC_GOINGDOWN, struct.pack("I", NO_LOG_FLUSH))
            os.close(broken)
            for answer in (upload.put(2, b"other"), upload.complete(), upload.abort()):
                assert (answer.status, answer.code) == (500, "InternalError"), answer.body
        with (
            image(base / "image", "xfs", base / "root") as where,
            serving(where, placement) as connection,
        ):
            upload.connection = connection
            assert upload.numbers() == [1, 2]
            assert upload.complete().status == 200
            assert upload.is_whole()
