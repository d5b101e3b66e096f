"""Extended attributes of an open file: all that may matter, and several set at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from s3filters.store.errors import InsufficientStorage, MetadataTooLarge

_ROOMY = 64  # free blocks that say: it is not the disk that is full, it is the inode


def read(fd: int) -> dict[str, bytes]:
    """Return those in ``user.``; none where the file system has none. Raise OSError."""
    return read_closely(fd)[0]


def read_closely(fd: int) -> tuple[dict[str, bytes], bool]:
    """Do the same; False when one was removed between the list, which is of one moment, and it."""
    try:
        names = os.listxattr(fd)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return {}, True
        raise
    raw, whole = {}, True
    for name in names:
        if name.startswith("user."):
            try:
                raw[name] = os.getxattr(fd, name)
            except OSError as error:
                if error.errno != errno.ENODATA:
                    raise
                whole = False
    return raw, whole


def write(fd: int, wanted: Iterable[tuple[str, bytes]]) -> None:
    """Set attributes, one after the other.

    Raise MetadataTooLarge, InsufficientStorage, OSError; those before are set then.
    """
    for name, value in wanted:
        try:
            os.setxattr(fd, name, value)
        except OSError as error:
            _raise_too_large(fd, error)
            raise


def _raise_too_large(fd: int, error: OSError) -> None:
    """Raise MetadataTooLarge or InsufficientStorage when a failed setxattr means that.

    ext4 says ENOSPC for an attribute that does not fit beside the inode: only the file system's
    free blocks tell the two apart.
    """
    if error.errno in (errno.E2BIG, errno.ERANGE):
        raise MetadataTooLarge from error
    if error.errno == errno.ENOSPC:
        free = os.fstatvfs(fd)
        if free.f_bavail > _ROOMY and (free.f_favail or not free.f_files):
            raise MetadataTooLarge(
                "The metadata does not fit beside the file on this file system."
            ) from error
        raise InsufficientStorage from error
