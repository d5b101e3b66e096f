"""boto3 whose transfers the AWS Common Runtime makes, behind the drivers' protocol; see lines.py.

boto3's own way there (``preferred_transfer_client="crt"``) cannot be told of a certificate, so the
transfer manager is made here as boto3 makes it. The runtime downloads in parts, too, and what it
uploads over https has its checksum in a trailer.
"""

import os

import boto3
from botocore.config import Config
from botocore.session import Session
from lines import serve
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

PART = 5 << 20
endpoint, region = os.environ["ENDPOINT"], os.environ["AWS_REGION"]
config = Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1})
s3 = boto3.client("s3", endpoint_url=endpoint, config=config)
session = Session()
credentials = BotocoreCRTCredentialsWrapper(session.get_credentials())
runtime = create_s3_crt_client(
    region,
    credentials.to_crt_credentials_provider(),
    part_size=PART,
    use_ssl=endpoint.startswith("https:"),
    verify=os.environ.get("SSL_CERT_FILE"),
)
serializer = BotocoreCRTRequestSerializer(
    session, {"region_name": region, "endpoint_url": endpoint, "config": config}
)


def transfer(verb, *words):
    """Make one transfer. A download has its name when the manager ends, its result comes before."""
    with CRTTransferManager(runtime, serializer) as manager:
        future = getattr(manager, verb)(*words)
    future.result()


def objects(bucket):
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", [])}


serve(
    make=lambda bucket: s3.create_bucket(Bucket=bucket) and None,
    drop=lambda bucket: s3.delete_bucket(Bucket=bucket) and None,
    upload=lambda path, bucket, key: transfer("upload", path, bucket, key),
    download=lambda path, bucket, key: transfer("download", bucket, key, path),
    copy=lambda bucket, key, target: s3.copy({"Bucket": bucket, "Key": key}, bucket, target),
    delete=lambda bucket, key: transfer("delete", bucket, key),
    list=objects,
)
