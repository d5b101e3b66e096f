import base64
import hashlib
import io

import pytest

from s3filters.s3 import checksums, proofs
from s3filters.s3.body import Body, source_of
from s3filters.s3.errors import S3Error

DATA = b"hello"


def digest(name):
    hasher = checksums.hasher(name)
    hasher.update(DATA)
    return checksums.b64(hasher.digest())


def prove(trailers=(), **environ):
    body = Body(source_of(io.BytesIO(DATA)), len(DATA))
    body.trailers.update(trailers)
    found = proofs.expect(body, environ)
    body.read(100)
    return found


def failure(**kwargs):
    with pytest.raises(S3Error) as caught:
        prove(**kwargs)
    return caught.value


def key(name):
    return f"HTTP_X_AMZ_CHECKSUM_{name}"


def test_nothing_is_demanded_of_a_body_without_headers():
    assert prove() == (None, None)


def test_content_md5():
    assert prove(HTTP_CONTENT_MD5=base64.b64encode(hashlib.md5(DATA).digest()).decode()) == (
        None,
        None,
    )
    assert failure(HTTP_CONTENT_MD5=base64.b64encode(bytes(16)).decode()).code == "BadDigest"
    for text in ("", "x", "AAAA", digest("SHA1")):
        assert failure(HTTP_CONTENT_MD5=text).code == "InvalidDigest"


@pytest.mark.parametrize("name", checksums.OBJECT_ALGORITHMS)
def test_a_checksum_header(name):
    good = digest(name)
    assert prove(**{key(name): good}) == (name, base64.b64decode(good))
    size = checksums.ALGORITHMS[name].size
    error = failure(**{key(name): base64.b64encode(bytes(size)).decode()})
    assert error.code == "BadDigest"
    assert error.message == f"The {name} you specified did not match the calculated checksum."
    error = failure(**{key(name): "AAAA"})
    assert error.code == "InvalidRequest"
    assert error.message == f"Value for x-amz-checksum-{name.lower()} header is invalid."


@pytest.mark.parametrize("name", checksums.OBJECT_ALGORITHMS)
def test_a_checksum_trailer(name):
    header = f"x-amz-checksum-{name.lower()}"
    announced = {"HTTP_X_AMZ_TRAILER": header}
    assert prove({header: digest(name)}, **announced) == (name, None)
    assert failure(**announced).code == "MalformedTrailerError"
    zero = base64.b64encode(bytes(checksums.ALGORITHMS[name].size)).decode()
    assert failure(trailers={header: zero}, **announced).code == "BadDigest"
    error = failure(trailers={header: "?"}, **announced)
    assert error.message == f"Value for {header} trailing header is invalid."


def test_only_one_checksum_may_be_given():
    crc, sha = {key("CRC32"): digest("CRC32")}, {key("SHA1"): digest("SHA1")}
    assert "single" in failure(**crc, **sha).message
    assert "single" in failure(**crc, HTTP_X_AMZ_TRAILER="x-amz-checksum-sha1").message


@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "x-amz-checksum-md5", "", "x-amz-checksum-crc32,x-amz-checksum-sha1"]
)
def test_a_trailer_must_be_one_that_is_checked(name):
    assert failure(HTTP_X_AMZ_TRAILER=name).code == "InvalidRequest"


@pytest.mark.parametrize("name", ["MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"])
def test_a_checksum_that_is_not_computed_is_never_ignored(name):
    error = failure(**{key(name): "AAAA"})
    assert (error.code, error.detail["Header"]) == (
        "NotImplemented",
        f"x-amz-checksum-{name.lower()}",
    )


def test_the_named_algorithm_must_be_the_one_that_is_sent():
    named = "HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"
    crc = {key("CRC32"): digest("CRC32")}
    assert prove(**crc, **{named: "crc32"})[0] == "CRC32"
    md5 = base64.b64encode(hashlib.md5(DATA).digest()).decode()
    assert prove(HTTP_CONTENT_MD5=md5, **{named: "MD5"}) == (None, None)
    for given in (
        {**crc, named: "SHA1"},
        {**crc, named: "ROT13"},
        {named: "CRC32"},
        {named: "MD5"},
    ):
        assert failure(**given).code == "InvalidRequest"


@pytest.mark.parametrize("tail", ["", "-1", "-10000"])
def test_the_checksum_of_an_object_may_tell_how_many_parts_it_has(tail):
    for name in checksums.OBJECT_ALGORITHMS:
        assert proofs.of_object({key(name): digest(name) + tail}) == (name, digest(name) + tail)
    assert proofs.of_object({"HTTP_CONTENT_MD5": "x"}) is None


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"CRC32": "AAAAAA==-"}, "InvalidRequest"),
        ({"CRC32": "AAAAAA==-x"}, "InvalidRequest"),
        ({"CRC32": "AAAA"}, "InvalidRequest"),
        ({"CRC32": "-2"}, "InvalidRequest"),
        ({"CRC32": "AAAAAA==", "CRC32C": "AAAAAA=="}, "InvalidRequest"),
        ({"XXHASH64": "AAAA"}, "NotImplemented"),
    ],
)
def test_the_checksum_of_an_object_that_is_none_is_refused(headers, code):
    with pytest.raises(S3Error) as caught:
        proofs.of_object({key(name): text for name, text in headers.items()})
    assert caught.value.code == code
