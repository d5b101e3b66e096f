"""Secrets by access key: those of the credential file, and those of the environment over them.

Looking up is a dictionary's work. The file is looked at (one ``stat``) at most once a second, and
read again when it is another one or has changed; a key that is not known looks at once, at most
once a second too. So a key works a second after it was added at the latest, and a stranger who
guesses keys costs nothing. An error of the file system keeps what was known; a file that is gone
takes its keys with it.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from s3filters.s3.call import Identity
from s3filters.sign import keyfile

log = logging.getLogger("s3filters.sign")

ENVIRONMENT = (  # pairs of names; an earlier pair stands above a later one
    ("S3_ACCESS_KEY", "S3_SECRET_KEY"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("CURVINE_ACCESS_KEY", "CURVINE_SECRET_KEY"),
)
_EVERY = 1.0  # seconds between two looks at the file
_YOUNG = 100_000_000  # ns: a file this young may change again within the same tick of its clock


@dataclass(frozen=True, slots=True)
class Credential:
    """A key pair that may sign, and whom it stands for."""

    access_key: str
    secret_key: str = field(repr=False)
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", Identity(self.access_key, self.access_key))


def from_environment(environment: Mapping[str, str]) -> dict[str, Credential]:
    """Return the key pairs of the environment: access key -> credential."""
    found = {}
    for access_name, secret_name in reversed(ENVIRONMENT):
        access_key, secret_key = environment.get(access_name), environment.get(secret_name)
        if access_key and secret_key:
            found[access_key] = Credential(access_key, secret_key)
    return found


class Credentials:
    """The keys that may sign.

    :param path: of the credential file, which need not exist yet; empty for none
    :param environment: where key pairs of the environment are looked for
    :param run: calls a function where it may block
    """

    def __init__(
        self,
        path: str,
        environment: Mapping[str, str] = os.environ,
        run: Callable[..., Any] | None = None,
    ) -> None:
        self._path = os.path.expanduser(path)
        self._run = run or (lambda function: function())
        self._overlay = from_environment(environment)
        self._known = dict(self._overlay)
        self._stamp: tuple[int, ...] | None = None
        self._next_look = 0.0  # monotonic seconds
        self._next_miss = 0.0
        if self._path:
            # Before the first request: those that come at once would else find nothing known while
            # one of them is still reading.
            self.refresh()
            self._next_look = time.monotonic() + _EVERY

    def find(self, access_key: str) -> Credential | None:
        """Return the credential of an access key, None when it may not sign."""
        now = time.monotonic()
        if now >= self._next_look:
            self._look(now)
        credential = self._known.get(access_key)
        if credential is None and now >= self._next_miss:
            self._next_miss = now + _EVERY
            self._look(now)
            credential = self._known.get(access_key)
        return credential

    def _look(self, now: float) -> None:
        self._next_look = now + _EVERY  # first, so that others who ask meanwhile do not look too
        if self._path:
            self._run(self.refresh)

    def refresh(self) -> None:
        """Read the file if it changed since it was read."""
        try:
            status = os.stat(self._path)
            if self._stamp is not None and self._stamp == _stamp(status):
                return
            entries = keyfile.read(self._path)
        except FileNotFoundError:
            status, entries = None, []
        except OSError as error:
            log.error("credentials stay as they were: %s", error)
            return
        self._warn_if_open(status)
        known = {e.access_key: Credential(e.access_key, e.secret_key) for e in entries if e.enabled}
        self._known = known | self._overlay
        self._stamp = _stamp(status)

    def _warn_if_open(self, status: os.stat_result | None) -> None:
        if status is not None and status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            log.warning("%s can be read by others than its owner: chmod 600 it", self._path)


def _stamp(status: os.stat_result | None) -> tuple[int, ...] | None:
    """What changes when a file does; None when that cannot be told."""
    if status is None or time.time_ns() - status.st_ctime_ns < _YOUNG:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
