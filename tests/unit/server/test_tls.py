"""TLS connections: many records, slow hands, and clients that do not speak it."""

import socket
import ssl
import time

import pytest

from tests.unit.server.certificate import make_certificate
from tests.unit.server.live import Client, serving


def echo(environ, start_response):
    start_response("200 OK", [("X-Scheme", environ["wsgi.url_scheme"])])
    return [environ["wsgi.input"].read()]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def context(certificate):
    return ssl.create_default_context(cafile=certificate)


def test_requests_one_after_the_other(certificate, context):
    with serving(echo, certificate=certificate) as live, Client(live, tls=context) as client:
        for size in (0, 1, 16384, 16385, 3_000_000):
            head = f"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
            client.send(head.encode() + b"x" * size)
            status, fields, body = client.answer()
            assert (status, fields["x-scheme"], len(body)) == (200, "https", size)


def test_an_old_version_is_refused(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with serving(echo, certificate=certificate) as live, pytest.raises(OSError):
        Client(live, tls=context)


def test_a_client_without_tls_is_dropped_in_silence(certificate, caplog):
    with serving(echo, certificate=certificate) as live, Client(live) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            while client.more():
                pass
        except ConnectionResetError:
            pass
    assert not caplog.text


def test_a_handshake_that_stalls_is_cut_off(certificate):
    with (
        serving(echo, certificate=certificate, header_timeout=0.1) as live,
        Client(live) as client,
    ):
        begin = time.monotonic()
        assert client.ended()
        assert time.monotonic() - begin < 2


def test_a_stalled_handshake_holds_up_nobody(certificate, context):
    with (
        serving(echo, certificate=certificate) as live,
        Client(live),
        Client(live, tls=context) as client,
    ):
        assert client.get()[0] == 200


def test_the_end_is_told_before_the_connection_closes(certificate, context):
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with serving(echo, certificate=certificate) as live, Client(live, tls=context) as client:
        client.sock.suppress_ragged_eofs = False
        assert client.get("/", "Connection: close")[0] == 200
        assert client.sock.recv(1) == b""
        assert isinstance(client.sock, socket.socket)
