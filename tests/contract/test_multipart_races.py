"""Uploads that several gateways work on at one instant: who wins, and whose bytes are stored?

Requests are sent but for their last byte, and then all last bytes at once, as in ``test_races``.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon import Daemon, running
from tests.raw import Answer, Connection, RawConnection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

INI = Path(__file__).parents[2] / "etc" / "s3filters.ini"
BUCKET = "box"
WRITERS = 32
ROUNDS = {"direct": 100, "files": 10}
FEW_ROUNDS = 15
LEAST = 5 << 20
LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
Requests = list[tuple[str, str, bytes, dict[str, str]]]  # method, target, body, headers


@pytest.fixture(scope="module", params=ROUNDS)
def placement(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory, placement: str) -> Iterator[list[Daemon]]:
    """Three gateways on one root."""
    folder = tmp_path_factory.mktemp("gateways")
    ini = folder / "gateway.ini"
    ini.write_text(INI.read_text().replace("[app:fs]\n", f"[app:fs]\nplacement = {placement}\n"))
    root = folder / "root"
    root.mkdir()
    with ExitStack() as stack:
        made = [stack.enter_context(running(root, extra=("--conf", str(ini)))) for _ in range(3)]
        with made[0].connect() as connection:
            assert connection.ask("PUT", f"/{BUCKET}").status == 200
        yield made
        assert left_over(root) == []


def left_over(root: Path) -> list[Path]:
    """Files under ``.sgwtmp`` but the locks, once what has ended had time to be removed."""
    deadline = time.monotonic() + 10
    while True:
        inside = [path for path in (root / BUCKET / ".sgwtmp").rglob("*") if path.is_file()]
        left = [path for path in inside if path.name != "lock"]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


@pytest.fixture(scope="module")
def racers(daemons: list[Daemon]) -> Iterator[list[RawConnection]]:
    """32 connections, to the first two daemons in turn."""
    made = [RawConnection(daemons[number % 2].port) for number in range(WRITERS)]
    yield made
    for racer in made:
        racer.close()


@pytest.fixture
def one(daemons: list[Daemon]) -> Iterator[Connection]:
    """A connection to the third daemon."""
    with daemons[2].connect() as connection:
        yield connection


def race(racers: list[RawConnection], requests: Requests) -> list[Answer]:
    """Send a request from each of as many racers so that all end at once."""
    racing = racers[: len(requests)]
    whole = [r.request(*words) for r, words in zip(racing, requests, strict=True)]
    for racer, data in zip(racing, whole, strict=True):
        racer.socket.sendall(data[:-1])
    order = list(zip(racing, whole, strict=True))
    random.shuffle(order)
    for racer, data in order:
        racer.socket.sendall(data[-1:])
    return [r.answer(words[0]) for r, words in zip(racing, requests, strict=True)]


def between(text: bytes, name: str) -> str:
    """What an element of an answer holds."""
    return text.partition(f"<{name}>".encode())[2].partition(f"</{name}>".encode())[0].decode()


def told_etag(answer: Answer) -> str:
    """The first ETag in a document."""
    return between(answer.body, "ETag").replace("&quot;", '"')


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def body_of(*words: object, size: int = 3000) -> bytes:
    """Bytes that name who sent them."""
    text = f"{words};".encode()
    return (text * (size // len(text) + 1))[:size]


class Upload:
    """One upload; requests about it for whoever sends them."""

    def __init__(self, target: str, begun: Answer) -> None:
        assert begun.status == 200, begun.body
        self.target = target
        self.query = f"{target}?uploadId={between(begun.body, 'UploadId')}"

    def part(self, number: int, body: bytes) -> tuple[str, str, bytes, dict[str, str]]:
        return "PUT", f"{self.query}&partNumber={number}", body, {}

    def abort(self) -> tuple[str, str, bytes, dict[str, str]]:
        return "DELETE", self.query, b"", {}

    def complete(
        self, *bodies: bytes, headers: dict[str, str] | None = None
    ) -> tuple[str, str, bytes, dict[str, str]]:
        parts = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{md5(body)}</ETag></Part>"
            for number, body in enumerate(bodies, 1)
        )
        text = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>"
        return "POST", self.query, text.encode(), headers or {}


def begin(connection: Connection, key: str) -> Upload:
    target = f"/{BUCKET}/{key}"
    return Upload(target, connection.ask("POST", f"{target}?uploads="))


def etag_of(*bodies: bytes) -> str:
    whole = b"".join(bytes.fromhex(md5(body)) for body in bodies)
    return f'"{md5(whole)}-{len(bodies)}"'


def statuses(answers: list[Answer], *allowed: int | str) -> None:
    """Assert that each answer has one of the statuses or of the error codes."""
    odd = [a for a in answers if a.status not in allowed and a.code not in allowed]
    assert not odd, f"{len(odd)} of {len(answers)}: {odd[0].status} {odd[0].body!r}"


def test_of_32_uploads_of_one_key_that_are_completed_if_it_is_absent_one_wins(
    daemons: list[Daemon], racers: list[RawConnection], one: Connection, placement: str
) -> None:
    absent = {"If-None-Match": "*"}
    for number in range(ROUNDS[placement]):
        target = f"/{BUCKET}/round/{number}"
        begun = race(racers, [("POST", f"{target}?uploads=", b"", {})] * WRITERS)
        uploads = [Upload(target, answer) for answer in begun]
        bodies = [body_of(number, writer) for writer in range(WRITERS)]
        pairs = list(zip(uploads, bodies, strict=True))
        statuses(race(racers, [upload.part(1, body) for upload, body in pairs]), 200)
        answers = race(racers, [upload.complete(body, headers=absent) for upload, body in pairs])
        statuses(answers, 200, *LOST)
        winners = [writer for writer, answer in enumerate(answers) if answer.status == 200]
        assert len(winners) == 1
        stored = one.ask("GET", target)
        assert stored.body == bodies[winners[0]]
        assert stored.headers["etag"] == etag_of(bodies[winners[0]])
        assert told_etag(answers[winners[0]]) == stored.headers["etag"]
        ended = race(racers, [upload.abort() for upload in uploads])
        assert [w for w, answer in enumerate(ended) if answer.status != 204] == winners


def test_parts_sent_to_two_gateways_are_completed_by_a_third(
    daemons: list[Daemon], racers: list[RawConnection], one: Connection
) -> None:
    upload = begin(one, "thirds")
    bodies = [body_of("third", n, size=LEAST) for n in range(1, 8)] + [b"end"]
    statuses(race(racers, [upload.part(n, body) for n, body in enumerate(bodies, 1)]), 200)
    answer = one.ask(*upload.complete(*bodies))
    assert answer.status == 200, answer.body
    for daemon in daemons:
        with daemon.connect() as connection:
            stored = connection.ask("GET", upload.target)
        assert stored.body == b"".join(bodies)
        assert stored.headers["etag"] == etag_of(*bodies)


def test_a_part_sent_at_once_by_many_is_that_of_one_of_them_whole(
    racers: list[RawConnection], one: Connection
) -> None:
    for number in range(FEW_ROUNDS):
        upload = begin(one, f"same/{number}")
        bodies = [body_of("same", number, writer, size=100_000) for writer in range(8)]
        statuses(race(racers, [upload.part(1, body) for body in bodies]), 200)
        listed = one.ask("GET", upload.query)
        mine = [body for body in bodies if f'"{md5(body)}"' == told_etag(listed)]
        assert len(mine) == 1, listed.body
        assert one.ask(*upload.complete(*mine)).status == 200
        assert one.ask("GET", upload.target).body == mine[0]


def test_duplicate_completes_all_answer_the_same(
    racers: list[RawConnection], one: Connection
) -> None:
    for number in range(FEW_ROUNDS):
        upload = begin(one, f"twice/{number}")
        body = body_of("twice", number)
        assert one.ask(*upload.part(1, body)).status == 200
        answers = race(racers, [upload.complete(body)] * 8)
        statuses(answers, 200)
        told = {re.sub(b"<Location>http://[^/]*", b"<Location>", answer.body) for answer in answers}
        assert len(told) == 1  # each names the host that it was asked by
        stored = one.ask("GET", upload.target)
        assert (stored.body, stored.headers["etag"]) == (body, etag_of(body))


def test_complete_abort_and_a_part_at_once_leave_the_object_or_nothing(
    racers: list[RawConnection], one: Connection
) -> None:
    seen = set()
    for number in range(FEW_ROUNDS * 2):
        upload = begin(one, f"mixed/{number}")
        body, late = body_of("mixed", number), body_of("late", number)
        assert one.ask(*upload.part(1, body)).status == 200
        completed, aborted, part = race(
            racers, [upload.complete(body), upload.abort(), upload.part(2, late)]
        )
        statuses([part], 200, "NoSuchUpload", "SlowDown")
        seen.add((completed.status, aborted.status))
        assert (completed.status, aborted.status) in {(200, 404), (404, 204)}
        stored = one.ask("GET", upload.target)
        assert stored.status == completed.status
        if stored.status == 200:
            assert (stored.body, stored.headers["etag"]) == (body, etag_of(body))
        assert one.ask("GET", upload.query).code == "NoSuchUpload"
        again = one.ask(*upload.complete(body))
        assert again.status == completed.status
    print(f"\n(complete, abort): {seen}")


def test_an_id_that_a_race_has_ended_is_unknown_to_every_gateway(
    daemons: list[Daemon], one: Connection
) -> None:
    upload = begin(one, "known")
    assert one.ask(*upload.part(1, b"x")).status == 200
    assert one.ask(*upload.complete(b"x")).status == 200
    for daemon in daemons:
        with daemon.connect() as connection:
            for request in (upload.part(1, b"y"), upload.abort(), upload.complete(b"y")):
                assert connection.ask(*request).code == "NoSuchUpload"
            unknown = upload.query.partition("=")[0] + f"={uuid.uuid4()}"
            assert connection.ask("POST", unknown, upload.complete(b"x")[2]).code == "NoSuchUpload"
            assert connection.ask("GET", upload.target).body == b"x"
