"""A driver that runs the site's own programs: archive, stage and release, each with many paths.

A program gets paths on standard input, each ended by a NUL, those of one batch in the order of
their inodes. It may print ``ok PATH`` or ``failed PATH``, each ended by a NUL, for any of them; of
a path that it says nothing about its exit status speaks, 0 for done. What failed is tried again,
later each time; a program that takes too long is ended and counts as failed.

Paths wait here in memory, each once: a death of the process forgets them, and whoever finds their
requests open asks again.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic

from s3filters.tiers.base import CannotAsk, Driver, File, Settings

log = logging.getLogger("s3filters.tiers")

MOST_WAITING = 1_000_000  # paths of one program
FIRST_RETRY_S = 5.0  # doubled each time
LAST_RETRY_S = 3600.0
_SAID = 400  # bytes of a program's complaint that the log shows

Nobody = Callable[[str], None]


@dataclass(slots=True)
class _Waiting:
    path: str
    ino: int
    tier: str
    tries: int = 0
    not_before: float = 0.0


class Program:
    """One of the site's programs, and the paths that wait for it.

    :param words: its command line
    :param settings: how many paths at a time, for how long, how often
    :param failed: called with each path that is given up
    """

    def __init__(
        self, name: str, words: Sequence[str], settings: Settings, failed: Nobody | None = None
    ) -> None:
        self._name = name
        self._words = list(words)
        self._settings = settings
        self._failed = failed
        self._changed = threading.Condition()
        self._waiting: dict[str, _Waiting] = {}
        self._thread: threading.Thread | None = None

    def add(self, file: File) -> None:
        """Let a path wait; one that waits already waits on. Raise CannotAsk when too many do."""
        with self._changed:
            known = self._waiting.get(file.path)
            if known is not None:
                known.tier = file.tier or known.tier
                return
            if len(self._waiting) >= MOST_WAITING:
                raise CannotAsk("Too many requests wait for the archiver. Try again later.")
            self._waiting[file.path] = _Waiting(file.path, file.ino, file.tier)
            if self._thread is None:  # not before: threads do not survive the fork of a worker
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def _work(self) -> None:
        while True:
            batch = self._take()
            for tier in sorted({one.tier for one in batch}):
                self._do(tier, [one for one in batch if one.tier == tier])

    def _take(self) -> list[_Waiting]:
        """Wait for paths, and a moment longer for more of them; return the next batch."""
        settings = self._settings
        with self._changed:
            while not (due := self._due()):
                self._changed.wait(self._pause())
            if len(due) < settings.batch:
                self._changed.wait_for(lambda: len(self._due()) >= settings.batch, settings.wait_s)
                due = self._due()
            batch = sorted(due[: settings.batch], key=lambda one: one.ino)
            for one in batch:
                del self._waiting[one.path]
            return batch

    def _due(self) -> list[_Waiting]:
        now = monotonic()
        return [one for one in self._waiting.values() if one.not_before <= now]

    def _pause(self) -> float | None:
        if not self._waiting:
            return None
        return max(0.01, min(one.not_before for one in self._waiting.values()) - monotonic())

    def _do(self, tier: str, batch: list[_Waiting]) -> None:
        undone = run(self._words, [one.path for one in batch], self._settings.timeout_s, tier)
        given_up: deque[_Waiting] = deque()
        with self._changed:
            for one in batch:
                if one.path not in undone:
                    continue
                one.tries += 1
                if one.tries > self._settings.retries:
                    given_up.append(one)
                    continue
                one.not_before = monotonic() + min(FIRST_RETRY_S * 2**one.tries / 2, LAST_RETRY_S)
                self._waiting.setdefault(one.path, one)
        for one in given_up:
            log.error("%s of %s failed %d times", self._name, ascii(one.path), one.tries)
            if self._failed is not None:
                self._tell(one.path)

    def _tell(self, path: str) -> None:
        assert self._failed is not None
        try:
            self._failed(path)
        except Exception:  # the work of all others goes on
            log.exception("nobody could note that %s failed", ascii(path))


def run(words: Sequence[str], paths: Sequence[str], timeout_s: float, tier: str = "") -> set[str]:
    """Run a program with paths on its standard input; return those that it did not do."""
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    environment = os.environ | {"S3FILTERS_TIER": tier}
    try:
        status, output, complaint = _run(words, given, timeout_s, environment)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s", words[0], error)
        return set(paths)
    if status or complaint:
        said = complaint[:_SAID].decode("utf-8", "replace").strip()
        log.warning("%s ended with %d: %s", words[0], status, said)
    said_of = dict(_results(output))
    return {path for path in paths if not said_of.get(path, not status)}


def _run(
    words: Sequence[str], given: bytes, timeout_s: float, environment: dict[str, str]
) -> tuple[int, bytes, bytes]:
    """Return status, output and complaints; at the time limit end all that the program began."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        list(words), stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
    ) as process:
        try:
            output, complaint = process.communicate(given, timeout_s)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, output, complaint


def _results(output: bytes) -> Iterable[tuple[str, bool]]:
    for line in output.split(b"\0"):
        word, _, path = line.lstrip(b"\n").partition(b" ")
        if word in (b"ok", b"failed"):
            yield os.fsdecode(path), word == b"ok"


class Command:
    """Has the site's programs do what is asked. Raise CannotAsk where there is no such program."""

    flagged = False

    def __init__(self, settings: Settings) -> None:
        self._programs = {
            name: Program(name, words, settings, settings.failed if name == "stage" else None)
            for name, words in settings.commands.items()
            if words
        }
        self.archives = "archive" in self._programs

    def stage(self, file: File) -> None:
        """Have the data brought back."""
        self._ask("stage", file)

    def archive(self, file: File) -> None:
        """Have the data written to tape and released."""
        self._ask("archive", file)

    def release(self, file: File) -> None:
        """Have the data released; without a program for it they stay."""
        if "release" in self._programs:
            self._ask("release", file)

    def _ask(self, name: str, file: File) -> None:
        program = self._programs.get(name)
        if program is None:
            raise CannotAsk(f"No command of this site can {name} an object.")
        program.add(file)


def factory(settings: Settings) -> Driver:
    """Entry point ``command`` of ``s3filters.tier``."""
    return Command(settings)
