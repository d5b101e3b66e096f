"""Real S3 clients and uploads in parts: sent, copied, looked at, broken off, taken up again.

As in test_clients.py the disk is looked at directly. Parts are as small as clients can be told to
make them, so that files need not be large.
"""

from __future__ import annotations

import filecmp
import gzip
import hashlib
import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.adapters import ClientError
from tests.clients.conftest import Scene

pytestmark = pytest.mark.client

MIB = 2**20
LARGE = 21 * MIB + 1  # bytes; more than each client sends in one piece
PART = 5 * MIB
THREADS = 64
COPIES_IN_PARTS = {
    "boto3",
    "boto3-1.26",
    "boto3-crt",
    "aws-1",
    "aws-2",
    "s3cmd",
    "rclone",
    "rclone-newest",
    "minio-py",
}
OVER = re.compile(r'"[0-9a-f]{32}-([0-9]+)"').fullmatch  # the ETag of an object made of parts
WAIT_S = 30.0


def only(*names: str) -> pytest.MarkDecorator:
    """A scenario that some clients know, over http: the words are the same over https."""
    table = [pytest.param("http", name, id=name) for name in names]
    return pytest.mark.parametrize(("scheme", "scene"), table, indirect=True)


@pytest.fixture
def path(sized: Callable[[int], Path]) -> Path:
    """A file that goes in parts."""
    return sized(LARGE)


def parts_of(scene: Scene, key: str) -> int:
    """Of how many parts an object was made; 0 when it was sent whole."""
    with scene.daemon.connect() as connection:
        etag = connection.ask("HEAD", f"/{scene.bucket}/{key}").headers["etag"]
    found = OVER(etag)
    return int(found[1]) if found else 0


def made_by(scene: Scene, key: str) -> str:
    """Which upload made an object; an empty text for a copy that was made in one piece."""
    packed = os.getxattr(scene.on_disk(key), "user.mp-metadata")
    return str(json.loads(gzip.decompress(packed)).get("uploadId", ""))


def in_progress(scene: Scene) -> list[Path]:
    """The directories of uploads that have not ended."""
    hidden = scene.daemon.root / scene.bucket / ".sgwtmp" / "multipart"
    return [entry for entry in hidden.glob("*/*") if not entry.name.endswith(".inprogress")]


def test_a_large_file_travels_in_parts(scene: Scene, path: Path, tmp_path: Path) -> None:
    if scene.name == "curl":
        pytest.skip("curl sends a file in one piece")
    back = tmp_path / "back"
    scene.client.upload(path, scene.bucket, "large.bin")
    assert parts_of(scene, "large.bin") > 1
    assert made_by(scene, "large.bin")
    assert filecmp.cmp(path, scene.on_disk("large.bin"), shallow=False)
    scene.client.download(scene.bucket, "large.bin", back)
    assert filecmp.cmp(path, back, shallow=False)
    scene.client.copy(scene.bucket, "large.bin", "copy.bin")
    assert bool(made_by(scene, "copy.bin")) == (scene.name in COPIES_IN_PARTS)
    assert filecmp.cmp(path, scene.on_disk("copy.bin"), shallow=False)
    scene.client.delete(scene.bucket, "large.bin")
    scene.client.delete(scene.bucket, "copy.bin")
    assert in_progress(scene) == []


@only("boto3", "boto3-1.26")
def test_sixty_four_parts_go_up_at_once_from_a_stream(scene: Scene) -> None:
    size = THREADS * PART - 1
    words = {"size": size, "threads": THREADS}
    digest = scene.client.ask("stream", bucket=scene.bucket, key="stream.bin", **words)
    assert parts_of(scene, "stream.bin") == THREADS
    with scene.on_disk("stream.bin").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest
    scene.client.delete(scene.bucket, "stream.bin")


@only("boto3", "boto3-1.26")
def test_an_upload_is_found_and_taken_up_again(scene: Scene, path: Path) -> None:
    words = {"path": str(path), "bucket": scene.bucket, "key": "resumed.bin"}
    scene.client.ask("begin", **words, numbers=[5, 1, 3])
    assert scene.client.ask("resume", **words) == [2, 4]
    assert filecmp.cmp(path, scene.on_disk("resumed.bin"), shallow=False)
    assert in_progress(scene) == []


# The aws cli, by hand ----------------------------------------------------------------------------


class Api:
    """``aws s3api``, for one key."""

    def __init__(self, scene: Scene, key: str) -> None:
        self._scene = scene
        self.names = ("--bucket", scene.bucket, "--key", key)

    def __call__(self, verb: str, *words: str) -> Any:
        """Ask about the key. Raise ClientError."""
        said = self._scene.client.run("s3api", verb, *self.names, "--output", "json", *words)
        return json.loads(said or "null")

    def uploads(self) -> list[dict[str, Any]]:
        """Every upload of the bucket, by pages of one."""
        words = ("--bucket", self._scene.bucket, "--output", "json", "--page-size", "1")
        said = self._scene.client.run("s3api", "list-multipart-uploads", *words)
        return list(json.loads(said or "{}").get("Uploads", []))


@only("aws-1", "aws-2")
def test_the_cli_makes_an_object_by_hand_and_looks_at_its_parts(
    scene: Scene, sized: Callable[[int], Path], tmp_path: Path
) -> None:
    api, first, last, back = Api(scene, "by/hand"), sized(PART), sized(777), tmp_path / "back"
    begun = api("create-multipart-upload", "--metadata", "a=b", "--checksum-algorithm", "SHA256")
    upload = ("--upload-id", begun["UploadId"])
    listed = []
    for number, file in ((2, last), (1, first)):
        words = (
            "--part-number",
            str(number),
            "--body",
            str(file),
            "--checksum-algorithm",
            "SHA256",
        )
        sent = api("upload-part", *upload, *words)
        listed.insert(0, {"PartNumber": number, **sent})
    assert [row["UploadId"] for row in api.uploads()] == [begun["UploadId"]]
    parts = api("list-parts", *upload, "--page-size", "1")["Parts"]
    assert [(part["PartNumber"], part["Size"]) for part in parts] == [(1, PART), (2, 777)]
    assert [part["ETag"] for part in parts] == [part["ETag"] for part in listed]

    wanted = ("PartNumber", "ETag", "ChecksumSHA256")
    body = json.dumps({"Parts": [{name: part[name] for name in wanted} for part in listed]})
    made = api("complete-multipart-upload", *upload, "--multipart-upload", body)
    assert OVER(made["ETag"])
    assert api("get-object", "--part-number", "1", str(back))["ContentLength"] == PART
    assert filecmp.cmp(back, first, shallow=False)
    head = api("head-object", "--part-number", "2")
    assert (head["PartsCount"], head["ContentLength"], head["Metadata"]) == (2, 777, {"a": "b"})
    names = ("ETag", "Checksum", "ObjectParts", "ObjectSize", "StorageClass")
    found = api("get-object-attributes", "--object-attributes", *names, "--max-parts", "1")
    assert found["ObjectSize"] == PART + 777
    assert found["ObjectParts"]["TotalPartsCount"] == 2
    assert made["ChecksumSHA256"] == found["Checksum"]["ChecksumSHA256"] + "-2"
    assert api.uploads() == []


@only("aws-1", "aws-2")
def test_the_cli_aborts_an_upload(scene: Scene, sized: Callable[[int], Path]) -> None:
    api = Api(scene, "never")
    begun = [api("create-multipart-upload")["UploadId"] for _ in range(2)]
    api("upload-part", "--upload-id", begun[0], "--part-number", "7", "--body", str(sized(777)))
    assert {row["UploadId"] for row in api.uploads()} == {*begun}
    for upload in begun:
        api("abort-multipart-upload", "--upload-id", upload)
    assert api.uploads() == in_progress(scene) == []
    with pytest.raises(ClientError, match="NoSuchUpload"):
        api("list-parts", "--upload-id", begun[0])


# Broken off --------------------------------------------------------------------------------------


def broken_off(scene: Scene, how: signal.Signals, words: tuple[str, ...], **environ: str) -> str:
    """Run a client until two parts are there, and end it; return what it said."""
    with scene.client.start(*words, **environ) as process:
        until = time.monotonic() + WAIT_S
        while len(stored_parts(scene)) < 2 and time.monotonic() < until and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(how)
        out, errors = process.communicate(timeout=WAIT_S)
    assert process.returncode, f"it was done before it was broken off:\n{out}{errors}"
    return out + errors


def stored_parts(scene: Scene) -> list[Path]:
    """The parts that uploads in progress have."""
    return [
        part for upload in in_progress(scene) for part in upload.iterdir() if part.name.isdigit()
    ]


@only("aws-1", "aws-2")
def test_the_cli_takes_back_what_it_was_told_to_stop(
    scene: Scene, path: Path, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text(
        "[default]\ns3 =\n  addressing_style = path\n  multipart_threshold = 8MB\n"
        "  multipart_chunksize = 5MB\n  max_bandwidth = 8MB/s\n  max_concurrent_requests = 1\n"
    )
    words = ("s3", "cp", "--no-progress", str(path), f"s3://{scene.bucket}/stopped.bin")
    broken_off(scene, signal.SIGINT, words, AWS_CONFIG_FILE=str(config))
    assert in_progress(scene) == []
    assert not scene.on_disk("stopped.bin").exists()


@only("s3cmd")
def test_s3cmd_takes_up_again_what_was_killed(scene: Scene, path: Path) -> None:
    url = f"s3://{scene.bucket}/killed.bin"
    broken_off(scene, signal.SIGKILL, ("--limit-rate", "10m", "put", str(path), url))
    before = stored_parts(scene)
    (upload,) = in_progress(scene)
    listed = scene.client.run("listmp", url, upload.name)
    assert len(re.findall(rf"^\S+\t\d+\t\S+\t{PART}$", listed, re.MULTILINE)) == len(before)
    with scene.client.start("--debug", "put", "--continue-put", str(path), url) as process:
        _, said = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, said
    assert upload.name in said
    assert len(re.findall("size and md5sum match for", said)) == len(before)
    assert filecmp.cmp(path, scene.on_disk("killed.bin"), shallow=False)
    assert in_progress(scene) == []


@only("s3cmd")
def test_s3cmd_aborts_what_was_killed(scene: Scene, path: Path) -> None:
    url = f"s3://{scene.bucket}/aborted.bin"
    broken_off(scene, signal.SIGKILL, ("--limit-rate", "10m", "put", str(path), url))
    (upload,) = in_progress(scene)
    assert upload.name in scene.client.run("multipart", f"s3://{scene.bucket}")
    scene.client.run("abortmp", url, upload.name)
    assert in_progress(scene) == []


@only("rclone")
def test_rclone_clears_away_what_was_killed(scene: Scene, path: Path) -> None:
    words = ("--bwlimit", "10M", "copyto", str(path), f"r:{scene.bucket}/killed.bin")
    broken_off(scene, signal.SIGKILL, words)
    listed = scene.client.run("backend", "list-multipart-uploads", f"r:{scene.bucket}")
    (upload,) = in_progress(scene)
    assert upload.name in listed
    scene.client.run("backend", "cleanup", f"r:{scene.bucket}", "-o", "max-age=0s")
    assert in_progress(scene) == []
