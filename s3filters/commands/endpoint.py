"""A bucket behind any S3 endpoint, by boto3.

boto3 is no dependency of the service, so this module is imported by who needs it alone. Its
listings ask for RestoreStatus. An endpoint that does not know of it is silent about it, which is
found out with the first few archived objects: HEAD tells of each, and when it tells more than the
listing did, all are asked.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

from s3filters import __version__
from s3filters.backends.fs.recall import OFFLINE, ONLINE, RESTORED, STAGING
from s3filters.commands.errors import CommandError, UsageError
from s3filters.commands.shelves import Object, Refused
from s3filters.s3.restore import RestoreRequest

try:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
except ImportError as missing:
    raise CommandError(
        "this needs boto3 (pip install 's3filters[client]'); --root and --conf do without"
    ) from missing

_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")  # GLACIER_IR is read as any other
_SAMPLE = 8  # archived objects of which a listing says nothing, asked by HEAD
_GONE = ("404", "NoSuchKey")
_end = re.compile('expiry-date="([^"]*)"').search


class Unreachable(CommandError):
    """The endpoint does not answer, or not now."""


class Endpoint:
    """A bucket of an S3 endpoint. Raise UsageError, CommandError."""

    def __init__(self, bucket: str, arguments: argparse.Namespace) -> None:
        self.bucket = bucket
        self.in_flight: int = arguments.jobs
        self.pool = ThreadPoolExecutor(self.in_flight)
        self._silent: bool = arguments.head
        self._sampled = 0
        config = Config(
            retries={"mode": "standard", "total_max_attempts": 6},
            max_pool_connections=arguments.jobs + 1,
            connect_timeout=10,
            read_timeout=60,
            user_agent_extra=f"s3filters/{__version__}",
        )
        try:
            session = boto3.session.Session(
                profile_name=arguments.profile, region_name=arguments.region
            )
            self._client: Any = session.client(
                "s3",
                endpoint_url=arguments.endpoint_url,
                region_name=session.region_name or "us-east-1",
                config=config,
            )
        except (BotoCoreError, ValueError) as error:
            raise UsageError(str(error)) from error

    def objects(self, prefix: str) -> Iterator[Object]:
        """Yield the objects whose key begins so, by key. Raise Unreachable, CommandError."""
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=prefix, OptionalObjectAttributes=["RestoreStatus"]
        )
        with _refusals():
            for page in pages:
                found = [_listed(entry) for entry in page.get("Contents", ())]
                yield from self._looked_at(found)

    def _looked_at(self, found: list[Object]) -> list[Object]:
        """Return objects with what HEAD says of those that may be restored already."""
        unknown = [at for at, one in enumerate(found) if one.state == OFFLINE]
        sample, rest = unknown[: max(0, _SAMPLE - self._sampled)], unknown
        if not self._silent and sample:
            self._sampled += len(sample)
            self._look(found, sample)
            rest = unknown[len(sample) :]
        if self._silent:
            self._look(found, rest)
        return found

    def _look(self, found: list[Object], places: list[int]) -> None:
        asked = [found[at] for at in places]
        for at, known in zip(places, self.pool.map(self._head, asked), strict=True):
            self._silent = self._silent or known.state != OFFLINE
            found[at] = known

    def _head(self, one: Object) -> Object:
        try:
            said = self._client.head_object(Bucket=self.bucket, Key=one.key)
        except ClientError:  # it is gone, or may be listed and not looked at
            return one
        restore = said.get("Restore", "")
        if 'ongoing-request="true"' in restore:
            return one._replace(state=STAGING)
        match = _end(restore)
        try:
            end_s = int(parsedate_to_datetime(match[1]).timestamp()) if match else 0
        except ValueError:
            end_s = 0
        return one._replace(state=RESTORED, end_s=end_s) if end_s > time.time() else one

    def settle(self) -> None:
        """The endpoint asks."""

    def restore(self, key: str, wanted: RestoreRequest) -> int:
        """Ask for an object. Raise Refused, Unreachable."""
        request: dict[str, Any] = {
            "Days": wanted.days,
            "GlacierJobParameters": {"Tier": wanted.tier},
        }
        if wanted.description:
            request["Description"] = wanted.description
        try:
            said = self._client.restore_object(Bucket=self.bucket, Key=key, RestoreRequest=request)
        except ClientError as error:
            code, message = _words(error)
            if code == "RestoreAlreadyInProgress":
                self._silent = True  # else it had been listed as such
            raise Refused("NoSuchKey" if code in _GONE else code, message) from error
        except BotoCoreError as error:
            raise Refused(type(error).__name__, str(error)) from error
        status: int = said["ResponseMetadata"]["HTTPStatusCode"]
        return status


def _listed(entry: dict[str, Any]) -> Object:
    """Return an object as a listing tells of it."""
    storage_class = entry.get("StorageClass", "STANDARD")
    status = entry.get("RestoreStatus", {})
    end = status.get("RestoreExpiryDate")
    end_s = int(end.timestamp()) if end is not None else 0
    if status.get("IsRestoreInProgress"):
        state = STAGING
    elif end_s > time.time():
        state = RESTORED
    else:
        state, end_s = OFFLINE if storage_class in _ARCHIVED else ONLINE, 0
    return Object(entry["Key"], entry["Size"], state, storage_class, end_s)


def _words(error: Any) -> tuple[str, str]:
    said = error.response.get("Error", {})
    code = str(said.get("Code", "")) or "Unknown"
    return code, " ".join(str(said.get("Message") or code).split())


@contextmanager
def _refusals() -> Iterator[None]:
    """Say what the endpoint refuses, and that it does not answer, in one line."""
    try:
        yield
    except ClientError as error:
        code, message = _words(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        kind: Callable[[str], CommandError] = Unreachable if status >= 500 else CommandError
        raise kind(f"{code}: {message}") from error
    except BotoCoreError as error:
        raise Unreachable(" ".join(str(error).split())) from error
