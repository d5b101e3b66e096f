"""Times as people write them on the command line."""

import argparse

import pytest

from s3filters.commands import moments


@pytest.fixture(autouse=True)
def now(monkeypatch):
    monkeypatch.setattr(moments.time, "time", lambda: 1_000_000_000.5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90", 90),
        ("90s", 90),
        ("30m", 1800),
        ("12h", 43200),
        ("2d", 172800),
        ("1w", 604800),
    ],
)
def test_how_long(text, seconds):
    assert moments.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-1h", "1.5h", "1y", "1 h", "٣h", "9" * 30])
def test_no_duration(text):
    with pytest.raises(argparse.ArgumentTypeError):
        moments.duration(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("never", None),
        ("1h", 1_000_003_600),
        ("2030-01-31", 1_896_048_000),
        ("2030-01-31T12:00:00", 1_896_091_200),
        ("2030-01-31T12:00:00Z", 1_896_091_200),
        ("2030-01-31T13:00:00+01:00", 1_896_091_200),
    ],
)
def test_from_when_on(text, at):
    assert moments.moment(text) == at


@pytest.mark.parametrize("text", ["0", "2001-09-09", "", "soon", "2030-02-31", "999999999w"])
def test_no_moment_to_come(text):
    with pytest.raises(argparse.ArgumentTypeError):
        moments.moment(text)


def test_a_moment_is_shown_for_a_person_whatever_it_is():
    assert moments.shown(0) == "1970-01-01 00:00:00 UTC"
    assert moments.shown(10**30) == f"{10**30} seconds after 1970"
