"""ScoutAM's driver: staging is asked for by a bit of the attribute that the archiver reads.

When data are written to tape is ScoutAM's own policy. Releasing is left to a command of the site:
this program never releases on its own authority, because ScoutFS destroys data of which there is
no copy without asking.
"""

from __future__ import annotations

import errno

from s3filters.store import scoutfs
from s3filters.tiers import command
from s3filters.tiers.base import CannotAsk, Driver, File, Settings


class ScoutAM:
    """Sets the Staging flag.

    :param site: runs the site's commands; archive and release are left to it
    """

    flagged = True

    def __init__(self, site: command.Command) -> None:
        self._site = site
        self.archives = site.archives

    def stage(self, file: File) -> None:
        """Set Staging, and clear a failure of before. Raise CannotAsk, OSError."""
        try:
            scoutfs.change_sam_flags(file.fd, add=scoutfs.STAGING, remove=scoutfs.STAGE_FAILED)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.EACCES):
                raise
            raise CannotAsk(
                "The archiver cannot be asked: this service lacks the capability CAP_SYS_ADMIN."
            ) from error

    def archive(self, file: File) -> None:
        """Have the site's command see to it."""
        self._site.archive(file)

    def release(self, file: File) -> None:
        """Have the site's command do it, if there is one."""
        self._site.release(file)


def factory(settings: Settings) -> Driver:
    """Entry point ``scoutam`` of ``s3filters.tier``."""
    return ScoutAM(command.Command(settings))
