"""Progress: one line that is written over on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

_TERMINAL_S = 0.1  # between two lines
_PLAIN_S = 10.0
_WIDTH = 20
_CLEAR = "\r\x1b[K"


class Meter:
    """Shows how far something is.

    :param stream: where to, as a rule standard error
    :param wanted: whether anything is shown; None for on a terminal alone
    """

    def __init__(self, stream: TextIO, wanted: bool | None = None) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._shown = self._terminal if wanted is None else wanted
        self._next = 0.0
        self._last = ""
        self._stands = False

    def show(self, words: str, *, now: bool = False) -> None:
        """Show words in place of those before, unless these are very new; ``now``: whatever."""
        moment = time.monotonic()
        if not self._shown or words == self._last or (moment < self._next and not now):
            return
        self._next = moment + (_TERMINAL_S if self._terminal else _PLAIN_S)
        self._last = words
        if self._terminal:
            columns = shutil.get_terminal_size().columns
            self._stream.write(_CLEAR + words[: max(1, columns - 1)])
            self._stands = True
        else:
            self._stream.write(words + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, for others to write."""
        if self._stands:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._stands = False
            self._last = ""


def bar(done: float, whole: float) -> str:
    """Return a bar and how much of the whole is done in per cent, never 100 before all is."""
    share = done / whole if whole else 1.0
    full = int(share * _WIDTH)
    return f"[{'#' * full}{'.' * (_WIDTH - full)}] {int(share * 100):3d}%"
