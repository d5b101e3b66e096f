"""Names: which path under the root a bucket and a key have, and which keys have none.

``<bucket>/<key>``, byte for byte, is the whole mapping: a key is never rewritten to make it fit.
What would alias another name (an empty component, ``.``, ``..``), cannot be a name (NUL, a
component of more than 255 bytes), or is ours (``.sgwtmp`` and the names of files on their way) is
refused. A key that ends in ``/`` names a directory; its path has no ``/`` at the end.
"""

from __future__ import annotations

import re
from functools import lru_cache

from s3filters.store.errors import InvalidArgument, KeyTooLongError, NoSuchBucket

HIDDEN = ".sgwtmp"  # where uploads, locks and files on their way are; Versity's name for it
MAX_COMPONENT = 255  # bytes; NAME_MAX of every Linux file system in use

# Names that Versity's gateway, and ours on a nested mount, give a file for a moment: while an
# object is replaced, ``.<name>.sgwtmp.<nanoseconds>``.
_TRANSIENT = re.compile(r"\..*\.sgwtmp\.[0-9]+\Z", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+\Z")


def is_reserved(component: str) -> bool:
    """True for a name that no S3 name reaches and no listing shows."""
    return component == HIDDEN or (".sgwtmp." in component and bool(_TRANSIENT.match(component)))


@lru_cache(maxsize=1024)
def is_bucket(name: str) -> bool:
    """True for a valid bucket name (AWS user guide, "General purpose bucket naming rules")."""
    return bool(_BUCKET.match(name)) and not _IP_ADDRESS.match(name) and ".." not in name


@lru_cache(maxsize=1024)
def bucket_path(bucket: str) -> bytes:
    """Return the path of a bucket under the root. Raise NoSuchBucket for what cannot be one."""
    if not is_bucket(bucket):
        raise NoSuchBucket(BucketName=bucket)
    return bucket.encode()


def path_of(bucket: str, key: str) -> bytes:
    """Return the path of an object under the root, without a ``/`` at the end.

    Raise NoSuchBucket, InvalidArgument (no object can have the name), KeyTooLongError.
    """
    if not is_bucket(bucket):
        raise NoSuchBucket(BucketName=bucket)
    whole = f"{bucket}/{key}"
    try:
        path = whole.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument("The key is not valid UTF-8.") from error
    # Nearly every key passes this one look: no part is empty or begins with a dot, all is short.
    if (
        "/." in whole
        or "//" in whole
        or "\0" in whole
        or whole[-1] == "/"
        or len(path) > MAX_COMPONENT
    ):
        path = path.removesuffix(b"/") if key else path
        _check_components(path[len(bucket) + 1 :])
    return path


def _check_components(name: bytes) -> None:
    if b"\0" in name:
        raise InvalidArgument("The key contains a NUL character, which no file name can.")
    for component in name.split(b"/"):
        if component in (b"", b".", b".."):
            raise InvalidArgument(
                "The key has an empty, '.' or '..' part between slashes, which would alias "
                "another key on a file system."
            )
        if len(component) > MAX_COMPONENT:
            raise KeyTooLongError(
                f"A part of the key between slashes is longer than {MAX_COMPONENT} bytes.",
                Size=len(component),
                MaxSizeAllowed=MAX_COMPONENT,
            )
        if is_reserved(component.decode()):
            raise InvalidArgument("The key contains a name that the store keeps for itself.")
