"""The credential file: JSON lines of ``access_key secret_key created_at enabled description``.

Curvine's gateway reads and writes the same lines; ``account`` and ``expires_at`` are ours, and
stand only in lines that have one. Blank lines are skipped; a bad line is warned about by its
number, never by its text, once for each state of the file, and skipped. So is one in which a name
stands twice or ``account`` is null: whose key it is must not depend on who reads it. A file that
has lines and no entry is something else, so nothing is added to it. A change leaves all other lines
as they are, and of its own the fields that it does not know. How the file is changed: see
``replacing``.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import string
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from s3filters.sign import replacing
from s3filters.sign.accounts import MOST_SECONDS

log = logging.getLogger("s3filters.sign")

_ALPHANUMERIC = string.ascii_letters + string.digits
_access_key = re.compile(r"[!-+\-.0-~]{16,32}", re.ASCII).fullmatch  # no blank, comma or slash
_secret_key = re.compile(r"[!-~]{16,64}", re.ASCII).fullmatch


# realpath -> the state of the file whose bad lines were told. Workers inherit it from the master.
_told: dict[str, tuple[int, ...]] = {}


class KeyFileError(ValueError):
    """A key pair that cannot be stored or changed; the message says why."""


class NotCredentials(ValueError):
    """A file of something else; the message says so."""

    def __init__(self) -> None:
        super().__init__("not one of its lines is a credential; is this the right file?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the file. Times are in whole seconds since 1970.

    ``account`` is the id of an account, None for a key that is an account of its own;
    ``expires_at`` the moment from which the key may not sign, None for never.
    """

    access_key: str
    secret_key: str = field(repr=False)
    created_at: int = 0
    enabled: bool = True
    description: str | None = None
    account: str | None = None
    expires_at: int | None = None

    @property
    def owner(self) -> str:
        """The id of the account that the key belongs to."""
        return self.access_key if self.account is None else self.account

    def usable(self, now: float) -> bool:
        """Whether the key may sign at a time, in seconds since 1970."""
        return self.enabled and (self.expires_at is None or now < self.expires_at)

    def line(self) -> str:
        """The JSON of this entry, with its newline."""
        shown: dict[str, Any] = {
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "created_at": self.created_at,
            "enabled": self.enabled,
        }
        for name in _OPTIONAL:
            if (value := getattr(self, name)) is not None:
                shown[name] = value
        return _json(shown)


_OPTIONAL = ("description", "account", "expires_at")
_TYPES = {
    "access_key": str,
    "secret_key": str,
    "created_at": int,
    "enabled": bool,
    "description": (str, type(None)),
    "account": str,
    "expires_at": (int, type(None)),
}


def parse(text: str) -> Entry:
    """Return the entry of a line. Raise ValueError, without the line's text."""
    return _entry(_values(text))


class _Twice(ValueError):
    """A name stands twice in an object, so the line can be read in two ways."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _Twice(f"{name if name in _TYPES else 'a name'} is twice in it")
        found[name] = value
    return found


def _values(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except _Twice:
        raise
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    return values


def _entry(values: Mapping[str, Any]) -> Entry:
    known = {name: values[name] for name in _TYPES if name in values}
    if "account" in known and known["account"] is None:
        raise ValueError("account is null, which is neither an account nor none")
    for name, value in known.items():
        if not isinstance(value, _TYPES[name]):  # type: ignore[arg-type]
            raise ValueError(f"{name} has the wrong type")
    if not known.get("access_key") or not known.get("secret_key"):
        raise ValueError("access_key or secret_key is missing")
    entry = Entry(**known)
    _refuse_unusable(entry)
    return entry


def _refuse_unusable(entry: Entry) -> None:
    """Raise ValueError for values that have the right type and yet no meaning."""
    if not (entry.access_key + entry.secret_key).isprintable():  # half a surrogate pair cannot sign
        raise ValueError("access_key or secret_key is not printable")
    if entry.account is not None and not entry.account:
        raise ValueError("account is empty")
    if entry.expires_at is not None and not 0 <= entry.expires_at <= MOST_SECONDS:
        raise ValueError("expires_at is no time")


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, separators=(",", ":")) + "\n"


def entries(lines: Iterable[str]) -> Iterator[Entry | str]:
    """Yield the entry of each line that is not blank; of a bad one its number and what is wrong."""
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            yield parse(text)
        except ValueError as error:
            yield f"line {number} is skipped: {error}"


def read(path: str) -> list[Entry]:
    """Return every entry of the file in its order, none when there is no file. Raise OSError."""
    found, state = _read(path)
    bad = [line for line in found if isinstance(line, str)]
    tell_once(path, state, bad)
    return [line for line in found if isinstance(line, Entry)]


def tell_once(path: str, state: tuple[int, ...], bad: Iterable[str]) -> None:
    """Warn of what is bad in a file, unless this was done for this state of the file."""
    name = replacing.real(path)
    if bad and _told.get(name) != state:
        _told[name] = state
        for words in bad:
            log.warning("%s %s", path, words)


def check(path: str) -> None:
    """Raise NotCredentials when the file has lines and no entry, OSError when it cannot be read."""
    _refuse_foreign(_read(path)[0])


def _read(path: str) -> tuple[list[Entry | str], tuple[int, ...]]:
    """Return what the lines say, and what changes when the file does."""
    try:
        with open(os.path.expanduser(path), encoding="utf-8", errors="replace") as file:
            now = os.fstat(file.fileno())
            state = now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns
            return list(entries(file)), state
    except FileNotFoundError:
        return [], ()


def _refuse_foreign(lines: list[Entry | str]) -> None:
    if lines and not any(isinstance(line, Entry) for line in lines):
        raise NotCredentials


def find(found: Iterable[Entry], access_key: str) -> Entry:
    """Return the entry of a key that counts: the last enabled one, else the last.

    Raise KeyFileError when there is none.
    """
    mine = [entry for entry in found if entry.access_key == access_key]
    if not mine:
        raise KeyFileError(f"there is no access key {access_key}")
    return next((entry for entry in reversed(mine) if entry.enabled), mine[-1])


def add(
    path: str,
    access_key: str,
    secret_key: str,
    description: str | None = None,
    account: str | None = None,
    expires_at: int | None = None,
) -> Entry:
    """Append a key pair, making the file when absent; it is on stable storage afterwards.

    Raise KeyFileError for a key of a wrong length (16-32 and 16-64) or with characters that a
    signature cannot carry, or that is there for another account; NotCredentials for a file of
    something else, OSError when the file cannot be changed or its folder is not there.
    """
    if not _access_key(access_key):
        raise KeyFileError("Invalid access key length. Should be 16-32 characters, without / or ,")
    if not _secret_key(secret_key):
        raise KeyFileError("Invalid secret key length. Should be 16-64 characters.")
    entry = Entry(access_key, secret_key, int(time.time()), True, description, account, expires_at)

    def append(lines: list[bytes], found: list[Entry]) -> list[bytes]:
        # Whoever writes a key a second time gives it another secret. Another account would give
        # its holder another's rights.
        if any(e.access_key == access_key and e.account != account for e in found):
            raise KeyFileError(f"the access key {access_key} is there, for another account")
        return _appended(lines, entry)

    _change(path, append, make=True)
    return entry


def generate(
    path: str,
    description: str | None = None,
    account: str | None = None,
    expires_at: int | None = None,
) -> Entry:
    """Append a new random key pair as ``add`` does, and return it."""
    access_key, secret_key = random_pair()
    return add(path, access_key, secret_key, description, account, expires_at)


def alter(path: str, access_key: str, changes: Mapping[str, Any]) -> Entry:
    """Change fields of a key in each of its lines; return the key as it is now.

    Raise KeyFileError when there is no such key, NotCredentials, OSError.

    :param changes: field -> value, None to take the field out
    """

    def changed(lines: list[bytes], found: list[Entry]) -> list[bytes]:
        find(found, access_key)
        return [_altered(line, access_key, changes) for line in lines]

    return find(_change(path, changed), access_key)


def delete(path: str, chosen: Callable[[Entry], bool]) -> list[Entry]:
    """Take out the lines of chosen entries, and return these. Raise NotCredentials, OSError."""
    gone: list[Entry] = []

    def without(lines: list[bytes], _found: list[Entry]) -> list[bytes]:
        left = []
        for line in lines:
            entry = _entry_of(line)
            if entry is not None and chosen(entry):
                gone.append(entry)
            else:
                left.append(line)
        return left

    _change(path, without)
    return gone


def rotate(
    path: str, access_key: str, account: str, until: int, expires_at: int | None = None
) -> Entry:
    """Append a new pair for the account of a key, which itself expires; return the new one.

    Raise KeyFileError when there is no such key, or it may not sign, or belongs to another account;
    NotCredentials, OSError.

    :param until: when the old key expires, if it does not earlier; seconds since 1970
    :param expires_at: when the new one does
    """
    new_access, new_secret = random_pair()
    made: list[Entry] = []

    def rotated(lines: list[bytes], found: list[Entry]) -> list[bytes]:
        old, now = find(found, access_key), int(time.time())
        if not old.usable(now):
            raise KeyFileError(f"{access_key} may not sign: enable it first")
        if old.account not in (None, account):
            raise KeyFileError(f"{access_key} belongs to another account")
        end = until if old.expires_at is None else min(until, old.expires_at)
        changes = {"account": account, "expires_at": end}
        made.append(Entry(new_access, new_secret, now, True, old.description, account, expires_at))
        return _appended([_altered(line, access_key, changes) for line in lines], made[0])

    _change(path, rotated)
    return made[0]


def random_pair() -> tuple[str, str]:
    """Return a new access key and secret key, in AWS's form."""
    alphabet = string.ascii_uppercase + string.digits
    access_key = "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16))
    return access_key, "".join(secrets.choice(_ALPHANUMERIC) for _ in range(40))


def _change(
    path: str, edit: Callable[[list[bytes], list[Entry]], list[bytes]], *, make: bool = False
) -> list[Entry]:
    """Put what an edit makes of the lines (and their entries) in the file; return its entries.

    Lines come with what ends them. A file that is absent is made, or FileNotFoundError raised.
    """
    path = replacing.real(path)
    with replacing.locked(path, make=make) as old:
        lines = old.splitlines(keepends=True)
        parsed = list(entries(_text(line) for line in lines))
        _refuse_foreign(parsed)
        new = edit(lines, [line for line in parsed if isinstance(line, Entry)])
        if new != lines:
            replacing.replace(path, b"".join(new))
    return [entry for line in new if (entry := _entry_of(line)) is not None]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace")


def _entry_of(line: bytes) -> Entry | None:
    return next((e for e in entries([_text(line)]) if isinstance(e, Entry)), None)


def _altered(line: bytes, access_key: str, changes: Mapping[str, Any]) -> bytes:
    entry = _entry_of(line)
    if entry is None or entry.access_key != access_key:
        return line
    values = {**_values(_text(line)), **changes}
    return _json({n: v for n, v in values.items() if v is not None or n not in changes}).encode()


def _appended(lines: list[bytes], entry: Entry) -> list[bytes]:
    if lines and not lines[-1].endswith(b"\n"):
        lines = [*lines[:-1], lines[-1] + b"\n"]
    return [*lines, entry.line().encode()]
