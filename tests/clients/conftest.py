"""One daemon for each scheme, one bucket for each client of it, and files to send."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.adapters import BY_NAME, Absent, Client
from tests.daemon import Daemon, running

# A second key, to whom something can be granted
BOB = {"S3_ACCESS_KEY": "bob", "S3_SECRET_KEY": "bobs/secret+000000000000000000000000"}


@dataclass(frozen=True)
class Scene:
    """A client that is dialled to a daemon, with a bucket of its own."""

    name: str
    client: Client
    daemon: Daemon
    bucket: str

    def on_disk(self, key: str) -> Path:
        """Where the daemon keeps an object."""
        return self.daemon.root / self.bucket / key


@pytest.fixture(scope="session")
def daemons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Daemon]]:
    """A daemon for each scheme, started when it is first asked for."""
    started: dict[str, Daemon] = {}
    with ExitStack() as stack:

        def get(scheme: str) -> Daemon:
            if scheme not in started:
                root = tmp_path_factory.mktemp(f"{scheme}-root")
                daemon = running(root, tls=scheme == "https", workers=2, environ=BOB)
                started[scheme] = stack.enter_context(daemon)
            return started[scheme]

        yield get


@pytest.fixture(scope="session")
def scenes(
    daemons: Callable[[str], Daemon], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str, str], Scene]]:
    """Clients by name and scheme, dialled once."""
    dialled: dict[tuple[str, str], Scene] = {}

    def get(name: str, scheme: str) -> Scene:
        if (name, scheme) not in dialled:
            daemon = daemons(scheme)
            client = BY_NAME[name].dial(daemon, tmp_path_factory.mktemp("home"))
            bucket = f"bkt-{name.replace('.', '-')}"
            with daemon.connect() as connection:
                assert connection.ask("PUT", f"/{bucket}").status == 200
            dialled[name, scheme] = Scene(name, client, daemon, bucket)
        return dialled[name, scheme]

    yield get
    for scene in dialled.values():
        scene.client.close()


@pytest.fixture(params=("http", "https"))
def scheme(request: pytest.FixtureRequest) -> str:
    """How the client reaches the daemon."""
    return str(request.param)


@pytest.fixture(params=tuple(BY_NAME))
def scene(
    request: pytest.FixtureRequest, scheme: str, scenes: Callable[[str, str], Scene]
) -> Iterator[Scene]:
    """A client and its bucket, which has its settings back when the test is over.

    A client that is not here fails in CI and is skipped elsewhere.
    """
    try:
        found = scenes(request.param, scheme)
    except Absent as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))
    bucket = found.daemon.root / found.bucket
    settings = {name: os.getxattr(bucket, name) for name in os.listxattr(bucket)}
    yield found
    for name in set(os.listxattr(bucket)) - set(settings):
        os.removexattr(bucket, name)
    for name, value in settings.items():
        os.setxattr(bucket, name, value)


@pytest.fixture(scope="session")
def sized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[int], Path]]:
    """Files of given sizes, of bytes that do not compress, made once."""
    folder = tmp_path_factory.mktemp("files")

    def get(size: int) -> Path:
        path = folder / f"of-{size}.bin"
        if not path.exists():
            path.write_bytes(random.Random(size).randbytes(size))
        return path

    yield get
    shutil.rmtree(folder)
