"""A driver that runs the site's own programs: archive, stage and release, each with many paths.

A program gets the paths of one batch on standard input, each ended by a NUL, in the order of their
inodes, and the tier in the environment, as S3FILTERS_TIER. It may print ``ok PATH`` or ``failed
PATH``, each ended by a NUL, for any of them; of a path that it says nothing about its exit status
speaks, 0 for done. What else it prints is dropped, and what it leaves running in the background is
not waited for. A program that takes too long is ended and counts as failed.

One program runs at a time for each verb and tier. What is at a path may be replaced while it runs.
So before it takes a file to tape, or releases it, it should open the file and go on by the
descriptor, when it has seen there that ``user.s3filters.storage-class`` is a cold one, or that
there is a copy of this very inode. Should its daemon die the program goes on, and another daemon
starts one with the same paths.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import subprocess
from collections.abc import Collection, Sequence
from contextlib import suppress
from selectors import EVENT_READ, EVENT_WRITE
from time import monotonic
from typing import IO

from s3filters.tiers.base import ARCHIVE, RELEASE, STAGE, Driver, File, Settings, batch_of

log = logging.getLogger("s3filters.tiers")

LOOK_S = 0.5  # how often it is looked whether a program has ended that another holds the pipes of
_SAID = 400  # bytes of a program's complaint that the log shows
_LINE = 8192  # bytes of a line that are looked at; a path has at most 4,096
_READ = 1 << 16
_LAST_ROUNDS = 64  # of reading behind the end of a program: a pipe has no more than that


class Command(Driver):
    """Has the site's programs do what is asked."""

    def __init__(self, settings: Settings) -> None:
        self._commands = settings.commands
        self._timeout_s = settings.timeout_s

    def cannot(self, verb: str) -> str:
        """Return that there is no such program, if there is none."""
        return "" if self._commands.get(verb) else f"No command of this site can {verb} an object."

    def stage(self, files: Sequence[File]) -> Collection[str]:
        """Have the data brought back."""
        return self._run(STAGE, files)

    def archive(self, files: Sequence[File]) -> Collection[str]:
        """Have the data written to tape and released."""
        return self._run(ARCHIVE, files)

    def release(self, files: Sequence[File]) -> Collection[str]:
        """Have the data released."""
        return self._run(RELEASE, files)

    def _run(self, verb: str, files: Sequence[File]) -> set[str]:
        return run(self._commands[verb], verb, files, self._timeout_s)


def run(words: Sequence[str], verb: str, files: Sequence[File], timeout_s: float) -> set[str]:
    """Run a program with the paths of a batch on its standard input; return those not done.

    :param verb: what it does, for the log
    """
    paths, tier = [file.path for file in files], files[0].tier
    given = b"".join(os.fsencode(path) + b"\0" for path in paths)
    environment = os.environ | {"S3FILTERS_TIER": tier}
    said = _Said(paths)
    try:
        status = _run(words, given, timeout_s, environment, said)
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s: %s: %s", batch_of(verb, files), words[0], error)
        return set(paths)
    if status or said.complaint:
        complaint = said.complaint.decode("utf-8", "replace").strip()
        ended = f"{words[0]} ended with {status}{': ' * bool(complaint)}{complaint}"
        log.warning("%s: %s", batch_of(verb, files), ended)
    return {path for path in paths if not said.of.get(path, not status)}


class _Said:
    """What a program printed about its paths, and how its complaint begins: all else is dropped.

    ``of`` is whether a path was done, by the path.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self.of: dict[str, bool] = {}
        self.complaint = b""
        self._paths = set(paths)
        self._rest = b""

    def output(self, pipe: IO[bytes]) -> bool:
        """Take more of its standard output; return False at the end."""
        data = os.read(pipe.fileno(), _READ)
        *lines, rest = (self._rest + data).split(b"\0")
        self._rest = rest[:_LINE]
        for line in lines:
            word, _, named = line.lstrip(b"\n").partition(b" ")
            path = os.fsdecode(named)
            if word in (b"ok", b"failed") and path in self._paths:
                self.of[path] = word == b"ok"
        return bool(data)

    def error(self, pipe: IO[bytes]) -> bool:
        """Take more of its standard error; return False at the end."""
        data = os.read(pipe.fileno(), _READ)
        self.complaint += data[: _SAID - len(self.complaint)]
        return bool(data)


class _Given:
    """What a program is to read."""

    def __init__(self, data: bytes) -> None:
        self._left = memoryview(data)

    def write(self, pipe: IO[bytes]) -> bool:
        """Write what there is room for; return False when that was all, or nobody reads it."""
        try:
            self._left = self._left[os.write(pipe.fileno(), self._left) :]
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False
        return bool(self._left)


def _run(
    words: Sequence[str], given: bytes, timeout_s: float, environment: dict[str, str], said: _Said
) -> int:
    """Return the status; at the time limit end all that the program began.

    What it leaves running before that goes on, and is not waited for, whatever pipes it holds.
    """
    pipe = subprocess.PIPE
    end_s = monotonic() + timeout_s
    with subprocess.Popen(
        list(words), stdin=pipe, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
    ) as process:
        try:
            _talk(process, given, end_s, said)
            return process.wait(max(0.0, end_s - monotonic()))
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


def _talk(process: subprocess.Popen[bytes], given: bytes, end_s: float, said: _Said) -> None:
    """Give a program what it reads and hear what it says, until it closes its pipes or ends.

    Or until ``end_s``, by the clock of ``monotonic``.
    """
    rounds = _LAST_ROUNDS
    with selectors.DefaultSelector() as selector:
        for pipe, event, some in (
            (process.stdin, EVENT_WRITE, _Given(given).write),
            (process.stdout, EVENT_READ, said.output),
            (process.stderr, EVENT_READ, said.error),
        ):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, event, (pipe, some))
        while selector.get_map() and rounds and (wait_s := end_s - monotonic()) > 0:
            ended = _has_ended(process)
            rounds -= ended
            ready = selector.select(0 if ended else min(wait_s, LOOK_S))
            if ended and not ready:
                return
            for key, _ in ready:
                pipe, some = key.data
                if not some(pipe):
                    selector.unregister(pipe)
                    pipe.close()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; it is not reaped, so that its number stays its own."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def factory(settings: Settings) -> Driver:
    """Entry point ``command`` of ``s3filters.tier``."""
    return Command(settings)
