"""The parts of an upload: one file each, ``<upload>/<number>``, which appears when all is there.

A part's bytes are in that file, or, with direct placement, in the upload's data file (``placed``):
then the file is a hole as long as the part. Its attributes are those of Versity's gateway
(``user.etag``, and ``user.checksums`` or ``user.part-crc64nvme``) and one of ours that holds all
that listing and completing need, ``user.s3filters.part``:

    <etag> <size> <mtime in ns> <algorithm or -> <checksum or -> <data file or -> <offset>

The ETag that Versity's gateway reads of a placed part is a weak one, ``W/"..."``, and the
checksums are left out: it can list such a part, with its size, and never takes the hole for its
bytes, because no client's ETag is equal to a weak one.

The order in which a part becomes true is that of an object, see ``place``: bytes, attributes,
fsync (of the data file too), name, fsync of the upload's directory; on ScoutFS one commit of all of
it. A part that is replaced is replaced by rename, so until the new one is whole the old one counts.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass

from s3filters.store import declaration, errors, hidden, locks, placed, uploads, xattrs
from s3filters.store.commits import Visit
from s3filters.store.pending import Buffer
from s3filters.store.placed import Slot
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

PART = "user.s3filters.part"
CRC64NVME = "user.part-crc64nvme"
MOST = 10_000  # parts of an upload (AWS, "Amazon S3 multipart upload limits")
MODE = 0o644

# What PART says: an ETag that may stand in a document, and a data file of the upload, no other.
_is_part = re.compile(
    rb"([!#-~]{1,256}) ([0-9]{1,16}) ([0-9]{1,19}) ([0-9A-Z]{1,16}|-) ([0-9A-Za-z+/=]{1,128}|-)"
    rb" (data\.[12]|-) ([0-9]{1,16})"
).fullmatch
_is_etag = re.compile(rb'"?([!#-~]{1,256})"?').fullmatch


@dataclass(frozen=True, slots=True)
class PartRecord:
    """A part that was acknowledged; ``etag`` without quotes, ``checksum`` base64.

    ``algorithm`` is the upload's, or CRC64NVME where it declared none; both are empty when another
    gateway did not say. The bytes are in ``data``, a file of the upload's directory, from
    ``offset``; when ``data`` is empty they are in the part's own.
    """

    number: int
    size: int
    mtime_ns: int
    etag: str
    algorithm: str
    checksum: str
    data: str = ""
    offset: int = 0


# Reading -----------------------------------------------------------------------------------------


def numbers(directory: int) -> list[int]:
    """Return the numbers of all parts in an open upload's directory, ascending. Raise OSError."""
    with os.scandir(directory) as entries:
        return sorted(
            int(entry.name)
            for entry in entries
            if entry.name.isascii() and entry.name.isdigit() and _is_number(entry.name)
        )


def _is_number(name: str) -> bool:
    return len(name) <= 5 and name[0] != "0" and int(name) <= MOST


def read(directory: int, number: int) -> PartRecord | None:
    """Return a part of an open upload's directory, None when there is none. Raise OSError."""
    target = f"/proc/self/fd/{directory}/{number}"
    try:
        try:
            found = _ours(number, os.getxattr(target, PART, follow_symlinks=False))
            if found is not None:
                return found
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
        return _foreign(directory, number, target)
    except FileNotFoundError:
        return None


def _ours(number: int, raw: bytes) -> PartRecord | None:
    """Return what our attribute says, None when it makes no sense."""
    match = _is_part(raw)
    if match is None:
        return None
    etag, size, mtime_ns, algorithm, checksum, data, offset = match.groups()
    return PartRecord(
        number,
        int(size),
        int(mtime_ns),
        etag.decode(),
        algorithm.decode().strip("-"),
        checksum.decode().strip("-"),
        data.decode().strip("-"),
        int(offset),
    )


def _foreign(directory: int, number: int, target: str) -> PartRecord | None:
    """Read what Versity's gateway wrote; what has no ETag was never acknowledged by anybody."""
    found = os.stat(str(number), dir_fd=directory, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode):
        return None
    raw = {}
    for name in ("user.etag", "user.checksums", CRC64NVME):
        with contextlib.suppress(OSError):  # absent
            raw[name] = os.getxattr(target, name, follow_symlinks=False)
    algorithm, _, value = declaration.decode(raw.get("user.checksums"))
    if not value and CRC64NVME in raw:
        algorithm, value = "CRC64NVME", raw[CRC64NVME].decode("ascii", "replace")
        if not declaration.is_base64(value):
            algorithm = value = ""
    etag = _is_etag(raw.get("user.etag", b""))
    if etag is None:
        return None
    return PartRecord(number, found.st_size, found.st_mtime_ns, etag[1].decode(), algorithm, value)


def is_same(fd: int, part: PartRecord) -> bool:
    """Whether an open file is the part of this record. Raise OSError."""
    try:
        ours = _ours(part.number, os.getxattr(fd, PART))
        if ours is not None:
            return ours == part
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
    found = os.fstat(fd)
    return (found.st_size, found.st_mtime_ns) == (part.size, part.mtime_ns)


def page(
    tree: Tree, bucket: str, key: str, upload_id: str, after: int, limit: int
) -> tuple[list[PartRecord], bool]:
    """Return parts with numbers over ``after``, ascending, at most ``limit``; and are there more.

    Raise NoSuchUpload, NoSuchBucket, StoreError.
    """
    fd = uploads.open_directory(tree, bucket, key, upload_id)
    try:
        wanted = [number for number in numbers(fd) if number > after]
        found = [read(fd, number) for number in wanted[:limit]]
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    finally:
        os.close(fd)
    return [part for part in found if part is not None], len(wanted) > limit


def read_all(directory: int, asked: Sequence[int]) -> list[PartRecord | None]:
    """Return these parts of an open upload's directory; None for one that is not there."""
    return [read(directory, number) for number in asked]


# Writing -----------------------------------------------------------------------------------------


class PartDraft:
    """A part on its way: written, then committed once or discarded. One thread at a time.

    Raise, as every method of it: NoSuchUpload when the upload has ended, SlowDown when it is being
    completed, and what the file system says.
    """

    __slots__ = (
        "_fd", "_folder", "_name", "_named", "_part", "_path", "_slot", "_tree", "_visit", "number",
        "size", "upload",
    )  # fmt: skip

    def __init__(self, tree: Tree, upload: Upload, number: int, size: int) -> None:
        """Choose a place for ``size`` bytes."""
        self._tree = tree
        self.upload, self.number = upload, number
        self.size = 0  # bytes written so far
        self._path = uploads.path_of(upload.bucket, upload.key, upload.id)
        self._fd = -1  # the file that becomes the part
        self._name = ""  # its name until then, where there is no O_TMPFILE
        self._slot: Slot | None = None
        self._named = False  # it is the part: its bytes count
        self._visit: Visit | None = None  # while it is committed, where commits are shared
        self._part: PartRecord | None = None  # once all but the name is done
        self._folder = uploads.open_directory(tree, upload.bucket, upload.key, upload.id)
        try:
            if tree.places_directly:
                self._slot = self._take(size)
            if self._slot is None:
                self._make()
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def _take(self, size: int) -> Slot | None:
        """Take a slot in which nothing counts, if there is one."""
        slot = placed.take(self._tree, self.upload, self._folder, self.number, size)
        if slot is None:
            return None
        taken = True
        try:
            taken = self._has_come()
        finally:
            if taken:
                slot.close()
        return None if taken else slot

    def _has_come(self) -> bool:
        """True when there is such a part: it may be where the slot is, and stays there.

        If not itself, then one that it replaced and that comes back when the power goes too soon.
        """
        return read(self._folder, self.number) is not None

    def _make(self) -> None:
        """Make the file that becomes the part, without a name where that is possible."""
        self._fd, self._name = placed.new_file(self._folder, self._folder, self._tree.tmpfile)
        self._tree.mark_part(self._fd)
        self._tree.mark_maker(self._fd)

    def write(self, data: Buffer) -> None:
        """Append all of a buffer."""
        view = memoryview(data)
        try:
            if self._slot is not None:
                self._slot.write(view, self.size)
                self.size += len(view)
                return
            while view:
                count = os.pwrite(self._fd, view, self.size)
                self.size += count
                view = view[count:]
        except errors.SlowDown:
            self._expect_in_progress()
            raise
        except OSError as error:
            raise self._failed(error) from error

    def copy_from(self, source: int, offset: int, count: int) -> None:
        """Append ``count`` bytes of an open file; shared blocks where the file system has them.

        Raise InternalError when the source ends before.
        """
        try:
            if self._slot is not None:
                self._slot.copy_from(source, offset, count, self.size)
            else:
                placed.copy(source, offset, self._fd, self.size, count)
            self.size += count
        except errors.SlowDown:
            self._expect_in_progress()
            raise
        except OSError as error:
            raise self._failed(error) from error

    def _expect_in_progress(self) -> None:
        """Raise NoSuchUpload when it was completed: nobody has to send the part once more."""
        uploads.expect_in_progress(self._tree, self._folder, self._path)

    def commit(self, etag: str, algorithm: str, checksum: str) -> PartRecord:
        """Make what was written the part, and return its record. The draft is used up.

        When another verb holds the upload, raise Busy: then this may be called again.
        """
        try:
            if self._part is None:
                self._part = self._describe(etag, algorithm, checksum)
            with locks.hold_upload(self._tree.root, self._path):
                self._expect_in_progress()
                if self._slot is not None:
                    self._slot.expect_open()
                created = self._publish()
            self._sync_name(created)
            self._tree.step("part synced")
        except errors.Busy:
            if self._visit is not None:
                self._visit.close()
            raise
        except BaseException as error:
            self.discard()
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise
        self.discard()
        return self._part

    def _describe(self, etag: str, algorithm: str, checksum: str) -> PartRecord:
        """Write the attributes, and sync what the part consists of. Return its record."""
        slot = self._slot
        place = (slot.name, slot.offset) if slot is not None else ("", 0)
        part = PartRecord(self.number, self.size, time.time_ns(), etag, algorithm, checksum, *place)
        if self._fd < 0:
            self._make()
            os.ftruncate(self._fd, part.size)
        self._visit = self._tree.visit(self._fd)
        xattrs.write(self._fd, _attributes(part, self.upload))
        self._tree.step("part described")
        if slot is not None and self._tree.durability != "none":
            os.fdatasync(slot.fd)
        if self._tree.durability == "data":
            os.fdatasync(self._fd)
        elif self._visit is None:
            self._tree.sync_earlier(self._fd)
        elif self._has_come():
            self._visit.sync(self._fd)  # what it replaces is there until the disk has taken it
        self._tree.step("part bytes synced")
        return part

    def _publish(self) -> bool:
        """Give the file the part's name, in place of one that has it; True when none had."""
        name = str(self.number)
        if not self._name:
            try:
                placed.link(self._fd, self._folder, name)
                self._named = True
                self._tree.step("part linked")
                return True
            except FileExistsError:
                if self._visit is not None:  # it may have come this very moment
                    self._visit.sync(self._fd)
                self._name = placed.hidden_name()
                placed.link(self._fd, self._folder, self._name)
        self._expect_part(name)
        os.rename(self._name, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        self._name = ""
        self._named = True
        self._tree.step("part renamed")
        return False

    def _expect_part(self, name: str) -> None:
        """Raise MethodNotAllowed when what has the part's name, if anything has, is no file."""
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            if not stat.S_ISREG(found.st_mode):
                raise hidden.taken(name)

    def _sync_name(self, created: bool) -> None:
        if self._visit is None:
            if self._tree.durability == "full":
                os.fsync(self._folder)
            return
        try:
            self._visit.sync(self._fd)
        except OSError:
            if created:
                self._withdraw()
            raise

    def _withdraw(self) -> None:
        """Take a new part back, unless its name is another's by now."""
        name = str(self.number)
        held = locks.hold_upload(self._tree.root, self._path)
        with contextlib.suppress(OSError, errors.Busy), held:
            found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
            if os.path.samestat(found, os.fstat(self._fd)):
                os.unlink(name, dir_fd=self._folder)

    def discard(self) -> None:
        """Let go of everything; harmless when there is nothing left."""
        if self._visit is not None:
            self._visit.close()
        if self._name:
            with contextlib.suppress(OSError):  # removed with the upload
                os.unlink(self._name, dir_fd=self._folder)
            self._name = ""
        if self._slot is not None:
            self._slot.close() if self._named else self._slot.give_up()
            self._slot = None
        for fd in (self._fd, self._folder):
            if fd >= 0:
                os.close(fd)
        self._fd = self._folder = -1

    def _failed(self, error: OSError) -> errors.StoreError:
        found = errors.from_os(error, f"{self.upload.bucket}/{self.upload.key}")
        if isinstance(found, errors.NoSuchKey):  # the directory is gone
            return errors.NoSuchUpload(UploadId=self.upload.id)
        return found


def _attributes(part: PartRecord, upload: Upload) -> list[tuple[str, bytes]]:
    words = (
        part.etag, part.size, part.mtime_ns, part.algorithm or "-", part.checksum or "-",
        part.data or "-", part.offset,
    )  # fmt: skip
    wanted = [(PART, " ".join(map(str, words)).encode())]
    if part.data:
        wanted.append(("user.etag", f'W/"{part.etag}"'.encode()))
        return wanted
    wanted.append(("user.etag", f'"{part.etag}"'.encode()))
    if upload.algorithm:
        wanted.append(("user.checksums", declaration.encode(part.algorithm, "", part.checksum)))
    elif part.algorithm == "CRC64NVME":
        wanted.append((CRC64NVME, part.checksum.encode()))
    return wanted
