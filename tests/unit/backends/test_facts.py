"""What acl is told of buckets and objects."""

import os
from types import SimpleNamespace

import pytest

from s3filters.backends.fs import FsBackend
from s3filters.s3.errors import S3Error


class Offload:
    """Runs what may block at once, and counts it."""

    def __init__(self):
        self.count = 0

    def run(self, function, *args):
        self.count += 1
        return function(*args)


@pytest.fixture
def backend(tmp_path):
    made = FsBackend.at(str(tmp_path), Offload(), "us-east-1", durability="none")
    made.store.create_bucket("box", "owner")
    return made


def test_a_bucket_of_this_machine_is_looked_up_at_once(backend):
    assert backend.bucket_record("box").owner == "owner"
    assert backend.offload.count == 0


def test_a_bucket_elsewhere_is_looked_up_where_waiting_is_allowed(backend):
    backend.store.local = False
    assert backend.bucket_record("box").owner == "owner"
    assert backend.offload.count == 1


def test_a_change_is_seen_by_the_next_look_up(backend, tmp_path):
    for number in range(20):
        policy = str(number).encode()
        os.setxattr(tmp_path / "box", "user.policy", policy)
        assert backend.bucket_record("box").settings["policy"] == policy


@pytest.mark.parametrize("name", ["nowhere", "..", ".sgwtmp", "box/..", ""])
def test_what_is_no_bucket_is_said_in_the_words_of_s3(backend, name):
    with pytest.raises(S3Error) as caught:
        backend.bucket_record(name)
    assert caught.value.code == "NoSuchBucket"


@pytest.mark.parametrize(
    ("raw", "tags"),
    [
        (b"", {}),
        (b'{"a":"b","c":""}', {"a": "b", "c": ""}),
        (b"nonsense", {}),
        (b'["a"]', {}),
    ],
)
def test_tags_are_what_is_stored_and_none_where_that_cannot_be_read(backend, raw, tags):
    assert backend.object_tags(SimpleNamespace(tagging=raw)) == tags
