"""Symbolic links: GET follows them inside the root, DELETE removes them, nothing writes through."""

import os

import pytest
from paste.deploy import loadapp

from tests.functional.asking import SMALL, Asker, body_of, on_disk, refusal
from tests.functional.conftest import INI


@pytest.fixture
def tree(s3, box, root, tmp_path):
    """Objects, and links of every kind to them."""
    s3.put_object(Bucket="box", Key="a/file", Body=SMALL, Metadata={"who": "me"})
    s3.create_bucket(Bucket="other")
    s3.put_object(Bucket="other", Key="far", Body=b"far")
    (tmp_path / "secret").write_bytes(b"secret")
    links = {
        "inside": "a/file",
        "chain": "inside",
        "up": "../other/far",
        "absolute": root / "box/a/file",
        "folder": "a",
        "dangling": "nowhere",
        "loop": "loop",
        "outside": "../../secret",
        "absolute-outside": tmp_path / "secret",
        "folder-outside": tmp_path,
        "proc": "/proc/self/environ",
    }
    for name, target in links.items():
        (box / name).symlink_to(target)
    (box / "a/back").symlink_to("../a")
    return box


FOLLOWED = {"inside": SMALL, "chain": SMALL, "up": b"far", "absolute": SMALL}
NOT_THERE = ["folder", "dangling", "loop", "loop/x", "dangling/x", "folder/none"]
OUTSIDE = ["outside", "absolute-outside", "folder-outside/secret", "proc"]


@pytest.mark.parametrize("key", FOLLOWED)
def test_a_link_inside_the_root_is_followed(s3, tree, key):
    answer = s3.get_object(Bucket="box", Key=key)
    assert answer["Body"].read() == FOLLOWED[key]
    assert answer["Metadata"] == ({"who": "me"} if FOLLOWED[key] == SMALL else {})
    s3.head_object(Bucket="box", Key=key)
    s3.copy_object(Bucket="box", Key="copied", CopySource=f"box/{key}")
    assert body_of(s3, "copied") == FOLLOWED[key]
    assert not (tree / "copied").is_symlink()


@pytest.mark.parametrize("key", NOT_THERE)
def test_a_link_that_leads_to_no_object_is_none(s3, ask, tree, key):
    for method in ("GET", "HEAD"):
        assert ask(method, f"/box/{key}").status == 404
    told = refusal(s3.copy_object, Bucket="box", Key="copied", CopySource=f"box/{key}")
    assert told == (404, "NoSuchKey")


@pytest.mark.parametrize("key", OUTSIDE)
def test_a_link_out_of_the_root_is_not_followed(ask, tree, key):
    before = on_disk(tree)
    source = {"x-amz-copy-source": f"box/{key}"}
    answers = [ask("GET", f"/box/{key}"), ask("PUT", "/box/copied", headers=source)]
    for answer in answers:
        assert (answer.status, answer.code) == (403, "AccessDenied")
        assert b"secret" not in answer.body.replace(f"/{key}".encode(), b"")
    assert ask("HEAD", f"/box/{key}").status == 403
    assert on_disk(tree) == before


def test_an_option_lets_reading_follow_links_out_of_the_root(settings, tree, tmp_path):
    text = INI.read_text().replace("#symlinks_outside = false", "symlinks_outside = true")
    (tmp_path / "my.ini").write_text(text)
    ask = Asker(loadapp(f"config:{tmp_path / 'my.ini'}", global_conf=settings))
    for key in ("outside", "absolute-outside", "folder-outside/secret"):
        assert ask("GET", f"/box/{key}").body == b"secret", key
    answer = ask("PUT", "/box/folder-outside/new", b"x")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    answer = ask("DELETE", "/box/folder-outside/secret")
    assert (answer.status, answer.code) == (403, "AccessDenied")
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not (tmp_path / "new").exists()


def test_a_listing_shows_links_to_files_and_does_not_go_into_folders(s3, tree):
    listed = [entry["Key"] for entry in s3.list_objects_v2(Bucket="box")["Contents"]]
    assert listed == sorted(["a/file", *FOLLOWED])
    answer = s3.list_objects_v2(Bucket="box", Delimiter="/")
    assert [entry["Prefix"] for entry in answer["CommonPrefixes"]] == ["a/"]


@pytest.mark.parametrize(
    "key", ["inside", "chain", "up", "absolute", "dangling", "loop", "outside", "absolute-outside"]
)
def test_delete_removes_the_link(ask, tree, root, tmp_path, key):
    assert ask("DELETE", f"/box/{key}").status == 204
    assert not os.path.lexists(tree / key)
    assert (tree / "a/file").read_bytes() == SMALL
    assert (root / "other/far").read_bytes() == b"far"
    assert (tmp_path / "secret").read_bytes() == b"secret"


@pytest.mark.parametrize("key", ["folder", "folder/", "folder-outside"])
def test_a_link_to_a_folder_is_no_object_to_delete(ask, tree, key):
    before = on_disk(tree)
    assert ask("DELETE", f"/box/{key}").status in (204, 403)
    assert on_disk(tree) == before


@pytest.mark.parametrize("key", ["inside", "chain", "up", "dangling", "loop", "outside", "proc"])
def test_put_replaces_the_link_and_not_what_it_leads_to(s3, tree, root, tmp_path, data, key):
    s3.put_object(Bucket="box", Key=key, Body=data)
    assert not (tree / key).is_symlink()
    assert body_of(s3, key) == data
    assert (tree / "a/file").read_bytes() == SMALL
    assert (root / "other/far").read_bytes() == b"far"
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_conditions_ask_what_get_would_answer(s3, tree):
    etag = s3.head_object(Bucket="box", Key="inside")["ETag"]
    told = refusal(s3.put_object, Bucket="box", Key="inside", Body=b"x", IfNoneMatch="*")
    assert told == (412, "PreconditionFailed")
    told = refusal(s3.put_object, Bucket="box", Key="dangling", Body=b"x", IfMatch=etag)
    assert told == (404, "NoSuchKey")
    s3.put_object(Bucket="box", Key="inside", Body=b"x", IfMatch=etag)
    s3.put_object(Bucket="box", Key="dangling", Body=b"x", IfNoneMatch="*")
    assert body_of(s3, "dangling") == b"x"


@pytest.mark.parametrize("key", ["folder-outside/new", "folder-outside/a/b", "outside/new"])
def test_nothing_is_written_through_a_link_out_of_the_root(ask, tree, tmp_path, data, key):
    before = sorted(os.listdir(tmp_path))
    answer = ask("PUT", f"/box/{key}", data)
    assert (answer.status, answer.code) in ((403, "AccessDenied"), (409, "ObjectParentIsFile"))
    assert sorted(os.listdir(tmp_path)) == before


def test_a_parent_that_is_a_dangling_link_is_in_the_way(s3, tree, data):
    told = refusal(s3.put_object, Bucket="box", Key="dangling/x", Body=data)
    assert told == (409, "ObjectParentIsFile")
    assert os.readlink(tree / "dangling") == "nowhere"
    told = refusal(s3.put_object, Bucket="box", Key="loop/x", Body=data)
    assert told == (409, "ObjectParentIsFile")


def test_below_a_link_to_a_folder_are_the_folders_objects(s3, tree, data):
    assert body_of(s3, "folder/file") == SMALL
    s3.put_object(Bucket="box", Key="folder/new", Body=data)
    assert (tree / "a/new").read_bytes() == data
    s3.delete_object(Bucket="box", Key="folder/new")
    assert not (tree / "a/new").exists()
