"""File systems to break: loop images that can be copied while they are mounted, and small ones.

A power cut is a copy of the device under a mounted file system at one instant: the inner image lies
on an outer xfs with reflink, FICLONE copies it atomically, and the copy holds what had reached the
device and nothing of the page cache. The daemon above never notices, so one run gives many cuts.
What was written to the device survives, so a disk that lies about its cache is not tested.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

FICLONE = 0x40049409  # linux/fs.h
MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q", "-f", "-m", "reflink=1"),
    "btrfs": ("mkfs.btrfs", "-q", "-f"),
}
MOUNT = {"ext4": (), "xfs": ("-o", "nouuid"), "btrfs": ()}
KERNEL_NEEDED = {"btrfs": (6, 7)}  # from there on two images with one UUID can be mounted
INNER = "512M"
OUTER = "3G"
BUSY_S = 5.0


def need(*programs: str) -> None:
    """Skip, or in CI fail, where we may not mount or a program is missing."""
    missing = [name for name in programs if not shutil.which(name)]
    reason = ""
    if missing:
        reason = f"not installed: {', '.join(missing)}"
    elif os.geteuid() != 0:
        reason = "only root may mount file systems"
    elif programs and not os.path.exists("/dev/loop-control"):
        reason = "no loop devices here"
    if reason:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


def run(*words: str) -> str:
    """Run a command that must succeed and return what it printed."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


@contextmanager
def folder() -> Iterator[Path]:
    """A temporary folder to mount things in; left where it is if something is still mounted."""
    path = Path(tempfile.mkdtemp(prefix="s3filters-lab-"))
    try:
        yield path
    finally:
        if not any(os.path.ismount(entry) for entry in path.iterdir()):
            shutil.rmtree(path)


@contextmanager
def mounted(where: Path, *words: str) -> Iterator[Path]:
    """``mount WORDS WHERE`` until the block ends."""
    where.mkdir(parents=True, exist_ok=True)
    run("mount", *words, str(where))
    try:
        yield where
    finally:
        try:
            _unmount(where)
        except AssertionError:  # held open by what failed before: free it when that is closed
            run("umount", "--lazy", str(where))
            raise


def _unmount(where: Path) -> None:
    """``umount``; the kernel and threads that just ended may hold it for a moment longer."""
    until = time.monotonic() + BUSY_S
    while True:
        try:
            run("umount", str(where))
            return
        except AssertionError as error:
            if "busy" not in str(error) or time.monotonic() > until:
                raise
        time.sleep(0.1)


@contextmanager
def image(path: Path, kind: str, where: Path, size: str | None = None) -> Iterator[Path]:
    """Mount a loop image; with a size it is made first."""
    if size:
        run("truncate", "-s", size, str(path))
        run(*MAKE[kind], str(path))
    device = run("losetup", "--find", "--show", str(path))
    try:
        with mounted(where, *MOUNT[kind], device):
            yield where
    finally:
        run("losetup", "--detach", device)


@dataclass(frozen=True)
class Lab:
    """A mounted inner file system, and the place for its copies."""

    kind: str
    root: Path
    inner: Path
    copy: Path
    after: Path

    def cut(self) -> None:
        """Copy the device as it is at this instant: the power goes out here."""
        source = os.open(self.inner, os.O_RDONLY)
        target = os.open(self.copy, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        try:
            fcntl.ioctl(target, FICLONE, source)
        finally:
            os.close(source)
            os.close(target)

    @contextmanager
    def recovered(self) -> Iterator[Path]:
        """Mount what the last cut left, after the file system's own recovery."""
        with image(self.copy, self.kind, self.after):
            yield self.after


@contextmanager
def lab(kind: str) -> Iterator[Lab]:
    """An inner file system of a kind on a loop image that can be cloned while it is mounted."""
    need("mkfs.xfs", f"mkfs.{kind}", "losetup")
    kernel = tuple(int(word) for word in re.findall(r"\d+", os.uname().release)[:2])
    if kernel < KERNEL_NEEDED.get(kind, (0, 0)):
        pytest.skip(f"Linux {kernel} mounts no copy of a {kind} that is mounted")
    with ExitStack() as stack:
        base = stack.enter_context(folder())
        memory = stack.enter_context(
            mounted(base / "memory", "-t", "tmpfs", "-o", "size=4g", "lab")
        )
        outer = stack.enter_context(image(memory / "outer", "xfs", base / "outer", OUTER))
        root = stack.enter_context(image(outer / "inner", kind, base / "root", INNER))
        yield Lab(kind, root, outer / "inner", outer / "copy", base / "after")
