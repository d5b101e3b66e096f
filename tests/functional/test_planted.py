"""What was put where the gateway has its own: refused in words of S3, nothing hangs or is lost.

The root is folders that people can reach, so a file may be where a folder of ``.sgwtmp`` belongs, a
folder where a file does, and anywhere a symbolic link, a FIFO or a socket.
"""

import hashlib
import json
import os
import shutil
import stat

import pytest

from s3filters.store import Store, removing
from tests.functional.asking import Asker, told
from tests.functional.parts import placing_app

pytestmark = pytest.mark.timeout(30)

DATA = b"precious"
UPLOADS = ".sgwtmp/multipart"
FOLDER = f"{UPLOADS}/{hashlib.sha256(b'up').hexdigest()}"
TAKEN = (405, "MethodNotAllowed")
FULL = (409, "BucketNotEmpty")
NO_UPLOAD = (404, "NoSuchUpload")


# What is put there -------------------------------------------------------------------------------


def folder(path, _):
    path.mkdir()
    (path / "file").write_bytes(DATA)


def file(path, _):
    path.write_bytes(DATA)


def link_to_a_file(path, elsewhere):
    file(elsewhere, None)
    path.symlink_to(os.path.relpath(elsewhere, path.parent))


def link_to_a_folder(path, elsewhere):
    folder(elsewhere, None)
    path.symlink_to(os.path.relpath(elsewhere, path.parent))


def link_to_nothing(path, _):
    path.symlink_to("nothing")


def fifo(path, _):
    os.mkfifo(path)


def unix_socket(path, _):
    os.mknod(path, stat.S_IFSOCK | 0o600)


ALWAYS = (link_to_a_file, link_to_a_folder, link_to_nothing, fifo, unix_socket)
NO_FOLDER = (file, *ALWAYS)
NO_FILE = (folder, *ALWAYS)


def seen(path):
    """Return all there is to see of what lies at a path, and where that leads."""
    found = path.lstat()
    inner = sorted(os.listdir(path)) if path.is_dir() else ()
    data = path.read_bytes() if path.is_file() else b""
    return found.st_ino, found.st_mode, inner, data, path.is_symlink() and os.readlink(path)


# Who asks ----------------------------------------------------------------------------------------


class Client:
    """A bucket ``box`` with two objects, a policy too large for an attribute, and an upload."""

    def __init__(self, app, root):
        self.ask = Asker(app)
        self.root = root
        self.box = root / "box"
        assert self.ask("PUT", "/box").status == 200
        for key in ("key", "key", "other"):
            assert self.ask("PUT", f"/box/{key}", b"hello").status == 200
        assert self.policy() == (204, "")
        begun = self.ask("POST", "/box/up?uploads").body
        self.id = begun.partition(b"<UploadId>")[2].partition(b"</UploadId>")[0].decode()
        self.etag = self.ask("PUT", self.upload("partNumber=1&"), b"one").headers["etag"]

    def upload(self, query=""):
        return f"/box/up?{query}uploadId={self.id}"

    def policy(self):
        statements = [
            {
                "Sid": f"s{number}",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::box/public/{'x' * 200}{number}",
            }
            for number in range(30)
        ]
        document = {"Version": "2012-10-17", "Statement": statements}
        return told(self.ask("PUT", "/box?policy", json.dumps(document).encode()))

    def do(self, word):
        """Ask for something; return status and code."""
        listed = f"<Part><PartNumber>1</PartNumber><ETag>{self.etag}</ETag></Part>"
        tags = b"<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
        asked = {
            "get": ("GET", "/box/key"),
            "list": ("GET", "/box"),
            "list uploads": ("GET", "/box?uploads"),
            "list parts": ("GET", self.upload()),
            "new": ("PUT", "/box/new", b"new"),
            "replace": ("PUT", "/box/other", b"new"),
            "tag": ("PUT", "/box/other?tagging", tags),
            "delete": ("DELETE", "/box/other"),
            "begin": ("POST", "/box/up?uploads"),
            "part 1": ("PUT", self.upload("partNumber=1&"), b"one"),
            "part 2": ("PUT", self.upload("partNumber=2&"), b"two"),
            "complete": (
                "POST",
                self.upload(),
                f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode(),
            ),
            "abort": ("DELETE", self.upload()),
            "drop": ("DELETE", "/box"),
        }
        return self.policy() if word == "policy" else told(self.ask(*asked[word]))


@pytest.fixture(params=["direct"])
def client(request, settings, tmp_path, root):
    made = Client(placing_app(tmp_path, settings, request.param), root)
    yield made
    removing.settle()


def expect(client, path, plant, answers):
    """Put something at a path, ask, and look that it, and what else there is, is still there."""
    if path.exists():
        os.rename(path, client.root / "moved")
    path.parent.mkdir(exist_ok=True)
    elsewhere = client.root / "elsewhere"
    plant(path, elsewhere)
    before = seen(path), elsewhere.exists() and seen(elsewhere)
    usual = {"get": (200, ""), "list": (200, ""), "list uploads": (200, ""), "new": (200, "")}
    for word, answer in (usual | answers).items():
        assert (word, client.do(word)) == (word, answer)
    store = Store(client.root)
    store.sweep(0)
    store.reap_uploads(86400)
    store.close()
    assert (seen(path), elsewhere.exists() and seen(elsewhere)) == before
    assert client.do("get") == (200, "")


# Folders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plant", NO_FOLDER)
def test_sgwtmp_itself(client, plant):
    changes = ("replace", "tag", "delete", "policy", "begin")
    uploads = ("list parts", "part 1", "part 2", "complete", "abort")
    refused = dict.fromkeys(changes, TAKEN) | dict.fromkeys(uploads, NO_UPLOAD)
    expect(client, client.box / ".sgwtmp", plant, refused | {"drop": FULL})


def test_sgwtmp_that_leads_to_that_of_another_bucket_shows_nothing_of_it(client):
    """Else who owns a folder completes, and aborts, uploads of a bucket that he may not use."""
    mine = client.root / "mine"
    assert client.ask("PUT", "/mine").status == 200
    shutil.rmtree(mine / ".sgwtmp", ignore_errors=True)
    (mine / ".sgwtmp").symlink_to("../box/.sgwtmp")
    assert client.id.encode() not in client.ask("GET", "/mine?uploads").body
    theirs = client.upload().replace("/box/", "/mine/")
    assert told(client.ask("GET", theirs)) == NO_UPLOAD
    assert told(client.ask("PUT", theirs + "&partNumber=1", b"else")) == NO_UPLOAD
    assert told(client.ask("DELETE", theirs)) == NO_UPLOAD
    assert client.do("complete") == (200, "")


@pytest.mark.parametrize("plant", NO_FOLDER)
@pytest.mark.parametrize("path", [UPLOADS, FOLDER], ids=["all uploads", "uploads of a key"])
def test_a_folder_of_uploads(client, path, plant):
    refused = dict.fromkeys(("list parts", "part 1", "complete", "abort"), NO_UPLOAD)
    answers = {"begin": TAKEN, "replace": (200, ""), **refused, "drop": FULL}
    expect(client, client.box / path, plant, answers)


@pytest.mark.parametrize("plant", NO_FOLDER)
def test_the_folder_of_one_upload(client, plant):
    refused = dict.fromkeys(("list parts", "part 1", "complete", "abort"), NO_UPLOAD)
    path = client.box / FOLDER / client.id
    expect(client, path, plant, {"begin": (200, ""), **refused, "drop": FULL})


@pytest.mark.parametrize("plant", NO_FOLDER)
def test_the_name_that_an_upload_gets_at_its_end(client, plant):
    path = client.box / FOLDER / f"{client.id}.ended.inprogress"
    expect(client, path, plant, {"abort": TAKEN, "list parts": (200, ""), "drop": FULL})
    assert client.do("complete") == (200, "")  # the object is there; the upload ends later
    assert client.ask("GET", "/box/up").body == b"one"
    os.rename(path, client.root / "away")
    assert client.do("complete") == (200, "")
    assert client.do("abort") == NO_UPLOAD


@pytest.mark.parametrize("plant", NO_FOLDER)
def test_the_folder_of_settings(client, plant):
    path = client.box / ".sgwtmp/settings"
    expect(client, path, plant, {"policy": TAKEN, "replace": (200, ""), "drop": FULL})


# Files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plant", [folder, link_to_a_file, link_to_nothing, unix_socket])
def test_the_file_of_locks(client, plant):
    words = ("replace", "tag", "delete", "policy", "begin", "part 1", "complete", "abort")
    refused = dict.fromkeys(words, TAKEN)
    expect(client, client.box / ".sgwtmp/lock", plant, refused | {"drop": FULL})


def test_a_fifo_can_be_locked_as_well_as_a_file(client):
    answers = dict.fromkeys(("replace", "tag", "part 1", "complete"), (200, ""))
    expect(client, client.box / ".sgwtmp/lock", fifo, answers | {"drop": FULL})


@pytest.mark.parametrize("plant", NO_FILE)
@pytest.mark.parametrize("client", ["direct", "files"], indirect=True)
def test_a_part_that_was_acknowledged(client, plant):
    path = client.box / FOLDER / client.id / "1"
    answers = {"part 1": TAKEN, "complete": (400, "InvalidPart"), "part 2": (200, "")}
    expect(client, path, plant, {"list parts": (200, ""), **answers, "drop": FULL})
    assert client.do("abort") == (204, "")


@pytest.mark.parametrize("plant", NO_FILE)
@pytest.mark.parametrize("client", ["direct", "files"], indirect=True)
def test_a_part_that_is_to_come(client, plant):
    path = client.box / FOLDER / client.id / "2"
    expect(client, path, plant, {"part 2": TAKEN, "part 1": (200, ""), "drop": FULL})
    assert client.do("complete") == (200, "")
    assert client.ask("GET", "/box/up").body == b"one"


@pytest.mark.parametrize("plant", NO_FILE)
def test_the_file_in_which_parts_lie(client, plant):
    path = client.box / FOLDER / client.id / "data.1"
    answers = {"complete": TAKEN, "part 2": (200, ""), "part 1": (200, ""), "drop": FULL}
    expect(client, path, plant, answers)
    assert client.do("complete") == (200, "")  # part 1 came again and has a file of its own
    assert client.ask("GET", "/box/up").body == b"one"


@pytest.mark.parametrize("plant", NO_FILE)
def test_a_setting_that_counts(client, plant):
    """Nothing can be read from it, so nobody is let in by it; the owner puts a new one."""
    path = client.box / ".sgwtmp/settings/policy.1"
    expect(client, path, plant, {"drop": FULL, "policy": (204, "")})


@pytest.mark.parametrize("plant", NO_FILE)
def test_a_setting_that_is_to_come(client, plant):
    path = client.box / ".sgwtmp/settings/policy.2"
    expect(client, path, plant, {"policy": TAKEN, "replace": (200, ""), "drop": FULL})


def test_what_is_no_setting_stays_beside_the_settings(client):
    path = client.box / ".sgwtmp/settings/notes.txt"
    expect(client, path, file, {"policy": (204, ""), "drop": FULL})


@pytest.mark.parametrize("plant", NO_FILE)
def test_a_file_on_its_way(client, plant):
    path = client.box / ".sgwtmp/put.0123456789abcdef"
    expect(client, path, plant, {"replace": (200, ""), "drop": FULL})
