"""A driver that a test looks at: what it was asked, and what happens meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from typing import Any

from s3filters.tiers.base import ARCHIVE, RELEASE, STAGE, Driver, File


class Robot(Driver):
    """Remembers what it was asked: ``asked`` has verb, name and tier of each file.

    ``broken``: it does nothing with any. ``why``: it cannot be asked at all. ``meanwhile`` is
    called with verb and file.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.broken = False
        self.why = ""
        self.meanwhile: Callable[[str, File], Any] = lambda verb, file: None

    @property
    def names(self) -> list[tuple[str, str]]:
        """Verb and name of each file."""
        return [(verb, name) for verb, name, _ in self.asked]

    def cannot(self, verb: str) -> str:
        return self.why

    def stage(self, files: Sequence[File]) -> Collection[str]:
        return self._note(STAGE, files)

    def archive(self, files: Sequence[File]) -> Collection[str]:
        return self._note(ARCHIVE, files)

    def release(self, files: Sequence[File]) -> Collection[str]:
        return self._note(RELEASE, files)

    def _note(self, verb: str, files: Sequence[File]) -> Collection[str]:
        if self.broken:
            return [file.path for file in files]
        for file in files:
            self.asked.append((verb, os.path.basename(file.path), file.tier))
            self.meanwhile(verb, file)
        return ()
