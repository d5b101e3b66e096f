"""The story of an object on tape, as real clients see it: the daemon on a double of ScoutFS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import daemon
from tests.daemon import Daemon
from tests.scoutfs import calls
from tests.scoutfs.mounted import REPOSITORY, mounted, need

pytestmark = pytest.mark.client

DATA = b"a thing worth keeping " * 1000
INI = REPOSITORY / "etc" / "scoutfs.ini"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    need()
    where = tmp_path_factory.mktemp("cold")
    with mounted(where):
        (where / "root" / "box").mkdir(parents=True)
        with daemon.running(where / "root", extra=("--conf", str(INI))) as running:
            yield running


def environment(served: Daemon, tmp: Path) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **others,
        "HOME": str(tmp),
        "AWS_ACCESS_KEY_ID": daemon.ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": daemon.SECRET_KEY,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": served.url,
        "RCLONE_CONFIG_COLD_TYPE": "s3",
        "RCLONE_CONFIG_COLD_PROVIDER": "Other",
        "RCLONE_CONFIG_COLD_ENV_AUTH": "true",
        "RCLONE_CONFIG_COLD_ENDPOINT": served.url,
    }


@pytest.fixture
def run(served: Daemon, tmp_path: Path) -> Run:
    """Runs a client; it is skipped where it is not installed."""

    def run(*words: str, status: int | None = 0) -> subprocess.CompletedProcess[str]:
        if shutil.which(words[0]) is None:
            pytest.skip(f"no {words[0]} here")
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=60,
            env=environment(served, tmp_path),
            check=False,
        )
        assert status in (None, done.returncode), done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def put(served: Daemon, run: Run, tmp_path: Path) -> Callable[[str], Path]:
    """Puts an object with aws; returns its file."""

    def put(key: str) -> Path:
        source = tmp_path / "source"
        source.write_bytes(DATA)
        run("aws", "s3", "cp", str(source), f"s3://box/{key}")
        return served.root / "box" / key

    return put


def test_aws_archives_restores_and_reads(
    run: Run, put: Callable[[str], Path], tmp_path: Path
) -> None:
    path = put("aws/key")
    where = ("--bucket", "box", "--key", "aws/key")
    tape = calls.make_offline(path)
    head = json.loads(run("aws", "s3api", "head-object", *where).stdout)
    assert (head["StorageClass"], head["Restore"]) == ("GLACIER", 'ongoing-request="false"')
    got = tmp_path / "got"
    refused = run("aws", "s3api", "get-object", *where, str(got), status=None)
    assert refused.returncode
    assert "InvalidObjectState" in refused.stderr
    request = "Days=2,GlacierJobParameters={Tier=Bulk}"
    restore = ("aws", "s3api", "restore-object", *where, "--restore-request", request)
    run(*restore)
    again = run(*restore, status=None)
    assert "RestoreAlreadyInProgress" in again.stderr
    head = json.loads(run("aws", "s3api", "head-object", *where).stdout)
    assert head["Restore"] == 'ongoing-request="true"'
    calls.bring_back(path, tape)
    head = json.loads(run("aws", "s3api", "head-object", *where).stdout)
    assert "2050" not in head["Restore"]
    run("aws", "s3", "cp", "s3://box/aws/key", str(got))
    assert got.read_bytes() == DATA


def test_aws_syncs_what_is_here_and_warns_of_the_rest(
    run: Run, put: Callable[[str], Path], tmp_path: Path
) -> None:
    for key in ("here1", "here2"):
        put(f"sync/{key}")
    calls.make_offline(put("sync/tape"))
    target = tmp_path / "synced"
    done = run("aws", "s3", "sync", "s3://box/sync", str(target), status=2)
    assert "GLACIER" in done.stderr
    assert sorted(path.name for path in target.iterdir()) == ["here1", "here2"]


def test_rclone_asks_for_all_that_is_on_tape(
    run: Run, served: Daemon, put: Callable[[str], Path]
) -> None:
    paths = [put(f"rclone/{number}") for number in range(3)]
    tapes = [calls.make_offline(path) for path in paths]
    asked = run(
        *("rclone", "backend", "restore", "cold:box/rclone"),
        *("-o", "priority=Bulk", "-o", "lifetime=1"),
    )
    statuses = json.loads(asked.stdout)
    assert [one["Status"] for one in statuses] == ["OK"] * 3
    for path, tape in zip(paths, tapes, strict=True):
        calls.bring_back(path, tape)
        assert run("rclone", "cat", f"cold:box/rclone/{path.name}").stdout.encode() == DATA
