"""What the server makes of bytes on a wire: tests/data/http has one conversation a file."""

import ast
import time
from pathlib import Path

import pytest

from s3filters.server import acceptor
from tests.unit.server.live import Client, serving

EXPECTING = b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n"
CASES = sorted((Path(__file__).parents[2] / "data" / "http").glob("*.http"))


def read_case(path):
    """Return the bytes to send and what the comment lines above them promise."""
    promises = {"seen": []}
    text = ""
    for line in path.read_text("ascii").splitlines():
        if line.startswith("# "):
            name, _, value = line[2:].partition(": ")
            if name == "seen":
                promises["seen"].append(value)
            else:
                promises[name] = value
        else:
            text += line
    escaped = text.replace('"', '\\"')
    return ast.literal_eval(f'b"{escaped}"'), promises


class Recorder:
    """Reads the body, notes the request and answers 200."""

    def __init__(self):
        self.seen = []

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read().decode("latin-1")
        query = f"?{environ['QUERY_STRING']}" if environ["QUERY_STRING"] else ""
        self.seen.append(
            f"{environ['REQUEST_METHOD']} {environ['RAW_PATH_INFO']}{query} {body or '-'}"
        )
        assert "HTTP_X_FORWARDED_FOR" not in environ
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


@pytest.fixture(scope="module")
def recorded():
    recorder = Recorder()
    with serving(recorder) as live:
        yield recorder, live


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_conversation(path, recorded):
    recorder, live = recorded
    recorder.seen.clear()
    data, promises = read_case(path)
    with Client(live) as client:
        client.send(data)
        statuses = [client.answer()[0] for _ in promises["answers"].split()]
        if promises["then"] == "closed":
            assert client.ended()
        else:
            assert client.get("/still")[0] == 200
    assert " ".join(map(str, statuses)) == promises["answers"]
    assert recorder.seen[: len(promises["seen"])] == promises["seen"]
    assert len(recorder.seen) == len(promises["seen"]) + (promises["then"] == "open")


@pytest.mark.parametrize("name", ["pipelined", "chunked-extension-and-trailer", "raw-path"])
def test_a_request_may_come_byte_by_byte(name, recorded):
    recorder, live = recorded
    recorder.seen.clear()
    data, promises = read_case(next(path for path in CASES if path.stem == name))
    with Client(live) as client:
        for at in range(len(data)):
            client.send(data[at : at + 1])
        for status in promises["answers"].split():
            assert client.answer()[0] == int(status)
    assert recorder.seen == promises["seen"]


def answering(status="200 OK", headers=(), body=(b"",)):
    def app(environ, start_response):
        start_response(status, list(headers))
        return body

    return app


def test_expectation_is_met_only_when_the_body_is_read():
    read = []

    def app(environ, start_response):
        read.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(app) as live, Client(live) as client:
        client.send(EXPECTING)
        assert client.answer()[0] == 100
        client.send(b"abc")
        assert client.answer()[0] == 200
        assert client.get()[0] == 200
    assert read == [b"abc", b""]


def test_a_refused_request_is_not_asked_for_its_body():
    app = answering("403 Forbidden", [("Content-Length", "2")], [b"no"])
    with serving(app) as live, Client(live) as client:
        client.send(EXPECTING)
        status, fields, body = client.answer()
        assert (status, fields["connection"], body) == (403, "close", b"no")
        assert client.ended()


def test_an_unread_small_body_is_dropped_and_the_connection_kept():
    with serving(answering(headers=[("Content-Length", "0")])) as live, Client(live) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n" + b"x" * 30000)
        assert client.answer()[0] == 200
        client.send(b"x" * 30000)
        assert client.get()[0] == 200


def test_an_unread_large_body_ends_the_connection_but_the_answer_arrives():
    with (
        serving(answering("403 No", [("Content-Length", "2")], [b"no"])) as live,
        Client(live) as client,
    ):
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8000000\r\n\r\n")
        client.send(b"x" * 8000000)  # a client that sends first and listens later
        status, fields, body = client.answer()
        assert (status, fields["connection"], body) == (403, "close", b"no")
        assert client.ended()


def test_a_body_that_ends_early_is_an_error_of_the_client():
    raised = []

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except OSError as error:
            raised.append(error)
        start_response("400 Bad Request", [("Content-Length", "0")])
        return []

    with serving(app) as live, Client(live) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        client.sock.shutdown(1)
        assert client.answer()[0] == 400
    assert isinstance(raised[0], ConnectionError)


def test_a_client_that_stalls_in_the_body_gets_408_and_the_app_a_timeout():
    raised = []

    def app(environ, start_response):
        try:
            environ["wsgi.input"].read()
        except TimeoutError as error:
            raised.append(error)
            raise
        raise AssertionError

    with serving(app, read_timeout=0.1) as live, Client(live) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert client.answer()[0] == 408
        assert client.ended()
    assert raised


def test_a_header_that_drips_is_cut_off():
    with serving(answering(), header_timeout=0.2) as live, Client(live) as client:
        start = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        for _ in range(5):
            time.sleep(0.04)
            client.send(b"X: y\r\n")
        assert client.answer()[0] == 408
        assert client.ended()
        assert time.monotonic() - start < 2


def test_an_idle_connection_is_closed():
    with (
        serving(answering(headers=[("Content-Length", "0")]), idle_timeout=0.1) as live,
        Client(live) as client,
    ):
        assert client.get()[0] == 200
        assert client.ended()


def test_a_slow_client_holds_up_nobody_and_is_cut_in_the_end():
    block = b"x" * (1 << 20)

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/big":
            start_response("200 OK", [("Content-Length", str(64 << 20))])
            return (block for _ in range(64))
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(app, write_timeout=0.3) as live, Client(live) as slow, Client(live) as quick:
        slow.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        start = time.monotonic()
        for _ in range(50):
            assert quick.get()[0] == 200
        assert time.monotonic() - start < 1
        time.sleep(0.6)
        received = 0
        try:
            while data := slow.sock.recv(1 << 20):
                received += len(data)
        except ConnectionResetError:
            pass
        assert received < 64 << 20


def test_an_endless_upload_lets_others_have_their_turn():
    def app(environ, start_response):
        room = memoryview(bytearray(65536))
        while environ["wsgi.input"].readinto(room):
            pass
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(app) as live, Client(live) as busy, Client(live) as quick:
        busy.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 67108864\r\n\r\n")
        for _ in range(64):
            busy.send(b"x" * (1 << 20))
            assert quick.get()[0] == 200
        assert busy.answer()[0] == 200


def test_a_failing_app_is_a_500_and_the_failure_is_logged(caplog):
    def app(environ, start_response):
        raise KeyError("lost")

    with serving(app) as live, Client(live) as client:
        status, fields, body = client.get("/x")
        assert (status, fields["connection"]) == (500, "close")
        assert b"lost" not in body
        assert client.ended()
    assert "GET /x failed: 'lost'" in caplog.text


def test_a_connection_over_the_limit_waits_until_one_ends():
    with (
        serving(answering(headers=[("Content-Length", "0")]), connections=2) as live,
        Client(live) as first,
        Client(live) as second,
        Client(live) as third,
    ):
        assert first.get()[0] == second.get()[0] == 200
        third.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        third.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            third.more()
        first.sock.close()
        third.sock.settimeout(5)
        assert third.answer()[0] == 200


def test_a_full_server_ends_the_connection_that_idles_longest(monkeypatch):
    monkeypatch.setattr(acceptor, "IDLE_SECONDS", 0.1)
    with (
        serving(answering(headers=[("Content-Length", "0")]), connections=1) as live,
        Client(live) as first,
    ):
        assert first.get()[0] == 200
        time.sleep(0.15)
        with Client(live) as second:
            assert second.get()[0] == 200
        assert first.ended()


def test_draining_finishes_the_request_in_flight_and_ends_idle_connections():
    release = []

    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            release.append(environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Length", "0")])
        return []

    with serving(app) as live, Client(live) as busy, Client(live) as idle:
        assert idle.get()[0] == 200
        busy.send(b"PUT /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na")
        time.sleep(0.1)
        live.in_hub(lambda: live.service.drain(0.0))
        assert idle.ended()
        busy.send(b"bc")
        status, fields, _ = busy.answer()
        assert (status, fields["connection"]) == (200, "close")
        assert busy.ended()
    assert release == [b"abc"]
