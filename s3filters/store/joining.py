"""Completing an upload: its parts become one object, by the cheapest way the file system has.

* **In place**, when the parts lie where they belong in the upload's data file (``placed``): parts
  that do not are copied into its holes, it is cut to its length, and it becomes the object.
* **Moved** on ScoutFS: a named file of the upload gets the blocks of its parts (``assembly``).
* **Shared or copied** else: a new file gets the parts one behind the other. xfs and btrfs share
  their blocks where parts are multiples of the block size; elsewhere the kernel copies.

All is done under the upload's lock, and the name appears under the key's lock, by ``place``.
Before anything that cannot be taken back, every reason to refuse is looked for; the conditions
are asked again under the key's lock. What a crash leaves:

* before the name: the upload is in progress, with all its parts. In place, the data file may be
  closed already: it is not written any more, parts that come again get files of their own, and
  completing again does the same steps again.
* between the name and the end of the upload: the object says which upload made it, so completing
  again finds it, makes sure that it is durable, ends the upload and answers as before. The data
  file keeps its name in the upload until that has ended, so the parts are all there, and whatever
  else comes of the upload is as if it had not been completed. But while the data file has another
  name it is an object: it is read, and never changed.

An object is never made of what one was not told about: when a part that is not in the list lies in
the data file, the others are copied, for the upload has to be whole if the name is refused.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from s3filters.store import (
    assembly,
    claims,
    errors,
    hidden,
    locks,
    parts,
    place,
    placed,
    uploads,
)
from s3filters.store.metadata import Attributes, Record
from s3filters.store.parts import PartRecord
from s3filters.store.place import Check, Draft
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

ASSEMBLY = "assembly"  # the file of an upload that gets the blocks of its parts

log = logging.getLogger("s3filters.store")

Describe = Callable[[Upload, list[PartRecord | None]], Attributes]


def complete(
    tree: Tree,
    name: tuple[str, str, str],
    numbers: Sequence[int],
    describe: Describe,
    *,
    only_if_absent: bool = False,
    check: Check | None = None,
) -> Record:
    """Make the parts with these numbers the object, end the upload, and return the record.

    :param name: bucket, key, upload id
    :param describe: called under the upload's lock with the upload and the parts asked for (None:
        there is none); returns the object's attributes, or refuses by what it raises
    :param only_if_absent: raise AlreadyExists when the key is an object
    :param check: called with the current record, or None, under the key's lock

    When the object is there already and this upload made it, with the same ETag, the upload is
    ended and its record returned. Raise NoSuchUpload, Busy, StoreError, what ``describe`` and
    ``check`` raise; in each of these cases the upload is as it was.
    """
    path = uploads.path_of(*name)
    folder = uploads.open_directory(tree, *name)
    try:
        with locks.hold_upload(tree.root, path, alone=False):
            with claims.hold(tree, folder) as claim:
                uploads.expect_in_progress(tree, folder, path)
                upload = uploads.read(folder, *name)
                found = parts.read_all(folder, numbers)
                attributes = describe(upload, found)
                record = made_by(tree, *name)
                if record is not None and record.etag == attributes.etag:
                    place.sync(tree, *name[:2])
                else:
                    listed = [part for part in found if part]
                    joining = _Joining(tree, upload, folder, listed, claim)
                    record = joining.publish(attributes, only_if_absent, check)
                _end(tree, path)
            return record
    except OSError as error:
        raise errors.from_os(error, f"{name[0]}/{name[1]}") from error
    finally:
        os.close(folder)


def _end(tree: Tree, path: bytes) -> None:
    """End an upload whose object is there: acknowledged, even when the disk refuses this.

    What stays is what a death leaves between the object and the end: the sweep ends it.
    """
    try:
        uploads.end(tree, path)
    except (OSError, errors.StoreError) as error:
        log.warning("%s is completed and cannot be ended yet: %s", os.fsdecode(path), error)


def made_by(tree: Tree, bucket: str, key: str, upload_id: str) -> Record | None:
    """Return the record of an object that this upload made, None when there is none. StoreError."""
    try:
        record = tree.look(bucket, key)
    except errors.NoSuchKey:
        return None
    return record if record.upload_id == upload_id else None


class _Joining:
    """One completion: the parts, and where each begins in the object."""

    def __init__(
        self,
        tree: Tree,
        upload: Upload,
        folder: int,
        found: list[PartRecord],
        claim: claims.hold,
    ) -> None:
        self._tree = tree
        self._claim = claim
        self._upload = upload
        self._folder = folder
        self._parts = found
        self._starts: list[int] = []
        self._size = 0
        for part in found:
            self._starts.append(self._size)
            self._size += part.size

    def publish(self, attributes: Attributes, only_if_absent: bool, check: Check | None) -> Record:
        self._ask_early(only_if_absent, check)
        data = self._fitting()
        if data:
            try:
                return self._in_place(data, attributes, only_if_absent, check)
            except errors.AccessDenied as error:
                # The object's directory is on another file system, or in another project's quota.
                if getattr(error.__cause__, "errno", 0) != errno.EXDEV:
                    raise
        elif self._tree.moves_blocks and not any(part.data for part in self._parts):
            return self._moved(attributes, only_if_absent, check)
        with Draft(self._tree, self._upload.bucket, self._upload.key) as draft:
            for part in self._parts:
                with self._bytes_of(part) as fd:
                    draft.copy_from(fd, part.offset, part.size)
                self._tree.step("joined")
            return draft.commit(attributes, only_if_absent=only_if_absent, check=check)

    def _ask_early(self, only_if_absent: bool, check: Check | None) -> None:
        """Ask the conditions before the work, which may be long; they are asked again after it."""
        if check is None and not only_if_absent:
            return
        current: Record | None = None
        with suppress(errors.NoSuchKey):
            current = self._tree.look(self._upload.bucket, self._upload.key)
        if only_if_absent and current is not None:
            raise errors.AlreadyExists
        if check is not None:
            check(current)

    # In place -----------------------------------------------------------------------------------

    def _fitting(self) -> str:
        """Return the data file in which all parts that lie in it lie where they belong, or none."""
        held = dict.fromkeys(placed.NAMES, 0)
        for part, start in zip(self._parts, self._starts, strict=True):
            if part.data:
                held[part.data] += part.size if part.offset == start else -self._size - 1
        best = max(held, key=held.__getitem__)
        if held[best] <= 0:
            return ""
        listed = {part.number for part in self._parts}
        for number in parts.numbers(self._folder):
            if number not in listed:
                other = parts.read(self._folder, number)
                if other is not None and other.data == best:
                    return ""
        return best if self._has_one_name(best) else ""

    def _has_one_name(self, data: str) -> bool:
        """False for a data file that is an object already: another list was completed, and died."""
        fd = self._open(data)
        try:
            return os.fstat(fd).st_nlink == 1
        finally:
            os.close(fd)

    def _in_place(
        self, data: str, attributes: Attributes, only_if_absent: bool, check: Check | None
    ) -> Record:
        fd = self._open(data)
        with Draft(self._tree, self._upload.bucket, self._upload.key, made=fd) as draft:
            placed.close_gate(fd, attributes.etag)
            placed.forget(fd)
            self._tree.step("closed")
            for part, start in zip(self._parts, self._starts, strict=True):
                if part.data != data:
                    with self._bytes_of(part) as source:
                        placed.copy(source, part.offset, fd, start, part.size)
                    self._tree.step("filled")
            # xfs writes a file to the disk before it cuts it, even to the length that it has.
            if os.fstat(fd).st_size != self._size:
                os.ftruncate(fd, self._size)
            os.utime(fd)  # else it is as old as its last part, and older than what it replaces
            self._tree.step("cut")
            return draft.commit(attributes, only_if_absent=only_if_absent, check=check, again=True)

    # Moved --------------------------------------------------------------------------------------

    def _moved(self, attributes: Attributes, only_if_absent: bool, check: Check | None) -> Record:
        with suppress(FileExistsError):
            placed.make(self._tree, self._upload, self._folder, ASSEMBLY)
        fd = self._open(ASSEMBLY)
        with Draft(self._tree, self._upload.bucket, self._upload.key, made=fd) as draft:
            self._expect_no_object(fd)
            named = [(b"%d" % part.number, part.size) for part in self._parts]
            records = {b"%d" % part.number: part for part in self._parts}
            assembly.move_parts(
                fd,
                named,
                lambda name: self._open(name.decode()),
                self._folder,
                lambda name, part: parts.is_same(part, records[name]),
            )
            os.utime(fd)
            self._tree.step("moved")
            return draft.commit(attributes, only_if_absent=only_if_absent, check=check, again=True)

    def _expect_no_object(self, fd: int) -> None:
        """Raise NoSuchUpload when the object is this very file: another list was completed."""
        with suppress(errors.NoSuchKey):
            made = self._tree.look(self._upload.bucket, self._upload.key)
            found = os.fstat(fd)
            if (made.dev, made.ino) == (found.st_dev, found.st_ino):
                raise errors.NoSuchUpload(UploadId=self._upload.id)

    # Files --------------------------------------------------------------------------------------

    def _open(self, name: str) -> int:
        """Open a file of the upload. Raise NoSuchUpload when it is gone, MethodNotAllowed."""
        try:
            self._claim.refresh()
            return hidden.open_file(self._folder, name)
        except FileNotFoundError as error:
            raise errors.NoSuchUpload(UploadId=self._upload.id) from error

    @contextmanager
    def _bytes_of(self, part: PartRecord) -> Iterator[int]:
        fd = self._open(part.data or str(part.number))
        try:
            yield fd
        finally:
            os.close(fd)
