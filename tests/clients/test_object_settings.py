"""Real S3 clients and what is kept beside an object: its tags and its ACL."""

from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote

import pytest

from tests.clients.adapters import ClientError
from tests.clients.conftest import Scene
from tests.clients.test_settings import ALL_USERS, TAGS, only, sdk_of

pytestmark = pytest.mark.client

KEY = "notes/a b.txt"


def put(scene: Scene, key: str = KEY) -> None:
    """Make an object, in a bucket where ACLs count."""
    os.setxattr(scene.daemon.root / scene.bucket, "user.ownership", b"BucketOwnerPreferred")
    path = f"/{scene.bucket}/{quote(key)}"
    with scene.daemon.connect() as connection:
        assert connection.ask("PUT", path, b"hello").status == 200


def stored(scene: Scene, name: str, key: str = KEY) -> dict[str, object] | None:
    """A JSON attribute of an object as it lies on disk."""
    path = scene.on_disk(key)
    if f"user.{name}" not in os.listxattr(path):
        return None
    found: dict[str, object] = json.loads(os.getxattr(path, f"user.{name}"))
    return found


def public(scene: Scene, key: str = KEY) -> bool:
    """Whether everybody can read the object."""
    path = quote(f"/{scene.bucket}/{key}")
    try:
        with urllib.request.urlopen(f"{scene.daemon.url}{path}", timeout=10) as answer:
            return bool(answer.read() == b"hello")
    except HTTPError as error:
        error.close()
        assert error.code == 403
        return False


@only("boto3", "boto3-1.26", "aws-1", "aws-2")
def test_tags_and_acl_are_set_read_and_taken_away(scene: Scene) -> None:
    sdk = sdk_of(scene)
    put(scene)
    sdk("put_object_tagging", Key=KEY, Tagging={"TagSet": TAGS})
    assert stored(scene, "X-Amz-Tagging") == {"team": "tape", "empty": ""}
    got = sdk("get_object_tagging", Key=KEY)
    assert sorted(got["TagSet"], key=str) == sorted(TAGS, key=str)
    sdk("delete_object_tagging", Key=KEY)
    assert stored(scene, "X-Amz-Tagging") is None
    with pytest.raises(ClientError, match="NoSuchKey"):
        sdk("get_object_tagging", Key="none")
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    with pytest.raises(ClientError, match="InvalidTag"):
        sdk("put_object_tagging", Key=KEY, Tagging={"TagSet": twice})

    assert not public(scene)
    sdk("put_object_acl", Key=KEY, ACL="public-read")
    assert public(scene)
    acl = sdk("get_object_acl", Key=KEY)
    assert acl["Grants"][1]["Grantee"] == {"Type": "Group", "URI": ALL_USERS}
    bob = {"Grantee": {"Type": "CanonicalUser", "ID": "bob"}, "Permission": "READ_ACP"}
    chosen = {"Owner": acl["Owner"], "Grants": [*acl["Grants"][:1], bob]}
    sdk("put_object_acl", Key=KEY, AccessControlPolicy=chosen)
    assert sdk("get_object_acl", Key=KEY)["Grants"] == chosen["Grants"]
    assert not public(scene)
    with pytest.raises(ClientError, match="InvalidArgument"):
        sdk("put_object_acl", Key=KEY, GrantRead="id=nobody")
    sdk("put_object_acl", Key=KEY, GrantRead=f'uri="{ALL_USERS}"')
    assert public(scene)


@only("s3cmd")
def test_an_acl_of_s3cmd(scene: Scene, tmp_path: Path) -> None:
    place, run = f"s3://{scene.bucket}/{KEY}", scene.client.run
    put(scene)
    run("setacl", "--acl-public", place)
    assert public(scene)
    assert "*anon*: READ" in run("info", place)
    run("setacl", "--acl-grant=read:bob", place)
    assert "bob: READ" in run("info", place)
    run("setacl", "--acl-private", place)
    assert not public(scene)
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    run("put", "--acl-public", str(path), f"s3://{scene.bucket}/public")
    assert public(scene, "public")
