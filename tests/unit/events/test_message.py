"""The message: AWS's documented structure, name for name."""

import json
import re
from urllib.parse import unquote_plus

import pytest

from s3filters.events.message import COMPLETED, DELETE, POST, Event, encode

# AWS User Guide, "Event message structure": names and kinds of values, without what only PUT,
# DELETE and versions have (sequencer, versionId).
WORDS, NUMBER = str, int
STRUCTURE = {
    "eventVersion": WORDS,
    "eventSource": WORDS,
    "awsRegion": WORDS,
    "eventTime": WORDS,
    "eventName": WORDS,
    "userIdentity": {"principalId": WORDS},
    "requestParameters": {"sourceIPAddress": WORDS},
    "responseElements": {"x-amz-request-id": WORDS, "x-amz-id-2": WORDS},
    "s3": {
        "s3SchemaVersion": WORDS,
        "configurationId": WORDS,
        "bucket": {"name": WORDS, "ownerIdentity": {"principalId": WORDS}, "arn": WORDS},
        "object": {"key": WORDS, "size": NUMBER, "eTag": WORDS},
    },
}
RESTORED = {
    "glacierEventData": {
        "restoreEventData": {
            "lifecycleRestorationExpiryTime": WORDS,
            "lifecycleRestoreStorageClass": WORDS,
        }
    }
}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def event(name=POST, **more):
    said = {
        "moment_s": 1_700_000_000.0625,
        "region": "eu-west-1",
        "bucket": "box",
        "owner": "the owner",
        "key": "a/key",
        "size": 10,
        "etag": "0123",
        "cause": "17",
        "end_s": 86400,
        "storage_class": "DEEP_ARCHIVE",
    }
    return Event(name, **(said | more))


def record(told):
    (found,) = json.loads(encode(told))["Records"]
    return found


def kinds(value):
    if isinstance(value, dict):
        return {name: kinds(one) for name, one in value.items()}
    return type(value)


@pytest.mark.parametrize("name", [POST, DELETE])
def test_a_message_has_the_documented_structure(name):
    assert kinds(record(event(name))) == STRUCTURE


def test_one_of_a_completed_restore_tells_of_the_copy_too():
    found = record(event(COMPLETED))
    assert kinds(found) == STRUCTURE | RESTORED
    assert found["glacierEventData"]["restoreEventData"] == {
        "lifecycleRestorationExpiryTime": "1970-01-02T00:00:00.000Z",
        "lifecycleRestoreStorageClass": "DEEP_ARCHIVE",
    }


def test_a_message_says_what_happened():
    found = record(event(request_id="REQ", principal="who", address="192.0.2.1"))
    assert (found["eventVersion"], found["eventSource"]) == ("2.3", "aws:s3")
    assert found["eventName"] == "ObjectRestore:Post"  # without the s3: of configurations
    assert found["eventTime"] == "2023-11-14T22:13:20.062Z"
    assert MOMENT.fullmatch(found["eventTime"])
    assert found["awsRegion"] == "eu-west-1"
    assert found["userIdentity"] == {"principalId": "who"}
    assert found["requestParameters"] == {"sourceIPAddress": "192.0.2.1"}
    assert found["responseElements"]["x-amz-request-id"] == "REQ"
    assert found["s3"]["bucket"] == {
        "name": "box",
        "ownerIdentity": {"principalId": "the owner"},
        "arn": "arn:aws:s3:::box",
    }
    assert found["s3"]["object"] == {"key": "a/key", "size": 10, "eTag": "0123"}


@pytest.mark.parametrize("key", ["a b+c", "ä/ö", "line\nfeed", 'quote"', "%41", "x" * 1024])
def test_a_key_is_encoded_as_in_a_url(key):
    said = record(event(key=key))["s3"]["object"]["key"]
    assert unquote_plus(said) == key
    assert said.isascii()
    assert " " not in said


def test_a_blank_in_a_key_is_a_plus():
    assert record(event(key="red flower.jpg"))["s3"]["object"]["key"] == "red+flower.jpg"


def test_a_message_is_one_line():
    assert b"\n" not in encode(event(key="a\nb"))


def test_the_same_event_told_later_is_the_same():
    one, later = event(), event(moment_s=1_800_000_000.0, request_id="other")
    assert one.id == later.id
    assert re.fullmatch("[0-9a-f]{64}", one.id)
    assert record(one)["responseElements"]["x-amz-id-2"] == one.id


@pytest.mark.parametrize("other", [{"key": "b"}, {"bucket": "tox"}, {"cause": "18"}])
def test_another_cause_or_object_is_another_event(other):
    assert event(**other).id != event().id


def test_another_name_is_another_event():
    assert len({event(name).id for name in (POST, COMPLETED, DELETE)}) == 3
