"""``<bucket>/.sgwtmp``: where a bucket keeps what no S3 name reaches. Made at its first use.

Users can reach it beside S3, and may have put something else where a folder or a file of ours
belongs: a file or a folder, a symbolic link, a FIFO, a socket. None of that is followed, waited for
or removed; who needs the name is refused with MethodNotAllowed, which says where that is.

On ScoutFS each node has a folder of its own in it for files on their way, ``node.<mount>``: who
changes a folder there locks it for all nodes, and this one would be changed by all of them.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from s3filters.store.beneath import DIRECTORY, Root
from s3filters.store.errors import MethodNotAllowed
from s3filters.store.paths import HIDDEN

MODE = 0o755
NAME = HIDDEN.encode()
PREFIX = "node."
# What open(2) says of something that is neither file nor folder, or the wrong one of the two.
TAKEN = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO)
# O_NONBLOCK so that a FIFO holds nobody: it is told by its stat then.
_STRICTLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ATTEMPTS = 64  # folders removed between two of our steps; or a link that leads nowhere


def taken(name: str = "") -> MethodNotAllowed:
    """Return the error for a name of ours in ``.sgwtmp``, or of that, that is something else's."""
    what = f"{name} in {HIDDEN}" if name else HIDDEN
    return MethodNotAllowed(
        f"{what} of the bucket is not what belongs there: something else was put in its place."
    )


def open_in(root: Root, bucket: bytes) -> int:
    """Return a new descriptor of it.

    Raise MethodNotAllowed when it is no folder, OSError: ENOENT without the bucket.
    """
    while True:
        try:
            return root.open_ours(b"%b/%b" % (bucket, NAME), DIRECTORY)
        except FileNotFoundError:
            make(root, bucket)
        except NotADirectoryError as error:
            raise taken() from error


def open_own(root: Root, bucket: bytes, node: str) -> int:
    """Return a new descriptor of the folder in it for this node's files on their way.

    :param node: empty where it is that of all

    Raise MethodNotAllowed when it is no folder, OSError: ENOENT without the bucket.
    """
    if not node:
        return open_in(root, bucket)
    path = b"%b/%b/%b" % (bucket, NAME, (PREFIX + node).encode())
    name = f"{PREFIX}{node}"
    for _ in range(_ATTEMPTS):
        try:
            return root.open_ours(path, DIRECTORY)
        except NotADirectoryError as error:
            raise taken(name) from error
        except FileNotFoundError:
            above = open_in(root, bucket)
            try:
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    os.mkdir(PREFIX + node, MODE, dir_fd=above)
            finally:
                os.close(above)
    raise taken(name)


def make(root: Root, bucket: bytes) -> None:
    """Make it, unless somebody was first.

    Raise MethodNotAllowed when it is a link that leads nowhere, OSError: ENOENT without the bucket.
    """
    above = root.open(bucket, DIRECTORY)
    try:
        os.mkdir(NAME, MODE, dir_fd=above)
    except FileExistsError as error:
        if _leads_nowhere(above):
            raise taken() from error
    finally:
        os.close(above)


def _leads_nowhere(bucket: int) -> bool:
    """True when it is a symbolic link to what is not there."""
    try:
        os.stat(NAME, dir_fd=bucket)
    except FileNotFoundError:
        with contextlib.suppress(OSError):
            os.stat(NAME, dir_fd=bucket, follow_symlinks=False)
            return True
    except OSError:
        return False  # whoever opens it hears what it is
    return False


def open_folder(above: int, name: str) -> int:
    """Open a folder of ours in an open one, making it at its first use.

    Raise MethodNotAllowed when it is something else, OSError.
    """
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, MODE, dir_fd=above)
    try:
        return os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above)
    except NotADirectoryError as error:
        raise taken(name) from error


def open_file(folder: int, name: str, flags: int = os.O_RDWR) -> int:
    """Open a file of ours in an open folder. Raise MethodNotAllowed when it is none, OSError."""
    try:
        fd = os.open(name, flags | _STRICTLY, 0o644, dir_fd=folder)
    except OSError as error:
        if error.errno in TAKEN:
            raise taken(name) from error
        raise
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise taken(name)
