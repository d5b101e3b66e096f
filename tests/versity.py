"""The tree that Versity's gateway wrote, unpacked with its extended attributes."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

DATA = Path(__file__).parent / "data" / "versity-tree"
ACCESS_KEY, SECRET_KEY = "rootkey", "rootsecretkey"  # of the tree, see its README


def unpack(folder: Path) -> Path:
    """Unpack the tree into a folder; return its storage root. tar keeps attributes in headers."""
    with tarfile.open(DATA / "tree.tar.xz") as archive:
        members = archive.getmembers()
        archive.extractall(folder, filter="fully_trusted")
    for member in members:
        for name, value in member.pax_headers.items():
            if name.startswith("SCHILY.xattr.user."):
                raw = value.encode("utf-8", "surrogateescape")
                os.setxattr(folder / member.name, name.removeprefix("SCHILY.xattr."), raw)
    for member in reversed(members):
        os.utime(folder / member.name, (member.mtime, member.mtime))
    return folder / "root"
