"""Requests as our server would show them, signed by botocore or written down by AWS."""

import io
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys

from s3filters.sign.credentials import Credentials
from s3filters.sign.proof import Rules

DATA = Path(__file__).parents[2] / "data" / "sign"
KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
IN_2013 = 1369353600  # 2013-05-24T00:00:00Z, the day of AWS's examples
IN_2007 = 1175024202  # 2007-03-27T19:36:42Z, the day of those of Version 2
ENDPOINT = "http://127.0.0.1:9900"


def rules(**changes):
    """What AWS's examples are checked by."""
    credentials = Credentials("", {"S3_ACCESS_KEY": KEY, "S3_SECRET_KEY": SECRET})
    return Rules(**{"credentials": credentials, "domains": (".s3.amazonaws.com",)} | changes)


def environ_of(method, target, headers, body=b""):
    """Return the environ of a request line and headers (latin-1), as our server makes it."""
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path.encode("latin-1")).decode("latin-1"),
        "RAW_PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "headers_raw": list(headers),
    }
    for name, value in headers:
        key = name.upper().replace("-", "_")
        if "_" in name:
            continue
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = "HTTP_" + key
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def published(name, body=b""):
    """Return the environ of an example that AWS published, and what it gives as stages."""
    line, *lines = (DATA / f"{name}.req").read_text().splitlines()
    method, target, _ = line.split(" ")
    headers = [tuple(line.split(": ", 1)) for line in lines]
    stages = [
        (DATA / f"{name}{ext}").read_text()
        for ext in (".creq", ".sts")
        if (DATA / f"{name}{ext}").exists()
    ]
    return environ_of(method, target, headers, body), stages


SIGNERS = {
    "v4": lambda: S3SigV4Auth(Keys(KEY, SECRET), "s3", "us-east-1"),
    "v4 query": lambda: S3SigV4QueryAuth(Keys(KEY, SECRET), "s3", "us-east-1", expires=60),
    "v2": lambda: HmacV1Auth(Keys(KEY, SECRET)),
    "v2 query": lambda: HmacV1QueryAuth(Keys(KEY, SECRET), expires=60),
}


def signed(kind, method="GET", target="/bucket/key", headers=(), body=b"", endpoint=ENDPOINT):
    """Return the environ of a request that botocore signed now."""
    request = AWSRequest(method=method, url=endpoint + target, headers=dict(headers), data=body)
    SIGNERS[kind]().add_auth(request)
    url = urlsplit(request.url)
    sent = [(name, value) for name, value in request.headers.items() if name.lower() != "host"]
    if "query" in kind:  # botocore sends what it put into the URL as headers too, but for the date
        sent = [(name, value) for name, value in sent if name != "Date"]
    target = url.path + (f"?{url.query}" if url.query else "")
    if body:
        sent.append(("Content-Length", str(len(body))))
    return environ_of(method, target, [("Host", url.netloc), *sent], body)
