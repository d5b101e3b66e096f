"""Content-MD5 and the five checksums: by header, by trailer, computed; checked, stored, told."""

import base64
import hashlib
import zlib

import pytest
from awscrt.checksums import crc32c, crc64nvme

from tests.functional.asking import LARGE, SMALL, on_disk

DIGESTS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4),
    "CRC32C": lambda data: crc32c(data).to_bytes(4),
    "CRC64NVME": lambda data: crc64nvme(data).to_bytes(8),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
UNSIGNED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = f"{SIGNED}-TRAILER"


def value_of(algorithm, data):
    return base64.b64encode(DIGESTS[algorithm](data)).decode()


def header_of(algorithm):
    return f"x-amz-checksum-{algorithm.lower()}"


def told(answer):
    """Return the checksum headers of an answer."""
    return {n: v for n, v in answer.headers.items() if n.startswith("x-amz-checksum")}


def whole(algorithm, data):
    return {header_of(algorithm): value_of(algorithm, data), "x-amz-checksum-type": "FULL_OBJECT"}


def asked(ask, method="GET", key="key"):
    return told(ask(method, f"/box/{key}", headers={"x-amz-checksum-mode": "ENABLED"}))


# --- by header ---------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_right_checksum_is_stored_and_told(ask, box, data, algorithm):
    given = {header_of(algorithm): value_of(algorithm, data)}
    answer = ask("PUT", "/box/key", data, given)
    assert answer.status == 200
    assert told(answer) == whole(algorithm, data)
    for method in ("GET", "HEAD"):
        assert asked(ask, method) == whole(algorithm, data)
        assert told(ask(method, "/box/key")) == {}


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_wrong_checksum_stores_nothing(ask, box, data, algorithm):
    given = {header_of(algorithm): value_of(algorithm, b"other")}
    answer = ask("PUT", "/box/a/key", data, given)
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert on_disk(box) == {}


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("text", ["", "AAA", "AAAA", "%%%%", "A" * 200])
def test_what_is_no_checksum_is_refused(ask, box, algorithm, text):
    answer = ask("PUT", "/box/key", SMALL, {header_of(algorithm): text})
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert on_disk(box) == {}


@pytest.mark.parametrize("algorithm", ["MD5", "SHA512", "XXHASH64", "XXHASH3", "XXHASH128"])
def test_a_checksum_that_is_not_computed_here_is_not_ignored(ask, box, algorithm):
    answer = ask("PUT", "/box/key", SMALL, {header_of(algorithm): "AAAAAAAAAAA="})
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert on_disk(box) == {}


def test_there_is_one_checksum(ask, box):
    two = {header_of(name): value_of(name, SMALL) for name in ("CRC32", "SHA1")}
    answer = ask("PUT", "/box/key", SMALL, two)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_content_md5_is_checked(ask, box, data):
    right = base64.b64encode(hashlib.md5(data).digest()).decode()
    assert ask("PUT", "/box/key", data, {"Content-MD5": right}).status == 200
    for wrong, code in ((right[::-1], "InvalidDigest"), ("A" * 22 + "==", "BadDigest")):
        answer = ask("PUT", "/box/key", data, {"Content-MD5": wrong})
        assert (answer.status, answer.code) == (400, code)


def test_both_proofs_must_hold(ask, box, data):
    right = base64.b64encode(hashlib.md5(data).digest()).decode()
    wrong = {"Content-MD5": right, header_of("CRC32"): value_of("CRC32", b"other")}
    assert ask("PUT", "/box/key", data, wrong).code == "BadDigest"
    wrong = {"Content-MD5": "A" * 22 + "==", header_of("CRC32"): value_of("CRC32", data)}
    assert ask("PUT", "/box/key", data, wrong).code == "BadDigest"
    assert on_disk(box) == {}


def test_crc64nvme_is_computed_when_none_is_sent(ask, box, data):
    answer = ask("PUT", "/box/key", data)
    assert told(answer) == whole("CRC64NVME", data)
    assert asked(ask) == whole("CRC64NVME", data)


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_a_directory_object_has_the_checksum_of_nothing(ask, box, algorithm):
    given = {header_of(algorithm): value_of(algorithm, b"")}
    assert told(ask("PUT", "/box/d/", headers=given, length=0)) == whole(algorithm, b"")
    assert asked(ask, key="d/") == whole(algorithm, b"")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-sdk-checksum-algorithm": "CRC32"},
        {"x-amz-sdk-checksum-algorithm": "CRC7"},
        {"x-amz-sdk-checksum-algorithm": "SHA1", "x-amz-checksum-crc32": "NhCmhg=="},
    ],
)
def test_an_algorithm_that_is_named_must_be_the_one_that_is_sent(ask, box, headers):
    answer = ask("PUT", "/box/key", SMALL, headers)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert on_disk(box) == {}


@pytest.mark.parametrize("algorithm", DIGESTS)
def test_boto3_checks_what_it_reads(s3, box, data, algorithm):
    s3.put_object(Bucket="box", Key="key", Body=data, ChecksumAlgorithm=algorithm)
    answer = s3.get_object(Bucket="box", Key="key", ChecksumMode="ENABLED")
    assert answer["Body"].read() == data
    assert answer[f"Checksum{algorithm}"] == value_of(algorithm, data)


def test_a_mode_that_is_none_is_refused(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    answer = ask("GET", "/box/key", headers={"x-amz-checksum-mode": "LOUD"})
    assert (answer.status, answer.code) == (400, "InvalidArgument")


# --- by trailer --------------------------------------------------------------------------------

CUTS = {
    "one": lambda d: [d],
    "many": lambda d: [d[at : at + 8192] for at in range(0, len(d), 8192)],
}


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("kind", [UNSIGNED, SIGNED_TRAILER])
@pytest.mark.parametrize("cut", CUTS)
def test_a_right_trailer_is_stored_and_told(ask, box, data, algorithm, kind, cut):
    trailer = f"{header_of(algorithm)}:{value_of(algorithm, data)}"
    answer = ask.chunked("/box/key", CUTS[cut](data), kind=kind, trailer=trailer)
    assert answer.status == 200
    assert told(answer) == whole(algorithm, data)
    assert asked(ask) == whole(algorithm, data)
    answer = ask("GET", "/box/key")
    assert answer.body == data
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("kind", [UNSIGNED, SIGNED_TRAILER])
def test_a_wrong_trailer_stores_nothing(ask, box, data, algorithm, kind):
    trailer = f"{header_of(algorithm)}:{value_of(algorithm, b'other')}"
    answer = ask.chunked("/box/a/key", [data], kind=kind, trailer=trailer)
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert on_disk(box) == {}


@pytest.mark.parametrize("kind", [UNSIGNED, SIGNED_TRAILER])
def test_a_trailer_that_never_comes_stores_nothing(ask, box, data, kind):
    answer = ask.chunked("/box/key", [data], {"x-amz-trailer": header_of("CRC32")}, kind=kind)
    assert (answer.status, answer.code) == (400, "MalformedTrailerError")
    assert on_disk(box) == {}


@pytest.mark.parametrize("kind", [UNSIGNED, SIGNED_TRAILER])
def test_a_trailer_that_is_no_checksum_stores_nothing(ask, box, data, kind):
    answer = ask.chunked("/box/key", [data], kind=kind, trailer=f"{header_of('CRC32')}:what")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    answer = ask.chunked("/box/key", [data], kind=kind, trailer="x-amz-meta-a:b")
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    assert on_disk(box) == {}


def test_a_header_and_a_trailer_are_two(ask, box, data):
    trailer = f"{header_of('CRC32')}:{value_of('CRC32', data)}"
    given = {header_of("SHA1"): value_of("SHA1", data)}
    answer = ask.chunked("/box/key", [data], given, kind=UNSIGNED, trailer=trailer)
    assert (answer.status, answer.code) == (400, "InvalidRequest")


def test_signed_chunks_need_no_trailer(ask, box, data):
    answer = ask.chunked("/box/key", CUTS["many"](data), kind=SIGNED)
    assert told(answer) == whole("CRC64NVME", data)
    assert ask("GET", "/box/key").body == data


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA256"])
def test_signed_chunks_may_have_a_checksum_in_a_header(ask, box, data, algorithm):
    given = {header_of(algorithm): value_of(algorithm, data)}
    assert ask.chunked("/box/key", [data], given, kind=SIGNED).status == 200
    assert asked(ask) == whole(algorithm, data)
    given = {header_of(algorithm): value_of(algorithm, b"other")}
    assert ask.chunked("/box/key", [data], given, kind=SIGNED).code == "BadDigest"


@pytest.mark.parametrize("kind", [SIGNED, SIGNED_TRAILER])
def test_a_chunk_that_is_signed_wrongly_stores_nothing(ask, box, data, kind):
    trailer = f"{header_of('CRC32')}:{value_of('CRC32', data)}" if "TRAILER" in kind else ""
    answer = ask.chunked("/box/a/key", [data], kind=kind, trailer=trailer, forge=True)
    assert (answer.status, answer.code) == (403, "SignatureDoesNotMatch")
    assert on_disk(box) == {}


@pytest.mark.parametrize("given", [-1, 1])
def test_a_decoded_length_that_is_wrong_stores_nothing(ask, box, data, given):
    length = {"x-amz-decoded-content-length": str(len(data) + given)}
    answer = ask.chunked("/box/a/key", [data], length, kind=UNSIGNED)
    assert answer.status == 400
    assert on_disk(box) == {}


def test_other_encodings_are_kept_without_aws_chunked(ask, box):
    answer = ask(
        "PUT",
        "/box/key",
        b"5\r\nhello\r\n0\r\n\r\n",
        {"x-amz-decoded-content-length": "5", "Content-Encoding": "aws-chunked,gzip"},
        payload=UNSIGNED,
    )
    assert answer.status == 200
    assert ask("GET", "/box/key").headers["content-encoding"] == "gzip"


# --- objects in parts, and others --------------------------------------------------------------


def test_an_edited_object_has_no_checksum(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=LARGE)
    (box / "key").write_bytes(b"edited")
    assert asked(ask) == {}


def test_boto3_reads_what_has_no_checksum(s3, box):
    (box / "theirs").write_bytes(LARGE)
    answer = s3.get_object(Bucket="box", Key="theirs", ChecksumMode="ENABLED")
    assert answer["Body"].read() == LARGE
