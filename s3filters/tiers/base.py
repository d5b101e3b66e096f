"""What a tier driver is, and what it is told about a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class CannotAsk(Exception):
    """The archiver cannot be asked from here; the message says why, for a client too."""


class File(NamedTuple):
    """A file that something is to be done with.

    ``fd`` is open for the length of the call alone; ``path`` is absolute. ``tier`` is how fast it
    is wanted back: Bulk, Standard or Expedited.
    """

    path: str
    fd: int
    ino: int
    tier: str = ""


class Driver(Protocol):
    """Asks an archiver. The three verbs return at once, and raise CannotAsk or OSError.

    ``flagged``: the archiver's own flags on a file say whether it is being staged. Otherwise it is
    taken to be from ``stage`` on, until its blocks are there or ``failed`` was called.
    ``archives``: a cold storage class may be asked for, because ``archive`` sees to it.
    """

    flagged: bool
    archives: bool

    def stage(self, file: File) -> None:
        """Have the data brought back. It may be asked again, with a faster tier."""

    def archive(self, file: File) -> None:
        """Have the data written to tape, and released when they are there."""

    def release(self, file: File) -> None:
        """Have the data released, of which the archiver has a copy; a restore has ended."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a driver is made from: the options of ``[filter:glacier]`` that are for drivers.

    ``commands`` maps archive, stage and release to words of a command line, or to none of them.
    ``failed`` is called with the path of a file that could not be staged.
    """

    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    timeout_s: float = 3600.0
    batch: int = 1000
    wait_s: float = 1.0
    retries: int = 5
    failed: Callable[[str], None] | None = None
