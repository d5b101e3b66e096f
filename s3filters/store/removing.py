"""Removes what has ended, off the path of the verb that ended it.

An upload of 10,000 parts is 10,000 files to remove, and 50 GiB of blocks to free: that is for a
thread of its own. What a process did not come to remove is removed by the next sweep.
"""

from __future__ import annotations

import contextlib
import errno
import os
from concurrent.futures import ThreadPoolExecutor

from s3filters.store.beneath import DIRECTORY, Root

_thread = ThreadPoolExecutor(1, "removing")  # starts at the first upload, so after any fork
_ATTEMPTS = 4
_DEPTH = 8  # directories in one another; ours has one, and Versity's may have one more


def later(root: Root, folder: int, path: bytes, name: bytes) -> None:
    """Remove a directory ``name`` in an open one, whose path under the root is ``path``.

    The descriptor is closed; the folder is removed too when nothing is left in it.
    """
    _thread.submit(_remove, root, folder, path, name)


def _remove(root: Root, folder: int, path: bytes, name: bytes) -> None:
    try:
        for _ in range(_ATTEMPTS):
            try:
                tree(folder, name)
            except OSError as error:
                if error.errno == errno.ENOTEMPTY:  # by who came too late, and goes at once
                    continue
            break  # whatever is left is the sweep's
    finally:
        os.close(folder)
    above, _, last = path.rpartition(b"/")
    with contextlib.suppress(OSError):  # another upload is in it
        fd = root.open_ours(above, DIRECTORY)
        try:
            os.rmdir(last, dir_fd=fd)
        finally:
            os.close(fd)


def tree(directory: int, name: bytes | str, depth: int = _DEPTH) -> None:
    """Remove the directory ``name`` in an open one, and all that is in it, following no link.

    What others remove meanwhile does not matter. Raise OSError.
    """
    try:
        fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=directory)
    except FileNotFoundError:
        return
    try:
        with os.scandir(fd) as entries:
            found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for inner, is_directory in found:
            with contextlib.suppress(FileNotFoundError):
                if is_directory and depth:
                    tree(fd, inner, depth - 1)
                else:
                    os.unlink(inner, dir_fd=fd)
    finally:
        os.close(fd)
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(name, dir_fd=directory)


def settle() -> None:
    """Wait until all that was ended so far is removed."""
    _thread.submit(int).result()
