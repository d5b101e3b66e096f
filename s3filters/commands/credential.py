"""``s3filters credential``: adds, lists, stops, deletes and rotates the pairs of keys of a file.

``add``, ``generate`` and ``list`` and their words are those of Curvine's gateway, whose files these
are; scripts made for it keep working. A running daemon knows of a change within a second.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from s3filters.commands import holders, keys, places
from s3filters.commands.errors import CommandError
from s3filters.commands.moments import duration, moment, shown
from s3filters.commands.places import Places
from s3filters.sign import accountfile, keyfile
from s3filters.sign.accounts import Account, AccountError, named
from s3filters.sign.keyfile import Entry, KeyFileError

_HIDDEN = "[HIDDEN - use --show-secrets to reveal]"
_KEEP = "⚠️  Please save these credentials securely. The secret key will not be shown again."


def declare(commands: Any) -> None:
    """Add ``s3filters credential``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "credential",
        help="add, generate, list, enable, disable, delete or rotate pairs of keys",
        description="Work on the pairs of keys of a credentials file.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, words in (
        ("add", add, "add a pair of keys"),
        ("generate", generate, "make a random pair of keys, add it and show it once"),
        ("list", show, "list the pairs of keys"),
        ("enable", enable, "let a key sign again"),
        ("disable", disable, "let a key not sign any more"),
        ("delete", delete, "take a pair of keys out of the file"),
        ("rotate", rotate, "make another pair for a key's account; the old key expires"),
    ):
        action = actions.add_parser(name, help=words, description=f"{words.capitalize()}.")
        places.declare(action)
        action.set_defaults(run=run)
        for flag in _FLAGS[name]:
            about = _ABOUT[flag] | {"help": _HERE.get((name, flag), _ABOUT[flag]["help"])}
            action.add_argument(flag, **about)


_ABOUT: dict[str, dict[str, Any]] = {
    "key": {"metavar": "ACCESS_KEY", "help": "the access key"},
    "--access-key": {"required": True, "help": "16 to 32 characters"},
    "--secret-key": {"required": True, "help": "16 to 64 characters"},
    "--description": {"help": "a word about whose or what for it is"},
    "--account": {
        "metavar": "ACCOUNT",
        "help": "id or name of an account; a new pair without one is an account of its own, which "
        "may do everything",
    },
    "--expires": {
        "metavar": "WHEN",
        "type": moment,
        "default": argparse.SUPPRESS,
        "help": "when it ends: 90d, 12h, a date as 2030-01-31T12:00:00Z, or never",
    },
    "--grace": {
        "metavar": "HOWLONG",
        "type": duration,
        "default": "24h",
        "help": "how long the old key goes on: 0, 30m, 12h, 7d (default: %(default)s)",
    },
    "--show-secrets": {"action": "store_true", "help": "show secret keys too"},
    "--json": {"action": "store_true", "help": "print JSON, for programs"},
}
_HERE = {  # help of a flag that means something else there
    ("list", "--account"): "id or name of the account whose pairs are listed (default: all)",
    ("rotate", "--expires"): "when the new key ends: 90d, 12h, a date as 2030-01-31T12:00:00Z, or "
    "never (default)",
}
_FLAGS = {
    "add": ("--access-key", "--secret-key", "--description", "--account", "--expires"),
    "generate": ("--description", "--account", "--expires", "--json"),
    "list": ("--account", "--show-secrets", "--json"),
    "enable": ("key", "--expires"),
    "disable": ("key",),
    "delete": ("key",),
    "rotate": ("key", "--grace", "--expires", "--json"),
}


def add(arguments: argparse.Namespace) -> int:
    """Add a given pair."""
    where = places.of(arguments)
    keys.check(Path(where.credentials).expanduser())
    print("Adding new credential...")
    try:
        entry, account = _added(where, arguments, arguments.access_key, arguments.secret_key)
    except KeyFileError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    print(f"✓ Successfully added credential for access key: {entry.access_key}")
    _say_whose(account)
    return 0


def generate(arguments: argparse.Namespace) -> int:
    """Add a random pair and show it."""
    where = places.of(arguments)
    keys.check(Path(where.credentials).expanduser())
    if not arguments.json:
        print("Generating new random credential...")
    entry, account = _added(where, arguments, *keyfile.random_pair())
    _show_made(arguments, entry, "generated and added new credential")
    if not arguments.json:
        _say_whose(account)
    return 0


def _added(
    where: Places, arguments: argparse.Namespace, access_key: str, secret_key: str
) -> tuple[Entry, Account | None]:
    """Add a pair to the account that was asked for, which nobody can delete meanwhile.

    Raise KeyFileError for a pair that cannot be; all else as CommandError.
    """
    told = arguments.description, getattr(arguments, "expires", None)
    with (
        places.refusals(where, besides=KeyFileError),
        accountfile.kept(where.accounts) as contents,
    ):
        account = _holder(contents.accounts, arguments.account, access_key)
        whose = account.id if account is not None else None
        entry = keyfile.add(where.credentials, access_key, secret_key, told[0], whose, told[1])
    return entry, account


def _holder(accounts: Mapping[str, Account], word: str | None, access_key: str) -> Account | None:
    """Return the account that a new pair is for, None when it is to be one of its own.

    Whoever signs with a key is whom grants and owners name by it, so an access key that is the id
    of an account can only be that account's. Raise AccountError.
    """
    same = accounts.get(access_key)
    if word is None:
        return same
    account = named(accounts, word)
    if same is not None and same != account:
        raise AccountError(f"{access_key} is the id of the account {same.display_name}")
    return account


def _show_made(arguments: argparse.Namespace, entry: Entry, done: str) -> None:
    """Show a new pair, its secret too: this once."""
    if arguments.json:
        print(json.dumps(holders.fields(entry, secret=True), indent=2))
        return
    print(
        f"✓ Successfully {done}:\n"
        f"  Access Key: {entry.access_key}\n"
        f"  Secret Key: {entry.secret_key}\n"
        f"\n{_KEEP}"
    )


def _say_whose(account: Account | None) -> None:
    if account is not None:
        print(f"It belongs to {account.display_name} ({account.id}), role {account.role}.")
    else:
        # on standard error, since what stands on the other is known to scripts
        print(
            "It has no account, so it may do everything; see: s3filters account --help",
            file=sys.stderr,
        )


def show(arguments: argparse.Namespace) -> int:
    """List the pairs, without their secrets unless asked for."""
    where = places.of_present(arguments, "credentials", "accounts")
    if not arguments.json:
        print("Listing all credentials...")
    with places.refusals(where):
        known = holders.read(where)
        entries = list(known.keys)
        if arguments.account is not None:
            whose = {account.id: account for account in known.everybody()}
            entries = known.keys_of(named(whose, arguments.account).id)
    if arguments.json:
        rows = [holders.fields(entry, secret=arguments.show_secrets) for entry in entries]
        print(json.dumps(rows, indent=2))
        return 0
    if not entries:
        print("No credentials found.")
        if not known.keys:
            places.say_empty(where)
        return 0
    print(f"\nFound {len(entries)} credential(s):\n{'-' * 80}")
    described = (
        "\n".join(_described(number, entry, known, arguments.show_secrets))
        for number, entry in enumerate(entries, 1)
    )
    print("\n\n".join(described))
    if not arguments.show_secrets:
        print("\nUse --show-secrets to display secret keys.")
    return 0


def _described(
    number: int, entry: Entry, known: holders.Holders, show_secrets: bool
) -> Iterator[str]:
    yield f"Credential #{number}"
    yield f"  Access Key: {entry.access_key}"
    yield f"  Secret Key: {entry.secret_key if show_secrets else _HIDDEN}"
    yield f"  Created At: {shown(entry.created_at)}"
    yield f"  Enabled: {'Yes' if entry.enabled else 'No'}"
    if entry.expires_at is not None:
        expired = "" if time.time() < entry.expires_at else " (expired)"
        yield f"  Expires At: {shown(entry.expires_at)}{expired}"
    if account := known.accounts.get(entry.owner):
        yield f"  Account: {account.display_name} ({account.id}), role {account.role}"
    elif entry.account is not None:
        yield f"  Account: {_plain(entry.account)}, which is not there: it may not sign"
    if entry.description is not None:
        yield f"  Description: {_plain(entry.description)}"


def _plain(text: str) -> str:
    """The text without anything that a terminal would obey or cannot show."""
    return text if text.isprintable() else ascii(text)


def enable(arguments: argparse.Namespace) -> int:
    """Let a key sign again."""
    changes: dict[str, Any] = {"enabled": True}
    if "expires" in arguments:
        changes["expires_at"] = arguments.expires
    entry = _altered(arguments, changes)
    if not entry.usable(time.time()):
        raise CommandError(
            f"{entry.access_key} is enabled, but expired {shown(entry.expires_at or 0)}:"
            " say --expires too"
        )
    print(f"✓ Enabled {entry.access_key}")
    return 0


def disable(arguments: argparse.Namespace) -> int:
    """Let a key not sign any more."""
    print(f"✓ Disabled {_altered(arguments, {'enabled': False}).access_key}")
    return 0


def _altered(arguments: argparse.Namespace, changes: dict[str, Any]) -> Entry:
    where = places.of_present(arguments, "credentials")
    with places.refusals(where):
        return keyfile.alter(where.credentials, arguments.key, changes)


def delete(arguments: argparse.Namespace) -> int:
    """Take a pair out of the file."""
    where = places.of_present(arguments, "credentials")
    with places.refusals(where):
        if not keyfile.delete(where.credentials, lambda e: bool(e.access_key == arguments.key)):
            raise CommandError(f"there is no access key {arguments.key}")
    print(f"✓ Deleted {arguments.key}")
    return 0


def rotate(arguments: argparse.Namespace) -> int:
    """Make another pair for a key's account; the old key expires."""
    where = places.of_present(arguments, "credentials")
    until = int(time.time()) + arguments.grace
    with places.refusals(where):
        account = holders.stored(where, arguments.key)
        expires = getattr(arguments, "expires", None)
        entry = keyfile.rotate(where.credentials, arguments.key, account, until, expires)
    _show_made(arguments, entry, f"made a new credential for the account of {arguments.key}")
    if not arguments.json:
        old = keyfile.find(keyfile.read(where.credentials), arguments.key)  # may end before then
        print(f"The old key may sign until {shown(old.expires_at or until)}.")
    return 0
