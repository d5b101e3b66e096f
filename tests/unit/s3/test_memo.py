"""Remembering what a text means, for short texts only."""

from s3filters.s3.memo import LONGEST, memo


def test_a_short_text_is_understood_once_and_a_long_one_each_time():
    asked = []

    @memo(8)
    def length(text, plus=0):
        asked.append(text)
        return len(text) + plus

    short, long = "x" * LONGEST, "x" * (LONGEST + 1)
    assert [length(short), length(short), length(long), length(long)] == [256, 256, 257, 257]
    assert length(short, 1) == 257
    assert asked == [short, long, long, short]
