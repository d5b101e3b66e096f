"""DeleteObject and DeleteObjects."""

from __future__ import annotations

from s3filters.backends.base import refused
from s3filters.backends.fs.parts import Part, only_null_version, write_check
from s3filters.s3 import documents, rules, xml
from s3filters.s3.call import Call
from s3filters.s3.conditions import Conditions
from s3filters.s3.errors import S3Error
from s3filters.s3.reply import Reply
from s3filters.store.errors import StoreError


class Deleting(Part):
    """Operations that take objects away. Source: the AWS API pages named as the operations."""

    def delete_object(self, call: Call) -> Reply:
        """Delete an object; one that is not there answers 204 too, unless If-Match asked for it."""
        only_null_version(call)
        self.expect_owner(call)
        self.change(self.store.delete, call.bucket, call.key, write_check(call))
        return Reply(204)

    def delete_objects(self, call: Call) -> Reply:
        """Delete up to 1,000 keys; each has its own outcome, and one's failure stops no other."""
        self.expect_owner(call)
        if call.bucket_record is None:
            self.offload.run(self.store.bucket, call.bucket)
        assert call.body is not None
        data = call.body.read(rules.DELETE_XML_BYTES)
        document = self.offload.run(documents.parse_delete, data)  # up to 2 MiB of XML
        outcomes = self.offload.run(self._delete_each, call, document.objects)
        deleted = (
            []
            if document.quiet
            else [
                {"Key": target.key, "VersionId": target.version_id}
                for target, error in outcomes
                if error is None
            ]
        )
        failed = [
            {
                "Key": target.key,
                "VersionId": target.version_id,
                "Code": error.code,
                "Message": error.message,
            }
            for target, error in outcomes
            if error is not None
        ]
        answer = xml.render("DeleteResult", {"Deleted": deleted, "Error": failed})
        return Reply(200, [("Content-Type", "application/xml")], answer)

    def _delete_each(
        self, call: Call, targets: list[documents.Target]
    ) -> list[tuple[documents.Target, S3Error | None]]:
        return [(target, self._delete_one(call, target)) for target in targets]

    def _delete_one(self, call: Call, target: documents.Target) -> S3Error | None:
        """Delete one key of the document; return what went wrong, None when nothing did."""
        try:
            if target.version_id not in (None, "null"):
                raise S3Error("NoSuchVersion")
            rules.check_key(target.key, write=True)
            one = Call("DeleteObject", call.bucket, target.key)
            if call.permit is not None:
                one.checks.extend(call.permit(target.key, target.version_id))
            if target.etag is not None:
                one.conditions = Conditions(if_match=target.etag)
            try:
                self.store.delete(call.bucket, target.key, write_check(one))
            except StoreError as error:
                raise refused(one, error) from error
        except S3Error as error:
            return error
        return None
