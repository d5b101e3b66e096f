"""What Versity's gateway promised to keep, versions and locked objects, is kept through S3 too."""

import json
import os
import shutil

import pytest

from tests import versity, wire
from tests.functional.asking import LARGE, Asker, body_of, on_disk, refusal
from tests.raw import Signer


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return versity.unpack(tmp_path_factory.mktemp("versity"))


@pytest.fixture
def served_app(written, make_app, root, tmp_path):
    """The pipeline over the buckets ``versioned`` and ``locked`` of the tree."""
    for bucket in ("versioned", "locked"):
        shutil.copytree(written / bucket, root / bucket)
    line = {"access_key": versity.ACCESS_KEY, "secret_key": versity.SECRET_KEY}
    credentials = tmp_path / "keys.jsonl"
    credentials.touch(0o600)
    credentials.write_text(json.dumps({**line, "created_at": 0, "enabled": True}))
    return make_app(credentials=str(credentials))


@pytest.fixture
def served(served_app):
    """A client of it."""
    return wire.client(served_app, versity.ACCESS_KEY, versity.SECRET_KEY)


def ways(s3, bucket, key):
    """Return the calls that would take the object away."""
    target = {"Bucket": bucket, "Key": key}
    source = {"CopySource": "versioned/alive", "StorageClass": "STANDARD_IA"}
    return {
        "put": lambda: s3.put_object(**target, Body=b"new"),
        "long put": lambda: s3.put_object(**target, Body=LARGE),
        "put if match": lambda: s3.put_object(**target, Body=b"new", IfMatch="*"),
        "copy": lambda: s3.copy_object(**target, **source),
        "delete": lambda: s3.delete_object(**target),
        "delete if match": lambda: s3.delete_object(**target, IfMatch="*"),
        "delete version": lambda: s3.delete_object(**target, VersionId="null"),
    }


def kept(s3, root, bucket, key, error):
    before = on_disk(root)
    for name, call in ways(s3, bucket, key).items():
        assert refusal(call) == error, name
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key}]})
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [(key, error[1])]
    assert on_disk(root) == before


NOT_IMPLEMENTED, DENIED = (501, "NotImplemented"), (403, "AccessDenied")


def test_an_object_with_versions_is_kept(served, root):
    kept(served, root, "versioned", "alive", NOT_IMPLEMENTED)
    assert body_of(served, "alive", bucket="versioned") == b"2"


def test_a_held_object_is_kept(served, root):
    kept(served, root, "locked", "held", DENIED)


def test_a_retained_object_is_kept(served, root):
    retention = {"Mode": "COMPLIANCE", "RetainUntilDate": "2999-01-01T00:00:00Z"}
    path = root / "locked/kept"
    os.setxattr(path, "user.object-retention", json.dumps(retention).encode())
    kept(served, root, "locked", "kept", DENIED)


def test_an_object_that_the_buckets_rule_retains_is_kept(served, root):
    os.utime(root / "locked/kept")  # a day from now on
    kept(served, root, "locked", "kept", DENIED)


def test_the_message_says_why(served):
    with pytest.raises(served.exceptions.ClientError, match="WORM protected: a legal hold is on"):
        served.delete_object(Bucket="locked", Key="held")
    with pytest.raises(served.exceptions.ClientError, match="versions, which are not implemented"):
        served.delete_object(Bucket="versioned", Key="alive")


def test_a_deleted_object_is_not_there_and_its_place_is_kept(served, root):
    before = on_disk(root)
    assert refusal(served.get_object, Bucket="versioned", Key="doc") == (404, "NoSuchKey")
    assert refusal(served.put_object, Bucket="versioned", Key="doc", Body=b"x") == NOT_IMPLEMENTED
    served.delete_object(Bucket="versioned", Key="doc")
    assert on_disk(root) == before


@pytest.mark.parametrize("bucket", ["versioned", "locked"])
def test_a_new_object_is_made_once(served, bucket, data):
    served.put_object(Bucket=bucket, Key="new/key", Body=data)
    served.put_object(Bucket=bucket, Key="d/")
    assert body_of(served, "new/key", bucket=bucket) == data
    again = refusal(served.put_object, Bucket=bucket, Key="new/key", Body=data)
    assert again == (NOT_IMPLEMENTED if bucket == "versioned" else DENIED)
    again = refusal(served.put_object, Bucket=bucket, Key="d/", Metadata={"a": "b"})
    assert again == (NOT_IMPLEMENTED if bucket == "versioned" else DENIED)


def test_a_long_upload_is_refused_before_its_body_is_read(served_app):
    class Silent:
        def readinto(self, view):
            raise AssertionError("the body was read")

    ask = Asker(served_app)
    ask.signer = Signer(ask.host, versity.ACCESS_KEY, versity.SECRET_KEY)
    silent = {"length": 1 << 20, "environ": {"wsgi.input": Silent()}}
    assert ask("PUT", "/versioned/alive", b"x", **silent).code == "NotImplemented"
    assert ask("PUT", "/locked/held", b"x", **silent).code == "AccessDenied"


def test_both_buckets_say_that_versioning_is_enabled(served):
    for bucket in ("versioned", "locked"):
        assert served.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


def test_where_versioning_is_suspended_an_object_without_version_is_replaced(served, root):
    os.setxattr(root / "versioned", "user.versioning", b"\x00")
    served.put_object(Bucket="versioned", Key="plain", Body=b"1")
    served.put_object(Bucket="versioned", Key="plain", Body=b"2")
    served.delete_object(Bucket="versioned", Key="plain")
    kept(served, root, "versioned", "alive", NOT_IMPLEMENTED)


def test_an_object_of_a_bucket_without_rules_is_copied_without_its_locks(served, root):
    served.create_bucket(Bucket="free")
    served.copy_object(Bucket="free", Key="held", CopySource="locked/held")
    assert not {"user.object-legal-hold", "user.version-id"} & set(os.listxattr(root / "free/held"))
    served.delete_object(Bucket="free", Key="held")
