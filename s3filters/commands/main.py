"""The command ``s3filters``: runs a sub-command; its error is one line and an exit code."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from s3filters import __version__
from s3filters.commands import account, cold, credential, ini, restore, serve, uploads
from s3filters.commands.errors import INTERRUPTED, CommandError

COMMANDS = (serve, account, credential, uploads, cold, restore, ini)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; ``argv`` is without the program's name. Return the exit code."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except CommandError as error:
        print(f"s3filters: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        print("s3filters: interrupted", file=sys.stderr)
        return INTERRUPTED


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
