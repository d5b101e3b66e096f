"""Which files the commands about keys and accounts work on, and their errors in one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from s3filters.commands.configuration import Configuration
from s3filters.commands.errors import CommandError, UsageError
from s3filters.sign import accountfile, replacing
from s3filters.sign.accountfile import NotAccounts, ReadOnly
from s3filters.sign.accounts import Account, AccountError
from s3filters.sign.keyfile import KeyFileError, NotCredentials


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of the credentials file and of the account file."""

    credentials: str
    accounts: str


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the flags that say which files."""
    parser.add_argument(
        "--conf", type=Path, metavar="INI", help="the ini that names the files (default: ours)"
    )
    parser.add_argument(
        "--credentials", metavar="FILE", help="the file of the keys, above what the ini says"
    )
    parser.add_argument(
        "--accounts", metavar="FILE", help="the file of the accounts, above what the ini says"
    )


def of(arguments: argparse.Namespace) -> Places:
    """Return the files of a command line. Raise UsageError when its ini cannot be read."""
    given = {"credentials": arguments.credentials, "accounts": arguments.accounts}
    flags = {name: value for name, value in given.items() if value is not None}
    return of_configuration(Configuration(arguments.conf, flags))


def of_present(arguments: argparse.Namespace, *needed: str) -> Places:
    """Return the files of a command line, which makes none of them.

    Raise CommandError when a flag names one that is not there, a slip of the keyboard.

    :param needed: the flags that are looked at, if they were given
    """
    where = of(arguments)
    for name in needed:
        if getattr(arguments, name) is not None:
            path = getattr(where, name)
            try:
                os.stat(replacing.real(path))
            except OSError as error:
                raise CommandError(f"{name} {path}: {error.strerror}") from error
    return where


def say_empty(where: Places) -> None:
    """Say where nothing was found, and whether that is there at all.

    On standard error, since what stands on the other is known to scripts.
    """
    for path in (where.credentials, where.accounts):
        there = os.path.exists(replacing.real(path))
        state = "holds none" if there else "is not there yet"
        print(f"{Path(path).expanduser().absolute()} {state}", file=sys.stderr)


def of_configuration(configuration: Configuration) -> Places:
    """Return the files of an ini and the flags above it."""
    credentials = configuration.value("credentials")
    return Places(
        credentials, accountfile.beside(credentials, str(configuration.value("accounts")))
    )


@contextmanager
def editing(where: Places) -> Iterator[dict[str, Account]]:
    """Yield the accounts to be changed, as ``accountfile.edited`` does; make the file when absent.

    What root makes is given to the owner of the credentials file: else no daemon could read it.
    """
    absent = not os.path.exists(replacing.real(where.accounts))
    with accountfile.edited(where.accounts) as accounts:
        credentials = replacing.real(where.credentials)
        if absent and os.geteuid() == 0 and os.path.exists(credentials):
            owner = os.stat(credentials)
            os.chown(replacing.real(where.accounts), owner.st_uid, owner.st_gid)
        yield accounts
    if absent:
        print(f"Made the account file {where.accounts}", file=sys.stderr)


@contextmanager
def refusals(places: Places, besides: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Raise what the files or the system refuse as a CommandError of one line.

    :param besides: what is raised as it is
    """
    try:
        yield
    except besides:
        raise
    except NotCredentials as error:
        raise UsageError(f"credentials {places.credentials}: {error}") from error
    except (NotAccounts, ReadOnly) as error:
        raise UsageError(str(error)) from error
    except (AccountError, KeyFileError) as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        name = error.filename or places.credentials
        what = {places.credentials: "credentials ", places.accounts: "accounts "}.get(name, "")
        raise CommandError(f"{what}{name}: {error.strerror}") from error
