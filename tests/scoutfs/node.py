"""The file system that these tests ask: the double, or a real node's that the environment names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3filters.store import filesystem, scoutfs
from tests.scoutfs import calls, ioctls

NODE = "S3FILTERS_SCOUTFS"  # names a directory on a real ScoutFS, to prove the double right


def named() -> Path | None:
    """Return the directory that the environment names, None where the double is asked."""
    given = os.environ.get(NODE)
    return Path(given) if given else None


def said() -> str:
    """Return a line about what is asked. Raise UsageError when that is not ScoutFS, or not all."""
    path = named()
    if path is None:
        return "ScoutFS: the double, mounted for each module"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise pytest.UsageError(f"{NODE} names {path}: {error.strerror}") from error
    try:
        found = scoutfs.detect(fd)
        if not found.scoutfs:
            name = filesystem.inspect(fd, str(path)).name
            raise pytest.UsageError(f"{NODE} names {path}, which is on {name}, not on ScoutFS")
        if found.missing:
            raise pytest.UsageError(f"{NODE} names {path}: {' '.join(found.missing)}")
        fsid = calls.fsid(fd)
    finally:
        os.close(fd)
    which = "a double" if fsid == ioctls.FSID else f"fsid {fsid:016x}"
    return (
        f"ScoutFS: {path}, {which}, format {found.format_version}, with CAP_SYS_ADMIN; "
        "the double where faults are ordered or calls are counted"
    )
