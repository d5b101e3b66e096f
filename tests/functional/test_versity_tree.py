"""A tree that Versity's gateway wrote is served as it is: our answers against those it gave.

``tests/data/versity-tree`` holds the tree and the answers. Where its answer is one of its known
faults AWS's behaviour counts, and ``DIFFERENT`` says so.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from paste.deploy import loadapp

from tests import versity, wire

ANSWERS = json.loads((versity.DATA / "answers.json").read_text())["calls"]
COVERED = {
    "list_buckets", "list_objects", "list_objects_v2", "list_object_versions",
    "get_bucket_cors", "get_bucket_location", "get_bucket_versioning",
    "head_object", "get_object", "get_object_attributes",
    "list_multipart_uploads", "list_parts",
}  # fmt: skip
VERSIONED = {"versioned", "locked"}

# Elements that AWS does not send, or sends with another value: element -> why ours differs.
DIFFERENT = {
    "StorageClass": "AWS leaves x-amz-storage-class out for STANDARD",
    "KeyCount": "counts common prefixes too on AWS",
    "EncodingType": "empty elements are left out by AWS",
    "Delimiter": "empty elements are left out by AWS",
    "ResponseMetadata": "request ids differ",
    "VersionId": "of a bucket with versioning, which this backend serves without its history",
    "DeleteMarkers": "the same",
    "ObjectLockLegalHoldStatus": "of object lock, which this backend honours but does not answer",
    "DisplayName": "not shown",
    "AcceptRanges": "the same",
    "Marker": "echoed",
}

NOTHING = ("", "null")  # what it says where AWS leaves the element out


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Any:
    base = tmp_path_factory.mktemp("versity")
    root = versity.unpack(base)
    credentials = base / "credentials.jsonl"
    credentials.write_text(
        json.dumps(
            {
                "access_key": versity.ACCESS_KEY,
                "secret_key": versity.SECRET_KEY,
                "created_at": 0,
                "enabled": True,
            }
        )
    )
    credentials.chmod(0o600)
    ini = Path(__file__).parents[2] / "etc" / "s3filters.ini"
    app = loadapp(
        f"config:{ini}",
        global_conf={"root": str(root), "credentials": str(credentials), "durability": "none"},
    )
    return wire.client(app, versity.ACCESS_KEY, versity.SECRET_KEY)


def _place(args: dict[str, Any]) -> str:
    return f"{args.get('Bucket', '')}-{str(args.get('Key', ''))[:24]}"


def _cases() -> list[Any]:
    return [
        pytest.param(answer, id=f"{answer['call']}-{_place(answer['args'])}-{number}")
        for number, answer in enumerate(ANSWERS)
        if answer["call"] in COVERED
    ]


def _ask(s3: Any, call: str, args: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    try:
        result = getattr(s3, call)(**args)
    except botocore.exceptions.ClientError as error:
        result = error.response
    status = result["ResponseMetadata"]["HTTPStatusCode"]
    if "Body" in result:
        body = result.pop("Body").read()
        result["BodyLength"], result["BodySHA256"] = len(body), hashlib.sha256(body).hexdigest()
    return status, json.loads(json.dumps(result, default=str))


def _same(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """Return every place where what Versity said is not what we say."""
    if isinstance(theirs, dict):
        return [
            line
            for name, value in theirs.items()
            if name not in DIFFERENT and value not in NOTHING
            for line in _same(
                ours.get(name) if isinstance(ours, dict) else None, value, f"{path}/{name}"
            )
        ]
    if isinstance(theirs, list):
        if not isinstance(ours, list) or len(ours) != len(theirs):
            return [f"{path}: {ours!r} for {theirs!r}"]
        return [
            line
            for number, pair in enumerate(zip(ours, theirs, strict=True))
            for line in _same(*pair, f"{path}/{number}")
        ]
    text = str(theirs).removesuffix("+00:00")
    return [] if str(ours).removesuffix("+00:00") == text else [f"{path}: {ours!r} for {theirs!r}"]


@pytest.mark.parametrize("answer", _cases())
def test_the_answer_is_the_one_that_the_writer_of_the_tree_gave(
    s3: Any, answer: dict[str, Any]
) -> None:
    args = answer["args"]
    if "VersionId" in args and args.get("Bucket") in VERSIONED:
        status, result = _ask(s3, answer["call"], args)
        assert (status, result["Error"]["Code"]) == (404, "NoSuchVersion")
        return
    if args.get("Bucket") in VERSIONED and "Versions" in answer["result"]:
        # One version of each object, the one that is there, under the id "null".
        latest = [version for version in answer["result"]["Versions"] if version["IsLatest"]]
        answer["result"]["Versions"] = latest
    if answer["call"] == "get_object_attributes" and "Checksum" in answer["result"]:
        # Here alone AWS leaves out how many parts a checksum is made of.
        checksum = answer["result"]["Checksum"]
        for name in checksum.keys() - {"ChecksumType"}:
            checksum[name] = checksum[name].partition("-")[0]
    status, result = _ask(s3, answer["call"], args)
    assert status == answer["status"]
    assert _same(result, answer["result"]) == []
