"""A worker process: loads the app, serves, and leaves when told to or when the master is gone.

SIGTERM: no new connections, requests in flight are finished, idle connections end; all this within
``drain_timeout`` seconds. SIGUSR1 (the master's, after a reload): the same without hurry. What is
in flight takes the time that it takes, and idle connections may bring one more request, since a
client that sends one just now must get its answer.
"""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from greenlet import getcurrent

from s3filters import offload
from s3filters.options import OptionError
from s3filters.server.acceptor import ABSENT, Acceptor, Board
from s3filters.server.green import Hub, start_hub
from s3filters.server.listeners import Listener, ListenError, tls_context
from s3filters.server.offload import Pool
from s3filters.server.options import Options
from s3filters.server.service import App, Service

RETIRE_SECONDS = 5.0  # how long a worker that is replaced lets idle connections bring a request
DRAIN_TICK = 0.02
COLLECT_EVERY = 50_000  # container objects made before young ones are looked through

LEFT, FAILED, UNLOADABLE = 0, 1, 3  # exit codes

log = logging.getLogger("s3filters.server")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker stands among the others.

    ``slot`` is its place on the board, ``peers`` the places of its generation, ``ready`` a
    descriptor to report on, ``life`` one that ends when the master does.
    """

    slot: int
    peers: Sequence[int]
    board: Board
    ready: int
    life: int


class Worker:
    """The process's one server."""

    def __init__(
        self, app: App, options: Options, listeners: Sequence[Listener], place: Place
    ) -> None:
        self._hub: Hub = start_hub()
        self._options = options
        self._place = place
        self._listeners = listeners
        self._service = Service(app, options, self._hub, tls_context(options))
        self._service.on_forget = self._on_room
        offload.install(Pool(self._hub, options.threads))
        self._code = LEFT
        self._main: Any = getcurrent()
        self._orders: list[Callable[[], None]] = []
        self._order_bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._acceptors = [
            Acceptor(
                self._service,
                listener.socket_for(place.slot),
                place.board,
                place.slot,
                place.peers if listener.shared else (),
            )
            for listener in listeners
        ]

    def run(self) -> int:
        """Serve until told to leave; return the exit code."""
        hub, place = self._hub, self._place
        signal.signal(signal.SIGTERM, lambda *_: self._order(self._stop))
        signal.signal(signal.SIGUSR1, lambda *_: self._order(self._retire))
        hub.watch(self._order_bell, self._on_order, select.EPOLLIN)
        hub.watch(place.life, lambda events: self._order(self._stop), select.EPOLLIN)
        hub.watch(place.board.bell(place.slot), self._on_ring, select.EPOLLIN)
        place.board.write(place.slot, 0)
        os.write(place.ready, b"R")
        hub.switch()
        return self._code

    def _order(self, action: Callable[[], None]) -> None:
        """Do something in the hub; a signal handler may run in the middle of anything."""
        self._orders.append(action)
        os.eventfd_write(self._order_bell, 1)

    def _on_order(self, events: int) -> None:
        os.eventfd_read(self._order_bell)
        while self._orders:
            self._orders.pop(0)()

    def _on_ring(self, events: int) -> None:
        os.eventfd_read(self._place.board.bell(self._place.slot))
        for acceptor in self._acceptors:
            acceptor.accept()

    def _on_room(self) -> None:
        """A connection has ended."""
        if not self._service.draining:
            self._place.board.write(self._place.slot, len(self._service.connections))
            for acceptor in self._acceptors:
                acceptor.resume()

    def _stop(self) -> None:
        if not self._service.stopping:
            for acceptor in self._acceptors:
                acceptor.take_waiting()
            self._hub.later(self._options.drain_timeout, self._finish)
            self._leave(0.0)

    def _retire(self) -> None:
        if not self._service.draining:
            self._leave(RETIRE_SECONDS)

    def _leave(self, linger: float) -> None:
        board, slot = self._place.board, self._place.slot
        if not self._service.draining:  # from now on the slot may be another's
            board.write(slot, ABSENT)
            self._hub.unwatch(board.bell(slot))
            end = getattr(_innermost(self._service.app, "end"), "end", None)
            if end is not None:  # it may take a while, and requests go on
                threading.Thread(target=end, name="end", daemon=True).start()
        for acceptor in self._acceptors:
            acceptor.stop()
        for listener in self._listeners:
            listener.close(remove=False)  # ours is a copy; the queue ends with the last one
        self._service.drain(linger)
        self._wait_for_last()

    def _wait_for_last(self) -> None:
        if self._service.stopping:
            self._service.hurry_idle()
        if self._service.connections:
            self._hub.later(DRAIN_TICK, self._wait_for_last)
        else:
            self._finish()

    def _finish(self) -> None:
        left = len(self._service.connections)
        if left:
            log.warning("%d connections are cut: the time to drain is over", left)
        self._main.switch()


def work(
    load_app: Callable[[], App], options: Options, listeners: Sequence[Listener], place: Place
) -> int:
    """Be a worker, in a process of its own; return its exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # a terminal sends them to all; the master decides
    try:
        app = load_app()
        worker = Worker(app, options, listeners, place)
    except (OptionError, ListenError, OSError, LookupError) as error:
        log.error("cannot start: %s", error)
        return UNLOADABLE
    except Exception:
        log.exception("cannot start")
        return UNLOADABLE
    _begin(app)
    tune_collector()
    return worker.run()


def _begin(app: Any) -> None:
    """Have the app behind all filters begin what it does besides requests, if there is anything."""
    found = _innermost(app, "begin")
    if found is not None:
        found.begin()


def _innermost(app: Any, verb: str) -> Any:
    """Return the app behind all filters that knows a verb, None when none does."""
    while app is not None and not hasattr(app, verb):
        app = getattr(app, "app", None)
    return app


def tune_collector() -> None:
    """Take what was loaded out of the collector's sight, and look at the rest more seldom.

    Requests leave no cycles behind, so young objects are seldom garbage for it. A frozen heap also
    stays shared with the other workers: looking through it would write to each object.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 50)


def flush() -> None:
    """Write out what is buffered: before a fork, and before a process leaves without ceremony."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
