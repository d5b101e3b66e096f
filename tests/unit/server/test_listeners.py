"""Addresses become sockets, or one clear line."""

import os
import socket
import stat
from dataclasses import replace

import pytest

from s3filters.server.listeners import Listener, ListenError, tls_context
from s3filters.server.options import Options
from s3filters.server.runner import open_listeners
from tests.unit.server.live import Client, serving


def hello(environ, start_response):
    start_response("200 OK", [])
    return [environ["REMOTE_ADDR"].encode() + b"|" + environ["SERVER_NAME"].encode()]


@pytest.fixture
def listening():
    made = []

    def listen(address, workers=1, **options):
        made.append(Listener(address, replace(Options(), **options), workers))
        return made[-1]

    yield listen
    for listener in made:
        listener.close(remove=True)


def test_v6_is_served():
    with serving(hello, "[::1]:0") as live, Client(live, socket.AF_INET6) as client:
        assert client.get()[2] == b"::1|::1"


def test_a_unix_socket_is_served_and_removed(tmp_path):
    path = tmp_path / "s3.sock"
    with serving(hello, f"unix:{path}") as live, Client(live, socket.AF_UNIX) as client:
        assert client.get()[2] == b"|localhost"
    assert not path.exists()


def test_a_socket_file_has_the_permission_asked_for(tmp_path, listening):
    listening(f"unix:{tmp_path}/a", socket_permission=0o600)
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o600


def test_a_stale_socket_file_is_replaced(tmp_path, listening):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{tmp_path}/a")
    assert listening(f"unix:{tmp_path}/a").endpoint == f"unix:{tmp_path}/a"


def test_a_socket_file_in_use_is_not_taken(tmp_path, listening):
    listening(f"unix:{tmp_path}/a")
    with pytest.raises(ListenError, match=r"unix:.*/a: another process listens there"):
        listening(f"unix:{tmp_path}/a")


def test_a_file_of_another_kind_is_left_alone(tmp_path, listening):
    (tmp_path / "a").write_text("precious")
    with pytest.raises(ListenError, match="not a socket"):
        listening(f"unix:{tmp_path}/a")
    assert (tmp_path / "a").read_text() == "precious"


def test_a_socket_file_that_another_has_replaced_is_not_removed(tmp_path, listening):
    first = listening(f"unix:{tmp_path}/a")
    os.unlink(tmp_path / "a")
    listening(f"unix:{tmp_path}/a")
    first.close(remove=True)
    assert (tmp_path / "a").exists()


def test_a_port_in_use_is_one_clear_line(listening):
    port = listening("127.0.0.1:0").sockets[0].getsockname()[1]
    with pytest.raises(ListenError, match=f"^cannot listen on 127.0.0.1:{port}: Address already"):
        listening(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    "address", ["no.such.host.invalid:80", "127.0.0.1:99999", "unix:/proc/no/s"]
)
def test_an_address_that_cannot_be_is_one_clear_line(address, listening):
    with pytest.raises(ListenError, match=r"^cannot listen on .*: .+"):
        listening(address)


def test_all_addresses_or_none(tmp_path):
    options = replace(Options(), listen=(f"unix:{tmp_path}/a", "127.0.0.1:99999"))
    with pytest.raises(ListenError):
        open_listeners(options, 1)
    assert not (tmp_path / "a").exists()


def test_reuseport_gives_each_worker_a_socket_on_the_same_port(listening):
    listener = listening("127.0.0.1:0", workers=3, sockets="reuseport")
    assert len({sock.getsockname() for sock in listener.sockets}) == 1
    assert len({listener.socket_for(slot) for slot in range(6)}) == 3
    assert listener.socket_for(1) is listener.socket_for(4)


def test_accepted_connections_do_not_wait_to_fill_segments(listening):
    listener = listening("127.0.0.1:0")
    with socket.create_connection(listener.sockets[0].getsockname()):
        accepted, _ = listener.sockets[0].accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_endpoints_are_what_a_client_writes(listening):
    assert listening("127.0.0.1:0").endpoint.startswith("http://127.0.0.1:")
    assert listening("[::1]:0", certificate="any").endpoint.startswith("https://[::1]:")


def test_a_certificate_that_cannot_be_used_is_one_clear_line(tmp_path):
    (tmp_path / "pem").write_text("nonsense")
    for name in ("pem", "missing"):
        with pytest.raises(ListenError, match=f"^cannot use the certificate .*{name}"):
            tls_context(replace(Options(), certificate=f"{tmp_path}/{name}"))
