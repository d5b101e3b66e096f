"""wsgi.input gives a body's bytes, all of them and no more, however they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.server.input import MalformedBody, input_of


class Wire:
    """A stream that brings what it is given, in pieces of the sizes given."""

    def __init__(self, data, sizes=()):
        self.data = data
        self.sizes = list(sizes)
        self.sent = b""

    def receive(self, view, timeout):
        size = self.sizes.pop() if self.sizes else len(view)
        piece = self.data[: min(size, len(view))]
        view[: len(piece)] = piece
        self.data = self.data[len(piece) :]
        return len(piece)

    def send(self, data, timeout):
        self.sent += data


def chunked(parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def read_all(body, sizes):
    """Read to the end with rooms of the sizes given."""
    out = b""
    while True:
        room = memoryview(bytearray(sizes.pop() if sizes else 100))
        count = body.readinto(room)
        if not count:
            return out
        out += room[:count]


sizes = st.lists(st.integers(1, 20), max_size=60)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), sizes, sizes, st.integers(0, 50))
def test_chunks_survive_any_cut(parts, arrive, ask, early):
    wire = chunked(parts) + b"NEXT"
    body = input_of(Wire(wire[early:], arrive), wire[:early], -1, False, 1)
    assert read_all(body, ask) == b"".join(parts)
    assert body.at_end
    rest = body.drain(memoryview(bytearray(10)), 0, 0)
    assert b"NEXT".startswith(rest)


@given(st.binary(max_size=200), sizes, sizes, st.integers(0, 50))
def test_a_known_length_survives_any_cut(data, arrive, ask, early):
    wire = data + b"NEXT"
    body = input_of(Wire(wire[early:], arrive), wire[:early], len(data), False, 1)
    assert read_all(body, ask) == data
    assert body.at_end


@given(st.binary(max_size=60))
def test_garbage_in_place_of_chunks_is_refused_or_ends_early(data):
    body = input_of(Wire(data), b"", -1, False, 1)
    try:
        read_all(body, [])
    except ConnectionError:
        assert body.failure is not None
        assert not body.can_drain(1 << 20)


def test_read_gives_as_much_as_was_asked_for():
    body = input_of(Wire(b"abcdefgh", [1, 2, 1]), b"", 8, False, 1)
    assert [body.read(3), body.read(0), body.read(3), body.read(99), body.read(1), body.read()] == [
        b"abc",
        b"",
        b"def",
        b"gh",
        b"",
        b"",
    ]


@pytest.mark.parametrize("size", [(), (None,), (-1,)], ids=["nothing", "None", "-1"])
def test_read_without_size_gives_all(size):
    body = input_of(Wire(b"x" * 200_000), b"", 200_000, False, 1)
    assert body.read(*size) == b"x" * 200_000


def test_lines():
    def body():
        return input_of(Wire(b"a\nbc\n\nd", [2, 1]), b"", 7, False, 1)

    assert list(body()) == [b"a\n", b"bc\n", b"\n", b"d"]
    assert body().readlines() == [b"a\n", b"bc\n", b"\n", b"d"]
    limited = body()
    assert [limited.readline(1), limited.readline(), limited.readline(2)] == [b"a", b"\n", b"bc"]


def test_continue_is_sent_once_and_only_when_bytes_are_waited_for():
    wire = Wire(b"abc", [1, 1, 1])
    body = input_of(wire, b"", 3, True, 1)
    assert not body.can_drain(100)
    assert wire.sent == b""
    assert body.read() == b"abc"
    assert wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"


def test_a_client_that_did_not_wait_is_not_told_to_continue():
    wire = Wire(b"bc")
    assert input_of(wire, b"a", 3, True, 1).read() == b"abc"
    assert wire.sent == b""


def test_continue_never_follows_an_answer():
    wire = Wire(b"abc")
    body = input_of(wire, b"", 3, True, 1)
    body.forget_expectation()
    body.read()
    assert wire.sent == b""


def test_an_early_end_is_a_connection_error_that_is_remembered():
    body = input_of(Wire(b"ab"), b"", 3, False, 1)
    with pytest.raises(ConnectionError) as raised:
        body.read()
    assert body.failure is raised.value
    assert not body.at_end


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    wire = Wire(b"1;" + b"a" * 10_000_000)
    with pytest.raises(MalformedBody):
        input_of(wire, b"", -1, False, 1).read()
    assert len(wire.data) > 9_900_000


def test_draining_is_bounded():
    body = input_of(Wire(b"x" * 1000), b"", 1000, False, 1)
    with pytest.raises(TimeoutError):
        body.drain(memoryview(bytearray(100)), 500, float("inf"))
