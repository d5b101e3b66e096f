"""How a body is wrapped, by what its request says of it."""

import hashlib

import pytest

from s3filters.s3.body import Body
from s3filters.s3.errors import S3Error
from s3filters.sign.credentials import Credential
from s3filters.sign.payload import body_of
from s3filters.sign.proof import Proof
from tests.unit.sign.signing import KEY, SECRET, environ_of

EMPTY = hashlib.sha256(b"").hexdigest()
CHUNKED = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:x\r\n\r\n"
TRAILER = [
    ("Content-Length", str(len(CHUNKED))),
    ("x-amz-decoded-content-length", "5"),
    ("x-amz-trailer", "X-Amz-Checksum-CRC32"),
]


def proof(payload):
    return Proof(
        Credential(KEY, SECRET), payload, "20130524T000000Z", "20130524/r/s3/aws4_request", "0"
    )


def body(payload, headers=(), data=b"", method="PUT"):
    who = None if payload is None else proof(payload)
    return body_of(environ_of(method, "/b/k", list(headers), data), who)


def read(of):
    view, data = memoryview(bytearray(100)), b""
    while count := of.readinto(view):
        of.update(view[:count])
        data += view[:count]
    of.verify()
    return data


def refusal(call, *args):
    with pytest.raises(S3Error) as caught:
        call(*args)
    return caught.value


@pytest.mark.parametrize(
    "payload", [None, "UNSIGNED-PAYLOAD", hashlib.sha256(b"hello").hexdigest()]
)
def test_a_plain_body_is_read_as_it_is(payload):
    wrapped = body(payload, [("Content-Length", "5")], b"hello, next request")
    assert wrapped.length == 5
    assert read(wrapped) == b"hello"


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_body_that_is_not_what_was_signed_fails_when_it_was_read(case):
    wrapped = body(case(hashlib.sha256(b"jello").hexdigest()), [("Content-Length", "5")], b"hello")
    assert refusal(read, wrapped).code == "XAmzContentSHA256Mismatch"


def test_an_empty_body_that_was_signed_as_another_fails_at_once():
    error = refusal(body, "0" * 64, [("Content-Length", "0")])
    assert error.code == "XAmzContentSHA256Mismatch"
    assert error.detail["S3ComputedContentSHA256"] == EMPTY


def test_a_request_that_tells_no_length_has_none():
    assert body(None, method="GET").length is None
    assert body(EMPTY, [("Content-Length", "0")]).length == 0
    chunked = body(EMPTY, [("Transfer-Encoding", "chunked")], b"hello")
    assert chunked.length is None
    assert refusal(read, chunked).code == "XAmzContentSHA256Mismatch"


def test_a_request_without_a_body_that_signed_so_keeps_its_input():
    assert not isinstance(body(EMPTY, method="GET"), Body)
    assert isinstance(body("0" * 64, method="GET"), Body)


@pytest.mark.parametrize("value", ["-1", "5, 5", "x", "1" * 30, "\xb2"])
def test_a_length_that_is_no_number_is_refused(value):
    assert refusal(body, None, [("Content-Length", value)]).code == "InvalidRequest"


@pytest.mark.parametrize(
    "value",
    ["", "unsigned-payload", "0" * 63, "g" * 64, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"],
)
def test_a_content_hash_that_says_nothing_is_refused(value):
    error = refusal(body, value)
    assert error.code == "InvalidArgument"
    assert error.message.startswith("x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-")
    assert error.detail == {"ArgumentName": "x-amz-content-sha256", "ArgumentValue": value}


@pytest.mark.parametrize(
    ("payload", "headers"),
    [
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", []),
        ("UNSIGNED-PAYLOAD", [("Content-Encoding", "gzip, AWS-chunked")]),
        (None, [("Content-Encoding", "aws-chunked")]),
        (None, [("x-amz-content-sha256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")]),
    ],
)
def test_unsigned_chunks_are_decoded_whoever_sends_them(payload, headers):
    wrapped = body(payload, TRAILER + headers, CHUNKED)
    assert wrapped.length == 5
    assert read(wrapped) == b"hello"
    assert wrapped.trailers == {"x-amz-checksum-crc32": "x"}


def test_aws_chunked_without_a_decoded_length_is_only_a_label():
    wrapped = body(None, [("Content-Length", "5"), ("Content-Encoding", "aws-chunked")], b"hello")
    assert read(wrapped) == b"hello"


def test_a_chunked_body_must_tell_its_decoded_length():
    error = refusal(body, "STREAMING-UNSIGNED-PAYLOAD-TRAILER", TRAILER[:1], CHUNKED)
    assert error.code == "MissingContentLength"


@pytest.mark.parametrize("value", ["-5", "five", "1" * 30])
def test_a_decoded_length_must_be_a_number(value):
    headers = [("x-amz-decoded-content-length", value)]
    error = refusal(body, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", headers)
    assert error.code == "InvalidArgument"
    assert error.detail == {"ArgumentName": "x-amz-decoded-content-length", "ArgumentValue": value}


def test_chunks_can_be_signed_with_version_4_alone():
    headers = [("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"), *TRAILER]
    assert refusal(body, None, headers).code == "InvalidRequest"
    environ = environ_of("PUT", "/b/k", headers)
    assert refusal(body_of, environ, Proof(Credential(KEY, SECRET))).code == "InvalidRequest"


def test_a_server_that_can_only_read_is_never_read_beyond_the_body():
    class Input:
        def __init__(self):
            self.asked = 0

        def read(self, size):
            self.asked += size
            assert self.asked <= len(CHUNKED)
            return CHUNKED[self.asked - size : self.asked]

    environ = environ_of("PUT", "/b/k", TRAILER) | {"wsgi.input": Input()}
    assert read(body_of(environ, proof("STREAMING-UNSIGNED-PAYLOAD-TRAILER"))) == b"hello"
