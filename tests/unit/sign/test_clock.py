"""Dates of signatures."""

import pytest

from s3filters.sign import clock
from tests.unit.sign.signing import IN_2007, IN_2013


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20130524T000000Z", IN_2013),
        ("Fri, 24 May 2013 00:00:00 GMT", IN_2013),
        ("Tue, 27 Mar 2007 19:36:42 +0000", IN_2007),
        ("Tue, 27 Mar 2007 19:36:42 UTC", IN_2007),
        ("20000229T235960Z", 951868800),
        ("19700101T000000Z", 0),
    ],
)
def test_dates_that_clients_send_are_read(text, seconds):
    assert clock.any_date(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20130524",
        "20130524T000000",
        "20130524 000000Z",
        "20130229T000000Z",
        "20130524T240000Z",
        "20130524T006000Z",
        "20131324T000000Z",
        "00000524T000000Z",
        "20130500T000000Z",
        "2013\u0660524T00000Z",
        "Tue, 27 Mar 2007 19:36:42 +0100",
        "x" * 10_000,
    ],
)
def test_anything_else_is_no_date(text):
    assert clock.any_date(text) is None


def test_dates_are_written_in_both_forms():
    assert clock.timestamp(IN_2013) == "20130524T000000Z"
    assert clock.iso(IN_2013 + 0.9) == "2013-05-24T00:00:00Z"
