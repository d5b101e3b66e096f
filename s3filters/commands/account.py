"""``s3filters account``: adds, lists, shows, changes and deletes accounts.

A running daemon knows a change within a second. Keys are given to an account, and taken away, by
``s3filters credential``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

from s3filters.commands import holders, places
from s3filters.commands.errors import CommandError
from s3filters.commands.moments import shown
from s3filters.commands.places import Places
from s3filters.s3.call import ROLES
from s3filters.sign import accountfile, keyfile
from s3filters.sign.accounts import Account, AccountError, named, new_id

_NEW = ("NAME", "its display name")
_KNOWN = ("ACCOUNT", "a canonical id, or a display name")
_CHANGEABLE = ("display_name", "role", "uid", "gid", "project", "description")


def declare(commands: Any) -> None:
    """Add ``s3filters account``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "account",
        help="add, list, show, change or delete the accounts that keys belong to",
        description="Add, list, show, change or delete the accounts that keys belong to.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, words in (
        ("add", add, "add an account, and print its canonical id"),
        ("list", show_all, "list the accounts, those of keys that have none too"),
        ("show", show, "show an account and its keys"),
        ("set", change, "change an account; of a key that has none, make one"),
        ("delete", delete, "delete an account"),
    ):
        action = actions.add_parser(name, help=words, description=f"{words.capitalize()}.")
        if name != "list":
            metavar, about = _NEW if name == "add" else _KNOWN
            action.add_argument("account", metavar=metavar, help=about)
        _ARGUMENTS[name](action)
        places.declare(action)
        action.set_defaults(run=run)


def _with_json(action: argparse.ArgumentParser) -> None:
    action.add_argument("--json", action="store_true", help="print JSON, for programs")


def _for_add(action: argparse.ArgumentParser) -> None:
    action.add_argument("--id", help="its canonical id (default: a new one, 64 hex digits)")
    _with_values(action, role=" (default: user)")
    action.set_defaults(role="user")
    _with_json(action)


def _with_values(action: argparse.ArgumentParser, role: str = "") -> None:
    def option(flag: str, **about: Any) -> None:
        action.add_argument(flag, default=argparse.SUPPRESS, **about)

    option(
        "--role",
        choices=ROLES,
        help="admin: may do everything; userplus: what is granted, and make buckets; "
        f"user: what is granted{role}",
    )
    option(
        "--uid",
        type=_number,
        metavar="N|none",
        help="its user id on this site, which its files have with chown_uid",
    )
    option("--gid", type=_number, metavar="N|none", help="its group id, likewise with chown_gid")
    option("--project", type=int, metavar="N", help="project id of its files, 0 for none")
    option("--description", type=lambda text: text or None, help="a word about whose it is")


def _number(text: str) -> int | None:
    if text == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: say a number, or none") from None


def _for_set(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--name", dest="display_name", default=argparse.SUPPRESS, help="its new display name"
    )
    _with_values(action)


def _for_delete(action: argparse.ArgumentParser) -> None:
    action.add_argument("--keys", action="store_true", help="delete its keys too")


_ARGUMENTS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "add": _for_add,
    "list": _with_json,
    "show": _with_json,
    "set": _for_set,
    "delete": _for_delete,
}


def _values(arguments: argparse.Namespace) -> dict[str, Any]:
    given = vars(arguments)
    return {name: given[name] for name in _CHANGEABLE if name in given}


def add(arguments: argparse.Namespace) -> int:
    """Add an account."""
    where = places.of(arguments)
    with places.refusals(where):
        account = Account(
            id=arguments.id or new_id(),
            display_name=arguments.account,
            created_at=int(time.time()),
            **_values(arguments),
        )
        with places.editing(where) as accounts:
            _refuse_taken(accounts.values(), account)
            holders.refuse_key_of_another(where, account.id)
            accounts[account.id] = account
        holders.bind(where, account.id)
    if arguments.json:
        print(json.dumps(account.fields(), indent=2))
    else:
        print(f"Added the account {account.display_name}:\n  {account.id}")
    return 0


def _refuse_taken(others: Iterable[Account], account: Account) -> None:
    """An id or a name says whose account it is, so neither may be another's id or name."""
    for other in others:
        if {other.id, other.display_name} & {account.id, account.display_name}:
            raise AccountError(f"there is an account {other.display_name} ({other.id})")


def show_all(arguments: argparse.Namespace) -> int:
    """List the accounts."""
    where, known = _read(arguments)
    rows = [_fields(known, account) for account in known.everybody()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'NAME':<20} {'ROLE':<8} {'UID':>7} {'GID':>7} {'PROJECT':>7} {'KEYS':>4} ID")
    for row in rows:
        uid, gid = (row.get(name, "-") for name in ("uid", "gid"))
        print(
            f"{row['display_name'] or '-':<20} {row['role']:<8} {uid:>7} {gid:>7}"
            f" {row['project']:>7} {len(row['keys']):>4} {row['id']}"
        )
    if not rows:
        places.say_empty(where)
    return 0


def _read(arguments: argparse.Namespace) -> tuple[Places, holders.Holders]:
    """Return the files and what they hold.

    There need not be keys, nor a file of them, when there are accounts. Raise CommandError.
    """
    where = places.of_present(arguments, "accounts")
    with places.refusals(where):
        known = holders.read(where)
    if not known.accounts:
        places.of_present(arguments, "credentials")
    return where, known


def _fields(known: holders.Holders, account: Account) -> dict[str, Any]:
    """What a program is told of an account; ``stored`` is false for one that only a key is."""
    keys = [entry.access_key for entry in known.keys_of(account.id)]
    return account.fields() | {"stored": account.id in known.accounts, "keys": keys}


def show(arguments: argparse.Namespace) -> int:
    """Show an account and its keys."""
    where, known = _read(arguments)
    with places.refusals(where):
        account = named({a.id: a for a in known.everybody()}, arguments.account)
    fields = _fields(known, account)
    fields["keys"] = [holders.fields(entry) for entry in known.keys_of(account.id)]
    if arguments.json:
        print(json.dumps(fields, indent=2))
        return 0
    for name, value in fields.items():
        if name == "created_at":
            print(f"{name + ':':<14} {shown(value)}")
        elif name not in ("keys", "stored"):
            print(f"{name + ':':<14} {value}")
    for key in fields["keys"]:
        print(f"{'key:':<14} {key['access_key']}  {holders.state(key)}")
    return 0


def change(arguments: argparse.Namespace) -> int:
    """Change an account."""
    where = places.of(arguments)
    changes = _values(arguments)
    if not changes:
        raise CommandError("say what to change; see: s3filters account set --help")
    with places.refusals(where):
        entries = keyfile.read(where.credentials)
        with places.editing(where) as accounts:
            old = holders.account_of_key(accounts, entries, arguments.account)
            old = old or named(accounts, arguments.account)
            account = dataclasses.replace(old, **changes)
            _refuse_taken((a for a in accounts.values() if a.id != account.id), account)
            accounts[account.id] = account
        holders.bind(where, account.id)
    print(f"Changed the account {account.display_name} ({account.id})")
    return 0


def delete(arguments: argparse.Namespace) -> int:
    """Delete an account."""
    where = places.of(arguments)
    # No key can be given to the account meanwhile: whoever does that keeps the account file.
    with places.refusals(where), accountfile.edited(where.accounts, make=False) as accounts:
        account = named(accounts, arguments.account)
        keys = [e for e in keyfile.read(where.credentials) if e.owner == account.id]
        if keys and not arguments.keys:
            raise CommandError(
                f"{account.display_name} has {len(keys)} key(s): say --keys to delete them too"
            )
        if keys:
            keyfile.delete(where.credentials, lambda entry: entry.owner == account.id)
        del accounts[account.id]
    print(f"Deleted the account {account.display_name} ({account.id}) and {len(keys)} key(s)")
    print("What it owns stays, and is for admins.", file=sys.stderr)
    return 0
