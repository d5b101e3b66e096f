"""A mounted double for a module's tests, and a folder on it, or on a real node, for each.

Tests that order faults, or count calls, do so by the fixture ``double``: they have their folder on
it, also where a node is named.
"""

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
from tests.scoutfs import node
from tests.scoutfs.mounted import mounted, need

HERE = Path(__file__).parent


def pytest_configure() -> None:
    """Refuse to begin where something is named that is not ScoutFS."""
    node.said()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which ScoutFS was asked."""
    folder = HERE.relative_to(terminalreporter.config.rootpath).as_posix()
    ran = terminalreporter.stats.get("passed", []) + terminalreporter.stats.get("failed", [])
    if any(report.nodeid.startswith(f"{folder}/") for report in ran):
        terminalreporter.write_line(node.said())


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
    return node.named() or request.getfixturevalue("double")


@pytest.fixture(autouse=True)
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FsApp]]:
    """The apps whose threads look after restores; these end with the test that began them."""
    apps: list[FsApp] = []
    watch = FsApp.watch_restores

    def begin(app: FsApp, *how: Any) -> None:
        apps.append(app)
        watch(app, *how)

    monkeypatch.setattr(FsApp, "watch_restores", begin)
    monkeypatch.setattr(fs, "LEAST_PAUSE_S", 0.02)
    monkeypatch.setattr(glacier, "GATHER_S", 0.02)
    yield apps
    for app in apps:
        app.end()


@pytest.fixture
def folder(
    request: pytest.FixtureRequest, scoutfs_root: Path, watching: list[FsApp]
) -> Iterator[Path]:
    """A new folder on ScoutFS."""
    on_double = "double" in request.fixturenames
    root = request.getfixturevalue("double") if on_double else scoutfs_root
    path = Path(tempfile.mkdtemp(prefix="s3filters-test-", dir=root))
    yield path
    for app in watching:
        app.end()
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
