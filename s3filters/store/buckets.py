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
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from s3filters.store import (
    asked,
    errors,
    filesystem,
    gojson,
    locks,
    parents,
    paths,
    promises,
    settings,
    sweep,
    xattrs,
)
from s3filters.store import hidden as hidden_directory
from s3filters.store.beneath import DIRECTORY
from s3filters.store.known import is_proof
from s3filters.store.tree import Tree

CREATED = "user.s3filters.created"  # ns since the epoch; a directory's mtime moves with its files
_DIGITS = 20  # of such a number; Python refuses to read thousands of them
BUSY_S = 60.0  # a file on its way is taken for somebody's for this long when its bucket is deleted
_ATTEMPTS = 8
_LONGEST_PATH = 63 + 1 + 1024  # bytes: bucket and key
_MOST_KNOWN = 10_000
_MOST_BYTES = 1 << 24  # of the settings of all that are known


@dataclass(frozen=True, slots=True)
class BucketRecord:
    """A bucket; ``owner`` is an access key, empty when nobody is named.

    ``versioning`` is what another gateway set: Enabled, Suspended, or empty for never.
    ``settings`` are what it is configured with, raw, under the names of ``settings.ATTRIBUTES``.
    """

    name: str
    created_ns: int
    owner: str
    versioning: str = ""
    settings: Mapping[str, bytes] = field(default_factory=dict)


Change = Callable[[BucketRecord], settings.Changes]


class Buckets:
    """Reads bucket records, and remembers them while stat proves them (see ``known``)."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._known: dict[str, tuple[tuple[int, int, int], BucketRecord]] = {}
        self._bytes = 0

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
            self._keep(name, proof, record)
        return record

    def _keep(self, name: str, proof: tuple[int, int, int], record: BucketRecord) -> None:
        self._bytes += sum(map(len, record.settings.values()))
        if len(self._known) >= _MOST_KNOWN or self._bytes > _MOST_BYTES:
            self._known.clear()
            self._bytes = 0
        self._known[name] = (proof, record)

    def _read(self, name: str) -> BucketRecord:
        fd = self._tree.open_bucket(name)
        try:
            return _record(fd, name)
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


def _record(fd: int, name: str) -> BucketRecord:
    raw, found = settings.read(fd)
    created = raw.get(CREATED, b"")
    sound = created.isdigit() and len(created) <= _DIGITS
    created_ns = int(created) if sound else os.fstat(fd).st_mtime_ns
    versioning = promises.STATES.get(raw.get(promises.VERSIONING, b""), "")
    return BucketRecord(name, created_ns, _owner(found.get("acl", b"")), versioning, found)


@lru_cache(maxsize=256)
def _owner(acl: bytes) -> str:
    owner = (gojson.decode(acl) or {}).get("Owner") if acl else ""
    return owner if isinstance(owner, str) else ""


# Making ------------------------------------------------------------------------------------------


def create(tree: Tree, name: str, owner: str, given: Mapping[str, bytes] | None = None) -> None:
    """Make a bucket. Raise BucketAlreadyExists, NoSuchBucket for a name that cannot be one.

    :param given: settings; without them the owner alone has a grant, and owns all that is in it

    With durability ``full`` the bucket stays when the power goes, also one that is there already.
    """
    paths.bucket_path(name)
    hidden = f".{name}.sgwtmp.{int.from_bytes(os.urandom(8), 'big')}"
    root = tree.root.fd
    try:
        os.mkdir(hidden, hidden_directory.MODE, dir_fd=root)
        try:
            _describe(tree, hidden, owner, given or {})
            _appear(root, hidden, name)
        except BaseException:
            with contextlib.suppress(OSError):
                settings.discard(tree, root, hidden)
            raise
        finally:
            tree.sync(root)
    except FileExistsError as error:
        raise errors.BucketAlreadyExists(BucketName=name) from error
    except OSError as error:
        raise errors.from_os(error, name) from error


def _describe(tree: Tree, hidden: str, owner: str, given: Mapping[str, bytes]) -> None:
    grant = {"Permission": "FULL_CONTROL", "Access": owner, "Type": "CanonicalUser"}
    acl = gojson.encode({"Owner": owner, "Grantees": [grant]})
    values = {"acl": acl, "ownership": b"BucketOwnerEnforced", **given}
    fd = os.open(hidden, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=tree.root.fd)
    try:
        tree.mark_maker(fd)
        xattrs.write(fd, [(CREATED, b"%d" % time.time_ns())])
        settings.change(tree, fd, values)
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


# Changing ----------------------------------------------------------------------------------------


def configure(tree: Tree, name: str, change: Change) -> None:
    """Change settings of a bucket.

    :param change: called with the record as it is now, under the bucket's lock; returns what is to
        be set, None for what is to go. What it raises is raised, and nothing has changed then.

    Raise NoSuchBucket, MetadataTooLarge, StoreError.
    """
    fd = tree.open_bucket(name)
    try:
        with locks.hold(tree.root, b"%b/" % name.encode()):
            settings.change(tree, fd, change(_record(fd, name)))
    except FileNotFoundError as error:  # deleted
        raise errors.NoSuchBucket(BucketName=name) from error
    except OSError as error:
        raise errors.from_os(error, name) from error
    finally:
        os.close(fd)


# Deleting ----------------------------------------------------------------------------------------


def delete(tree: Tree, name: str, check: Callable[[BucketRecord], None] | None = None) -> None:
    """Delete a bucket in which there is nothing of worth. Raise NoSuchBucket, BucketNotEmpty.

    :param check: called with the record as it is now, under the bucket's lock, which is held until
        the bucket is gone. What it raises is raised.
    """
    fd = tree.open_bucket(name)
    try:
        if stat.S_ISLNK(os.stat(name, dir_fd=tree.root.fd, follow_symlinks=False).st_mode):
            raise errors.MethodNotAllowed("The bucket is a symbolic link.")
        for _ in range(_ATTEMPTS):
            for path in _scaffolds(fd, name.encode(), name):
                parents.prune(tree.root, path)
            _sweep(fd, name)
            with _checked(tree, fd, name, check) as lock:
                taken = _clear(tree, fd, name, lock)
                if _remove(tree, name):
                    return
                settings.give_back(tree, fd, taken)
        raise errors.BucketNotEmpty(BucketName=name)
    except FileNotFoundError as error:
        raise errors.NoSuchBucket(BucketName=name) from error
    except OSError as error:
        raise errors.from_os(error, name) from error
    finally:
        os.close(fd)


@contextlib.contextmanager
def _checked(
    tree: Tree, fd: int, name: str, check: Callable[[BucketRecord], None] | None
) -> Iterator[locks.hold | None]:
    """Ask a check, if there is one, and let no setting change as long as the block lasts."""
    if check is None:
        yield None
        return
    with locks.hold(tree.root, b"%b/" % name.encode()) as lock:
        if not os.path.samestat(os.stat(name, dir_fd=tree.root.fd), os.fstat(fd)):
            raise FileNotFoundError  # deleted, and another has been made since
        check(_record(fd, name))
        yield lock


def _remove(tree: Tree, name: str) -> bool:
    """Remove the directory; False when something is in it again."""
    try:
        os.rmdir(name, dir_fd=tree.root.fd)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    tree.sync(tree.root.fd)
    return True


def _scaffolds(fd: int, path: bytes, bucket: str) -> list[bytes]:
    """Return the paths of the directories in an open one, each behind those that are in it.

    Raise BucketNotEmpty for a file, a directory object, or a directory that we did not make: none
    of ours lies deeper than a key can be long.
    """
    if len(path) > _LONGEST_PATH:
        raise errors.BucketNotEmpty(BucketName=bucket)
    found = []
    for name in _names(fd):
        if name == paths.HIDDEN and path == bucket.encode():
            continue
        if sweep.remove_beside(fd, name, BUSY_S):
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


def _sweep(fd: int, bucket: str) -> None:
    """Remove stale files and ended uploads from ``.sgwtmp``. Raise BucketNotEmpty for others."""
    try:
        hidden = os.open(paths.HIDDEN, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=fd)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise errors.BucketNotEmpty(BucketName=bucket) from error
    try:
        sweep.sweep_hidden(hidden, BUSY_S)
        sweep.remove_nodes(hidden)
        sweep.sweep_uploads(hidden, BUSY_S, ended_age_s=0)
        _remove_multipart(hidden, bucket)
    finally:
        os.close(hidden)


def _clear(tree: Tree, fd: int, bucket: str, lock: locks.hold | None) -> dict[str, bytes]:
    """Remove ``.sgwtmp`` with its lock file; raise BucketNotEmpty when something else is in it.

    :param lock: the bucket's, if we hold it

    Return the files with settings, to be given back when the bucket has to stay.
    """
    try:
        hidden = os.open(paths.HIDDEN, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=fd)
    except FileNotFoundError:
        return {}
    try:
        locks.remove(hidden, lock)
        asked.remove(hidden)
    finally:
        os.close(hidden)
    taken = settings.take_away(tree, fd)
    try:
        os.rmdir(paths.HIDDEN, dir_fd=fd)
    except OSError as error:
        settings.give_back(tree, fd, taken)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise errors.BucketNotEmpty(
            "Something is being written to the bucket.", BucketName=bucket
        ) from error
    return taken


def _remove_multipart(hidden: int, bucket: str) -> None:
    """Remove ``multipart/<key>`` without uploads. Raise BucketNotEmpty for one with an upload."""
    try:
        fd = os.open("multipart", DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=hidden)
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise errors.BucketNotEmpty(BucketName=bucket) from error
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
