"""What Versity's gateway promised to keep: no verb here replaces it or deletes it.

That gateway keeps versions, legal holds and retentions; this store has none of them yet. On a tree
that it wrote, replacing or deleting would destroy what somebody was told is safe, so it is refused:

* AccessDenied: the object is under a legal hold, or its retention lasts. Where it has no retention
  of its own the bucket's default counts, from whatever is later, the rule or the object.
* NotImplemented: the bucket's versioning is enabled, or the object has a version id.

Asked under the key's lock, before a name that is taken is given to something else. Making a new
name asks nothing: it destroys nothing. A date that cannot be read never ends.

The attributes: ``user.versioning`` (0x01 enabled, 0x00 suspended) and ``user.bucket-lock`` (JSON)
of buckets; ``user.version-id``, ``user.object-legal-hold`` (0x01 on) and ``user.object-retention``
(JSON) of objects.
"""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from s3filters.store import errors

VERSIONING = "user.versioning"
STATES = {b"\x01": "Enabled", b"\x00": "Suspended"}
_RULE, _HOLD = "user.bucket-lock", "user.object-legal-hold"
_RETENTION, _VERSION = "user.object-retention", "user.version-id"
_OF_BUCKETS = frozenset({VERSIONING, _RULE})
_OF_OBJECTS = frozenset({_HOLD, _RETENTION, _VERSION})
_FOR_EVER = datetime.max.replace(tzinfo=UTC)

Target = int | bytes  # a descriptor, or a path whose last component is not followed


def check(root: int, path: bytes, target: Target, above: int = -1) -> None:
    """Let an object that is there be replaced or deleted, or say why not.

    :param root: descriptor of the storage root
    :param path: the object's under the root
    :param target: the object
    :param above: descriptor of the directory that it is in, where there is one: often the bucket

    Raise AccessDenied, NotImplemented, OSError.
    """
    bucket: Target
    if above >= 0 and path.count(b"/") == 1:
        bucket = above
    else:
        bucket = b"/proc/self/fd/%d/%b" % (root, path.partition(b"/")[0])
    promised = _OF_BUCKETS.intersection(_names(bucket, follow=True))
    own = _OF_OBJECTS.intersection(_names(target))
    if not promised and not own:
        return
    if _HOLD in own and _value(target, _HOLD) != b"\x00":
        raise errors.AccessDenied("The object is WORM protected: a legal hold is on.")
    until = _retained_until(bucket, promised, target, own)
    if until is not None and until > datetime.now(UTC):
        raise errors.AccessDenied(f"The object is WORM protected until {until:%Y-%m-%dT%H:%M:%SZ}.")
    if _VERSION in own or _value(bucket, VERSIONING) == b"\x01":
        raise errors.NotImplemented(
            "The object has versions, which are not implemented here: to replace or to delete it "
            "would destroy one that is to be kept."
        )


def _names(target: Target, *, follow: bool = False) -> list[str]:
    try:
        if isinstance(target, int):
            return os.listxattr(target)
        return os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno == errno.ENOTSUP:
            return []
        raise


def _value(target: Target, name: str) -> bytes | None:
    try:
        return os.getxattr(target, name)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP):
            return None
        raise


def _retained_until(
    bucket: Target, promised: frozenset[str], target: Target, own: frozenset[str]
) -> datetime | None:
    if _RETENTION in own:
        return _date(_json(_value(target, _RETENTION)).get("RetainUntilDate"))
    rule = _json(_value(bucket, _RULE)).get("DefaultRetention") if _RULE in promised else None
    if not isinstance(rule, dict):
        return None
    begun = _json(_value(bucket, _RULE)).get("CreatedAt")
    found = os.stat(target) if isinstance(target, int) else os.lstat(target)
    later = datetime.fromtimestamp(found.st_mtime, UTC)
    try:
        if begun is not None:
            later = max(later, _date(begun))
        days = int(rule.get("Days") or 0) + 365 * int(rule.get("Years") or 0)
        return later + timedelta(days=days)
    except (ValueError, TypeError, OverflowError):
        return _FOR_EVER


def _json(value: bytes | None) -> dict[str, Any]:
    try:
        loaded = json.loads(value or b"{}")
    except (ValueError, RecursionError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def _date(text: Any) -> datetime:
    """Return the moment of an RFC 3339 date, the end of time for what is none."""
    try:
        moment = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        return _FOR_EVER
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
