"""How much of the disk a directory holds: that of an upload, before it is ended.

Other gateways, and people, may have put anything into it. So every step goes from an open
directory to a name in it and follows no link: what lies outside, or on another file system that is
mounted there, does not count. Memory does not grow with what is in it.
"""

from __future__ import annotations

import contextlib
import os
import stat

from s3filters.store.beneath import DIRECTORY

_DEPTH = 8  # directories in one another; an upload of any gateway has none
_SECTOR = 512  # bytes; the unit of st_blocks, whatever the file system's own is: stat(2)


def blocks(directory: int) -> int:
    """Return how many bytes of the disk all files in an open directory hold. Raise OSError."""
    return _blocks(directory, os.fstat(directory).st_dev, _DEPTH)


def _blocks(directory: int, device: int, depth: int) -> int:
    total = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):  # gone meanwhile
                found = entry.stat(follow_symlinks=False)
                total += found.st_blocks * _SECTOR
                if depth and stat.S_ISDIR(found.st_mode) and found.st_dev == device:
                    total += _below(directory, entry.name, device, depth - 1)
    return total


def _below(above: int, name: str, device: int, depth: int) -> int:
    fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
    try:
        return _blocks(fd, device, depth)
    finally:
        os.close(fd)
