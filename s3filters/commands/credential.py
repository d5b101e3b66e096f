"""``s3filters credential``: adds and lists the key pairs of a credentials file.

The commands and their words are those of Curvine's gateway, whose files these are; scripts made for
it keep working. A running daemon knows a new key within a second.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from s3filters.commands import keys
from s3filters.commands.errors import CommandError
from s3filters.commands.ini import shared
from s3filters.sign import keyfile
from s3filters.sign.keyfile import Entry, KeyFileError


def declare(commands: Any) -> None:
    """Add ``s3filters credential``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "credential",
        help="add, generate or list pairs of keys",
        description="Add, generate or list the pairs of keys of a credentials file.",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, run, words in (
        ("add", add, "add a pair of keys"),
        ("generate", generate, "make a random pair of keys, add it and show it once"),
        ("list", show, "list the pairs of keys"),
    ):
        action = actions.add_parser(name, help=words, description=f"{words.capitalize()}.")
        action.add_argument(
            "--credentials",
            metavar="FILE",
            default=shared()["credentials"].default,
            help="the file (default: %(default)s)",
        )
        action.set_defaults(run=run)
        if name == "add":
            action.add_argument("--access-key", required=True, help="16 to 32 characters")
            action.add_argument("--secret-key", required=True, help="16 to 64 characters")
        if name == "list":
            action.add_argument("--show-secrets", action="store_true", help="show secret keys too")
        else:
            action.add_argument("--description", help="a word about whose or what for it is")


def add(arguments: argparse.Namespace) -> int:
    """Add a given pair."""
    keys.check(Path(arguments.credentials).expanduser())
    print("Adding new credential...")
    try:
        entry = keyfile.add(
            arguments.credentials,
            arguments.access_key,
            arguments.secret_key,
            arguments.description,
        )
    except KeyFileError as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except OSError as error:
        raise _refused(arguments.credentials, error) from error
    print(f"✓ Successfully added credential for access key: {entry.access_key}")
    return 0


def generate(arguments: argparse.Namespace) -> int:
    """Add a random pair and show it."""
    keys.check(Path(arguments.credentials).expanduser())
    print("Generating new random credential...")
    try:
        entry = keyfile.generate(arguments.credentials, arguments.description)
    except OSError as error:
        raise _refused(arguments.credentials, error) from error
    print(
        "✓ Successfully generated and added new credential:\n"
        f"  Access Key: {entry.access_key}\n"
        f"  Secret Key: {entry.secret_key}\n"
        "\n"
        "⚠️  Please save these credentials securely. The secret key will not be shown again."
    )
    return 0


def show(arguments: argparse.Namespace) -> int:
    """List the pairs, without their secrets unless asked for."""
    print("Listing all credentials...")
    try:
        entries = keyfile.read(arguments.credentials)
    except OSError as error:
        raise _refused(arguments.credentials, error) from error
    if not entries:
        print("No credentials found.")
        return 0
    print(f"\nFound {len(entries)} credential(s):\n{'-' * 80}")
    described = (
        "\n".join(_described(number, entry, arguments.show_secrets))
        for number, entry in enumerate(entries, 1)
    )
    print("\n\n".join(described))
    if not arguments.show_secrets:
        print("\nUse --show-secrets to display secret keys.")
    return 0


def _described(number: int, entry: Entry, show_secrets: bool) -> Iterator[str]:
    hidden = "[HIDDEN - use --show-secrets to reveal]"
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(entry.created_at))
    yield f"Credential #{number}"
    yield f"  Access Key: {entry.access_key}"
    yield f"  Secret Key: {entry.secret_key if show_secrets else hidden}"
    yield f"  Created At: {made}"
    yield f"  Enabled: {'Yes' if entry.enabled else 'No'}"
    if entry.description is not None:
        yield f"  Description: {entry.description}"


def _refused(path: str, error: OSError) -> CommandError:
    return CommandError(f"credentials {path}: {error.strerror}")
