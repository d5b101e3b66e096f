"""``s3filters uploads``: shows multipart uploads that were begun and not completed, and ends them.

They hold disk space that no listing of objects shows. Both commands work on the folder itself,
beside any number of daemons that serve it: what ends an upload here holds the same lock as they.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3filters import offload
from s3filters.backends.fs import FsBackend, upkeep
from s3filters.backends.fs.upkeep import Held
from s3filters.commands.amounts import count, human, printable
from s3filters.commands.configuration import Configuration
from s3filters.commands.errors import CommandError, UsageError
from s3filters.commands.moments import duration
from s3filters.s3.errors import S3Error

_UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_ROW = "{:>6}  {:<20}  {:>5}  {:>10}  {:>10}  {:<36}  {}"
_HEAD = _ROW.format("AGE", "INITIATED", "PARTS", "BYTES", "ON DISK", "UPLOAD ID", "BUCKET/KEY")


def declare(commands: Any) -> None:
    """Add ``s3filters uploads``."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "uploads",
        help="show multipart uploads that are in progress, or end them",
        description="Show multipart uploads that are in progress, with what they hold, or end them."
        " Daemons may serve the same folder meanwhile.",
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _declare_list(actions)
    _declare_abort(actions)


def _declare_list(actions: Any) -> None:
    action = actions.add_parser(
        "list",
        help="show uploads in progress",
        description="Show uploads in progress: age, when each was begun, parts, bytes of the parts,"
        " bytes of disk, id, bucket and key, and the sum of all. They stand in no order.",
        allow_abbrev=False,
    )
    _declare_common(action)
    action.add_argument("--json", action="store_true", help="print a JSON document, sizes in bytes")
    action.set_defaults(run=show)


def _declare_abort(actions: Any) -> None:
    action = actions.add_parser(
        "abort",
        help="end uploads in progress; their parts are removed",
        description="End one upload, named by --bucket, --key and --id, or all that --older-than"
        " selects, but for those that are in use: begun or given a part within the last day (or"
        " within AGE, when that is less). What was uploaded for them is removed; objects stay as"
        " they are.",
        allow_abbrev=False,
    )
    _declare_common(action)
    action.add_argument("--key", help="key of the one upload to end")
    action.add_argument("--id", metavar="UUID", help="id of the one upload to end")
    action.add_argument(
        "--force", action="store_true", help="with --older-than: end those that are in use too"
    )
    action.add_argument("--dry-run", action="store_true", help="say what would be ended, end none")
    action.add_argument("--yes", action="store_true", help="do not ask before ending several")
    action.set_defaults(run=abort)


def _declare_common(action: argparse.ArgumentParser) -> None:
    where = action.add_mutually_exclusive_group()
    where.add_argument(
        "--conf", "--config", type=Path, metavar="INI", help="the ini that the daemon serves"
    )
    where.add_argument("--root", metavar="DIR", help="the folder whose sub-folders are the buckets")
    action.add_argument("--bucket", default="", help="uploads to this bucket alone")
    action.add_argument("--prefix", default="", help="uploads whose key begins with this")
    action.add_argument(
        "--older-than",
        type=_age,
        metavar="AGE",
        help="uploads begun longer ago than this: a number and s, m, h, d or w, such as 7d",
    )


def _age(text: str) -> int:
    """Return seconds. A bare number is refused: 7 for 7d would select all that is in progress."""
    if text[-1:].isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: say a unit too, as in 12h or 7d")
    return duration(text)


# Listing -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Sum:
    """What has been shown or ended so far."""

    uploads: int = 0
    parts: int = 0
    bytes: int = 0
    disk_bytes: int = 0

    def add(self, upload: Held) -> None:
        self.uploads += 1
        self.parts += upload.parts
        self.bytes += upload.size
        self.disk_bytes += upload.disk

    def __str__(self) -> str:
        return (
            f"{count(self.uploads, 'upload')}, {count(self.parts, 'part')},"
            f" {human(self.bytes)}, {human(self.disk_bytes)} on disk"
        )


def show(arguments: argparse.Namespace) -> int:
    """List uploads, one line each as they are found."""
    with _opened(arguments) as backend:
        (_show_json if arguments.json else _show_table)(_selected(backend, arguments))
    return 0


def _show_table(found: Iterator[Held]) -> None:
    total = _Sum()
    for upload in found:
        if not total.uploads:
            print(_HEAD)
        print(_line(upload))
        total.add(upload)
    print(f"Total: {total}" if total.uploads else "No uploads are in progress.")


def _show_json(found: Iterator[Held]) -> None:
    """Print ``{"uploads": [...], "total": {...}}``, an upload a line: none is kept in memory."""
    total = _Sum()
    print('{"uploads": [', end="")
    for upload in found:
        print("," if total.uploads else "", end="\n")
        print(json.dumps(_described(upload)), end="")
        total.add(upload)
    sums = {name: getattr(total, name) for name in _Sum.__slots__}
    print(f'\n], "total": {json.dumps(sums)}}}')


def _described(upload: Held) -> dict[str, Any]:
    return {
        "bucket": upload.bucket,
        "key": upload.key,
        "id": upload.id,
        "initiated": _time(upload.initiated_ns),
        "age_seconds": int(_age_s(upload)),
        "parts": upload.parts,
        "bytes": upload.size,
        "disk_bytes": upload.disk,
    }


def _line(upload: Held) -> str:
    name = f"{upload.bucket}/{upload.key}"
    return _ROW.format(
        _brief(_age_s(upload)),
        _time(upload.initiated_ns),
        upload.parts,
        human(upload.size),
        human(upload.disk),
        upload.id,
        printable(name),
    )


# Ending ------------------------------------------------------------------------------------------


def abort(arguments: argparse.Namespace) -> int:
    """End one upload or several; return 1 when one could not be ended."""
    named = _is_named(arguments)
    with _opened(arguments) as backend:
        if named:
            found = iter([_named(backend, arguments)])
        else:
            arguments.before_ns = time.time_ns() - arguments.older_than * 10**9
            if not (arguments.dry_run or arguments.yes or _agreed(backend, arguments)):
                print("Nothing was ended.")
                return 1
            found = _idle(backend, arguments, print)
        if arguments.dry_run:
            return _end_all(found, lambda _upload: None, "Would end", "would be freed")
        return _end_all(found, lambda one: upkeep.end(backend.store, one), "Ended", "freed")


def _idle(
    backend: FsBackend, arguments: argparse.Namespace, tell: Callable[[str], object]
) -> Iterator[Held]:
    """Yield what --older-than selects and nobody uses, as the daemon's own clean-up has it.

    :param tell: called with a line for each that is in use
    """
    grace_s = 0 if arguments.force else min(arguments.older_than, upkeep.IDLE_S)
    for upload in _selected(backend, arguments):
        idle_s = time.time() - upload.used_ns / 1e9
        if idle_s >= grace_s:
            yield upload
        else:
            tell(f"Left, used {_brief(max(0.0, idle_s))} ago: {_line(upload).strip()}")


def _is_named(arguments: argparse.Namespace) -> bool:
    """Return whether one upload is named. Raise UsageError when it is not clear what is meant."""
    named = arguments.id is not None or arguments.key is not None
    if named and arguments.older_than is not None:
        raise UsageError("--older-than selects uploads; --id and --key name one: say either")
    if named and not (arguments.id and arguments.key and arguments.bucket):
        raise UsageError("to end one upload, say --bucket, --key and --id")
    if named and arguments.force:
        raise UsageError("--force is for what --older-than selects; --id and --key name one")
    if named and arguments.prefix:
        raise UsageError("--prefix selects uploads; --id and --key name one: say either")
    if not named and arguments.older_than is None:
        raise UsageError("say --older-than, or --bucket, --key and --id of one upload")
    return named


def _named(backend: FsBackend, arguments: argparse.Namespace) -> Held:
    return upkeep.one(backend.store, arguments.bucket, arguments.key, arguments.id)


def _agreed(backend: FsBackend, arguments: argparse.Namespace) -> bool:
    """Show what would be ended, and ask."""
    if not sys.stdin.isatty():
        raise UsageError("this may end several uploads: say --yes, or --dry-run to see them")
    total = _Sum()
    for upload in _idle(backend, arguments, lambda _line: None):
        print(_line(upload))
        total.add(upload)
    try:
        return input(f"End {total}? [y/N] ").strip().lower() in ("y", "yes")
    except (EOFError, KeyboardInterrupt):
        print()
        return False


def _end_all(found: Iterator[Held], end: Callable[[Held], None], word: str, freed: str) -> int:
    total = _Sum()
    failed = 0
    for upload in found:
        try:
            end(upload)
        except S3Error as error:
            if error.code != "NoSuchUpload":  # somebody else ended it: that is what was wanted
                print(f"Not ended: {_line(upload).strip()}: {_words(error)}", file=sys.stderr)
                failed = 1
            continue
        print(f"{word} {_line(upload).strip()}")
        total.add(upload)
    print(f"{word} {count(total.uploads, 'upload')}, {human(total.disk_bytes)} {freed}.")
    return failed


# Both --------------------------------------------------------------------------------------------


@contextmanager
def _opened(arguments: argparse.Namespace) -> Iterator[FsBackend]:
    """Open the folder that the ini serves. Raise UsageError, CommandError for what S3 refuses."""
    flags = {} if arguments.root is None else {"root": arguments.root}
    configuration = Configuration(arguments.conf, flags)
    if not configuration.uses("fs"):
        raise UsageError(
            f"{configuration.path} does not serve a folder: it has no egg:s3filters#fs"
        )
    root, durability = (configuration.value(name) for name in ("root", "durability"))
    try:
        backend = FsBackend.at(root, offload, "", durability=durability)
    except OSError as error:
        hint = "" if flags or arguments.conf else "; say --root DIR or --conf INI"
        raise CommandError(f"root {root}: {error.strerror}{hint}") from error
    except ValueError as error:
        raise CommandError(f"root {root}: {error}") from error
    try:
        yield backend
    except S3Error as error:
        raise CommandError(_words(error)) from error
    finally:
        backend.store.close()


def _words(error: S3Error) -> str:
    """Return what is wrong, and where the kernel said so."""
    return " ".join([error.message, *(f"({n})" for n in getattr(error.__cause__, "__notes__", ()))])


def _selected(backend: FsBackend, arguments: argparse.Namespace) -> Iterator[Held]:
    before_ns = getattr(arguments, "before_ns", None)
    if before_ns is None and arguments.older_than is not None:
        before_ns = time.time_ns() - arguments.older_than * 10**9
    return upkeep.held(backend.store, arguments.bucket, arguments.prefix, before_ns)


def _age_s(upload: Held) -> float:
    return max(0.0, time.time() - upload.initiated_ns / 1e9)


def _time(ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns / 1e9))


def _brief(seconds: float) -> str:
    """Return an age in its largest unit of which there are two or more: 13d, 47h, 90s."""
    unit = next((name for name, length in _UNITS.items() if seconds >= 2 * length), "s")
    return f"{int(seconds / _UNITS[unit])}{unit}"
