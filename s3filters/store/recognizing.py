"""What a file or directory is, from its stat and its attributes: an object with a record, or none.

Nothing that others wrote breaks an object: what makes no sense is as good as not being there.

A file that somebody else put there has no attributes of ours. Its ETag is made from inode, size and
mtime, so it changes when the file does, and ends in ``-0`` so that no client takes it for an MD5.
On ScoutFS the data version, which counts changes of the bytes, stands for the mtime.
"""

from __future__ import annotations

import errno
import hashlib
import mimetypes
import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache

from s3filters.store import boundaries, gojson, scoutfs, xattrs
from s3filters.store.metadata import (
    ACL,
    ALGORITHMS,
    DEFAULT_TYPE,
    HEADER_OF,
    RESTORE,
    SEAL,
    STORAGE_CLASS,
    TAGGING,
    Checksums,
    Record,
)
from s3filters.store.scoutfs import State

_LEGACY = "user.X-Amz-Meta."
_KINDS = ("FULL_OBJECT", "COMPOSITE")
# What may stand in a header: other programs write attributes too.
_WORD = re.compile(rb'"?([!#-~]{1,256})"?').fullmatch
_BASE64 = re.compile(r"[0-9A-Za-z+/=-]+").fullmatch


def read(
    target: int | str, found: os.stat_result, name: str, format_version: int = 0
) -> Record | None:
    """Return the record of a file or directory, None where it is no object.

    :param target: descriptor, or path that is not followed when it is a link (``/proc/self/fd/N``
        leads to its file, also from a descriptor that was opened with O_PATH)
    :param found: its stat, taken before
    :param name: last component of the key, from which a foreign file's type is guessed
    :param format_version: of ScoutFS, which is then asked where the data are; 0 elsewhere

    No object is a directory without an ETag, a delete marker of Versity's, and what is neither
    file nor directory. Raise OSError.
    """
    is_directory = stat.S_ISDIR(found.st_mode)
    if not is_directory and not stat.S_ISREG(found.st_mode):
        return None
    ask = 0 if is_directory else format_version
    raw, state, flags = _ask(target, ask) if isinstance(target, int) else _ask_at(target, ask)
    if "user.delete-marker" in raw or (is_directory and "user.etag" not in raw):
        return None
    return _record(raw, found, name, is_directory, state, flags)


def _record(
    raw: Mapping[str, bytes],
    found: os.stat_result,
    name: str,
    is_directory: bool,
    state: State | None,
    flags: int,
) -> Record:
    """Return the record of an object with these attributes."""
    stored = raw.get("user.etag")
    etag = _word(stored)
    size = 0 if is_directory else found.st_size
    seal = raw.get(SEAL)
    touched = seal is not None and not is_directory and _is_broken(seal, found, state)
    whole = etag != "" and not touched  # what is stored of the bytes is true of them
    tagging = raw.get(TAGGING, b"")
    return Record(
        size=size,
        mtime_ns=found.st_mtime_ns,
        ino=found.st_ino,
        dev=found.st_dev,
        ctime_ns=found.st_ctime_ns,
        etag=etag if whole else derived_etag(found, state),
        headers=_headers(raw, guess_type(name) if stored is None else DEFAULT_TYPE),
        user=_user(raw),
        checksums=_checksums(raw.get("user.checksums")) if whole else None,
        storage_class=_word(raw.get(STORAGE_CLASS)) or "STANDARD",
        boundaries=boundaries.among(raw, size) if whole else None,
        tags=len(tags_in(tagging)) if tagging else 0,
        is_directory=is_directory,
        touched=touched,
        acl=raw.get(ACL, b""),
        tagging=tagging,
        state=state,
        sam_flags=flags,
        restore=raw.get(RESTORE, b""),
    )


def _is_broken(seal: bytes, found: os.stat_result, state: State | None) -> bool:
    """True when a file's bytes are others than those that were sealed."""
    if seal == b"%d %d" % (found.st_size, found.st_mtime_ns):
        return False
    size, mtime_ns, *counted = seal.split(b" ") if seal.count(b" ") == 3 else (b"", b"")
    if state is not None and counted[1:] == [b"%d" % found.st_ino]:
        return (size, counted[0]) != (b"%d" % found.st_size, b"%d" % state.data_version)
    return (size, mtime_ns) != (b"%d" % found.st_size, b"%d" % found.st_mtime_ns)


def derived_etag(found: os.stat_result, state: State | None = None) -> str:
    """Return the ETag of a file that has none: it changes when the file does."""
    text = b"%d %d %d" % (found.st_ino, found.st_size, found.st_mtime_ns)
    if state is not None:
        text = b"%d %d version %d" % (found.st_ino, found.st_size, state.data_version)
    return hashlib.md5(text, usedforsecurity=False).hexdigest() + "-0"


@lru_cache(maxsize=256)
def _type_of_suffix(suffix: str) -> str:
    guessed, encoding = mimetypes.guess_type("x" + suffix)
    if encoding is not None:
        return {"gzip": "application/gzip"}.get(encoding, "application/octet-stream")
    return guessed or DEFAULT_TYPE


def guess_type(name: str) -> str:
    """Return the MIME type that the end of a name suggests."""
    dot = name.rfind(".")
    return _type_of_suffix(name[dot:].lower()) if dot >= 0 else DEFAULT_TYPE


def _ask(fd: int, format_version: int) -> tuple[dict[str, bytes], State | None, int]:
    """Return the attributes of an open file or directory, and on ScoutFS where its data are.

    Then the archiver's flags; 0 when no data are offline, and elsewhere.
    """
    raw = xattrs.read(fd)
    state = scoutfs.state_if_any(fd, format_version) if format_version else None
    return raw, state, _flags(fd) if state is not None and state.offline_blocks else 0


def _flags(fd: int) -> int:
    """Return the archiver's flags; what it wrote that is no number says nothing."""
    try:
        return scoutfs.sam_flags(fd)
    except OSError as error:
        if error.errno not in (errno.EBADMSG, errno.ENOTSUP):
            raise
        return 0


def _ask_at(path: str, format_version: int) -> tuple[dict[str, bytes], State | None, int]:
    """Do the same for what is known to be a file or directory.

    It is opened for that: five attributes by path cost five walks along the path.
    """
    follow = 0 if path.startswith("/proc/self/fd/") and path.count("/") == 4 else os.O_NOFOLLOW
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | follow)
    try:
        return _ask(fd, format_version)
    finally:
        os.close(fd)


_NO_USER: dict[str, str] = {}


def _headers(raw: Mapping[str, bytes], default_type: str) -> dict[str, str]:
    """Return the stored standard headers; one dictionary serves all records that have the same."""
    found = tuple(
        (name, raw[attribute]) for attribute, name in HEADER_OF.items() if attribute in raw
    )
    return _shared_headers(found, default_type)


@lru_cache(maxsize=512)
def _shared_headers(found: tuple[tuple[str, bytes], ...], default_type: str) -> dict[str, str]:
    headers = {name: value.decode("utf-8", "replace") for name, value in found}
    headers.setdefault("content-type", default_type)
    return headers


def _user(raw: Mapping[str, bytes]) -> dict[str, str]:
    """Return user metadata: Versity's JSON, or its older form of one attribute per name."""
    if "user.metadata" in raw:
        loaded = gojson.decode(raw["user.metadata"])
        return {str(k): str(v) for k, v in loaded.items()} if loaded else _NO_USER
    legacy = {
        name[len(_LEGACY) :].lower(): value.decode("utf-8", "replace")
        for name, value in raw.items()
        if name.startswith(_LEGACY)
    }
    return legacy or _NO_USER


def _word(value: bytes | None) -> str:
    """Return an attribute of one printable word without its quotes, empty for anything else."""
    match = _WORD(value) if value else None
    return match[1].decode() if match else ""


def _checksums(value: bytes | None) -> Checksums | None:
    loaded = gojson.decode(value) if value else None
    if not loaded:
        return None
    algorithm, kind = loaded.get("Algorithm"), loaded.get("Type") or "FULL_OBJECT"
    if algorithm not in ALGORITHMS or kind not in _KINDS:
        return None
    stored = loaded.get(algorithm)
    if not isinstance(stored, str) or not _BASE64(stored):
        return None
    # Of equal texts the one that all records share.
    return Checksums(ALGORITHMS[ALGORITHMS.index(algorithm)], _KINDS[_KINDS.index(kind)], stored)


def tags_in(value: bytes | None) -> dict[str, str]:
    """Return the tags of a ``user.X-Amz-Tagging`` attribute."""
    return (gojson.decode(value) or {}) if value else {}
