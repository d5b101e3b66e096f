"""Connections are shared out between workers, and a lack of descriptors is waited out."""

import errno
import time

from s3filters.server import acceptor
from s3filters.server.acceptor import Board
from tests.unit.server.live import Client, serving


def hello(environ, start_response):
    start_response("200 OK", [("Content-Length", "0")])
    return []


def test_the_lightest_peer_is_found():
    board = Board(4)
    for slot, count in enumerate((5, 3, 4)):
        board.write(slot, count)
    assert board.lighter(0, range(4)) == 1
    assert board.lighter(2, range(4)) == 1
    assert board.lighter(1, range(4)) is None


def test_an_absent_peer_is_never_the_lightest():
    board = Board(2)
    board.write(0, 5)
    assert board.lighter(0, range(2)) is None


def test_workers_with_equal_numbers_leave_each_other_alone():
    board = Board(2)
    board.write(0, 2)
    board.write(1, 2)
    assert board.lighter(0, range(2)) is None


class Poor:
    """A listening socket in a process that has no descriptors left, for a while."""

    def __init__(self, sock):
        self.sock = sock
        self.poor = True
        self.tries = 0

    def fileno(self):
        return self.sock.fileno()

    def accept(self):
        self.tries += 1
        if self.poor:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.sock.accept()


def test_without_descriptors_it_waits_and_says_so_once(caplog, monkeypatch):
    monkeypatch.setattr(acceptor, "EXHAUSTED_SECONDS", 0.05)
    with serving(hello) as live:
        poor = live.acceptor._listener = Poor(live.acceptor._listener)
        with Client(live) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.2)
            assert 1 <= poor.tries <= 6
            poor.poor = False
            assert client.answer()[0] == 200
    assert caplog.text.count("cannot accept connections: Too many open files") == 1


def test_a_connection_that_ended_in_the_queue_is_skipped():
    with serving(hello) as live:

        class Fickle(Poor):
            def accept(self):
                if self.poor:
                    self.poor = False
                    raise ConnectionAbortedError(errno.ECONNABORTED, "gone")
                return self.sock.accept()

        live.acceptor._listener = Fickle(live.acceptor._listener)
        with Client(live) as client:
            assert client.get()[0] == 200
