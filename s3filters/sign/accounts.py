"""An account: whom keys stand for, who owns buckets and objects, and whom grants and policies name.

Its canonical id never changes and is what lies on disk as an owner; everything else about it may.
A key that names no account is an account of its own, whose id is the access key and whose role is
``admin``: every key of a file without accounts could do everything, and still can.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from s3filters.s3.call import ROLES, Identity

MOST_SECONDS = 253_402_300_799  # the end of the year 9999, in seconds since 1970
_MOST_ID = 2**32 - 2  # what a uid or gid can be: the number above it means "leave it" to chown(2)
_MOST_PROJECT = 2**64 - 1
_MOST_TEXT = 128  # characters of an id or a name
_NOBODY = "65a011a29cdf8ec533ec3d1ccaae921c"  # AWS's id of who has not signed
_NEVER_IN_ID = frozenset(' "*?,/')  # words of policies, of grant headers and of credential scopes


class AccountError(ValueError):
    """An account that cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account. ``created_at`` is in whole seconds since 1970, ``project`` 0 for none.

    ``uid`` and ``gid``, None for none, are those of its files where a site wants that. Making one
    raises AccountError for a value that cannot be.
    """

    id: str
    display_name: str
    role: str
    uid: int | None = None
    gid: int | None = None
    project: int = 0
    created_at: int = 0
    description: str | None = None

    def __post_init__(self) -> None:
        if not _is_text(self.id) or not _NEVER_IN_ID.isdisjoint(self.id):
            raise AccountError("id is not 1 to 128 characters without blank, quote, *, ?, / or ,")
        if self.id == _NOBODY:
            raise AccountError("id is that of anonymous requests")
        if not _is_text(self.display_name):
            raise AccountError("display_name is not 1 to 128 printable characters")
        if self.role not in ROLES:
            raise AccountError(f"role is none of {', '.join(ROLES)}")
        for name, most in (("uid", _MOST_ID), ("gid", _MOST_ID)):
            value = getattr(self, name)
            if value is not None and not _is_whole(value, most):
                raise AccountError(f"{name} is no whole number from 0 to {most}")
        for name, most in (("project", _MOST_PROJECT), ("created_at", MOST_SECONDS)):
            if not _is_whole(getattr(self, name), most):
                raise AccountError(f"{name} is no whole number from 0 to {most}")
        if self.description is not None and not _is_printable(self.description):
            raise AccountError("description is not printable text")

    def identity(self, access_key: str) -> Identity:
        """Return who has signed when a key of this account did."""
        return Identity(
            access_key, self.id, self.display_name, self.role, self.uid, self.gid, self.project
        )

    def fields(self) -> dict[str, Any]:
        """The values that say something, by name: what a file or a listing shows."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def own(access_key: str) -> Identity:
    """Return who has signed when a key did that names no account."""
    return Identity(access_key, access_key, role="admin")


def named(accounts: Mapping[str, Account], word: str) -> Account:
    """Return the account of an id, else of a name. Raise AccountError: none, or several."""
    if word in accounts:
        return accounts[word]
    found = [account for account in accounts.values() if account.display_name == word]
    if len(found) > 1:
        raise AccountError(f"several accounts are named {word}: give an id")
    if not found:
        raise AccountError(f"there is no account {word}")
    return found[0]


def new_id() -> str:
    """Return a canonical id in AWS's form: 64 hex digits, never seen before."""
    return secrets.token_hex(32)


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= _MOST_TEXT


def _is_whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most
