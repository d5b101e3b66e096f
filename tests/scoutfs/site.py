"""A site's archiver with a folder for a tape: ``python -m tests.scoutfs.site VERB TAPE``.

The verbs are those of the glacier filter's commands: archive, stage, release. Paths come on
standard input, each ended by NUL. A file named ``broken`` beside the copies makes it fail.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from s3filters.store import scoutfs
from tests.scoutfs import calls


def archive(path: Path, tape: Path) -> None:
    """Copy a file to tape and release it."""
    (tape / str(path.stat().st_ino)).write_bytes(path.read_bytes())
    calls.make_offline(path)


def stage(path: Path, tape: Path) -> None:
    """Bring a file back, and take the flags away that asked for it, as ScoutAM does."""
    calls.bring_back(path, (tape / str(path.stat().st_ino)).read_bytes())
    fd = os.open(path, os.O_RDONLY)
    try:
        scoutfs.change_sam_flags(fd, remove=scoutfs.STAGING | scoutfs.STAGE_FAILED)
    finally:
        os.close(fd)


def release(path: Path, tape: Path) -> None:
    """Release a file of which there is a copy."""
    if (tape / str(path.stat().st_ino)).exists():
        calls.make_offline(path)


def main(verb: str, tape: Path) -> int:
    """Do it for each path; say what came of it."""
    if (tape / "broken").exists():
        return 1
    for raw in sys.stdin.buffer.read().split(b"\0")[:-1]:
        try:
            globals()[verb](Path(os.fsdecode(raw)), tape)
            word = b"ok "
        except OSError:
            word = b"failed "
        sys.stdout.buffer.write(word + raw + b"\0")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2])))
