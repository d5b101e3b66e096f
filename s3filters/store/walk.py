"""Pages of keys: the tree in key order, from any place on, as objects and common prefixes.

A key is a path, and names sort with the ``/`` of a directory (see ``scan``), so reading directories
depth first gives keys in the byte order that S3 wants. Only directories that can hold a wanted key
are opened: from the one that the prefix names, along the path of the place to begin at, and no
further than the page needs.

*Common prefixes.* All keys that hold the delimiter behind the prefix are shown as one, the text up
to the delimiter's end. A page is a piece of the sorted sequence of objects and common prefixes
behind ``after``, by plain comparison: so a page that ended in a common prefix is continued behind
everything under it. A directory whose name already holds the delimiter is not walked but asked
whether there is an object in it (see ``look``).

A directory below the first that may not be read is left out, and the log told once.

Keys over 1,024 bytes, which no request can name, are left out; that also bounds the depth. Few
descriptors are held: levels further up are closed, and opened again when the walk comes back.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from s3filters.store import errors, paths
from s3filters.store.look import DIRECTORY, GONE, Looks, open_beneath
from s3filters.store.metadata import Record
from s3filters.store.tree import Tree

MAX_KEY = 1024  # bytes of UTF-8, as S3 has it
_HELD = 16  # levels that keep their descriptor
_NEAR = 32  # names that are stepped over one by one before the place behind them is looked up
_LAST = chr(0x10FFFF)
_MOST_FORBIDDEN = 1000

log = logging.getLogger("s3filters.store")
_forbidden: set[tuple[str, str]] = set()  # directories of which the log has been told


@dataclass(slots=True)
class Entry:
    """An object of a page."""

    key: str
    record: Record


@dataclass(slots=True)
class Page:
    """Part of a listing.

    ``last`` is the greatest key or common prefix here ("" when there is none): where to continue.
    ``truncated`` says that at least one more key or common prefix follows it.
    """

    entries: list[Entry] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    truncated: bool = False
    last: str = ""


def page(
    tree: Tree,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    after: str = "",
    limit: int = 1000,
) -> Page:
    """Return up to ``limit`` objects and common prefixes that sort behind ``after``.

    Raise NoSuchBucket, StoreError.
    """
    return _page(_Walk(tree, bucket, (prefix, delimiter, after), cached=False), limit)


def page_in_memory(
    tree: Tree,
    bucket: str,
    prefix: str = "",
    delimiter: str = "",
    after: str = "",
    limit: int = 1000,
) -> Page:
    """Return the same page if the names it needs are in memory and proven current.

    Raise errors.WouldBlock when a directory, or more than a few objects, would have to be read.
    """
    return _page(_Walk(tree, bucket, (prefix, delimiter, after), cached=True), limit)


def _page(walk: _Walk, limit: int) -> Page:
    found = Page()
    try:
        if limit:
            _fill(found, walk.items(), limit)
    except OSError as error:
        raise errors.from_os(error, walk.bucket) from error
    finally:
        walk.close()
    return found


def _fill(found: Page, items: Iterator[tuple[str, Record | None]], limit: int) -> None:
    entries, prefixes = found.entries, found.prefixes
    for name, record in items:
        if not limit:
            found.truncated = True
            return
        limit -= 1
        found.last = name
        if record is None:
            prefixes.append(name)
        else:
            entries.append(Entry(name, record))


def _group(key: str, prefix: str, delimiter: str) -> str:
    """Return the common prefix that the key belongs to, "" when it stands for itself."""
    if not delimiter:
        return ""
    at = key.find(delimiter, len(prefix))
    return key[: at + len(delimiter)] if at >= 0 else ""


def _behind(group: str) -> str:
    """Return the least text behind everything that begins with ``group``."""
    group = group.rstrip(_LAST)
    return group[:-1] + chr(ord(group[-1]) + 1) if group else _LAST * (MAX_KEY // 4 + 1)


def _too_long(key: str) -> bool:
    return len(key) > MAX_KEY // 4 and len(key.encode()) > MAX_KEY


class _Level:
    """A directory that the walk is in.

    ``base`` is its key with the ``/``, ``fd`` -1 while it is closed, ``names`` are those still to
    come, ``part`` is what they must begin with.
    """

    __slots__ = ("base", "entered", "fd", "names", "part", "steps")

    def __init__(self, base: str, fd: int, part: str = "") -> None:
        self.base = base
        self.fd = fd
        self.part = part
        self.names: Iterator[str] = iter(())
        self.entered = False
        self.steps = 0


class _Walk:
    """One page's way through a bucket. Close it."""

    def __init__(
        self, tree: Tree, bucket: str, asked: tuple[str, str, str], *, cached: bool
    ) -> None:
        self._tree = tree
        self.bucket = bucket
        self._prefix, self._delimiter, self._after = asked
        self._cached = cached
        self._looks = Looks(tree, bucket, cached=cached)
        self._bound = ""  # keys below it are not wanted
        self._levels: list[_Level] = []
        self._fd = tree.open_bucket(bucket)

    def close(self) -> None:
        """Close what is open."""
        while self._levels:
            self._leave()
        os.close(self._fd)

    def items(self) -> Iterator[tuple[str, Record | None]]:
        """Yield what is behind ``after`` in order: (key, record) or (common prefix, None)."""
        prefix, after = self._prefix, self._after
        group = _group(after, prefix, self._delimiter) if after.startswith(prefix) else ""
        bound = _behind(group) if group else after + "\0" if after else ""
        if bound > prefix and not bound.startswith(prefix):
            return
        self._bound = max(bound, prefix)
        self._begin(prefix[: prefix.rfind("/") + 1])
        while self._levels:
            level = self._levels[-1]
            try:
                if not level.entered:
                    yield from self._directory_object(level)
                yield from self._through(level)
            except GONE:  # while we were further down
                self._leave()
            except PermissionError:
                if len(self._levels) == 1:  # where the listing begins
                    raise
                self._forbidden(level.base)
                self._leave()

    def _through(self, level: _Level) -> Iterator[tuple[str, Record | None]]:
        """Go on in a level until it ends, or another one is to be looked at."""
        base, delimiter, looks = level.base, self._delimiter, self._looks
        for name in level.names:
            key = base + name
            if key < self._bound and not (name[-1] == "/" and self._bound.startswith(key)):
                if self._jumps(level):
                    return
                continue
            group = _group(key, self._prefix, delimiter) if delimiter else ""
            if group:
                if self._exists(level, key):
                    yield group, None
                    self._bound = _behind(group)
            elif name[-1] == "/":
                if self._enters(level, name):
                    return
            elif not _too_long(key):
                record = looks.record(level.fd if level.fd >= 0 else self._fd_of(level), key)
                if record is not None:
                    yield key, record
        self._leave()

    # From directory to directory

    def _begin(self, base: str) -> None:
        """Begin at the directory that the prefix names, when keys can lie there."""
        components = base.split("/")[:-1]
        if any(c in ("", ".", "..") or paths.is_reserved(c) for c in components):
            return
        try:
            fd = self._open(base)
        except (*GONE, UnicodeEncodeError):
            return
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return
            raise
        self._push(_Level(base, fd, self._prefix[len(base) :]))

    def _open(self, base: str) -> int:
        return open_beneath(self._fd, base.encode().split(b"/")[:-1])

    def _fd_of(self, level: _Level) -> int:
        if level.fd < 0:
            level.fd = self._open(level.base)
        return level.fd

    def _enters(self, level: _Level, name: str) -> bool:
        key = level.base + name
        if _too_long(key):
            return False
        fd = self._fd_of(level)
        try:
            below = os.open(name[:-1].encode(), DIRECTORY, dir_fd=fd)
        except GONE:
            return False
        except PermissionError:
            self._forbidden(key)
            return False
        self._push(_Level(key, below))
        return True

    def _forbidden(self, base: str) -> None:
        if (self.bucket, base) in _forbidden:
            return
        if len(_forbidden) >= _MOST_FORBIDDEN:
            _forbidden.clear()
        _forbidden.add((self.bucket, base))
        log.warning("Listings leave out %s/%s, which may not be read.", self.bucket, base)

    def _push(self, level: _Level) -> None:
        self._levels.append(level)
        if len(self._levels) > _HELD:
            above = self._levels[-1 - _HELD]
            if above.fd >= 0:
                os.close(above.fd)
                above.fd = -1
        self._seek(level)

    def _leave(self) -> None:
        level = self._levels.pop()
        level.names = iter(())  # they know the level: no cycle is left to the garbage collector
        if level.fd >= 0:
            os.close(level.fd)

    def _jumps(self, level: _Level) -> bool:
        """After many names below the bound look up the first that is not; True when done."""
        level.steps += 1
        if level.steps < _NEAR:
            return False
        self._seek(level)
        return True

    def _seek(self, level: _Level) -> None:
        """Let the level's names begin at the bound."""
        level.steps = 0
        start, base = "", level.base
        if self._bound.startswith(base):
            start = self._bound[len(base) :]
            slash = start.find("/")
            start = start if slash < 0 else start[: slash + 1]
        elif self._bound > base:
            level.names = iter(())
            return
        found = self._tree.names.since(lambda: self._fd_of(level), start, cached=self._cached)
        part = level.part
        level.names = takewhile(lambda name: name.startswith(part), found) if part else found

    def _exists(self, level: _Level, key: str) -> bool:
        look = self._looks.holds if key[-1] == "/" else self._looks.record
        return bool(look(self._fd_of(level), key))

    def _directory_object(self, level: _Level) -> Iterator[tuple[str, Record | None]]:
        """Yield the object that the directory itself is, if it is one and wanted."""
        level.entered = True
        key = level.base
        if key and key >= self._bound and key.startswith(self._prefix):
            record = self._looks.directory(self._fd_of(level), key)
            if record is not None:
                yield key, record
