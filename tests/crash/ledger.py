"""Who promised what: writers whose every object describes itself, and a book of their promises.

Each key belongs to one writer, which raises the key's version with every PUT and DELETE. The book
notes a version when it is sent and when it is acknowledged. Whatever happens then, a key must hold
the acknowledged version or one sent later, whole: its bytes, their SHA-256, its ETag and its
version must be of one PUT.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException

from tests.daemon import Daemon
from tests.raw import Connection

BUCKET = "crash"
WRITERS = 8
KEYS_EACH = 30
SIZES = (0, 10, 4096, 5000, 60_000, 300_000)
DELETES = 0.15


@dataclass(frozen=True)
class Seen:
    """What a reader found under a key: the two numbers that a PUT stored, and the bytes."""

    version: str | None
    sha256: str | None
    etag: str
    body: bytes

    @property
    def whole(self) -> bool:
        """Whether bytes, metadata and ETag are of one PUT."""
        return (
            self.version is not None
            and hashlib.sha256(self.body).hexdigest() == self.sha256
            and hashlib.md5(self.body, usedforsecurity=False).hexdigest() == self.etag
        )


@dataclass
class Ledger:
    """Versions sent and acknowledged, by key."""

    sent: dict[str, list[str]] = field(default_factory=dict)  # one verb a version, from version 1
    acknowledged: dict[str, int] = field(default_factory=dict)

    def next(self, key: str, verb: str) -> int:
        """Note that a verb is about to be sent; return its version."""
        verbs = self.sent.setdefault(key, [])
        verbs.append(verb)
        return len(verbs)

    def fault(self, key: str, promised: int, seen: Seen | None) -> str | None:
        """Say ``lost`` or ``torn``, or None when the key holds what was promised or came later."""
        verbs = self.sent.get(key, [])
        if seen is None:
            since = verbs[promised - 1 :] if promised else ["DELETE"]
            return None if "DELETE" in since else "lost"
        if not seen.whole:
            return "torn"
        version = int(seen.version or 0)
        if not promised <= version <= len(verbs) or verbs[version - 1] != "PUT":
            return "lost"
        return None


def key_of(writer: int, number: int) -> str:
    """Keys in the bucket's own folder, in shared folders, and alone in folders made for them."""
    name = f"w{writer}n{number}"
    return (name, f"shared{number % 7}/deep/{name}", f"alone-{name}/{name}")[number % 3]


KEYS = tuple(key_of(w, n) for w in range(WRITERS) for n in range(KEYS_EACH))


class Writers:
    """Threads that PUT and DELETE through the daemon until the block ends."""

    def __init__(self, daemon: Daemon, count: int = WRITERS) -> None:
        self.ledger = Ledger()
        self.refused: list[str] = []
        self._daemon = daemon
        self._ended = threading.Event()
        self._threads = [
            threading.Thread(target=self._write, args=(writer,)) for writer in range(count)
        ]

    def __enter__(self) -> Writers:
        with self._daemon.connect() as connection:
            assert connection.ask("PUT", f"/{BUCKET}").status == 200
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        dice = random.Random(writer)
        with self._daemon.connect() as connection:
            while not self._ended.is_set():
                key = key_of(writer, dice.randrange(KEYS_EACH))
                verb = "DELETE" if dice.random() < DELETES else "PUT"
                version = self.ledger.next(key, verb)
                with suppress(OSError, HTTPException):  # a killed worker: nothing was promised
                    self._send(connection, verb, key, version, dice)

    def _send(
        self, connection: Connection, verb: str, key: str, version: int, dice: random.Random
    ) -> None:
        body = dice.randbytes(dice.choice(SIZES)) if verb == "PUT" else b""
        answer = connection.ask(verb, f"/{BUCKET}/{key}", body, describe(version, body))
        if answer.status in (200, 204):
            self.ledger.acknowledged[key] = version
        else:
            self.refused.append(f"{verb} {key}: {answer.status} {answer.body[:300]!r}")


def describe(version: int, body: bytes) -> dict[str, str]:
    """Headers by which an object says what it should be."""
    return {
        "x-amz-meta-version": str(version),
        "x-amz-meta-sha256": hashlib.sha256(body).hexdigest(),
    }


def faults(
    ledger: Ledger, promised: dict[str, int], look: Callable[[str], Seen | None]
) -> list[tuple[str, str]]:
    """Look at every key and return (fault, key) for each that is not what was promised."""
    found = ((ledger.fault(key, promised.get(key, 0), look(key)), key) for key in KEYS)
    return [(fault, key) for fault, key in found if fault]


def over_http(connection: Connection) -> Callable[[str], Seen | None]:
    """A look at a key through a daemon."""

    def look(key: str) -> Seen | None:
        answer = connection.ask("GET", f"/{BUCKET}/{key}")
        if answer.status == 404:
            return None
        assert answer.status == 200, answer
        told = answer.headers
        return Seen(
            told.get("x-amz-meta-version"),
            told.get("x-amz-meta-sha256"),
            told["etag"].strip('"'),
            answer.body,
        )

    return look
