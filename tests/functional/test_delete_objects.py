"""DeleteObjects: up to 1,000 keys, each with an outcome of its own."""

import base64
import hashlib
from xml.sax.saxutils import escape

import pytest

from tests.functional.asking import document, on_disk, refusal


def deletion(*keys, quiet=False, more=""):
    objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    return f"<Delete>{objects}{more}{'<Quiet>true</Quiet>' if quiet else ''}</Delete>".encode()


def posted(ask, body, **headers):
    digest = base64.b64encode(hashlib.md5(body).digest()).decode()
    return ask("POST", "/box?delete", body, {"Content-MD5": digest} | headers)


def outcomes(answer):
    """Return the keys that were deleted, and the code of each that was not."""
    assert answer.status == 200
    root = document(answer)
    assert root.tag == "DeleteResult"
    deleted = [entry.findtext("Key") for entry in root.findall("Deleted")]
    failed = {e.findtext("Key"): e.findtext("Code") for e in root.findall("Error")}
    assert all(entry.findtext("Message") for entry in root.findall("Error"))
    return deleted, failed


def test_keys_that_are_there_and_keys_that_are_not_are_deleted(s3, ask, box):
    for key in ("a", "b/c", "d/", "ü+ &<>"):
        s3.put_object(Bucket="box", Key=key, Body=b"")
    keys = ["a", "b/c", "d/", "ü+ &<>", "none", "b/none"]
    assert outcomes(posted(ask, deletion(*keys))) == (keys, {})
    assert on_disk(box) == {}


def test_a_thousand_keys_are_deleted_by_one_request(s3, box):
    for number in range(1000):
        (box / f"{number:04}").write_bytes(b"x")
    targets = [{"Key": f"{number:04}"} for number in range(1000)]
    answer = s3.delete_objects(Bucket="box", Delete={"Objects": targets})
    assert [entry["Key"] for entry in answer["Deleted"]] == [t["Key"] for t in targets]
    assert on_disk(box) == {}


def test_a_thousand_keys_of_the_longest_kind_fit(s3, ask, box):
    long = "/".join(("&" * 200, "x" * 255, "y" * 255, "ü" * 127, "z" * 51))
    keys = [f"{long}{number:04}" for number in range(1000)]
    assert len(keys[0].encode()) == 1023
    deleted, failed = outcomes(posted(ask, deletion(*keys)))
    assert (len(deleted), failed) == (1000, {})


def test_more_than_a_thousand_are_refused_and_none_is_deleted(s3, ask, box):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    answer = posted(ask, deletion("a", *map(str, range(1000))))
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert (box / "a").exists()


def test_quiet_tells_failures_alone(s3, ask, box):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    answer = posted(ask, deletion("a", "none", "../x", quiet=True))
    assert outcomes(answer) == ([], {"../x": "InvalidArgument"})
    assert not (box / "a").exists()


def test_each_key_has_its_own_outcome(s3, ask, box, root):
    (root / "secret").write_bytes(b"secret")
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="other", Key="key", Body=b"x")
    for key in ("a", "b/c", "held", "held"):
        s3.put_object(Bucket="box", Key=key, Body=b"x")
    before = on_disk(root)
    wrong = {
        "../secret": "InvalidArgument",
        "../other/key": "InvalidArgument",
        "b/../../other/key": "InvalidArgument",
        "/a": "InvalidArgument",
        "b//c": "InvalidArgument",
        "./a": "InvalidArgument",
        "b/./c": "InvalidArgument",
        ".": "InvalidArgument",
        "..": "InvalidArgument",
        ".sgwtmp/lock": "AccessDenied",
        ".sgwtmp": "AccessDenied",
        "b/.sgwtmp/x": "AccessDenied",
        ".a.sgwtmp.123": "AccessDenied",
        "k" * 1025: "KeyTooLongError",
        "k" * 256: "KeyTooLongError",
    }
    answer = posted(ask, deletion("none", *wrong, "also/none"))
    deleted, failed = outcomes(answer)
    assert (deleted, failed) == (["none", "also/none"], wrong)
    assert on_disk(root) == before


def test_versions_and_etags_are_conditions(s3, ask, box):
    etag = s3.put_object(Bucket="box", Key="a", Body=b"")["ETag"]
    for key in ("b", "c", "d"):
        s3.put_object(Bucket="box", Key=key, Body=b"")
    answer = s3.delete_objects(
        Bucket="box",
        Delete={
            "Objects": [
                {"Key": "a", "ETag": etag},
                {"Key": "b", "ETag": '"other"'},
                {"Key": "c", "VersionId": "null"},
                {"Key": "d", "VersionId": "other"},
                {"Key": "none", "ETag": etag},
            ]
        },
    )
    assert [(e["Key"], e.get("VersionId")) for e in answer["Deleted"]] == [
        ("a", None),
        ("c", "null"),
    ]
    assert [(e["Key"], e["Code"], e.get("VersionId")) for e in answer["Errors"]] == [
        ("b", "PreconditionFailed", None),
        ("d", "NoSuchVersion", "other"),
        ("none", "NoSuchKey", None),
    ]
    assert sorted(on_disk(box)) == ["b", "d"]


@pytest.mark.parametrize("entry", ["<Size>3</Size>", "<LastModifiedTime>x</LastModifiedTime>"])
def test_a_condition_that_is_not_implemented_deletes_nothing(s3, ask, box, entry):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    more = f"<Object><Key>a</Key>{entry}</Object>"
    answer = posted(ask, deletion("a", more=more))
    assert (answer.status, answer.code) == (501, "NotImplemented")
    assert (box / "a").exists()


def test_one_key_twice_is_deleted_twice(s3, ask, box):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    assert outcomes(posted(ask, deletion("a", "a"))) == (["a", "a"], {})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no xml",
        b"<Delete></Delete>",
        b"<Delete><Object></Object></Delete>",
        b"<Delete><Object><Key></Key></Object></Delete>",
        b"<Remove><Object><Key>a</Key></Object></Remove>",
        b"<Delete><Object><Key>a</Key></Object><Loud/></Delete>",
        b"<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        b'<!DOCTYPE d [<!ENTITY e "a">]><Delete><Object><Key>&e;</Key></Object></Delete>',
        b"<Delete><Object><Key>a</Key></Object>",
        b"<Delete><Object><Key>\xff</Key></Object></Delete>",
    ],
)
def test_a_document_that_is_none_deletes_nothing(s3, ask, box, body):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    answer = posted(ask, body)
    assert (answer.status, answer.code) == (400, "MalformedXML")
    assert (box / "a").exists()


def test_a_document_that_is_too_long_is_not_read(ask, box):
    class Silent:
        def readinto(self, view):
            raise AssertionError("the body was read")

    headers = {"Content-MD5": base64.b64encode(bytes(16)).decode()}
    answer = ask(
        "POST", "/box?delete", b"x", headers, length=1 << 30, environ={"wsgi.input": Silent()}
    )
    assert (answer.status, answer.code) == (400, "MaxMessageLengthExceeded")


def test_the_document_must_be_proven(s3, ask, box):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    body = deletion("a")
    answer = ask("POST", "/box?delete", body)
    assert (answer.status, answer.code) == (400, "InvalidRequest")
    wrong = base64.b64encode(bytes(16)).decode()
    answer = ask("POST", "/box?delete", body, {"Content-MD5": wrong})
    assert (answer.status, answer.code) == (400, "BadDigest")
    answer = ask("POST", "/box?delete", body, {"x-amz-checksum-crc32": "AAAAAA=="})
    assert (answer.status, answer.code) == (400, "BadDigest")
    assert (box / "a").exists()


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_any_checksum_proves_it(s3, box, algorithm):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    s3.delete_objects(Bucket="box", Delete={"Objects": [{"Key": "a"}]}, ChecksumAlgorithm=algorithm)
    assert on_disk(box) == {}


def test_a_bucket_that_is_not_there_is_told(s3, root):
    told = refusal(s3.delete_objects, Bucket="none", Delete={"Objects": [{"Key": "a"}]})
    assert told == (404, "NoSuchBucket")


def test_the_bucket_may_be_asked_for_its_owner(s3, box):
    s3.put_object(Bucket="box", Key="a", Body=b"")
    told = refusal(
        s3.delete_objects,
        Bucket="box",
        Delete={"Objects": [{"Key": "a"}]},
        ExpectedBucketOwner="other",
    )
    assert told == (403, "AccessDenied")
    assert (box / "a").exists()
