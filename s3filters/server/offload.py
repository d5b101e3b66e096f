"""Blocking work of green threads, done by real threads, with a cheap way there and back.

Work goes in through a ``SimpleQueue`` (which waits without the interpreter lock) and comes out
through a deque and an eventfd that the hub watches; however many pieces end between two rounds of
the hub, they cost it one wake-up. Eventlet's own pool sends each result through a socket and a
green event, at three times the price.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeAlias, TypeVar

from greenlet import getcurrent, greenlet

from s3filters.server.green import Hub

T = TypeVar("T")


class _Job:
    """One call: made here, done by a thread, waited for by at most one green thread."""

    __slots__ = (
        "_context", "_pool", "args", "error", "finished", "function", "result", "slow", "waiter",
    )  # fmt: skip

    def __init__(self, pool: Pool, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._pool = pool
        self._context = copy_context()  # log lines of the thread name the request too
        self.function = function
        self.args = args
        self.slow = False
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None
        self.waiter: greenlet | None = None

    def run(self) -> None:
        """Make the call; what it raises is kept for ``wait``."""
        try:
            self.result = self._context.run(self.function, *self.args)
        except BaseException as error:  # noqa: BLE001  wait() raises it where it was asked for
            self.error = error
        self.finished = True

    def wait(self) -> Any:
        """Return the result or raise the error; other green threads run meanwhile."""
        if not self.finished:
            self._pool.await_job(self)
        error, self.error = self.error, None
        if error is not None:
            try:
                raise error
            finally:
                error = None  # a traceback that holds its own error would wait for the collector
        return self.result

    def done(self, timeout_s: float) -> bool:
        """Wait at most so long; True when the work is done. Other green threads run meanwhile."""
        if not self.finished:
            self._pool.await_briefly(self, timeout_s)
        return self.finished


_Queue: TypeAlias = "SimpleQueue[_Job | None]"


class _Now:
    """Work that was done at once, because its caller may block."""

    __slots__ = ("_error", "_result")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None
        try:
            self._result = function(*args)
        except BaseException as error:  # noqa: BLE001  wait() raises it where it was asked for
            self._error = error

    def wait(self) -> Any:
        """Return the result or raise the error."""
        if self._error is not None:
            raise self._error
        return self._result

    def done(self, timeout_s: float) -> bool:
        """True."""
        return True


class Pool:
    """The real threads of a worker; an ``s3filters.offload.Offload``.

    Made in the hub's thread. Called from another thread, or in the hub itself, it simply calls.
    What may take minutes has as many threads of its own: however much of that there is, it keeps
    nobody else waiting for a thread.
    """

    def __init__(self, hub: Hub, threads: int) -> None:
        self._hub = hub
        self._owner = threading.get_ident()
        self._queue: _Queue = SimpleQueue()
        self._slow_queue: _Queue = SimpleQueue()
        self._slow_threads = 0  # they start when they are needed
        self._slow_jobs = 0  # begun and not finished, as far as the hub knows
        self._finished: deque[_Job] = deque()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._rung = False
        hub.watch(self._bell, self._on_bell, select.EPOLLIN)
        self._threads = threads
        for number in range(threads):
            self._start_thread(f"offload-{number}", self._queue)

    def _start_thread(self, name: str, queue: _Queue) -> None:
        threading.Thread(target=self._work, args=(queue,), name=name, daemon=True).start()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call the function in a thread and return its result, or raise what it raised."""
        if self._may_block():
            return function(*args)
        job = _Job(self, function, args)
        self._queue.put(job)
        return job.wait()  # type: ignore[no-any-return]

    def start(self, function: Callable[..., Any], *args: Any) -> _Job | _Now:
        """Begin the call in a thread; ``wait()`` of what is returned gives its result."""
        if self._may_block():
            return _Now(function, args)
        job = _Job(self, function, args)
        self._queue.put(job)
        return job

    def start_slow(self, function: Callable[..., Any], *args: Any) -> _Job | _Now:
        """As ``start``, in a thread that only such work has."""
        if self._may_block():
            return _Now(function, args)
        job = _Job(self, function, args)
        job.slow = True
        self._slow_jobs += 1
        if self._slow_threads < min(self._slow_jobs, self._threads):
            self._start_thread(f"slow-{self._slow_threads}", self._slow_queue)
            self._slow_threads += 1
        self._slow_queue.put(job)
        return job

    def sleep(self, seconds: float) -> None:
        """Let time pass for the caller alone: a green thread lets others run meanwhile."""
        if self._may_block():
            time.sleep(seconds)
        else:
            timer = self._hub.later(seconds, getcurrent().switch)
            try:
                self._hub.greenlet.switch()
            finally:
                timer.cancel()

    def stop(self) -> None:
        """Let the threads end after what is queued."""
        for _ in range(self._threads):
            self._queue.put(None)
        for _ in range(self._slow_threads):
            self._slow_queue.put(None)

    def _may_block(self) -> bool:
        return threading.get_ident() != self._owner or getcurrent() is self._hub.greenlet

    def await_job(self, job: _Job) -> None:
        """Let other green threads run until the job is done."""
        job.waiter = getcurrent()
        try:
            while not job.finished:
                self._hub.greenlet.switch()
        finally:
            job.waiter = None

    def await_briefly(self, job: _Job, timeout_s: float) -> None:
        """As ``await_job``, at most so many seconds."""
        hub = self._hub
        waiter = job.waiter = getcurrent()
        timer = hub.later(timeout_s, waiter.switch)
        try:
            while not job.finished and not timer.called:
                hub.greenlet.switch()
        finally:
            job.waiter = None
            timer.cancel()

    def _work(self, queue: _Queue) -> None:
        get = queue.get
        finish = self._finished.append
        while (job := get()) is not None:
            job.run()
            finish(job)
            if not self._rung:
                self._rung = True
                os.eventfd_write(self._bell, 1)
            del job

    def _on_bell(self, events: int) -> None:
        """In the hub: hand the results to those who wait."""
        os.eventfd_read(self._bell)
        self._rung = False  # before the look: whoever finishes from here on rings again
        finished = self._finished
        while finished:
            job = finished.popleft()
            self._slow_jobs -= job.slow
            waiter = job.waiter
            if waiter is not None:
                waiter.switch()
