"""The run: one scratch folder, the servers on it, the cores they run on. It takes all of it down.

Buckets that take long to make (the flat ones) are made once, by the first section that asks.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks import daemon
from benchmarks.daemon import Scratch, Subject
from benchmarks.exchange import Client
from benchmarks.plan import Plan
from benchmarks.processes import Processes
from benchmarks.signing import Endpoint

_BEGAN = time.monotonic()

AS_IT_RUNS = "as it runs"  # the durability of a server that we did not start


@dataclass(slots=True)
class Bench:
    """What every section is given."""

    plan: Plan
    scratch: Scratch | None  # None: another server is measured
    other: Subject | None = None
    made: list[str] = field(default_factory=list)  # names of buckets

    @property
    def durabilities(self) -> tuple[str, ...]:
        """Return the durabilities that can be measured."""
        return self.plan.durabilities if self.other is None else (AS_IT_RUNS,)

    @contextmanager
    def subject(self, workers: int, durability: str = "none") -> Iterator[Subject]:
        """Run our daemon so, or give the other server as it is."""
        if self.other is not None:
            yield self.other
            return
        assert self.scratch is not None
        with daemon.running(self.scratch, workers, durability) as subject:
            yield subject

    @contextmanager
    def hello(self, processes: int) -> Iterator[Subject]:
        """Run the bare WSGI app under stock eventlet.wsgi."""
        with daemon.baseline("hello", str(processes)) as (port, who):
            yield Subject(Endpoint("127.0.0.1", port, "HELLO", "hello"), who, None, "none")

    @contextmanager
    def apart(self, servers: Iterable[Processes]) -> Iterator[None]:
        """Keep servers on one core and this process on another while the context lasts."""
        cores, listed = self.plan.cores, list(servers)
        for processes in listed:
            processes.pin(cores.server)
        os.sched_setaffinity(0, cores.client)
        try:
            yield
        finally:
            os.sched_setaffinity(0, cores.every)
            for processes in listed:
                processes.pin(cores.every)

    def bucket(self, subject: Subject, name: str, fill: Callable[[], object] | None = None) -> str:
        """Return the bucket's name; the first who asks creates it and fills it."""
        if name not in self.made:
            client = Client(subject.endpoint)
            client.make_bucket(name)
            client.close()
            if fill is not None:
                fill()
            self.made.append(name)
        return name

    def take_down(self) -> None:
        """Delete the buckets made on a server that is not ours; ours go with the scratch folder."""
        if self.other is None:
            return
        client = Client(self.other.endpoint)
        for name in self.made:
            client.empty(name)
        client.close()


def say(text: str) -> None:
    """Tell whoever waits what is being measured."""
    print(f"{time.monotonic() - _BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)
