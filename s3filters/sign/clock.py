"""Dates of signatures, and how far they may be from now. Seconds since 1970, UTC."""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache
from typing import Any

from s3filters.s3.dates import parse_http_date
from s3filters.s3.errors import S3Error

_BASIC = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_BASIC_LENGTH = 16
_LONGEST = 64  # no date is longer; what is longer is not kept in a cache
# s3cmd and other old clients write UTC as +0000 or UTC.
_ZONE = re.compile(r" (?:\+0000|-0000|UTC|UT|Z)\Z")


@lru_cache(maxsize=1024)
def _basic(text: str) -> int | None:
    match = _BASIC.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    if not (year and 1 <= month <= 12 and hour < 24 and minute < 60 and second <= 60):
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


def basic(text: str) -> int | None:
    """Return the seconds of ``20130524T000000Z``, None if it is no such date."""
    return _basic(text) if len(text) == _BASIC_LENGTH else None


def any_date(text: str) -> int | None:
    """Return the seconds of a date in ISO 8601's basic form or HTTP's, None if it is none."""
    if len(text) > _LONGEST:
        return None
    seconds = _basic(text) if len(text) == _BASIC_LENGTH else None
    return seconds if seconds is not None else parse_http_date(_ZONE.sub(" GMT", text))


def timestamp(seconds: int) -> str:
    """Return ``20130524T000000Z``."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))


def iso(seconds: float) -> str:
    """Return ``2013-05-24T00:00:00Z``, as error documents show dates."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def check_skew(text: str, seconds: int, now: float, allowed: float) -> None:
    """Raise RequestTimeTooSkewed when a request's date is further from now than allowed.

    :param text: the date as it was sent
    """
    if abs(now - seconds) > allowed:
        raise S3Error(
            "RequestTimeTooSkewed",
            RequestTime=text,
            ServerTime=iso(now),
            MaxAllowedSkewMilliseconds=int(allowed * 1000),
        )


def check_not_expired(expires: int, now: float, **detail: Any) -> None:
    """Raise AccessDenied when a presigned request has ended."""
    if now > expires:
        detail |= {"Expires": iso(expires), "ServerTime": iso(now)}
        raise S3Error("AccessDenied", "Request has expired", **detail)
