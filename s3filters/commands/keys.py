"""Who may sign on a first start: somebody's own keys, or a pair that is made and shown once."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from s3filters.commands.errors import CommandError, UsageError
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


def provide(path: Path) -> Signer:
    """Return somebody who may sign; make a pair, and show it, when there is nobody.

    Raise CommandError when the credentials file cannot be read or made.
    """
    given = credentials.from_environment(os.environ)
    if given:
        return Signer(next(iter(given)), "is in the environment of this command")
    try:
        enabled = [entry for entry in keyfile.read(str(path)) if entry.enabled]
        if enabled:
            return Signer(enabled[0].access_key, f"is in {path}")
        made = keyfile.generate(str(path), "made at the first start")
    except OSError as error:
        raise CommandError(f"credentials {path}: {error.strerror}") from error
    print(
        f"Made a pair of keys, kept in {path} and shown this once:\n"
        f"  access key  {made.access_key}\n"
        f"  secret key  {made.secret_key}",
        flush=True,
    )
    return Signer(made.access_key, "is above")
