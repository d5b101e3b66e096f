"""What was asked of an object whose data are on tape: one attribute of ours, beside the archiver's.

``user.s3filters.restore`` holds JSON. It is written under the key's lock, before the archiver is
asked: so a request that the archiver knows of is never forgotten. Whether the data are there only
the blocks say (``tier``).

A request is *open* until somebody has seen all blocks online. From then on, and not from when it
was made, its days are counted: tape may take longer than they last. ``settle`` writes that down
once. A request that is over means nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, TypeVar

from s3filters.store import changing, gojson, scoutfs
from s3filters.store.metadata import RESTORE, Record
from s3filters.store.tree import Tree

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Restore:
    """A request to have an object's data here for some days.

    ``end_s`` is when they end, in seconds since 1970, 0 while the request is open. ``flagged``: the
    archiver was asked, and its flags say whether it is at it; else it is until ``failed``.
    """

    requested_ns: int
    days: int
    tier: str
    description: str = ""
    flagged: bool = False
    failed: bool = False
    end_s: int = 0

    @property
    def open(self) -> bool:
        """Whether nobody has seen the data come back yet."""
        return not self.end_s

    def encode(self) -> bytes:
        """Return the attribute's value."""
        return gojson.encode({name: value for name, value in asdict(self).items() if value})


@lru_cache(maxsize=4096)
def decode(value: bytes) -> Restore | None:
    """Return what an attribute says, None when it says nothing that makes sense."""
    loaded: Mapping[str, Any] = (gojson.decode(value) or {}) if value else {}
    fields = {name: loaded.get(name, kind()) for name, kind in _KINDS.items()}
    if any(type(fields[name]) is not kind for name, kind in _KINDS.items()):
        return None
    if not _is_tier(fields["tier"]):  # it becomes a part of names, and a program is told it
        return None
    return Restore(**fields) if fields["requested_ns"] > 0 < fields["days"] else None


def _is_tier(word: str) -> bool:
    return word.isascii() and (word.isalpha() or not word)


_KINDS: dict[str, type] = {
    "requested_ns": int,
    "days": int,
    "tier": str,
    "description": str,
    "flagged": bool,
    "failed": bool,
    "end_s": int,
}


Around = Callable[[Record, Restore], AbstractContextManager[None]]


def ask(
    tree: Tree, bucket: str, key: str, decide: Callable[[int, Record], T], *, lasting: bool = True
) -> T:
    """Look at an object and decide about it, under its key's lock; return what ``decide`` does.

    :param decide: called with an open descriptor and the record; uses the functions below
    :param lasting: as of ``changing.while_open``

    Raise what it raises, NoSuchKey, NoSuchBucket, StoreError.
    """
    return changing.while_open(tree, bucket, key, decide, lasting=lasting)


def write(fd: int, restore: Restore) -> None:
    """Write a request down. Raise MetadataTooLarge, OSError."""
    changing.put(fd, {RESTORE: restore.encode()})


def settle(
    tree: Tree,
    bucket: str,
    key: str,
    ends: Callable[[Restore], Restore],
    around: Around | None = None,
) -> Restore | None:
    """Close the open request of an object whose blocks are all online; return it as it is now.

    None when there is none.

    :param around: called with the record and the closed request; what it returns is entered while
        that is written down

    Raise NoSuchKey, NoSuchBucket, StoreError.
    """

    def close(fd: int, record: Record) -> Restore | None:
        found = decode(record.restore)
        if found is None or not found.open:
            return found
        if scoutfs.state(fd, tree.capabilities.format_version).offline_blocks:
            return found
        found = ends(found)
        with nullcontext() if around is None else around(record, found):
            write(fd, found)
        return found

    return ask(tree, bucket, key, close)
