"""The only module that makes the name of an object appear, and the argument for its order.

1. *Bytes* go to a file without a name (O_TMPFILE), opened in the deepest directory of the key
   that exists, so that default ACL, setgid and project come from where the object will be. Before
   the first byte it gets its owner (``owners``), which is in the inode as they are. Nobody can see
   it; when the process dies the kernel frees it. Without O_TMPFILE it is
   ``<bucket>/.sgwtmp/put.<random>``, which no S3 name reaches and ``sweep`` removes when it is
   stale.
2. *Attributes* go to the same inode, before it has a name: bytes and metadata can never be seen
   apart.
3. *fsync of the file* comes before the name: a name must never be on stable storage before its
   bytes.
4. *Parents* are made.
5. *link(2)* makes the name, or fails because it is taken: that is ``only_if_absent``, exact for
   every program on every node. To replace, under the key's lock: link to a hidden name, then
   rename(2) over the old one. Readers have the old inode or the new one, whole.
6. *fsync of the directory*, and of those that hold new parents, makes the name itself durable.
   Only then does the verb return.

On ScoutFS a sync of anything commits all that the mount has open, bytes and names in the order in
which they were made. So step 3 is left out for a new name, and step 6 is one sync of the file
itself, which objects that are put at once share (``commits``).
An object that is replaced keeps step 3, so that an error of the disk is told while the old one is
there still; an error after a new name was made takes the name back, as everywhere.

Dying between any two steps leaves the old object or the new one; besides that at most a hidden
name (between link and rename), which is swept, and an empty parent of ours, which the next put
there uses. A put that fails removes what it made. That includes its name when step 6 fails: then
nobody knows what is on the disk, and the client hears an error.

A file that is made already, an upload's whose parts lie where they belong (``placed``), takes the
same way from step 2 on. It keeps the name that it has in the upload until that has ended, so that
dying between the two costs the upload nothing.

Durability (what holds when a verb has returned, for a power cut; a killed process alone loses
nothing):

* ``full``: steps 3 and 6 as above. The object is there, whole.
* ``data``: step 3 is fdatasync, step 6 is left out. The bytes are on stable storage and the name
  follows with the file system's own next commit (ext4 5 s, xfs 30 s): the object is there whole or,
  for that time, its change may be lost; it is never torn.
* ``none``: no sync at all. An object of the last seconds may be lost, empty or torn.

A parent that another put made and has not yet synced needs no thought on ext4, xfs, btrfs and
ScoutFS: its name went into the journal before ours, and a journal is replayed in order.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from types import TracebackType
from typing import TypeAlias

from s3filters.store import describing, errors, freeing, hidden, locks, parents, paths, promises
from s3filters.store.beneath import DIRECTORY, READ, Kind
from s3filters.store.commits import Visit
from s3filters.store.comparing import Comparison
from s3filters.store.metadata import Attributes, Record
from s3filters.store.owners import KEEP, Owner
from s3filters.store.parents import Way
from s3filters.store.tree import Tree

Check = Callable[[Record | None], None]
Buffer: TypeAlias = bytes | bytearray | memoryview

MODE = 0o644
PREFIX = "put."  # hidden names of files on their way: put.<16 hex digits>
_NAMELESS = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
_NAMED = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_SPECIAL = "The name is taken by something that is neither a file nor a directory."
_ATTEMPTS = 64  # names made and taken away between two of our steps
_COPY_BLOCK = 1 << 20  # bytes; where the kernel cannot copy by itself
# What copy_file_range says where it cannot do it (copy_file_range(2), and what FUSE answers).
_CANNOT_COPY = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.ETXTBSY)


def leads_to_directory(directory: int, last: bytes) -> bool:
    """True when a name in an open directory is that of a directory, or of a link to one."""
    try:
        return stat.S_ISDIR(os.stat(last, dir_fd=directory).st_mode)
    except OSError:
        return False


class Draft:
    """A file on its way: written, then committed once or discarded. One thread at a time.

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

    def commit(
        self,
        attributes: Attributes,
        *,
        only_if_absent: bool = False,
        check: Check | None = None,
        again: bool = False,
    ) -> Record:
        """Give the file its attributes and its name, and return its record. The draft is used up.

        :param again: it may have attributes from a commit that failed
        :param only_if_absent: raise AlreadyExists when the key is an object
        :param check: called with the current record, or None, under the key's lock; what it raises
            is raised, and nothing has changed then

        Raise MetadataTooLarge besides what the class says.
        """
        self._step("written")
        try:
            self._visit = self._tree.visit(self.fd)
            kept = describing.write(
                self.fd,
                attributes,
                os.fstat(self.fd),
                again=again,
                data_version=self._tree.data_version(self.fd),
            )
            self._step("attributes")
            if self._visit is None:
                self._sync_file()
            self._step("file synced")
            self._publish(only_if_absent, check)
            return describing.record_of(attributes, os.fstat(self.fd), kept)
        except OSError as error:
            raise self._failed(error) from error
        finally:
            self.discard()

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

    def __enter__(self) -> Draft:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.discard()

    # Step 1 --------------------------------------------------------------------------------------

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
            raise errors.MethodNotAllowed(_SPECIAL)
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
        usual = self._open_nameless(directory) if KEEP in (owner.uid, owner.gid) else -1
        if usual >= 0:
            try:
                owner.take_back(self.fd, os.fstat(usual))
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

    # Steps 4 to 6 --------------------------------------------------------------------------------

    def _publish(self, only_if_absent: bool, check: Check | None) -> None:
        above, _, last = self.path.rpartition(b"/")
        for _ in parents.attempts():
            way = self._way or parents.open_way(self._tree.root, above, self._tree.owner)
            self._way = None
            self._step("parents")
            try:
                created = self._put_name(way.fd, last, only_if_absent, check)
                self._sync_name(way, last, created)
                return
            except FileNotFoundError:
                self._unhide()  # a parent was pruned, or the bucket is gone: opening will say
            except BaseException:
                parents.prune(self._tree.root, above)
                raise
            finally:
                way.close()
        parents.prune(self._tree.root, above)
        raise errors.SlowDown

    def _put_name(
        self, directory: int, last: bytes, only_if_absent: bool, check: Check | None
    ) -> bool:
        """Make the name; True when it is a new one. Raise FileNotFoundError: no such directory."""
        if check is None and not self._replaces and self._link(directory, last):
            return True
        synced = check is None
        if synced:
            self._sync_replacement()
        with (
            locks.hold(self._tree.root, self.path),
            Comparison(self._tree, self.path) as comparison,
        ):
            for _ in range(_ATTEMPTS):
                taken, current = self._look(directory, last, only_if_absent or check is not None)
                if only_if_absent and current is not None:
                    raise errors.AlreadyExists
                if check is not None and not comparison.ask(check, current):
                    self._sync_replacement()  # before others are held up by the claim
                    synced = True
                    comparison.claim()
                    continue
                if taken:
                    self._check_promises(directory, last)
                    if not synced:
                        self._sync_replacement()
                    comparison.confirm()
                    self._rename_over(directory, last)
                    return False
                if self._link(directory, last):
                    return True
        raise errors.SlowDown

    def _look(self, directory: int, last: bytes, closely: bool) -> tuple[bool, Record | None]:
        """Return whether the name is taken, and (``closely``) by which object.

        Raise ExistingObjectIsDirectory, and MethodNotAllowed for a FIFO, socket or device.
        """
        try:
            found = os.stat(last, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            return False, None
        if stat.S_ISDIR(found.st_mode):
            # An empty one of ours is no reason to refuse; we hold the lock that removing it needs.
            if parents.remove(directory, last):
                return False, None
            raise errors.ExistingObjectIsDirectory
        is_link = stat.S_ISLNK(found.st_mode)
        if is_link and leads_to_directory(directory, last):
            raise errors.ExistingObjectIsDirectory
        if not is_link and not stat.S_ISREG(found.st_mode):
            raise errors.MethodNotAllowed(_SPECIAL)
        if not closely:
            return True, None
        if is_link:
            return True, self._tree.record_behind_link(self.bucket, self.key)
        return True, self._tree.record_at(directory, last, found)

    def _check_promises(self, directory: int, last: bytes) -> None:
        target = b"/proc/self/fd/%d/%b" % (directory, last)
        promises.check(self._tree.root.fd, self.path, target, directory)

    def _link(self, directory: int, last: bytes) -> bool:
        """Make the name with link(2); False when it is taken."""
        try:
            self._link_as(directory, last)
        except FileExistsError:
            return False
        self._step("linked")
        return True

    def _link_as(self, directory: int, name: bytes | str) -> None:
        if self._name:
            os.link(self._name, name, src_dir_fd=self._hidden, dst_dir_fd=directory)
        else:
            # With a dir_fd Python calls linkat(2) and the link in /proc is followed; not without.
            os.link(f"/proc/self/fd/{self.fd}", name, dst_dir_fd=directory, follow_symlinks=True)

    def _rename_over(self, directory: int, last: bytes) -> None:
        try:
            if not self._name:
                name = PREFIX + os.urandom(8).hex()
                self._link_as(self._hide(), name)
                self._name = name
                self._step("hidden")
            with freeing.later(directory, last):
                os.rename(self._name, last, src_dir_fd=self._hidden, dst_dir_fd=directory)
        except OSError as error:
            if error.errno != errno.EXDEV or self._name:
                raise
            self._rename_here(directory, last)
        self._name = ""
        self._step("renamed")

    def _rename_here(self, directory: int, last: bytes) -> None:
        """Replace where another file system is mounted in the bucket: hide beside the target."""
        name = f".x.sgwtmp.{int.from_bytes(os.urandom(8), 'big')}"
        self._link_as(directory, name)
        self._step("hidden")
        try:
            with freeing.later(directory, last):
                os.rename(name, last, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            os.unlink(name, dir_fd=directory)
            raise

    def _sync_file(self) -> None:
        if self._tree.durability == "full":
            os.fsync(self.fd)
        elif self._tree.durability == "data":
            os.fdatasync(self.fd)

    def _sync_replacement(self) -> None:
        """Do what step 3 left out: nothing is replaced by bytes that the disk may not take."""
        if self._visit is not None:
            self._visit.sync(self.fd)
            self._step("replacement synced")

    def _sync_name(self, way: Way, last: bytes, created: bool) -> None:
        if self._tree.durability != "full":
            return
        try:
            if self._visit is not None:
                self._visit.sync(self.fd)
            else:
                way.sync()
        except OSError:
            if created:
                self._withdraw(way.fd, last)
            raise
        self._step("synced")

    def _withdraw(self, directory: int, last: bytes) -> None:
        """Take a new name back, unless it is another's by now."""
        with contextlib.suppress(OSError), locks.hold(self._tree.root, self.path):
            mine = os.fstat(self.fd)
            if os.path.samestat(mine, os.stat(last, dir_fd=directory, follow_symlinks=False)):
                os.unlink(last, dir_fd=directory)

    def _step(self, word: str) -> None:
        if self._tree.trace is not None:
            self._tree.trace(word)

    def _failed(self, error: OSError) -> errors.StoreError:
        found = errors.from_os(error, f"{self.bucket}/{self.key}")
        if isinstance(found, errors.NoSuchKey):  # all else that is missing is made, or tried again
            return errors.NoSuchBucket(BucketName=self.bucket)
        return found


def sync(tree: Tree, bucket: str, key: str) -> None:
    """Make sure, as ``durability`` has it, of an object whose maker may have died after step 5.

    Which directories are new is not known any more, so all of its way is synced. Raise OSError.
    """
    if tree.durability != "full":
        return
    path = paths.path_of(bucket, key)
    with contextlib.suppress(FileNotFoundError):  # deleted by now
        if _sync_at(tree, path, READ):
            return
        for end, byte in enumerate(path):
            if byte == ord("/"):
                _sync_at(tree, path[:end], DIRECTORY)


def _sync_at(tree: Tree, path: bytes, kind: Kind) -> bool:
    """Sync a file or directory; return whether its whole way was."""
    fd = tree.root.open(path, kind)
    try:
        tree.sync(fd)
        return tree.is_committed_with_all(fd)
    finally:
        os.close(fd)
