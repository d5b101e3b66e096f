"""The story of an object on tape, as real clients see it: the daemon on a double of ScoutFS.

The daemon runs with ``etc/scoutfs.ini``, in which a site named the program that releases files.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.client import IncompleteRead
from pathlib import Path
from typing import Any

import pytest

from tests import daemon
from tests.clients.adapters import BY_NAME, Absent, Client, ClientError, Program
from tests.daemon import Daemon
from tests.raw import RawConnection
from tests.scoutfs import calls
from tests.scoutfs.archiver import Archiver
from tests.scoutfs.cold import ALWAYS, end_said
from tests.scoutfs.mounted import REPOSITORY, mounted, need

pytestmark = pytest.mark.client

DATA = b"a thing worth keeping " * 1000
DAY = 86400
LIMIT_S = 20
READERS = 32
TELLERS = ("aws-1", "aws-2", "boto3", "boto3-1.26")
RESTORE = "user.s3filters.restore"


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tape")


def site_ini(tape: Path, header: str) -> Path:
    """Return an ini of a site that releases by a program, and says ``x-amz-restore`` so."""
    text = (REPOSITORY / "etc" / "scoutfs.ini").read_text()
    release = f"env -C {REPOSITORY} {sys.executable} -m tests.scoutfs.site release {tape}"
    example, said = "#release_command = /usr/local/sbin/site-release", "restore_header = versity"
    assert example in text
    assert said in text
    lines = f"release_command = {release}\nwatch_interval = 1"
    ini = tape.with_name(f"scoutfs-{header}.ini")
    ini.write_text(text.replace(example, lines).replace(said, f"restore_header = {header}"))
    return ini


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tape: Path) -> Iterator[Daemon]:
    need()
    where = tmp_path_factory.mktemp("cold")
    with mounted(where):
        (where / "root" / "box").mkdir(parents=True)
        ini = site_ini(tape, "versity")
        with daemon.running(where / "root", extra=("--conf", str(ini))) as running:
            yield running


@pytest.fixture
def served_as_aws(served: Daemon, tape: Path) -> Iterator[Daemon]:
    """Another daemon beside the first one."""
    ini = site_ini(tape, "aws")
    with daemon.running(served.root, extra=("--conf", str(ini))) as running:
        yield running


@pytest.fixture(scope="module")
def archiver(tape: Path) -> Archiver:
    return Archiver(tape)


@pytest.fixture
def dial(served: Daemon, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Dials clients by name; one that is not here fails in CI and is skipped elsewhere."""
    dialled: list[Client] = []

    def dial(name: str, by: Daemon = served) -> Client:
        try:
            dialled.append(BY_NAME[name].dial(by, tmp_path))
        except Absent as error:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(str(error))
        return dialled[-1]

    yield dial
    for client in dialled:
        client.close()


@pytest.fixture
def put(served: Daemon) -> Callable[..., Path]:
    """Puts an object; returns its file."""

    def put(key: str, data: bytes = DATA) -> Path:
        with served.connect() as connection:
            assert connection.ask("PUT", f"/box/{key}", body=data).status == 200
        return served.root / "box" / key

    return put


class Teller:
    """Any client that can be asked for one operation."""

    def __init__(self, name: str, client: Client, key: str) -> None:
        self.client = client
        self._program = isinstance(BY_NAME[name], Program)
        self.key = key
        self._where = {"Bucket": "box", "Key": key}

    def ask(self, operation: str, *file: str, **words: Any) -> dict[str, Any]:
        """Ask for an operation on the object; raise ClientError with the code in its text."""
        asked = {**self._where, **words}
        if not self._program:
            answer = self.client.ask("call", name=operation, words=asked)  # type: ignore[arg-type]
            return dict(answer)
        where = ("--bucket", asked["Bucket"], "--key", asked["Key"])  # get-object wants them here
        more = ("--cli-input-json", json.dumps(words)) if words else ()
        said = self.client.run("s3api", operation.replace("_", "-"), *where, *more, *file)
        found: dict[str, Any] = json.loads(said or "{}")
        return found

    def status(self, operation: str, **words: Any) -> int:
        """Return the status of the answer to an operation that succeeds, as the client shows it."""
        if not self._program:
            asked = {**self._where, **words}
            answer = self.client.ask("status", name=operation, words=asked)  # type: ignore[arg-type]
            return int(answer)
        where = ("--bucket", self._where["Bucket"], "--key", self.key)
        more = ("--cli-input-json", json.dumps(words))
        asking = ("--debug", "s3api", operation.replace("_", "-"), *where, *more)
        with self.client.start(*asking) as process:
            _, errors = process.communicate(timeout=LIMIT_S)
        assert process.returncode == 0, errors[-2000:]
        return int(re.findall(r'"POST \S+ HTTP/1.1" (\d+)', errors)[-1])

    def head(self) -> tuple[str | None, str | None]:
        """Return storage class and x-amz-restore."""
        said = self.ask("head_object")
        return said.get("StorageClass"), said.get("Restore")

    def refused(self, operation: str, *file: str, **words: Any) -> str:
        """Return what the client says when the daemon refuses."""
        with pytest.raises(ClientError) as caught:
            self.ask(operation, *file, **words)
        return str(caught.value)


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def midnight(days: int) -> str:
    """Return the end of days that begin now."""
    end = (int(time.time()) // DAY + days + 1) * DAY
    return time.strftime("%a, %d %b %Y 00:00:00 GMT", time.gmtime(end))


@pytest.mark.parametrize("name", TELLERS)
def test_an_object_goes_to_tape_comes_back_and_goes_again(
    dial: Callable[..., Client], served: Daemon, archiver: Archiver, tmp_path: Path, name: str
) -> None:
    teller = Teller(name, dial(name), f"story/{name}")
    not_asked = 'ongoing-request="false"'
    teller.client.upload(source(tmp_path), "box", teller.key)
    assert teller.head() == ("STANDARD", ALWAYS)
    assert teller.status("restore_object", RestoreRequest={"Days": 1}) == 200  # as Versity has it
    tell(teller, served.root / "box" / teller.key, archiver, tmp_path, ("STANDARD", not_asked))


@pytest.mark.parametrize("name", ["aws-2", "boto3"])
def test_the_same_is_told_in_the_words_of_aws(
    dial: Callable[..., Client],
    served_as_aws: Daemon,
    archiver: Archiver,
    tmp_path: Path,
    name: str,
) -> None:
    teller = Teller(name, dial(name, served_as_aws), f"as-aws/{name}")
    teller.client.upload(source(tmp_path), "box", teller.key)
    assert teller.head() == (None, None)
    refused = teller.refused("restore_object", RestoreRequest={"Days": 1})
    assert "InvalidObjectState" in refused
    tell(teller, served_as_aws.root / "box" / teller.key, archiver, tmp_path, (None, None))


def source(folder: Path) -> Path:
    """Return a file to upload."""
    path = folder / "source"
    path.write_bytes(DATA)
    return path


def tell(
    teller: Teller,
    path: Path,
    archiver: Archiver,
    folder: Path,
    words: tuple[str | None, str | None],
) -> None:
    """Play the story of an object that is there.

    :param words: the class of one that is here, and x-amz-restore of one that nobody asked for
    """
    (here, not_asked), got = words, folder / "got"
    etag = teller.ask("head_object")["ETag"]
    archiver.take(path)
    assert teller.head() == ("GLACIER", not_asked)
    assert "InvalidObjectState" in teller.refused("get_object", str(got))
    request = {"Days": 2, "GlacierJobParameters": {"Tier": "Bulk"}}
    assert teller.status("restore_object", RestoreRequest=request) == 202
    assert teller.head() == ("GLACIER", 'ongoing-request="true"')
    again = teller.refused("restore_object", RestoreRequest=request)
    assert "RestoreAlreadyInProgress" in again
    assert "InvalidObjectState" in teller.refused("get_object", str(got))
    assert archiver.work() == [path.name]
    teller.client.download("box", teller.key, got)
    assert got.read_bytes() == DATA
    said, restore = teller.head()
    assert (said, end_said(restore)) == (here, midnight(2))
    assert teller.ask("head_object")["ETag"] == etag
    assert teller.status("restore_object", RestoreRequest={"Days": 3}) == 200
    assert end_said(teller.head()[1]) == midnight(3)
    record = json.loads(os.getxattr(path, RESTORE))
    os.setxattr(path, RESTORE, json.dumps({**record, "end_s": 1}).encode())  # its days are over
    until(lambda: teller.head() == ("GLACIER", not_asked))
    assert "InvalidObjectState" in teller.refused("get_object", str(got))


# --- a tree of which half is on tape --------------------------------------------------------------


@pytest.fixture
def half(put: Callable[..., Path], archiver: Archiver, request: pytest.FixtureRequest) -> str:
    """A prefix with two objects that are here and two that are on tape."""
    prefix = f"half/{request.node.name}".replace("[", "-").rstrip("]")
    for name in ("here1", "deep/here2"):
        put(f"{prefix}/{name}")
    for name in ("tape1", "deep/tape2"):
        archiver.take(put(f"{prefix}/{name}"))
    return prefix


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["aws-1", "aws-2"])
def test_aws_syncs_what_is_here_and_warns_of_the_rest(
    dial: Callable[..., Client], half: str, archiver: Archiver, tmp_path: Path, name: str
) -> None:
    client, target = dial(name), tmp_path / "synced"
    words = ("s3", "sync", f"s3://box/{half}", str(target))
    with client.start(*words) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2  # as with AWS: 2 is for what was skipped
    assert errors.count("is of storage class GLACIER") == 2
    assert names(target) == ["deep/here2", "here1"]
    client.run(*words, "--ignore-glacier-warnings")
    for key in ("tape1", "deep/tape2"):
        request = ("--bucket", "box", "--key", f"{half}/{key}", "--restore-request", "Days=1")
        client.run("s3api", "restore-object", *request)
    assert sorted(archiver.work(2)) == ["tape1", "tape2"]
    client.run(*words)
    assert names(target) == ["deep/here2", "deep/tape2", "here1", "tape1"]


@pytest.mark.parametrize(("verb", "status"), [("sync", 0), ("cp", 1)])
def test_s5cmd_brings_what_is_here_and_warns_of_the_rest(
    dial: Callable[..., Client], half: str, tmp_path: Path, verb: str, status: int
) -> None:
    client, target = dial("s5cmd"), tmp_path / "synced"
    with client.start(verb, f"s3://box/{half}/*", f"{target}/") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == status  # its own sync does not count what it warns of
    assert errors.count("is on Glacier storage") == 2
    assert names(target) == ["deep/here2", "here1"]
    with pytest.raises(ClientError, match="InvalidObjectState"):
        client.run("cp", "--force-glacier-transfer", f"s3://box/{half}/tape1", f"{target}/")
    assert names(target) == ["deep/here2", "here1"]


ON_TAPE = {"tape1", "deep/tape2"}


@pytest.mark.parametrize("name", ["rclone", "rclone-newest"])
def test_rclone_asks_for_all_that_is_on_tape(
    dial: Callable[..., Client], half: str, archiver: Archiver, tmp_path: Path, name: str
) -> None:
    client, where, target = dial(name), f"r:box/{half}", tmp_path / "synced"
    options = ("-o", "priority=Bulk", "-o", "lifetime=1", "--dump", "headers")
    with client.start("backend", "restore", where, *options) as process:
        said, dumped = process.communicate(timeout=60)
    assert process.returncode == 0, dumped[-2000:]
    assert {one["Remote"] for one in json.loads(said) if one["Status"] == "OK"} >= ON_TAPE
    assert dumped.count("HTTP/1.1 202 Accepted") == len(ON_TAPE)
    assert {*archiver.work(2)} == {"tape1", "tape2"}
    client.run("copy", where, str(target))
    assert names(target) == ["deep/here2", "deep/tape2", "here1", "tape1"]


def test_rclone_sees_what_was_asked_for_come(
    dial: Callable[..., Client], half: str, archiver: Archiver
) -> None:
    client, where = dial("rclone-newest"), f"r:box/{half}"

    def told() -> dict[str, Any]:
        """What is said of each object whose class is not STANDARD, or was asked for."""
        every = json.loads(client.run("backend", "restore-status", where, "-o", "all"))
        return {one["Remote"]: one["RestoreStatus"] for one in every}

    before = told()
    client.run("backend", "restore", where, "-o", "priority=Standard", "-o", "lifetime=1")
    asked = told()
    archiver.work(2)
    after = told()
    for key in ON_TAPE:
        assert not before[key]
        assert asked[key]["IsRestoreInProgress"] is True
        end = time.strptime(midnight(1), "%a, %d %b %Y %H:%M:%S GMT")
        shown = time.strftime("%Y-%m-%dT%H:%M:%SZ", end)
        assert after[key] == {"IsRestoreInProgress": False, "RestoreExpiryDate": shown}


# --- readers that wait for tape -------------------------------------------------------------------

LARGE = bytes(range(256)) * (24 << 12)  # more than sockets hold


def work_goes_on(served: Daemon, put: Callable[..., Path], refusal: int = 403) -> None:
    """Ask for everything that needs no tape; raise unless all of it is answered in time."""
    put("meanwhile/key")
    with served.connect(timeout_s=10) as connection:
        got = connection.ask("GET", "/box/meanwhile/key")
        assert (got.status, got.body) == (200, DATA)
        assert connection.ask("HEAD", "/box/waited").status == 200
        assert connection.ask("GET", "/box?list-type=2").status == 200
        if refusal:
            assert connection.ask("GET", "/box/waited").status == refusal
        assert connection.ask("DELETE", "/box/meanwhile/key").status == 204


def waiting(served: Daemon) -> int:
    fd = os.open(served.root, os.O_RDONLY)
    try:
        return len(calls.waiting(fd))
    finally:
        os.close(fd)


@contextmanager
def asking(served: Daemon, target: str) -> Iterator[list[RawConnection]]:
    """So many clients that asked for an object and have read nothing yet."""
    with ExitStack() as stack:
        readers = [RawConnection(served.port) for _ in range(READERS)]
        for reader in readers:
            stack.callback(reader.close)
            reader.socket.sendall(reader.request("GET", target, b""))
        yield readers


def test_programs_that_wait_for_tape_hold_nobody_up(
    served: Daemon, put: Callable[..., Path]
) -> None:
    """The readers open the file on the mount, behind the daemon's back."""
    path = put("waited")
    calls.make_offline(path)
    with ThreadPoolExecutor(READERS) as pool:
        readers = [pool.submit(path.read_bytes) for _ in range(READERS)]
        until(lambda: waiting(served) >= 1)
        try:
            work_goes_on(served, put)
        finally:
            calls.bring_back(path, DATA)
        assert {one.result(LIMIT_S) for one in readers} == {DATA}


def test_an_answer_ends_when_the_rest_of_it_went_to_tape(
    served: Daemon, put: Callable[..., Path]
) -> None:
    """Else each would keep a thread of the daemon until the tape answers."""
    path = put("waited", LARGE)
    with asking(served, "/box/waited") as readers, ThreadPoolExecutor(READERS) as pool:
        for reader in readers:
            reader.socket.recv(1, socket.MSG_PEEK)
        calls.make_offline(path)
        answers = [pool.submit(reader.answer, "GET") for reader in readers]
        work_goes_on(served, put)
        for answer in answers:
            with pytest.raises((IncompleteRead, ConnectionResetError)):
                answer.result(LIMIT_S)
        assert waiting(served) == 0
        calls.bring_back(path, LARGE)


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["small", "large"])
def test_without_the_filter_those_who_wait_for_tape_hold_nobody_up(
    served: Daemon, put: Callable[..., Path], tmp_path: Path, data: bytes
) -> None:
    path = put("waited", data)
    ini = tmp_path / "bare.ini"
    ini.write_text((REPOSITORY / "etc" / "scoutfs.ini").read_text().replace(" glacier ", " ", 1))
    with daemon.running(served.root, extra=("--conf", str(ini))) as bare:
        calls.make_offline(path)
        with asking(bare, "/box/waited") as readers, ThreadPoolExecutor(READERS) as pool:
            until(lambda: waiting(served) >= 1)
            answers = [pool.submit(reader.answer, "GET") for reader in readers]
            try:
                work_goes_on(bare, put, refusal=0)
            finally:
                calls.bring_back(path, data)
            assert all(answer.result(60).body == data for answer in answers)
