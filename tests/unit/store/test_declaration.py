"""The JSON that says which checksum there is to be."""

import pytest

from s3filters.store import declaration


@pytest.mark.parametrize(
    "words", [("CRC32", "FULL_OBJECT", ""), ("SHA256", "COMPOSITE", ""), ("SHA1", "", "AAAA")]
)
def test_what_is_written_is_read(words):
    algorithm, kind, value = words
    assert declaration.decode(declaration.encode(algorithm, kind, value or None)) == words


@pytest.mark.parametrize(
    "raw",
    [None, b"", b"{", b"[]", b"1", b'{"Algorithm":"ROT13"}', b"\xff", b"[" * 100_000],
)
def test_what_makes_no_sense_is_nothing(raw):
    assert declaration.decode(raw) == ("", "", "")


def test_a_value_that_no_header_may_hold_is_left_out():
    raw = b'{"Algorithm":"CRC32","Type":"ODD","CRC32":"a\\r\\nb"}'
    assert declaration.decode(raw) == ("CRC32", "", "")
