"""The store's verbs in one place: what a backend calls.

All are plain blocking functions, safe to call from any thread; where they run is for the caller
to say. Only those with ``cached=True`` are quick enough for an event loop: they use what is in
memory or raise WouldBlock. ``local`` says whether that can ever work.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from s3filters.store import (
    beginning,
    changing,
    joining,
    locks,
    objects,
    parts,
    reaping,
    restores,
    sweep,
)
from s3filters.store import buckets as bucket_verbs
from s3filters.store import uploads as upload_verbs
from s3filters.store.bell import Bell
from s3filters.store.beneath import LOOK, READ
from s3filters.store.buckets import BucketRecord, Buckets
from s3filters.store.metadata import Attributes, Record
from s3filters.store.objects import Opened
from s3filters.store.owners import KEEP, Owner
from s3filters.store.parts import PartDraft, PartRecord
from s3filters.store.pending import Buffer
from s3filters.store.place import Check, Draft
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

_MOST_OTHERS = 1000  # of the same store, by for whom it makes things


class Store(Tree):
    """Buckets and objects in a folder; parameters are those of Tree."""

    impatiently = staticmethod(locks.impatiently)

    def for_project(self, number: int) -> Store:
        """Return the same store, whose new buckets, objects and parts are of a project of ScoutFS.

        :param number: 0 for none; and where projects cannot be set there are none
        """
        can = self.capabilities.privileged and self.capabilities.format_version > 1
        return self._making(number, self.owner) if number and can else self

    def for_owner(self, uid: int | None, gid: int | None) -> Store:
        """Return the same store, whose new buckets, folders, objects and parts belong to others.

        :param uid: a user of this machine, None to leave what is made to that of the process
        :param gid: a group, None likewise
        """
        owner = Owner(KEEP if uid is None else uid, KEEP if gid is None else gid)
        return self._making(self.project, owner)

    def _making(self, project: int, owner: Owner | None) -> Store:
        other = self._others.get((project, owner))
        if other is None:
            if len(self._others) >= _MOST_OTHERS:
                self._others.clear()
            other = copy.copy(self)  # what is open and what is remembered is shared
            other.project, other.owner = project, owner
            self._others[project, owner] = other
        return other

    @cached_property
    def _others(self) -> dict[tuple[int, Owner | None], Store]:
        return {}

    def buckets(self) -> list[BucketRecord]:
        """Return all buckets, in byte order of their names."""
        return self._bucket_records.all()

    def bucket(self, name: str) -> BucketRecord:
        """Return one bucket. Raise NoSuchBucket."""
        return self._bucket_records.get(name)

    @cached_property
    def bell(self) -> Bell:
        """Wakes who asks the archiver for what is noted."""
        return Bell(self.root.fd)

    @cached_property
    def _bucket_records(self) -> Buckets:
        return Buckets(self)

    def create_bucket(
        self, name: str, owner: str, settings: Mapping[str, bytes] | None = None
    ) -> None:
        """Make a bucket. Parameters and errors: ``buckets.create``."""
        bucket_verbs.create(self, name, owner, settings)

    def configure_bucket(self, name: str, change: bucket_verbs.Change) -> None:
        """Change settings of a bucket. Parameters and errors: ``buckets.configure``."""
        bucket_verbs.configure(self, name, change)

    def delete_bucket(self, name: str, check: Callable[[BucketRecord], None] | None = None) -> None:
        """Delete an empty bucket. Parameters and errors: ``buckets.delete``."""
        bucket_verbs.delete(self, name, check)

    def open(self, bucket: str, key: str, *, cached: bool = False) -> Opened:
        """Open an object for reading; the caller closes it. Raise NoSuchKey, StoreError."""
        fd, record = self.find(bucket, key, READ, cached)
        return Opened(fd, record)

    def head(self, bucket: str, key: str, *, cached: bool = False) -> Record:
        """Return an object's record. Raise NoSuchKey, StoreError."""
        if not cached:
            return self.look(bucket, key)
        fd, record = self.find(bucket, key, LOOK, cached)  # what is known needs no open file
        os.close(fd)
        return record

    def draft(self, bucket: str, key: str) -> Draft:
        """Begin to store an object; see Draft for the rest and for errors."""
        return Draft(self, bucket, key)

    def put_small(
        self,
        bucket: str,
        key: str,
        data: Buffer,
        attributes: Attributes,
        only_if_absent: bool = False,
        check: Check | None = None,
    ) -> Record:
        """Store an object whose bytes are at hand. Parameters and errors: Draft and its commit."""
        draft = Draft(self, bucket, key, brief=True)
        try:
            if data:
                draft.write(data)
            return draft.commit(attributes, only_if_absent=only_if_absent, check=check)
        finally:
            draft.discard()

    def put_directory(
        self, bucket: str, key: str, attributes: Attributes, check: Check | None = None
    ) -> Record:
        """Make a directory an object (``key`` ends in ``/``). Raise StoreError."""
        return objects.put_directory(self, bucket, key, attributes, check)

    def delete(self, bucket: str, key: str, check: Check | None = None) -> bool:
        """Delete an object; return whether there was one. Raise StoreError."""
        return objects.delete(self, bucket, key, check)

    def change_attributes(self, bucket: str, key: str, change: changing.Change) -> Record:
        """Change attributes of an object in place. Parameters and errors: ``changing.change``."""
        return changing.change(self, bucket, key, change)

    def ask_restore(
        self,
        bucket: str,
        key: str,
        decide: Callable[[int, Record], restores.T],
        *,
        lasting: bool = True,
    ) -> restores.T:
        """Decide about an object on tape. Parameters and errors: ``restores.ask``."""
        return restores.ask(self, bucket, key, decide, lasting=lasting)

    def settle_restore(
        self,
        bucket: str,
        key: str,
        ends: Callable[[restores.Restore], restores.Restore],
        around: restores.Around | None = None,
    ) -> restores.Restore | None:
        """Close the request of an object that is back. Parameters, errors: ``restores.settle``."""
        return restores.settle(self, bucket, key, ends, around)

    # Uploads ------------------------------------------------------------------------------------

    def create_upload(self, upload: Upload) -> None:
        """Begin an upload, whose id the caller made. Raise NoSuchBucket, StoreError."""
        beginning.create(self, upload)

    def upload(self, bucket: str, key: str, upload_id: str) -> Upload:
        """Return an upload in progress. Raise NoSuchUpload, NoSuchBucket, StoreError."""
        return upload_verbs.get(self, bucket, key, upload_id)

    def uploads(self, bucket: str, wanted: Callable[[str], bool] | None = None) -> Iterator[Upload]:
        """Yield a bucket's uploads, in no order, without what is to be stored with the object.

        :param wanted: whether to look at the uploads of a key at all; asked when it is its turn
        """
        return upload_verbs.all_of(self, bucket, wanted)

    def end_upload(self, bucket: str, key: str, upload_id: str) -> None:
        """Abort an upload. Raise NoSuchUpload, Busy, StoreError."""
        upload_verbs.abort(self, bucket, key, upload_id)

    def reap_uploads(self, age_s: float) -> list[Upload]:
        """Abort uploads that are older and not in use; return them. Raise OSError."""
        return reaping.reap(self, age_s)

    def part(self, upload: Upload, number: int, size: int) -> PartDraft:
        """Begin to store a part of ``size`` bytes; see PartDraft for the rest and for errors."""
        return PartDraft(self, upload, number, size)

    def parts(
        self, bucket: str, key: str, upload_id: str, after: int, limit: int
    ) -> tuple[list[PartRecord], bool]:
        """Return parts with numbers over ``after``, at most ``limit``, and whether there are more.

        Raise NoSuchUpload, StoreError.
        """
        return parts.page(self, bucket, key, upload_id, after, limit)

    def complete(
        self,
        name: tuple[str, str, str],
        numbers: Sequence[int],
        describe: joining.Describe,
        *,
        only_if_absent: bool = False,
        check: Check | None = None,
    ) -> Record:
        """Make parts an object and end the upload. Parameters and errors: ``joining.complete``."""
        return joining.complete(
            self, name, numbers, describe, only_if_absent=only_if_absent, check=check
        )

    def made_by(self, bucket: str, key: str, upload_id: str) -> Record | None:
        """Return the object's record when this upload made it, else None. Raise StoreError."""
        return joining.made_by(self, bucket, key, upload_id)

    def sweep(self, age_s: float) -> int:
        """Remove what crashes left behind more than ``age_s`` seconds ago; return how many."""
        return sweep.sweep(self, age_s)
