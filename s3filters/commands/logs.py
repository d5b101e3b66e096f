"""The daemon's log: lines on stderr, each with the id of the request that it is about.

The client got the same id as ``x-amz-request-id``; ``-`` stands where there is no request. The
access log is another thing, and the filter ``catch_errors``'.
"""

from __future__ import annotations

import argparse
import logging
import sys

LEVELS = ("debug", "info", "warning", "error")
LINE = "%(asctime)s %(levelname)s [%(process)d] %(request_id)s %(name)s: %(message)s"


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the flag."""
    parser.add_argument(
        "--log-level",
        default="info",
        choices=LEVELS,
        help="Least important thing to log (default: info). debug shows what was signed, never a"
        " secret.",
    )


def start(level: str) -> None:
    """Set logging up for this process and those that it forks."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(LINE, defaults={"request_id": "-"}))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
