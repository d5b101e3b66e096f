"""Rows of figures, their verdicts, the printed table and the file for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.targets import MIB, TARGETS

HEADINGS = ("", "measure", "speed", "p50", "p99", "CPU", "figure", "to reach", "")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; what was not measured is None.

    ``figure`` is what has a target: a ratio to ``of``, or bytes, or milliseconds (``unit``).
    ``target`` names the row of targets.TARGETS, if there is one.
    """

    section: str
    name: str
    figure: float | None = None
    unit: str = "x"  # x, MiB (the figure is in bytes), ms, or yes (1 or 0)
    of: str = ""
    target: str = ""
    rate: float | None = None
    rate_unit: str = "/s"
    p50: float | None = None  # seconds
    p99: float | None = None  # seconds
    cpu: float | None = None  # seconds of CPU per request or per GiB
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``ok`` or ``short`` where there is a target, else nothing."""
        target = TARGETS.get(self.target)
        if target is None or self.figure is None:
            return ""
        return "ok" if target.met(self.figure) else "short"

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the line, in the order of HEADINGS."""
        return (
            self.section,
            self.name,
            "" if self.rate is None else f"{self.rate:,.0f}{self.rate_unit}",
            span(self.p50),
            span(self.p99),
            span(self.cpu),
            self._figure(),
            str(TARGETS.get(self.target, "")),
            self.verdict,
        )

    def _figure(self) -> str:
        if self.figure is None:
            return ""
        if self.unit == "x":
            return f"{self.figure:.2f} x {self.of}"
        if self.unit == "MiB":
            return f"{self.figure / MIB:,.1f} MiB"
        if self.unit == "yes":
            return "yes" if self.figure else "no"
        return f"{self.figure:,.1f} {self.unit}"

    def record(self) -> dict[str, Any]:
        """Return the row as it stands in the JSON file: seconds and bytes, nothing rounded."""
        target = TARGETS.get(self.target)
        known = {name: value for name, value in asdict(self).items() if value not in (None, "", {})}
        known["target"] = None if target is None else asdict(target)
        known["verdict"] = self.verdict or None
        return known


def span(seconds: float | None) -> str:
    """Return a time in the unit that suits it."""
    if seconds is None:
        return ""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.{1 if seconds < 0.1 else 0}f} ms"
    return f"{seconds:.2f} s"


def render(rows: Iterable[Row]) -> str:
    """Return the table as text: columns as wide as their widest cell, a line between sections."""
    listed = list(rows)
    lines = [HEADINGS, *(row.cells() for row in listed)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    printed, section = [line_of(HEADINGS, widths)], None
    for row in listed:
        if row.section != section:
            section = row.section
            printed.append(rule)
        printed.append(line_of(row.cells(), widths))
    return "\n".join(printed)


def line_of(cells: tuple[str, ...], widths: list[int]) -> str:
    """Return one line: names to the left, numbers to the right."""
    left = (0, 1, 7, 8)
    padded = [
        cell.ljust(width) if at in left else cell.rjust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(padded).rstrip()


def document(rows: Iterable[Row], about: Mapping[str, Any]) -> str:
    """Return the JSON file: what was run and where, then the rows."""
    return json.dumps({**about, "rows": [row.record() for row in rows]}, indent=1) + "\n"
