"""Takes the freeing of a large file's blocks out of the verb that takes its name away.

Whoever drops the last reference of an inode frees its blocks: 100 ms and more for 1 GiB on ext4,
inside unlink(2) or rename(2). ``later`` holds a reference over that call, and a thread of its own
drops it; so these calls are quick, also where they run in an event loop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

LARGE = 1 << 20  # bytes; what is smaller is freed faster than it is handed over

_thread = ThreadPoolExecutor(1, "freeing")  # starts at the first large file, so after any fork


@contextmanager
def later(directory: int, name: bytes) -> Iterator[None]:
    """While the name of a file is taken away or given to another: what it held is freed later."""
    held = _hold(directory, name)
    try:
        yield
    finally:
        if held >= 0:
            _thread.submit(os.close, held)


def _hold(directory: int, name: bytes) -> int:
    """Return a descriptor that keeps a large file, -1 where there is none or nothing to spare."""
    try:
        if os.stat(name, dir_fd=directory, follow_symlinks=False).st_size <= LARGE:
            return -1
        return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return -1  # then the verb itself frees, or says what is wrong
