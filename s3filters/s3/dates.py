"""Dates as S3 writes and reads them: RFC 9110 in headers, ISO 8601 in documents. All are UTC.

A second is formatted once: most requests of a second carry the same few dates.
"""

from __future__ import annotations

import calendar
import re
import time
from functools import lru_cache

from s3filters.s3.memo import memo

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name: number for number, name in enumerate(_MONTHS, 1)}
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
# What four digits of a year can say; the time of a file may be anything.
_EARLIEST, _LATEST = -62135596800, 253402300799
_FORMS = (  # RFC 9110, section 5.6.7: the form to send, and two that must be understood
    re.compile(rf"\w{{3}}, (?P<day>\d\d) (?P<month>\w{{3}}) (?P<year>\d{{4}}) {_TIME} GMT"),
    re.compile(rf"\w{{6,9}}, (?P<day>\d\d)-(?P<month>\w{{3}})-(?P<year>\d\d) {_TIME} GMT"),
    re.compile(rf"\w{{3}} (?P<month>\w{{3}}) (?P<day>[\d ]\d) {_TIME} (?P<year>\d{{4}})"),
)


@lru_cache(maxsize=4096)
def http_date(epoch_s: int) -> str:
    """Return ``Sat, 21 Nov 2026 08:24:09 GMT`` for whole seconds since 1970."""
    t = time.gmtime(max(_EARLIEST, min(epoch_s, _LATEST)))
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday:02} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
    )


@lru_cache(maxsize=4096)
def _iso_second(epoch_s: int) -> str:
    return time.strftime(
        "%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(max(_EARLIEST, min(epoch_s, _LATEST)))
    )


def iso_date(epoch_ns: int) -> str:
    """Return ``2026-11-21T08:24:09.000Z``, cut to the second as AWS does."""
    return _iso_second(epoch_ns // 1_000_000_000)


@memo(1024)
def parse_http_date(text: str) -> int | None:
    """Return whole seconds since 1970 of an HTTP date in any of its forms, None if it is none."""
    for form in _FORMS:
        match = form.fullmatch(text.strip())
        if match is not None:
            return _seconds(match)
    return None


def _seconds(match: re.Match[str]) -> int | None:
    month = _MONTH.get(match["month"])
    year, day = int(match["year"]), int(match["day"])
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second"])
    if len(match["year"]) == 2:  # never more than fifty years ahead (RFC 9110, section 5.6.7)
        now = time.gmtime().tm_year
        year += now - now % 100
        year -= 100 if year > now + 50 else 0
    if month is None or year < 1 or hour > 23 or minute > 59 or second > 60:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))
