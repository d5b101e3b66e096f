"""glacier: what it tells the backend, found out once, and its options."""

import io

import pytest

from s3filters import options
from s3filters.pipeline import base, glacier
from s3filters.s3.call import KEY, Call
from s3filters.s3.operations import ROWS
from s3filters.tiers.command import Command
from s3filters.tiers.scoutam import ScoutAM

READS = {
    "GetObject",
    "HeadObject",
    "GetObjectAttributes",
    "ListObjects",
    "ListObjectsV2",
    "ListObjectVersions",
    "UploadPartCopy",
}
WRITES = {
    "PutObject",
    "PostObject",
    "CopyObject",
    "CreateMultipartUpload",
    "CompleteMultipartUpload",
}


class Below:
    """The app at the end, on a file system where data may be on tape or not."""

    def __init__(self, tiers):
        self.tiers = tiers
        self.asked = 0
        self.watched = None

    def watch_restores(self, driver, settings, interval_s, events):
        self.watched = driver, interval_s

    def can_flag(self):
        return True

    def spool(self):
        return "events", "node", False

    def opened(self, file):
        raise AssertionError(file)

    def has_tiers(self):
        self.asked += 1
        return self.tiers

    def __call__(self, environ, start_response):
        start_response("200 OK", [])
        return [b"below"]


class Body:
    def __init__(self, data):
        self._data = io.BytesIO(data)

    def read(self, limit):
        return self._data.read(limit)


def sent(app, operation, data=None):
    call = Call(operation, "bucket", "key", body=None if data is None else Body(data))
    answer = b"".join(app({"REQUEST_METHOD": "POST", KEY: call}, lambda *_: None))
    return call, answer


@pytest.mark.parametrize("name", [row.name for row in ROWS if row.name != "RestoreObject"])
@pytest.mark.parametrize("tiers", [True, False])
def test_what_tells_of_an_object_is_told_how_to_where_there_is_tape(name, tiers):
    app = glacier.filter_factory({}, archive_command="true")(Below(tiers))
    call, answer = sent(app, name)
    assert answer == b"below"
    assert (call.tiering is not None) == (tiers and name in READS | WRITES)
    assert call.tiered == (tiers and name in WRITES)


def test_the_file_system_is_asked_once():
    below = Below(True)
    app = glacier.filter_factory({})(below)
    for _ in range(3):
        sent(app, "GetObject")
    assert below.asked == 1


@pytest.mark.parametrize("tiers", [True, False])
def test_what_is_asked_back_is_looked_after_where_there_is_tape(tiers):
    below = Below(tiers)
    glacier.filter_factory({}, driver="none", watch_interval="7")(below)
    assert below.watched == ((None, 7) if tiers else None)


@pytest.mark.parametrize("tiers", [True, False])
def test_commands_where_nothing_can_be_on_tape_are_warned_of(tiers, caplog):
    glacier.filter_factory({}, archive_command="true")(Below(tiers))
    assert ("[filter:glacier] has commands" in caplog.text) == (not tiers)
    caplog.clear()
    glacier.filter_factory({})(Below(tiers))
    assert not caplog.text


@pytest.mark.parametrize("name", glacier.COMMANDS)
def test_a_program_that_is_not_there_or_may_not_be_run_keeps_from_starting(name, tmp_path):
    (tmp_path / "data").touch(0o644)
    for program in (tmp_path / "none", tmp_path / "data", tmp_path):
        given = {name: f"{program} --queue 'night shift'"}
        with pytest.raises(options.OptionError) as caught:
            glacier.filter_factory({}, **given)(Below(True))
        said = f"[filter:glacier] {name} = {program} --queue 'night shift': there is no program"
        assert str(caught.value) == f"{said} {program}"
        glacier.filter_factory({}, **given)(Below(False))
        glacier.filter_factory({}, driver="none", **given)(Below(True))


def test_a_program_that_is_there_may_be_named_in_any_way(tmp_path, monkeypatch):
    program = tmp_path / "bin" / "stage"
    program.parent.mkdir()
    program.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(program.parent))
    for words in (str(program), "bin/stage --fast", "stage"):
        glacier.filter_factory({}, stage_command=words)(Below(True))


def test_an_events_file_that_cannot_be_written_keeps_from_starting(tmp_path, monkeypatch):
    file = tmp_path / "none" / "events"
    for path, why in ((file, f"there is no folder {tmp_path}/none"), (tmp_path, "is a folder")):
        with pytest.raises(options.OptionError) as caught:
            glacier.filter_factory({}, events_file=str(path))(Below(True))
        assert str(caught.value).startswith(f"[filter:glacier] events_file = {path}: ")
        assert why in str(caught.value)
        glacier.filter_factory({}, events_file=str(path))(Below(False))
    file = tmp_path / "events"
    for made in (False, True):
        assert file.exists() == made
        glacier.filter_factory({}, events_file=str(file))(Below(True))
        monkeypatch.setattr(glacier.os, "access", lambda path, mode: False)
        with pytest.raises(options.OptionError, match="may not be written"):
            glacier.filter_factory({}, events_file=str(file))(Below(True))
        monkeypatch.undo()
        file.touch()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "restores are asked of scoutam; events go nowhere"),
        ({"driver": "none"}, "restores are asked of nobody; events go nowhere"),
        (
            {"driver": "command", "stage_command": "true --password secret"},
            "restores are asked of true; events go nowhere",
        ),
        (
            {"events_file": "events", "events_url": "https://a.example.org:81/secret?too"},
            "restores are asked of scoutam; events go to events and https://a.example.org:81",
        ),
    ],
)
@pytest.mark.parametrize("tiers", [True, False])
def test_who_is_asked_and_told_is_said_once_at_the_start(given, said, tiers, caplog, monkeypatch):
    monkeypatch.setattr(base, "_said", set())
    caplog.set_level("INFO")
    for _ in range(2):
        glacier.filter_factory({}, **given)(Below(tiers))
    found = [one.getMessage() for one in caplog.records if one.levelname == "INFO"]
    assert found == ([said] if tiers else [])


@pytest.mark.parametrize(
    ("given", "warned"),
    [
        ({"driver": "command"}, True),
        ({"driver": "command", "archive_command": "true"}, True),
        ({"driver": "command", "stage_command": "true"}, False),
        ({"driver": "scoutam"}, False),
        ({"driver": "none"}, False),
    ],
)
def test_programs_that_bring_nothing_back_are_warned_of(given, warned, caplog, monkeypatch):
    monkeypatch.setattr(base, "_said", set())
    glacier.filter_factory({}, **given)(Below(True))
    said = "[filter:glacier] driver = command without stage_command brings nothing back"
    assert caplog.messages == [said] * warned


def test_an_app_that_knows_no_tape_has_none():
    app = glacier.filter_factory({})(lambda environ, start: start("200 OK", []) or [b"other"])
    assert sent(app, "GetObject")[0].tiering is None


@pytest.mark.parametrize("tiers", [True, False])
def test_a_restore_is_read_wherever_the_objects_are(tiers):
    app = glacier.filter_factory({})(Below(tiers))
    call, _ = sent(app, "RestoreObject", b"<RestoreRequest><Days>2</Days></RestoreRequest>")
    assert call.params["Restore"].days == 2
    assert call.tiering is not None


@pytest.mark.parametrize("data", [None, b"", b"<RestoreRequest/>"])
def test_a_restore_that_cannot_be_read_is_refused(data):
    assert (
        b"<Code>MalformedXML</Code>"
        in sent(glacier.filter_factory({})(Below(True)), "RestoreObject", data)[1]
    )


def test_without_an_archive_command_no_cold_class_can_be_asked_for():
    call, _ = sent(glacier.filter_factory({})(Below(True)), "PutObject")
    assert call.tiering is not None
    assert not call.tiered


@pytest.mark.parametrize(
    ("name", "kind"), [("scoutam", ScoutAM), ("command", Command), ("none", type(None))]
)
def test_a_driver_is_chosen_by_name(name, kind):
    chosen = glacier.Options(driver=name)
    assert type(glacier.driver_of(chosen, glacier.settings_of(chosen, None))) is kind


def test_a_package_can_offer_a_driver(monkeypatch):
    class Entry:
        name = "robot"

        def load(self):
            return lambda settings: ("robot", settings.batch)

    monkeypatch.setattr(glacier, "entry_points", lambda group: [Entry()])
    chosen = glacier.Options(driver="robot", command_batch=7)
    made = glacier.driver_of(chosen, glacier.settings_of(chosen, None))
    assert made == ("robot", 7)


def test_a_driver_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(options.OptionError, match="scoutam, command, none"):
        glacier.filter_factory({}, driver="tapeworm")(Below(True))


def test_a_command_is_read_as_a_shell_does():
    given = {"stage_command": "/opt/stage --queue 'night shift'"}
    read = options.read(glacier.Options, "filter:glacier", {}, given)
    assert read.stage_command == ("/opt/stage", "--queue", "night shift")


def test_other_options_are_refused():
    with pytest.raises(options.OptionError):
        glacier.filter_factory({}, colour="red")
