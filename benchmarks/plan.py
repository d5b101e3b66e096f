"""What to measure, and how much of it: the whole plan, or a quick one for a first look."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

MIB = 1 << 20
SECTIONS = ("a", "b", "c", "d", "e", "f", "g")
DURABILITIES = ("none", "data", "full")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the server and the client run on when they are kept apart."""

    server: frozenset[int]
    client: frozenset[int]
    every: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> Cores:
        """Give the server the first core that this process may use, the client the second."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(frozenset(usable[:1]), frozenset(usable[1:2] or usable), frozenset(usable))


@dataclass(frozen=True, slots=True)
class Plan:
    """Amounts of one run; the defaults are the whole plan."""

    sections: tuple[str, ...] = SECTIONS
    durabilities: tuple[str, ...] = DURABILITIES
    quick: bool = False
    cores: Cores = field(default_factory=Cores.of_this_machine)
    connections: int = 8  # of the client, server on one core
    rounds: int = 7  # of which the median is taken
    requests: int = 2000  # per operation and round, 4 KiB objects
    durable_clients: tuple[int, ...] = (8, 32)
    durable_requests: int = 5000  # per round
    durable_rounds: int = 5
    large: int = 1024 * MIB  # bytes of the large object
    large_rounds: int = 5
    idle: int = 1000  # keep-alive connections that do nothing
    flat: tuple[int, ...] = (1_000, 100_000, 1_000_000)  # keys of the flat buckets
    deep: tuple[int, int] = (1_000, 100)  # directories, keys in each
    starts: int = 3  # of the daemon, so many first pages
    pages: int = 9  # per position in a bucket
    parts: tuple[tuple[int, int], ...] = ((16, 64 * MIB), (200, 5 * MIB), (10_000, 5 * MIB))

    @classmethod
    def short(cls, sections: tuple[str, ...], durabilities: tuple[str, ...]) -> Plan:
        """Return the quick plan: the same rows, smaller and less often."""
        return cls(
            sections,
            durabilities,
            quick=True,
            rounds=3,
            requests=500,
            durable_requests=1000,
            durable_rounds=3,
            large=256 * MIB,
            large_rounds=3,
            flat=(1_000, 100_000),
            deep=(200, 20),
            starts=1,
            pages=5,
            parts=((16, 16 * MIB), (1_000, 5 * MIB)),
        )
