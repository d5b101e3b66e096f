"""A driver that runs the site's own programs: archive, stage and release, each with many paths.

A program gets the paths of one batch on standard input, each ended by a NUL, in the order of their
inodes, and the tier in the environment, as S3FILTERS_TIER. It may print ``ok PATH`` or ``failed
PATH``, each ended by a NUL, for any of them; of a path that it says nothing about its exit status
speaks, 0 for done. A program that takes too long is ended and counts as failed.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from collections.abc import Collection, Iterable, Sequence

from s3filters.tiers.base import ARCHIVE, RELEASE, STAGE, Driver, File, Settings

log = logging.getLogger("s3filters.tiers")

_SAID = 400  # bytes of a program's complaint that the log shows


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
        paths = [file.path for file in files]
        return run(self._commands[verb], paths, self._timeout_s, files[0].tier)


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


def factory(settings: Settings) -> Driver:
    """Entry point ``command`` of ``s3filters.tier``."""
    return Command(settings)
