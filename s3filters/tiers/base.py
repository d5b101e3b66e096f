"""What a tier driver is, and what it is told about a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

STAGE, ARCHIVE, RELEASE = "stage", "archive", "release"
FASTEST_FIRST = ("Expedited", "Standard", "Bulk", "")


class CannotAsk(Exception):
    """The archiver cannot be asked from here; the message says why, for a client too."""


class File(NamedTuple):
    """A file that something is to be done with.

    ``path`` is absolute; ``ino`` is its inode, which another file at the path has not. ``tier`` is
    how fast it is wanted back: Bulk, Standard or Expedited; empty where that means nothing.
    """

    path: str
    ino: int
    tier: str = ""


def batch_of(verb: str, files: Sequence[File]) -> str:
    """Return what a log calls a batch: stage of 12 files (Bulk)."""
    tier = files[0].tier if files else ""
    many = "file" if len(files) == 1 else "files"
    return f"{verb} of {len(files)} {many}{f' ({tier})' * bool(tier)}"


class Driver:
    """Asks an archiver, a batch of files at a time, all of one tier and in the order of ``order``.

    The three verbs may take long. They return the paths of those files that nothing was done with,
    which are tried again later; raising anything says that of all.

    ``flagged``: behind ``stage`` the archiver's own flags on a file say whether it is being staged.
    Otherwise it is taken to be until its blocks are there, or it was tried too often.
    """

    flagged = False

    def cannot(self, verb: str) -> str:
        """Return why nothing can be asked with a verb, for a client too; empty when it can."""
        can = getattr(type(self), verb) is not getattr(Driver, verb)
        return "" if can else f"Nobody can {verb} an object."

    def order(self, file: File) -> Any:
        """Return what files of a batch are sorted by: what the archiver likes best."""
        return file.ino

    def stage(self, files: Sequence[File]) -> Collection[str]:
        """Have the data brought back. It may be asked again, with a faster tier."""
        raise NotImplementedError

    def archive(self, files: Sequence[File]) -> Collection[str]:
        """Have the data written to tape, and released when they are there."""
        raise NotImplementedError

    def release(self, files: Sequence[File]) -> Collection[str]:
        """Have the data released, of which the archiver has a copy; a restore has ended."""
        raise NotImplementedError


Open = Callable[[File], AbstractContextManager[int]]


@dataclass(frozen=True, slots=True)
class Settings:
    """What a driver is made from: the options of ``[filter:glacier]``, and the root that it serves.

    ``commands`` maps archive, stage and release to words of a command line, or to none of them;
    ``timeout_s`` is how long one may run. ``batch`` files are given to a verb at most, ``wait_s``
    after the first of them was asked for; what failed is tried ``retries`` times again.
    ``privileged``: the archiver's attribute can be set, for which there is CAP_SYS_ADMIN. ``open``
    returns a descriptor of a file, and raises OSError when it is not there any more.
    """

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    timeout_s: float = 3600.0
    batch: int = 1000
    wait_s: float = 1.0
    retries: int = 5
    privileged: bool = True
    open: Open | None = None
