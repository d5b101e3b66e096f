"""What Versity's gateway promised to keep stays, whoever asks; all else is asked in vain."""

import errno
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from s3filters.store import errors
from tests.unit.store.conftest import BUCKET, attributes

ENABLED, SUSPENDED = b"\x01", b"\x00"


def set_on(path, **values):
    for name, value in values.items():
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        os.setxattr(path, "user." + name.replace("_", "-"), raw)


def in_days(days):
    return (datetime.now(UTC) + timedelta(days=days)).isoformat().replace("+00:00", "Z")


def ways(box, key):
    """Every verb that takes away what the key has."""

    def long_put():
        with box.store.draft(BUCKET, key) as draft:
            draft.write(b"other")
            draft.commit(attributes())

    return {
        "put": lambda: box.put(key, b"other"),
        "put with a check": lambda: box.put(key, b"other", check=lambda record: None),
        "long put": long_put,
        "delete": lambda: box.delete(key),
    }


def refused(box, key, error):
    before = os.listxattr(box.path / key), (box.path / key).stat()
    for verb in ways(box, key).values():
        with pytest.raises(error):
            verb()
    assert (os.listxattr(box.path / key), (box.path / key).stat()) == before
    assert box.on_their_way() == []


@pytest.fixture
def kept(box):
    box.put("kept")
    return box.path / "kept"


def test_an_object_with_a_version_id_is_neither_replaced_nor_deleted(box, kept, no_open_files):
    set_on(kept, version_id=b"01M7YK9ACH8S54BDGB4GKZCR01")
    refused(box, "kept", errors.NotImplemented)


def test_nothing_is_replaced_or_deleted_where_versioning_is_enabled(box, kept, no_open_files):
    set_on(box.path, versioning=ENABLED)
    refused(box, "kept", errors.NotImplemented)


def test_where_versioning_is_suspended_what_has_no_version_may_go(box, kept):
    set_on(box.path, versioning=SUSPENDED)
    for verb in ways(box, "kept").values():
        verb()
    assert box.files() == []


def test_a_new_key_is_made_where_versioning_is_enabled(box):
    set_on(box.path, versioning=ENABLED)
    box.put("new/one")
    assert box.get("new/one") == b"hello"


def test_a_delete_marker_is_kept_for_its_versions(box, kept):
    set_on(kept, version_id=b"01M7YK9ACH8S54BDGB4GKZCR01", delete_marker=b"")
    with pytest.raises(errors.NotImplemented):
        box.put("kept")
    assert box.delete("kept") is False
    assert kept.exists()


def test_an_object_under_legal_hold_is_kept(box, kept):
    set_on(kept, object_legal_hold=b"\x01")
    refused(box, "kept", errors.AccessDenied)


def test_a_legal_hold_that_is_off_is_none(box, kept):
    set_on(kept, object_legal_hold=b"\x00")
    assert box.delete("kept")


@pytest.mark.parametrize(
    "retention",
    [
        {"Mode": "COMPLIANCE", "RetainUntilDate": in_days(1)},
        {"Mode": "GOVERNANCE", "RetainUntilDate": "2999-01-01T00:00:00.123456789Z"},
        {"Mode": "GOVERNANCE", "RetainUntilDate": "2999-01-01T00:00:00"},
        {"Mode": "GOVERNANCE", "RetainUntilDate": "some day"},
        {"Mode": "GOVERNANCE"},
        [],
        b"no json",
    ],
)
def test_a_retained_object_is_kept_also_when_nobody_can_tell_until_when(box, kept, retention):
    set_on(kept, object_retention=retention)
    refused(box, "kept", errors.AccessDenied)


def test_a_retention_that_is_over_is_none_whatever_the_buckets_rule_says(box, kept):
    set_on(kept, object_retention={"Mode": "COMPLIANCE", "RetainUntilDate": in_days(-1)})
    set_on(box.path, bucket_lock={"Enabled": True, "DefaultRetention": {"Days": 9}})
    assert box.delete("kept")


RULES = {  # rule, days since the object was made -> is it kept?
    "young object": ({"Days": 2, "Years": None}, None, 1, True),
    "old object": ({"Days": 2, "Years": None}, None, 3, False),
    "old object, new rule": ({"Days": 2, "Years": None}, in_days(-1), 3, True),
    "old object, old rule": ({"Days": 2, "Years": None}, in_days(-3), 4, False),
    "years": ({"Days": None, "Years": 1}, None, 364, True),
    "no rule": (None, in_days(0), 0, False),
    "no number": ({"Days": "many"}, None, 0, True),
    "no end": ({"Days": 10**9}, None, 0, True),
}


@pytest.mark.parametrize("name", RULES)
def test_the_buckets_default_counts_for_what_has_no_retention_of_its_own(box, kept, name):
    rule, created, age_days, is_kept = RULES[name]
    set_on(box.path, bucket_lock={"Enabled": True, "DefaultRetention": rule, "CreatedAt": created})
    made = kept.stat().st_mtime - age_days * 86400
    os.utime(kept, (made, made))
    if is_kept:
        refused(box, "kept", errors.AccessDenied)
    else:
        assert box.delete("kept")


def test_a_directory_object_keeps_its_marks(box):
    box.store.put_directory(BUCKET, "d/", attributes())
    set_on(box.path, versioning=ENABLED)
    with pytest.raises(errors.NotImplemented):
        box.store.put_directory(BUCKET, "d/", attributes(etag="0" * 32))
    with pytest.raises(errors.NotImplemented):
        box.delete("d/")
    assert box.head("d/").etag == attributes().etag


def test_a_directory_that_is_no_object_yet_becomes_one(box):
    (box.path / "d").mkdir()
    set_on(box.path, versioning=ENABLED)
    box.store.put_directory(BUCKET, "d/", attributes())
    assert box.head("d/").is_directory


def test_a_condition_that_fails_is_told_first(box, kept):
    set_on(kept, object_legal_hold=b"\x01")

    class Refused(Exception):
        pass

    def check(_record):
        raise Refused

    with pytest.raises(Refused):
        box.put("kept", check=check)
    with pytest.raises(Refused):
        box.delete("kept", check)


def test_only_if_absent_finds_what_is_there(box, kept):
    set_on(kept, object_legal_hold=b"\x01")
    with pytest.raises(errors.AlreadyExists):
        box.put("kept", only_if_absent=True)


def test_a_file_system_without_attributes_promises_nothing(box, kept, monkeypatch):
    real = os.listxattr

    def without(target, **options):
        if isinstance(target, bytes):
            raise OSError(errno.ENOTSUP, "no")
        return real(target, **options)

    monkeypatch.setattr(os, "listxattr", without)
    assert box.delete("kept")


def test_a_buckets_state_is_known(box):
    assert box.store.bucket(BUCKET).versioning == ""
    for value, state in ((ENABLED, "Enabled"), (SUSPENDED, "Suspended")):
        set_on(box.path, versioning=value)
        assert box.store.bucket(BUCKET).versioning == state
