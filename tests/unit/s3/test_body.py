import base64
import hashlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.body import Body, source_of
from s3filters.s3.errors import S3Error

DATA = b"the bytes of a request"


def drain(body, size=7):
    out, view = b"", memoryview(bytearray(size))
    while count := body.readinto(view):
        body.update(view[:count])
        out += bytes(view[:count])
    body.verify()
    return out


def failure(call, *args):
    with pytest.raises(S3Error) as caught:
        call(*args)
    return caught.value


class Plain:
    """A wsgi.input that can only read, and tells how much it was asked for."""

    def __init__(self, data):
        self.stream, self.asked = io.BytesIO(data), 0

    def read(self, size):
        self.asked += size
        return self.stream.read(size)


class Failing:
    def __init__(self, error):
        self.error = error

    def readinto(self, view):
        raise self.error


class Chunked:
    """A decoder: a tail is checked after the bytes, and fills the trailers."""

    def __init__(self, data, trailers=(), error=None):
        self.stream, self.trailers, self.error, self.ends = io.BytesIO(data), trailers, error, 0
        self.body = None

    def readinto(self, view):
        return self.stream.readinto(view)

    def finish(self):
        self.ends += 1
        if self.error:
            raise self.error
        self.body.trailers.update(self.trailers)


def chunked(data, length, **more):
    source = Chunked(data, **more)
    source.body = Body(source, length)
    return source.body, source


@pytest.mark.parametrize("length", [len(DATA), None])
@pytest.mark.parametrize("make", [io.BytesIO, Plain])
def test_the_bytes_come_and_then_an_end(make, length):
    body = Body(source_of(make(DATA)), length)
    assert drain(body) == DATA
    assert body.readinto(memoryview(bytearray(5))) == 0


def test_nothing_is_read_past_the_length():
    source = Plain(DATA + b"the next request")
    assert drain(Body(source_of(source), len(DATA)), size=100) == DATA
    assert source.asked == len(DATA)


def test_a_body_that_ends_early_is_incomplete():
    body = Body(source_of(io.BytesIO(DATA[:-1])), len(DATA))
    error = failure(drain, body)
    assert error.code == "IncompleteBody"
    assert error.detail == {"NumberBytesExpected": len(DATA), "NumberBytesProvided": len(DATA) - 1}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (TimeoutError(), "RequestTimeout"),
        (ConnectionResetError(), "IncompleteBody"),
        (OSError(5, "x"), "IncompleteBody"),
    ],
)
def test_a_client_that_is_slow_or_gone_is_an_error_of_s3(error, code):
    assert failure(drain, Body(Failing(error), 5)).code == code
    tail, _ = chunked(DATA, len(DATA), error=error)
    assert failure(drain, tail).code == code


def test_digests_that_were_wanted_are_there():
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    body.want("MD5")
    body.want("MD5")
    body.expect("SHA256", hashlib.sha256(DATA).digest(), "XAmzContentSHA256Mismatch")
    drain(body)
    assert body.digest("MD5") == hashlib.md5(DATA).digest()


def test_a_wrong_content_md5_tells_both():
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    body.expect("MD5", bytes(16), "BadDigest", "words")
    error = failure(drain, body)
    assert (error.code, error.message) == ("BadDigest", "words")
    assert error.detail == {
        "ExpectedDigest": base64.b64encode(bytes(16)).decode(),
        "CalculatedDigest": base64.b64encode(hashlib.md5(DATA).digest()).decode(),
    }


def test_a_wrong_signed_hash_tells_both():
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    body.expect("SHA256", bytes(32), "XAmzContentSHA256Mismatch")
    error = failure(drain, body)
    assert error.detail["ClientComputedContentSHA256"] == "00" * 32
    assert error.detail["S3ComputedContentSHA256"] == hashlib.sha256(DATA).hexdigest()


def test_the_first_proof_that_fails_is_told():
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    body.expect("SHA256", bytes(32), "XAmzContentSHA256Mismatch")
    body.expect("CRC32", bytes(4), "BadDigest")
    assert failure(drain, body).code == "XAmzContentSHA256Mismatch"


@pytest.mark.parametrize("length", [len(DATA), None])
def test_a_trailer_is_asked_for_after_the_tail_was_read_once(length):
    digest = hashlib.sha1(DATA).digest()
    body, source = chunked(DATA, length, trailers={"x": "y"})
    body.expect("SHA1", lambda: digest if body.trailers == {"x": "y"} else None, "BadDigest")
    assert drain(body) == DATA
    assert source.ends == 1


def test_a_trailer_that_never_came_is_malformed():
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    body.expect("SHA1", lambda: None, "BadDigest")
    assert failure(drain, body).code == "MalformedTrailerError"


@given(st.binary(max_size=40), st.booleans(), st.integers(0, 50))
def test_a_small_body_is_read_whole_or_refused(data, announced, limit):
    body = Body(source_of(io.BytesIO(data)), len(data) if announced else None)
    if len(data) > limit:
        assert failure(body.read, limit).code == "MaxMessageLengthExceeded"
    else:
        assert body.read(limit) == data


def test_reading_whole_checks_proofs_and_tail():
    body, source = chunked(DATA, len(DATA))
    body.expect("MD5", bytes(16), "BadDigest")
    assert failure(body.read, 100).code == "BadDigest"
    assert source.ends == 1
    empty, source = chunked(b"", 0)
    assert empty.read(100) == b""
    assert source.ends == 1


def test_a_body_that_is_announced_too_long_is_not_read():
    source = Plain(DATA)
    assert (
        failure(Body(source_of(source), len(DATA)).read, 5, "MalformedXML").code == "MalformedXML"
    )
    assert source.asked == 0
