"""16 clients and 2 daemons that configure one bucket: what is left is whole, and one of the wishes.

Requests are sent but for their last byte, and then the last bytes at once, as in ``test_races``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.daemon import ACCESS_KEY, Daemon, running
from tests.raw import Answer, RawConnection

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CLIENTS = 16
ROUNDS = 40
WRITER, ENFORCED = "ObjectWriter", "BucketOwnerEnforced"


@pytest.fixture(scope="module")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Daemon]]:
    root = tmp_path_factory.mktemp("root")
    with ExitStack() as stack:
        made = [stack.enter_context(running(root, workers=2)) for _ in range(2)]
        with made[0].connect() as connection:
            assert connection.ask("PUT", "/box").status == 200
        yield made


@pytest.fixture
def racers(daemons: list[Daemon]) -> Iterator[list[RawConnection]]:
    """Connections, to the two daemons in turn."""
    made = [RawConnection(daemons[number % 2].port) for number in range(CLIENTS)]
    yield made
    for racer in made:
        racer.close()


def race(racers: list[RawConnection], wishes: list[tuple[str, bytes]]) -> list[Answer]:
    """PUT (target, body) from each client so that all end at once."""
    headers = {"Content-Type": "text/plain"}
    sent = [
        racer.request("PUT", *wish, headers if wish[1] else {"x-amz-acl": "public-read"})
        for racer, wish in zip(racers, wishes, strict=True)
    ]
    for racer, data in zip(racers, sent, strict=True):
        racer.socket.sendall(data[:-1])
    for racer, data in zip(racers, sent, strict=True):
        racer.socket.sendall(data[-1:])
    return [racer.answer("PUT") for racer in racers]


def asked(daemon: Daemon, method: str, target: str, body: bytes = b"") -> Answer:
    with daemon.connect() as connection:
        return connection.ask(method, target, body)


def ownership(setting: str) -> tuple[str, bytes]:
    rule = f"<Rule><ObjectOwnership>{setting}</ObjectOwnership></Rule>"
    return "/box?ownershipControls", f"<OwnershipControls>{rule}</OwnershipControls>".encode()


def policy(number: int, client: int) -> bytes:
    """A policy of this client, of a length that only it has: in an attribute, or in a file."""
    statement = {
        "Sid": f"{number}-{client}-".ljust(10 + client * 1000, "x"),
        "Effect": "Allow",
        "Principal": {"AWS": ACCESS_KEY},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::box/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}).encode()


def test_one_of_many_policies_is_left_whole_and_both_daemons_see_it(
    daemons: list[Daemon], racers: list[RawConnection]
) -> None:
    for number in range(ROUNDS):
        wishes = [policy(number, client) for client in range(CLIENTS)]
        answers = race(racers, [("/box?policy", wish) for wish in wishes])
        assert [answer.status for answer in answers] == [204] * CLIENTS
        seen = [asked(daemon, "GET", "/box?policy").body for daemon in daemons]
        assert seen[0] == seen[1]
        assert seen[0] in wishes
    folder = daemons[0].root / "box" / ".sgwtmp" / "settings"
    assert len(list(folder.iterdir()) if folder.exists() else []) <= 1


def test_grants_to_others_and_ownership_that_knows_none_never_stand_together(
    daemons: list[Daemon], racers: list[RawConnection]
) -> None:
    outcomes = set()
    for _ in range(ROUNDS):
        assert asked(daemons[0], "PUT", *ownership(WRITER)).status == 200
        with daemons[1].connect() as connection:
            private = {"x-amz-acl": "private"}
            assert connection.ask("PUT", "/box?acl", b"", private).status == 200
        wishes = [("/box?acl", b""), ownership(ENFORCED)] * (CLIENTS // 2)
        answers = race(racers, wishes)
        granted = {answer.code or "done" for answer in answers[::2]}
        enforced = {answer.code or "done" for answer in answers[1::2]}
        assert (granted, enforced) in (
            ({"done"}, {"InvalidBucketAclWithObjectOwnership"}),
            ({"AccessControlListNotSupported"}, {"done"}),
        )
        outcomes.add("done" in granted)
        left = asked(daemons[0], "GET", "/box?ownershipControls").body
        assert (ENFORCED.encode() in left) is (enforced == {"done"})
    print(f"\ngrants first: {outcomes}")


def test_settings_of_different_names_do_not_cost_each_other(
    daemons: list[Daemon], racers: list[RawConnection]
) -> None:
    assert asked(daemons[0], "PUT", *ownership(WRITER)).status == 200
    switches = b"<IgnorePublicAcls>true</IgnorePublicAcls>"
    root = b"PublicAccessBlockConfiguration"
    block = b"<%b>%b</%b>" % (root, switches, root)
    for number in range(ROUNDS):
        asked(daemons[1], "DELETE", "/box?policy")
        asked(daemons[1], "DELETE", "/box?publicAccessBlock")
        wishes = [
            ("/box?policy", policy(number, 15)),
            ("/box?publicAccessBlock", block),
            ("/box?acl", b""),
            ownership("BucketOwnerPreferred"),
        ] * (CLIENTS // 4)
        assert {answer.status for answer in race(racers, wishes)} == {200, 204}
        for daemon in daemons:
            assert asked(daemon, "GET", "/box?policy").body == policy(number, 15)
            assert switches in asked(daemon, "GET", "/box?publicAccessBlock").body
            assert b"AllUsers" in asked(daemon, "GET", "/box?acl").body
            assert b"Preferred" in asked(daemon, "GET", "/box?ownershipControls").body
        assert asked(daemons[0], "PUT", *ownership(WRITER)).status == 200
