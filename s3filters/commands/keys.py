"""Who may sign on a first start: somebody's own keys, or a pair that is made and shown once."""

from __future__ import annotations

import os
from pathlib import Path

from s3filters.commands.errors import CommandError
from s3filters.sign import credentials, keyfile


def provide(path: Path) -> str:
    """Return an access key that may sign; make a pair, and show it, when there is none.

    Raise CommandError when the credentials file cannot be read or made.
    """
    given = credentials.from_environment(os.environ)
    if given:
        return next(iter(given))
    try:
        enabled = [entry for entry in keyfile.read(str(path)) if entry.enabled]
        if enabled:
            return enabled[0].access_key
        made = keyfile.generate(str(path), "made at the first start")
    except OSError as error:
        raise CommandError(f"credentials {path}: {error.strerror}") from error
    print(
        f"Made a pair of keys, kept in {path} and shown this once:\n"
        f"  access key  {made.access_key}\n"
        f"  secret key  {made.secret_key}",
        flush=True,
    )
    return made.access_key
