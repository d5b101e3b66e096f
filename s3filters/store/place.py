"""The only module that makes the name of an object appear, and the argument for its order.

1. *Bytes* go to a file without a name (``pending``, O_TMPFILE), opened in the deepest directory of
   the key that exists, so that default ACL, setgid and project come from where the object will be.
   Before the first byte it gets its owner (``owners``), which is in the inode as they are. Nobody
   can see it; when the process dies the kernel frees it. Without O_TMPFILE it is
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

from s3filters.store import describing, errors, freeing, locks, parents, paths
from s3filters.store.beneath import DIRECTORY, READ, Kind
from s3filters.store.comparing import Comparison
from s3filters.store.metadata import Attributes, Record
from s3filters.store.parents import Way
from s3filters.store.pending import PREFIX, SPECIAL, Pending, leads_to_directory
from s3filters.store.tree import Tree

Check = Callable[[Record | None], None]

_ATTEMPTS = 64  # names made and taken away between two of our steps


class Draft(Pending):
    """A file on its way: written, then committed once or discarded. One thread at a time.

    Raise what Pending does.
    """

    __slots__ = ()

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
            raise errors.MethodNotAllowed(SPECIAL)
        if not closely:
            return True, None
        if is_link:
            return True, self._tree.record_behind_link(self.bucket, self.key)
        return True, self._tree.record_at(directory, last, found)

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
