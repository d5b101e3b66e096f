"""Changes what is kept beside an object's bytes, in place: tags and grants.

No byte is touched, nor size and mtime, so the ETag, its seal and the checksums stay true. The
inode's ctime moves, by which every process knows that the record it remembers is old. One attribute
changes at one step (setxattr(2)): a reader sees the old value or the new one. It is not a new
version of the object, so what is promised of versions and locks does not stand against it.

With durability ``full`` the inode is synced before the verb returns; on ScoutFS that sync is shared
with all that is put or changed at the same time (``commits``).

The key's lock is held, so the object that was looked at is the one that is changed. Nothing is
changed through a symbolic link: what it leads to is another key's, or nobody's.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TypeVar

from s3filters.store import errors, locks, paths, xattrs
from s3filters.store.beneath import DIRECTORY, READ
from s3filters.store.metadata import Record
from s3filters.store.tree import Tree

Change = Callable[[Record], Mapping[str, bytes | None]]
T = TypeVar("T")


def change(tree: Tree, bucket: str, key: str, decide: Change) -> Record:
    """Change attributes of an object; return its record as it is then.

    :param decide: called with the current record, under the key's lock; returns value by name of
        attribute, None for what is to go. What it raises is raised, and nothing has changed then.

    With durability ``full`` the change stays when the power goes. Raise NoSuchKey, NoSuchBucket,
    MetadataTooLarge, MethodNotAllowed for a symbolic link, StoreError.
    """

    def work(fd: int, record: Record) -> Record:
        changes = decide(record)
        _refuse_link(tree, bucket, key, fd)
        put(fd, changes)
        tree.step("attributes changed")
        changed = tree.record(fd, os.fstat(fd), key.rpartition("/")[2])
        if changed is None:  # another program took it away
            raise errors.NoSuchKey(Key=key)
        return changed

    return while_open(tree, bucket, key, work, brief=True)


def while_open(
    tree: Tree,
    bucket: str,
    key: str,
    work: Callable[[int, Record], T],
    *,
    brief: bool = False,
    lasting: bool = True,
) -> T:
    """Call ``work`` with an open descriptor of an object and its record, under the key's lock.

    :param brief: it waits for nobody, so others may wait for it to share their sync
    :param lasting: whether it is to be synced; else it may be lost with the power

    With durability ``full`` what it changes of the attributes stays when the power goes. Raise what
    it raises, NoSuchKey, NoSuchBucket, StoreError.
    """
    try:
        path = paths.path_of(bucket, key)
        tree.look(bucket, key)  # for what is not there no lock is made
        with locks.hold(tree.root, path):
            fd, record = tree.find(bucket, key, READ)
            try:
                with tree.announced(fd) if brief else nullcontext(tree) as change:
                    done = work(fd, record)
                    if lasting:
                        change.sync(fd)
                return done
            finally:
                os.close(fd)
    except (errors.InvalidArgument, FileNotFoundError) as error:
        raise tree.missing(bucket, key) from error
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error


def _refuse_link(tree: Tree, bucket: str, key: str, fd: int) -> None:
    """Raise MethodNotAllowed when the key is not the name of the open file itself, OSError."""
    above, _, last = paths.path_of(bucket, key).rpartition(b"/")
    directory = tree.root.open(above, DIRECTORY)
    try:
        found = os.stat(last, dir_fd=directory, follow_symlinks=False)
    finally:
        os.close(directory)
    if not os.path.samestat(found, os.fstat(fd)):
        raise errors.MethodNotAllowed("The key is a symbolic link: nothing is changed through it.")


def put(fd: int, changes: Mapping[str, bytes | None]) -> None:
    """Set attributes of an open file, and remove what is None. Raise MetadataTooLarge, OSError."""
    for name, value in changes.items():
        if value is None:
            _remove(fd, name)
        else:
            xattrs.write(fd, [(name, value)])


def _remove(fd: int, name: str) -> None:
    try:
        os.removexattr(fd, name)
    except OSError as error:
        if error.errno not in (errno.ENODATA, errno.ENOTSUP):
            raise
