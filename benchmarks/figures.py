"""Medians and percentiles of small samples.

A shared machine is noisy in one direction only: things take longer. So rounds of the baseline and
of the subject alternate, and what is reported is the median of the ratios of neighbours, not the
ratio of two medians that were taken a minute apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["median", "median_ratio", "percentile"]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of the values do not exceed: nearest rank."""
    if not values:
        raise ValueError("a percentile of no values")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # ceiling
    return ordered[max(int(rank), 1) - 1]


def median_ratio(subject: Sequence[float], baseline: Sequence[float]) -> float:
    """Return the median of subject/baseline, round by round."""
    return median(ours / theirs for ours, theirs in zip(subject, baseline, strict=True))
