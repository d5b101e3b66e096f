"""Orders to processes that do a verb of the store and die, see ``mortal``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


class Mortals:
    """Processes that do a verb and die, see ``mortal``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.mortal"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def do(self, fatal: int, root: Path, **order: Any) -> dict[str, Any]:
        """Let one do a verb and die before system call number ``fatal``; 0: let it live."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        text = json.dumps({"fatal": fatal, "root": str(root), **order})
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert not answer["failed"]
        return answer

    def end(self) -> None:
        """Let no more live."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
