"""Requests signed beforehand must be those that AWS's own library would have signed."""

import datetime
import hashlib
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from benchmarks import signing
from benchmarks.signing import Endpoint

ENDPOINT = Endpoint("127.0.0.1", 9900, "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
MOMENT = datetime.datetime(2026, 11, 21, 8, 24, 9, tzinfo=datetime.UTC)


def botocore_authorization(method, path, query, body):
    url = f"http://{ENDPOINT.netloc}{path}{'?' if query else ''}{query}"
    asked = AWSRequest(method=method, url=url, data=body)
    asked.context["payload_signing_enabled"] = True
    with mock.patch("botocore.auth.get_current_datetime", return_value=MOMENT):
        credentials = Credentials(ENDPOINT.access_key, ENDPOINT.secret_key)
        S3SigV4Auth(credentials, "s3", ENDPOINT.region).add_auth(asked)
    return asked.headers["Authorization"]


def headers_of(head):
    lines = head.decode().split("\r\n")
    assert lines[-2:] == ["", ""]
    return dict(line.split(": ", 1) for line in lines[1:-2])


@pytest.mark.parametrize(
    ("method", "path", "query", "body"),
    [
        ("GET", "/bucket/o000001", "", b""),
        ("HEAD", "/bucket/o000001", "", b""),
        ("PUT", "/bucket/o000001", "", b"x" * 4096),
        ("GET", "/bucket", "list-type=2&start-after=k00000999", b""),
    ],
)
def test_the_signature_is_the_one_that_botocore_makes(method, path, query, body):
    sha256 = hashlib.sha256(body).hexdigest()
    head = signing.request(
        ENDPOINT, method, path, query=query, sha256=sha256, now=MOMENT.timestamp()
    )
    assert headers_of(head)["Authorization"] == botocore_authorization(method, path, query, body)


def test_the_length_of_a_body_is_said_and_not_signed():
    head = signing.request(ENDPOINT, "PUT", "/b/k", length=4096, sha256=signing.UNSIGNED)
    headers = headers_of(head)
    assert headers["Content-Length"] == "4096"
    assert "content-length" not in headers["Authorization"]


def test_a_query_stands_in_the_request_line():
    head = signing.request(ENDPOINT, "GET", "/b", query="list-type=2")
    assert head.startswith(b"GET /b?list-type=2 HTTP/1.1\r\nHost: 127.0.0.1:9900\r\n")
