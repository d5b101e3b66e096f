"""Files and folders that other programs made, edited or put in the way."""

import os
import re
import stat

import pytest

from tests.functional.asking import LARGE, SMALL, body_of, edit, on_disk, refusal


def head(s3, key):
    return s3.head_object(Bucket="box", Key=key, ChecksumMode="ENABLED")


# --- files ------------------------------------------------------------------------------------


def test_a_file_of_another_program_is_an_object(s3, box, data):
    (box / "a").mkdir()
    (box / "a/page.html").write_bytes(data)
    answer = s3.get_object(Bucket="box", Key="a/page.html")
    assert answer["Body"].read() == data
    assert answer["ContentType"] == "text/html"
    assert answer["ETag"].endswith('-0"')
    assert answer["Metadata"] == {}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.txt", "text/plain"),
        ("a.JPG", "image/jpeg"),
        ("a.json", "application/json"),
        ("a.tar.gz", "application/gzip"),
        ("a", "binary/octet-stream"),
        ("a.unknown", "binary/octet-stream"),
        (".json", "application/json"),
    ],
)
def test_its_type_is_guessed_from_its_name(s3, box, name, kind):
    (box / name).write_bytes(b"x")
    assert head(s3, name)["ContentType"] == kind


def test_its_etag_stays_while_it_does_and_can_be_a_condition(s3, box):
    (box / "file").write_bytes(SMALL)
    etag = head(s3, "file")["ETag"]
    assert head(s3, "file")["ETag"] == etag
    listed = s3.list_objects_v2(Bucket="box")["Contents"]
    assert [entry["ETag"] for entry in listed] == [etag]
    assert body_of(s3, "file", IfMatch=etag) == SMALL
    s3.put_object(Bucket="box", Key="file", Body=b"new", IfMatch=etag)
    assert body_of(s3, "file") == b"new"


@pytest.mark.parametrize("made_by", ["us", "another program"])
@pytest.mark.parametrize("change", ["longer", "shorter", "same size", "renamed over", "touched"])
def test_an_edited_file_never_shows_its_old_etag(s3, box, data, made_by, change):
    if made_by == "us":
        s3.put_object(Bucket="box", Key="key", Body=data, Metadata={"a": "b"})
    else:
        (box / "key").write_bytes(data)
    old = head(s3, "key")
    new = {"longer": data + b"x", "shorter": data[1:]}.get(change, data[::-1])
    if change == "renamed over":
        (box / "tmp").write_bytes(new)
        os.rename(box / "tmp", box / "key")
    elif change == "touched":
        new = data
        os.utime(box / "key", (1, 1))
    else:
        edit(box / "key", new)
    told = head(s3, "key")
    assert told["ETag"] != old["ETag"]
    assert told["ETag"].endswith('-0"')
    assert not [name for name in told if name.startswith("Checksum")]
    assert told["ContentLength"] == len(new)
    assert body_of(s3, "key") == new
    listed = s3.list_objects_v2(Bucket="box")["Contents"][0]
    assert listed["ETag"] == told["ETag"]
    assert "ChecksumAlgorithm" not in listed
    attributes = s3.get_object_attributes(
        Bucket="box", Key="key", ObjectAttributes=["ETag", "Checksum"]
    )
    assert attributes["ETag"] == told["ETag"].strip('"')
    assert "Checksum" not in attributes
    status, _ = refusal(s3.get_object, Bucket="box", Key="key", IfMatch=old["ETag"])
    assert status == 412


def test_every_edit_gives_another_etag(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    seen = set()
    for number in range(20):
        edit(box / "key", b"%05d" % number)
        seen.add(head(s3, "key")["ETag"])
    assert len(seen) == 20


def test_an_edited_object_keeps_its_metadata(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL, Metadata={"a": "b"}, ContentType="x/y")
    edit(box / "key", b"new")
    told = head(s3, "key")
    assert (told["Metadata"], told["ContentType"]) == ({"a": "b"}, "x/y")


def test_an_object_that_was_edited_and_put_again_is_ours_again(s3, box, data):
    s3.put_object(Bucket="box", Key="key", Body=b"old")
    edit(box / "key", b"edited")
    etag = s3.put_object(Bucket="box", Key="key", Body=data)["ETag"]
    assert head(s3, "key")["ETag"] == etag


@pytest.mark.parametrize("how", ["rename", "hard link", "copy with attributes"])
def test_an_object_that_was_moved_keeps_what_it_has(s3, box, how):
    etag = s3.put_object(Bucket="box", Key="key", Body=SMALL, Metadata={"a": "b"})["ETag"]
    (box / "to").mkdir()
    if how == "rename":
        os.rename(box / "key", box / "to/key")
    elif how == "hard link":
        os.link(box / "key", box / "to/key")
    else:
        (box / "to/key").write_bytes(SMALL)
        for name in os.listxattr(box / "key"):
            os.setxattr(box / "to/key", name, os.getxattr(box / "key", name))
        found = (box / "key").stat()
        os.utime(box / "to/key", ns=(found.st_atime_ns, found.st_mtime_ns))
    told = head(s3, "to/key")
    assert (told["ETag"], told["Metadata"]) == (etag, {"a": "b"})


def test_an_object_that_was_copied_by_another_program_without_its_time_is_touched(s3, box):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)
    (box / "copy").write_bytes(b"HELLO")
    for name in os.listxattr(box / "key"):
        os.setxattr(box / "copy", name, os.getxattr(box / "key", name))
    os.utime(box / "copy", (5, 5))
    assert head(s3, "copy")["ETag"].endswith('-0"')


def test_a_file_of_another_program_is_replaced_and_deleted(s3, box, data):
    (box / "mine").mkdir()
    (box / "mine/file").write_bytes(b"old")
    s3.put_object(Bucket="box", Key="mine/file", Body=data)
    assert body_of(s3, "mine/file") == data
    s3.delete_object(Bucket="box", Key="mine/file")
    assert list(on_disk(box)) == ["mine"]


def test_a_file_that_is_not_there_to_if_none_match_is_there(s3, box):
    (box / "file").write_bytes(b"theirs")
    told = refusal(s3.put_object, Bucket="box", Key="file", Body=b"x", IfNoneMatch="*")
    assert told == (412, "PreconditionFailed")


def test_a_file_cut_short_while_it_is_answered_breaks_the_answer_off(s3, ask, box):
    s3.put_object(Bucket="box", Key="key", Body=LARGE)

    class Cut:
        def __init__(self, app):
            self.app = app

        def __call__(self, environ, start_response):
            answer = self.app(environ, start_response)
            (box / "key").write_bytes(b"")
            return answer

    answer = type(ask)(Cut(ask.app))("GET", "/box/key")
    assert len(answer.body) < int(answer.headers["content-length"])


# --- folders ----------------------------------------------------------------------------------


def test_a_folder_is_no_object(s3, box):
    (box / "d/e").mkdir(parents=True)
    for key in ("d", "d/", "d/e", "d/e/"):
        assert refusal(s3.head_object, Bucket="box", Key=key)[0] == 404
    assert "Contents" not in s3.list_objects_v2(Bucket="box")


# --- what is neither --------------------------------------------------------------------------


@pytest.fixture
def special(box):
    os.mkfifo(box / "fifo")
    os.mknod(box / "socket", stat.S_IFSOCK | 0o600)
    if os.geteuid() == 0:
        os.mknod(box / "device", 0o20666, os.makedev(1, 5))
    else:
        os.mkfifo(box / "device")
    return box


@pytest.mark.parametrize("name", ["fifo", "socket", "device"])
def test_what_is_neither_file_nor_folder_is_no_object(s3, ask, special, data, name):
    before = sorted(os.listdir(special))
    for method in ("GET", "HEAD"):
        assert ask(method, f"/box/{name}").status == 404
    told = refusal(s3.copy_object, Bucket="box", Key="to", CopySource=f"box/{name}")
    assert told == (404, "NoSuchKey")
    assert ask("DELETE", f"/box/{name}").status == 204
    assert ask("DELETE", f"/box/{name}", headers={"If-Match": "*"}).status == 404
    told = refusal(s3.put_object, Bucket="box", Key=name, Body=data)
    assert told == (405, "MethodNotAllowed")
    told = refusal(s3.put_object, Bucket="box", Key=name, Body=data, IfMatch="x")
    assert told in ((405, "MethodNotAllowed"), (404, "NoSuchKey"))
    told = refusal(s3.put_object, Bucket="box", Key=f"{name}/below", Body=data)
    assert told == (409, "ObjectParentIsFile")
    assert "Contents" not in s3.list_objects_v2(Bucket="box")
    assert [n for n in sorted(os.listdir(special)) if n != ".sgwtmp"] == before


def test_a_link_to_a_fifo_is_no_object(ask, special):
    (special / "link").symlink_to("fifo")
    assert ask("GET", "/box/link").status == 404


# --- attributes -------------------------------------------------------------------------------

LINES = b"a\r\nSet-Cookie: b"
STRANGE = {
    "etag": [b'"' + LINES + b'"', b"\xff\xfe", b"", b'""', b'a"b', b"x" * 300],
    "s3filters.storage-class": [LINES, b"", b"\xff"],
    "s3filters.seal": [LINES, b"", b"1 2 3"],
    "checksums": [
        b"[]",
        b"\xff",
        b'{"Algorithm":"CRC32\\r\\nSet-Cookie: b","CRC32\\r\\nSet-Cookie: b":"AAAAAA=="}',
        b'{"Algorithm":"CRC32","Type":"a\\r\\nb","CRC32":"AAAAAA=="}',
        b'{"Algorithm":"CRC32","CRC32":"AAAA\\r\\nSet-Cookie: b"}',
        b'{"Algorithm":["CRC32"],"CRC32":"AAAAAA=="}',
        b'{"Algorithm":"CRC32","Type":["FULL_OBJECT"],"CRC32":"AAAAAA=="}',
        b'{"Algorithm":"CRC32","CRC32":3}',
        b'{"Algorithm":"Type","Type":"FULL_OBJECT"}',
    ],
    "metadata": [b"\xff", b"[]", b'{"a":{"b":1},"c":null}', b'{"a b":"1","":"2"}'],
    "X-Amz-Meta.a b": [LINES],
    "content-type": [LINES, b"\xff\xfe", b""],
    "expires": [LINES],
    "X-Amz-Tagging": [b"[1]", b"\xff", b'{"a":{"b":1}}'],
    "mp-metadata": [
        b"\x1f\x8bbroken",
        b'{"parts":[-1,1]}',
        b'{"parts":[true]}',
        b'{"parts":["1"]}',
        b'{"parts":[1,0,1]}',
        b'{"parts":[0.5,1]}',
        b'{"parts":{}}',
    ],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}-{number}")
        for name, values in STRANGE.items()
        for number, value in enumerate(values)
    ],
)
def test_strange_attributes_neither_break_nor_forge_an_answer(ask, box, name, value):
    (box / "key").write_bytes(b"x")
    os.setxattr(box / "key", "user.etag", b'"abc"')
    os.setxattr(box / "key", f"user.{name}", value)
    mode = {"x-amz-checksum-mode": "ENABLED"}
    every = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
    source = {"x-amz-copy-source": "box/key"}
    for method, target, headers in (
        ("GET", "/box/key", mode),
        ("HEAD", "/box/key", mode),
        ("GET", "/box/key?partNumber=1", mode),
        ("GET", "/box/key?attributes", every),
        ("GET", "/box?list-type=2", {}),
        ("PUT", "/box/copy", source),
        ("GET", "/box/copy", mode),
        ("PUT", "/box/copy", source | {"x-amz-metadata-directive": "REPLACE"}),
    ):
        answer = ask(method, target, headers=headers)
        assert answer.status in (200, 206), (method, target)
        for header, text in answer.headers.items():
            assert re.fullmatch(r"[a-z0-9-]+", header)
            assert re.fullmatch(r"[ -~\x80-\xff]*", text)
        assert answer.headers.get("etag") != '""'
    assert ask("GET", "/box/key").body == b"x"


@pytest.mark.parametrize("when", [0, -1, -(10**9), 2**31, 2**33, 10**10])
def test_any_time_that_a_file_can_have_can_be_told(ask, box, when):
    (box / "key").write_bytes(b"x")
    os.utime(box / "key", (when, when))
    condition = {"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}
    for target, headers in (
        ("/box/key", {}),
        ("/box/key", condition),
        ("/box?list-type=2", {}),
        ("/box/key?attributes", {"x-amz-object-attributes": "ETag"}),
    ):
        assert ask("GET", target, headers=headers).status in (200, 412)
    assert ask("PUT", "/box/copy", headers={"x-amz-copy-source": "box/key"}).status == 200


def test_a_small_file_cut_short_while_it_is_read_is_no_answer(s3, ask, box, monkeypatch):
    s3.put_object(Bucket="box", Key="key", Body=SMALL)

    def cut(*_):
        raise BlockingIOError  # as if nothing were in memory: it is read again, and has changed

    real = os.pread
    monkeypatch.setattr(os, "preadv", cut)
    monkeypatch.setattr(os, "pread", lambda fd, count, at: real(fd, count - 1, at))
    answer = ask("GET", "/box/key")
    assert (answer.status, answer.code) == (500, "InternalError")
