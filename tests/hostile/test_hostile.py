"""20,000 mutated requests against a running daemon: none may cost it anything.

No 500, no traceback, no bytes from outside the root or from ``.sgwtmp``, nothing left behind, flat
memory, and the same workers serve when it is over. ``HOSTILE_SEED`` and ``HOSTILE_REQUESTS`` in the
environment choose others; a failure names the numbers of the requests that caused it.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.daemon import Daemon, running
from tests.hostile.mutations import FAMILIES, Hostile, hostile
from tests.hostile.words import BUCKET
from tests.raw import Signer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = int(os.environ.get("HOSTILE_SEED", "2026"))
REQUESTS = int(os.environ.get("HOSTILE_REQUESTS", "20000"))
WARMING = REQUESTS * 3 // 4  # until then caches and heaps fill; after that memory must not grow
CLIENTS = 4
GROWTH_KIB = 16 * 1024
WORKER_KIB = 100 * 1024  # that no process of the daemon may ever need
ANSWER_LIMIT_S = 10.0
CANARY = b"canary-that-no-request-may-see"
REPLY_LIMIT = 1 << 20
# Of the 5xx only "not built", "reduce your rate" and "HTTP version not supported" are answers.
FINE_5XX = {501, 503, 505}


@dataclass
class Toll:
    """What a run of requests did; numbers name requests."""

    statuses: Counter[int] = field(default_factory=Counter)
    failed: list[tuple[int, str, bytes]] = field(default_factory=list)
    hung: list[tuple[int, str]] = field(default_factory=list)
    leaked: list[tuple[int, str]] = field(default_factory=list)
    wordless: list[tuple[int, str, bytes]] = field(default_factory=list)

    def note(self, number: int, sent: Hostile, reply: bytes | None) -> None:
        """Judge one reply; None means that none came in time."""
        if reply is None:
            self.hung.append((number, sent.family))
            return
        if CANARY in reply:
            self.leaked.append((number, sent.family))
        if not reply:
            self.statuses[0] += 1
            return
        status = int(reply[9:12]) if reply.startswith(b"HTTP/1.1 ") else 999
        self.statuses[status] += 1
        if status >= 500 and status not in FINE_5XX:
            self.failed.append((number, sent.family, reply[:300]))
        elif status >= 400 and sent.method != "HEAD" and not spoken(reply):
            self.wordless.append((number, sent.family, reply[:300]))


def spoken(reply: bytes) -> bool:
    """An S3 error with its request id, also where the server itself refuses what is not HTTP."""
    head = reply.partition(b"\r\n\r\n")[0].lower()
    return b"<Code>" in reply and b"x-amz-request-id: " in head


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon whose root lies beside a secret, and holds hidden files and odd ones."""
    outside = tmp_path_factory.mktemp("outside")
    root = outside / "root"
    bucket = root / BUCKET
    (bucket / ".sgwtmp" / "multipart" / "x").mkdir(parents=True)
    (bucket / "directory").mkdir()
    (root / ".sgwtmp").mkdir()
    (bucket / "file").write_bytes(b"a file that all may read")
    for hidden in (outside, root, root / ".sgwtmp", bucket / ".sgwtmp" / "multipart" / "x"):
        (hidden / "secret.txt").write_bytes(CANARY)
    (bucket / "link").symlink_to(outside)
    (bucket / "direct").symlink_to(outside / "secret.txt")
    os.mkfifo(bucket / "fifo")
    with running(root, workers=2) as started:
        yield started


def attack(daemon: Daemon, numbers: range) -> Toll:
    """Send the requests of these numbers from a few threads, each on a connection of its own."""
    toll, lock = Toll(), threading.Lock()

    def send(share: range) -> None:
        signer = Signer(daemon.host)
        for number in share:
            sent = hostile(SEED, number, signer)
            reply = exchange(daemon.port, sent.data)
            with lock:
                toll.note(number, sent, reply)

    threads = [
        threading.Thread(target=send, args=(numbers[first::CLIENTS],)) for first in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return toll


def exchange(port: int, data: bytes) -> bytes | None:
    """Send bytes, say that no more come, and return all that the daemon says; None if it hangs."""
    reply = b""
    try:
        with socket.create_connection(("127.0.0.1", port), ANSWER_LIMIT_S) as raw:
            with suppress(BrokenPipeError, ConnectionResetError):
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
            while len(reply) < REPLY_LIMIT and (more := raw.recv(65536)):
                reply += more
    except TimeoutError:
        return None
    except OSError:  # reset before or within the reply, because bytes of ours were left unread
        return reply
    return reply


def outside(daemon: Daemon) -> dict[str, bytes]:
    """All files beside the root, and those that the root hides."""
    base = daemon.root.parent
    hidden = [daemon.root / ".sgwtmp", daemon.root / BUCKET / ".sgwtmp"]
    beside = [p for p in base.rglob("*") if daemon.root not in p.parents and p.is_file()]
    return {str(p): p.read_bytes() for p in (*beside, *files(*hidden)) if p.stat().st_size}


def files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_mutated_requests_cost_the_daemon_nothing(daemon: Daemon) -> None:
    before, workers = outside(daemon), sorted(daemon.members())
    warm = attack(daemon, range(WARMING))
    memory = daemon.rss_kib()
    toll = attack(daemon, range(WARMING, REQUESTS))
    grown = daemon.rss_kib() - memory

    print(f"\n{REQUESTS} requests of {len(FAMILIES)} families: {toll.statuses + warm.statuses}")
    print(f"memory {memory} KiB after {WARMING} requests, then {grown:+} KiB")
    for run in (warm, toll):
        assert run.failed == []
        assert run.hung == []
        assert run.leaked == []
        assert run.wordless == []
    assert "Traceback" not in daemon.words()
    assert outside(daemon) == before
    assert grown < GROWTH_KIB
    assert max(daemon.memory()) < WORKER_KIB
    assert sorted(daemon.members()) == workers
    with daemon.connect() as connection:
        assert connection.ask("PUT", f"/{BUCKET}/after", b"still here").status == 200
        assert connection.ask("GET", f"/{BUCKET}/after").body == b"still here"


def test_the_mutations_reach_behind_the_signature(daemon: Daemon) -> None:
    """A harness whose requests are all refused at the door would prove nothing."""
    toll = attack(daemon, range(1200))
    assert toll.statuses[200] > 50
    assert toll.statuses[404] > 20
    assert toll.statuses[501] > 5
    assert toll.statuses[403] < 1200 / 4
