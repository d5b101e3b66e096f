"""Keys and the accounts that they belong to, as the commands show and change them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from s3filters.commands import places
from s3filters.commands.moments import shown
from s3filters.commands.places import Places
from s3filters.sign import accountfile, keyfile
from s3filters.sign.accounts import MOST_SECONDS, Account, AccountError
from s3filters.sign.keyfile import Entry, KeyFileError


@dataclass(frozen=True, slots=True)
class Holders:
    """What the two files hold: accounts by id, keys of the credentials file, Versity's keys."""

    accounts: Mapping[str, Account]
    ours: tuple[Entry, ...]
    versity: tuple[Entry, ...]

    @property
    def keys(self) -> tuple[Entry, ...]:
        """All keys."""
        return self.ours + self.versity

    def role(self, entry: Entry) -> str | None:
        """Return the role of a key's account, None when that is not there: it may not sign."""
        if account := self.accounts.get(entry.owner):
            return account.role
        return "admin" if entry.account is None else None

    def keys_of(self, account: str) -> list[Entry]:
        """Return the keys of an account's id."""
        return [entry for entry in self.keys if entry.owner == account]

    def everybody(self) -> Iterator[Account]:
        """Yield each account, those that are nothing but a key too."""
        yield from self.accounts.values()
        for key in dict.fromkeys(e.access_key for e in self.keys if e.account is None):
            if key not in self.accounts:
                with suppress(AccountError):  # a key that somebody wrote by hand
                    yield own(keyfile.find(self.keys, key))


def read(where: Places) -> Holders:
    """Return what the files hold. Raise NotAccounts, OSError."""
    entries = keyfile.read(where.credentials)
    contents = accountfile.read(where.accounts)
    return Holders(contents.accounts, tuple(entries), contents.keys)


def own(entry: Entry) -> Account:
    """Return the account that a key without one is. Raise AccountError when it cannot be stored."""
    created_at = min(max(0, entry.created_at), MOST_SECONDS)
    return Account(entry.access_key, entry.access_key, "admin", created_at=created_at)


def account_of_key(
    accounts: Mapping[str, Account], entries: Iterable[Entry], access_key: str
) -> Account | None:
    """Return the account that a key without one is, None when it has one or is not there."""
    try:
        entry = keyfile.find(entries, access_key)
    except KeyFileError:
        return None
    return own(entry) if entry.account is None and access_key not in accounts else None


def stored(where: Places, access_key: str) -> str:
    """Return the id of a key's account; when the key is an account of its own, store that first.

    Raise KeyFileError when there is no such key, ReadOnly when its account cannot be stored.
    """
    entry = keyfile.find(keyfile.read(where.credentials), access_key)
    if entry.owner not in accountfile.read(where.accounts).accounts and entry.account is None:
        with places.editing(where) as accounts:
            accounts.setdefault(access_key, own(entry))
    return entry.owner


def refuse_key_of_another(where: Places, account: str) -> None:
    """Raise AccountError when the id of a new account is the access key of another account.

    Whoever signs with a key is whom grants and owners name by it.
    """
    for entry in keyfile.read(where.credentials):
        if entry.access_key == account and entry.account not in (None, account):
            raise AccountError(f"{account} is a key of the account {entry.account}")


def bind(where: Places, account: str) -> None:
    """Write an account into the key that was an account of its own with this id, if there is one.

    Such a key would be an admin again if the account file were lost.
    """
    entries = keyfile.read(where.credentials)
    if any(e.access_key == account and e.account is None for e in entries):
        keyfile.alter(where.credentials, account, {"account": account})


def fields(entry: Entry, *, secret: bool = False) -> dict[str, Any]:
    """What a program is told of a key: all but its secret, unless that is asked for."""
    return {
        "access_key": entry.access_key,
        **({"secret_key": entry.secret_key} if secret else {}),
        "account": entry.owner,
        "created_at": entry.created_at,
        "enabled": entry.enabled,
        "expires_at": entry.expires_at,
        "usable": entry.usable(time.time()),
        "description": entry.description,
    }


def state(key: Mapping[str, Any]) -> str:
    """Return in words whether a key (its ``fields``) may sign."""
    if not key["enabled"]:
        return "disabled"
    if key["expires_at"] is None:
        return "enabled"
    return f"{'expires' if key['usable'] else 'expired'} {shown(key['expires_at'])}"
