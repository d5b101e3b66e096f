"""Green threads on an epoll hub: the one module that imports eventlet.

The hub is eventlet's, so anything made for eventlet runs beside us. What it adds is ``watch``: a
descriptor is registered once, edge-triggered, with a callback, where eventlet's ``trampoline``
registers, arms a timer and undoes both at each wait (two system calls and some 15 us a request).
An edge is reported once, so a watcher notes what it is told until it has seen EAGAIN: epoll(7).

Nothing is monkey patched.
"""

from __future__ import annotations

import logging
import select
import sys
import warnings
from collections.abc import Callable
from typing import Any

from greenlet import getcurrent, greenlet

with warnings.catch_warnings():
    # Eventlet says at each import that it only gets fixes now. That is why it is kept in here.
    warnings.simplefilter("ignore")
    from eventlet import hubs
    from eventlet.hubs import epolls
    from eventlet.hubs.hub import noop

READABLE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
WRITABLE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR
HUNG_UP = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR

log = logging.getLogger("s3filters.server")

Watcher = Callable[[int], Any]

_READ = select.EPOLLIN | select.EPOLLPRI | select.EPOLLHUP | select.EPOLLERR


class Hub(epolls.Hub):  # type: ignore[misc]
    """Eventlet's epoll hub with lasting registrations."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: dict[int, Watcher] = {}

    def watch(self, fd: int, watcher: Watcher, mask: int) -> None:
        """Call ``watcher(events)`` in the hub at each edge of ``mask``. Errors are always told."""
        self._watchers[fd] = watcher
        self.poll.register(fd, mask | select.EPOLLET)

    def change(self, fd: int, mask: int) -> None:
        """Watch for other edges; what is true already is told again."""
        self.poll.modify(fd, mask | select.EPOLLET)

    def unwatch(self, fd: int) -> None:
        """Forget the descriptor, before it is closed."""
        if self._watchers.pop(fd, None) is not None:
            self.poll.unregister(fd)

    def wait(self, seconds: float | None = None) -> None:
        """One round: collect what happened and tell it to watchers and to eventlet's listeners."""
        find = self._watchers.get
        for fd, events in self.poll.poll(seconds):
            watcher = find(fd)
            if watcher is None:
                self._tell_listeners(fd, events)
                continue
            try:
                watcher(events)
            except self.SYSTEM_EXCEPTIONS:
                raise
            except BaseException:  # the hub must outlive what it calls
                log.exception("a watcher of descriptor %d failed", fd)

    def _tell_listeners(self, fd: int, events: int) -> None:
        """What eventlet's own sockets and ``trampoline`` wait for, as its poll hub tells it."""
        for kind, mask in ((self.READ, _READ), (self.WRITE, WRITABLE)):
            listener = self.listeners[kind].get(fd, noop) if events & mask else noop
            try:
                listener.cb(fd)
            except self.SYSTEM_EXCEPTIONS:
                raise
            except BaseException:  # noqa: BLE001  the hub must outlive what it calls
                self.squelch_exception(fd, sys.exc_info())

    def squelch_generic_exception(self, exc_info: Any) -> None:
        """Log what eventlet would print."""
        log.error("a green thread failed", exc_info=exc_info)

    def squelch_timer_exception(self, timer: Any, exc_info: Any) -> None:
        """Log what eventlet would print."""
        log.error("a timer failed", exc_info=exc_info)

    def later(self, delay: float, function: Callable[..., Any], *args: Any) -> Any:
        """Call the function in the hub after ``delay`` seconds; the timer returned has cancel()."""
        return self.schedule_call_global(delay, function, *args)

    def pause(self) -> None:
        """Let everything else that is ready have its turn."""
        self.schedule_call_global(0, getcurrent().switch)
        self.greenlet.switch()

    def spawn(self, function: Callable[..., Any], *args: Any) -> None:
        """Run the function in a new green thread, at once until it waits. Called in the hub."""
        greenlet(function, self.greenlet).switch(*args)


def start_hub() -> Hub:
    """Give this thread a new hub, after a fork too, and return it."""
    hubs.use_hub(Hub)
    hub = hubs.get_hub()
    assert isinstance(hub, Hub)
    return hub


Hub.is_available = staticmethod(lambda: True)
