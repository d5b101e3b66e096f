"""kill -9 of a worker before every single step of a write: the old object or the new one, whole.

The steps are the store's own system calls, counted by ``dying.py``, so none can be forgotten here.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import pytest

from s3filters.store import Store
from tests.daemon import Daemon, running
from tests.raw import Answer

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]

OLD, NEW = b"old " * 3000, b"new " * 5000
BACK_LIMIT_S = 20.0
State = dict[str, bytes]


@dataclass(frozen=True)
class Verb:
    """A request, what lies there before it, and the objects that there may be after it."""

    method: str
    target: str
    before: State
    after: State
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


VERBS = {
    "put of a new object": Verb("PUT", "/bkt/deep/er/new", {}, {"deep/er/new": NEW}, NEW),
    "put over an old object": Verb("PUT", "/bkt/a/k", {"a/k": OLD}, {"a/k": NEW}, NEW),
    "put if it is absent": Verb(
        "PUT", "/bkt/new", {}, {"new": NEW}, NEW, headers={"If-None-Match": "*"}
    ),
    "put if it matches": Verb(
        *("PUT", "/bkt/k", {"k": OLD}, {"k": NEW}, NEW),
        headers={"If-Match": hashlib.md5(OLD, usedforsecurity=False).hexdigest()},
    ),
    "put of a directory": Verb("PUT", "/bkt/d/e/", {}, {"d/e/": b""}),
    "copy": Verb(
        *("PUT", "/bkt/to/it", {"k": OLD}, {"k": OLD, "to/it": OLD}),
        headers={"x-amz-copy-source": "bkt/k"},
    ),
    "delete": Verb("DELETE", "/bkt/deep/er/k", {"deep/er/k": OLD}, {}),
}


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dying") / "arm"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, arm: Path) -> Iterator[Daemon]:
    with running(
        tmp_path_factory.mktemp("root"),
        durability="full",
        module="tests.crash.dying",
        environ={"DYING_ARM": str(arm)},
    ) as started:
        with started.connect() as connection:
            assert connection.ask("PUT", "/bkt").status == 200
        yield started


def ask(daemon: Daemon, *words: object) -> Answer | None:
    """The answer, or None when the worker died instead."""
    with suppress(OSError, HTTPException), daemon.connect() as connection:
        return connection.ask(*words)  # type: ignore[arg-type]
    return None


def steady(daemon: Daemon, method: str, target: str, body: bytes = b"") -> Answer:
    """An answer from whichever worker lives, waiting until there is one."""
    deadline = time.monotonic() + BACK_LIMIT_S
    while time.monotonic() < deadline:
        answer = ask(daemon, method, target, body)
        if answer is not None:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"no worker came back in {BACK_LIMIT_S} s:\n{daemon.words()}")


def lay(daemon: Daemon, state: State) -> None:
    """Make the bucket hold exactly this, and no folder that a killed worker had made."""
    for path in (daemon.root / "bkt").iterdir():
        if path.name != ".sgwtmp":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for key, body in state.items():
        assert steady(daemon, "PUT", f"/bkt/{key}", body).status == 200


def objects(daemon: Daemon) -> State:
    """What clients see: every key that a listing has, read; each must be whole."""
    listing = steady(daemon, "GET", "/bkt?list-type=2").body
    keys = [part.partition(b"</Key>")[0].decode() for part in listing.split(b"<Key>")[1:]]
    found = {}
    for key in keys:
        answer = steady(daemon, "GET", f"/bkt/{key}")
        assert answer.status == 200
        assert answer.headers["etag"] == f'"{hashlib.md5(answer.body).hexdigest()}"'
        found[key] = answer.body
    return found


def armed(arm: Path, step: int, numbers: Iterator[int], act: Callable[[], object]) -> object:
    """Act while the worker counts its steps to the fatal one."""
    waiting = arm.with_suffix(".new")
    waiting.write_text(f"{step} {next(numbers)}")
    waiting.rename(arm)
    try:
        return act()
    finally:
        arm.unlink()


@pytest.mark.parametrize("name", VERBS)
def test_a_worker_killed_before_any_step_leaves_the_old_state_or_the_new(
    daemon: Daemon, arm: Path, name: str
) -> None:
    verb, numbers = VERBS[name], itertools.count()
    lay(daemon, verb.before)
    log = Path(f"{arm}.steps")
    log.unlink(missing_ok=True)
    words = (verb.method, verb.target, verb.body, verb.headers)
    answer = armed(arm, 0, numbers, lambda: ask(daemon, *words))
    assert isinstance(answer, Answer)
    assert answer.status in (200, 204), answer
    assert objects(daemon) == verb.after
    steps = log.read_text().split()
    assert len(steps) > 3
    print(f"\n{name}: {len(steps)} steps: {' '.join(steps)}")

    outcomes = []
    for step, what in enumerate(steps, 1):
        lay(daemon, verb.before)
        said = armed(arm, step, numbers, lambda: ask(daemon, *words))
        seen = objects(daemon)
        assert seen in (verb.before, verb.after), f"killed before step {step}, {what}"
        outcomes.append(seen == verb.after)
        if isinstance(said, Answer) and said.status in (200, 204):
            assert seen == verb.after
    assert outcomes == sorted(outcomes), (
        "the new state is seen before one step and not before a later one"
    )
    swept(daemon)


def swept(daemon: Daemon) -> None:
    """What died leaves hidden names at most, and a sweep takes them away."""
    store = Store(daemon.root, durability="none")
    deadline = time.monotonic() + 10
    while True:
        # One sweep at a time: while a newborn worker is at its own, ours does nothing.
        store.sweep(0)
        hidden = [path for path in (daemon.root / "bkt" / ".sgwtmp").rglob("*") if path.is_file()]
        left = [path for path in hidden if path.stat().st_size]
        if not left or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    store.close()
    assert left == []
    assert os.listdir(daemon.root) == ["bkt"] or set(os.listdir(daemon.root)) <= {"bkt", ".sgwtmp"}
