"""boto3 behind the drivers' protocol; see lines.py."""

import hashlib
import io
import os
import random

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from lines import serve

PART = 5 << 20
s3 = boto3.client(
    "s3",
    endpoint_url=os.environ["ENDPOINT"],
    config=Config(
        s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}, max_pool_connections=64
    ),
)
IN_PARTS = TransferConfig(multipart_chunksize=PART)


def objects(bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", [])}


class Stream(io.RawIOBase):
    """Bytes that are made while they are read, cannot be read twice, and are hashed."""

    def __init__(self, size):
        self.left = size
        self.random = random.Random(size)
        self.seen = hashlib.sha256()

    def readable(self):
        return True

    def read(self, size=-1):
        data = self.random.randbytes(self.left if size < 0 else min(size, self.left))
        self.left -= len(data)
        self.seen.update(data)
        return data


def stream(bucket, key, size, threads):
    """Upload so many bytes, so many parts at a time; return their SHA-256."""
    source = Stream(size)
    config = TransferConfig(multipart_chunksize=PART, max_concurrency=threads, max_io_queue=threads)
    s3.upload_fileobj(source, bucket, key, Config=config)
    return source.seen.hexdigest()


def begin(path, bucket, key, numbers):
    """Begin an upload of a file and send these of its parts; return the upload's id."""
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    for number in numbers:
        send(path, bucket, key, upload, number)
    return upload


def send(path, bucket, key, upload, number):
    with open(path, "rb") as file:
        file.seek((number - 1) * PART)
        s3.upload_part(
            Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=file.read(PART)
        )


def parts(bucket, key, upload):
    pages = s3.get_paginator("list_parts").paginate(
        Bucket=bucket, Key=key, UploadId=upload, PaginationConfig={"PageSize": 2}
    )
    return [
        {"PartNumber": row["PartNumber"], "ETag": row["ETag"]}
        for page in pages
        for row in page.get("Parts", [])
    ]


def resume(path, bucket, key):
    """Find the upload of a key, send the parts that it lacks, complete it; return their numbers."""
    (found,) = s3.list_multipart_uploads(Bucket=bucket, Prefix=key)["Uploads"]
    upload = found["UploadId"]
    every = range(1, -(-os.path.getsize(path) // PART) + 1)
    missing = sorted({*every} - {row["PartNumber"] for row in parts(bucket, key, upload)})
    for number in missing:
        send(path, bucket, key, upload, number)
    s3.complete_multipart_upload(
        Bucket=bucket,
        Key=key,
        UploadId=upload,
        MultipartUpload={"Parts": parts(bucket, key, upload)},
    )
    return missing


def status(name, words):
    """Call an operation; return the status of its answer."""
    return getattr(s3, name)(**words)["ResponseMetadata"]["HTTPStatusCode"]


def call(name, words):
    """Call an operation; return what it answered but for what is said of the answer."""
    answer = getattr(s3, name)(**words)
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


serve(
    make=lambda bucket: s3.create_bucket(Bucket=bucket) and None,
    drop=lambda bucket: s3.delete_bucket(Bucket=bucket) and None,
    upload=lambda path, bucket, key: s3.upload_file(path, bucket, key, Config=IN_PARTS),
    download=lambda path, bucket, key: s3.download_file(bucket, key, path, Config=IN_PARTS),
    copy=lambda bucket, key, target: s3.copy(
        {"Bucket": bucket, "Key": key}, bucket, target, Config=IN_PARTS
    ),
    delete=lambda bucket, key: s3.delete_object(Bucket=bucket, Key=key) and None,
    list=objects,
    stream=stream,
    begin=begin,
    resume=resume,
    call=call,
    status=status,
)
