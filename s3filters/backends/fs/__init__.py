"""The file system backend: S3 operations on a tree of plain files.

One module per resource; each is a mixin whose methods are named as the operations and use two
things: ``store`` (bytes on disk) and ``offload`` (where a verb that may block runs). Nothing here
touches a file by itself.
"""

from __future__ import annotations

from typing import Any

from s3filters.backends.fs.buckets import Buckets
from s3filters.backends.fs.completing import Completing
from s3filters.backends.fs.configuration import Configuration
from s3filters.backends.fs.copying import Copying
from s3filters.backends.fs.deleting import Deleting
from s3filters.backends.fs.facts import Facts
from s3filters.backends.fs.granting import Granting
from s3filters.backends.fs.listings import Listings
from s3filters.backends.fs.object_acl import ObjectGranting
from s3filters.backends.fs.posting import Posting
from s3filters.backends.fs.reading import Reading
from s3filters.backends.fs.restoring import Restoring
from s3filters.backends.fs.returning import Returning
from s3filters.backends.fs.sharing import Sharing
from s3filters.backends.fs.tagging import Tagging
from s3filters.backends.fs.uploading import Uploading
from s3filters.backends.fs.uploads import Uploads
from s3filters.backends.fs.writing import Writing
from s3filters.store import Store, owners
from s3filters.store.filesystem import Unsuitable


class FsBackend(
    Tagging,
    ObjectGranting,
    Facts,
    Buckets,
    Configuration,
    Granting,
    Reading,
    Restoring,
    Returning,
    Posting,
    Writing,
    Copying,
    Deleting,
    Listings,
    Sharing,
    Uploads,
    Uploading,
    Completing,
):
    """S3 on a file system.

    :param store: the tree
    :param offload: runs blocking verbs; the module ``s3filters.offload`` or what has its functions
    :param region: what GetBucketLocation and HeadBucket say
    """

    def __init__(self, store: Store, offload: Any, region: str) -> None:
        self.store = store
        self.offload = offload
        self.region = region

    @classmethod
    def at(  # noqa: PLR0913  what an ini says of a root
        cls,
        root: str,
        offload: Any,
        region: str,
        *,
        durability: str,
        symlinks_outside: bool = False,
        placement: str = "auto",
        noarchive_parts: bool = True,
        projects: bool = False,
        chown_uid: bool = False,
        chown_gid: bool = False,
    ) -> FsBackend:
        """Return the backend of a folder. Raise ValueError when it cannot hold objects, OSError."""
        try:
            owners.check(uid=chown_uid, gid=chown_gid)
            store = Store(
                root,
                durability=durability,
                symlinks_outside=symlinks_outside,
                placement=placement,
                noarchive_parts=noarchive_parts,
            )
        except Unsuitable as error:
            raise ValueError(str(error)) from error
        backend = cls(store, offload, region)
        backend.projects = projects
        backend.chown_uid, backend.chown_gid = chown_uid, chown_gid
        return backend
