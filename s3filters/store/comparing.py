"""Conditional changes of a key, one at a time among the nodes of one ScoutFS.

Locks stay on their node there. So two nodes could compare the ETag of one object at a time, both
find what they look for, and both replace it. What all nodes see at once is names. Who compares
makes ``.sgwtmp/if.<hash of the key>.<node>`` before it looks at the object, and then looks for such
a name of another node: of two that are at it at once each has made its name before it looks, so one
at least sees the other, takes its name away and begins anew a little later. Before it acts it makes
sure that the name is there still; one that is older than ``STALE_S`` is of a node that died, and
whoever meets it removes it.

A check that compares says so by ``exactly``, and is then asked again, of the object that is there
when the name is made. No other change costs anything, and none is held up: one without a condition
may still come between the look and the act, which follow one another at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import re
import threading
import time
from collections.abc import Callable

from s3filters.store import hidden
from s3filters.store.errors import ConditionalRequestConflict
from s3filters.store.metadata import Record
from s3filters.store.tree import Tree

PREFIX = "if."
STALE_S = 60.0
PATIENCE_S = 5.0
_PAUSE_S = 0.02  # at most, between two tries; they differ, or two might meet again and again

is_claim = re.compile(r"if\.[0-9a-f]{32}\.[0-9a-f]+").fullmatch
_asked = threading.local()


class _Unclaimed(Exception):
    """What is compared may change on another node before the act."""


def exactly() -> None:
    """Say, from within a check, that what it was called with must stay so until the act.

    Where another node could change it, this raises what the check must let pass.
    """
    comparison: Comparison | None = getattr(_asked, "by", None)
    if comparison is not None and not comparison.is_claimed:
        raise _Unclaimed


class Comparison:
    """The look and the act of one change, for a ``with`` block, under the key's lock.

    :param path: of the object, under the root
    """

    __slots__ = ("_folder", "_name", "_path", "_tree", "is_claimed")

    def __init__(self, tree: Tree, path: bytes) -> None:
        self._tree = tree
        self._path = path
        self._folder = -1
        self._name = ""
        self.is_claimed = False

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder >= 0:
            self._let_go()
            os.close(self._folder)
            self._folder = -1

    def ask(self, check: Callable[[Record | None], None], current: Record | None) -> bool:
        """Ask a check. False: call ``claim``, look again and ask again. Raise what it raises."""
        if not self._tree.node:
            check(current)
            return True
        _asked.by = self
        try:
            check(current)
        except _Unclaimed:
            return False
        finally:
            _asked.by = None
        return True

    def claim(self) -> None:
        """Be the only one who compares. Raise ConditionalRequestConflict, OSError."""
        bucket = self._path[: self._path.index(b"/")]
        digest = hashlib.sha256(self._path).hexdigest()[:32]
        self._folder = hidden.open_in(self._tree.root, bucket)
        self._name = f"{PREFIX}{digest}.{self._tree.node}"
        until = time.monotonic() + PATIENCE_S
        while not self._try(f"{PREFIX}{digest}."):
            if time.monotonic() > until:
                raise ConditionalRequestConflict
            time.sleep(random.uniform(0, _PAUSE_S))

    def confirm(self) -> None:
        """Make sure of the claim, if there is one, right before the act.

        Raise ConditionalRequestConflict when it took so long that another node removed it.
        """
        if self.is_claimed:
            try:
                os.utime(self._name, dir_fd=self._folder, follow_symlinks=False)
            except FileNotFoundError as error:
                raise ConditionalRequestConflict from error

    def _try(self, prefix: str) -> bool:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            os.close(os.open(self._name, flags, 0o600, dir_fd=self._folder))
        except FileExistsError:  # of a death here: the key's lock is ours
            os.utime(self._name, dir_fd=self._folder, follow_symlinks=False)
        self.is_claimed = True
        if self._is_alone(prefix):
            return True
        self._let_go()
        return False

    def _is_alone(self, prefix: str) -> bool:
        for name in os.listdir(self._folder):
            if name.startswith(prefix) and name != self._name:
                with contextlib.suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                    if time.time() - found.st_mtime < STALE_S:
                        return False
                    os.unlink(name, dir_fd=self._folder)
        return True

    def _let_go(self) -> None:
        if self.is_claimed:
            self.is_claimed = False
            with contextlib.suppress(OSError):  # removed when it is stale
                os.unlink(self._name, dir_fd=self._folder)
