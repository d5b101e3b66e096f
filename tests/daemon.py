"""A running daemon for tests: started as a user starts it, on a free port, over a folder.

``running(root)`` gives a ``Daemon`` once ``/healthz`` answers, and ends it by its process group, so
that nothing outlives a test. With ``tls=True`` the daemon gets a certificate that this module makes
with the ``openssl`` command and that clients trust through ``daemon.ca``.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.raw import ACCESS_KEY, SECRET_KEY, Connection

START_LIMIT_S = 30.0
STOP_LIMIT_S = 15.0


@dataclass
class Daemon:
    """A daemon that answers ``/healthz``."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    ca: Path | None = None
    command: list[str] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Host and port as the Host header has them."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The endpoint for a client's configuration."""
        return f"{'https' if self.ca else 'http'}://{self.host}"

    def connect(self, timeout_s: float = 30.0) -> Connection:
        """A signing keep-alive connection."""
        return Connection(self.port, self.ca, timeout_s)

    def members(self) -> list[int]:
        """Process ids of the daemon and its workers."""
        group = os.getpgid(self.process.pid)
        found = []
        for entry in Path("/proc").iterdir():
            with suppress(OSError, ValueError):
                if os.getpgid(int(entry.name)) == group:
                    found.append(int(entry.name))
        return found

    def memory(self) -> list[int]:
        """Resident memory in KiB of the daemon and of each worker."""
        sizes = []
        for pid in self.members():
            with suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                sizes.append(int(status.partition("VmRSS:")[2].split()[0]))
        return sizes

    def rss_kib(self) -> int:
        """Resident memory of the daemon and its workers together, in KiB."""
        return sum(self.memory())

    def words(self) -> str:
        """All that the daemon has logged."""
        return self.log.read_text(errors="replace")


@contextmanager
def running(
    root: Path,
    *,
    tls: bool = False,
    workers: int = 1,
    durability: str = "none",
    extra: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
    module: str = "s3filters.commands.main",
    prefix: Sequence[str] = (),
) -> Iterator[Daemon]:
    """Run a daemon over ``root`` until the block ends.

    :param module: what ``python -m`` runs; a test may put its own wrapper here
    :param prefix: words before the command, such as ``prlimit --nofile=64``
    """
    with tempfile.TemporaryDirectory(prefix="s3filters-daemon-") as folder:
        beside = Path(folder)
        port = free_port()
        command = [
            *prefix,
            sys.executable,
            *("-m", module, "serve", "--root", str(root), "--listen", f"127.0.0.1:{port}"),
            *("--workers", str(workers), "--durability", durability),
            *("--credentials", str(credentials(beside)), "--access-log", "off", *extra),
        ]
        ca = None
        if tls:
            ca, key = certificate(beside)
            command += ["--certificate", str(ca), "--key", str(key)]
        log = beside / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=_environ(environ or {}),
            )
        daemon = Daemon(root, port, process, log, ca, command)
        try:
            _wait_until_healthy(daemon)
            yield daemon
        finally:
            stop(daemon)


def stop(daemon: Daemon) -> None:
    """End the daemon as a service manager does, and for good when it does not listen."""
    if daemon.process.poll() is None:
        daemon.process.terminate()
        try:
            daemon.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            daemon.process.kill()
    with suppress(ProcessLookupError, PermissionError):  # workers that lost their master
        os.killpg(daemon.process.pid, signal.SIGKILL)
    daemon.process.wait(STOP_LIMIT_S)


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def credentials(folder: Path) -> Path:
    """Write the credentials file of the tests' one key pair."""
    path = folder / "credentials.jsonl"
    line = {
        "access_key": ACCESS_KEY,
        "secret_key": SECRET_KEY,
        "created_at": 1_700_000_000,
        "enabled": True,
        "description": "tests",
    }
    path.touch(0o600)
    path.write_text(json.dumps(line) + "\n")
    return path


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and localhost that signs itself, and its key."""
    made, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(key), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


def _environ(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without the keys that would stand above the credentials file."""
    base = {n: v for n, v in os.environ.items() if not n.startswith(("AWS_", "S3_", "CURVINE_"))}
    repository = str(Path(__file__).resolve().parent.parent)
    base["PYTHONPATH"] = os.pathsep.join(p for p in (repository, base.get("PYTHONPATH")) if p)
    return {**base, **more}


def _wait_until_healthy(daemon: Daemon) -> None:
    trust = ssl.create_default_context(cafile=str(daemon.ca)) if daemon.ca else None
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if daemon.process.poll() is not None:
            raise AssertionError(f"the daemon ended at once:\n{daemon.words()}")
        # Unsigned: a signed request would be for a bucket of that name.
        url = f"{daemon.url}/healthz"
        with (
            suppress(OSError, HTTPException),
            urllib.request.urlopen(url, timeout=5, context=trust),
        ):
            return
        time.sleep(0.05)
    raise AssertionError(f"no answer from /healthz in {START_LIMIT_S} s:\n{daemon.words()}")
