"""What tells one operation of S3 from another, as a row of the routing table.

It holds the shape of a row and nothing of any operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from s3filters.s3.parameters import ABSENT, Param

SERVICE, BUCKET, OBJECT = "service", "bucket", "object"

# What a row's request carries as its body
NOTHING, DATA, DOCUMENT, FORM = "", "data", "document", "form"  # form: data among fields
# How a body of a row may be proven by Content-MD5 and checksum headers
MAY, MUST, FOREIGN = "may", "must", "foreign"  # foreign: the headers speak of something else
# Which side of an operation the If- headers guard
READ, WRITE = "read", "write"


@dataclass(frozen=True, slots=True)
class Row:
    """One operation.

    ``words`` must all be in the query (``word`` or ``word=value``), ``header`` (an environ key)
    among the headers. ``params`` come from the query, ``headers`` from headers. ``stores``: the
    request's headers are kept with an object. ``check`` looks at the params together.
    """

    name: str
    method: str
    level: str
    permission: str
    words: tuple[str, ...] = ()
    header: str | None = None
    params: tuple[Param, ...] = ()
    headers: tuple[Param, ...] = ()
    body: str = NOTHING
    proof: str = MAY
    conditions: str = ""
    stores: bool = False
    check: Callable[[dict[str, Any]], None] | None = None
    defaults: dict[str, Any] = field(init=False)  # of all parameters
    keyed: tuple[tuple[str, Param], ...] = field(init=False)  # headers by their environ key
    writes: bool = field(init=False)  # changes what its path names

    def __post_init__(self) -> None:
        """Work out once what every request needs."""
        keys = ["HTTP_" + param.word.upper().replace("-", "_") for param in self.headers]
        both = self.params + self.headers
        object.__setattr__(
            self,
            "defaults",
            {param.name: param.default for param in both if param.default is not ABSENT},
        )
        object.__setattr__(self, "keyed", tuple(zip(keys, self.headers, strict=True)))
        object.__setattr__(self, "writes", self.method in ("PUT", "POST", "DELETE"))
