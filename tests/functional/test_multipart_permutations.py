"""Parts of any sizes, in any order, replaced and left out at will, against joining their bytes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3filters.s3 import rules
from tests.functional.asking import body_of
from tests.functional.parts import PLACEMENTS, Uploader, etag_of, placing_app

BLOCK = 4096
SIZES = st.sampled_from([0, 1, 17, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 70_000])
# A regular upload: all parts but the last as long as the first
REGULAR = st.tuples(SIZES, st.integers(1, 6), SIZES).map(
    lambda found: [found[0]] * found[1] + [min(found[0], found[2])]
)


@st.composite
def stories(draw):
    """What a client sends, (number, size) in its order, and the numbers that it completes with."""
    sizes = draw(st.one_of(REGULAR, st.lists(SIZES, min_size=1, max_size=6)))
    numbers = sorted(
        draw(
            st.one_of(
                st.just(set(range(1, len(sizes) + 1))),
                st.sets(st.integers(1, 10_000), min_size=len(sizes), max_size=len(sizes)),
            )
        )
    )
    sent = list(zip(numbers, sizes, strict=True))
    again = draw(st.lists(st.tuples(st.sampled_from(numbers), SIZES), max_size=3))
    order = draw(st.permutations(sent + again))
    chosen = draw(
        st.one_of(st.just(numbers), st.lists(st.sampled_from(numbers), min_size=1, unique=True))
    )
    return order, sorted(chosen)


def filling(turn, size):
    """Bytes that tell which part they are of."""
    return bytes((turn * 31 + at) % 251 for at in range(251)) * (size // 251 + 1)


@pytest.fixture(params=PLACEMENTS)
def app(request, settings, tmp_path):
    """The pipeline, with parts in files of their own, or where they will lie."""
    return placing_app(tmp_path, settings, request.param)


@pytest.fixture
def any_size(monkeypatch):
    """Parts need not have 5 MiB."""
    monkeypatch.setattr(rules, "PART_BYTES", 0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(story=stories())
def test_an_object_is_the_sum_of_the_parts_that_were_chosen(s3, box, any_size, story):
    order, chosen = story
    upload, parts = Uploader(s3), {}
    for turn, (number, size) in enumerate(order):
        parts[number] = filling(turn, size)[:size]
        upload.put(number, parts[number])
    assert upload.stored() == sorted((number, len(data)) for number, data in parts.items())
    expected = [parts[number] for number in chosen]
    assert upload.complete(chosen)["ETag"] == etag_of(*expected)
    assert body_of(s3, "key") == (box / "key").read_bytes() == b"".join(expected)
    for place, data in enumerate(expected, 1):
        assert body_of(s3, "key", PartNumber=place) == data
