"""The access log: one line for each request, gathered and written at least each second.

A line holds: time, remote address, access key, operation, method and path, status, bytes of the
body, milliseconds, request id, user agent; ``-`` for what is not known. The query is left out: it
may hold a signature. Several processes may write one file: every write is whole lines at its end.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from typing import Any

from s3filters.s3.call import IDENTITY, KEY, REQUEST_ID

log = logging.getLogger(__name__)

INTERVAL = 1.0  # seconds that a line may wait
MANY = 4096  # lines that are not left waiting so long
MOST = 65_536  # lines that are kept while nothing can be written; then the oldest are lost


class LineFile:
    """Lines to a file, or to standard output for ``-``; a file that was renamed is opened anew."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = 1 if path == "-" else self._open()
        self._lines: deque[str] = deque(
            maxlen=MOST
        )  # appended to and taken from by several threads at once
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.flush)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _begin(self) -> None:
        """Start empty, without a thread: lines of the parent are the parent's to write."""
        self._lines.clear()
        self._writing = threading.Lock()
        self._something = threading.Event()
        self._many = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Add a line, its line feed included."""
        self._lines.append(line)
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._write_often, name="access log", daemon=True
            )
            self._thread.start()
        if not self._something.is_set():
            self._something.set()
        elif len(self._lines) > MANY:
            self._many.set()

    def _write_often(self) -> None:
        """Write in a thread of its own: a slow disk must not hold requests up."""
        while True:
            self._something.wait()
            self._many.wait(INTERVAL)
            self._something.clear()
            self._many.clear()
            self.flush()

    def flush(self) -> None:
        """Write what was gathered. What cannot be written is lost, with a line in the error log."""
        with self._writing:
            gathered = []
            while self._lines:
                gathered.append(self._lines.popleft())
            if not gathered:
                return
            data = memoryview("".join(gathered).encode("utf-8", "backslashreplace"))
            try:
                self._reopen()
                while data:
                    data = data[os.write(self._fd, data) :]
            except OSError as error:
                log.error("%d lines of the access log are lost: %s", len(gathered), error)

    def _reopen(self) -> None:
        """Follow the path: after a rotation it is another file, or none."""
        if self._fd == 1:
            return
        here = os.fstat(self._fd)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if there is None or (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev):
            fresh = self._open()
            os.close(self._fd)
            self._fd = fresh

    def close(self) -> None:
        """Write what was gathered and let go of the file."""
        self.flush()
        atexit.unregister(self.flush)
        if self._fd != 1:
            os.close(self._fd)


_second = 0
_stamp = ""


def _now() -> str:
    """The time, ISO 8601 in UTC; made once a second."""
    global _second, _stamp
    second = int(time.time())
    if second != _second:
        _second, _stamp = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    return _stamp


def _quotable(text: str) -> str:
    """The text without anything that would end the quotes or the line."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode().replace('"', "\\x22")


def line(environ: dict[str, Any], status: str, size: int, seconds: float) -> str:
    """Return the line of a request that was answered with ``size`` bytes of body."""
    call = environ.get(KEY)
    identity = environ.get(IDENTITY)
    path = environ.get("RAW_PATH_INFO") or environ.get("PATH_INFO", "")
    agent = environ.get("HTTP_USER_AGENT", "-")
    return (
        f"{_now()} {environ.get('REMOTE_ADDR') or '-'} "
        f"{identity.access_key if identity is not None else '-'} "
        f"{call.operation if call is not None else '-'} "
        f'"{environ["REQUEST_METHOD"]} {_quotable(path)}" {status[:3]} {size} '
        f'{seconds * 1000:.1f} {environ[REQUEST_ID]} "{_quotable(agent)}"\n'
    )
