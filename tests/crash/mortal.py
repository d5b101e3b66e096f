"""Verbs of the store in processes that die: ``python -m tests.crash.mortal``.

For each order, a line of JSON, a child is forked that opens the store, does the verb, and kills
itself with SIGKILL before system call number ``fatal`` of the store. The answer is a line of JSON:
the names of the calls that were made, whether the verb was done, and how the child ended. The
process that forks has no threads and opens no store.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from s3filters.store import Store, removing
from s3filters.store.uploads import Upload
from tests.crash import parted
from tests.crash.dying import STEPS, Steps, watch

Order = dict[str, Any]
ACKNOWLEDGED = b"acknowledged\n"


def put(store: Store, order: Order) -> None:
    """Store a part."""
    data = parted.body_of(order["name"], order["number"], order["turn"])
    parted.put_part(store, _upload(order), order["number"], data)


def complete(store: Store, order: Order) -> None:
    """Complete with parts, and see the end of the removal."""
    name = (parted.BUCKET, order["key"], order["id"])
    store.complete(name, order["numbers"], parted.describe)


def abort(store: Store, order: Order) -> None:
    """Abort an upload, and see the end of the removal."""
    store.end_upload(parted.BUCKET, order["key"], order["id"])


def create(store: Store, order: Order) -> None:
    """Begin an upload."""
    store.create_upload(_upload(order))


def configure(store: Store, order: Order) -> None:
    """Change one setting of a bucket."""
    value = order["value"] and order["value"].encode()
    store.configure_bucket(parted.BUCKET, lambda record: {order["setting"]: value})


VERBS: dict[str, Callable[[Store, Order], None]] = {
    "put": put, "complete": complete, "abort": abort, "create": create, "configure": configure,
}  # fmt: skip


def _upload(order: Order) -> Upload:
    return Upload(parted.BUCKET, order["key"], order["id"], 1)


class Countdown(Steps):
    """The steps to the fatal one, 0 for none, from the moment that it is set."""

    def __init__(self) -> None:
        super().__init__()
        self.fatal = -1
        self.out = -1

    def take(self, name: str) -> None:
        """Count a step, and die before it when it is the one."""
        if self.fatal < 0:
            return
        self._count += 1
        if self._count == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        os.write(self.out, name.encode() + b"\n")


def be_child(order: Order, countdown: Countdown) -> NoReturn:
    """Live, and never return."""
    code = 1
    try:
        live(order, countdown)
        code = 0
    except Exception:  # noqa: BLE001  the test that ordered it is to see it
        traceback.print_exc()
    finally:
        os._exit(code)


def live(order: Order, countdown: Countdown) -> None:
    """Be the child."""
    store = Store(order["root"], durability="full", placement=order["placement"])
    assert store.places_directly is (order["placement"] == "direct")
    countdown.fatal = order["fatal"]
    VERBS[order["verb"]](store, order)
    os.write(countdown.out, ACKNOWLEDGED)
    removing.settle()
    countdown.fatal = -1


def main() -> int:
    """Fork for each order."""
    countdown = Countdown()
    for module, names in STEPS.items():
        for name in names:
            watch(module, name, countdown)
    for line in sys.stdin:
        end, countdown.out = os.pipe()
        child = os.fork()
        if not child:
            be_child(json.loads(line), countdown)
        os.close(countdown.out)
        with open(end, "rb") as report:
            said = report.read()
        status = os.waitpid(child, 0)[1]
        answer = {
            "steps": said.replace(ACKNOWLEDGED, b"").decode().split(),
            "acknowledged": ACKNOWLEDGED in said,
            "killed": os.WIFSIGNALED(status),
            "failed": bool(os.WIFEXITED(status) and os.WEXITSTATUS(status)),
        }
        print(json.dumps(answer), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
