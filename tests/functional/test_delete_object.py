"""DeleteObject: the object goes, with the parents that were made for it, and nothing else."""

import os

import pytest

from tests.functional.asking import body_of, on_disk, refusal


def test_a_deleted_object_is_gone(s3, ask, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data)
    answer = ask("DELETE", "/box/key")
    assert (answer.status, answer.body) == (204, b"")
    assert "content-length" not in answer.headers
    assert refusal(s3.get_object, Bucket="box", Key="key") == (404, "NoSuchKey")
    assert on_disk(box) == {}


def test_what_is_not_there_is_deleted_too(ask, box):
    for key in ("none", "a/b/c", "none/"):
        assert ask("DELETE", f"/box/{key}").status == 204


def test_a_bucket_that_is_not_there_is_told(ask, root):
    answer = ask("DELETE", "/none/key")
    assert (answer.status, answer.code) == (404, "NoSuchBucket")


def test_a_body_of_the_request_is_nobodys(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    assert ask("DELETE", "/box/key", b"something").status == 204


def test_parents_go_as_long_as_they_are_empty(s3, box):
    s3.put_object(Bucket="box", Key="a/b/c/key", Body=b"x")
    s3.put_object(Bucket="box", Key="a/other", Body=b"x")
    s3.delete_object(Bucket="box", Key="a/b/c/key")
    assert os.listdir(box / "a") == ["other"]
    s3.delete_object(Bucket="box", Key="a/other")
    assert on_disk(box) == {}


def test_a_parent_that_a_person_made_stays(s3, box):
    (box / "mine/deep").mkdir(parents=True)
    s3.put_object(Bucket="box", Key="mine/deep/a/b/key", Body=b"x")
    s3.delete_object(Bucket="box", Key="mine/deep/a/b/key")
    assert list(on_disk(box)) == ["mine", "mine/deep"]


def test_a_parent_that_is_a_directory_object_stays(s3, box):
    s3.put_object(Bucket="box", Key="a/d/")
    s3.put_object(Bucket="box", Key="a/d/e/key", Body=b"x")
    s3.delete_object(Bucket="box", Key="a/d/e/key")
    s3.head_object(Bucket="box", Key="a/d/")
    s3.delete_object(Bucket="box", Key="a/d/")
    assert on_disk(box) == {}


def test_a_parent_with_somebodys_file_stays(s3, box):
    s3.put_object(Bucket="box", Key="a/key", Body=b"x")
    (box / "a/theirs").write_bytes(b"y")
    s3.delete_object(Bucket="box", Key="a/key")
    assert body_of(s3, "a/theirs") == b"y"


def test_a_directory_object_with_objects_in_it_is_no_object_any_more(s3, box):
    s3.put_object(Bucket="box", Key="d/", Metadata={"a": "b"})
    s3.put_object(Bucket="box", Key="d/key", Body=b"x")
    s3.delete_object(Bucket="box", Key="d/")
    assert refusal(s3.head_object, Bucket="box", Key="d/")[0] == 404
    assert body_of(s3, "d/key") == b"x"
    assert not [name for name in os.listxattr(box / "d") if name.startswith("user.metadata")]


@pytest.mark.parametrize("make", ["file", "directory object", "folder", "parent"])
def test_a_key_of_the_other_kind_deletes_nothing(s3, ask, box, make):
    if make == "file":
        s3.put_object(Bucket="box", Key="x", Body=b"x")
    elif make == "directory object":
        s3.put_object(Bucket="box", Key="x/")
    elif make == "folder":
        (box / "x").mkdir()
    else:
        s3.put_object(Bucket="box", Key="x/y", Body=b"y")
    before = on_disk(box)
    keys = {"file": ["x/", "x/y"], "directory object": ["x"]}.get(make, ["x", "x/"])
    for key in keys:
        assert ask("DELETE", f"/box/{key}").status == 204
        assert on_disk(box) == before


def test_another_version_than_null_is_not_there(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=b"x")
    answer = ask("DELETE", "/box/key?versionId=other")
    assert (answer.status, answer.code) == (404, "NoSuchVersion")
    assert (box / "key").exists()
    assert ask("DELETE", "/box/key?versionId=null").status == 204
    assert not (box / "key").exists()


def test_an_object_that_is_being_read_is_read_to_its_end(s3, box, data):
    s3.put_object(Bucket="box", Key="key", Body=data)
    answer = s3.get_object(Bucket="box", Key="key")
    s3.delete_object(Bucket="box", Key="key")
    assert answer["Body"].read() == data


def test_on_a_read_only_disk_nothing_is_deleted(s3, ask, box, monkeypatch):
    s3.put_object(Bucket="box", Key="key", Body=b"x")

    def fail(*_, **__):
        raise OSError(30, "no")

    monkeypatch.setattr(os, "unlink", fail)
    answer = ask("DELETE", "/box/key")
    assert (answer.status, answer.code) == (405, "MethodNotAllowed")
