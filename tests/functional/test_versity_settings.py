"""Settings of buckets in a tree that Versity's gateway wrote, and the same ones set by us.

What we answer is what it answered, but for its known faults; what we write is, byte for byte, what
it wrote, where that is not for the order of names in JSON.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from paste.deploy import loadapp

from s3filters.access.grants import EVERYONE
from tests import versity, wire
from tests.functional.asking import Asker
from tests.functional.conftest import INI

COVERED = {
    "get_bucket_acl", "get_bucket_tagging", "get_bucket_policy", "get_bucket_ownership_controls",
}  # fmt: skip
ANSWERS = [
    answer
    for answer in json.loads((versity.DATA / "answers.json").read_text())["calls"]
    if answer["call"] in COVERED
]
BUCKETS = ("plain", "versioned", "locked")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return versity.unpack(tmp_path)


@pytest.fixture
def app(tree: Path) -> Any:
    credentials = tree.parent / "credentials.jsonl"
    key = {"access_key": versity.ACCESS_KEY, "secret_key": versity.SECRET_KEY}
    credentials.touch(0o600)
    credentials.write_text(json.dumps(key | {"created_at": 0, "enabled": True}))
    conf = {"root": str(tree), "credentials": str(credentials), "durability": "none"}
    return loadapp(f"config:{INI}", global_conf=conf)


@pytest.fixture
def s3(app: Any) -> Any:
    return wire.client(app, versity.ACCESS_KEY, versity.SECRET_KEY)


def expected(answer: dict[str, Any]) -> dict[str, Any]:
    """Its answer, with AWS's form of a group and AWS's words of an error."""
    result: dict[str, Any] = json.loads(json.dumps(answer["result"]))
    for grant in result.get("Grants", ()):
        if grant["Grantee"].get("ID") == "all-users":
            grant["Grantee"] = {"Type": "Group", "URI": EVERYONE}
    if "Error" in result:
        result["Error"]["Message"] = result["Error"]["Message"].removesuffix(".")
    return result


def ask(s3: Any, answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    try:
        result = getattr(s3, answer["call"])(**answer["args"])
    except ClientError as error:
        result = error.response
        result["Error"].pop("Resource", None)
    status = result.pop("ResponseMetadata")["HTTPStatusCode"]
    return status, {name: value for name, value in result.items() if name in answer["result"]}


def test_every_answer_is_the_one_that_the_writer_of_the_tree_gave(s3: Any) -> None:
    assert len(ANSWERS) == len(COVERED) * len(BUCKETS)
    for answer in ANSWERS:
        assert ask(s3, answer) == (answer["status"], expected(answer)), answer["call"]


def settings(folder: Path) -> dict[str, bytes]:
    """Attributes that Versity's gateway has for what is set here."""
    names = ("user.acl", "user.ownership", "user.policy", "user.X-Amz-Tagging")
    return {n: os.getxattr(folder, n) for n in names if n in os.listxattr(folder)}


def test_what_is_read_and_set_again_lies_there_as_its_writer_laid_it(s3: Any, tree: Path) -> None:
    before = {name: settings(tree / name) for name in BUCKETS}
    got = s3.get_bucket_acl(Bucket="plain")
    acl = {"Owner": got["Owner"], "Grants": got["Grants"]}
    tags = {"TagSet": s3.get_bucket_tagging(Bucket="plain")["TagSet"]}
    text = s3.get_bucket_policy(Bucket="plain")["Policy"]
    controls = s3.get_bucket_ownership_controls(Bucket="plain")["OwnershipControls"]
    s3.delete_bucket_policy(Bucket="plain")
    s3.delete_bucket_tagging(Bucket="plain")
    s3.delete_bucket_ownership_controls(Bucket="plain")
    s3.put_bucket_acl(Bucket="plain", ACL="private")
    assert settings(tree / "plain").keys() == {"user.acl"}
    s3.put_bucket_acl(Bucket="plain", AccessControlPolicy=acl)
    s3.put_bucket_tagging(Bucket="plain", Tagging=tags)
    s3.put_bucket_policy(Bucket="plain", Policy=text)
    s3.put_bucket_ownership_controls(Bucket="plain", OwnershipControls=controls)
    assert {name: settings(tree / name) for name in BUCKETS} == before


def test_a_new_bucket_is_described_as_its_writer_describes_one(s3: Any, tree: Path) -> None:
    s3.create_bucket(Bucket="new")
    assert settings(tree / "new") == settings(tree / "locked")
    header = {"ACL": "public-read", "ObjectOwnership": "BucketOwnerPreferred"}
    s3.create_bucket(Bucket="open", **header)
    theirs = settings(tree / "plain")
    assert settings(tree / "open") == {n: theirs[n] for n in ("user.acl", "user.ownership")}


def test_its_grants_and_its_policy_count(app: Any) -> None:
    def read(target: str) -> tuple[int, str]:
        answer = Asker(app)("GET", target, sign=False)
        return answer.status, answer.code

    assert read("/plain") == (200, "")  # granted to everyone
    assert read("/plain/nothing") == (404, "NoSuchKey")
    assert read("/plain/dir/sub/deep.bin") == (200, "")  # opened by the policy
    assert read("/plain/a.txt") == (403, "AccessDenied")
    assert read("/versioned") == (403, "AccessDenied")
    assert read("/plain?policy") == (403, "AccessDenied")
