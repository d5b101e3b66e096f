"""The two ways in which a command fails; ``main`` prints the message and returns the code."""

from __future__ import annotations

from typing import ClassVar

CLOSED = 1  # nobody reads what is printed any more
INTERRUPTED = 130  # the status of a shell's command that Ctrl-C ended


class CommandError(Exception):
    """The system refuses: an address in use, a folder without permission."""

    code: ClassVar[int] = 1


class UsageError(CommandError):
    """The user asked for what cannot be: a flag, the ini or one of its values is wrong."""

    code: ClassVar[int] = 2
