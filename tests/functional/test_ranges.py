"""Range: one range of bytes is answered with 206, what is none is no range at all."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.functional.asking import LARGE, SMALL, fields


@pytest.fixture
def whole(ask, box, data):
    assert ask("PUT", "/box/key", data).status == 200
    return data


def test_the_three_forms(ask, whole):
    size = len(whole)
    for text, first, last in (
        ("0-0", 0, 0),
        ("1-3", 1, 3),
        ("2-", 2, size - 1),
        ("-2", size - 2, size - 1),
        (f"0-{size - 1}", 0, size - 1),
        (f"1-{size + 9}", 1, size - 1),
        (f"-{size + 9}", 0, size - 1),
        (f"{size - 1}-", size - 1, size - 1),
    ):
        answer = ask("GET", "/box/key", headers={"Range": f"bytes={text}"})
        assert (answer.status, answer.body) == (206, whole[first : last + 1]), text
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{size}"
        assert answer.headers["content-length"] == str(last - first + 1)
        head = ask("HEAD", "/box/key", headers={"Range": f"bytes={text}"})
        assert (head.status, head.headers["content-range"]) == (
            206,
            answer.headers["content-range"],
        )


@pytest.mark.parametrize("text", ["{size}-", "{size}-{size}", "999999999999-", "-0"])
def test_what_lies_outside_cannot_be_satisfied(ask, whole, text):
    size = len(whole)
    asked = f"bytes={text.format(size=size)}"
    answer = ask("GET", "/box/key", headers={"Range": asked})
    assert (answer.status, answer.code) == (416, "InvalidRange")
    assert answer.headers["content-range"] == f"bytes */{size}"
    told = fields(answer)
    assert (told["RangeRequested"], told["ActualObjectSize"]) == (asked, str(size))


@pytest.mark.parametrize(
    "text",
    [
        "bytes=3-1",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-2,4-5",
        "bytes=1",
        "bytes 1-2",
        "octets=1-2",
        "items=0-1",
        "bytes=+1-2",
        "bytes=1-2x",
        "bytes=-1-2",
    ],
)
def test_what_is_malformed_or_several_is_ignored(ask, whole, text):
    answer = ask("GET", "/box/key", headers={"Range": text})
    assert (answer.status, answer.body) == (200, whole)
    assert "content-range" not in answer.headers


def test_of_an_empty_object_the_last_bytes_are_all(ask, box):
    ask("PUT", "/box/empty", length=0)
    answer = ask("GET", "/box/empty", headers={"Range": "bytes=-5"})
    assert (answer.status, answer.body) == (200, b"")
    for text in ("bytes=0-", "bytes=0-0", "bytes=-0"):
        assert ask("GET", "/box/empty", headers={"Range": text}).status == 416


def test_with_if_range_the_whole_object_is_answered(ask, whole):
    answer = ask("GET", "/box/key", headers={"Range": "bytes=1-2", "If-Range": '"other"'})
    assert (answer.status, answer.body) == (200, whole)


def test_a_condition_comes_before_the_range(ask, whole):
    outside = {"Range": "bytes=99999999-"}
    assert ask("GET", "/box/key", headers={"If-Match": '"x"', **outside}).status == 412
    assert ask("GET", "/box/key", headers={"If-None-Match": "*", **outside}).status == 304


def test_part_of_an_object_comes_without_the_checksum_of_all(ask, whole):
    size = len(whole)
    mode = {"x-amz-checksum-mode": "ENABLED"}
    answer = ask("GET", "/box/key", headers={"Range": "bytes=1-2", **mode})
    assert not [name for name in answer.headers if name.startswith("x-amz-checksum")]
    answer = ask("GET", "/box/key", headers={"Range": f"bytes=0-{size - 1}", **mode})
    assert "x-amz-checksum-crc64nvme" in answer.headers


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.sampled_from([SMALL, LARGE]), st.integers(0, 400_000), st.integers(0, 400_000))
def test_a_range_is_a_slice(ask, box, data, first, last):
    key = f"/box/{len(data)}"
    if not (box / str(len(data))).exists():
        ask("PUT", key, data)
    answer = ask("GET", key, headers={"Range": f"bytes={first}-{last}"})
    if last < first:
        assert (answer.status, answer.body) == (200, data)
    elif first >= len(data):
        assert answer.status == 416
    else:
        assert (answer.status, answer.body) == (206, data[first : last + 1])
