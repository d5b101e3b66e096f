"""Buckets: directories under the root."""

from __future__ import annotations

from functools import partial

from s3filters.backends.fs.parts import Part, ask
from s3filters.s3 import dates, documents, rules, tokens, xml
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store import errors as store_errors
from s3filters.store.buckets import BucketRecord

XML = ("Content-Type", "application/xml")
_ASKED = ("acl", "ownership")  # settings of a new bucket that a request can ask for


class Buckets(Part):
    """Operations on buckets. Source: AWS API reference, the pages named as the operations."""

    def list_buckets(self, call: Call) -> Reply:
        """Buckets in byte order of their names, from behind the continuation token."""
        limit = call.params.get("MaxBuckets")
        found = self._asked_for(call)
        page = found if limit is None else found[:limit]
        token = None
        if len(page) < len(found):
            token = tokens.encode(page[-1].name)
        identity = call.identity
        return Reply(
            200,
            [XML],
            xml.render(
                "ListAllMyBucketsResult",
                {
                    "Owner": {"ID": identity.id, "DisplayName": identity.display_name}
                    if identity
                    else None,
                    "Buckets": {
                        "Bucket": [
                            {
                                "Name": b.name,
                                "CreationDate": dates.iso_date(b.created_ns),
                                "BucketRegion": self.region,
                            }
                            for b in page
                        ]
                    },
                    "Prefix": call.params.get("Prefix") or None,
                    "ContinuationToken": token,
                },
            ),
        )

    def _asked_for(self, call: Call) -> list[BucketRecord]:
        """The buckets behind the token that have the prefix; all are in one region."""
        if call.params.get("BucketRegion") not in (None, self.region):
            return []
        after = call.params.get("ContinuationToken") or ""
        prefix = call.params.get("Prefix") or ""
        every = self.offload.run(self.store.buckets)
        owners = call.owners
        return [
            b
            for b in every
            if b.name.startswith(prefix)
            and b.name > after
            and (owners is None or b.owner in owners)
        ]

    def create_bucket(self, call: Call) -> Reply:
        """Make a bucket. One's own bucket again answers 200 in us-east-1, as AWS does there.

        AWS sets its ACL anew then. Here a bucket that is there stays as it is, so who asks for
        other grants than it has is told that it is there.
        """
        owner = call.identity.id if call.identity else ""
        self._check_location(call)
        try:
            make = self.store_of(call).create_bucket
            self.offload.run(make, call.bucket, owner, call.settings)
        except store_errors.BucketAlreadyExists as error:
            there = self._there(call.bucket)
            if there is None or there.owner not in _owners(call):
                raise S3Error("BucketAlreadyExists", BucketName=call.bucket) from error
            given = call.settings or {}
            asked = {name: given[name] for name in _ASKED if name in given}
            if self.region != "us-east-1" or not asked.items() <= there.settings.items():
                raise S3Error("BucketAlreadyOwnedByYou", BucketName=call.bucket) from error
        return Reply(200, [("Location", f"/{call.bucket}")])

    def _there(self, bucket: str) -> BucketRecord | None:
        """The bucket of a name that is taken, None when it is no bucket that has it."""
        try:
            return self.offload.run(self.store.bucket, bucket)  # type: ignore[no-any-return]
        except store_errors.NoSuchBucket:
            return None

    def _check_location(self, call: Call) -> None:
        """Refuse a LocationConstraint that is another region than ours."""
        asked = None
        if call.body is not None:
            asked = documents.parse_create_bucket(call.body.read(rules.XML_BYTES, "MalformedXML"))
        if asked is not None and asked != self.region:
            raise S3Error("IllegalLocationConstraintException")

    def head_bucket(self, call: Call) -> Reply:
        """Say that the bucket is there. Raise NoSuchBucket."""
        self.offload.run(self.store.bucket, call.bucket)
        self.expect_owner(call)
        return Reply(
            200,
            [
                ("x-amz-bucket-region", self.region),
                ("x-amz-access-point-alias", "false"),
                XML,
            ],
        )

    def delete_bucket(self, call: Call) -> Reply:
        """Delete an empty bucket. Raise BucketNotEmpty, NoSuchBucket."""
        self.expect_owner(call)
        check = partial(ask, call.checks) if call.checks else None
        self.offload.run(self.store.delete_bucket, call.bucket, check)
        return Reply(204)

    def get_bucket_location(self, call: Call) -> Reply:
        """The region; empty for us-east-1, as AWS has it."""
        self.offload.run(self.store.bucket, call.bucket)
        self.expect_owner(call)
        region = "" if self.region == "us-east-1" else self.region
        return Reply(200, [XML], xml.render("LocationConstraint", region))

    def get_bucket_versioning(self, call: Call) -> Reply:
        """What another gateway has set on the bucket; empty where versioning was never set."""
        status = self.offload.run(self.store.bucket, call.bucket).versioning
        self.expect_owner(call)
        return Reply(200, [XML], xml.render("VersioningConfiguration", {"Status": status or None}))


def _owners(call: Call) -> set[str]:
    """Return whose a bucket may be that is one's own: a directory of nobody is administrators'."""
    identity = call.identity
    if identity is None:
        return {""}
    return {identity.id} if call.guarded and identity.role != "admin" else {identity.id, ""}
