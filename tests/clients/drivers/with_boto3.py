"""boto3 behind the drivers' protocol; see lines.py."""

import os

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from lines import serve

s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["ENDPOINT"],
    config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
)
WHOLE = TransferConfig(multipart_threshold=1 << 30)


def objects(bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", [])}


serve(
    make=lambda bucket: s3.create_bucket(Bucket=bucket) and None,
    drop=lambda bucket: s3.delete_bucket(Bucket=bucket) and None,
    upload=lambda path, bucket, key: s3.upload_file(path, bucket, key, Config=WHOLE),
    download=lambda path, bucket, key: s3.download_file(bucket, key, path, Config=WHOLE),
    copy=lambda bucket, key, target: s3.copy(
        {"Bucket": bucket, "Key": key}, bucket, target, Config=WHOLE
    ),
    delete=lambda bucket, key: s3.delete_object(Bucket=bucket, Key=key) and None,
    list=objects,
)
