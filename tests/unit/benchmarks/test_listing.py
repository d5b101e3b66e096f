"""Pages are compared with the keys that they should hold."""

from benchmarks import trees
from benchmarks.listing import differences, keys_from


def test_a_page_of_a_flat_bucket_ends_with_the_bucket():
    assert keys_from(0, 5) == [trees.flat_key(number) for number in range(5)]
    assert keys_from(1000, 100_000)[::999] == ["k00001000", "k00001999"]
    assert len(keys_from(99_500, 100_000)) == 500


def test_keys_of_trees_sort_as_their_numbers_do():
    flat = [trees.flat_key(number) for number in (0, 9, 10, 999_999)]
    deep = trees.deep_keys(range(9, 12), 11)
    assert flat == sorted(flat)
    assert deep == sorted(deep)
    assert deep[0] == trees.deep_prefix(9) + "k0000"


def test_what_is_wrong_with_a_page_is_said_in_a_line():
    words = differences(["a", "c"], ["a", "b"])
    assert words == "2 of 2 keys, 1 missing ['b'], 1 not expected ['c']"
