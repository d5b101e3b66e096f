"""The double for the length of a block: a process of its own that ends with this one."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scoutfs import device

LIFE_S = 600
STOP_LIMIT_S = 15
REPOSITORY = Path(__file__).resolve().parents[2]


def lacking() -> str:
    """Say why the double cannot be mounted here; empty when it can."""
    release = tuple(int(number) for number in platform.release().split(".")[:2] if number.isdigit())
    if os.geteuid() != 0:
        return "only root may mount the ScoutFS double"
    if not os.path.exists("/dev/fuse"):
        return "no /dev/fuse here, over which the ScoutFS double is mounted"
    if release < (6, 1):
        return f"the ScoutFS double needs Linux 6.1, for files without a name; this is {release}"
    return ""


def need() -> None:
    """Skip, or in CI fail, where the double cannot be mounted."""
    reason = lacking()
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@contextmanager
def mounted(where: Path, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """Mount the double on a folder until the block ends; yield its process, which may be killed.

    :param options: of ``python -m tests.scoutfs``
    """
    where.mkdir(exist_ok=True)
    life = ("--with-stdin", "--seconds", str(LIFE_S))
    command = [sys.executable, "-m", "tests.scoutfs", str(where), *life, *options]
    process = subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith(b"mounted on "), f"the double did not start: {said!r}"
        yield process
    finally:
        process.stdin.close()
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        where = where.resolve()
        while device.mount_id(str(where)) is not None:  # it was killed
            device.unmount(str(where))
