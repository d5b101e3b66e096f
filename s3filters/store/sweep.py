"""Removes what a crash left behind: names that no request will ever ask for again.

Only our own and Versity's names of files on their way are touched, only when they are older than
the given age, and only when nobody holds a lock on them (a put without O_TMPFILE does, for as
long as it takes). Of uploads it removes those that ended, those that were never begun, and those
whose object is there: a gateway died between the object and the end of the upload. One that another
gateway claimed and left gets its name back, so that it can be listed, completed and aborted. One
process of a machine sweeps a bucket at a time; two at once on different machines do no harm.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import re
import stat
import time
from collections.abc import Iterator

from s3filters.store import comparing, joining, locks, paths, place, removing, settings, uploads
from s3filters.store.beneath import DIRECTORY
from s3filters.store.errors import Busy, StoreError
from s3filters.store.hidden import PREFIX
from s3filters.store.tree import Tree

log = logging.getLogger("s3filters.store")

# Ours, and Versity's: sha256 of the key, then random digits.
_ON_ITS_WAY = re.compile(r"put\.[0-9a-f]{16}\Z|[0-9a-f]{64}\.[0-9]+\Z")


def sweep(tree: Tree, age_s: float) -> int:
    """Remove stale names in all buckets; return how many. Raise OSError."""
    root = os.open(".", DIRECTORY.flags, dir_fd=tree.root.fd)
    try:
        count = _sweep_new_buckets(tree, root, age_s)
        with os.scandir(root) as entries:
            buckets = [e.name for e in entries if paths.is_bucket(e.name)]
        for bucket in buckets:
            try:
                count += _sweep_bucket(tree, bucket, age_s)
            except (FileNotFoundError, NotADirectoryError):
                pass  # there is nothing of ours in it
            except OSError as error:  # of one bucket, which keeps nobody from the others
                if error.errno != errno.EXDEV:  # a link that leads out of the root is no bucket
                    log.warning("bucket %s could not be swept: %s", bucket, error)
        return count
    finally:
        os.close(root)


def _sweep_bucket(tree: Tree, bucket: str, age_s: float) -> int:
    hidden = tree.root.open_ours(f"{bucket}/{paths.HIDDEN}".encode(), DIRECTORY)
    try:
        if not _is_ours_alone(hidden):
            return 0
        count = sweep_hidden(hidden, age_s) + sweep_uploads(hidden, age_s)
        return count + _settle(tree, bucket, hidden, age_s)
    finally:
        os.close(hidden)


def _is_ours_alone(hidden: int) -> bool:
    """Lock a bucket's folder for this sweep; False when another sweep has it.

    Not the root, which who looks after restores has locked as long as he lives (``leading``).
    """
    try:
        fcntl.flock(hidden, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # NFS has no locks on directories; two sweeps do no harm
    return True


def _sweep_new_buckets(tree: Tree, root: int, age_s: float) -> int:
    """Remove buckets that got no name: there is nothing in them but settings."""
    count = 0
    for name in _old_names(root, age_s):
        if paths.is_reserved(name):
            with contextlib.suppress(OSError):
                settings.discard(tree, root, name)
                count += 1
    return count


def sweep_hidden(hidden: int, age_s: float) -> int:
    """Remove stale files on their way from an open ``.sgwtmp``; return how many.

    Folders of nodes go with what was in them: one that is in use is made again.
    """
    count = 0
    for name in os.listdir(hidden):
        if name.startswith(PREFIX):
            with contextlib.suppress(OSError):  # in use, or gone
                count += _sweep_node(hidden, name, age_s)
    return count + _sweep_files(hidden, age_s)


def _sweep_files(hidden: int, age_s: float) -> int:
    count = 0
    for name in _old_names(hidden, age_s):
        if _ON_ITS_WAY.match(name) or comparing.is_claim(name):
            # Gone, or not for us to open: the others are looked after.
            with contextlib.suppress(OSError), _locked(hidden, name) as free:
                if free:
                    os.unlink(name, dir_fd=hidden)
                    count += 1
    return count


def remove_beside(directory: int, name: str, age_s: float) -> bool:
    """Remove a file that a crash left beside the object that it was to replace; say whether it was.

    No sweep looks for these: that would be a walk of the whole tree.

    :param directory: an open one, of objects
    """
    if name == paths.HIDDEN or not paths.is_reserved(name):
        return False
    with contextlib.suppress(OSError):  # gone, or not for us to open
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if time.time() - status.st_ctime >= age_s:
            with _locked(directory, name) as free:
                if free:
                    os.unlink(name, dir_fd=directory)
                    return True
    return False


def _sweep_node(hidden: int, name: str, age_s: float) -> int:
    fd = os.open(name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=hidden)
    try:
        count = _sweep_files(fd, age_s)
        if time.time() - os.fstat(fd).st_mtime >= age_s:
            with contextlib.suppress(OSError):  # something else is in it
                os.rmdir(name, dir_fd=hidden)
    finally:
        os.close(fd)
    return count


def remove_nodes(hidden: int) -> None:
    """Remove the folders of nodes from an open ``.sgwtmp`` in which there is nothing."""
    for name in os.listdir(hidden):
        if name.startswith(PREFIX):
            with contextlib.suppress(OSError):  # the bucket's deletion says what is in the way
                os.rmdir(name, dir_fd=hidden)


def sweep_uploads(hidden: int, age_s: float, ended_age_s: float | None = None) -> int:
    """Remove what uploads left behind in an open ``.sgwtmp``; return how many.

    :param ended_age_s: age of what ended, when it is another
    """
    count = 0
    with _folders(hidden) as folders:
        for fd, above, name in folders:
            count += sweep_hidden(fd, age_s)  # parts on their way
            count += _remove_ended(fd, age_s if ended_age_s is None else ended_age_s)
            count += _remove_unbegun(fd, age_s)
            if time.time() - os.fstat(fd).st_ctime > age_s:
                with contextlib.suppress(OSError):  # there are uploads in it
                    os.rmdir(name, dir_fd=above)
    return count


@contextlib.contextmanager
def _folders(hidden: int) -> Iterator[Iterator[tuple[int, int, str]]]:
    """Open the directories of all keys' uploads one after the other: itself, the one above, name.

    Nothing is there when ``.sgwtmp`` has no uploads.
    """
    try:
        multipart = os.open(uploads.MULTIPART, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=hidden)
    except (FileNotFoundError, NotADirectoryError):
        yield iter(())
        return
    try:
        yield _each_folder(multipart)
    finally:
        os.close(multipart)


def _each_folder(multipart: int) -> Iterator[tuple[int, int, str]]:
    with os.scandir(multipart) as entries:
        for entry in entries:
            try:
                fd = os.open(entry.name, DIRECTORY.flags | os.O_NOFOLLOW, dir_fd=multipart)
            except OSError:
                continue  # gone, none of ours, or not for us to read: the others are looked after
            try:
                yield fd, multipart, entry.name
            finally:
                os.close(fd)


def _remove_ended(folder: int, age_s: float) -> int:
    """Remove uploads that were completed or aborted from an open directory; return how many."""
    count = 0
    for name in _old_names(folder, age_s):
        if name.endswith(uploads.ENDED):
            with contextlib.suppress(OSError):  # what cannot be removed keeps nobody from the rest
                removing.tree(folder, name)
                count += 1
    return count


def _remove_unbegun(folder: int, age_s: float) -> int:
    """Remove uploads that never got their name; return how many.

    They are renamed first, so that one that gets its name this very moment is not touched.
    """
    count = 0
    for name in _old_names(folder, age_s):
        if name.endswith(uploads.NEW):
            ended = name.removesuffix(uploads.NEW) + uploads.ENDED
            with contextlib.suppress(OSError):
                os.rename(name, ended, src_dir_fd=folder, dst_dir_fd=folder)
                removing.tree(folder, ended)
                count += 1
    return count


def _settle(tree: Tree, bucket: str, hidden: int, age_s: float) -> int:
    """End uploads whose objects are there; return how many.

    What another gateway had claimed, and left, has the name of an upload in progress after this.
    """
    count = 0
    with _folders(hidden) as folders:
        for fd, _, name in folders:
            with contextlib.suppress(OSError):  # one key's uploads keep nobody from the others
                key = uploads.key_of(fd, name)
                ids = _idle_uploads(fd, age_s) if key is not None else ()
                count += sum(_is_finished(tree, bucket, key or "", each) for each in ids)
    return count


def _idle_uploads(folder: int, age_s: float) -> set[str]:
    """Return the ids of uploads in an open directory that nothing has happened to for so long."""
    names = [n for n in _old_names(folder, age_s) if not n.endswith((uploads.NEW, uploads.ENDED))]
    return {n.partition(".")[0] for n in names if "." not in n or n.endswith(".inprogress")}


def _is_finished(tree: Tree, bucket: str, key: str, upload_id: str) -> bool:
    """End an upload if it made the object at its key; return whether it did."""
    try:
        os.close(uploads.open_directory(tree, bucket, key, upload_id))
        if joining.made_by(tree, bucket, key, upload_id) is None:
            return False
        place.sync(tree, bucket, key)  # until its name is on the disk the parts are all there is
        uploads.abort(tree, bucket, key, upload_id)
    except (StoreError, Busy, OSError):
        return False  # no upload, ended meanwhile, or in use: it stays as it is
    return True


@contextlib.contextmanager
def _locked(hidden: int, name: str) -> Iterator[bool]:
    """Try to lock a file; say whether that worked, which it does not for anything else."""
    if not stat.S_ISREG(os.stat(name, dir_fd=hidden, follow_symlinks=False).st_mode):
        yield False
        return
    fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=hidden)
    try:
        yield locks.is_free(fd)
    finally:
        os.close(fd)


def _old_names(directory: int, age_s: float) -> list[str]:
    """Names whose inode has not changed for so long (ctime: a link made now counts as a change).

    With no age at all every name, also of what changes while we look.
    """
    if not age_s:
        return os.listdir(directory)
    limit_ns = time.time_ns() - int(age_s * 1e9)
    found = []
    with os.scandir(directory) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_ctime_ns < limit_ns:
                    found.append(entry.name)
    return found
