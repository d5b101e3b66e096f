"""Who completes or aborts an upload, among the nodes of one ScoutFS.

Locks stay on their node there, and two nodes that moved the blocks of one upload at a time would
take them from each other, and from an object that was acknowledged. What all nodes see at once is
names. So who ends an upload, and holds its lock on its own node, first makes ``claim.<node>`` in
the upload's directory and then looks for others: of two that are at it at once each has made its
name before it looks, so one at least sees the other, takes its name away and is told to come again.

A name that is older than ``STALE_S`` is of a node that died; whoever is at it makes its own new
again from time to time. After a death the same node goes on at once.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from types import TracebackType

from s3filters.store.errors import Busy, NoSuchUpload
from s3filters.store.tree import Tree

PREFIX = "claim."
STALE_S = 600.0
REFRESH_S = 60.0


class hold:
    """Be the one who ends an upload, for a ``with`` block; everywhere but on ScoutFS a no-op.

    :param folder: descriptor of the upload's directory, whose lock is held
    :param aborts: on a full disk, where no name can be made, looking for others is enough: else
        nothing could be given up to make room

    Entering raises Busy when another node is at it, NoSuchUpload when it ended it, OSError.
    """

    __slots__ = ("_aborts", "_folder", "_name", "_refreshed")

    def __init__(self, tree: Tree, folder: int, *, aborts: bool = False) -> None:
        self._aborts = aborts
        self._folder = folder
        self._name = PREFIX + tree.node if tree.node else ""
        self._refreshed = float("-inf")

    def __enter__(self) -> hold:
        if not self._name:
            return self
        try:
            self._make_name()
            self.refresh()
            self._expect_nobody_else()
        except BaseException as error:
            self._let_go()
            if isinstance(error, FileNotFoundError):
                raise NoSuchUpload from error
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._name:
            self._let_go()

    def _make_name(self) -> None:
        try:
            os.symlink("node", self._name, dir_fd=self._folder)
        except FileExistsError:
            pass  # of a death here: the lock is ours
        except OSError as error:
            if not self._aborts or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._name = ""

    def refresh(self) -> None:
        """Say that we are at it still; call it often while work is long.

        Raise FileNotFoundError when another node ended the upload, OSError.
        """
        now = time.monotonic()
        if self._name and now - self._refreshed > REFRESH_S:
            os.utime(self._name, dir_fd=self._folder, follow_symlinks=False)
            self._refreshed = now

    def _expect_nobody_else(self) -> None:
        for name in os.listdir(self._folder):
            if name.startswith(PREFIX) and name != self._name:
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                    if time.time() - found.st_mtime < STALE_S:
                        raise Busy
                    os.unlink(name, dir_fd=self._folder)

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):  # it goes with the upload, or is ours the next time
            os.unlink(self._name, dir_fd=self._folder)
