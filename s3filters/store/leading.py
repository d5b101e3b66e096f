"""One process of a machine does what is to be done once for all that serve a folder."""

from __future__ import annotations

import fcntl
import os

from s3filters.store.beneath import DIRECTORY, Root


class Leading:
    """True in the one that leads, which it does until it closes this or ends.

    It is a lock of the folder itself, so nothing lies on the disk. Raise OSError.
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._fd = -1

    def __bool__(self) -> bool:
        """Try to lead, if this one does not yet."""
        if self._fd >= 0:
            return True
        fd = os.open(".", DIRECTORY.flags, dir_fd=self._root.fd)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        return True

    def close(self) -> None:
        """Let another lead."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
