"""Where an object's data are: on disk, on tape, or on their way.

The blocks decide; the archiver's flags say only why an offline file is not there yet. So a flag
that was left behind never makes an online object look cold, and data that are offline are never
promised. Nothing here reads data, which would hold the caller until the tape has answered.

Source: ScoutFS's counts of blocks, and ScoutAM's flags as Versity's gateway documents them.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from s3filters.store import scoutfs
from s3filters.store.scoutfs import State


class Tier(Enum):
    """What can be said about the data of an object."""

    ONLINE = "online"
    OFFLINE = "offline"
    PARTLY_OFFLINE = "partly offline"
    STAGING = "staging"
    STAGE_FAILED = "stage failed"

    @property
    def readable(self) -> bool:
        """Whether every byte can be read without waiting for the archiver."""
        return self is Tier.ONLINE


class Residence(NamedTuple):
    """A file's tier, the state of its blocks, and the archiver's flags.

    ``flags`` is 0 for an online file: they are not looked up.
    """

    tier: Tier
    state: State
    flags: int


def look(fd: int, format_version: int = 2) -> Residence:
    """Say where the data of an open file are, by one call; two when they are offline.

    :param format_version: what ``scoutfs.detect`` found

    Raise OSError with ENOTTY elsewhere than on ScoutFS.
    """
    state = scoutfs.state(fd, format_version)
    flags = scoutfs.sam_flags(fd) if state.offline_blocks else 0
    return Residence(tier_of(state, flags), state, flags)


def tier_of(state: State, flags: int) -> Tier:
    """Derive the tier. Empty files and directories have no blocks and are online.

    A failure outranks a request: both flags are set when the archiver gave up on a request that
    nobody has repeated, and a failure called staging would have its readers wait for ever. Who
    asks again clears the failure.
    """
    if not state.offline_blocks:
        return Tier.ONLINE
    if flags & scoutfs.STAGE_FAILED:
        return Tier.STAGE_FAILED
    if flags & scoutfs.STAGING:
        return Tier.STAGING
    return Tier.PARTLY_OFFLINE if state.online_blocks else Tier.OFFLINE
