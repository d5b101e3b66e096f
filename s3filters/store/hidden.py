"""``<bucket>/.sgwtmp``: where a bucket keeps what no S3 name reaches. Made at its first use.

On ScoutFS each node has a folder of its own in it for files on their way, ``node.<mount>``: who
changes a folder there locks it for all nodes, and this one would be changed by all of them.
"""

from __future__ import annotations

import contextlib
import os

from s3filters.store.beneath import DIRECTORY, Root
from s3filters.store.errors import InternalError
from s3filters.store.paths import HIDDEN

MODE = 0o755
NAME = HIDDEN.encode()
PREFIX = "node."


def open_in(root: Root, bucket: bytes) -> int:
    """Return a new descriptor of it. Raise OSError: ENOENT without the bucket."""
    while True:
        try:
            return root.open(b"%b/%b" % (bucket, NAME), DIRECTORY)
        except FileNotFoundError:
            make(root, bucket)
        except NotADirectoryError as error:
            raise not_a_directory() from error


def open_own(root: Root, bucket: bytes, node: str) -> int:
    """Return a new descriptor of the folder in it for this node's files on their way.

    :param node: empty where it is that of all

    Raise OSError: ENOENT without the bucket.
    """
    if not node:
        return open_in(root, bucket)
    path = b"%b/%b/%b" % (bucket, NAME, (PREFIX + node).encode())
    while True:
        try:
            return root.open(path, DIRECTORY)
        except FileNotFoundError:
            above = open_in(root, bucket)
            try:
                with contextlib.suppress(FileExistsError, FileNotFoundError):
                    os.mkdir(PREFIX + node, MODE, dir_fd=above)
            finally:
                os.close(above)


def not_a_directory() -> InternalError:
    """Return the error for a bucket in which somebody gave its name to something else."""
    return InternalError(f"Something that is no directory is named {HIDDEN}.")


def make(root: Root, bucket: bytes) -> None:
    """Make it, unless somebody was first. Raise OSError: ENOENT without the bucket."""
    above = root.open(bucket, DIRECTORY)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(NAME, MODE, dir_fd=above)
    finally:
        os.close(above)
