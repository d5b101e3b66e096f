import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3 import ranges
from s3filters.s3.errors import S3Error


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=0-1,3-4",
        "bytes=a-b",
        "bytes=1-2x",
        "items=0-1",
        "bytes=--1",
        "bytes=+1-2",
        "bytes 0-1",
        "bytes=\u0661-\u0662",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_what_is_no_single_range_of_bytes_is_ignored(text):
    assert ranges.parse(text) is None


@pytest.mark.parametrize("text", ["bytes=0-4", "Bytes=0-4", " bytes = 0 - 4 ", "bytes=0-4\t"])
def test_blanks_and_case_do_not_matter(text):
    assert ranges.parse(text).resolve(10) == (0, 4)


@given(st.integers(1, 60), st.none() | st.integers(0, 70), st.none() | st.integers(0, 70))
def test_a_range_is_a_slice(size, first, last):
    data = bytes(range(size))
    asked = ranges.parse(f"bytes={'' if first is None else first}-{'' if last is None else last}")
    if (first is None and last is None) or (
        first is not None and last is not None and last < first
    ):
        assert asked is None
        return
    if first is None:
        expected = data[-last:] if last else b""
    else:
        expected = data[first:] if last is None else data[first : last + 1]
    if not expected:
        with pytest.raises(S3Error):
            asked.resolve(size)
    else:
        start, end = asked.resolve(size)
        assert data[start : end + 1] == expected


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_outside_of_the_object_is_refused_with_its_size(text):
    with pytest.raises(S3Error) as caught:
        ranges.parse(text).resolve(10)
    assert caught.value.code == "InvalidRange"
    assert caught.value.detail == {"RangeRequested": text, "ActualObjectSize": 10}
    assert ("Content-Range", "bytes */10") in caught.value.headers


def test_an_empty_object_has_no_range_but_its_last_bytes_are_all_of_it():
    with pytest.raises(S3Error):
        ranges.parse("bytes=0-").resolve(0)
    assert ranges.parse("bytes=-5").resolve(0) is None
