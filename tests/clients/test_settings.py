"""Real S3 clients and the settings of buckets: policy, tags, ACL, ownership, public access.

Each has the words for some of them. As in test_clients.py the disk is looked at directly.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.adapters import ClientError
from tests.clients.conftest import Scene

pytestmark = pytest.mark.client

ALL_USERS = "http://acs.amazonaws.com/groups/global/AllUsers"
TAGS = [{"Key": "team", "Value": "tape"}, {"Key": "empty", "Value": ""}]
SWITCHES = {
    "BlockPublicAcls": False,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": False,
    "RestrictPublicBuckets": True,
}


def only(*names: str) -> pytest.MarkDecorator:
    """Clients that know the words of a test."""
    table = [pytest.param("http", name, id=name) for name in names]
    return pytest.mark.parametrize(("scheme", "scene"), table, indirect=True)


def policy(scene: Scene) -> str:
    """A policy that lets everybody read the scene's bucket."""
    statement = {
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{scene.bucket}/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def stored(scene: Scene, name: str) -> bytes | None:
    """A setting of the scene's bucket as it lies on disk."""
    folder = scene.daemon.root / scene.bucket
    return os.getxattr(folder, f"user.{name}") if f"user.{name}" in os.listxattr(folder) else None


def granted(scene: Scene) -> list[tuple[str, str]]:
    """What is granted to others than the owner."""
    acl = json.loads(stored(scene, "acl") or b"{}")
    pairs = [(one["Access"], one["Permission"]) for one in acl["Grantees"]]
    return [pair for pair in pairs if pair[0] != acl["Owner"]]


def sdk_of(scene: Scene) -> Callable[..., Any]:
    """Return what calls an operation, named as in boto3, on the scene's bucket."""

    def call(operation: str, **words: Any) -> Any:
        given: dict[str, Any] = {"Bucket": scene.bucket, **words}
        if scene.name.startswith("boto3"):
            return scene.client.ask("call", name=operation, words=given)  # type: ignore[arg-type]
        name = operation.replace("_", "-")
        options = ("--output", "json", "--cli-input-json", json.dumps(given))
        return json.loads(scene.client.run("s3api", name, *options) or "{}")

    return call


@only("boto3", "boto3-1.26", "aws-1", "aws-2")
def test_all_settings_are_set_read_and_taken_away(scene: Scene) -> None:
    sdk = sdk_of(scene)

    sdk("put_bucket_tagging", Tagging={"TagSet": TAGS})
    assert json.loads(stored(scene, "X-Amz-Tagging") or b"") == {"team": "tape", "empty": ""}
    assert sdk("get_bucket_tagging") == {"TagSet": TAGS}
    sdk("delete_bucket_tagging")
    with pytest.raises(ClientError, match="NoSuchTagSet"):
        sdk("get_bucket_tagging")

    sdk("put_bucket_policy", Policy=policy(scene))
    assert stored(scene, "policy") == policy(scene).encode()
    assert sdk("get_bucket_policy") == {"Policy": policy(scene)}
    assert sdk("get_bucket_policy_status") == {"PolicyStatus": {"IsPublic": True}}
    sdk("delete_bucket_policy")
    with pytest.raises(ClientError, match="NoSuchBucketPolicy"):
        sdk("get_bucket_policy")

    with pytest.raises(ClientError, match="AccessControlListNotSupported"):
        sdk("put_bucket_acl", ACL="public-read")
    rules = {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]}
    sdk("put_bucket_ownership_controls", OwnershipControls=rules)
    assert sdk("get_bucket_ownership_controls") == {"OwnershipControls": rules}

    sdk("put_bucket_acl", ACL="public-read")
    assert granted(scene) == [("all-users", "READ")]
    acl = sdk("get_bucket_acl")
    assert acl["Grants"][1]["Grantee"] == {"Type": "Group", "URI": ALL_USERS}
    grants = [*acl["Grants"][:1], {"Grantee": {"Type": "CanonicalUser", "ID": "bob"}}]
    grants[1]["Permission"] = "WRITE"
    sdk("put_bucket_acl", AccessControlPolicy={"Owner": acl["Owner"], "Grants": grants})
    assert granted(scene) == [("bob", "WRITE")]
    sdk("put_bucket_acl", ACL="private")

    sdk("put_public_access_block", PublicAccessBlockConfiguration=SWITCHES)
    got = sdk("get_public_access_block")
    assert got == {"PublicAccessBlockConfiguration": SWITCHES}
    sdk("delete_public_access_block")
    sdk("delete_bucket_ownership_controls")
    assert stored(scene, "ownership") is None


@only("minio-py")
def test_policy_and_tags_of_minio_py(scene: Scene) -> None:
    scene.client.ask("tag", bucket=scene.bucket, tags={"team": "tape"})  # type: ignore[arg-type]
    assert scene.client.ask("tags", bucket=scene.bucket) == {"team": "tape"}
    scene.client.ask("untag", bucket=scene.bucket)
    assert scene.client.ask("tags", bucket=scene.bucket) is None
    scene.client.ask("open", bucket=scene.bucket, policy=policy(scene))
    assert scene.client.ask("policy", bucket=scene.bucket) == policy(scene)
    scene.client.ask("close", bucket=scene.bucket)
    assert stored(scene, "policy") is None


@only("s3cmd")
def test_policy_and_acl_of_s3cmd(scene: Scene, tmp_path: Path) -> None:
    place, run = f"s3://{scene.bucket}", scene.client.run
    path = tmp_path / "policy.json"
    path.write_text(policy(scene))
    run("setpolicy", str(path), place)
    assert stored(scene, "policy") == policy(scene).encode()
    assert policy(scene) in run("info", place)
    run("delpolicy", place)
    assert stored(scene, "policy") is None

    folder = scene.daemon.root / scene.bucket
    os.setxattr(folder, "user.ownership", b"BucketOwnerPreferred")
    run("setacl", "--acl-public", place)
    assert granted(scene) == [("all-users", "READ")]
    assert "*anon*: READ" in run("info", place)
    run("setacl", "--acl-grant=write:bob", place)
    assert sorted(granted(scene)) == [("all-users", "READ"), ("bob", "WRITE")]
    run("setacl", "--acl-revoke=write:bob", place)
    run("setacl", "--acl-private", place)
    assert granted(scene) == []
