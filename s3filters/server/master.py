"""The master process: holds the listening sockets and keeps the right workers alive.

It serves nothing and loads nothing. A worker that dies is replaced, later and later when new ones
die at once. SIGHUP starts a whole new generation, which reads configuration and credentials anew.
Only when all of it serves are the old ones told to retire: what cannot be loaded changes nothing.
SIGTERM and SIGINT stop all; a second one does not wait.

Workers hold the reading end of a pipe whose writing end is the master's alone: its death, however
it comes, ends them.
"""

from __future__ import annotations

import atexit
import logging
import os
import select
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

from s3filters.server.acceptor import ABSENT, Board
from s3filters.server.listeners import Listener
from s3filters.server.worker import FAILED, Place, flush

Work = Callable[[int, Place], int]  # (generation, place) -> exit code, in the worker's process

BACK_OFF = 0.1  # seconds before a worker that died young is replaced, doubled each time
BACK_OFF_LIMIT = 10.0
YOUNG_SECONDS = 2.0
OVERTIME = 5.0  # seconds that a worker may take beyond its drain, before it is killed

log = logging.getLogger("s3filters.server")


@dataclass(slots=True)
class _Child:
    pid: int
    slot: int
    generation: int
    status: int  # descriptor it reports on; -1 once closed
    started: float = field(default_factory=monotonic)
    ready: bool = False
    leaving: bool = False


class Master:
    """Supervises ``workers`` processes that run ``work``."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        workers: int,
        work: Work,
        *,
        drain_timeout: float,
        on_ready: Callable[[], None],
    ) -> None:
        self._listeners = listeners
        self._workers = workers
        self._work = work
        self._drain_timeout = drain_timeout
        self._on_ready = on_ready
        # Two sets of slots: at a reload two generations are alive.
        self._board = Board(2 * workers)
        self._children: dict[int, _Child] = {}
        self._serving = -1  # the generation that is replaced when it dies
        self._coming: int | None = None  # the generation that is getting ready
        self._next_generation = 0
        self._reload_again = False
        self._due: dict[int, float] = {}  # slot -> when to start its worker again
        self._deaths: dict[int, int] = {}  # slot -> deaths of young workers in a row
        self._stop_by: float | None = None
        self._exit_code = 0

    def run(self) -> int:
        """Supervise until all is over; return the exit code."""
        self._wake, wakes = socket.socketpair()
        self._life, self._death = os.pipe()
        for sock in (self._wake, wakes):
            sock.setblocking(False)
        before = {n: signal.signal(n, lambda *_: None) for n in self._actions()}
        wakeup_before = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        try:
            self._begin_generation()
            while self._children or (self._due and self._stop_by is None):
                self._round()
        finally:
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            wakes.close()
            self._wake.close()
            os.close(self._life)
            os.close(self._death)
        log.info("stopped")
        return self._exit_code

    def _actions(self) -> dict[signal.Signals, Callable[[], None]]:
        return {
            signal.SIGTERM: self._stop,
            signal.SIGINT: self._stop,
            signal.SIGHUP: self._reload,
            signal.SIGCHLD: lambda: None,
        }

    def _round(self) -> None:
        """Wait for something to happen, and see to it."""
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        for child in self._children.values():
            if child.status >= 0 and not child.ready:
                poll.register(child.status, select.POLLIN)
        ready = {fd for fd, _ in poll.poll(self._patience())}
        for child in list(self._children.values()):
            if child.status in ready:
                self._hear(child)
        with suppress(BlockingIOError):
            actions = self._actions()
            for number in set(self._wake.recv(256)):
                actions.get(signal.Signals(number), lambda: None)()
        self._reap()
        self._start_due()
        if self._stop_by is not None and monotonic() > self._stop_by:
            self._signal_all(signal.SIGKILL)

    def _patience(self) -> float:
        """Milliseconds until something is to be done unasked."""
        times = list(self._due.values())
        if self._stop_by is not None:
            times.append(self._stop_by)
        return max(0.0, min(times) - monotonic()) * 1000 + 1 if times else 60_000

    # Generations

    def _begin_generation(self) -> None:
        self._coming = self._next_generation
        self._next_generation += 1
        for number in range(self._workers):
            self._start(self._slots(self._coming)[number], self._coming)

    def _slots(self, generation: int) -> range:
        first = generation % 2 * self._workers
        return range(first, first + self._workers)

    def _reload(self) -> None:
        if self._stop_by is not None:
            return
        if self._coming is not None:
            self._reload_again = True
            return
        log.info("reloading")
        self._begin_generation()

    def _hear(self, child: _Child) -> None:
        """A worker says that it is ready; or its end of the pipe is closed: it will be reaped."""
        if os.read(child.status, 1):
            child.ready = True
            if child.generation == self._coming:
                self._take_over_if_ready()
        os.close(child.status)
        child.status = -1

    def _take_over_if_ready(self) -> None:
        coming = [c for c in self._children.values() if c.generation == self._coming]
        if len(coming) < self._workers or not all(c.ready for c in coming):
            return
        assert self._coming is not None
        self._serving, self._coming = self._coming, None
        self._due.clear()
        self._deaths.clear()
        for child in self._children.values():
            if child.generation != self._serving:
                self._dismiss(child, signal.SIGUSR1)
        if self._serving == 0:
            self._on_ready()
        else:
            log.info("reloaded")

    def _abandon_coming(self) -> None:
        """The new generation cannot serve. The first one: neither can we."""
        for child in self._children.values():
            if child.generation == self._coming:
                self._dismiss(child, signal.SIGTERM)
        self._coming = None
        if self._serving < 0:
            self._exit_code = FAILED
            self._stop()
        else:
            log.error("the reload failed; the running workers stay as they are")

    # Processes

    def _start(self, slot: int, generation: int) -> None:
        status, report = os.pipe()
        flush()
        # Until the child has let go of our wake-up descriptor, a signal to it would reach us.
        signal.pthread_sigmask(signal.SIG_BLOCK, self._actions())
        pid = os.fork()
        if pid == 0:
            self._be_worker(slot, generation, report)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, self._actions())
        os.close(report)
        self._children[pid] = _Child(pid, slot, generation, status)

    def _be_worker(self, slot: int, generation: int, report: int) -> None:
        """In the new process. Never returns."""
        code = FAILED
        try:
            signal.set_wakeup_fd(-1)
            for number in self._actions():
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, self._actions())
            os.close(self._death)
            for child in self._children.values():
                if child.status >= 0:
                    os.close(child.status)
            peers = self._slots(generation)
            code = self._work(generation, Place(slot, peers, self._board, report, self._life))
        except Exception:
            log.exception("a worker failed")
        finally:
            atexit._run_exitfuncs()  # as multiprocessing does: the access log waits there
            flush()
            os._exit(code)

    def _reap(self) -> None:
        for pid in list(self._children):
            with suppress(ChildProcessError):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    self._bury(self._children.pop(pid), os.waitstatus_to_exitcode(status))
        if self._reload_again and self._coming is None:
            self._reload_again = False
            self._reload()

    def _bury(self, child: _Child, code: int) -> None:
        if child.status >= 0:
            os.close(child.status)
        if not child.leaving:  # who leaves has given its slot back
            self._board.write(child.slot, ABSENT)
        if child.leaving or self._stop_by is not None:
            return
        if child.generation == self._coming:
            self._abandon_coming()
        elif child.generation == self._serving:
            self._replace(child, code)

    def _replace(self, child: _Child, code: int) -> None:
        young = monotonic() - child.started < YOUNG_SECONDS
        deaths = self._deaths.get(child.slot, 0) + 1 if young else 0
        self._deaths[child.slot] = deaths
        delay = min(BACK_OFF * 2 ** (deaths - 1), BACK_OFF_LIMIT) if deaths else 0.0
        cause = f"signal {-code}" if code < 0 else f"exit code {code}"
        log.error("worker %d died (%s); a new one starts", child.pid, cause)
        self._due[child.slot] = monotonic() + delay

    def _start_due(self) -> None:
        if self._stop_by is None:
            now = monotonic()
            for slot in [slot for slot, when in self._due.items() if when <= now]:
                del self._due[slot]
                self._start(slot, self._serving)

    def _stop(self) -> None:
        """Drain all; asked again, kill all."""
        if self._stop_by is not None:
            self._signal_all(signal.SIGKILL)
            return
        log.info("stopping")
        self._stop_by = monotonic() + self._drain_timeout + OVERTIME
        for listener in self._listeners:
            listener.close(remove=True)
        for child in self._children.values():
            self._dismiss(child, signal.SIGTERM)

    def _dismiss(self, child: _Child, number: signal.Signals) -> None:
        child.leaving = True
        with suppress(ProcessLookupError):
            os.kill(child.pid, number)

    def _signal_all(self, number: signal.Signals) -> None:
        for pid in self._children:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
