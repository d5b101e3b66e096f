"""What ScoutAM does with files, as far as anybody sees it: a folder for a tape, and one flag."""

from __future__ import annotations

import os
import time
from pathlib import Path

from s3filters.store import scoutfs
from tests.scoutfs import site

LIMIT_S = 20


class Archiver:
    """Takes files to tape, and brings back those that are flagged.

    :param tape: the folder, as that of ``tests.scoutfs.site``
    """

    def __init__(self, tape: Path) -> None:
        self._tape = tape
        self._taken: list[Path] = []

    def take(self, path: Path) -> None:
        """Copy a file to tape and release it."""
        site.archive(path, self._tape)
        self._taken.append(path)

    def work(self, count: int = 1) -> list[str]:
        """Wait until so many files are asked for, which is a moment after a client did, or more.

        Stage all of them; return their names.
        """
        limit, found = time.monotonic() + LIMIT_S, list[str]()
        while len(found) < count:
            assert time.monotonic() < limit, f"of {count} files only {found} were asked for"
            time.sleep(0.05)
            found += [path.name for path in self._taken if self._staged(path)]
        return found

    def _staged(self, path: Path) -> bool:
        fd = os.open(path, os.O_RDONLY)
        try:
            if not scoutfs.sam_flags(fd) & scoutfs.STAGING:
                return False
            site.stage(path, self._tape)
        finally:
            os.close(fd)
        return True
