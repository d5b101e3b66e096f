"""Uploads in progress: one directory each, which holds what was fixed when the upload began.

``<bucket>/.sgwtmp/multipart/<sha256 of the key>/<upload id>/``, as Versity's gateway lays it out;
the key itself is an attribute of the directory above. An upload begins and ends by one rename, so
it is seen whole or not at all:

* ``<id>.new.inprogress`` is being made;
* ``<id>`` is in progress: its parts can be listed, replaced, completed;
* ``<id>.ended.inprogress`` was completed or aborted: it is worth nothing, and whoever meets it may
  remove it;
* ``<id>.<etag>.inprogress`` is what Versity's gateway calls an upload while it completes it. One
  that died then left its parts there: after ``ABANDONED_S`` it is taken for what it is, an upload
  in progress.

Who changes an upload (publishes a part, completes, aborts) holds its lock, and looks under it
whether the directory still has its name. Ids are canonical UUIDs and nothing else, so no id leads
anywhere but here.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from s3filters.store import (
    claims,
    declaration,
    errors,
    hidden,
    locks,
    metadata,
    paths,
    recognizing,
    removing,
)
from s3filters.store.beneath import DIRECTORY
from s3filters.store.tree import Tree

MULTIPART = "multipart"
NEW, ENDED = ".new.inprogress", ".ended.inprogress"
ABANDONED_S = 600.0
KEY = "user.objname"
# In ns since the epoch; a directory's mtime moves with its files.
INITIATED = "user.s3filters.initiated"
INITIATOR = "user.s3filters.initiator"
CHECKSUMS = "user.checksums"

is_id = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").fullmatch
_is_time = re.compile(rb"[0-9]{1,19}").fullmatch
_is_folder = re.compile(r"[0-9a-f]{64}").fullmatch
_NOT_EMPTY = (errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST)  # rename(2), of a folder


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in progress; ``headers``, ``user`` and ``tags`` as in metadata.Attributes.

    ``acl`` is what the object will have, stored; empty for none.
    ``algorithm`` and ``checksum_type`` are empty when none was declared. ``initiator`` is a
    canonical id, empty when it is not known.
    """

    bucket: str
    key: str
    id: str
    initiated_ns: int
    initiator: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    user: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    tags: Mapping[str, str] | None = None
    algorithm: str = ""
    checksum_type: str = ""
    acl: bytes = b""


def folder_of(bucket: str, key: str) -> bytes:
    """Return the path under the root of the directory of all uploads of a key."""
    name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{bucket}/{paths.HIDDEN}/{MULTIPART}/{name}".encode()


def path_of(bucket: str, key: str, upload_id: str) -> bytes:
    """Return the path of an upload under the root. Raise NoSuchUpload for what is no id."""
    if not is_id(upload_id):
        raise errors.NoSuchUpload(UploadId=upload_id)
    return b"%b/%b" % (folder_of(bucket, key), upload_id.encode())


# Finding -----------------------------------------------------------------------------------------


def open_directory(tree: Tree, bucket: str, key: str, upload_id: str) -> int:
    """Return a descriptor of an upload's directory; the caller closes it.

    Raise NoSuchUpload, NoSuchBucket, StoreError.
    """
    path = path_of(bucket, key, upload_id)
    try:
        try:
            return tree.root.open_ours(path, DIRECTORY)
        except (FileNotFoundError, NotADirectoryError):
            os.close(tree.open_bucket(bucket))
            if not _adopt(tree, path, upload_id):
                raise errors.NoSuchUpload(UploadId=upload_id) from None
            return tree.root.open_ours(path, DIRECTORY)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.NoSuchUpload(UploadId=upload_id) from error
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error


def _adopt(tree: Tree, path: bytes, upload_id: str) -> bool:
    """Give an upload its name back that Versity's gateway was completing when it died.

    Raise SlowDown when it may be at it still, OSError.
    """
    folder, _, last = path.rpartition(b"/")
    fd = tree.root.open_ours(folder, DIRECTORY)
    try:
        with os.scandir(fd) as entries:
            claimed = [
                entry
                for entry in entries
                if entry.name.startswith(f"{upload_id}.")
                and entry.name.endswith(".inprogress")
                and not entry.name.endswith((NEW, ENDED))
            ]
        for entry in claimed:
            age_s = time.time() - entry.stat(follow_symlinks=False).st_ctime
            if age_s < ABANDONED_S:
                raise errors.SlowDown("Another gateway may be completing this upload.")
            os.rename(entry.name, last, src_dir_fd=fd, dst_dir_fd=fd)
            return True
    finally:
        os.close(fd)
    return False


def expect_in_progress(tree: Tree, fd: int, path: bytes) -> None:
    """Raise NoSuchUpload when an open upload's directory has lost its name; under its lock."""
    try:
        found = os.stat(path, dir_fd=tree.root.fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise errors.NoSuchUpload from error
    if not os.path.samestat(found, os.fstat(fd)):
        raise errors.NoSuchUpload


def get(tree: Tree, bucket: str, key: str, upload_id: str) -> Upload:
    """Return an upload in progress. Raise NoSuchUpload, NoSuchBucket, StoreError."""
    fd = open_directory(tree, bucket, key, upload_id)
    try:
        return read(fd, bucket, key, upload_id)
    finally:
        os.close(fd)


def read(fd: int, bucket: str, key: str, upload_id: str) -> Upload:
    """Return the upload of an open directory. Raise StoreError."""
    try:
        raw = {n: os.getxattr(fd, n) for n in os.listxattr(fd) if n.startswith("user.")}
        mtime_ns = os.fstat(fd).st_mtime_ns
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    return _upload(raw, mtime_ns, bucket, key, upload_id)


def _upload(
    raw: Mapping[str, bytes], mtime_ns: int, bucket: str, key: str, upload_id: str
) -> Upload:
    algorithm, kind, _ = declaration.decode(raw.get(CHECKSUMS))
    initiated, initiator = raw.get(INITIATED, b""), _printable(raw.get(INITIATOR, b""))
    return Upload(
        bucket=bucket,
        key=key,
        id=upload_id,
        initiated_ns=int(initiated) if _is_time(initiated) else mtime_ns,
        initiator=initiator,
        headers={
            name: raw["user." + name].decode("utf-8", "replace")
            for name in metadata.STANDARD_HEADERS
            if "user." + name in raw
        },
        user=_texts(raw.get("user.metadata")),
        storage_class=_printable(raw.get(metadata.STORAGE_CLASS, b"")) or "STANDARD",
        tags=_texts(raw.get("user.X-Amz-Tagging")) or None,
        algorithm=algorithm,
        checksum_type=kind,
        acl=raw.get(metadata.ACL, b""),
    )


def _printable(raw: bytes) -> str:
    """Return text that may stand in a document; what others wrote that may not is none."""
    text = raw.decode("utf-8", "replace")
    return text if text.isprintable() else ""


def _texts(value: bytes | None) -> dict[str, str]:
    return {str(name): str(text) for name, text in recognizing.tags_in(value).items()}


# All of a bucket ---------------------------------------------------------------------------------

_LISTED = (INITIATED, INITIATOR, metadata.STORAGE_CLASS, CHECKSUMS)


def all_of(
    tree: Tree, bucket: str, wanted: Callable[[str], bool] | None = None
) -> Iterator[Upload]:
    """Yield a bucket's uploads in no order, one directory at a time, without what is stored.

    :param wanted: asked for each key, before its uploads are looked at: a few system calls each

    Raise NoSuchBucket, StoreError.
    """
    try:
        fd = tree.root.open_ours(f"{bucket}/{paths.HIDDEN}/{MULTIPART}".encode(), DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        os.close(tree.open_bucket(bucket))
        return
    except OSError as error:
        raise errors.from_os(error, bucket) from error
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                if _is_folder(entry.name):
                    # Gone meanwhile; or not to be read, and then the others still are.
                    with contextlib.suppress(
                        FileNotFoundError, NotADirectoryError, PermissionError
                    ):
                        yield from _all_in(fd, entry.name, bucket, wanted)
    except OSError as error:
        raise errors.from_os(error, bucket) from error
    finally:
        os.close(fd)


def _all_in(
    multipart: int, folder: str, bucket: str, wanted: Callable[[str], bool] | None
) -> Iterator[Upload]:
    fd = os.open(folder, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=multipart)
    try:
        key = key_of(fd, folder)
        if key is None or (wanted is not None and not wanted(key)):
            return
        with os.scandir(fd) as entries:
            ids = [entry.name for entry in entries if is_id(entry.name)]
        for upload_id in ids:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                yield _look(fd, upload_id, bucket, key)
    finally:
        os.close(fd)


def key_of(fd: int, folder: str) -> str | None:
    """Return the key of an open directory of uploads; None when that is not what it says it is."""
    try:
        raw = os.getxattr(fd, KEY)
        return raw.decode() if hashlib.sha256(raw).hexdigest() == folder else None
    except UnicodeDecodeError:
        return None
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


def _look(folder: int, upload_id: str, bucket: str, key: str) -> Upload:
    target = f"/proc/self/fd/{folder}/{upload_id}"
    found = os.stat(upload_id, dir_fd=folder, follow_symlinks=False)
    raw = {}
    for name in _LISTED:
        try:
            raw[name] = os.getxattr(target, name, follow_symlinks=False)
        except OSError as error:
            if error.errno != errno.ENODATA:
                raise
    return _upload(raw, found.st_mtime_ns, bucket, key, upload_id)


# Ending ------------------------------------------------------------------------------------------


def end(tree: Tree, path: bytes) -> None:
    """Take an upload's name away, under its lock; what it held is removed later.

    Raise MethodNotAllowed when the name that it gets is something else's, OSError.
    """
    folder, _, last = path.rpartition(b"/")
    fd = tree.root.open_ours(folder, DIRECTORY)
    try:
        ended = last + ENDED.encode()
        os.rename(last, ended, src_dir_fd=fd, dst_dir_fd=fd)
        tree.step("upload ended")
    except BaseException as error:
        os.close(fd)
        if isinstance(error, OSError) and error.errno in _NOT_EMPTY:
            raise hidden.taken(f"{last.decode()}{ENDED}") from error
        raise
    removing.later(tree.root, fd, folder, ended)


def abort(tree: Tree, bucket: str, key: str, upload_id: str) -> None:
    """End an upload; with durability ``full`` it stays ended when the power goes.

    Raise NoSuchUpload, Busy, StoreError.
    """
    path = path_of(bucket, key, upload_id)
    fd = open_directory(tree, bucket, key, upload_id)
    folder = -1
    try:
        folder = tree.root.open_ours(path.rpartition(b"/")[0], DIRECTORY)  # soon it may be gone
        with tree.announced(folder) as change:
            with locks.hold_upload(tree.root, path), claims.hold(tree, fd, aborts=True):
                expect_in_progress(tree, fd, path)
                end(tree, path)
            change.sync(folder)
    except FileNotFoundError as error:
        raise errors.NoSuchUpload(UploadId=upload_id) from error
    except OSError as error:
        raise errors.from_os(error, f"{bucket}/{key}") from error
    finally:
        for each in (fd, folder):
            if each >= 0:
                os.close(each)
