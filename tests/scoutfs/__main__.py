"""``python -m tests.scoutfs MOUNTPOINT``: mount the double until Ctrl-C, SIGTERM or umount(8)."""

from __future__ import annotations

import argparse
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable

from tests.scoutfs import device
from tests.scoutfs.sequences import COMMIT_S
from tests.scoutfs.server import Double
from tests.scoutfs.transactions import Committed

ENDING = (signal.SIGINT, signal.SIGTERM)
_SWITCH_S = 0.0005  # between threads that each do little


def main() -> int:
    """Mount, wait for the end, unmount."""
    options = _parser().parse_args()
    os.umask(0)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # one for each inode in use
    sys.setswitchinterval(_SWITCH_S)
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
    every_s = options.commit_every
    if options.commits:
        double: Double = Committed(options.commits, options.mountpoint, every_s=every_s or 0)
        _serve(double, options)
        return 0
    how = {
        "format_version": options.format_version,
        "every_s": COMMIT_S if every_s is None else every_s,
    }
    if options.folder:
        folder = os.open(options.folder, os.O_PATH | os.O_DIRECTORY)
        _serve(Double(folder, options.mountpoint, **how), options)
        return 0
    where = os.path.realpath(options.mountpoint)
    device.check(device.libc.mount(b"scoutfs-double", where.encode(), b"tmpfs", 2 | 4, None))
    try:
        folder = os.open(where, os.O_PATH | os.O_DIRECTORY)
        _serve(Double(folder, where, **how), options)
    finally:
        device.unmount(where)
    return 0


def _serve(double: Double, options: argparse.Namespace) -> None:
    double.start(ended=_end)
    if options.with_stdin:
        threading.Thread(target=_end_with_stdin, args=(_end,), daemon=True).start()
    print(f"mounted on {double.device.path}", flush=True)
    if options.seconds:
        signal.sigtimedwait(ENDING, options.seconds)
    else:
        signal.sigwait(ENDING)
    double.stop()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def _end_with_stdin(end: Callable[[], None]) -> None:
    while os.read(0, 4096):
        pass
    end()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.scoutfs",
        description="Mount a double of ScoutFS. Needs root, /dev/fuse and Linux 6.1.",
    )
    parser.add_argument("mountpoint", help="an existing directory")
    parser.add_argument(
        "--folder", help="where the files lie (default: memory, gone with the mount)"
    )
    parser.add_argument(
        "--commits", help="a btrfs folder whose subvolume 'live' the files lie in; see transactions"
    )
    parser.add_argument(
        "--commit-every",
        type=float,
        help="seconds between commits that nobody asks for, 0 for never (default: "
        f"{COMMIT_S}; with --commits never)",
    )
    parser.add_argument("--format-version", type=int, choices=(1, 2), default=2)
    parser.add_argument("--seconds", type=float, help="unmount after this time")
    parser.add_argument("--with-stdin", action="store_true", help="unmount when stdin ends")
    return parser


if __name__ == "__main__":
    sys.exit(main())
