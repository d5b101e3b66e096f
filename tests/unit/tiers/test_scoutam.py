"""ScoutAM is asked by its flag; what else there is to do is the site's."""

import os

import pytest

from s3filters.store import scoutfs
from s3filters.store.scoutfs import NO_ARCHIVE, STAGE_FAILED, STAGING
from s3filters.tiers import command, scoutam
from s3filters.tiers.base import CannotAsk, File, Settings

FILE = File("/box/key", 7, 1)


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
    scoutam.factory(Settings()).stage(FILE)
    assert int(flags["value"]) == after


@pytest.mark.parametrize("number", [1, 13])
def test_who_may_not_set_it_is_told_what_is_missing(monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(scoutfs, "change_sam_flags", refuse)
    with pytest.raises(CannotAsk, match="CAP_SYS_ADMIN"):
        scoutam.factory(Settings()).stage(FILE)


def test_other_errors_are_what_they_are(monkeypatch):
    def fail(*_, **__):
        raise OSError(5, "no")

    monkeypatch.setattr(scoutfs, "change_sam_flags", fail)
    with pytest.raises(OSError, match="no"):
        scoutam.factory(Settings()).stage(FILE)


def test_archiving_and_releasing_are_the_sites(monkeypatch):
    asked = []
    monkeypatch.setattr(command.Program, "add", lambda self, file: asked.append(file))
    driver = scoutam.factory(Settings({"archive": ("a",), "release": ("r",)}))
    assert (driver.flagged, driver.archives) == (True, True)
    driver.archive(FILE)
    driver.release(FILE)
    assert asked == [FILE, FILE]
    assert not scoutam.factory(Settings()).archives
