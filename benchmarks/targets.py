"""What is to be reached, one row a figure; a figure without a row here is for information.

Ratios are to the baseline that the row's name implies: ``cpu.*`` to the CPU of a bare WSGI app
under stock eventlet.wsgi, ``cpu.acl`` and ``cold.*`` to our daemon without that filter,
``durable.*`` to a bare loop of the same system calls, ``large.get`` to a plain socket loop,
``large.put*`` to MD5 alone, ``list.*`` to a page of a bucket of 1,000 keys,
``parts.cpu`` to one PUT, ``parts.get`` to an object that was sent in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """A bound, inclusive; ``unit`` is printed behind it."""

    bound: float
    unit: str = ""
    at_least: bool = False

    def met(self, value: float) -> bool:
        """Whether the value is on the right side of the bound."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        scaled = self.bound / MIB if self.unit == "MiB" else self.bound
        return f"{'>=' if self.at_least else '<='} {scaled:g}{' ' if self.unit else ''}{self.unit}"


MEMORY = Target(100 * MIB, "MiB")

TARGETS: dict[str, Target] = {
    "cpu.HEAD": Target(0.7),
    "cpu.GET": Target(0.8),
    "cpu.PUT.none": Target(1.5),
    "cpu.DELETE": Target(1.0),
    "cpu.acl": Target(1.15),
    "cold.HEAD": Target(1.3),
    "cold.LIST": Target(2.0),
    "cold.plain": Target(1.05),
    "durable.8": Target(0.7, at_least=True),
    "durable.32": Target(0.7, at_least=True),
    "large.get": Target(0.9, at_least=True),
    "large.put": Target(0.9, at_least=True),
    "large.put.cpu": Target(1.5),  # 2.4 s where MD5 takes 1.6 s
    "memory": MEMORY,
    "complete.16.none": Target(10, "ms"),
    "complete.200.none": Target(20, "ms"),
    "complete.10000.none": Target(400, "ms"),
    "complete.written": Target(MIB, "MiB"),
    "parts.cpu": Target(1.1),
    "parts.get": Target(0.95, at_least=True),
    "list.page": Target(1.5),
    "list.first": Target(150, "ms"),
    "list.seen": Target(1, at_least=True),  # 1: the next page shows the change
}
