"""glacier: objects whose bytes are on tape behave as S3's GLACIER storage class.

This is its place in the pipeline; it passes everything through. What belongs here: set
``call.tiered``, so that answers tell the tier and cold storage classes can be asked for; refuse
reads of offline objects with InvalidObjectState; answer RestoreObject.

Ini options of ``[filter:glacier]``: none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from s3filters import options
from s3filters.pipeline.base import App, Filter


@dataclass(frozen=True, slots=True)
class Options:
    """Options of glacier: none yet."""


class Glacier(Filter):
    """Passes everything through."""


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Glacier]:
    """PasteDeploy entry point ``egg:s3filters#glacier``."""
    options.read(Options, "filter:glacier", global_conf, local_conf)
    return Glacier
