"""A fresh file system in a file, mounted for the run (``--file-system``, needs root), and warnings.

What a PUT costs depends on the file system's past. The worst case is known: ext4 *without a
journal* (some virtual machines have it) looks at every inode that was deleted in the last minutes
each time it makes a new one (``recently_deleted`` in fs/ext4/ialloc.c), so that after a few
thousand deletes, of anybody, creating a file costs many times what it costs otherwise.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE = 12 << 30  # bytes; the file is sparse

MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-N", "2000000", "-E", "lazy_itable_init=1"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
MOUNT = {"ext4": "loop,noinit_itable", "xfs": "loop", "btrfs": "loop"}


@contextmanager
def fresh(kind: str | None, folder: Path) -> Iterator[Path]:
    """Mount a new file system of this kind beneath the folder and give its root; None: no new one.

    Raise CalledProcessError when it cannot be made or mounted.
    """
    if kind is None:
        yield folder
        return
    image, point = folder / "image", folder / "volume"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run([*MAKE[kind], str(image)], check=True)
    point.mkdir()
    subprocess.run(["mount", "-t", kind, "-o", MOUNT[kind], str(image), str(point)], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", str(point)], check=True)


def mount_of(folder: Path) -> tuple[str, str]:
    """Return device and type of the file system of a folder: the longest mount point above it."""
    best, found = "", ("", "unknown")
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, point, kind, *_ = line.split()
        inside = f"{folder.resolve()}/".startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, found = point, (device, kind)
    return found


def written(folder: Path) -> int | None:
    """Return the bytes that the device of a fresh file system was told to write; None: of another.

    Source: Documentation/block/stat.rst, "write sectors" are of 512 bytes.
    """
    name = os.path.basename(mount_of(folder)[0])
    if not name.startswith("loop"):
        return None
    return int(Path("/sys/class/block", name, "stat").read_text().split()[6]) * 512


def describe(folder: Path) -> str:
    """Return the type of a folder's file system, and whether it is an ext4 without a journal."""
    device, kind = mount_of(folder)
    name = os.path.basename(device)
    known = Path("/proc/fs/ext4", name).exists()
    if kind == "ext4" and known and not list(Path("/proc/fs/jbd2").glob(f"{name}-*")):
        return "ext4 without a journal"
    return kind
