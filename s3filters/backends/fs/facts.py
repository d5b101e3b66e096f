"""What ``acl`` is told: the record of a bucket, and the tags of an object."""

from __future__ import annotations

from collections.abc import Mapping

from s3filters.backends.base import translate
from s3filters.backends.fs.parts import Part
from s3filters.store import recognizing
from s3filters.store.buckets import BucketRecord
from s3filters.store.errors import StoreError
from s3filters.store.metadata import Record


class Facts(Part):
    """No operation of S3: what others decide by."""

    def bucket_record(self, bucket: str) -> BucketRecord:
        """Return a bucket. Raise NoSuchBucket.

        On a local file system a bucket that is known costs one stat, which is not handed over.
        """
        look = self.store.bucket
        try:
            return look(bucket) if self.store.local else self.offload.run(look, bucket)
        except StoreError as error:
            raise translate(error) from error

    def object_tags(self, record: Record) -> Mapping[str, str]:
        """Return the tags of an object."""
        found = recognizing.tags_in(record.tagging)
        return {str(name): str(value) for name, value in found.items()}
