import logging
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from s3filters.s3 import table
from s3filters.s3.errors import S3Error
from s3filters.s3.operations import COPY_SOURCE, ROUTE, ROWS
from s3filters.s3.row import BUCKET, OBJECT, SERVICE

# Old names of operations that a newer one of the same request replaced
REPLACED = {
    "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    "PutBucketLifecycle": "PutBucketLifecycleConfiguration",
    "GetBucketNotification": "GetBucketNotificationConfiguration",
    "PutBucketNotification": "PutBucketNotificationConfiguration",
}
# AWS documents these, and no SDK has them
NOT_OF_SDKS = {"PostObject", "OptionsObject", "OptionsBucket"}
HEADER = {"CopyObject": COPY_SOURCE, "UploadPartCopy": COPY_SOURCE, "WriteGetObjectResponse": ROUTE}
EXTRA = {"GetObjectAttributes": {"HTTP_X_AMZ_OBJECT_ATTRIBUTES": "ETag"}}


def model():
    lines = (Path(__file__).parent / "operations.txt").read_text().splitlines()
    return [line.split() for line in lines if not line.startswith("#")]


def route(method, level, query="", **environ):
    return table.route(method, level, dict(parse_qsl(query, keep_blank_values=True)), environ)


def refusal(method, level, query="", **environ):
    with pytest.raises(S3Error) as caught:
        route(method, level, query, **environ)
    return caught.value


@pytest.mark.parametrize(("name", "method", "level", "query"), model())
def test_every_operation_of_the_sdks_has_its_row(name, method, level, query):
    if name == "ListDirectoryBuckets":
        query = "max-directory-buckets=5"
    environ = {HEADER[name]: "/b/k"} if name in HEADER else {}
    row, _ = route(method, level, "" if query == "-" else query, **environ, **EXTRA.get(name, {}))
    assert row.name == REPLACED.get(name, name)


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_every_row_is_reached_by_its_own_demands(row):
    query = "&".join(word if "=" in word else f"{word}=1" for word in row.words)
    environ = {row.header: "/b/k"} if row.header else {}
    found, _ = route(row.method, row.level, query, **environ, **EXTRA.get(row.name, {}))
    assert found is row


def test_every_row_is_one_operation_of_aws():
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names))
    assert set(names) == {row[0] for row in model()} - REPLACED.keys() | NOT_OF_SDKS


def test_every_row_says_which_permission_it_needs():
    for row in ROWS:
        assert row.permission.partition(":")[0] in ("s3", "s3express", "s3-object-lambda")


@pytest.mark.parametrize(
    ("method", "level", "query"),
    [
        ("DELETE", BUCKET, "uploads"),
        ("DELETE", BUCKET, "acl"),
        ("PUT", BUCKET, "location"),
        ("PUT", OBJECT, "uploads"),
        ("PUT", OBJECT, "uploadId=x"),
        ("DELETE", OBJECT, "acl"),
        ("POST", BUCKET, "acl"),
        ("HEAD", OBJECT, "uploadId=x"),
        ("POST", OBJECT, ""),
        ("POST", SERVICE, ""),
    ],
)
def test_a_word_of_another_method_is_never_ignored(method, level, query):
    assert refusal(method, level, query).code == "MethodNotAllowed"


def test_an_unknown_method_is_refused_with_those_that_are_allowed():
    error = refusal("BREW", BUCKET)
    assert (error.code, error.status) == ("MethodNotAllowed", 405)
    assert error.detail == {"Method": "BREW", "ResourceType": "BUCKET"}
    assert dict(error.headers)["Allow"] == "DELETE, GET, HEAD, OPTIONS, POST, PUT"


def test_two_sub_resources_conflict():
    error = refusal("GET", BUCKET, "acl&versions")
    assert (error.code, error.detail["ArgumentValue"]) == ("InvalidArgument", "acl, versions")


def test_a_part_number_alone_never_replaces_the_object():
    assert refusal("PUT", OBJECT, "partNumber=1").code == "InvalidArgument"


def test_the_other_listing_type_is_refused():
    assert route("GET", BUCKET, "list-type=2")[0].name == "ListObjectsV2"
    assert refusal("GET", BUCKET, "list-type=3").detail["ArgumentName"] == "list-type"


def test_unknown_words_have_no_effect_and_are_noted_once(caplog):
    with caplog.at_level(logging.DEBUG, "s3filters.s3.table"):
        for _ in range(2):
            assert route("GET", OBJECT, "x-id=GetObject&colour=red")[0].name == "GetObject"
    assert [record.getMessage() for record in caplog.records] == [
        "GetObject: query word 'colour' is not known and has no effect"
    ]


def test_listings_have_defaults():
    _, params = route("GET", BUCKET, "list-type=2")
    assert params == {
        "Prefix": "",
        "Delimiter": None,
        "EncodingType": None,
        "MaxKeys": 1000,
        "ContinuationToken": None,
        "StartAfter": "",
        "FetchOwner": False,
        "OptionalObjectAttributes": None,
    }


def test_a_read_without_parameters_carries_none():
    assert route("GET", OBJECT)[1] == {}


def test_parameters_of_one_request_are_not_those_of_the_next():
    route("GET", BUCKET)[1]["Prefix"] = "changed"
    assert route("GET", BUCKET)[1]["Prefix"] == ""


def test_a_version_marker_needs_a_key_marker():
    assert refusal("GET", BUCKET, "versions&version-id-marker=1").code == "InvalidArgument"
    assert route("GET", BUCKET, "versions&version-id-marker=1&key-marker=a")[0]


def test_attributes_must_be_named():
    assert refusal("GET", OBJECT, "attributes").code == "InvalidRequest"
    asked = {"HTTP_X_AMZ_OBJECT_ATTRIBUTES": "ETag, ObjectSize"}
    _, params = route("GET", OBJECT, "attributes", **asked)
    assert params["ObjectAttributes"] == {"ETag", "ObjectSize"}
    assert params["MaxParts"] == 1000
