"""``s3filters cold``: shows where the data of objects are, one by one or all together."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from typing import Any

from s3filters.backends.fs.recall import STAGING
from s3filters.commands import shelves
from s3filters.commands.amounts import count, human, printable
from s3filters.commands.shelves import HERE, ON_TAPE, STATES, Object

_ROW = "{:<8}  {:>10}  {:<12}  {:<16}  {}"
_TOTAL = "{:<8}  {:>10}  {:>10}"
_ABOUT = (
    "online: all data are here. restored: they are, until a day. staging: they are being brought"
    " back. offline: they are on tape. partly: some are. failed: the archiver gave up, which a"
    " folder tells and an endpoint does not."
)


def declare(commands: Any) -> None:
    """Add ``s3filters cold``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "cold",
        help="show which objects are on tape, and what is being brought back",
        description=f"Show where the data of objects are. {_ABOUT}",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _declare_ls(actions)
    action = actions.add_parser(
        "status",
        help="how many objects and bytes are where",
        description=f"Show how many objects and bytes are where. {_ABOUT}",
        allow_abbrev=False,
    )
    shelves.declare(action)
    action.add_argument("--json", action="store_true", help="print a JSON document, for programs")
    action.set_defaults(run=status)


def _declare_ls(actions: Any) -> None:
    action = actions.add_parser(
        "ls",
        help="a line for each object",
        description=f"Show a line for each object: state, size, storage class, until when a"
        f" restored one stays (UTC), and key. {_ABOUT}",
        allow_abbrev=False,
    )
    shelves.declare(action)
    action.add_argument(
        "--state",
        action="append",
        choices=STATES,
        help="show these alone; may be said several times",
    )
    action.add_argument("--json", action="store_true", help="print a JSON document, sizes in bytes")
    action.set_defaults(run=ls)


class Tally:
    """How many objects and bytes there are of each state."""

    def __init__(self) -> None:
        self._sums: dict[str, list[int]] = {}

    def add(self, state: str, size: int, objects: int = 1) -> None:
        """Count an object; with a negative number take one away."""
        sums = self._sums.setdefault(state, [0, 0])
        sums[0] += objects
        sums[1] += size if objects > 0 else -size

    def move(self, size: int, before: str, after: str) -> None:
        """Count an object of one state as one of another."""
        self.add(before, size, -1)
        self.add(after, size)

    def objects(self, states: Iterable[str]) -> int:
        """Return how many objects there are of these states."""
        return sum(self._sums.get(state, (0, 0))[0] for state in states)

    def bytes(self, states: Iterable[str]) -> int:
        """Return how many bytes the objects of these states have."""
        return sum(self._sums.get(state, (0, 0))[1] for state in states)

    def fields(self, *states: str) -> dict[str, Any]:
        """Return what a program is told of one state, or of several together."""
        return {"objects": self.objects(states), "bytes": self.bytes(states)}

    def words(self, state: str) -> str:
        """Return a state with its numbers: staging 12 (3.0 GiB), failed 0."""
        number = self.objects([state])
        return f"{state} {number} ({human(self.bytes([state]))})" if number else f"{state} 0"


# The two actions ---------------------------------------------------------------------------------


def ls(arguments: argparse.Namespace) -> int:
    """List objects, one line each as they are found."""
    wanted = arguments.state or STATES
    tally = Tally()
    with shelves.opened(arguments) as shelf:
        found = (one for one in shelf.objects(arguments.url[1]) if one.state in wanted)
        if arguments.json:
            _print_json(found, tally)
            return 0
        for one in found:
            if not tally.objects(STATES):
                print(_ROW.format("STATE", "BYTES", "CLASS", "UNTIL", "KEY"))
            tally.add(one.state, one.size)
            print(_line(one))
        number, size = tally.objects(STATES), tally.bytes(STATES)
        print(f"Total: {count(number, 'object')}, {human(size)}" if number else "No objects.")
    return 0


def _print_json(found: Iterable[Object], tally: Tally) -> None:
    """Print ``{"objects": [...], "total": {...}}``, an object a line: none is kept in memory."""
    print('{"objects": [', end="")
    for one in found:
        print("," if tally.objects(STATES) else "", end="\n")
        tally.add(one.state, one.size)
        print(json.dumps(_described(one)), end="")
    print(f'\n], "total": {json.dumps(tally.fields(*STATES))}}}')


def _described(one: Object) -> dict[str, Any]:
    told = {
        "key": one.key,
        "size": one.size,
        "state": one.state,
        "storage_class": one.storage_class,
    }
    return told | ({"until": _time("%Y-%m-%dT%H:%M:%SZ", one.end_s)} if one.end_s else {})


def _line(one: Object) -> str:
    until = _time("%Y-%m-%d %H:%M", one.end_s) if one.end_s else "-"
    return _ROW.format(one.state, human(one.size), one.storage_class, until, printable(one.key))


def _time(form: str, seconds: int) -> str:
    return time.strftime(form, time.gmtime(seconds))


def status(arguments: argparse.Namespace) -> int:
    """Show how much there is of each state."""
    tally = Tally()
    with shelves.opened(arguments) as shelf:
        for one in shelf.objects(arguments.url[1]):
            tally.add(one.state, one.size)
        if arguments.json:
            sums = {state: tally.fields(state) for state in STATES}
            print(json.dumps(sums | {"total": tally.fields(*STATES)}, indent=2))
            return 0
        print(_TOTAL.format("STATE", "OBJECTS", "BYTES"))
        for state in STATES:
            _print_sum(tally, state, [state])
        _print_sum(tally, "total", STATES)
        away = tally.bytes([*ON_TAPE, STAGING])
        if away:
            here = tally.bytes(HERE)
            print(f"{here * 100 // (here + away)}% of the bytes are here.")
    return 0


def _print_sum(tally: Tally, word: str, states: Iterable[str]) -> None:
    print(_TOTAL.format(word, tally.objects(states), human(tally.bytes(states))))
