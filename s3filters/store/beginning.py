"""Begins uploads: what is fixed of an object before its first part.

A directory is made under a hidden name, gets its attributes, and then its own name by one rename;
with durability ``full`` it is on the disk, and the directories above it, before the verb returns.
What the object would be refused with is refused here: better said now than after 5 TiB.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from s3filters.store import (
    boundaries,
    declaration,
    describing,
    errors,
    hidden,
    locks,
    parents,
    uploads,
    xattrs,
)
from s3filters.store.beneath import DIRECTORY
from s3filters.store.metadata import Attributes, Checksums
from s3filters.store.place import Draft
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

# The most that completing adds to what is fixed at the beginning.
_LONGEST_ETAG = "0" * 32 + "-10000"
_LONGEST = Checksums("SHA256", "COMPOSITE", "=" * 44 + "-10000")
_SLACK = 96  # bytes: the seal, and what is lost where attributes lie in two places (ext4)
_LIGHT = 800  # bytes that fit on every file system that can be served (ext4 with blocks of 1 KiB)


def create(tree: Tree, upload: Upload) -> None:
    """Begin an upload. With durability ``full`` it is there when the power goes.

    Raise NoSuchBucket, MetadataTooLarge, what a Draft of the object would be refused with.
    """
    if not uploads.is_id(upload.id):
        raise ValueError("an upload id is a canonical UUID")
    _expect_no_refusal(tree, upload)
    folder = uploads.folder_of(upload.bucket, upload.key)
    try:
        for _ in parents.attempts():
            with contextlib.suppress(FileNotFoundError):  # pruned by who ended the key's last one
                locks.make(tree.root, folder)  # so that ending it needs no space
                _begin(tree, folder, upload)
                return
            os.close(tree.open_bucket(upload.bucket))
    except OSError as error:
        raise errors.from_os(error, f"{upload.bucket}/{upload.key}") from error
    raise errors.SlowDown


def _expect_no_refusal(tree: Tree, upload: Upload) -> None:
    """Raise what the object would be refused with.

    That includes metadata beside which there is no room to store which upload made the object. Who
    completes again, because the first answer was lost, would hear NoSuchUpload.
    """
    with Draft(tree, upload.bucket, upload.key) as draft:
        wanted = describing.encode(_attributes(upload, _LONGEST_ETAG, _LONGEST), None)
        wanted.append(boundaries.smallest(upload.id, b" " * _SLACK))
        if sum(len(name) + len(value) for name, value in wanted) > _LIGHT:
            try:
                xattrs.write(draft.fd, wanted)
            except OSError as error:
                raise errors.from_os(error, f"{upload.bucket}/{upload.key}") from error


def _attributes(upload: Upload, etag: str = "", checksums: Checksums | None = None) -> Attributes:
    """Return what an upload has fixed of its object."""
    return Attributes(
        etag=etag,
        headers=upload.headers,
        user=upload.user,
        checksums=checksums,
        storage_class=upload.storage_class,
        tags=upload.tags,
        acl=upload.acl,
    )


def _begin(tree: Tree, folder: bytes, upload: Upload) -> None:
    with _open_folder(tree, folder, upload.key) as fd:
        new = upload.id + uploads.NEW
        os.mkdir(new, hidden.MODE, dir_fd=fd)
        try:
            _describe(tree, fd, new, upload)
            os.rename(new, upload.id, src_dir_fd=fd, dst_dir_fd=fd)
        except BaseException:
            with contextlib.suppress(OSError):
                os.rmdir(new, dir_fd=fd)
            raise
        tree.sync(fd)
        tree.step("upload created")


@contextlib.contextmanager
def _open_folder(tree: Tree, folder: bytes, key: str) -> Iterator[int]:
    """Open the directory of a key's uploads, making it and those above it when they are missing."""
    bucket, hidden_name, multipart, last = folder.split(b"/")
    fd = tree.root.open(bucket, DIRECTORY)
    try:
        for name in (hidden_name, multipart, last):
            made = _enter(fd, name)
            if made[1]:
                tree.sync_earlier(fd)
            os.close(fd)
            fd = made[0]
        os.setxattr(fd, uploads.KEY, key.encode())
        yield fd
    finally:
        os.close(fd)


def _enter(above: int, name: bytes) -> tuple[int, bool]:
    """Open a directory in an open one; return it and whether it had to be made.

    Raise MethodNotAllowed when it is something else, OSError.
    """
    made = False
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, hidden.MODE, dir_fd=above)
        made = True
    try:
        return os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=above), made
    except NotADirectoryError as error:
        raise hidden.taken("" if name == hidden.NAME else name.decode()) from error


def _describe(tree: Tree, folder: int, name: str, upload: Upload) -> None:
    described = describing.encode(_attributes(upload), None)
    wanted = [pair for pair in described if pair[0] != "user.etag"]
    wanted.append((uploads.INITIATED, b"%d" % upload.initiated_ns))
    if upload.initiator:
        wanted.append((uploads.INITIATOR, upload.initiator.encode()))
    if upload.algorithm:
        declared = declaration.encode(upload.algorithm, upload.checksum_type)
        wanted.append((uploads.CHECKSUMS, declared))
    fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=folder)
    try:
        xattrs.write(fd, wanted)
        tree.sync_earlier(fd)
    finally:
        os.close(fd)
