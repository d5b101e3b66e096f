"""Secrets by access key: those of the credential file, and those of the environment over them.

Looking up is a dictionary's work: every key has its Identity ready. The credential file and the
account file are looked at (one ``stat`` each) at most once a second, and read again when one is
another file or has changed; a key that is not known looks at once, at most once a second too. So a
key works, or stops working, a second after it was changed at the latest, and a stranger who guesses
keys costs nothing. An error of the file system keeps what was known. A credential file that is gone
takes its keys with it; an account file that is gone or cannot be understood takes nothing with it,
since it says who may not do everything.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from s3filters.s3.call import Identity
from s3filters.sign import accountfile, keyfile
from s3filters.sign.accountfile import Contents, NotAccounts
from s3filters.sign.accounts import Account, own
from s3filters.sign.keyfile import Entry

log = logging.getLogger("s3filters.sign")

T = TypeVar("T")

ENVIRONMENT = (  # pairs of names; an earlier pair stands above a later one
    ("S3_ACCESS_KEY", "S3_SECRET_KEY"),
    ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    ("CURVINE_ACCESS_KEY", "CURVINE_SECRET_KEY"),
)
_EVERY = 1.0  # seconds between two looks at the file
_YOUNG = 100_000_000  # ns: a file this young may change again within the same tick of its clock


@dataclass(frozen=True, slots=True)
class Credential:
    """A key pair that may sign, and whom it stands for: without an account, for itself.

    ``expires_at`` is in seconds since 1970, None for never.
    """

    access_key: str
    secret_key: str = field(repr=False)
    account: Account | None = None
    expires_at: int | None = None
    identity: Identity = field(init=False)

    def __post_init__(self) -> None:
        key = self.access_key
        identity = self.account.identity(key) if self.account else own(key)
        object.__setattr__(self, "identity", identity)


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

    Making it raises NotAccounts or OSError when there is an account file that cannot be used.

    :param path: of the credential file, which need not exist yet; empty for none
    :param environment: where key pairs of the environment are looked for
    :param run: calls a function where it may block
    :param accounts: path of the account file, which need not exist; empty for none
    """

    def __init__(
        self,
        path: str,
        environment: Mapping[str, str] = os.environ,
        run: Callable[..., Any] | None = None,
        accounts: str = "",
    ) -> None:
        self._run = run or (lambda function: function())
        self._overlay = {
            c.access_key: Entry(c.access_key, c.secret_key)
            for c in from_environment(environment).values()
        }
        self._known: dict[str, Credential] = {}
        self._holders: dict[str, Identity] = {}
        self._keys: _Watched[list[Entry]] = _Watched(path, keyfile.read, [])
        self._accounts = _Watched(accounts, accountfile.read, Contents({}), keeps=True)
        self._next_look = 0.0  # monotonic seconds
        self._next_miss = 0.0
        self._accounts.refresh()  # who must not be taken for an admin has to be known
        self._rebuild()
        if path:
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
        if credential is not None and (
            credential.expires_at is None or time.time() < credential.expires_at
        ):
            return credential
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%r may not sign: %s", access_key, self._why_not(access_key))
        return None

    def _why_not(self, access_key: str) -> str:
        """Words for whoever looks after the keys; the client is told of none."""
        if access_key in self._known:
            return "it has expired"
        lines = [entry for entry in self._keys.value if entry.access_key == access_key]
        if not lines:
            return "it is not known"
        return "its account is not there" if any(e.enabled for e in lines) else "it is disabled"

    def holder(self, name: str) -> Identity | None:
        """Return whom a canonical id means, or an access key, None when nobody.

        ``access_key`` of what is returned is empty where an account is meant. A key that may not
        sign means somebody all the same: what he owns stays his.
        """
        now = time.monotonic()
        if now >= self._next_look:
            self._look(now)
        return self._holders.get(name)

    def knows(self, name: str) -> Identity | None:
        """Return whom ``holder`` returns, as of the last look."""
        return self._holders.get(name)

    def _look(self, now: float) -> None:
        self._next_look = now + _EVERY  # first, so that others who ask meanwhile do not look too
        self._run(self.refresh)

    def refresh(self) -> None:
        """Read the files that changed since they were read."""
        # Keys first: an account is written before its first key is, so it is there by then.
        keys = self._refreshed("credentials", self._keys)
        accounts = self._refreshed("accounts", self._accounts)
        if keys or accounts:
            self._rebuild()

    def _refreshed(self, what: str, file: _Watched[Any]) -> bool:
        try:
            return file.refresh()
        except (OSError, NotAccounts) as error:
            log.error("%s stay as they were: %s", what, error)
            return False

    def _rebuild(self) -> None:
        """Make the dictionary of what may sign: of several lines of a key the last one counts."""
        contents = self._accounts.value
        entries = {entry.access_key: entry for entry in contents.keys}
        entries |= {entry.access_key: entry for entry in self._keys.value if entry.enabled}
        entries |= self._overlay
        known = {}
        for key, entry in entries.items():
            account = contents.accounts.get(entry.owner)
            if account is None and entry.account is not None:
                log.warning("%s may not sign: its account is not there", key)
            else:
                known[key] = Credential(key, entry.secret_key, account, entry.expires_at)
        self._known = known
        self._holders = {
            **{e.access_key: own(e.access_key) for e in self._keys.value if e.account is None},
            **{key: credential.identity for key, credential in known.items()},
            **{name: account.identity("") for name, account in contents.accounts.items()},
        }


class _Watched(Generic[T]):
    """A file that is read again when it has changed.

    ``value`` is what it held when it was read last, ``nothing`` when there is none.

    :param path: empty for no file at all
    :param keeps: whether a file that is gone is an error, and its value stays
    """

    def __init__(
        self, path: str, read: Callable[[str], T], nothing: T, *, keeps: bool = False
    ) -> None:
        self.value = self._nothing = nothing
        self._path = os.path.expanduser(path)
        self._read = read
        self._keeps = keeps
        self._stamp: tuple[int, ...] | None = None

    def refresh(self) -> bool:
        """Read the file if it changed; return whether there is news. Raise what reading raises."""
        if not self._path:
            return False
        try:
            status = os.stat(self._path)
            if self._stamp is not None and self._stamp == _stamp(status):
                return False
            self.value = self._read(self._path)
        except FileNotFoundError:
            return self._gone()
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            log.warning("%s can be read by others than its owner: chmod 600 it", self._path)
        self._stamp = _stamp(status)
        return True

    def _gone(self) -> bool:
        if self.value is self._nothing:
            return False
        if self._keeps:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._path)
        self.value, self._stamp = self._nothing, None
        return True


def _stamp(status: os.stat_result) -> tuple[int, ...] | None:
    """What changes when a file does; None when that cannot be told."""
    if time.time_ns() - status.st_ctime_ns < _YOUNG:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
