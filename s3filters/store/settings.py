"""What a bucket is configured with: raw values under short names, as attributes of its directory.

Attributes and encodings are those of Versity's gateway where it has them. A value that does not fit
beside the directory (ext4 has about 4 KB for all attributes of an inode) is a file,
``<bucket>/.sgwtmp/settings/<name>.<number>``, and ``user.s3filters.elsewhere`` lists these files
behind the number of its last change: ``17 cors.3 policy.17``. So every change moves the directory's
ctime, by which processes know that what they remember is old; and who finds the same list after
reading as before has read no half of a change.

A setting changes at one step, whichever way it is stored and was stored before: an attribute
counts, and the list only where there is none. So a file is complete, and on the disk, before it is
listed; it is listed before the attribute that it replaces goes; and no file goes before the change
is on the disk. Room for the list is taken before anything large is stored beside it. On ScoutFS
commits keep the order of all this, so there is one sync, of the whole change (``commits``).

A listed file that is not there (a crash within the deletion of a bucket; or something else was put
in its place) is an empty value, which nothing can be read from: whoever reads a policy or an ACL
then lets nobody in but who needs none.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Mapping

from s3filters.store import hidden, xattrs
from s3filters.store.beneath import DIRECTORY
from s3filters.store.errors import MetadataTooLarge, MethodNotAllowed, SlowDown
from s3filters.store.paths import HIDDEN
from s3filters.store.tree import Tree

# name -> attribute of the bucket's directory
ATTRIBUTES = {
    "acl": "user.acl",
    "cors": "user.cors",
    "ownership": "user.ownership",
    "policy": "user.policy",
    "public-access-block": "user.s3filters.public-access-block",
    "tagging": "user.X-Amz-Tagging",
}
ELSEWHERE = "user.s3filters.elsewhere"
DIRECTORY_NAME = "settings"
LARGEST = 1 << 20  # bytes of a value; the documents of S3 are far smaller

_NAMES = {attribute: name for name, attribute in ATTRIBUTES.items()}
_LIST = 128  # bytes of the list, always: all six names with numbers of many digits
_SMALL = 256  # bytes of a value; as many as there are of these fit beside any directory
_ATTRIBUTE = 1 << 16  # bytes of any attribute (xattr(7))
_ATTEMPTS = 64
_NONE = (errno.ENODATA, errno.ENOTSUP)  # there is no such attribute
_is_file = re.compile(rf"({'|'.join(ATTRIBUTES)})\.([0-9]{{1,9}})").fullmatch
_NEW = os.O_WRONLY | os.O_CREAT
_FOLDER = DIRECTORY.flags | os.O_NOFOLLOW

Changes = Mapping[str, bytes | None]  # name -> new value, None for no setting any more


def read(fd: int) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return all attributes of an open bucket, and its settings. Raise SlowDown, OSError."""
    raw, whole = xattrs.read_closely(fd)
    if whole and ELSEWHERE not in raw:  # when these were listed, none was anywhere else
        return raw, _among(raw)
    for _ in range(_ATTEMPTS):
        before = _list_of(fd)
        raw = xattrs.read(fd)
        found = _among(raw)
        for name, number in _files_in(before).items():
            if name not in found:
                found[name] = _read_file(fd, f"{name}.{number}")
        if _list_of(fd) == before:  # nothing moved from one place to the other meanwhile
            return raw, found
    raise SlowDown


def _among(raw: dict[str, bytes]) -> dict[str, bytes]:
    return {_NAMES[name]: value for name, value in raw.items() if name in _NAMES}


def change(tree: Tree, fd: int, changes: Changes) -> None:
    """Change settings of an open bucket, one after the other; under its lock.

    With durability ``full`` they stay when the power goes.

    Raise MetadataTooLarge where not even the list fits, InsufficientStorage, MethodNotAllowed when
    something else is where a file or folder of theirs belongs, OSError.
    """
    with tree.announced(fd) as announced:
        for name, value in changes.items():
            if value is None:
                _remove(fd, name)
            else:
                _put(tree, fd, name, value)
        announced.sync(fd)
    _tidy(fd)


def _put(tree: Tree, fd: int, name: str, value: bytes) -> None:
    listed = _list_of(fd)
    if len(value) > _SMALL and not listed:
        with contextlib.suppress(MetadataTooLarge):
            _write_list(fd, 0, {})
    try:
        if len(value) > _ATTRIBUTE:
            raise MetadataTooLarge
        xattrs.write(fd, [(ATTRIBUTES[name], value)])
    except MetadataTooLarge:
        number = _last_in(listed) + 1
        _write_file(tree, fd, f"{name}.{number}", value)
        _write_list(fd, number, {**_files_in(listed), name: number})
        _remove_attribute(fd, ATTRIBUTES[name])
    else:
        _unlist(fd, name)


def _remove(fd: int, name: str) -> None:
    _unlist(fd, name)  # first, or the file would count again for a moment
    _remove_attribute(fd, ATTRIBUTES[name])


def _remove_attribute(fd: int, attribute: str) -> None:
    try:
        os.removexattr(fd, attribute)
    except OSError as error:
        if error.errno not in _NONE:
            raise


# The list ----------------------------------------------------------------------------------------


def _list_of(fd: int) -> bytes:
    try:
        return os.getxattr(fd, ELSEWHERE)
    except OSError as error:
        if error.errno not in _NONE:
            raise
        return b""


def _last_in(listed: bytes) -> int:
    """Return the number of the last change of the list."""
    word = listed[:_LIST].partition(b" ")[0]
    return int(word) if word.isdigit() else 0


def _files_in(listed: bytes) -> dict[str, int]:
    words = listed.decode("ascii", "replace").split()
    return {match[1]: int(match[2]) for match in map(_is_file, words) if match}


def _write_list(fd: int, number: int, files: Mapping[str, int]) -> None:
    words = [str(number), *(f"{name}.{each}" for name, each in sorted(files.items()))]
    xattrs.write(fd, [(ELSEWHERE, " ".join(words).ljust(_LIST).encode())])


def _unlist(fd: int, name: str) -> None:
    listed = _list_of(fd)
    files = _files_in(listed)
    if files.pop(name, None) is not None:
        _write_list(fd, _last_in(listed) + 1, files)


# Files -------------------------------------------------------------------------------------------


def _open_folder(fd: int) -> int:
    """Return a descriptor of the settings' directory. Raise OSError."""
    above = os.open(HIDDEN, _FOLDER, dir_fd=fd)
    try:
        return os.open(DIRECTORY_NAME, _FOLDER, dir_fd=above)
    finally:
        os.close(above)


def _make_folder(tree: Tree, fd: int) -> int:
    try:
        return _make_folders(tree, fd)
    except NotADirectoryError as error:
        raise hidden.taken(DIRECTORY_NAME) from error


def _make_folders(tree: Tree, fd: int) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkdir(HIDDEN, hidden.MODE, dir_fd=fd)
    above = os.open(HIDDEN, _FOLDER, dir_fd=fd)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(DIRECTORY_NAME, hidden.MODE, dir_fd=above)
        tree.sync_earlier(above)
        return os.open(DIRECTORY_NAME, _FOLDER, dir_fd=above)
    finally:
        os.close(above)


def _read_file(fd: int, name: str) -> bytes:
    """Return what a listed file holds, nothing when it is not there or no file."""
    try:
        folder = _open_folder(fd)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    try:
        file = hidden.open_file(folder, name, os.O_RDONLY)
    except (FileNotFoundError, MethodNotAllowed):
        return b""
    finally:
        os.close(folder)
    with open(file, "rb") as opened:
        return opened.read(LARGEST)


def _write_file(tree: Tree, fd: int, name: str, value: bytes) -> None:
    """Write a file that is not listed, so nobody reads it yet."""
    folder = _make_folder(tree, fd)
    try:
        with open(hidden.open_file(folder, name, _NEW), "wb") as file:
            file.truncate(0)
            file.write(value)
            file.flush()
            tree.sync_earlier(file.fileno())
        tree.sync_earlier(folder)
    finally:
        os.close(folder)


def _tidy(fd: int) -> None:
    """Remove files that are not listed, of changes before this one and of such as were cut off."""
    try:
        folder = _open_folder(fd)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        wanted = {f"{name}.{number}" for name, number in _files_in(_list_of(fd)).items()}
        for name in _files_of(folder):
            if name not in wanted:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
    finally:
        os.close(folder)


def _files_of(folder: int) -> list[str]:
    """Return the names of settings' files in an open folder; what else is there is not ours."""
    with os.scandir(folder) as entries:
        return [e.name for e in entries if _is_file(e.name) and e.is_file(follow_symlinks=False)]


# Deleting a bucket -------------------------------------------------------------------------------


def take_away(tree: Tree, fd: int) -> dict[str, bytes]:
    """Remove the files of an open bucket that is to be deleted; return name and bytes of each.

    Raise OSError; they are all there then.
    """
    taken: dict[str, bytes] = {}
    try:
        folder = _open_folder(fd)
    except (FileNotFoundError, NotADirectoryError):
        return taken
    try:
        for name in _files_of(folder):
            taken[name] = _read_file(fd, name)
            os.unlink(name, dir_fd=folder)
    except OSError:
        give_back(tree, fd, taken)
        raise
    finally:
        os.close(folder)
    with contextlib.suppress(OSError):  # what else is in it keeps the bucket
        os.rmdir(f"{HIDDEN}/{DIRECTORY_NAME}", dir_fd=fd)
    return taken


def give_back(tree: Tree, fd: int, taken: Mapping[str, bytes]) -> None:
    """Put the files back, because the bucket stays. Raise OSError."""
    for name, value in taken.items():
        _write_file(tree, fd, name, value)
    if taken:
        tree.sync(fd)


def discard(tree: Tree, directory: int, name: str) -> None:
    """Remove a bucket that got no name from an open root, with what it was to be configured with.

    Raise OSError, also when something else is in it.
    """
    fd = os.open(name, _FOLDER, dir_fd=directory)
    try:
        take_away(tree, fd)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(HIDDEN, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=directory)
