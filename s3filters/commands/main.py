"""The command ``s3filters``: runs a sub-command; its error is one line and an exit code.

When nobody reads what it prints any more, head perhaps, it ends with nothing but an exit code.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

from s3filters import __version__
from s3filters.commands import account, cold, credential, ini, restore, serve, uploads
from s3filters.commands.errors import CLOSED, INTERRUPTED, CommandError

COMMANDS = (serve, account, credential, uploads, cold, restore, ini)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` is without the program's name. Return the exit code."""
    try:
        try:
            return _run(argv)
        finally:  # argparse prints, and exits, too
            if sys.stdout is not None:
                sys.stdout.flush()
    except BrokenPipeError:
        if not _silence():
            raise
        return CLOSED


def _run(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CommandError as error:
        print(f"s3filters: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("s3filters: interrupted", file=sys.stderr)
        return INTERRUPTED


def _silence() -> bool:
    """Let no more be written to where nobody reads; return whether there was such a place."""
    closed = [stream for stream in (sys.stdout, sys.stderr) if stream and not _is_read(stream)]
    for stream in closed:  # what is left in its buffer is written when the interpreter ends
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    return bool(closed)


def _is_read(stream: TextIO) -> bool:
    """Whether somebody has the other end of a pipe or socket; true for all else."""
    poll = select.poll()
    poll.register(stream.fileno(), 0)  # that the other end was closed is told unasked
    return not poll.poll(0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s3filters",
        description="S3 for storage that people already have, as a set of PasteDeploy filters.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"s3filters {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.declare(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
