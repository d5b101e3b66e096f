"""Who may sign on a first start: somebody's own keys, or a pair that is made and shown once."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from s3filters.commands import holders, places
from s3filters.commands.errors import CommandError, UsageError
from s3filters.commands.places import Places
from s3filters.sign import credentials, keyfile
from s3filters.sign.keyfile import NotCredentials


@dataclass(frozen=True, slots=True)
class Signer:
    """An access key that may sign, and where its secret key stands in words for a person."""

    access_key: str
    secret_words: str


def check(path: Path, to_be_made: Path | None = None) -> None:
    """Raise CommandError when a credentials file cannot be used; change nothing.

    A folder that is not there is mostly a slip of the keyboard, and keys would end up in it.

    :param to_be_made: a folder that will be made, with its parents, before the file is
    """
    folder = path.resolve().parent
    if not os.path.lexists(folder) and not (
        to_be_made is not None and to_be_made.resolve().is_relative_to(folder)
    ):
        raise UsageError(f"credentials {path}: there is no folder {folder}")
    try:
        keyfile.check(str(path))
    except NotCredentials as error:
        raise UsageError(f"credentials {path}: {error}") from error
    except OSError as error:
        raise CommandError(f"credentials {path}: {error.strerror}") from error


def provide(where: Places) -> Signer | None:
    """Return somebody who may sign; make a pair, and show it, when there is no pair at all.

    None when there are pairs and each is disabled, has expired or has lost its account: a new one
    would give away what was taken. Raise CommandError when a file cannot be read or made.
    """
    given = credentials.from_environment(os.environ)
    if given:
        return Signer(next(iter(given)), "is in the environment of this command")
    with places.refusals(where):
        known = holders.read(where)
        if known.keys:
            return _signer(where, known)
        made = keyfile.generate(where.credentials, "made at the first start")
    print(
        f"Made a pair of keys, kept in {where.credentials} and shown this once:\n"
        f"  access key  {made.access_key}\n"
        f"  secret key  {made.secret_key}",
        flush=True,
    )
    return Signer(made.access_key, "is above")


def _signer(where: Places, known: holders.Holders) -> Signer | None:
    """Return the first key that may sign, one of an admin if there is any."""
    now = time.time()
    may = [entry for entry in known.keys if entry.usable(now) and known.role(entry)]
    may.sort(key=lambda entry: known.role(entry) != "admin")
    if not may:
        print(f"No key of {where.credentials} may sign: each is disabled or expired", flush=True)
        return None
    place = where.accounts if may[0] in known.versity else where.credentials
    return Signer(may[0].access_key, f"is in {place}")
