"""What the file system refuses: full, out of quota, read-only, broken, out of descriptors.

Each fault gives the S3 error that names it, leaves nothing behind, keeps what was there, and is
over when its cause is.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.crash.lab import folder, image, mounted, need, run
from tests.daemon import Daemon, running
from tests.raw import Answer, Connection, RawConnection

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120)]

XFS_IOC_GOINGDOWN = 0x8004587D  # xfs_fs.h
NO_LOG_FLUSH = 2
BIG = bytes(16 << 20)
OLD = b"the object that was there before"


@contextmanager
def serving(root: Path, **options: object) -> Iterator[tuple[Daemon, Connection]]:
    """A daemon over a folder with one bucket and one object in it."""
    with running(root, durability="full", **options) as daemon, daemon.connect() as connection:  # type: ignore[arg-type]
        assert connection.ask("PUT", "/bkt").status == 200
        assert connection.ask("PUT", "/bkt/old", OLD).status == 200
        yield daemon, connection


def left(root: Path) -> dict[str, int]:
    """Every file with bytes in it, and every file that has a name outside ``.sgwtmp``."""
    files = [path for path in (root / "bkt").rglob("*") if path.is_file()]
    sizes = {str(path.relative_to(root)): path.stat().st_size for path in files}
    return {name: size for name, size in sizes.items() if size or ".sgwtmp" not in name}


def refused(answer: Answer, status: int, code: str, daemon: Daemon) -> None:
    """The answer is this error, and the daemon took it calmly: old object there, nothing new."""
    assert (answer.status, answer.code) == (status, code), answer.body
    assert left(daemon.root) == {"bkt/old": len(OLD)}
    with daemon.connect() as connection:
        assert connection.ask("GET", "/bkt/old").body == OLD
    assert "Traceback" not in daemon.words()


@pytest.mark.parametrize("kind", ["ext4", "tmpfs"])
def test_a_full_file_system_gives_insufficient_storage_and_keeps_nothing(kind: str) -> None:
    need("mkfs.ext4", "losetup")
    with folder() as base:
        root = (
            mounted(base / "root", "-t", "tmpfs", "-o", "size=12m", "lab")
            if kind == "tmpfs"
            else image(base / "image", "ext4", base / "root", "14M")
        )
        with root as where, serving(where) as (daemon, connection):
            free = os.statvfs(where).f_bfree
            for target in ("/bkt/new", "/bkt/old", "/bkt/deep/er/new"):
                refused(connection.ask("PUT", target, BIG), 507, "InsufficientStorage", daemon)
            run("sync")
            assert os.statvfs(where).f_bfree >= free - 64
            assert connection.ask("PUT", "/bkt/small", b"fits").status == 200


def test_no_inodes_left_gives_insufficient_storage() -> None:
    need("losetup")
    with (
        folder() as base,
        mounted(base / "root", "-t", "tmpfs", "-o", "size=12m,nr_inodes=24", "lab") as where,
        serving(where) as (daemon, connection),
    ):
        answers = [connection.ask("PUT", f"/bkt/n{number}", b"x") for number in range(30)]
        failed = [number for number, answer in enumerate(answers) if answer.status != 200]
        assert failed
        assert {(answers[n].status, answers[n].code) for n in failed} == {
            (507, "InsufficientStorage")
        }
        kept = {f"bkt/n{number}": 1 for number in range(30) if number not in failed}
        assert left(where) == {"bkt/old": len(OLD), **kept}
        assert "Traceback" not in daemon.words()


def test_a_quota_gives_quota_exceeded_and_keeps_nothing() -> None:
    need("mkfs.btrfs", "btrfs", "losetup")
    with folder() as base, image(base / "image", "btrfs", base / "top", "256M") as top:
        run("btrfs", "quota", "enable", str(top))
        run("btrfs", "subvolume", "create", str(top / "root"))
        run("btrfs", "qgroup", "limit", "8M", str(top / "root"))
        with serving(top / "root") as (daemon, connection):
            for target in ("/bkt/new", "/bkt/old"):
                refused(connection.ask("PUT", target, BIG), 403, "QuotaExceeded", daemon)
            run("sync")
            assert connection.ask("PUT", "/bkt/small", b"fits").status == 200


def test_a_read_only_file_system_refuses_writes_and_serves_reads() -> None:
    need("mkfs.ext4", "losetup")
    with (
        folder() as base,
        image(base / "image", "ext4", base / "root", "14M") as where,
        serving(where) as (daemon, connection),
    ):
        run("mount", "-o", "remount,ro", str(where))
        asked = [
            connection.ask("PUT", "/bkt/new", b"x"),
            connection.ask("PUT", "/bkt/old", b"x"),
            connection.ask("PUT", "/bkt/directory/"),
            connection.ask("DELETE", "/bkt/old"),
            connection.ask("PUT", "/bucket"),
            connection.ask("DELETE", "/bkt"),
        ]
        for answer in asked[:5]:
            refused(answer, 405, "MethodNotAllowed", daemon)
        assert asked[5].code in {"BucketNotEmpty", "MethodNotAllowed"}
        run("mount", "-o", "remount,rw", str(where))
        assert connection.ask("PUT", "/bkt/old", b"again").status == 200


def test_a_broken_file_system_gives_internal_error_and_the_daemon_lives() -> None:
    need("mkfs.xfs", "losetup")
    with (
        folder() as base,
        image(base / "image", "xfs", base / "root", "320M") as where,
        serving(where) as (daemon, connection),
    ):
        broken = os.open(where, os.O_RDONLY)
        fcntl.ioctl(broken, XFS_IOC_GOINGDOWN, struct.pack("I", NO_LOG_FLUSH))
        os.close(broken)
        for method, target in (
            *(("PUT", "/bkt/new"), ("PUT", "/bkt/old"), ("DELETE", "/bkt/old"), ("PUT", "/new")),
            *(("GET", "/bkt/old"), ("GET", "/bkt"), ("GET", "/"), ("DELETE", "/bkt")),
        ):
            answer = connection.ask(method, target, b"x" if target == "/bkt/new" else b"")
            assert (answer.status, answer.code) == (500, "InternalError"), answer.body
        assert "s3filters.pipeline.catch_errors" not in daemon.words(), "an error that nobody named"
        assert connection.send("GET", "/healthz").status == 200
        assert daemon.process.poll() is None


def test_a_late_write_error_is_never_acknowledged() -> None:
    """The image is sparse on a full tmpfs: writes succeed, and fsync finds no room."""
    need("mkfs.ext4", "losetup")
    with (
        folder() as base,
        mounted(base / "memory", "-t", "tmpfs", "-o", "size=24m", "lab") as memory,
        image(memory / "image", "ext4", base / "root", "200M") as where,
        serving(where) as (daemon, connection),
    ):
        with suppress(OSError), (memory / "filler").open("wb") as filler:
            while filler.write(bytes(4096)):
                filler.flush()
        answer = connection.ask("PUT", "/bkt/new", BIG)
        assert answer.status in (405, 500, 507), answer.body
        assert daemon.process.poll() is None
        (memory / "filler").unlink()


def test_running_out_of_descriptors_gives_slow_down_and_ends_when_they_are_back(
    tmp_path: Path,
) -> None:
    need("prlimit")
    limited = ("prlimit", "--nofile=80:80", "--")
    with serving(tmp_path, prefix=limited) as (daemon, connection):
        idle: list[RawConnection] = []
        for _ in range(120):
            idle.append(RawConnection(daemon.port, 5))
        answers = [connection.ask("GET", "/bkt/old") for _ in range(5)]
        answers += [connection.ask("PUT", "/bkt/new", b"x") for _ in range(5)]
        for answer in answers:
            if answer.status != 200:
                assert (answer.status, answer.code) == (503, "SlowDown")
        for one in idle:
            one.close()
        wait_until_served(daemon)
        assert daemon.process.poll() is None
        assert "Traceback" not in daemon.words()


def wait_until_served(daemon: Daemon) -> None:
    """New connections are taken again."""
    for _attempt in range(10):
        with suppress(socket.timeout, ConnectionError), daemon.connect(3) as connection:
            assert connection.ask("PUT", "/bkt/after", b"x").status == 200
            return
    raise AssertionError("no connection is accepted after the descriptors are free again")
