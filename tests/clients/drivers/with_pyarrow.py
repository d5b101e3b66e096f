"""pyarrow's S3FileSystem behind the drivers' protocol; see lines.py.

Files go through streams of chunks, as a writer of Parquet uses it.
"""

import os
import shutil
from urllib.parse import urlsplit

from lines import serve
from pyarrow import fs

end = urlsplit(os.environ["ENDPOINT"])
s3 = fs.S3FileSystem(
    access_key=os.environ["AWS_ACCESS_KEY_ID"],
    secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    region=os.environ["AWS_REGION"],
    endpoint_override=end.netloc,
    scheme=end.scheme,
    allow_bucket_creation=True,
    allow_bucket_deletion=True,
    allow_delayed_open=True,  # what fits the buffer is one PutObject
    tls_ca_file_path=os.environ.get("SSL_CERT_FILE"),
)


def make(bucket):
    s3.create_dir(bucket)


def drop(bucket):
    s3.delete_dir(bucket)


def upload(path, bucket, key):
    with open(path, "rb") as source, s3.open_output_stream(f"{bucket}/{key}") as out:
        shutil.copyfileobj(source, out, 1 << 20)


def download(path, bucket, key):
    with open(path, "wb") as out, s3.open_input_stream(f"{bucket}/{key}") as source:
        shutil.copyfileobj(source, out, 1 << 20)


def objects(bucket):
    found = s3.get_file_info(fs.FileSelector(bucket, recursive=True))
    files = (info for info in found if info.type == fs.FileType.File)
    return {info.path.split("/", 1)[1]: info.size for info in files}


serve(
    make=make,
    drop=drop,
    upload=upload,
    download=download,
    copy=lambda bucket, key, target: s3.copy_file(f"{bucket}/{key}", f"{bucket}/{target}"),
    delete=lambda bucket, key: s3.delete_file(f"{bucket}/{key}"),
    list=objects,
)
