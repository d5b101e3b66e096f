"""The pipeline over a folder on ScoutFS, and an archiver that does what a test tells it."""

from __future__ import annotations

import json
import math
import os
import re
import time
from pathlib import Path
from typing import Any

from paste.deploy import loadapp

from s3filters.backends.fs import FsBackend
from s3filters.backends.fs.cold import Tiering
from s3filters.backends.fs.handing import Watch
from s3filters.pipeline.glacier import Glacier
from s3filters.store import scoutfs
from s3filters.tiers.base import Driver, Settings
from tests import daemon, wire
from tests.functional.asking import Asker
from tests.scoutfs import calls

INI = Path(__file__).parents[2] / "etc" / "s3filters.ini"
USE = "use = egg:s3filters#glacier"
RESTORE = "user.s3filters.restore"
ALWAYS = 'ongoing-request="false", expiry-date="Fri, 2 Dec 2050 00:00:00 GMT"'
DATA = bytes(range(256)) * 40  # three blocks


class Cold:
    """A bucket ``box`` behind the pipeline, on tape or not.

    :param where: a folder of the test's own on ScoutFS; with ``options`` of ``[filter:glacier]``
    :param watching: whether a thread looks after restores; else the test does, by ``work``
    """

    def __init__(self, where: Path, tmp: Path, *, watching: bool = False, **options: str) -> None:
        self.root = where / "root"
        self.root.mkdir(exist_ok=True)
        self.box = self.root / "box"
        lines = "".join(f"\n{name} = {value}" for name, value in options.items())
        ini = tmp / "cold.ini"
        ini.write_text(INI.read_text().replace(USE, USE + lines))
        settings = {
            "root": str(self.root),
            "credentials": str(daemon.credentials(tmp)),
            "durability": "none",
        }
        self.app = loadapp(f"config:{ini}", global_conf=settings)
        self.backend, self.tiering, self._watch = self._taken_apart(watching)
        self.s3: Any = wire.client(self.app, daemon.ACCESS_KEY, daemon.SECRET_KEY)
        self.ask = Asker(self.app)
        if not self.box.exists():
            self.s3.create_bucket(Bucket="box")
        self._tape: dict[str, bytes] = {}

    def _taken_apart(self, watching: bool) -> tuple[FsBackend, Tiering, Watch | None]:
        app: Any = self.app
        tiering = None
        while not hasattr(app, "backend"):
            if isinstance(app, Glacier):
                tiering = app._tiering
            app = app.app
        assert tiering is not None
        if watching:
            return app.backend, tiering, None
        (driver, given, _, events), app._watched = app._watched, None
        return app.backend, tiering, Watch(app.backend, driver, given, events)

    def watched_by(self, driver: Driver | None, events: Any = None, **settings: Any) -> Watch:
        """Have another driver asked, by other settings, and others told."""
        given = Settings(**{"wait_s": 0.02, **settings})
        if self._watch is not None:
            self._watch.close()
        self._watch = Watch(self.backend, driver, given, events)
        object.__setattr__(self.tiering, "driver", driver)
        object.__setattr__(self.tiering, "events", events)
        return self._watch

    def work(self) -> int:
        """Look after what is asked of the archiver, as a daemon does from time to time.

        Return how many objects were looked at.
        """
        watch = self._watch
        if watch is None:
            return 0
        count = watch.look()
        limit = time.monotonic() + 20
        while math.inf in list(watch.handed.values()):
            assert time.monotonic() < limit
            time.sleep(0.005)
        watch.look()
        return count

    def put(self, key: str, data: bytes = DATA, **more: Any) -> Path:
        """Put an object; return its file."""
        self.s3.put_object(Bucket="box", Key=key, Body=data, **more)
        return self.box / key

    def archive(self, key: str) -> None:
        """Write an object to tape and release it."""
        self._tape[key] = calls.make_offline(self.box / key)

    def stage(self, key: str) -> None:
        """Bring an object back, and take its flags away."""
        calls.bring_back(self.box / key, self._tape[key])
        self.flag(key, remove=scoutfs.STAGING | scoutfs.STAGE_FAILED)

    def flag(self, key: str, *, add: int = 0, remove: int = 0) -> None:
        """Change the archiver's flags."""
        fd = os.open(self.box / key, os.O_RDONLY)
        try:
            scoutfs.change_sam_flags(fd, add=add, remove=remove)
        finally:
            os.close(fd)

    def flags(self, key: str) -> int:
        """Return the archiver's flags."""
        fd = os.open(self.box / key, os.O_RDONLY)
        try:
            return scoutfs.sam_flags(fd)
        finally:
            os.close(fd)

    def offline(self, key: str) -> None:
        """Put an object and archive it."""
        self.put(key)
        self.archive(key)

    def head(self, key: str) -> tuple[str | None, str | None]:
        """Return storage class and x-amz-restore as HEAD tells them."""
        said = self.s3.head_object(Bucket="box", Key=key)
        return said.get("StorageClass"), said.get("Restore")

    def restore(self, key: str, days: int = 3, **parameters: Any) -> int:
        """Ask for an object, and have the archiver asked; return the status."""
        request: dict[str, Any] = {"Days": days}
        if parameters:
            request["GlacierJobParameters"] = parameters
        said = self.s3.restore_object(Bucket="box", Key=key, RestoreRequest=request)
        status: int = said["ResponseMetadata"]["HTTPStatusCode"]
        self.work()
        return status

    def record(self, key: str) -> dict[str, Any] | None:
        """Return what we wrote down of a request."""
        try:
            found: dict[str, Any] = json.loads(os.getxattr(self.box / key, RESTORE))
        except OSError:
            return None
        return found

    def expire(self, key: str, end_s: int = 1) -> None:
        """Set the end of a restore, by default to one long ago."""
        record = {**(self.record(key) or {}), "end_s": end_s}
        os.setxattr(self.box / key, RESTORE, json.dumps(record).encode())


def end_said(header: str | None) -> str:
    """Return the date of an x-amz-restore."""
    found = re.fullmatch('ongoing-request="false", expiry-date="(.*)"', header or "")
    assert found is not None, header
    return found[1]
