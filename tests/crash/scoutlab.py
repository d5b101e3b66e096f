"""A ``lab`` for ScoutFS: the double, whose power can be cut while it goes on.

What a power cut leaves there is the last commit, which the double keeps as a snapshot on btrfs. So
a cut is a copy of that snapshot, and what recovers is a double mounted on the copy. Commits that
nobody asks for come in between, so what was done and not yet synced is found as often as not.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.crash.lab import folder, image, need, run
from tests.scoutfs import transactions
from tests.scoutfs.mounted import mounted
from tests.scoutfs.mounted import need as need_double

_EVERY_S = "0.05"
_CUT = "cut"


@dataclass(frozen=True)
class ScoutLab:
    """A mounted double, the btrfs that it lies on, and the place for what a cut leaves."""

    root: Path
    disk: Path
    after: Path

    def commits(self) -> int:
        """How many commits there were so far, the one at the mount among them."""
        return max(int(path.suffix[1:]) for path in self.disk.glob("commit.*"))

    def cut(self) -> None:
        """Copy the last commit: the power goes out here."""
        if (self.disk / _CUT).exists():
            run("btrfs", "subvolume", "delete", str(self.disk / _CUT))
        while not (self.disk / _CUT).exists():
            # The next commit may be there, and this one gone, by the time that it is copied.
            with suppress(subprocess.CalledProcessError, AssertionError, ValueError):
                last = self.disk / f"commit.{self.commits()}"
                run("btrfs", "subvolume", "snapshot", str(last), str(self.disk / _CUT))

    @contextmanager
    def recovered(self) -> Iterator[Path]:
        """Mount what the last cut left."""
        with mounted(self.after, "--folder", str(self.disk / _CUT)):
            yield self.after


@contextmanager
def scoutlab(*, every_s: str = _EVERY_S) -> Iterator[ScoutLab]:
    """A double on a btrfs of its own.

    :param every_s: mean of the seconds between commits that nobody asked for; 0 for none
    """
    need("mkfs.btrfs", "btrfs", "losetup")
    need_double()
    with folder() as base, image(base / "image", "btrfs", base / "disk", "2G") as disk:
        transactions.make(disk)
        options = ("--commits", str(disk), "--commit-every", every_s)
        with mounted(base / "root", *options):
            yield ScoutLab(base / "root", disk, base / "after")
