"""What is measured of uploads in parts is an upload that was made, and a copy that was whole."""

import os

import pytest

from benchmarks import multipart, sparse
from benchmarks.loop import LoadError
from benchmarks.multipart import COPIES, Parts, Shape
from benchmarks.processes import Processes
from benchmarks.volume import written
from s3filters.store import Store

MIB = 1 << 20


class Answers:
    """A client whose every request gets one answer."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def send(self, method, path, query, body):
        self.asked.append((method, path, query, body))
        return self.answer


def test_a_shape_knows_its_bytes_and_its_name():
    assert Shape(10_000, 5 * MIB).bytes == 50_000 * MIB
    assert str(Shape(10_000, 5 * MIB)) == "10,000 x 5 MiB"


def test_completing_names_every_part_in_order():
    client = Answers(b"<x/><CompleteMultipartUploadResult/>")
    assert multipart.complete(client, "/b/k", Parts("id", ["aa", "bb"])) >= 0
    ((method, path, query, body),) = client.asked
    assert (method, path, query) == ("POST", "/b/k", "uploadId=id")
    assert body.index(b"<PartNumber>1</PartNumber><ETag>aa<") < body.index(b"<PartNumber>2<")


def test_an_error_behind_a_200_is_no_completion():
    with pytest.raises(LoadError, match="SlowDown"):
        multipart.complete(Answers(b"<Error><Code>SlowDown</Code>"), "/b/k", Parts("id", ["aa"]))


@pytest.mark.parametrize("how", COPIES.values(), ids=COPIES)
def test_a_copy_is_whole(tmp_path, how):
    data = os.urandom(MIB)
    (tmp_path / "a").write_bytes(data)
    with (tmp_path / "a").open("rb") as source, (tmp_path / "b").open("wb") as target:
        how(source.fileno(), target.fileno(), MIB)
    assert (tmp_path / "b").read_bytes() == data


def test_copying_leaves_nothing(tmp_path):
    assert multipart.copying(tmp_path, MIB, COPIES["read and write"], synced=False) > 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("durability", ["none", "full"])
def test_hollow_parts_are_parts_of_an_upload(tmp_path, durability):
    (tmp_path / "bkt").mkdir()
    upload = sparse.prepare(str(tmp_path), "bkt", "k", 3, 5 * MIB, durability)
    store = Store(tmp_path, durability="none")
    try:
        found, _ = store.parts("bkt", "k", upload, 0, 10)
    finally:
        store.close()
    assert [(part.number, part.size, part.etag) for part in found] == [
        (number, 5 * MIB, sparse.ETAG) for number in (1, 2, 3)
    ]


def test_what_a_process_gave_to_storage_only_grows():
    processes = Processes([os.getpid()])
    assert 0 <= processes.written() <= processes.written()


def test_the_device_of_a_shared_file_system_is_not_asked(tmp_path):
    assert written(tmp_path) is None
