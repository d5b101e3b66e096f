"""aws-chunked: AWS's published chunks, every place where a read can end, and everything wrong."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3filters.s3.body import Body
from s3filters.s3.errors import S3Error
from s3filters.sign import v4
from s3filters.sign.chunks import Chain, Decoder
from s3filters.sign.payload import body_of
from s3filters.sign.request import Request
from s3filters.sign.verify import verify
from tests.unit.sign.signing import DATA, IN_2013, KEY, SECRET, published, rules

SCOPE = "20130524/us-east-1/s3/aws4_request"
TIMESTAMP = "20130524T000000Z"
SEED = "5" * 64
SIGNING_KEY = v4.signing_key(SECRET, "20130524", "us-east-1")
CRC = "x-amz-checksum-crc32"


class Socket:
    """A source that gives pieces of its own sizes, in turn."""

    def __init__(self, data, sizes=(1 << 20,)):
        self.data = data
        self.sizes = list(sizes)
        self.reads = 0

    def readinto(self, view):
        self.reads += 1
        size = self.sizes.pop(0) if len(self.sizes) > 1 else self.sizes[0]
        piece = self.data[: min(size, len(view))]
        view[: len(piece)] = piece
        self.data = self.data[len(piece) :]
        return len(piece)


def sign(kind, previous, *digests):
    text = "\n".join((f"AWS4-HMAC-SHA256-{kind}", TIMESTAMP, SCOPE, previous, *digests))
    return hmac.digest(SIGNING_KEY, text.encode(), "sha256").hex()


def framed(chunks, trailers="", signed=True):
    """Return chunks as a client sends them."""
    wire, previous = b"", SEED
    for chunk in [*chunks, b""]:
        extension = ""
        if signed:
            digests = (hashlib.sha256(b"").hexdigest(), hashlib.sha256(chunk).hexdigest())
            previous = sign("PAYLOAD", previous, *digests)
            extension = f";chunk-signature={previous}"
        wire += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    for line in trailers.splitlines():
        wire += line.encode() + b"\r\n"
    if trailers and signed:
        digest = hashlib.sha256(trailers.encode()).hexdigest()
        wire += f"x-amz-trailer-signature:{sign('TRAILER', previous, digest)}\r\n".encode()
    return wire + b"\r\n"


def chain():
    return Chain(KEY, SIGNING_KEY, TIMESTAMP, SCOPE, SEED)


def decoder(wire, length, signed=True, announced=None, sizes=(1 << 20,), encoded=None):
    source = Socket(wire, sizes)
    return Decoder(
        source, length, encoded=encoded, chain=chain() if signed else None, announced=announced
    )


def drain(source, size=1 << 16):
    """Read all there is through buffers of one size."""
    data, view = b"", memoryview(bytearray(size))
    while count := source.readinto(view):
        data += view[:count]
    return data


def refusal(call, *args, **named):
    with pytest.raises(S3Error) as caught:
        call(*args, **named)
    return caught.value


# --- AWS's figures -----------------------------------------------------------------------------


def published_body(name):
    wire = b""
    for line in (DATA / f"{name}.chunks").read_text().splitlines():
        what, signature = line.rsplit(" ", 1)
        if ":" in what:  # the documentation's client ends a trailer like this
            wire += f"{what}\n\r\nx-amz-trailer-signature:{signature}\r\n".encode()
        else:
            size = int(what)
            wire += f"{size:x};chunk-signature={signature}\r\n".encode()
            wire += b"a" * size + (b"\r\n" if size else b"")
    return wire + b"\r\n"


@pytest.mark.parametrize(
    ("name", "trailers"),
    [("put-chunked", {}), ("put-trailer", {"x-amz-checksum-crc32c": "sOO8/Q=="})],
)
def test_aws_published_chunks_are_verified(name, trailers):
    wire = published_body(name)
    environ, _ = published(name, wire)
    environ["CONTENT_LENGTH"] = str(len(wire))
    proof = verify(Request(environ), rules(), IN_2013)
    body = body_of(environ, proof)
    assert body.length == 66560
    body.want("CRC32C")
    view = memoryview(bytearray(8192))
    while count := body.readinto(view):
        body.update(view[:count])
    body.verify()
    assert body.trailers == trailers
    assert body.digest("CRC32C") == bytes.fromhex("b0e3bcfd")


def test_the_published_content_length_is_that_of_the_published_chunks():
    environ, _ = published("put-chunked")
    assert int(environ["CONTENT_LENGTH"]) == len(published_body("put-chunked"))


# --- framing -----------------------------------------------------------------------------------

DATA_OF_ALL = b"The quick brown\r\n0;fox jumps"
ALL = {
    "signed": (framed([DATA_OF_ALL[:9], DATA_OF_ALL[9:]]), True, None),
    "signed trailer": (framed([DATA_OF_ALL], f"{CRC}:abc=\n"), True, {CRC}),
    "unsigned trailer": (framed([DATA_OF_ALL], f"{CRC}:abc=\n", signed=False), False, {CRC}),
}


@pytest.mark.parametrize("size", [1, 7, 100, 8192, 65536])
@pytest.mark.parametrize("name", ALL)
def test_framing_is_understood_wherever_a_read_ends(name, size):
    wire, signed, announced = ALL[name]
    for cut in range(1, len(wire)):
        source = decoder(wire, len(DATA_OF_ALL), signed, announced, sizes=(cut, 1 << 20))
        assert drain(source, size) == DATA_OF_ALL
        assert source.trailers == ({CRC: "abc="} if announced else {})


@pytest.mark.parametrize("name", ALL)
def test_framing_is_understood_byte_by_byte(name):
    wire, signed, announced = ALL[name]
    for size in (1, 8192):
        source = decoder(wire, len(DATA_OF_ALL), signed, announced, sizes=(1,))
        assert drain(source, size) == DATA_OF_ALL


@pytest.mark.parametrize("size", [16, 65536])
@pytest.mark.parametrize("name", ALL)
def test_a_body_that_ends_early_is_incomplete_wherever_it_ends(name, size):
    wire, signed, announced = ALL[name]
    whole = len(wire) - 2  # without the last empty line nothing is missing
    for cut in range(whole - 2):
        source = decoder(wire[:cut], len(DATA_OF_ALL), signed, announced)
        assert refusal(drain, source, size).code in ("IncompleteBody", "MalformedTrailerError")


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=40_000), max_size=5),
    sizes=st.lists(st.integers(1, 30_000), min_size=1, max_size=9),
    size=st.integers(1, 70_000),
    signed=st.booleans(),
)
def test_what_was_framed_comes_out(chunks, sizes, size, signed):
    data = b"".join(chunks)
    source = decoder(framed(chunks, signed=signed), len(data), signed, sizes=sizes)
    assert drain(source, size) == data


@given(data=st.data(), name=st.sampled_from(sorted(ALL)))
def test_no_change_of_a_byte_passes_a_signature_or_breaks_more_than_the_request(data, name):
    wire, signed, announced = ALL[name]
    at = data.draw(st.integers(0, len(wire) - 3))
    value = data.draw(st.integers(0, 255).filter(lambda value: value != wire[at]))
    changed = wire[:at] + bytes([value]) + wire[at + 1 :]
    source = decoder(changed, len(DATA_OF_ALL), signed, announced)
    try:
        read = drain(source)
    except S3Error:
        return
    # Hex digits in another case, a trailer's name in another case: that says the same.
    assert read == DATA_OF_ALL or not signed


def test_sizes_in_any_case_and_with_leading_zeros_are_understood():
    wire = framed([b"x" * 0xAB], signed=False).replace(b"ab\r\n", b"000AB;note=1\r\n")
    assert drain(decoder(wire, 0xAB, signed=False)) == b"x" * 0xAB


def test_an_empty_body_is_checked_to_its_end():
    source = decoder(framed([], f"{CRC}:AAAAAA==\n"), 0, announced={CRC})
    body = Body(source, 0)
    body.trailers = source.trailers
    assert body.readinto(memoryview(bytearray(10))) == 0
    assert body.trailers == {CRC: "AAAAAA=="}


def test_the_last_bytes_come_only_when_all_behind_them_was_right():
    wire = framed([b"a" * 10, b"b" * 10])
    source = decoder(wire[:-68] + b"0" * 64 + wire[-4:], 20)
    assert refusal(source.readinto, memoryview(bytearray(100))).code == "SignatureDoesNotMatch"


def test_a_source_that_ends_before_its_length_is_an_incomplete_body():
    wire = framed([b"hello"], signed=False)
    source = decoder(wire, 5, signed=False, encoded=len(wire) + 1)
    assert refusal(drain, source).code == "IncompleteBody"


def test_nothing_behind_the_body_is_read():
    wire = framed([b"hello"], signed=False)
    source = Socket(wire + b"GET / HTTP/1.1\r\n")
    assert drain(Decoder(source, 5, encoded=len(wire))) == b"hello"
    assert source.data == b"GET / HTTP/1.1\r\n"


def test_the_connection_is_read_in_pieces_as_large_as_the_buffer():
    data = b"x" * (4 << 20)
    source = Socket(framed([data], signed=False), sizes=(1 << 30,))
    assert drain(Decoder(source, len(data)), 1 << 20) == data
    assert source.reads < 8


def test_tiny_chunks_keep_nobody_else_waiting():
    source = Socket(framed([b"x"] * 50_000, signed=False), sizes=(1 << 30,))
    decoder = Decoder(source, 50_000)
    assert decoder.readinto(memoryview(bytearray(1 << 20))) < 12_000


def test_a_finished_decoder_stays_finished():
    source = decoder(framed([b"x"]), 1)
    assert drain(source) == b"x"
    source.finish()
    assert source.readinto(memoryview(bytearray(9))) == 0


def test_an_early_finish_is_an_incomplete_body():
    assert refusal(decoder(framed([b"x"]), 1).finish).code == "IncompleteBody"


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 4, 6, 1000])
@pytest.mark.parametrize("signed", [True, False])
def test_another_decoded_length_than_announced_is_an_incomplete_body(signed, length):
    source = decoder(framed([b"hello"], signed=signed), length, signed)
    error = refusal(drain, Body(source, length))
    assert error.code == "IncompleteBody"


def test_a_wrong_chunk_signature_tells_what_was_signed_here():
    wire = framed([b"hello"]).replace(b"hello", b"jello")
    error = refusal(drain, decoder(wire, 5))
    assert error.code == "SignatureDoesNotMatch"
    assert error.detail["AWSAccessKeyId"] == KEY
    assert error.detail["StringToSign"].splitlines() == [
        "AWS4-HMAC-SHA256-PAYLOAD",
        TIMESTAMP,
        SCOPE,
        SEED,
        hashlib.sha256(b"").hexdigest(),
        hashlib.sha256(b"jello").hexdigest(),
    ]


def test_chunks_cannot_change_places():
    wire = framed([b"a" * 9, b"b" * 9])
    first, second = wire[: wire.index(b"9;", 5)], wire[wire.index(b"9;", 5) :]
    end = second.index(b"0;chunk")
    changed = second[:end] + first + second[end:]
    assert refusal(drain, decoder(changed, 18)).code == "SignatureDoesNotMatch"


def test_a_signed_body_may_not_end_without_its_last_chunk():
    wire = framed([b"hello"])
    cut = wire.index(b"0;chunk-signature")
    assert refusal(drain, decoder(wire[:cut], 5)).code == "IncompleteBody"


def test_chunk_signatures_are_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or real(a, b))
    drain(decoder(framed([b"hello"], f"{CRC}:x\n"), 5, announced={CRC}))
    assert len(compared) == 3


@pytest.mark.parametrize(
    "wire",
    [
        b"\r\n",
        b"5\nhello\n0\n\n",
        b"x\r\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloo\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"00000000000000005\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"x" * 600 + b"\r\nhello\r\n0\r\n\r\n",
        b"5" + b"x" * 5000,
        b"5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + CRC.encode() + b":AAAAAA==\r\n\r\n",
    ],
)
def test_framing_of_another_form_is_refused(wire):
    for sizes in ((1 << 20,), (1,), (3,)):
        error = refusal(drain, decoder(wire, 5, signed=False, sizes=sizes))
        assert error.code in ("IncompleteBody", "MalformedTrailerError")


def test_signed_framing_needs_its_signatures():
    assert refusal(drain, decoder(framed([b"x"], signed=False), 1)).code == "IncompleteBody"


@pytest.mark.parametrize(
    "trailers",
    [
        "",
        f"{CRC}\n",
        f"{CRC}:a\n{CRC}:a\n",
        f"{CRC}:a\nx-amz-meta-x:1\n",
        "x-amz-meta-x:1\n",
        f"{CRC}:\xe4\n",
        f"{CRC} :a\n",
        f"{CRC}:{'a' * 20_000}\n",
        "x\n" * 10_000,
    ],
)
@pytest.mark.parametrize("signed", [True, False])
def test_trailers_of_another_form_than_announced_are_refused(signed, trailers):
    wire = framed([b"x"], trailers, signed)
    error = refusal(drain, decoder(wire, 1, signed, announced={CRC}))
    assert error.code == "MalformedTrailerError"


def test_signed_trailers_need_their_signature():
    wire = framed([b"x"], f"{CRC}:a\n")
    cut = wire.index(b"x-amz-trailer-signature")
    error = refusal(drain, decoder(wire[:cut] + b"\r\n", 1, announced={CRC}))
    assert error.code == "MalformedTrailerError"


def test_a_trailer_that_was_changed_is_refused():
    wire = framed([b"x"], f"{CRC}:a\n").replace(b":a\r", b":b\r")
    assert refusal(drain, decoder(wire, 1, announced={CRC})).code == "SignatureDoesNotMatch"


def test_trailers_are_read_in_any_case_and_with_blanks():
    wire = framed([b"x"], "X-Amz-Checksum-CRC32: \t abc= \n", signed=False)
    source = decoder(wire, 1, signed=False, announced={CRC})
    drain(source)
    assert source.trailers == {CRC: "abc="}


@pytest.mark.parametrize(
    ("raised", "code"), [(TimeoutError, "RequestTimeout"), (ConnectionResetError, "IncompleteBody")]
)
def test_a_slow_or_lost_client_is_an_s3_error_even_behind_the_last_byte(raised, code):
    class Lost(Socket):
        def readinto(self, view):
            if not self.data:
                raise raised
            return super().readinto(view)

    wire = framed([b"x"], f"{CRC}:a\n", signed=False)
    for cut in (0, 4, 7, len(wire) - 4):
        source = Decoder(Lost(wire[:cut]), 1, encoded=len(wire), announced=frozenset([CRC]))
        assert refusal(drain, Body(source, 1)).code == code
    source = Decoder(Lost(b""), 0, encoded=5, announced=frozenset([CRC]))
    assert refusal(drain, Body(source, 0)).code == code
