"""ListObjects, version 1, through the whole pipeline, as boto3 sees it."""

from tests import daemon


def test_keys_are_paged_by_marker_and_prefixes_by_next_marker(s3):
    s3.create_bucket(Bucket="box")
    wanted = ["a", "b/1", "b/2", "c d", "e/é"]
    for key in wanted:
        s3.put_object(Bucket="box", Key=key)
    paginate = s3.get_paginator("list_objects").paginate
    found = list(paginate(Bucket="box", PaginationConfig={"PageSize": 2}))
    assert [e["Key"] for page in found for e in page["Contents"]] == wanted
    assert all("NextMarker" not in page for page in found)
    found = list(paginate(Bucket="box", Delimiter="/", PaginationConfig={"PageSize": 1}))
    assert [page.get("NextMarker") for page in found] == ["a", "b/", "c d", None]
    assert [p["Prefix"] for page in found for p in page.get("CommonPrefixes", ())] == ["b/", "e/"]


def test_each_entry_names_the_owner(s3):
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="a")
    (entry,) = s3.list_objects(Bucket="box")["Contents"]
    assert entry["Owner"]["ID"] == daemon.ACCESS_KEY


def test_no_keys_are_asked_for_and_none_come(s3):
    s3.create_bucket(Bucket="box")
    s3.put_object(Bucket="box", Key="a")
    answer = s3.list_objects(Bucket="box", MaxKeys=0)
    assert (answer["MaxKeys"], answer["IsTruncated"], answer.get("Contents")) == (0, False, None)
