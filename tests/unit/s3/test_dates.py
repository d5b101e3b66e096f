from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import dates

MOMENT = 1795249449  # 2026-11-21 08:24:09 UTC


def test_a_header_date_is_an_imf_fixdate():
    assert dates.http_date(MOMENT) == "Sat, 21 Nov 2026 08:24:09 GMT"


def test_a_document_date_is_cut_to_the_second():
    assert dates.iso_date(MOMENT * 10**9 + 999_999_999) == "2026-11-21T08:24:09.000Z"
    assert dates.iso_date(-1) == "1969-12-31T23:59:59.000Z"


@pytest.mark.parametrize(
    "text",
    [
        "Sat, 21 Nov 2026 08:24:09 GMT",
        " Sat, 21 Nov 2026 08:24:09 GMT ",
        "Saturday, 21-Nov-26 08:24:09 GMT",
        "Sat Nov 21 08:24:09 2026",
    ],
)
def test_the_three_forms_of_http_are_read(text):
    assert dates.parse_http_date(text) == MOMENT


def test_a_day_of_one_digit_is_read_in_asctime():
    assert dates.parse_http_date("Sun Nov  6 08:49:37 1994") == 784111777


def test_two_digits_of_a_year_are_at_most_fifty_years_ahead():
    this = datetime.now(UTC).year
    for ahead, meant in ((50, this + 50), (51, this - 49)):
        seconds = dates.parse_http_date(f"Sunday, 06-Nov-{(this + ahead) % 100:02} 08:49:37 GMT")
        assert datetime.fromtimestamp(seconds, UTC).year == meant


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "Sat, 31 Feb 2026 08:24:09 GMT",
        "Sat, 21 Nov 2026 25:24:09 GMT",
        "Sat, 21 Xyz 2026 08:24:09 GMT",
        "Sat, 21 Nov 2026 08:24:09 CET",
        "2026-11-21T08:24:09Z",
        "Sat, 21 Nov 0000 08:24:09 GMT",
        "Sat, 00 Nov 2026 08:24:09 GMT",
    ],
)
def test_what_is_no_http_date_is_none(text):
    assert dates.parse_http_date(text) is None


@given(st.integers(-62135596800, 253402300799))
def test_dates_are_those_of_the_standard_library_and_come_back(seconds):
    text = dates.http_date(seconds)
    assert text == formatdate(seconds, usegmt=True)
    assert dates.parse_http_date(text) == seconds


def test_the_time_of_a_file_may_be_anything():
    assert dates.iso_date(2**63 * 10**9).startswith("9999-")
    assert dates.http_date(-(2**63)).endswith("0001 00:00:00 GMT")
