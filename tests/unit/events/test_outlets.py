"""Lines of a file, and POST: when a message was taken, and when it was not."""

import errno
import os
import socket
import threading

import pytest

from s3filters.events.outlets import Lines, Refused, Webhook, check_url


@pytest.fixture
def opened():
    """Webhooks that are closed at the end."""
    hooks = []

    def make(url):
        hooks.append(Webhook(url, 5))
        return hooks[-1]

    yield make
    for hook in hooks:
        hook.rest()


def test_each_message_is_a_line(tmp_path):
    lines = Lines(tmp_path / "events")
    for message in (b"1", b"2"):
        lines.send(message, "id")
    assert (tmp_path / "events").read_bytes() == b"1\n2\n"


def test_a_file_that_was_moved_away_is_begun_anew(tmp_path):
    lines = Lines(tmp_path / "events")
    lines.send(b"1", "id")
    (tmp_path / "events").rename(tmp_path / "events.1")
    lines.send(b"2", "id")
    assert (tmp_path / "events").read_bytes() == b"2\n"


def test_a_line_behind_a_torn_one_is_a_line_of_its_own(tmp_path):
    (tmp_path / "events").write_bytes(b"1\n{to")
    Lines(tmp_path / "events").send(b"2", "id")
    assert (tmp_path / "events").read_bytes() == b"1\n{to\n2\n"


@pytest.mark.parametrize("wrote", [0, 3, OSError(errno.ENOSPC, "full")])
def test_what_was_written_of_a_line_that_failed_is_taken_away(tmp_path, monkeypatch, wrote):
    real = os.write

    def write(fd, data):
        if isinstance(wrote, OSError):
            raise wrote
        return real(fd, data[:wrote])

    lines = Lines(tmp_path / "events")
    lines.send(b"first", "id")
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        with pytest.raises(OSError, match=r"full|whole line"):
            lines.send(b"second", "id")
    assert (tmp_path / "events").read_bytes() == b"first\n"


def test_lines_of_many_threads_are_whole(tmp_path):
    message = b"x" * 9000
    threads = [
        threading.Thread(target=Lines(tmp_path / "events").send, args=(message, "id"))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "events").read_bytes() == (message + b"\n") * 16


def test_a_message_is_posted_as_it_is(opened, receiver):
    opened(receiver.url).send(b'{"a":1}', "the-id")
    assert receiver.got == [b'{"a":1}']
    assert receiver.paths == ["/hook?token=secret"]
    assert receiver.headers[0]["Content-Type"] == "application/json"
    assert receiver.headers[0]["X-S3filters-Event"] == "the-id"


def test_a_connection_is_used_again_until_a_rest(opened, receiver):
    hook = opened(receiver.url)
    for _ in range(3):
        hook.send(b"1", "id")
    assert receiver.connections == 1
    hook.rest()
    hook.send(b"1", "id")
    assert receiver.connections == 2


def test_a_connection_that_was_closed_meanwhile_is_made_again(opened, receiver):
    receiver.keep = False
    hook = opened(receiver.url)
    for _ in range(3):
        hook.send(b"1", "id")
    assert len(receiver.got) == 3


@pytest.mark.parametrize("status", [201, 202, 204])
def test_every_success_is_one(opened, receiver, status):
    receiver.answers = [status]
    opened(receiver.url).send(b"1", "id")


@pytest.mark.parametrize("status", [302, 307, 400, 401, 404, 413])
def test_a_message_may_be_refused(opened, receiver, status):
    receiver.answers = [status]
    with pytest.raises(Refused, match=str(status)):
        opened(receiver.url).send(b"1", "id")
    assert len(receiver.got) == 1  # a redirection is not followed


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_receiver_may_want_nothing_just_now(opened, receiver, status):
    receiver.answers = [status]
    with pytest.raises(OSError, match=str(status)):
        opened(receiver.url).send(b"1", "id")


def test_a_receiver_that_is_not_there_is_told_of_without_its_secrets():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/?token=secret"
        with pytest.raises(OSError, match="ConnectionRefusedError") as caught:
            Webhook(url, 5).send(b"1", "id")
    assert "secret" not in str(caught.value)


def test_a_receiver_that_says_nothing_is_left():
    with socket.create_server(("127.0.0.1", 0)) as mute:
        hook = Webhook(f"http://127.0.0.1:{mute.getsockname()[1]}/", 0.1)
        with pytest.raises(OSError, match=r"[Tt]ime"):
            hook.send(b"1", "id")


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
def test_what_is_no_http_is_no_success(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with pytest.raises(OSError, match=":"):
            Webhook(f"http://127.0.0.1:{server.getsockname()[1]}/", 5).send(b"1", "id")
        thread.join()


@pytest.mark.parametrize(
    "url", ["", " ", "http://host", "https://host:8443/a?b=c", "http://[::1]/"]
)
def test_a_url_may_be(url):
    assert check_url(url) == url.strip()


@pytest.mark.parametrize(
    "url",
    [
        "host/path",
        "ftp://host/",
        "file:///etc/passwd",
        "http://",
        "http://host:99999/",
        "http://host:x/",
        "http://user:word@host/",
        "http://host/#part",
        "http://host/a b",
        "http://host/ä",
        "http://[::1/",
    ],
)
def test_a_url_may_not_be(url):
    with pytest.raises(ValueError, match=r".+"):
        check_url(url)
