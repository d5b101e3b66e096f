"""The client counts each answer once, whatever way its length is said."""

import socket
import threading
from contextlib import contextmanager

import pytest

from benchmarks.loop import LoadError, closed_loop, load
from benchmarks.signing import Endpoint

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def answer_each(client, answer):
    with client:
        pending = b""
        while data := client.recv(65536):
            pending += data
            while b"\r\n\r\n" in pending:
                _, _, pending = pending.partition(b"\r\n\r\n")
                for piece in answer:
                    client.sendall(piece)


@contextmanager
def server(*answer):
    """Answer each request with the same pieces."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        team = []

        def accept():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                member = threading.Thread(target=answer_each, args=(client, answer))
                member.start()
                team.append(member)

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield Endpoint("127.0.0.1", listener.getsockname()[1], "", "")
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            for member in (acceptor, *team):
                member.join()


@pytest.mark.parametrize(
    ("verb", "answer"),
    [
        ("GET", (OK,)),
        ("GET", (OK[:20], OK[20:45], OK[45:])),
        ("GET", (b"HTTP/1.1 200 OK\r\ncontent-length:0\r\nx: y\r\n\r\n",)),
        ("GET", (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",)),
        (
            "GET",
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r", b"\n0\r\n\r\n"),
        ),
        ("HEAD", (b"HTTP/1.1 200 OK\r\nContent-Length: 4096\r\n\r\n",)),
        ("DELETE", (b"HTTP/1.1 204 No Content\r\n\r\n",)),
    ],
)
def test_every_request_is_sent_once_and_its_answer_taken_whole(verb, answer):
    with server(*answer) as endpoint:
        outcome = closed_loop(endpoint, [f"{verb} / HTTP/1.1\r\n\r\n".encode()] * 30, 4)
    assert len(outcome.latencies) == 30
    assert outcome.failures == []
    assert outcome.rate > 0


def test_an_answer_that_is_not_2xx_is_an_error_that_quotes_it():
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nAccessDenied"
    with server(refusal) as endpoint, pytest.raises(LoadError, match=r"(?s)3 of 3 .*AccessDenied"):
        load(endpoint, [b"GET / HTTP/1.1\r\n\r\n"] * 3, 1)


def test_a_server_that_goes_silent_ends_the_run():
    silent = server(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
    with silent as endpoint, pytest.raises(LoadError, match="not answered in time"):
        closed_loop(endpoint, [b"GET / HTTP/1.1\r\n\r\n"], 1, limit=0.2)
