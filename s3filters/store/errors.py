"""What can go wrong in the store, in classes named as the S3 codes that they become.

A kernel error becomes one of these in one place, ``from_os``, called where the name is known. The
store never answers anybody: whoever calls it turns the class's name, ``error.message`` and
``error.detail`` into words of S3. ``WouldBlock`` is not an error of a request: it says that a
verb asked to be quick would have had to wait, and is to be run again where waiting is allowed.
"""

from __future__ import annotations

import errno
from typing import Any


class StoreError(Exception):
    """A verb refused or failed; ``detail`` holds more elements of the answer.

    ``message`` is None where the words that S3 has for the code say it all.
    """

    def __init__(self, message: str | None = None, **detail: Any) -> None:
        super().__init__(message or type(self).__name__)
        self.message = message
        self.detail = detail


class NoSuchBucket(StoreError):
    """There is no such directory in the root, or its name is no bucket's."""


class NoSuchKey(StoreError):
    """No object has this name."""


class NoSuchUpload(StoreError):
    """No such upload is in progress: the id is wrong, or the upload was completed or aborted."""


class BucketAlreadyExists(StoreError):
    """The bucket is there."""


class BucketNotEmpty(StoreError):
    """Something that matters is in the bucket: a file, a directory object, an upload."""


class AlreadyExists(StoreError):
    """The name is taken and the caller wanted it only if it was free (link's EEXIST).

    The one class that is not named as its code: what it becomes is for the caller to say.
    """


class ExistingObjectIsDirectory(StoreError):
    """The key names a directory, which holds other objects or belongs to somebody."""


class ObjectParentIsFile(StoreError):
    """A part of the key before its last ``/`` is a file."""


class InvalidArgument(StoreError):
    """The key cannot be a name of this store: it would alias another name, or is ours."""


class KeyTooLongError(StoreError):
    """A part of the key is longer than the file system takes, 255 bytes nearly everywhere."""


class MetadataTooLarge(StoreError):
    """The attributes do not fit beside the file (ext4 has about 4 KB for all of them)."""


class QuotaExceeded(StoreError):
    """EDQUOT: the quota of the user, group or project is used up."""


class InsufficientStorage(StoreError):
    """ENOSPC: the file system is full."""


class EntityTooLarge(StoreError):
    """EFBIG: the file system has no files as large as this."""


class SlowDown(StoreError):
    """Out of file descriptors or memory for now, or too many others change the same directory."""


class MethodNotAllowed(StoreError):
    """EROFS, or a name that is taken by something that is neither file nor directory."""


class InvalidObjectState(StoreError):
    """The data that are needed are on tape."""


class ConditionalRequestConflict(StoreError):
    """Another node of a ScoutFS compares and changes the same object just now."""


class AccessDenied(StoreError):
    """The file system says no, a symbolic link leads out of the root, or the object is locked."""


class NotImplemented(StoreError):
    """What is asked for would need something that this store has not, such as versions."""


class InternalError(StoreError):
    """EIO and whatever else should not happen."""


class WouldBlock(Exception):
    """A verb that was to use only what is in memory would have to wait for the disk."""


class Busy(Exception):
    """Another verb holds the upload just now; the same one tried a little later may succeed."""


_TAKEN = "Something that does not belong there has a name that the gateway needs."

_BY_ERRNO: dict[int, tuple[type[StoreError], str | None]] = {
    errno.ENOENT: (NoSuchKey, None),
    errno.ENOTDIR: (NoSuchKey, None),
    errno.ELOOP: (NoSuchKey, None),
    errno.ENXIO: (NoSuchKey, None),  # a socket, or a device without a driver
    errno.ENODEV: (NoSuchKey, None),
    errno.EXDEV: (AccessDenied, "A symbolic link on the way leads out of the storage root."),
    errno.ENAMETOOLONG: (KeyTooLongError, None),
    errno.ENOSPC: (InsufficientStorage, None),
    errno.EDQUOT: (QuotaExceeded, None),
    errno.EFBIG: (EntityTooLarge, None),
    errno.EROFS: (MethodNotAllowed, "The storage is mounted read-only."),
    errno.EISDIR: (MethodNotAllowed, _TAKEN),  # names of our own: for keys it is looked before
    errno.EACCES: (AccessDenied, None),
    errno.EPERM: (AccessDenied, None),
    errno.EMFILE: (SlowDown, None),
    errno.ENFILE: (SlowDown, None),
    errno.ENOMEM: (SlowDown, None),
}


def from_os(error: OSError, where: str) -> StoreError:
    """Return the store error for a kernel error that hit ``where`` (``bucket/key``).

    The kernel's own words go into ``str(error.__cause__)`` (raise it ``from`` the OSError) and
    never into the message: they would show paths of this machine to a client.
    """
    number = error.errno or 0
    cls, message = _BY_ERRNO.get(number, (InternalError, None))
    found = cls(message)
    found.add_note(f"{errno.errorcode.get(number, number)} at {where!r}")
    return found
