"""ScoutAM's driver: staging is asked for by a bit of the attribute that the archiver reads.

When data are written to tape is ScoutAM's own policy. Releasing is left to a command of the site:
this program never releases on its own authority, because ScoutFS destroys data of which there is
no copy without asking.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence

from s3filters.store import scoutfs
from s3filters.tiers.base import STAGE, File, Settings
from s3filters.tiers.command import Command

log = logging.getLogger("s3filters.tiers")


class ScoutAM(Command):
    """Sets the Staging flag; the site's commands archive and release, where there are some."""

    flagged = True

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._open = settings.open
        self._privileged = settings.privileged

    def cannot(self, verb: str) -> str:
        """Return what is missing to set the flag, or to run a command."""
        if verb != STAGE:
            return super().cannot(verb)
        if self._privileged:
            return ""
        return "The archiver cannot be asked: this service lacks the capability CAP_SYS_ADMIN."

    def stage(self, files: Sequence[File]) -> Collection[str]:
        """Set Staging on each, and clear a failure of before."""
        return [file.path for file in files if not self._flag(file)]

    def _flag(self, file: File) -> bool:
        assert self._open is not None
        try:
            with self._open(file) as fd:
                scoutfs.change_sam_flags(fd, add=scoutfs.STAGING, remove=scoutfs.STAGE_FAILED)
        except FileNotFoundError:
            return True  # it was deleted or replaced: nobody wants these data any more
        except OSError as error:
            log.warning("%s cannot be flagged: %s", ascii(file.path), error.strerror)
            return False
        return True


def factory(settings: Settings) -> ScoutAM:
    """Entry point ``scoutam`` of ``s3filters.tier``."""
    return ScoutAM(settings)
