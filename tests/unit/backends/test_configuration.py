"""Settings of buckets before a backend alone: without ``acl``, which decides by most of them."""

import io

import pytest

from s3filters import offload
from s3filters.backends.base import answer
from s3filters.backends.fs import FsBackend
from s3filters.s3.body import Body
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error

TAGS = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"


@pytest.fixture
def backend(tmp_path):
    made = FsBackend.at(str(tmp_path), offload, "us-east-1", durability="none")
    made.store.create_bucket("box", "owner")
    yield made
    made.store.close()


def ask(backend, operation, body=None, **params):
    call = Call(operation, "box", params=params)
    if body is not None:
        call.body = Body(io.BytesIO(body), len(body))
    return answer(backend, call)


def stored(backend, name):
    return backend.store.bucket("box").settings.get(name)


@pytest.mark.parametrize(
    "operation",
    [
        "PutBucketPolicy",
        "PutBucketAcl",
        "PutBucketOwnershipControls",
        "PutPublicAccessBlock",
    ],
)
def test_what_nobody_would_decide_by_is_not_taken(backend, operation):
    before = dict(backend.store.bucket("box").settings)
    with pytest.raises(S3Error, match="needs the acl filter") as caught:
        ask(backend, operation, b"{}")
    assert caught.value.code == "NotImplemented"
    assert dict(backend.store.bucket("box").settings) == before


def test_tags_are_for_whoever_reads_them(backend):
    assert ask(backend, "PutBucketTagging", TAGS).status_code == 204
    assert b"<Key>a</Key><Value>1</Value>" in ask(backend, "GetBucketTagging").body
    assert ask(backend, "DeleteBucketTagging").status_code == 204
    assert stored(backend, "tagging") is None


def test_what_was_set_before_is_shown_and_can_be_taken_away(backend):
    backend.store.configure_bucket("box", lambda record: {"policy": b"{}"})
    assert ask(backend, "GetBucketPolicy").body == b"{}"
    assert b"<ID>owner</ID>" in ask(backend, "GetBucketAcl").body
    assert b"BucketOwnerEnforced" in ask(backend, "GetBucketOwnershipControls").body
    assert ask(backend, "DeleteBucketPolicy").status_code == 204
    assert ask(backend, "DeleteBucketOwnershipControls").status_code == 204
    assert ask(backend, "DeletePublicAccessBlock").status_code == 204
    assert backend.store.bucket("box").settings.keys() == {"acl"}


@pytest.mark.parametrize(
    ("operation", "body"),
    [("GetBucketTagging", None), ("PutBucketTagging", TAGS), ("DeleteBucketTagging", None)],
)
def test_an_owner_that_is_not_expected_is_told_nothing(backend, operation, body):
    backend.store.configure_bucket("box", lambda record: {"tagging": b'{"old":"1"}'})
    with pytest.raises(S3Error, match="AccessDenied"):
        ask(backend, operation, body, ExpectedBucketOwner="somebody")
    assert stored(backend, "tagging") == b'{"old":"1"}'


def test_a_check_is_asked_with_the_bucket_as_it_is_and_its_refusal_changes_nothing(backend):
    seen = []

    def check(record):
        seen.append(record.settings.get("tagging"))
        if len(seen) == 2:
            raise S3Error("AccessDenied")

    for body in (TAGS, TAGS.replace(b"1", b"2")):
        call = Call("PutBucketTagging", "box", body=Body(io.BytesIO(body), len(body)))
        call.checks.append(check)
        if seen:
            with pytest.raises(S3Error, match="AccessDenied"):
                answer(backend, call)
        else:
            answer(backend, call)
    assert seen == [None, b'{"a":"1"}']
    assert stored(backend, "tagging") == b'{"a":"1"}'


@pytest.mark.parametrize(
    "operation",
    ["GetBucketPolicy", "GetBucketAcl", "DeleteBucketTagging", "GetBucketPolicyStatus"],
)
def test_a_bucket_that_is_not_there_has_nothing_set(backend, operation):
    backend.store.delete_bucket("box")
    with pytest.raises(S3Error, match="NoSuchBucket:"):
        ask(backend, operation)
