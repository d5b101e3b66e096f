"""One server under test: where it listens, what its processes are, and (ours) how it is started.

Ours is started on a scratch folder with a key pair made for it, on a free loopback port, without
an access log, and ended by process id. Another server is named with ``--endpoint`` and is left as
it was found, except for the cores that its threads may run on while they are measured.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Processes
from benchmarks.signing import Endpoint

START_LIMIT = 30.0  # seconds that a server may need until it answers

HERE = Path(__file__).parent.parent  # where both packages are found without being installed

COMMAND = (sys.executable, "-m", "s3filters.commands.main")


@dataclass(frozen=True, slots=True)
class Subject:
    """A running S3 server; ``tree`` is the folder with its buckets, None when that is not known."""

    endpoint: Endpoint
    processes: Processes
    tree: Path | None
    durability: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """Folders of our daemons: all of them serve the same tree, one after the other."""

    tree: Path
    credentials: Path
    log: Path
    access_key: str
    secret_key: str

    @classmethod
    def make(cls, folder: Path) -> Scratch:
        """Make the tree and the credentials file (0600) in an existing folder."""
        access_key, secret_key = "BENCH" + secrets.token_hex(8).upper(), secrets.token_hex(20)
        tree, credentials = folder / "tree", folder / "credentials.jsonl"
        tree.mkdir()
        line = {
            "access_key": access_key,
            "secret_key": secret_key,
            "created_at": int(time.time()),
            "enabled": True,
        }
        with open(os.open(credentials, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(json.dumps(line) + "\n")
        return cls(tree, credentials, folder / "daemon.log", access_key, secret_key)


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    scratch: Scratch,
    workers: int,
    durability: str,
    command: Sequence[str] = COMMAND,
    environment: dict[str, str] | None = None,
    more: Sequence[str] = (),
) -> Iterator[Subject]:
    """Run our daemon with so many workers, and more words, while the context lasts."""
    port = free_port()
    options = {
        "--root": str(scratch.tree),
        "--listen": f"127.0.0.1:{port}",
        "--workers": str(workers),
        "--durability": durability,
        "--credentials": str(scratch.credentials),
        "--access-log": "off",
    }
    words = [*command, "serve", *(word for pair in options.items() for word in pair), *more]
    with scratch.log.open("wb") as log:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=without_keys() | (environment or {}),
            cwd=HERE,
            start_new_session=True,  # a Ctrl-C is for the benchmark, which then ends the daemon
        )
    processes = Processes([process.pid])
    try:
        wait_until_it_answers(process, port, scratch.log)
        endpoint = Endpoint("127.0.0.1", port, scratch.access_key, scratch.secret_key)
        yield Subject(endpoint, processes, scratch.tree, durability)
    finally:
        processes.end()
        process.wait()


def without_keys() -> dict[str, str]:
    """Return this environment without a key pair that the daemon would take for its own."""
    prefixes = ("AWS_", "S3_", "CURVINE_")
    return {name: text for name, text in os.environ.items() if not name.startswith(prefixes)}


def wait_until_it_answers(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return once ``/healthz`` is answered. Raise RuntimeError with the end of the log if never."""
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=2) as probe:
                probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if probe.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:  # not yet
            pass
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2000:]
    raise RuntimeError(f"the daemon did not answer; it said:\n{tail}")


@contextmanager
def baseline(*words: str) -> Iterator[tuple[int, Processes]]:
    """Run one of ``benchmarks.baseline`` while the context lasts; give its port and processes."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "benchmarks.baseline", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=HERE,
        start_new_session=True,
    )
    processes = Processes([process.pid])
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), processes
    finally:
        processes.end()
        process.communicate()
