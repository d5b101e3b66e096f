"""The ACL of an object, as it is answered and as it is set.

An object without one of its own is the bucket owner's, who has full control: one that the owner
put, the file of another program. With ``BucketOwnerEnforced`` that is said of every object, and no
ACL can be set; those that were set before are kept and count again when ACLs do. Nobody becomes an
owner by an ACL. Source: AWS API reference, the pages named as the operations.
"""

from __future__ import annotations

from collections.abc import Mapping

from s3filters.access import block, facts, grants, ownership
from s3filters.access.decision import BucketFacts
from s3filters.access.grants import Acl
from s3filters.backends.fs.configuration import XML, Settings, must_be_guarded
from s3filters.backends.fs.granting import asked
from s3filters.backends.fs.reading import Reading
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store import metadata
from s3filters.store.metadata import Record


class ObjectGranting(Reading, Settings):
    """Operations on the ACLs of objects."""

    def get_object_acl(self, call: Call) -> Reply:
        """The grants that count. Raise NoSuchKey."""
        bucket, record = self._bucket_of(call), self._record(call)
        known = facts.of_object(record.acl)
        owner = known.owner or bucket.owner
        acl = ownership.shown(bucket.ownership, known.acl, bucket.owner, owner)
        if not acl.owner:
            acl = Acl("")  # nobody's: not even its owner has a grant
        return Reply(200, [XML], grants.render(acl))

    def put_object_acl(self, call: Call) -> Reply:
        """Replace the grants of an object; its owner stays.

        Where no ACL counts and the object has none that would come back, full control for the
        bucket's owner can be set, and changes nothing.

        Raise AccessControlListNotSupported, MalformedACLError, InvalidArgument, AccessDenied for
        public grants where they are blocked, NoSuchKey.
        """
        must_be_guarded(call)
        with self.saying_who_may_first(call):
            acl_for = asked(call)
        bucket = self._bucket_of(call)

        def decide(record: Record) -> Mapping[str, bytes | None]:
            if bucket.ownership == ownership.ENFORCED:
                if record.acl or not bucket.owner:
                    raise S3Error("AccessControlListNotSupported")
                acl = acl_for(bucket.owner, bucket.owner)
                ownership.check_acl(bucket.ownership, acl, bucket.owner)
                return {}  # it is what there is; clients that copy send back what they were shown
            owner = facts.of_object(record.acl).owner or bucket.owner
            acl = acl_for(owner, bucket.owner)
            grants.check_grantees(acl, call.knows, bucket.owner)
            bucket.block.check_acl(acl)
            return {metadata.ACL: grants.encode(acl)}

        self.alter(call, decide)
        return Reply(200)

    def _bucket_of(self, call: Call) -> BucketFacts:
        """What the bucket says, with the switches of the gateway. Raise NoSuchBucket."""
        known: BucketFacts | None = call.facts
        return known or facts.of_bucket(self.record_of(call), block.OFF)
