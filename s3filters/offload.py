"""Where blocking work runs.

The store hands whole verbs (the put of an object, a scan of a directory) to ``run``. A server whose
threads are real just calls them; the eventlet server installs a pool of real threads, so that a
blocking system call never stalls the other green threads of the worker.

``start`` begins work whose result is asked for later, so that hashing can overlap receiving;
``start_slow`` begins work of which the caller wants to know, meanwhile, that it still goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Handle(Protocol):
    """Work that was started."""

    def wait(self) -> Any:
        """Return the result, or raise what the work raised. May be called once."""

    def done(self, timeout_s: float) -> bool:
        """Wait until the work is done, at most so many seconds; True when ``wait`` will not."""


class Offload(Protocol):
    """A place to run blocking work; every worker process has one."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function where it may block and return its result, or raise what it raised."""

    def start(self, function: Callable[..., Any], *args: Any) -> Handle:
        """Begin the call and return at once."""

    def start_slow(self, function: Callable[..., Any], *args: Any) -> Handle:
        """Begin a call that may take minutes, so that it goes on while the caller does.

        ``start`` need not promise that: where callers may block, it may as well do the work first.
        """

    def sleep(self, seconds: float) -> None:
        """Let time pass, for the caller alone."""


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

    def done(self, timeout_s: float) -> bool:
        return True


class _Beside:
    """Work in a thread of its own."""

    __slots__ = ("_error", "_result", "_thread")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        context = copy_context()  # log lines of the thread name the request too
        self._thread = threading.Thread(
            target=self._work, args=(context.run, function, *args), name="slow", daemon=True
        )
        self._thread.start()

    def _work(self, run: Callable[..., Any], *args: Any) -> None:
        try:
            self._result = run(*args)
        except BaseException as error:  # noqa: BLE001  wait() raises it where it was asked for
            self._error = error

    def wait(self) -> Any:
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    def done(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()


class Direct:
    """Calls at once, in the caller's own thread: right wherever a request has a real thread."""

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function."""
        return function(*args)

    def start(self, function: Callable[..., Any], *args: Any) -> Handle:
        """Call the function now; ``wait`` gives what came of it."""
        return _Done(function, args)

    def start_slow(self, function: Callable[..., Any], *args: Any) -> Handle:
        """Make the call in a new thread."""
        return _Beside(function, args)

    def sleep(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)


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


def start_slow(function: Callable[..., Any], *args: Any) -> Handle:
    """Begin blocking work that may take minutes in the installed place."""
    return _installed.start_slow(function, *args)


def sleep(seconds: float) -> None:
    """Let time pass for the caller; other green threads run where there are some."""
    _installed.sleep(seconds)
