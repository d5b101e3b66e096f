"""Checksums of parts, and of the objects that they become."""

import base64
import hashlib
import zlib

import pytest
from awscrt.checksums import crc32c, crc64nvme

from tests.functional.asking import body_of, fields, refusal
from tests.functional.parts import FULL, OTHER, Uploader

DIGESTS = {
    "CRC32": lambda data: zlib.crc32(data).to_bytes(4, "big"),
    "CRC32C": lambda data: crc32c(data).to_bytes(4, "big"),
    "CRC64NVME": lambda data: crc64nvme(data).to_bytes(8, "big"),
    "SHA1": lambda data: hashlib.sha1(data).digest(),
    "SHA256": lambda data: hashlib.sha256(data).digest(),
}
KINDS = [
    ("CRC32", "COMPOSITE"),
    ("CRC32", "FULL_OBJECT"),
    ("CRC32C", "COMPOSITE"),
    ("CRC32C", "FULL_OBJECT"),
    ("CRC64NVME", "FULL_OBJECT"),
    ("SHA1", "COMPOSITE"),
    ("SHA256", "COMPOSITE"),
]
DEFAULTS = {"CRC32": "COMPOSITE", "CRC32C": "COMPOSITE", "CRC64NVME": "FULL_OBJECT",
            "SHA1": "COMPOSITE", "SHA256": "COMPOSITE"}  # fmt: skip
PARTS = (FULL, OTHER, b"end")


def digest(algorithm, data):
    return base64.b64encode(DIGESTS[algorithm](data)).decode()


def whole(algorithm, kind, parts):
    """The checksum of an object of these parts."""
    if kind == "FULL_OBJECT":
        return digest(algorithm, b"".join(parts))
    joined = b"".join(DIGESTS[algorithm](part) for part in parts)
    return f"{digest(algorithm, joined)}-{len(parts)}"


@pytest.fixture(params=KINDS, ids="-".join)
def declared(request):
    return request.param


def test_the_object_has_the_checksum_that_was_declared(s3, box, declared):
    algorithm, kind = declared
    upload = Uploader(s3, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    assert upload.begun["ChecksumAlgorithm"] == algorithm
    assert upload.begun["ChecksumType"] == kind
    name = f"Checksum{algorithm}"
    for number, part in enumerate(PARTS, 1):
        assert upload.put(number, part)[name] == digest(algorithm, part)
    expected = whole(algorithm, kind, PARTS)
    answer = upload.complete(ChecksumType=kind)
    assert (answer[name], answer["ChecksumType"]) == (expected, kind)
    head = s3.head_object(Bucket="box", Key="key", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (expected, kind)
    assert body_of(s3, "key", ChecksumMode="ENABLED") == b"".join(PARTS)


def test_the_type_may_be_left_out(s3, box):
    for algorithm, kind in DEFAULTS.items():
        upload = Uploader(s3, ChecksumAlgorithm=algorithm)
        assert upload.begun["ChecksumType"] == kind
        upload.put(1, b"x")
        assert upload.complete()["ChecksumType"] == kind


@pytest.mark.parametrize(
    "args",
    [
        {"ChecksumAlgorithm": "SHA256", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"},
        {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "COMPOSITE"},
        {"ChecksumType": "COMPOSITE"},
    ],
    ids=lambda args: "-".join(args.values()),
)
def test_a_type_that_cannot_be_is_refused(s3, box, args):
    found = refusal(s3.create_multipart_upload, Bucket="box", Key="key", **args)
    assert found == (400, "InvalidRequest")


def test_an_upload_that_declares_none_becomes_an_object_with_crc64nvme(s3, box):
    upload = Uploader(s3)
    assert "ChecksumAlgorithm" not in upload.begun
    for number, part in enumerate(PARTS, 1):
        answer = upload.put(number, part)
        assert answer["ChecksumCRC64NVME"] == digest("CRC64NVME", part)
    answer = upload.complete()
    assert answer["ChecksumCRC64NVME"] == digest("CRC64NVME", b"".join(PARTS))
    assert answer["ChecksumType"] == "FULL_OBJECT"


@pytest.mark.parametrize("algorithm", DIGESTS)
@pytest.mark.parametrize("data", [b"small", FULL], ids=["small", "large"])
def test_an_upload_that_declares_none_checks_what_its_parts_bring(s3, box, ask, algorithm, data):
    upload = Uploader(s3)
    target = f"/box/key?partNumber=1&uploadId={upload.id}"
    header = f"x-amz-checksum-{algorithm.lower()}"
    wrong = ask("PUT", target, data, {header: digest(algorithm, b"other")})
    assert (wrong.status, fields(wrong)["Code"]) == (400, "BadDigest")
    right = ask("PUT", target, data, {header: digest(algorithm, data)})
    assert right.status == 200
    assert right.headers["x-amz-checksum-crc64nvme"] == digest("CRC64NVME", data)


@pytest.mark.parametrize("data", [b"small", FULL], ids=["small", "large"])
def test_a_part_with_the_checksum_of_another_algorithm_is_refused(s3, box, ask, data):
    upload = Uploader(s3, ChecksumAlgorithm="SHA256")
    target = f"/box/key?partNumber=1&uploadId={upload.id}"
    for headers, name in (
        ({"x-amz-checksum-crc32": digest("CRC32", data)}, "crc32"),
        ({}, "null"),
    ):
        told = fields(ask("PUT", target, data, headers))
        assert told["Code"] == "InvalidRequest"
        assert told["Message"] == (
            "Checksum Type mismatch occurred, expected checksum Type: sha256, actual checksum "
            f"Type: {name}"
        )
    assert upload.stored() == []


@pytest.mark.parametrize("data", [b"small", FULL], ids=["small", "large"])
def test_the_server_computes_what_a_full_object_upload_is_not_told(s3, box, ask, data):
    upload = Uploader(s3, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    answer = ask("PUT", f"/box/key?partNumber=1&uploadId={upload.id}", data)
    assert answer.headers["x-amz-checksum-crc32"] == digest("CRC32", data)


@pytest.mark.parametrize("data", [b"small", FULL], ids=["small", "large"])
@pytest.mark.parametrize("kind", ["STREAMING-UNSIGNED-PAYLOAD-TRAILER",
                                  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"])  # fmt: skip
def test_a_checksum_may_come_in_the_trailer(s3, box, ask, kind, data):
    upload = Uploader(s3, ChecksumAlgorithm="CRC32C")
    target = f"/box/key?partNumber=1&uploadId={upload.id}"
    chunks = [data[at : at + (1 << 20)] for at in range(0, len(data), 1 << 20)]
    for content, status in ((b"other", 400), (data, 200)):
        trailer = f"x-amz-checksum-crc32c:{digest('CRC32C', content)}"
        answer = ask.chunked(target, chunks, kind=kind, trailer=trailer)
        assert answer.status == status
    assert answer.headers["x-amz-checksum-crc32c"] == digest("CRC32C", data)


# --- at complete ---------------------------------------------------------------------------------


@pytest.fixture
def upload(s3, box, declared):
    algorithm, kind = declared
    made = Uploader(s3, ChecksumAlgorithm=algorithm, ChecksumType=kind)
    for number, part in enumerate(PARTS, 1):
        made.put(number, part)
    return made


def test_the_parts_of_the_list_must_have_the_checksums_that_are_stored(upload, declared):
    algorithm, _ = declared
    right = dict(upload.parts[2])
    upload.parts[2][f"Checksum{algorithm}"] = digest(algorithm, b"other")
    assert refusal(upload.complete) == (400, "InvalidPart")
    upload.parts[2] = right
    upload.complete()


def test_a_composite_list_without_checksums_is_refused_and_another_is_not(upload, declared):
    algorithm, kind = declared
    for part in upload.parts.values():
        del part[f"Checksum{algorithm}"]
    if kind == "COMPOSITE":
        assert refusal(upload.complete) == (400, "InvalidRequest")
    else:
        upload.complete()


def test_the_checksum_of_the_whole_must_be_right(upload, declared):
    algorithm, kind = declared
    name = f"Checksum{algorithm}"
    wrong = {name: whole(algorithm, kind, (b"other",) * 3)}
    assert refusal(upload.complete, **wrong) == (400, "BadDigest")
    upload.complete(**{name: whole(algorithm, kind, PARTS)})


def test_the_type_at_the_end_must_be_that_of_the_beginning(upload, declared):
    other = "COMPOSITE" if declared[1] == "FULL_OBJECT" else "FULL_OBJECT"
    assert refusal(upload.complete, ChecksumType=other) == (400, "InvalidRequest")
