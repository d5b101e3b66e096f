"""32 writers and 2 daemons on one root: who wins, and is what the winner wrote there?

All 32 requests of a round are sent but for their last byte, and then the last bytes within a
fraction of a millisecond, so that the writers meet at the moment of publication and not before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.daemon import Daemon, running
from tests.raw import Answer, RawConnection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WRITERS = 32
ROUNDS = 200
LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})
Racers = list[RawConnection]


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Daemon]]:
    root = tmp_path_factory.mktemp("root")
    with ExitStack() as stack:
        yield [stack.enter_context(running(root, workers=2)) for _ in range(2)]
    assert left_over(root) == []


@pytest.fixture
def racers(daemons: list[Daemon]) -> Iterator[Racers]:
    """32 connections, to the two daemons in turn."""
    made = [RawConnection(daemons[number % 2].port) for number in range(WRITERS)]
    yield made
    for racer in made:
        racer.close()


@pytest.fixture
def bucket(daemons: list[Daemon], request: pytest.FixtureRequest) -> str:
    name = hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    with daemons[0].connect() as connection:
        assert connection.ask("PUT", f"/{name}").status == 200
    return name


def race(racers: Racers, requests: list[tuple[str, bytes]]) -> list[Answer]:
    """Send (method, bytes of the request) from each writer so that all end at once."""
    for racer, (_method, data) in zip(racers, requests, strict=True):
        racer.socket.sendall(data[:-1])
    for racer, (_method, data) in zip(racers, requests, strict=True):
        racer.socket.sendall(data[-1:])
    pairs = zip(racers, requests, strict=True)
    return [racer.answer(method) for racer, (method, _data) in pairs]


def body_of(writer: int, number: int) -> bytes:
    """Bytes that name their writer, of a length that only it has."""
    return f"writer {writer} round {number} ".encode() * (1 + writer * 7)


def puts(
    racers: Racers, target: str, number: int, headers: dict[str, str]
) -> list[tuple[str, bytes]]:
    made = []
    for writer, racer in enumerate(racers):
        own = headers | {"x-amz-meta-writer": str(writer)}
        made.append(("PUT", racer.request("PUT", target, body_of(writer, number), own)))
    return made


def all_are(answers: list[Answer], statuses: set[int], codes: frozenset[str] = frozenset()) -> None:
    """Assert that each answer has one of the statuses or of the error codes."""
    odd = [a for a in answers if a.status not in statuses and a.code not in codes]
    assert not odd, f"{len(odd)} of {len(answers)}: {odd[0].status} {odd[0].body!r}"


def one_winner(answers: list[Answer]) -> int:
    winners = [writer for writer, answer in enumerate(answers) if answer.status == 200]
    assert len(winners) == 1
    all_are(answers, {200}, LOST)
    return winners[0]


def stored_by(writer: int, number: int, target: str, daemons: list[Daemon]) -> str:
    """Assert, through each daemon, that an object is this writer's, whole; return its ETag."""
    body = body_of(writer, number)
    for daemon in daemons:
        with daemon.connect() as connection:
            answer = connection.ask("GET", target)
        assert answer.body == body
        assert answer.headers["x-amz-meta-writer"] == str(writer)
        assert answer.headers["etag"] == f'"{hashlib.md5(body).hexdigest()}"'
    return answer.headers["etag"]


def test_one_of_32_conditional_creations_wins_and_its_bytes_are_stored(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    for number in range(ROUNDS):
        target = f"/{bucket}/round/{number}"
        answers = race(racers, puts(racers, target, number, {"If-None-Match": "*"}))
        stored_by(one_winner(answers), number, target, daemons)


def test_one_of_32_replacements_of_the_same_etag_wins_and_its_bytes_are_stored(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    target = f"/{bucket}/one"
    with daemons[0].connect() as connection:
        etag = connection.ask("PUT", target, b"first").headers["etag"]
    for number in range(ROUNDS):
        answers = race(racers, puts(racers, target, number, {"If-Match": etag}))
        etag = stored_by(one_winner(answers), number, target, daemons)


def test_one_of_32_conditional_deletions_wins(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    target = f"/{bucket}/gone"
    for number in range(ROUNDS // 4):
        with daemons[number % 2].connect() as connection:
            etag = connection.ask("PUT", target, body_of(1, number)).headers["etag"]
        deletes = [("DELETE", r.request("DELETE", target, b"", {"If-Match": etag})) for r in racers]
        answers = race(racers, deletes)
        assert [answer.status for answer in answers].count(204) == 1
        all_are(answers, {204}, LOST | {"NoSuchKey"})


def test_concurrent_puts_of_one_key_leave_one_of_them_whole(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    target = f"/{bucket}/contended"
    for number in range(ROUNDS // 4):
        answers = race(racers, puts(racers, target, number, {}))
        all_are(answers, {200})
        with daemons[number % 2].connect() as connection:
            writer = int(connection.ask("GET", target).headers["x-amz-meta-writer"])
        stored_by(writer, number, target, daemons)


def test_the_last_put_to_finish_wins_whoever_began_first(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    target = f"/{bucket}/last"
    requests = puts(racers, target, 0, {})
    for racer, (_method, data) in zip(racers, requests, strict=True):
        racer.socket.sendall(data[:-1])
    for writer in reversed(range(WRITERS)):
        racers[writer].socket.sendall(requests[writer][1][-1:])
        assert racers[writer].answer("PUT").status == 200
        stored_by(writer, 0, target, daemons)


def test_an_acknowledged_put_survives_deletions_that_empty_its_folders(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    """Pruning the parents of a deleted object meets a PUT that has just made them."""
    for number in range(ROUNDS):
        with daemons[0].connect() as connection:
            for writer in range(0, WRITERS, 2):
                assert connection.ask("PUT", f"/{bucket}/a/b/{writer}").status == 200
        requests = [
            ("PUT", racer.request("PUT", f"/{bucket}/a/b/new{number}-{writer}", b"kept"))
            if writer % 2
            else ("DELETE", racer.request("DELETE", f"/{bucket}/a/b/{writer}", b""))
            for writer, racer in enumerate(racers)
        ]
        answers = race(racers, requests)
        all_are(answers[1::2], {200})
        all_are(answers[::2], {204})
        kept = daemons[0].root / bucket / "a/b"
        assert sorted(path.name for path in kept.iterdir()) == sorted(
            f"new{number}-{writer}" for writer in range(1, WRITERS, 2)
        )
        with daemons[1].connect() as connection:
            for writer in range(1, WRITERS, 2):
                target = f"/{bucket}/a/b/new{number}-{writer}"
                assert connection.ask("DELETE", target).status == 204
        assert not (daemons[0].root / bucket / "a").exists()


def test_tags_that_race_puts_are_of_the_object_that_is_there(
    daemons: list[Daemon], racers: Racers, bucket: str
) -> None:
    """A put brings a tag that names its writer; a change of the tags takes it away."""
    target = f"/{bucket}/tagged"
    tags = b"<Tagging><TagSet><Tag><Key>later</Key><Value>%d</Value></Tag></TagSet></Tagging>"
    with daemons[0].connect() as connection:
        assert connection.ask("PUT", target, b"first").status == 200
    kinds = set()
    for number in range(ROUNDS // 4):
        requests = [
            (
                "PUT",
                racer.request("PUT", f"{target}?tagging", tags % writer)
                if writer % 2
                else racer.request(
                    "PUT",
                    target,
                    body_of(writer, number),
                    {"x-amz-meta-writer": str(writer), "x-amz-tagging": f"writer={writer}"},
                ),
            )
            for writer, racer in enumerate(racers)
        ]
        all_are(race(racers, requests), {200})
        with daemons[number % 2].connect() as connection:
            writer = int(connection.ask("HEAD", target).headers["x-amz-meta-writer"])
            found = connection.ask("GET", f"{target}?tagging").body
        stored_by(writer, number, target, daemons)
        own = b"<Key>writer</Key><Value>%d</Value>" % writer
        kinds.add(own in found)
        assert found.count(b"<Tag>") == 1
        assert own in found or b"<Key>later</Key>" in found
    assert kinds == {True, False}


def left_over(root: Path) -> list[Path]:
    """Temporary data files under any ``.sgwtmp``; lock files of no size may stay."""
    inside = [path for folder in root.rglob(".sgwtmp") for path in folder.rglob("*")]
    return [path for path in inside if path.is_file() and path.stat().st_size]
