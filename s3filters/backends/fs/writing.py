"""PutObject: the body goes to disk while it is hashed; its name comes when every proof holds."""

from __future__ import annotations

import base64
from functools import partial

from s3filters.backends.fs import cold
from s3filters.backends.fs.intake import Buffers, absorb
from s3filters.backends.fs.parts import Check, Part, no_version, of_directory, write_check
from s3filters.s3 import headers as object_headers
from s3filters.s3.body import Body
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store import errors as store_errors
from s3filters.store.metadata import Attributes, Checksums, Record

SMALL = 1 << 16  # bytes; a body up to this size is put by one verb


class Writing(Part):
    """PutObject. Source: AWS API reference, PutObject."""

    _buffers = Buffers()

    def put_object(self, call: Call) -> Reply:
        """Store an object, or a directory object when the key ends in ``/``.

        Raise what the body's proofs raise, PreconditionFailed and ConditionalRequestConflict's kin
        from the conditions, and the store's errors; in each case nothing is left behind.
        """
        return Reply(200, stored_headers(self.put(call)))

    def put(self, call: Call) -> Record:
        """Store what a call brings, whose length may be unknown; raise as PutObject does."""
        record = self._put(call)
        if cold.is_to_archive(call, record):
            self.offload.run(cold.archive, self, call)
        return record

    def _put(self, call: Call) -> Record:
        no_version(call)
        self.expect_owner(call)
        body = call.body
        assert body is not None and call.headers is not None
        object_headers.check_class(call.headers, tiered=call.tiered)
        only_if_absent = call.conditions is not None and call.conditions.if_none_match is not None
        if only_if_absent:
            self._refuse_existing(call)
        if call.key.endswith("/"):
            return self._put_directory(call, body)
        if body.length is not None and body.length <= SMALL:
            return self._put_small(call, body, only_if_absent)
        return self._put_stream(call, body, only_if_absent)

    def _refuse_existing(self, call: Call) -> None:
        """Refuse before the body is sent; link's EEXIST decides again at the end."""
        try:
            self.offload.run(self.store.head, call.bucket, call.key)
        except store_errors.NoSuchKey:
            return
        raise S3Error("PreconditionFailed", Condition="If-None-Match")

    def _put_directory(self, call: Call, body: Body) -> Record:
        if body.length:
            raise S3Error("DirectoryObjectContainsData")
        body.read(0, "DirectoryObjectContainsData")
        attributes = attributes_of(call, body)
        attributes.headers = of_directory(attributes.headers)
        return self.offload.run(  # type: ignore[no-any-return]
            self.store_of(call).put_directory, call.bucket, call.key, attributes, write_check(call)
        )

    def _put_small(self, call: Call, body: Body, only_if_absent: bool) -> Record:
        data = body.read(SMALL)
        return self.change(
            self.store_of(call).put_small,
            call.bucket,
            call.key,
            data,
            attributes_of(call, body),
            only_if_absent,
            self._check(call),
        )

    def _check(self, call: Call) -> Check | None:
        check, headers = write_check(call), call.headers
        if not call.tiered or headers is None:
            return check
        return cold.noting(self, call, lambda: headers.storage_class, check)

    def _put_stream(self, call: Call, body: Body, only_if_absent: bool) -> Record:
        draft = self.offload.run(self.store_of(call).draft, call.bucket, call.key)
        try:
            absorb(draft, body, self._buffers, self.offload)
            body.verify()
            return self.offload.run(  # type: ignore[no-any-return]
                partial(draft.commit, only_if_absent=only_if_absent, check=self._check(call)),
                attributes_of(call, body),
            )
        except BaseException:
            self.offload.run(draft.discard)
            raise


def attributes_of(call: Call, body: Body) -> Attributes:
    """What to store beside the bytes of a body that was read and verified."""
    headers = call.headers
    assert headers is not None
    algorithm = headers.checksum_algorithm or "CRC64NVME"
    value = base64.b64encode(body.digest(algorithm)).decode()
    return Attributes(
        etag=body.digest("MD5").hex(),
        headers=headers.standard,
        user=headers.user,
        checksums=Checksums(algorithm, "FULL_OBJECT", value),
        storage_class=headers.storage_class,
        tags=headers.tags,
        acl=call.acl,
    )


def stored_headers(record: Record) -> list[tuple[str, str]]:
    """The headers that tell a client what was stored."""
    headers = [("ETag", f'"{record.etag}"')]
    if record.checksums:
        headers.append(
            (f"x-amz-checksum-{record.checksums.algorithm.lower()}", record.checksums.value)
        )
        headers.append(("x-amz-checksum-type", record.checksums.type))
    return headers
