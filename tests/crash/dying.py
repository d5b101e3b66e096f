"""The daemon with a death wish: ``python -m tests.crash.dying serve …`` for ``test_kill_points``.

Every system call that the store makes is a step. While the file named by ``DYING_ARM`` exists, a
worker counts its steps since then and kills itself with SIGKILL before step n, where the file says
``n``; with 0 it writes the steps' names behind it instead. Nothing in the package knows of this.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

STEPS = {
    os: (
        *("open", "close", "read", "write", "writev", "pread", "preadv", "pwrite", "pwritev"),
        *("setxattr", "removexattr", "link", "rename", "replace", "unlink", "mkdir", "rmdir"),
        *("fsync", "fdatasync", "ftruncate", "posix_fallocate", "fchmod", "fchown", "utime"),
        *("stat", "fstat", "copy_file_range", "scandir"),
    ),
    fcntl: ("flock", "fcntl", "ioctl", "lockf"),
}
WATCHED = "s3filters.store"
ARM = os.environ.get("DYING_ARM", "")


class Steps:
    """The steps of this process since it was armed."""

    def __init__(self) -> None:
        self._armed_by = ""
        self._count = 0

    def take(self, name: str) -> None:
        """Count a step, and die before it when it is the one."""
        try:
            with open(ARM, encoding="ascii") as arm:
                text = arm.read()
        except FileNotFoundError:
            return
        if text != self._armed_by:
            self._armed_by, self._count = text, 0
        self._count += 1
        fatal = int(text.partition(" ")[0])
        if not fatal:
            with open(f"{ARM}.steps", "a", encoding="ascii") as out:
                out.write(f"{name}\n")
        elif self._count == fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def watch(module: ModuleType, name: str, steps: Steps) -> None:
    """Put a counter before a function, for callers in the store alone."""
    original: Callable[..., Any] = getattr(module, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        if str(sys._getframe(1).f_globals.get("__name__")).startswith(WATCHED):
            steps.take(name)
        return original(*args, **kwargs)

    setattr(module, name, counted)


def main() -> int:
    """Watch, then be the daemon."""
    steps = Steps()
    for module, names in STEPS.items():
        for name in names:
            watch(module, name, steps)
    from s3filters.commands.main import main as serve  # noqa: PLC0415  after the watch
    from s3filters.server import master  # noqa: PLC0415

    master.BACK_OFF = 0.0  # workers die young here, and the next step is waiting
    return serve()


if __name__ == "__main__":
    sys.exit(main())
