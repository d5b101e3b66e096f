"""Our daemon with a profiler inside each of its processes; ``benchmarks.profiling`` starts it.

SIGUSR2 begins, the next one ends and writes ``PID.profile`` into the folder that the environment
variable BENCHMARKS_PROFILE names behind the profiler: ``sample:FOLDER`` or ``cprofile:FOLDER``.
"""

from __future__ import annotations

import cProfile
import json
import os
import runpy
import signal
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

INTERVAL = 0.001  # seconds of CPU between two samples; the kernel's tick makes it more


class Profiler(Protocol):
    """What can begin, and end and write."""

    def begin(self) -> None:
        """Begin."""

    def end(self, path: Path) -> None:
        """End and write what was found."""


class Calls:
    """Every call, by cProfile."""

    def __init__(self) -> None:
        self.profile = cProfile.Profile()

    def begin(self) -> None:
        """Begin."""
        self.profile.enable()

    def end(self, path: Path) -> None:
        """End and write what pstats reads."""
        self.profile.disable()
        self.profile.dump_stats(path)


class Samples:
    """The stack of the main thread, at equal steps of the process's CPU time."""

    def __init__(self) -> None:
        self.own: Counter[str] = Counter()
        self.lines: Counter[str] = Counter()
        self.inclusive: Counter[str] = Counter()

    def begin(self) -> None:
        """Begin."""
        signal.signal(signal.SIGPROF, self.look)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)

    def look(self, _number: int, frame: FrameType | None) -> None:
        """Count a stack."""
        if frame is None:
            return
        self.own[name_of(frame)] += 1
        self.lines[f"{name_of(frame)}:{frame.f_lineno}"] += 1
        seen = set()
        while frame is not None:
            seen.add(name_of(frame))
            frame = frame.f_back
        self.inclusive.update(seen)

    def end(self, path: Path) -> None:
        """End and write the counts."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        found = {"own": self.own, "lines": self.lines, "inclusive": self.inclusive}
        path.write_text(json.dumps(found))


def name_of(frame: FrameType) -> str:
    """Return the file, with its folder, and the function of a frame."""
    code = frame.f_code
    return f"{'/'.join(code.co_filename.split('/')[-2:])} {code.co_qualname}"


KINDS: dict[str, type[Calls | Samples]] = {"cprofile": Calls, "sample": Samples}


class Toggle:
    """The handler of SIGUSR2 in one process."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.running: Profiler | None = None

    def __call__(self, *_: Any) -> None:
        """Begin, or end and write; a file appears whole."""
        if self.running is None:
            self.running = KINDS[self.kind]()
            self.running.begin()
            return
        path = self.folder / f"{os.getpid()}.profile"
        self.running.end(path.with_suffix(".part"))
        path.with_suffix(".part").rename(path)
        self.running = None


def main() -> None:
    """Run the daemon; its workers inherit the handler across fork."""
    kind, _, folder = os.environ["BENCHMARKS_PROFILE"].partition(":")
    signal.signal(signal.SIGUSR2, Toggle(kind, Path(folder)))
    runpy.run_module("s3filters.commands.main", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
