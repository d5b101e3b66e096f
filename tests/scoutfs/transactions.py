"""Power cuts: the double with ScoutFS's transactions, over a btrfs subvolume.

On ScoutFS an fsync of anything commits all that the mount has open, of everybody, and a power cut
goes back to the last commit. So every sync, and by choice one now and then, is a snapshot of the
subvolume between two operations, and who asks while one is made shares the next. A power cut is to
kill the double and to go on from the last snapshot.

``make`` begins, ``roll_back`` is what happens when the power is there again.

In the folder given: ``live`` the subvolume, ``commit.N`` the last commit; ``pending.N`` counts as
nothing, for a snapshot that is being made outlives a kill.
"""

from __future__ import annotations

import ctypes
import os
import random
import struct
import subprocess
import threading
import time
from pathlib import Path

from tests.scoutfs.device import check, libc
from tests.scoutfs.protocol import Op, Request
from tests.scoutfs.server import Double
from tests.scoutfs.waiting import Handler

LIVE = "live"
_SNAPSHOT, _DESTROY = 0x50009417, 0x5000940F  # linux/btrfs.h: SNAP_CREATE_V2, SNAP_DESTROY
_BESIDE = (Op.FORGET, Op.BATCH_FORGET, Op.INTERRUPT)  # change nothing
_SYNCS = (Op.FSYNC, Op.FSYNCDIR, Op.SYNCFS)


def make(folder: Path) -> None:
    """Make an empty ``live`` in a folder on btrfs."""
    _btrfs("create", folder / LIVE)


def roll_back(folder: Path) -> None:
    """Go back to the last commit, after the double was killed."""
    commits = sorted(folder.glob("commit.*"), key=lambda path: int(path.suffix[1:]))
    _btrfs("delete", folder / LIVE)
    _btrfs("snapshot", commits[-1], folder / LIVE)
    for path in (*commits, *folder.glob("pending.*")):
        _btrfs("delete", path)


def _btrfs(*words: str | Path) -> None:
    subprocess.run(["btrfs", "subvolume", *map(str, words)], check=True, capture_output=True)


class Committed(Double):
    """A double that can lose what was not committed.

    :param folder: a folder on btrfs that holds the subvolume ``live``
    :param every_s: mean of the seconds between commits that nobody asked for; 0 is never
    """

    def __init__(self, folder: str, mountpoint: str, *, every_s: float = 0) -> None:
        self._folder = folder
        self._folder_fd = os.open(folder, os.O_RDONLY)
        self._live_fd = os.open(os.path.join(folder, LIVE), os.O_RDONLY)
        self._changed = threading.Condition()
        self._running = 0  # operations
        self._committing = False
        self._begun = self._done = 0  # rounds of commits
        self._number = 0
        pinned = os.open(os.path.join(folder, LIVE), os.O_PATH | os.O_DIRECTORY)
        super().__init__(pinned, mountpoint, every_s=0)
        for op, handler in self.operations.items():
            if op in _SYNCS:
                self.operations[op] = self._sync
            elif op not in _BESIDE:
                self.operations[op] = self._whole(handler)
        self._snapshot()
        if every_s:
            threading.Thread(target=self._now_and_then, args=(every_s,), daemon=True).start()

    def _whole(self, handler: Handler) -> Handler:
        """Keep commits out of an operation."""

        def run(request: Request) -> bytes | None:
            with self._changed:
                self._changed.wait_for(lambda: not self._committing)
                self._running += 1
            try:
                return handler(request)
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()

        return run

    def _sync(self, request: Request) -> bytes:
        self._commit()
        return b""

    def _commit(self) -> None:
        """Return when a commit is done that began after we were called."""
        with self._changed:
            needed = self._begun + 1
            self._changed.wait_for(lambda: self._done >= needed or not self._committing)
            if self._done >= needed:
                return
            self._committing = True
            self._begun += 1
            ours = self._begun
            self._changed.wait_for(lambda: not self._running)
        self._snapshot()
        with self._changed:
            self._committing = False
            self._done = ours
            self._changed.notify_all()

    def _snapshot(self) -> None:
        self.inodes.save()
        number = self._number + 1
        pending, committed = f"pending.{number}", f"commit.{number}"
        request = struct.pack("<qQQ4Q4040s", self._live_fd, *[0] * 6, pending.encode())
        check(libc.ioctl(self._folder_fd, ctypes.c_ulong(_SNAPSHOT), request))
        folder = self._folder_fd
        os.rename(pending, committed, src_dir_fd=folder, dst_dir_fd=folder)
        if self._number:
            old = struct.pack("<q4088s", 0, f"commit.{self._number}".encode())
            check(libc.ioctl(folder, ctypes.c_ulong(_DESTROY), old))
        self._number = number
        self.inodes.sequences.commit()

    def _now_and_then(self, every_s: float) -> None:
        while True:
            time.sleep(random.uniform(0, 2 * every_s))
            self._commit()
