"""Clients that go away in the middle of a body leave nothing: no name, no bytes, no descriptor."""

from __future__ import annotations

import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.daemon import Daemon, running
from tests.raw import RawConnection

SENT = 3 << 20
ANNOUNCED = 8 << 20
CLIENTS = 10
VANISHING = 1000
GROWTH_KIB = 32 * 1024
PATIENCE_S = 10.0


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with running(tmp_path_factory.mktemp("root")) as started:
        with started.connect() as connection:
            assert connection.ask("PUT", "/bkt").status == 200
            assert connection.ask("PUT", "/bkt/old", b"old").status == 200
        yield started


def descriptors(daemon: Daemon) -> int:
    total = 0
    for pid in daemon.members():
        with suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/fd"))
    return total


def with_bytes(root: Path) -> list[str]:
    files = [path for path in root.rglob("*") if path.is_file() and path.stat().st_size]
    return [str(path.relative_to(root)) for path in files]


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("target", ["/bkt/new", "/bkt/old", "/bkt/deep/er/new"])
def test_a_client_that_goes_away_in_its_body_leaves_nothing(
    daemon: Daemon, target: str, reset: bool
) -> None:
    before = descriptors(daemon)
    for _ in range(CLIENTS):
        raw = RawConnection(daemon.port)
        lines = raw.signer.headers("PUT", target)
        lines["Content-Length"] = str(ANNOUNCED)
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        raw.socket.sendall(f"PUT {target} HTTP/1.1\r\n{head}\r\n".encode() + bytes(SENT))
        if reset:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()
    deadline = time.monotonic() + PATIENCE_S
    while descriptors(daemon) > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert descriptors(daemon) <= before
    assert with_bytes(daemon.root) == ["bkt/old"]
    assert not (daemon.root / "bkt/deep").exists()
    with daemon.connect() as connection:
        assert connection.ask("GET", "/bkt/old").body == b"old"
        assert connection.ask("GET", "/bkt/new").status == 404
    assert "Traceback" not in daemon.words()


BEGUN = {
    "object": ("PUT", "/bkt/vanished", {"Content-Length": str(ANNOUNCED)}, b"begun"),
    "keys to delete": ("POST", "/bkt?delete", {"Transfer-Encoding": "chunked"}, b"9\r\nbegun"),
    "bucket": ("PUT", "/vanished", {"Content-Length": "60000"}, b"<Create"),
}


@pytest.mark.parametrize("name", BEGUN)
def test_a_thousand_clients_that_go_away_cost_no_memory(daemon: Daemon, name: str) -> None:
    method, target, framing, begun = BEGUN[name]
    before = daemon.rss_kib()
    for _ in range(VANISHING):
        raw = RawConnection(daemon.port)
        lines = raw.signer.headers(method, target, {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="})
        lines |= framing
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        raw.socket.sendall(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + begun)
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.answer(method).code == "IncompleteBody"
        raw.close()
    assert daemon.rss_kib() - before < GROWTH_KIB


def test_a_body_shorter_than_announced_is_incomplete_body(daemon: Daemon) -> None:
    raw = RawConnection(daemon.port)
    data = raw.request("PUT", "/bkt/short", b"x" * 100)
    raw.socket.sendall(data[:-1])
    raw.socket.shutdown(socket.SHUT_WR)
    answer = raw.answer("PUT")
    raw.close()
    assert (answer.status, answer.code) == (400, "IncompleteBody")
