"""Where blocking work runs.

The store hands whole verbs (the put of an object, a scan of a directory) to ``run``. A server whose
threads are real just calls them; the eventlet server installs a pool of real threads, so that a
blocking system call never stalls the other green threads of the worker.

``start`` begins work whose result is asked for later, so that hashing can overlap receiving.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Handle(Protocol):
    """Work that was started."""

    def wait(self) -> Any:
        """Return the result, or raise what the work raised. May be called once."""


class Offload(Protocol):
    """A place to run blocking work; every worker process has one."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function where it may block and return its result, or raise what it raised."""

    def start(self, function: Callable[..., Any], *args: Any) -> Handle:
        """Begin the call and return at once."""


class _Done:
    __slots__ = ("error", "result")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        try:
            self.result = function(*args)
        except Exception as error:  # noqa: BLE001  kept for wait(), which raises it
            self.error = error

    def wait(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.result


class Direct:
    """Calls at once, in the caller's own thread: right wherever a request has a real thread."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function."""
        return function(*args)

    def start(self, function: Callable[..., Any], *args: Any) -> Handle:
        """Call the function now; ``wait`` gives what came of it."""
        return _Done(function, args)


_installed: Offload = Direct()


def install(offload: Offload) -> None:
    """Use this one from now on in this process. The server does so before the first request."""
    global _installed
    _installed = offload


def run(function: Callable[..., T], *args: Any) -> T:
    """Run blocking work in the installed place."""
    return _installed.run(function, *args)


def start(function: Callable[..., Any], *args: Any) -> Handle:
    """Begin blocking work in the installed place."""
    return _installed.start(function, *args)
