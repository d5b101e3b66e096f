import pytest

from s3filters.access import actions
from s3filters.s3 import table
from s3filters.s3.call import Call


def test_every_action_is_on_buckets_or_on_objects():
    assert not actions.OF_OBJECTS & actions.OF_BUCKETS
    assert actions.OF_OBJECTS | actions.OF_BUCKETS | {actions.LIST_BUCKETS} == actions.KNOWN


def test_an_operation_on_a_key_asks_for_an_action_on_objects():
    for row in table.OPERATIONS.values():
        if row.permission in actions.KNOWN and row.level == "object" and row.method != "OPTIONS":
            assert row.permission in actions.OF_OBJECTS, row.name


def test_tables_name_known_actions_of_their_kind():
    assert set(actions.BY_OBJECT_ACL) <= actions.OF_OBJECTS
    assert actions.OF_OBJECT_OWNER | actions.OF_BUCKET_OWNER <= actions.OF_OBJECTS
    assert set(actions.BY_BUCKET_ACL) <= actions.KNOWN
    assert actions.OF_POLICY <= actions.OF_BUCKETS


@pytest.mark.parametrize(
    ("operation", "environ", "version", "wanted"),
    [
        ("GetObject", {}, None, ["GetObject"]),
        ("GetObject", {}, "v", ["GetObjectVersion"]),
        ("GetObject", {"HTTP_X_AMZ_ACL": "x"}, None, ["GetObject"]),
        ("HeadBucket", {}, None, ["ListBucket"]),
        ("GetObjectAttributes", {}, None, ["GetObject", "GetObjectAttributes"]),
        ("GetObjectAttributes", {}, "v", ["GetObjectVersion", "GetObjectVersionAttributes"]),
        ("DeleteObject", {}, "v", ["DeleteObjectVersion"]),
        ("PutObjectAcl", {}, "v", ["PutObjectVersionAcl"]),
        ("GetObjectRetention", {}, "v", ["GetObjectRetention"]),
        ("PutObject", {}, None, ["PutObject"]),
        ("PutObject", {"HTTP_X_AMZ_ACL": "private"}, None, ["PutObject", "PutObjectAcl"]),
        ("PutObject", {"HTTP_X_AMZ_TAGGING": ""}, None, ["PutObject"]),
        (
            "CreateMultipartUpload",
            {
                "HTTP_X_AMZ_GRANT_READ": "id=a",
                "HTTP_X_AMZ_GRANT_WRITE": "id=a",
                "HTTP_X_AMZ_TAGGING": "a=b",
                "HTTP_X_AMZ_OBJECT_LOCK_LEGAL_HOLD": "ON",
                "HTTP_X_AMZ_OBJECT_LOCK_MODE": "GOVERNANCE",
            },
            None,
            [
                "PutObject",
                "PutObjectAcl",
                "PutObjectTagging",
                "PutObjectRetention",
                "PutObjectLegalHold",
            ],
        ),
    ],
)
def test_an_operation_needs_its_actions(operation, environ, version, wanted):
    found = actions.of_call(Call(operation, version_id=version), environ)
    assert found == tuple(f"s3:{name}" for name in wanted)


def test_versions_are_read_and_deleted_by_actions_of_their_own():
    assert actions.of_source(None) == "s3:GetObject"
    assert actions.of_source("v") == "s3:GetObjectVersion"
    assert actions.of_deletion(None) == "s3:DeleteObject"
    assert actions.of_deletion("v") == "s3:DeleteObjectVersion"
