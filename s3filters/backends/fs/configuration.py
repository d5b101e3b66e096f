"""What a bucket is configured with: policy, tags, ownership of objects, and what is kept private.

A change is decided by the bucket as it is at that moment, under its lock: whether the requester may
still do it, and whether the bucket may have it. So two requests at once cannot leave together what
each alone would be refused, as an ACL that grants to others beside ownership that knows none. What
guards access is taken only where ``acl`` decides by it; who is told 200 believes that it holds.

Values lie on disk as Versity's gateway has them: a policy as it was sent, tags as JSON, ownership
as its word. Source: AWS API reference, the pages named as the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from s3filters.access import block, facts, ownership, policy
from s3filters.access.decision import BucketFacts
from s3filters.backends.fs.parts import Part, ask
from s3filters.s3 import rules, tagging
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store import gojson
from s3filters.store.buckets import BucketRecord
from s3filters.store.recognizing import tags_in

XML = ("Content-Type", "application/xml")
JSON = ("Content-Type", "application/json")
# name of a setting -> the error when there is none
_ABSENT = {
    "cors": "NoSuchCORSConfiguration",
    "ownership": "OwnershipControlsNotFoundError",
    "policy": "NoSuchBucketPolicy",
    "public-access-block": "NoSuchPublicAccessBlockConfiguration",
    "tagging": "NoSuchTagSet",
}

Checked = Callable[[BucketFacts], bytes]  # returns what to store, or refuses it


class Settings(Part):
    """What the operations on settings share."""

    def record_of(self, call: Call) -> BucketRecord:
        """Return the bucket. Raise NoSuchBucket, or AccessDenied for an owner not expected."""
        record: BucketRecord | None = call.bucket_record
        if record is None:
            record = self.offload.run(self.store.bucket, call.bucket)
        self.expect_owner(call)
        return record

    def setting(self, call: Call, name: str) -> bytes:
        """Return a setting as it is stored. Raise the error of its absence, NoSuchBucket."""
        found = self.record_of(call).settings.get(name)
        if found is None:
            raise S3Error(_ABSENT[name], BucketName=call.bucket)
        return found

    def set(self, call: Call, name: str, checked: Checked) -> None:
        """Change a setting to what ``checked`` makes of the bucket as it is, under its lock.

        Raise what ``checked`` raises, NoSuchBucket, MetadataTooLarge.
        """
        gateway = block.OFF if call.facts is None else call.facts.block
        self._configure(call, name, lambda record: checked(facts.of_bucket(record, gateway)))

    def unset(self, call: Call, name: str) -> Reply:
        """Take a setting away; there need be none. Raise NoSuchBucket."""
        self._configure(call, name, lambda record: None)
        return Reply(204)

    def _configure(
        self, call: Call, name: str, made: Callable[[BucketRecord], bytes | None]
    ) -> None:
        def change(record: BucketRecord) -> Mapping[str, bytes | None]:
            ask(call.checks, record)
            return {name: made(record)}

        self.expect_owner(call)
        self.change(self.store.configure_bucket, call.bucket, change)


class Configuration(Settings):
    """Operations on policy, tags, ownership and public access."""

    def put_bucket_policy(self, call: Call) -> Reply:
        """Store a policy that can be enforced, as it is. Raise MalformedPolicy, AccessDenied."""
        must_be_guarded(call)
        assert call.body is not None
        data = call.body.read(rules.XML_BYTES, "MalformedPolicy")
        parsed = self.offload.run(policy.parse, data, call.bucket)

        def checked(bucket: BucketFacts) -> bytes:
            parsed.check_named(call.knows, bucket.owner)
            bucket.block.check_policy(parsed)
            return data

        self.set(call, "policy", checked)
        return Reply(204)

    def get_bucket_policy(self, call: Call) -> Reply:
        """The policy as it was stored. Raise NoSuchBucketPolicy."""
        return Reply(200, [JSON], self.setting(call, "policy"))

    def get_bucket_policy_status(self, call: Call) -> Reply:
        """Whether the policy is public. Raise NoSuchBucketPolicy."""
        self.setting(call, "policy")
        parsed = facts.of_bucket(self.record_of(call)).policy
        assert parsed is not None
        return Reply(200, [XML], block.render_status(parsed))

    def delete_bucket_policy(self, call: Call) -> Reply:
        """Take the policy away; there need be none."""
        return self.unset(call, "policy")

    def put_bucket_tagging(self, call: Call) -> Reply:
        """Replace all tags; a set of none is as good as taking them away."""
        tags = tagging.parse(document(call), tagging.BUCKET)
        if not tags:
            return self.unset(call, "tagging")
        self.set(call, "tagging", lambda bucket: gojson.encode(tags))
        return Reply(204)

    def get_bucket_tagging(self, call: Call) -> Reply:
        """The tags. Raise NoSuchTagSet."""
        tags = tags_in(self.setting(call, "tagging"))
        return Reply(200, [XML], tagging.render(tags))

    def delete_bucket_tagging(self, call: Call) -> Reply:
        """Take all tags away; there need be none."""
        return self.unset(call, "tagging")

    def put_bucket_ownership_controls(self, call: Call) -> Reply:
        """Say whose objects are. Raise InvalidBucketAclWithObjectOwnership, MalformedXML."""
        must_be_guarded(call)
        wanted = ownership.parse(document(call))

        def checked(bucket: BucketFacts) -> bytes:
            ownership.check_setting(wanted, bucket.acl, bucket.owner)
            return wanted.encode()

        self.set(call, "ownership", checked)
        return Reply(200)

    def get_bucket_ownership_controls(self, call: Call) -> Reply:
        """Whose objects are. Raise OwnershipControlsNotFoundError."""
        found = ownership.load(self.setting(call, "ownership"))
        return Reply(200, [XML], ownership.render(found))

    def delete_bucket_ownership_controls(self, call: Call) -> Reply:
        """Take the setting away: objects are their writers' then, and ACLs count."""
        return self.unset(call, "ownership")

    def put_public_access_block(self, call: Call) -> Reply:
        """Set the four switches; what the document leaves out is off."""
        must_be_guarded(call)
        switches = block.parse(document(call))
        self.set(call, "public-access-block", lambda bucket: block.render(switches))
        return Reply(200)

    def get_public_access_block(self, call: Call) -> Reply:
        """The bucket's own switches. Raise NoSuchPublicAccessBlockConfiguration."""
        found = block.load(self.setting(call, "public-access-block"))
        return Reply(200, [XML], block.render(found))

    def delete_public_access_block(self, call: Call) -> Reply:
        """Turn all four switches off; those of the gateway stay as they are."""
        return self.unset(call, "public-access-block")


def must_be_guarded(call: Call) -> None:
    """Raise NotImplemented without ``acl``: nobody would do what the setting says."""
    if not call.guarded:
        message = f"{call.operation} needs the acl filter, without which nobody decides by it."
        raise S3Error("NotImplemented", message)


def document(call: Call) -> bytes:
    """Return the XML of a body. Raise MissingRequestBodyError for none, MalformedXML for much."""
    assert call.body is not None
    data = call.body.read(rules.XML_BYTES, "MalformedXML")
    if not data:
        raise S3Error("MissingRequestBodyError")
    return data
