"""ScoutAM is asked by its flag; what else there is to do is the site's."""

import os
from contextlib import contextmanager

import pytest

from s3filters.store import scoutfs
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from s3filters.tiers import command, scoutam
from s3filters.tiers.base import File, Settings

FILE = File("/box/key", 1)


@contextmanager
def opened(file):
    assert file == FILE
    yield 7


def driver(**more):
    return scoutam.factory(Settings(**{"open": opened, **more}))


@pytest.fixture
def flags(monkeypatch):
    """The flags of a file, as the archiver's attribute holds them."""
    kept = {"value": None}

    def get(fd, name):
        assert (fd, name) == (7, scoutfs.SAM_FLAGS)
        if kept["value"] is None:
            raise OSError(61, "no attribute")
        return kept["value"]

    def put(fd, name, value, flags=0):
        kept["value"] = value

    monkeypatch.setattr(os, "getxattr", get)
    monkeypatch.setattr(os, "setxattr", put)
    return kept


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, STAGING),
        (b"0", STAGING),
        (b"%d" % NO_ARCHIVE, NO_ARCHIVE | STAGING),
        (b"%d" % (STAGING | STAGE_FAILED), STAGING),
    ],
)
def test_staging_is_set_and_a_failure_is_forgotten(flags, before, after):
    flags["value"] = before
    assert list(driver().stage([FILE])) == []
    assert int(flags["value"]) == after


def test_who_may_not_set_it_is_told_what_is_missing():
    assert driver().cannot("stage") == ""
    assert "CAP_SYS_ADMIN" in driver(privileged=False).cannot("stage")


@pytest.mark.parametrize("number", [1, 5, 11])
def test_what_cannot_be_flagged_is_said_and_the_others_are(monkeypatch, flags, number, caplog):
    change, errors = scoutfs.change_sam_flags, [None, OSError(number, "no"), None]

    def fail(fd, **bits):
        error = errors.pop()
        if error is not None:
            raise error
        return change(fd, **bits)

    monkeypatch.setattr(scoutfs, "change_sam_flags", fail)
    files = [FILE._replace(path=path) for path in ("/a", "/b", "/c")]
    ours = driver(open=lambda file: opened(FILE))
    assert list(ours.stage(files)) == ["/b"]
    assert "'/b' cannot be flagged: no" in caplog.text


def test_what_is_not_there_any_more_needs_no_flag():
    @contextmanager
    def gone(file):
        raise FileNotFoundError(file.path)
        yield

    assert list(driver(open=gone).stage([FILE])) == []


def test_archiving_and_releasing_are_the_sites(monkeypatch):
    ran = []
    monkeypatch.setattr(
        command, "run", lambda words, verb, files, timeout_s: ran.append((words, verb, files)) or ()
    )
    ours = driver(commands={"archive": ("a",), "release": ("r",)})
    assert ours.flagged
    assert (ours.cannot("archive"), ours.cannot("release")) == ("", "")
    ours.archive([FILE])
    ours.release([FILE])
    assert ran == [(("a",), "archive", [FILE]), (("r",), "release", [FILE])]
    assert driver().cannot("archive")
