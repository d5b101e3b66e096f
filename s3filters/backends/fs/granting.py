"""The ACL of a bucket.

With ``BucketOwnerEnforced``, which new buckets have, no ACL counts and none can be set. Grants come
in headers, which ``acl`` has read, or in a document. They lie on disk as Versity's gateway has
them. Source: AWS API reference, the pages named as the operations.
"""

from __future__ import annotations

from collections.abc import Callable

from s3filters.access import facts, grants, ownership
from s3filters.access.decision import BucketFacts
from s3filters.access.grants import Acl
from s3filters.backends.fs.configuration import XML, Settings, must_be_guarded
from s3filters.s3 import rules
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply

_HEADER = "x-amz-acl"


class Granting(Settings):
    """Operations on the ACLs of buckets."""

    def get_bucket_acl(self, call: Call) -> Reply:
        """The grants that count; where none do, that the owner has full control."""
        bucket = facts.of_bucket(self.record_of(call))
        acl = ownership.shown(bucket.ownership, bucket.acl, bucket.owner, bucket.owner)
        if not bucket.owner:
            acl = Acl("")  # nobody's: not even its owner has a grant
        return Reply(200, [XML], grants.render(acl))

    def put_bucket_acl(self, call: Call) -> Reply:
        """Replace the grants. Raise AccessControlListNotSupported, MalformedACLError."""
        must_be_guarded(call)
        acl_for = asked(call)

        def checked(bucket: BucketFacts) -> bytes:
            if bucket.ownership == ownership.ENFORCED:
                raise S3Error("AccessControlListNotSupported")
            acl = acl_for(bucket.owner, None)
            grants.check_grantees(acl, call.knows)
            bucket.block.check_acl(acl)
            return grants.encode(acl)

        self.set(call, "acl", checked)
        return Reply(200)


def asked(call: Call) -> Callable[[str, str | None], Acl]:
    """Return what makes the ACL of headers or body: for an owner, and a bucket's if of an object.

    Raise MissingSecurityHeader for neither, UnexpectedContent for both, and what is wrong with
    the headers.
    """
    assert call.body is not None
    data = call.body.read(rules.XML_BYTES, "MalformedACLError")
    by_headers = call.grants
    if by_headers is None or by_headers("", None) is None:
        if not data:
            raise S3Error("MissingSecurityHeader", MissingHeaderName=_HEADER)
        return lambda owner, _: grants.parse(data, owner)
    if data:
        raise S3Error("UnexpectedContent")
    return lambda owner, bucket_owner: by_headers(owner, bucket_owner) or grants.private(owner)
