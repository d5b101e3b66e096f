"""Medians and percentiles, and ratios of rounds that were neighbours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import median_ratio, percentile


@pytest.mark.parametrize(("share", "value"), [(0.01, 1), (0.5, 50), (0.99, 99), (1.0, 100)])
def test_a_percentile_is_the_nearest_rank(share, value):
    assert percentile(list(range(100, 0, -1)), share) == value


def test_a_percentile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.001, 1))
def test_the_share_of_values_up_to_the_percentile_is_at_least_what_was_asked(values, share):
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values) - 1e-9


def test_a_ratio_compares_each_round_with_its_own_baseline():
    # The machine was twice as slow in the second round: the ratio does not show it.
    assert median_ratio([3.0, 6.0, 3.0], [2.0, 4.0, 2.0]) == 1.5


def test_rounds_without_a_baseline_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        median_ratio([1.0, 2.0], [1.0])
