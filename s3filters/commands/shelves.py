"""Where objects are that may be on tape: a bucket behind an S3 endpoint, or in a folder of ours.

The commands ``restore`` and ``cold`` know nothing else of either than what a Shelf says and does.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from s3filters import offload, options
from s3filters.backends.fs import FsBackend, recall
from s3filters.backends.fs.cold import Tiering
from s3filters.backends.fs.handing import Watch
from s3filters.backends.fs.recall import FAILED, OFFLINE, ONLINE, PARTLY, RESTORED, STAGING
from s3filters.commands.configuration import Configuration
from s3filters.commands.errors import CommandError, UsageError
from s3filters.pipeline import glacier
from s3filters.s3.errors import S3Error
from s3filters.s3.restore import RestoreRequest
from s3filters.tiers.base import Settings

STATES = (ONLINE, RESTORED, STAGING, OFFLINE, PARTLY, FAILED)
ON_TAPE = frozenset((OFFLINE, PARTLY, FAILED))  # and nobody is at it
HERE = frozenset((ONLINE, RESTORED))

_url = re.compile(r"s3://([^/]+)(?:/(.*))?", re.DOTALL).fullmatch


class Object(NamedTuple):
    """An object; ``end_s`` is when a restored one goes again (s since 1970), 0 when not known.

    ``hint``: the archiver brings back best what is asked for in the order of these.
    """

    key: str
    size: int
    state: str
    storage_class: str = "STANDARD"
    end_s: int = 0
    hint: Any = 0


class Refused(Exception):
    """One object could not be asked for; ``code`` is S3's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Shelf(Protocol):
    """The objects of one bucket.

    ``pool`` runs what asks for objects, ``in_flight`` of it at a time.
    """

    bucket: str
    pool: ThreadPoolExecutor
    in_flight: int

    def objects(self, prefix: str) -> Iterator[Object]:
        """Yield the objects whose key begins so, in no order. Raise CommandError."""

    def restore(self, key: str, wanted: RestoreRequest) -> int:
        """Ask for an object; return 202 or, when it was here already, 200. Raise Refused."""

    def settle(self) -> None:
        """Have the archiver asked for what was asked for until now. Raise CommandError."""


def declare(action: argparse.ArgumentParser) -> None:
    """Add the arguments that say where the objects are."""
    action.add_argument("url", metavar="s3://BUCKET/PREFIX", type=_address)
    remote = action.add_argument_group(
        "an S3 endpoint",
        "The default: credentials, region and endpoint are found as the AWS CLI finds them.",
    )
    remote.add_argument("--endpoint-url", metavar="URL", help="the endpoint (default: AWS's)")
    remote.add_argument("--region", help="its region")
    remote.add_argument("--profile", help="profile of the AWS configuration")
    remote.add_argument(
        "--jobs", type=_jobs, default=16, metavar="N", help="requests at a time (default 16)"
    )
    remote.add_argument(
        "--head",
        action="store_true",
        help="ask about each archived object by itself, of an endpoint whose listings do not say"
        " what is being restored",
    )
    local = action.add_argument_group("a folder", "Works on the folder itself, beside its daemons.")
    where = local.add_mutually_exclusive_group()
    where.add_argument(
        "--conf", "--config", type=Path, metavar="INI", help="the ini that the daemon serves"
    )
    where.add_argument(
        "--root",
        metavar="DIR",
        help="the folder whose sub-folders are the buckets; the rest is as in the default ini, so"
        " what is asked back is asked of ScoutAM",
    )


def _address(text: str) -> tuple[str, str]:
    match = _url(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: say s3://bucket or s3://bucket/prefix")
    return match[1], match[2] or ""


def _jobs(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"{text!r}: say a number from 1 to 256")
    return int(text)


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator[Shelf]:
    """Open where the arguments say. Raise UsageError, CommandError."""
    bucket = arguments.url[0]
    if arguments.root is None and arguments.conf is None:
        from s3filters.commands.endpoint import Endpoint  # noqa: PLC0415  it needs boto3

        shelf = Endpoint(bucket, arguments)
        try:
            yield shelf
        finally:
            shelf.pool.shutdown(cancel_futures=True)
        return
    if arguments.endpoint_url or arguments.region or arguments.profile:
        raise UsageError("--root and --conf are a folder, which has no endpoint: say either")
    flags = {} if arguments.root is None else {"root": arguments.root}
    folder = Folder(bucket, Configuration(arguments.conf, flags))
    try:
        yield folder
    finally:
        folder.close()


class Folder:
    """A bucket in a folder. What is asked for, is asked for in its order: one at a time."""

    def __init__(self, bucket: str, configuration: Configuration) -> None:
        if not configuration.uses("fs"):
            raise UsageError(
                f"{configuration.path} does not serve a folder: it has no egg:s3filters#fs"
            )
        names = ("root", "region", "durability")
        root, region, durability = (configuration.value(name) for name in names)
        try:
            self._backend = FsBackend.at(root, offload, region, durability=durability)
        except OSError as error:
            raise CommandError(f"root {root}: {error.strerror}") from error
        except ValueError as error:
            raise CommandError(f"root {root}: {error}") from error
        self._tiering, settings = _tiering(configuration, self._backend)
        self._watch = Watch(self._backend, self._tiering.driver, settings, self._tiering.events)
        self.bucket = bucket
        self.in_flight = 1
        self.pool = ThreadPoolExecutor(self.in_flight)

    def objects(self, prefix: str) -> Iterator[Object]:
        """Yield the objects whose key begins so, by key. Raise CommandError."""
        try:
            for one in recall.seen(self._backend, self._tiering, self.bucket, prefix):
                yield Object(one.key, one.size, one.state, one.storage_class, one.end_s, one.hint)
        except S3Error as error:
            raise CommandError(error.message) from error

    def restore(self, key: str, wanted: RestoreRequest) -> int:
        """Ask for an object. Raise Refused."""
        try:
            return recall.ask(self._backend, self._tiering, self.bucket, key, wanted)
        except S3Error as error:
            raise Refused(error.code, error.message) from error
        except OSError as error:
            raise Refused("InternalError", error.strerror or str(error)) from error

    def settle(self) -> None:
        """Have the archiver asked, where no daemon of this machine does. Raise CommandError."""
        try:
            recall.settle(self._watch)
        except OSError as error:
            raise CommandError(f"the archiver cannot be asked: {error.strerror}") from error

    def close(self) -> None:
        """End what is under way, and close the folder."""
        self.pool.shutdown(cancel_futures=True)
        self._watch.close()
        self._backend.store.close()


def _tiering(configuration: Configuration, backend: FsBackend) -> tuple[Tiering, Settings]:
    """Return how the daemons of an ini play S3's archive semantics, and ask. Raise UsageError.

    Events are kept where they keep theirs, and they deliver them.
    """
    section = configuration.section("glacier")
    if section is None:
        raise UsageError(f"{configuration.path} has no filter egg:s3filters#glacier")
    try:
        settings = options.read(glacier.Options, "filter:glacier", {}, section)
        given = glacier.settings_of(settings, backend)
        driver = glacier.driver_of(settings, given)
    except options.OptionError as error:
        raise UsageError(f"{configuration.path}: {error}") from error
    tiering = Tiering(
        driver,
        as_aws=settings.restore_header == "aws",
        at_once=settings.cold_at_once,
        events=glacier.events_of(settings, backend),
    )
    return tiering, given
