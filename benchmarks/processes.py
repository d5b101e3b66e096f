"""CPU seconds, memory and cores of a server's processes, asked of the kernel.

A server is a process and all its descendants. CPU time comes from the kernel's per-process clock:
nanoseconds, user and system, threads that ended included (the clock that clock_getcpuclockid(3)
gives for another process), so a run need not be long to outweigh the 10 ms ticks of /proc/PID/stat.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_CPUCLOCK_SCHED = 2  # include/linux/posix-timers_types.h

Seconds = dict[int, float]


class ServerDied(RuntimeError):
    """A process of the server ended while it was measured, so its CPU time is not known."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of the largest worker of a server."""

    peak: int  # VmHWM: most ever resident, files it maps included
    anonymous: int  # RssAnon: resident now, its own


def descendants(pid: int) -> list[int]:
    """Return the process and everything below it, parents first; nothing once it has ended."""
    found = [pid] if Path(f"/proc/{pid}").exists() else []
    for parent in found:  # grows while it is walked
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:  # ended in between
                continue
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of one process since it began. Raise ProcessLookupError."""
    try:
        return time.clock_gettime((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLookupError(pid) from error


def status(pid: int) -> dict[str, int]:
    """Return the sizes in /proc/PID/status, in bytes."""
    sizes = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            sizes[name] = int(words[0]) * 1024
    return sizes


class Processes:
    """The processes of one server, by the ids of the topmost ones."""

    def __init__(self, tops: Iterable[int]) -> None:
        self.tops = tuple(tops)

    def pids(self) -> list[int]:
        """Return the ids of all of them, now."""
        return [pid for top in self.tops for pid in descendants(top)]

    def clock(self) -> Seconds:
        """Return CPU seconds so far, per process; for ``since``."""
        return {pid: cpu_seconds(pid) for pid in self.pids()}

    def since(self, before: Seconds) -> float:
        """Return CPU seconds spent since ``clock`` gave ``before``. Raise ServerDied."""
        now = self.clock()
        gone = set(before) - set(now)
        if gone:
            raise ServerDied(f"processes {sorted(gone)} ended while they were measured")
        return sum(seconds - before.get(pid, 0.0) for pid, seconds in now.items())

    def pin(self, cores: Iterable[int]) -> None:
        """Let every thread of theirs run on these cores only; threads to come inherit it."""
        wanted = set(cores)
        for pid in self.pids():
            for task in Path(f"/proc/{pid}/task").iterdir():
                try:
                    os.sched_setaffinity(int(task.name), wanted)
                except ProcessLookupError:  # a thread that has ended since
                    continue

    def workers(self) -> list[int]:
        """Return the ids of those that have no process below them."""
        return [pid for pid in self.pids() if descendants(pid) == [pid]]

    def memory(self) -> Memory:
        """Return the memory of the largest worker."""
        all_of_them = [status(pid) for pid in self.workers()]
        return Memory(
            max(sizes["VmHWM"] for sizes in all_of_them),
            max(sizes["RssAnon"] for sizes in all_of_them),
        )

    def written(self) -> int:
        """Return the bytes that all of them have given storage to write (write_bytes, proc(5))."""
        texts = [Path(f"/proc/{pid}/io").read_text() for pid in self.pids()]
        return sum(int(text.partition("\nwrite_bytes: ")[2].split()[0]) for text in texts)

    def forget_peak(self) -> None:
        """Begin VmHWM anew from what is resident now."""
        for pid in self.pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    def end(self, patience: float = 10.0) -> None:
        """Ask the topmost to end, wait, and kill whichever of theirs is still there."""
        everyone = self.pids()
        for pid in self.tops:
            _signal(pid, signal.SIGTERM)
        until = time.monotonic() + patience
        while time.monotonic() < until and any(map(_alive, everyone)):
            time.sleep(0.02)
        for pid in everyone:
            if _alive(pid):
                _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # has ended by itself
        return


def _alive(pid: int) -> bool:
    """Whether it runs; one that waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"
