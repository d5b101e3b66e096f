"""The app at the end: its options, and what it looks after while it serves."""

import errno
import logging
import threading
import time

import pytest

from s3filters.events.events import Events
from s3filters.events.spool import Spool
from s3filters.options import OptionError
from s3filters.pipeline import fs
from s3filters.s3.call import Call, Identity
from s3filters.s3.errors import S3Error
from s3filters.store import filesystem
from s3filters.store.scoutfs import NOT_HERE, Capabilities
from s3filters.store.tree import Tree
from s3filters.store.uploads import Upload

DAY_NS = 86400 * 10**9
UPLOAD = "386a110b-b0b4-4fef-bf2d-4e765e844d1b"


@pytest.fixture
def make(tmp_path):
    apps = []

    def make(**options):
        (tmp_path / "root").mkdir(exist_ok=True)
        shared = {"root": str(tmp_path / "root"), "durability": "none"}
        apps.append(fs.app_factory(shared, **options))
        return apps[-1]

    yield make
    for app in apps:
        app.backend.store.close()


@pytest.fixture
def passes(monkeypatch):
    """Run what the thread runs, once, and return how often it slept."""

    class Enough(Exception):
        pass

    def run(app):
        slept = []

        def sleep(seconds):
            slept.append(seconds)
            if len(slept) == 2:
                raise Enough

        monkeypatch.setattr(fs.time, "sleep", sleep)
        with pytest.raises(Enough):
            app._look_after()
        return slept

    return run


def begin(app, days, upload_id=UPLOAD, key="a\nb"):
    if not app.backend.store.buckets():
        app.backend.store.create_bucket("box", "me")
    app.backend.store.create_upload(Upload("box", key, upload_id, time.time_ns() - days * DAY_NS))


def ids(app):
    return [each.id for each in app.backend.store.uploads("box")]


@pytest.mark.parametrize("placement", ["auto", "files", "direct"])
def test_the_store_places_parts_as_the_ini_says(make, placement):
    store = make(placement=placement).backend.store
    if placement != "auto":
        assert store.places_directly is (placement == "direct")


def test_direct_placement_on_a_network_file_system_is_refused_in_clear_words(make, monkeypatch):
    real = filesystem.inspect

    def inspect(fd, path):
        found = real(fd, path)
        return type(found)(**{**{n: getattr(found, n) for n in found.__slots__}, "local": False})

    monkeypatch.setattr(filesystem, "inspect", inspect)
    with pytest.raises(ValueError, match="placement = direct needs a file system of this machine"):
        make(placement="direct")
    make(placement="files")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"placement": "best"}, "placement = best: say one of auto, files, direct"),
        ({"abort_incomplete_days": "-1"}, "abort_incomplete_days = -1: say a whole number from 0"),
        ({"abort_incomplete_days": "soon"}, "abort_incomplete_days = soon: say a whole number"),
    ],
)
def test_what_an_option_cannot_be_is_told(make, options, said):
    with pytest.raises(OptionError, match=said):
        make(**options)


def test_uploads_are_aborted_after_thirty_days_and_each_is_logged(
    make, passes, monkeypatch, caplog
):
    app = make()
    young = "486a110b-b0b4-4fef-bf2d-4e765e844d1b"
    begin(app, 31)
    begin(app, 29, young, "c")
    monkeypatch.setattr("s3filters.store.reaping.IDLE_S", 0)
    time.sleep(0.02)
    with caplog.at_level(logging.INFO, "s3filters.pipeline"):
        assert passes(app) == [fs.FIRST_SWEEP_S, 3600]
    assert ids(app) == [young]
    (line,) = caplog.messages
    assert line.startswith(f"aborted upload {UPLOAD} of box/a\\nb: it was begun on ")


def test_an_upload_that_is_in_use_is_not_aborted_however_old(make, passes):
    app = make(abort_incomplete_days="1")
    begin(app, 100)
    passes(app)
    assert ids(app) == [UPLOAD]


def test_with_0_days_uploads_stay_for_ever(make, passes, monkeypatch):
    app = make(abort_incomplete_days="0")
    begin(app, 10_000)
    monkeypatch.setattr("s3filters.store.reaping.IDLE_S", 0)
    passes(app)
    assert ids(app) == [UPLOAD]


def test_what_crashes_left_is_swept_and_logged(make, passes, monkeypatch, caplog):
    app = make(sweep_age="7200")
    asked = []
    monkeypatch.setattr(app.backend.store, "sweep", lambda age: asked.append(age) or 3)
    with caplog.at_level(logging.INFO, "s3filters.pipeline"):
        assert passes(app)[1] == 300
    assert asked == [7200]
    assert caplog.messages == ["removed 3 files and uploads that crashes had left"]


@pytest.mark.parametrize(
    "error", [S3Error("InternalError"), OSError(errno.EMFILE, "InternalError of the disk")]
)
def test_what_is_in_the_way_is_logged_and_keeps_nobody_from_the_rest(
    make, passes, monkeypatch, caplog, error
):
    app = make()

    def sweep(_age):
        raise OSError(errno.EIO, "the disk is ill")

    def reap(_age):
        raise error

    monkeypatch.setattr(app.backend.store, "sweep", sweep)
    monkeypatch.setattr(app.backend.store, "reap_uploads", reap)
    passes(app)
    assert len(caplog.messages) == 2
    assert "the disk is ill" in caplog.messages[0]
    assert "InternalError" in caplog.messages[1]


# Where it is -------------------------------------------------------------------------------------


def test_the_log_says_on_which_file_system_the_buckets_are(make, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        app = make()
    assert f"on {app.backend.store.filesystem}" in caplog.text
    assert str(tmp_path) in caplog.text


def test_it_says_that_once_however_often_a_daemon_loads_the_pipeline(make, caplog):
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            make()
    assert caplog.text.count("buckets are in") == 1


def test_what_is_missing_on_scoutfs_is_a_warning(make, monkeypatch, caplog):
    missing = Capabilities(1, False, ("There is no CAP_SYS_ADMIN.",))
    monkeypatch.setattr(Tree, "capabilities", missing)
    with caplog.at_level(logging.INFO):
        make()
    assert "on ScoutFS of format 1" in caplog.text
    assert [r.levelname for r in caplog.records if "CAP_SYS_ADMIN" in r.message] == ["WARNING"]


@pytest.mark.parametrize(("wanted", "warnings"), [("yes", 1), ("no", 0)])
def test_projects_where_files_have_none_are_a_warning(make, monkeypatch, caplog, wanted, warnings):
    monkeypatch.setattr(Tree, "capabilities", NOT_HERE)
    for _ in range(2):
        make(projects=wanted)
    found = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert len(found) == warnings
    assert all("not ScoutFS" in words and "no file has a project" in words for words in found)


@pytest.mark.parametrize(("wanted", "project"), [("yes", 7), ("no", 0)])
def test_what_an_account_makes_is_of_its_project_where_the_ini_says_so(
    make, monkeypatch, wanted, project
):
    monkeypatch.setattr(Tree, "capabilities", Capabilities(2, True, ()))
    backend = make(projects=wanted).backend
    somebody = Identity("key", "id", project=7)
    assert backend.store_of(Call("PutObject", identity=somebody)).project == project
    assert backend.store_of(Call("PutObject")).project == 0
    assert backend.store.project == 0


@pytest.mark.parametrize("error", [OSError(errno.EMFILE, "too many"), ValueError("whatever")])
def test_what_keeps_a_look_from_being_had_does_not_end_those_to_come(make, monkeypatch, error):
    class Watch:
        def __init__(self, *of):
            self.errors = [error]
            self.looks = 0

        @property
        def leads(self):
            if self.errors:
                raise self.errors.pop()
            return True

        def wait(self, seconds):
            pass

        def look(self):
            app._over.set()
            self.looks += 1

        def close(self):
            closed.append(self.looks)

    closed = []
    app = make()
    monkeypatch.setattr(fs.handing, "Watch", Watch)
    app.watch_restores(None, None, 0.01)
    app._watch()
    assert closed == [1]


@pytest.mark.parametrize(
    ("took_s", "pause_s", "rest_s"),
    [(0.01, 1, 59.79), (2, 40, 18), (10, 60, 0), (100, 100, 0)],
)
def test_a_look_that_took_long_keeps_nobody_waiting_much_longer(
    make, monkeypatch, took_s, pause_s, rest_s
):
    class Watch:
        def __init__(self):
            self.waits = []

        def wait(self, seconds):
            self.waits.append(seconds)

        def look(self):
            clock.append(took_s)

    app, watch, clock, paused = make(), Watch(), [0.0], []
    monkeypatch.setattr(fs.time, "monotonic", lambda: clock[-1])
    monkeypatch.setattr(app, "_over", threading.Event())
    monkeypatch.setattr(app._over, "wait", paused.append)
    app._lead(watch, 60)
    assert paused == [pause_s]
    assert watch.waits == [0, pytest.approx(rest_s)]


def test_at_its_end_a_worker_lets_another_deliver_events(make, tmp_path):
    events = Events(tmp_path / "events", file=str(tmp_path / "told"))
    (delivery,) = events.deliveries
    delivery.spool.prepare("a", b"a").happened()
    assert delivery.spool.lead()
    app = make()
    app.watch_restores(None, None, 3600, events)
    app.end()
    delivery.work()
    assert Spool(delivery.spool.folder, 1).lead()
    assert not (tmp_path / "told").exists()


def test_who_follows_leads_soon_behind_the_end_of_who_led(make, monkeypatch):
    class Watch:
        def __init__(self, *of):
            self.answers = [False, False, True]

        @property
        def leads(self):
            return self.answers.pop(0)

        def close(self):
            pass

    app, waits = make(), []
    monkeypatch.setattr(fs.handing, "Watch", Watch)
    monkeypatch.setattr(app._over, "wait", waits.append)
    monkeypatch.setattr(app, "_lead", lambda watch, interval_s: app._over.set())
    app.watch_restores(None, None, 3600)
    app._watch()
    assert waits == [fs.FOLLOW_S] * 2
