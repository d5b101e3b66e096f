"""Times on the command line: how long, from when on; all in whole seconds since 1970, UTC."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

from s3filters.sign.accounts import MOST_SECONDS

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_duration = re.compile(r"(\d{1,9})([smhdw]?)", re.ASCII).fullmatch


def duration(text: str) -> int:
    """Return the seconds of ``90``, ``90s``, ``30m``, ``12h``, ``90d`` or ``4w``."""
    match = _duration(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r}: say how long, as in 30m, 12h or 90d")
    return int(match[1]) * _UNITS[match[2]]


def moment(text: str) -> int | None:
    """Return when ``90d`` (from now) or ``2030-01-31T12:00:00Z`` is, None for ``never``.

    A date without a time is its first second; one without a zone is in UTC.
    """
    if text == "never":
        return None
    at = int(time.time()) + duration(text) if _duration(text) else _of_date(text)
    if not time.time() < at <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r}: this is not in the time to come")
    return at


def _of_date(text: str) -> int:
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        words = "say never, how long (90d, 12h) or a date (2030-01-31, 2030-01-31T12:00:00Z)"
        raise argparse.ArgumentTypeError(f"{text!r}: {words}") from None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp())


def shown(seconds: int) -> str:
    """Return a time for a person, in the words of Curvine's gateway."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
    except (OverflowError, OSError, ValueError):  # a number that somebody wrote by hand
        return f"{seconds} seconds after 1970"
