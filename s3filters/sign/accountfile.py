"""The account file: one JSON object, ``{"version": 1, "accounts": [{"id", "display_name", ...}]}``.

An account's fields are those of ``accounts.Account``; ``id``, ``display_name`` and ``role`` are
always there. The file says who may not do everything, so it is understood whole or not at all: a
field that nobody knows, a value that cannot be, an id that stands twice make it unusable.

Versity's ``users.json`` is known by its ``accessAccounts`` and read as it is, never written: its
gateway takes no lock. There each access key is an account, and its id; an account in it that cannot
be is warned about, by its access key, and skipped. How our own file is changed: see ``replacing``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from s3filters.sign import keyfile, replacing
from s3filters.sign.accounts import Account, AccountError
from s3filters.sign.keyfile import Entry

VERSION = 1
_NAME = "accounts.json"
_REQUIRED = {"id", "display_name", "role"}
_VERSITY = {"role": "role", "userID": "uid", "groupID": "gid", "projectID": "project"}


class NotAccounts(ValueError):
    """A file that cannot be used as accounts; the message says why, without the file's text."""


class ReadOnly(ValueError):
    """A change was asked of a file that is another program's."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What an account file holds: accounts by id, and Versity's keys; what was skipped in it."""

    accounts: dict[str, Account]
    keys: tuple[Entry, ...] = ()
    versity: bool = False
    skipped: tuple[str, ...] = ()


def beside(credentials: str, accounts: str) -> str:
    """Return the path of the account file: as given, else beside the credential file."""
    if accounts or not credentials:
        return accounts
    return os.path.join(os.path.dirname(os.path.expanduser(credentials)), _NAME)


def read(path: str) -> Contents:
    """Return what the file holds, nothing when there is none. Raise NotAccounts, OSError."""
    try:
        with open(os.path.expanduser(path), "rb") as file:
            now = os.fstat(file.fileno())
            contents = _parsed(path, file.read())
    except FileNotFoundError:
        return Contents({})
    state = now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns
    keyfile.tell_once(path, state, contents.skipped)
    return contents


@contextmanager
def edited(path: str, *, make: bool = True) -> Iterator[dict[str, Account]]:
    """Hold the file's lock and yield its accounts; what they are afterwards is on stable storage.

    Raise NotAccounts, ReadOnly for Versity's, OSError; an exception within changes nothing.

    :param make: whether a file that is absent is made; else FileNotFoundError is raised
    """
    real = replacing.real(path)
    with replacing.locked(real, make=make) as old:
        contents = _parsed(path, old)
        if contents.versity:
            raise ReadOnly(f"accounts {path}: this is Versity's users.json, which is only read")
        accounts = dict(contents.accounts)
        yield accounts
        if accounts != contents.accounts:
            replacing.replace(real, _written(accounts))


@contextmanager
def kept(path: str) -> Iterator[Contents]:
    """Yield what the file holds, and let nobody change it meanwhile. Raise NotAccounts, OSError."""
    try:
        held = replacing.kept(replacing.real(path))
        data = held.__enter__()
    except FileNotFoundError:
        yield Contents({})
        return
    try:
        yield _parsed(path, data)
    finally:
        held.__exit__(None, None, None)


def _parsed(path: str, data: bytes) -> Contents:
    try:
        return parse(data)
    except NotAccounts as error:
        raise NotAccounts(f"accounts {path}: {error}") from error


def parse(data: bytes) -> Contents:
    """Return what the bytes of an account file say, nothing when blank. Raise NotAccounts."""
    if not data.strip():
        return Contents({})
    try:
        values = json.loads(data.decode(), object_pairs_hook=_without_doubles)
    except (ValueError, RecursionError):
        raise NotAccounts("not JSON, or a name stands twice in an object") from None
    if isinstance(values, dict) and isinstance(values.get("accessAccounts"), dict):
        return _of_versity(values["accessAccounts"])
    if not isinstance(values, dict) or not isinstance(values.get("accounts"), list):
        raise NotAccounts("neither a file of accounts nor Versity's users.json")
    if values.keys() != {"version", "accounts"} or values["version"] != VERSION:
        raise NotAccounts(f"not version {VERSION} of the format")
    accounts: dict[str, Account] = {}
    for number, fields in enumerate(values["accounts"], 1):
        try:
            account = _account(fields)
            if account.id in accounts:
                raise AccountError("its id stands twice")
        except AccountError as error:
            raise NotAccounts(f"account {number}: {error}") from None
        accounts[account.id] = account
    return Contents(accounts)


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError
    return values


def _account(fields: object) -> Account:
    if not isinstance(fields, dict):
        raise AccountError("not a JSON object")
    if not fields.keys() >= _REQUIRED:
        raise AccountError(f"{' or '.join(sorted(_REQUIRED - fields.keys()))} is missing")
    if unknown := fields.keys() - Account.__dataclass_fields__.keys():
        raise AccountError(f"there is no field {min(unknown)!a}")
    return Account(**fields)


def _of_versity(users: dict[str, Any]) -> Contents:
    accounts, keys, skipped = {}, [], []
    for access_key, fields in users.items():
        try:
            account, secret = _versity_account(access_key, fields)
        except AccountError as error:
            skipped.append(f"account {access_key!a} is skipped: {error}")
            continue
        accounts[access_key] = account
        keys.append(Entry(access_key, secret, account=access_key))
    return Contents(accounts, tuple(keys), versity=True, skipped=tuple(skipped))


def _versity_account(access_key: str, fields: object) -> tuple[Account, str]:
    if not isinstance(fields, dict) or fields.get("access") != access_key:
        raise AccountError("not what its gateway writes")
    secret = fields.get("secret")
    if not isinstance(secret, str) or not secret or not secret.isprintable():
        raise AccountError("secret is missing or not printable")
    values = {ours: fields[theirs] for theirs, ours in _VERSITY.items() if theirs in fields}
    return Account(access_key, access_key, values.pop("role", None), **values), secret


def _written(accounts: dict[str, Account]) -> bytes:
    values = {"version": VERSION, "accounts": [a.fields() for a in accounts.values()]}
    return (json.dumps(values, indent=2) + "\n").encode()
