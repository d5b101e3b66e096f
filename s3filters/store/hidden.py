"""``<bucket>/.sgwtmp``: where a bucket keeps what no S3 name reaches. Made at its first use."""

from __future__ import annotations

import contextlib
import os

from s3filters.store.beneath import DIRECTORY, Root
from s3filters.store.errors import InternalError
from s3filters.store.paths import HIDDEN

MODE = 0o755
NAME = HIDDEN.encode()


def open_in(root: Root, bucket: bytes) -> int:
    """Return a new descriptor of it. Raise OSError: ENOENT without the bucket."""
    while True:
        try:
            return root.open(b"%b/%b" % (bucket, NAME), DIRECTORY)
        except FileNotFoundError:
            make(root, bucket)
        except NotADirectoryError as error:
            raise not_a_directory() from error


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
