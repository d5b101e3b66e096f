"""Files as bodies: the right bytes, from memory or through a thread, plain or through TLS."""

import os
import ssl

import pytest

from s3filters.server import files
from tests.unit.server.certificate import make_certificate
from tests.unit.server.live import Client, serving

SIZE = 9 * (1 << 20) + 123


class FileBody:
    """What backends return: a file, an offset and a count."""

    def __init__(self, path, offset, count):
        self._fd = os.open(path, os.O_RDONLY)
        self.offset = offset
        self.count = count

    def fileno(self):
        return self._fd

    def __iter__(self):
        raise AssertionError("the server takes the file")

    def close(self):
        os.close(self._fd)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "file"
    path.write_bytes(os.urandom(SIZE))
    return path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def sending(path):
    def app(environ, start_response):
        first, count, announced = map(int, environ["PATH_INFO"][1:].split("/"))
        start_response("200 OK", [("Content-Length", str(announced))])
        return FileBody(path, first, count)

    return app


@pytest.fixture(params=["resident", "not resident", "cannot tell"])
def residency(request, monkeypatch):
    """Where the pages are; the last two are simulated at the system call."""
    preadv = os.preadv

    def without_pages(fd, buffers, offset, flags=0):
        if flags & os.RWF_NOWAIT:
            if request.param == "cannot tell":
                raise OSError(95, "Operation not supported")
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return preadv(fd, buffers, offset)

    if request.param != "resident":
        monkeypatch.setattr(os, "preadv", without_pages)


RANGES = [(0, SIZE), (0, 0), (5, 1), (0, files.SMALL), (3, files.SMALL + 1), (1 << 20, 5 << 20)]


@pytest.mark.parametrize(("first", "count"), RANGES)
@pytest.mark.usefixtures("residency")
def test_the_range_is_sent_and_the_connection_kept(path, first, count):
    with serving(sending(path)) as live, Client(live) as client:
        for _ in range(2):
            _, _fields, body = client.get(f"/{first}/{count}/{count}")
            assert body == path.read_bytes()[first : first + count]


@pytest.mark.usefixtures("residency")
def test_the_range_is_sent_through_tls(path, certificate):
    context = ssl.create_default_context(cafile=certificate)
    with (
        serving(sending(path), certificate=certificate) as live,
        Client(live, tls=context) as client,
    ):
        for first, count in RANGES:
            body = client.get(f"/{first}/{count}/{count}")[2]
            assert body == path.read_bytes()[first : first + count]


def test_head_sends_nothing_of_the_file(path):
    with serving(sending(path)) as live, Client(live) as client:
        client.send(b"HEAD /0/100000/100000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer(bodiless=True)[1]["content-length"] == "100000"
        assert client.get("/0/3/3")[0] == 200


@pytest.mark.parametrize("count", [10, 200_000])
def test_a_count_that_is_not_the_length_announced_is_a_500(path, count, caplog):
    with serving(sending(path)) as live, Client(live) as client:
        assert client.get(f"/0/{count}/{count + 1}")[0] == 500
    assert "not the length announced" in caplog.text


@pytest.mark.parametrize("count", [1000, 200_000])
@pytest.mark.usefixtures("residency")
def test_a_file_that_shrank_never_looks_whole(path, count, caplog):
    with (
        serving(sending(path)) as live,
        Client(live) as client,
        pytest.raises((AssertionError, ConnectionResetError)),
    ):
        client.get(f"/{SIZE - 500}/{count}/{count}")
    assert "shorter" in caplog.text


class TapeBody(FileBody):
    """A file of which some of the bytes may go to tape."""

    patient = False

    def waits(self, offset, count):
        """From the middle on they are there."""
        return offset + count > SIZE // 2


@pytest.fixture(params=["plain", "tls"])
def taping(request, path, certificate, monkeypatch):
    """A client of a server of such bodies, on a file system that cannot tell what is in memory."""
    preadv = os.preadv

    def without_flags(fd, buffers, offset, flags=0):
        if flags:
            raise OSError(95, "Operation not supported")
        return preadv(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", without_flags)

    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", str(SIZE))])
        body = TapeBody(path, 0, SIZE)
        body.patient = environ["PATH_INFO"] == "/patient"
        return body

    given = {"certificate": certificate} if request.param == "tls" else {}
    context = ssl.create_default_context(cafile=certificate) if given else None
    with serving(app, **given) as live, Client(live, tls=context) as client:
        yield client


def test_an_answer_ends_where_the_rest_is_on_tape(taping, caplog):
    with pytest.raises((AssertionError, OSError)):
        taping.get("/")
    assert "went to tape" in caplog.text


def test_a_patient_answer_waits_for_the_tape(taping, path):
    assert taping.get("/patient")[2] == path.read_bytes()


def test_a_file_that_was_just_written_is_in_memory(path):
    assert files.resident(os.open(path, os.O_RDONLY), 0, SIZE)


def test_past_the_end_counts_as_in_memory(path):
    """Reading there does not wait; it gives nothing, and the sender notices."""
    fd = os.open(path, os.O_RDONLY)
    try:
        assert files.resident(fd, SIZE, 100)
    finally:
        os.close(fd)
