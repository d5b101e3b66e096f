"""A mounted double for a module's tests, and a folder on it, or on a real node, for each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3filters.pipeline import fs, glacier
from s3filters.pipeline.fs import FsApp
from s3filters.store import removing
from tests.scoutfs.mounted import mounted, need

NODE = "S3FILTERS_SCOUTFS"  # names a directory on a real ScoutFS, to prove the double right


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a mounted double."""
    need()
    where = tmp_path_factory.mktemp("scoutfs")
    with mounted(where):
        yield where


@pytest.fixture(scope="module")
def scoutfs_root(request: pytest.FixtureRequest) -> Path:
    """A real node's directory where the environment names one, else the double's root."""
    named = os.environ.get(NODE)
    return Path(named) if named else request.getfixturevalue("double")


@pytest.fixture(autouse=True)
def no_watching_behind_a_test(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads that look after restores end with the test whose app began them."""
    watching: list[FsApp] = []
    watch = FsApp.watch_restores

    def begin(app: FsApp, *how: Any) -> None:
        watching.append(app)
        watch(app, *how)

    monkeypatch.setattr(FsApp, "watch_restores", begin)
    monkeypatch.setattr(fs, "LEAST_PAUSE_S", 0.02)
    monkeypatch.setattr(glacier, "GATHER_S", 0.02)
    yield
    for app in watching:
        app.end()


@pytest.fixture
def folder(scoutfs_root: Path) -> Iterator[Path]:
    """A new folder on ScoutFS."""
    path = Path(tempfile.mkdtemp(prefix="s3filters-test-", dir=scoutfs_root))
    yield path
    removing.settle()  # or what is removed in the background would go from under it
    shutil.rmtree(path)


@pytest.fixture
def opened() -> Iterator[Callable[..., int]]:
    """``os.open`` for a test: what it opens is closed at the end."""
    fds: list[int] = []

    def open_(path: Path, flags: int = os.O_RDWR | os.O_CREAT, mode: int = 0o644) -> int:
        fds.append(os.open(path, flags | os.O_CLOEXEC, mode))
        return fds[-1]

    yield open_
    for fd in fds:
        os.close(fd)
