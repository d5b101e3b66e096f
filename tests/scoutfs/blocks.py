"""Blocks of 4096 bytes, and sets of them as half-open ranges. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

SHIFT = 12
SIZE = 1 << SHIFT
MASK = SIZE - 1
LAST = 1 << 52  # beyond any file

Range = tuple[int, int]


def count_of(size: int) -> int:
    """How many blocks hold so many bytes."""
    return (size + MASK) >> SHIFT


class BlockSet:
    """Blocks of a file, as sorted ranges that do not touch."""

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self.ranges: list[Range] = []
        for begin, end in ranges:
            self.add(begin, end)

    def __len__(self) -> int:
        return sum(end - begin for begin, end in self.ranges)

    def __iter__(self) -> Iterator[Range]:
        return iter(self.ranges)

    def add(self, begin: int, end: int) -> None:
        """Add a range."""
        self.remove(begin, end)
        merged: list[Range] = []
        for low, high in sorted([*self.ranges, (begin, end)]):
            if merged and merged[-1][1] >= low:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            elif low < high:
                merged.append((low, high))
        self.ranges = merged

    def remove(self, begin: int, end: int) -> None:
        """Take a range away."""
        kept: list[Range] = []
        for low, high in self.ranges:
            kept += [(low, min(high, begin)), (max(low, end), high)]
        self.ranges = [(low, high) for low, high in kept if low < high]

    def first_of(self, offset: int, length: int) -> int | None:
        """The first of them that a range of bytes touches, None when it touches none."""
        if length <= 0:
            return None
        begin, end = offset >> SHIFT, ((offset + length - 1) >> SHIFT) + 1
        for low, high in self.ranges:
            if high > begin and low < end:
                return max(begin, low)
        return None

    def covers(self, begin: int, end: int) -> bool:
        """Whether one range holds all of another."""
        return any(low <= begin and end <= high for low, high in self.ranges)
