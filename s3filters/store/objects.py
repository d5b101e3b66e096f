"""An object opened for reading; deleting objects; and objects that are directories.

A key that ends in ``/`` is a directory with an ETag, a key that does not is a file; the other
kind under the same name is not there. Symbolic links are followed when read, and removed
themselves when deleted. FIFOs, sockets and devices are not there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator

from s3filters.store import (
    describing,
    errors,
    freeing,
    locks,
    metadata,
    parents,
    paths,
    promises,
    recognizing,
    xattrs,
)
from s3filters.store.beneath import DIRECTORY
from s3filters.store.comparing import Comparison
from s3filters.store.metadata import Attributes, Record
from s3filters.store.pending import leads_to_directory
from s3filters.store.place import Check
from s3filters.store.tree import Tree

# On a directory object that was there before it became one: it stays when the object is deleted.
FOUND = "user.s3filters.found"


class Opened:
    """An object opened for reading. Whoever has it closes it."""

    __slots__ = ("fd", "record")

    def __init__(self, fd: int, record: Record) -> None:
        self.fd = fd
        self.record = record

    def close(self) -> None:
        """Close the file; harmless the second time."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def blocks(self, size: int, first: int = 0, count: int | None = None) -> Iterator[bytes]:
        """Yield ``count`` bytes from ``first``, or all, in blocks of ``size``; the last is shorter.

        Raise InternalError when they cannot be read to their end.
        """
        at, end = first, self.record.size if count is None else first + count
        while at < end:
            try:
                block = os.pread(self.fd, min(size, end - at), at)
            except OSError as error:
                raise errors.from_os(error, "an open object") from error
            if not block:
                raise errors.InternalError("The object became shorter while it was read.")
            yield block
            at += len(block)

    def is_unchanged(self) -> bool:
        """True when nobody has written to the file since the record was read."""
        found = os.fstat(self.fd)
        return self.record.is_directory or (
            (found.st_size, found.st_mtime_ns) == (self.record.size, self.record.mtime_ns)
        )

    def tags(self) -> dict[str, str] | None:
        """Return the object's tags, None when it has none."""
        try:
            return recognizing.tags_in(os.getxattr(self.fd, "user.X-Amz-Tagging")) or None
        except OSError:
            return None

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


# Deleting ----------------------------------------------------------------------------------------


def delete(tree: Tree, bucket: str, key: str, check: Check | None) -> bool:
    """Delete an object and the directories that were there for it alone.

    :param check: called with the current record, or None, under the key's lock; what it raises is
        raised, and nothing has changed then

    Return whether there was one; with durability ``full`` it stays deleted when the power goes,
    also when another's deletion, of which we saw the outcome, was not yet on the disk.
    Raise NoSuchBucket, StoreError.
    """
    try:
        path = paths.path_of(bucket, key)
        above, _, last = path.rpartition(b"/")
        directory = tree.root.open(above, DIRECTORY)
    except (FileNotFoundError, NotADirectoryError, errors.InvalidArgument) as error:
        return _was_absent(tree, bucket, key, check, error)
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    try:
        if _stat(directory, last) is None:
            return _was_absent(tree, bucket, key, check, None)
        with tree.announced(directory) as change:
            with locks.hold(tree.root, path):
                done = _delete_in(tree, directory, last, (bucket, key), check)
            if done and tree.durability == "full":
                change.sync(directory)
                _step(tree, "synced")
        may_prune = done and parents.MADE in os.listxattr(directory)
    except FileNotFoundError as error:  # another program, or the whole bucket went
        return _was_absent(tree, bucket, key, check, error)
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    finally:
        os.close(directory)
    if may_prune:
        parents.prune(tree.root, above)
    if not done:
        _sync_absence(tree, bucket, key)
    return done


def _was_absent(
    tree: Tree, bucket: str, key: str, check: Check | None, error: Exception | None
) -> bool:
    missing = tree.missing(bucket, key)
    if not isinstance(missing, errors.NoSuchKey):
        raise missing from error
    if check is not None:
        check(None)
    _sync_absence(tree, bucket, key)
    return False


def _sync_absence(tree: Tree, bucket: str, key: str) -> None:
    """Sync, with durability ``full``, that a key is not there: its deletion may still be going on.

    Raise NoSuchBucket, StoreError.
    """
    if tree.durability != "full":
        return
    try:
        path = paths.path_of(bucket, key)
        if not key.endswith("/"):  # else the directory itself may be there, and no object any more
            path = path[: path.rindex(b"/")]
        fd, _ = parents.open_deepest(tree.root, path)
    except (errors.InvalidArgument, errors.ObjectParentIsFile):
        return  # there cannot have been an object
    except FileNotFoundError as error:
        raise errors.NoSuchBucket(BucketName=bucket) from error
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    try:
        tree.sync(fd)
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    finally:
        os.close(fd)


def _delete_in(
    tree: Tree, directory: int, last: bytes, name: tuple[str, str], check: Check | None
) -> bool:
    """Look, ask and act, under the key's lock; False when there was nothing to delete."""
    path = b"/".join(map(str.encode, name))
    with Comparison(tree, path) as comparison:
        found, asked = _stat(directory, last), check is None
        while check is not None and not asked:
            current = None if found is None else _record(tree, directory, last, found, name)
            asked = comparison.ask(check, current)
            if not asked:
                comparison.claim()
                found = _stat(directory, last)
        if found is None or not _is_there(tree, directory, last, found, name[1]):
            return False
        target = b"/proc/self/fd/%d/%b" % (directory, last)
        promises.check(tree.root.fd, path, target, directory)
        comparison.confirm()
        if stat.S_ISDIR(found.st_mode):
            _remove_directory(tree, directory, last)
        else:
            with freeing.later(directory, last):
                os.unlink(last, dir_fd=directory)
    _step(tree, "removed")
    return True


def _stat(directory: int, last: bytes) -> os.stat_result | None:
    try:
        return os.stat(last, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _record(
    tree: Tree, directory: int, last: bytes, found: os.stat_result, name: tuple[str, str]
) -> Record | None:
    """Return the object under a name, None when there is none of the key's kind."""
    if stat.S_ISLNK(found.st_mode):
        return tree.record_behind_link(*name)
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        return None
    record = tree.record_at(directory, last, found)
    if record is not None and record.is_directory is not name[1].endswith("/"):
        return None
    return record


def _is_there(tree: Tree, directory: int, last: bytes, found: os.stat_result, key: str) -> bool:
    """True when the name is that of an object of the key's kind, or of a link to a file."""
    if stat.S_ISDIR(found.st_mode):
        return key.endswith("/") and tree.record_at(directory, last, found) is not None
    if key.endswith("/"):
        return False
    if stat.S_ISREG(found.st_mode):
        return not _is_delete_marker(directory, last)
    return stat.S_ISLNK(found.st_mode) and not leads_to_directory(directory, last)


def _is_delete_marker(directory: int, last: bytes) -> bool:
    """True for a file that Versity's gateway deleted and keeps for its versions."""
    target = b"/proc/self/fd/%d/%b" % (directory, last)
    try:
        os.getxattr(target, "user.delete-marker", follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return False
        raise
    return True


def _remove_directory(tree: Tree, directory: int, last: bytes) -> None:
    """Remove a directory object; where objects are in it, or a person made it, its marks alone."""
    fd = os.open(last, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=directory)
    try:
        present = os.listxattr(fd)
        if FOUND not in present:
            try:
                os.rmdir(last, dir_fd=directory)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
            else:
                return
        # The ETag first: without it the directory is no object, whatever else it carries.
        for name in ("user.etag", *metadata.NAMES, FOUND):
            if name in present:
                os.removexattr(fd, name)
        tree.sync_earlier(fd)
    finally:
        os.close(fd)


# Directory objects -------------------------------------------------------------------------------


def put_directory(
    tree: Tree, bucket: str, key: str, attributes: Attributes, check: Check | None
) -> Record:
    """Make a directory an object. One that is an object already gets the new attributes.

    The ETag is set last, so a new one appears whole. Attributes of one that is replaced change
    one by one: a directory cannot be exchanged as a file can while others use it.

    Raise ObjectParentIsFile when a part of the key is a file, MetadataTooLarge, StoreError.
    """
    path = paths.path_of(bucket, key)
    try:
        for _ in parents.attempts():
            way = parents.open_way(tree.root, path, tree.owner)
            try:
                record = _mark_directory(tree, way, path, attributes, check)
                if record is not None:
                    return record
            except BaseException:
                parents.prune(tree.root, path)
                raise
            finally:
                way.close()
    except FileNotFoundError as error:
        raise tree.missing(bucket, key) from error
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    raise errors.SlowDown


def _mark_directory(
    tree: Tree,
    way: parents.Way,
    path: bytes,
    attributes: Attributes,
    check: Check | None,
) -> Record | None:
    """Write the attributes under the key's lock; None when the directory was pruned before."""
    with locks.hold(tree.root, path):
        found = os.fstat(way.fd)
        if not found.st_nlink:
            return None
        current = tree.record(way.fd, found, "")
        if check is not None:
            check(current)
        if current is not None:
            promises.check(tree.root.fd, path, way.fd)
        _write_marks(way.fd, attributes, current)
    if tree.durability == "full":
        way.sync()
        _step(tree, "synced")
    return describing.record_of(attributes, os.fstat(way.fd))


def _write_marks(fd: int, attributes: Attributes, current: Record | None) -> None:
    present = os.listxattr(fd)
    wanted = describing.encode(attributes, None)
    if current is None and parents.MADE not in present:
        wanted.insert(0, (FOUND, b"1"))
    xattrs.write(fd, reversed(wanted))
    given = {name for name, _ in wanted}
    for name in metadata.NAMES:
        if name in present and name not in given:
            os.removexattr(fd, name)


def _step(tree: Tree, word: str) -> None:
    if tree.trace is not None:
        tree.trace(word)
