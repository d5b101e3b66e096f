"""Threads that change a store without end, while the power is cut beneath it."""

from __future__ import annotations

import threading
from typing import Self


class Endless(threading.Thread):
    """A thread whose ``run`` goes on until ``ended`` is set: the context in which it runs."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.ended.set()
        self.join(30)
