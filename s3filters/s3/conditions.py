"""If-Match and its kin: what a request demands of the object's present state.

Parsed from headers by ``s3api``, decided by whoever has the present record in hand. Precedence is
that of RFC 9110, section 13.2.2, which S3 keeps. ETags here have no quotes; those of clients may
have none either.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s3filters.s3 import dates
from s3filters.s3.errors import S3Error
from s3filters.s3.memo import memo

_TAG = re.compile(r'(?:^|,)\s*(W/)?(?:"([^"]*)"|([^",\s]+))\s*(?=,|$)')


@memo(1024)
def _tags(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return (strong, all) entity tags of a list, without quotes; ``*`` stands for itself."""
    strong, every = set(), set()
    for weak, quoted, bare in _TAG.findall(text):
        tag = quoted or bare
        every.add(tag)
        if not weak:
            strong.add(tag)
    return frozenset(strong), frozenset(every)


def _matches(text: str, etag: str, *, weakly: bool) -> bool:
    """True when the list holds the ETag or ``*``; a weak tag counts only where asked (8.8.3.2)."""
    tags = _tags(text)[weakly]
    return etag in tags or "*" in tags


@dataclass(slots=True)
class Conditions:
    """The four conditional headers; ETag lists as they came, dates in seconds since 1970."""

    if_match: str | None = None
    if_none_match: str | None = None
    if_modified_since: int | None = None
    if_unmodified_since: int | None = None

    def _failed(self, etag: str, mtime_s: int) -> tuple[str, str] | None:
        """Return (error code, header name) of the first condition that does not hold."""
        if self.if_match is not None:
            if not _matches(self.if_match, etag, weakly=False):
                return "PreconditionFailed", "If-Match"
        elif self.if_unmodified_since is not None and mtime_s > self.if_unmodified_since:
            return "PreconditionFailed", "If-Unmodified-Since"
        if self.if_none_match is not None:
            if _matches(self.if_none_match, etag, weakly=True):
                return "NotModified", "If-None-Match"
        elif self.if_modified_since is not None and mtime_s <= self.if_modified_since:
            return "NotModified", "If-Modified-Since"
        return None

    def check_read(self, etag: str, mtime_s: int) -> None:
        """For GET and HEAD: raise PreconditionFailed, or NotModified with the headers of a 304."""
        failed = self._failed(etag, mtime_s)
        if failed is None:
            return
        if failed[0] == "NotModified":
            same = [("ETag", f'"{etag}"'), ("Last-Modified", dates.http_date(mtime_s))]
            raise S3Error("NotModified", headers=same)
        raise S3Error("PreconditionFailed", Condition=failed[1])

    def check_source(self, etag: str, mtime_s: int) -> None:
        """For the source of a copy: raise PreconditionFailed, also where a read would be a 304."""
        failed = self._failed(etag, mtime_s)
        if failed is not None:
            raise S3Error("PreconditionFailed", Condition=f"x-amz-copy-source-{failed[1]}")

    def check_write(self, etag: str | None) -> None:
        """For PUT, Copy and DELETE; ``etag`` is the present one, None when there is no object.

        Raise PreconditionFailed, or NoSuchKey for an If-Match on what is not there.
        """
        if self.if_match is not None:
            if etag is None:
                raise S3Error("NoSuchKey")
            if not _matches(self.if_match, etag, weakly=False):
                raise S3Error("PreconditionFailed", Condition="If-Match")
        if (
            self.if_none_match is not None
            and etag is not None
            and _matches(self.if_none_match, etag, weakly=True)
        ):
            raise S3Error("PreconditionFailed", Condition="If-None-Match")
