"""minio-py behind the drivers' protocol; see lines.py."""

import os
from urllib.parse import urlsplit

from lines import serve
from minio import Minio
from minio.commonconfig import ComposeSource, CopySource, Tags

end = urlsplit(os.environ["ENDPOINT"])
s3 = Minio(
    endpoint=end.netloc,
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    region=os.environ["AWS_REGION"],
    secure=end.scheme == "https",
)
PART = 5 << 20


def upload(path, bucket, key):
    s3.fput_object(bucket_name=bucket, object_name=key, file_path=path, part_size=PART)


def download(path, bucket, key):
    s3.fget_object(bucket_name=bucket, object_name=key, file_path=path)


def copy(bucket, key, target):
    if s3.stat_object(bucket_name=bucket, object_name=key).size > 2 * PART:
        source = {"bucket_name": bucket, "object_name": key}
        halves = [ComposeSource(**source, length=PART), ComposeSource(**source, offset=PART)]
        s3.compose_object(bucket_name=bucket, object_name=target, sources=halves)
        return
    s3.copy_object(
        bucket_name=bucket,
        object_name=target,
        source=CopySource(bucket_name=bucket, object_name=key),
    )


def tag(bucket, tags):
    made = Tags.new_bucket_tags()
    made.update(tags)
    s3.set_bucket_tags(bucket_name=bucket, tags=made)


serve(
    make=lambda bucket: s3.make_bucket(bucket_name=bucket),
    drop=lambda bucket: s3.remove_bucket(bucket_name=bucket),
    upload=upload,
    download=download,
    copy=copy,
    delete=lambda bucket, key: s3.remove_object(bucket_name=bucket, object_name=key),
    tag=tag,
    tags=lambda bucket: s3.get_bucket_tags(bucket_name=bucket),
    untag=lambda bucket: s3.delete_bucket_tags(bucket_name=bucket),
    open=lambda bucket, policy: s3.set_bucket_policy(bucket_name=bucket, policy=policy),
    policy=lambda bucket: s3.get_bucket_policy(bucket_name=bucket),
    close=lambda bucket: s3.delete_bucket_policy(bucket_name=bucket),
    list=lambda bucket: {
        row.object_name: row.size for row in s3.list_objects(bucket_name=bucket, recursive=True)
    },
)
