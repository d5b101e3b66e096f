"""The credential file: JSON lines of ``access_key secret_key created_at enabled description``.

Curvine's gateway reads and writes the same lines. Blank lines are skipped; a bad line is warned
about by its number, never by its text, once for each state of the file, and skipped. A file that
has lines and no entry is something else, so nothing is added to it. Whoever changes the file holds
its lock, and puts a whole new file with mode 0600 in its place, so that a reader sees the old one
or the new one.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import secrets
import string
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

log = logging.getLogger("s3filters.sign")

_ALPHANUMERIC = string.ascii_letters + string.digits
_access_key = re.compile(r"[!-+\-.0-~]{16,32}", re.ASCII).fullmatch  # no blank, comma or slash
_secret_key = re.compile(r"[!-~]{16,64}", re.ASCII).fullmatch


# realpath -> the state of the file whose bad lines were told. Workers inherit it from the master.
_told: dict[str, tuple[int, ...]] = {}


class KeyFileError(ValueError):
    """A key pair that cannot be stored; the message says why."""


class NotCredentials(ValueError):
    """A file of something else; the message says so."""

    def __init__(self) -> None:
        super().__init__("not one of its lines is a credential; is this the right file?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the file. ``created_at`` is in whole seconds since 1970."""

    access_key: str
    secret_key: str = field(repr=False)
    created_at: int = 0
    enabled: bool = True
    description: str | None = None

    def line(self) -> str:
        """The JSON of this entry, with its newline."""
        shown: dict[str, Any] = {
            "access_key": self.access_key,
            "secret_key": self.secret_key,
            "created_at": self.created_at,
            "enabled": self.enabled,
        }
        if self.description is not None:
            shown["description"] = self.description
        return json.dumps(shown, separators=(",", ":")) + "\n"


_TYPES = {
    "access_key": str,
    "secret_key": str,
    "created_at": int,
    "enabled": bool,
    "description": (str, type(None)),
}


def parse(text: str) -> Entry:
    """Return the entry of a line. Raise ValueError, without the line's text."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(values, dict):
        raise ValueError("not a JSON object")
    known = {name: values[name] for name in _TYPES if name in values}
    for name, value in known.items():
        if not isinstance(value, _TYPES[name]):  # type: ignore[arg-type]
            raise ValueError(f"{name} has the wrong type")
    if not known.get("access_key") or not known.get("secret_key"):
        raise ValueError("access_key or secret_key is missing")
    return Entry(**known)


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
    name = os.path.realpath(os.path.expanduser(path))
    if bad and _told.get(name) != state:
        _told[name] = state
        for words in bad:
            log.warning("%s %s", path, words)
    return [line for line in found if isinstance(line, Entry)]


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


def add(path: str, access_key: str, secret_key: str, description: str | None = None) -> Entry:
    """Append a key pair, making the file when absent; it is on stable storage afterwards.

    Raise KeyFileError for a key of a wrong length (16-32 and 16-64) or with characters that a
    signature cannot carry, NotCredentials for a file of something else, OSError when the file
    cannot be changed or its folder is not there.
    """
    if not _access_key(access_key):
        raise KeyFileError("Invalid access key length. Should be 16-32 characters, without / or ,")
    if not _secret_key(secret_key):
        raise KeyFileError("Invalid secret key length. Should be 16-64 characters.")
    entry = Entry(access_key, secret_key, int(time.time()), True, description)
    path = os.path.realpath(os.path.expanduser(path))
    with _locked(path) as old:
        _refuse_foreign(list(entries(old.decode("utf-8", "replace").splitlines())))
        text = old.decode("utf-8", "surrogateescape")
        if text and not text.endswith("\n"):
            text += "\n"
        _replace(path, (text + entry.line()).encode("utf-8", "surrogateescape"))
    return entry


def generate(path: str, description: str | None = None) -> Entry:
    """Append a new random key pair as ``add`` does, and return it."""
    alphabet = string.ascii_uppercase + string.digits
    access_key = "AKIA" + "".join(secrets.choice(alphabet) for _ in range(16))
    secret_key = "".join(secrets.choice(_ALPHANUMERIC) for _ in range(40))
    return add(path, access_key, secret_key, description)


@contextmanager
def _locked(path: str) -> Iterator[bytes]:
    """Hold the lock of the file that has this name now; yield what it holds."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with open(fd, "rb") as file:
            fcntl.flock(fd, fcntl.LOCK_EX)
            # Whoever had the lock before has put another file in this one's place.
            if _is_named(fd, path):
                yield file.read()
                return


def _is_named(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _replace(path: str, data: bytes) -> None:
    """Put a new file in place of another, with its owner, and on stable storage."""
    old = os.stat(path)
    temporary = f"{path}.{os.getpid()}.{secrets.token_hex(4)}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "wb") as file:
            if os.geteuid() == 0:  # else root's edit would take the file from the service
                os.fchown(fd, old.st_uid, old.st_gid)
            file.write(data)
            file.flush()
            os.fsync(fd)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
