"""ListObjectVersions through the whole pipeline: every object is its one version."""


def test_each_object_is_the_latest_version_null(s3):
    s3.create_bucket(Bucket="box")
    for key in ("a", "b/1", "b/2", "c"):
        s3.put_object(Bucket="box", Key=key, Body=b"12")
    paginate = s3.get_paginator("list_object_versions").paginate
    found = list(paginate(Bucket="box", Delimiter="/", PaginationConfig={"PageSize": 1}))
    versions = [version for page in found for version in page.get("Versions", ())]
    assert [version["Key"] for version in versions] == ["a", "c"]
    assert {(version["VersionId"], version["IsLatest"]) for version in versions} == {("null", True)}
    assert [p["Prefix"] for page in found for p in page.get("CommonPrefixes", ())] == ["b/"]
    for version in versions:
        got = s3.get_object(Bucket="box", Key=version["Key"], VersionId=version["VersionId"])
        assert got["ETag"] == version["ETag"]


def test_every_listed_version_can_be_deleted(s3):
    s3.create_bucket(Bucket="box")
    for key in ("a", "b/1"):
        s3.put_object(Bucket="box", Key=key)
    for version in s3.list_object_versions(Bucket="box")["Versions"]:
        s3.delete_object(Bucket="box", Key=version["Key"], VersionId=version["VersionId"])
    assert "Versions" not in s3.list_object_versions(Bucket="box")
    s3.delete_bucket(Bucket="box")
