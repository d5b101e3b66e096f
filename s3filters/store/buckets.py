"""Buckets: the directories under the root that have a bucket's name.

Owner and ownership are stored as Versity's gateway does; a directory that a person made is a
bucket too, with nobody as its owner. A new bucket is made under a hidden name with all its
attributes and appears by one rename, so it is never seen without its owner.

Deleting takes the name away with rmdir(2), which the kernel refuses while anything is in the
directory: a put that is under way either is in time, and the bucket stays, or finds no bucket and
fails. Before that go only things without worth: empty directories of ours, lock files (under
their locks), stale files on their way and uploads that were completed or aborted. Uploads in
progress are not without worth, also where another gateway has claimed them: they keep the bucket.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import time
from dataclasses import dataclass

from s3filters.store import errors, filesystem, gojson, locks, parents, paths, promises, sweep
from s3filters.store import hidden as hidden_directory
from s3filters.store.beneath import DIRECTORY
from s3filters.store.known import is_proof
from s3filters.store.tree import Tree

CREATED = "user.s3filters.created"  # ns since the epoch; a directory's mtime moves with its files
BUSY_S = 60.0  # a file on its way is taken for somebody's for this long when its bucket is deleted
_ATTEMPTS = 8
_MOST_KNOWN = 10_000


@dataclass(frozen=True, slots=True)
class BucketRecord:
    """A bucket; ``owner`` is an access key, empty when nobody is named.

    ``versioning`` is what another gateway set: Enabled, Suspended, or empty for never.
    """

    name: str
    created_ns: int
    owner: str
    versioning: str = ""


class Buckets:
    """Reads bucket records, and remembers them while stat proves them (see ``known``)."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[str, tuple[tuple[int, int, int], BucketRecord]] = {}

    def get(self, name: str) -> BucketRecord:
        """Return a bucket. Raise NoSuchBucket, StoreError."""
        path = paths.bucket_path(name)
        try:
            found = os.stat(path, dir_fd=self._tree.root.fd, follow_symlinks=False)
        except FileNotFoundError as error:
            self._known.pop(name, None)
            raise errors.NoSuchBucket(BucketName=name) from error
        except OSError as error:
            raise errors.from_os(error, name) from error
        proof = (found.st_dev, found.st_ino, found.st_ctime_ns)
        kept = self._known.get(name)
        if kept is not None and kept[0] == proof:
            return kept[1]
        began_ns = time.time_ns()
        record = self._read(name)
        provable = self._tree.local and is_proof(found.st_ctime_ns, began_ns)
        if provable and stat.S_ISDIR(found.st_mode):
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[name] = (proof, record)
        return record

    def _read(self, name: str) -> BucketRecord:
        fd = self._tree.open_bucket(name)
        try:
            created = _attribute(fd, CREATED)
            created_ns = int(created) if created.isdigit() else os.fstat(fd).st_mtime_ns
            versioning = promises.STATES.get(_attribute(fd, promises.VERSIONING), "")
            return BucketRecord(name, created_ns, _owner(_attribute(fd, "user.acl")), versioning)
        except OSError as error:
            raise errors.from_os(error, name) from error
        finally:
            os.close(fd)

    def all(self) -> list[BucketRecord]:
        """Return all buckets in byte order of their names. Symbolic links are not listed.

        Raise StoreError.
        """
        try:
            names = self._names()
        except OSError as error:
            raise errors.from_os(error, "/") from error
        found = []
        for name in names:
            with contextlib.suppress(errors.NoSuchBucket):  # deleted since it was listed
                found.append(self.get(name))
        return found

    def _names(self) -> list[str]:
        fd = os.open(".", DIRECTORY.flags, dir_fd=self._tree.root.fd)
        try:
            with os.scandir(fd) as entries:
                return sorted(
                    entry.name
                    for entry in entries
                    if paths.is_bucket(entry.name) and entry.is_dir(follow_symlinks=False)
                )
        finally:
            os.close(fd)


def _attribute(fd: int, name: str) -> bytes:
    try:
        return os.getxattr(fd, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return b""
        raise


def _owner(acl: bytes) -> str:
    try:
        owner = json.loads(acl).get("Owner", "") if acl else ""
    except (ValueError, AttributeError):
        return ""
    return owner if isinstance(owner, str) else ""


# Making ------------------------------------------------------------------------------------------


def create(tree: Tree, name: str, owner: str) -> None:
    """Make a bucket. Raise BucketAlreadyExists, NoSuchBucket for a name that cannot be one.

    With durability ``full`` the bucket stays when the power goes, also one that is there already.
    """
    paths.bucket_path(name)
    hidden = f".{name}.sgwtmp.{int.from_bytes(os.urandom(8), 'big')}"
    root = tree.root.fd
    try:
        os.mkdir(hidden, hidden_directory.MODE, dir_fd=root)
        try:
            _describe(tree, hidden, owner)
            _appear(root, hidden, name)
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(hidden, dir_fd=root)
            raise
        finally:
            if tree.durability == "full":
                os.fsync(root)
    except FileExistsError as error:
        raise errors.BucketAlreadyExists(BucketName=name) from error
    except OSError as error:
        raise errors.from_os(error, name) from error


def _describe(tree: Tree, hidden: str, owner: str) -> None:
    grant = {"Permission": "FULL_CONTROL", "Access": owner, "Type": "CanonicalUser"}
    fd = os.open(hidden, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=tree.root.fd)
    try:
        os.setxattr(fd, "user.acl", gojson.encode({"Owner": owner, "Grantees": [grant]}))
        os.setxattr(fd, "user.ownership", b"BucketOwnerEnforced")
        os.setxattr(fd, CREATED, b"%d" % time.time_ns())
        if tree.durability == "full":
            os.fsync(fd)
    finally:
        os.close(fd)


def _appear(root: int, hidden: str, name: str) -> None:
    try:
        filesystem.rename_if_absent(root, hidden, name)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise
        # No RENAME_NOREPLACE (NFS): mkdir(2) decides who made it, rename replaces the empty one.
        os.mkdir(name, hidden_directory.MODE, dir_fd=root)
        os.rename(hidden, name, src_dir_fd=root, dst_dir_fd=root)


# Deleting ----------------------------------------------------------------------------------------


def delete(tree: Tree, name: str) -> None:
    """Delete a bucket in which there is nothing of worth. Raise NoSuchBucket, BucketNotEmpty."""
    fd = tree.open_bucket(name)
    try:
        if stat.S_ISLNK(os.stat(name, dir_fd=tree.root.fd, follow_symlinks=False).st_mode):
            raise errors.MethodNotAllowed("The bucket is a symbolic link.")
        for _ in range(_ATTEMPTS):
            for path in _scaffolds(fd, name.encode(), name):
                parents.prune(tree.root, path)
            _clear(fd, name)
            if _remove(tree, name):
                return
        raise errors.BucketNotEmpty(BucketName=name)
    except FileNotFoundError as error:
        raise errors.NoSuchBucket(BucketName=name) from error
    except OSError as error:
        raise errors.from_os(error, name) from error
    finally:
        os.close(fd)


def _remove(tree: Tree, name: str) -> bool:
    """Remove the directory; False when something is in it again."""
    try:
        os.rmdir(name, dir_fd=tree.root.fd)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    if tree.durability == "full":
        os.fsync(tree.root.fd)
    return True


def _scaffolds(fd: int, path: bytes, bucket: str) -> list[bytes]:
    """Return the paths of the directories in an open one, each behind those that are in it.

    Raise BucketNotEmpty for a file, a directory object, or a directory that we did not make.
    """
    found = []
    for name in _names(fd):
        if name == paths.HIDDEN and path == bucket.encode():
            continue
        try:
            if not parents.is_ours(fd, os.fsencode(name)):
                raise errors.BucketNotEmpty(BucketName=bucket)
            below = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=fd)
        except FileNotFoundError:
            continue
        except NotADirectoryError as error:
            raise errors.BucketNotEmpty(BucketName=bucket) from error
        try:
            inner = b"%b/%b" % (path, os.fsencode(name))
            found += [*_scaffolds(below, inner, bucket), inner]
        finally:
            os.close(below)
    return found


def _clear(fd: int, bucket: str) -> None:
    """Remove ``.sgwtmp`` with locks and stale files; raise BucketNotEmpty for the rest."""
    try:
        hidden = os.open(paths.HIDDEN, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=fd)
    except FileNotFoundError:
        return
    try:
        sweep.sweep_hidden(hidden, BUSY_S)
        sweep.sweep_uploads(hidden, BUSY_S, ended_age_s=0)
        _remove_multipart(hidden, bucket)
        locks.remove(hidden)
    finally:
        os.close(hidden)
    try:
        os.rmdir(paths.HIDDEN, dir_fd=fd)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise errors.BucketNotEmpty(
            "Something is being written to the bucket.", BucketName=bucket
        ) from error


def _remove_multipart(hidden: int, bucket: str) -> None:
    """Remove ``multipart/<key>`` without uploads. Raise BucketNotEmpty for one with an upload."""
    try:
        fd = os.open("multipart", DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=hidden)
    except FileNotFoundError:
        return
    try:
        for key in _names(fd):
            with contextlib.suppress(FileNotFoundError):  # the one who ended its upload was first
                os.rmdir(key, dir_fd=fd)
        os.rmdir("multipart", dir_fd=hidden)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise errors.BucketNotEmpty(
            "Uploads are in progress in the bucket.", BucketName=bucket
        ) from error
    finally:
        os.close(fd)


def _names(fd: int) -> list[str]:
    with os.scandir(fd) as entries:
        return [entry.name for entry in entries]
