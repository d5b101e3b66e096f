"""``s3filters restore``: asks for all objects below a prefix that are on tape.

It can be ended at any time and run again: what is here, or on its way, is not asked for a second
time, because where each object is, is looked up and not remembered. No more is in memory than one
batch of objects, what is waited for with ``--wait``, and what failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future
from concurrent.futures import wait as wait_for
from itertools import islice
from typing import Any, NamedTuple

from s3filters.backends.fs.recall import FAILED, OFFLINE, ONLINE, RESTORED, STAGING
from s3filters.commands import shelves
from s3filters.commands.amounts import count, human, printable
from s3filters.commands.cold import Tally
from s3filters.commands.errors import INTERRUPTED, CommandError
from s3filters.commands.meter import Meter, bar
from s3filters.commands.moments import duration
from s3filters.commands.shelves import HERE, ON_TAPE, Object, Refused, Shelf
from s3filters.s3.restore import DEFAULT_TIER, DESCRIPTION_CHARACTERS, TIERS, RestoreRequest

BATCH = 10_000  # objects that are put into the archiver's order
_PATIENCE = 20  # looks in a row that nobody answered, before waiting ends
_SHOWN = 100  # failures that are printed; --json has all

# What is refused for all objects alike, so that asking for more of them is of no use.
_HOPELESS = frozenset(
    (
        "NotImplemented",
        "NoSuchBucket",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "NoCredentialsError",
        "MalformedXML",
    )
)


def declare(commands: Any) -> None:
    """Add ``s3filters restore``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "restore",
        help="ask for all objects below a prefix that are on tape",
        description="Ask for all objects below a prefix whose data are on tape. What is here, or"
        " on its way, is not asked for again, so this can be run as often as it takes. The exit"
        " status is 1 when some could not be asked for, or did not come back.",
        allow_abbrev=False,
    )
    shelves.declare(parser)
    parser.add_argument(
        "--days", type=_days, required=True, help="how long they stay, once they are back"
    )
    parser.add_argument(
        "--tier", choices=TIERS, default=DEFAULT_TIER, help=f"how fast (default {DEFAULT_TIER})"
    )
    parser.add_argument("--description", type=_description, default="", help="a word about it")
    parser.add_argument(
        "--again",
        action="store_true",
        help="ask also for what is being staged, as a faster tier may, and for what is restored,"
        " whose days are counted anew",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked for")
    parser.add_argument("--wait", action="store_true", help="wait until all are back")
    parser.add_argument(
        "--interval",
        type=_interval,
        default=30,
        metavar="TIME",
        help="time between two looks with --wait (default 30s)",
    )
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="show how far it is: a bar on a terminal (the default there), lines elsewhere",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON document, for programs")
    parser.set_defaults(run=run)


def _days(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) < 1 << 31:
        raise argparse.ArgumentTypeError(f"{text!r}: say a number of days, 1 or more")
    return int(text)


def _interval(text: str) -> int:
    return max(1, duration(text))


def _description(text: str) -> str:
    if len(text) > DESCRIPTION_CHARACTERS:
        raise argparse.ArgumentTypeError(f"at most {DESCRIPTION_CHARACTERS} characters")
    return text


class Failure(NamedTuple):
    """An object that could not be asked for or did not come back."""

    key: str
    code: str
    message: str


class Run:
    """One run of the command over the objects of a shelf.

    ``tally`` counts each object as online, staging or failed, and ``asked`` those for which this
    run asked; ``awaited`` maps what is on its way to its size, and is kept with --wait alone.
    """

    def __init__(self, shelf: Shelf, arguments: argparse.Namespace, meter: Meter) -> None:
        self._shelf = shelf
        self._arguments = arguments
        self._meter = meter
        self._wanted = RestoreRequest(arguments.days, arguments.tier, arguments.description)
        self._under_way: dict[Future[int], Object] = {}
        self.tally = Tally()
        self.asked = Tally()
        self.awaited: dict[str, int] = {}
        self.failures: list[Failure] = []
        self.interrupted = False

    # asking

    def ask(self) -> None:
        """Ask for all that is on tape. Raise CommandError when nothing can be asked for."""
        try:
            for batch in _batches(self._shelf.objects(self._arguments.url[1])):
                for one in sorted(batch, key=lambda one: one.hint):
                    self._consider(one)
                while self._under_way:
                    self._collect()
                if self.asked.objects([OFFLINE]) and not self._arguments.dry_run:
                    self._shelf.settle()
        except BaseException:
            self._drain()
            raise

    def _consider(self, one: Object) -> None:
        wanted = one.state in ON_TAPE
        if self._arguments.again:
            wanted = wanted or one.state in (STAGING, RESTORED)
        if not wanted:
            self._count(one, ONLINE if one.state in HERE else one.state)
        elif self._arguments.dry_run:
            self.asked.add(OFFLINE, one.size)
        else:
            # One for each thread, and as many that wait for one: no thread is ever idle.
            while len(self._under_way) >= 2 * self._shelf.in_flight:
                self._collect()
            asked = self._shelf.pool.submit(self._shelf.restore, one.key, self._wanted)
            self._under_way[asked] = one
        self._meter.show(f"asking: {self._words()}")

    def _collect(self) -> None:
        """Wait for an answer, and take in all that are there."""
        done, _ = wait_for(self._under_way, return_when=FIRST_COMPLETED)
        for answer in done:
            self._take_in(self._under_way.pop(answer), answer)
        self._meter.show(f"asking: {self._words()}")

    def _take_in(self, one: Object, answer: Future[int]) -> None:
        try:
            status = answer.result()
        except Refused as refused:
            if refused.code == "NoSuchKey":  # it was deleted since it was listed
                return
            if refused.code == "RestoreAlreadyInProgress":
                self._count(one, STAGING)
                return
            if refused.code in _HOPELESS:
                raise CommandError(f"{refused.code}: {refused.message}") from refused
            self._fail(one.key, one.size, refused.code, refused.message)
            return
        self.asked.add(OFFLINE, one.size)
        self._count(one, ONLINE if status == 200 else STAGING)

    def _drain(self) -> None:
        """Give up what no thread has begun, and take in the rest."""
        for answer, one in list(self._under_way.items()):
            if not answer.cancel():
                wait_for([answer])
                if answer.exception() is None:
                    self._take_in(one, answer)
        self._under_way.clear()

    def _count(self, one: Object, state: str) -> None:
        self.tally.add(state, one.size)
        if state == STAGING and self._arguments.wait:
            self.awaited[one.key] = one.size

    def _fail(self, key: str, size: int, code: str, message: str) -> None:
        self.tally.add(FAILED, size)
        self.failures.append(Failure(key, code, message))

    # waiting

    def wait(self) -> None:
        """Look from time to time until all that is on its way is here, or is not any more."""
        pause_s, unanswered = 0.0, 0
        missed: set[str] = set()
        while self.awaited:
            self._meter.show(self._words(), now=True)
            time.sleep(pause_s)
            began = time.monotonic()
            try:
                missed = self._look(missed)
                unanswered = 0
            except CommandError:
                unanswered += 1
                if unanswered >= _PATIENCE:
                    raise
            # A listing of millions takes longer than the interval: most of the time nobody asks.
            pause_s = max(self._arguments.interval, 2 * (time.monotonic() - began))
        self._meter.show(self._words(), now=True)

    def _look(self, missed: set[str]) -> set[str]:
        """Take in what has changed; return what is on tape and not on its way.

        :param missed: what was it at the last look: what is it twice has failed. Once is not
            enough, as the archiver may take its flag away just before the last block is there.
        """
        again: set[str] = set()
        gone = set(self.awaited)
        for one in self._shelf.objects(self._arguments.url[1]):
            if one.key not in self.awaited:
                continue
            gone.discard(one.key)
            if one.state in HERE:
                self._back(one.key, ONLINE)
            elif one.state == FAILED or (one.state in ON_TAPE and one.key in missed):
                self._lost(one)
            elif one.state in ON_TAPE:
                again.add(one.key)
            self._meter.show(self._words())
        for key in gone:  # deleted meanwhile: nobody waits for it any more
            self.tally.add(STAGING, self.awaited.pop(key), -1)
        return again

    def _back(self, key: str, state: str) -> None:
        self.tally.move(self.awaited.pop(key), STAGING, state)

    def _lost(self, one: Object) -> None:
        self._back(one.key, FAILED)
        self.failures.append(Failure(one.key, "NotStaged", "the archiver did not bring it back"))

    # telling

    def _words(self) -> str:
        words = ", ".join(self.tally.words(state) for state in (ONLINE, STAGING, FAILED))
        if not self._arguments.wait or self._under_way:
            return words
        sizes = {state: self.tally.bytes([state]) for state in (ONLINE, STAGING, FAILED)}
        return f"{bar(sum(sizes.values()) - sizes[STAGING], sum(sizes.values()))} {words}"

    def fields(self) -> dict[str, Any]:
        """Return what a program is told."""
        states = {state: self.tally.fields(state) for state in (ONLINE, STAGING, FAILED)}
        failures = [failure._asdict() for failure in self.failures]
        return {
            "asked": self.asked.fields(OFFLINE),
            **states,
            "failures": failures,
            "dry_run": self._arguments.dry_run,
            "interrupted": self.interrupted,
        }

    def report(self) -> None:
        """Print the sums on standard output, and what failed on standard error."""
        if self._arguments.json:
            print(json.dumps(self.fields(), indent=2))
            return
        for failure in self.failures[:_SHOWN]:
            words = f"Failed: {printable(failure.key)}: {failure.code}: {failure.message}"
            print(words, file=sys.stderr)
        if len(self.failures) > _SHOWN:
            more = len(self.failures) - _SHOWN
            print(f"... and {more} more; --json has all", file=sys.stderr)
        asked = count(self.asked.objects([OFFLINE]), "object")
        word = "Would ask for" if self._arguments.dry_run else "Asked for"
        size = human(self.asked.bytes([OFFLINE]))
        states = ", ".join(self.tally.words(state) for state in (ONLINE, STAGING, FAILED))
        print(f"{word} {asked}, {size}. Now: {states}.")


def _batches(objects: Iterator[Object]) -> Iterable[list[Object]]:
    while batch := list(islice(objects, BATCH)):
        yield batch


def run(arguments: argparse.Namespace) -> int:
    """Ask, and wait if that is wanted; return 1 when something failed."""
    meter = Meter(sys.stderr, arguments.progress)
    with shelves.opened(arguments) as shelf:
        this = Run(shelf, arguments, meter)
        try:
            this.ask()
            if arguments.wait and not arguments.dry_run:
                this.wait()
        except KeyboardInterrupt:
            this.interrupted = True
        except CommandError:  # what was done until then is told all the same
            meter.clear()
            if this.asked.objects([OFFLINE]) or this.failures:
                this.report()
            raise
        finally:
            meter.clear()
        this.report()
        if this.interrupted:
            print("Interrupted. Run it again to ask for the rest.", file=sys.stderr)
            return INTERRUPTED
    return 1 if this.failures else 0
