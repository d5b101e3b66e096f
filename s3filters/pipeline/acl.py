"""acl: who may do what.

Today's rule is the shortest that is safe: administrators may do everything, among them every key
that has no account, and all others nothing. Grants of buckets and objects belong here: the
permission that an operation needs stands in its row of the routing table, and what depends on the
object itself is asked through ``call.checks``, under the object's lock.

Ini options of ``[filter:acl]``: none.

Gates every operation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from s3filters import options
from s3filters.pipeline.base import App, Filter
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error


@dataclass(frozen=True, slots=True)
class Options:
    """Options of acl: none yet."""


class Acl(Filter):
    """Lets administrators through."""

    gates: ClassVar[dict[str, str]] = {"*": "refuse_others"}

    def refuse_others(self, call: Call) -> None:
        """Raise AccessDenied unless an administrator signed the request."""
        if call.identity is None or call.identity.role != "admin":
            raise S3Error("AccessDenied")


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Acl]:
    """PasteDeploy entry point ``egg:s3filters#acl``."""
    options.read(Options, "filter:acl", global_conf, local_conf)
    return Acl
