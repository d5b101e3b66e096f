"""The Range header: one range of bytes, parsed once, resolved when the size is known.

What S3 does not serve as a range (several ranges, another unit, a malformed one) is no range at
all: the header is ignored and the whole object answered (RFC 9110, section 14.2).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from s3filters.s3.errors import S3Error
from s3filters.s3.memo import memo

_FORM = re.compile(r"\s*bytes\s*=\s*(\d{0,30})\s*-\s*(\d{0,30})\s*", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Range:
    """``first`` to ``last``, inclusive.

    ``last`` None: to the end; ``first`` None: as many bytes as ``last`` says, at the end.
    """

    first: int | None
    last: int | None
    text: str

    def resolve(self, size: int) -> tuple[int, int] | None:
        """Return (first, last), both inclusive, of an object of ``size`` bytes.

        None: answer the whole object with 200 (the last n bytes of an empty one). Raise
        InvalidRange when nothing of it lies inside.
        """
        if self.first is None:
            if self.last and not size:
                return None
            first, last = max(0, size - (self.last or 0)), size - 1
        else:
            first, last = self.first, size - 1 if self.last is None else min(self.last, size - 1)
        if first >= size:
            raise S3Error(
                "InvalidRange",
                RangeRequested=self.text,
                ActualObjectSize=size,
                headers=[("Content-Range", f"bytes */{size}")],
            )
        return first, last


@memo(1024)
def parse(text: str) -> Range | None:
    """Return the range that a Range header asks for, None when it is to be ignored."""
    match = _FORM.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return None
    first = int(match[1]) if match[1] else None
    last = int(match[2]) if match[2] else None
    if first is not None and last is not None and last < first:
        return None
    return Range(first, last, text.strip())
