"""Remembering what a text means, for short texts only.

A cache that is bounded by the number of its entries is not bounded in memory: a hostile client
would fill it with the longest texts that a header may hold.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

LONGEST = 256  # characters


def memo(maxsize: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Remember up to ``maxsize`` results of a function whose first argument is a text."""

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        remembered = lru_cache(maxsize)(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            if len(args[0]) > LONGEST:  # type: ignore[arg-type]
                return function(*args, **kwargs)
            return remembered(*args, **kwargs)  # type: ignore[arg-type]

        return call

    return decorate
