"""What the mixins of the backend share: their tools, and the checks that stand before a verb."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from s3filters.s3 import parameters
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.headers import DEFAULT_TYPE
from s3filters.store import Store, changing, comparing
from s3filters.store.errors import AccessDenied, Busy, NoSuchKey
from s3filters.store.metadata import Record
from s3filters.store.objects import Opened

T = TypeVar("T")
Check = Callable[[Record | None], None]


class Part:
    """A mixin's view of the backend."""

    store: Store
    offload: Any
    region: str
    projects = False  # what an account makes is of its project, on ScoutFS
    chown_uid = chown_gid = False  # and belongs to its user, to its group

    def store_of(self, call: Call) -> Store:
        """Return the store for what the call makes: of the project and the owner of who asks."""
        store, who = self.store, call.identity
        if self.projects and who is not None:
            store = store.for_project(who.project)
        if self.chown_uid or self.chown_gid:
            uid = who.uid if self.chown_uid and who is not None else None
            gid = who.gid if self.chown_gid and who is not None else None
            store = store.for_owner(uid, gid)
        return store

    def expect_owner(self, call: Call) -> None:
        """Honour ``x-amz-expected-bucket-owner``. Raise AccessDenied when it is another's."""
        expected = call.params.get("ExpectedBucketOwner")
        if expected is not None:
            known = call.bucket_record
            if known is None:
                self.check_owner(call.bucket, expected)
            elif known.owner != expected:
                raise S3Error("AccessDenied")
        expected = call.params.get("ExpectedSourceBucketOwner")
        if expected is not None and call.copy_source is not None:
            self.check_owner(call.copy_source.bucket, expected)

    def change(self, verb: Callable[..., T], *args: Any) -> T:
        """Run a verb that changes one small thing.

        Without durability, on a local file system, it is a few cached system calls: cheaper than
        handing it over, unless another holds the key.
        """
        if self.store.local and self.store.durability == "none":
            with suppress(Busy), self.store.impatiently():
                return verb(*args)
        return self.offload.run(verb, *args)  # type: ignore[no-any-return]

    def alter(self, call: Call, decide: changing.Change) -> Record:
        """Change what is kept beside the call's object, by its record, once its checks are asked.

        Raise NoSuchVersion, NoSuchKey, AccessDenied, what ``decide`` raises, and store errors.
        """
        only_null_version(call)
        self.expect_owner(call)

        def change(record: Record) -> Mapping[str, bytes | None]:
            ask(call.checks, record)
            return decide(record)

        try:
            return self.change(self.store.change_attributes, call.bucket, call.key, change)
        except NoSuchKey:
            ask(call.checks, None)
            raise

    def check_owner(self, bucket: str, expected: str) -> None:
        """Raise AccessDenied unless the bucket's owner has this id (some buckets have none)."""
        if self.offload.run(self.store.bucket, bucket).owner != expected:
            raise S3Error("AccessDenied")

    def open_source(self, call: Call) -> Opened:
        """Open the source of a copy, in a blocking verb. Raise NoSuchKey, AccessDenied, StoreError.

        The caller asks ``source_checks`` about what was opened.
        """
        source = call.copy_source
        assert source is not None
        try:
            return self.store.open(source.bucket, source.key)
        except NoSuchKey:
            self.store.bucket(source.bucket)
            ask(call.source_checks, None)
            raise S3Error("NoSuchKey", Key=source.key) from None
        except AccessDenied:  # of a link that leads out, which not everybody may know of
            ask(call.source_checks, None)
            raise


def only_null_version(call: Call) -> None:
    """Refuse a version that cannot exist: there is the version ``null`` alone.

    Raise NoSuchVersion for any other id, AccessDenied for whoever may not know.
    """
    if call.version_id not in (None, "null"):
        ask(call.checks, None)
        raise S3Error("NoSuchVersion", Key=call.key, VersionId=call.version_id)


def no_version(call: Call) -> None:
    """Refuse a version id where there can be none: what is written has no version yet.

    Raise InvalidArgument.
    """
    if call.version_id is not None:
        message = "This operation does not accept a version-id."
        raise parameters.bad("versionId", call.version_id, message)


def of_directory(headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers to store with a directory object, whose type says so if the client does not.

    Versity's gateway and most clients write and look for this type.
    """
    if headers.get("content-type", DEFAULT_TYPE) != DEFAULT_TYPE:
        return dict(headers)
    return {**headers, "content-type": "application/x-directory"}


def ask(checks: Iterable[Callable[[Any], None]], current: Any) -> None:
    """Call each check with a record, None where there is nothing. Raise what they raise."""
    for check in checks:
        check(current)


def write_check(call: Call) -> Check | None:
    """Return what the store calls with the current record, under the key's lock, before a change.

    None when there is nothing to ask: then the store need not even look the record up.
    """
    conditions = call.conditions
    checks = tuple(call.checks)
    if not checks and conditions is None:
        return None

    def check(current: Record | None) -> None:
        ask(checks, current)
        if conditions is not None:
            if current is None and conditions.if_match is not None:
                raise S3Error("NoSuchKey", Key=call.key)
            conditions.check_write(None if current is None else current.etag)
            if conditions.if_match is not None:
                comparing.exactly()

    return check
