"""A file on its way to become an object: opened where that will be, and filled with bytes.

This is the first of the steps of ``place``, which has the argument for their order.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from types import TracebackType
from typing import Self, TypeAlias

from s3filters.store import errors, hidden, locks, parents, paths, promises
from s3filters.store.commits import Visit
from s3filters.store.owners import Owner
from s3filters.store.parents import Way
from s3filters.store.tree import Tree

Buffer: TypeAlias = bytes | bytearray | memoryview

MODE = 0o644
PREFIX = "put."  # hidden names of files on their way: put.<16 hex digits>
SPECIAL = "The name is taken by something that is neither a file nor a directory."
_NAMELESS = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
_NAMED = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_COPY_BLOCK = 1 << 20  # bytes; where the kernel cannot copy by itself
# What copy_file_range says where it cannot do it (copy_file_range(2), and what FUSE answers).
_CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.ETXTBSY)


def leads_to_directory(directory: int, last: bytes) -> bool:
    """True when a name in an open directory is that of a directory, or of a link to one."""
    try:
        return stat.S_ISDIR(os.stat(last, dir_fd=directory).st_mode)
    except OSError:
        return False


class Pending:
    """A file on its way: written, and discarded unless somebody gives it a name.

    Raise, as every method of it: NoSuchBucket, ObjectParentIsFile, ExistingObjectIsDirectory,
    KeyTooLongError, and what the file system says (InsufficientStorage, QuotaExceeded,
    MethodNotAllowed, SlowDown, InternalError).
    """

    __slots__ = (
        "_hidden", "_name", "_replaces", "_tree", "_visit", "_way", "bucket", "fd", "key", "path",
        "size",
    )  # fmt: skip

    def __init__(
        self, tree: Tree, bucket: str, key: str, *, brief: bool = False, made: int = -1
    ) -> None:
        """Open the file.

        :param brief: the commit follows at once, so the parent may be kept open until then
        :param made: descriptor of a file that is there already, the draft's from now on
        """
        self._tree = tree
        self.bucket, self.key = bucket, key
        self.path = paths.path_of(bucket, key)
        self.size = 0  # bytes written so far
        self.fd = made
        self._hidden = -1  # descriptor of .sgwtmp, once it is needed
        self._name = ""  # our name in there, once we have one
        self._way: Way | None = None
        self._visit: Visit | None = None  # while it is committed, where commits are shared
        self._replaces = False  # the name was taken a moment ago: linking first would be in vain
        try:
            self._open(brief)
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def write(self, data: Buffer) -> None:
        """Append all of a buffer."""
        view = memoryview(data)
        try:
            while view:
                count = os.write(self.fd, view)
                self.size += count
                view = view[count:]
        except OSError as error:
            raise self._failed(error) from error

    def copy_from(self, source: int, offset: int, count: int) -> None:
        """Append ``count`` bytes of an open file; shared blocks where the file system has them.

        Raise InternalError when the source ends before.
        """
        end = offset + count
        try:
            while offset < end:
                done = self._copy_some(source, offset, end - offset)
                if not done:
                    raise errors.InternalError("The source became shorter while it was copied.")
                offset += done
                self.size += done
        except OSError as error:
            raise self._failed(error) from error

    def discard(self) -> None:
        """Let go of everything; harmless when there is nothing left."""
        if self._name:
            with contextlib.suppress(OSError):  # swept later
                os.unlink(self._name, dir_fd=self._hidden)
        self._name = ""
        if self._visit is not None:
            self._visit.close()
        if self._way is not None:
            self._way.close()
            self._way = None
        for fd in (self.fd, self._hidden):
            if fd >= 0:
                os.close(fd)
        self.fd = self._hidden = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    def _open(self, brief: bool) -> None:
        above, _, last = self.path.rpartition(b"/")
        for _ in parents.attempts():
            directory, missing = parents.open_deepest(self._tree.root, above)
            try:
                if not missing and not brief:
                    self._refuse_directory(directory, last)
                if self.fd < 0:
                    self.fd = self._open_nameless(directory)
                elif self._tree.owner is not None:
                    self._take_back(self._tree.owner, directory)
                if brief and not missing:
                    self._replaces = os.access(
                        last, os.F_OK, dir_fd=directory, follow_symlinks=False
                    )
                    self._way, directory = Way(directory), -1
                break
            except FileNotFoundError:
                continue  # the directory was pruned since it was opened
            finally:
                if directory >= 0:
                    os.close(directory)
        else:
            raise errors.SlowDown
        if self.fd < 0:
            self._open_named()
        self._tree.mark_maker(self.fd)
        self._step("opened")

    def _hide(self) -> int:
        """Return a descriptor of ``.sgwtmp``, made at its first use."""
        if self._hidden < 0:
            bucket = self.bucket.encode()
            self._hidden = hidden.open_own(self._tree.root, bucket, self._tree.node)
        return self._hidden

    def _unhide(self) -> None:
        """Forget ``.sgwtmp``, which may be another one by now, unless our name is in it."""
        if self._hidden >= 0 and not self._name:
            os.close(self._hidden)
            self._hidden = -1

    def _refuse_directory(self, directory: int, last: bytes) -> None:
        """Say before the body is sent what link would say after it."""
        try:
            found = os.stat(last, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(found.st_mode):
            if not parents.prune_one(self._tree.root, self.path):
                raise errors.ExistingObjectIsDirectory
        elif stat.S_ISLNK(found.st_mode) and leads_to_directory(directory, last):
            raise errors.ExistingObjectIsDirectory
        elif not stat.S_ISREG(found.st_mode) and not stat.S_ISLNK(found.st_mode):
            raise errors.MethodNotAllowed(SPECIAL)
        else:
            self._check_promises(directory, last)

    def _open_nameless(self, directory: int) -> int:
        """Return a new file without a name in an open directory, -1 where there can be none."""
        if not self._tree.tmpfile:
            return -1
        try:
            return os.open(".", _NAMELESS, MODE, dir_fd=directory)
        except PermissionError as error:
            # What ext4 says in a directory that was removed since it was opened.
            if os.fstat(directory).st_nlink:
                raise
            raise FileNotFoundError from error
        except OSError as error:
            # Another file system is mounted here and cannot (EISDIR: Linux before 3.11, and FUSE).
            if error.errno not in (errno.ENOTSUP, errno.EISDIR):
                raise
            return -1

    def _take_back(self, owner: Owner, directory: int) -> None:
        """Let nothing of who made the file stay that a new one of the owner's would not have."""
        usual = self._open_nameless(directory)
        if usual >= 0:
            try:
                owner.take_back(self.fd, usual)
            finally:
                os.close(usual)

    def _open_named(self) -> None:
        """The way without O_TMPFILE: a hidden name, locked so that nobody takes it for stale."""
        name = PREFIX + os.urandom(8).hex()
        self.fd = os.open(name, _NAMED, MODE, dir_fd=self._hide())
        self._name = name
        locks.is_free(self.fd)

    def _copy_some(self, source: int, offset: int, count: int) -> int:
        try:
            done = os.copy_file_range(source, self.fd, count, offset_src=offset)
            if done:
                return done
        except OSError as error:
            if error.errno not in _CANNOT_COPY:
                raise
        return os.write(self.fd, os.pread(source, min(count, _COPY_BLOCK), offset))

    def _check_promises(self, directory: int, last: bytes) -> None:
        target = b"/proc/self/fd/%d/%b" % (directory, last)
        promises.check(self._tree.root.fd, self.path, target, directory)

    def _step(self, word: str) -> None:
        if self._tree.trace is not None:
            self._tree.trace(word)

    def _failed(self, error: OSError) -> errors.StoreError:
        found = errors.from_os(error, f"{self.bucket}/{self.key}")
        if isinstance(found, errors.NoSuchKey):  # all else that is missing is made, or tried again
            return errors.NoSuchBucket(BucketName=self.bucket)
        return found
