"""The tree that all verbs work on: the root held open, and what is known about it.

Nothing here changes a file. ``record`` is how every verb, and a listing, comes from a stat to a
Record.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from functools import cached_property

from s3filters.store import errors, filesystem, paths, recognizing, scoutfs
from s3filters.store.beneath import DIRECTORY, LOOK, READ, Kind, Root
from s3filters.store.commits import Commits, Visit
from s3filters.store.errors import WouldBlock
from s3filters.store.known import Known
from s3filters.store.metadata import Record
from s3filters.store.names import NameCache
from s3filters.store.owners import Owner
from s3filters.store.scoutfs import Capabilities

DURABILITIES = ("full", "data", "none")
PLACEMENTS = ("auto", "files", "direct")


class Tree:
    """A storage root.

    :param path: the directory whose sub-directories are the buckets
    :param durability: what a verb has made sure of when it returns, see ``place``
    :param local: whether inodes change on this machine alone; None asks the file system
    :param symlinks_outside: reading follows symbolic links out of the root
    :param placement: where the bytes of an upload's parts go, see ``placed``
    :param noarchive_parts: the archiver leaves the parts of uploads alone, on ScoutFS where we may
        say so
    :param records: how many Records to remember
    :param trace: called with a word at each step of a change, for crash tests

    Raise OSError when the root cannot be opened, filesystem.Unsuitable when it cannot be used.
    """

    def __init__(  # noqa: PLR0913  what an ini says of a root
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "full",
        local: bool | None = None,
        symlinks_outside: bool = False,
        placement: str = "auto",
        noarchive_parts: bool = True,
        records: int = 20_000,
        trace: Callable[[str], None] | None = None,
    ) -> None:
        if durability not in DURABILITIES:
            raise ValueError(f"durability is one of {', '.join(DURABILITIES)}, not {durability}")
        if placement not in PLACEMENTS:
            raise ValueError(f"placement is one of {', '.join(PLACEMENTS)}, not {placement}")
        self.root = Root(path, outside=symlinks_outside)
        found = filesystem.inspect(self.root.fd, self.root.path)
        self.filesystem = found.name
        self.local = found.local if local is None else local
        self.tmpfile = found.tmpfile
        if placement == "direct" and not self.local:
            raise filesystem.Unsuitable(
                f"placement = direct needs a file system of this machine, and {path} is on another"
            )
        self._placement = placement
        self._noarchive_parts = noarchive_parts
        self._device = os.fstat(self.root.fd).st_dev
        self._commits = Commits()
        self.project = 0  # ScoutFS's number of what is made here; see Store.for_project
        self.owner: Owner | None = None  # of what is made here; see Store.for_owner
        self.durability = durability
        self.trace = trace
        self.known = Known(records if self.local else 0)
        can_cached = self.local and self.root.can_cached
        self._open_cached = self.root.open_cached if can_cached else _cannot
        self.names = NameCache(local=self.local)  # of directories, for listings

    @cached_property
    def places_directly(self) -> bool:
        """Whether parts are written where they will lie in the object, see ``placed``."""
        if self._placement != "auto":
            return self._placement == "direct"
        if not self.local:
            return False
        # Sharing blocks waits until they are on the disk, which without durability they are not.
        return self.durability == "none" or not filesystem.can_clone(self.root.fd)

    @cached_property
    def capabilities(self) -> Capabilities:
        """What ScoutFS offers, where it is one; a file system of this machine is not asked."""
        return scoutfs.NOT_HERE if self.local else scoutfs.detect(self.root.fd)

    def where(self, *, needed: bool = False) -> tuple[str, ...]:
        """Say for the log where the buckets are and then what ScoutFS has, and is missing there.

        :param needed: whether that there is no ScoutFS is missed, too
        """
        found = self.capabilities
        if found.scoutfs:
            words = f"buckets are in {self.root.path}, on ScoutFS of format {found.format_version}"
            return (words, *found.missing)
        words = f"buckets are in {self.root.path}, on {self.filesystem}"
        return (words, *found.missing) if needed else (words,)

    @cached_property
    def moves_blocks(self) -> bool:
        """Whether blocks can be moved from one file to another: on ScoutFS."""
        return self.capabilities.scoutfs

    @cached_property
    def node(self) -> str:
        """What tells this node from the others that share a ScoutFS; empty elsewhere."""
        return scoutfs.node(self.root.fd) if self.capabilities.scoutfs else ""

    @cached_property
    def commits_all(self) -> bool:
        """Whether a sync of anything makes durable all that was done before it: on ScoutFS.

        There a commit is of the whole mount and keeps the order of changes, bytes and names alike.
        """
        return self.capabilities.scoutfs

    def is_committed_with_all(self, fd: int) -> bool:
        """Whether that holds of an open file: another file system may be mounted in the tree."""
        return self.commits_all and os.fstat(fd).st_dev == self._device

    def sync_earlier(self, fd: int) -> None:
        """With durability ``full``, sync what must be durable before what is done next and synced.

        Nothing is to be done where commits keep the order of changes. Raise OSError.
        """
        if self.durability == "full" and not self.is_committed_with_all(fd):
            os.fsync(fd)

    def visit(self, fd: int) -> Visit | None:
        """Announce that an open file will be synced soon, where such syncs are shared; else None.

        With durability ``full`` on ScoutFS, see ``commits``. The visit is to be closed.
        """
        if self.durability == "full" and self.is_committed_with_all(fd):
            return self._commits.visit()
        return None

    @contextlib.contextmanager
    def announced(self, fd: int) -> Iterator[Visit | Tree]:
        """Announce a short change of an open file or directory; yield what has its ``sync``.

        Where syncs are shared, others wait for it a moment: see ``commits``.
        """
        visit = self.visit(fd)
        try:
            yield visit or self
        finally:
            if visit is not None:
                visit.close()

    def sync(self, fd: int) -> None:
        """Make durable what was done to an open file or directory, as ``durability`` has it."""
        visit = self.visit(fd)
        if visit is not None:
            visit.sync(fd)
        elif self.durability == "full":
            os.fsync(fd)

    @cached_property
    def marks_parts(self) -> bool:
        """Whether the archiver is told to leave the parts of uploads alone."""
        return self._noarchive_parts and self.capabilities.scoutfs and self.capabilities.privileged

    def mark_part(self, fd: int) -> None:
        """Say of a new file that it is a part of an upload, before it has bytes. Raise OSError."""
        if self.marks_parts:
            with _elsewhere():
                scoutfs.mark_new(fd, scoutfs.NO_ARCHIVE)

    def mark_maker(self, fd: int) -> None:
        """Give a new file or bucket its project and its owner, before it has bytes.

        Raise AccessDenied, OSError.
        """
        if self.owner is not None:
            self.owner.take(fd)
        if self.project:
            with _elsewhere():
                scoutfs.set_project(fd, self.project)

    def data_version(self, fd: int) -> int | None:
        """Return what an open file's seal has to say on ScoutFS, None elsewhere. Raise OSError."""
        if not self.moves_blocks:
            return None
        state = scoutfs.state_if_any(fd, format_version=1)
        return None if state is None else state.data_version

    def close(self) -> None:
        """Close the root; no verb may be called after this."""
        self.names.close()
        os.close(self.root.fd)

    def step(self, word: str) -> None:
        """Say that a step of a change is done, to whoever traces them."""
        if self.trace is not None:
            self.trace(word)

    def record(self, target: int | str, found: os.stat_result, name: str) -> Record | None:
        """Return the record of an inode that was just stat'ed; None where it is no object.

        :param target: see ``recognizing.read``
        :param name: last component of the key

        Raise OSError.
        """
        record = self.known.get(found)
        if record is None:
            began_ns = time.time_ns()
            record = recognizing.read(target, found, name, self.capabilities.format_version)
            # A foreign file's type comes from its name, and a second hard link has another one.
            if record is not None and (found.st_nlink == 1 or record.is_directory):
                self.known.keep(record, began_ns)
        return record

    def record_at(self, directory: int, name: bytes, found: os.stat_result) -> Record | None:
        """Return the record of a name in an open directory, None when it is no object any more.

        :param found: the stat of that name, by which a FIFO or a device was ruled out
        """
        record = self.known.get(found)
        if record is not None:
            return record
        fd = os.open(name, READ.flags | os.O_NOFOLLOW, dir_fd=directory)
        try:
            return self.record(fd, os.fstat(fd), os.fsdecode(name))
        finally:
            os.close(fd)

    def record_behind_link(self, bucket: str, key: str) -> Record | None:
        """Return the object that a symbolic link leads to, None when it leads to none."""
        try:
            fd, record = self.find(bucket, key, LOOK)
        except (errors.NoSuchKey, errors.AccessDenied):
            return None
        os.close(fd)
        return record

    def find(self, bucket: str, key: str, kind: Kind, cached: bool = False) -> tuple[int, Record]:
        """Return an object opened as ``kind`` says, and its record; the caller closes it.

        :param cached: find the name in what is in memory, or raise WouldBlock

        Raise NoSuchKey, NoSuchBucket, StoreError.
        """
        try:
            path = paths.path_of(bucket, key)
        except errors.InvalidArgument as error:
            raise self.missing(bucket, key) from error
        try:
            fd = (self._open_cached if cached else self.root.open)(path, kind)
        except OSError as error:
            raise self._not_opened(error, bucket, key) from error
        try:
            found = os.fstat(fd)
            record = self.known.get(found)
            if record is None:
                # Also when cached: attributes are where the inode is, in memory, or one block away.
                target = fd if kind is READ else f"/proc/self/fd/{fd}"
                record = self.record(target, found, key.rpartition("/")[2])
            if record is None or record.is_directory is not (key[-1:] == "/"):
                raise self.missing(bucket, key)
        except BaseException as error:
            os.close(fd)
            if isinstance(error, OSError):
                raise errors.from_os(error, f"{bucket}/{key}") from error
            raise
        return fd, record

    def look(self, bucket: str, key: str) -> Record:
        """Return an object's record. Raise NoSuchKey, NoSuchBucket, StoreError."""
        # Attributes are read faster from a file that is really open.
        fd, record = self.find(bucket, key, READ)
        os.close(fd)
        return record

    def _not_opened(self, error: OSError, bucket: str, key: str) -> Exception:
        """Return what an error of opening means to somebody who wants to read."""
        if isinstance(error, BlockingIOError):
            return WouldBlock()
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return self.missing(bucket, key)
        return errors.from_os(error, f"{bucket}/{key}")

    def missing(self, bucket: str, key: str) -> errors.StoreError:
        """Return the error for a key that is not there: the bucket may be what is missing."""
        try:
            found = os.stat(paths.bucket_path(bucket), dir_fd=self.root.fd, follow_symlinks=False)
        except FileNotFoundError:
            return errors.NoSuchBucket(BucketName=bucket)
        except OSError as error:
            return errors.from_os(error, bucket)
        if not stat.S_ISDIR(found.st_mode) and not self._leads_to_bucket(bucket):
            return errors.NoSuchBucket(BucketName=bucket)
        return errors.NoSuchKey(Key=key)

    def _leads_to_bucket(self, bucket: str) -> bool:
        try:
            os.close(self.open_bucket(bucket))
        except errors.StoreError:
            return False
        return True

    def open_bucket(self, bucket: str, kind: Kind = DIRECTORY) -> int:
        """Return a descriptor of the bucket's directory. Raise NoSuchBucket, StoreError."""
        try:
            return self.root.open(paths.bucket_path(bucket), kind)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise errors.NoSuchBucket(BucketName=bucket) from error
        except OSError as error:
            raise errors.from_os(error, bucket) from error


@contextlib.contextmanager
def _elsewhere() -> Iterator[None]:
    """Pass over what cannot be said to another file system that is mounted in a tree on ScoutFS."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOTTY, errno.ENOTSUP):
            raise


def _cannot(path: bytes, kind: Kind) -> int:
    """Open nothing: this kernel, or this file system, cannot promise not to wait."""
    raise BlockingIOError
