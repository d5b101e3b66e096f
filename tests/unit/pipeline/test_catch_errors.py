import io
import logging
import os
import re
import threading

import pytest

from s3filters import options
from s3filters.pipeline import catch_errors
from s3filters.pipeline.catch_errors import CatchErrors, WrongLength
from s3filters.s3.call import IDENTITY, KEY, READABLE, REQUEST_ID, Call, Identity
from s3filters.s3.errors import S3Error, host_id


class Lines(list):
    def write(self, line):
        self.append(line)


class Server:
    """Keeps what an app answers, as a server would: a second start only with exc_info."""

    def __init__(self):
        self.status = self.headers = None

    def __call__(self, status, headers, exc_info=None):
        assert self.status is None or exc_info is not None
        self.status, self.headers = status, headers


def ask(app, method="GET", lines=None, close=True, **more):
    server = Server()
    environ = {"REQUEST_METHOD": method, "PATH_INFO": "/bucket/key", **more}
    body = CatchErrors(app, lines)(environ, server)
    data = b"".join(body)
    if close and hasattr(body, "close"):
        body.close()
    return server, data, environ


def answering(*parts, length=None, status="200 OK", wrap=list):
    def app(environ, start_response):
        announced = sum(map(len, parts)) if length is None else length
        start_response(status, [("Content-Length", str(announced))])
        return wrap(parts)

    return app


def test_every_answer_has_the_ids_of_its_request():
    server, data, environ = ask(answering(b"abc"))
    request_id = environ[REQUEST_ID]
    assert re.fullmatch("[0-9A-F]{16}", request_id)
    assert server.headers == [
        ("Content-Length", "3"),
        ("x-amz-request-id", request_id),
        ("x-amz-id-2", host_id(request_id)),
    ]
    assert data == b"abc"


def test_ids_never_meet():
    assert len({catch_errors.new_id() for _ in range(10_000)}) == 10_000
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, "".join(catch_errors.new_id() for _ in range(100)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader) as pipe:
        text = pipe.read()
    theirs = {text[at : at + 16] for at in range(0, len(text), 16)}
    assert len(theirs) == 100
    assert not theirs & {catch_errors.new_id() for _ in range(100)}


def test_headers_of_an_app_are_not_changed():
    headers = [("Content-Length", "0")]

    def app(environ, start_response):
        start_response("200 OK", headers)
        return []

    ask(app)
    assert headers == [("Content-Length", "0")]


@pytest.mark.parametrize("begun", [False, True])
def test_what_nobody_expected_is_an_internal_error_with_its_traceback_in_the_log(begun, caplog):
    def app(environ, start_response):
        if begun:
            start_response("200 OK", [])
        raise RuntimeError("the secret reason")

    server, data, environ = ask(app)
    assert server.status == "500 Internal Server Error"
    assert b"<Code>InternalError</Code>" in data
    assert f"<RequestId>{environ[REQUEST_ID]}</RequestId>".encode() in data
    assert b"secret" not in data
    assert dict(server.headers)["x-amz-request-id"] == environ[REQUEST_ID]
    assert "RuntimeError: the secret reason" in caplog.text


def test_a_head_request_that_fails_has_no_body():
    def app(environ, start_response):
        raise RuntimeError

    server, data, _ = ask(app, "HEAD")
    assert (server.status, data) == ("500 Internal Server Error", b"")


def test_an_error_of_s3_that_nobody_answered_is_answered(caplog):
    def app(environ, start_response):
        raise S3Error("SlowDown")

    server, data, _ = ask(app)
    assert server.status == "503 Service Unavailable"
    assert b"<Code>SlowDown</Code>" in data
    assert not caplog.records


def test_an_error_can_be_read_by_a_page_as_cors_says():
    def app(environ, start_response):
        environ[READABLE] = lambda environ: [("X-For", environ["PATH_INFO"])]
        start_response("200 OK", [("ETag", "e")])
        raise RuntimeError

    server, data, environ = ask(app)
    assert dict(server.headers)["X-For"] == "/bucket/key"
    assert "ETag" not in dict(server.headers)
    assert f"<RequestId>{environ[REQUEST_ID]}</RequestId>".encode() in data


def test_an_error_is_answered_when_nobody_can_say_who_may_read_it(caplog):
    def app(environ, start_response):
        environ[READABLE] = environ.__getitem__
        raise S3Error("SlowDown")

    server, data, _ = ask(app)
    assert server.status == "503 Service Unavailable"
    assert b"<Code>SlowDown</Code>" in data
    assert [name for name, _ in server.headers].count("x-amz-request-id") == 1
    assert "no page of another origin" in caplog.text


def test_what_ends_the_process_is_not_caught():
    def app(environ, start_response):
        raise SystemExit

    with pytest.raises(SystemExit):
        ask(app)


@pytest.mark.parametrize("length", [2, 4])
def test_a_whole_body_of_a_wrong_length_is_an_internal_error(length, caplog):
    server, _, _ = ask(answering(b"abc", length=length))
    assert server.status == "500 Internal Server Error"
    assert f"3 bytes was announced as {length}" in caplog.text


@pytest.mark.parametrize("length", [2, 4])
def test_a_body_in_parts_of_a_wrong_length_breaks_off(length):
    with pytest.raises(WrongLength):
        ask(answering(b"a", b"bc", length=length, wrap=iter))


def test_a_body_in_parts_passes():
    assert ask(answering(b"a", b"bc", wrap=iter))[1] == b"abc"


def test_answers_without_a_body_may_announce_one():
    assert ask(answering(length=5), "HEAD")[0].status == "200 OK"
    assert ask(answering(length=5, status="304 Not Modified"))[0].status == "304 Not Modified"


def test_a_body_that_fails_in_the_middle_is_logged_and_breaks_off(caplog):
    def parts():
        yield b"a"
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        ask(answering(length=9, wrap=lambda _: parts()))
    assert "broke off after 1 bytes" in caplog.text


class FileBody:
    def __init__(self, count=3):
        self.file, self.offset, self.count, self.closed = io.BytesIO(b"xabc"), 1, count, False

    def fileno(self):
        return 42

    def __iter__(self):
        return iter([b"abc"])

    def close(self):
        self.closed = True


def test_a_file_reaches_the_server_as_a_file():
    file, lines = FileBody(), Lines()
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    body = CatchErrors(answering(length=3, wrap=lambda _: file), lines)(environ, Server())
    assert (body.fileno(), body.offset, body.count) == (42, 1, 3)
    assert list(body) == [b"abc"]
    assert not lines, "the line is written when all is sent"
    body.close()
    assert file.closed
    assert " 200 3 " in lines[0]


def test_a_file_of_a_wrong_length_is_an_internal_error(caplog):
    file = FileBody(4)
    assert ask(answering(length=3, wrap=lambda _: file))[0].status == "500 Internal Server Error"
    assert file.closed


def test_the_access_line():
    lines = Lines()

    def app(environ, start_response):
        environ[IDENTITY] = Identity("AKEY", "id")
        environ[KEY] = Call("GetObject", "bucket", "key")
        return answering(b"abc")(environ, start_response)

    _, _, environ = ask(
        app,
        lines=lines,
        REMOTE_ADDR="10.0.0.1",
        HTTP_USER_AGENT='evil" agent\n',
        QUERY_STRING="X-Amz-Signature=s",
    )
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 10\.0\.0\.1 AKEY GetObject "
        rf'"GET /bucket/key" 200 3 \d+\.\d {environ[REQUEST_ID]} "evil\\x22 agent\\n"\n',
        lines[0],
    )


def test_the_access_line_of_a_request_that_nobody_understood():
    lines = Lines()

    def app(environ, start_response):
        raise RuntimeError

    ask(app, "HEAD", lines=lines, RAW_PATH_INFO="/a%0Ab")
    assert re.search(r'Z - - - "HEAD /a%0Ab" 500 0 \d+\.\d [0-9A-F]{16} "-"$', lines[0].rstrip())


def test_parts_are_counted_for_the_line_and_closed():
    lines = Lines()

    class Parts(list):
        closed = False

        def close(self):
            Parts.closed = True

    ask(answering(b"a", b"bc", wrap=Parts), lines=lines)
    assert " 200 3 " in lines[0]
    assert Parts.closed


def test_log_records_carry_the_request_id(caplog):
    catch_errors.tag_log_records()
    factory = logging.getLogRecordFactory()
    catch_errors.tag_log_records()
    assert logging.getLogRecordFactory() is factory
    others = []

    def app(environ, start_response):
        logging.getLogger("x").warning("inside")
        thread = threading.Thread(target=lambda: others.append(catch_errors.current_request.get()))
        thread.start()
        thread.join()
        return answering(b"")(environ, start_response)

    _, _, environ = ask(app)
    assert [record.request_id for record in caplog.records] == [environ[REQUEST_ID]]
    assert others == ["-"], "another thread serves nothing"


def test_the_factory(tmp_path):
    assert catch_errors.filter_factory({})(answering(b""))._lines is None
    app = catch_errors.filter_factory({"access_log": str(tmp_path / "log")})(answering(b""))
    ask(app.app, lines=app._lines)
    app._lines.close()
    assert (tmp_path / "log").read_text().count("\n") == 1
    with pytest.raises(options.OptionError, match="access_log"):
        catch_errors.filter_factory({"access_log": str(tmp_path / "no" / "log")})
