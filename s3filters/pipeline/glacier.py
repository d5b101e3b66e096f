"""glacier: objects whose bytes are on tape behave as S3's GLACIER storage class.

On ScoutFS it puts a Tiering into the call: answers then tell where an object's data are, reads of
what is on tape are refused before any byte is touched, and cold storage classes can be asked for.
RestoreObject is read here, and done by the backend at the end of the pipeline. What the file system
is, is found out once, when the pipeline is made: elsewhere than on ScoutFS no object is ever on
tape, and the filter has nothing to do with anything but RestoreObject.

Ini options of ``[filter:glacier]`` are the fields of Options below.

Gates RestoreObject; on ScoutFS what reads, lists, copies and stores objects too.
"""

from __future__ import annotations

import logging
import os
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, ClassVar
from urllib.parse import urlsplit

from s3filters import options
from s3filters.backends.fs.cold import Tiering
from s3filters.events import outlets
from s3filters.events.events import Events
from s3filters.pipeline.base import App, Filter, say_once
from s3filters.s3 import restore, rules
from s3filters.s3.call import Call
from s3filters.s3.errors import S3Error
from s3filters.tiers import command, scoutam
from s3filters.tiers.base import ARCHIVE, Driver, Settings

log = logging.getLogger("s3filters.pipeline")

SECTION = "filter:glacier"
GROUP = "s3filters.tier"  # entry points of other packages, each a factory as these
COMMANDS = ("archive_command", "stage_command", "release_command")
GATHER_S = 1.0  # between the first request and its batch
DRIVERS: dict[str, Callable[[Settings], Driver]] = {
    "scoutam": scoutam.factory,
    "command": command.factory,
}


@dataclass(frozen=True, slots=True)
class Options:
    """Options of glacier."""

    restore_header: str = options.option(
        "versity",
        options.choice("versity", "aws"),
        "What x-amz-restore says: versity = always something, as Versity's gateway has it; aws = "
        "nothing of an object that nobody asked back. With aws, restoring what is not archived is "
        "refused.",
    )
    cold_at_once: bool = options.option(
        False,
        options.boolean,
        "Show an object that was put as GLACIER or DEEP_ARCHIVE as archived at once, as AWS does, "
        "and not when its data are on tape.",
    )
    online_ranges: bool = options.option(
        False,
        options.boolean,
        "Serve a range, or a part, of an object of which other bytes are on tape, if its own are "
        "here.",
    )
    driver: str = options.option(
        "scoutam",
        options.text,
        "Who is asked to archive and stage: scoutam = ScoutAM, by its flag; command = programs of "
        "this site; none; or what a package offers.",
    )
    archive_command: tuple[str, ...] = options.option(
        (),
        options.command,
        "Program that writes files to tape and releases them: paths on standard input, each ended "
        "by NUL. Without it no cold storage class can be asked for.",
    )
    stage_command: tuple[str, ...] = options.option(
        (), options.command, "Program that brings the data of files back, called the same way."
    )
    release_command: tuple[str, ...] = options.option(
        (),
        options.command,
        "Program that releases files whose restore has ended, called the same way.",
    )
    watch_interval: int = options.option(
        60,
        options.whole(1),
        "Seconds between two looks at what was asked back: whether it is here, or its days over.",
    )
    events_file: str = options.option(
        "",
        options.text,
        "File that gets a line of JSON, S3's event message, when a restore is asked for, is here, "
        "and is over.",
    )
    events_url: str = options.option(
        "", outlets.check_url, "URL, http or https, that gets the same messages by POST."
    )
    events_timeout: int = options.option(
        10, options.whole(1, 3600), "Seconds that the URL may take to say anything."
    )
    events_folder: str = options.option(
        "",
        options.text,
        "Folder where messages are that nobody has got yet; empty = .sgwtmp/events of the root.",
    )
    events_waiting: int = options.option(
        100000,
        options.whole(1),
        "Messages that may wait there, for the file and for the URL each. Then RestoreObject is "
        "answered SlowDown, and nothing more is seen to be here or over, until some were taken.",
    )
    command_timeout: int = options.option(
        3600, options.whole(1), "Seconds after which a program is ended and counts as failed."
    )
    command_batch: int = options.option(
        1000,
        options.whole(1),
        "Paths that a program, or other driver, gets at most at a time.",
    )
    command_retries: int = options.option(
        5, options.whole(0, 100), "How often what failed is tried again, later each time."
    )


class Glacier(Filter):
    """Tells the backend how archived objects behave."""

    gates: ClassVar[dict[str, str]] = {
        "RestoreObject": "restore",
        **dict.fromkeys(
            (
                "GetObject",
                "HeadObject",
                "GetObjectAttributes",
                "ListObjects",
                "ListObjectsV2",
                "ListObjectVersions",
                "UploadPartCopy",
            ),
            "read",
        ),
        **dict.fromkeys(
            (
                "PutObject",
                "PostObject",
                "CopyObject",
                "CreateMultipartUpload",
                "CompleteMultipartUpload",
            ),
            "store",
        ),
    }

    def __init__(self, app: App, settings: Options) -> None:
        super().__init__(app)
        end = _end(app)
        tiers = end is not None and end.has_tiers()
        if tiers:
            check(settings)
        given = settings_of(settings, end)
        driver = driver_of(settings, given)
        self._tiering = Tiering(
            driver,
            as_aws=settings.restore_header == "aws",
            at_once=settings.cold_at_once,
            ranges=settings.online_ranges,
            events=events_of(settings, end) if tiers else None,
        )
        self._archives = driver is not None and not driver.cannot(ARCHIVE)
        if not tiers:
            self._gates = {"RestoreObject": self.restore}
            if any(given.commands.values()):
                log.warning("[%s] has commands, but no object can be on tape here.", SECTION)
        else:
            say_once(_found(settings))
            end.watch_restores(driver, given, settings.watch_interval, self._tiering.events)

    def read(self, call: Call) -> None:
        """Let the answer tell where the data are."""
        call.tiering = self._tiering

    def store(self, call: Call) -> None:
        """Let a cold class be asked for, where somebody sees to it."""
        call.tiering = self._tiering
        call.tiered = self._archives

    def restore(self, call: Call) -> None:
        """Read what is asked. Raise MalformedXML, NotImplemented."""
        if call.body is None:
            raise S3Error("MalformedXML")
        call.params["Restore"] = restore.parse(call.body.read(rules.XML_BYTES))
        call.tiering = self._tiering


def _end(app: Any) -> Any:
    """Return the app at the end of the pipeline if its objects may be on tape, else None."""
    while app is not None and not hasattr(app, "has_tiers"):
        app = getattr(app, "app", None)
    return app


def check(settings: Options) -> None:
    """Raise OptionError for a program, or the folder of a file, that is not there."""
    used = () if settings.driver == "none" else COMMANDS
    for name in used:
        words = getattr(settings, name)
        if words and shutil.which(words[0]) is None:
            raise _error(name, shlex.join(words), f"there is no program {words[0]}")
    file = settings.events_file
    folder = os.path.dirname(os.path.abspath(file))
    if not file:
        return
    if not os.path.isdir(folder):
        raise _error("events_file", file, f"there is no folder {folder}")
    if os.path.isdir(file):
        raise _error("events_file", file, "this is a folder")
    if not os.access(file if os.path.exists(file) else folder, os.W_OK):
        raise _error("events_file", file, "this may not be written")


def _error(name: str, value: str, why: str) -> options.OptionError:
    return options.OptionError(f"[{SECTION}] {name} = {value}: {why}")


def _found(settings: Options) -> tuple[str, ...]:
    """Return what the log says at the start: who is asked and told, and what is missing."""
    program = settings.stage_command[0] if settings.stage_command else "nobody"
    asked = {"none": "nobody", "command": program}.get(settings.driver, settings.driver)
    told = [settings.events_file] if settings.events_file else []
    if settings.events_url:
        url = urlsplit(settings.events_url)
        told.append(f"{url.scheme}://{url.netloc}")  # what follows may be a secret
    where = f"to {' and '.join(told)}" if told else "nowhere"
    missing = []
    if settings.driver == "command" and not settings.stage_command:
        missing.append(f"[{SECTION}] driver = command without stage_command brings nothing back")
    return f"restores are asked of {asked}; events go {where}", *missing


def events_of(settings: Options, end: Any) -> Events | None:
    """Return where restores are told of, None when it is nowhere.

    :param end: the app at the end of the pipeline
    """
    if not settings.events_file and not settings.events_url:
        return None
    folder, node, durable = end.spool()
    webhook = None
    if settings.events_url:
        webhook = outlets.Webhook(settings.events_url, settings.events_timeout)
    return Events(
        settings.events_folder or folder,
        node,
        settings.events_waiting,
        file=settings.events_file,
        webhook=webhook,
        durable=durable,
    )


def settings_of(settings: Options, end: Any) -> Settings:
    """Return what a driver is made from.

    :param end: the app at the end of the pipeline or its backend, None when it has no tiers
    """
    commands = {
        "archive": settings.archive_command,
        "stage": settings.stage_command,
        "release": settings.release_command,
    }
    return Settings(
        commands,
        timeout_s=settings.command_timeout,
        wait_s=GATHER_S,
        batch=settings.command_batch,
        retries=settings.command_retries,
        privileged=end is None or end.can_flag(),
        open=None if end is None else end.opened,
    )


def driver_of(settings: Options, given: Settings) -> Driver | None:
    """Return the driver that the options name. Raise OptionError when there is no such one."""
    if settings.driver == "none":
        return None
    factory = DRIVERS.get(settings.driver)
    if factory is None:
        offered = {entry.name: entry for entry in entry_points(group=GROUP)}
        if settings.driver not in offered:
            names = ", ".join([*DRIVERS, "none", *sorted(offered)])
            raise options.OptionError(f"[{SECTION}] driver = {settings.driver}: there is {names}")
        factory = offered[settings.driver].load()
    return factory(given)


def filter_factory(global_conf: dict[str, str], **local_conf: str) -> Callable[[App], Glacier]:
    """PasteDeploy entry point ``egg:s3filters#glacier``."""
    settings = options.read(Options, SECTION, global_conf, local_conf)
    return lambda app: Glacier(app, settings)
