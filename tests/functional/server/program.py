"""The program that tests of processes run: serves a small app and says where.

``python program.py LISTEN KEY=VALUE...`` prints ``ready ENDPOINT`` and then obeys signals. The
app is loaded anew in each worker, and says what the file STATE said at that moment.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from s3filters import offload
from s3filters import options as ini
from s3filters.server.options import Options
from s3filters.server.runner import SECTION, serve

log = logging.getLogger("program")

STATE = Path(os.environ["STATE"])


def load() -> Callable[..., Iterable[bytes]]:
    """Read the state; fail as an app that cannot be loaded when it says so."""
    state = STATE.read_text()
    if state == "broken":
        raise ini.OptionError("[app:main] is broken")
    if state == "dying":
        os._exit(9)

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        return [answers[environ["PATH_INFO"]](environ, start_response)]

    def plain(start_response: Any, body: str) -> bytes:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return body.encode()

    def take(environ: dict[str, Any], start_response: Any) -> bytes:
        room, count = memoryview(bytearray(65536)), 0
        while got := environ["wsgi.input"].readinto(room):
            count += got
        return plain(start_response, str(count))

    def sleep(environ: dict[str, Any], start_response: Any) -> bytes:
        offload.run(time.sleep, float(environ["QUERY_STRING"]))
        return plain(start_response, "slept")

    answers = {
        "/": lambda environ, start: plain(start, state),
        "/pid": lambda environ, start: plain(start, str(os.getpid())),
        "/take": take,
        "/sleep": sleep,
    }
    vars(app)["end"] = lambda: log.info("%s looks after nothing any more", state)
    return app


def main() -> int:
    """Serve as the command line says."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    given = dict(word.split("=", 1) for word in sys.argv[2:])
    options = ini.read(Options, SECTION, {}, {"listen": sys.argv[1], **given})
    return serve(load, options, on_ready=lambda found: print("ready", *found, flush=True))


if __name__ == "__main__":
    sys.exit(main())
