"""How an app's answer is framed, and what happens to one that cannot be."""

import re

import pytest

from tests.unit.server.live import Client, serving


class Programmable:
    """Answers each path as the test has set it: (status, headers, body)."""

    def __init__(self):
        self.answers = {}
        self.closed = 0

    def __call__(self, environ, start_response):
        status, headers, body = self.answers[environ["PATH_INFO"]]
        start_response(status, list(headers))
        return body


@pytest.fixture(scope="module")
def module_app():
    app = Programmable()
    with serving(app) as live:
        yield app, live


@pytest.fixture
def ask(module_app):
    """Set an answer, ask for it over one connection, and return (client, answer)."""
    app, live = module_app
    with Client(live) as client:

        def ask(body, headers=(), status="200 OK", method="GET", version="1.1", fields=""):
            app.answers["/"] = status, headers, body
            client.send(f"{method} / HTTP/{version}\r\nHost: a\r\n{fields}\r\n".encode())
            return client.answer(bodiless=method == "HEAD")

        ask.client = client
        yield ask


def test_headers_keep_case_and_order(module_app):
    app, live = module_app
    headers = [("x-amz-meta-fooBar", "1"), ("ETag", '"e"'), ("Content-Length", "0"), ("b", "")]
    app.answers["/"] = "200 OK", headers, []
    with Client(live) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        _, fields = client.head()
    assert fields[:3] == headers[:3]
    assert [name for name, *_ in fields[4:]] == ["Date", "Server"]


def test_date_and_server_of_the_app_stay(ask):
    headers = [("Date", "today"), ("server", "mine"), ("Content-Length", "0")]
    _, fields, _ = ask([], headers)
    assert (fields["date"], fields["server"]) == ("today", "mine")


def test_date_is_an_http_date(ask):
    _, fields, _ = ask([b""])
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["date"])


def test_a_list_is_counted(ask):
    _, fields, body = ask([b"ab", b"", b"c"])
    assert (fields["content-length"], body) == ("3", b"abc")
    assert ask([])[1]["content-length"] == "0"


def test_an_iterable_without_length_goes_in_chunks(ask):
    _, fields, body = ask(iter([b"ab", b"", b"c"]))
    assert (fields["transfer-encoding"], body) == ("chunked", b"abc")
    assert ask([b"again"])[2] == b"again"


def test_an_iterable_without_length_ends_the_connection_of_http_1_0(ask):
    _, fields, body = ask(iter([b"ab", b"c"]), version="1.0", fields="Connection: keep-alive\r\n")
    assert (fields["connection"], body) == ("close", b"abc")


def test_an_iterable_with_length_keeps_it(ask):
    _, fields, body = ask(iter([b"ab", b"c"]), [("Content-Length", "3")])
    assert (fields["content-length"], body) == ("3", b"abc")
    assert "transfer-encoding" not in fields


def test_an_empty_iterable_has_length_0(ask):
    assert ask(iter([]))[1]["content-length"] == "0"


@pytest.mark.parametrize("body", [[b"abc"], iter([b"abc"])])
def test_head_has_the_headers_alone(ask, body):
    _, fields, _ = ask(body, [("Content-Length", "3")], method="HEAD")
    assert fields["content-length"] == "3"
    assert ask([b"next"])[2] == b"next"


@pytest.mark.parametrize("body", [[], [b"abc"], iter([b"abc"])])
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_statuses_without_body_have_none(ask, status, body):
    assert ask(body, status=status)[0] == int(status[:3])
    assert ask([b"next"])[2] == b"next"


def test_204_has_no_content_length_and_304_may(ask):
    assert "content-length" not in ask([], [("Content-Length", "0")], "204 No Content")[1]
    assert ask([], [("Content-Length", "9")], "304 Not Modified")[1]["content-length"] == "9"


def test_the_app_may_end_the_connection(ask):
    assert ask([b""], [("Connection", "close")])[1]["connection"] == "close"
    assert ask.client.ended()


def test_hop_by_hop_headers_of_the_app_are_dropped(ask):
    headers = [("Transfer-Encoding", "chunked"), ("Keep-Alive", "5"), ("Upgrade", "x")]
    _, fields, body = ask([b"abc"], headers)
    assert body == b"abc"
    assert not {"transfer-encoding", "keep-alive", "upgrade"} & set(fields)


@pytest.mark.parametrize("body", [[b"abcdef"], iter([b"abcdef"]), iter([b"abc", b"d"])])
def test_a_body_longer_than_announced_is_cut_and_ends_the_connection(ask, body, caplog):
    assert ask(body, [("Content-Length", "3")])[2] == b"abc"
    with pytest.raises((ConnectionResetError, AssertionError)):
        assert not ask.client.ended()
    assert "announced" in caplog.text


@pytest.mark.parametrize("body", [[b"abc"], iter([b"abc"]), iter([])])
def test_a_body_shorter_than_announced_ends_the_connection(ask, body, caplog):
    with pytest.raises((AssertionError, ConnectionResetError)):
        ask(body, [("Content-Length", "6")])
    assert "announced" in caplog.text


def test_a_body_that_breaks_off_never_looks_whole(ask, caplog):
    def broken():
        yield b"abc"
        raise KeyError("lost")

    with pytest.raises((AssertionError, ConnectionResetError, ValueError)):
        ask(broken())
    assert "lost" in caplog.text


@pytest.mark.parametrize(
    "headers",
    [
        [("X", "a\r\nSet-Cookie: b")],
        [("X", "a\nb")],
        [("X", "a\rb")],
        [("X", "a\0b")],
        [("X", "\u2603")],
        [("X\r\nY", "a")],
        [("X Y", "a")],
        [("", "a")],
        [("Content-Length", "-1")],
        [("Content-Length", "1"), ("content-length", "2")],
    ],
)
def test_a_header_that_cannot_be_sent_is_a_500(ask, headers, caplog):
    status, fields, _body = ask([b"x"], headers)
    assert (status, fields["connection"]) == (500, "close")
    assert "set-cookie" not in fields
    assert "GET / failed" in caplog.text
    assert ask.client.ended()


@pytest.mark.parametrize("status", ["200 OK\r\nX: y", "OK", "99 Low", "600 High", "100 Continue"])
def test_a_status_that_cannot_be_sent_is_a_500(ask, status, caplog):
    assert ask([b"x"], status=status)[0] == 500
    assert "GET / failed" in caplog.text


def test_an_iterable_is_closed_whatever_happens(module_app):
    app, live = module_app

    class Body:
        def __init__(self, parts):
            self.parts = parts
            self.closed = 0

        def __iter__(self):
            return iter(self.parts)

        def close(self):
            self.closed += 1

    bodies = [Body([b"abc"]), Body([b"abcdef"]), Body([])]
    for body in bodies:
        app.answers["/"] = "200 OK", [("Content-Length", "3")], body
        with Client(live) as client:
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            try:
                while client.more():
                    pass
            except ConnectionResetError:
                pass
    assert [body.closed for body in bodies] == [1, 1, 1]


def test_write_of_old_apps_still_writes():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"ab")
        write(b"c")
        return [b"d"]

    with serving(app) as live, Client(live) as client:
        assert client.get()[2] == b"abcd"
        assert client.get()[2] == b"abcd"


def test_a_second_start_response_needs_an_error_and_replaces_the_first(caplog):
    def app(environ, start_response):
        start_response("200 OK", [("X", "first")])
        if environ["PATH_INFO"] == "/again":
            start_response("200 OK", [])
        try:
            raise KeyError("why")
        except KeyError as error:
            start_response("503 No", [], (KeyError, error, error.__traceback__))
        return [b"x"]

    with serving(app) as live:
        with Client(live) as client:
            status, fields, _ = client.get()
            assert status == 503
            assert "x" not in fields
        with Client(live) as client:
            assert client.get("/again")[0] == 500
    assert "start_response was called twice" in caplog.text


def test_head_of_a_generator_app_sends_the_headers():
    def app(environ, start_response):
        start_response("200 OK", [("Content-Length", "3")])
        yield b"abc"

    with serving(app) as live, Client(live) as client:
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.answer(bodiless=True)[1]["content-length"] == "3"
        assert client.get()[2] == b"abc"


def test_without_start_response_there_is_a_500(caplog):
    with serving(lambda environ, start_response: [b"x"]) as live, Client(live) as client:
        assert client.get()[0] == 500
    assert "never called" in caplog.text
